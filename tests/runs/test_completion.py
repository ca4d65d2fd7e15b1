"""A study's folder holds its runs and nothing else, and only what is missing is computed."""

import json

import pytest
import yaml

from conftest import changed
from deepfake import config
from deepfake.config import params
from deepfake.errors import InputError
from deepfake.loading import views
from deepfake.project import paths
from deepfake.run_files import ENTRY
from deepfake.runs import completion, fold, reevaluation, store
from heard import Heard

PLAIN = {"model": "simple_cnn", "view": "crop_low", "epochs": 1}
FIRST = {"model": "simple_cnn", "view": "crop_low"}
"""That of the finished project."""


def settings(**studies: dict) -> params.Params:
    """Write runs into params.yaml, by study, and return the settings."""
    values = yaml.safe_load(paths().params.read_text())
    values["studies"]["phase1"] |= {"runs": {"simple_cnn_low": FIRST}, "baselines": []}
    values["studies"]["custom"]["contrasts"] = {}
    values = changed(values, {f"studies.{study}.runs": runs for study, runs in studies.items()})
    paths().params.write_text(yaml.safe_dump(values))
    return config.load()


@pytest.fixture
def trained(copied, monkeypatch) -> list[tuple[str, int]]:
    """What is trained from now on, in a copy of the finished project: runs and folds."""
    found = []
    original = fold.train_fold
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    monkeypatch.setattr(
        fold, "train_fold", lambda job, tell: found.append((job.config.experiment, job.fold)) or original(job, tell)
    )
    return found


def held(study: str) -> set[str]:
    return {path.name for path in paths().study(study).iterdir()}


def test_only_what_is_missing_is_trained(trained):
    first = (paths().run("simple_cnn_low") / ENTRY).read_bytes()
    (paths().study("phase1") / "stray").mkdir()
    completion.complete(settings(phase1={"simple_cnn_low": FIRST}), "phase1")
    assert trained == []
    assert held("phase1") == {"simple_cnn_low"}
    more = settings(phase1={"simple_cnn_low": FIRST, "added": PLAIN})
    heard = Heard()
    completion.complete(more, "phase1", heard)
    assert trained == [("added", 0), ("added", 1)]
    assert heard.begun == 1
    assert held("phase1") == {"simple_cnn_low", "added"}
    assert (paths().run("simple_cnn_low") / ENTRY).read_bytes() == first
    # one that is taken out is kept, and is there when it comes back
    fewer = settings(phase1={"added": PLAIN})
    completion.complete(fewer, "phase1")
    assert held("phase1") == {"added"}
    completion.complete(settings(phase1={"simple_cnn_low": FIRST, "added": PLAIN}), "phase1")
    assert len(trained) == 2
    assert held("phase1") == {"simple_cnn_low", "added"}
    assert (paths().run("simple_cnn_low") / ENTRY).read_bytes() == first


def test_a_run_that_moves_to_another_study_is_not_trained_again(trained):
    chosen = settings(phase1={"a": PLAIN}, phase2={"simple_cnn_low": FIRST})
    completion.complete(chosen, "phase2")
    completion.complete(chosen, "phase1")
    assert trained == [("a", 0), ("a", 1)]
    assert (held("phase1"), held("phase2")) == ({"a"}, {"simple_cnn_low"})
    assert json.loads(paths().config("simple_cnn_low").read_text())["study"] == "phase2"


def test_runs_are_computed_after_what_they_need_in_one_call(trained):
    chosen = settings(
        generalization={
            # whatever their order
            "sum": {"kind": "ensemble", "members": ["simple_cnn_low", "home"], "weights": "mean"},
            "again": {"kind": "re-evaluated", "of": "home", "view": "resize_low"},
            "tuned": PLAIN | {"kind": "fine-tuned", "start_from": "home", "optimizer": {"lr": 0.0001}},
            "home": PLAIN,
        }
    )
    views.write(config.resolve_view(chosen, "resize_low"), threads=1)
    completion.complete(chosen, "generalization")
    assert trained == [(name, number) for name in ("home", "tuned") for number in range(2)]
    assert held("generalization") == {"home", "tuned", "sum", "again"}
    kinds = {found.entry.run: found.entry.kind for found in store.entries()}
    assert kinds == {
        "simple_cnn_low": "trained",
        "home": "trained",
        "tuned": "fine-tuned",
        "sum": "ensemble",
        "again": "re-evaluated",
    }
    for name, kind in kinds.items():
        facts = json.loads(paths().config(name).read_text())
        assert (facts["kind"], facts["experiment"]) == (kind, name)
        assert facts["study"] == ("phase1" if name == "simple_cnn_low" else "generalization")


