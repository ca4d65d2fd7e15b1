import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import synthetic_study
from deepfake import layout, tables
from deepfake.config import Decision
from deepfake.errors import InputError
from deepfake.studies import selection

FACES = {"simple_cnn_face": 2.0, "resnet18_face": 2.0, "simple_cnn_face_augmented": 2.0, "resnet18_face_augmented": 2.0}


def held_out_auc(name: str) -> np.ndarray:
    """The AUC of each fold, by scikit-learn from the files."""
    rows = tables.read(layout.predictions(name), tables.PREDICTIONS).query("subset == 'held_out'")
    labels = tables.read(layout.manifest("sample"), tables.MANIFEST).set_index("sample_id")["label"]
    return np.array([roc_auc_score(labels[fold["sample_id"]], fold["logit"]) for _, fold in rows.groupby("fold")])


@pytest.mark.parametrize(
    ("quality", "decision"),
    [
        ({}, ("low", False, "none")),
        ({"simple_cnn_high": 2.0, "resnet18_high": 2.0}, ("high", False, "none")),
        (FACES, ("low", True, "none")),
        # a gain without the crop does not count when faces are cropped
        (FACES | {"simple_cnn_augmented": 3.0, "resnet18_augmented": 3.0}, ("low", True, "none")),
        ({"simple_cnn_augmented": 2.0, "resnet18_augmented": 2.0}, ("low", False, "full")),
        # what one model gains and the other loses is no gain
        ({"simple_cnn_low": 0.9, "resnet18_low": 3.0}, ("low", False, "none")),
    ],
)
def test_what_clearly_helps_is_decided_for_and_nothing_else(study, quality, decision):
    resolution, face_crop, augmentation = decision
    expected = Decision(resolution=resolution, face_crop=face_crop, augmentation=augmentation)
    assert selection.decide(study(quality)) == expected
    assert json.loads(layout.DECISION.read_text()) == expected.model_dump()


def test_the_evidence_is_that_of_the_held_out_folds(study):
    selection.decide(study({}))
    evidence = pd.read_csv(layout.table("phase2_decision")).set_index("factor")
    gains = [held_out_auc(f"{model}_high") - held_out_auc(f"{model}_low") for model in ("simple_cnn", "resnet18")]
    assert evidence.loc["resolution", "gain"] == pytest.approx(np.mean(gains), abs=1e-5)


def test_the_test_set_decides_nothing(study):
    settings = study({})
    before = selection.decide(settings)
    for name in ("simple_cnn_high", "resnet18_high"):
        table = tables.read(layout.predictions(name), tables.PREDICTIONS)
        table.loc[table["subset"] != "held_out", "logit"] *= -100
        tables.write(table, layout.predictions(name), tables.PREDICTIONS)
    evidence = layout.table("phase2_decision").read_bytes()
    assert selection.decide(settings) == before
    assert layout.table("phase2_decision").read_bytes() == evidence


def test_a_table_that_varies_two_things_at_once_is_refused(study):
    settings = study({}, experiments__simple_cnn_high__view="crop_low")
    with pytest.raises(InputError, match=r"tables\.phase2b: simple_cnn_high, resnet18_high differ in their resolution"):
        selection.decide(settings)


# --- a view whose framing gives fakes away


VIEWS = ["crop_low", "crop_high", "face_high"]


def decided(study, quality: dict[str, float], **severities: str) -> tuple[Decision, pd.Series]:
    """Decide with framings of some severities; return the decision and the evidence on the face crop."""
    settings = study(quality)
    synthetic_study.write_audit(settings, **severities)
    decision = selection.decide(settings)
    return decision, pd.read_csv(layout.table("phase2_decision"), keep_default_na=False).set_index("factor")


