"""The model cards of a synthetic study: who has one, what it is worth by other arithmetic, and whose limits it has."""

import dataclasses
import json

import numpy as np
import pandas as pd
import parsed_pages
import pytest
from joined_predictions import joined
from scipy.special import expit

from deepfake import config
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.studies.site import limits, measures, models, runs
from deepfake.studies.site.appearances import Tables
from deepfake.tables import results as result_tables

pytest_plugins = ["reports.reported_study"]


@pytest.fixture(scope="module")
def written(reported):
    """The project, its runs, and the cards of its models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(reported[0])
        known = runs.read_all()
        return reported[0], {run.name: run for run in known}, models.write(known)


@pytest.fixture
def known(written, monkeypatch):
    monkeypatch.chdir(written[0])
    return written[1]


def card(name: str) -> parsed_pages.Page:
    return parsed_pages.read(paths().site / f"models/{name}.html")


def held_out(name: str) -> pd.DataFrame:
    """Return held-out predictions with labels, sources and groups."""
    rows = joined(name)
    return rows[rows["subset"] == "held_out"]


def test_each_run_of_the_phases_that_compare_models_has_a_card(known, written):
    cards = {path.stem for path in written[2]} - {"index"}
    assert cards == {run.name for run in known.values() if run.study in ("phase1", "phase3", "phase4")}
    index = parsed_pages.read(written[2][-1])
    assert sorted(index.column("All models", "Run")) == sorted(cards)
    assert {f"../models/{name}.html" for name in cards} <= set(index.links)


def test_the_headings_are_those_of_the_paper(known):
    text = card("backbone_best").text
    headings = ["Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data"]
    headings += ["Quantitative analyses", "Ethical considerations", "Caveats"]
    assert [heading for heading in headings if heading not in text] == []
    assert "It must not be used" in text


def test_the_auc_of_a_source_is_over_pairs_of_different_groups(known):
    rows = held_out("backbone_best")
    shown = dict(zip(card("backbone_best").column("AUC by source", "Figure"), measured(), strict=True))
    for source in ("insight", "text2img", "inpainting"):
        aucs = []
        for _, part in rows.groupby("fold"):
            reals, fakes = part[part["label"] == 0], part[part["source"] == source]
            wins = np.subtract.outer(fakes["logit"].to_numpy(), reals["logit"].to_numpy())
            apart = fakes["group"].to_numpy()[:, None] != reals["group"].to_numpy()[None, :]
            aucs.append(((wins > 0) + (wins == 0) / 2)[apart].mean())
        assert shown[source].startswith(f"{np.mean(aucs):.3f} [")


def measured() -> list[str]:
    return card("backbone_best").column("AUC by source", "Value [95% CI]")


def test_the_operating_point_pools_counts_at_each_folds_own_threshold(known):
    rows = held_out("simple_cnn_best")
    records = [
        json.loads(paths().checkpoint_record("simple_cnn_best", fold).read_text()) for fold in sorted(set(rows["fold"]))
    ]
    threshold = rows["fold"].map({record["fold"]: record["threshold"] for record in records})
    fake, called = rows["label"] == 1, rows["logit"] >= threshold
    by_repeat = rows.assign(right=fake == called, called=called).groupby("repeat")
    expected = {
        "recall (fake)": np.mean([part[part["label"] == 1]["right"].mean() for _, part in by_repeat]),
        "recall (real)": np.mean([part[part["label"] == 0]["right"].mean() for _, part in by_repeat]),
        "false positive rate": np.mean([part[part["label"] == 0]["called"].mean() for _, part in by_repeat]),
    }
    shown = card("simple_cnn_best")
    figures = shown.column("Figures at the tuned threshold", "Figure")
    values = dict(zip(figures, shown.column("Figures at the tuned threshold", "Value [95% CI]"), strict=True))
    for name, value in expected.items():
        assert values[name].startswith(f"{value:.3f} [")
    assert f"{expected['false positive rate']:.0%} of real images are predicted fake" in shown.text


def test_calibration_is_that_of_each_folds_probabilities(known):
    rows = held_out("backbone_low")
    records = [
        json.loads(paths().checkpoint_record("backbone_low", fold).read_text()) for fold in sorted(set(rows["fold"]))
    ]
    temperature = rows["fold"].map({record["fold"]: record["temperature"] for record in records})

    def ece(part: pd.DataFrame) -> float:
        place = np.minimum(np.ceil(part["p"] * 15).clip(lower=1), 15)  # 15 bins, closed on the right
        gaps = [len(some) * abs(some["p"].mean() - some["label"].mean()) for _, some in part.groupby(place)]
        return sum(gaps) / len(part)

    shown = card("backbone_low").column("Calibration before and after temperature scaling", "ECE")
    for text, logits in zip(shown, (rows["logit"], rows["logit"] / temperature), strict=True):
        folds = rows.assign(p=expit(logits)).groupby("fold")
        assert text == f"{np.mean([ece(part) for _, part in folds]):.3f}"
    floor = card("backbone_low").column("Calibration before and after temperature scaling", "ECE by chance alone")
    assert all(0 < float(one) < 0.5 for one in floor)


def test_only_the_final_model_has_figures_of_the_test_set(known):
    final = config.read_final()
    auc = result_tables.read("final_test").set_index("metric").loc["AUC"]
    value = f"{auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]"
    assert value in card(final).column("Figures on the test set", "Value [95% CI]")
    for name in ("backbone_best", "simple_cnn_low"):
        assert "Figures on the test set" not in card(name).tables
        assert "The test set was not opened for it" in card(name).text
    index = parsed_pages.read(paths().site / models.INDEX)
    opened = dict(zip(index.column("All models", "Run"), index.column("All models", "Test AUC [95% CI]"), strict=True))
    assert {name for name, told in opened.items() if told != "-"} == {final} and opened[final] == value


@pytest.mark.parametrize(
    ("changes", "rank", "said"),
    [
        ({}, 0, "this run"),
        ({"experiment": "other", "fraction": 0.75, "repeats": 1}, 1, "same recipe, 75% of the training groups"),
        ({"experiment": "other", "seed": 7}, 1, "same recipe, 50% of the training groups"),
        ({"experiment": "other", "dataset": "else", "sampler": "weighted"}, 3, "same model; other data, sampling"),
        ({"experiment": "other", "model": "resnet18"}, None, ""),
        ({"experiment": "other", "train": "all"}, None, ""),
    ],
)
def test_relatives_are_as_near_as_their_settings(known, changes, rank, said):
    own = known["backbone_low"].config
    near = limits.relation(own, own.model_copy(update=changes))
    assert near == (None if rank is None else limits.Relation(rank, said))


def gaps(**values: float) -> pd.DataFrame:
    """Return the table of generalization gaps, a row a run."""
    rows = pd.DataFrame({"experiment": list(values), "difference": list(values.values())})
    rows = rows.assign(metric="auc", dataset="elsewhere", reference="sample", source=None, verdict="worse", reason=None)
    rows = rows.assign(low=rows["difference"] - 0.1, high=rows["difference"] + 0.1, p=0.01, detectable=0.1)
    return rows.assign(samples=100, groups=10, repeats=1)


def test_limits_are_those_of_the_nearest_relative(known):
    tables = Tables()
    tables._read["generalization_gaps"] = gaps(backbone_high=-0.25, backbone_augmented=-0.5, simple_cnn_low=-0.125)
    found = limits.of(known["backbone_best_all"], list(known.values()), tables)
    rows = found.table.numbers
    assert rows["run"].tolist() == ["backbone_high"] and rows["value"].tolist() == [-0.25]
    assert rows["relation"].tolist() == ["same recipe, 50% of the training groups"]
    assert found.unmeasured == ["corrupted images", "shortcuts"]
    assert limits.of(known["simple_cnn_low"], list(known.values()), tables).table.numbers["value"].tolist() == [-0.125]


def test_what_was_not_measured_is_said(known):
    text = card("simple_cnn_low").text
    for topic in ("corrupted images", "other data sets", "shortcuts"):
        assert f"How it does on {topic} was measured neither on it nor on a run of the same model." in text
    assert "Grad-CAM has not been measured on this run" in text


def test_weights_say_where_they_are_from(known):
    assert "whose metadata name no licence" in models.origin(known["backbone_low"])
    assert "trained here, from random ones" in models.origin(known["simple_cnn_low"])


def test_packages_of_weights_name_no_licence(known):
    from importlib import metadata

    for package in models.PACKAGED.values():
        try:
            found = metadata.metadata(package.partition("==")[0]).json
        except metadata.PackageNotFoundError:
            pytest.skip(f"{package} is not installed")
        told = [found.get("license"), found.get("license_expression"), *(found.get("classifier") or [])]
        assert not [one for one in told if one and one != "UNKNOWN" and not str(one).startswith("Programming")]


def test_without_predictions_a_card_says_so(known):
    bare = dataclasses.replace(known["backbone_low"], joined=None, records={})
    settings = config.load()
    assert (
        measures.by_source(bare, 0.95)
        is measures.at_threshold(bare, 0.95)
        is measures.calibration(bare, settings)
        is None
    )


def test_a_damaged_table_is_an_error_that_names_it(known, monkeypatch):
    monkeypatch.setattr(result_tables, "read", lambda name: (_ for _ in ()).throw(InputError(f"{name}: damaged")))
    with pytest.raises(InputError, match="_experiments: damaged"):
        models.write(list(known.values()))
