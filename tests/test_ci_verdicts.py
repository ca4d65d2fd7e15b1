"""What a pull request is told of verdicts that changed."""

import subprocess
from pathlib import Path

from deepfake.ops.ci_report import verdicts
from deepfake.project import Project, paths
from deepfake.reports import findings
from deepfake.reports.findings import Finding


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def test_a_verdict_that_changed_is_told_with_both_answers(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("{}\n")
    with Project(tmp_path).entered():
        old = [
            Finding(id="same", question="Same?", verdict="better"),
            Finding(id="turned", question="Turned?", verdict="undecided", effect=0.01),
            Finding(id="gone", question="Gone?", verdict="worse"),
        ]
        findings.write("phase1", old)
        git("init", "-q")
        git("add", "-A")
        git("commit", "-qm", "before")
        new = [
            Finding(id="same", question="Same?", verdict="better", effect=0.5),
            Finding(id="turned", question="Turned?", verdict="better", effect=0.1),
            Finding(id="new", question="New?", verdict="shortcut"),
        ]
        findings.write("phase1", new)
        found = verdicts.changed("HEAD")
        assert found == [
            ("phase1", "Turned?", "undecided", "yes"),
            ("phase1", "New?", "-", "yes"),
            ("phase1", "Gone?", "no, worse", "-"),
        ]
        section = verdicts.section(found)
        assert section is not None
        assert "| phase1 | Turned? | undecided | **yes** |" in section.text()
        findings.write("phase1", old)
        assert verdicts.section(verdicts.changed("HEAD")) is None
        assert paths().findings("phase1").exists()
