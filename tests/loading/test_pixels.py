import weakref

import numpy as np
import pytest
import torch

from deepfake import runtime
from deepfake.loading import pixels

CHUNKS = [np.array([3, 0]), np.array([7]), np.array([5, 5, 1]), np.array([11, 3, 0, 7])]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 5, 4, 3), dtype=np.uint8)


def mapped(images: np.ndarray, tmp_path) -> np.ndarray:
    np.save(tmp_path / "images.npy", images)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def check(store: pixels.Store, images: np.ndarray, device: torch.device) -> None:
    """Hold a store against indexing: twice, and with every batch kept, as no buffer may be used again too early."""
    assert store.device.type == device.type
    for _ in range(2):
        batches = list(store.stream(iter(CHUNKS)))
        assert len(batches) == len(CHUNKS)
        for rows, batch in zip(CHUNKS, batches, strict=True):
            assert batch.dtype == torch.uint8
            assert batch.device.type == device.type
            np.testing.assert_array_equal(batch.cpu().numpy(), images[rows])
    assert list(store.stream([])) == []


def test_on_the_processor_images_are_served_from_a_mapped_file(images, tmp_path):
    store = pixels.place(mapped(images, tmp_path), np.arange(12), CPU)
    assert isinstance(store, pixels.Mapped)
    check(store, images, CPU)


def test_a_batch_is_a_copy(images, tmp_path):
    store = pixels.Mapped(mapped(images, tmp_path))
    (batch,) = store.stream([np.array([2, 4])])
    batch.zero_()
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), images)


def test_chunks_are_taken_one_at_a_time(images):
    taken = []

    def chunks():
        for chunk in CHUNKS:
            taken.append(len(chunk))
            yield chunk

    stream = pixels.Mapped(images).stream(chunks())
    next(stream)
    assert taken == [2]


@pytest.mark.gpu
@pytest.mark.parametrize(
    "make",
    [
        lambda images: pixels.Resident(images, np.arange(12), CUDA),
        lambda images: pixels.Resident(images, np.array([11, 0, 1, 3, 5, 7, 7]), CUDA),
        lambda images: pixels.Pinned(images, CUDA),
    ],
    ids=["resident", "resident, some rows", "pinned"],
)
def test_on_the_gpu_images_are_those_of_the_file(images, tmp_path, make):
    check(make(mapped(images, tmp_path)), images, CUDA)


@pytest.fixture
def device(monkeypatch) -> list:
    """What holds the images in place of a GPU, with memory for 20 of them; and the rows of each upload."""
    monkeypatch.setattr(pixels, "_kept", {})
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (20 * 60 / pixels._RESIDENT_SHARE, 0))
    uploads, upload = [], pixels.Resident.__init__

    def counted(self, images, rows, device, have=None):
        uploads.append(list(rows))
        upload(self, images, rows, device, have)

    monkeypatch.setattr(pixels.Resident, "__init__", counted)
    return uploads


def served(store, rows: list[int]) -> np.ndarray:
    return torch.cat(list(store.stream([np.array(rows)]))).numpy()


def test_folds_of_one_run_upload_each_image_once(images, tmp_path, device):
    file = mapped(images, tmp_path).filename
    for rows in ([0, 2, 5], [5, 0], [2, 7, 9, 0], [0, 2, 5, 7, 9]):
        store = pixels._resident(np.load(file, mmap_mode="r"), np.array(rows), CPU)
        np.testing.assert_array_equal(served(store, rows), images[rows])
    assert device == [[0, 2, 5], [7, 9]]


def test_blocks_that_share_no_image_are_not_gathered(images, tmp_path, device):
    source = mapped(images, tmp_path)
    for rows in ([0, 1], [2, 3], [4, 5]):
        np.testing.assert_array_equal(served(pixels._resident(source, np.array(rows), CPU), rows), images[rows])
    assert [len(store.rows) for store, _ in pixels._kept.values()] == [2]


def test_images_and_their_larger_ones_are_kept_together_and_given_back_for_those_of_another_run(
    images, tmp_path, device
):
    files = [tmp_path / name for name in ("a.npy", "b.npy", "c.npy")]
    for number, file in enumerate(files):
        np.save(file, images + number)

    def fold(*which: int) -> None:
        stores = [pixels._resident(np.load(files[n], mmap_mode="r"), np.arange(6), CPU) for n in which]
        for number, store in zip(which, stores, strict=True):
            np.testing.assert_array_equal(served(store, [4, 1]), (images + number)[[4, 1]])

    fold(0, 1)
    fold(0, 1)
    assert len(device) == 2
    held = [weakref.ref(store._images) for store, _ in pixels._kept.values()]
    fold(2)
    assert len(device) == 3
    assert [reference() for reference in held] == [None, None]


