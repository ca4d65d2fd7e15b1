"""`deepfake ci-report`: what a branch changed, told from a checkout alone."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT, changed, tiny_params
from deepfake import cli
from deepfake.ops.ci_report import changes
from deepfake.ops.ci_report import comment as page
from deepfake.project import paths
from dvc_repository import call, commit, isolate, make_repository, write

# DVC's own
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

STUDY = '''
"""Stands for the command of a study: runs whose AUC follows from learning rate and seed, tables, metrics."""
import csv, json, sys
from pathlib import Path
import yaml

def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)

def write_table(name, rows):
    Path(f"reports/{study}").mkdir(parents=True, exist_ok=True)
    with open(f"reports/{study}/{name}.csv", "w") as file:
        csv.writer(file, lineterminator="\\n").writerows(rows)

study = sys.argv[1]
values = yaml.safe_load(Path("params.yaml").read_text())
runs = {}
for name, run in values["studies"][study]["runs"].items():
    lr = run.get("optimizer", {}).get("lr", 0.001)
    auc = round(0.5 + 50 * lr + (run.get("seed", 42) - 42) / 1000, 6)
    runs[name] = {"auc": auc, "eer": round(1 - auc, 6)}
    write(f"runs/{study}/{name}/metrics.json", json.dumps(runs[name]))
best = max(run["auc"] for run in runs.values())
write(f"reports/metrics/{study}.json", json.dumps({"best_auc": best, "runs": runs}))
rows = [[name, 393361, run["auc"], run["eer"], 0.01] for name, run in runs.items()]
write_table(study, [["Model", "Params", "AUC (mean ± std)", "EER", "AUC (mean ± std) std"], *rows])
write_table(f"{study}_folds", [["auc"], *([run["auc"]] for run in runs.values())])
write_table(f"{study}_roc", [["experiment", "fpr", "tpr"], *([name, 0, run["auc"]] for name, run in runs.items())])
'''
SUMMARY = '''
"""Stands for `deepfake report`."""
from pathlib import Path

Path("reports/summary.md").write_text(Path("reports/phase1/phase1_folds.csv").read_text())
'''


def pipeline() -> dict:
    """Return a pipeline as the study's: data that git does not have, a stage a study, a summary."""

    def study(name: str, *deps: str) -> dict:
        return {
            "cmd": f"{sys.executable} study.py {name}",
            "deps": ["study.py", "data/sample/samples.parquet", "data/prepared", *deps],
            "params": ["shared", f"studies.{name}"],
            "outs": [{f"runs/{name}": {"persist": True}}, {f"reports/{name}": {"cache": False}}],
            "metrics": [{f"reports/metrics/{name}.json": {"cache": False}}],
        }

    return {
        "params": ["params.yaml"],
        "stages": {
            "ingest": {
                "cmd": "mkdir -p data/sample && echo samples > data/sample/samples.parquet",
                "deps": ["data/catalog.yaml"],
                "outs": ["data/sample/samples.parquet"],
            },
            "features": {
                "cmd": "mkdir -p data/prepared && echo {} > data/prepared/sample.json",
                "deps": ["data/sample/samples.parquet"],
                "outs": ["data/prepared/sample.json"],
            },
            "phase1": study("phase1"),
            "phase3": study("phase3", "runs/phase1"),
            "imbalance": study("imbalance"),
            "summary": {
                "cmd": f"{sys.executable} summary.py",
                "deps": ["summary.py", "reports/phase1"],
                "outs": [{"reports/summary.md": {"cache": False}}],
            },
        },
    }


def write_params(**changes) -> None:
    """Write the tiny params with some changed, by dotted path with __ for the dot."""
    write("params.yaml", changed(tiny_params(), {path.replace("__", "."): value for path, value in changes.items()}))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Nothing of the user's own settings."""
    with pytest.MonkeyPatch.context() as patch:
        isolate(tmp_path_factory.mktemp("user"), patch)
        for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"):
            patch.delenv(name, raising=False)
        for key, value in {"user.name": "test", "user.email": "test@localhost", "core.abbrev": "7"}.items():
            call("git", "config", "--global", key, value)
        yield


