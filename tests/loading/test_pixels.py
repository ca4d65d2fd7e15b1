import numpy as np
import pytest
import torch

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
