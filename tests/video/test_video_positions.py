import io
from fractions import Fraction

import av
import numpy as np
import pytest

from deepfake.config.images import Parts
from deepfake.modalities import video
from deepfake.modalities.video import decoding
from deepfake.modalities.video.containers import opened
from deepfake.modalities.video.positions import spread, timeline
from numbered_clips import clip, number

LONG = [{"bf": "3", "g": "250"}, {"bf": "16", "b-pyramid": "normal", "g": "48"}, {"bf": "0", "g": "1"}]


def shown(data: bytes, wanted: int) -> tuple[list[int], list[int]]:
    """Return the numbers of the frames that are taken, and those that their pixels show."""
    with opened(data) as opening:
        line = timeline(data, opening)
    taken = spread(line.length, wanted)
    return taken, [number(frame.image()) for frame in decoding.frames(data, line, taken)]


def test_frames_are_spread_from_the_first_to_the_last():
    assert spread(300, 16) == [round(place * 299 / 15) for place in range(16)]
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(8, 8) == spread(8, 100) == list(range(8))
    assert spread(1, 8) == [0]
    assert spread(0, 8) == []
    assert spread(5, 1) == [2]
    assert spread(2, 2) == [0, 1]


@pytest.mark.parametrize("count", [2, 3, 7, 50, 299, 1001])
@pytest.mark.parametrize("wanted", [2, 3, 8, 16, 32])
def test_steps_differ_by_one_frame_at_most(count, wanted):
    steps = np.diff(spread(count, wanted))
    assert steps.min() >= 1
    assert steps.max() - steps.min() <= 1
    assert abs(steps.sum() - (count - 1)) == 0


@pytest.mark.parametrize("options", LONG, ids=["one GOP", "pyramid", "keyframes alone"])
@pytest.mark.parametrize("container", ["mp4", "mov", "matroska", "avi", "mpegts", "flv"])
def test_the_very_frames_come_out(container, options):
    data = clip(120, container=container, options=options)
    for wanted in (1, 2, 5, 16, 120):
        taken, seen = shown(data, wanted)
        assert seen == taken
        assert len(taken) == wanted
    assert taken == list(range(120))


