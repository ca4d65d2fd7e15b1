import hashlib
import json
import shutil
import subprocess
import sys
import time

import filelock
import numpy as np
import pandas as pd
import psutil
import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file

from conftest import changed
from deepfake import cli, execution, tables
from deepfake.config import RunConfig
from deepfake.config.training import Probe
from deepfake.errors import InputError
from deepfake.evaluation import summary
from deepfake.loading import views
from deepfake.loading.batches import Loader
from deepfake.loading.pixels import Mapped
from deepfake.project import paths
from deepfake.run_files import optimizer_name
from deepfake.runs import checkpoint_metadata, code, cross_validation, fold, store, trained
from deepfake.runs import weights as pretrained
from deepfake.training import engine
from deepfake.training.predict import predict
from heard import Heard, InProcess
from tiny_study import config, manifest, prepared, weights


def assert_same(a: cross_validation.Outcome, b: cross_validation.Outcome, *weights: dict[str, torch.Tensor]) -> None:
    """Hold two outcomes against each other, bit for bit, and the weights that they left."""
    pd.testing.assert_frame_equal(a.predictions, b.predictions, check_exact=True)
    pd.testing.assert_frame_equal(a.history, b.history, check_exact=True)
    first, second = weights
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def forget(name: str) -> None:
    """Remove the entry of a run."""
    shutil.rmtree(paths().run(name))


def unfinished() -> list:
    """Return what is left of work that was not finished."""
    return [*paths().store.glob("*.part"), *paths().store.glob("*.new")]


def test_a_run_leaves_all_its_artefacts(outcome):
    folder = paths().study("phase1") / "simple_cnn_low"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        *(f"checkpoints/fold{number}.{kind}" for number in range(2) for kind in ("safetensors", "json")),
        *("config.json", "predictions.parquet", "history.csv", "roc.csv", "confusion.csv", "metrics.json"),
        "entry.json",
    }
    found = store.find(cross_validation.prepare(config()).key)
    assert found is not None and found.folder == folder
    assert (found.entry.run, found.entry.kind) == ("simple_cnn_low", "trained")
    assert set(found.entry.files) == files - {"entry.json"}
    assert json.loads(paths().provenance("simple_cnn_low").read_text())["key"] == found.entry.key
    assert not unfinished()
    assert tuple(json.loads(paths().headline("simple_cnn_low").read_text())) == summary.HEADLINE
    assert outcome.by_fold["auc"].mean() > 0.8  # the stripes can be seen


def test_every_development_sample_is_held_out_once(outcome):
    predictions, rows = outcome.predictions, manifest().set_index("sample_id")
    held_out = predictions[predictions["subset"] == "held_out"]
    assert sorted(held_out["sample_id"]) == sorted(rows.index[rows["split"] == "dev"])
    assert (rows.loc[held_out["sample_id"], "fold"].to_numpy() == held_out["fold"].to_numpy()).all()
    assert (predictions["repeat"] == 0).all()
    assert not predictions["sample_id"].isin(rows.index[rows["split"] == "test"]).any()  # nobody looks at the test set


