"""Speech made anew from pieces of itself: pitch changed by overlap-add, or a round trip through a telephone's codec.

Signals are float64 [n] at 16 kHz, full scale 1.
"""

import io

import av
import numpy as np
import parselmouth
from parselmouth.praat import call

from deepfake.synthetic import recordings

RATE = recordings.RATE
LOWEST, HIGHEST = 70.0, 500.0
"""Hz between which a pitch is looked for."""
STEP = 0.01
"""Seconds from one value of the pitch to the next."""


def pitch(samples: np.ndarray) -> np.ndarray:
    """Return the pitch in Hz at every sample, 0 where speech is not voiced (Boersma 1993): float64 [n]."""
    found = parselmouth.Sound(samples, RATE).to_pitch_ac(STEP, LOWEST, pitch_ceiling=HIGHEST)
    values = found.selected_array["frequency"]
    times = (np.arange(len(samples)) + 0.5) / RATE
    nearest = np.clip(np.round((times - found.x1) / found.dx).astype(int), 0, len(values) - 1)
    voiced = values > 0
    if not voiced.any():
        return np.zeros(len(samples))
    return np.interp(times, found.xs()[voiced], values[voiced]) * voiced[nearest]


def psola(samples: np.ndarray, flatness: float) -> np.ndarray:
    """Flatten the melody by moving the periods of the voice (pitch-synchronous overlap-add, Moulines 1990).

    Args:
        samples: the speech.
        flatness: share of each pitch's distance from the mean, in semitones, that is taken away.

    Returns:
        As many samples; what is not voiced is untouched.
    """
    sound = parselmouth.Sound(samples, RATE)
    manipulation = call(sound, "To Manipulation", STEP, LOWEST, HIGHEST)
    tier = call(manipulation, "Extract pitch tier")
    if call(tier, "Get number of points") > 0:
        mean = call(tier, "Get mean (points)", 0, 0)
        call(tier, "Formula", f"{mean} * (self / {mean}) ^ {1 - flatness}")
        call([tier, manipulation], "Replace pitch tier")
    made = call(manipulation, "Get resynthesis (overlap-add)").values[0]
    return made[: len(samples)]


def codec(samples: np.ndarray, bits: int) -> np.ndarray:
    """Send speech through Opus at a low rate.

    Args:
        samples: the speech.
        bits: a second.

    Returns:
        As many samples.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, options={"application": "voip"})
        stream.layout, stream.bit_rate = "mono", bits
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="flt", layout="mono")
        frame.sample_rate = RATE
        for part in (frame, None):
            container.mux(stream.encode(part))
    return recordings.samples(file.getvalue(), len(samples))
