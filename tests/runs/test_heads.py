"""Runs with a frozen trunk, against timm and scikit-learn used directly."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conftest import changed, tiny_params
from deepfake import config as configs
from deepfake import run_files, tables
from deepfake.config import RunConfig
from deepfake.config import params as schema
from deepfake.config.training import PENALTIES, Loss, Probe
from deepfake.errors import InputError
from deepfake.loading import views
from deepfake.project import paths
from deepfake.runs import cross_validation, detectors, features, fold, heads, store, trained
from deepfake.runs import weights as pretrained
from deepfake.studies.explain import gradcam, heat
from deepfake.training import heads as fitting
from heard import Heard
from heatmaps import heatmaps
from stored_runs import RUN
from tiny_study import config, manifest

MODEL = "test_resnet"
HALF = schema.Normalization(mean=(0.5,) * 3, std=(0.25,) * 3)


def put_trunk(seed: int = 1) -> None:
    """Write weights of a tiny model, and what is known of them, where runs look for them."""
    torch.manual_seed(seed)
    path = paths().weights(MODEL)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(timm.create_model(MODEL).state_dict(), path)
    facts = pretrained.Facts(model=MODEL, sha256="0" * 64, mean=HALF.mean, std=HALF.std)
    paths().weights_facts(MODEL).write_text(facts.model_dump_json())


def head_run(name: str = "custom", stage: str = "penultimate", draws: int = 1, **changes) -> RunConfig:
    """Return a run with a frozen trunk, as `resolve` makes one."""
    own = {"model": MODEL, "pretrained": True, "train": "head", "probe": Probe(stage=stage, draws=draws)}
    return config(name, **{"epochs": len(PENALTIES), **own, **changes})


def direct_features(run: RunConfig) -> np.ndarray:
    """Return the penultimate stage's means and standard deviations by timm alone, one image at a time."""
    images = np.load(views.pixels(run.view, manifest(), threads=1))
    trunk = timm.create_model(MODEL).eval()
    trunk.load_state_dict(load_file(paths().weights(MODEL)))
    found = []
    with torch.inference_mode():
        for image in images:
            pixels = torch.from_numpy((image / 255 - 0.5) / 0.25).float().permute(2, 0, 1)[None]
            maps = trunk.forward_intermediates(pixels, intermediates_only=True)[-2].double()
            found.append(torch.cat([maps.mean((2, 3)), maps.std((2, 3), correction=0)], 1).numpy()[0])
    return np.stack(found)


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def subset_rows(predictions: pd.DataFrame, number: int) -> dict[str, np.ndarray]:
    """Return the rows of the manifest in each part of a fold."""
    told = predictions[predictions["fold"] == number].set_index("sample_id")["subset"]
    parts = told.reindex(manifest()["sample_id"]).to_numpy(dtype=object)
    return {part: np.flatnonzero(parts == part) for part in tables.SUBSETS}


@pytest.fixture
def project_with_trunk(copied):
    put_trunk()


@pytest.mark.parametrize("loss", ["bce", "bce_pos_weight"])
def test_a_head_is_the_pipeline_of_scikit_learn_on_timms_features(project_with_trunk, loss):
    run = head_run(loss=Loss(type=loss, gamma=0.0, minority_alpha=0.5, label_smoothing=0.0))
    outcome = cross_validation.run(run)
    values, labels = direct_features(run), manifest()["label"].to_numpy()
    for number in range(run.folds):
        rows = subset_rows(outcome.predictions, number)
        train, validation = rows["train"], rows["validation"]
        fakes = {0: 1.0, 1: (labels[train] == 0).sum() / (labels[train] == 1).sum()}
        found = []
        for penalty in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
            pipeline = make_pipeline(
                StandardScaler(),
                LogisticRegression(C=penalty, max_iter=10_000, tol=1e-8, class_weight=None if loss == "bce" else fakes),
            ).fit(values[train], labels[train])
            found.append((roc_auc_score(labels[validation], pipeline.decision_function(values[validation])), pipeline))
        history = outcome.history[outcome.history["fold"] == number]
        np.testing.assert_allclose(history["validation_auc"], [score for score, _ in found], rtol=0, atol=0.02)
        best = int(history["validation_auc"].to_numpy().argmax())
        told = outcome.predictions[outcome.predictions["fold"] == number].set_index("sample_id")["logit"]
        expected = pd.Series(found[best][1].decision_function(values), manifest()["sample_id"]).reindex(told.index)
        np.testing.assert_allclose(told, expected, rtol=0, atol=2e-3)
        record = trained.checkpoint_metadata.read(paths().checkpoint_record("custom", number))
        assert record.epoch == best + 1
        assert record.normalization == HALF
    # the trunk up to its stage, and the head
    trunk = timm.create_model(run.model, features_only=True, out_indices=(-2,))
    assert values.shape[1] + 1 < outcome.facts["parameters"] <= count(trunk) + values.shape[1] + 1
    assert outcome.facts["parameters"] > count(trunk) / 2