def test_every_repeat_trains_on_folds_of_its_own(copied, runner):
    once = cross_validation.prepare(config(epochs=1)).key
    values = yaml.safe_load(paths().params.read_text())
    paths().params.write_text(yaml.safe_dump(changed(values, {"presets.quick.repeats": 2})))
    assert runner.invoke(cli.main, ["split", "sample"]).exit_code == 0
    run = config(epochs=1)
    assert run.repeats == 2
    outcome = cross_validation.run(run)
    rows = manifest().set_index("sample_id")
    held_out = outcome.predictions[outcome.predictions["subset"] == "held_out"]
    development = sorted(rows.index[rows["split"] == "dev"])
    places = []
    for repeat in range(2):
        mine = held_out[held_out["repeat"] == repeat]
        assert sorted(mine["sample_id"]) == development
        assert set(mine["fold"]) == {2 * repeat, 2 * repeat + 1}
        written = rows.loc[mine["sample_id"], "folds"].str.split().str[repeat].astype(int)
        assert (written.to_numpy() == mine["fold"].to_numpy()).all()
        places.append(mine.set_index("sample_id")["fold"].loc[development].to_numpy() - 2 * repeat)
    assert not np.array_equal(*places) and not np.array_equal(places[0], 1 - places[1])
    assert (outcome.predictions["fold"] // 2 == outcome.predictions["repeat"]).all()
    assert sorted(outcome.by_fold["fold"]) == [0, 1, 2, 3]
    first, second = (paths().checkpoint("simple_cnn_low", fold).read_bytes() for fold in (0, 2))
    assert first != second
    # how often it is repeated decides, and a run of fewer repeats than the manifest has trains on the first ones
    single = config(epochs=1, repeats=1)
    assert len({once, *(cross_validation.prepare(each).key for each in (run, single))}) == 3
    again = cross_validation.run(single).predictions
    expected = outcome.predictions[outcome.predictions["repeat"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, expected, check_exact=True)
    # of more it cannot be
    with pytest.raises(InputError, match=r"it has 2 folds and 2 repeats, the preset quick wants 2 and 3; run deepfake"):
        cross_validation.prepare(config(repeats=3))


# --- the same bits again

REPEATED = ["simple_cnn_low", "opencv_full", "opencv_light", "dali_full"]


@pytest.mark.parametrize("name", REPEATED)
def test_one_process_and_several_give_the_same_bits(copied, monkeypatch, name):
    run = prepared(name)
    shutil.rmtree(paths().runs)
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 2)
    # the larger images are decoded right before the processes are made
    several, of_several = cross_validation.run(run), weights(name)
    forget(name)
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    assert_same(several, cross_validation.run(run), of_several, weights(name))


@pytest.mark.parametrize("name", REPEATED)
def test_a_run_killed_between_epochs_ends_with_the_same_bits(copied, monkeypatch, name):
    run = prepared(name, epochs=3)
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    undisturbed, before = cross_validation.run(run), weights(name)
    forget(name)
    kill(run, monkeypatch)
    epochs, original = [], engine._Training._train

    def spy(training, epoch):
        epochs.append((training._fold, epoch))
        return original(training, epoch)

    monkeypatch.setattr(engine._Training, "_train", spy)
    resumed = cross_validation.run(run)
    assert epochs == [(1, 2)]  # the finished fold was kept, and two epochs of the other one
    assert_same(undisturbed, resumed, before, weights(name))
    assert not unfinished()


def kill(run: RunConfig, monkeypatch) -> None:
    """Begin a run and kill it in the second epoch of its second fold."""
    monkeypatch.setattr(engine, "_SAVE_EVERY", 0.0)
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)

    class Kills(Heard):
        def news(self, news):
            if (news.fold, news.epoch) == (1, 2):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validation.run(run, Kills())


def test_a_killed_run_goes_on_under_another_name(copied, monkeypatch):
    """Unfinished work lies under the key, too."""
    kill(config(epochs=3), monkeypatch)
    heard = Heard()
    run = cross_validation.run(config("custom", epochs=3), heard)
    assert {(news.experiment, news.fold) for news in heard.folds} == {("custom", 1)}
    assert set(run.predictions["experiment"]) == {"custom"}
    records_of = checkpoint_metadata.read_records("custom").values()
    assert [record.config.experiment for record in records_of] == ["custom"] * 2
    assert not unfinished()


@pytest.mark.slow
def test_a_killed_process_takes_its_workers_along_and_the_next_run_ends_the_same(outcome, copied):
    values = yaml.safe_load(paths().params.read_text())
    values["presets"]["quick"]["epochs"]["short"] = 200  # long enough to be killed in
    values["shared"]["early_stopping_patience"] = 200
    paths().params.write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "deepfake", "train", "simple_cnn_low"]
    before = paths().predictions("simple_cnn_low").read_bytes()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers = []
    deadline = time.monotonic() + 120
    while len(workers) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        workers = process.children()
    assert len(workers) == 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    assert paths().predictions("simple_cnn_low").read_bytes() == before  # nothing half-written
    values["presets"]["quick"]["epochs"]["short"] = 2
    values["shared"]["early_stopping_patience"] = 5
    paths().params.write_text(yaml.safe_dump(values))
    forget("simple_cnn_low")
    again = cross_validation.run(config())
    pd.testing.assert_frame_equal(again.predictions, outcome.predictions, check_exact=True)


