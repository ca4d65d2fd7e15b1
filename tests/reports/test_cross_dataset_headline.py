"""The one sentence on other data sets names what was tried, and what of it helps."""

from dataclasses import replace

import pytest

from cross_study import BASELINE, EDITED, HOME
from cross_verdicts import KEPT, LOST, judged
from deepfake.studies.generalization import findings
from deepfake.studies.generalization import page as generalization_page
from deepfake.studies.generalization.results import Found

pytest_plugins = ["crossed_study"]
REMEDIES = ("architecture", "data", "elsewhere", "fine_tuning", "ensemble")


def test_the_headline_has_the_figures_of_the_baseline(crossed, found):
    text = generalization_page.headline(crossed[1])
    home, away = (found.row(BASELINE, dataset) for dataset in (HOME, EDITED))
    assert text.startswith(f"{BASELINE} has AUC {home['auc']:.3f} [{home['auc_low']:.3f}, {home['auc_high']:.3f}]")
    assert f"{away['auc']:.3f} on {EDITED} (home minus away {home['auc'] - away['auc']:+.3f}, " in text
    assert f"simple_cnn_union on {EDITED} (+" in text
    assert text.endswith(".") and "\n" not in text and "**" not in text


def quiet(found: Found) -> Found:
    """Return the same tables where nothing is shown to help."""
    for question in REMEDIES:
        found = judged(found, KEPT, question=question)
    return found


def test_the_headline_of_a_detector_alone_says_that_nothing_else_was_tried(found):
    alone = replace(found, tests=found.tests[~found.tests["question"].isin(REMEDIES)])
    assert findings.headline(alone).endswith("; nothing else was held against it there.")


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        (["ensemble"], "an ensemble is not"),
        (["data", "architecture"], "neither another architecture nor training on the union"),
        (["fine_tuning", "ensemble", "domains"], "neither fine-tuning nor an ensemble"),
        (["data", "elsewhere"], "neither training on the union nor training on another data set"),
    ],
)
def test_the_headline_names_what_was_held_against_the_baseline_and_nothing_else(found, questions, words):
    tests = quiet(found).tests
    text = findings.headline(replace(found, tests=tests[tests["question"].isin(["gap", *questions])]))
    assert f"; {words}" in text


def test_the_headline_knows_detectors_that_were_trained_on_the_other_data_set_itself(found):
    lifted = judged(quiet(found), LOST | {"difference": 0.2}, question="elsewhere", dataset=EDITED)
    text = findings.headline(lifted)
    assert text.count("(+0.200") == 1 and f"simple_cnn_away on {EDITED} (+0.200, seen" in text
