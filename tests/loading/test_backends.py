"""Decoding that goes on, as predict needs it: chunk after chunk, by what was built once."""

import numpy as np
import pytest

from conftest import as_shown, encoded
from deepfake.modalities import image
from deepfake.modalities.base import File
from deepfake.modalities.image import backends
from shown import pixel_view

SIDE = 24


@pytest.fixture(params=backends.BACKENDS)
def backend(request, monkeypatch):
    """A backend, and how often its decoding was begun."""
    if request.param == "dali":
        pytest.importorskip("nvidia.dali")
    begun, module = [], backends.load(request.param)
    decode = module.decode
    monkeypatch.setattr(module, "decode", lambda *a, **given: (begun.append(1), decode(*a, **given))[1])
    return request.param, begun


def files(count: int, seed: int) -> list[File]:
    """Return files of noise, JPEG and PNG in turns."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return [
        File(encoded(each, ("JPEG", "PNG")[row % 2]), [(0, 0, SIDE, SIDE, SIDE, 1 - row % 2)])
        for row, each in enumerate(pixels)
    ]


def expected(chunk: list[File]) -> np.ndarray:
    return np.array([as_shown(file.medium, (0, 0, SIDE, SIDE), SIDE) for file in chunk])


def test_all_chunks_are_decoded_by_what_was_built_once(backend):
    name, begun = backend
    decode = image.decoder(pixel_view(SIDE, loader=name), threads=2)
    for seed, count in enumerate((5, 70, 1, 0, 64)):
        chunk = files(count, seed)
        found = list(decode(chunk))
        assert sum(map(len, found)) == count
        if count:
            np.testing.assert_array_equal(np.concatenate(found), expected(chunk))
    assert len(begun) == 1


def test_after_a_damaged_file_decoding_goes_on(backend):
    name, begun = backend
    decode = image.decoder(pixel_view(SIDE, loader=name), threads=2)
    good, bad = files(3, 1), File(b"\x89PNG\r\n\x1a\nnothing", [(0, 0, SIDE, SIDE, SIDE, 0)])
    list(decode(good))
    with pytest.raises(Exception, match="cannot identify"):
        list(decode([*good, bad]))
    np.testing.assert_array_equal(np.concatenate(list(decode(good))), expected(good))
    assert len(begun) == 2


def test_chunks_that_are_left_early_do_not_mix(backend):
    name, _ = backend
    decode = image.decoder(pixel_view(SIDE, loader=name), threads=1)
    next(decode(files(130, 1)))
    chunk = files(4, 2)
    np.testing.assert_array_equal(np.concatenate(list(decode(chunk))), expected(chunk))
