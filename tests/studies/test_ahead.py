import json

import pytest

from deepfake import config, layout
from deepfake.errors import InputError
from deepfake.studies import ahead, crossval
from tiny_study import config as configured
from tiny_study import prepared, weights

NAMES = ["simple_cnn_low", "plain_real"]


@pytest.fixture
def project(copied):
    """The finished project, in which one of two experiments is trained and the view of the other is written."""
    prepared("plain_real")
    return config.load()


def left(name: str) -> list:
    """Return all that an experiment has left, but for the record of when and where."""
    files = [layout.predictions(name), layout.config(name), layout.train_metrics(name), *layout.plots(name).iterdir()]
    return [path.read_bytes() for path in files] + [tensor.tolist() for tensor in weights(name).values()]


def refuse(*arguments):
    raise AssertionError("nothing should be trained")


def test_what_was_trained_ahead_is_collected_and_is_the_same(project, monkeypatch):
    assert ahead.run(NAMES, project) == 1
    assert not layout.predictions("plain_real").exists(), "what DVC tracks is for the stage to write"
    with monkeypatch.context() as patched:
        patched.setattr(crossval, "train", refuse)
        crossval.run(configured("plain_real"))
    collected = left("plain_real")
    assert not list(layout.SCRATCH.iterdir())
    # trained by its own stage, bit for bit the same
    layout.provenance("plain_real").unlink()
    layout.predictions("plain_real").unlink()
    crossval.run(configured("plain_real"))
    assert left("plain_real") == collected


def test_nothing_is_trained_that_is_there(project, monkeypatch):
    monkeypatch.setattr(crossval, "train", refuse)
    assert ahead.run(["simple_cnn_low"], project) == 0
    # pulled results have no record beside them
    layout.provenance("simple_cnn_low").unlink()
    assert ahead.run(["simple_cnn_low"], project) == 0


@pytest.mark.parametrize("gone", ["predictions", "config", "history"])
def test_what_is_not_whole_is_trained_again(project, gone):
    getattr(layout, gone)("simple_cnn_low").unlink()
    assert ahead.run(["simple_cnn_low"], project) == 1


def test_results_of_another_configuration_do_not_count(project):
    layout.provenance("simple_cnn_low").unlink()
    facts = json.loads(layout.config("simple_cnn_low").read_text())
    layout.config("simple_cnn_low").write_text(json.dumps(facts | {"lr": 0.5}))
    assert ahead.run(["simple_cnn_low"], project) == 1


def test_identical_configurations_are_trained_once(project):
    layout.provenance("simple_cnn_low").unlink()
    layout.predictions("simple_cnn_low").unlink()
    entry = {name: project.experiments["simple_cnn_low"] for name in ("first", "second")}
    settings = project.model_copy(update={"experiments": project.experiments | entry})
    assert ahead.run(["first", "second", "simple_cnn_low"], settings) == 1


def test_the_marks_differ_because_dvc_knows_a_file_by_its_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for stage in ("train", "explore", "scale"):
        ahead.mark(stage)
    assert len({layout.plan(f"ahead_{stage}").read_bytes() for stage in ("train", "explore", "scale")}) == 3


def test_what_each_kind_of_stage_trains(study):
    settings = study({})
    assert ahead.experiments("train", settings) == [*settings.experiments, *settings.transfers]
    assert ahead.experiments("explore", settings) == [f"{name}_best" for name in settings.candidates]
    for name in settings.candidates:
        layout.gate(name).parent.mkdir(parents=True, exist_ok=True)
        layout.gate(name).write_text(json.dumps({"open": name == "resnet34"}))
    assert ahead.experiments("scale", settings) == ["resnet34_best_medium", "resnet34_best_all"]


def test_several_machines_can_share_the_names(project):
    first, *others = project.experiments
    assert ahead.experiments("train", project) == [first, *others]
    assert ahead.experiments("train", project, only=[first]) == [first]
    with pytest.raises(InputError, match=rf"unknown experiment 'simple_cnn_lo'; did you mean {first}"):
        ahead.experiments("train", project, only=["simple_cnn_lo"])
