"""Which images are explained: by rules that look at names and verdicts, and at no picture."""

import pandas as pd

from deepfake import runtime

SHOWN = 16
"""Images of a picture of heat."""
HEAT = 480
"""Images behind the figures on heat, as many of each source."""
KINDS = ("confident right", "confident wrong", "borderline")
"""What is shown of each source: the verdicts farthest from the threshold, and those next to it."""


def drawn(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return samples in an order that depends on nothing but their names, so that nobody has picked them."""
    order = [runtime.derived_seed(sample) for sample in verdicts["sample_id"]]
    return verdicts.assign(order=order).sort_values(["order", "sample_id"])


def measured(verdicts: pd.DataFrame, count: int = HEAT) -> pd.DataFrame:
    """Return the images behind the figures: up to `count`, as many of each source, the first by `drawn`."""
    return drawn(verdicts).groupby("source").head(max(1, count // verdicts["source"].nunique()))


def shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the images of a picture, `SHOWN` of them, chosen by one run for all runs beside it.

    Each source gives one image of each of `KINDS`, then a second one, and so on. With more sources than there is room
    for, each gives fewer: the kinds take turns from source to source, so that all are shown.

    Args:
        verdicts: those of the run (`hard_examples.judged`), on what all runs of the picture held out.

    Returns:
        The chosen verdicts with `kind`, by label, source and kind.
    """
    sizes = verdicts.assign(distance=verdicts["margin"].abs())
    parts = [
        (sizes[~sizes["wrong"]], False),
        (sizes[sizes["wrong"]], False),
        (sizes, True),
    ]
    found = []
    places = {source: place for place, source in enumerate(sorted(verdicts["source"].unique()))}
    for turn, (kind, (part, nearest)) in enumerate(zip(KINDS, parts, strict=True)):
        ordered = drawn(part).sort_values("distance", ascending=nearest, kind="stable")
        rank = ordered.groupby("source").cumcount()
        place = ordered["source"].map(places).astype(int)
        found.append(ordered.assign(kind=kind, rank=rank, turn=(turn - place) % len(KINDS), place=place))
    queue = pd.concat(found).sort_values(["rank", "turn", "place"], kind="stable")
    chosen = queue.drop_duplicates("sample_id").head(SHOWN)
    order = chosen["kind"].map(KINDS.index)
    return chosen.assign(turn=order).sort_values(["label", "source", "turn", "rank"], kind="stable")
