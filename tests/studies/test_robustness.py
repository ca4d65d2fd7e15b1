import json
import shutil

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from deepfake import config as configs
from deepfake import execution, models, tables
from deepfake.config.studies import Robustness
from deepfake.errors import InputError
from deepfake.loading import views
from deepfake.project import paths
from deepfake.reports import findings
from deepfake.runs import trained
from deepfake.studies.robustness import analysis as robustness
from deepfake.studies.robustness import page, prediction
from deepfake.training import checkpoint
from heard import Heard, InProcess
from tiny_study import config, manifest

NAME = "simple_cnn_low"
BLOCKS = (2, 4, 8, 16, 32)
SETTINGS = Robustness(
    runs=(NAME,), corruptions={"pixelation": BLOCKS, "jpeg": (90, 70, 50, 30, 10), "noise": (5, 10, 20, 30, 50)}
)


def run(*experiments: str, settings: Robustness = SETTINGS, **options) -> robustness.Tables:
    return robustness.run(experiments or (NAME,), settings, configs.load().evaluation, **options)


def in_blocks(images: np.ndarray, block: int) -> np.ndarray:
    count, side = len(images), images.shape[1] // block
    means = images.reshape(count, side, block, side, block, 3).mean(axis=(2, 4))
    return np.rint(means).repeat(block, axis=1).repeat(block, axis=2)


def between_groups(labels: np.ndarray, groups: np.ndarray, scores: np.ndarray) -> float:
    """The share of pairs of a fake and a real of different groups that are ranked right."""
    fake, real = labels == 1, labels == 0
    right = np.sign(scores[fake][:, None] - scores[real]) / 2 + 0.5
    return right[groups[fake][:, None] != groups[real]].mean()


def auc_by_hand(change) -> float:
    """The mean over folds of the AUC on held-out images, from files and plain torch alone."""
    images = np.load(views.pixels(config().view, manifest(), threads=1))
    known = manifest().set_index("sample_id")
    scale = configs.load().imagenet
    predictions = tables.read(paths().predictions(NAME), tables.PREDICTIONS).query("subset == 'held_out'")
    aucs = []
    for fold, part in predictions.groupby("fold"):
        labels, groups = (known.loc[part["sample_id"], column].to_numpy() for column in ("label", "group"))
        model = models.SimpleCNN()
        model.load_state_dict(load_file(paths().checkpoint(NAME, fold)))
        shown = change(images[known.index.get_indexer(part["sample_id"])]) / 255
        inputs = torch.tensor((shown - scale.mean) / scale.std, dtype=torch.float32).permute(0, 3, 1, 2)
        with torch.inference_mode():
            found = model.eval()(inputs)[:, 0]
        aucs.append(between_groups(labels, groups, found.numpy()))
    return float(np.mean(aucs))


@pytest.fixture(scope="module")
def strained(finished, tmp_path_factory):
    """A copy of the finished project, what the study found in it, and what it told meanwhile."""
    root = tmp_path_factory.mktemp("strained") / "project"
    shutil.copytree(finished[0], root)
    heard = Heard()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return root, run(progress=heard), heard


@pytest.fixture
def found(strained, monkeypatch):
    """What the study found and told, with its project as the current folder."""
    monkeypatch.chdir(strained[0])
    return strained[1:]


def test_the_clean_condition_is_that_of_the_training(finished, found):
    row = found[0].conditions.iloc[0]
    assert (row["corruption"], row["level"]) == ("clean", 0)
    assert row["auc"] == pytest.approx(auc_by_hand(lambda images: images), abs=1e-3)
    assert row["balanced_accuracy"] == pytest.approx(finished[1].by_fold["balanced_accuracy"].mean(), abs=0.02)


@pytest.mark.parametrize("level", [1, 3, 5])
def test_corrupted_images_are_predicted_by_the_model_that_never_saw_them(found, level):
    rows = found[0].conditions.query("corruption == 'pixelation'").set_index("level")
    expected = auc_by_hand(lambda images: in_blocks(images, BLOCKS[level - 1]))
    assert rows.loc[level, "auc"] == pytest.approx(expected, abs=2e-3)
    assert rows.loc[level, "strength"] == BLOCKS[level - 1]


