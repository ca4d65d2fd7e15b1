"""Trained on one data set and used on another: preparing, joining, going on from weights, and who may judge whom."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file

from conftest import AWAY, make_project, tiny_params, write_tiny_away
from deepfake import cli, config, tables
from deepfake.datasets import catalog, shared_identities
from deepfake.errors import InputError
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import completion, cross_validation, overlap, store
from deepfake.studies.cross_domain import collect
from deepfake.studies.cross_domain.cells import Cell
from deepfake.studies.generalization import combined
from heard import Heard

PLAIN = {"model": "simple_cnn", "view": "crop_low"}
RUNS = {
    "away": PLAIN | {"dataset": "sample_edited"},
    "joined": PLAIN | {"dataset": "union", "sampler": "datasets", "domain": {"column": "dataset"}},
    "tuned": PLAIN | {"kind": "fine-tuned", "dataset": "sample_edited", "start_from": "simple_cnn_low"},
    "both": {"kind": "ensemble", "members": ["simple_cnn_low", "backbone_low"], "weights": "mean"},
    # home is that of phase 1, under its own name
    "home": PLAIN,
}


def values() -> dict:
    """Return the tiny params with two more data sets, of which one is joined with the study's."""
    found = tiny_params()
    found["studies"]["generalization"] |= {"datasets": list(AWAY), "union": ["sample_edited"], "runs": RUNS}
    return found


def with_runs(*names: str, **changes) -> dict:
    """Return the values with some of the runs of the comparison alone."""
    found = values()
    found["studies"]["generalization"] |= {"runs": {name: RUNS[name] for name in names}} | changes
    return found


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.main, arguments)
    assert result.exit_code == 0, f"{arguments}: {result.output}"
    return result.output


def asked(progress: Progress = SILENT) -> list[Cell]:
    """Ask all detectors of the comparison about all its data sets."""
    settings = config.load()
    names = completion.names(settings, "generalization")
    datasets = [settings.dataset, *settings.studies.generalization.datasets]
    return collect.run(names, datasets, settings, progress, combined.members(settings))


