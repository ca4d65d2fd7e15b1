"""`deepfake evaluate`: scikit-learn's numbers, exactly, on files of other people."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference

from deepfake import cli


def write(path: Path, header: list[str], columns: list[list], **form) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, **form).writerows([header, *zip(*columns, strict=True)])


def drawn(words: tuple[str, str], seed=0, samples=300) -> tuple[list, list, list]:
    """Return labels, calls in the same words (real first), and scores that grow with fake."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, samples)
    scores = np.round(rng.normal(labels * 1.2), 2)
    return [words[label] for label in labels], [words[int(score >= 0.4)] for score in scores], scores.tolist()


def by_scikit_learn(truth, pred, positive) -> dict[str, float]:
    return {
        "accuracy": reference.accuracy_score(truth, pred),
        "precision": reference.precision_score(truth, pred, pos_label=positive),
        "recall": reference.recall_score(truth, pred, pos_label=positive),
        "f1": reference.f1_score(truth, pred, pos_label=positive),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, pred),
    }


@pytest.fixture
def stand(project, monkeypatch) -> Path:
    """A folder of the project where the user stands; files are named from there."""
    (project / "mine").mkdir()
    monkeypatch.chdir(project / "mine")
    return project / "mine"


@pytest.fixture
def record(runner, stand, monkeypatch):
    def record(*arguments: str) -> dict:
        monkeypatch.chdir(stand)  # the command itself goes to the project's root
        result = runner.invoke(cli.main, ["evaluate", "results.csv", *arguments, "--json"])
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    return record


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("header", "words", "form"),
    [
        (["label", "pred"], ("bona-fide", "spoof"), {}),
        (["true", "pred"], ("real", "fake"), {"delimiter": ";"}),
        (["y_true", "y_pred"], ("0", "1"), {"delimiter": "\t", "quoting": csv.QUOTE_ALL}),
    ],
    ids=["spoof", "fake", "numbers"],
)
def test_decisions_give_exactly_the_numbers_of_scikit_learn(stand, record, header, words, form, seed):
    truth, pred, _ = drawn(words, seed)
    write(stand / "results.csv", header, [truth, pred], **form)
    found = record()
    for name, value in by_scikit_learn(truth, pred, words[1]).items():
        metric = found["metrics"][name]
        assert metric["estimate"] == pytest.approx(value, abs=1e-15)
        assert metric["low"] < value < metric["high"]
    assert found["metrics"]["auc"] is found["metrics"]["eer"] is None
    confusion = reference.confusion_matrix(truth, pred, labels=list(words))
    named = [["true_negatives", "false_positives"], ["false_negatives", "true_positives"]]
    assert [[found["confusion"][name] for name in row] for row in named] == confusion.tolist()
    assert (found["files"], found["positives"], found["negatives"]) == (
        300,
        truth.count(words[1]),
        truth.count(words[0]),
    )
    chance = found["chance"]
    assert (chance["judged_by"], chance["verdict"], chance["reason"]) == ("balanced_accuracy", "above_chance", "")
    assert 0 < chance["p"] < 1e-6


@pytest.mark.parametrize(("column", "sign"), [("score", 1), ("bonafide_score", -1)])
def test_scores_give_exactly_the_auc_of_scikit_learn(stand, record, column, sign):
    truth, pred, scores = drawn(("bonafide", "spoof"))
    write(stand / "results.csv", ["label", "pred", column], [truth, pred, [sign * score for score in scores]])
    found = record()["metrics"]
    labels = [label == "spoof" for label in truth]
    assert found["auc"]["estimate"] == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-15)
    assert found["auc_all"] == found["auc"]
    fpr, tpr, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    assert found["eer"]["estimate"] == pytest.approx(np.interp(0, fpr + tpr - 1, fpr))
    expected = by_scikit_learn(truth, pred, "spoof")
    assert {name: found[name]["estimate"] for name in expected} == pytest.approx(expected, abs=1e-15)


