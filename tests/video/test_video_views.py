import io
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake import tables
from deepfake.config import ViewConfig
from deepfake.config.images import Parts
from deepfake.errors import InputError
from deepfake.modalities import image, video
from deepfake.modalities.base import File, Medium
from deepfake.modalities.video import decoding, views
from deepfake.modalities.video.containers import opened
from deepfake.modalities.video.positions import timeline
from deepfake.progress import SILENT
from numbered_clips import clip, number, picture

PARTS = Parts(frames=4, window=4)


def view(
    geometry: str = "letterbox", size: int = 64, modality: str = "video", margin: float | None = None
) -> ViewConfig:
    return ViewConfig(
        **{"dataset": "clips", "view": "v", "modality": modality, "geometry": geometry, "face_margin": None},
        **{"size": size, "seconds": None, "loader": "opencv"},
    )


def described(name: str, data: Medium) -> pd.DataFrame:
    """Return the samples of a clip with what they are, as ingest makes them."""
    found = video.inspect(data, PARTS)
    assert isinstance(found, list), found
    rows = [(f"{name}#{place:03d}", *fact) for place, fact in enumerate(found)]
    table = pd.DataFrame(rows, columns=list(video.MEDIA.columns))
    return tables.check(table, video.MEDIA, "here").assign(clip_id=name, label=0)


def files(clips: list[Medium], shown: ViewConfig) -> list[File]:
    found = []
    for place, data in enumerate(clips):
        regions = video.regions(described(str(place), data), shown, None)
        found.append(File(data, list(regions.drop(columns="sample_id").itertuples(index=False, name=None))))
    return found


