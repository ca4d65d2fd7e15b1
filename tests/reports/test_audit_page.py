import pytest
from leak_rows import frame, row, run
from PIL import Image

from deepfake import config, layout, tables
from deepfake.errors import InputError
from deepfake.reports import audit


def test_the_table_puts_the_worst_first_and_names_what_is_of_no_use():
    rows = frame(row("noise", 0.7, "moderate"), row("width", 0.5), row("bytes", 0.95, "severe"), row("all", 0.58))
    table, rest = audit.severity_table(rows).split("\n\n")
    assert [line.split("|")[3].strip() for line in table.splitlines()[2:]] == ["bytes", "noise", "all"]
    assert rest.endswith("files: width.")


def test_a_run_without_overlap_has_no_figure_on_matched_samples():
    text = audit.runs_table(frame(run(), run(overlap=False, matched_auc=float("nan"))))
    assert text.count("no overlap") == 1 and "nan" not in text


def test_the_page_is_written_with_its_figure(project):
    rows = frame(row("width", 0.97, "severe"), row("noise"), row("all", 0.97, "severe"))
    tables.write_csv(rows, layout.table("audit"))
    tables.write_csv(frame(run(), run(leak="files", overlap=False)), layout.table("audit_runs"))
    audit.write(config.load(), "sample")
    text = layout.page("audit").read_text("utf-8")
    assert "weak** from 0.6" in text and "(figures/audit.png)" in text and "## What detectors make of it" in text
    with Image.open(layout.figure("audit")) as picture:
        assert picture.format == "PNG" and picture.width > 300
    assert audit.headline(config.load()).startswith("Without a look at the content, geometry by width (AUC 0.970")
    before = layout.figure("audit").read_bytes()
    audit.write(config.load(), "sample")
    assert layout.figure("audit").read_bytes() == before


def test_a_page_without_an_audit_says_what_to_run(project):
    with pytest.raises(InputError, match="run deepfake probe sample, then deepfake shortcuts sample"):
        audit.write(config.load(), "sample")
    with pytest.raises(InputError, match="run deepfake probe sample, then deepfake shortcuts sample"):
        audit.headline(config.load())
