"""The speech that the package carries: every file has a speaker, a package and a licence, and can be decoded."""

import csv
import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from deepfake.errors import InputError
from deepfake.synthetic import recordings

DATASETS = ("sample_audio", "sample_speech")
ALL = [row for dataset in DATASETS for row in recordings.table(dataset)]
CREDITS = (recordings.FOLDER / "LICENCES.md").read_text("utf-8")


def test_every_file_has_a_speaker_a_package_and_a_licence_and_no_row_is_without_a_file() -> None:
    for row in ALL:
        assert all(row), row
        assert row.licence != "MIT" or row.source != "recorded"
        assert row.licence in {"GPL-2", "GPL-2+", "BSD-2-clause", "BSD-like", "MIT"} or row.licence.startswith("CC-BY-")
    for dataset in DATASETS:
        with zipfile.ZipFile(recordings.FOLDER / f"{dataset}.zip") as archive:
            assert archive.testzip() is None
            assert sorted(row.member for row in ALL if row.dataset == dataset) == archive.namelist()
    with (recordings.FOLDER / "recordings.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == len(ALL) + 1


def test_every_package_and_every_named_speaker_is_credited_and_its_licence_is_there_in_full() -> None:
    rows = {}
    for line in CREDITS.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and not set(cells[0]) <= {"-"}:
            names = cells[0].split(", ")
            # "-es-g722" stands for the same package in another language
            rows.update({n if n[0] != "-" else names[0].replace("-en-g722", n): cells for n in names})
            if cells[0] != "package":
                assert (recordings.FOLDER / "licences" / cells[4].strip("`")).stat().st_size > 500
    for row in ALL:
        package = row.package.split(" ")[0]
        if package in ("espeak-ng", "flite"):
            texts = {
                "GPL-2": r"a text of (tuxpaint-stamps-default|fillets-ng-data): ",
                "GPL-2+": r"letters of klettres-data: ",
                "MIT": r"a text of this project: ",
            }
            assert re.match(texts[row.licence], row.made_from), row
            continue
        assert package in rows, package
        by, licence = rows[package][2], rows[package][3].replace(" ", "-")
        if row.spoken_by != "not named" and "fish" not in row.spoken_by and "LibriVox" not in row.spoken_by:
            assert all(name in by for name in re.split(r" or | and | \(|provided by ", row.spoken_by.rstrip(")")))
        assert licence.startswith(row.licence.split("-2-clause")[0].replace("-IT", "")), (row.package, licence)
    assert "GNU GENERAL PUBLIC LICENSE" in (recordings.FOLDER / "licences" / "GPL-2.txt").read_text("utf-8")
    assert "MIT licence of this project's code does not cover them" in CREDITS


def test_there_are_many_speakers_and_all_fits_into_five_megabytes() -> None:
    counts = Counter(row.speaker for row in ALL if row.dataset == "sample_audio")
    assert len(counts) >= 40 and min(counts.values()) >= 4 and max(counts.values()) <= 10
    assert sum(path.stat().st_size for path in recordings.FOLDER.rglob("*") if path.is_file()) < 5_000_000


def test_people_of_the_second_set_are_speakers_of_the_first_and_say_something_else() -> None:
    first = [row for row in ALL if row.dataset == "sample_audio"]
    second = [row for row in ALL if row.dataset == "sample_speech" and row.source == "recorded"]
    assert {row.speaker for row in second} <= {row.speaker for row in first}
    files = {(row.package, file) for row in first for file in row.made_from.split("; ")}
    new = [(row.package, file) for row in second for file in row.made_from.split("; ")]
    assert not set(new) & files and len(set(new)) == len(new)
    said = {row.utterance: row for row in second}
    for row in ALL:
        if row.source in ("espeak", "flite"):
            assert row.speaker in {person.speaker for person in second}
            # up to 30 it says what the person says, whose package gives the words; from 31 on a text of ours
            assert (row.utterance in said) == (row.licence != "MIT")
            if row.utterance in said:
                assert said[row.utterance].speaker == row.speaker
                assert row.language == (said[row.utterance].language if row.source == "espeak" else "en")
    assert len({(row.dataset, row.member) for row in ALL}) == len(ALL)
    # no program reads a text twice in one voice
    assert max(Counter((row.spoken_by, row.made_from) for row in ALL if row.source != "recorded").values()) == 1


def test_every_group_of_the_second_set_has_a_person_and_both_programs() -> None:
    counts = Counter((row.speaker, row.source) for row in ALL if row.dataset == "sample_speech")
    people = {speaker for speaker, _ in counts}
    assert len(people) >= 36
    for speaker in people:
        assert counts[speaker, "recorded"] == 3
        assert 1 <= counts[speaker, "espeak"] <= 2 and counts[speaker, "flite"] == 2
    voices = Counter(row.spoken_by for row in ALL if row.source == "flite")
    assert len(voices) == 4 and len(set(voices.values())) == 1


@pytest.mark.parametrize("dataset", DATASETS)
def test_recordings_are_decoded_to_their_length(dataset: str) -> None:
    with recordings.opened(dataset) as archive:
        for row in recordings.table(dataset)[::30]:
            samples = recordings.samples(archive.read(row.member), row.length)
            assert samples.shape == (row.length,)
            assert 1 < row.length / recordings.RATE < 8
            assert 0.02 < (samples**2).mean() ** 0.5 < 0.06 and abs(samples).max() < 1


def test_a_damaged_package_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recordings, "FOLDER", tmp_path)
    with pytest.raises(InputError, match=r"sample_audio\.zip: missing or damaged; install the package again$"):
        recordings.opened("sample_audio").__enter__()
    (tmp_path / "sample_audio.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="missing or damaged"):
        recordings.opened("sample_audio").__enter__()
    with pytest.raises(InputError, match="cannot be decoded"):
        recordings.samples(b"no sound", 100)
