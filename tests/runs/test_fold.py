import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from conftest import changed, tiny_params
from deepfake import config, execution, models, run_files, tables
from deepfake.config import params
from deepfake.config.execution import Execution
from deepfake.evaluation import thresholds
from deepfake.execution.devices import Place
from deepfake.execution.processes import LocalProcesses
from deepfake.execution.ranks import Ranks
from deepfake.runs import checkpoint_metadata, cross_validation, fold
from deepfake.training.domains import codes
from shown import pixel_view

PARTS = np.repeat(["train", "validation", "held_out", ""], [32, 12, 12, 16])
LABELS = np.arange(len(PARTS)) % 2
# of two samples each, of one label
CLIPS = np.array([f"clip{row // 4 * 2 + row % 2}" for row in range(len(PARTS))])
SIZE, LARGER = 32, 40
ROLES = {
    f"{name} {part or 'unused'}": np.flatnonzero((part == PARTS) & (label == LABELS))
    for part in np.unique(PARTS)
    for label, name in enumerate(("real", "fake"))
}


@pytest.fixture
def job(tmp_path):
    """Give a function that makes a fold's job from noise, with some rows of the images changed."""

    def make(rows=(), larger_rows=(), weights=None, **changes: str | float) -> fold.FoldJob:
        values = changed(tiny_params(), {"custom.normalization": "real_training", "presets.quick.epochs.short": 1})
        values = changed(values, {path.replace("__", "."): value for path, value in changes.items()})
        resolved = config.resolve(params.Params.model_validate(values), "custom")
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, size, touched in (("images", SIZE, list(rows)), ("larger", LARGER, list(larger_rows))):
            images = np.random.default_rng(0).integers(0, 256, (len(PARTS), size, size, 3), dtype=np.uint8)
            images[touched] //= 2
            np.save(folder / f"{name}.npy", images)
        return fold.FoldJob(
            resolved,
            0,
            np.array([f"s{row}" for row in range(len(PARTS))]),
            CLIPS,
            LABELS,
            PARTS,
            folder / "images.npy",
            folder / "larger.npy" if resolved.augmentation else None,
            weights,
            folder / "results",
            np.zeros(len(PARTS), int),
        )

    return make


def trained(job: fold.FoldJob) -> dict:
    """Train a fold; return the record of its checkpoint."""
    assert not cross_validation.is_done(job.folder)
    fold.train_fold(job, lambda news: None)
    assert cross_validation.is_done(job.folder)
    return json.loads((job.folder / run_files.FOLD_RECORD).read_text())


def logits(job: fold.FoldJob) -> pd.Series:
    return tables.read(job.folder / run_files.FOLD_PREDICTIONS, tables.PREDICTIONS).set_index("sample_id")["logit"]


@pytest.mark.parametrize("role", ROLES)
def test_statistics_are_of_real_training_images_alone(role):
    images = np.random.default_rng(0).integers(0, 256, (len(PARTS), 8, 8, 3), dtype=np.uint8)
    train = np.flatnonzero(PARTS == "train")
    before = fold.training_statistics(pixel_view(8), images, LABELS, train)
    reals = images[ROLES["real train"]].astype(np.float64) / 255
    np.testing.assert_allclose(before.mean, reals.mean(axis=(0, 1, 2)), rtol=0, atol=1e-9)
    np.testing.assert_allclose(before.std, reals.std(axis=(0, 1, 2)), rtol=0, atol=1e-9)
    images[ROLES[role][-1]] //= 2
    assert (fold.training_statistics(pixel_view(8), images, LABELS, train) != before) is (role == "real train")


@pytest.mark.parametrize("augmentation", ["none", "full"])
def test_a_fold_is_normalised_by_its_real_training_images_alone(job, augmentation):
    others = np.concatenate([rows for role, rows in ROLES.items() if role != "real train"])
    chosen = {"custom__augmentation": augmentation}
    jobs = [job(**chosen), job(others, others, **chosen), job(ROLES["real train"][:1], **chosen)]
    before, unchanged, other = (trained(each)["normalization"] for each in jobs)
    assert unchanged == before
    assert other != before


def test_the_same_statistics_normalise_augmented_images(job):
    """Statistics come from the images as they are, whatever augmentation makes of them."""
    plain, augmented = trained(job()), trained(job(custom__augmentation="full"))
    assert plain["normalization"] == augmented["normalization"]


