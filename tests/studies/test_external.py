import shutil

import numpy as np
import pytest
import yaml
from sklearn import metrics as reference

from conftest import ROOT
from deepfake.config import params
from deepfake.datasets.external.options import Options
from deepfake.errors import InputError
from deepfake.evaluation import performance
from deepfake.evaluation.evalset import EvalSet
from deepfake.project import paths
from deepfake.studies.generalization import external


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / paths().params, paths().params)
    paths().external_predictions.mkdir(parents=True)
    shutil.copy(ROOT / paths().catalog, paths().catalog)
    return params.load()


def write_results(name="results.csv", samples=200, direction=1):
    """Write predictions of people with ten samples each; return labels, scores and people."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, samples)
    people = np.arange(samples) // 10
    scores = direction * (rng.normal(size=samples) + labels + rng.normal(size=people.max() + 1)[people])
    rows = zip(labels, scores.tolist(), people, strict=True)
    content = "".join(f"{('real', 'fake')[label]},{score!r},{person}\n" for label, score, person in rows)
    (paths().external_predictions / name).write_text(
        f"label,{'score' if direction == 1 else 'p_real'},person\n{content}"
    )
    return labels, scores, people


@pytest.mark.parametrize("direction", [1, -1], ids=["score", "score of real"])
def test_all_columns_are_those_of_one_fold(settings, direction):
    labels, scores, people = write_results(direction=direction)
    options = Options(threshold=0.0, group="person")
    found = external.evaluate(paths().external_predictions / "results.csv", options, settings)
    grown = scores * direction
    expected = performance.of_scores(EvalSet.of_arrays(labels, grown, people), grown >= 0, 0.95)
    average = found.performance.pop("ap")
    assert found.performance == expected
    assert average.value == pytest.approx(reference.average_precision_score(labels, grown))
    assert found.groups == 20
    assert found.judged_by == "auc" and found.chance.word == "above_chance"
    assert found.confusion["true_positives"] == np.sum((labels == 1) & (grown >= 0))


def test_without_groups_every_row_is_its_own(settings):
    labels, scores, _ = write_results()
    path = paths().external_predictions / "results.csv"
    path.write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()))
    found = external.evaluate(path, Options(threshold=0.0), settings)
    assert found.groups is None
    found.performance.pop("ap")
    assert found.performance == performance.of_scores(
        EvalSet.of_arrays(labels, scores, np.arange(200)), scores >= 0, 0.95
    )
    # without pairs in groups both are the usual AUC
    assert found.performance["auc"].value == found.performance["auc_all"].value


def test_sources_are_held_against_all_reals(settings):
    labels, scores, people = write_results()
    path = paths().external_predictions / "results.csv"
    header, *lines = path.read_text().splitlines()
    kinds = np.where(labels == 0, "camera", np.where(people % 2, "swap", "morph"))
    path.write_text("\n".join([f"{header},kind", *(f"{line},{kind}" for line, kind in zip(lines, kinds, strict=True))]))
    found = external.evaluate(path, Options(source="kind"), settings)
    assert list(found.sources) == ["morph", "swap"]
    for name, (between, usual) in found.sources.items():
        rows = np.isin(kinds, ["camera", name])
        assert usual.value == pytest.approx(reference.roc_auc_score(labels[rows], scores[rows]))
        assert between.value != usual.value
    assert external.evaluate(path, Options(), settings).sources == {}


def test_without_a_threshold_only_the_ranking_counts(settings):
    write_results()
    found = external.evaluate(paths().external_predictions / "results.csv", Options(), settings)
    assert set(found.known) == {"auc", "auc_all", "ap", "eer"}
    assert "--threshold" in found.performance["accuracy"]
    assert found.confusion is None and found.chance.word == "above_chance"


@pytest.mark.parametrize("label", ["fake", "real"])
def test_of_one_class_the_share_predicted_right_has_an_interval(settings, label):
    rng = np.random.default_rng(0)
    called, people = rng.random(200) < 0.7, np.arange(200) // 10
    rows = "".join(f"{label},{'fake' if one else 'real'},{who}\n" for one, who in zip(called, people, strict=True))
    path = paths().external_predictions / "results.csv"
    path.write_text(f"label,pred,who\n{rows}")
    found = external.evaluate(path, Options(), settings)
    assert set(found.known) == ({"accuracy", "recall"} if label == "fake" else {"accuracy"})
    right = found.known["accuracy"]
    assert right.value == np.mean(called == (label == "fake"))
    # with one row a person it is the textbook's error of a mean
    assert right.se == pytest.approx((called == (label == "fake")).std(ddof=1) / np.sqrt(200))
    assert found.chance is None
    grouped = external.evaluate(path, Options(group="who"), settings).known["accuracy"]
    shares = np.array([np.mean(called[people != who] == (label == "fake")) for who in range(20)])
    assert grouped.se == pytest.approx(np.sqrt(19 / 20 * ((shares - shares.mean()) ** 2).sum()))


def test_one_class_without_predictions_says_nothing(settings):
    path = paths().external_predictions / "results.csv"
    path.write_text("label,score\nfake,-3\nfake,2\n")
    with pytest.raises(InputError, match=r"results\.csv: one class only, and nothing is predicted of it .*--threshold"):
        external.evaluate(path, Options(), settings)


def test_each_other_label_is_a_source(settings):
    labels, scores, _ = write_results()
    path = paths().external_predictions / "results.csv"
    kinds = np.where(labels == 0, "original", np.where(np.arange(200) % 2, "Deepfakes", "Face2Face"))
    path.write_text("label,score\n" + "".join(f"{k},{s!r}\n" for k, s in zip(kinds, scores.tolist(), strict=True)))
    found = external.evaluate(path, Options(negative=("original",)), settings)
    assert list(found.sources) == ["Deepfakes", "Face2Face"]
    rows = kinds != "Face2Face"
    usual = found.sources["Deepfakes"][1]
    assert usual.value == pytest.approx(reference.roc_auc_score(labels[rows], scores[rows]))


def test_the_committed_catalog_reports_what_the_plan_does(settings):
    (row,) = external.rows(settings)
    assert (row.title, row.samples, row.reported) == ("Original Eval (reported)", None, True)
    assert row.figures == {"accuracy": 0.997}


def enter(**predictions):
    catalog = yaml.safe_load(paths().catalog.read_text("utf-8"))
    paths().catalog.write_text(yaml.safe_dump(catalog | {"predictions": predictions}))


def test_predictions_of_the_catalog_are_rows_after_what_was_reported(settings):
    labels, scores, _ = write_results()
    entry = {"title": "Theirs", "file": "results.csv", "dataset": "In-The-Wild", "group": "person", "threshold": 0.3}
    enter(theirs=entry)
    reported, row = external.rows(settings)
    assert reported.reported and not row.reported
    assert (row.title, row.dataset, row.samples) == ("Theirs", "In-The-Wild", 200)
    assert row.figures["accuracy"] == pytest.approx(reference.accuracy_score(labels, scores >= 0.3))
    assert row.figures["auc_all"] == pytest.approx(reference.roc_auc_score(labels, scores))
    assert row.figures["auc_low"] < row.figures["auc"] < row.figures["auc_high"]


def test_an_entry_says_all_that_the_command_line_can(settings):
    folder = paths().external_predictions
    (folder / "scores.txt").write_text("".join(f"v{row // 3} {row % 7}\n" for row in range(90)))
    (folder / "key.txt").write_text(
        "".join(f"S{row} v{row} - A01 {('bonafide', 'spoof')[row % 2]}\n" for row in range(30))
    )
    said = {"key": "key.txt", "higher": "real", "aggregate": "max", "clip": "1", "missing": 0.5, "threshold": 2}
    entry = {"title": "Theirs", "file": "scores.txt", "dataset": "x", "negative": "bonafide", **said}
    enter(theirs=entry)
    assert external.rows(settings)[1].samples == 30


def test_a_mistake_in_a_file_names_the_entry(settings):
    enter(theirs={"title": "Theirs", "file": "none.csv", "dataset": "x"})
    with pytest.raises(
        InputError, match=r"predictions\.theirs in .*catalog\.yaml: data/predictions/none\.csv: not found"
    ):
        external.rows(settings)
