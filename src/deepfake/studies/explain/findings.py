"""What explanations conclude: whether a detector looks at the face."""

from collections.abc import Mapping

from deepfake.config import facts_of
from deepfake.config.params import Evaluation
from deepfake.evaluation import verdicts
from deepfake.evaluation.estimate import Estimate
from deepfake.reports.findings import Finding, Verdict
from deepfake.studies import results

_WORDS: dict[str, Verdict] = {"better": "above_chance", "worse": "at_chance"}
"""More heat on the face than its area explains is what `compare` calls better than 0."""


def of(
    excess: Mapping[str, Estimate | None], evaluation: Evaluation, refused: Mapping[str, str] | None = None
) -> list[Finding]:
    """Return the findings of the study.

    Args:
        excess: for each run the share of heat on the face less the face's share of the image (`attention.on_faces`).
        evaluation: confidence of the conclusions.
        refused: the runs without heatmaps, and why there are none.
    """
    titles = {name: results.title(facts_of(name)) for name in excess}
    known = {name: each for name, each in excess.items() if each is not None}
    judged = dict(zip(known, verdicts.compare(list(known.values()), 0.0, evaluation.confidence), strict=True))
    found = []
    for name, title in titles.items():
        label = title if list(titles.values()).count(title) == 1 else name
        id_, question = f"face.{name}", f"Does {label} look at the face more than the face's area explains?"
        if name not in judged:
            note = f"{refused[name]}." if refused and name in refused else "No image has both a face and heat."
            found.append(Finding(id=id_, question=question, verdict="not_run", note=note))
            continue
        verdict, estimate = judged[name], known[name]
        found.append(
            Finding(
                id=id_,
                question=question,
                verdict=_WORDS.get(verdict.word, "undecided"),
                measure="Δ share of heat",
                effect=estimate.value,
                low=None if estimate.reason else verdict.low,
                high=None if estimate.reason else verdict.high,
                p=verdict.p,
                n_samples=estimate.n_samples,
                n_groups=estimate.n_groups,
                note=f"Undecided: {estimate.reason}." if estimate.reason else "",
            )
        )
    return found
