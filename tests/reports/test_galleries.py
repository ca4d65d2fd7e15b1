import shutil

import numpy as np
import pandas as pd
import pytest
from markdown_tables import shown, table

from conftest import ROOT
from deepfake import tables
from deepfake.config import params
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.studies.explain import galleries
from deepfake.studies.explain import page as explain_page
from deepfake.tables import results


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def heat(source: str, excess: float, verdict: str = "all", images: int = 50) -> dict:
    figures = {"heat": 0.4 + excess, "area": 0.4, "excess": excess, "low": excess - 0.02, "high": excess + 0.02}
    if not images:
        figures = dict.fromkeys(figures, np.nan)
    facts = {"experiment": "plain", "label": 1, "source": source, "verdict": verdict, "images": images}
    return facts | {"groups": 9, "without_heat": 10, **figures, "cells": 4}


def test_where_heat_lies_follows_from_intervals():
    rows = [heat("a", 0.05), heat("b", -0.05), heat("c", 0.01), heat("c", 0, "wrong", images=0)]
    tables.write_csv(pd.DataFrame(rows), paths().table("explain_gradcam"))
    text = galleries.attention(0.95)
    for told in ("more than its area explains for a;", "less than its area explains for b;", "even heat for c."):
        assert told in text
    assert "17%" in text and "4×4" in text
    _, *rows = table(text)
    assert rows[0] == ["plain", "a", "all", "45.0%", "40.0%", "+5.0 [+3.0, +7.0] points", "50 (9)", "10"]
    assert rows[3] == ["plain", "c", "wrong", "", "", "", "0 (9)", "10"]
    assert "nan" not in text


def errors(source: str, confident: int, low: float, high: float) -> dict:
    facts = {"experiment": "plain", "label": int(source != "wiki"), "source": source, "samples": 100, "groups": 9}
    return facts | {"errors": 40, "confident": confident, "share": confident / 100, "low": low, "high": high}


def certainty(rows: list[dict]) -> str:
    tables.write_csv(pd.DataFrame(rows), paths().table("explain_confident_errors"))
    bins = pd.DataFrame({"bin": range(20), "low": np.arange(20) / 20, "high": np.arange(1, 21) / 20, "count": 5})
    parts = [bins.assign(experiment="plain", label=row["label"], source=row["source"], share=0.05) for row in rows]
    tables.write_csv(pd.concat(parts), paths().table("explain_confidence"))
    return galleries.certainty(0.95)


@pytest.mark.parametrize(("others", "below"), [((0.05, 0.15), True), ((0.05, 0.35), False)])
def test_the_source_of_confident_errors_is_told_from_the_others_by_intervals(others, below):
    rows = [errors("wiki", 10, *others), errors("insight", 30, 0.2, 0.4), errors("text2img", 10, *others)]
    text = certainty(rows)
    (sentence,) = [line for line in text.splitlines() if line.startswith("- ")]
    assert "50 of 300" in sentence and "insight: 30 of 100, 30.0% [20.0%, 40.0%]" in sentence
    assert ("text2img and wiki" in sentence) is below
    assert paths().figure("explain_confidence").stat().st_size > 5_000


def test_where_no_error_is_confident_nothing_is_made_of_it():
    assert "no confident error on 100" in certainty([errors("wiki", 0, 0.0, 0.0)])


def write_hard() -> None:
    rows = pd.DataFrame({"kind": "false negative", "rank": [1, 2, 3], "sample_id": ["x", "y", "z"], "fold": 2})
    facts = {"experiment": "plain", "group": "04", "logit": -4.25, "margin": -2.5}
    rows = rows.assign(source=["insight", "insight", "text2img"], **facts)
    columns = list(results.RESULTS["explain_hard_examples"].columns)
    results.write(rows.reindex(columns=columns), "explain_hard_examples")


def test_hard_examples_are_counted_by_source():
    write_hard()
    for told in ("3 hardest false negatives", "2 insight, 1 text2img", "1 group;", "x (fold 2, logit -4.25, 2.5 "):
        assert told in galleries.hard()


def test_the_page_shows_all_of_it_and_nothing_before_there_is_something_to_show():
    shutil.copy(ROOT / paths().params, paths().params)
    settings = params.load()
    with pytest.raises(InputError, match=r"explain_gradcam\.csv: .*deepfake explain"):
        explain_page.write(settings)
    tables.write_csv(pd.DataFrame([heat("a", 0.05)]), paths().table("explain_gradcam"))
    told = certainty([errors("wiki", 10, 0.05, 0.15)])
    write_hard()
    # what comes from elsewhere
    for path in (paths().summary, paths().page("phase4"), *map(paths().photograph, ("gradcam", "hard_examples"))):
        tables.write_text("", path)
    explain_page.write(settings)
    pictures = ["photographs/gradcam.png", "explain/explain_confidence.png", "photographs/hard_examples.png"]
    assert shown("explain") == pictures
    for part in (galleries.attention(settings.evaluation.confidence), told, galleries.hard()):
        assert part in paths().page("explain").read_text("utf-8")
