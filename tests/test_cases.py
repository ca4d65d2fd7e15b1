"""Files as people have them (tests/cases/make_cases.py): each comes out as it should, or is refused with the reason."""

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from deepfake import cli, tables
from deepfake.modalities.image import backends, geometry, inspection
from deepfake.modalities.image.encoded import Encoded
from deepfake.project import paths

CASES = Path(__file__).parent / "cases" / "make_cases.py"


@pytest.fixture(scope="session")
def cases(tmp_path_factory) -> Path:
    """All cases; nothing writes into them."""
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, CASES, folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def expected(cases) -> dict:
    return json.loads((cases / "expected.json").read_text())


PREDICTIONS = (
    *("is_real", "percent", "confidence", "higher_is_real", "decimal_comma", "excel_sep", "utf16", "pipes"),
    *("two_columns", "asvspoof_scores", "asvspoof_only_scores", "dfdc", "frames", "nan_scores", "minus_inf"),
    *("only_fakes", "methods"),
)


@pytest.fixture
def evaluated(runner, project, cases, monkeypatch):
    """What `deepfake evaluate` says of a file of predictions."""
    monkeypatch.chdir(project)

    def evaluated(name: str, *options: str, code: int = 0) -> dict:
        options = tuple(
            str(cases / "predictions" / word) if "_key" in word or "_meta" in word else word for word in options
        )
        result = runner.invoke(cli.main, ["evaluate", str(cases / "predictions" / name), *options, "--json"])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if not code else {"error": result.stderr}

    return evaluated


def test_no_kind_of_predictions_is_forgotten(expected):
    kinds = {
        Path(name).stem for name, want in expected.items() if name.startswith("predictions/") and "role" not in want
    }
    assert kinds == set(PREDICTIONS)


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_predictions_come_out_right(evaluated, expected, kind):
    name, want = next((Path(path).name, want) for path, want in expected.items() if Path(path).stem == kind)
    found = evaluated(name, *shlex.split(want.get("options", "")))
    figures = {key: figure and figure["estimate"] for key, figure in found["metrics"].items()}
    figures |= {"auc": figures["auc_all"], "n": found["files"], "missing": found["missing"]}
    for key in ("auc", "accuracy", "recall", "n", "missing"):
        if key in want:
            assert figures[key] == pytest.approx(want[key], abs=1e-12), key


def test_no_threshold_is_invented(evaluated):
    assert evaluated("percent.csv")["taken"]["threshold"] == 50
    assert evaluated("minus_inf.csv")["taken"]["threshold"] is None
    assert evaluated("minus_inf.csv")["metrics"]["accuracy"] is None


def test_scores_that_are_confidences_are_reported_and_can_be_converted(evaluated, expected):
    found = evaluated("confidence.csv")
    assert found["taken"]["contradiction"]
    assert found["metrics"]["auc"] is None
    converted = evaluated("confidence.csv", "--score-is", "confidence")
    assert converted["metrics"]["auc"]["estimate"] == pytest.approx(expected["predictions/pipes.csv"]["auc"], abs=1e-5)


def test_scores_that_grow_with_real_are_below_chance(runner, project, cases, monkeypatch):
    monkeypatch.chdir(project)
    shown = runner.invoke(cli.main, ["evaluate", str(cases / "predictions" / "higher_is_real.csv")]).stdout
    assert "Below chance by AUC" in shown and "--higher real" in shown


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dfdc.csv", "column 'label' holds numbers like 0.340221 and no labels; .*--key FILE"),
        ("nan_scores.csv", "lines 5, 15, 25, 35, 45 and 7 more: no value in column 'score'; .*--missing skip"),
        ("methods.csv", "unknown labels; .*--negative LABEL"),
        ("asvspoof_only_scores.txt", "no column of true labels; .*--key FILE"),
    ],
)
def test_what_needs_an_option_asks_for_it(evaluated, name, said):
    assert re.search(said, evaluated(name, code=2)["error"])


def test_an_attack_is_a_source_and_a_speaker_a_group(evaluated):
    found = evaluated("asvspoof_only_scores.txt", "--higher", "real", "--key", "asvspoof_key.txt")
    assert set(found["sources"]) == {f"A{number:02}" for number in range(7, 20)}
    assert found["groups"] == 20
    assert evaluated("dfdc.csv", "--key", "dfdc_metadata.json")["groups"] == 60


def test_each_method_has_a_row_of_its_own(evaluated):
    assert set(evaluated("methods.csv", "--negative", "original")["sources"]) == {
        *("Deepfakes", "Face2Face", "NeuralTextures")
    }


def test_missing_scores_may_be_given_a_value(evaluated):
    found = evaluated("nan_scores.csv", "--missing", "0.5")
    assert (found["files"], found["missing"]) == (120, 12)


@pytest.fixture
def ingested(runner, project, cases, monkeypatch):
    """What `deepfake ingest` says of a folder, and its tables of samples and media; None where it refuses."""
    monkeypatch.chdir(project)
    catalog = yaml.safe_load(paths().catalog.read_text("utf-8"))
    plain = {"title": "x", "modality": "image", "adapter": "folder", "group": "file", "licence": "x", "obtain": "x"}

    def ingested(name: str, **entry):
        paths().catalog.write_text(yaml.safe_dump(catalog | {"mine": plain | entry}))
        paths().raw("mine").unlink(missing_ok=True)
        result = runner.invoke(cli.main, ["ingest", "mine", "--raw", str(cases / name)])
        if result.exit_code:
            assert result.exit_code == 2, result.output
            assert len(result.stderr.splitlines()) == 1
            return result.stderr, None
        samples = tables.read(paths().samples("mine"), tables.SAMPLES).set_index("sample_id", drop=False)
        return result.stdout, samples

    return ingested


