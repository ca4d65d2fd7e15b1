"""What the comparison across data sets concludes: one finding a question, from its tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from deepfake.reports.findings import Finding, above_chance, tested
from deepfake.studies.generalization.analysis import Found
from deepfake.studies.results import title

_GAPS = {
    "auc": ("gap", "ΔAUC", "Is {title} as good on {dataset} as on {reference}?"),
    "between": ("between", "ΔAUC", "Is {title} better on {dataset} than on {reference}?"),
    "recall_fake": ("fakes", "Δrecall", "Does {title} find as many fakes of {dataset} as of {reference}?"),
    "recall_real": ("reals", "Δrecall", "Does {title} recognise as many reals of {dataset} as of {reference}?"),
    "source_auc": ("source", "ΔAUC", "Is {title} as good on {source} of {dataset} as on that of {reference}?"),
    "retuned": ("threshold", "Δbalanced accuracy", "Would a threshold tuned on {dataset} improve {title}?"),
}
"""What each metric of `gaps.of_datasets` asks: the findings' prefix, their measure and their question."""
_CONTRASTS = {
    "architecture": "Is {experiment} better than {baseline} on {dataset}?",
    "combined": "Does training on {trained_on} improve {baseline} on {dataset}{unseen}?",
    "target": "Does training on {trained_on} alone improve {baseline} on {dataset}?",
    "fine_tuning": "Does fine-tuning on {tuned_on} improve {baseline} on {dataset}?",
    "fine_tuning_or_target": "Is fine-tuning better than training on {tuned_on} alone, on {dataset}?",
    "ensemble": "Is {name} better than {baseline} on {dataset}?",
    "invariant": "Do domain-invariant features improve {baseline} on {dataset}?",
}
"""What each question of `contrasts.pairs` asks."""


def titles(found: Found) -> dict[str, str]:
    """Return what to call each detector: by its model where it is plain, else by its run."""
    rows = found.trained.drop_duplicates("experiment").to_dict("records")
    return {row["experiment"]: title(row) if row["recipe"] == "plain" else str(row["experiment"]) for row in rows}


def of(found: Found) -> list[Finding]:
    """Return the findings in the order in which the page asks the questions."""
    named = titles(found)
    return [*_chance(found, named), *_gaps(found, named), *_mitigations(found, named)]


def _chance(found: Found, named: Mapping[str, str]) -> Iterator[Finding]:
    """Yield whether the baseline is above chance on each data set."""
    for dataset, row in found.of(found.baseline).iterrows():
        yield above_chance(f"chance.{dataset}", f"Is {named[found.baseline]} above chance on {dataset}?", row)


def _gaps(found: Found, named: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what the plain detectors that were trained like the baseline lose elsewhere, and of the baseline why."""
    first = found.of(found.baseline)["trained_on"].iloc[0]
    rows = found.trained
    alike = set(rows.loc[(rows["recipe"] == "plain") & (rows["trained_on"] == first), "experiment"])
    for row in found.gaps.to_dict("records"):
        if row["experiment"] not in alike:
            continue
        prefix, measure, question = _GAPS[row["metric"]]
        asked = question.format_map(row | {"title": named[row["experiment"]]})
        own = row["experiment"] == found.baseline
        place = [prefix, *([] if own else [row["experiment"]]), row["dataset"], row["source"]]
        id_ = ".".join(filter(None, place)) + (f".{row['reference']}" if prefix == "between" else "")
        more: dict[str, Any] = {"measure": measure, "key": own and prefix == "gap"}
        if prefix == "gap" and str(found.of(row["experiment"]).loc[row["reference"], "chance"]) != "above_chance":
            more["note"] = f"It is not above chance on {row['reference']}, so it has nothing to lose."
        yield tested(id_, asked, row, **more)


def _mitigations(found: Found, named: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what changes the AUC where the baseline is out-of-domain, and what that costs in-domain.

    Contrasts between other detectors stand in the table alone.
    """
    rows = found.trained.set_index(["experiment", "dataset"])
    combined = found.contrasts[found.contrasts["question"] == "combined"]
    unseen = {
        dataset
        for name, dataset in zip(combined["experiment"], combined["dataset"], strict=True)
        if dataset in found.out_of_domain and not rows.loc[(name, dataset), "in_domain"]
    }
    key = unseen or set(found.out_of_domain)
    for row in found.contrasts.to_dict("records"):
        question, dataset = row["question"], row["dataset"]
        own = row["baseline"] == found.baseline or question in ("invariant", "fine_tuning_or_target")
        if not own or (dataset == found.in_domain and question not in ("combined", "fine_tuning")):
            continue
        trained = str(rows.loc[(row["experiment"], dataset), "trained_on"])
        words: dict[str, Any] = {end: named[row[end]] for end in ("experiment", "baseline")}
        words |= {"dataset": dataset, "trained_on": trained, "tuned_on": trained.rpartition("then ")[2]}
        words |= {"name": row["experiment"], "unseen": ", which neither saw" if dataset in unseen else ""}
        asked = _CONTRASTS[question].format_map(words)
        yield tested(
            f"{question}.{row['experiment']}.{dataset}",
            asked,
            row,
            key=question == "combined" and dataset in key,
        )
