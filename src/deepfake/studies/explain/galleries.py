"""What explanations show, for their page: where detectors look, what they get wrong, how sure they are."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.evaluation.hard_examples import SURE
from deepfake.project import paths
from deepfake.reports import figures
from deepfake.reports.wording import listed, picture
from deepfake.tables import results as result_tables


def attention(confidence: float) -> str:
    """Return Markdown on where detectors look, from the table `gradcam`.

    Args:
        confidence: coverage of the intervals.
    """
    rows = result_tables.read("explain_gradcam")
    whole = rows[rows["verdict"] == "all"]
    shown = pd.DataFrame(
        {
            "experiment": rows["experiment"],
            "source": rows["source"],
            "verdict": rows["verdict"],
            "heat on the face": rows["heat"].map(_percent),
            "its area": rows["area"].map(_percent),
            f"excess ({confidence:.0%} interval)": [_excess(row) for _, row in rows.iterrows()],
            "images (groups)": [f"{row['images']} ({row['groups']})" for _, row in rows.iterrows()],
            "no heat": rows["without_heat"],
        }
    )
    sentences = [_looks(name, part) for name, part in whole.groupby("experiment", sort=False)]
    return "\n\n".join(
        [
            "Grad-CAM shows what in an image speaks for a fake. The share of this heat inside the face box stands "
            "against the share of the image that the box covers: a detector that looks anywhere alike has an excess of "
            "0. Held-out images, each explained by the model that never saw it; intervals by bootstrap over groups, "
            "not corrected for their number.",
            "\n".join(f"- {sentence}" for sentence in sentences),
            shown.to_markdown(index=False, disable_numparse=True),
        ]
    )


def _looks(name: object, rows: pd.DataFrame) -> str:
    """Say whether an experiment's heat lies on the face."""
    cells = rows["cells"].iloc[0]
    more, less = rows.loc[rows["low"] > 0, "source"].tolist(), rows.loc[rows["high"] < 0, "source"].tolist()
    parts = [
        f"lies {word} than its area explains for {listed(sources)}"
        for word, sources in (("on the face more", more), ("on the face less", less))
        if sources
    ]
    neither = [source for source in rows["source"] if source not in more + less]
    if neither:
        parts.append(f"cannot be told from even heat for {listed(neither)}")
    share = rows["without_heat"].sum() / (rows["without_heat"] + rows["images"]).sum()
    coarse = " With so few cells it cannot say more than which part of the image." if cells <= 4 else ""
    return (
        f"The heat of **{name}** {'; '.join(parts)}. In {share:.0%} of the images nothing speaks for a fake. Its map "
        f"has {cells}×{cells} cells.{coarse}"
    )


def _excess(row: pd.Series) -> str:
    """Return an excess with its interval in percentage points."""
    if not row["images"]:
        return ""
    ends = "" if np.isnan(row["low"]) else f" [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    return f"{100 * row['excess']:+.1f}{ends} points"


def _percent(share: float) -> str:
    """Return a share as it is written, nothing where there is none."""
    return "" if np.isnan(share) else f"{share:.1%}"


def certainty(confidence: float) -> str:
    """Return Markdown on how sure detectors are, from the tables `confidence` and `confident_errors`; draws the figure.

    Args:
        confidence: coverage of the intervals.
    """
    histogram(result_tables.read("explain_confidence"))
    rows = result_tables.read("explain_confident_errors")
    shown = pd.DataFrame(
        {
            "experiment": rows["experiment"],
            "source": rows["source"],
            "class": rows["label"].map({tables.REAL: "real", tables.FAKE: "fake"}),
            "errors": [f"{row['errors']} of {row['samples']}" for _, row in rows.iterrows()],
            f"confident errors (p > {SURE:g})": rows["confident"],
            f"share ({confidence:.0%} interval)": [f"{row['share']:.1%}{_ends(row)}" for _, row in rows.iterrows()],
            "groups": rows["groups"],
        }
    )
    sentences = [_mistaken(name, part) for name, part in rows.groupby("experiment", sort=False)]
    return "\n\n".join(
        [
            picture("explain_confidence", "probabilities"),
            "\n".join(f"- {sentence}" for sentence in sentences),
            shown.to_markdown(index=False, disable_numparse=True),
            "Errors are counted at each fold's threshold, confident errors by the probability of the wrong class "
            "alone; where a threshold lies far from 0.5, a confident error may be none at the threshold.",
        ]
    )


