"""The section of params.yaml that says how the clips of the embedded video sample are made."""

from typing import Annotated

from pydantic import Field

from deepfake.config.images import Range
from deepfake.config.section import Section, Seed


class Filmed(Section):
    """The embedded video data set: clips of the same people, filmed off their photographs, and fakes of them."""

    seed: Seed
    clips: Annotated[int, Field(ge=1, le=10)]
    """Photographs of a person that are filmed, one real clip of each and as many of every kind of fake."""
    seconds: Annotated[float, Field(gt=0, le=60)]
    rate: Annotated[int, Field(ge=1, le=60)]
    """Frames a second."""
    width: Annotated[int, Field(ge=64, le=512, multiple_of=2)]
    height: Annotated[int, Field(ge=64, le=512, multiple_of=2)]
    """Size of a frame in pixels."""
    crf: Annotated[tuple[Annotated[int, Field(ge=1, le=51)], ...], Field(min_length=1)]
    """Constant rate factors of H.264, which a person's clips take in turn: a real clip and its fakes have the same."""
    noise: Range
    """Standard deviation of the sensor's noise, of 255, drawn for a real clip and its fakes: they have the same."""
    jitter: Annotated[float, Field(ge=0, le=0.1)]
    """Standard deviation of the error of a fake's landmarks, drawn anew for each frame, in eye distances."""
    opacity: Range
    """How much of a frame's manipulated face shows; drawn anew for each frame."""
