from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from torchvision.transforms import functional

from conftest import ROOT
from deepfake.config.params import Augmentation, Normalization
from deepfake.loading.batches import AugmentingLoader, Loader
from deepfake.loading.pixels import Mapped
from deepfake.modalities.image import backends
from shown import pixel_view

IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
ODD = Normalization(mean=(0.1, 0.9, 0.5), std=(1.0, 0.5, 0.05))
POLICIES = {
    name: Augmentation.model_validate(policy)
    for name, policy in yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["augmentations"].items()
    if policy.get("modality", "image") == "image"
}
COUNT, SIDE, LARGER = 11, 16, 20


@pytest.fixture
def images() -> np.ndarray:
    array = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    array[0], array[1] = 0, 255
    return array


@pytest.fixture
def larger() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (COUNT, LARGER, LARGER, 3), dtype=np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(COUNT, dtype=np.int64) % 2


def expected(image: np.ndarray, normalization: Normalization = IMAGENET) -> torch.Tensor:
    return functional.normalize(functional.to_tensor(image), list(normalization.mean), list(normalization.std))


def plain(images: np.ndarray, labels: np.ndarray, normalization: Normalization = IMAGENET) -> Loader:
    return Loader(Mapped(images), labels, pixel_view(SIDE), normalization)


def augmenting(images, larger, labels, policy: str = "full", backend: str = "opencv", **options) -> Loader:
    return AugmentingLoader(
        Mapped(images),
        Mapped(larger),
        labels,
        pixel_view(SIDE, loader=backend),
        options.get("normalization", IMAGENET),
        POLICIES[policy],
        side=LARGER,
        seed=options.get("seed", 42),
        batch_size=options.get("batch_size", 8),
    )


@pytest.fixture(params=["plain", *backends.BACKENDS])
def loader(request, images, larger, labels) -> Loader:
    """What serves training images: without augmentation, and with that of each backend."""
    if request.param == "plain":
        return plain(images, labels)
    return augmenting(images, larger, labels, backend=request.param)


# --- batches as they are


def test_imagenet_normalisation_is_torchvisions(images, labels):
    (batch,) = plain(images, labels).batches(np.arange(COUNT), 32)
    reference = torch.stack([expected(image) for image in images])
    torch.testing.assert_close(batch.images, reference, rtol=0, atol=1e-6, check_stride=False)


def test_any_normalisation_is_torchvisions(images, labels):
    # a std of 0.05 gives values up to 18: there the rounding is relative
    (batch,) = plain(images, labels, ODD).batches(np.arange(COUNT), 32)
    reference = torch.stack([expected(image, ODD) for image in images])
    torch.testing.assert_close(batch.images, reference, rtol=1e-6, atol=2e-6, check_stride=False)


def test_samples_come_in_the_order_of_the_index(loader, images, labels):
    index = np.array([7, 3, 3, 10, 0, 1, 8])
    batches = list(loader.batches(index, 3))
    assert [len(batch.index) for batch in batches] == [3, 3, 1]
    assert np.concatenate([batch.index for batch in batches]).tolist() == index.tolist()
    assert torch.cat([batch.labels for batch in batches]).tolist() == labels[index].tolist()
    # also those of a loader that augments: evaluation is never augmented
    for batch in batches:
        for image, row in zip(batch.images, batch.index, strict=True):
            torch.testing.assert_close(image, expected(images[row]), rtol=0, atol=1e-6, check_stride=False)


@pytest.mark.parametrize(("count", "size", "lengths"), [(0, 4, []), (4, 4, [4]), (8, 4, [4, 4]), (9, 4, [4, 4, 1])])
@pytest.mark.parametrize("training", [False, True])
def test_no_sample_is_lost_or_repeated_at_the_end(loader, training, count, size, lengths):
    index = np.arange(count)
    batches = loader.training(index, size, 0) if training else loader.batches(index, size)
    assert [len(batch.images) for batch in batches] == lengths


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("training", [False, True])
def test_types_and_memory_format(loader, training, size):
    index = np.arange(8)
    for batch in loader.training(index, size, 0) if training else loader.batches(index, size):
        assert batch.images.dtype == torch.float32
        assert batch.images.shape == (size, 3, SIDE, SIDE)
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.labels.dtype == torch.float32
        assert batch.labels.shape == (size,)


