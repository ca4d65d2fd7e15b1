"""Media that are nearly the same and stand in different groups: compressed again, resized, brightened or mirrored."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.errors import InputError

MAX_DISTANCE = 31
"""Bits of 256 in which two hashes may differ. JPEG at quality 20, half the size, or a third of it at quality 40, change
at most 26 bits of an ORL photograph, 2% cut off each side about 45. The nearest pictures of two of the 40 people, all
framed and lit alike, differ in 68."""
COLUMNS = ("sample", "other", "group", "other_group", "distance", "mirrored")
_BANDS, _BITS = 16, 16
"""A hash as numbers: 31 bits that differ cannot be two or more in each of 16 bands."""
_PAIRS = 2**21
"""Pairs compared at a time."""


def find(samples: pd.DataFrame, fingerprints: pd.Series, mirror: str) -> pd.DataFrame:
    """Find the groups that near-duplicates bind together.

    Files that are the same bit for bit are none (`duplicates.find`), nor are two of one group.

    Args:
        samples: `tables.SAMPLES`.
        fingerprints: each sample's perceptual hash, 64 hexadecimal digits, or "" when it has none; same index.
        mirror: the bits in which a mirror image's hash differs.

    Returns:
        One row for two groups, with their nearest pair: `sample, other`, their `group, other_group`, the `distance` in
        bits, and `mirrored`, 1 when one is the other's mirror image. Of several files with one hash only the first is
        compared with other hashes: groups that hang together through a third one need not have a row of their own.
    """
    known = np.flatnonzero(fingerprints.to_numpy() != "")
    hashes, first, inverse = np.unique(fingerprints.to_numpy(str)[known], return_index=True, return_inverse=True)
    first = known[first]
    codes, mask = _numbers(hashes), _numbers(np.array([mirror]))
    found = [np.column_stack([first[inverse], known, np.zeros((len(known), 2), int)])]
    for mirrored, others in enumerate((codes, codes ^ mask)):
        for one, other, distance in _near(codes, others):
            found.append(np.column_stack([first[one], first[other], distance, np.full(len(one), mirrored)]))
    one, other, distance, mirrored = np.concatenate(found).astype(int).T
    name, group, sha256 = (samples[column].to_numpy() for column in ("sample_id", "group", "sha256"))
    swap = group[one] > group[other]
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    pairs = pd.DataFrame(
        {
            "sample": name[one],
            "other": name[other],
            "group": group[one],
            "other_group": group[other],
            "distance": distance,
            "mirrored": mirrored,
        }
    )[(group[one] != group[other]) & (sha256[one] != sha256[other])]
    pairs = pairs.sort_values(["group", "other_group", "distance", "mirrored", "sample", "other"])
    return pairs.drop_duplicates(["group", "other_group"]).reset_index(drop=True)


def read(path: Path) -> pd.DataFrame:
    """Read what `find` has found, as ingest wrote it.

    Raises:
        InputError: the file is missing, or was changed by hand into something else.
    """
    try:
        pairs = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run deepfake ingest") from None
    except ValueError:
        pairs = pd.DataFrame()
    if tuple(pairs.columns) != COLUMNS:
        raise InputError(f"{path}: its columns are not {', '.join(COLUMNS)}; run deepfake ingest")
    return pairs


def _numbers(hashes: np.ndarray) -> np.ndarray:
    """Return hashes as uint16 [n, 16]."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), ">u2").astype(np.uint16).reshape(-1, _BANDS)


def _near(codes: np.ndarray, others: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield all i < j for which codes[i] and others[j] differ in at most `MAX_DISTANCE` bits, some more than once.

    Two such hashes differ in at most one bit of some band, so only those are compared (multi-index hashing, Norouzi et
    al. 2012): of 120,000 hashes a small share of the 7 billion pairs.
    """
    for band in range(_BANDS):
        order = np.argsort(others[:, band], kind="stable")
        values = others[order, band]
        for flipped in (0, *(1 << bit for bit in range(_BITS))):
            probes = codes[:, band] ^ np.uint16(flipped)
            start = np.searchsorted(values, probes, "left")
            count = np.searchsorted(values, probes, "right") - start
            ends = np.cumsum(count)
            cuts = np.unique(np.searchsorted(ends, np.arange(_PAIRS, ends[-1] if len(ends) else 0, _PAIRS)))
            for rows in np.split(np.arange(len(codes)), cuts):
                one = np.repeat(rows, count[rows])
                within = np.arange(len(one)) - np.repeat(np.cumsum(count[rows]) - count[rows], count[rows])
                other = order[np.repeat(start[rows], count[rows]) + within]
                one, other = one[one < other], other[one < other]
                distance = np.bitwise_count(codes[one] ^ others[other]).sum(axis=1, dtype=int)
                near = distance <= MAX_DISTANCE
                yield one[near], other[near], distance[near]
