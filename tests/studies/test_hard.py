"""What models make of each other's errors, and what the page says of it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import percentileofscore

from deepfake import config as configs
from deepfake import tables
from deepfake.evaluation import agreement
from deepfake.evaluation.agreement import Panel
from deepfake.project import paths
from deepfake.reports import image_grid
from deepfake.studies.explain import cases, deep_figures, hard
from stored_runs import add_run, edit

RUN = "simple_cnn_low"
OTHER = "another"


def predict(name: str, seed: int) -> None:
    """Replace a run's predictions by worse ones: the tiny study's own make no error."""
    predictions = tables.read(paths().predictions(RUN), tables.PREDICTIONS).assign(experiment=name)
    noise = np.random.default_rng(seed).normal(size=len(predictions)) * 3 * predictions["logit"].std()
    worse = predictions.assign(logit=(predictions["logit"] + noise).round(3))
    tables.write(worse, paths().predictions(name), tables.PREDICTIONS)


def add_other(model: str = "another_model") -> None:
    """Write a run of another architecture, whose logits differ from the first one's."""
    add_run(OTHER, factor=1.0)
    edit(paths().config(OTHER), model=model)
    predict(OTHER, seed=0)


@pytest.fixture
def written(copied, monkeypatch):
    """Findings of both runs, and their tables and pictures."""
    drawn = []
    monkeypatch.setattr(image_grid, "draw", lambda *arguments, **options: drawn.append((arguments, options)))
    add_other()
    predict(RUN, seed=1)
    found = hard.run([RUN, OTHER], configs.load().evaluation)
    return {one.id: one for one in found}, drawn[0]


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(paths().table(f"explain_{name}"))


def verdicts(name: str) -> pd.DataFrame:
    return cases.read([name])[name].verdicts.set_index("sample_id")


def test_each_example_has_the_verdict_and_the_place_of_each_other_run(written):
    rows, listed = table("hard_others"), table("hard_examples")
    assert len(rows) == len(listed) > 4
    assert (rows["experiment"] != rows["other"]).all()
    both = {name: verdicts(name) for name in (RUN, OTHER)}
    for _, row in rows.iterrows():
        other = both[row["other"]]
        sample = other.loc[row["sample_id"]]
        fold = other.loc[other["fold"] == sample["fold"], "logit"]
        assert row["percentile"] == pytest.approx(percentileofscore(fold, sample["logit"], kind="mean") / 100, abs=1e-6)
        assert row["wrong"] == sample["wrong"]


def test_the_share_that_others_get_right_is_counted_by_hand(written):
    rows = table("errors").set_index("experiment")
    first, second = verdicts(RUN), verdicts(OTHER)
    errors = first[first["wrong"]].index
    assert rows.loc[RUN, "errors"] == len(errors) and rows.loc[RUN, "samples"] == len(first)
    assert rows.loc[RUN, "right"] == pytest.approx((~second.loc[errors, "wrong"]).mean(), rel=1e-5)
    assert rows.loc[RUN, "nobody"] == pytest.approx(second.loc[errors, "wrong"].mean(), rel=1e-5)
    found, _ = written
    assert found[f"rescued.{RUN}"].effect == pytest.approx(rows.loc[RUN, "right"], rel=1e-4)
    row = table("agreement").iloc[0]
    assert found["errors"].effect == pytest.approx(row["error_kappa"], rel=1e-4)


def test_captions_say_how_many_others_are_right(written):
    _, ((images, captions, path), options) = written
    assert path == paths().photograph("hard_examples") and len(options["rows"]) == len(images) == 4
    listed, others = table("hard_examples"), table("hard_others")
    first = listed[(listed["experiment"] == RUN) & (listed["kind"] == "false positive")].iloc[0]
    wrong = others.query("experiment == @RUN and sample_id == @first.sample_id")["wrong"].iloc[0]
    assert captions[0][0].endswith(f"{0 if wrong else 1} of 1 others right")
    assert first["source"] in captions[0][0]
    assert [len(row) for row in images] == [hard.HARD] * 4


