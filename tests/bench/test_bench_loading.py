"""The benchmark on a tiny data set: all loaders, all columns, the same work for each."""

import pytest
import torch
from PIL import Image

from conftest import write_noise
from deepfake import cli, config, tables
from deepfake.bench import loading as benchmark
from deepfake.bench import rivals
from deepfake.errors import InputError
from deepfake.project import paths

# the rivals are what their users write today; torchvision 0.29 announces that its decoder will move
pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
LOADERS = {
    *(f"{kind} {name}" for kind in ("cache, then", "no cache,") for name in ("dali", "opencv", "torchvision")),
    "torchvision DataLoader, PIL",
    "torchvision DataLoader, decode_jpeg",
    "timm create_loader",
}


@pytest.fixture
def photographs(project, runner):
    """The tiny project with JPEG files, ingested."""
    write_noise(paths().raw("sample"), "JPEG", 48, 40)
    assert runner.invoke(cli.main, ["ingest", "sample"]).exit_code == 0
    return config.load()


@pytest.mark.slow
def test_every_loader_is_timed_on_every_kind_of_file(photographs, monkeypatch):
    monkeypatch.setattr(benchmark, "SIZES", (32,))
    monkeypatch.setattr(benchmark, "FILES", {"as they are": None, "64×64": 64})
    rows = benchmark.run(photographs, count=40, repeats=1)
    for _, group in rows.groupby(["files", "augmentation"]):
        assert set(group["loader"]) == LOADERS
        assert group.loc[group["loader"] == "cache, then opencv", "times_cpu"].item() == 1
        assert group["overhead"].notna().sum() == 1
    assert (rows[["images_per_second", "cpu_ms", "share"]] > 0).all(axis=None)
    text = benchmark.report(rows, 1)
    assert all(loader in text for loader in LOADERS)


def test_a_data_set_without_jpeg_cannot_be_compared(photographs):
    path = paths().media("sample")
    tables.write(tables.read(path, tables.MEDIA).assign(format="PNG"), path, tables.MEDIA)
    with pytest.raises(InputError, match="JPEG"):
        benchmark.run(photographs, count=32, repeats=1)


@pytest.mark.parametrize("policy", ["light", "full"])
def test_the_rivals_give_normalised_images(photographs, tmp_path, policy):
    paths = []
    for number in range(4):
        Image.new("RGB", (50, 60), (124, 116, 104)).save(tmp_path / f"{number}.jpg", quality=95)
        paths.append(str(tmp_path / f"{number}.jpg"))
    common = (paths, photographs.augmentations[policy], 32, 2, photographs.imagenet)
    for epoch in (
        rivals.torchvision_loader(*common, rivals.open_pil),
        rivals.torchvision_loader(*common, rivals.open_torchvision),
        rivals.timm_loader(*common),
    ):
        batches = list(epoch())
        assert [tuple(batch.shape) for batch in batches] == [(2, 3, 32, 32)] * 2
        if policy == "light":  # ImageNet's mean colour comes out near zero, whatever is cropped
            assert torch.cat(batches).abs().max() < 0.05
        else:
            assert torch.cat(batches).abs().max() < 3