def test_cached_features_are_those_of_a_forward_pass_and_come_back(project_with_trunk):
    run = head_run()
    heard = Heard()
    cross_validation.run(run, heard)
    (job,) = fold.jobs(
        run.model_copy(update={"normalization": HALF}), manifest(), paths().store / "x", weights=paths().weights(MODEL)
    )[:1]
    (wanted,) = heads._wanted(job)
    np.testing.assert_allclose(features.read(wanted), direct_features(run)[wanted.rows], rtol=0, atol=1e-5)
    assert (
        heard.steps[-1][1] == heard.steps[-1][2] == (manifest()["split"] == "dev").sum()
    )  # nobody looks at the test set
    # another run on the same pixels computes none
    heard = Heard()
    cross_validation.run(head_run(seed=43), heard)
    assert heard.steps == []
    # the cache is what `deepfake runs prune` removes
    assert (paths().store / features.FOLDER).is_dir()
    store.prune()
    assert not (paths().store / features.FOLDER).exists()


@pytest.mark.parametrize("drawn", [False, True])
def test_a_feature_has_the_same_bits_in_whatever_company_it_is_computed(project_with_trunk, monkeypatch, drawn):
    # depthwise convolutions: the sums of one image, of three and of sixteen are cut in different ways
    monkeypatch.setitem(globals(), "MODEL", "test_efficientnet")
    put_trunk()
    view = config().view
    images = views.pixels(view, manifest(), threads=1)
    draw = features.Draw(augmented()["augmentation"], seed=7, number=2) if drawn else None
    weights = paths().weights(MODEL)
    whole = features.Wanted(MODEL, view, "penultimate", weights, images, HALF, np.arange(len(manifest())), draw)

    def computed(*parts: np.ndarray) -> np.ndarray:
        for part in parts:
            features.ensure([whole._replace(rows=part)])
        values = features.read(whole)
        shutil.rmtree(paths().store / features.FOLDER)
        return values

    alone, thirds = whole.rows[5:6], [whole.rows[start::3] for start in (2, 0, 1)]
    np.testing.assert_array_equal(computed(whole.rows), computed(alone, *thirds))


@pytest.mark.parametrize("stage", ["penultimate", "final", "layer2"])
def test_a_checkpoint_predicts_what_was_predicted(project_with_trunk, stage):
    run = head_run(stage=stage)
    outcome = cross_validation.run(run)
    images = np.load(views.pixels(run.view, manifest(), threads=1))
    known = trained.read("custom")
    for number in range(run.folds):
        model = trained.model_of(known, number, torch.device("cpu"))
        with torch.inference_mode():
            logits = model(torch.from_numpy((images / 255 - 0.5) / 0.25).float().permute(0, 3, 1, 2)).squeeze(1)
        told = outcome.predictions[outcome.predictions["fold"] == number].set_index("sample_id")["logit"]
        again = pd.Series(logits.double().numpy(), manifest()["sample_id"]).reindex(told.index)
        np.testing.assert_allclose(told, again, rtol=0, atol=1e-3)
        file = paths().checkpoint("custom", number)
        assert file.stat().st_size < 10_000
        with safe_open(file, framework="pt") as opened:
            assert set(opened.keys()) == {"mean", "scale", "linear.weight", "linear.bias"}


