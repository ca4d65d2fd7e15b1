import numpy as np
import pandas as pd
import pytest
from markdown_tables import shown, table

from conftest import changed, tiny_params
from deepfake import tables
from deepfake.config import params
from deepfake.project import paths
from deepfake.studies.robustness import page as robustness_page

SETTINGS = params.Params.model_validate(tiny_params())
STRENGTHS = {"blur": (0.5, 1, 1.5, 2, 3), "jpeg": (90, 70, 50, 30, 10)}


def triple(name: str, value: float, reach: float = 0.02) -> dict[str, float]:
    prefix = f"{name}_" if name else ""
    return ({name: value} if name else {}) | {f"{prefix}low": value - reach, f"{prefix}high": value + reach}


def write(qualities: dict[str, float], contrasts: list[dict]) -> str:
    """Write the tables of a study: blur costs 0.05 a level, JPEG 0.01; return the page."""
    cost = {"blur": 0.05, "jpeg": 0.01}
    conditions, summary, corruptions = [], [], []
    for name, clean in qualities.items():
        base = {"experiment": name, "auc_std": 0.01}
        conditions.append(
            {**base, "corruption": "clean", "strength": np.nan, "level": 0, "auc": clean, **triple("", clean)}
            | {"balanced_accuracy": clean - 0.1, **triple("drop", 0, 0)}
        )
        for corruption, strengths in STRENGTHS.items():
            for level, strength in enumerate(strengths, start=1):
                auc = clean - cost[corruption] * level
                conditions.append(
                    {**base, "corruption": corruption, "strength": strength, "level": level, "auc": auc}
                    | {**triple("", auc), "balanced_accuracy": 0.5, **triple("drop", clean - auc)}
                )
        for level in range(6):
            drop = 0.03 * level
            summary.append(
                {"experiment": name, "level": level, "auc": clean - drop, **triple("drop", drop)}
                | {"worst": "blur" if level else "clean", "worst_auc": clean - 0.05 * level}
                | {"samples": 1200, "groups": 14}
            )
        for corruption, drop, chance in (("blur", 0.15, 1.5), ("jpeg", 0.015, np.nan)):
            corruptions.append(
                {"experiment": name, "corruption": corruption, **triple("drop", drop)}
                | {**triple("behind", 0.15 - drop), "chance": chance}
            )
    columns = ["baseline", "experiment", "corruption", *triple("auc", 0), *triple("drop", 0)]
    for part, rows in (("", conditions), ("_summary", summary), ("_corruptions", corruptions)):
        tables.write_csv(pd.DataFrame(rows), paths().table(f"robustness{part}"))
    tables.write_csv(pd.DataFrame(contrasts, columns=columns), paths().table("robustness_contrasts"))
    robustness_page.write(SETTINGS)
    return paths().page("robustness").read_text()


def contrast(corruption: str, auc: float, drop: float) -> dict:
    names = {"baseline": "plain", "experiment": "augmented", "corruption": corruption}
    return names | triple("auc", auc) | triple("drop", drop)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_page_says_what_costs_most_and_where_chance_begins():
    page = write({"plain": 0.7}, [])
    findings = page.split("\n## ")[1]
    for told in (
        "blur costs **plain** most: 0.150 [0.130, 0.170]",
        "Of jpeg no loss",
        "blur 1.5 (sigma, px)",
        "loses 0.150 of its clean AUC 0.700 [0.680, 0.720]",
        "under jpeg 90 **plain** still ranks with AUC 0.690 [0.670, 0.710]",
    ):
        assert told in findings
    assert "cannot be told" not in findings
    assert "1,200 samples of 14 groups" in page and "under 10 corruptions" in page
    heading, _, jpeg = table(page, "corruption")
    assert heading[1:] == list("12345") and jpeg[0] == "jpeg (quality)"
    assert jpeg[4] == "30: 0.660 [0.640, 0.680]"
    assert shown("robustness") == ["robustness/robustness.png"]
    assert paths().figure("robustness").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("auc", "drop", "words"),
    [
        (-0.05, -0.05, ("loses less than **plain**: -0.050", "is worse than it in AUC: -0.050")),
        (0.05, 0.05, ("loses more than **plain**: +0.050", "is better than it in AUC: +0.050")),
        (0.01, -0.01, ("cannot be told to lose less or more than **plain**", "cannot be told from it in AUC: +0.010")),
    ],
)
def test_experiments_are_compared_by_intervals(auc, drop, words):
    rows = [contrast("all", auc, drop), contrast("blur", 0.1, 0.0), contrast("jpeg", 0.0, 0.0)]
    page = write({"plain": 0.7, "augmented": 0.65}, rows)
    assert all(word in page for word in words)
    assert "better under blur" in page and "better under jpeg" not in page


def test_what_guesses_has_nothing_to_lose():
    page = write({"plain": 0.7, "augmented": 0.51}, [contrast("all", -0.1, -0.1)])
    assert "**augmented** cannot be told from guessing on clean images (AUC 0.510 [0.490, 0.530])" in page
    assert "costs **augmented** most" not in page and "than **plain**" not in page


# --- the headline


SAME = {"model": "simple_cnn", "view": "crop_low", "augmentation": "none"}


def headline(augmentation: str) -> str:
    """Return the headline of two experiments, of which the second has an augmentation."""
    runs = {"plain": SAME, "augmented": SAME | {"augmentation": augmentation}}
    return robustness_page.headline(params.Params.model_validate(changed(tiny_params(), {"studies.phase2.runs": runs})))


@pytest.mark.parametrize(
    ("auc", "augmentation", "words"),
    [
        (0.05, "full", "full augmentation in place of none helps (augmented against plain): AUC +0.050 [0.030, 0.070]"),
        (-0.05, "full", "full augmentation in place of none hurts (augmented against plain): AUC -0.050"),
        (0.01, "full", "full augmentation in place of none cannot be shown to help or hurt (augmented"),
        (0.05, "none", "augmented is better than plain: AUC +0.050"),
    ],
)
def test_the_headline_says_what_costs_most_and_whether_augmentation_helps(auc, augmentation, words):
    write({"plain": 0.7, "augmented": 0.65}, [contrast("all", auc, -0.03), contrast("blur", 0.3, 0.3)])
    text = headline(augmentation)
    assert text.count("most (AUC -0.150, loss [0.130, 0.170])") == 2 and "0.300" not in text
    assert words in text and "loss -0.030 [-0.050, -0.010]" in text


def test_the_headline_leaves_out_what_guesses():
    write({"plain": 0.7, "augmented": 0.51}, [contrast("all", 0.1, -0.1)])
    text = headline("full")
    assert text.startswith("Blur costs plain most (AUC -0.150") and "augmented" not in text
    write({"plain": 0.51, "augmented": 0.51}, [contrast("all", 0.1, -0.1)])
    assert headline("full").startswith("plain and augmented cannot be told from guessing")


@pytest.mark.parametrize(
    ("changes", "words"), [({"drop_low": -0.01}, "No corruption"), ({"behind_low": -0.01}, "jpeg cannot be told")]
)
def test_the_headline_claims_no_order_that_is_not_shown(changes, words):
    write({"plain": 0.7}, [])
    path = paths().table("robustness_corruptions")
    tables.write_csv(pd.read_csv(path).assign(**changes), path)
    assert words in headline("full")
