"""`deepfake verify` in a real repository: what a run repeated of the committed figures, and the exit code."""

import json
from pathlib import Path

import pytest

from conftest import ROOT
from deepfake import cli
from dvc_repository import call, commit, isolate

TABLE = """\
experiment,model,auc,auc_low,samples,learned
a,cnn,0.61115,0.520604,793,True
b,resnet,0.513741,0.497415,793,False
"""
RUNS = Path("reports/tables/phase1_experiments.csv")
METRICS = Path("reports/metrics/phase1.json")
DECISION = Path("reports/decisions/phase2.json")


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository with a small study's results."""
    isolate(tmp_path, monkeypatch)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    write(RUNS, TABLE)
    write(METRICS, json.dumps({"best_auc": 0.61115, "runs": {"a": {"auc": 0.61115, "eer": 0.4}}}))
    write(DECISION, json.dumps({"resolution": "high", "face_crop": False}))
    write(Path("reports/plots/a/roc.csv"), "fpr,tpr\n0,0\n")
    write(Path("reports/summary.md"), "# Summary")
    call("git", "init", "-q", "-b", "main")
    call("git", "config", "user.name", "test")
    call("git", "config", "user.email", "test@localhost")
    commit("a study")
    return Path.cwd()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def verify(runner):
    """The command: the lines it prints, once it ended with the expected exit code."""

    def run(*options: str, code: int = 0) -> list[str]:
        result = runner.invoke(cli.main, ["verify", *options])
        assert result.exit_code == code, result.output
        return (result.stderr if code == 2 else result.stdout).splitlines()

    return run


def test_an_exact_run_is_one_line(repository, verify):
    # 3 figures in each of two rows, 3 in the metrics; 2 verdicts in the table, 2 decided
    assert verify() == ["verify: 9 figures equal, 0 within retraining noise, 0 different; 4 verdicts, none flipped"]


def test_plots_pages_and_benchmarks_are_not_compared(repository, verify):
    write(Path("reports/plots/a/roc.csv"), "fpr,tpr\n0,1\n")
    write(Path("reports/bench/loading.csv"), "a,b\n0,1\n")
    write(Path("reports/summary.md"), "# Another")
    assert len(verify()) == 1


def test_figures_within_noise_pass(repository, verify):
    head, first, second = TABLE.splitlines(keepends=True)
    write(RUNS, head + second + first.replace("0.61115,0.520604", "0.66,0.4"))
    assert verify() == [
        "verify: 7 figures equal, 1 within retraining noise, 0 different, 1 not judged (see --help); "
        "4 verdicts, none flipped"
    ]


def test_a_flipped_verdict_fails_and_is_printed(repository, verify):
    write(RUNS, TABLE.replace("793,True", "793,False"))
    head, row, last = verify(code=1)
    assert head.split() == ["file", "row", "figure", "committed", "now", "allowed"]
    assert row.split() == ["tables/phase1_experiments.csv", "a,", "cnn", "learned", "True", "False"]
    assert last.endswith("0 different; 4 verdicts, 1 flipped")


def test_a_decision_that_changed_fails(repository, verify):
    write(DECISION, json.dumps({"resolution": "high", "face_crop": True}))
    assert verify(code=1)[1].split() == ["decisions/phase2.json", "face_crop", "False", "True"]


def test_a_figure_beyond_noise_fails_with_what_is_allowed(repository, verify):
    write(METRICS, json.dumps({"best_auc": 0.61115, "runs": {"a": {"auc": 0.8, "eer": 0.4}}}))
    _, row, last = verify(code=1)
    assert row.split() == ["metrics/phase1.json", "runs.a", "auc", "0.61115", "0.8", "0.066"]
    assert last == "verify: 8 figures equal, 0 within retraining noise, 1 different; 4 verdicts, none flipped"


def test_many_are_counted_and_flips_come_first(repository, verify):
    lines = [f"run{number},cnn,0.5,0.4,793,False\n" for number in range(30)]
    write(RUNS, TABLE.splitlines(keepends=True)[0] + "".join(lines))
    commit("thirty runs")
    write(
        RUNS,
        RUNS.read_text()
        .replace("0.5,0.4", "0.9,0.4")
        .replace("run29,cnn,0.9,0.4,793,False", "run29,cnn,0.9,0.4,793,True"),
    )
    printed = verify(code=1)
    assert len(printed) == 1 + 20 + 1 + 1
    assert printed[1].split()[1] == "run29,"
    assert printed[-2] == "and 11 more"


def test_missing_files_fail_and_new_ones_do_not(repository, verify):
    RUNS.rename("reports/tables/other_experiments.csv")
    printed = verify(code=1)
    assert printed == [
        "missing: 8 figures of reports/tables/phase1_experiments.csv",
        "new: 8 figures of reports/tables/other_experiments.csv",
        "verify: 3 figures equal, 0 within retraining noise, 0 different, 8 missing, 8 new; 2 verdicts, none flipped",
    ]
    write(RUNS, TABLE)
    assert verify()[0].startswith("new: ")


def test_another_revision_can_be_named(repository, verify):
    write(RUNS, TABLE.replace("793,True", "793,False"))
    commit("another verdict")
    assert len(verify()) == 1
    assert verify("--against", "HEAD~1", code=1)[-1].endswith("1 flipped")


def test_it_works_below_the_root_of_a_repository(repository, verify, monkeypatch):
    write(Path("below/reports/metrics/x.json"), '{"auc": 0.5}')
    commit("a project below")
    monkeypatch.chdir("below")
    assert verify() == ["verify: 1 figure equal, 0 within retraining noise, 0 different; 0 verdicts, none flipped"]


def test_what_the_user_can_fix_is_one_line(repository, verify, tmp_path, monkeypatch):
    assert verify("--against", "nope", code=2) == [
        "deepfake: --against: git knows no revision 'nope'; see git log, or git fetch it first"
    ]
    assert "knows no revision '--all'" in verify("--against=--all", code=2)[0]
    write(METRICS, '{"best_auc": ')
    (line,) = verify(code=2)
    assert line.startswith("deepfake: reports/metrics/phase1.json: cannot be read (")
    write(METRICS, "{}")
    write(RUNS, TABLE + "c,cnn\n")
    (line,) = verify(code=2)
    assert "phase1_experiments.csv: cannot be read (a row has another number of cells" in line
    call("git", "rm", "-q", "-rf", "reports")
    commit("no results")
    assert "HEAD has no figures below reports" in verify(code=2)[0]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert verify(code=2) == ["deepfake: verify: not inside a git repository; run it in a clone of the project"]


def test_without_git_installed_it_says_so(repository, verify, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "not inside a git repository" in verify(code=2)[0]


def test_a_run_ends_with_it_and_succeeds_whatever_it_says():
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\nrepro:")[2].partition("\n\n")[0].splitlines()
    assert recipe[1].strip() == "dvc repro"
    assert recipe[-1].strip() == "@deepfake verify || true"


def test_the_help_states_the_rule(verify):
    text = " ".join(" ".join(verify("--help")).split())
    assert "0.022" in text
    assert "0.066" in text
