"""Which words mean fake: labels and names of scores as other people write them."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deepfake.errors import InputError

FAKE = frozenset(
    {"fake", "fakes", "faked", "spoof", "spoofed", "spoofing", "deepfake", "deepfakes", "ai", "aigenerated"}
    | {"generated", "synthetic", "synthesized", "synthesised", "synthesis", "artificial", "manipulated", "forged"}
    | {"forgery", "tampered", "altered", "edited", "swap", "swapped", "faceswapped", "cloned", "attack", "fabricated"}
)
REAL = frozenset(
    {"real", "reals", "bonafide", "genuine", "authentic", "original", "originals", "pristine", "human", "natural"}
    | {"nature", "live", "unaltered", "untouched", "notfake", "nonfake", "nonspoof"}
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


def meaning(word: str) -> bool | None:
    """Return whether a word means fake; None: it is no word of either class. Numbers and answers (yes) are none."""
    plain = normal(word)
    return True if plain in FAKE else False if plain in REAL else None


def is_number(word: str) -> bool:
    """Tell whether a label is a number or an answer (1, 0.0, -1, true, yes): what it says of fakes is a convention."""
    return normal(word) in _YES | _NO | {"-1"}


def named_class(column: str) -> bool | None:
    """Tell whether a column is named after the fakes (`is_fake`, `prob_fake`) or the reals; None: neither, or both."""
    words = _words(column)
    words |= {word.removeprefix("is") for word in words}
    fake, real = bool(words & FAKE), bool(words & REAL)
    return None if fake == real else fake


@dataclass(frozen=True)
class Classes:
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
    def of(
        cls, labels: Iterable[str], positive: Sequence[str] = (), negative: Sequence[str] = (), column: str = ""
    ) -> "Classes":
        """Tell which of the true labels are positive.

        Args:
            labels: all different ones.
            positive: those of the positive class, if the user says so; there may be one label beside them.
            negative: those of the negative class; all others are then positive.
            column: what it is called that holds them: `is_real` says what 1 means.

        Raises:
            InputError: a label is unknown, or there is no such label or more than one beside it; nothing is said of
                where they stand.
        """
        words: dict[str, str] = {}
        for label in labels:
            words.setdefault(normal(label), label)
        shown = listed(words.values())
        if positive or negative:
            for name in (*positive, *negative):
                if normal(name) not in words:
                    raise InputError(f"no label {name!r}; found: {shown}")
            return cls._named(words, [normal(word) for word in positive], [normal(word) for word in negative])
        for yes, no in _PAIRS:
            if words.keys() <= yes | no:
                by_name = None if yes is FAKE else named_class(column)
                rule = "a known word" if yes is FAKE else "1 means fake, as usual"
                if by_name is not None:
                    rule = f"a column called {column} says that 1 is {'fake' if by_name else 'real'}"
                return cls({word: (word in yes) == (by_name is not False) for word in words}, False, rule)
        raise InputError(
            f"unknown labels; found: {shown}; say which ones are real with --negative LABEL, or which one is "
            "positive (fake) with --positive LABEL"
        )

    @classmethod
    def _named(cls, words: dict[str, str], positive: Sequence[str], negative: Sequence[str]) -> "Classes":
        """Tell classes apart as the user says, in words as `normal` returns them."""
        if both := set(positive) & set(negative):
            raise InputError(f"{words[both.pop()]!r} is named by both --positive and --negative; leave one out")
        others = [words[word] for word in words if word not in {*positive, *negative}]
        if positive and others and (negative or len(others) > 1):
            raise InputError(
                f"{listed(others)} are neither named by --positive nor by --negative; name the real ones by "
                "--negative: all others are then fake"
            )
        told = {word: word not in negative if negative else word in positive for word in words}
        turned = all(word in REAL for word, is_positive in told.items() if is_positive)
        return cls(told, turned, "as named")

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
    """Return the words of a name, isReal as two."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return [part for part in re.split(r"[^a-z0-9]+", name.strip().casefold()) if part]


def _words(name: str) -> set[str]:
    """Return the words of a name, those that are written as two (bona_fide) too."""
    parts = _parts(name)
    return {*parts, *(first + second for first, second in itertools.pairwise(parts))}