@pytest.fixture(scope="module")
def original(home, tmp_path_factory) -> Path:
    """A repository whose branch `faster` changed a parameter and its results, while main went on with another."""
    root = tmp_path_factory.mktemp("original") / "project"
    (root / "data").mkdir(parents=True)
    shutil.copy(ROOT / paths().catalog, root / paths().catalog)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        Path("study.py").write_text(STUDY)
        Path("summary.py").write_text(SUMMARY)
        make_repository(root)
        write("dvc.yaml", pipeline())
        reproduce("a study")
        call("git", "switch", "-q", "-c", "faster")
        reproduce("faster", studies__phase1__runs__backbone_low__optimizer={"lr": 0.002})
        call("git", "switch", "-q", "main")
        reproduce("another seed", studies__phase1__runs__simple_cnn_low__seed=50)
        call("git", "switch", "-q", "faster")
        call("dvc", "checkout", "-q")
    return root


def reproduce(message: str, **changes) -> None:
    """Change params, run what depends on them, commit."""
    write_params(**changes)
    call("dvc", "repro")
    commit(message)


@pytest.fixture
def checkout(original, tmp_path, monkeypatch) -> Path:
    """A clone of the branch as CI has it: no data, no cache, no remote."""
    call("git", "clone", "-q", str(original), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    call("git", "branch", "main", "origin/main")
    return tmp_path / "clone"


@pytest.fixture
def report(runner):
    """The command: what it prints, once it ended with the expected exit code."""

    def run(*options: str, code: int = 0) -> str:
        result = runner.invoke(cli.main, ["ci-report", *options])
        assert result.exit_code == code, result.output
        return result.stdout

    return run


def refused(runner, *options: str) -> str:
    """Return the one line that a mistake is answered with."""
    result = runner.invoke(cli.main, ["ci-report", *options])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    return line


def short(rev: str) -> str:
    return call("git", "rev-parse", "--short", rev).strip()


def section(text: str, title: str) -> str:
    """Return what stands under a heading."""
    return text.split(f"### {title}\n\n")[1].split("\n### ")[0]


GOLDEN = """<!-- deepfake ci-report -->
**1 experiment changed, the largest change of AUC is +0.050 (`backbone_low`: 0.550 → 0.600); the committed results are up to date with code and parameters.**

Compared: `1111111`, where the branch left `main`, which has one commit more since, with `2222222`.

### Metrics

| Path                        | Metric                | 1111111   | workspace   | Change   |
|-----------------------------|-----------------------|-----------|-------------|----------|
| reports/metrics/phase1.json | best_auc              | 0.55      | 0.6         | 0.05     |
| reports/metrics/phase1.json | runs.backbone_low.auc | 0.55      | 0.6         | 0.05     |
| reports/metrics/phase1.json | runs.backbone_low.eer | 0.45      | 0.4         | -0.05    |

### Parameters

| Path        | Param                                         | 1111111   | workspace   |
|-------------|-----------------------------------------------|-----------|-------------|
| params.yaml | studies.phase1.runs.backbone_low.optimizer.lr | -         | 0.002       |

### Table phase1

| Model          | AUC (mean ± std)                       |
|----------------|----------------------------------------|
| simple_cnn_low | 0.550 ± 0.010                          |
| backbone_low   | 0.550 ± 0.010 → 0.600 ± 0.010 (+0.050) |

Also changed: EER.

### Other tables that changed

`phase1_folds` in reports
"""  # noqa: E501


# --- the comment


def test_the_comment_tells_what_the_branch_changed_and_not_what_main_did(checkout, report):
    text = report("--base", "main", "--strict")
    base = short("main~1")
    assert base != short("main")
    assert text.replace(base, "1111111").replace(short("HEAD"), "2222222") == GOLDEN
    # nothing was left behind
    assert call("git", "status", "--porcelain", "--ignored").split() == ["!!", ".dvc/tmp/"]


def test_data_and_cache_make_no_difference(checkout, report, original, monkeypatch):
    without = report("--base", "main")
    monkeypatch.chdir(original)
    assert (original / ".dvc/cache").exists()
    assert report("--base", "main") == without


def test_metrics_and_params_are_those_that_dvc_prints(checkout, report):
    text, base = report("--base", "main"), short("main~1")
    for title, kind in (("Metrics", "metrics"), ("Parameters", "params")):
        printed = call("dvc", kind, "diff", "--md", base)
        # DVC's own order is another one each time
        assert sorted(section(text, title).split("\n")) == sorted(printed.removesuffix("\n").split("\n")), kind


def test_a_branch_that_changed_nothing(checkout, report):
    call("git", "switch", "-q", "main")
    text = report("--base", "HEAD")
    assert "**No parameter and no result changed; the committed results are up to date" in text
    assert "###" not in text


def edit_metrics(study: str, **runs: dict) -> None:
    """Write other metrics of runs into those of a study; None takes a run away."""
    path = paths().study_metrics(study)
    found = json.loads(path.read_text())
    found["runs"] |= runs
    path.write_text(json.dumps(found | {"runs": {name: run for name, run in found["runs"].items() if run}}))


def test_uncommitted_changes_are_part_of_it_and_said(checkout, report):
    assert "uncommitted" not in report("--base", "main")
    edit_metrics("phase1", simple_cnn_low={"auc": 0.9, "eer": 0.45})
    text = report("--base", "main")
    assert f"with `{short('HEAD')}` + uncommitted changes." in text
    assert "**2 experiments changed, the largest change of AUC is +0.350 (`simple_cnn_low`: 0.550 → 0.900)" in text


def test_experiments_that_come_and_go_are_counted(checkout, report):
    edit_metrics("phase1", backbone_low=None, other={"auc": 0.6})
    assert "**2 experiments changed (1 new, 1 gone); " in report("--base", "main")


def test_an_experiment_that_another_study_has_now_is_neither_new_nor_gone(checkout, report):
    edit_metrics("phase1", simple_cnn_low=None)
    edit_metrics("imbalance", simple_cnn_low={"auc": 0.57, "eer": 0.45})
    edit_metrics("phase1", backbone_low={"auc": 0.55, "eer": 0.45})
    text = report("--base", "main")
    assert "**1 experiment changed, the largest change of AUC is +0.020 (`simple_cnn_low`: 0.550 → 0.570); " in text


def test_an_experiment_that_only_moved_did_not_change(checkout, report):
    edit_metrics("phase1", simple_cnn_low=None, backbone_low={"auc": 0.55, "eer": 0.45})
    edit_metrics("imbalance", simple_cnn_low={"auc": 0.55, "eer": 0.45})
    assert "**No experiment changed, but " in report("--base", "main")


# --- stale results


def test_a_parameter_changed_without_a_run_is_stale(checkout, report, runner):
    write_params(studies__phase1__runs__simple_cnn_low__seed=60)
    commit("forgot to run")
    text = report("--base", "main")
    assert "; the committed results are stale: 1 stage would run.**" in text
    assert section(text, "Stale results") == (
        "`dvc repro` would run 1 stage: `phase1`.\n\n"
        "Read what these write, and run too if that changes: 2 stages: `phase3`, `summary`.\n\n"
        "Run `dvc repro` and commit dvc.lock and reports/; what a change does not reach comes from the run store.\n"
    )
    strict = runner.invoke(cli.main, ["ci-report", "--base", "main", "--strict"])
    assert strict.exit_code == 1
    assert strict.stdout == text
    assert strict.stderr == "deepfake: `dvc repro` would run stages; run it, and commit dvc.lock and reports/\n"


def test_the_stages_are_those_that_dvc_would_run(original, tmp_path, monkeypatch, report):
    """With all data at hand DVC finds the same."""
    shutil.copytree(original, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    faster = {"studies__phase1__runs__backbone_low__optimizer": {"lr": 0.002}}
    write_params(**faster, studies__imbalance__runs__balance_bce__seed=60)
    text = report("--base", "main")
    dry = re.findall(r"Running stage '([^']+)'", call("dvc", "repro", "--dry"))
    assert dry == ["imbalance"]
    assert section(text, "Stale results").split("\n")[0] == "`dvc repro` would run 1 stage: `imbalance`."
    call("dvc", "repro")
    commit("run")
    assert "up to date with code and parameters.**" in report("--base", "main", "--strict")


def test_a_figure_edited_by_hand_is_stale(checkout, report):
    edit_metrics("phase1", simple_cnn_low={"auc": 0.99, "eer": 0.01})
    assert "would run 1 stage: `phase1`" in report("--base", "main", "--strict", code=1)


def test_a_result_that_was_never_committed_is_stale(checkout, report):
    (paths().reports / "phase1/other.csv").write_text("a\n1\n")
    # the summary reads all of the folder
    assert "would run 2 stages: `phase1`, `summary`" in report("--base", "main", "--strict", code=1)


def test_other_code_is_stale_and_a_comment_in_params_is_not(checkout, report):
    with paths().params.open("a") as params:
        params.write("# more to come\n")
    commit("a comment")
    assert "up to date with code and parameters.**" in report("--base", "main", "--strict")
    with Path("study.py").open("a") as code:
        code.write("# more to come\n")
    commit("code")
    text = report("--base", "main", "--strict", code=1)
    # in the order in which they would run
    assert "would run 3 stages: `phase1`, `phase3`, `imbalance`." in text


# --- mistakes


def test_a_revision_that_is_not_there_is_one_line(checkout, runner):
    assert "git knows no revision 'mian'" in refused(runner, "--base", "mian")
    assert "fetch-depth: 0" in refused(runner, "--base", "mian")
    # never taken for an option of git
    assert "git knows no revision '--all'" in refused(runner, "--base=--all")


def test_histories_without_a_common_commit_are_one_line(checkout, runner, original, tmp_path, monkeypatch):
    call("git", "switch", "-q", "--orphan", "other")
    call("git", "commit", "-q", "--allow-empty", "-m", "nothing")
    assert "no commit in common" in refused(runner, "--base", "main")
    call("git", "clone", "-q", "--depth=1", "--no-single-branch", original.as_uri(), str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    assert "fetch-depth: 0" in refused(runner, "--base", "origin/main")


def test_outside_a_repository_is_one_line(tmp_path, monkeypatch, runner, home):
    monkeypatch.chdir(tmp_path)
    assert "not inside a git repository" in refused(runner, "--base", "main")
    call("git", "init", "-q")
    assert "nothing is committed yet" in refused(runner, "--base", "main")
    call("git", "commit", "-q", "--allow-empty", "-m", "nothing")
    assert refused(runner, "--base", "HEAD").startswith("deepfake: dvc: you are not inside of a DVC repository")


def test_a_pipeline_that_cannot_be_read_is_one_line(checkout, runner):
    Path("dvc.yaml").write_text("stages: [")
    assert refused(runner, "--base", "main").startswith("deepfake: dvc")


# --- what is heavy, what is long, where the plots are


def test_it_needs_no_torch(checkout):
    code = (
        "import sys, deepfake.cli\n"
        "try:\n    deepfake.cli.main(['ci-report', '--base', 'main'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print({'torch', 'timm', 'pandas'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"


def test_what_github_would_refuse_is_left_out_and_named(checkout, report, monkeypatch):
    whole = report("--base", "main", "--full")
    monkeypatch.setattr(page, "LIMIT", 900)
    cut = report("--base", "main")
    assert len(cut) <= 900 < len(whole)
    assert report("--base", "main", "--full") == whole
    assert f"*Metrics: left out ({len(page.Section('Metrics', section(whole, 'Metrics')).text())} characters), " in cut
    assert "see what `deepfake ci-report --full` prints.*" in cut
    # what comes after it and fits is shown
    assert section(whole, "Parameters").strip() in cut


@given(st.lists(st.text("x|\n", max_size=400), max_size=8), st.integers(1200, 3000))
def test_no_comment_is_longer_than_it_may_be(bodies, limit):
    sections = [page.Section(f"title {number}", body) for number, body in enumerate(bodies)]
    text = page.comment("opening", sections, limit=limit, elsewhere="elsewhere")
    assert len(text) <= limit
    whole = page.comment("opening", sections, limit=None, elsewhere="elsewhere")
    if len(whole) <= limit - 60 * len(bodies):
        assert text == whole


def test_in_a_workflow_the_run_is_linked(checkout, report, monkeypatch):
    for name, value in {"SERVER_URL": "https://host", "REPOSITORY": "us/deepfake", "RUN_ID": "7"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    text = report("--base", "main")
    link = "the artifact `report` of [this run](https://host/us/deepfake/actions/runs/7#artifacts)"
    assert section(text, "Site and plots") == (
        f"In {link}: `reports/site/index.html`, and `plots/index.html` before and after.\n"
    )
    monkeypatch.setattr(page, "LIMIT", 1000)
    assert f"see {link}.*" in report("--base", "main")


# --- tables


def test_a_table_marks_rows_that_are_new_or_gone():
    before = "Model,AUC,EER\nA,0.5,0.1\nB,0.6,0.1\n"
    after = "Model,AUC,EER\nA,0.5002,0.1\nC,0.7,0.1\n"
    assert page.table(before, after) == (
        "| Model    | AUC                     |\n"
        "|----------|-------------------------|\n"
        "| A        | 0.500 → 0.500 (+0.0002) |\n"
        "| C (new)  | 0.700                   |\n"
        "| B (gone) | 0.600                   |"
    )


def test_a_table_that_is_new_or_gone():
    text = "Model,AUC\nA,0.5\n"
    assert page.table(None, text) == "| Model   | AUC   |\n|---------|-------|\n| A (new) | 0.500 |"
    assert page.table(text, None) == "Gone."
    assert page.table("auc\n0.5\n", None) is None


def test_a_value_that_appears_and_words_that_change_are_shown():
    before = "Phase,Variable Tested,Conclusion\n1,Architecture,cannot | be said\n"
    after = "Phase,Variable Tested,Conclusion\n1,Architecture,ResNet18\n"
    assert "| 1       | Architecture      | cannot \\| be said → ResNet18 |" in page.table(before, after)
    assert "- → 0.600 |" in page.table("Model,AUC\nA,\n", "Model,AUC\nA,0.6\n")


def test_a_table_whose_aucs_stayed_names_what_changed():
    before, after = "Model,AUC,EER,EER low\nA,0.5,0.1,0\n", "Model,AUC,EER,EER low\nA,0.5,0.2,0.1\n"
    assert page.table(before, after) == "AUCs and conclusions stayed. Changed: EER."
    assert page.table("Model,AUC,AUC std\nA,0.5,0.1\n", "Model,AUC,AUC std\nA,0.5,0.2\n").endswith("Changed: details.")


def test_a_table_that_is_broken_or_of_another_shape_is_shown_all_the_same():
    before, after = "Model,AUC\nA,0.5\n", "Experiment,Model,AUC\nrun,A,0.5\n<<<<<<< HEAD\nother,A,0.6,0.7\n"
    lines = page.table(before, after).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "run (new)",
        "<<<<<<< HEAD (new)",
        "other (new)",
        "A (gone)",
    ]


def test_rows_of_one_name_are_told_apart_by_their_order():
    before, after = "Model,AUC\nA,0.5\nA,0.6\n", "Model,AUC\nA,0.5\nA,0.7\n"
    assert "| A       | 0.600 → 0.700 (+0.100) |" in page.table(before, after)
    assert "new" not in page.table(before, after)


def test_every_committed_table_for_people_shows_its_scores():
    """A heading that is renamed must not vanish from the comment in silence."""
    shown = {}
    for path in sorted((ROOT / paths().reports).rglob("*.csv")):
        text = page.table(None, path.read_text("utf-8")) if not changes.is_curve(path) else None
        if text:
            shown[path.stem] = text.split("\n")[0].count("|") - 2
    names = {"summary_study"}  # of other tables the findings say what changed (`test_ci_verdicts`)
    assert names <= set(shown)
    assert all(shown.values()), shown
