"""How tests of the comparison are told: value, interval, corrected p-values, number of files, and what follows."""

from typing import Any

import pandas as pd

from deepfake.reports.wording import interval, listed
from deepfake.studies.generalization.results import Found

GUESSING = "not told from guessing"


def test(row: Any) -> str:
    """Return a difference with its interval, both p-values, the number of files, and the verdict."""
    return f"{row['difference']:+.3f} {interval(row)}, {p_values(row)}, n = {row['files']:,}: {verdict(row)}"


def p_values(row: Any) -> str:
    """Return the corrected p-values over groups and over folds."""
    return f"p {_p(row['p_bootstrap_holm'])} / {_p(row['p_ttest_holm'])}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def verdict(row: Any) -> str:
    """Say whether both tests tell a difference from noise, the one over groups alone, or neither."""
    return "significant" if row["significant"] else "over groups alone" if row["over_groups"] else "not significant"


def auc(found: Found, model: str, dataset: str) -> str:
    """Return a detector's AUC with its interval and the number of files."""
    row = found.row(model, dataset)
    return f"AUC {row['auc']:.3f} {interval(row, 'auc_')}, n = {row['files']:,.0f}"


def percent(row: Any, key: str) -> str:
    """Return a share with its interval in percent."""
    return f"{row[key]:.1%} [{row[f'{key}_low']:.1%}, {row[f'{key}_high']:.1%}]"


def rankable(found: Found, row: Any) -> bool:
    """Tell whether one of two detectors is told from guessing where they are compared."""
    return found.knows(row["model"], row["dataset"]) or found.knows(row["baseline"], row["baseline_dataset"])


def gains(found: Found, tests: pd.DataFrame, sign: int) -> pd.DataFrame:
    """Return the tests of a significant difference in one direction, between detectors that may be ranked."""
    told = [
        bool(row["significant"]) and row["difference"] * sign > 0 and rankable(found, row) for row in records(tests)
    ]
    return tests[pd.Series(told, index=tests.index, dtype=bool)]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows one by one."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def on_each(found: Found, tests: pd.DataFrame) -> str:
    """Return what a comparison of two detectors gives on each data set."""
    told = [
        f"{row['dataset']} {test(row)}"
        if rankable(found, row)
        else f"{row['dataset']} cannot be said, since neither is told from guessing there (n = {row['files']:,})"
        for row in records(tests)
    ]
    return "; ".join(told)


def names(tests: pd.DataFrame, column: str = "dataset") -> str:
    """Return the data sets of some tests, as a list in words."""
    return listed(tests[column].tolist())