# --- found again by all that decides its numbers


def count_training(monkeypatch) -> list[tuple[str, int]]:
    """Return what will be trained from now on: experiments and folds."""
    trained = []
    original = fold.train_fold
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    monkeypatch.setattr(
        fold, "train_fold", lambda job, tell: trained.append((job.config.experiment, job.fold)) or original(job, tell)
    )
    return trained


def files_of(name: str) -> dict[str, bytes]:
    folder = paths().run(name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_identical_configuration_is_not_trained_again(outcome, copied, monkeypatch):
    trained, heard = count_training(monkeypatch), Heard()
    taken = cross_validation.run(config("custom"), heard)
    assert trained == []
    assert heard.begun == 0
    assert heard.lines == ["custom: the configuration of simple_cnn_low, whose results are taken over"]
    assert set(taken.predictions["experiment"]) == {"custom"}
    same = taken.predictions.assign(experiment="simple_cnn_low")
    pd.testing.assert_frame_equal(same, outcome.predictions, check_exact=True)
    first, second = weights("simple_cnn_low"), weights("custom")
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    for path in (paths().history, paths().roc, paths().confusion, paths().headline):
        assert path("custom").read_bytes() == path("simple_cnn_low").read_bytes(), path
    facts = [json.loads(paths().config(name).read_text()) for name in ("custom", "simple_cnn_low")]
    assert facts[0] == facts[1] | {"experiment": "custom", "study": "custom"}
    record, own = (
        checkpoint_metadata.read(paths().checkpoint_record(name, 1)) for name in ("simple_cnn_low", "custom")
    )
    assert own.config == record.config.model_copy(update={"experiment": "custom", "study": "custom"})
    assert own == record.model_copy(update={"config": own.config})
    # and the next time it has its own
    silent = Heard()
    cross_validation.run(config("custom"), silent)
    assert silent.lines == []


def test_taken_over_or_trained_it_is_the_same_bytes(copied):
    cross_validation.run(config("custom"))
    taken = files_of("custom")
    shutil.rmtree(paths().runs)
    cross_validation.run(config("custom"))
    assert files_of("custom") == taken


def test_two_names_of_one_configuration_train_once(copied, monkeypatch):
    trained = count_training(monkeypatch)
    both = [config("custom", epochs=1), config(epochs=1)]
    assert cross_validation.complete(both) == 1
    assert len(trained) == 2
    tables_of = [tables.read(paths().predictions(run.experiment), tables.PREDICTIONS) for run in both]
    assert [set(table["experiment"]) for table in tables_of] == [{"custom"}, {"simple_cnn_low"}]
    assert tables_of[0]["logit"].equals(tables_of[1]["logit"])
    assert cross_validation.complete(both) == 0


def test_folds_of_all_runs_train_side_by_side_by_any_executor(copied):
    elsewhere, heard = InProcess(), Heard()
    with execution.using(elsewhere):
        assert cross_validation.complete([config(epochs=1), config("custom", epochs=1, batch_size=16)], heard) == 2
    calls = [[(job.config.experiment, job.fold) for job in jobs] for jobs in elsewhere.calls]
    assert calls == [[(name, number) for name in ("simple_cnn_low", "custom") for number in range(2)]]
    assert heard.begun == 1
    assert sum(news.finished for news in heard.folds) == 4


def test_a_configuration_that_comes_back_is_not_trained_again(copied, monkeypatch):
    before, key = files_of("simple_cnn_low"), cross_validation.prepare(config()).key
    cross_validation.run(config(epochs=1))
    kept = store.find(key)
    assert kept is not None and kept.folder == paths().store / key
    assert files_of("simple_cnn_low") != before
    trained = count_training(monkeypatch)
    cross_validation.run(config())
    assert trained == []
    assert files_of("simple_cnn_low") == before
    # the other one waits now
    cross_validation.run(config(epochs=1))
    assert trained == []


def test_what_another_process_has_finished_meanwhile_is_taken(copied, monkeypatch):
    trained = count_training(monkeypatch)
    folder, aside = paths().run("simple_cnn_low"), paths().runs.parent / "aside"
    folder.rename(aside)
    other = filelock.FileLock(paths().store / f"{cross_validation.prepare(config()).key}.lock", is_singleton=False)
    other.acquire()

    class Finishes(Heard):
        def say(self, line):
            super().say(line)
            aside.rename(folder)
            other.release()

    heard = Finishes()
    assert cross_validation.complete([config()], heard) == 0
    assert heard.lines == ["another process computes the same run; waiting for it"]
    assert trained == []


@pytest.mark.parametrize("change", ["configuration", "data", "view", "code", "version", "gpu"])
def test_what_differs_in_more_than_its_name_is_trained(copied, monkeypatch, change):
    trained, run = count_training(monkeypatch), config("custom", epochs=2)
    if change == "configuration":
        run = run.model_copy(update={"sampler": "weighted"})
    elif change == "data":
        tables.write(manifest().assign(bytes=1), paths().manifest("sample"), tables.MANIFEST)
    elif change == "view":
        regions = paths().regions("sample", "crop_low")
        tables.write(tables.read(regions, tables.REGIONS).assign(left=5), regions, tables.REGIONS)
    elif change == "code":
        monkeypatch.setattr(code, "digest", lambda *named: "changed")
    elif change == "version":
        monkeypatch.setattr("deepfake.runtime.versions", lambda packages: dict.fromkeys(packages, "0.0"))
    else:
        key = cross_validation.prepare(run).key
        monkeypatch.setattr("deepfake.runtime.has_gpu", lambda: True)
        assert cross_validation.prepare(run).key != key
        return
    cross_validation.run(run)
    assert trained == [("custom", 0), ("custom", 1)]


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        ("checkpoints/fold1.safetensors", "remove"),
        ("checkpoints/fold1.json", "remove"),
        ("predictions.parquet", "change"),  # as after a checkout of one file
        ("entry.json", "change"),
    ],
)
def test_a_damaged_entry_is_told_and_trained_again(copied, monkeypatch, file, spoil):
    before = files_of("simple_cnn_low")
    trained, heard = count_training(monkeypatch), Heard()
    path = paths().run("simple_cnn_low") / file
    path.unlink() if spoil == "remove" else path.write_bytes(b"{" + path.read_bytes())
    cross_validation.run(config(), heard)
    assert trained == [("simple_cnn_low", 0), ("simple_cnn_low", 1)]
    told = f"runs/phase1/simple_cnn_low: {file} is {'missing' if spoil == 'remove' else 'not what was written'}"
    # what says nothing of itself is no entry
    expected = [f"{told}; this entry of the run store is computed again"] if file != "entry.json" else []
    assert heard.lines == expected
    assert files_of("simple_cnn_low") == before


