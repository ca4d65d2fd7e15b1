"""What the comparison of a phase left behind, read back for findings and pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepfake.config import FROM_SCRATCH, facts_of
from deepfake.evaluation.statistics import Interval
from deepfake.studies.comparison import fold_change
from deepfake.tables import results as result_tables

TITLES = {
    "simple_cnn": "SimpleCNN",
    "lcnn": "LCNN",
    "resnet18": "ResNet18",
    "resnet34": "ResNet34",
    "resnet50": "ResNet50",
    "efficientnet_b0": "EfficientNet-B0",
    "convnext_tiny": "ConvNeXt-Tiny",
    "mobilenetv2_100": "MobileNetV2",
    "mobilenetv3_small_100": "MobileNetV3-Small",
    "tf_efficientnet_lite0": "EfficientNet-Lite0",
    "tf_efficientnet_lite1": "EfficientNet-Lite1",
}
"""How papers write the models' names; others go by that of timm."""
SOURCES = {
    "griffin_lim": "Griffin-Lim",
    "lpc": "LPC",
    "psola": "PSOLA",
    "codec": "low-rate codec",
    "espeak": "eSpeak NG",
    "flite": "Flite",
    "swap": "face swap",
    "lipsync": "lip-sync",
}
"""What people call the sources of fakes; others go by the names of their folders."""


@dataclass(frozen=True)
class Results:
    """The tables of one comparison (`studies.comparison.write`).

    Args:
        rows: one row a run, with its conditions and figures.
        folds: one row a run and fold.
        tests: one row a planned contrast.
        titles: the name of each run's model, and how it was trained.
    """

    rows: pd.DataFrame
    folds: pd.DataFrame
    tests: pd.DataFrame
    titles: dict[str, str]

    def pairs(self, table: str) -> pd.DataFrame:
        """Return the tests of a table, beside each the figures of its baseline (`a_*`) and its run (`b_*`)."""
        tests = self.tests[self.tests["table"] == table].reset_index(drop=True)
        known = self.rows.set_index("experiment")
        ends = [known.loc[tests[end]].reset_index(drop=True) for end in ("baseline", "experiment")]
        titles = {"title": tests["experiment"].map(self.titles), "against": tests["baseline"].map(self.titles)}
        return pd.concat([tests.assign(**titles), ends[0].add_prefix("a_"), ends[1].add_prefix("b_")], axis=1)

    def row(self, experiment: str) -> Any:
        """Return the figures of one run."""
        return self.rows.set_index("experiment", drop=False).loc[experiment]

    def label(self, experiment: str) -> str:
        """Return what to call a run: by its model where models tell them apart."""
        title = self.titles[experiment]
        return title if list(self.titles.values()).count(title) == 1 else f"{title} ({experiment})"

    def names(self) -> dict[str, str]:
        """Return what to call each run."""
        return {name: self.label(name) for name in self.titles}

    def experiments(self, table: str) -> list[str]:
        """Return the runs of a table, each after its baseline."""
        tests = self.tests[self.tests["table"] == table]
        return list(
            dict.fromkeys(name for pair in zip(tests["baseline"], tests["experiment"], strict=True) for name in pair)
        )

    def change(self, baseline: str, experiment: str, metric: str, confidence: float) -> Interval:
        """Return how a fold's metric changes from one run to another, with its 95% CI (repeated cross-validation)."""
        first, second = (self.folds[self.folds["experiment"] == name] for name in (baseline, experiment))
        return fold_change(first, second, metric, confidence)


def read(phase: str) -> Results:
    """Read the tables of a phase's comparison."""
    rows, folds, tests = (result_tables.read(f"{phase}_{kind}") for kind in ("experiments", "folds", "tests"))
    return Results(rows, folds, tests, {row["experiment"]: title(row) for row in rows.to_dict("records")})


def title(row: Mapping[Any, Any]) -> str:
    """Return the name of a run's model, and how it was trained where that is not fine-tuning."""
    name = TITLES.get(row["model"], str(row["model"]))
    if row["train"] == "head":
        return f"frozen {name}"
    fine_tuned = row["pretrained"] or row.get("recipe") == "fine-tuned"
    return name if fine_tuned or row["model"] in FROM_SCRATCH else f"{name} from scratch"


GEOMETRIES = {
    "lfcc": "LFCC",
    "log_mel": "log-mel",
    "letterbox": "letterboxed",
    "letterbox_real": "reals letterboxed",
    "matched": "equal shapes",
    "resize": "plain resize",
}
"""What figures call the ways to make an image square, but for the central square; of sound its front ends."""


def described(names: Iterable[str]) -> dict[str, str]:
    """Return what to call each run: by its model, and by what sets it apart from others with that model.

    Args:
        names: of finished runs; a name itself is added where two are alike in all that is told.
    """
    facts = {name: facts_of(name) for name in names}
    titles = {name: title(each) for name, each in facts.items()}
    told = {name: _conditions(each) for name, each in facts.items()}
    labels = {}
    for name in facts:
        alike = [told[other] for other in facts if titles[other] == titles[name]]
        varied = [key for key in told[name] if len({each[key] for each in alike}) > 1]
        labels[name] = ", ".join([titles[name], *(told[name][key] for key in varied if told[name][key])])
    known = list(labels.values())
    return {name: label if known.count(label) == 1 else f"{label} ({name})" for name, label in labels.items()}


def _conditions(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what may set a run apart, in words; a plain condition has none."""
    return {
        "resolution": f"{facts['resolution']} {'px' if facts['view'].get('seconds') is None else 'bins'}",
        "geometry": GEOMETRIES.get(facts["view"]["geometry"], ""),
        "face_crop": "" if facts["view"]["face_margin"] is None else "face crop",
        "augmentation": "augmentation" if facts["augmentation"] else "",
        "normalization": "" if facts["normalization"] else "statistics of reals",
        "holdout": f"without {facts['holdout']}" if facts["holdout"] else "",
        "fraction": f"{facts['fraction']:.0%} of the data",
    }


def resolution(found: Iterable[pd.DataFrame]) -> str:
    """Return what differences a study can see, from the tests of its comparisons."""
    values = pd.concat([tests["detectable"] for tests in found]).dropna()
    if values.empty:
        return "No contrast of this study can be resolved."
    return (
        f"With 80% power this study sees differences in AUC of {values.median():.3f} "
        f"(median of {len(values)} contrasts; {values.min():.3f} to {values.max():.3f})."
    )