def _ends(row: pd.Series) -> str:
    """Return an interval of a share; where nothing happened, resampling has nothing to say."""
    return f" [{row['low']:.1%}, {row['high']:.1%}]" if row["confident"] and not np.isnan(row["low"]) else ""


def _mistaken(name: object, rows: pd.DataFrame) -> str:
    """Say which source an experiment's confident errors come from."""
    total, samples = rows["confident"].sum(), rows["samples"].sum()
    if not total:
        return f"**{name}** makes no confident error on {samples:,} held-out samples."
    ranked = rows.sort_values(["share", "source"], ascending=[False, True])
    worst, others = ranked.iloc[0], ranked.iloc[1:]
    apart = others.loc[others["high"] < worst["low"], "source"].tolist()
    which = f"; the intervals of {listed(apart)} lie below" if apart else "; the intervals of all sources overlap"
    return (
        f"**{name}** is surely mistaken on {total} of {samples:,} held-out samples. The largest share is that of "
        f"{worst['source']}: {worst['confident']} of {worst['samples']}, {worst['share']:.1%}{_ends(worst)}{which}."
    )


def hard() -> str:
    """Return Markdown on the most confidently wrong samples, from the table `hard_examples`."""
    rows = result_tables.read("explain_hard_examples")
    sentences = []
    for (name, kind), part in rows.groupby(["experiment", "kind"], sort=False):
        sources = ", ".join(f"{count} {source}" for source, count in part["source"].value_counts().items())
        groups = part["group"].nunique()
        people = f"{groups} group{'s' if groups > 1 else ''}"
        top = part.iloc[0]
        sentences.append(
            f"**{name}**, {len(part)} hardest {kind}s: {sources}, from {people}; first "
            f"{top['sample_id']} (fold {top['fold']}, logit {top['logit']:.2f}, {abs(top['margin']):.1f} standard "
            "deviations on the wrong side of the threshold)."
        )
    return "\n".join(f"- {sentence}" for sentence in sentences)


def histogram(rows: pd.DataFrame) -> None:
    """Draw how the probability of being fake is distributed: a row an experiment, a panel a source.

    Args:
        rows: the table `confidence`.
    """
    names, sources = rows["experiment"].unique(), rows.drop_duplicates("source").sort_values(["label", "source"])
    with plt.rc_context(figures.STYLE):
        size = (2.3 * len(sources), 1.0 + 1.5 * len(names))
        figure, panels = plt.subplots(
            len(names), len(sources), figsize=size, sharex=True, sharey="row", squeeze=False, layout="constrained"
        )
        for panel, (_, source) in zip(panels[0], sources.iterrows(), strict=True):
            panel.set_title(f"{source['source']} ({'real' if source['label'] == tables.REAL else 'fake'})")
        for line, name in zip(panels, names, strict=True):
            for panel, (_, source) in zip(line, sources.iterrows(), strict=True):
                part = rows[(rows["experiment"] == name) & (rows["source"] == source["source"])]
                real = source["label"] == tables.REAL
                sure = part["low"] >= SURE - 1e-9 if real else part["high"] <= 1 - SURE + 1e-9
                colours = np.where(sure, figures.COLOURS[1], figures.COLOURS[0])
                panel.bar(part["low"], part["share"], 1 / len(part), align="edge", color=colours)
            line[0].set_ylabel(name, fontsize=8)
        figure.supxlabel("probability of being fake; orange: surely mistaken", fontsize=9)
        figure.supylabel("share of the source's samples", fontsize=9)
        figures.save(figure, paths().figure("explain_confidence"))