def test_every_condition_is_there_once_and_written(finished, found):
    result, heard = found
    assert not result.conditions.duplicated(["experiment", "corruption", "level"]).any()
    assert len(result.conditions) == 1 + 3 * 5
    held_out = finished[1].predictions.query("subset == 'held_out'")
    total = len(held_out) * 15
    title = "predicting corrupted samples"
    steps = [step for step in heard.steps if step[0] == title]
    assert steps[-1] == (title, total, total) and len(steps) == 2 * 15
    for part, frame in (("", result.conditions), ("_summary", result.summary), ("_corruptions", result.corruptions)):
        words = {"verdict": str, "reason": str}
        written = pd.read_csv(paths().table(f"robustness{part}"), dtype=words).fillna(dict.fromkeys(words, ""))
        pd.testing.assert_frame_equal(written, frame.reset_index(drop=True), check_dtype=False, rtol=1e-5)
    assert (result.summary["samples"] == len(held_out)).all()


def test_who_carries_the_jobs_out_changes_nothing(found):
    elsewhere = InProcess()
    with execution.using(elsewhere):
        alone = run(name="own_alone_robustness")
    assert len(elsewhere.calls) == 1
    pd.testing.assert_frame_equal(alone.conditions, found[0].conditions, check_exact=True)
    pd.testing.assert_frame_equal(alone.summary, found[0].summary, check_exact=True)


def test_further_experiments_are_held_against_the_first(copied):
    """A run of the same weights, and one that was held out on other samples."""
    for name in ("again", "elsewhere"):
        (paths().study("phase1") / name).mkdir()
        paths().checkpoints(name).symlink_to(paths().checkpoints(NAME).resolve())
        facts = json.loads(paths().config(NAME).read_text()) | {"experiment": name}
        paths().config(name).write_text(json.dumps(facts))
        predictions = tables.read(paths().predictions(NAME), tables.PREDICTIONS).assign(experiment=name)
        if name == "elsewhere":
            last = predictions.index[predictions["subset"] == "held_out"][-1]
            predictions = predictions.drop(last)
        tables.write(predictions, paths().predictions(name), tables.PREDICTIONS)
    few = SETTINGS.model_copy(update={"corruptions": {"pixelation": BLOCKS}})
    found = run(NAME, "again", "elsewhere", settings=few, name="own_tried_robustness").contrasts
    assert found[["baseline", "experiment", "corruption"]].to_numpy().tolist() == [
        [NAME, "again", corruption] for corruption in ("all", "pixelation")
    ]
    np.testing.assert_allclose(found[["difference", "loss_change"]], 0, atol=1e-12)
    assert (found["verdict"] == "undecided").all()
    assert (
        paths().table("own_tried_robustness_contrasts").exists() and not paths().table("robustness_contrasts").exists()
    )


@pytest.mark.parametrize(
    ("experiments", "corruptions", "message"),
    [
        ((NAME,), {"blurr": BLOCKS}, "unknown corruption 'blurr'; did you mean blur?"),
        ((NAME,), {}, "studies.robustness: name at least one run and one corruption"),
        (("resnet18_low",), SETTINGS.corruptions, "resnet18_low/config.json: not found; run deepfake train"),
    ],
)
def test_mistakes_are_named_before_anything_is_predicted(copied, experiments, corruptions, message):
    settings = SETTINGS.model_copy(update={"corruptions": corruptions})
    with pytest.raises(InputError) as error:
        run(*experiments, settings=settings)
    assert message in str(error.value)


def test_results_of_another_version_are_refused(copied):
    facts = json.loads(paths().config(NAME).read_text())
    del facts["seed"]
    paths().config(NAME).write_text(json.dumps(facts))
    with pytest.raises(InputError, match="written by another version; run deepfake train simple_cnn_low again"):
        run()