@pytest.mark.parametrize(
    ("container", "codec", "pixel_format"),
    [
        ("webm", "libvpx-vp9", "yuv420p"),
        ("mp4", "libx265", "yuv420p10le"),
        ("matroska", "libx265", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("avi", "mjpeg", "yuvj420p"),
        ("mp4", "mpeg4", "yuv420p"),
        ("mov", "prores_ks", "yuv422p10le"),
        ("mpeg", "mpeg2video", "yuv420p"),
        ("asf", "wmv2", "yuv420p"),
        ("gif", "gif", "rgb8"),
        ("ivf", "libvpx", "yuv420p"),
    ],
)
def test_whatever_the_codec(container, codec, pixel_format):
    options = {"bf": "2"} if codec in ("mpeg4", "mpeg2video") and container != "mpeg" else {}
    if codec == "libx265":
        options = {"x265-params": "keyint=24:bframes=4:log-level=none"}
    data = clip(60, container=container, codec=codec, pixel_format=pixel_format, options=options, size=(160, 80))
    taken, seen = shown(data, 7)
    assert taken == [0, 10, 20, 30, 39, 49, 59]
    assert seen == taken


def test_variable_frame_rates_are_counted_in_frames():
    steps = np.random.default_rng(7).integers(5, 400, 79)
    times = [0, *np.cumsum(steps).tolist()]
    for container in ("mp4", "matroska"):
        data = clip(80, container=container, milliseconds=times)
        taken, seen = shown(data, 9)
        assert seen == taken == spread(80, 9)
        facts = video.inspect(data, Parts(frames=9, window=4))
        assert [fact[0] for fact in facts] == taken
        assert [fact[1] for fact in facts] == pytest.approx([times[place] / 1000 for place in taken], abs=1e-3)
        assert all("variable frame rate" in str(fact[-1]) for fact in facts)


def test_a_steady_rate_is_not_called_variable():
    for container, rate in (("mp4", 30), ("matroska", 30), ("matroska", 24), ("mp4", 1)):
        facts = video.inspect(clip(31, container=container, rate=rate), Parts(frames=3, window=4))
        assert [fact[-1] for fact in facts] == [""] * 3


def remuxed(data: bytes, shift: int, *, container: str = "mp4", first: int = 0) -> bytes:
    """Return a clip whose packets, from one on, are shifted in time; what lies before 0 an edit list cuts off."""
    stream = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as old, av.open(stream, "w", format=container) as new:
        new_stream = new.add_stream_from_template(old.streams.video[0])
        for position, packet in enumerate(old.demux(video=0)):
            if packet.size and position >= first:
                assert packet.pts is not None
                assert packet.dts is not None
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = new_stream
                new.mux(packet)
    return stream.getvalue()


def test_what_an_edit_list_cuts_off_is_no_part_of_the_clip():
    data = clip(60, options={"bf": "2", "g": "250"})
    with opened(data) as opening:
        assert opening.stream.time_base is not None
        tick = int(Fraction(1, 25) / opening.stream.time_base)
    cut = remuxed(data, -20 * tick)
    with av.open(io.BytesIO(cut), "r") as file:
        seen = [number(frame.to_image()) for frame in file.decode(video=0)]
    assert seen[0] >= 15  # libav itself cuts them off
    assert len(seen) < 50
    with opened(cut) as opening:
        line = timeline(cut, opening)
    frames = [number(frame.image()) for frame in decoding.frames(cut, line, range(line.length))]
    assert frames == seen


def test_a_clip_that_begins_in_the_middle_has_no_frames_before_its_first_keyframe():
    data = clip(60, container="mpegts", options={"bf": "2", "g": "20", "sc_threshold": "0"})
    cut = remuxed(data, 0, container="mpegts", first=7)
    with opened(cut) as opening:
        line = timeline(cut, opening)
    assert line.length == 40
    assert [number(frame.image()) for frame in decoding.frames(cut, line, [0, 39])] == [20, 59]


EXACT = {
    "open GOP": {"x264-params": "open-gop=1:keyint=15:bframes=5:b-pyramid=normal:scenecut=0"},
    "intra refresh": {"x264-params": "intra-refresh=1:keyint=20:bframes=2"},
    "HEVC": {"x265-params": "open-gop=1:keyint=15:bframes=5:log-level=none"},
    "hidden frames": {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16"},
    "interlaced": {"x264-params": "interlaced=1:bframes=2:keyint=20"},
}


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("container", ["mp4", "matroska", "fragments"])
def test_the_fast_way_gives_the_same_pixels(kind, container):
    codec = {"HEVC": "libx265", "hidden frames": "libvpx-vp9"}.get(kind, "libx264")
    mux = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if container == "fragments" else None
    name = container.replace("fragments", "mp4")
    data = clip(75, container=name, codec=codec, options=EXACT[kind], size=(160, 96), mux=mux)
    with opened(data) as opening:
        line = timeline(data, opening)
    with av.open(io.BytesIO(data), "r") as file:
        every = [frame.to_ndarray(format="rgb24", interpolation=decoding.EXACT) for frame in file.decode(video=0)]
    assert line.length == len(every) == 75
    for place in range(0, 75, 7):
        (frame,) = decoding.frames(data, line, [place])
        np.testing.assert_array_equal(np.asarray(frame.image()), every[place])


def test_the_fast_way_is_taken_and_decodes_less(monkeypatch):
    data = clip(240, options={"bf": "3", "g": "12", "sc_threshold": "0"})
    with opened(data) as opening:
        line = timeline(data, opening)
    monkeypatch.setattr(decoding, "_all", lambda clip: pytest.fail("decoded from its beginning"))
    kinds = []
    stretches = decoding._stretches

    def counted(*args):
        for key, wanted in stretches(*args):
            kinds.append((key.position if key else 0, [line.times.index(time) for time in wanted]))
            yield key, wanted

    monkeypatch.setattr(decoding, "_stretches", counted)
    wanted = [0, 100, 101, 239]
    assert [number(frame.image()) for frame in decoding.frames(data, line, wanted)] == wanted
    assert kinds == [(0, [0]), (96, [100, 101]), (228, [239])]


def test_where_the_fast_way_errs_the_clip_is_decoded_from_its_beginning(monkeypatch):
    data = clip(60)
    with opened(data) as opening:
        line = timeline(data, opening)
    wanted = [3, 30, 31, 59]
    quickly = decoding._quickly

    def shuffled(*args, **kwargs):
        found = list(quickly(*args, **kwargs))
        yield found[0]
        yield found[2]

    monkeypatch.setattr(decoding, "_quickly", shuffled)
    assert [number(frame.image()) for frame in decoding.frames(data, line, wanted)] == wanted


def test_several_threads_give_the_same_frames():
    data = clip(90, size=(160, 80))
    with opened(data) as opening:
        line = timeline(data, opening)
    one, four = (
        [np.asarray(frame.image()) for frame in decoding.frames(data, line, [0, 44, 89], threads=threads)]
        for threads in (1, 4)
    )
    np.testing.assert_array_equal(one, four)


def test_frames_are_counted_where_times_are_missing(monkeypatch):
    data = clip(40, container="avi")
    with opened(data) as opening:
        line = timeline(data, opening)
    assert (line.length, line.times) == (40, [])
    assert line.duration == pytest.approx(1.6)
    assert line.seconds(20, 0.0) == pytest.approx(0.8)