def make(dataset: str) -> None:
    """Prepare a data set for training."""
    for command in ("ingest", "split", "views"):
        run(command, dataset)


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_raw, imported_before_the_fork) -> Path:
    root = make_project(tmp_path_factory.mktemp("other") / "project", tiny_raw)
    write_tiny_away(root)
    (root / "params.yaml").write_text(yaml.safe_dump(values(), sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run("check")
        for name in ("sample", *AWAY):
            make(name)
        run("union")
        # what goes on from another run or sums others is computed after these
        run("train", "both", "tuned", "home", "joined", "away", "backbone_low", "simple_cnn_low")
    return root


@pytest.fixture
def project(made, monkeypatch) -> Path:
    """The project as the current folder; not to be changed."""
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def copied(made, tmp_path, monkeypatch) -> Path:
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def manifest(dataset: str) -> pd.DataFrame:
    return tables.read(paths().manifest(dataset), tables.MANIFEST)


def test_people_stand_in_the_same_fold_of_all_data_sets(project):
    folds = [manifest(name).groupby("group")["fold"].first() for name in ("sample", *AWAY)]
    for other in folds[1:]:
        pd.testing.assert_series_equal(folds[0], other)


def test_people_stay_together_whichever_of_their_data_sets_is_the_studys(copied):
    found = with_runs("home", datasets=["sample", "sample_resent"], union=["sample"])
    found["dataset"] = "sample_edited"
    paths().params.write_text(yaml.safe_dump(found))
    for name in ("sample_edited", "sample", "sample_resent"):
        run("split", name)
    folds = [manifest(name).groupby("group")["fold"].first() for name in ("sample_edited", "sample", "sample_resent")]
    for other in folds[1:]:
        pd.testing.assert_series_equal(folds[0], other)


def test_the_union_is_predicted_out_of_fold_like_any_data_set(project):
    predictions = tables.read(paths().predictions("joined"), tables.PREDICTIONS)
    held_out = predictions[predictions["subset"] == "held_out"]
    union = manifest("union")
    development = union[union["split"] == "dev"]
    assert sorted(held_out["sample_id"]) == sorted(development["sample_id"])
    assert set(union["dataset"]) == {"sample", "sample_edited"}
    groups = dict(zip(union["sample_id"], union["group"], strict=True))
    for _, rows in predictions.groupby("fold"):
        parts = {subset: set(part["sample_id"].map(groups)) for subset, part in rows.groupby("subset")}
        assert not parts["held_out"] & (parts["train"] | parts["validation"])


def test_what_is_trained_on_the_union_sees_the_images_of_its_members(project):
    """The decoded union against the decoded members, pixel by pixel."""
    arrays = {name: np.load(next(paths().cache(name).glob("crop_low-32px-*.npy"))) for name in ("sample", "union")}
    first = len(arrays["sample"])
    np.testing.assert_array_equal(arrays["union"][:first], arrays["sample"])
    away = next(paths().cache("sample_edited").glob("crop_low-32px-*.npy"))
    np.testing.assert_array_equal(arrays["union"][first:], np.load(away))


def test_a_domain_head_tells_data_sets_apart(project):
    history = pd.read_csv(paths().history("joined"))
    assert {"train_domain_loss", "train_domain_accuracy"} <= set(history.columns)


def test_a_run_of_another_configuration_is_another_entry_and_one_of_the_same_is_not(project):
    keys = {found.entry.run: found.entry.key for found in store.entries()}
    assert set(keys) == {"simple_cnn_low", "backbone_low", *RUNS}
    assert keys["home"] == keys["simple_cnn_low"]
    assert len(set(keys.values())) == len(keys) - 1


# --- going on from trained weights


def test_every_fold_goes_on_from_the_same_fold_of_its_parent(copied, monkeypatch):
    """Without any step of training it would predict what its parent predicts."""
    seen = []
    original = torch.nn.Module.load_state_dict

    def spy(self, state, *args, **kwargs):
        seen.append({name: value.clone() for name, value in state.items()})
        return original(self, state, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "load_state_dict", spy)
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    shutil.rmtree(paths().run("tuned"))
    cross_validation.run(config.resolve(config.load(), "tuned"))
    parents = [load_file(paths().checkpoint("simple_cnn_low", fold)) for fold in (0, 1)]
    started = [state for state in seen if any(torch.equal(state["head.weight"], p["head.weight"]) for p in parents)]
    assert len(started) == 2
    for state, parent in zip(started, parents, strict=True):
        assert all(torch.equal(state[name], value) for name, value in parent.items())


def test_other_weights_of_the_parent_make_other_results(copied):
    """The key by which results are taken over, and the hash beside them."""
    before = cross_validation.prepare(config.resolve(config.load(), "tuned"))
    facts = json.loads(paths().config("tuned").read_text())
    assert facts["start_sha256"] == before.inputs["start_sha256"]
    shutil.copy(paths().checkpoint("backbone_low", 1), paths().checkpoint("simple_cnn_low", 1))
    after = cross_validation.prepare(config.resolve(config.load(), "tuned"))
    assert after.key != before.key


def test_a_parent_that_was_not_trained_is_named(copied):
    shutil.rmtree(paths().run("simple_cnn_low"))
    with pytest.raises(
        InputError, match=r"simple_cnn_low/checkpoints/fold0\.safetensors: not found; run deepfake train"
    ):
        cross_validation.prepare(config.resolve(config.load(), "tuned"))


def test_a_parent_of_another_model_is_refused(project):
    run = config.resolve(config.load(), "tuned").model_copy(update={"model": "resnet18"})
    with pytest.raises(InputError, match="tuned: model resnet18, but simple_cnn_low has simple_cnn; use the same"):
        overlap.check_start(run, manifest("sample_edited"))


def test_a_parent_that_knows_the_held_out_people_is_refused(copied):
    """As without `groups_of`: then the same people stand in other folds."""
    rows = manifest("sample_edited")
    wrong = rows.assign(folds=rows["folds"].map({"0": "1", "1": "0", "-1": "-1"}))
    with pytest.raises(
        InputError, match=r"simple_cnn_low was trained on people .* that fold 0 holds out; set groups_of"
    ):
        overlap.check_start(config.resolve(config.load(), "tuned"), wrong)
    # a stranger's files may still be known
    other = rows.assign(group="stranger" + rows["group"])
    overlap.check_start(config.resolve(config.load(), "tuned"), other)
    known = overlap.seen("simple_cnn_low").query("fold == 0")["sha256"].iloc[0]
    other.loc[other.index[other["fold"] == 0][0], "sha256"] = known
    with pytest.raises(InputError, match="people or files"):
        overlap.check_start(config.resolve(config.load(), "tuned"), other)


def test_a_parent_that_was_trained_on_the_inner_validation_is_refused(project):
    """As one of another seed: it has seen the people on which this one would be chosen."""
    run = config.resolve(config.load(), "tuned")
    overlap.check_start(run, manifest("sample_edited"))
    others = [run.model_copy(update={"seed": seed}) for seed in range(1, 9)]
    with pytest.raises(InputError, match=r"that fold \d is chosen on; use its fraction, val_ratio and seed"):
        for other in others:
            overlap.check_start(other, manifest("sample_edited"))


def test_what_was_trained_on_another_manifest_is_refused(copied):
    rows = manifest("sample")
    tables.write(rows.assign(bytes=rows["bytes"] + 1), paths().manifest("sample"), tables.MANIFEST)
    with pytest.raises(InputError, match=r"sample/manifest\.parquet: not what simple_cnn_low was trained on"):
        overlap.seen("tuned")


def test_what_a_tuned_fold_has_seen_includes_what_its_parent_saw(project):
    own, parent = overlap.seen("tuned"), overlap.seen("simple_cnn_low")
    assert set(parent["sha256"]) < set(own["sha256"])
    assert overlap.ancestry("tuned") == ["tuned", "simple_cnn_low"]
    assert overlap.ancestry("both") == ["simple_cnn_low", "backbone_low"]


# --- detectors on other data sets


def cells() -> dict[tuple[str, str], Cell]:
    return {(cell.experiment, cell.dataset): cell for cell in asked()}


def test_every_model_is_judged_on_every_data_set_by_people_it_never_saw(project):
    found = cells()
    settings = config.load()
    models = completion.names(settings, "generalization")
    assert set(models) == set(RUNS)
    assert set(found) == {(m, d) for m in models for d in ("sample", *AWAY)}
    known = catalog.load()
    for (model, dataset), cell in found.items():
        held_out = cell.joined[cell.joined["subset"] == "held_out"]
        rows = manifest(dataset)
        assert sorted(held_out["sample_id"]) == sorted(rows.loc[rows["split"] == "dev", "sample_id"])
        assert np.isfinite(cell.joined["logit"]).all()
        groups = dict(zip(rows["sample_id"], shared_identities.groups(dataset, rows, known), strict=True))
        assert (held_out["sample_id"].map(groups) == held_out["group"]).all()
        seen = overlap.seen(model)
        for fold in (0, 1):
            trained = seen[(seen["fold"] == fold) & (seen["subset"] == "train")]
            assert not set(cell.joined.loc[cell.joined["fold"] == fold, "group"]) & set(trained["group"])
    trained_on = {m: {d for d in ("sample", *AWAY) if found[m, d].in_domain} for m in models}
    assert trained_on == {
        "home": {"sample"},
        "away": {"sample_edited"},
        "joined": {"sample", "sample_edited"},
        "tuned": {"sample", "sample_edited"},
        "both": {"sample"},
    }


def test_a_model_finds_at_home_what_it_found_when_it_was_trained(copied):
    """Home predictions are read, others computed: under another name the home set must give the same logits."""
    entry = yaml.safe_load(paths().catalog.read_text())
    entry["twin"] = entry["sample_resent"]
    paths().catalog.write_text(yaml.safe_dump(entry))
    shutil.copytree("data/raw/sample", "data/raw/twin")
    paths().params.write_text(yaml.safe_dump(with_runs("home", "both", datasets=["sample_edited", "twin"])))
    make("twin")
    heard = Heard()
    judged = {(c.experiment, c.dataset): c.joined for c in asked(heard)}
    for model in ("home", "both"):
        home, twin = (judged[model, name].query("subset == 'held_out'") for name in ("sample", "twin"))
        both = home.merge(twin, on=["sample_id", "fold"], suffixes=("", "_twin"))
        assert len(both) == len(home)
        np.testing.assert_allclose(both["logit"], both["logit_twin"], atol=1e-5)
    assert not any("left out" in line for line in heard.lines)


def test_known_files_are_left_out_and_counted(copied):
    """Without groups_of, but with files of the training set among the strangers."""
    entry = yaml.safe_load(paths().catalog.read_text())
    entry["twin"] = {k: v for k, v in entry["sample_resent"].items() if k != "groups_of"}
    paths().catalog.write_text(yaml.safe_dump(entry))
    shutil.copytree("data/raw/sample", "data/raw/twin")
    paths().params.write_text(yaml.safe_dump(with_runs("home", datasets=["sample_edited", "twin"])))
    make("twin")
    # other folds than at home, so that every detector knows some of what is held out
    rows = manifest("twin")
    groups = {group: f"{number:02d}" for number, group in enumerate(sorted(rows["group"].unique(), reverse=True))}
    moved = rows.assign(
        **rows.assign(key=rows["group"].map(groups))[["key"]].merge(
            rows.groupby("group")[["split", "fold", "folds"]].first(), left_on="key", right_index=True, how="left"
        )[["split", "fold", "folds"]]
    )
    tables.write(moved, paths().manifest("twin"), tables.MANIFEST)
    heard = Heard()
    judged = {(c.experiment, c.dataset): c.joined for c in asked(heard)}
    (line,) = [line for line in heard.lines if "left out" in line]
    held_out = judged["home", "twin"].query("subset == 'held_out'")
    count = int(line.split(": ")[1].split()[0])
    assert len(held_out) + count == (moved["split"] == "dev").sum()
    known = overlap.seen("home")
    shas = dict(zip(moved["sample_id"], moved["sha256"], strict=True))
    for fold, of_fold in held_out.groupby("fold"):
        assert not set(of_fold["sample_id"].map(shas)) & set(known.loc[known["fold"] == fold, "sha256"])


def test_a_data_set_of_other_folds_is_refused(copied):
    rows = manifest("sample_resent")
    tables.write(rows.assign(fold=rows["fold"].clip(upper=0)), paths().manifest("sample_resent"), tables.MANIFEST)
    with pytest.raises(InputError, match=r"sample_resent/manifest\.parquet: it has 1 folds, away has 2"):
        asked()


def test_what_was_not_prepared_says_what_to_run(copied):
    missing = r"sample_resent/views/crop_low/regions\.parquet: not found; run the stage that writes it, or dvc repro"
    shutil.rmtree("data/sample_resent/views")
    with pytest.raises(InputError, match=missing):
        asked()
    shutil.rmtree("data/sample_edited/views")
    with pytest.raises(InputError, match=missing.replace("resent", "edited")):
        combined.run(config.load())
