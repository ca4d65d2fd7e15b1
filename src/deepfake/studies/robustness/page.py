"""The page on robustness: what corruption leaves of a detector, and what that says."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.config import entries
from deepfake.config.params import Params
from deepfake.config.studies import Trained
from deepfake.evaluation.robustness import ALL, CLEAN
from deepfake.modalities.image.corruptions import CORRUPTIONS
from deepfake.project import paths
from deepfake.reports import figures, wording
from deepfake.reports.wording import interval, listed
from deepfake.tables import results as result_tables

NAME = "robustness"


def write(settings: Params) -> None:
    """Write reports/robustness.md and its figure from the tables of the study."""
    conditions, summary, corruptions, contrasts = (
        result_tables.read(f"{NAME}{part}") for part in ("", "_summary", "_corruptions", "_contrasts")
    )
    confidence = settings.evaluation.confidence
    curves(conditions)
    names = summary["experiment"].unique()
    findings = [
        sentence
        for name in names
        for sentence in _findings(_of(conditions, name), _of(summary, name), _of(corruptions, name), confidence)
    ]
    lows = conditions[conditions["corruption"] == CLEAN].set_index("experiment")["low"]
    guessing = lows[lows <= 0.5].index
    # one that guesses has nothing to lose, and would win each comparison of losses
    told = contrasts[~contrasts[["baseline", "experiment"]].isin(guessing).any(axis=1)]
    findings += [
        sentence for _, rows in told.groupby("experiment", sort=False) for sentence in _against(rows, confidence)
    ]
    parts = [
        "# Robustness: what corruption leaves of a detector",
        wording.scope(settings.preset, settings.dataset),
        _method(conditions, summary, confidence),
        wording.picture(NAME, "AUC under corruption"),
        "## What follows",
        "\n".join(f"- {sentence}" for sentence in findings),
        *(_section(name, _of(conditions, name), _of(summary, name), confidence) for name in names),
    ]
    tables.write_text("\n\n".join(part for part in parts if part) + "\n", paths().page(NAME))


def headline(settings: Params) -> str:
    """Return what the study of robustness found, in one sentence: what costs most, and whether augmentation helps."""
    conditions, corruptions, contrasts = (
        result_tables.read(f"{NAME}{part}") for part in ("", "_corruptions", "_contrasts")
    )
    clean = conditions[conditions["corruption"] == CLEAN].set_index("experiment")
    learned = clean[clean["low"] > 0.5]
    if learned.empty:
        return f"{listed(clean.index)} cannot be told from guessing on clean images, so there is nothing to lose."
    clauses = [_most(_of(corruptions, name)) for name in learned.index]
    whole = contrasts[contrasts["corruption"] == ALL]
    told = whole[whole[["baseline", "experiment"]].isin(learned.index).all(axis=1)]
    clauses += [_helped(settings, row) for _, row in told.iterrows()]
    sentence = "; ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _most(corruptions: pd.DataFrame) -> str:
    """Say which corruption costs an experiment most, if any can be shown to cost it something."""
    first, others = corruptions.iloc[0], corruptions.iloc[1:]
    if first["drop_low"] <= 0:
        return f"no corruption can be shown to cost {first['experiment']} anything"
    tied = others.loc[others["behind_low"] <= 0, "corruption"]
    also = f", from which {listed(tied)} cannot be told" if len(tied) else ""
    return (
        f"{first['corruption']} costs {first['experiment']} most (AUC {-first['drop']:+.3f}, loss "
        f"{interval(first, 'drop_')}){also}"
    )


def _helped(settings: Params, row: pd.Series) -> str:
    """Say whether an experiment is better than its baseline under corruption, and whether by augmentation."""
    runs = {name: entry.run for name, entry in entries(settings).items() if isinstance(entry.run, Trained)}
    policy, plain = (runs[row[end]].augmentation if row[end] in runs else None for end in ("experiment", "baseline"))
    if policy == plain:
        told = _told(row, "auc", "is worse than", "is better than", "cannot be told from")
        compared = f"{row['experiment']} {told} {row['baseline']}"
    else:
        told = _told(row, "auc", "hurts", "helps", "cannot be shown to help or hurt")
        compared = f"{policy} augmentation in place of {plain} {told} ({row['experiment']} against {row['baseline']})"
    return (
        f"under corruption {compared}: AUC {row['auc']:+.3f} {interval(row, 'auc_')}, loss {row['drop']:+.3f} "
        f"{interval(row, 'drop_')}"
    )


def curves(conditions: pd.DataFrame) -> None:
    """Draw AUC over strength: a panel a corruption, a line an experiment with the interval as its band."""
    corruptions = [name for name in conditions["corruption"].unique() if name != CLEAN]
    columns = min(3, len(corruptions))
    rows = -(-len(corruptions) // columns)
    with plt.rc_context(figures.STYLE):
        figure, panels = plt.subplots(
            rows, columns, figsize=(3.1 * columns, 2.5 * rows), sharey=True, squeeze=False, layout="constrained"
        )
        for panel in panels.flat[len(corruptions) :]:
            panel.set_axis_off()
        for panel, corruption in zip(panels.flat, corruptions, strict=False):
            shown = conditions[conditions["corruption"].isin([CLEAN, corruption])]
            for (name, part), colour in zip(
                shown.groupby("experiment", sort=False), figures.colours(len(shown)), strict=False
            ):
                panel.fill_between(part["level"], part["low"], part["high"], color=colour, alpha=0.18, lw=0)
                panel.plot(part["level"], part["auc"], "o-", color=colour, ms=3, lw=1.5, label=name)
            strengths = shown.drop_duplicates("level")["strength"]
            panel.set_xticks(range(len(strengths)), ["clean", *(f"{value:g}" for value in strengths[1:])])
            panel.axhline(0.5, color="0.6", lw=0.8, ls="--")
            panel.set(title=corruption, xlabel=CORRUPTIONS[corruption].strength)
        for panel in panels[:, 0]:
            panel.set_ylabel("AUC")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
        figures.save(figure, paths().figure(NAME))


def _of(rows: pd.DataFrame, experiment: object) -> pd.DataFrame:
    """Return the rows of an experiment."""
    return rows[rows["experiment"] == experiment].reset_index(drop=True)


def _method(conditions: pd.DataFrame, summary: pd.DataFrame, confidence: float) -> str:
    """Say what was done."""
    count = conditions[["corruption", "level"]].drop_duplicates().shape[0] - 1
    sizes = summary.drop_duplicates("experiment")
    samples = ", ".join(
        f"{row['experiment']} on {row['samples']:,} samples of {row['groups']} groups" for _, row in sizes.iterrows()
    )
    return (
        f"Nothing is trained here. Each fold's model predicts its held-out images ({samples}) clean and under {count} "
        "corruptions, which act on the pixels that it is about to see. Figures are means over folds of the held-out "
        f"AUC; bands and brackets are {confidence:.0%} intervals by bootstrap over groups, those of differences paired "
        "(the same groups drawn for both). They are not corrected for how many there are, and the costliest "
        "corruption is named after the fact."
    )


def _findings(
    conditions: pd.DataFrame, summary: pd.DataFrame, corruptions: pd.DataFrame, confidence: float
) -> list[str]:
    """Say what corruption does to one experiment."""
    clean = conditions.iloc[0]
    name, known = f"**{clean['experiment']}**", f"AUC {clean['auc']:.3f} {interval(clean)}"
    if clean["low"] <= 0.5:
        return [f"{name} cannot be told from guessing on clean images ({known}): there is nothing to lose."]
    last = summary.iloc[-1]
    found = [
        f"{name} loses {last['drop']:.3f} of its clean {known} at the greatest strengths, on average over all "
        f"corruptions ({confidence:.0%} interval {interval(last, 'drop_')})."
    ]
    return [*found, _costliest(name, corruptions), _chance(name, corruptions), *_decisions(name, conditions)]


def _costliest(name: str, corruptions: pd.DataFrame) -> str:
    """Say which corruption costs an experiment most, and which others cannot be told from it."""
    first, others = corruptions.iloc[0], corruptions.iloc[1:]
    figures_of = f"{first['drop']:.3f} {interval(first, 'drop_')} on average over its strengths"
    if first["drop_low"] <= 0:
        return (
            f"No corruption can be shown to cost {name} anything; the largest loss is by {first['corruption']}, "
            f"{figures_of}."
        )
    tied = others.loc[others["behind_low"] <= 0, "corruption"].tolist()
    also = f"; {listed(tied)} cannot be told from it" if tied else "; every other corruption costs less"
    harmless = corruptions.loc[corruptions["drop_low"] <= 0, "corruption"].tolist()
    less = f" Of {listed(harmless)} no loss can be shown." if harmless else ""
    return f"{first['corruption']} costs {name} most: {figures_of}{also}.{less}"


def _chance(name: str, corruptions: pd.DataFrame) -> str:
    """Say from which strength on an experiment may be guessing."""
    reached = corruptions[corruptions["chance"].notna()]
    never = corruptions.loc[corruptions["chance"].isna(), "corruption"].tolist()
    parts = []
    if len(reached):
        where = [
            f"{corruption} {chance:g} ({CORRUPTIONS[corruption].strength})"
            for corruption, chance in zip(reached["corruption"], reached["chance"], strict=True)
        ]
        parts.append(f"first reaches chance at {listed(where)}")
    if never:
        parts.append(f"stays above it at every strength of {listed(never)}")
    return f"The interval of {name} {' and '.join(parts)}."


def _decisions(name: str, conditions: pd.DataFrame) -> list[str]:
    """Say where an experiment still ranks better than chance and yet decides worst."""
    ranking = conditions[(conditions["low"] > 0.5) & (conditions["level"] > 0)]
    if ranking.empty:
        return []
    most = int(np.argmax(ranking["auc"] - ranking["balanced_accuracy"]))
    clean, row = conditions.iloc[0], ranking.iloc[most]
    return [
        f"Ranking and deciding are two things: under {row['corruption']} {row['strength']:g} {name} still ranks with "
        f"AUC {row['auc']:.3f} {interval(row)}, while at the thresholds chosen on clean images its balanced accuracy "
        f"is {row['balanced_accuracy']:.3f} ({clean['balanced_accuracy']:.3f} on clean ones)."
    ]


def _against(rows: pd.DataFrame, confidence: float) -> list[str]:
    """Compare what corruption costs an experiment and the baseline, and what it leaves them."""
    whole, single = rows[rows["corruption"] == ALL].iloc[0], rows[rows["corruption"] != ALL]
    other, baseline = f"**{whole['experiment']}**", f"**{whole['baseline']}**"
    lost = _told(whole, "drop", "loses less than", "loses more than", "cannot be told to lose less or more than")
    left = _told(whole, "auc", "is worse than", "is better than", "cannot be told from")
    found = [
        f"On average over all corruptions {other} {lost} {baseline}: {whole['drop']:+.3f} {interval(whole, 'drop_')} "
        f"(paired {confidence:.0%} interval of the difference of losses). Under corruption it {left} it in AUC: "
        f"{whole['auc']:+.3f} {interval(whole, 'auc_')}."
    ]
    for kind, low, high in (("drop", "less", "more"), ("auc", "worse", "better")):
        below = single.loc[single[f"{kind}_high"] < 0, "corruption"].tolist()
        above = single.loc[single[f"{kind}_low"] > 0, "corruption"].tolist()
        sides = [f"{word} under {listed(names)}" for word, names in ((low, below), (high, above)) if names]
        what = "loses" if kind == "drop" else "is"
        found.append(
            f"One by one, {other} {what} {'; '.join(sides)} than {baseline}."
            if sides
            else f"One by one, under no corruption can it be shown that {other} {what} {low} or {high} than {baseline}."
        )
    return found


def _told(row: pd.Series, kind: str, below: str, above: str, neither: str) -> str:
    """Choose words by the side of 0 that an interval lies on."""
    return below if row[f"{kind}_high"] < 0 else above if row[f"{kind}_low"] > 0 else neither


def _section(name: object, conditions: pd.DataFrame, summary: pd.DataFrame, confidence: float) -> str:
    """Return an experiment's tables: AUC by corruption and strength, and the means over corruptions."""
    clean = conditions.iloc[0]
    shown = conditions[conditions["level"] > 0]
    units = {corruption: CORRUPTIONS[corruption].strength for corruption in shown["corruption"]}
    cells = pd.DataFrame(
        {
            "corruption": [f"{corruption} ({units[corruption]})" for corruption in shown["corruption"]],
            "level": shown["level"],
            "cell": [f"{row['strength']:g}: {row['auc']:.3f} {interval(row)}" for _, row in shown.iterrows()],
        }
    )
    wide = cells.pivot(index="corruption", columns="level", values="cell").loc[cells["corruption"].unique()]
    means = pd.DataFrame(
        {
            "level": summary["level"],
            "mean AUC": summary["auc"].map("{:.3f}".format),
            f"loss ({confidence:.0%} interval)": [
                f"{row['drop']:.3f} {interval(row, 'drop_')}" if row["level"] else "" for _, row in summary.iterrows()
            ],
            "least AUC": [f"{row['worst_auc']:.3f} ({row['worst']})" for _, row in summary.iterrows()],
        }
    )
    return "\n\n".join(
        [
            f"## {name}",
            f"Clean: AUC {clean['auc']:.3f} ± {clean['auc_std']:.3f} over folds, {interval(clean)}. Below, from weak "
            "to strong, the strength, its AUC and interval.",
            wide.reset_index().to_markdown(index=False, disable_numparse=True),
            "Means over all corruptions:",
            means.to_markdown(index=False, disable_numparse=True),
        ]
    )
