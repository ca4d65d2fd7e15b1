"""What the files of recordings give away is found where it was put in, and nothing where nothing was."""

import numpy as np
import pandas as pd
import pytest

import planted_sound
from deepfake import tables
from deepfake.config import params
from deepfake.project import paths
from deepfake.studies import probing
from planted_sound import NAME, RATE

SPEAKERS = 24


def probed(change: planted_sound.Change = planted_sound.unchanged) -> pd.DataFrame:
    """Return the probes of made recordings, by the name of the feature or family."""
    settings = params.load()
    planted_sound.write(SPEAKERS, 4, change)
    planted_sound.prepare(settings)
    manifest = tables.read(paths().manifest(NAME), tables.MANIFEST)
    subject = probing.of_files(NAME, manifest, threads=2)
    samples = probing.identities(manifest)
    assert len(subject.features) == len(samples) == manifest.query("split == 'dev'")["clip_id"].nunique()
    judged, scores = probing.judge({probing.FILES: subject}, samples, settings)
    assert scores["sample_id"].tolist() == samples["clip_id"].tolist()
    return judged.set_index(["level", "name"])


def silent(sound: np.ndarray, source: str) -> tuple[np.ndarray, int]:
    """Begin every fake with a quarter of a second of silence."""
    return (np.concatenate([np.zeros(RATE // 4), sound]) if source == "copied" else sound), RATE


def faster(sound: np.ndarray, source: str) -> tuple[np.ndarray, int]:
    """Say another rate in every fake."""
    return sound, 22050 if source == "copied" else RATE


@pytest.mark.parametrize(
    ("change", "feature", "family"), [(silent, "leading_silence", "silence"), (faster, "rate", "band")]
)
def test_a_planted_shortcut_is_severe_and_named(project, change, feature, family):
    rows = probed(change)
    for place in (("feature", feature), ("family", family)):
        assert rows.loc[place, "severity"] == "severe" and rows.loc[place, "verdict"] == "shortcut"
    assert rows.loc[("feature", feature), "family"] == family
    assert rows.loc[("feature", feature), "nature"] == "container"


def test_nothing_is_found_where_nothing_was_planted(project):
    rows = probed()
    assert set(rows["severity"]) == {"none"} and "shortcut" not in set(rows["verdict"])
