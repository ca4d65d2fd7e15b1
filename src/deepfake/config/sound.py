"""The sections of params.yaml that say what a model hears of recordings."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepfake.config.images import Range
from deepfake.config.section import Probability, Section


class SoundView(Section):
    """A front end: how a window of sound becomes a map of frequencies over time."""

    modality: Literal["audio"]
    front_end: Literal["log_mel", "lfcc"]
    """`log_mel`: energies of a mel filter bank in decibels. `lfcc`: linear-frequency cepstral coefficients with their
    first and second differences, as the baselines of ASVspoof have them."""
    bins: Annotated[int, Field(ge=8, le=256)]
    """Mel bands; or coefficients, of which three times as many rows come with their differences."""


class Decibels(Section):
    """A level that is drawn uniformly, for some windows."""

    probability: Probability = 0.0
    min: float = 0.0
    max: float = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> "Decibels":
        if self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self


class Codec(Section):
    """A lossy codec and back, for some windows."""

    probability: Probability = 0.0
    kilobits: Range = Range(min=8.0, max=32.0)
    """Kilobits a second of Opus, which has 6 to 256."""

    @model_validator(mode="after")
    def _possible(self) -> "Codec":
        if not 6 <= self.kilobits.min <= self.kilobits.max <= 256:
            raise ValueError("kilobits must lie in [6, 256]")
        return self


class BandLimit(Section):
    """A low-pass filter on some windows."""

    probability: Probability = 0.0
    hertz: Range = Range(min=3000.0, max=7000.0)
    """Where it begins; from 8000 on it takes nothing away."""

    @model_validator(mode="after")
    def _possible(self) -> "BandLimit":
        if self.hertz.min < 100:
            raise ValueError("hertz must be at least 100")
        return self


class SpecAugment(Section):
    """Masks on the map that the front end gives (Park et al. 2019)."""

    probability: Probability = 0.0
    frequency: Probability = 0.15
    """Largest share of the rows that one mask covers."""
    time: Probability = 0.15
    """Largest share of the columns."""


class SoundAugmentation(Section):
    """What happens to a training window, in this order: gain, noise, band limit, codec, masks; by default nothing."""

    modality: Literal["audio"]
    gain: Decibels = Decibels()
    """Decibels that are added to the level."""
    noise: Decibels = Decibels(min=15.0, max=40.0)
    """Gaussian noise at this signal-to-noise ratio."""
    band_limit: BandLimit = BandLimit()
    codec: Codec = Codec()
    spec_augment: SpecAugment = SpecAugment()

    @property
    def changes_nothing(self) -> bool:
        """Tell whether every window stays as it is."""
        steps = (self.gain, self.noise, self.band_limit, self.codec, self.spec_augment)
        return not any(step.probability for step in steps)

    @property
    def resamples(self) -> bool:
        """Tell whether it takes samples from a larger cache, so that what it changes stays sharp."""
        return False