def test_the_same_run_gives_the_same_bytes(project_with_trunk):
    files = []
    for _ in range(2):
        cross_validation.run(head_run("opencv_full", draws=2, view=config().view, **augmented()))
        files.append([path.read_bytes() for path in sorted(paths().run("opencv_full").rglob("*")) if path.is_file()])
        shutil.rmtree(paths().run("opencv_full"))
        store.prune()
    assert files[0] == files[1]


def test_a_trunk_that_changed_or_is_gone_is_named(project_with_trunk):
    cross_validation.run(head_run())
    known = trained.read("custom")
    put_trunk(2)
    with pytest.raises(InputError, match=r"test_resnet\.safetensors: not the trunk that .*fold0\.safetensors was fit"):
        trained.model_of(known, 0, torch.device("cpu"))
    paths().weights(MODEL).unlink()
    with pytest.raises(InputError, match=r"test_resnet\.safetensors: not found, and .*fold0\.safetensors is a head on"):
        trained.model_of(known, 0, torch.device("cpu"))
    with pytest.raises(InputError, match=r"test_resnet\.safetensors: not found; run deepfake weights"):
        cross_validation.run(head_run(seed=7))


def test_heads_and_networks_together_say_of_images_at_rest_what_whole_models_say(project_with_trunk):
    cross_validation.run(head_run())
    members = [
        detectors.Member(trained.read(name), weights) for name, weights in ((RUN, (1.0, 0.5)), ("custom", (2, 3)))
    ]
    detector = detectors.Detector("both", tuple(members), (0.0, 1.0), {})
    run = config(RUN)
    images = {run.view.view: views.pixels(run.view, manifest(), threads=1)}
    rows = np.array([7, 0, 3, 7])
    for number in range(run.folds):
        heads.ensure(detectors.file_features(detector, number, images, rows))
        loaded = detectors.LoadedFold(detector, number, torch.device("cpu"))
        expected = loaded.logits({run.view.view: np.load(images[run.view.view])}, rows)
        np.testing.assert_allclose(detectors.file_logits(detector, number, images, rows), expected, atol=1e-5)
    put_trunk(2)
    heads.ensure(detectors.file_features(detector, 0, images, rows))
    with pytest.raises(InputError, match=r"test_resnet\.safetensors: not the trunk that"):
        detectors.file_logits(detector, 0, images, rows)
    paths().weights(MODEL).unlink()
    with pytest.raises(InputError, match=r"test_resnet\.safetensors: not found, and custom is heads on it"):
        detectors.file_features(detector, 0, images, rows)


def test_another_trunk_is_another_run(project_with_trunk):
    first = cross_validation.run(head_run())
    put_trunk(2)
    assert not np.array_equal(first.predictions["logit"], cross_validation.run(head_run()).predictions["logit"])


def test_a_stage_that_the_trunk_lacks_lists_what_it_has(project_with_trunk):
    with pytest.raises(InputError) as caught:
        cross_validation.run(head_run(stage="layer9"))
    assert str(caught.value) == (
        "probe.stage: ResNet has no stage 'layer9'; it has penultimate, final, act1, layer1, layer2, layer3, layer4"
    )


def augmented() -> dict:
    """Return what makes a run one with augmentation."""
    settings = configs.load()
    return {"augmentation": settings.augmentations["full"], "oversampling": settings.cache.oversampling}


@pytest.fixture
def jobs(project_with_trunk):
    """Give a function that returns the first fold of a run, its images where a test may change them."""

    def make(touched=(), flipped=(), touched_larger=(), **changes) -> fold.FoldJob:
        run = head_run(normalization=HALF, **changes)
        folder = paths().root / "made" / str(time.monotonic_ns())
        folder.mkdir(parents=True)
        job = fold.jobs(run, manifest(), folder, weights=paths().weights(MODEL))[0]
        labels, files = job.labels.copy(), {}
        labels[list(flipped)] = 1 - labels[list(flipped)]
        for name, source, rows in (("images", job.images, touched), ("oversampled", job.oversampled, touched_larger)):
            if source is not None:
                pixels = np.load(source)
                pixels[list(rows)] //= 2
                files[name] = folder / f"{name}.npy"
                np.save(files[name], pixels)
        return dataclasses.replace(job, labels=labels, **files)

    return make


