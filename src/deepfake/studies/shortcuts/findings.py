"""What the probes of the audit say, and what leaks explain of detectors: sentences that follow from the figures."""

from typing import Any

import pandas as pd

from deepfake.reports import wording
from deepfake.reports.wording import listed

SEVERITIES = ("none", "weak", "moderate", "severe")
_FILES = "files"
_SEEN = {
    "frame_side": "how much of the square the image fills",
    "frame_x": "how the image lies in the square",
    "frame_y": "how the image lies in the square",
    "face_found": "whether a face was found",
    "face_x": "where the face stands in its square",
    "face_y": "where the face stands in its square",
    "face_cut": "how tightly the square is cut around the face",
}
"""What each feature of the framing shows a detector."""


def findings(rows: pd.DataFrame, weak: float) -> list[str]:
    """Return what the probes say, a sentence or two for each question.

    Args:
        rows: the table of probes.
        weak: the AUC from which on a leak is called weak.
    """
    files = rows[rows["subject"] == _FILES]
    lines = [_container(files, weak), *_size(files), _pixels(files, weak)]
    for view in rows["subject"].unique():
        if view != _FILES:
            lines.append(_view(view, rows[rows["subject"] == view], files, weak))
    return lines + [line for _, seen in rows.groupby("subject", sort=False) if (line := _sources(seen))]


def _container(files: pd.DataFrame, weak: float) -> str:
    """Say whether the way files are stored gives the label away."""
    mine = files[files["nature"] == "container"]
    found = mine[mine["severity"] != "none"].sort_values("auc", ascending=False, kind="stable")
    if found.empty:
        return f"**No leak in the container**: {_best(mine, weak)}"
    worst = _worst(found)
    return (
        f"**The container is a shortcut for certain ({worst}).** {_listed(found)}. That is how the files are stored, "
        "not what they show: a detector that can see it scores as high without looking."
    )


def _size(files: pd.DataFrame) -> list[str]:
    """Say so where the size of the files gives the label away."""
    found = files[(files["family"] == "size") & (files["severity"] != "none")]
    if found.empty:
        return []
    return [
        f"**The size of the files gives fakes away ({_worst(found)})**: {_listed(found)}. It grows with quality and "
        "with the detail that a picture shows; which it is, the features of the container and of the pixels tell. "
        "The two figures together also amount to the number of pixels."
    ]


def _pixels(files: pd.DataFrame, weak: float) -> str:
    """Say whether plain statistics of the files' pixels give the label away."""
    mine = files[files["nature"] == "pixels"]
    found = mine[mine["severity"] != "none"].sort_values("auc", ascending=False, kind="stable")
    if found.empty:
        return f"**No leak in plain statistics of the pixels**, at the files' own sizes: {_best(mine, weak)}"
    return (
        f"**Plain statistics of the pixels give fakes away ({_worst(found)})**, at the files' own sizes: "
        f"{_listed(found)}. It may be a generator's trace, which a detector is welcome to, or that of processing that "
        "only one class went through (resizing, another compression), which it will not meet elsewhere. The probe "
        "cannot tell the two apart."
    )


def _view(view: str, seen: pd.DataFrame, files: pd.DataFrame, weak: float) -> str:
    """Say what a view leaves of the leaks."""
    features = seen[seen["level"] == "feature"].set_index("name")
    before = files[(files["level"] == "feature") & (files["nature"] == "pixels") & (files["severity"] != "none")][
        "name"
    ]
    after = features[(features["severity"] != "none") & (features["nature"] == "pixels")].index
    joint = seen[seen["level"] == "all"].iloc[0]
    kept = [name for name in before if name in set(after)]
    new = [name for name in after if name not in set(before)]
    survival = f"of {_count(len(before), 'pixel feature')} leaking in the files, " + (
        f"{', '.join(kept)} still {'does' if len(kept) == 1 else 'do'}" if kept else "none does alone any more"
    )
    text = f"**{view}**: framing and statistics of the pixels reach {_figures(joint)} together: {_verdict(joint, weak)}"
    text += f"; {survival}" if len(before) else ""
    text += f"; {', '.join(new)} {'leaks' if len(new) == 1 else 'leak'} only here" if new else ""
    text += _framing(seen, weak)
    scale: Any = features.loc["scale"]
    if scale["severity"] != "none":
        text += (
            f". It shrinks reals and fakes by different factors (AUC {scale['auc']:.3f} from the factor alone), so "
            "traces of resampling are to be expected"
        )
    return text + "."


def _sources(seen: pd.DataFrame) -> str:
    """Name the sources of fakes that a joint probe finds easiest and hardest."""
    each = seen[seen["level"] == "source"].sort_values("auc", ascending=False, kind="stable")
    if len(each) < 2:
        return ""
    listed = ", ".join(f"{row['name']} {_figures(row)}" for _, row in each.iterrows())
    return f"Each source of fakes against all reals, by the joint probe of **{each['subject'].iloc[0]}**: {listed}."


def _best(rows: pd.DataFrame, weak: float) -> str:
    """Say how far the best of several probes got that are no leaks."""
    best = rows.sort_values("auc", ascending=False, kind="stable").iloc[0]
    if best["auc"] == 0.5:
        return "no probe gets beyond AUC 0.5."
    return f"the best probe ({best['name']}) reaches {_figures(best)}: {_verdict(best, weak)}."


