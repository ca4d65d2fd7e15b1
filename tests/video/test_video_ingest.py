"""A data set of clips, loose and in an archive, from its files to the array that is trained on."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from deepfake import tables
from deepfake.config import ViewConfig
from deepfake.config.images import Ingest
from deepfake.datasets import ingest, measuring
from deepfake.datasets.entries import DataSet
from deepfake.errors import InputError
from deepfake.loading import cache
from deepfake.modalities import video
from deepfake.project import paths
from numbered_clips import clip, number

SETTINGS = Ingest(frames=4, window=4, max_quarantined=0.5)


@pytest.fixture
def clips(project) -> pd.DataFrame:
    raw = paths().raw("mine")
    (raw / "camera" / "anna").mkdir(parents=True)
    (raw / "camera" / "anna" / "one.mp4").write_bytes(clip(30))
    (raw / "camera" / "anna" / "still.mkv").write_bytes(clip(1, container="matroska"))
    (raw / "camera" / "anna" / "empty.mp4").touch()
    (raw / "camera" / "anna" / "cut off.mp4").write_bytes(clip(30)[:900])
    with zipfile.ZipFile(raw / "swap.zip", "w") as archive:
        archive.writestr("anna/one.mp4", clip(11, rotation=90))
        archive.writestr("berta/two.avi", clip(50, container="avi"))
        archive.writestr("berta/text.mp4", b"no clip\n" * 40)
    keys = {"title": "clips", "adapter": "sources", "group": "folder", "licence": "none", "obtain": "ask the test"}
    entry = DataSet.model_validate(keys | {"modality": "video", "sources": {"camera": "real", "swap": "fake"}})
    ingest.write("mine", entry, SETTINGS, threads=2)
    samples = tables.read(paths().samples("mine"), tables.SAMPLES)
    return tables.with_media(samples, paths().media("mine"), video.MEDIA)


def view() -> ViewConfig:
    return ViewConfig(
        **{"dataset": "mine", "view": "v", "modality": "video", "geometry": "resize", "face_margin": None},
        **{"size": 80, "seconds": None, "loader": "opencv"},
    )


def test_each_frame_taken_is_a_sample_of_its_clip(clips):
    frames = clips.groupby("clip_id")["frame"].agg(list).to_dict()
    assert list(frames.values()) == [[0, 10, 19, 29], [0], [0, 3, 7, 10], [0, 16, 33, 49]]
    whole = next(clip_id for clip_id in frames if clip_id.startswith("camera") and "one" in clip_id)
    names = clips.loc[clips["clip_id"] == whole, "sample_id"].tolist()
    assert names == [f"{whole}#{place:03d}" for place in range(4)]
    still = clips[clips["frames"] == 1].iloc[0]
    assert still["sample_id"] == still["clip_id"]
    quarantine = pd.read_csv(paths().quarantine("mine"))
    assert sorted(quarantine["reason"].str[:40]) == sorted(
        reason[:40]
        for reason in (
            "empty file",
            "cannot be decoded: its index (moov) is missing; the file was cut off",
            "not a video of a known format (mov, matroska",
        )
    )


def test_the_array_holds_the_frames_that_were_taken(clips, tmp_path):
    regions = video.regions(clips, view(), None)
    path = cache.ensure(view(), clips, regions, raw=paths().raw("mine"), folder=tmp_path / "arrays", threads=2)
    stored = np.load(path)
    assert stored.shape == (len(clips), 80, 80, 3)
    upright = [
        np.rot90(pixels, -1) if "rotated" in notes else pixels
        for pixels, notes in zip(stored, clips["notes"], strict=True)
    ]
    assert [number(pixels) for pixels in upright] == clips["frame"].tolist()


def test_features_are_those_of_files(clips):
    table = measuring.measure(clips, paths().raw("mine"), threads=2)
    tables.check(table, video.FEATURES, "here")
    assert table["frames"].tolist() == [30, 1, 11, 50]
    assert table["format"].tolist() == ["mp4", "matroska", "mp4", "avi"]


def test_a_clip_that_was_changed_is_an_error(clips, tmp_path):
    changed = paths().raw("mine") / "camera" / "anna" / "one.mp4"
    changed.write_bytes(clip(31))
    with pytest.raises(InputError, match=r"one\.mp4: differs from the file that was ingested"):
        cache.ensure(
            *(view(), clips, video.regions(clips, view(), None)),
            **{"raw": paths().raw("mine"), "folder": tmp_path / "arrays", "threads": 2},
        )
