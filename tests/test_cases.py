"""Files as people have them (tests/cases/make_cases.py): each comes out as it should, or is refused with the reason."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conftest import changed
from deepfake import cli, tables
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


# --- groups and tables of labels


@pytest.fixture
def ingested(runner, project, cases):
    """What `deepfake ingest` says of a data set, and its samples, if there are any."""

    def ingested(name: str, code: int = 0, **keys: object) -> tuple[str, pd.DataFrame]:
        about = {"title": name, "modality": "image", "adapter": "folder", "licence": "none", "obtain": "make_cases.py"}
        catalog = yaml.safe_load(paths().catalog.read_text())
        paths().catalog.write_text(yaml.safe_dump(catalog | {name: about | keys}))
        result = runner.invoke(cli.main, ["ingest", name, "--raw", str(cases / name)])
        assert result.exit_code == code, result.output
        if code:
            assert len(result.stderr.strip().splitlines()) == 1
            assert not paths().samples(name).exists()
            return result.stderr, pd.DataFrame()
        return result.stdout, tables.read(paths().samples(name), tables.SAMPLES)

    return ingested


@pytest.mark.parametrize("group", [{}, {"group": "folder"}, {"group": "file"}])
def test_a_swap_is_in_one_group_with_both_its_people(ingested, expected, group):
    said, samples = ingested("ffpp", identities=r"(\d{3})(?:_(\d{3}))?", **group)
    folders = samples["path"].str.split("/").str[-2].groupby(samples["group"]).agg(set)
    assert sorted(map(sorted, folders)) == sorted(map(sorted, expected["ffpp"]["groups"]))
    assert "names of real groups" not in said


@pytest.mark.parametrize("group", ["folder", "file", "basename"])
def test_names_of_real_groups_in_those_of_fakes_are_told_where_there_is_no_rule(ingested, group):
    said, _ = ingested("ffpp", group=group)
    assert "names of real groups are part of the names of 2 of 2 fake groups" in said and "identities: " in said


def test_a_placeholder_is_said_and_is_no_giant_group(ingested):
    said, _ = ingested("placeholder", code=2, group="file")
    assert "2,900 of 3,000 files cannot be used" in said
    assert "one file in 2,900 groups, real and fake" in said and "remove these files" in said
    values = yaml.safe_load(paths().params.read_text())
    paths().params.write_text(yaml.safe_dump(changed(values, {"ingest.max_quarantined": 0.97}), sort_keys=False))
    said, samples = ingested("placeholder", group="file")
    assert "one file in 2,900 groups, real and fake" in said
    assert len(samples) == samples["group"].nunique() == 100


def test_labels_in_words_need_all_lines_in_words(ingested, cases):
    said, _ = ingested("words", code=2, group="file", table="labels.csv")
    assert "3 of 12 rows cannot be used: " in said
    assert re.search(r"line 7: label '1\.0' .*; line 8: label '0\.0' .*; line 9: label 'True' ", said)


def test_which_number_means_fake_is_asked_where_words_contradict_it(ingested):
    said, _ = ingested("kaggle", code=2, group="file", table="labels.csv")
    assert re.search(r"line 2: '1' in column 'label' .* 'real' in column 'label_str'.*positive: 0", said)
    _, samples = ingested("kaggle", group="file", table="labels.csv", positive=0)
    assert (samples["path"].str.contains("/fake/") == (samples["label"] == tables.FAKE)).all()
