"""The meaning of the sections of the embedded data sets of speech."""

from typing import Annotated

from pydantic import Field

from deepfake.config.images import Range
from deepfake.config.section import Section, Seed


class SpeechCopies(Section):
    """The embedded data set of speech: recordings, and what vocoders and a codec make of them."""

    seed: Seed
    mels: Annotated[int, Field(ge=16, le=128)]
    """Bands of the log-mel spectrogram from which Griffin-Lim makes speech."""
    iterations: Annotated[int, Field(ge=1)]
    """Rounds of Griffin-Lim."""
    order: Annotated[int, Field(ge=8, le=32)]
    """Poles of the filters of linear prediction."""
    flatness: Annotated[float, Field(ge=0, le=1)]
    """Share of the melody that overlap-add takes away; 1 is a monotone."""
    bit_rate: Annotated[int, Field(ge=6000, le=64000)]
    """Bits a second of the codec's round trip."""


class SpokenTexts(Section):
    """The second embedded data set of speech: recordings, and what text-to-speech programs said."""

    seed: Seed
    margin: Range
    """Seconds before the first sound and after the last, drawn for each file."""
    noise: Range
    """Decibels by which noise that is laid over all is below the speech, drawn for each file."""
    crest: Annotated[float, Field(ge=3, le=30)]
    """How many times the root mean square a peak is at most: higher ones are turned down."""
