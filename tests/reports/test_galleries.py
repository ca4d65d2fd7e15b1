import re
import shutil

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT
from deepfake import layout, params, tables
from deepfake.errors import InputError
from deepfake.reports import explain, galleries


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
    tables.write_csv(pd.DataFrame(rows), layout.table("gradcam"))
    text = galleries.attention(0.95)
    assert (
        "The heat of **plain** lies on the face more than its area explains for a; lies on the face less than its "
        "area explains for b; cannot be told from even heat for c. In 17% of the images nothing speaks for a fake. "
        "Its map has 4×4 cells."
    ) in text
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| plain")
    ]
    assert rows[0] == ["plain", "a", "all", "45.0%", "40.0%", "+5.0 [+3.0, +7.0] points", "50 (9)", "10"]
    assert rows[3] == ["plain", "c", "wrong", "", "", "", "0 (9)", "10"]
    assert "nan" not in text


def errors(source: str, confident: int, low: float, high: float) -> dict:
    facts = {"experiment": "plain", "label": int(source != "wiki"), "source": source, "samples": 100, "groups": 9}
    return facts | {"errors": 40, "confident": confident, "share": confident / 100, "low": low, "high": high}


def certainty(rows: list[dict]) -> str:
    tables.write_csv(pd.DataFrame(rows), layout.table("confident_errors"))
    bins = pd.DataFrame({"bin": range(20), "low": np.arange(20) / 20, "high": np.arange(1, 21) / 20, "count": 5})
    parts = [bins.assign(experiment="plain", label=row["label"], source=row["source"], share=0.05) for row in rows]
    tables.write_csv(pd.concat(parts), layout.table("confidence"))
    return galleries.certainty(0.95)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ((0.05, 0.15), "; the intervals of text2img and wiki lie below."),
        ((0.05, 0.35), "; the intervals of all sources overlap."),
    ],
)
def test_the_source_of_confident_errors_is_told_from_the_others_by_intervals(others, words):
    rows = [errors("wiki", 10, *others), errors("insight", 30, 0.2, 0.4), errors("text2img", 10, *others)]
    text = certainty(rows)
    assert "**plain** is surely mistaken on 50 of 300 held-out samples. The largest share is that of insight" in text
    assert f"30 of 100, 30.0% [20.0%, 40.0%]{words}" in text
    assert layout.figure("confidence").stat().st_size > 5_000


def test_where_no_error_is_confident_nothing_is_made_of_it():
    assert "**plain** makes no confident error on 100 held-out samples." in certainty([errors("wiki", 0, 0.0, 0.0)])


def write_hard() -> None:
    rows = pd.DataFrame({"kind": "false negative", "rank": [1, 2, 3], "sample_id": ["x", "y", "z"], "fold": 2})
    facts = {"experiment": "plain", "group": "04", "logit": -4.25, "margin": -2.5}
    rows = rows.assign(source=["insight", "insight", "text2img"], **facts)
    tables.write_csv(rows, layout.table("hard_examples"))


def test_hard_examples_are_counted_by_source():
    write_hard()
    assert galleries.hard() == (
        "- **plain**, 3 hardest false negatives: 2 insight, 1 text2img, from 1 group; first x (fold 2, logit -4.25, "
        "2.5 standard deviations on the wrong side of the threshold)."
    )


def test_the_page_shows_all_of_it_and_nothing_before_there_is_something_to_show():
    shutil.copy(ROOT / layout.PARAMS, layout.PARAMS)
    settings = params.load()
    with pytest.raises(InputError, match=r"gradcam\.csv: not found; run deepfake explain"):
        explain.write(settings)
    tables.write_csv(pd.DataFrame([heat("a", 0.05)]), layout.table("gradcam"))
    told = certainty([errors("wiki", 10, 0.05, 0.15)])
    write_hard()
    explain.write(settings)
    text = layout.page("explain").read_text("utf-8")
    assert re.findall(r"^#+ (.*)", text, re.MULTILINE) == [
        *("Explanations of the final models", "Where they look", "How sure they are", "Hard examples"),
    ]
    assert re.findall(r"\(figures/(\w+)\.png\)", text) == ["gradcam", "confidence", "hard_examples"]
    for part in (galleries.attention(settings.evaluation.confidence), told, galleries.hard()):
        assert part in text
