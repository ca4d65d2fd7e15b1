"""What the comparison of a phase left behind, read back for the pages that tell it."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepfake import config
from deepfake.config.params import Params
from deepfake.config.studies import Trained
from deepfake.evaluation import statistics
from deepfake.evaluation.bootstrap import Interval
from deepfake.tables import results as result_tables

TITLES = {
    "simple_cnn": "SimpleCNN",
    "resnet18": "ResNet18",
    "resnet34": "ResNet34",
    "resnet50": "ResNet50",
    "efficientnet_b0": "EfficientNet-B0",
    "convnext_tiny": "ConvNeXt-Tiny",
    "mobilenetv3_small_100": "MobileNetV3-Small",
    "test_resnet": "tiny ResNet",
    "tf_efficientnet_lite0": "EfficientNet-Lite0",
}
"""How the plan and the papers write the models' names; others go by that of timm."""


@dataclass(frozen=True)
class Results:
    """The tables of one comparison (`studies.comparison.write`).

    Args:
        rows: one row an experiment, with its conditions and figures.
        folds: one row an experiment and fold.
        tests: one row a paired test.
        titles: the name of each experiment's model.
        unplanned: experiments of candidates that are not of the plan, and cannot be chosen.
    """

    rows: pd.DataFrame
    folds: pd.DataFrame
    tests: pd.DataFrame
    titles: dict[str, str]
    unplanned: tuple[str, ...]

    def pairs(self, table: str) -> pd.DataFrame:
        """Return the tests of a table, beside each the figures of its baseline (`a_*`) and its experiment (`b_*`)."""
        tests = self.tests[self.tests["table"] == table].reset_index(drop=True)
        known = self.rows.set_index("experiment")
        ends = [known.loc[tests[end]].reset_index(drop=True) for end in ("baseline", "experiment")]
        titles = {"title": tests["experiment"].map(self.titles), "against": tests["baseline"].map(self.titles)}
        return pd.concat([tests.assign(**titles), ends[0].add_prefix("a_"), ends[1].add_prefix("b_")], axis=1)

    def row(self, experiment: str) -> Any:
        """Return the figures of one experiment."""
        return self.rows.set_index("experiment", drop=False).loc[experiment]

    def names(self) -> dict[str, str]:
        """Return what to call each experiment: by its model where models tell them apart."""
        return (
            self.titles if len(set(self.titles.values())) == len(self.titles) else {name: name for name in self.titles}
        )

    def experiments(self, table: str) -> list[str]:
        """Return the experiments of a table, each after its baseline."""
        tests = self.tests[self.tests["table"] == table]
        return list(
            dict.fromkeys(name for pair in zip(tests["baseline"], tests["experiment"], strict=True) for name in pair)
        )

    def by_fold(self, experiment: str, metric: str) -> pd.Series:
        """Return a metric of an experiment, indexed by fold."""
        return self.folds[self.folds["experiment"] == experiment].set_index("fold")[metric]

    def change(self, baseline: str, experiment: str, metric: str, confidence: float) -> Interval:
        """Return how a metric changes from one experiment to another, with its interval over folds."""
        return over_folds(self.by_fold(experiment, metric) - self.by_fold(baseline, metric), confidence)


def read(phase: str, settings: Params) -> Results:
    """Read the tables of a phase's comparison."""
    rows, folds, tests = (result_tables.read(f"{phase}_{kind}") for kind in ("experiments", "folds", "tests"))
    names = rows["experiment"].tolist()
    titles = {name: _title(settings, name, model) for name, model in zip(names, rows["model"], strict=True)}
    return Results(rows, folds, tests, titles, tuple(name for name in names if not _planned(settings, name)))


def over_folds(values: pd.Series, confidence: float) -> Interval:
    """Return the mean over folds with its interval, which allows for the training sets that folds share."""
    return statistics.fold_interval(values, statistics.held_out_share(len(values)), confidence)


_VARY_WEIGHTS = ("phase3", "phase4")


def _title(settings: Params, experiment: str, model: str) -> str:
    """Return the name of an experiment's model; a candidate's own weights are part of it."""
    title = TITLES.get(model, model)
    entry = config.entries(settings).get(experiment)
    weights = (
        entry.run.pretrained if entry and entry.study in _VARY_WEIGHTS and isinstance(entry.run, Trained) else None
    )
    if weights is None:
        return title
    return f"{title} ({'ImageNet weights' if weights else 'from scratch'})"


def _planned(settings: Params, experiment: str) -> bool:
    """Tell whether an experiment is of the plan: all are, but candidates that are not ranked."""
    entry = config.entries(settings).get(experiment)
    return not (entry and isinstance(entry.run, Trained)) or entry.run.ranked
