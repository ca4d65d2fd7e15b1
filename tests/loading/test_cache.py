"""The decoded images on disk, with a backend of the tests' own: PIL, and a list of what it was asked for."""

import fcntl
import hashlib
import os
import resource
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from conftest import as_shown, encoded, write_pictures
from deepfake import modalities, runtime
from deepfake.errors import InputError
from deepfake.loading import cache
from deepfake.modalities.image import backends, geometry
from deepfake.progress import Progress
from heard import Heard
from shown import pixel_view

BATCH = 64
"""Images that are decoded at once."""
COUNT = 2 * BATCH + 9
SIZE = 6


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """More images than two batches, of several sizes, in two archives and loose, in a mixed order."""
    raw = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(COUNT):
        pixels = rng.integers(0, 256, (int(rng.integers(5, 12)), int(rng.integers(5, 12)), 3), dtype=np.uint8)
        pictures.append((("a.zip", "b.zip", "")[number % 3], f"loose/ž {number}.png", encoded(pixels)))
    samples = write_pictures(raw, pictures)
    return raw, samples.iloc[rng.permutation(COUNT)].reset_index(drop=True)


@pytest.fixture
def asked(monkeypatch) -> list[list[int]]:
    """The lengths of the batches of each decoding, by a backend that is PIL alone."""
    calls: list[list[int]] = []

    def decode(batches, size, *, threads, cuda=False):
        calls.append([])
        for batch in batches:
            calls[-1].append(len(batch))
            yield np.stack([as_shown(file.data, file.region, size) for file in batch])

    monkeypatch.setattr(backends, "load", lambda name: SimpleNamespace(decode=decode))
    return calls


@pytest.fixture
def ensure(collection, tmp_path, asked):
    """Call `cache.ensure` on the collection, with some arguments changed."""
    raw, samples = collection

    def call(samples=samples, regions=None, size=SIZE, **options) -> Path:
        regions = geometry.regions(samples, "crop", None, 0.0) if regions is None else regions
        view = pixel_view(size, view=options.pop("name", "crop_low"), loader=options.pop("loader", "dali"))
        defaults = {"raw": raw, "folder": tmp_path / "cache", "threads": 1}
        return cache.ensure(view, samples, regions, **defaults | options)

    return call


def contents(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def expected(raw: Path, samples: pd.DataFrame, size: int) -> np.ndarray:
    """Return what the array should hold, each image read on its own."""
    import zipfile

    images = []
    for row in samples.itertuples():
        if row.archive:
            with zipfile.ZipFile(raw / row.archive) as archive:
                data = archive.read(row.path)
        else:
            data = (raw / row.path).read_bytes()
        side = min(row.width, row.height)
        left, top = (row.width - side) // 2, (row.height - side) // 2
        images.append(as_shown(data, (left, top, left + side, top + side), size))
    return np.stack(images)


def test_a_copy_of_the_workspace_links_what_the_original_has_decoded(ensure, tmp_path, asked):
    made = ensure(folder=tmp_path / "original")
    linked = ensure(folder=tmp_path / "copy", original=tmp_path / "original")
    assert linked == tmp_path / "copy" / made.name and linked.samefile(made)
    assert len(asked) == 1
    # what only the copy shows it decodes, and the older array goes there alone
    ensure(folder=tmp_path / "copy", original=tmp_path / "original", regions=None, loader="opencv")
    assert len(asked) == 2 and made.exists() and not linked.exists()
    # no such folder
    ensure(folder=tmp_path / "other", original=tmp_path / "nowhere")
    assert len(asked) == 3


# --- what is in it


def test_the_array_has_the_order_of_the_samples(collection, ensure, asked):
    path = ensure()
    raw, samples = collection
    images = np.load(path)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, expected(raw, samples, SIZE))
    assert asked == [[BATCH, BATCH, 9]]  # no more than a batch is in memory


def test_it_can_be_mapped(ensure):
    mapped = np.load(ensure(), mmap_mode="r")
    assert mapped.shape == (COUNT, SIZE, SIZE, 3)
    assert isinstance(mapped, np.memmap)


