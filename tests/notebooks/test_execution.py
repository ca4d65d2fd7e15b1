"""Notebooks executed: whole or not at all, the same bytes again, and pages that need nothing else."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from PIL import Image

from conftest import ROOT
from deepfake.cli import main
from deepfake.project import Project, paths
from deepfake.reports.findings import Finding, write
from deepfake.studies.notebooks import execution

FIRST = """# %% [markdown]
# # Of <b>one</b> & all

# %%
from deepfake.reports import notebook as nb

nb.start("01_x")
"""


class Page(HTMLParser):
    """What a page refers to, its pictures and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[str] = []
        self.alternatives: list[str | None] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "data", "srcset", "action")]
        if tag == "img":
            self.alternatives.append(given.get("alt"))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def project(tmp_path, monkeypatch) -> Iterator[Path]:
    """A project in which no study was run, with one notebook."""
    for name in ("params.yaml", "data/catalog.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    with Project(Path()).entered():
        yield tmp_path


def _notebook(project: Path, *cells: str, name: str = "01_x") -> None:
    text = FIRST.replace("01_x", name) + "".join(f"\n# %%\n{cell}\n" for cell in cells)
    (project / "notebooks" / f"{name}.py").write_text(text, "utf-8")


def _run(*names: str):
    return CliRunner().invoke(main, ["notebooks", *names])


def test_a_notebook_whose_studies_were_not_run_says_so_and_touches_nothing_of_the_users(
    project, monkeypatch, tmp_path_factory
):
    home = tmp_path_factory.mktemp("home")
    (home / "kernels/python3").mkdir(parents=True)
    (home / "kernels/python3/kernel.json").write_text('{"argv": ["false"], "display_name": "x", "language": "python"}')
    before = sorted(home.rglob("*"))
    home.chmod(0o555)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("JUPYTER_PATH", str(home))
    shutil.copy(ROOT / "notebooks/03_phase1_analysis.py", project / "notebooks")
    done = _run()
    assert done.exit_code == 0, done.output
    page = Page((project / "reports/notebooks/03_phase1_analysis.html").read_text("utf-8"))
    assert "dvc repro phase1" in page.text and "dvc repro explain" in page.text
    assert "Traceback" not in page.text and page.alternatives == []
    assert page.text.count("Not run.") >= 15
    assert sorted(home.rglob("*")) == before


def test_what_is_shown_is_in_page_notebook_and_folder_and_has_the_same_bytes_again(project):
    figures = {"verdict": "better", "effect": 0.1, "low": 0.05, "high": 0.15}
    write("phase1", [Finding.model_validate({"id": "a", "question": "Is <script>alert(1)</script> better?"} | figures)])
    paths().figure("phase1_auc").parent.mkdir(parents=True)
    Image.new("L", (2, 2)).save(paths().figure("phase1_auc"))
    paths().table("phase1_auc").write_text("a,b\n1,2\n")
    _notebook(project, 'nb.figure("phase1_auc", "AUC <of> \\"each\\"")', 'nb.conclude("phase1", "a", better="Take A")')
    assert _run("01_x").exit_code == 0
    html = (project / "reports/notebooks/01_x.html").read_text("utf-8")
    page = Page(html)
    assert page.alternatives == ['AUC <of> "each"']
    assert "Take A — Is <script>alert(1)</script> better? Yes." in page.text
    assert "ΔAUC +0.100 [+0.050, +0.150]" in page.text
    # the page asks for nothing
    assert [one for one in page.references if not one.startswith(("#", "data:"))] == []
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "http" not in html and "@import" not in html and "url(" not in html
    assert "<title>Of &lt;b&gt;one&lt;/b&gt; &amp; all</title>" in html
    notebook = json.loads((project / "reports/notebooks/01_x.ipynb").read_text("utf-8"))
    nbformat.validate(notebook)
    assert "Take A" in "".join(notebook["cells"][-1]["outputs"][0]["data"]["text/plain"])
    assert [cell["id"] for cell in notebook["cells"]] == ["cell-01", "cell-02", "cell-03", "cell-04"]
    assert "iopub" not in json.dumps(notebook) and "version" not in json.dumps(notebook["metadata"])
    folder = project / "reports/notebooks/01_x"
    assert (folder / "01_phase1_auc.png").read_bytes() == paths().figure("phase1_auc").read_bytes()
    assert (folder / "01_phase1_auc.csv").read_text() == "a,b\n1,2\n"
    assert "Take A" in (folder / "02_phase1_a.md").read_text("utf-8")
    listed = [line.rsplit(",", 1)[1] for line in (folder / "index.csv").read_text("utf-8").splitlines()[1:]]
    assert sorted(listed) == sorted(path.name for path in folder.iterdir() if path.name != "index.csv")
    before = _digests(project / "reports/notebooks")
    assert _run().exit_code == 0
    assert _digests(project / "reports/notebooks") == before


def _digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_cell_that_fails_is_named_and_leaves_what_was_there(project):
    folder = project / "reports/notebooks"
    (folder / "01_x").mkdir(parents=True)
    for name in ("01_x.html", "01_x.ipynb", "01_x/index.csv"):
        (folder / name).write_text("before")
    before = _digests(folder)
    _notebook(project, 'nb.conclusions("phase1")', "1 / 0")
    _notebook(project, "1 / 1", name="02_y")
    done = _run()
    assert done.exit_code == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("deepfake:")]
    assert line == "deepfake: notebooks/01_x.py: cell 4 (1 / 0): ZeroDivisionError: division by zero; fix the cell"
    after = _digests(folder)
    assert {name: digest for name, digest in after.items() if "02_y" not in name} == before
    # the other one is whole, and nothing temporary is left
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["01_x", "01_x.html", "01_x.ipynb", "02_y", "02_y.html", "02_y.ipynb"]
    )


def test_a_kernel_that_dies_is_one_line(project):
    _notebook(project, "import os\nos._exit(1)")
    done = _run()
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert "notebooks/01_x.py: cell 3 (import os)" in done.stderr
    assert not (project / "reports").exists()


def test_a_cell_that_hangs_is_one_line(project, monkeypatch):
    monkeypatch.setattr(execution, "TIMEOUT", 3)
    _notebook(project, "import time", "time.sleep(99)")
    done = _run()
    assert done.exit_code == 2
    assert "cell 4 (time.sleep(99)): took longer than 3 s" in done.stderr


def test_a_notebook_that_is_not_there_and_a_folder_without_one(project):
    assert "no notebook" in _run().stderr
    _notebook(project, "1")
    done = _run("01_y")
    assert done.exit_code == 2
    assert "unknown notebook '01_y'; did you mean 01_x?" in done.stderr
