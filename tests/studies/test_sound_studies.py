"""Imbalance, robustness and generalization of detectors of sound, on two made data sets under the smoke preset."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

import planted_sound
from conftest import ROOT, changed, tiny_params
from deepfake import cli, tables
from deepfake import config as configs
from deepfake.config.params import Params
from deepfake.config.studies import Robustness
from deepfake.loading import views
from deepfake.project import paths
from deepfake.runs import cross_validation
from deepfake.studies.cross_domain import collect, gaps
from deepfake.studies.robustness import analysis as robustness
from heard import Heard

HOME, AWAY, PLAIN, UNEVEN = "voices", "strangers", "heard", "uneven"
SECONDS = (3.0, 7.0)
"""Windows have 4: one or two a recording."""


def buzzing(sound: np.ndarray, source: str) -> tuple[np.ndarray, int]:
    """Let every fake hum at 3 kHz, which noise drowns."""
    if source == "copied":
        sound = sound * 0.6 + 0.3 * np.sin(2 * np.pi * 3000 * np.arange(len(sound)) / planted_sound.RATE)
    return sound, planted_sound.RATE


def params() -> dict:
    """Return the committed params under the smoke preset, with two small detectors of sound."""
    run = {"model": "lcnn", "view": "lfcc", "train": "all", "epochs": 8, "batch_size": 8, "fraction": "all"}
    study = {
        "dataset": HOME,
        "others": [AWAY],
        "base": {},
        "runs": {PLAIN: run, UNEVEN: run | {"class_ratio": "imbalanced"}},
        "contrasts": {"audio_models": {UNEVEN: PLAIN}},
    }
    seen = tiny_params()["views"] | {"lfcc": {"modality": "audio", "front_end": "lfcc", "bins": 20}}
    changes = {"preset": "smoke", "studies.audio": study, "views": seen, "studies.imbalance.ratio": 3}
    return changed(tiny_params(), changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A project with two data sets of sound and the runs of a study on the first."""
    root = tmp_path_factory.mktemp("sound")
    before = Path.cwd()
    os.chdir(root)
    try:
        paths().catalog.parent.mkdir(parents=True)
        shutil.copy(ROOT / paths().catalog, paths().catalog)
        entries = yaml.safe_load(paths().catalog.read_text("utf-8"))
        paths().params.write_text(yaml.safe_dump(params(), sort_keys=False))
        for seed, name in enumerate((HOME, AWAY), 5):
            planted_sound.write(12, 3, buzzing, SECONDS, name=name, seed=seed)
            entries |= {name: planted_sound.ENTRY}
        paths().catalog.write_text(yaml.safe_dump(entries))
        settings = configs.load()
        for name in (HOME, AWAY):
            planted_sound.prepare(settings, name=name)
            views.write(configs.resolve_view(settings, "lfcc", dataset=name), threads=2)
        for name in (PLAIN, UNEVEN):
            cross_validation.run(configs.resolve(settings, name))
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def settings(trained, monkeypatch) -> Params:
    monkeypatch.chdir(trained)
    return configs.load()


def clips(name: str, dataset: str = HOME, subset: str = "held_out") -> pd.DataFrame:
    """Return a run's predictions of recordings, from the two tables: a row a fold and recording."""
    manifest = pd.read_parquet(paths().manifest(dataset))[["sample_id", "label"]]
    rows = pd.read_parquet(paths().predictions(name)).merge(manifest, on="sample_id")
    rows = rows[rows["subset"] == subset].groupby(["fold", "clip_id"])
    return rows.agg(logit=("logit", "mean"), label=("label", "first"), windows=("logit", "size")).reset_index()


def test_recordings_have_several_windows_and_stay_in_one_part(settings):
    manifest = pd.read_parquet(paths().manifest(HOME))
    assert set(manifest.groupby("clip_id").size()) == {1, 2}
    for name in (PLAIN, UNEVEN):
        rows = pd.read_parquet(paths().predictions(name))
        assert set(rows["sample_id"]) <= set(manifest["sample_id"])
        assert rows.groupby(["fold", "clip_id"])["subset"].nunique().max() == 1


def test_an_imbalanced_run_has_the_ratio_of_recordings_in_every_part(settings):
    assert configs.config_of(UNEVEN).class_ratio == 3
    for subset in tables.SUBSETS:
        uneven, plain = clips(UNEVEN, subset=subset), clips(PLAIN, subset=subset)
        for fold, rows in uneven.groupby("fold"):
            fakes = int(rows["label"].sum())
            # the fakes stay, and reals go: within one recording of a third
            assert abs((len(rows) - fakes) - fakes / 3) <= 1.5
            assert set(rows["clip_id"]) < set(plain.loc[plain["fold"] == fold, "clip_id"])
            # all windows of a recording stay, or none
            both = rows.merge(plain, on=["fold", "clip_id"])
            assert (both["windows_x"] == both["windows_y"]).all()


