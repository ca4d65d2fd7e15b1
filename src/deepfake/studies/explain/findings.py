"""What explanations conclude of single runs: whether a detector looks at the face."""

from collections.abc import Mapping

import pandas as pd

from deepfake.config.params import Evaluation
from deepfake.evaluation import attention, verdicts
from deepfake.reports.findings import Finding, Verdict, tested
from deepfake.studies import comparison

_WORDS: dict[str, Verdict] = {"better": "above_chance", "worse": "at_chance"}
"""More heat on the face than its area explains is what `compare` calls better than 0."""


def faces(
    looks: Mapping[str, pd.DataFrame], labels: Mapping[str, str], refused: Mapping[str, str], evaluation: Evaluation
) -> list[Finding]:
    """Return whether each run looks at the face.

    Args:
        looks: where the runs that have heat look (`cases.looks`).
        labels: what to call each run, in the order of the findings.
        refused: the runs without heatmaps, and why there are none.
        evaluation: confidence of the conclusions.
    """
    excess = {name: attention.on_faces(looks[name], evaluation.confidence) for name in labels if name in looks}
    known = {name: each for name, each in excess.items() if each is not None}
    judged = dict(zip(known, verdicts.compare(list(known.values()), 0.0, evaluation.confidence), strict=True))
    found = []
    for name, label in labels.items():
        id_, question = f"face.{name}", f"Does {label} look at the face more than the face's area explains?"
        if name not in judged:
            note = f"{refused[name]}." if name in refused else "No image has both a face and heat."
            found.append(Finding(id=id_, question=question, verdict="not_run", note=note))
            continue
        row = comparison.told(judged[name], len(judged), 0.0)
        found.append(tested(id_, question, row, _WORDS, measure="Δ share of heat"))
    return found