CALLED = {"experiment": "another", "study": "phase2", "preset": "full"}
DECIDING = {
    "model": "resnet18",
    "dataset": "other",
    "view": {"size": 33},
    "train": "head",
    "probe": Probe(stage="final", draws=1),
    "pooling": "max",
    "fraction": 0.5,
    "epochs": 9,
    "batch_size": 9,
    "lr": 9.0,
    "weight_decay": 9.0,
    "monitor": "f1_macro",
    "early_stopping_patience": 9,
    "loss": {"label_smoothing": 0.1},
    "sampler": "weighted",
    "class_ratio": 2.0,
    "domain": {"column": "source"},
    "grad_clip": 1.0,
    "precision": "bf16",
    "keep_optimizer": True,
    "normalization": None,
    "augmentation": {},
    "pretrained": True,
    "start_from": "simple_cnn_low",
    "holdout": "text2img",
    "oversampling": 2.0,
    "seed": 9,
    "val_ratio": 0.3,
    "num_workers": 9,
}


def test_all_of_a_configuration_but_what_it_is_called_decides_the_key(copied):
    shutil.copytree("data/sample", "data/other")
    put_weights(1, "simple_cnn")
    refused = {"folds", "repeats"}  # another number than the manifest's
    assert {*CALLED, *DECIDING, *refused} == set(RunConfig.model_fields)
    augmentation = config("opencv_full").augmentation
    keys = {}
    for field, value in (CALLED | DECIDING).items():
        run = config()
        old = getattr(run, field)
        if isinstance(value, dict):
            value = old.model_copy(update=value) if old else augmentation
        keys[field] = cross_validation.prepare(run.model_copy(update={field: value})).key
    mine = cross_validation.prepare(config()).key
    assert {keys.pop(field) for field in CALLED} == {mine}
    assert mine not in keys.values()
    assert len(set(keys.values())) == len(keys)


