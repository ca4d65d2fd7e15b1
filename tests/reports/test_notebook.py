"""What cells of a notebook show, without a kernel: the display is caught."""

import json
from base64 import b64decode
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import IPython.display
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from conftest import ROOT
from deepfake.errors import InputError
from deepfake.project import Project, paths
from deepfake.reports import notebook as nb
from deepfake.reports import notebook_tables
from deepfake.reports.findings import Finding, write


class Cells(HTMLParser):
    """The cells of a table, row by row, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text = ""
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self.inside = tag in ("td", "th")
        if self.inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        self.text += data
        if self.inside:
            self.rows[-1][-1] += data


@pytest.fixture
def shown(tmp_path, monkeypatch) -> Iterator[list[str]]:
    """An open notebook in a project of its own, and the HTML that its cells show."""
    for name in ("params.yaml", "data/catalog.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: said.append(data["text/html"]))
    nb.start("09_x")
    said.clear()
    yield said
    Project(Path()).enter()


def _write(name: str, **columns) -> None:
    path = paths().table(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_csv(path, index=False)


def _tests() -> None:
    size = {"samples": [1187, 1187], "groups": [30, 30], "repeats": [3, 3]}
    test = {"difference": [0.1, np.nan], "low": [0.05, np.nan], "high": [0.15, np.nan], "p": [0.0001, 0.25]}
    changes = {
        f"{of}_{end}": [0.01, -0.02] for of in ("train_val_gap", "source_auc_variance") for end in ("low", "high")
    }
    changes |= {"train_val_gap_change": [0.015, 0.5], "source_auc_variance_change": [0.0, 0.0]}
    verdicts = {"verdict": ["better", "above_chance"], "reason": ["", ""], "detectable": [0.06, 0.06]}
    names = {"table": ["phase1", "phase1b"], "baseline": ["a", "a"], "experiment": ["b", "c"]}
    _write("phase1_tests", **names, **verdicts, **test, **size, **changes)


def test_figures_stand_in_one_cell_with_their_intervals(shown):
    _tests()
    nb.table("phase1_tests", "contrasts", ["experiment", "difference", "p", "verdict", "reason", "samples"])
    assert Cells(shown[0]).rows == [
        ["run", "difference [interval]", "p (Holm)", "verdict", "samples"],
        ["b", "+0.100 [+0.050, +0.150]", "<0.001", "better", "1,187"],
        ["c", "-", "0.250", "above chance", "1,187"],
    ]
    nb.table("phase1_tests", "gaps", ["train_val_gap_change"], {"table": "phase1"})
    assert Cells(shown[1]).rows == [["train val gap change [95% CI]"], ["+0.015 [+0.010, +0.010]"]]
    saved = pd.read_csv(paths().executed_notebook("09_x") / "01_phase1_tests.csv")
    assert saved["difference [interval]"].tolist()[0] == 0.1
    assert saved["difference [interval] low"].tolist()[0] == 0.05


def test_a_ratio_among_large_numbers_keeps_its_digits():
    sizes = pd.DataFrame({"median": [184.0, 175.95, 22400.0, 0.8214, 1.0, np.nan]})
    lines = notebook_tables.described(sizes, ["median"], None).markdown().splitlines()[2:]
    assert [line.strip("| ") for line in lines] == ["184", "176", "22,400", "0.821", "1", "-"]


@pytest.mark.parametrize(
    ("columns", "heading"),
    [
        ({"chance": "above_chance"}, "AUC [interval]"),
        ({"p_holm": 0.01}, "AUC [interval]"),
        ({"p": 0.01}, "AUC [95% CI]"),
        ({"chance": "above_chance", "in_domain": 1.0}, "AUC [95% CI]"),
    ],
)
def test_only_what_is_no_interval_of_a_test_is_called_a_confidence_interval(columns, heading):
    """Those of tests are as wide as the verdict and Holm's correction ask for: seldom 95%."""
    frame = pd.DataFrame([{"auc": 0.7, "auc_low": 0.6, "auc_high": 0.8} | columns])
    assert notebook_tables.described(frame, ["auc"], None).columns[0].heading == heading
    spread = pd.DataFrame([{"area": 0.7, "low": 0.6, "high": 0.8} | columns])
    assert notebook_tables.described(spread, ["area"], "area").columns[0].heading == "area [95% CI]"


