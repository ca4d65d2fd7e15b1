import shutil

import numpy as np
import pytest
import yaml
from sklearn import metrics as reference

from conftest import ROOT
from deepfake.config import params
from deepfake.datasets.external_columns import Options
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
    found = external.evaluate(paths().external_predictions / "results.csv", Options(), settings)
    grown = scores * direction
    expected = performance.of_scores(EvalSet.of_arrays(labels, grown, people), grown >= 0, 0.95)
    assert found.performance == expected
    assert found.groups == 20
    assert found.judged_by == "auc" and found.chance.word == "above_chance"
    assert found.confusion["true_positives"] == np.sum((labels == 1) & (grown >= 0))


def test_without_groups_every_row_is_its_own(settings):
    labels, scores, _ = write_results()
    path = paths().external_predictions / "results.csv"
    path.write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()))
    found = external.evaluate(path, Options(), settings)
    assert found.groups is None
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


def test_a_mistake_in_a_file_names_the_entry(settings):
    enter(theirs={"title": "Theirs", "file": "none.csv", "dataset": "x"})
    with pytest.raises(
        InputError, match=r"predictions\.theirs in .*catalog\.yaml: data/predictions/none\.csv: not found"
    ):
        external.rows(settings)
