"""The generated data sets of speech: what is made of a recording differs from it in nothing but its synthesis."""

import io
import os
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.metrics import roc_auc_score

from conftest import ROOT
from deepfake.config.speech import SpeechCopies, SpokenTexts
from deepfake.synthetic import audio, recordings, spectrograms, spoken_texts

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
COPIES = SpeechCopies.model_validate(PARAMS["sample_audio"])
TEXTS = SpokenTexts.model_validate(PARAMS["sample_speech"])
TABLE = recordings.table


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    def table(dataset: str) -> list[recordings.Recording]:
        # a person's recordings colour what programs read for them, so the second set is thinned by people
        part = "utterance" if dataset == "sample_audio" else "speaker"
        kept = sorted({getattr(row, part) for row in TABLE(dataset)})[2 :: 60 if dataset == "sample_audio" else 6]
        return [row for row in TABLE(dataset) if getattr(row, part) in kept]

    monkeypatch.setattr(recordings, "table", table)


def read(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def heard(data: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:3] == (1, 2, 16_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def test_copies_share_names_length_loudness_and_header_with_their_recording(tmp_path: Path) -> None:
    audio.generate(COPIES, tmp_path / "made")
    files = {source: read(tmp_path / "made" / f"{source}.zip") for source in audio.TITLES}
    rows = recordings.table("sample_audio")
    assert len(rows) > 4
    for row in rows:
        name = f"{row.speaker}/{row.utterance}.wav"
        real = heard(files["recorded"][name])
        assert len(real) == row.length
        for source in audio.COPIES:
            assert files[source][name][:44] == files["recorded"][name][:44]  # header and length
            fake = heard(files[source][name])
            assert np.sqrt(np.mean(fake**2)) == pytest.approx(np.sqrt(np.mean(real**2)), rel=0.01)
            assert abs(fake.mean()) < 1e-4
            assert np.abs(fake).max() < 1
            # it says the same at the same time: the loudness of its 20 ms frames follows that of the recording
            level = [
                np.log(np.mean(x[: len(x) // 320 * 320].reshape(-1, 320) ** 2, axis=1) + 1e-8) for x in (real, fake)
            ]
            assert np.corrcoef(*level)[0, 1] > 0.9, (source, name)
            assert np.max(np.abs(fake - real)) > 0.005, (source, name)
    for source in audio.TITLES:
        assert files[source].keys() == files["recorded"].keys()


def test_the_same_bytes_come_out_on_any_number_of_cores_and_others_of_another_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}
    for name, cores, settings in (
        ("one", 1, COPIES),
        ("five", 5, COPIES),
        ("other", 2, COPIES.model_copy(update={"seed": 1})),
    ):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        audio.generate(settings, tmp_path / name)
        made[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    assert made["one"] == made["five"]
    assert all(made["one"][name] != made["other"][name] for name in made["one"])


def test_what_fails_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine").write_text("kept")

    def fail(*_: object) -> np.ndarray:
        raise OSError("no space left")

    monkeypatch.setitem(audio.COPIES, "codec", fail)
    with pytest.raises(OSError, match="no space left"):
        audio.generate(COPIES, tmp_path / "made")
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "mine"]


def test_the_progress_counts_recordings(tmp_path: Path) -> None:
    told = []

    class Listener:
        def advance(self, what: str, done: int, total: int) -> None:
            told.append((what, done, total))

    spoken_texts.generate(TEXTS, tmp_path / "made", Listener())  # pyright: ignore[reportArgumentType]
    count = len(recordings.table("sample_speech"))
    assert told == [("generating made", done, count) for done in range(1, count + 1)]


def test_silence_is_dithered_and_without_a_constant_part() -> None:
    samples = heard(audio.wav(np.zeros(100_000), np.random.default_rng(0)))
    assert sorted(set(np.round(samples * 32768))) == [-1, 0, 1]
    assert abs(samples.mean()) * 32768 < 0.01
    # triangular noise, rounded: the errors' variance is a quarter of a step squared (Lipshitz et al. 1992), here at 0
    assert np.var(samples * 32768) == pytest.approx(0.25, abs=0.01)


def test_both_classes_of_the_second_set_get_margins_noise_and_loudness_drawn_alike(tmp_path: Path) -> None:
    spoken_texts.generate(TEXTS, tmp_path)
    for source in spoken_texts.TITLES:
        for data in read(tmp_path / f"{source}.zip").values():
            samples = heard(data)
            assert np.sqrt(np.mean(samples**2)) == pytest.approx(10 ** (-27 / 20), rel=0.005)
            least = round(TEXTS.margin.min * 16_000)
            for margin in (samples[: least - 20], samples[-least + 20 :]):
                below = 10 * np.log10(np.mean(samples**2) / np.mean(margin**2))
                assert TEXTS.noise.min - 4 < below < TEXTS.noise.max + 1


def test_what_programs_read_has_the_long_term_spectrum_of_the_person_in_its_group(tmp_path: Path) -> None:
    spoken_texts.generate(TEXTS, tmp_path)
    octaves = {}
    for source in spoken_texts.TITLES:
        for name, data in read(tmp_path / f"{source}.zip").items():
            power = np.abs(np.fft.rfft(heard(data), 131_072)) ** 2
            bands = [power[2**k : 2 ** (k + 1)].sum() for k in range(10, 16)]  # from 125 Hz to 8 kHz
            octaves.setdefault((name.split("/")[0], source), []).append(10 * np.log10(bands / np.sum(bands)))
    people = sorted({speaker for speaker, _ in octaves})
    # below that the noise is louder than the speech
    means = {key: np.maximum(np.mean(rows, axis=0), -25) for key, rows in octaves.items()}
    assert np.max(np.abs(means[people[0], "recorded"] - means[people[1], "recorded"])) > 4
    for speaker in people:
        for fake in ("espeak", "flite"):
            np.testing.assert_allclose(means[speaker, fake], means[speaker, "recorded"], atol=5)


def test_neither_peaks_nor_zero_crossings_tell_the_programs_of_the_second_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "table", TABLE)
    spoken_texts.generate(TEXTS, tmp_path)
    files = {source: [heard(d) for d in read(tmp_path / f"{source}.zip").values()] for source in spoken_texts.TITLES}
    for fake in ("espeak", "flite"):
        both = files["recorded"] + files[fake]
        labels = [0] * len(files["recorded"]) + [1] * len(files[fake])
        peaks = [np.abs(x).max() for x in both]
        crossings = [np.mean(np.diff(np.signbit(x))) for x in both]
        assert 0.33 < roc_auc_score(labels, peaks) < 0.67
        assert 0.33 < roc_auc_score(labels, crossings) < 0.67
        assert max(peaks) < 1.1 * TEXTS.crest * 10 ** (-27 / 20)


def test_speech_is_cut_at_its_first_and_last_sound() -> None:
    tone = 0.2 * np.sin(np.arange(8000))
    hum = 0.2 * 10 ** (-30 / 20) * np.sin(np.arange(4800))
    spoken = spoken_texts.cut(np.concatenate([hum, tone, hum]))
    assert len(spoken) == 8000
    np.testing.assert_allclose(spoken[160:-160], tone[160:-160])
    assert spoken[0] == 0 and spoken[-1] == 0


def test_a_sheet_shows_speakers_who_lie_evenly_among_all(tmp_path: Path) -> None:
    members = {f"{speaker}/{speaker}_{number}.wav" for speaker in "abcdefghi" for number in (2, 1)}
    assert spectrograms.spread(members) == [f"{speaker}/{speaker}_1.wav" for speaker in "acegi"]
    assert spectrograms.spread({member for member in members if member < "c"}) == ["a/a_1.wav", "b/b_1.wav"]
    spoken_texts.generate(TEXTS, tmp_path)
    spectrograms.draw(tmp_path, spoken_texts.TITLES, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 300


def test_a_spectrogram_shows_a_tone_in_the_band_that_has_it() -> None:
    tone = audio.wav(0.1 * np.sin(2 * np.pi * 1000 * np.arange(24_000) / 16_000), np.random.default_rng(0))
    shown = spectrograms.spectrogram(tone)
    mel = 2595 * np.log10(1 + 1000 / 700) / (2595 * np.log10(1 + 8000 / 700)) * (spectrograms.MELS + 1) - 1
    assert abs(np.argmax(shown[:, 60]) - mel) < 1
    assert shown.max() == 0
