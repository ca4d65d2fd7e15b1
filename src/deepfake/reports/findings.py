"""Findings: what a study concludes, one record a question, from which all pages are made."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationError

from deepfake import tables
from deepfake.config.section import Section
from deepfake.errors import InputError
from deepfake.project import paths

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal[
    "better",
    "worse",
    "equivalent",
    "undecided",
    "above_chance",
    "at_chance",
    "shortcut",
    "no_shortcut",
    "holds",
    "fails",
    "not_run",
]
ANSWERS: dict[Verdict, str] = {
    "better": "yes",
    "worse": "no, worse",
    "equivalent": "no difference",
    "undecided": "undecided",
    "above_chance": "yes",
    "at_chance": "no",
    "shortcut": "yes",
    "no_shortcut": "no",
    "holds": "yes",
    "fails": "no",
    "not_run": "not run",
}
"""The answer that a verdict gives to a finding's question."""
MOST_WORDS = 25
"""Longest sentence of a finding; figures stand in tables."""
_DIGITS = 6


def _short(sentence: str) -> str:
    if len(sentence.split()) > MOST_WORDS:
        raise ValueError(f"{len(sentence.split())} words, at most {MOST_WORDS} are read: {sentence!r}")
    return sentence


def _known(value: Any) -> Any:
    """Return None for a figure that there is not, as a table has it."""
    return None if isinstance(value, float) and value != value else value


Figure = Annotated[float | None, BeforeValidator(_known)]
Sentence = Annotated[str, AfterValidator(_short)]


class Finding(Section):
    """The answer to one question."""

    id: str
    """Unique in its study; pages look it up by this."""
    question: Sentence
    """One that `ANSWERS` answers."""
    verdict: Verdict
    measure: str = "ΔAUC"
    """What `effect` is."""
    effect: Figure = None
    low: Figure = None
    """The interval of the test that decided the verdict."""
    high: Figure = None
    p: Figure = None
    """After Holm's correction over the planned contrasts of its table."""
    n_samples: int | None = None
    n_groups: int | None = None
    repeats: int = 1
    note: Sentence = ""
    """What must be known to read it, or why it is undecided; most findings need none."""
    key: bool = False
    """Whether the summary shows it."""

    @property
    def answer(self) -> str:
        """Return the verdict as an answer to the question."""
        return ANSWERS[self.verdict]

    @property
    def figures(self) -> str:
        """Return the effect with its interval, or nothing."""
        if self.effect is None:
            return ""
        form = "{:+.3f}" if self.measure.startswith("Δ") else "{:.3f}"
        known = self.low is not None and self.high is not None
        ends = f" [{form.format(self.low)}, {form.format(self.high)}]" if known else ""
        return f"{self.measure} {form.format(self.effect)}{ends}"

    @property
    def size(self) -> str:
        """Return what was measured: samples, groups, repeats."""
        if self.n_samples is None:
            return ""
        groups = f" ({self.n_groups} groups)" if self.n_groups is not None else ""
        return f"{self.n_samples:,}{groups}" + (f" × {self.repeats}" if self.repeats > 1 else "")


def figures_of(row: Any, effect: str, low: str, high: str, p: str) -> dict[str, Any]:
    """Return effect, interval, p-value and size as fields of a finding, from columns of a result table's row."""
    columns = {"effect": effect, "low": low, "high": high, "p": p}
    columns |= {"n_samples": "samples", "n_groups": "groups", "repeats": "repeats"}
    return {name: row[column] for name, column in columns.items() if column in row}


def tested(id_: str, question: str, row: Any, words: dict[str, Verdict] | None = None, **more: Any) -> Finding:
    """Return the finding of a planned contrast.

    Args:
        id_: of the finding.
        question: that it answers.
        row: the verdict as a row of a table (`studies.comparison.told`).
        words: what to call some of its verdicts.
        more: other fields of the finding, and such as take the place of the row's.
    """
    verdict = more.get("verdict", (words or {}).get(row["verdict"], row["verdict"]))
    reason = row["reason"]
    why = f"Undecided: {reason}." if isinstance(reason, str) and reason and verdict == "undecided" else ""
    fields = figures_of(row, "difference", "low", "high", "p") | more
    return Finding.model_validate(
        fields | {"id": id_, "question": question, "verdict": verdict, "note": more.get("note") or why}
    )


def above_chance(id_: str, question: str, row: Any, **more: Any) -> Finding:
    """Return whether an AUC is above chance, from a row with `auc`, its interval, `chance` and `p_chance`."""
    fields = figures_of(row, "auc", "auc_low", "auc_high", "p_chance") | more
    return Finding.model_validate(
        fields | {"id": id_, "question": question, "verdict": row["chance"], "measure": "AUC"}
    )


def probed(id_: str, question: str, row: Any, **more: Any) -> Finding:
    """Return what a probe says, from a row of `evaluation.probes.judge`; `more` as in `tested`."""
    fields = figures_of(row, "auc", "auc_low", "auc_high", "p_holm") | more
    return Finding.model_validate(
        fields | {"id": id_, "question": question, "verdict": row["verdict"], "measure": "AUC"}
    )


def worst(rows: "pd.DataFrame") -> Any:
    """Return the row that says what several probes say together: a single shortcut is enough."""
    ordered = rows.sort_values("auc", ascending=False, kind="stable")
    said = (ordered[ordered["verdict"] == word] for word in ("shortcut", "undecided"))
    return next((some.iloc[0] for some in said if len(some)), ordered.iloc[0])


class Findings(dict[str, Finding]):
    """The findings of a study by their ids, in order."""

    @property
    def key(self) -> list[Finding]:
        """Return those that the summary shows."""
        return [finding for finding in self.values() if finding.key]

    def below(self, prefix: str) -> list[Finding]:
        """Return those whose id is a word, or goes on from it after a dot."""
        return [found for name, found in self.items() if name == prefix or name.startswith(f"{prefix}.")]


def write(study: str, findings: Iterable[Finding]) -> Findings:
    """Write the findings of a study as JSON, and return them.

    Raises:
        ValueError: two have the same id.
    """
    found = list(findings)
    named = Findings({one.id: one for one in found})
    if len(named) < len(found):
        raise ValueError(f"{study}: findings of the same id")
    text = json.dumps([_rounded(one.model_dump()) for one in found], indent=2, ensure_ascii=False)
    tables.write_text(text + "\n", paths().findings(study))
    return named


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, _DIGITS) if isinstance(value, float) else value for key, value in values.items()}


def read(study: str) -> Findings:
    """Read the findings of a study.

    Raises:
        InputError: the study has not been run, or its file is of another version.
    """
    path = paths().findings(study)
    try:
        found = [Finding.model_validate(one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run deepfake {study}, or dvc repro") from None
    except (ValueError, ValidationError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not findings of this version ({reason}); run deepfake {study}") from None
    return Findings({one.id: one for one in found})
