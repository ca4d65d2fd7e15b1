import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import synthetic_study
from deepfake import tables
from deepfake.config import Decision, read_finalists
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.studies.phases import selection

FACES = {"simple_cnn_face": 2.0, "resnet18_face": 2.0, "simple_cnn_face_augmented": 2.0, "resnet18_face_augmented": 2.0}


def held_out_auc(name: str) -> np.ndarray:
    """The AUC of each fold, by scikit-learn from the files."""
    rows = tables.read(paths().predictions(name), tables.PREDICTIONS).query("subset == 'held_out'")
    labels = tables.read(paths().manifest("sample"), tables.MANIFEST).set_index("sample_id")["label"]
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
    assert json.loads(paths().decision.read_text()) == expected.model_dump()


def test_the_evidence_is_that_of_the_held_out_folds(study):
    selection.decide(study({}))
    evidence = pd.read_csv(paths().table("phase2_decision")).set_index("factor")
    gains = [held_out_auc(f"{model}_high") - held_out_auc(f"{model}_low") for model in ("simple_cnn", "resnet18")]
    assert evidence.loc["resolution", "gain"] == pytest.approx(np.mean(gains), abs=1e-5)


def test_the_test_set_decides_nothing(study):
    settings = study({})
    before = selection.decide(settings)
    for name in ("simple_cnn_high", "resnet18_high"):
        table = tables.read(paths().predictions(name), tables.PREDICTIONS)
        table.loc[table["subset"] != "held_out", "logit"] *= -100
        tables.write(table, paths().predictions(name), tables.PREDICTIONS)
    evidence = paths().table("phase2_decision").read_bytes()
    assert selection.decide(settings) == before
    assert paths().table("phase2_decision").read_bytes() == evidence


def test_a_table_that_varies_two_things_at_once_is_refused(study):
    settings = study({}, studies__phase2__runs__simple_cnn_high__view="crop_low")
    with pytest.raises(InputError, match=r"contrasts\.phase2b: .* differ in their resolution"):
        selection.decide(settings)


# --- a view whose framing gives fakes away


VIEWS = ["crop_low", "crop_high", "face_high"]


def decided(study, quality: dict[str, float], **severities: str) -> tuple[Decision, pd.Series]:
    """Decide with framings of some severities; return the decision and the evidence on the face crop."""
    settings = study(quality)
    synthetic_study.write_probes(settings, **severities)
    decision = selection.decide(settings)
    return decision, pd.read_csv(paths().table("phase2_decision"), keep_default_na=False).set_index("factor")


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
        other = synthetic_study.SEVERITIES[severities.get("crop_high", "none")]
        assert "face_high" in row["refused"] and "crop_high" in row["refused"]
        assert "AUC 0.950 [0.900, 0.990], severe" in row["refused"] and f"AUC {other:.3f}" in row["refused"]


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
def test_a_view_that_phase_2_may_decide_for_has_to_be_probed(study, missing):
    settings = study({}, studies__shortcuts__views=[view for view in VIEWS if view != missing])
    with pytest.raises(InputError, match=rf"studies\.shortcuts\.views: add {missing}, which phase 2 may decide for"):
        selection.decide(settings)


def test_without_probes_nothing_is_decided(study):
    settings = study({})
    rows = pd.read_csv(paths().table("probes"))
    tables.write_csv(rows[rows["subject"] != "face_high"], paths().table("probes"))
    with pytest.raises(InputError, match=r"nothing about the framing of face_high; run deepfake probe again"):
        selection.decide(settings)
    paths().table("probes").unlink()
    with pytest.raises(InputError, match=r"probes\.csv: not found; run deepfake probe"):
        selection.decide(settings)
    assert not paths().decision.exists()


def test_an_experiment_that_was_not_trained_is_named(study):
    settings = study({})
    paths().predictions("resnet18_high").unlink()
    with pytest.raises(InputError, match=r"resnet18_high.*run deepfake train resnet18_high, or dvc repro"):
        selection.decide(settings)


BEST = {"simple_cnn_best": 0.3, "resnet34_best": 2.5, "convnext_tiny_best": 3.5, "mobilenetv3_small_best": 1.8}
BEST |= {"resnet18_best": 0.5, "efficientnet_lite0_imagenet_best": 9.0}
EVERYWHERE = {f"studies__phase3__runs__{name}__presets": [] for name in BEST}


@pytest.fixture
def candidates(study):
    decision = Decision(resolution="low", face_crop=False, augmentation="none")
    tables.write_text(decision.model_dump_json(), paths().decision)
    return study(BEST, candidates=True, presets__quick__top=3, **EVERYWHERE)


def test_the_best_go_on_and_those_out_of_competition_do_not(candidates):
    best = selection.rank(candidates)
    # in the order of params.yaml
    assert read_finalists() == ("resnet34_best", "convnext_tiny_best", "mobilenetv3_small_best")
    assert set(best) == set(read_finalists())
    ranking = pd.read_csv(paths().table("phase3_ranking"))
    assert ranking.loc[ranking["chosen"], "candidate"].tolist() == best
    for _, row in ranking.iterrows():
        assert row["auc"] == pytest.approx(held_out_auc(row["candidate"]).mean(), abs=1e-5)


def test_an_exchange_of_ranks_among_the_best_changes_no_finalist(candidates):
    before, chosen = selection.rank(candidates), paths().finalists.read_bytes()
    first, second = (paths().predictions(name) for name in before[:2])
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert selection.rank(candidates) != before
    assert paths().finalists.read_bytes() == chosen
