"""The benchmark of training in small: loops do the work that they say, and what is computed of them is right."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.optim.optimizer import register_optimizer_step_post_hook
from torchvision.datasets import ImageFolder

from conftest import ROOT
from deepfake import cli, config
from deepfake.bench import memory
from deepfake.bench.training import folds, growth, loops, material, projection, rates, report, rivals, run
from deepfake.bench.training.material import Setting
from deepfake.bench.training.projection import Rates
from deepfake.datasets import splits
from deepfake.errors import InputError
from deepfake.project import paths

CPU = torch.device("cpu")
SMALL = Setting("simple_cnn", 32, 4)
LOOPS = {rates.OURS, rates.IN_MEMORY, rates.TIMM, rates.TIMM_TENSORS, rates.TORCHVISION}


@pytest.fixture
def settings(project):
    return config.load()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return rates.Files(tmp_path_factory.mktemp("files"), 8)


@pytest.fixture
def sample(files):
    return files.material(32, 12)


def test_all_loops_see_the_same_images_and_labels(sample):
    found = ImageFolder(str(sample.folder))
    assert found.classes == sorted(material.CLASSES)
    assert len(found) == len(sample.rows) == 12
    reals = [path for path, label in found.samples if label == found.class_to_idx["real"]]
    rows = sample.rows[sample.labels[sample.rows] == 0]
    for path, row in zip(sorted(reals), rows, strict=True):
        with Image.open(path) as image:
            assert (np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)) == sample.images[row]).all()


@pytest.mark.slow
@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_a_turn_is_so_many_steps(settings, sample, loop):
    turn = {
        rates.OURS: lambda: loops.ours(settings, SMALL, sample, CPU, "auto"),
        rates.IN_MEMORY: lambda: loops.in_memory(SMALL, CPU),
        rates.TIMM: lambda: rivals.timm_loop(SMALL, sample, CPU, settings.imagenet),
        rates.TIMM_TENSORS: lambda: rivals.timm_loop(SMALL, None, CPU, settings.imagenet),
        rates.TORCHVISION: lambda: rivals.torchvision_loop(SMALL, sample, CPU, settings.imagenet),
    }[loop]()
    steps = []
    counted = register_optimizer_step_post_hook(lambda optimizer, *_: steps.append(type(optimizer).__name__))
    try:
        assert turn(3) > 0
        assert turn(2) > 0
    finally:
        counted.remove()
    assert steps == ["SGD" if loop == rates.TORCHVISION else "AdamW"] * 5


@pytest.mark.slow
def test_a_loop_that_fails_is_told_and_the_others_go_on(settings, files, monkeypatch):
    def broken(*_):
        def turn(batches):
            if batches > 2:
                raise RuntimeError("a worker was killed\nand more")
            return 1.0

        return turn

    monkeypatch.setattr(rivals, "torchvision_loop", broken)
    monkeypatch.setattr(rates, "_batches", lambda *_: (3, False))
    told = []
    row = rates.measure(settings, SMALL, files, CPU, rates.Budget(8, 0.1, 12, 2, 60, 60), told.append)
    assert told == ["simple_cnn, 32 px, batch 4: torchvision failed: a worker was killed"]
    assert set(row["rate"]) == LOOPS - {rates.TORCHVISION} == set(row["ratio"])
    assert row["ratio"][rates.OURS] == 1
    assert row["repeats"] == 2


@pytest.mark.slow
def test_what_is_slow_is_measured_once(settings, files, monkeypatch):
    monkeypatch.setattr(rates, "_SLOW", 0.0)
    row = rates.measure(settings, SMALL, files, CPU, rates.Budget(8, 0.001, 8, 3, 60, 60), print)
    assert row["repeats"] == 1 and set(row["rate"]) == LOOPS


def test_no_setting_begins_after_its_time(settings, files, monkeypatch):
    measured = {"rate": {rates.OURS: 1.0}, "mb": {}, "ratio": {}}
    monkeypatch.setattr(rates, "measure", lambda _, setting, *rest: setting._asdict() | measured)
    told = []
    budget = rates.Budget(8, 0.1, 12, 1, 0, total=-1)
    rows = rates.measure_all(settings, [SMALL, SMALL._replace(size=64)], files, CPU, budget, told.append)
    assert [row["size"] for row in rows] == [32]
    assert "64 px" in told[-1] and "not measured" in told[-1]


def test_memory_is_that_of_the_block():
    with memory.peak(CPU) as peak:
        kept = np.ones(2**26, np.uint8)
        del kept
        kept = np.ones(2**25, np.uint8)
        __import__("time").sleep(0.1)
    del kept
    assert 31 < peak.megabytes < 90


def test_growth_is_the_slope_over_logarithms():
    rows = [{"what": "px", "value": side, "seconds": 3e-4 * side**2} for side in (64, 96, 128)]
    rows += [{"what": "images", "value": count, "seconds": 0.5 * count} for count in (1, 2)]
    found = growth.exponents(rows)
    assert found["exponent"].tolist() == pytest.approx([2, 2, 2, 1, 1])
    assert found["times"].tolist() == pytest.approx([1, 2.25, 4, 1, 2])


def test_folds_are_held_against_one_alone_and_one_by_one():
    rows = [
        {"folds": 1, "workers": 1, "startup": 0.0, "seconds": 2.0},
        {"folds": 4, "workers": 1, "startup": 0.0, "seconds": 8.4},
        {"folds": 4, "workers": 2, "startup": 1.0, "seconds": 4.2},
    ]
    found = folds.gains(rows)
    assert found["alone"].tolist() == pytest.approx([1, 4.2, 2.1])
    assert found["gain"].tolist() == pytest.approx([1, 1, 2])


@pytest.mark.slow
def test_folds_run_through_the_executor(settings, tmp_path):
    study = folds.Study(SMALL, 40, 1, (1, 2), (2,))
    rows = list(folds.measure(settings, study, tmp_path, 1))
    assert [(row["folds"], row["workers"]) for row in rows] == [(1, 1), (2, 1), (2, 2)]
    assert all(row["seconds"] > 0 and row["startup"] >= 0 for row in rows)
    assert {file.parent.name for file in tmp_path.rglob("predictions.parquet")} == {"fold0", "fold1"}


@pytest.mark.parametrize(
    "changes",
    [{}, {"fraction": 0.2}, {"holdout": "insight"}, {"class_ratio": 9.0}, {"class_ratio": 9.0, "fraction": 0.5}],
)
def test_the_images_of_a_fold_are_those_of_the_splits(changes):
    scale = 100  # a hundredth of DeepFakeFace, with its groups and ratios, through the real splits
    groups = [f"{number:05d}" for number in range(projection.REALS // scale)]
    labels = {"wiki": 0, "text2img": 1, "inpainting": 1, "insight": 1}
    rows = [(group, source, label) for group in groups for source, label in labels.items()]
    samples = pd.DataFrame(rows, columns=["group", "source", "label"])
    samples["sample_id"] = samples["clip_id"] = samples["sha256"] = samples["source"] + "/" + samples["group"]
    full = config.load(ROOT / "params.yaml").model_copy(update={"preset": "full", "dataset": "dff"})
    preset = full.presets["full"]
    manifest = splits.split(samples, folds=preset.folds, test_ratio=preset.test_ratio, seed=1)
    chosen = config.resolve(full, "backbone_high").model_copy(update=changes)
    parts = splits.subsets(
        manifest,
        0,
        fraction=chosen.fraction,
        val_ratio=chosen.val_ratio,
        seed=1,
        holdout=chosen.holdout,
        class_ratio=chosen.class_ratio,
    )
    expected = projection._parts(chosen, preset.test_ratio)
    for part, count in parts.value_counts().items():
        assert expected[part] / scale == pytest.approx(count, rel=0.04, abs=6)


def test_the_work_is_that_of_the_full_preset():
    found = projection.work(config.load(ROOT / "params.yaml")).set_index("run")
    # SimpleCNN's first run is the custom one, and ensembles join what others predict
    assert {"custom", "backbone_low", "balance_domains", "backbone_combined"} <= set(found.index)
    assert not {"simple_cnn_low", "ensemble_mean", "backbone_target", "audio_backbone"} & set(found.index)
    assert found.loc["backbone_matched", "trained"] == 0 < found.loc["backbone_matched", "predicted"]
    # five folds of fifteen epochs on 120,000 × .9 × .8 × .9 images, a fifth of them
    assert found.loc["backbone_high", "trained"] == pytest.approx(5 * 15 * 77_760 / 5)
    assert found.loc["convnext_tiny_best", "augmentation"] == "full"
    assert set(found["study"]) == {"custom", "phase1", "phase2", "phase3", "phase4", "imbalance", "generalization"}


def test_hours_add_step_augmentation_and_prediction():
    columns = ["study", "run", "model", "size", "augmentation", "fraction", "batch", "trained", "predicted"]
    rows = [
        ("phase1", "a", "m", 64, "", 0.2, 32, 3600, 0),
        ("phase2", "b", "m", 64, "full", 0.2, 32, 3600, 7200),
        ("phase4", "c", "m", 64, "", 0.5, 32, 360, 0),
        ("phase4", "d", "n", 64, "", 0.5, 32, 360, 0),
        ("phase4", "e", "n", 64, "", 1.0, 32, 720, 0),
    ]
    given = Rates({("m", 64): 1.0, ("n", 64): 0.1}, {("m", 64): 2.0, ("n", 64): 1.0}, {("full", 64): 0.5})
    found = projection.hours(pd.DataFrame(rows, columns=columns), given, top=1).set_index("study")["hours"]
    assert found["phase1"] == pytest.approx(1)
    assert found["phase2"] == pytest.approx(1 + 2 + 1)
    assert found["phase4"] == pytest.approx(1 + 2)  # of each share the dearest
    assert found["all"] == pytest.approx(8)


@pytest.mark.slow
def test_every_rate_that_the_work_needs_is_measured(settings, files):
    rows = [("a", "simple_cnn", 32, "full", 4, 9.0, 9.0), ("b", "simple_cnn", 40, "", 4, 0.0, 9.0)]
    counted = pd.DataFrame(rows, columns=["run", "model", "size", "augmentation", "batch", "trained", "predicted"])
    budget = rates.Budget(8, 0.1, 32, 1, 1, 1)
    found = list(projection.measure(settings, counted, {}, files, CPU, budget))
    assert {(field, key) for field, key, _ in found} == {
        ("train", ("simple_cnn", 32)),
        ("predict", ("simple_cnn", 32)),
        ("predict", ("simple_cnn", 40)),
        ("augment", ("full", 32)),
    }
    assert all(rate > 0 for *_, rate in found)


@pytest.fixture
def small(monkeypatch):
    """The quick plan, smaller still."""
    budget = rates.Budget(8, 0.01, 8, 1, 1, 60)
    study = folds.Study(SMALL, 40, 1, (1, 2), (2,))
    scale = growth.Scale(SMALL, (8, 16), (32, 40), (32,), 16)
    monkeypatch.setattr(run, "plan", lambda *_, **__: run.Plan((SMALL._replace(batch=32),), budget, study, scale, True))


@pytest.mark.slow
def test_the_command_tells_rows_and_keeps_tables_and_figure(settings, runner, small):
    result = runner.invoke(cli.main, ["bench", "training", "--write"])
    assert result.exit_code == 0, result.output
    text = paths().bench("training_cpu").read_text()
    assert result.stdout.endswith(text + "\n")
    lines = result.stdout.removesuffix(text + "\n").splitlines()
    assert lines[0].startswith("simple_cnn, 32 px, batch 32: images/s: ours ")
    assert any(line.startswith("folds: 2, 2 at a time") for line in lines)
    for title in ("A training step", "Folds side by side", "Features of a frozen trunk", "Growth"):
        assert f"## {title}" in text
    assert "| SimpleCNN |   32 |      32 |" in text
    picture = paths().bench("training_cpu").with_suffix(".svg").read_text()
    assert "SimpleCNN" in picture and "torchvision" in picture


def test_the_same_numbers_give_the_same_figure(tmp_path):
    row = {"model": "resnet18", "size": 128, "batch": 32, "rate": dict.fromkeys(LOOPS, 10.0)}
    rows = [row, row | {"size": 224}, row | {"model": "simple_cnn"}, row | {"batch": 256, "rate": {}}]
    found = run.Found(rows, *[pd.DataFrame()] * 3, None, (), None)
    pictures = []
    for name in ("one", "two"):
        report.draw(found, tmp_path / f"{name}.png")
        pictures.append((tmp_path / f"{name}.svg").read_bytes())
    assert pictures[0] == pictures[1]
    assert b"ResNet18" in pictures[0] and b"224 px" in pictures[0]


def test_bad_input_is_one_line(settings, runner):
    for arguments, told in (
        (["--model", "resnet_18"], "did you mean resnet18"),
        (["--quick", "--write"], "leave out --quick or --write"),
    ):
        result = runner.invoke(cli.main, ["bench", "training", *arguments])
        assert result.exit_code == 2
        assert told in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_a_cpu_is_spared_large_batches_of_large_models():
    cpu, gpu = (run.plan((), torch.device(kind)).settings for kind in ("cpu", "cuda"))
    assert {setting.model for setting in cpu if setting.batch == 256} == {"simple_cnn"}
    assert len(gpu) == 12 and set(cpu) < set(gpu)
    assert run.plan(["resnet18"], torch.device("cpu"), quick=True).settings == (Setting("resnet18", 64, 32),)
    with pytest.raises(InputError, match="vit_base_patch16_224"):
        run.plan(["vit_base_patch16_22"], torch.device("cpu"))


@pytest.mark.gpu
def test_graphs_are_timed_on_a_gpu(settings, files):
    device = torch.device("cuda")
    told = []
    row = rates.measure(settings, Setting("simple_cnn", 64, 8), files, device, rates.BUDGETS["cuda"], told.append)
    assert told == []
    assert set(row["rate"]) == LOOPS | set(rates.ON_GPU)
    assert row["rate"][rates.WHOLE] > row["rate"][rates.IN_MEMORY]
    assert all(peak > 0 for peak in row["mb"].values())