def test_options_reach_the_file(stand, record):
    truth, pred, scores = drawn(("cat", "dog"))
    people = [f"person {row // 10}" for row in range(300)]
    write(stand / "results.csv", ["a", "b", "c", "d"], [truth, pred, scores, people])
    found = record("--truth", "a", "--score", "c", "--positive", "dog", "--group", "d", "--threshold", "0.4")
    assert found["groups"] == 30
    assert found["taken"]["named"] == ["truth", "score", "group"]
    assert found["metrics"]["accuracy"]["estimate"] == pytest.approx(reference.accuracy_score(truth, pred))
    other = record("--truth", "a", "--pred", "b", "--positive", "cat")
    assert other["metrics"]["recall"]["estimate"] == pytest.approx(reference.recall_score(truth, pred, pos_label="cat"))
    assert other["metrics"]["auc"] is other["groups"] is None


def test_intervals_are_over_groups(stand, record):
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(30), 20)
    right = rng.random(30)[person] > rng.random(600)
    truth = np.tile([0, 1], 300)
    write(stand / "results.csv", ["label", "pred", "who"], [truth, np.where(right, truth, 1 - truth), person])
    alone, together = (record(*options)["metrics"]["accuracy"] for options in ((), ("--group", "who")))
    assert alone["estimate"] == together["estimate"]
    assert together["high"] - together["low"] > 1.5 * (alone["high"] - alone["low"])


def test_people_read_what_was_taken_and_a_table(runner, stand):
    truth, pred, scores = drawn(("real", "fake"))
    write(stand / "results.csv", ["file", "true", "pred", "score"], [list(range(300)), truth, pred, scores])
    result = runner.invoke(cli.main, ["evaluate", "results.csv"])
    assert result.exit_code == 0, result.output
    fakes = truth.count("fake")
    assert f"results.csv: 300 samples: {300 - fakes} real, {fakes} fake\n" in result.stdout
    assert "truth: column true (found by its name); positive is fake (a known word)\n" in result.stdout
    assert "score: column score (found by its name); higher means fake (its name does not say)\n" in result.stdout
    assert "intervals are too narrow if rows share" in result.stdout
    accuracy = reference.accuracy_score(truth, pred)
    assert f"| accuracy           | {accuracy:.1%}   | [" in result.stdout
    assert "| 95% CI" in result.stdout
    assert "Above chance by AUC (p < 0.001)." in result.stdout
    both = sum(one == two == "fake" for one, two in zip(truth, pred, strict=True))
    assert [cell.strip() for cell in result.stdout.splitlines()[-3].split("|")][-2] == str(both)