def fitted(job: fold.FoldJob) -> dict[str, np.ndarray]:
    """Fit a fold's head; return it, and the AUCs that its C was chosen by."""
    heads.train([job])
    history = pd.read_csv(job.folder / run_files.FOLD_HISTORY)
    state = {name: value.numpy() for name, value in load_file(job.folder / run_files.FOLD_WEIGHTS).items()}
    return state | {"auc": history["validation_auc"].to_numpy()}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, bool]:
    return {name: np.array_equal(value, second[name]) for name, value in first.items()}


@pytest.mark.parametrize("augmentation", [False, True])
def test_what_is_held_out_reaches_neither_standardisation_nor_c(jobs, augmentation):
    changes = {"draws": 2, **augmented()} if augmentation else {}
    first = jobs(**changes)
    others = np.flatnonzero(~np.isin(first.subsets, ["train", "validation"]))
    assert len(others) > 20
    before = fitted(first)
    assert all(same(before, fitted(jobs(others, others, others, **changes))).values())
    # the inner validation chooses C and nothing else
    validation = first.rows("validation")
    seen = same(before, fitted(jobs(validation, validation[:5], **changes)))
    assert seen["mean"]
    assert seen["scale"]
    assert not seen["auc"]
    # and training rows do reach the head
    rows = first.rows("train")[:5]
    assert not same(before, fitted(jobs((), (), rows, **changes) if augmentation else jobs(rows)))["mean"]


def test_draws_are_training_rows_and_no_others(jobs, monkeypatch):
    given = []
    original = fitting.fit
    monkeypatch.setattr(heads.heads, "fit", lambda *rows: given.append(rows) or original(*rows))
    job = jobs(draws=3, **augmented())
    features.ensure(heads._wanted(job))
    heads.train_head(job, lambda news: None)
    train, validation, weights, *_ = given[-1]
    count = len(job.rows("train"))
    assert weights is None
    assert len(train.features) == len(train.labels) == 3 * count
    assert np.array_equal(train.labels, np.tile(job.labels[job.rows("train")], 3))
    draws = train.features.reshape(3, count, -1)
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[1], draws[2])
    # everything else is seen as it is
    np.testing.assert_allclose(
        validation.features, direct_features(job.config)[job.rows("validation")], rtol=0, atol=1e-5
    )
    # larger images of other parts are never looked at
    others = np.flatnonzero(job.subsets != "train")
    assert all(same(fitted(job), fitted(jobs((), (), others, draws=3, **augmented()))).values())


def test_a_sampler_weighs_rows_as_it_would_draw_them():
    labels, datasets = np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1])
    run = RunConfig.model_construct(
        loss=Loss(type="bce", gamma=0.0, minority_alpha=0.5, label_smoothing=0.0), sampler="weighted"
    )
    np.testing.assert_allclose(fitting.row_weights(run, labels, datasets), [2, 2 / 3, 2 / 3, 2 / 3])
    run = run.model_copy(update={"sampler": "datasets"})
    np.testing.assert_allclose(fitting.row_weights(run, labels, datasets), [2 / 3, 2 / 3, 2 / 3, 2])
    assert fitting.row_weights(run.model_copy(update={"sampler": "shuffle"}), labels, datasets) is None


