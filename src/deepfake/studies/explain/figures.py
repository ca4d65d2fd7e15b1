"""The picture of how sure detectors are."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.evaluation.hard_examples import SURE
from deepfake.project import paths
from deepfake.reports import figures


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
        figure.supxlabel("probability of being fake; orange: high-confidence errors", fontsize=9)
        figure.supylabel("share of the source's samples", fontsize=9)
        figures.save(figure, paths().figure("explain_confidence"))