def test_fixed_statistics_are_those_of_the_params(job):
    assert trained(job(custom__normalization="imagenet"))["normalization"] == tiny_params()["imagenet"]


@pytest.mark.parametrize("augmentation", ["none", "full"])
def test_what_is_held_out_never_reaches_the_weights(job, augmentation):
    rows = np.flatnonzero(np.isin(PARTS, ["held_out", ""]))
    first, second = job(custom__augmentation=augmentation), job(rows, rows, custom__augmentation=augmentation)
    for each in (first, second):
        trained(each)
    weights = [load_file(each.folder / run_files.FOLD_WEIGHTS) for each in (first, second)]
    assert all(np.array_equal(value, weights[1][name]) for name, value in weights[0].items())


def test_larger_images_are_for_training_alone(job):
    """Whatever is in the larger images of the other parts: neither weights nor predictions know it."""
    others = np.flatnonzero(PARTS != "train")
    jobs = [
        job(custom__augmentation="full"),
        job((), others, custom__augmentation="full"),
        job((), ROLES["real train"], custom__augmentation="full"),
    ]
    for each in jobs:
        trained(each)
    first, unchanged, other = (logits(each) for each in jobs)
    pd.testing.assert_series_equal(first, unchanged, check_exact=True)
    assert not np.array_equal(first, other)


def test_every_sample_in_use_is_predicted_and_no_other(job):
    each = job()
    trained(each)
    predictions = tables.read(each.folder / run_files.FOLD_PREDICTIONS, tables.PREDICTIONS)
    assert list(predictions["sample_id"]) == [f"s{row}" for row in np.flatnonzero(PARTS != "")]
    assert list(predictions["clip_id"]) == CLIPS[PARTS != ""].tolist()
    assert list(predictions["subset"]) == list(PARTS[PARTS != ""])
    assert set(predictions["condition"]) == {tables.STANDARD_CONDITION}


def test_a_fold_starts_from_the_weights_it_is_given(job, tmp_path):
    classifier = timm.create_model("test_resnet")
    save_file(classifier.state_dict(), tmp_path / "given.safetensors")
    each = job((), (), tmp_path / "given.safetensors", model="test_resnet", shared__optimizer__lr=1e-12)
    trained(each)
    weights = load_file(each.folder / run_files.FOLD_WEIGHTS)
    convolutions = {name: value for name, value in classifier.state_dict().items() if value.dim() == 4}
    assert len(convolutions) > 5
    for name, value in convolutions.items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-6)


# --- the checkpoint


def test_a_checkpoint_has_all_that_the_plan_lists(job):
    each = job(shared__keep_optimizer=True)
    trained(each)
    record = checkpoint_metadata.read(each.folder / run_files.FOLD_RECORD)
    history = pd.read_csv(each.folder / run_files.FOLD_HISTORY)
    assert record.epoch == 1
    assert record.metrics["validation_f1_macro"] == pytest.approx(history["validation_f1_macro"][0], abs=1e-6)
    assert record.config == each.config
    rows = np.flatnonzero(PARTS == "validation")
    assert list(record.validation.sample_id) == [f"s{row}" for row in rows]
    assert list(record.validation.label) == list(LABELS[rows])
    np.testing.assert_array_equal(record.validation.logit, logits(each)[[f"s{row}" for row in rows]])
    np.testing.assert_allclose(record.validation.probability, expit(record.validation.logit))
    assert set(record.thresholds) == set(thresholds.RULES)
    assert list(record.validation.clip_id) == CLIPS[rows].tolist()
    # chosen on clips
    shown = pd.DataFrame({"clip": CLIPS[rows], "label": LABELS[rows], "logit": record.validation.logit})
    clips = shown.groupby("clip", sort=False).mean()
    assert len(clips) == len(rows) / 2
    expected = thresholds.youden(clips["label"].astype(int), clips["logit"])
    assert record.threshold == record.thresholds["youden"] == pytest.approx(expected)
    assert record.metrics["validation_auc"] == pytest.approx(roc_auc_score(clips["label"], clips["logit"]), abs=1e-6)
    assert record.temperature > 0
    optimizer = load_file(each.folder / run_files.FOLD_OPTIMIZER)
    weights = load_file(each.folder / run_files.FOLD_WEIGHTS)
    assert optimizer["detector.head.weight.exp_avg"].shape == weights["head.weight"].shape


