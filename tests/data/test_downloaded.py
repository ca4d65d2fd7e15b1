"""Data sets that people download, from their files to their splits by the command: small real clips and recordings."""

import io
import json
import wave
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import Result

from deepfake import cli, tables
from deepfake.project import paths

PAIRS = {"train": [(f"{n:03d}", f"{n + 50:03d}") for n in range(4)], "val": [("010", "060")], "test": [("020", "070")]}
"""Pairs of people of the official lists of FaceForensics++, cut short."""


def clip(seed: int) -> bytes:
    """Encode five small frames of a pattern that no other seed has."""
    stream, rng = io.BytesIO(), np.random.default_rng(seed)
    with av.open(stream, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=5)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return stream.getvalue()


def recording(seed: int) -> bytes:
    """Write half a second of noise at 16 kHz."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.random.default_rng(seed).integers(-3000, 3000, 8000, dtype=np.int16).tobytes())
    return stream.getvalue()


def put(name: str, files: dict[str, bytes | str]) -> Path:
    for path, data in files.items():
        file = paths().raw(name) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
    return paths().raw(name)


def entered(name: str, **entry: object) -> None:
    known = yaml.safe_load(paths().catalog.read_text("utf-8"))
    paths().catalog.write_text(yaml.safe_dump(known | {name: entry}))


def faceforensics() -> None:
    files: dict[str, bytes | str] = {}
    for part, pairs in PAIRS.items():
        files[f"splits/{part}.json"] = json.dumps(pairs)
        for one, other in pairs:
            names = [f"original_sequences/youtube/c40/videos/{person}.mp4" for person in (one, other)]
            names.append(f"manipulated_sequences/FaceSwap/c40/videos/{one}_{other}.mp4")
            files |= {name: clip(len(files) + number) for number, name in enumerate(names)}
    put("ff", files)
    entered("ff", recipe="faceforensics_videos")


def in_the_wild(rows: list[tuple[str, str, str]]) -> None:
    table = "".join(f"{','.join(row)}\n" for row in [("file", "speaker", "label"), *rows])
    put("wild", {"meta.csv": table} | {row[0]: recording(number) for number, row in enumerate(rows)})
    entered("wild", recipe="in_the_wild")


ROWS = [
    (f"{2 * speaker + kind}.wav", f"speaker {speaker}", ("bona-fide", "spoof")[kind])
    for speaker in range(6)
    for kind in range(2)
]


def refused(result: Result) -> str:
    """Check that a command ended with one line and wrote nothing, and return that line."""
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_official_pairs_become_the_test_set_of_clips(project, runner):
    faceforensics()
    said = runner.invoke(cli.main, ["ingest", "ff"])
    assert said.exit_code == 0, said.output
    samples = tables.read(paths().samples("ff"), tables.SAMPLES)
    assert samples["clip_id"].nunique() == 18 and len(samples) > 18
    assert samples.groupby("clip_id")["published"].nunique().max() == 1
    assert runner.invoke(cli.main, ["split", "ff"]).exit_code == 0
    manifest = tables.read(paths().manifest("ff"), tables.MANIFEST)
    is_test = manifest.groupby("clip_id")["split"].first() == "test"
    assert {clip.rpartition("/")[2] for clip in is_test.index[is_test]} == {"020.mp4", "070.mp4", "020_070.mp4"}
    # a swap is never parted from its people
    folds = (
        manifest.assign(name=manifest["clip_id"].str.extract(r"/([^/]+)\.mp4", expand=False))
        .groupby("name")["fold"]
        .first()
    )
    for pairs in PAIRS.values():
        assert all(folds[one] == folds[other] == folds[f"{one}_{other}"] for one, other in pairs)


def test_without_the_official_lists_the_command_says_what_to_do(project, runner):
    faceforensics()
    (paths().raw("ff") / "splits/test.json").unlink()
    line = refused(runner.invoke(cli.main, ["ingest", "ff"]))
    assert "no list **/test.json of the published split; put the published lists into that folder, or write" in line
    assert not paths().samples("ff").exists()


def test_recordings_are_labelled_and_grouped_by_their_table(project, runner):
    in_the_wild(ROWS)
    put("wild", {"99.wav": recording(99)})
    said = runner.invoke(cli.main, ["ingest", "wild"])
    assert said.exit_code == 0, said.output
    assert "1 file without a label (1 that meta.csv does not name)" in said.stdout
    samples = tables.read(paths().samples("wild"), tables.SAMPLES).drop_duplicates("clip_id")
    found = zip(samples["clip_id"], samples["group"], samples["label"], strict=True)
    assert sorted(found) == sorted((file, speaker, int(label == "spoof")) for file, speaker, label in ROWS)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("0.wav", "speaker 0", "spoof"), "line 14: 0.wav is listed in line 2 already"),
        (("77.wav", "speaker 0", "perhaps"), "line 14: unknown label 'perhaps'"),
        (("77.wav", "speaker 0"), "line 14: 2 values for 3 columns"),
    ],
)
def test_a_mistake_in_the_table_ends_the_command_with_one_line(project, runner, row, message):
    in_the_wild(ROWS)
    with (paths().raw("wild") / "meta.csv").open("a") as file:
        file.write(",".join(row) + "\n")
    line = refused(runner.invoke(cli.main, ["ingest", "wild"]))
    assert message in line
    assert not paths().samples("wild").exists()


def test_rows_without_a_recording_and_files_of_another_modality_are_set_aside_with_a_reason(project, runner):
    entered("mixed", title="t", modality="audio", adapter="folder", group="file", licence="n", obtain="o")
    files: dict[str, bytes | str] = {f"real/{number}.wav": recording(number) for number in range(6)}
    files |= {f"fake/{number}.wav": recording(50 + number) for number in range(6)}
    put("mixed", files | {"fake/talk.mp4": clip(1), "real/face.jpg": b"picture"})
    line = refused(runner.invoke(cli.main, ["ingest", "mixed"]))
    assert "2 of 14 files cannot be used" in line and "in a data set of modality audio" in line
    params = yaml.safe_load(paths().params.read_text())
    params["ingest"]["max_quarantined"] = 0.5
    paths().params.write_text(yaml.safe_dump(params))
    assert runner.invoke(cli.main, ["ingest", "mixed"]).exit_code == 0
    reasons = pd.read_csv(paths().quarantine("mixed")).set_index("path")["reason"]
    assert reasons.to_dict() == {
        "fake/talk.mp4": "by its suffix of modality video, in a data set of modality audio",
        "real/face.jpg": "by its suffix of modality image, in a data set of modality audio",
    }


def test_protocols_of_asvspoof_reach_the_splits(project, runner):
    files: dict[str, bytes | str] = {}
    speakers = {"train.trn": range(3), "dev.trl": range(3, 5), "eval.trl": range(5, 7)}
    for part, numbers in speakers.items():
        folder, lines = part.split(".")[0], []
        for speaker in numbers:
            attack = "A07" if folder == "eval" else "A01"
            for trial, (system, label) in enumerate((("-", "bonafide"), (attack, "spoof"))):
                name = f"LA_{folder[0].upper()}_{speaker}{trial}"
                files[f"LA/ASVspoof2019_LA_{folder}/flac/{name}.flac"] = recording(len(files))
                lines.append(f"LA_{speaker:04d} {name} - {system} {label}\n")
        files[f"LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{part}.txt"] = "".join(lines)
    put("la", files)
    entered("la", recipe="asvspoof_2019_la")
    said = runner.invoke(cli.main, ["ingest", "la"])
    assert said.exit_code == 0, said.output
    said = runner.invoke(cli.main, ["split", "la"])
    assert said.exit_code == 0, said.output
    manifest = tables.read(paths().manifest("la"), tables.MANIFEST)
    # the attacks that the challenge kept for its test set are there alone
    assert set(manifest["group"][manifest["split"] == "test"]) == {"LA_0005", "LA_0006"}
    assert manifest.groupby("split")["source"].agg(set).to_dict() == {"dev": {"real", "A01"}, "test": {"real", "A07"}}
    protocol = paths().raw("la") / "LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.dev.trl.txt"
    protocol.write_text(protocol.read_text().replace("A01", "A77"))
    assert "unknown source 'A77' of LA_D_31 (2 of 4 rows have such)" in refused(
        runner.invoke(cli.main, ["ingest", "la"])
    )