@pytest.mark.parametrize(
    ("flip", "words"),
    [
        (False, "Above chance? Undecided by balanced accuracy (p = "),
        (True, "check the positive label (--positive), and what the predicted labels mean."),
    ],
)
def test_it_is_said_whether_a_detector_only_guesses(runner, stand, flip, words):
    truth = ["real", "fake"] * 50
    pred = [truth[1 - row % 2] if flip else truth[row // 2 % 2] for row in range(100)]
    write(stand / "results.csv", ["label", "pred"], [truth, pred])
    result = runner.invoke(cli.main, ["evaluate", "results.csv"])
    assert words in result.stdout
    assert "| AUC                | -       | needs a score (--score COL) |" in result.stdout


@pytest.mark.parametrize("turned", [False, True])
def test_calls_in_other_words_are_told_with_what_they_were_taken_for(runner, stand, record, turned):
    # whoever writes 1 for real sees it here, and in what lies below chance
    truth, pred, _ = drawn(("bona-fide", "spoof"))
    calls = [int((call == "spoof") != turned) for call in pred]
    write(stand / "results.csv", ["label", "pred"], [truth, calls])
    result = runner.invoke(cli.main, ["evaluate", "results.csv"])
    assert (
        "predicted: column pred (found by its name); 1 means spoof, 0 means bona-fide (known words)\n" in result.stdout
    )
    assert ("check the positive label (--positive), and what the predicted labels mean." in result.stdout) == turned
    taken = record()["taken"]
    assert (taken["called_positive"], taken["called_negative"]) == (["1"], ["0"])


def test_scores_below_chance_ask_for_their_direction_and_not_for_the_calls(runner, stand):
    truth, _, scores = drawn(("real", "fake"))
    write(stand / "results.csv", ["label", "score"], [truth, [-score for score in scores]])
    result = runner.invoke(cli.main, ["evaluate", "results.csv"])
    assert "check the positive label (--positive), and the direction of the score (--higher real)." in result.stdout
    result = runner.invoke(cli.main, ["evaluate", "results.csv", "--higher", "real"])
    assert "Above chance by AUC" in result.stdout


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("label,pred\nreal,real\nfake,foo\n", [], "line 3: column 'pred' has 'real', 'foo'"),
        ("label,score\n1,nan\n0,1\n", [], "line 2: no value in column 'score'"),
        ("label,score\nfake,-3\n", [], "one class only"),
        ("label,pred,who\nfake,fake,a\nreal,fake,a\n", ["--group", "who"], "one group in column 'who'"),
        (None, [], "not found"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(runner, stand, content, options, message):
    if content is not None:
        (stand / "results.csv").write_text(content)
    result = runner.invoke(cli.main, ["evaluate", "results.csv", "--json", *options])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert "results.csv" in result.stderr
    assert "fold" not in result.stderr


@pytest.mark.parametrize("options", [[], ["--group", "who"]])
def test_two_groups_are_undecided_and_why(runner, stand, record, options):
    (stand / "results.csv").write_text("label,score,who\nfake,0.9,a\nreal,0.2,b\n")
    found = record(*options)
    assert found["metrics"]["auc"]["estimate"] == 1
    assert found["metrics"]["auc"]["low"] is found["chance"]["p"] is None
    assert found["chance"]["verdict"] == "undecided" and found["chance"]["reason"]
    shown = runner.invoke(cli.main, ["evaluate", "results.csv", *options]).stdout
    assert f"Above chance? Undecided: {found['chance']['reason']}." in shown


def test_sources_have_rows_of_their_own(runner, stand, record):
    truth, _, scores = drawn(("real", "fake"))
    kinds = ["camera" if label == "real" else f"kind {row % 2}" for row, label in enumerate(truth)]
    write(stand / "results.csv", ["true", "score", "kind"], [truth, scores, kinds])
    found = record("--source", "kind")["sources"]
    inside = [row for row, kind in enumerate(kinds) if kind != "kind 1"]
    expected = reference.roc_auc_score([truth[row] == "fake" for row in inside], [scores[row] for row in inside])
    assert found["kind 0"]["auc"]["estimate"] == pytest.approx(expected)
    shown = runner.invoke(cli.main, ["evaluate", "results.csv", "--source", "kind"]).stdout
    assert f"| AUC, kind 0                | {expected:.3f}" in shown


def test_a_hundred_thousand_rows_of_two_thousand_groups_are_evaluated(runner, stand):
    rng = np.random.default_rng(0)
    truth, who = rng.integers(0, 2, 100_000), rng.integers(0, 2000, 100_000)
    write(stand / "results.csv", ["label", "score", "group"], [truth, rng.normal(truth), who])
    done = runner.invoke(cli.main, ["evaluate", "results.csv"])
    assert done.exit_code == 0, done.output
    assert "2,000 of them" in done.stdout


def test_it_loads_no_torch(stand):
    truth, pred, scores = drawn(("real", "fake"))
    write(stand / "results.csv", ["true", "pred", "score"], [truth, pred, scores])
    code = (
        "import sys, deepfake.cli\n"
        "try:\n    deepfake.cli.main(['evaluate', 'results.csv'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print({'torch', 'timm', 'torchvision', 'cv2', 'dvc'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
