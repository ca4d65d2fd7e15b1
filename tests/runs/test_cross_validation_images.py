"""What a model sees, in training and in evaluation, from the files to the logits."""

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from conftest import FACE_BOX, TINY_HEIGHT, TINY_WIDTH
from deepfake import config as configs
from deepfake import models, tables
from deepfake.datasets import splits
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata, cross_validation
from tiny_study import MARGIN, VARIANTS, config, manifest, prepared

FACE_SQUARE = (8, 6, 28, 26)  # 16 x 1.25 = 20 around (18, 16)
assert (FACE_BOX, MARGIN) == ((10, 8, 26, 24), 0.25)


def files() -> list[tuple[Image.Image, pd.Series]]:
    """Return every image of the data set, opened by PIL, with its row of the manifest."""
    found = []
    for _, row in manifest().iterrows():
        with zipfile.ZipFile(paths().raw("sample") / row["archive"]) as archive:
            found.append((Image.open(io.BytesIO(archive.read(row["path"]))).convert("RGB"), row))
    return found


def by_hand(view: str, size: int) -> np.ndarray:
    """Return what a view shows of all images, by PIL alone: uint8 [n, size, size, 3]."""
    faces = tables.read(paths().faces("sample"), tables.FACES).set_index("sample_id")["faces"]
    spare = (TINY_WIDTH - TINY_HEIGHT) // 2
    shown = []
    for image, row in files():
        central = image.crop((spare, 0, spare + TINY_HEIGHT, TINY_HEIGHT))
        boxed = Image.new("RGB", (TINY_WIDTH, TINY_WIDTH))
        boxed.paste(image, (0, spare))
        part = {
            "crop_low": central,
            "letterbox_low": boxed,
            "letterbox_real_low": central if row["label"] else boxed,
            "resize_low": image,
            "face_low": image.crop(FACE_SQUARE) if faces[row["sample_id"]] else central,
        }[view]
        shown.append(np.asarray(part.resize((size, size), Image.Resampling.BILINEAR)))
    return np.stack(shown)


def parts(run: configs.RunConfig, held_out: int) -> pd.Series:
    """Return each sample's part in a fold, in the manifest's order."""
    rows = manifest()
    found = splits.subsets(rows, held_out, fraction=run.fraction, val_ratio=run.val_ratio, seed=run.seed)
    return found.reindex(rows.index, fill_value="")


@pytest.mark.parametrize("name", ["simple_cnn_low", *VARIANTS])
def test_predictions_are_those_of_images_prepared_by_hand(outcome, copied, name):
    """Whatever happens to training images, each subset is predicted as it is: the test set is never augmented."""
    run = prepared(name)
    result = cross_validation.run(run) if name != "simple_cnn_low" else outcome
    written = json.loads(paths().config(name).read_text())
    assert (written["augmentation"] is None) == (VARIANTS.get(name, ("", "none"))[1] == "none")
    pixels = by_hand(run.view.view, run.resolution).astype(np.float64) / 255
    rows = manifest()
    for held_out in range(run.folds):
        used = checkpoint_metadata.read(paths().checkpoint_record(name, held_out)).normalization.model_dump(mode="json")
        if run.normalization is None:
            mine = pixels[(parts(run, held_out) == "train") & (rows["label"] == 0)]
            # JPEGs may decode differently by a level, elsewhere than in PIL
            tolerance = 1e-9 if run.view.loader != "dali" else 2e-3
            np.testing.assert_allclose(used["mean"], mine.mean(axis=(0, 1, 2)), rtol=0, atol=tolerance)
            np.testing.assert_allclose(used["std"], mine.std(axis=(0, 1, 2)), rtol=0, atol=tolerance)
        else:
            assert used == json.loads(run.normalization.model_dump_json())
        normalised = (pixels - used["mean"]) / used["std"]
        model = models.create(run.model, run.resolution)
        model.load_state_dict(load_file(paths().checkpoint(name, held_out)))
        model.eval()
        with torch.inference_mode():
            logits = model(torch.from_numpy(normalised).permute(0, 3, 1, 2).float()).squeeze(1).numpy()
        found = result.predictions[result.predictions["fold"] == held_out]
        assert set(found["subset"]) == set(tables.SUBSETS)
        expected = pd.Series(logits, index=rows["sample_id"])[found["sample_id"]]
        tolerance = 1e-4 if run.view.loader != "dali" else 0.05
        np.testing.assert_allclose(found["logit"], expected, rtol=0, atol=tolerance)


def test_augmentation_reaches_the_training(outcome, copied):
    before = {path.name for path in paths().cache("sample").iterdir()}
    augmentation = config("opencv_full").augmentation
    changed = cross_validation.run(config(augmentation=augmentation, oversampling=1.25))
    assert not np.array_equal(outcome.predictions["logit"], changed.predictions["logit"])
    (larger,) = {path.name for path in paths().cache("sample").iterdir()} - before
    assert larger.startswith("crop_low-40px-")
