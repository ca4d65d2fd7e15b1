import math
import shutil

import numpy as np
import pytest
import yaml
from sklearn import metrics as reference

from conftest import ROOT, changed
from deepfake.config import params
from deepfake.datasets.external_columns import Options
from deepfake.errors import InputError
from deepfake.evaluation import performance
from deepfake.project import paths
from deepfake.studies.generalization import external

DRAWS = {"replicates": 200, "seed": 42, "confidence": 0.95}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    paths().params.write_text(yaml.safe_dump(changed(values, {"evaluation.bootstrap_replicates": 200})))
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
    expected = performance.of_scores(labels, grown, people, np.zeros(200, int), {0: 0.0}, **DRAWS)
    assert found.performance == expected
    assert found.groups == 20
    assert found.judged_by == "auc"
    assert found.counts.true_fakes == np.sum((labels == 1) & (grown >= 0))


def test_without_groups_every_row_is_its_own(settings):
    labels, scores, _ = write_results()
    path = paths().external_predictions / "results.csv"
    path.write_text("\n".join(line.rpartition(",")[0] for line in path.read_text().splitlines()))
    found = external.evaluate(path, Options(), settings)
    rows = np.arange(200)
    assert found.groups is None
    assert found.performance == performance.of_scores(labels, scores, rows, 0 * rows, {0: 0.0}, **DRAWS)


def test_the_committed_catalog_reports_what_the_plan_does(settings):
    (row,) = external.rows(settings)
    assert (row.name, row.title, row.files, row.reported) == ("original_eval", "Original Eval (reported)", None, True)
    accuracy = row.performance.pop("accuracy")
    assert accuracy.estimate == 0.997
    assert math.isnan(accuracy.low) and math.isnan(accuracy.high)
    assert row.performance == dict.fromkeys(set(performance.COLUMNS) - {"accuracy"})


def enter(**predictions):
    catalog = yaml.safe_load(paths().catalog.read_text("utf-8"))
    paths().catalog.write_text(yaml.safe_dump(catalog | {"predictions": predictions}))


def test_predictions_of_the_catalog_are_rows_after_what_was_reported(settings):
    labels, scores, _ = write_results()
    entry = {"title": "Theirs", "file": "results.csv", "dataset": "In-The-Wild", "group": "person", "threshold": 0.3}
    enter(theirs=entry)
    reported, row = external.rows(settings)
    assert reported.reported and not row.reported
    assert (row.name, row.title, row.dataset, row.files) == ("theirs", "Theirs", "In-The-Wild", 200)
    assert row.source == "data/predictions/results.csv"
    assert row.performance["accuracy"].estimate == reference.accuracy_score(labels, scores >= 0.3)
    assert row.performance["auc"].estimate == reference.roc_auc_score(labels, scores)
    assert list(row.performance) == list(performance.COLUMNS)


def test_a_mistake_in_a_file_names_the_entry(settings):
    enter(theirs={"title": "Theirs", "file": "none.csv", "dataset": "x"})
    with pytest.raises(
        InputError, match=r"predictions\.theirs in .*catalog\.yaml: data/predictions/none\.csv: not found"
    ):
        external.rows(settings)