@pytest.mark.parametrize(
    ("name", "fake", "said"),
    [("cifake", "FAKE", "REAL"), ("numbered", "1_fake", "0_real"), ("inside", "fake", "real")],
)
def test_real_and_fake_are_found_at_any_depth(ingested, name, fake, said):
    shown, samples = ingested(name)
    assert len(samples) == 16
    assert all((fake in path.split("/")) == bool(label) for path, label in samples["label"].items())
    # parts of a published split are no sources
    assert set(samples["source"]) == {"real", "fake"}
    assert said in shown and fake in shown


def test_a_published_split_can_be_kept(runner, ingested):
    _, samples = ingested("cifake", recipe="cifake")
    assert (samples["published"] == "test").tolist() == [path.startswith("test/") for path in samples.index]


@pytest.mark.parametrize("entry", [{"identities": r"(\d{3})(?:_(\d{3}))?"}, {}])
def test_a_swap_is_in_one_group_with_both_people(ingested, expected, entry):
    said, samples = ingested("ffpp", **(entry or {"group": "folder"}))
    clips = samples.index.str.extract(r"/([\d_]+)/\d+\.jpg$", expand=False)
    groups = sorted(sorted(set(clips[samples["group"] == group])) for group in set(samples["group"]))
    if entry:
        assert groups == sorted(map(sorted, expected["ffpp"]["groups"]))
    else:
        assert "'000_003'" in said and "identities" in said


def test_a_table_of_labels_knows_the_words_and_counts_bad_rows(ingested, cases, tmp_path):
    said, _ = ingested("words", table="labels.csv")
    assert "3 of 12 rows cannot be used: line 7: label '1.0'" in said
    assert "line 8: label '0.0'" in said and "line 9: label 'True'" in said
    shutil.copytree(cases / "words", tmp_path / "words")
    table = tmp_path / "words" / "labels.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line for line in lines if not line.startswith(("img\\5", "img\\6", "img\\7"))))
    _, samples = ingested(tmp_path / "words", table="labels.csv")
    numbers = samples.index.str.extract(r"(\d+)\.jpg", expand=False).astype(int)
    fakes = {1, 3, 9, 11}
    assert samples["label"].tolist() == [int(number in fakes) for number in numbers]
    # an empty group is one of its own
    assert (samples["group"] == samples.loc[samples.index.str.endswith("/4.jpg"), "group"].iloc[0]).sum() == 1


def test_a_number_that_contradicts_a_word_is_an_error_that_an_entry_settles(ingested):
    said, _ = ingested("kaggle", table="labels.csv", columns={"path": "path"})
    assert "'1' in column 'label' would mean fake" in said and "real" in said and "positive" in said
    _, samples = ingested("kaggle", table="labels.csv", columns={"path": "path"}, positive=0)
    assert all(("/fake/" in path) == bool(label) for path, label in samples["label"].items())


def test_sidecars_are_counted_apart_from_quarantine(ingested):
    said, samples = ingested("sidecars")
    assert len(samples) == 6
    assert "0 files in" in said
    assert "12 other files" in said and "1 thumbnail folder" in said


def test_a_placeholder_is_said_and_is_no_giant_group(ingested):
    said, samples = ingested("placeholder")
    assert samples is None
    assert "2,900 of 3,000 files cannot be used" in said
    assert "one file in 2,900 groups, real and fake" in said


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("broken_exif.jpg", "broken EXIF"),
        ("hidden_colour.png", "transparency on white"),
        ("xmp_orientation.jpg", None),
        ("still.gif", ""),
        ("still.avif", ""),
        ("still.jp2", ""),
    ],
)
def test_images_are_decoded_alike_by_every_loader(cases, name, note):
    data = (cases / "images" / name).read_bytes()
    facts = inspection.inspect(data)
    assert not isinstance(facts, str), facts
    if note is not None:
        assert facts.notes == note
    media = pd.DataFrame([("x", *facts)], columns=list(tables.MEDIA.columns))
    regions = geometry.regions(media, "resize", None, 0)
    (file,) = [Encoded(data, tuple(row[1:5]), row.plain == 1) for row in regions.itertuples(index=False)]
    first, *others = (
        next(iter(backends.load(loader).decode([[file]], 48, threads=1))).astype(int) for loader in backends.BACKENDS
    )
    for other in others:
        assert np.abs(first - other).mean() < 1
    with Image.open(io.BytesIO(data)) as image:
        plain = np.asarray(image.convert("RGBA").resize((48, 48), Image.Resampling.BILINEAR).convert("RGB")).astype(int)
    if name == "hidden_colour.png":
        assert (first[0, :, :20] > 250).all() and np.abs(first[0, :, 28:] - [120, 30, 60]).max() <= 1
    elif "exif" in name or "still" in name:
        assert np.abs(first[0] - plain).mean() < 2


def test_a_folder_of_clips_says_that_no_run_predicts_them(runner, project, cases, monkeypatch):
    monkeypatch.chdir(project)
    result = runner.invoke(cli.main, ["predict", str(cases / "clips")])
    assert result.exit_code == 2
    assert "no run that can predict clips" in result.stderr and len(result.stderr.splitlines()) == 1