def _verdict(row: Any, weak: float) -> str:
    """Return a probe's severity, or why it has none."""
    if row["severity"] != "none":
        return row["severity"]
    if min(row["auc_low"], row["fold_low"]) <= 0.5:
        return "not told from chance"
    return "too little to be called a leak" if row["auc"] < weak else "not told from chance among so many probes"


def _worst(rows: pd.DataFrame) -> str:
    """Return the highest severity among some rows."""
    return max(rows["severity"], key=SEVERITIES.index)


def _framing(seen: pd.DataFrame, weak: float) -> str:
    """Say whether a view's framing gives the label away, and by what."""
    mine = seen[seen["family"] == "framing"]
    family = mine[mine["level"] == "family"].iloc[0]
    if family["severity"] == "none":
        return f". The framing is no leak ({_reached(family, weak)})"
    alone = mine[(mine["level"] == "feature") & (mine["severity"] != "none")].sort_values("auc", ascending=False)
    shown = dict.fromkeys(alone["name"].map(_SEEN))
    return (
        f". **Its framing is a shortcut for certain ({family['severity']})**: "
        + _listed(mine.loc[[family.name, *alone.index]])
        + (f". The detector sees {listed(shown)}, whatever is shown there" if shown else "")
    )


def _reached(row: Any, weak: float) -> str:
    """Return how far a probe got that is no leak."""
    return "no probe gets beyond AUC 0.5" if row["auc"] == 0.5 else f"{_figures(row)}: {_verdict(row, weak)}"


def _listed(rows: pd.DataFrame) -> str:
    """Return what leaks, families first, each with its AUC."""
    parts = [f"{row['name']} together {_figures(row)}" for _, row in rows[rows["level"] == "family"].iterrows()]
    alone = [f"{row['name']} {row['auc']:.3f}" for _, row in rows[rows["level"] == "feature"].iterrows()]
    return "; ".join([*parts, f"alone: {', '.join(alone)}" if alone else "none of it alone"])


def _figures(row: Any) -> str:
    """Return an AUC with its interval over groups."""
    return f"AUC {row['auc']:.3f} {wording.interval(row, 'auc_')}"


def _count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def explained(runs: pd.DataFrame) -> list[str]:
    """Return what the figures of each run say."""
    return [_explained(row) for _, row in runs.iterrows()]


def _explained(row: Any) -> str:
    """Say what a leak explains of a detector's logits."""
    text = f"**{row['experiment']}** and the leak of **{row['leak']}** (AUC {row['leak_auc']:.3f}): "
    if row["r2_low"] > 0:
        text += f"the leak explains {row['r2']:.0%} of the logit's variance"
    else:
        text += "no share of the logit's variance can be told from 0"
    if not row["overlap"]:
        return (
            f"{text}. The leak tells reals from fakes so well that hardly any real has a fake like it "
            f"({row['pairs']} pairs): **no overlap**, so this data cannot show what the detector is worth without the "
            "leak."
        )
    text += f"; on {row['pairs']:,} pairs of a real and a fake that are alike to the leak, the AUC is "
    text += f"{row['matched_auc']:.3f} {wording.interval(row, 'matched_auc_')} instead of {row['auc']:.3f}"
    if row["matched_auc_low"] > 0.5:
        return f"{text}: the detector sees more than this leak."
    return f"{text}: **without the leak it is not told from guessing**."


def brief(rows: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Return the audit in one sentence: what leaks in the files and in the views, and whether detectors follow it."""
    # the geometry of a view is known to it and not shown
    shown = rows[(rows["subject"] == _FILES) | (rows["family"] != "geometry")]
    found = {str(subject): _worst_families(seen) for subject, seen in shown.groupby("subject", sort=False)}
    said = [f"{told} fakes away in {subject}" for subject, told in found.items() if told]
    clean = [subject for subject, told in found.items() if not told]
    said += [f"no family of features gives fakes away in {listed(clean)}"] if clean else []
    said += [_followed(row) for _, row in runs[runs["leak"] != _FILES].iterrows()]
    return f"Without a look at the content, {'; '.join(said)}."


def _worst_families(rows: pd.DataFrame) -> str:
    """Say which families give fakes away, if any, the worst first: together, or else by their worst feature."""
    leaks = rows[rows["level"].isin(["family", "feature"]) & (rows["severity"] != "none")]
    # "family" stands before "feature"
    order = leaks.sort_values(["level", "auc"], ascending=[True, False], kind="stable").drop_duplicates("family")
    found = order.sort_values("auc", ascending=False, kind="stable")
    if found.empty:
        return ""
    named = listed(f"{_called(row)} ({_figures(row)}, {row['severity']})" for _, row in found.iterrows())
    return f"{named} {'gives' if len(found) == 1 else 'give'}"


def _called(row: Any) -> str:
    """Return a family's name, with the feature that a row is about."""
    return row["family"] if row["level"] == "family" else f"{row['family']} by {row['name']}"


def _followed(row: Any) -> str:
    """Say whether a detector's logits follow the leak of the view that it sees."""
    share = f"R² {row['r2']:.2f} {wording.interval(row, 'r2_')}"
    follows = "follow" if row["r2_low"] > 0 else "cannot be told to follow"
    text = f"the logits of {row['experiment']} {follows} the probe of {row['leak']} ({share})"
    if not row["overlap"]:
        return f"{text}, with no overlap of reals and fakes to test it without the leak"
    sees = "it sees more than that" if row["matched_auc_low"] > 0.5 else "without it, it is not told from guessing"
    return f"{text}, and {sees} (AUC {row['matched_auc']:.3f} {wording.interval(row, 'matched_auc_')} on matched pairs)"