def test_the_regions_decide_what_is_seen(collection, ensure):
    raw, samples = collection
    regions = geometry.regions(samples, "crop", None, 0.0)
    regions.loc[0, geometry.CORNERS] = (-3, -3, 4, 4)
    changed, plain = np.load(ensure(regions=regions)), expected(raw, samples, SIZE)
    np.testing.assert_array_equal(changed[1:], plain[1:])
    assert (changed[0, :2, :2] == 0).all()  # black beyond the image
    assert not np.array_equal(changed[0], plain[0])


def test_the_hash_is_that_of_the_pixels(ensure):
    path = ensure()
    assert cache.pixels_hash(path) == hashlib.sha256(np.load(path).tobytes()).hexdigest()
    pixels = np.load(path)
    pixels[-1, -1, -1, -1] ^= 1
    np.save(path, pixels)
    assert cache.pixels_hash(path) == hashlib.sha256(pixels.tobytes()).hexdigest()


# --- when it is made


def test_a_second_call_decodes_nothing(ensure, asked):
    first = ensure()
    before = first.stat().st_mtime_ns
    assert ensure(progress=(heard := Heard()), threads=2) == first
    assert not heard.lines and not heard.steps
    assert len(asked) == 1
    assert first.stat().st_mtime_ns == before


def other_code(monkeypatch, module: str) -> None:
    original = runtime.code_hash
    monkeypatch.setattr(runtime, "code_hash", lambda modules=None: original(modules) + module)


@pytest.mark.parametrize("change", ["sha256", "order", "region", "size", "loader", "gpu", "version", "code"])
def test_it_is_made_anew_when_what_decides_it_changes(collection, ensure, asked, monkeypatch, change):
    raw, samples = collection
    first = ensure()
    options = {}
    if change == "sha256":
        # the same picture in another file
        data = (raw / samples.query("archive == ''")["path"].iloc[0]).read_bytes() + b"\0"
        at = samples.index[samples["archive"] == ""][0]
        copied = raw / "copied.png"
        copied.write_bytes(data)
        other = samples.copy()
        other.loc[at, ["path", "sha256"]] = ("copied.png", hashlib.sha256(data).hexdigest())
        options["samples"] = other
    elif change == "order":
        options["samples"] = samples.iloc[::-1].reset_index(drop=True)
    elif change == "region":
        options["regions"] = geometry.regions(samples, "crop", None, 0.0)
        options["regions"].loc[7, "left"] += 1
    elif change == "size":
        options["size"] = SIZE + 1
    elif change == "loader":
        options["loader"] = "opencv"
    elif change == "gpu":
        options["cuda"] = True
    elif change == "version":
        monkeypatch.setattr(cache.runtime, "versions", lambda packages: dict.fromkeys(packages, "0.0"))
    else:
        other_code(monkeypatch, "changed")
    second = ensure(**options)
    assert second != first
    assert len(asked) == 2
    assert ensure(**options) == second
    assert len(asked) == 2


@pytest.mark.parametrize("modality", modalities.MODALITIES)
def test_the_code_that_decides_is_there(modality):
    found = [Path(runtime.__file__).parent / runtime.module_file(name) for name in modalities.load(modality).DECODING]
    assert found
    assert all(path.is_file() for path in found)


def test_what_does_not_decide_the_pixels_makes_nothing_anew(collection, ensure, asked):
    _, samples = collection
    ensure()
    ensure(samples=samples.assign(label=1 - samples["label"], group="x", fold=0), threads=3, cuda=False)
    assert len(asked) == 1


def test_the_older_array_of_this_name_and_size_goes_and_others_stay(ensure, tmp_path):
    folder = tmp_path / "cache"
    others = {ensure(size=SIZE + 1).name, ensure(name="letterbox_low").name, ensure(name="crop").name}
    (folder / "notes.txt").write_text("mine")
    first = ensure()
    second = ensure(loader="opencv")
    assert contents(folder) == others | {"notes.txt", second.name}
    assert first.name != second.name


# --- what may go wrong


class Crash(Exception):
    """Stands for the end of the process."""