def test_a_head_is_explained_at_its_stage(project_with_trunk):
    run = head_run()
    cross_validation.run(run)
    model = trained.model_of(trained.read("custom"), 0, torch.device("cpu"))
    layer, side = gradcam.feature_layer(model, run.resolution)
    assert side == 2
    pixels = np.load(views.pixels(run.view, manifest(), threads=1))[::18]
    images = torch.from_numpy((pixels / 255 - 0.5) / 0.25).float().permute(0, 3, 1, 2)
    maps = model.forward_features(images).detach()
    channels = maps.shape[1] // 2
    deviations = maps[:, :channels].std((2, 3), correction=0).clamp(min=1e-6)
    found = []
    for sign in (1, -1):  # what speaks for a fake, and what speaks for a real image
        # by hand: what a mean counts for, and a standard deviation, whose square is a mean of squared deviations
        weights = (sign * model.head.linear.weight[0] / model.head.scale).detach().repeat(8, 1)
        weights[:, channels:] /= 2 * deviations
        expected = torch.relu((maps * weights[:, :, None, None]).sum(1, keepdim=True))
        expected = torch.nn.functional.interpolate(expected, size=images.shape[2:], mode="bilinear").squeeze(1)
        highest = expected.amax((1, 2), keepdim=True)
        expected /= torch.where(highest > 0, highest, 1)
        with torch.no_grad():
            model.head.linear.weight.mul_(sign)
        found.append(heatmaps(model, layer, images))
        torch.testing.assert_close(found[-1], expected, rtol=0, atol=1e-3)
    assert (torch.maximum(*found).amax((1, 2)) == 1).all()


def turn(name: str, by: int) -> None:
    """Let the heads of a run see heat where they saw none, and in other channels: negate and roll their weights."""
    for path in paths().checkpoints(name).glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            facts = file.metadata()
        values = load_file(path)
        values["linear.weight"] = -values["linear.weight"].roll(by, dims=1)
        save_file(values, path, metadata=facts)


def test_heads_on_one_trunk_share_its_pass_and_are_explained_as_by_themselves(project_with_trunk, monkeypatch):
    for by, name in enumerate(("custom", "simple_cnn_low")):
        cross_validation.run(head_run(name))
        turn(name, by)
    file = views.pixels(config().view, manifest(), threads=1)
    parts = {0: np.arange(0, 40, 2), 1: np.arange(1, 30, 2)}
    wanted = [
        heat.Wanted(trained.read(name), fold, file, rows, random)
        for name in ("custom", "simple_cnn_low")
        for fold, rows in parts.items()
        for random in ("", "head", "all")
    ]
    passes = []
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    whole = gradcam.features
    monkeypatch.setattr(gradcam, "features", lambda model, images: passes.append(len(images)) or whole(model, images))
    found = heat.maps(wanted).found
    # each image once by the trunk and once by the random one; to find the layer, two more
    assert sum(count for count in passes if count > 2) == 2 * len(np.union1d(*parts.values()))
    images = np.load(file)
    for number, each in enumerate(wanted):
        pixels = torch.from_numpy((images[each.rows] / 255 - 0.5) / 0.25).float().permute(0, 3, 1, 2)
        alone = gradcam.heat(heat.model_of(each, torch.device("cpu")), None, pixels).numpy()
        np.testing.assert_allclose(found[number], alone, rtol=1e-3, atol=1e-4)
        # a random model may see no heat
        assert found[number].any() or each.random
    # what was learned differs from run to run
    assert not np.allclose(found[0], found[6], atol=1e-3) and not np.allclose(found[3], found[9], atol=1e-3)


def test_a_fine_tuned_run_goes_on_from_trunk_and_head(project_with_trunk):
    start = head_run("simple_cnn_low")
    cross_validation.run(start)
    child = config(
        "custom",
        **{"model": MODEL, "pretrained": False, "probe": start.probe, "start_from": "simple_cnn_low"},
        **{"epochs": 1, "lr": 1e-12, "weight_decay": 0.0},
    )
    outcome = cross_validation.run(child)
    assert outcome.facts["kind"] == "fine-tuned"
    assert outcome.facts["normalization"] == {"mean": [0.5] * 3, "std": [0.25] * 3}
    assert outcome.facts["parameters"] > 10_000
    models = [trained.model_of(trained.read(name), 0, torch.device("cpu")) for name in ("simple_cnn_low", "custom")]
    # with such a rate only running statistics move
    for (name, before), after in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=1e-7, msg=name)
    # all layers are its own: it needs the trunk's file no more
    paths().weights(MODEL).unlink()
    trained.model_of(trained.read("custom"), 0, torch.device("cpu"))


