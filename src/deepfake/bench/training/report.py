"""The measurements as tables in Markdown, and the figure of README."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from deepfake import runtime
from deepfake.bench.training import growth, material, rates, rivals
from deepfake.bench.training.run import Found
from deepfake.reports.figures import COLOURS, STYLE, panels_of, save

TITLES = {"simple_cnn": "SimpleCNN", "resnet18": "ResNet18", "convnext_tiny": "ConvNeXt-Tiny"}
_DRAWN: dict[str, str] = dict(zip((rates.OURS, rates.GRAPHED, rates.TIMM, rates.TORCHVISION), COLOURS, strict=False))
_ORDER = (
    *(rates.OURS, rates.GRAPHED, rates.WHOLE, rates.IN_MEMORY),
    *(rates.TIMM_TENSORS, rates.TIMM, rates.TORCHVISION),
)
_COMPARED = {
    rates.TIMM_TENSORS: "ours / timm, tensors in memory",
    rates.TIMM: "ours / timm",
    rates.TORCHVISION: "ours / torchvision",
    rates.IN_MEMORY: "ours / tensors in memory",
    rates.WHOLE: "ours / whole-step graph",
}
_DRAWN_BATCH = 32
_RATES = """*ours*: the engine as a fold runs it, with the work of every epoch on the host. *tensors in memory*: the
same step without loading, metrics or checkpoints. *timm*, *torchvision*: loops as in their training scripts, with our
model, our precision and no augmentation; {readers} JPEG files of {side}×{side}, which ours has
decoded once before; what is read before their first batch is there is free. torchvision's has SGD in place of AdamW.
Medians of {turns} interleaved turns of the loops.
"""
_FOLDS = """, through the executor, with
checkpoints and predictions. *Start-up*: until the first fold begins; the seconds are those after it.
"""
_HOURS = """A projection, not a measurement: the images that the runs of preset `full` train on and predict (of 120,000,
all folds and epochs, no early stopping, the dearest choice that phases 2 and 3 could make), over the rates of every
model on this machine at batch 32; {augmented}.
Side by side: {gain:.2f} times as fast, as the folds above. Decoding, faces, probes and pages come on top.
"""


def text(found: Found) -> str:
    """Return all tables, with the machine that they were made on."""
    machine = runtime.processor()["device"]
    parts = [
        f"Training on {machine}, one thread" + (", bf16" if _bf16() else ", fp32") + ".\n",
        *_rates(found),
        *_folds(found),
        *_growth(found),
        *_hours(found),
    ]
    return "\n".join(parts)


def draw(found: Found, path: Path) -> None:
    """Draw the images a second of the loops at the study's batch, a panel a model.

    Args:
        found: what was measured.
        path: the PNG to write, and beside it the SVG.
    """
    rows = [row for row in found.rates if row["batch"] == _DRAWN_BATCH]
    names = list(dict.fromkeys(row["model"] for row in rows))
    loops = [name for name in _DRAWN if any(name in row["rate"] for row in rows)]
    with plt.rc_context(STYLE):
        figure, panels = panels_of(len(names), 2.2)
        for axes, name in zip(panels, names, strict=True):
            own = [row for row in rows if row["model"] == name]
            places = np.arange(len(own))
            width = 0.8 / len(loops)
            for number, loop in enumerate(loops):
                values = [row["rate"].get(loop, np.nan) for row in own]
                left = places - 0.4 + width * (number + 0.5)
                bars = axes.bar(left, values, width, color=_DRAWN[loop], label=loop)
                axes.bar_label(bars, [f"{value:,.0f}" for value in values], fontsize=7, rotation=90, padding=2)
            axes.set_xticks(places, [f"{row['size']} px" for row in own])
            axes.set_title(TITLES.get(str(name), str(name)))
            axes.margins(y=0.3)
        panels[0].set_ylabel("images a second")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(loops))
        save(figure, path)


def _bf16() -> bool:
    from torch import nn

    return runtime.autocast_dtype("auto", runtime.device(), nn.Linear(1, 1)) is not None


def _table(frame: pd.DataFrame) -> str:
    return frame.to_markdown(index=False, disable_numparse=True, colalign=["left", *["right"] * (frame.shape[1] - 1)])


def _texts(frame: pd.DataFrame, form: str) -> pd.DataFrame:
    """Return numbers as texts; what failed or was not measured is empty."""
    return frame.map(lambda value: "" if pd.isna(value) else form.format(value))


def _keys(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": [TITLES.get(row["model"], row["model"]) for row in rows],
            "px": [str(row["size"]) for row in rows],
            "batch": [str(row["batch"]) for row in rows],
        }
    )


def _by_loop(rows: list[dict[str, Any]], figure: str) -> pd.DataFrame:
    """Return one figure of all settings, a column a loop, NaN where one failed."""
    found = pd.DataFrame([row[figure] for row in rows])
    return found[[name for name in _ORDER if name in found]]


def _rates(found: Found) -> list[str]:
    rows = found.rates
    speeds, ratios, memory = (_by_loop(rows, figure) for figure in ("rate", "ratio", "mb"))
    compared = ratios[[name for name in _COMPARED if name in ratios]].rename(columns=_COMPARED)
    count = rivals.workers()
    readers = f"{count} more {'process reads' if count == 1 else 'processes read'}"
    repeats = [row["repeats"] for row in rows]
    turns = f"{min(repeats)} to {max(repeats)}" if min(repeats) != max(repeats) else f"{repeats[0]}"
    return [
        "## A training step, images a second\n",
        _RATES.format(readers=readers, side=material.SIDE, turns=turns),
        _table(pd.concat([_keys(rows), _texts(speeds, "{:,.0f}")], axis=1)) + "\n",
        "How many times as fast ours is" + (", graphed" if rates.GRAPHED in speeds else "") + ":\n",
        _table(pd.concat([_keys(rows), _texts(compared, "{:.2f}")], axis=1)) + "\n",
        "Peak of memory, MB (" + _memory() + "):\n",
        _table(pd.concat([_keys(rows), _texts(memory, "{:,.0f}")], axis=1)) + "\n",
    ]


def _memory() -> str:
    if runtime.device().type == "cuda":
        return "of the GPU, as PyTorch has allocated it"
    return "growth of the process's own memory, without mapped files and without the processes that read files"


def _folds(found: Found) -> list[str]:
    study, rows = found.plan.study, found.folds
    model, size, batch = study.setting
    shown = pd.DataFrame(
        {
            "folds": rows["folds"].map("{:.0f}".format),
            "at a time": rows["workers"].map("{:.0f}".format),
            "start-up, s": rows["startup"].map("{:.1f}".format),
            "seconds": rows["seconds"].map("{:.1f}".format),
            "one fold alone = 1": rows["alone"].map("{:.2f}".format),
            "times as fast as one by one": rows["gain"].map("{:.2f}".format),
        }
    )
    return [
        "## Folds side by side\n",
        f"{TITLES[model]} at {size} px, batch {batch}, {study.images} images, {study.epochs} epochs a fold{_FOLDS}",
        _table(shown) + "\n",
    ]


def _growth(found: Found) -> list[str]:
    trunk = pd.DataFrame(
        {
            "px": found.trunk["size"].map("{:.0f}".format),
            "images/s": found.trunk["rate"].map("{:,.0f}".format),
            "memory, MB": found.trunk["mb"].map("{:,.0f}".format),
        }
    )
    rows, scale = found.growth, found.plan.scale.setting
    shown = pd.DataFrame(
        {
            "what grows": rows["what"],
            "to": rows["value"].map("{:,.0f}".format),
            "seconds": rows["seconds"].map("{:.2f}".format),
            "times the first": rows["times"].map("{:.2f}".format),
            "exponent": rows["exponent"].map("{:.2f}".format),
        }
    )
    return [
        "## Features of a frozen trunk\n",
        f"{growth.TRUNK}, up to its last stage but one, in one process.\n",
        _table(trunk) + "\n",
        "## Growth\n",
        f"An epoch of {TITLES[scale.model]}, batch {scale.batch}, at {scale.size} px where images grow; "
        "folds are those of above, one by one. The exponent is the slope of log seconds over log size: 1 is linear.\n",
        _table(shown) + "\n",
    ]


def _hours(found: Found) -> list[str]:
    if found.hours is None:
        return []
    rows, gain = found.hours, found.folds["gain"].max()
    shown = pd.DataFrame(
        {
            "study": rows["study"],
            "runs": rows["runs"].map("{:.0f}".format),
            "images trained on, millions": (rows["trained"] / 1e6).map("{:.1f}".format),
            "images predicted, millions": (rows["predicted"] / 1e6).map("{:.1f}".format),
            "hours, one fold at a time": rows["hours"].map("{:,.1f}".format),
            "hours, side by side": (rows["hours"] / gain).map("{:,.1f}".format),
        }
    )
    augmented = (
        f"augmentation ({', '.join(found.policies)}) is added to the step as if nothing overlapped"
        if found.policies
        else "augmentation is not counted, its backend is not installed here"
    )
    return [
        "## The full study on DeepFakeFace, projected\n",
        _HOURS.format(augmented=augmented, gain=gain),
        _table(shown) + "\n",
    ]
