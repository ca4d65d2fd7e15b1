import pandas as pd
import pytest
from leak_rows import frame, row, run
from markdown_tables import shown
from PIL import Image

from deepfake import config
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.studies.shortcuts import page as shortcuts_page
from deepfake.tables import results


def test_the_table_puts_the_worst_first_and_names_what_is_of_no_use():
    rows = frame(row("noise", 0.7, "moderate"), row("width", 0.5), row("bytes", 0.95, "severe"), row("all", 0.58))
    table, rest = shortcuts_page.severity_table(rows).split("\n\n")
    assert [line.split("|")[3].strip() for line in table.splitlines()[2:]] == ["bytes", "noise", "all"]
    assert rest.endswith("files: width.")


def test_a_run_without_overlap_has_no_figure_on_matched_samples():
    text = shortcuts_page.runs_table(frame(run(), run(overlap=False, matched_auc=float("nan"))))
    assert text.count("no overlap") == 1 and "nan" not in text


def write(rows: pd.DataFrame, name: str) -> None:
    results.write(rows.reindex(columns=list(results.find(name)[0].columns)), name)


def test_the_page_is_written_with_its_figure(project):
    rows = frame(row("width", 0.97, "severe"), row("noise"), row("all", 0.97, "severe"))
    write(rows, "probes")
    write(frame(run(), run(leak="files", overlap=False)), "shortcuts_runs")
    shortcuts_page.write(config.load(), "sample")
    assert shown("shortcuts") == ["shortcuts/shortcuts.png"]
    assert shortcuts_page.runs_table(frame(run(), run(leak="files", overlap=False))) in paths().page(
        "shortcuts"
    ).read_text("utf-8")
    with Image.open(paths().figure("shortcuts")) as picture:
        assert picture.format == "PNG" and picture.width > 300
    assert "width (AUC 0.970" in shortcuts_page.headline(config.load())
    before = paths().figure("shortcuts").read_bytes()
    shortcuts_page.write(config.load(), "sample")
    assert paths().figure("shortcuts").read_bytes() == before


def test_a_page_of_another_data_set_has_a_name_of_its_own(project):
    write(frame(row("width", 0.97, "severe"), row("noise"), row("all")), "own_mine_probes")
    write(frame(run()), "own_mine_shortcuts_runs")
    shortcuts_page.write(config.load(), "mine")
    assert shown("own_mine_shortcuts") == ["own/own_mine_shortcuts.png"]


def test_a_page_without_an_audit_says_what_to_run(project):
    for write in (
        lambda: shortcuts_page.write(config.load(), "sample"),
        lambda: shortcuts_page.headline(config.load()),
    ):
        with pytest.raises(InputError, match="deepfake probe sample"):
            write()
