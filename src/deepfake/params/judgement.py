"""The sections of params.yaml that say how trained detectors are judged, chosen and searched for shortcuts."""

from typing import Annotated

from pydantic import Field, model_validator

from deepfake.schema import Ratio, Section


class Reevaluation(Section):
    """A trained experiment that predicts all its samples again, as another view shows them; nothing is trained."""

    experiment: str
    view: str


class Selection(Section):
    """How the best are chosen from out-of-fold results."""

    standard_errors: Annotated[float, Field(ge=0)]
    """What counts as a tie: a lead of no more than so many standard errors; then the simpler choice wins."""


class Interpretation(Section):
    """From where on a number is called something in the report."""

    source_specific: tuple[Ratio, Ratio]
    """In-source minus held-out AUC above which features are called possibly, and clearly, specific to sources."""
    gap: Ratio
    """Train/val gap above which a detector is said to have learned its training samples by heart."""


class Severity(Section):
    """AUC of a probe from which on a leak is called weak, moderate, severe."""

    weak: Ratio
    moderate: Ratio
    severe: Ratio

    @model_validator(mode="after")
    def _ordered(self) -> "Severity":
        if not 0.5 <= self.weak <= self.moderate <= self.severe:
            raise ValueError("they must not decrease from 0.5 over weak and moderate to severe")
        return self


class Audit(Section):
    """The search for shortcuts."""

    severity: Severity
    views: tuple[str, ...]
    """Views whose pixels are probed beside the files themselves."""
    experiments: tuple[str, ...]
    """Trained experiments whose logits are held against the leak."""
    caliper: Annotated[float, Field(gt=0)]
    """How alike a real and a fake must be to be matched: the largest difference of the leak's score, in its standard
    deviations."""


class Robustness(Section):
    """How a trained detector is put under strain: five strengths of each corruption, from weak to strong."""

    experiments: tuple[str, ...]
    """Trained experiments that are put under strain."""
    corruptions: dict[str, tuple[float, float, float, float, float]]
    """Strengths of each corruption of `loading.corruptions.CORRUPTIONS`, whose units stand there."""


class Balance(Section):
    """The study of class imbalance: what it is trained on, and where it cuts."""

    ratio: Annotated[float, Field(gt=0)]
    """Fakes for each real under `class_ratio: imbalanced`."""
    thresholds: tuple[Ratio, ...]
    """Probabilities of being fake at which the plan's threshold table cuts, beside the tuned ones."""
    detail: tuple[str, ...]
    """Experiments that are shown at every threshold, with confusion matrices and a classification report."""


class CrossDataset(Section):
    """The comparison across data sets: what a detector is worth on data that it was not trained on."""

    away: tuple[str, ...]
    """Data sets of the catalog beside the study's."""
    union: tuple[str, ...]
    """Those of them that are joined with the study's into the data set `union`, to be trained on."""
    models: tuple[str, ...]
    """Trained experiments, transfers and ensembles, in the order of the table; the first is the baseline."""

    @model_validator(mode="after")
    def _once(self) -> "CrossDataset":
        for key in ("away", "union", "models"):
            names = getattr(self, key)
            if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
                raise ValueError(f"{key}: {repeated[0]} stands there more than once")
        return self

    @model_validator(mode="after")
    def _subset(self) -> "CrossDataset":
        if strange := [name for name in self.union if name not in self.away]:
            raise ValueError(f"union: {', '.join(strange)} must stand in away, too")
        return self


class Evaluation(Section):
    """How certain a statement has to be."""

    confidence: Ratio
    """Coverage of every interval."""
    bootstrap_replicates: Annotated[int, Field(ge=100)]
    """Resamplings of groups behind every bootstrap interval."""
    significance: Ratio
    """Largest Holm-adjusted p-value that is called significant."""
