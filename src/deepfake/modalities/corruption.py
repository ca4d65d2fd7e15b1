"""What a corruption is, of whatever modality."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np


@dataclass(frozen=True)
class Corruption:
    """One way to harm what is stored.

    Args:
        apply: harms it by a strength; what else it takes is for its modality to say.
        unit: what the strength is, with its unit.
        least: the smallest strength that has a meaning.
        most: the largest.
        whole: whether it has to be a whole number.
    """

    apply: Callable[..., np.ndarray]
    unit: str
    least: float
    most: float = inf
    whole: bool = False

    def check(self, strength: float) -> str:
        """Return what is wrong with a strength; nothing where it has a meaning."""
        if self.least <= strength <= self.most and not (self.whole and strength != int(strength)):
            return ""
        kind = "whole number" if self.whole else "number"
        limits = f"of at least {self.least:g}" + (f" and at most {self.most:g}" if self.most < inf else "")
        return f"{strength:g}; its {self.unit} is a {kind} {limits}"