def test_thresholds_and_temperature_know_the_inner_validation_alone(job):
    others = np.flatnonzero(np.isin(PARTS, ["held_out", ""]))
    first, same, other = (trained(job(rows)) for rows in ((), others, np.flatnonzero(PARTS == "validation")))
    for key in ("threshold", "thresholds", "temperature"):
        assert first[key] == same[key]
    assert first["thresholds"] != other["thresholds"]


def test_the_optimiser_is_kept_only_when_it_is_asked_for(job):
    each = job()
    trained(each)
    assert not (each.folder / run_files.FOLD_OPTIMIZER).exists()


def with_domains(each: fold.FoldJob, names: list[str]) -> fold.FoldJob:
    column = np.array([names[row % len(names)] for row in range(len(PARTS))])
    found = codes(column, LABELS, np.flatnonzero(PARTS == "train"), "source")
    return dataclasses.replace(each, domains=found)


def test_a_domain_head_is_no_part_of_the_detector(job):
    each = with_domains(job(shared__domain__column="source"), ["a", "b", "a", "c"])
    trained(each)
    assert set(load_file(each.folder / run_files.FOLD_WEIGHTS)) == set(models.create("simple_cnn", SIZE).state_dict())
    history = pd.read_csv(each.folder / run_files.FOLD_HISTORY)
    assert {"train_class_loss", "train_domain_loss", "train_domain_accuracy", "train_domain_weight"} <= set(history)


@pytest.mark.parametrize("loader", ["dali", "opencv"])
@pytest.mark.parametrize("sampler", ["weighted", "stratified"])
def test_samplers_work_with_every_loader(job, loader, sampler):
    changes = {"custom__augmentation": "full", "presets__quick__loader": loader}
    jobs = [job(**changes, shared__sampler=name) for name in (sampler, sampler, "shuffle")]
    for each in jobs:
        trained(each)
    first, again, other = (logits(each) for each in jobs)
    pd.testing.assert_series_equal(first, again, check_exact=True)
    assert not np.array_equal(first, other)


# --- side by side


def left(job, executor: execution.Executor) -> list[dict[str, bytes]]:
    """Return what three folds leave behind that decides numbers, byte for byte, carried out by an executor."""
    jobs = [dataclasses.replace(job(custom__augmentation="light"), fold=fold) for fold in range(3)]
    heard = []
    executor.run(fold.train_fold, jobs, on_news=heard.append, remedy="")
    assert sorted(news.fold for news in heard if news.finished) == [0, 1, 2]
    names = (run_files.FOLD_WEIGHTS, run_files.FOLD_PREDICTIONS, run_files.FOLD_HISTORY, run_files.FOLD_RECORD)
    return [{name: (each.folder / name).read_bytes() for name in names} for each in jobs]


def test_folds_side_by_side_leave_what_they_leave_one_by_one(job):
    alone = left(job, LocalProcesses(1))
    assert len({each[run_files.FOLD_WEIGHTS] for each in alone}) == 3  # each fold has numbers of its own
    assert left(job, LocalProcesses(2)) == alone
    # as on a GPU: workers from a server that has trained nothing
    assert left(job, LocalProcesses(places=[Place(jobs=2)])) == alone


@pytest.mark.gpu
def test_folds_that_share_a_gpu_leave_what_they_leave_alone_on_it(job):
    alone, together = (left(job, execution.create(Execution(gpus=1, per_gpu=count))) for count in (1, 3))
    assert together == alone


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is not for two processes")
def test_two_processes_train_a_fold_together_and_one_of_them_writes(job, tmp_path):
    """Up to rounding with what one process gives, augmentation of repeated samples included."""
    changes = {
        "model": "convnext_atto",
        "custom__pretrained": False,
        "custom__augmentation": "full",
        "shared__sampler": "weighted",
        "shared__precision": "fp32",
        "shared__batch_size": 12,
    }
    alone, together = job(**changes), job(**changes)
    record, heard = trained(alone), []
    Ranks(Execution(data_parallel=2)).run(fold.train_fold, [together], on_news=heard.append, remedy="")
    assert sorted(path.name for path in together.folder.iterdir()) == sorted(
        path.name for path in alone.folder.iterdir()
    )
    assert [news.finished for news in heard] == [False, False, True]
    np.testing.assert_allclose(logits(together), logits(alone), atol=1e-4)
    found = json.loads((together.folder / run_files.FOLD_RECORD).read_text())
    assert found["metrics"] == pytest.approx(record["metrics"], rel=1e-4)