def test_another_preset_of_the_same_values_is_written_with_its_name(copied, monkeypatch):
    trained = count_training(monkeypatch)
    run = cross_validation.run(config(preset="other"))
    assert trained == []
    assert run.facts["preset"] == "other"
    assert {record.config.preset for record in checkpoint_metadata.read_records("simple_cnn_low").values()} == {"other"}


# --- what it starts from, and what it leaves out


def put_weights(seed: int, name: str = "test_resnet") -> str:
    """Write weights of a tiny model, and statistics, where training looks for them; return their SHA-256."""
    torch.manual_seed(seed)
    path = paths().weights(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(timm.create_model("test_resnet").state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    facts = pretrained.Facts(model=name, sha256=digest, mean=(0.5,) * 3, std=(0.25,) * 3)
    paths().weights_facts(name).write_text(facts.model_dump_json())
    return digest


def test_the_weights_that_it_starts_from_decide_the_results(outcome, copied, monkeypatch):
    first = put_weights(1)
    run = config("custom", model="test_resnet", pretrained=True, epochs=1)
    before = cross_validation.run(run)
    assert before.facts["weights_sha256"] == first
    assert before.facts["normalization"] == {"mean": [0.5] * 3, "std": [0.25] * 3}
    assert outcome.facts["weights_sha256"] is None
    trained, twin = count_training(monkeypatch), run.model_copy(update={"experiment": "again"})
    cross_validation.run(twin)
    assert trained == []
    second = put_weights(2)
    after = cross_validation.run(twin)
    assert trained == [("again", 0), ("again", 1)]
    assert after.facts["weights_sha256"] == second != first
    assert not np.array_equal(before.predictions["logit"], after.predictions["logit"])


def test_a_holdout_is_predicted_but_not_trained_on(outcome, copied):
    run = cross_validation.run(config("custom", holdout="text2img", epochs=1))
    joined = run.predictions.merge(manifest()[["sample_id", "source"]], on="sample_id")
    sources = joined.groupby("subset")["source"].agg(set)
    for part in ("train", "validation"):
        assert sources[part] == {"wiki", "inpainting", "insight"}
    assert sources["held_out"] == {"wiki", "inpainting", "insight", "text2img"}
    both = [
        each[each["subset"] == "held_out"][["sample_id", "fold"]] for each in (run.predictions, outcome.predictions)
    ]
    assert np.array_equal(*both)
    assert run.facts["holdout"] == "text2img"


# --- mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "resnet18", "pretrained": True}, r"resnet18\.safetensors: not found; run deepfake weights, or dvc"),
        ({"holdout": "text2image"}, "unknown source 'text2image'; did you mean text2img"),
        ({"holdout": "wiki"}, "wiki is a source of real samples"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is_decoded(outcome, monkeypatch, changes, message):
    monkeypatch.setattr(views, "pixels", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(InputError, match=message):
        cross_validation.run(config(**changes))


def test_an_unknown_model_is_told_before_anything_is_decoded(outcome, monkeypatch):
    monkeypatch.setattr(views, "pixels", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(InputError, match="resnet18"):
        cross_validation.run(config(model="resnet81"))


def test_a_manifest_of_other_folds_is_refused(outcome):
    with pytest.raises(InputError, match="has 2 folds"):
        cross_validation.run(config(folds=3))


def test_a_view_that_was_not_written_says_what_to_run(outcome):
    with pytest.raises(InputError, match=r"resize_low/regions\.parquet: not found; .*dvc repro"):
        cross_validation.run(config("opencv_light"))


def test_a_decoding_is_announced_and_counted(copied):
    for array in paths().cache("sample").iterdir():
        array.unlink()
    heard = Heard()
    cross_validation.run(config(epochs=1), heard)
    assert [line.split(":")[0] for line in heard.lines] == ["decoding crop_low"]
    assert heard.steps[-1] == ("decoding crop_low", len(manifest()), len(manifest()))


# --- checkpoints


def test_a_checkpoint_reloads_to_identical_predictions_and_its_threshold(outcome):
    """Through files alone: what `Trained` opens predicts what was predicted when it was trained, bit for bit."""
    torch.set_num_threads(1)
    known = trained.read("simple_cnn_low")
    images = np.load(views.pixels(known.config.view, manifest(), threads=1), mmap_mode="r")
    for fold_number, scale in enumerate(known.scales):
        rows = manifest().reset_index()
        before = outcome.predictions[outcome.predictions["fold"] == fold_number].set_index("sample_id")["logit"]
        used = np.flatnonzero(rows["sample_id"].isin(before.index))
        loader = Loader(Mapped(images), rows["label"].to_numpy(), known.config.view, scale)
        again = predict(trained.model_of(known, fold_number, torch.device("cpu")), loader, used)
        np.testing.assert_array_equal(again, before[rows["sample_id"][used]])
    assert known.thresholds == outcome.by_fold["threshold"].tolist()


def test_a_record_of_another_version_is_an_input_error(outcome, copied):
    path = paths().checkpoint_record("simple_cnn_low", 0)
    values = json.loads(path.read_text())
    del values["temperature"]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"fold0\.json: written by another version; train the experiment again"):
        trained.read("simple_cnn_low")
    path.unlink()
    with pytest.raises(InputError, match=r"fold0\.json: not found; train the experiment again"):
        trained.read("simple_cnn_low")


# --- imbalance


def test_a_ratio_thins_every_part_and_keeps_the_groups(outcome, copied):
    run = cross_validation.run(config("custom", class_ratio=9.0, epochs=1))
    joined = run.predictions.merge(manifest()[["sample_id", "label", "group"]], on="sample_id")
    usual = outcome.predictions.merge(manifest()[["sample_id", "group"]], on="sample_id")
    counts = joined.groupby(["fold", "subset"])["label"].agg(["size", "sum"])
    assert ((counts["sum"] / (counts["size"] - counts["sum"])).between(6, 13)).all()
    for part in tables.SUBSETS:
        groups = [each[(each["subset"] == part) & (each["fold"] == 0)]["group"] for each in (joined, usual)]
        assert set(groups[0]) == set(groups[1])


def test_domains_that_cannot_be_told_apart_are_an_input_error(copied):
    domain = config().domain.model_copy(update={"column": "dataset"})
    with pytest.raises(InputError, match=r"custom: domain\.column: dataset has no two values"):
        cross_validation.run(config("custom", domain=domain))
    assert not paths().run("custom").exists()
    assert not unfinished()


def test_a_kept_optimiser_goes_with_its_weights(copied, monkeypatch):
    folds = count_training(monkeypatch)
    cross_validation.run(config("custom", keep_optimizer=True, epochs=1))
    files = [paths().checkpoints("custom") / optimizer_name(fold) for fold in range(2)]
    assert all(file.exists() for file in files)
    # an entry without them is none
    files[1].unlink()
    cross_validation.run(config("custom", keep_optimizer=True, epochs=1).model_copy(update={"experiment": "again"}))
    assert folds == [("custom", 0), ("custom", 1), ("again", 0), ("again", 1)]
    # weights that were trained anew have no optimiser beside them that is not their own
    cross_validation.run(config("custom", epochs=2))
    assert paths().checkpoint("custom", 0).exists()
    assert not any(file.exists() for file in files)
