"""The tables of a finished comparison across data sets, with other verdicts."""

from dataclasses import replace

import pandas as pd

from cross_study import BASELINE, EDITED, RESENT
from deepfake.studies.generalization.results import Found

LOST = {"significant": True, "over_groups": True, "p_bootstrap_holm": 0.001, "p_ttest_holm": 0.002}
KEPT = {"significant": False, "over_groups": False, "p_bootstrap_holm": 0.7, "p_ttest_holm": 0.8}


def judged(found: Found, verdict: dict, **where: str) -> Found:
    """Return the same tables with another verdict on some tests."""
    tests = found.tests.copy()
    chosen = pd.Series(True, index=tests.index)
    for column, value in where.items():
        chosen &= tests[column] == value
    assert chosen.any()
    tests.loc[chosen, list(verdict)] = list(verdict.values())
    return replace(found, tests=tests)


def guessing(found: Found, *names: str, dataset: str) -> Found:
    """Return the same tables with detectors that are not told from guessing on a data set."""
    rows = found.rows.copy()
    rows.loc[rows["model"].isin(names) & (rows["dataset"] == dataset), "learned"] = False
    return replace(found, rows=rows)


def gaps(found: Found, edited: dict, resent: dict) -> Found:
    """Return the same tables with these verdicts on what the baseline loses."""
    place = {"question": "gap", "model": BASELINE}
    return judged(judged(found, edited, **place, dataset=EDITED), resent, **place, dataset=RESENT)
