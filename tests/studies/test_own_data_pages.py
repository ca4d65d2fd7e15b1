"""What the studies of speech and of clips conclude from their tables, and what their pages show of it."""

from types import SimpleNamespace

import pandas as pd
import pytest

from deepfake import tables
from deepfake.studies import own_data
from deepfake.studies.audio import findings as audio
from deepfake.studies.results import SOURCES
from deepfake.synthetic import generated


def probe(name: str, level: str = "feature", nature: str = "container", verdict: str = "no_shortcut", auc: float = 0.5):
    severity = "severe" if verdict == "shortcut" else "none"
    return {
        "dataset": "voices",
        "level": level,
        "name": name,
        "family": "silence",
        "nature": nature,
        "auc": auc,
        "auc_low": auc - 0.1,
        "auc_high": auc + 0.1,
        "p_holm": 0.01,
        "severity": severity,
        "verdict": verdict,
        "samples": 120,
        "groups": 12,
    }


def concluded(*rows: dict) -> dict:
    whole = probe("all", "all", "both", "undecided", 0.6)
    return {one.id: one for one in own_data.probed(pd.DataFrame([*rows, whole]))}


def test_one_shortcut_among_many_features_is_enough_and_is_named():
    found = concluded(
        probe("peak", verdict="undecided", auc=0.99),
        probe("leading_silence", verdict="shortcut", auc=0.95),
        probe("rate"),
        probe("flatness", nature="pixels"),
    )
    stored = found["stored.voices"]
    assert (stored.verdict, stored.effect, stored.low, stored.high) == ("shortcut", 0.95, 0.85, pytest.approx(1.05))
    assert stored.note == "The strongest is leading_silence (silence), a severe one."
    assert found["content.voices"].verdict == "no_shortcut"


def test_an_undecided_feature_leaves_the_answer_open_and_every_answer_has_its_n():
    found = concluded(probe("peak", verdict="undecided", auc=0.6), probe("rate", auc=0.7))
    assert found["stored.voices"].verdict == "undecided" and found["stored.voices"].effect == 0.6
    assert found["joint.voices"].verdict == "undecided"
    assert {(one.n_samples, one.n_groups) for one in found.values()} == {(120, 12)}


def test_all_features_together_are_concluded_by_themselves():
    rows = pd.DataFrame([probe("rate"), probe("all", "all", "both", "shortcut", 0.9)])
    found = {one.id: one for one in own_data.probed(rows)}
    assert found["stored.voices"].answer == "no" and found["joint.voices"].answer == "yes"
    assert found["joint.voices"].note == ""


def test_probes_count_the_reals_of_the_folds_that_a_source_has():
    rows = [
        (fold, label, source, f"{fold}{group}")
        for fold in range(3)
        for group in range(4)
        for label, source in ((tables.REAL, "recorded"), (tables.FAKE, "lpc"), (tables.FAKE, "codec"))
        if source != "codec" or fold < 2
    ]
    known = pd.DataFrame(rows, columns=["fold", "label", "source", "group"])
    assert own_data._size(known, None) == {"samples": 32, "groups": 12}
    assert own_data._size(known, "lpc") == {"samples": 24, "groups": 12}
    assert own_data._size(known, "codec") == {"samples": 16, "groups": 8}


def test_a_network_of_a_small_budget_says_so_and_a_head_does_not():
    facts = {"train": "all", "preset": "quick", "epochs": 3, "fraction": 0.5}
    said = audio._budget(SimpleNamespace(**facts), "LCNN")  # pyright: ignore[reportArgumentType]
    assert said == "LCNN had 3 epochs on 50% of the training groups; more training may change this."
    for change in ({"train": "head"}, {"preset": "full"}):
        assert audio._budget(SimpleNamespace(**facts | change), "LCNN") == ""  # pyright: ignore[reportArgumentType]


def test_the_sources_of_the_embedded_samples_have_titles():
    for name in ("sample_audio", "sample_speech", "sample_video"):
        fakes = list(generated.RECIPES[name].titles)[1:]
        assert set(fakes) <= set(SOURCES)