def test_a_flag_is_a_word_or_unknown():
    frame = pd.DataFrame({"in_domain": [1.0, 0.0, np.nan]})
    lines = notebook_tables.described(frame, ["in_domain"], None).markdown().splitlines()[2:]
    assert [line.strip("| ") for line in lines] == ["yes", "no", "-"]


def test_rows_that_are_wanted_and_runs_of_a_contrast(shown):
    _tests()
    assert nb.runs("phase1", "phase1") == ["a", "b"]
    assert nb.runs("phase2", "phase2b") == []
    nb.table("phase1_tests", "contrasts", ["experiment"], {"experiment": nb.runs("phase1", "phase1b")})
    assert Cells(shown[0]).rows[1:] == [["c"]]
    nb.table("phase1_tests", "contrasts", ["experiment"], {"experiment": "z"})
    assert "No such row" in Cells(shown[1]).text
    nb.table("phase1_tests", "the largest", ["experiment"], largest=("train_val_gap_change", 1))
    assert Cells(shown[2]).rows[1:] == [["c"]]


def test_the_spread_over_folds_is_that_of_numpy(shown):
    rng = np.random.default_rng(0)
    columns = json.loads(json.dumps(list(pd.read_csv(ROOT / "reports/phase1/phase1_folds.csv"))))
    values = {name: rng.random(6) for name in columns if name not in ("experiment", "fold", "repeat")}
    _write("phase1_folds", experiment=["b"] * 3 + ["a"] * 3, fold=[0, 1, 2] * 2, repeat=[0] * 6, **values)
    nb.spread("phase1", "spread", ["auc", "auc_*"])
    rows = Cells(shown[0]).rows
    sources = [name for name in columns if name.startswith("auc_")]
    assert rows[0] == ["run", "folds", "AUC (mean ± std)", *(f"AUC {name[4:]} (mean ± std)" for name in sources)]
    expected = [f"{values[name][:3].mean():.3f} ± {values[name][:3].std(ddof=1):.3f}" for name in ("auc", *sources)]
    assert rows[1] == ["b", "3", *expected]


def test_what_a_reader_looks_for_and_is_not_there_has_a_row_of_its_own(shown):
    _write("phase1_confusion", experiment=["a"], actual=["real"], predicted=["fake"], count=[3])
    how = {"experiment": {"a": "never", "In-The-Wild": "put it there"}}
    nb.table("phase1_confusion", "counts", ["actual", "experiment"], absent=how)
    assert Cells(shown[0]).rows[1:] == [["real", "a"], ["not run: put it there", "In-The-Wild"]]


def _findings(*verdicts: str) -> None:
    figures = {"effect": 0.1, "low": 0.05, "high": 0.15, "n_samples": 1187, "n_groups": 30, "repeats": 3}
    found = [
        {"id": f"m.{place}", "question": f"Is {place} <so>?", "verdict": verdict, "key": place == 0, **figures}
        for place, verdict in enumerate(verdicts)
    ]
    write("phase1", map(Finding.model_validate, found))


def test_conclusions_are_the_findings_counted_and_said(shown):
    _findings("better", "undecided", "worse")
    nb.conclusions("phase1", "m")
    text = Cells(shown[0]).text
    assert "2 of 3 questions are decided, 1 not." in text
    assert "Is 0 <so>? Yes. (ΔAUC +0.100 [+0.050, +0.150])" in text
    assert "Is 2 <so>? No, worse." in text
    nb.conclusions("phase1", key=True)
    assert "Is 1" not in Cells(shown[1]).text
    nb.findings("phase1", "m.1")
    assert Cells(shown[2]).rows[1][:3] == ["Is 1 <so>?", "undecided", "ΔAUC +0.100 [+0.050, +0.150]"]


