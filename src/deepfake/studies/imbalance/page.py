"""The page on class imbalance: its findings, tables and pictures, rendered from a template beside this file."""

from typing import Any

import pandas as pd

from deepfake.config import config_of
from deepfake.config.params import Params
from deepfake.evaluation.decisions import GAP
from deepfake.project import paths
from deepfake.reports import columns, pages
from deepfake.reports import findings as found_findings
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, estimate, number, text
from deepfake.studies import results as study_results
from deepfake.studies.imbalance import figures, findings, results
from deepfake.studies.imbalance.analysis import EXPECTED, F1, NAME, SCARCE
from deepfake.studies.imbalance.results import Found
from deepfake.studies.operating_points import page as operating_points
from deepfake.studies.operating_points.analysis import HALF
from deepfake.studies.operating_points.figures import title
from deepfake.tables import results as result_tables

HEADINGS = {"recall_real": "Recall (real)", F1: "F1 (macro)", GAP: "Gap", "auc": "AUC"}
QUESTIONS = {
    "auc": "AUC",
    "f1_half": "Macro F1, both at 0.5",
    "f1_tuned": "Macro F1, both at best F1",
    "threshold": "Macro F1, best F1 against 0.5",
}


def write(settings: Params) -> str:
    """Write findings, page and figures from the tables of the study; return the first key finding as a line."""
    found = results.read()
    told = found_findings.write(NAME, findings.of(found, settings))
    detail = list(settings.studies.imbalance.detail) or [found.baseline]
    configs = {name: config_of(name) for name in found.labels}
    heads = [name for name, config in configs.items() if config.domain.column != "none"]
    histories = _histories([name for name, run in configs.items() if run.train == "all"])
    _draw(found, detail, histories, heads)
    pages.write(
        NAME,
        __package__ or "",
        "page.md.j2",
        found=told,
        resolution=_resolution(found),
        ratio=found.row(found.baseline, HALF)["ratio"],
        runs=_runs(found),
        scarce=SCARCE,
        contrasts=_contrasts(found),
        expectations=_expectations(found, findings.solution(found, settings)),
        points={found.labels[name]: operating_points.table(rows) for name, rows in _of(found.thresholds, detail)},
        reports={found.labels[name]: operating_points.report(rows) for name, rows in _of(found.thresholds, detail)},
        calibration=operating_points.calibration(found.calibration, found.labels),
        domains=_domains(found, heads, histories) if heads else "",
        trained=bool(histories),
        settings=shown_settings.shared(list(configs.values())),
        varied=shown_settings.varied(list(configs.values())),
    )
    first = next(iter(told.key), next(iter(told.values())))
    return f"{first.question} {first.answer} ({first.figures})"


def _histories(names: list[str]) -> dict[str, pd.DataFrame]:
    """Return the epochs of runs that were trained by epochs."""
    return dict(_of(result_tables.read(f"{NAME}_history"), names)) if names else {}


