"""Runs as detectors: what they say is what training wrote, and what does not go together is refused in one line."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import tiny_study
from deepfake import tables
from deepfake.errors import InputError
from deepfake.loading import views
from deepfake.project import paths
from deepfake.run_files import RUN_CONFIG
from deepfake.runs import detectors
from stored_runs import RUN, add_ensemble, edit

STUDY = paths().study("phase1")
CPU = torch.device("cpu")


def images() -> dict[str, np.ndarray]:
    run = tiny_study.config(RUN)
    return {run.view.view: np.load(views.pixels(run.view, tiny_study.manifest(), threads=1), mmap_mode="r")}


def fails(name: str) -> str:
    with pytest.raises(InputError) as error:
        detectors.read(name)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("fuse", [False, True])
def test_a_detector_says_what_training_wrote(outcome, fuse):
    detector = detectors.read(RUN)
    manifest = tiny_study.manifest().reset_index(names="row").set_index("sample_id")
    written = tables.read(paths().predictions(RUN), tables.PREDICTIONS)
    for fold, expected in written.groupby("fold"):
        rows = manifest.loc[expected["sample_id"], "row"].to_numpy()
        found = detectors.LoadedFold(detector, fold, CPU, fuse=fuse).logits(images(), rows)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected["logit"], atol=1e-5)


def test_an_ensemble_adds_up_its_members(copied):
    add_ensemble("both")
    single, both = detectors.read(RUN), detectors.read("both")
    assert [member.coefficients for member in both.members] == [(1.0, 0.25), (0.5, 2.0)]
    assert set(both.views) == {"crop_low"}
    rows, shown = np.array([5, 0, 3]), images()
    # the second member's logit is twice the first's
    for fold, (factor, intercept) in enumerate([(1.0 + 2 * 0.5, 0.0), (0.25 + 2 * 2.0, -3.0)]):
        alone = detectors.LoadedFold(single, fold, CPU).logits(shown, rows)
        together = detectors.LoadedFold(both, fold, CPU).logits(shown, rows)
        np.testing.assert_allclose(together, factor * alone + intercept, rtol=1e-5)


def write_config(name: str, text: str) -> None:
    tables.write_text(text, STUDY / name / RUN_CONFIG)


def test_what_is_no_run_is_told_with_what_to_do(copied):
    assert "run deepfake train nothing" in fails("nothing")
    write_config("again", json.dumps({"reevaluates": RUN, "kind": "re-evaluated", "folds": 2, "pooling": "mean"}))
    assert f"it re-evaluates {RUN}" in fails("again")
    write_config("torn", "{")
    assert "not JSON" in fails("torn")
    write_config("old", '{"folds": 2}')
    assert "another version" in fails("old")
    # all of a run of the time before the store but what kind it is of
    facts = json.loads(paths().config(RUN).read_text())
    del facts["kind"]
    write_config("older", json.dumps(facts | {"experiment": "older"}))
    assert "another version; run deepfake train older again" in fails("older")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3", "not the configuration of a run"),
        ("[1, 2]", "not the configuration of a run"),
        ("null", "not the configuration of a run"),
        ('{"folds": "4"}', 'folds is "4"'),
        ('{"folds": -1}', "folds is -1"),
        ('{"folds": true}', "folds is true"),
    ],
)
def test_a_damaged_configuration_is_told_in_one_line(project, text, words):
    write_config("damaged", text)
    assert f"{paths().config('damaged')}: {words}" in fails("damaged")


def test_the_facts_of_a_run_are_checked_before_they_are_used(copied):
    edit(paths().config(RUN), dataset=3)
    with pytest.raises(InputError, match="another version"):
        detectors.read_facts(RUN)


def test_a_copied_or_renamed_run_does_not_answer_for_another_one(copied):
    shutil.copytree(paths().run(RUN), STUDY / "copy")
    assert f"{paths().config('copy')}: that of {RUN}, copied or renamed" in fails("copy")
    add_ensemble("both")
    paths().run("both").rename(STUDY / "moved")
    assert "that of both, copied or renamed" in fails("moved")
    # the configuration alone was renamed: the checkpoints are still another run's
    edit(paths().config("copy"), experiment="copy")
    assert "checkpoint and config disagree (experiment)" in fails("copy")


def test_checkpoints_that_do_not_belong_are_told(copied):
    path = paths().checkpoint_record(RUN, 1)
    text = path.read_text()
    changes = [{"model": "resnet18"}, {"folds": 3}, {"view": {"geometry": "resize"}}]
    for change in (*changes, {"dataset": "union"}, {"normalization": None}, {"seed": 7}):
        facts = json.loads(text)
        facts["config"] |= {
            key: facts["config"][key] | value if isinstance(value, dict) else value for key, value in change.items()
        }
        path.write_text(json.dumps(facts))
        assert f"{path}: checkpoint and config disagree ({next(iter(change))})" in fails(RUN)
    path.write_text(text)
    weights = paths().checkpoint(RUN, 0)
    save_file({"head.weight": torch.zeros(1, 2)}, weights)
    with pytest.raises(InputError, match="not weights of this model"):
        detectors.LoadedFold(detectors.read(RUN), 0, CPU)
    weights.unlink()
    assert f"{weights}: not found" in fails(RUN)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"coefficients": [[1.0, 0.5]]}, "not the folds and the members"),
        ({"coefficients": [[1.0], [1.0]]}, "not the folds and the members"),
        ({"intercepts": [0.0]}, "not the folds and the members"),
        ({"coefficients": "mean"}, "of another version"),
        ({"experiments": [RUN, "missing"]}, "run deepfake train missing"),
        ({"experiments": [RUN, "both"]}, "both is an ensemble"),
    ],
)
def test_an_ensemble_that_is_not_whole_is_refused(copied, change, words):
    add_ensemble("both", **change)
    assert words in fails("both")


def test_members_that_mean_different_things_by_a_view_are_refused(copied):
    add_ensemble("both")
    for path in (paths().config("twice"), *(paths().checkpoint_record("twice", fold) for fold in range(2))):
        facts = json.loads(path.read_text())
        facts.get("config", facts)["view"]["geometry"] = "resize"
        path.write_text(json.dumps(facts))
    assert "different things by a view" in fails("both")


def test_batch_norm_in_a_sequence_is_folded_into_its_convolution(outcome):
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1)]
    model = torch.nn.Sequential(*layers)
    model[1].running_mean.uniform_(-1, 1)
    model[1].running_var.uniform_(0.5, 2)
    model.eval()
    pixels = torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        before = model(pixels)
        after = detectors._fused(model)(pixels)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in model)
    torch.testing.assert_close(after, before)
