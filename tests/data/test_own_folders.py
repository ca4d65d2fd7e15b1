"""Folders as people have them, through `deepfake ingest` and `deepfake split`."""

import io
import unicodedata

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from deepfake import cli, tables
from deepfake.datasets.layouts import kinds
from deepfake.inference import inputs
from deepfake.project import paths


def photograph(seed: int, form: str = "JPEG") -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (16, 12, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, form)
    return stream.getvalue()


def put(files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (paths().raw("mine") / path).parent.mkdir(parents=True, exist_ok=True)
        (paths().raw("mine") / path).write_bytes(data)


def catalogued(**keys) -> None:
    entries = yaml.safe_load(paths().catalog.read_text())
    entry = {
        "title": "t",
        "modality": "image",
        "adapter": "folder",
        "group": "file",
        "licence": "none",
        "obtain": "ask",
    }
    entries["mine"] = keys if "recipe" in keys else entry | keys
    paths().catalog.write_text(yaml.safe_dump(entries))


def run(runner, *command: str):
    return runner.invoke(cli.main, [*command, "mine"])


def samples() -> pd.DataFrame:
    return tables.read(paths().samples("mine"), tables.SAMPLES).set_index("sample_id")


def both(count: int) -> dict[str, bytes]:
    """Return so many photographs of each class."""
    return {
        f"{kind}/{number}.jpg": photograph(1000 * label + number)
        for label, kind in enumerate(("real", "fake"))
        for number in range(count)
    }


def test_sidecars_are_passed_over_and_text_that_is_called_an_image_is_not(project, runner):
    put(both(30) | {f"real/{number}.txt": b"a caption" for number in range(9)} | {"fake/0.json": b"{}"})
    put({"real/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg": photograph(0)})
    put({"fake/page.jpg": b"<html>", "fake/scan": photograph(77)})
    catalogued()
    result = run(runner, "ingest")
    assert result.exit_code == 0, result.stderr
    assert "mine: 61 samples, 1 files in data/mine/quarantine.csv" in result.stdout
    passed = "Passed over: 10 other files (9 .txt, 1 .json) and 1 thumbnail folder"
    assert f"labels: real by real (30); fake by fake (32). {passed}\n" in result.stdout
    assert samples().loc["fake/scan", "label"] == tables.FAKE
    assert pd.read_csv(paths().quarantine("mine"))["path"].tolist() == ["fake/page.jpg"]


@pytest.fixture
def cifake(project) -> None:
    put(
        {
            f"{part}/{kind}/{number:04d}.jpg": photograph(100 * where + number)
            for where, (part, kind) in enumerate((p, k) for p in ("train", "test") for k in ("REAL", "FAKE"))
            for number in range(12)
        }
    )


def test_a_published_test_set_is_kept_by_a_recipe(cifake, runner):
    catalogued(recipe="cifake")
    for command in ("ingest", "split"):
        result = run(runner, command)
        assert result.exit_code == 0, result.stderr
    manifest = tables.read(paths().manifest("mine"), tables.MANIFEST)
    assert (manifest["split"] == "test").tolist() == manifest["sample_id"].str.startswith("test/").tolist()
    assert set(manifest["source"]) == {"real", "fake"}
    assert samples()["published"].value_counts().to_dict() == {"train": 24, "test": 24}


def test_without_the_key_the_folders_of_a_split_mean_nothing(cifake, runner):
    catalogued()
    for command in ("ingest", "split"):
        assert run(runner, command).exit_code == 0
    manifest = tables.read(paths().manifest("mine"), tables.MANIFEST)
    test = manifest[manifest["split"] == "test"]
    assert 0 < len(test) < 24
    assert set(samples()["published"]) == {""}


def test_a_copy_in_both_parts_ends_the_split_with_what_to_do(cifake, runner):
    put({"test/REAL/copy.jpg": photograph(3)})  # that of train/REAL/0003.jpg
    catalogued(recipe="cifake")
    assert run(runner, "ingest").exit_code == 0
    result = run(runner, "split")
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert "1 of 48 groups are in the published test set and outside it, as test/REAL/copy.jpg" in line
    assert "remove the copies, or remove splits from the catalog" in line
    assert not paths().manifest("mine").exists()


def test_names_that_a_mac_stored_apart_are_read(project, runner):
    put(both(3) | {unicodedata.normalize("NFD", "real/Müller/1.jpg"): photograph(99)})
    catalogued()
    assert run(runner, "ingest").exit_code == 0
    row = samples().to_dict("index")["real/Müller/1.jpg"]
    assert row["source"] == "Müller"
    assert (paths().raw("mine") / str(row["path"])).is_file()


def test_what_look_prints_is_pasted_ingested_and_split(project, runner, tmp_path):
    put(
        {
            f"{part}/{kind}/person{number // 2:02d}_{number % 2}.jpg": photograph(1000 * label + number)
            for label, kind in enumerate(("Real", "Fake"))
            for number in range(40)
            for part in ["Train" if number < 30 else "Test"]
        }
    )
    elsewhere = tmp_path / "elsewhere"
    paths().raw("mine").rename(elsewhere)
    result = runner.invoke(cli.main, ["ingest", "mine", "--look", str(elsewhere)])
    entry = result.stdout.partition("entry for data/catalog.yaml:\n")[2].partition("\nthen: ")[0]
    with paths().catalog.open("a", encoding="utf-8") as catalog:
        catalog.write(entry.replace("# splits:", "splits:"))
    result = runner.invoke(cli.main, ["ingest", "mine", "--raw", str(elsewhere)])
    assert result.exit_code == 0, result.stderr
    assert run(runner, "split").exit_code == 0
    manifest = tables.read(paths().manifest("mine"), tables.MANIFEST)
    assert (manifest["split"] == "test").tolist() == manifest["sample_id"].str.startswith("Test/").tolist()
    assert manifest.groupby("group")["label"].nunique().eq(2).all()  # a fake is called like its real


def test_kinds_of_files_are_the_same_for_predict():
    for kind, suffixes in kinds.MEDIA.items():
        assert {inputs.promise(f"a{suffix.upper()}") for suffix in suffixes} == {kind}
    assert {inputs.promise(name) for name in ("a.txt", "a.csv", "README", "a.unknown")} == {""}