def test_what_is_there_is_not_computed_again(trained, monkeypatch):
    chosen = settings(
        generalization={
            "sum": {"kind": "ensemble", "members": ["simple_cnn_low", "home"], "weights": "mean"},
            "again": {"kind": "re-evaluated", "of": "home", "view": "crop_low"},
            "home": PLAIN,
        }
    )
    completion.complete(chosen, "generalization")
    before = {name: (paths().run(name) / ENTRY).stat().st_ino for name in ("sum", "again", "home")}
    monkeypatch.setattr(reevaluation, "run_jobs", lambda *a, **k: pytest.fail("predicted again"))
    completion.complete(chosen, "generalization")
    assert {name: (paths().run(name) / ENTRY).stat().st_ino for name in before} == before
    # nor when they lie in the store
    store.keep_only("generalization", [])
    completion.complete(chosen, "generalization")
    assert len(trained) == 2
    assert held("generalization") == set(before)


def test_another_parent_is_another_run(trained):
    def chosen(batch_size: int) -> params.Params:
        tuned = PLAIN | {"kind": "fine-tuned", "start_from": "home"}
        return settings(generalization={"home": PLAIN | {"batch_size": batch_size}, "tuned": tuned})

    completion.complete(chosen(16), "generalization")
    completion.complete(chosen(8), "generalization")
    assert [name for name, number in trained if number == 0] == ["home", "tuned"] * 2
    # and both come back together
    completion.complete(chosen(16), "generalization")
    assert len(trained) == 8


def finalists(*names: str) -> None:
    paths().finalists.parent.mkdir(parents=True, exist_ok=True)
    paths().finalists.write_text(json.dumps({"runs": names}))


def test_phase_4_has_the_runs_of_the_finalists(copied):
    chosen = settings(phase3={"a": PLAIN, "b": PLAIN | {"batch_size": 16}})
    with pytest.raises(InputError, match=r"reports/decisions/phase3\.json: not found; run deepfake phase3"):
        completion.names(chosen, "phase4")
    finalists("b")
    assert completion.names(chosen, "phase4") == ["b_medium", "b_all"]
    finalists("b", "a")
    assert completion.names(chosen, "phase4") == ["a_medium", "a_all", "b_medium", "b_all"]
    assert completion.names(chosen, "phase3") == ["a", "b"]
    assert completion.names(chosen, "custom") == ["custom"]


def test_phase_4_trains_the_finalists_alone_and_shares_of_one_size_once(trained):
    chosen = settings(phase3={"a": PLAIN, "b": PLAIN | {"batch_size": 16}})
    finalists("b")
    completion.complete(chosen, "phase4")
    # medium and all are all groups in the tiny study
    assert [number for _, number in trained] == [0, 1]
    assert held("phase4") == {"b_medium", "b_all"}
    finalists("a")
    completion.complete(chosen, "phase4")
    assert held("phase4") == {"a_medium", "a_all"}


def test_an_unknown_study_or_run_is_answered_with_the_nearest(copied):
    chosen = settings()
    with pytest.raises(InputError, match="unknown study 'phase5'; did you mean phase"):
        completion.names(chosen, "phase5")
    with pytest.raises(InputError, match=r"studies: unknown run 'simple_cnn'; did you mean simple_cnn_low"):
        completion.runs(chosen, ["simple_cnn"])


def test_what_waits_for_phase_2_says_so(copied):
    values = yaml.safe_load(paths().params.read_text())
    crops = {("low", False): "crop_low", ("low", True): "face_low", ("high", False): "b", ("high", True): "c"}
    for (resolution, face), name in crops.items():
        values["views"][name] = {"geometry": "crop", "face_crop": face, "resolution": resolution}
    paths().params.write_text(yaml.safe_dump(values))
    chosen = settings(phase3={"a": PLAIN | {"view": "best"}})
    with pytest.raises(InputError, match=r"phase2\.json: not found; run deepfake phase2"):
        completion.complete(chosen, "phase3")
