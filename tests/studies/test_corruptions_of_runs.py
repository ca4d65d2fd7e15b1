"""Runs are examined under what their modality can suffer, and under nothing else."""

from types import SimpleNamespace

import pytest

from deepfake import modalities
from deepfake.config.studies import Robustness
from deepfake.errors import InputError
from deepfake.modalities import MODALITIES
from deepfake.progress import SILENT
from deepfake.studies.robustness import analysis


@pytest.fixture(autouse=True)
def runs(monkeypatch):
    """A run of each modality, by its name; nothing is read or predicted."""
    known = {name: SimpleNamespace(view=SimpleNamespace(modality=name)) for name in MODALITIES}
    monkeypatch.setattr(analysis, "config_of", known.__getitem__)
    monkeypatch.setattr(analysis.prediction, "held_out", lambda *_: pytest.fail("nothing is to be read"))


def asked(names: list[str], corruptions: dict[str, list[float]]) -> None:
    section = Robustness.model_validate({"runs": names, "corruptions": corruptions})
    analysis.run(names, section, None, progress=SILENT)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", MODALITIES)
def test_each_modality_names_the_unit_of_its_corruptions_and_checks_their_strengths(name):
    for known in modalities.load(name).known_corruptions().values():
        assert isinstance(known.unit, str) and known.unit
        assert known.check(known.least) == "" and known.unit in known.check(known.least - 1)


def test_corruptions_of_another_modality_are_refused():
    with pytest.raises(InputError, match=r"robustness.corruptions: unknown corruption 'jpeg'; known: "):
        asked(["audio"], {"jpeg": [90, 70, 50, 30, 10]})


def test_a_strength_without_a_meaning_is_refused():
    with pytest.raises(InputError, match=r"robustness.corruptions.jpeg: 101; its quality is a whole number"):
        asked(["image"], {"jpeg": [90, 70, 50, 30, 101]})


def test_runs_of_several_modalities_are_refused():
    with pytest.raises(InputError, match=r"robustness.runs: of audio, image; name runs of one modality"):
        asked(["image", "audio"], {"noise": [1, 2, 3, 4, 5]})
