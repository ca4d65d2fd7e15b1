"""The benchmark on a tiny data set: all loaders, all columns, the same work for each."""

import time

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from conftest import write_noise
from deepfake import cli, config, tables
from deepfake.bench import decoding, rivals, timing
from deepfake.bench import loading as benchmark
from deepfake.errors import InputError
from deepfake.project import paths
from heard import Heard

# the rivals are what their users write today; torchvision 0.29 announces that its decoder will move
pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
LOADERS = {
    *(f"{kind} {name}" for kind in ("cache, then", "no cache,") for name in ("dali", "opencv")),
    "torchvision DataLoader, PIL",
    "torchvision DataLoader, decode_jpeg",
    "timm create_loader",
}


class Busy(Dataset):
    """Samples that each cost a worker some CPU time."""

    SECONDS = 0.005
    _prepared = False

    def __len__(self) -> int:
        return 4 * 1000

    def __getitem__(self, index: int) -> torch.Tensor:
        if not self._prepared:
            spend(0.5)
            self._prepared = True
        spend(self.SECONDS)
        return torch.zeros(1)


def spend(seconds: float) -> None:
    """Compute for some seconds of CPU time."""
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass


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


@pytest.mark.slow
def test_with_workers_each_loader_is_watched_for_a_moment(photographs, monkeypatch):
    """As on a GPU machine, but on the CPU."""
    monkeypatch.setattr(benchmark, "SIZES", (32,))
    scope = benchmark._Scope({"64×64": 64}, ("full",), ("opencv",), images=128, seconds=0.2, workers=2)
    monkeypatch.setattr(benchmark, "_scope", lambda device: scope)
    heard = Heard()
    rows = benchmark.run(photographs, count=32, repeats=2, progress=heard)
    assert set(rows["loader"]) == {name for name in LOADERS if "dali" not in name}
    assert (rows[["images_per_second", "cpu_ms", "share"]] > 0).all(axis=None)
    assert [line.split(": ")[1] for line in heard.lines] == list(rows["loader"])
    assert "2 workers" in benchmark.report(rows, 2)


def test_the_work_of_workers_counts_and_their_start_does_not(tmp_path):
    """Two workers that each compute for 20 ms a batch, after 500 ms of preparation."""
    loader = DataLoader(Busy(), batch_size=4, num_workers=2, persistent_workers=True)
    timed = timing.Timed(lambda: loader, 4 * 1000, skipped=2)
    for _ in range(2):  # the second time an epoch begins that was left early
        wall, cpu = timing.an_image(timed, seconds=1.0)
        assert cpu == pytest.approx(Busy.SECONDS, rel=0.3)
        assert wall > Busy.SECONDS / 2 * 0.7


def test_a_view_is_decoded_in_each_way_at_each_size(photographs):
    rows = decoding.run(photographs, count=32, repeats=2, cuda=False)
    assert rows["size"].tolist() == [128, 224]
    assert (rows["seconds"] > 0).all() and (rows["files"] == 32).all()
    assert "32 JPEG files of 512×512" in decoding.report(rows, 2)


@pytest.mark.gpu
def test_with_a_gpu_it_is_decoded_by_that_too(photographs):
    rows = decoding.run(photographs, count=32, repeats=1, cuda=True)
    assert rows["way"].tolist() == ["DALI, CPU", "DALI, mixed"] * 2


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
        rivals.torchvision_loader(*common, rivals.open_torchvision, workers=2),
        rivals.timm_loader(*common),
        rivals.timm_loader(*common, workers=2, prefetch=True),
    ):
        batches = list(epoch())
        assert [tuple(batch.shape) for batch in batches] == [(2, 3, 32, 32)] * 2
        if policy == "light":  # ImageNet's mean colour comes out near zero, whatever is cropped
            assert torch.cat(batches).abs().max() < 0.05
        else:
            assert torch.cat(batches).abs().max() < 3