def test_the_loss_is_a_paired_difference_with_a_jackknife_over_groups(found):
    """Each condition's loss against its own AUCs, and the interval of all against one by hand."""
    rows = found[0].conditions.set_index(["corruption", "level"])
    clean = rows.loc[("clean", 0), "auc"]
    assert rows["verdict"].isin(["", "worse", "better", "equivalent", "undecided"]).all()
    corrupted = rows.drop(("clean", 0))
    np.testing.assert_allclose(corrupted["difference"], corrupted["auc"] - clean, atol=1e-12)
    whole = found[0].corruptions.set_index("corruption")["difference"]
    assert whole["all"] == pytest.approx(corrupted["difference"].mean())
    np.testing.assert_allclose(whole.drop("all").sort_index(), corrupted["difference"].groupby(level=0).mean())
    means = corrupted["auc"].groupby(level=1).mean()
    np.testing.assert_allclose(found[0].summary.set_index("level")["auc"].drop(0), means)


def test_findings_answer_what_the_tables_hold(found):
    answers = findings.read("robustness")
    rows = found[0].corruptions.set_index("corruption")
    assert {id_: one.verdict for id_, one in answers.items()} == {
        f"loss.{NAME}.{corruption}": row["verdict"] for corruption, row in rows.iterrows()
    }
    assert [one.id for one in answers.key] == [f"loss.{NAME}.all"]


def test_a_corruption_that_changes_nothing_is_equivalent_without_a_test(copied):
    few = SETTINGS.model_copy(update={"corruptions": {"pixelation": BLOCKS, "darkness": (1.0,) * 5}})
    rows = run(settings=few, name="own_tried_robustness").corruptions.set_index("corruption")
    assert rows.loc["darkness", ["difference", "verdict", "reason"]].tolist() == [
        0,
        "equivalent",
        "it changes no sample",
    ]
    assert pd.isna(rows.loc["darkness", "p"])


def test_heads_on_one_trunk_share_its_features_and_give_the_same_logits(copied, monkeypatch):
    """Two folds of a frozen trunk: one pass, and each logit is that of the whole detector of its fold."""
    config = configs.config_of(NAME)
    torch.manual_seed(0)
    paths().weights("resnet18").parent.mkdir(parents=True, exist_ok=True)
    save_file(timm.create_model("resnet18").state_dict(), paths().weights("resnet18"))
    trunk = models.create("resnet18", 32, paths().weights("resnet18"), "layer1").eval()
    probe = configs.load().shared.probe.model_copy(update={"stage": "layer1"})
    facts = json.loads(paths().config(NAME).read_text())
    facts |= {"model": "resnet18", "train": "head", "probe": probe.model_dump(), "pretrained": True}
    paths().config(NAME).write_text(json.dumps(facts))
    for fold in range(config.folds):
        head = models.LinearHead(trunk.head.linear.in_features)
        checkpoint.save_head(head, paths().weights("resnet18"), paths().checkpoint(NAME, fold))
    known = {NAME: prediction.held_out(NAME)}
    assert [len(members) for _, members in prediction._teams(known)] == [config.folds]
    calls = []
    original = models.LinearProbe.forward_features
    monkeypatch.setattr(
        models.LinearProbe, "forward_features", lambda self, x: calls.append(len(x)) or original(self, x)
    )
    with execution.using(InProcess()):
        found = prediction.predict(known, {"darkness": (1.0, 0.5)})[NAME]["darkness"]
    samples = known[NAME].samples
    # a probe is run once on a single image of zeros when it is built
    assert sum(calls) == 2 * samples["row"].nunique() + 1
    images = np.load(known[NAME].stored)
    scale = known[NAME].run.scales[0]
    for fold, part in samples.groupby("fold"):
        model = trained.model_of(known[NAME].run, int(fold), torch.device("cpu"))
        inputs = torch.tensor((images[part["row"]] / 255 - scale.mean) / scale.std, dtype=torch.float32)
        with torch.inference_mode():
            expected = model(inputs.permute(0, 3, 1, 2))[:, 0].numpy()
        np.testing.assert_allclose(found[0, part.index], expected, atol=1e-4)


def test_the_page_opens_with_its_findings_and_shows_every_corruption(copied):
    run()
    page.write()
    text = paths().page("robustness").read_text("utf-8")
    first = next(line for line in text.splitlines() if line.startswith("| Does"))
    answer = findings.read("robustness")[f"loss.{NAME}.all"].answer
    assert first.startswith("| Does SimpleCNN keep the AUC of clean images") and f"**{answer}**" in first
    assert all(f"\n| {corruption}" in text for corruption in ("all", *SETTINGS.corruptions))
    assert "nan" not in text and paths().figure("robustness").exists()
