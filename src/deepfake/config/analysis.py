"""The sections of params.yaml that say how trained detectors are judged and searched for shortcuts."""

from pydantic import model_validator

from deepfake.config.section import Ratio, Section


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


class Evaluation(Section):
    """How certain a statement has to be."""

    confidence: Ratio
    """Coverage of every interval."""
    rope: Ratio
    """Region of practical equivalence: differences in AUC up to this do not matter. A smaller lead is a tie, and the
    simpler choice wins it."""
