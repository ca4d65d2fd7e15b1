"""Files as people have them (tests/cases/make_cases.py): each comes out as it should, or is refused with the reason."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from deepfake import cli

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
