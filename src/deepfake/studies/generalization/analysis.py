"""Train set by test set: what detectors are worth on every data set, the generalization gap, and what narrows it.

Nothing is trained or chosen here but the retuned thresholds, which come from the inner validation's groups of the other
data set; held-out samples only ever meet them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from deepfake import modalities, tables
from deepfake.config import RunConfig, config_of
from deepfake.config.params import Evaluation, Params
from deepfake.datasets import measuring
from deepfake.evaluation import covariate_shift, resampling, verdicts
from deepfake.project import paths
from deepfake.runs import completion
from deepfake.studies import comparison
from deepfake.studies.cross_domain import gaps
from deepfake.studies.cross_domain.cells import Cell, Cells
from deepfake.studies.generalization import contrasts
from deepfake.tables import results as result_tables

if TYPE_CHECKING:
    from deepfake.studies.generalization.external import ExternalRow

NAME = "generalization"


class Found(NamedTuple):
    """What the comparison finds; each frame is a table, named `generalization` and the field.

    Args:
        cells: one row a detector and data set, and one each of external ones (`kind`: trained, predictions, reported):
            `performance.COLUMNS` at the shipped thresholds with their 95% CIs, `retuned_balanced_accuracy`, and
            whether the AUC is above `chance`, each row a question of its own.
        gaps: `gaps.of_datasets`.
        contrasts: `contrasts.of_recipes`.
        sources: one row a detector, data set and source: the AUC of its fakes against all reals.
        features: one row a data set that is out-of-domain for the baseline, and feature: `covariate_shift.shifts` of
            the reals, and the rank correlation of the baseline's scores with it, Holm's correction over the features.
    """

    cells: pd.DataFrame
    gaps: pd.DataFrame
    contrasts: pd.DataFrame
    sources: pd.DataFrame
    features: pd.DataFrame

    @property
    def trained(self) -> pd.DataFrame:
        """Return the rows of the study's own detectors."""
        return self.cells[self.cells["kind"] == "trained"]

    @property
    def baseline(self) -> str:
        """Return the first detector."""
        return str(self.trained["experiment"].iloc[0])

    @property
    def datasets(self) -> list[str]:
        """Return all test data sets, the study's own first."""
        return self.trained["dataset"].drop_duplicates().tolist()

    def of(self, experiment: str) -> pd.DataFrame:
        """Return a detector's row for each data set."""
        return self.trained[self.trained["experiment"] == experiment].set_index("dataset", drop=False)

    @property
    def in_domain(self) -> str:
        """Return the data set that the baseline was trained on."""
        rows = self.of(self.baseline)
        return str(rows.index[rows["in_domain"].astype(bool)][0])

    @property
    def out_of_domain(self) -> list[str]:
        """Return the data sets that the baseline was not trained on."""
        rows = self.of(self.baseline)
        return rows.index[~rows["in_domain"].astype(bool)].tolist()


def read() -> Found:
    """Read the tables of the comparison.

    Raises:
        InputError: a table is missing.
    """
    found = Found(*(result_tables.read(_table(name)) for name in Found._fields))
    return found._replace(gaps=found.gaps.assign(source=found.gaps["source"].fillna("")))


def _table(name: str) -> str:
    return f"{NAME}_{name}"


def analyse(
    cells: Sequence[Cell],
    configs: Mapping[str, RunConfig],
    features: Mapping[str, pd.DataFrame],
    families: Mapping[str, Sequence[str]],
    settings: Params,
    external: "Sequence[ExternalRow]" = (),
) -> Found:
    """Compare detectors across data sets.

    Args:
        cells: each detector on each data set, in the order of the table; the first detector is the baseline.
        configs: what each was trained under.
        features: of each data set what its files show (`measuring.read`).
        families: the features that are compared, by family.
        settings: the checked params.yaml.
        external: external detectors.

    Raises:
        InputError: a fold of a data set lacks a class.
    """
    placed = {(cell.experiment, cell.dataset): cell for cell in cells}
    evaluation, baseline = settings.evaluation, cells[0].experiment
    rows = [_row(cell, configs, settings) for cell in cells]
    others = [
        {"kind": "reported" if row.reported else "predictions", "experiment": row.title, "dataset": row.dataset}
        | {"samples": row.samples}
        | row.figures
        for row in external
    ]
    return Found(
        # records, so that columns keep their kinds where external rows have no value
        pd.DataFrame([*rows, *others], columns=list(rows[0])),
        gaps.of_datasets(placed, baseline, evaluation),
        contrasts.of_recipes(placed, configs, settings),
        pd.DataFrame([row for cell in cells for row in cell.by_source(evaluation.confidence)]),
        _features(placed, baseline, features, families, evaluation),
    )


