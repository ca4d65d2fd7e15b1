"""Recordings of all kinds: what is decoded of them, and what a file that is odd or broken gives."""

import io
import math
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal

from deepfake.config.images import Parts
from deepfake.errors import InputError
from deepfake.modalities import audio
from deepfake.modalities.audio import decoding, windows
from deepfake.modalities.base import File, Medium
from recordings import RATE, encoded, speechlike, wav

PARTS = Parts(frames=8, window=4)
COLUMNS = list(audio.MEDIA.columns)[1:]


def facts(medium: Medium) -> list[dict[str, float | str]]:
    """Return the facts of each window of a file that must be accepted, by column."""
    found = audio.inspect(medium, PARTS)
    assert isinstance(found, list), found
    return [dict(zip(COLUMNS, each, strict=True)) for each in found]


def reason(medium: Medium) -> str:
    """Return why a file that must be refused is."""
    found = audio.inspect(medium, PARTS)
    assert isinstance(found, str)
    return found


def samples(medium: Medium) -> np.ndarray:
    """Return all that is decoded of a file."""
    with decoding.opened(medium) as track:
        return np.concatenate(list(track.samples()))


def similarity(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the correlation of two recordings at the best shift of up to 200 ms."""
    length = min(len(found), len(expected))
    a, b = found[:length] - found[:length].mean(), expected[:length] - expected[:length].mean()
    across = scipy.signal.correlate(a.astype(float), b.astype(float), method="fft")
    middle = length - 1
    return float(across[middle - 3200 : middle + 3201].max() / math.sqrt((a.astype(float) ** 2).sum() * (b**2.0).sum()))


def test_a_wav_at_16_khz_is_taken_bit_for_bit() -> None:
    sound = speechlike(3.3)
    assert np.array_equal(samples(wav(sound)), sound)


LOSSLESS = [
    ("wav", "pcm_s24le", {}),
    ("wav", "pcm_s32le", {}),
    ("wav", "pcm_f32le", {}),
    ("wav", "pcm_f64le", {}),
    ("w64", "pcm_s16le", {}),
    ("flac", "flac", {}),
    ("flac", "flac", {"kept_as": "s32"}),
    ("ogg", "flac", {}),
    ("ipod", "alac", {}),
    ("aiff", "pcm_s16be", {}),
    ("caf", "pcm_s16le", {}),
    ("au", "pcm_s16be", {}),
]


@pytest.mark.parametrize(("container", "codec", "how"), LOSSLESS)
def test_formats_without_loss_give_back_what_was_written(container: str, codec: str, how: dict[str, Any]) -> None:
    sound = speechlike(2)
    assert np.array_equal(samples(encoded(sound, container, codec, **how)), sound)


LOSSY = [
    ("wav", "pcm_u8", 16_000, "wav", "pcm_u8"),
    ("wav", "pcm_mulaw", 8_000, "wav", "pcm_mulaw"),
    ("wav", "adpcm_ima_wav", 16_000, "wav", "adpcm_ima_wav"),
    ("mp3", "libmp3lame", 44_100, "mp3", "mp3"),
    ("ipod", "aac", 44_100, "mov", "aac"),
    ("adts", "aac", 44_100, "aac", "aac"),
    ("ogg", "libopus", 48_000, "ogg", "opus"),
    ("matroska", "libopus", 48_000, "matroska", "opus"),
    ("asf", "wmav2", 44_100, "asf", "wmav2"),
]


@pytest.mark.parametrize(("container", "codec", "rate", "format_", "decoder"), LOSSY)
def test_lossy_formats_give_back_the_same_sound(
    container: str, codec: str, rate: int, format_: str, decoder: str
) -> None:
    # a band that all of them keep
    low = scipy.signal.firwin(401, 2_000, fs=rate)
    sound = np.rint(scipy.signal.lfilter(low, 1, speechlike(3, rate))).astype(np.int16)
    data = encoded(sound, container, codec, rate, kilobits=None if codec.startswith(("pcm", "adpcm")) else 96)
    (row,) = facts(data)
    assert (row["format"], row["codec"], row["rate"], row["channels"]) == (format_, decoder, rate, 1)
    assert row["duration"] == pytest.approx(3, abs=0.15)
    expected = scipy.signal.resample_poly(sound.astype(float), RATE, rate)
    assert similarity(samples(data), expected) > 0.95


@pytest.mark.parametrize(
    ("suffix", "container", "codec", "rate"),
    [
        (".ulaw", "mulaw", "pcm_mulaw", 8_000),
        (".alaw", "alaw", "pcm_alaw", 8_000),
        (".g722", "g722", "g722", 16_000),
        (".sln", "s16le", "pcm_s16le", 8_000),
        (".sln16", "s16le", "pcm_s16le", 16_000),
    ],
)
def test_formats_without_a_header_are_known_by_their_names(
    tmp_path: Path, suffix: str, container: str, codec: str, rate: int
) -> None:
    low = scipy.signal.firwin(401, 2_000, fs=rate)
    sound = np.rint(scipy.signal.lfilter(low, 1, speechlike(2, rate))).astype(np.int16)
    path = tmp_path / f"hello{suffix}"
    path.write_bytes(encoded(sound, container, codec, rate))
    (row,) = facts(path)
    assert (row["rate"], row["codec"]) == (rate, codec)
    assert similarity(samples(path), scipy.signal.resample_poly(sound.astype(float), RATE, rate)) > 0.97
    assert "by the name of the file" in reason(path.read_bytes())


def test_a_gsm_file_as_telephone_exchanges_have_it_is_sound(tmp_path: Path) -> None:
    # 33 bytes for 160 samples, of which the first nibble is 0xD; there is no encoder here
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (250, 33), np.uint8)
    frames[:, 0] = 0xD0 | frames[:, 0] & 0x0F
    path = tmp_path / "prompt.gsm"
    path.write_bytes(frames.tobytes())
    (first, *_) = facts(path)
    assert (first["codec"], first["rate"], first["length"]) == ("gsm", 8_000, 250 * 160 * 2)


def test_a_wav_with_the_name_of_a_format_without_header_is_a_wav(tmp_path: Path) -> None:
    path = tmp_path / "hello.ulaw"
    path.write_bytes(wav(speechlike(1)))
    assert facts(path)[0]["codec"] == "pcm_s16le"


def test_the_sound_of_a_video_is_taken() -> None:
    (row,) = facts(encoded(speechlike(3), "mp4", "aac", video=True))
    assert (row["format"], row["codec"]) == ("mov", "aac")


@pytest.mark.parametrize(("rate", "tones"), [(8_000, (440, 3_000)), (44_100, (440, 6_000)), (192_000, (5_000,))])
def test_a_tone_has_its_frequency_and_level_at_any_rate(rate: int, tones: tuple[int, ...]) -> None:
    time = np.arange(2 * rate) / rate
    sound = 6_000 * np.sin(2 * np.pi * np.outer(tones, time)).sum(axis=0)
    found = samples(wav(np.rint(sound).astype(np.int16), rate))
    assert len(found) == 2 * RATE
    angles = 2 * np.pi * np.outer(tones, np.arange(2 * RATE) / RATE)
    waves = np.concatenate([np.sin(angles), np.cos(angles)])[:, 500:-500].T  # a resampler has no neighbours at the ends
    weights, *_ = np.linalg.lstsq(waves, found[500:-500].astype(float))
    assert np.hypot(*weights.reshape(2, -1)) == pytest.approx(6_000, rel=0.005)
    assert np.abs(found[500:-500] - waves @ weights).max() < 40


def test_nothing_above_8_khz_comes_back_as_something_below() -> None:
    time = np.arange(2 * 48_000) / 48_000
    found = samples(wav(np.rint(20_000 * np.sin(2 * np.pi * 11_000 * time)).astype(np.int16), 48_000))
    assert np.abs(found[500:-500]).max() < 20


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_are_averaged(channels: int) -> None:
    sound = np.stack([speechlike(1, seed=seed) for seed in range(channels)], axis=1)
    data = wav(sound)
    assert facts(data)[0]["notes"] == f"mean of {channels} channels"
    assert np.abs(samples(data) - sound.mean(axis=1)).max() <= 0.51


def test_floats_beyond_full_scale_are_clipped_and_noted() -> None:
    data = bytearray(encoded(speechlike(2), "wav", "pcm_f32le"))
    data[-4000:] = np.full(1000, 3, "<f4").tobytes()
    assert facts(bytes(data))[0]["notes"] == "32 bits, rounded to 16; samples beyond full scale clipped"
    assert (samples(bytes(data))[-1000:] == 32767).all()
    data[-4:] = np.array([np.nan], "<f4").tobytes()
    assert "not numbers" in reason(bytes(data))


# --- windows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (1, [0]),  # repeated until it is full
        (9, [0]),
        (10, [0]),
        (14, [0]),  # 4 left: less than half
        (15, [0, 5]),  # 5 left: moved back
        (19, [0, 9]),
        (20, [0, 10]),
        (24, [0, 10]),
        (25, [0, 10, 15]),
        (30, [0, 10, 20]),
    ],
)
def test_windows_follow_the_rule(length: int, expected: list[int]) -> None:
    assert windows.starts(length, 10) == expected


def test_each_window_is_a_row_and_shows_its_part() -> None:
    sound = speechlike(11)
    rows = facts(wav(sound))
    assert [row["start"] for row in rows] == [0, 64_000, 176_000 - 64_000]
    assert {row["length"] for row in rows} == {176_000}
    assert {row["duration"] for row in rows} == {11.0}
    file = File(wav(sound), [(row["start"], row["length"]) for row in rows])
    (found,) = windows.decode(64_000, [file], threads=1)
    assert found.dtype == np.int16
    for window, row in zip(found, rows, strict=True):
        assert np.array_equal(window, sound[int(row["start"]) :][:64_000])


def test_a_short_recording_is_repeated() -> None:
    sound = speechlike(1.5)
    (found,) = windows.decode(64_000, [File(wav(sound), [(0, 24_000)])], threads=1)
    assert np.array_equal(found[0], np.tile(sound, 3)[:64_000])


@pytest.mark.parametrize(("container", "codec", "rate"), [("mp3", "libmp3lame", 44_100), ("ogg", "libopus", 48_000)])
def test_windows_are_those_of_the_whole_recording(container: str, codec: str, rate: int) -> None:
    data = encoded(speechlike(9.5, rate), container, codec, rate)
    rows = [(int(row["start"]), int(row["length"])) for row in facts(data)]
    whole = samples(data)
    assert {length for _, length in rows} == {len(whole)}
    (found,) = windows.decode(64_000, [File(data, rows)], threads=1)
    assert np.array_equal(found, np.stack([whole[start : start + 64_000] for start, _ in rows]))


@pytest.mark.parametrize("starts", [[9 * RATE], [0, 12 * RATE], [3 * RATE, 3 * RATE + 50, 14 * RATE]])
def test_what_lies_between_windows_is_passed_over(starts: list[int]) -> None:
    sound = speechlike(20)
    (found,) = windows.decode(RATE, [File(wav(sound), [(start, len(sound)) for start in starts])], threads=1)
    assert np.array_equal(found, np.stack([sound[start : start + RATE] for start in starts]))


def test_threads_keep_the_order_and_change_nothing() -> None:
    files = []
    for number, seconds in enumerate((0.5, 30, 1, 4, 300, 2, 9, 0.2)):
        sound = speechlike(seconds, seed=number)
        starts = windows.starts(len(sound), 16_000)
        files.append(File(wav(sound), [(start, len(sound)) for start in starts]))
    alone, several = (np.concatenate(list(windows.decode(16_000, iter(files), threads=threads))) for threads in (1, 3))
    assert len(alone) == sum(len(file.rows) for file in files)
    assert np.array_equal(alone, several)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_file_that_became_shorter_is_an_error_in_one_line(threads: int, tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    path.write_bytes(wav(speechlike(1)))
    files = [File(path, [(0, 64_000)])] * 5
    with pytest.raises(InputError, match=r"short.wav: 16000 samples of sound, 64000 expected; ingest") as raised:
        list(windows.decode(64_000, files, threads=threads))
    assert "\n" not in str(raised.value)


def test_a_reader_may_stop_early() -> None:
    sound = speechlike(300)
    file = File(wav(sound), [(start, len(sound)) for start in windows.starts(len(sound), 8_000)])
    found = windows.decode(8_000, [file] * 20, threads=2)
    next(found)
    found.close()  # pyright: ignore[reportAttributeAccessIssue]


# --- bad input ---------------------------------------------------------------------------------------------------


def lying(seconds: float, claimed: int) -> bytes:
    """Return a WAV file whose header claims some bytes of sound."""
    data = bytearray(wav(speechlike(seconds)))
    data[40:44] = claimed.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"a note about sound " * 300, "not sound of a known format"),
        (bytes(10_000), "not sound of a known format"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(3_000), "not sound of a known format"),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", "not sound of a known format"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not sound of a known format"),
        (wav(speechlike(1))[:30], "not sound of a known format"),
        (wav(speechlike(1))[:44], "zero length"),
        (wav(np.empty(0, np.int16)), "zero length"),
        (wav(speechlike(1)[:1]), "shorter than 0.1 s"),
        (wav(np.zeros(RATE, np.int16)), "silence only"),
        (wav(np.tile(np.array([1, -1, 0], np.int16), RATE)), "silence only"),
        (lying(2, 1_000), "shorter than 0.1 s"),
        (encoded(speechlike(2), "ipod", "aac")[:9_000], "moov"),
    ],
    ids=str,
)
def test_what_is_refused_has_a_reason(data: bytes, words: str) -> None:
    found = reason(data)
    assert words in found
    assert "\n" not in found


def test_a_video_without_sound_is_refused() -> None:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as written:
        stream = written.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32  # pyright: ignore[reportAttributeAccessIssue]
        for _ in range(5):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            written.mux(stream.encode(picture))  # pyright: ignore
        written.mux(stream.encode(None))  # pyright: ignore
    assert reason(file.getvalue()) == "no sound in it"


@pytest.mark.parametrize(
    ("data", "seconds", "note"),
    [
        (lying(2, 64_000), 2, ""),
        (lying(2, 10**9), 2, "shorter than its header says"),
        (wav(speechlike(2))[:32_044], 1, "shorter than its header says"),
        (lying(2, 32_000), 1, "longer than its header says, the rest left out"),
        (lying(2, 0), 2, "no length in its header"),
        (lying(2, 0xFFFFFFFF), 2, "no length in its header"),
        (wav(speechlike(2)) + b"LIST\x04\0\0\0INFO", 2, ""),
    ],
)
def test_a_wav_whose_header_lies_is_taken_as_far_as_it_goes(data: bytes, seconds: float, note: str) -> None:
    (row,) = facts(data)
    assert row["notes"] == note
    assert row["duration"] == pytest.approx(seconds, abs=0.001)
    assert np.array_equal(samples(data), speechlike(2)[: int(row["length"])])


def test_truncated_and_damaged_files_are_taken_as_far_as_they_go() -> None:
    flac = encoded(speechlike(5), "flac", "flac")
    (row,) = facts(flac[: len(flac) // 2])
    assert "shorter than its header says" in str(row["notes"])
    assert 1.5 < float(row["duration"]) < 2.6
    mp3 = bytearray(encoded(speechlike(10), "mp3", "libmp3lame", kilobits=32))
    mp3[10_000:10_400] = np.random.default_rng(0).integers(0, 255, 400, np.uint8).tobytes()
    assert facts(bytes(mp3))[0]["notes"] == "damaged packets left out"


def test_rates_and_bits_that_are_odd_are_noted() -> None:
    stereo = np.stack([speechlike(1, 192_000)] * 2, axis=1)
    assert facts(wav(stereo, 192_000))[0]["notes"] == "mean of 2 channels; sampled at 192000 Hz"
    assert facts(wav(speechlike(1, 8_000), 8_000))[0]["notes"] == "sampled at 8000 Hz, below 16000"
    assert facts(encoded(speechlike(1), "wav", "pcm_s24le"))[0]["notes"] == "24 bits, rounded to 16"


def long_wav(path: Path, hours: float) -> Path:
    """Write a WAV of many hours of 4 kHz, quickly."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(4_000)
        minute = np.random.default_rng(0).integers(0, 255, 240_000, np.uint8).tobytes()
        for _ in range(round(hours * 60)):
            file.writeframes(minute)
    return path


def test_a_recording_of_more_than_six_hours_is_refused(tmp_path: Path) -> None:
    assert reason(long_wav(tmp_path / "day.wav", 6.1)) == "longer than 6 hours; cut it into parts"


def test_params_may_say_otherwise_how_long_a_recording_is() -> None:
    parts = PARTS.model_copy(update={"shortest": 2.0, "longest": 3 / 3600})
    found = [audio.inspect(wav(speechlike(seconds)), parts) for seconds in (1, 4)]
    assert found == ["shorter than 2 s", "longer than 0.000833333 hours; cut it into parts"]
    assert len(audio.inspect(wav(speechlike(2.5)), parts)) == 1


_AN_HOUR = """
import resource, sys
from pathlib import Path
from deepfake.config.images import Parts
from deepfake.modalities import audio
from deepfake.modalities.audio import features, inspection, windows
from deepfake.modalities.base import File

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def rows(path):
    return [fact[:2] for fact in audio.inspect(path, Parts(frames=1, window=4))]

def decoded(path, threads):
    return sum(len(each) for each in windows.decode(64_000, [File(path, known[path])] * threads, threads=threads))

hour, short = map(Path, sys.argv[1:])
known = {short: rows(short)}
decoded(short, 1), audio.measure(short)
print(peak(), end=" ")
known[hour] = rows(hour)
print(len(known[hour]), peak(), audio.measure(hour)["duration"], peak(), end=" ")
print(decoded(hour, 1), peak(), decoded(hour, 2), peak())
"""


@pytest.mark.slow
def test_an_hour_is_read_in_little_memory(tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    short.write_bytes(wav(speechlike(5)))
    command = [sys.executable, "-c", _AN_HOUR, str(long_wav(tmp_path / "talk.wav", 1)), str(short)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, count, inspected, seconds, measured, one, decoded, two, side_by_side = map(float, done.stdout.split())
    assert (count, seconds, one, two) == (900, 3_600, 900, 1_800)
    # in MB; the whole recording would be 115, as floats twice as much
    assert inspected - before < 20
    assert measured - before < 40
    assert decoded - before < 50
    assert side_by_side - before < 100