def test_what_follows_is_the_sentence_of_the_verdict(shown):
    _findings("better", "undecided")
    nb.conclude("phase1", "m", better="Take it", otherwise="Open")
    text = Cells(shown[0]).text
    assert "Take it — Is 0 <so>? Yes." in text and "Open — Is 1 <so>? Undecided." in text


@pytest.mark.parametrize("prefix", ["x", "m.1.2"])
def test_a_question_that_was_not_asked_is_said(shown, prefix):
    _findings("better", "better")
    nb.conclude("phase1", prefix, otherwise="A")
    assert "Not asked" in Cells(shown[0]).text


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: nb.table("phase1_tests", "x", ["verdct"]), "unknown column 'verdct'; did you mean verdict?"),
        (lambda: nb.table("phase1_tests", "x", rows={"tabel": "a"}), "unknown column 'tabel'"),
        (lambda: nb.conclude("phase1", "m", beter="A"), "unknown verdict 'beter'; did you mean better"),
        (lambda: nb.conclude("phase1", "m", worse="A"), "no sentence for the verdict 'better'"),
    ],
)
def test_what_a_cell_gets_wrong_is_said(shown, call, said):
    _tests()
    _findings("better")
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        call()


@pytest.mark.parametrize(
    ("call", "command"),
    [
        (lambda: nb.table("phase4a_tests", "x y"), "dvc repro phase4"),
        (lambda: nb.spread("phase1", "x y", ["auc"]), "dvc repro phase1"),
        (lambda: nb.figure("explain_regions", "x y"), "dvc repro explain"),
        (lambda: nb.photograph("gradcam_phase2", "x y"), "dvc repro explain"),
        (lambda: nb.photograph("feature_maps", "x y"), "dvc repro explain"),
        (lambda: nb.photograph("views", "x y"), "dvc repro conditions"),
        (lambda: nb.photograph("sample_edited", "x y"), "dvc repro sample"),
        (lambda: nb.findings("robustness"), "dvc repro robustness"),
        (lambda: nb.conclusions("imbalance"), "dvc repro imbalance"),
        (lambda: nb.conclude("final", "test", otherwise="A"), "dvc repro final"),
        (lambda: nb.decision("final", "x y"), "dvc repro phase4"),
    ],
)
def test_what_was_not_run_says_what_runs_it(shown, call, command):
    call()
    assert command in Cells(shown[0]).text


def test_what_a_study_that_was_run_did_not_make_is_said_in_other_words(shown):
    _tests()
    nb.figure("phase1_auc", "AUC of each")
    nb.figure("phase2_differences", "differences of each")
    assert "Not among these results" in Cells(shown[0]).text and "dvc repro phase1" in Cells(shown[0]).text
    assert "Not run" in Cells(shown[1]).text


def test_an_svg_goes_before_its_png_and_both_are_saved(shown):
    figure = paths().figure("phase1_auc")
    figure.parent.mkdir(parents=True)
    figure.write_bytes(b"png")
    figure.with_suffix(".svg").write_bytes(b"<svg/>")
    nb.figure("phase1_auc", "AUC of each")
    nb.figure("phase1_auc", "AUC of each")
    assert 'src="data:image/svg+xml;base64,PHN2Zy8+"' in shown[0]
    saved = sorted(path.name for path in paths().executed_notebook("09_x").iterdir())
    assert saved == ["01_phase1_auc.png", "01_phase1_auc.svg", "index.csv"]


def test_a_photograph_is_embedded_as_jpeg_and_saved_as_it_is(shown):
    path = paths().photograph("views")
    path.parent.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 3200, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((3200, 400)).save(path)
    nb.photograph("views", "each view")
    head, data = shown[0].split('src="', 1)[1].split('"', 1)[0].split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(BytesIO(b64decode(data))) as embedded:
        assert (embedded.format, embedded.size) == ("JPEG", (1600, 200))
    assert (paths().executed_notebook("09_x") / "01_views.png").read_bytes() == path.read_bytes()


def test_the_stage_that_is_named_is_one_of_the_pipeline():
    from conftest import stages
    from deepfake.reports import notebook_output

    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    known = {name.split("@")[0] for name in stages(values)}
    assert set(notebook_output._STAGES.values()) <= known
