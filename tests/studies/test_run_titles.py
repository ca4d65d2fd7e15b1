"""What figures call runs: by their model, and by what sets them apart."""

import pytest

from deepfake.studies import results

PLAIN = {
    "model": "resnet18",
    "train": "head",
    "pretrained": True,
    "resolution": 96,
    "view": {"geometry": "crop", "face_margin": None},
    "augmentation": None,
    "normalization": {"mean": [0.5], "std": [0.5]},
    "holdout": None,
    "fraction": 0.5,
}
FACE = {"geometry": "crop", "face_margin": 0.3}
RESIZED = {"geometry": "resize", "face_margin": None}


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ([{}], ["frozen ResNet18"]),
        ([{}, {"model": "simple_cnn", "resolution": 64}], ["frozen ResNet18", "frozen SimpleCNN"]),
        ([{}, {"resolution": 64}], ["frozen ResNet18, 96 px", "frozen ResNet18, 64 px"]),
        ([{}, {"view": FACE}], ["frozen ResNet18", "frozen ResNet18, face crop"]),
        (
            [{}, {"view": RESIZED}, {"augmentation": {"flip": 0.5}, "holdout": "insight"}],
            ["frozen ResNet18", "frozen ResNet18, plain resize", "frozen ResNet18, augmentation, without insight"],
        ),
        ([{"normalization": None}, {}], ["frozen ResNet18, statistics of reals", "frozen ResNet18"]),
        ([{}, {"fraction": 1.0}], ["frozen ResNet18, 50% of the data", "frozen ResNet18, 100% of the data"]),
        ([{}, {"seed": 1}], ["frozen ResNet18 (run0)", "frozen ResNet18 (run1)"]),
    ],
)
def test_a_run_is_called_by_its_model_and_what_sets_it_apart(monkeypatch, changes, labels):
    known = {f"run{place}": PLAIN | change for place, change in enumerate(changes)}
    monkeypatch.setattr(results, "facts_of", known.__getitem__)
    assert results.described(known) == dict(zip(known, labels, strict=True))
