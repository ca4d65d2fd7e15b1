"""The page on clips: single frames against whole clips, by number of frames, by source, and the files alone."""

from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from deepfake.config import config_of
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.project import paths
from deepfake.reports import figures, findings, pages
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Table, number, text
from deepfake.studies import own_data, results
from deepfake.studies.results import SOURCES
from deepfake.studies.video.analysis import FRAME, NAME
from deepfake.synthetic import video
from deepfake.tables import results as result_tables

TITLE = "Clips"
_LIMITS = {"sample_video": video.LIMITS}
"""What a data set cannot show, by its name."""


def write(settings: Params) -> None:
    """Write the page and its figure from the tables and findings of the study.

    Raises:
        InputError: a table or the findings are missing.
    """
    own = own_data.section(NAME, settings)
    found, named = results.read(NAME), findings.read(NAME)
    names = own_data.names(found)
    pooled, counts, sources = (result_tables.read(f"video_{part}") for part in ("pooling", "frames", "sources"))
    by_frames(counts, names, paths().figure("video_frames"))
    configs = [config_of(name) for name in found.rows["experiment"]]
    pages.write(
        NAME,
        __package__ or "",
        "page.md.j2",
        found=list(named.values()),
        resolution=results.resolution([found.tests, pooled]),
        datasets={name: catalog.find(name).title for name in own.datasets},
        limits=_LIMITS.get(own.datasets[0], ()),
        pooling=_pooling(pooled, names),
        counts=_counts(counts, names),
        sources=_sources(sources, names),
        rates=_rates(result_tables.read("video_rates"), names),
        crf=settings.sample_video.crf if own.dataset == "sample_video" else (),
        contrasts=_contrasts(found, names),
        probes=own_data.probe_table(result_tables.read("video_probes")),
        settings=shown_settings.shared(configs),
        varied=shown_settings.varied(configs),
    )


def _pooling(rows: pd.DataFrame, names: dict[str, str]) -> str:
    said = rows["pooling"].map(lambda how: "single frames" if how == FRAME else f"{how} of a clip's frames")
    columns = [text("Run", "name"), text("Verdict on", "said"), own_data.AUC, *own_data.VERDICT, own_data.SIZE]
    return Table(rows.assign(name=rows["experiment"].map(names), said=said), columns).markdown()


def _counts(rows: pd.DataFrame, names: dict[str, str]) -> str:
    columns = [text("Run", "name"), text("Frames a clip", "frames"), own_data.AUC, *own_data.VERDICT]
    return Table(rows.assign(name=rows["experiment"].map(names)), columns).markdown()


def _sources(rows: pd.DataFrame, names: dict[str, str]) -> str:
    columns = [text("Run", "name"), text("Source of the fakes", "source"), own_data.AUC, own_data.SIZE]
    rows = rows.replace({"source": SOURCES})
    return Table(rows.assign(name=rows["experiment"].map(names)), columns).markdown()


def _rates(rows: pd.DataFrame, names: dict[str, str]) -> str:
    """Return the AUC by bit rate; nothing where halves lack a class."""
    columns = [
        text("Run", "name"),
        text("Bit rates", "rate"),
        number("Median kbit/s", "kilobits", "{:.0f}"),
        own_data.AUC,
        own_data.SIZE,
    ]
    return Table(rows.assign(name=rows["experiment"].map(names)), columns).markdown() if len(rows) else ""


def _contrasts(found: results.Results, names: dict[str, str]) -> str:
    rows = found.tests.assign(name=found.tests["experiment"].map(names), against=found.tests["baseline"].map(names))
    return Table(rows, [text("Run", "name"), text("Against", "against"), *own_data.VERDICT, own_data.SIZE]).markdown()


def by_frames(rows: pd.DataFrame, names: dict[str, str], path: Path) -> None:
    """Draw the AUC of clips over the number of frames pooled, with its interval.

    Args:
        rows: the table of `analysis.by_frames`.
        names: what each run is called.
        path: the PNG to write.
    """
    with plt.rc_context(figures.STYLE):
        figure, axes = plt.subplots(figsize=(figures.WIDTH, 2.8))
        shift = 0.0
        for (name, each), colour, marker in zip(
            rows.groupby("experiment", sort=False), figures.colours(len(names)), cycle(figures.MARKERS), strict=False
        ):
            places = each["frames"] * 2**shift
            axes.vlines(places, each["auc_low"], each["auc_high"], color=colour, lw=1.5)
            axes.plot(places, each["auc"], f"{marker}-", color=colour, ms=5, lw=1.2, label=names[str(name)])
            shift += 0.08
        axes.set_xscale("log", base=2)
        ticks = sorted(rows["frames"].unique())
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.axhline(0.5, color="0.6", lw=0.8, ls="--")
        axes.set(xlabel="frames of a clip that are pooled", ylabel="AUC of clips")
        figure.legend(loc="outside upper center", ncols=2)
        figures.save(figure, path)
