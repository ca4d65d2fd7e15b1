import io
import re
import struct
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from deepfake.config.images import Parts
from deepfake.modalities import video
from deepfake.modalities.video import decoding
from deepfake.modalities.video.containers import opened
from deepfake.modalities.video.positions import timeline
from numbered_clips import HEIGHT, WIDTH, clip, number, picture

PARTS = Parts(frames=5, window=4)
COLUMNS = list(video.MEDIA.columns)[1:]


def facts(data, parts=PARTS) -> list[dict]:
    found = video.inspect(data, parts)
    assert isinstance(found, list), found
    return [dict(zip(COLUMNS, fact, strict=True)) for fact in found]


def reason(data) -> str:
    found = video.inspect(data, PARTS)
    assert isinstance(found, str), found
    return found


def upright(data: bytes, wanted: int = 0) -> np.ndarray:
    with opened(data) as opening:
        line = timeline(data, opening)
    (frame,) = decoding.frames(data, line, [wanted])
    return np.asarray(frame.image())


def encoded(frames: list[av.VideoFrame], *, setup=lambda stream: None, codec="libx264", container="mp4") -> bytes:
    """Return a clip of given frames as they are."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as file:
        out = file.add_stream(codec, rate=25, options={"qp": "1"})
        assert isinstance(out, av.VideoStream)
        out.width, out.height, out.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        setup(out)
        for frame in frames:
            file.mux(out.encode(frame))
        file.mux(out.encode())
    return stream.getvalue()


# --- what is accepted


def test_what_frames_are():
    found = facts(clip(50, sound=True))
    assert [fact["frame"] for fact in found] == [0, 12, 25, 37, 49]
    assert [fact["time"] for fact in found] == pytest.approx([0, 0.48, 1.0, 1.48, 1.96])
    first = found[0] | {"frame": 0, "time": 0.0}
    assert first == {
        **{"frame": 0, "time": 0.0, "frames": 50, "rate": 25.0, "duration": 2.0, "width": WIDTH, "height": HEIGHT},
        **{"format": "mp4", "codec": "h264", "pixel_format": "yuv420p", "notes": ""},
    }


def test_bytes_and_a_path_are_the_same(tmp_path):
    data = clip(30)
    path = tmp_path / "http: %03d [a].txt"  # a name that libav could take for more than a name
    path.write_bytes(data)
    assert video.inspect(path, PARTS) == video.inspect(data, PARTS)


def test_one_frame_is_one_sample():
    (only,) = facts(clip(1))
    assert (only["frame"], only["frames"], only["time"]) == (0, 1, 0.0)
    assert [fact["frame"] for fact in facts(clip(3))] == [0, 1, 2]


def test_a_clip_without_sound_and_one_with():
    assert [fact["frame"] for fact in facts(clip(9))] == [fact["frame"] for fact in facts(clip(9, sound=True))]


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3), (-90, 3)])
def test_rotated_clips_are_turned_upright(degrees, turns):
    data = clip(10, rotation=degrees)
    width, height = (HEIGHT, WIDTH) if turns % 2 else (WIDTH, HEIGHT)
    fact = facts(data)[2]
    assert (fact["width"], fact["height"]) == (width, height)
    assert fact["notes"] == f"rotated by {turns * 90} degrees"
    shown = upright(data, 5)
    assert shown.shape == (height, width, 3)
    np.testing.assert_array_equal(np.rot90(shown, -turns), upright(clip(10), 5))
    # an independent reader of the angle: libav's own, in degrees against the clock
    with av.open(io.BytesIO(data), "r") as file:
        frame = next(file.decode(video=0))
    assert frame.rotation % 360 == degrees % 360


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda image: image[::-1, ::-1].transpose(1, 0, 2)),
    ],
)
def test_mirrored_clips_are_turned_upright(matrix, turned):
    a, b, c, d = (value << 16 for value in matrix)
    data = clip(2, setup=lambda stream: stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30]))
    np.testing.assert_array_equal(upright(data), turned(upright(clip(2))))
    assert facts(data)[0]["notes"] == "mirrored"


def test_ten_bits_are_shown_in_eight():
    data = clip(4, pixel_format="yuv420p10le")
    assert facts(data)[0]["notes"] == "10 bits a channel, shown in 8"
    assert number(upright(data, 3)) == 3
    eight = upright(clip(4), 3).astype(int)
    assert np.abs(upright(data, 3).astype(int) - eight).mean() < 3


def test_odd_sides(tmp_path):
    data = clip(6, codec="libx264", pixel_format="yuv444p", size=(81, 41))
    assert (facts(data)[0]["width"], facts(data)[0]["height"]) == (81, 41)
    assert [number(upright(data, place)) for place in (0, 3, 5)] == [0, 3, 5]


@pytest.mark.parametrize(
    ("colorspace", "color_range", "kr", "kb"),
    [
        (1, 1, 0.2126, 0.0722),
        (5, 1, 0.299, 0.114),
        (2, 0, 0.299, 0.114),
        (9, 1, 0.2627, 0.0593),
        (1, 2, 0.2126, 0.0722),
    ],
    ids=["BT.709", "BT.601", "not said", "BT.2020", "BT.709, full range"],
)
def test_colours_are_those_that_the_clip_names(colorspace, color_range, kr, kb):
    y, u, v = 120, 90, 170
    frame = av.VideoFrame(64, 64, "yuv420p")
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)

    def setup(stream):
        stream.codec_context.colorspace, stream.codec_context.color_range = colorspace, color_range

    shown = upright(encoded([frame], setup=setup))[20, 20]
    full = color_range == 2
    luma = float(y) if full else (y - 16) * 255 / 219
    blue, red = ((value - 128) * (1 if full else 255 / 224) for value in (u, v))
    # ITU-T H.273, 8.3: R, G and B from luma and the two differences
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    assert np.abs(shown - np.array([r, g, b])).max() <= 1


def test_square_pixels_are_not_made():
    def setup(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    fact = facts(clip(2, setup=setup))[0]
    assert (fact["width"], fact["notes"]) == (WIDTH, "pixel aspect 4:3 not applied")


def test_high_dynamic_range_is_told():
    def setup(stream):
        stream.codec_context.color_trc = 16

    assert "high dynamic range" in facts(clip(2, pixel_format="yuv420p10le", setup=setup))[0]["notes"]


@pytest.mark.parametrize("container", ["mp4", "avi", "mpegts"])
def test_a_glance_sees_what_an_inspection_sees(container, monkeypatch):
    data = clip(100, container=container, rotation=90 if container == "mp4" else 0)
    expected = video.inspect(data, PARTS)
    decoded = []
    frames = decoding.frames
    monkeypatch.setattr(decoding, "frames", lambda *args, **keys: decoded.append(args[2]) or frames(*args, **keys))
    assert video.glance(data, PARTS) == expected
    assert decoded == [[0]]
    assert video.glance(data[:300], PARTS) == video.inspect(data[:300], PARTS)
    assert video.glance(b"", PARTS) == "empty file"


def test_frames_of_several_sizes():
    joined = clip(20, container="mpegts") + clip(20, container="mpegts", size=(160, 96))
    found = facts(joined)
    assert [fact["frame"] for fact in found] == [0, 10, 20, 29, 39]
    assert [(fact["width"], fact["height"]) for fact in found] == [(WIDTH, HEIGHT)] * 2 + [(160, 96)] * 3
    assert [fact["notes"] for fact in found] == ["", "", *["size changes"] * 3]


def test_metadata_in_another_encoding():
    data = clip(5)
    assert data.count(b"VideoHandler") == 1
    latin = data.replace(b"VideoHandler", "Filmé à Besà".encode("latin-1"))
    assert facts(latin) == facts(data)
    assert video.measure(latin)["frames"] == 5


# --- what is refused, and why


def test_files_that_are_no_clips(tmp_path):
    png = io.BytesIO()
    Image.fromarray(picture(3)).save(png, "PNG")
    playlist = f"#EXTM3U\n#EXTINF:9,\nfile://{tmp_path}/a.mp4\n".encode()
    (tmp_path / "a.mp4").write_bytes(clip(3))
    assert reason(b"") == "empty file"
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert reason(empty) == "empty file"
    concat = f"ffconcat version 1.0\nfile {tmp_path}/a.mp4\n".encode()
    for data in (b"\0" * 5000, b"some text\n" * 500, png.getvalue(), playlist, concat, bytes(range(256)) * 50):
        assert reason(data).startswith("not a video of a known format (")
        path = tmp_path / "x.txt"
        path.write_bytes(data)
        assert reason(path).startswith("not a video of a known format (")


def sound(container: str, codec: str, *, cover: bool = False) -> bytes:
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as file:
        audio = file.add_stream(codec, rate=16000, layout="mono")
        assert isinstance(audio, av.AudioStream)
        if cover:
            picture_stream = file.add_stream("mjpeg", rate=1)
            picture_stream.width, picture_stream.height, picture_stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
            picture_stream.disposition = Disposition.attached_pic
            file.mux(picture_stream.encode(av.VideoFrame.from_ndarray(picture(1), format="rgb24")))
            file.mux(picture_stream.encode())
        wave = (np.sin(np.arange(16000) / 10) * 9000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate = 16000
        resampler = av.AudioResampler(format=audio.format.name, layout="mono", rate=16000)
        for part in resampler.resample(frame):
            file.mux(audio.encode(part))
        file.mux(audio.encode())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("container", "codec"),
    [("wav", "pcm_s16le"), ("mp4", "aac"), ("flac", "flac"), ("matroska", "aac"), ("ogg", "libopus")],
)
def test_sound_alone(container, codec):
    assert reason(sound(container, codec)) == "no video stream (audio only)"


def test_a_cover_is_no_clip():
    data = sound("mp3", "libmp3lame", cover=True)
    with av.open(io.BytesIO(data), "r") as file:
        assert len(file.streams.video) == 1
    assert reason(data) == "no video stream (audio only)"


def boxes(data: bytes) -> dict[bytes, tuple[int, int]]:
    """Return where each outermost box of an MP4 begins and ends."""
    found, at = {}, 0
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        found[data[at + 4 : at + 8]] = at, at + length
        at += length
    return found


def test_an_index_that_is_missing():
    data = clip(50)
    start, _ = boxes(data)[b"moov"]
    for cut in (data[:start], data[: start // 2], data[: start + 40]):
        told = reason(cut)
        assert told.startswith("cannot be decoded")
        assert "\n" not in told
    assert reason(data[:start]) == "cannot be decoded: its index (moov) is missing; the file was cut off"


def test_a_clip_without_frames():
    def nothing(container):
        stream = io.BytesIO()
        with av.open(stream, "w", format=container) as file:
            out = file.add_stream("libx264", rate=25)
            out.width, out.height, out.pix_fmt = 64, 64, "yuv420p"
            file.start_encoding()
        return stream.getvalue()

    assert reason(nothing("mp4")) == "no video stream"  # libav leaves out a stream without a frame
    assert reason(nothing("matroska")) == "no frames"
    assert reason(nothing("avi")) == "no frames"


def test_a_truncated_clip_is_refused_with_what_is_left():
    front = clip(50, mux={"movflags": "faststart"}, options={"g": "1"})
    start, end = boxes(front)[b"mdat"]
    cut = front[: start + (end - start) // 4]
    found = reason(cut)
    left, whole = found.removeprefix("truncated: ").removesuffix(" frames").split(" of ")
    assert int(whole) == 50
    assert 5 < int(left) < 20


@pytest.mark.parametrize("container", ["matroska", "avi", "flv"])
def test_other_containers_that_were_cut_off(container):
    data = clip(100, container=container, options={"g": "1"}, sound=container != "avi")
    assert facts(data)
    found = reason(data[: len(data) // 3])
    assert re.fullmatch(r"truncated: \d\.\d of \d\.\d s", found)


def test_sound_that_ends_late_cuts_nothing_off():
    assert facts(clip(5, sound=True, container="matroska"))[-1]["frame"] == 4


def test_frames_that_cannot_be_decoded():
    data = bytearray(clip(50, options={"g": "250", "bf": "0"}))
    start, end = boxes(bytes(data))[b"mdat"]
    data[start + 8 : end] = bytes(end - start - 8)
    assert reason(bytes(data)).startswith("cannot be decoded: ")


def test_damage_in_the_middle():
    data = bytearray(clip(50, size=(160, 96), options={"g": "250", "bf": "0"}))
    start, end = boxes(bytes(data))[b"mdat"]
    data[(start + end) // 2 : end - 200] = bytes(end - 200 - (start + end) // 2)
    assert re.fullmatch(r"cannot be decoded: frame \d+ of 50", reason(bytes(data)))


def test_too_many_pixels(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    assert reason(clip(3)) == "too many pixels"


def test_any_damage_is_a_reason_and_not_an_error():
    data = clip(24)
    generator = np.random.default_rng(11)
    for _ in range(150):
        broken = bytearray(data)
        for at in generator.integers(0, len(data), 12):
            broken[at] = generator.integers(256)
        found = video.inspect(bytes(broken[: generator.integers(20, len(data))]), PARTS)
        assert isinstance(found, str) or (len(found) == 5 and all(int(fact[5]) > 0 for fact in found))
        assert not isinstance(found, str) or (found and "\n" not in found)


def test_libav_keeps_silent(capfd):
    data = clip(50)
    with video.quiet():
        thread = threading.Thread(target=video.inspect, args=(data[:1000], PARTS))
        thread.start()
        thread.join()
        video.inspect(data[: len(data) // 2], PARTS)
        video.inspect(b"nothing", PARTS)
    assert capfd.readouterr() == ("", "")


def test_facts_fit_the_table():
    kinds = {"str": str, "int": int, "float": float}
    for fact in video.inspect(clip(20), PARTS):
        assert [type(value) for value in fact] == [kinds[kind] for kind in list(video.MEDIA.columns.values())[1:]]