def test_runs_suffer_the_corruptions_of_sound_and_are_judged_by_recordings(settings):
    section = Robustness.model_validate({"runs": [PLAIN], "corruptions": {"noise": [60, 40, 20, 0, -20]}})
    found = robustness.run([PLAIN], section, settings.evaluation)
    rows = found.conditions.set_index("level")
    expected = clips(PLAIN)
    assert set(rows["samples"]) == {expected["clip_id"].nunique()}
    pairs = between(expected)
    assert rows.loc[0, "auc"] == pytest.approx(pairs, abs=1e-6)
    aucs = rows["auc"].to_dict()
    assert aucs[0] > 0.9 > 0.75 > aucs[5]


def between(rows: pd.DataFrame, dataset: str = HOME) -> float:
    """Return the mean over folds of the AUC over pairs of different speakers."""
    groups = pd.read_parquet(paths().manifest(dataset)).drop_duplicates("clip_id").set_index("clip_id")["group"]
    aucs = []
    for _, part in rows.groupby("fold"):
        speakers = groups[part["clip_id"]].to_numpy()
        fake, real = (part["label"] == 1).to_numpy(), (part["label"] == 0).to_numpy()
        scores = part["logit"].to_numpy()
        right = (np.sign(scores[fake][:, None] - scores[real]) + 1) / 2
        aucs.append(right[speakers[fake][:, None] != speakers[real]].mean())
    return float(np.mean(aucs))


def test_a_detector_is_asked_about_the_recordings_of_another_data_set(settings):
    cells = collect.run([PLAIN], [HOME, AWAY], settings, Heard())
    home, away = cells
    assert (home.in_domain, away.in_domain) == (True, False)
    manifest = pd.read_parquet(paths().manifest(AWAY)).query("split == 'dev'")
    assert set(away.held_out["sample_id"]) == set(manifest["clip_id"])
    assert not away.held_out.duplicated(["fold", "sample_id"]).any()
    assert home.auc.values.mean() == pytest.approx(between(clips(PLAIN)))
    whole = [roc_auc_score(part["label"], part["logit"]) for _, part in away.held_out.groupby("fold")]
    assert np.mean(whole) > 0.9
    (gap,) = gaps.of_datasets({(PLAIN, one.dataset): one for one in cells}, "", settings.evaluation).to_dict("records")
    assert gap["difference"] == pytest.approx(away.auc.values.mean() - home.auc.values.mean())
    assert (gap["metric"], gap["reference"], gap["dataset"]) == ("auc", HOME, AWAY)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": "voicez", "base": {}}, "unknown data set 'voicez'; did you mean voices"),
        ({"others": ["sample"]}, r"studies\.audio\.others: sample is of modality image, voices of audio"),
        ({"base": {"view": "crop_low"}}, r"studies\.audio\.runs\.bare\.view: crop_low is of modality image"),
    ],
)
def test_mistakes_in_the_section_are_told_before_anything_is_trained(settings, runner, changes, words):
    before = paths().params.read_text("utf-8")
    run = {"model": "lcnn", "train": "all"} | ({} if changes.get("base") else {"view": "lfcc"})
    section = {"dataset": HOME, "others": [], "base": {}, "runs": {"bare": run}, "contrasts": {}} | changes
    try:
        paths().params.write_text(yaml.safe_dump(changed(params(), {"studies.audio": section})))
        result = runner.invoke(cli.main, ["audio"])
        assert result.exit_code == 2 and re.search(words, result.output), result.output
        assert len(result.output.strip().splitlines()) == 1
    finally:
        paths().params.write_text(before)


@pytest.mark.parametrize(
    ("key", "value", "name"), [("dataset", HOME, HOME), ("studies.generalization.datasets", [AWAY], AWAY)]
)
def test_a_data_set_that_two_stages_would_prepare_is_told_before_dvc_refuses_it(settings, runner, key, value, name):
    before = paths().params.read_text("utf-8")
    try:
        paths().params.write_text(yaml.safe_dump(changed(params(), {key: value})))
        result = runner.invoke(cli.main, ["check"])
        said = f"params.yaml: {key}: {name} is prepared by the stages of studies.audio, and DVC allows no second ones"
        assert result.exit_code == 2 and said in result.output
        assert len(result.output.strip().splitlines()) == 1
    finally:
        paths().params.write_text(before)


def test_the_study_of_speech_concludes_and_writes_its_page(settings, runner):
    result = runner.invoke(cli.main, ["audio"])
    assert result.exit_code == 0, result.output
    found = {one["id"]: one for one in json.loads(paths().findings("audio").read_text("utf-8"))}
    recordings = clips(PLAIN)["clip_id"].nunique()
    assert found[f"chance.{PLAIN}"]["verdict"] == "above_chance"
    assert found[f"chance.{PLAIN}"]["n_samples"] == recordings
    assert found[f"chance.{PLAIN}"]["effect"] == pytest.approx(between(clips(PLAIN)), abs=1e-6)
    assert found[f"chance.{PLAIN}"]["key"]  # no run does without a source
    assert found[f"stored.{HOME}"]["n_samples"] == recordings
    assert f"chance.{PLAIN}.{AWAY}" in found and f"gap.{PLAIN}.{AWAY}" in found
    page = paths().page("audio").read_text("utf-8")
    assert "had 8 epochs on 100% of the training groups" in page
    assert "An unknown vocoder" not in page and "## Another data set" in page
