"""Which words mean fake: labels and names of scores as other people write them."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deepfake.errors import InputError

FAKE = frozenset(
    {"fake", "fakes", "spoof", "spoofed", "deepfake", "deepfakes", "ai", "aigenerated", "generated", "synthetic"}
    | {"synthesized", "synthesised", "manipulated", "forged", "tampered", "altered", "swap", "swapped", "attack"}
)
REAL = frozenset(
    {"real", "reals", "bonafide", "genuine", "authentic", "original", "pristine", "human", "natural", "live"}
)
_YES = frozenset(["1", "true", "yes", "y", "t", "positive", "pos"])
_NO = frozenset(["0", "false", "no", "n", "f", "negative", "neg"])
_PAIRS = ((_YES, _NO), (frozenset(["1"]), frozenset(["-1"])), (FAKE, REAL | {"true"}))
"""Words of the positive class and of the other; all labels of a column must come from one pair, and the first one that
has them all counts: `true` and `false` are an answer, `true` and `fake` are not."""
_SCORE = frozenset(["score", "scores", "prob", "probs", "proba", "probability", "logit", "logits", "p", "llr"])
_BESIDE = frozenset(["y", "pred", "predicted", "prediction", "cm", "class", "0", "1"])
"""What may stand in a score's name beside that and a class."""


def normal(word: str) -> str:
    """Return a word without what people write differently: capitals, blanks, hyphens, and .0 behind a number."""
    word = word.strip().casefold()
    if re.fullmatch(r"[+-]?\d{1,9}(\.0*)?", word):
        return str(int(float(word)))
    return re.sub(r"[\s_-]+", "", word)


@dataclass(frozen=True)
class Polarity:
    """Which labels of the truth are positive.

    Args:
        positive: for each label, as `normal` returns it, whether it is of the positive class.
        reversed: the positive class is the one that is known as real.
        rule: by what the positive class was told.
    """

    positive: Mapping[str, bool]
    reversed: bool
    rule: str

    @classmethod
    def of(cls, labels: Iterable[str], named: str | None) -> "Polarity":
        """Tell which of the true labels are positive.

        Args:
            labels: all different ones.
            named: the positive one, if the user says so; the other one may then be any word.

        Raises:
            InputError: a label is unknown, or there is no such label or more than one beside it; nothing is said of
                where they stand.
        """
        words: dict[str, str] = {}
        for label in labels:
            words.setdefault(normal(label), label)
        shown = listed(words.values())
        if named is not None:
            if normal(named) not in words:
                raise InputError(f"no label {named!r}; found: {shown}")
            if len(words) > 2:
                raise InputError(f"{len(words)} labels ({shown}), where {named!r} needs one other; remove the others")
            return cls({word: word == normal(named) for word in words}, normal(named) in REAL, "as named")
        for positive, negative in _PAIRS:
            if words.keys() <= positive | negative:
                return cls({word: word in positive for word in words}, False, "a known word")
        raise InputError(f"unknown labels; found: {shown}; say which one is positive (fake) with --positive LABEL")

    def of_calls(self, labels: Iterable[str]) -> dict[str, bool] | None:
        """Tell which of a detector's answers are positive: in the words of the truth, or in others that are known.

        Returns:
            For each label, as `normal` returns it, whether it is of the positive class; None: not all are understood.
        """
        words = {normal(label) for label in labels}
        if words <= self.positive.keys():
            return {word: self.positive[word] for word in words}
        for positive, negative in _PAIRS:
            if words <= positive | negative:
                # yes and no answer to the positive class whatever it is, fake and real do not
                turned = self.reversed and positive is FAKE
                return {word: (word in positive) != turned for word in words}
        return None

    def of_score(self, name: str) -> bool | None:
        """Tell by its name whether a score grows with the positive class; None: the name does not say.

        Raises:
            InputError: the name has words of both classes.
        """
        words = _words(name)
        fake, real = (REAL, FAKE) if self.reversed else (FAKE, REAL)
        grows = bool(words & (fake | {word for word, positive in self.positive.items() if positive}))
        falls = bool(words & (real | {word for word, positive in self.positive.items() if not positive}))
        if grows and falls:
            raise InputError(f"the score {name!r} has both classes in its name; call it after the one it grows with")
        return grows if grows or falls else None


def names_a_score(name: str) -> bool:
    """Tell whether a column is called like a score: `score`, `y_prob`, `p_fake`, `bonafide_score`."""
    words = {normal(word) for word in _parts(name)} - FAKE - REAL - {"bona", "fide"} - _BESIDE
    return bool(words) and words <= _SCORE


def listed(words: Iterable[str], most: int = 10) -> str:
    """Return words in quotes, not too many of them, and none too long."""
    words = list(words)
    shown = [repr(word if len(word) <= 40 else f"{word[:40]}...") for word in words[:most]]
    return ", ".join(shown) + (f" and {len(words) - most} more" if len(words) > most else "")


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[^a-z0-9]+", name.strip().casefold()) if part]


def _words(name: str) -> set[str]:
    """Return the words of a name, those that are written as two (bona_fide) too."""
    parts = _parts(name)
    return {*parts, *(first + second for first, second in itertools.pairwise(parts))}
