"""The planned contrasts asked of heat, on made images, against scipy."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from deepfake.config.params import Evaluation
from deepfake.evaluation import attention
from deepfake.project import paths
from deepfake.reports import findings
from deepfake.studies.explain import changes

EVALUATION = Evaluation(confidence=0.95, rope=0.02)
COUNT = 60


def looks(shift: float, seed: int) -> pd.DataFrame:
    """Return where a run looks: so much more on the face than it is large, give or take."""
    noise = np.random.default_rng(seed).normal(0, 0.01, COUNT)
    rows = pd.DataFrame({"sample_id": [f"s{row}" for row in range(COUNT)]})
    rows = rows.assign(group=[f"person{row % 10}" for row in range(COUNT)], face=0.5 + shift + noise, face_area=0.5)
    return rows.assign(border=0.2, border_area=0.2, background=0.3 - shift - noise, background_area=0.3)


def facts(name: str) -> dict:
    model, _, geometry = name.partition("_")
    shared = {"train": "all", "pretrained": True, "holdout": "gan", "resolution": 96, "fraction": 1.0}
    return shared | {"experiment": name, "model": model, "view": {"geometry": geometry or "crop"}}


@pytest.fixture
def told(tmp_path, monkeypatch) -> dict[str, findings.Finding]:
    """The findings on three contrasts of one table and one of another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(changes, "facts_of", facts)
    known = {name: looks(shift, seed) for seed, (name, shift) in enumerate(SHIFTS.items())}
    rows = [("phase2", "phase2c", "base", name) for name in ("towards", "away", "same")]
    rows += [("phase4", "phase4b", "base", "towards"), ("phase3", "phase3", "base", "refused")]
    contrasts = pd.DataFrame(rows, columns=["phase", "table", "baseline", "experiment"])
    return {one.id: one for one in changes.write(contrasts, known, EVALUATION)}


SHIFTS = {"base": 0.0, "towards": 0.1, "away": -0.1, "same": 0.001}


def test_attention_moves_towards_the_face_away_from_it_or_not_at_all(told):
    verdicts = {id_: one.verdict for id_, one in told.items()}
    assert verdicts == {
        "attention.phase2c.towards.base": "better",
        "attention.phase2c.away.base": "at_chance",
        "attention.phase2c.same.base": "equivalent",
        "attention.phase4b.towards.base": "better",
    }
    assert told["attention.phase2c.away.base"].note == "It moves away from the face."
    assert not told["attention.phase2c.towards.base"].note


def test_the_table_has_the_paired_difference_and_the_interval_of_its_step_of_holm(told):
    rows = pd.read_csv(paths().table("explain_attention_changes")).set_index(["table", "experiment"])
    assert len(rows) == 4
    first, second = looks(0.0, 0), looks(0.1, 1)
    means = (second["face"] - first["face"]).groupby(first["group"]).mean()
    row = rows.loc[("phase4b", "towards")]
    # alone in its table: a one-sided test at 5%, so an interval of 90%
    ends = scipy.stats.ttest_1samp(means, 0.0).confidence_interval(0.90)
    np.testing.assert_allclose(row[["difference", "low", "high"]].astype(float), [means.mean(), *ends], atol=1e-6)
    # one of three in the other
    assert rows.loc[("phase2c", "towards"), "low"] < row["low"]
    assert row["background_change"] == pytest.approx(-row["difference"], abs=1e-6)
    assert row["border_change"] == 0


@pytest.mark.parametrize(
    ("table", "name", "question"),
    [
        ("phase1", "convnext_tiny", "Does {} look at the face more than ResNet18?"),
        ("phase4b", "convnext_tiny", "Does {} look at the face more than ResNet18 on all data?"),
        ("phase2a_colour", "resnet50", "Does normalising by real images move the attention of {} towards the face?"),
        ("phase2a_holdout", "resnet50", "Does training without gan move the attention of {} towards the face?"),
        ("phase2b", "resnet50", "Does raising the resolution to 96 px move the attention of {} towards the face?"),
        ("phase2c", "resnet50", "Does a face crop move the attention of {} towards the face?"),
        ("phase2d", "resnet50", "Does augmentation of whole images move the attention of {} towards the face?"),
        ("phase2e", "resnet50", "Does augmentation of face crops move the attention of {} towards the face?"),
        ("phase4a", "resnet50", "Does training on 100% of the data move the attention of {} towards the face?"),
    ],
)
def test_each_table_asks_its_question(table, name, question):
    asked = changes.asked(table, facts("x") | {"model": name}, facts("resnet18"))
    assert asked == question.format({"convnext_tiny": "ConvNeXt-Tiny", "resnet50": "ResNet50"}[name])
    assert len(asked.split()) <= findings.MOST_WORDS


@pytest.mark.parametrize("geometry", changes.SETTINGS)
def test_the_geometry_of_a_view_is_named(geometry):
    asked = changes.asked("phase2a_geometry", facts(f"resnet50_{geometry}"), facts("resnet18"))
    assert asked == f"Does {changes.SETTINGS[geometry]} move the attention of ResNet50 towards the face?"


def test_the_baseline_of_most_contrasts_chooses_what_is_shown():
    pairs = [("a", "b"), ("c", "d"), ("c", "e"), ("c", "b")]
    contrasts = pd.DataFrame(pairs, columns=["baseline", "experiment"])
    assert changes.runs(contrasts) == ["c", "a", "b", "d", "e"]
    assert attention.ROPE == 0.02