def test_the_page_has_the_counts_of_the_table(written):
    values = hard.values()
    assert values["hard_models"] == 2 and values["hard_pairs"] == 1
    assert "of 1 " in values["hard"] and OTHER in values["hard_errors"]


@pytest.mark.parametrize("others", [False, True])
def test_without_another_architecture_nothing_is_asked(copied, others):
    names = [RUN]
    if others:
        add_other("simple_cnn")
        names.append(OTHER)
    predict(RUN, seed=1)
    found = {one.id: one for one in hard.run(names, configs.load().evaluation)}
    assert found["errors"].verdict == found[f"rescued.{RUN}"].verdict == "not_run"
    assert found["errors"].note
    rows = table("errors")
    assert rows["right"].isna().all() and (rows["others"] == 0).all() and (rows["errors"] > 0).all()
    assert len(table("agreement")) == others and len(table("hard_others")) == others * len(table("hard_examples"))
    hard.values()


def test_runs_that_make_the_same_errors_are_said_to(copied):
    add_run(OTHER, factor=2.0)
    predict(RUN, seed=1)
    logits = tables.read(paths().predictions(RUN), tables.PREDICTIONS).assign(experiment=OTHER)
    tables.write(logits.assign(logit=2 * logits["logit"]), paths().predictions(OTHER), tables.PREDICTIONS)
    edit(paths().config(OTHER), model="another_model")
    found = {one.id: one for one in hard.run([RUN, OTHER], configs.load().evaluation)}
    assert found["errors"].effect == pytest.approx(1) and table("errors")["right"].tolist() == [0, 0]
    assert table("agreement")[["kappa", "spearman", "error_kappa"]].iloc[0].tolist() == pytest.approx([1, 1, 1])


def test_of_many_groups_the_first_by_a_hash_are_compared_whatever_their_order(monkeypatch):
    groups = pd.Series([f"g{number % 50}" for number in range(200)])
    assert hard._chosen(groups).all()
    monkeypatch.setattr(hard, "GROUPS", 7)
    chosen = hard._chosen(groups)
    assert groups[chosen].nunique() == 7 and chosen.sum() == 28
    shuffled = groups.sample(frac=1, random_state=0)
    assert set(shuffled[hard._chosen(shuffled)]) == set(groups[chosen])


def test_an_example_that_not_all_held_out_has_no_row_and_no_count():
    samples = pd.DataFrame({"sample_id": ["a", "b"], "fold": 0, "label": [0, 1], "source": "s", "group": ["g", "h"]})
    frame = samples.assign(logit=[1.0, 0.0], wrong=True)
    sides = Panel.of({"one": frame, "two": frame})
    listed = frame.assign(experiment="one", kind="false positive", rank=[1, 2])
    gone = pd.concat([listed, listed.head(1).assign(sample_id="c", rank=3)])
    found = hard.of_others(gone, sides)
    assert found["sample_id"].tolist() == ["a", "b"] and set(found["other"]) == {"two"}


@pytest.mark.parametrize(("models", "numbers"), [(3, 3 * 3), (16, 0)])
def test_cells_have_numbers_where_there_is_room(copied, monkeypatch, models, numbers):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"sample_id": [f"s{row}" for row in range(60)], "fold": np.arange(60) % 2})
    frame = frame.assign(label=np.arange(60) // 30, source="one", group=(np.arange(60) % 10).astype(str))
    said = {
        f"m{number}_{'x' * 36}": frame.assign(logit=rng.normal(size=60), wrong=rng.random(60) < 0.4)
        for number in range(models)
    }
    sides = Panel.of(said)
    drawn = []
    monkeypatch.setattr(deep_figures.figures, "save", lambda figure, path: drawn.append(figure))
    deep_figures.agreement(agreement.table(sides, agreement.agreements(sides), 0.95))
    assert sum(len(axes.texts) for axes in drawn[0].axes) == numbers