def _of(frame: pd.DataFrame, names: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Return each run's rows."""
    return [(name, frame[frame["experiment"] == name].reset_index(drop=True)) for name in names]


def _draw(found: Found, detail: list[str], histories: dict[str, pd.DataFrame], heads: list[str]) -> None:
    """Draw all pictures of the page."""
    known, labels = found.experiments.set_index("experiment"), found.labels
    best = {labels[name]: [int(epoch) for epoch in str(known.loc[name, "best_epochs"]).split()] for name in histories}
    if histories:
        trained = {labels[name]: epochs for name, epochs in histories.items()}
        figures.training(trained, best, paths().figure(f"{NAME}_training"))
    if heads:
        chance = {labels[name]: float(known["domain_chance"][name]) for name in heads}
        figures.domains({labels[name]: histories[name] for name in heads}, chance, paths().figure(f"{NAME}_domains"))
    points, bins = (
        {labels[name]: rows for name, rows in _of(each, detail)} for each in (found.thresholds, found.reliability)
    )
    curves, bands = (
        {labels[name]: rows for name, rows in _of(result_tables.read(f"{NAME}_{kind}"), detail)}
        for kind in ("roc", "roc_band")
    )
    calibrations = found.calibration.assign(experiment=found.calibration["experiment"].map(labels))
    operating_points.draw(NAME, points, bins, curves, bands, calibrations)
    reach = {metric: (0.0, one.target) if metric == GAP else (one.target, 1.0) for metric, one in EXPECTED.items()}
    expected = {metric: (HEADINGS[metric], *ends) for metric, ends in reach.items()}
    figures.decisions(found.rows, labels, expected, paths().figure(f"{NAME}_decisions"))


def _resolution(found: Found) -> str:
    """Return what differences the study can see, in AUC and in F1."""
    seen = found.asked("f1_tuned")["detectable"].dropna()
    f1 = "" if seen.empty else f" In macro F1 at tuned thresholds: {seen.median():.3f}."
    return study_results.resolution([found.asked("auc")]) + f1


def _runs(found: Found) -> str:
    """Return what each run decides at each threshold, with 95% CIs."""
    rows = found.rows.assign(
        title=found.rows["experiment"].map(found.labels),
        threshold=found.rows["decision"].map(title),
    )
    shown: list[Column] = [text("Run", "title"), text("Threshold", "threshold")]
    shown += [estimate(HEADINGS[metric], *_ends(metric)) for metric in ("recall_real", F1, GAP)]
    shown += [
        number("Precision (real)", "precision_real"),
        number("Recall (fake)", "recall_fake"),
        number("Balanced accuracy", "balanced_accuracy"),
        estimate(HEADINGS["auc"], *_ends("auc")),
        columns.text("Chance", "chance"),
    ]
    return Table(rows.assign(chance=rows["chance"].str.replace("_", " ")), shown).markdown()


def _ends(metric: str) -> tuple[str, str, str]:
    return metric, f"{metric}_low", f"{metric}_high"


def _contrasts(found: Found) -> str:
    """Return the planned contrasts, a row a run and a column a question."""
    rows: dict[str, dict[str, str]] = {name: {} for name in found.labels}
    for question in QUESTIONS:
        for _, test in found.asked(question).iterrows():
            figures_of = f"{test['difference']:+.3f} [{test['low']:+.3f}, {test['high']:+.3f}]"
            rows[test["experiment"]][question] = f"{figures_of} {test['verdict']}".replace(" [+nan, +nan]", "")
    shown = [
        {"Run": found.labels[name]} | {heading: cells.get(key, "-") for key, heading in QUESTIONS.items()}
        for name, cells in rows.items()
    ]
    return pd.DataFrame(shown).to_markdown(index=False, disable_numparse=True)


def _expectations(found: Found, solution: str) -> str:
    """Return what the study design expects, beside what the baseline and its own solution reach."""
    rows = []
    for metric, expected in EXPECTED.items():
        judged = found.expectations[found.expectations["metric"] == metric].set_index("experiment")
        reached = [found.labels[str(name)] for name in judged.index[judged["verdict"] == "better"]]
        before, after = found.row(found.baseline, HALF), judged.loc[solution]
        rows.append(
            {
                "Metric": HEADINGS[metric] + (f", {title(expected.decision)}" if expected.decision else ""),
                "Design: before": expected.before,
                f"{found.labels[found.baseline]}, probability 0.5": _share(before[metric], before[f"{metric}_low"]),
                "Design: after": expected.after,
                found.labels[solution]: f"{after['value']:.0%} [{after['low']:.0%}, {after['high']:.0%}]",
                "Better than expected": ", ".join(reached) or "none",
            }
        )
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def _share(value: float, low: float) -> str:
    """Return a share, or a dash where it says nothing."""
    return "-" if pd.isna(low) else f"{value:.0%}"


def _domains(found: Found, heads: list[str], histories: dict[str, pd.DataFrame]) -> str:
    """Return what became of the domain head and of the sources, a row a run."""
    known = found.experiments.set_index("experiment")
    rows: list[dict[str, Any]] = []
    for name in heads:
        last = histories[name].sort_values("epoch").groupby("fold").last()
        rows.append(
            {str(key): value for key, value in known.loc[name].items()}
            | {"title": found.labels[name], "accuracy": last["train_domain_accuracy"].mean()}
            | {"first": known.loc[found.baseline, "source_auc_sd"]}
        )
    shown = [
        text("Run", "title"),
        text("Domain", "domain"),
        number("Domain accuracy, last epoch", "accuracy"),
        number("Most frequent domain", "domain_chance"),
        number(f"SD of per-source AUC, {found.labels[found.baseline]}", "first"),
        number("With domain head", "source_auc_sd"),
        columns.interval(
            "Change of variance [95% CI]", "source_auc_variance_low", "source_auc_variance_high", "{:+.4f}"
        ),
    ]
    return Table(pd.DataFrame(rows), shown).markdown()
