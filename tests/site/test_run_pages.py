"""The pages of the runs of a synthetic study: their figures, computed again from the predictions by other means."""

from typing import Any

import numpy as np
import pandas as pd
import parsed_pages
import pytest
from joined_predictions import joined
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from deepfake.project import paths
from deepfake.studies.site import appearances, run_facts, runs
from deepfake.studies.site.appearances import Tables
from deepfake.tables import results as result_tables

pytest_plugins = ["reports.reported_study"]


@pytest.fixture(scope="module")
def written(reported):
    """The project, its runs, and their pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(reported[0])
        known = runs.read_all()
        return reported[0], {run.name: run for run in known}, runs.write(known)


@pytest.fixture
def known(written, monkeypatch):
    monkeypatch.chdir(written[0])
    return written[1]


def page(name: str) -> parsed_pages.Page:
    return parsed_pages.read(paths().site / appearances.address(name))


def test_every_run_has_a_page_and_a_row_in_the_index(known, written):
    assert {path.stem for path in written[2]} == {*known, "index"}
    index = parsed_pages.read(written[2][-1])
    assert index.column("All runs", "Run") == [name for _, name in run_facts.names()]
    assert {f"../runs/{name}.html" for name in known} <= set(index.links)
    for name in ("simple_cnn_low", "backbone_matched"):
        assert f"../{known[name].study}.html" in index.links


def test_folds_are_those_of_the_predictions(known):
    rows, shown = joined("backbone_best"), page("backbone_best")
    for subset, heading in (("held_out", "Held-out AUC"), ("train", "Train AUC"), ("validation", "Validation AUC")):
        parts = rows[rows["subset"] == subset].groupby("fold")
        expected = [f"{roc_auc_score(part['label'], part['logit']):.3f}" for _, part in parts]
        assert shown.column("Folds", heading) == expected
    held_out = rows[rows["subset"] == "held_out"].groupby("fold").size()
    assert shown.column("Folds", "Held-out samples") == [str(count) for count in held_out]


def test_the_histogram_counts_the_first_repeat_once(known):
    rows = joined("backbone_low")
    rows = rows[(rows["subset"] == "held_out") & (rows["repeat"] == 0)]
    shown = page("backbone_low")
    for source, part in rows.groupby("source"):
        counts, _ = np.histogram(expit(part["logit"]), bins=20, range=(0, 1))
        expected = [f"{share:.1%}" for share in counts / len(part)]
        assert shown.column("Predictions by source", str(source)) == expected
        assert f"{source} (" in shown.text and f"{len(part):,} samples" in shown.text
    charts = [named for tag, named in shown.tags if tag == "svg"]
    assert len(charts) == rows["source"].nunique()  # the backbone is a frozen one: there are no epochs to draw
    assert all(named["role"] == "img" and named["aria-label"] for named in charts)


def test_learning_curves_are_means_over_folds(known):
    history = pd.read_csv(paths().history("simple_cnn_low"))
    shown = page("simple_cnn_low")
    expected = history.groupby("epoch")["validation_auc"].mean()
    assert shown.column("Learning curves", "Validation AUC") == [f"{value:.3f}" for value in expected]
    assert shown.column("Learning curves", "Epoch") == [str(epoch) for epoch in expected.index]
    assert any("by epoch" in str(named.get("aria-label")) for tag, named in shown.tags if tag == "svg")


def test_confusion_is_that_of_the_run(known):
    counts = pd.read_csv(paths().confusion("backbone_low")).set_index(["actual", "predicted"])["count"]
    shown = page("backbone_low").tables["Confusion matrix"]
    assert shown[0] == ["actual", "predicted real", "predicted fake", "recall"]
    for row, actual in zip(shown[1:], ("real", "fake"), strict=True):
        own = counts[actual]
        recall = f"{own[actual] / own.sum():.1%}"
        assert row == [actual, f"{own['real']:,}", f"{own['fake']:,}", recall]


def test_the_interval_is_that_of_the_studys_table(known):
    for name, table in (("backbone_low", "phase1_experiments"), ("backbone_best_all", "phase4a_experiments")):
        row = result_tables.read(table).set_index("experiment").loc[name]
        expected = f"{row['auc']:.3f} [{row['auc_low']:.3f}, {row['auc_high']:.3f}]"
        assert page(name).column("AUC of the run", "AUC [interval]") == [expected]


def test_a_contrast_is_seen_from_either_side(known):
    row: Any = result_tables.read("phase1_tests").set_index("experiment").loc["backbone_low"]
    own, other = page("backbone_low"), page("simple_cnn_low")
    change = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    assert change in own.column("Planned contrasts", "Change [interval]")
    turned = f"{-row['difference']:+.3f} [{-row['high']:+.3f}, {-row['low']:+.3f}]"
    place = other.column("Planned contrasts", "Against").index("backbone_low")
    assert other.column("Planned contrasts", "Change [interval]")[place] == turned
    words = {"better": "worse", "worse": "better"}
    mirrored = words.get(row["verdict"], row["verdict"])
    assert other.column("Planned contrasts", "Verdict on this run")[place] == mirrored
    assert row["verdict"] == "better"  # the planted effect: or the test would pass without a verdict to turn


def test_the_configuration_is_that_of_the_run(known):
    shown, config = page("backbone_augmented").settings("Configuration"), known["backbone_augmented"].config
    assert shown["Seed"] == "42" and shown["Preset"] == "quick"
    assert f"{config.resolution} px" in shown["Input"] and "flip 50%" in shown["Augmentation"]
    assert config.model in shown["Model"]
    assert '"oversampling": 1.5' in page("backbone_augmented").text


def test_a_run_that_re_evaluates_says_so(known):
    shown = page("backbone_matched")
    assert "backbone_resized predicts again" in shown.text
    assert "There is no history: nothing was trained." in shown.text
    assert "deepfake predict FILE --run backbone_resized" in shown.text


def test_a_frozen_backbone_has_no_epochs(known):
    assert "There are no epochs" in page("backbone_low").text


def test_studies_that_show_a_run_are_linked(known):
    tables = Tables()
    for name, study in (("backbone_best_all", "final"), ("backbone_best", "phase3"), ("simple_cnn_low", "phase1")):
        assert study in {place.study for place in appearances.uses(known[name], tables)}
        assert f"../{study}.html" in page(name).links
    finalist = appearances.uses(known["backbone_best"], tables)
    assert "trained on more data" in {place.use for place in finalist}


def test_pages_are_small_and_the_same_each_time(known, written):
    before = {path: path.read_bytes() for path in written[2]}
    assert max(map(len, before.values())) < 60_000
    assert [path.read_bytes() for path in runs.write()] == list(before.values())


def test_no_page_has_an_id_twice_or_loads_from_elsewhere(known, written):
    for path in written[2]:
        tags = parsed_pages.read(path).tags
        ids = [named["id"] for _, named in tags if "id" in named]
        assert len(ids) == len(set(ids))
        for _, named in tags:
            for attribute in ("src", "href", "data", "srcset"):
                assert "//" not in (named.get(attribute) or "").removeprefix("data:image/svg+xml,%3Csvg xmlns='http://")