def write(cells: Sequence[Cell], external: "Sequence[ExternalRow]", settings: Params) -> Found:
    """Compare detectors across data sets, and write the tables and the metrics of the comparison.

    Args:
        cells: each detector on each data set (`analyse`).
        external: external detectors.
        settings: the checked params.yaml.

    Raises:
        InputError: as `analyse`, or a configuration or the features of a data set are not there.
    """
    configs = {name: config_of(name) for name in dict.fromkeys(cell.experiment for cell in cells)}
    manifests = {
        dataset: tables.read(paths().manifest(dataset), tables.MANIFEST)
        for dataset in dict.fromkeys(cell.dataset for cell in cells)
    }
    features = {dataset: measuring.read(dataset, manifest) for dataset, manifest in manifests.items()}
    families = modalities.of(next(iter(manifests.values()))).FAMILIES
    found = analyse(cells, configs, features, families, settings, external)
    for name, frame in found._asdict().items():
        result_tables.write(frame, _table(name))
    comparison.write_metrics(NAME, metrics(found), completion.names(settings, NAME))
    return found


def metrics(found: Found) -> dict[str, float | None]:
    """Return the metrics file of the comparison, always of the same keys; None where there is no such data set.

    `out_of_domain_auc` is the baseline's mean over all data sets that it was not trained on, `gap` that less its AUC
    in-domain; `unseen_auc` is the baseline's mean over those that no detector was trained on, and `best_unseen_auc`
    that of the best detector on the same ones.
    """
    rows = found.trained.astype({"in_domain": bool})
    aucs = rows.pivot(index="experiment", columns="dataset", values="auc")
    seen = rows.groupby("dataset")["in_domain"].any()
    unseen = aucs.loc[:, ~seen.reindex(aucs.columns)].mean(axis=1)
    own = aucs.loc[found.baseline]
    figures = {
        "in_domain_auc": own[found.in_domain],
        "out_of_domain_auc": own[found.out_of_domain].mean(),
        "gap": own[found.out_of_domain].mean() - own[found.in_domain],
        "unseen_auc": unseen[found.baseline],
        "best_unseen_auc": unseen.max(),
    }
    return {key: None if np.isnan(value) else round(float(value), 6) for key, value in figures.items()}


def _row(cell: Cell, configs: Mapping[str, RunConfig], settings: Params) -> dict[str, Any]:
    """Return what one detector is worth on one data set."""
    config = configs[cell.experiment]
    return {
        "kind": "trained",
        "experiment": cell.experiment,
        "model": config.model,
        "train": config.train,
        "pretrained": bool(config.pretrained),
        "recipe": contrasts.recipe_of(config),
        "trained_on": contrasts.trained_on(config, configs, settings),
        "dataset": cell.dataset,
        **cell.worth(settings.evaluation),
    }


_FOLLOWED = ["correlation", "correlation_low", "correlation_high", "p"]


def _features(
    cells: Cells,
    baseline: str,
    features: Mapping[str, pd.DataFrame],
    families: Mapping[str, Sequence[str]],
    evaluation: Evaluation,
) -> pd.DataFrame:
    """Compare the features of each data set that is out-of-domain for the baseline with those in-domain."""
    own = [cell for (name, _), cell in cells.items() if name == baseline]
    reference = next((cell for cell in own if cell.in_domain), None)
    family_of = {name: family for family, names in families.items() for name in names}
    frames = []
    for cell in (cell for cell in own if reference and not cell.in_domain):
        sides = [_measured(side, features[side.dataset]) for side in (reference, cell) if side]
        shifted = covariate_shift.shifts(*(side.loc[side["label"] == tables.REAL, list(family_of)] for side in sides))
        numbers = [name for name in family_of if pd.api.types.is_numeric_dtype(sides[0][name])]
        estimates = {
            name: resampling.trained_models(figure, confidence=evaluation.confidence)
            for name, figure in covariate_shift.correlations(cell.evalset, sides[1][numbers]).items()
        }
        adjusted = verdicts.holm([estimate.p for estimate in estimates.values()])
        values = [(one.value, one.low, one.high, p) for one, p in zip(estimates.values(), adjusted, strict=True)]
        followed = pd.DataFrame(values, index=list(estimates), columns=_FOLLOWED)
        shifted.insert(0, "family", shifted["feature"].map(family_of))
        shifted.insert(0, "dataset", cell.dataset)
        frames.append(shifted.join(followed, on="feature"))
    columns = ["dataset", "family", *covariate_shift.SHIFTED, *_FOLLOWED]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _measured(cell: Cell, features: pd.DataFrame) -> pd.DataFrame:
    """Return the held-out samples with their features, in the order of the cell's."""
    return cell.held_out[["sample_id", "label"]].merge(features, on="sample_id", how="left", validate="many_to_one")
