import numpy as np
import pytest
import torch
from torchvision.transforms import functional

from deepfake.loading.batches import ArrayLoader
from deepfake.params import Normalization

IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
ODD = Normalization(mean=(0.1, 0.9, 0.5), std=(1.0, 0.5, 0.05))
CPU = torch.device("cpu")


@pytest.fixture
def images() -> np.ndarray:
    array = np.random.default_rng(0).integers(0, 256, (11, 9, 9, 3), dtype=np.uint8)
    array[0], array[1] = 0, 255
    return array


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(11, dtype=np.int64) % 2


def expected(image: np.ndarray, normalization: Normalization) -> torch.Tensor:
    return functional.normalize(functional.to_tensor(image), list(normalization.mean), list(normalization.std))


def test_imagenet_normalisation_is_torchvisions(images, labels):
    (batch,) = ArrayLoader(images, labels, IMAGENET, CPU).batches(np.arange(11), 32)
    reference = torch.stack([expected(image, IMAGENET) for image in images])
    torch.testing.assert_close(batch.images, reference, rtol=0, atol=1e-6, check_stride=False)


def test_any_normalisation_is_torchvisions(images, labels):
    # a std of 0.05 gives values up to 18: there the rounding is relative
    (batch,) = ArrayLoader(images, labels, ODD, CPU).batches(np.arange(11), 32)
    reference = torch.stack([expected(image, ODD) for image in images])
    torch.testing.assert_close(batch.images, reference, rtol=1e-6, atol=2e-6, check_stride=False)


def test_samples_come_in_the_order_of_the_index(images, labels):
    index = np.array([7, 3, 3, 10, 0, 1, 8])
    batches = list(ArrayLoader(images, labels, IMAGENET, CPU).batches(index, 3))
    assert [len(batch.index) for batch in batches] == [3, 3, 1]
    assert np.concatenate([batch.index for batch in batches]).tolist() == index.tolist()
    assert torch.cat([batch.labels for batch in batches]).tolist() == labels[index].tolist()
    for batch in batches:
        for image, row in zip(batch.images, batch.index, strict=True):
            torch.testing.assert_close(image, expected(images[row], IMAGENET), rtol=0, atol=1e-6, check_stride=False)


@pytest.mark.parametrize(("count", "size", "lengths"), [(0, 4, []), (4, 4, [4]), (8, 4, [4, 4]), (9, 4, [4, 4, 1])])
def test_no_sample_is_lost_or_repeated_at_the_end(images, labels, count, size, lengths):
    batches = ArrayLoader(images, labels, IMAGENET, CPU).batches(np.arange(count), size)
    assert [len(batch.images) for batch in batches] == lengths


@pytest.mark.parametrize("size", [1, 4])
def test_types_and_memory_format(images, labels, size):
    for batch in ArrayLoader(images, labels, IMAGENET, CPU).batches(np.arange(8), size):
        assert batch.images.dtype == torch.float32
        assert batch.images.shape == (size, 3, 9, 9)
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.labels.dtype == torch.float32
        assert batch.labels.shape == (size,)


def test_a_mapped_file_serves_as_an_array_and_stays_as_it_is(tmp_path, images, labels):
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    index = np.array([5, 2])
    (a,) = ArrayLoader(mapped, labels, IMAGENET, CPU).batches(index, 2)
    (b,) = ArrayLoader(images, labels, IMAGENET, CPU).batches(index, 2)
    assert torch.equal(a.images, b.images)
    a.images.zero_()
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), images)


def test_a_second_pass_gives_the_same(images, labels):
    loader = ArrayLoader(images, labels, IMAGENET, CPU)
    first, second = ([batch.images for batch in loader.batches(np.arange(11), 4)] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