def test_a_killed_run_goes_on_where_it_was(project_with_trunk, tmp_path):
    """The first block of features is kept by a process that is killed in the second."""
    (tmp_path / "run.json").write_text(head_run().model_dump_json())
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom deepfake.config import RunConfig\n"
        "from deepfake import runtime\nfrom deepfake.project import Project\n"
        "from deepfake.runs import cross_validation, features\n"
        "Project(Path()).enter()\nruntime.cores = lambda: 1\nfeatures._BLOCK = 32\n"
        "original, calls = features._compute, []\n"
        "def compute(block, tell):\n"
        "    if calls: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    calls.append(original(block, tell))\n"
        "features._compute = compute\n"
        f"cross_validation.run(RunConfig.model_validate_json(Path({str(tmp_path / 'run.json')!r}).read_text()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    (block,) = (paths().store / features.FOLDER).glob("*/*.npy")
    before = block.stat().st_mtime_ns
    heard = Heard()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "_BLOCK", 32)
        cross_validation.run(head_run(), heard)
    assert block.stat().st_mtime_ns == before
    development = manifest()["split"] == "dev"  # nobody looks at the test set
    assert heard.steps[-1][2] == development[32:].sum()


# --- what params.yaml may say


def settings(**changes) -> schema.Params:
    """Return the tiny params with a run of a frozen trunk in phase 1, and some changes, by path."""
    values = tiny_params()
    runs = values["studies"]["phase1"]["runs"]
    runs["frozen"] = {"model": MODEL, "view": "crop_low", "train": "head", "pretrained": True}
    return schema.Params.model_validate(changed(values, {path.replace("__", "."): v for path, v in changes.items()}))


FROZEN = "studies__phase1__runs__frozen"


def test_what_a_head_does_not_use_is_no_part_of_it():
    run = configs.resolve(settings(), "frozen")
    assert run.probe == Probe(stage="penultimate", draws=1)
    other = {"epochs": "long", "optimizer__lr": 0.5, "batch_size": 7, "monitor": "loss", "grad_clip": 1.0}
    other |= {"early_stopping_patience": 9, "precision": "bf16", "sampler": "stratified", "probe__draws": 9}
    changes = {f"shared__{path}": value for path, value in other.items()}
    assert configs.resolve(settings(**changes), "frozen") == run
    # nor is a probe of a run that trains all
    all_layers = {f"{FROZEN}__train": "all"}
    run = configs.resolve(settings(**all_layers), "frozen")
    assert run.probe is None
    assert configs.resolve(settings(**all_layers, shared__probe__stage="final"), "frozen") == run


def test_draws_count_under_augmentation():
    assert configs.resolve(settings(**{f"{FROZEN}__augmentation": "full"}), "frozen").probe.draws == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {f"{FROZEN}__model": "simple_cnn"},
            r"runs\.frozen\.train: head needs a pretrained trunk; choose a timm",
        ),
        ({f"{FROZEN}__pretrained": False}, r"runs\.frozen\.train: head needs a pretrained trunk; set pretrained: true"),
        ({"shared__domain__column": "source"}, r"runs\.frozen\.domain: domains need train: all"),
        (
            {f"{FROZEN}__kind": "fine-tuned", f"{FROZEN}__start_from": "x"},
            r"frozen\.train: a fine-tuned run trains",
        ),
        ({f"{FROZEN}__probe": {"draws": 0}}, r"frozen\.probe\.draws: input should be greater than or equal to 1"),
        ({f"{FROZEN}__train": "tail"}, r"frozen\.train: input should be 'all' or 'head'"),
    ],
)
def test_what_cannot_be_a_head_is_an_input_error(changes, message):
    with pytest.raises(InputError, match=message):
        configs.resolve(settings(**changes), "frozen")


def test_a_fine_tuned_run_takes_over_the_stage_of_its_start():
    child = {"model": MODEL, "view": "crop_low", "kind": "fine-tuned", "start_from": "frozen"}
    found = configs.resolve(
        settings(**{"studies__phase1__runs__child": child, f"{FROZEN}__probe": {"stage": "final"}}), "child"
    )
    assert (found.train, found.probe, found.pretrained) == ("all", Probe(stage="final", draws=1), False)