@pytest.mark.parametrize(
    ("severities", "chosen"),
    [
        ({}, True),
        ({"face_high": "moderate"}, True),
        ({"face_high": "severe"}, False),
        ({"face_high": "severe", "crop_high": "moderate"}, False),
        # it is no worse than what it is compared with
        ({"face_high": "severe", "crop_high": "severe"}, True),
    ],
)
def test_a_face_crop_is_refused_only_for_a_severe_framing_of_its_own(study, severities, chosen):
    decision, evidence = decided(study, FACES, **severities)
    row = evidence.loc["face_crop"]
    assert decision.face_crop is chosen
    assert row["chosen"] == str(chosen)
    assert row["gain"] > row["standard_error"]
    assert (row["refused"] == "") is chosen
    assert (evidence.drop("face_crop")["refused"] == "").all()
    # where the crop is refused, augmentation counts that goes without it
    assert evidence.loc["augmentation", "counts"] == (not chosen)
    if not chosen:
        assert row["refused"].startswith("the framing of face_high alone tells fakes from reals (AUC 0.950 [0.900, 0.9")
        assert f"that of crop_high does not do so severely (AUC {evidence_auc(severities):.3f}" in row["refused"]


def evidence_auc(severities: dict[str, str]) -> float:
    return synthetic_study.SEVERITIES[severities.get("crop_high", "none")]


def test_what_gains_nothing_needs_no_refusal(study):
    decision, evidence = decided(study, {}, face_high="severe")
    assert not decision.face_crop
    assert evidence.loc["face_crop", "refused"] == ""


def test_a_resolution_is_refused_in_the_same_way(study):
    quality = {"simple_cnn_high": 2.0, "resnet18_high": 2.0}
    assert decided(study, quality)[0].resolution == "high"
    decision, evidence = decided(study, quality, crop_high="severe")
    assert decision.resolution == "low"
    assert "the framing of crop_high" in evidence.loc["resolution", "refused"]


@pytest.mark.parametrize("missing", VIEWS)
def test_a_view_that_phase_2_may_decide_for_has_to_be_audited(study, missing):
    settings = study({}, audit__views=[view for view in VIEWS if view != missing])
    with pytest.raises(InputError, match=rf"audit\.views: add {missing}, which phase 2 may decide for"):
        selection.decide(settings)


def test_without_an_audit_nothing_is_decided(study):
    settings = study({})
    rows = pd.read_csv(layout.table("audit"))
    tables.write_csv(rows[rows["subject"] != "face_high"], layout.table("audit"))
    with pytest.raises(InputError, match=r"nothing about the framing of face_high; run deepfake probe again"):
        selection.decide(settings)
    layout.table("audit").unlink()
    with pytest.raises(InputError, match=r"audit\.csv: not found; run deepfake probe"):
        selection.decide(settings)
    assert not layout.DECISION.exists()


def test_an_experiment_that_was_not_trained_is_named(study):
    settings = study({})
    layout.predictions("resnet18_high").unlink()
    with pytest.raises(InputError, match=r"resnet18_high.*run deepfake train resnet18_high, or dvc repro"):
        selection.decide(settings)


BEST = {"simple_cnn_best": 0.3, "resnet34_best": 2.5, "convnext_tiny_best": 3.5, "mobilenetv3_small_best": 1.8}


def ranked(study, **changes):
    settings = study({})
    selection.decide(settings)
    return study(BEST | {"efficientnet_lite0_imagenet_best": 9.0}, candidates=True, **changes)


def test_the_best_go_on_and_those_out_of_competition_do_not(study):
    settings = ranked(study)
    best = selection.rank(settings)
    assert set(best) == {"resnet34", "convnext_tiny", "mobilenetv3_small"}
    for name in settings.candidates:
        assert json.loads(layout.gate(name).read_text()) == {"open": name in best}
    ranking = pd.read_csv(layout.table("phase3_ranking"))
    assert ranking.loc[ranking["chosen"], "candidate"].tolist() == best
    for _, row in ranking.iterrows():
        assert row["auc"] == pytest.approx(held_out_auc(f"{row['candidate']}_best").mean(), abs=1e-5)


def test_an_exchange_of_ranks_among_the_best_changes_no_gate(study):
    settings = ranked(study)
    before, gates = selection.rank(settings), {name: layout.gate(name).read_bytes() for name in settings.candidates}
    first, second = (layout.predictions(f"{name}_best") for name in before[:2])
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert selection.rank(settings) != before
    assert {name: layout.gate(name).read_bytes() for name in settings.candidates} == gates