def test_a_second_pass_gives_the_same(loader):
    first, second = ([batch.images for batch in loader.batches(np.arange(COUNT), 4)] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_evaluation_between_training_batches_disturbs_neither(loader, images):
    index = np.arange(COUNT)
    alone = [batch.images for batch in loader.training(index, 4, 0)]
    mixed = []
    for batch in loader.training(index, 4, 0):
        mixed.append(batch.images)
        (between,) = loader.batches(np.array([2]), 4)
        torch.testing.assert_close(between.images[0], expected(images[2]), rtol=0, atol=1e-6, check_stride=False)
    assert all(torch.equal(a, b) for a, b in zip(alone, mixed, strict=True))


# --- training


def test_without_augmentation_training_shows_the_images_as_they_are(images, labels):
    loader, index = plain(images, labels), np.array([4, 0, 9])
    for a, b in zip(loader.training(index, 2, 3), loader.batches(index, 2), strict=True):
        assert torch.equal(a.images, b.images)


@pytest.mark.parametrize("batch_size", [4, 8])
def test_every_batch_maps_back_to_its_samples_over_epochs(loader, images, labels, batch_size):
    # 11 samples do not fill the last batch: the next epoch starts afresh all the same
    rng = np.random.default_rng(1)
    for epoch in range(3):
        index = rng.permutation(COUNT)
        batches = list(loader.training(index, batch_size, epoch))
        assert np.concatenate([batch.index for batch in batches]).tolist() == index.tolist()
        assert torch.cat([batch.labels for batch in batches]).tolist() == labels[index].tolist()


@pytest.mark.parametrize("backend", backends.BACKENDS)
def test_what_is_shown_is_the_sample_that_is_named(images, labels, backend):
    # each image has a colour of its own that light augmentation keeps: flips and crops
    colours = np.random.default_rng(2).integers(0, 256, (COUNT, 1, 1, 3), dtype=np.uint8)
    large = np.broadcast_to(colours, (COUNT, LARGER, LARGER, 3)).copy()
    loader = augmenting(images, large, labels, "light", backend, batch_size=4)
    rng = np.random.default_rng(3)
    for epoch in range(3):
        for batch in loader.training(rng.permutation(COUNT), 4, epoch):
            for image, row in zip(batch.images, batch.index, strict=True):
                flat = np.broadcast_to(colours[row], (SIDE, SIDE, 3)).copy()
                torch.testing.assert_close(image, expected(flat), rtol=0, atol=1e-5, check_stride=False)


def by_sample(loader: Loader, index: np.ndarray, batch_size: int, epoch: int) -> dict[tuple[int, int], torch.Tensor]:
    """Return each training image by its row and how often that came before."""
    found: dict[tuple[int, int], torch.Tensor] = {}
    for batch in loader.training(index, batch_size, epoch):
        for image, row in zip(batch.images, batch.index.tolist(), strict=True):
            times = sum(1 for known, _ in found if known == row)
            found[row, times] = image.clone()
    return found


@pytest.mark.parametrize("backend", backends.BACKENDS)
@pytest.mark.parametrize("policy", ["light", "full"])
def test_an_image_follows_from_seed_epoch_and_sample_alone(images, larger, labels, backend, policy):
    make = {"images": images, "larger": larger, "labels": labels, "policy": policy, "backend": backend}
    first = by_sample(augmenting(**make), np.arange(COUNT), 8, 2)
    # neither the batch's size nor the order, nor who else is there, nor what was served before
    reused = augmenting(**make, batch_size=5)
    list(reused.training(np.arange(COUNT), 5, 1))
    others = [
        by_sample(reused, np.random.default_rng(9).permutation(COUNT), 5, 2),
        by_sample(augmenting(**make, batch_size=1), np.array([6, 2]), 1, 2),
    ]
    for other in others:
        assert all(torch.equal(image, first[sample]) for sample, image in other.items())
    for changed in (
        by_sample(augmenting(**make), np.arange(COUNT), 8, 3),
        by_sample(augmenting(**make, seed=43), np.arange(COUNT), 8, 2),
    ):
        same = [torch.equal(image, first[sample]) for sample, image in changed.items()]
        assert not any(same)


@pytest.mark.parametrize("backend", backends.BACKENDS)
def test_a_repeated_sample_looks_different_each_time(images, larger, labels, backend):
    loader = augmenting(images, larger, labels, backend=backend)
    found = by_sample(loader, np.array([3, 5, 3, 3, 5]), 4, 0)
    assert set(found) == {(3, 0), (3, 1), (3, 2), (5, 0), (5, 1)}
    looks = [image for (row, _), image in found.items() if row == 3]
    assert not any(torch.equal(looks[a], looks[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    # the first appearance is the one that a sample has alone
    assert torch.equal(found[5, 0], by_sample(loader, np.array([5]), 4, 0)[5, 0])


@pytest.mark.parametrize("backend", backends.BACKENDS)
def test_an_epoch_that_is_left_early_does_not_spoil_the_next(images, larger, labels, backend):
    make = {"images": images, "larger": larger, "labels": labels, "backend": backend}
    index = np.arange(COUNT)
    whole = by_sample(augmenting(**make), index, 4, 1)
    loader = augmenting(**make)
    abandoned = loader.training(index, 4, 0)
    next(abandoned)
    abandoned.close()
    assert all(torch.equal(image, whole[sample]) for sample, image in by_sample(loader, index, 4, 1).items())


def test_augmented_images_are_normalised_as_the_others_are(images, larger, labels, monkeypatch):
    # a backend that gives the centre of the larger image
    def augmenter(policy, *, source, size, batch_size, device):
        edge = (source - size) // 2
        return lambda batches: (batch[:, edge:-edge, edge:-edge].contiguous() for batch, _ in batches)

    monkeypatch.setattr(backends, "load", lambda name: SimpleNamespace(augmenter=augmenter))
    loader = augmenting(images, larger, labels, normalization=ODD)
    (batch,) = loader.training(np.arange(COUNT), 16, 0)
    reference = torch.stack([expected(image[2:-2, 2:-2], ODD) for image in larger])
    torch.testing.assert_close(batch.images, reference, rtol=1e-6, atol=2e-6, check_stride=False)


@pytest.mark.parametrize("backend", backends.BACKENDS)
def test_training_starts_from_the_larger_images(images, larger, labels, backend):
    loader = augmenting(images, larger, labels, backend=backend)
    before = by_sample(loader, np.arange(COUNT), 8, 0)
    again = augmenting(255 - images, larger, labels, backend=backend)
    assert all(torch.equal(i, before[s]) for s, i in by_sample(again, np.arange(COUNT), 8, 0).items())
    other = augmenting(images, 255 - larger, labels, backend=backend)
    assert not any(torch.equal(i, before[s]) for s, i in by_sample(other, np.arange(COUNT), 8, 0).items())