def test_a_file_that_was_written_anew_is_another(images, tmp_path, device):
    first = pixels._resident(mapped(images, tmp_path), np.arange(6), CPU)
    (tmp_path / "images.npy").unlink()
    second = pixels._resident(mapped(images + 1, tmp_path), np.arange(6), CPU)
    np.testing.assert_array_equal(served(first, [3]), images[[3]])
    np.testing.assert_array_equal(served(second, [3]), images[[3]] + 1)


def test_a_part_of_a_file_is_not_taken_for_the_whole(images, tmp_path, device):
    whole = mapped(images, tmp_path)
    pixels._resident(whole, np.arange(12), CPU)
    for part in (whole[4:], np.array(images[::-1])):
        np.testing.assert_array_equal(served(pixels._resident(part, np.arange(3), CPU), [1, 2]), part[[1, 2]])


def test_what_does_not_fit_beside_what_is_kept_takes_its_place(images, tmp_path, device):
    many = np.random.default_rng(1).integers(0, 256, (30, 5, 4, 3), dtype=np.uint8)
    source = mapped(many, tmp_path)
    pixels._resident(source, np.arange(15), CPU)
    store = pixels._resident(source, np.arange(10, 25), CPU)
    assert device == [list(range(15)), list(range(10, 25))]
    np.testing.assert_array_equal(served(store, [24, 10]), many[[24, 10]])
    assert pixels._resident(source, np.arange(25), CPU) is None
    assert pixels._kept == {}


def test_jobs_that_share_a_gpu_share_its_memory(images, device, monkeypatch):
    assert pixels._resident(images, np.arange(6), CPU)
    for sharers, fits in ((3, True), (4, False)):  # of 20 images
        monkeypatch.setenv(runtime.GPU_SHARERS, str(sharers))
        assert (pixels._resident(images, np.arange(6), CPU) is not None) is fits


@pytest.mark.gpu
def test_on_a_gpu_images_of_an_earlier_file_give_their_memory_back(tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "_kept", {})
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.zeros((64, 512, 512, 4), np.uint8))
    before = torch.cuda.memory_allocated()
    for name in "aab":
        assert isinstance(
            pixels.place(np.load(tmp_path / f"{name}.npy", mmap_mode="r"), np.arange(64), CUDA), pixels.Resident
        )
        assert torch.cuda.memory_allocated() - before < 1.5 * 64 * 2**20
    assert len(pixels._kept) == 1


@pytest.mark.gpu
def test_more_rows_than_one_upload_arrive_whole():
    images = np.random.default_rng(1).integers(0, 256, (2 * pixels._UPLOAD + 3, 2, 2, 3), dtype=np.uint8)
    rows = np.random.default_rng(2).permutation(len(images))
    (batch,) = pixels.Resident(images, np.arange(len(images)), CUDA).stream([rows])
    np.testing.assert_array_equal(batch.cpu().numpy(), images[rows])


@pytest.mark.gpu
def test_images_that_fit_are_kept_on_the_gpu_and_others_are_not(images, monkeypatch):
    needed = 3 * images[0].size
    for free, kind in ((needed / pixels._RESIDENT_SHARE, pixels.Resident), (needed, pixels.Pinned)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 2 * free))
        assert type(pixels.place(images, np.arange(3), CUDA)) is kind


@pytest.mark.gpu
def test_batches_that_are_used_while_the_next_ones_arrive_stay_whole():
    """The copies of `Pinned` run beside the computation; a matrix product keeps the device busy meanwhile."""
    images = np.random.default_rng(3).integers(0, 256, (512, 32, 32, 3), dtype=np.uint8)
    chunks = [np.random.default_rng(n).integers(0, 512, 64) for n in range(40)]
    work = torch.rand(2048, 2048, device=CUDA)
    sums = []
    for batch in pixels.Pinned(images, CUDA).stream(chunks):
        work = work @ work / 1000
        sums.append(batch.long().sum(dim=(1, 2, 3)))
        del batch  # its memory may be given to the next one
    found = torch.stack(sums).cpu().numpy()
    np.testing.assert_array_equal(found, [images[rows].astype(np.int64).sum(axis=(1, 2, 3)) for rows in chunks])


@pytest.mark.gpu
def test_a_reader_that_stops_early_leaves_no_thread(images):
    import threading

    before = threading.active_count()
    stream = pixels.Pinned(images, CUDA).stream(CHUNKS)
    next(stream)
    stream.close()
    assert threading.active_count() == before