@pytest.mark.parametrize("geometry", ["crop", "letterbox", "resize"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_a_frame_is_shown_as_an_image_of_it_would_be(geometry, rotation):
    data = clip(30, size=(150, 92), rotation=rotation)
    shown = view(geometry, size=48)
    (of_clip,) = video.decode(shown, files([data], shown), threads=1)
    with opened(data) as opening:
        line = timeline(data, opening)
    taken = described("x", data)["frame"].tolist()
    for place, frame in enumerate(decoding.frames(data, line, taken)):
        stream = io.BytesIO()
        frame.image().save(stream, "PNG")
        facts = image.inspect(stream.getvalue(), PARTS)
        assert isinstance(facts, list)
        table = pd.DataFrame([("x", *facts[0])], columns=list(image.MEDIA.columns)).assign(label=0)
        of_image = view(geometry, size=48, modality="image")
        regions = image.regions(table, of_image, None).drop(columns="sample_id")
        file = File(stream.getvalue(), list(regions.itertuples(index=False, name=None)))
        (expected,) = image.decode(of_image, [file], threads=1)
        np.testing.assert_array_equal(of_clip[place], expected[0])


def test_frames_come_in_the_order_of_rows_whatever_the_threads(tmp_path):
    clips: list[Medium] = [clip(count, container=kind) for count in (3, 40, 7, 90) for kind in ("mp4", "avi")]
    for place in (1, 5):
        path = tmp_path / str(place)
        path.write_bytes(clips[place])  # pyright: ignore[reportArgumentType]
        clips[place] = path
    shown = view("resize", size=80)
    wanted = files(clips, shown)
    results = [np.concatenate(list(video.decode(shown, iter(wanted), threads=threads))) for threads in (1, 3, 16)]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    frames = [row[-1] for file in wanted for row in file.rows]
    assert [number(pixels) for pixels in results[0]] == frames
    assert results[0].dtype == np.uint8
    assert (results[0].shape[1:], "|u1") == video.stored(shown)


def test_frames_in_another_order_and_twice():
    data, shown = clip(50), view("resize", size=80)
    (file,) = files([data], shown)
    rows = [(*file.rows[0][:-1], frame) for frame in (49, 3, 20, 3, 0)]
    (found,) = video.decode(shown, [File(data, rows)], threads=1)
    assert [number(pixels) for pixels in found] == [49, 3, 20, 3, 0]


def test_no_files_no_frames():
    assert list(video.decode(view(), [], threads=4)) == []


def test_clips_are_read_only_as_they_are_needed(monkeypatch):
    data, shown = clip(5), view()
    (file,) = files([data], shown)
    read, running, most = 0, 0, 0
    lock = threading.Lock()
    frames = views.frames

    def several():
        nonlocal read
        for _ in range(40):
            read += 1
            yield file

    def counted(*args):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        result = frames(*args)
        with lock:
            running -= 1
        return result

    monkeypatch.setattr(views, "frames", counted)
    for done, _ in enumerate(video.decode(shown, several(), threads=3), start=1):
        assert read <= done + 3
    assert read == 40
    assert most <= 3


def test_a_clip_that_is_another_one_is_an_error(tmp_path):
    shown = view()
    (file,) = files([clip(50)], shown)
    path = tmp_path / "short.mp4"
    path.write_bytes(clip(20))
    with pytest.raises(InputError, match=r"short.mp4: differs from what was ingested .*frame 50 of 20"):
        list(video.decode(shown, [File(path, file.rows)], threads=2))
    with pytest.raises(InputError, match="a clip: differs from what was ingested"):
        list(video.decode(shown, [File(b"nothing", file.rows)], threads=2))


def test_a_model_sees_a_square_of_three_channels():
    assert video.shape(view(size=48)) == (3, 48, 48)


def test_it_is_loaded_without_torch_and_libav():
    code = (
        "import sys; from deepfake import modalities; m = modalities.load('video'); m.MEDIA, m.FAMILIES, m.CODE; "
        "print({'torch', 'av', 'pandas', 'cv2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_view_shows_what_one_of_images_shows():
    data, shown = clip(9), view("crop")
    samples = described("a", data)
    regions = video.regions(samples, shown, None)
    (stored,) = video.decode(shown, files([data], shown), threads=1)
    measured = video.measure_shown(shown, samples, stored, regions, None, threads=1, progress=SILENT)
    assert measured is not None
    table, families, together = measured
    assert len(table) == len(samples)
    assert set(table.columns) == {name for family in families.values() for name in family}
    assert set(together) <= set(families)
    np.testing.assert_allclose(table["mean_r"], stored[..., 0].mean(axis=(1, 2)), rtol=1e-5)


def test_what_follows_decoding_is_that_of_images():
    import torch

    data, shown = clip(9), view()
    (stored,) = video.decode(shown, files([data], shown), threads=1)
    rows = np.arange(len(stored))
    assert video.statistics(shown, stored, rows) == image.statistics(view(modality="image"), stored, rows)
    scale = video.statistics(shown, stored, rows)
    seen = video.inputs(shown, scale, torch.device("cpu"))(torch.from_numpy(stored))
    expected = (stored.transpose(0, 3, 1, 2) / 255 - np.reshape(scale.mean, (1, 3, 1, 1))) / np.reshape(
        scale.std, (1, 3, 1, 1)
    )
    np.testing.assert_allclose(seen.numpy(), expected, atol=1e-4)


def test_what_people_see_of_frames():
    data, shown = clip(30), view("resize", size=32)
    pictures = list(video.pictures(shown, files([data], shown), 80))
    assert [number(picture) for picture in pictures] == [0, 10, 19, 29]
    assert {picture.shape for picture in pictures} == {(80, 80, 3)}
    samples = described("a", data)
    np.testing.assert_allclose(video.spans(samples, PARTS), np.array([[0, 0], [0.4, 0.4], [0.76, 0.76], [1.16, 1.16]]))


def test_clips_are_told_from_images_and_sound(tmp_path):
    for name, content, answer in (("a.bin", clip(3), True), ("b.mkv", clip(3, container="matroska", sound=True), True)):
        (tmp_path / name).write_bytes(content)
        assert video.recognises(tmp_path / name) is answer
    Image.fromarray(picture(3)).save(tmp_path / "c.png")
    (tmp_path / "d.mp4").write_bytes(b"text" * 100)
    # libav would show a text of this name as a film of letters
    (tmp_path / "e.nfo").write_bytes(b"ID3 tags, explained\n" * 200)
    for name in ("c.png", "d.mp4", "e.nfo"):
        assert not video.recognises(tmp_path / name)


def test_beyond_a_frame_there_is_black():
    data, shown = clip(3), view("letterbox", size=80)
    (found,) = video.decode(shown, files([data], shown), threads=1)
    assert (found[:, :18] == 0).all()
    assert (found[:, 62:] == 0).all()
    assert found[:, 55:59].max(axis=(1, 2, 3)).min() > 200  # red and blue