def crashing(monkeypatch, after: int) -> None:
    """Let the backend fail after some batches."""

    def decode(batches, size, *, threads, cuda=False):
        for number, batch in enumerate(batches):
            if number == after:
                raise Crash
            yield np.zeros((len(batch), size, size, 3), np.uint8)

    monkeypatch.setattr(backends, "load", lambda name: SimpleNamespace(decode=decode))


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_crash_leaves_no_array_and_no_temporary_file(ensure, tmp_path, monkeypatch, after):
    crashing(monkeypatch, after)
    with pytest.raises(Crash):
        ensure()
    assert contents(tmp_path / "cache") == set()


def test_a_crash_leaves_the_array_that_was_there(ensure, tmp_path, monkeypatch):
    first = ensure()
    before = first.read_bytes()
    crashing(monkeypatch, 1)
    with pytest.raises(Crash):
        ensure(loader="opencv")
    assert contents(tmp_path / "cache") == {first.name}
    assert first.read_bytes() == before


def test_too_small_a_disk_is_told_with_sizes_before_anything_is_written(ensure, tmp_path, monkeypatch, asked):
    needed = 5_000 * 5_000 * 3 * COUNT
    full = shutil._ntuple_diskusage(10**12, 10**12 - 10**9, 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(InputError) as caught:
        ensure(size=5_000)
    message = str(caught.value)
    assert f"{needed / 1e9:.2f} GB" in message
    assert "1.00 GB are free" in message
    assert str(tmp_path / "cache") in message
    assert "\n" not in message
    assert not asked
    assert contents(tmp_path / "cache") == set()


def test_a_disk_that_just_suffices_is_used(ensure, monkeypatch):
    needed = SIZE * SIZE * 3 * COUNT
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, needed))
    assert ensure().exists()


def test_the_size_is_announced_before_anything_is_decoded(ensure, asked):
    heard = []

    class Hears(Progress):
        def say(self, line: str) -> None:
            heard.append((line, list(asked)))

    ensure(progress=Hears())
    ((line, before),) = heard
    assert f"{SIZE * SIZE * 3 * COUNT / 1e9:.2f} GB" in line
    assert "crop_low" in line
    assert f"{COUNT} samples" in line
    assert before == []


def test_progress_counts_every_image(ensure):
    ensure(progress=(heard := Heard()))
    assert heard.steps == [("decoding crop_low", done, COUNT) for done in (BATCH, 2 * BATCH, COUNT)]


def test_a_disk_that_fills_up_leaves_nothing_half_written(ensure, tmp_path):
    # a limit on the size of files is an error of write, as a full disk is
    first = ensure()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (COUNT * SIZE * SIZE * 3 // 2, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            ensure(loader="opencv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert contents(tmp_path / "cache") == {first.name}


def test_a_changed_source_file_is_refused(collection, ensure, tmp_path):
    raw, samples = collection
    shutil.copytree(raw, tmp_path / "raw")
    path = samples.query("archive == ''")["path"].iloc[3]
    with (tmp_path / "raw" / path).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match=r"differs from the file that was ingested"):
        ensure(raw=tmp_path / "raw")
    assert contents(tmp_path / "cache") == set()


def test_a_missing_source_file_is_refused(collection, ensure, tmp_path):
    raw, _ = collection
    shutil.copytree(raw, tmp_path / "raw")
    (tmp_path / "raw" / "b.zip").unlink()
    with pytest.raises(InputError, match=r"b\.zip"):
        ensure(raw=tmp_path / "raw")
    assert contents(tmp_path / "cache") == set()


def test_what_a_killed_process_left_behind_is_removed(ensure):
    path = ensure()
    leftover = path.with_name(f".{path.name}.abc.npy")
    path.rename(leftover)
    assert ensure() == path
    assert not leftover.exists()


def test_two_at_once_decode_once(ensure, asked):
    path = ensure()
    decoded, finished = len(asked), path.with_suffix(".moved")
    path.rename(finished)
    other = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)  # another process is at work
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ensure)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.5)
        finished.rename(path)  # and is done
        os.close(other)
        assert waiting.result(timeout=30) == path
    assert len(asked) == decoded
