"""Pages of what is odd, damaged or missing: all is said, nothing is executed, and the pages are still built."""

import hashlib
import json
import shutil
import zipfile
from io import BytesIO

import numpy as np
import pandas as pd
import parsed_pages
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from sklearn.metrics import roc_auc_score

from conftest import ROOT
from deepfake import cli, config, tables
from deepfake.datasets import catalog
from deepfake.project import paths
from deepfake.runs import store
from deepfake.studies.data_cards import page as data_card
from deepfake.studies.site import data_sets, models, run_facts, run_page, runs
from deepfake.studies.site import page as page_of_site
from deepfake.tables import results as result_tables
from stored_runs import RUN, copy_run, edit

LONG = "a_name_of_forty_characters_" + "x" * 13
HTML = "<img src=x onerror=alert(1)>"
ARABIC = "تجربة_أولى"


def page(name: str) -> parsed_pages.Page:
    return parsed_pages.read(paths().site / f"runs/{name}.html")


def lines(name: str) -> str:
    """Return the text of a run's page, each run of spaces as one."""
    return " ".join(page(name).text.split())


@pytest.fixture
def entry(copied) -> store.Entry:
    """What the run store says of the tiny study's run."""
    return store.Entry.model_validate_json((paths().run(RUN) / "entry.json").read_text())


def test_the_hashes_are_those_of_the_files(entry):
    runs.write()
    shown = page(RUN).settings("SHA-256 of the run's files")
    assert shown == {
        path.relative_to(paths().run(RUN)).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths().run(RUN).rglob("*")
        if path.is_file() and path.name != "entry.json"
    }
    provenance = page(RUN).settings("Provenance")
    assert provenance["Key in the run store"] == entry.key
    manifest = hashlib.sha256(paths().manifest("sample").read_bytes()).hexdigest()
    assert provenance["SHA-256 of the data's manifest"] == manifest
    assert f"deepfake train {RUN}" in lines(RUN) and f"deepfake predict FILE --run {RUN}" in lines(RUN)


def test_a_study_that_was_not_run_is_said(copied):
    for write in (runs.write, models.write, data_sets.write):
        write()
    assert "No study has compared this run, so its AUC has no interval." in lines(RUN)
    card = parsed_pages.read(paths().site / f"models/{RUN}.html")
    assert "Its study has not been run, so its AUC has no interval" in card.text
    data = parsed_pages.read(paths().site / "data/sample.html")
    assert "It was not probed" in data.text


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("history.csv", "There is no history of its training here."),
        ("predictions.parquet", "Its predictions, or the manifest of its data set, are not here"),
        ("config.json", "Its configuration is missing or of another version"),
        ("metrics.json", "Its headline metrics are missing"),
        ("confusion.csv", "Its confusion matrix is missing."),
        ("entry.json", "The run store has no whole entry of this run"),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "damaged", "empty"])
def test_what_a_run_lacks_is_said_and_the_page_is_built(copied, gone, said, damage):
    runs.write()
    assert said not in lines(RUN)
    path = paths().run(RUN) / gone
    path.unlink()
    if damage != "missing":
        path.write_text("" if damage == "empty" else "[1, 2", encoding="utf-8")
    for write in (runs.write, models.write, data_sets.write):
        write()
    assert said in lines(RUN)
    assert not [link for link in parsed_pages.dead_links(paths().site / f"runs/{RUN}.html") if "models/" in link]


def test_a_run_without_anything_has_a_page(copied):
    shutil.rmtree(paths().run(RUN))
    (paths().study("phase1") / "bare").mkdir(parents=True)
    for write in (runs.write, models.write, data_sets.write):
        write()
    assert "Neither checkpoints' records nor predictions are here." in lines("bare")
    assert parsed_pages.read(paths().site / "models/index.html").tables == {}


def test_without_any_run_the_indexes_say_how_to_train(copied):
    shutil.rmtree(paths().runs)
    assert [path.name for path in (*runs.write(), *models.write())] == ["index.html", "index.html"]
    assert "No run is here" in parsed_pages.read(paths().site / runs.INDEX).text
    assert "No run of these phases is here" in parsed_pages.read(paths().site / models.INDEX).text


def test_a_clone_without_runs_keeps_their_pages(copied, monkeypatch):
    page_of_site.write(config.load())
    made = {path: path.read_bytes() for path in paths().site.rglob("*") if path.is_file()}
    assert paths().site / f"runs/{RUN}.html" in made and paths().site / f"models/{RUN}.html" in made
    (paths().site / "runs/gone.html").write_text("old")
    # a clone has what git keeps: neither runs nor what was made of the data
    shutil.rmtree(paths().runs)
    shutil.rmtree(paths().manifest("sample").parent)
    result = CliRunner().invoke(cli.main, ["site"])
    assert result.exit_code == 0 and result.output.count(f"not below runs/: {RUN}") == 1, result.output
    assert {path: path.read_bytes() for path in paths().site.rglob("*") if path.is_file()} == made


def test_a_run_that_is_trained_in_a_clone_without_runs_has_its_page(copied):
    page_of_site.write(config.load())
    lists = {name: (paths().site / name).read_bytes() for name in (runs.INDEX, models.INDEX, data_sets.INDEX)}
    copy_run("custom")
    (paths().study("custom")).mkdir()
    paths().run("custom").rename(paths().study("custom") / "custom")
    shutil.rmtree(paths().run(RUN))
    page_of_site.write(config.load())
    assert (paths().site / "runs/custom.html").exists() and (paths().site / f"runs/{RUN}.html").exists()
    assert {name: (paths().site / name).read_bytes() for name in lists} == lists


def test_an_auc_of_no_study_is_said_to_be_over_all_pairs(copied):
    runs.write()
    predictions = pd.read_parquet(paths().predictions(RUN)).query("subset == 'held_out'")
    labels = pd.read_parquet(paths().manifest("sample")).set_index("sample_id")["label"]
    predictions = predictions.assign(label=predictions["sample_id"].map(labels))
    aucs = [roc_auc_score(part["label"], part["logit"]) for _, part in predictions.groupby("fold")]
    index = parsed_pages.read(paths().site / runs.INDEX)
    assert index.column("All runs", "AUC [interval]") == [f"{np.mean(aucs):.3f} (all pairs)"]


def test_predictions_of_other_samples_are_not_shown(copied):
    predictions = pd.read_parquet(paths().predictions(RUN))
    tables.write(
        predictions.assign(sample_id="x" + predictions["sample_id"]), paths().predictions(RUN), tables.PREDICTIONS
    )
    runs.write()
    assert "are not here" in lines(RUN) and "Predictions by source" not in page(RUN).tables


@pytest.mark.parametrize("subset", ["held_out", "validation"])
def test_predictions_of_one_class_are_no_crash(copied, subset):
    predictions = pd.read_parquet(paths().predictions(RUN))
    fakes = ~predictions["sample_id"].str.startswith("wiki") | (predictions["subset"] != subset)
    tables.write(predictions[fakes], paths().predictions(RUN), tables.PREDICTIONS)
    for write in (runs.write, models.write, data_sets.write):
        write()
    assert "are not here" in lines(RUN)


@pytest.mark.parametrize("name", [HTML, LONG, ARABIC])
def test_odd_names_are_text_and_lead_to_their_page(copied, name):
    copy_run(name)
    edit(paths().config(name), experiment=name)
    written = [*runs.write(), *models.write(), *data_sets.write()]
    assert name in page(name).text
    for path in written:
        tags = parsed_pages.read(path).tags
        assert not [named for _, named in tags if "onerror" in named or named.get("src") == "x"]
        links = parsed_pages.dead_links(path)  # the studies' pages are not written here
        assert [link for link in links if any(folder in link for folder in ("runs/", "models/", "data/"))] == []
    headings = [named for tag, named in page(name).tags if tag == "h1"]
    assert headings == [{"dir": "auto"}]


@pytest.mark.parametrize(
    "changes", [{"kind": "re-evaluated"}, {"kind": "ensemble"}, {"kind": "fine-tuned"}, {"ensemble": 3}, {"kind": None}]
)
def test_a_configuration_that_lacks_a_key_is_no_crash(copied, changes):
    edit(paths().config(RUN), **changes)
    runs.write()
    models.write()
    assert page(RUN).text


def many(sources: int) -> run_facts.RunFacts:
    """Return a run whose data set has many sources."""
    rng = np.random.default_rng(0)
    rows = [
        {"sample_id": f"{source}_{n}", "source": f"generator {source:03d}", "label": int(source > 0), "group": f"g{n}"}
        | {"fold": fold, "repeat": 0, "subset": subset, "logit": rng.normal() + (source > 0)}
        for source in range(sources)
        for n in range(4)
        for fold, subset in ((n % 2, "held_out"), (1 - n % 2, "validation"))
    ]
    return run_facts.RunFacts(RUN, "phase1", {}, None, None, {}, pd.DataFrame(rows), None, None, {})


def test_two_hundred_sources_fold_away(copied):
    runs.write([many(200)])
    shown = page(RUN)
    assert len(paths().site.joinpath(f"runs/{RUN}.html").read_bytes()) < 60_000
    assert len([tag for tag, _ in shown.tags if tag == "svg"]) == run_page.MOST_PANELS
    assert "the table has all 200" in lines(RUN)
    assert len(shown.tables["Predictions by source"]) == 201
    assert "details" in [tag for tag, _ in shown.tags]
    few = run_page.shares(many(run_page.MOST_SOURCES))
    assert few is not None and few.shape == (20, 1 + run_page.MOST_SOURCES)


def test_reasons_and_titles_with_html_are_text(copied):
    reasons = ["<script>alert(1)</script>", f"{HTML} | broken", "[link](javascript:alert(1))"]
    columns = {"archive": "", "path": f"{HTML}.jpg", "source": "wiki"}
    tables.write_csv(pd.DataFrame({"reason": reasons}).assign(**columns), paths().quarantine("sample"))
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    data_card.write("sample", catalog.find("sample"), manifest)
    entries = yaml.safe_load(paths().catalog.read_text())
    entries["sample"] |= {"title": f"{HTML} {ARABIC}", "licence": "<b>none</b>"}
    paths().catalog.write_text(yaml.safe_dump(entries))
    data_sets.write()
    for name in ("sample", "index"):
        shown = parsed_pages.read(paths().site / f"data/{name}.html")
        assert [dict(named) for tag, named in shown.tags if tag in ("img", "b")] == []
        assert [named["src"] for tag, named in shown.tags if tag == "script"] == ["../assets/sort.js"]
        assert not [link for link in shown.links if "javascript" in link]
        assert f"{HTML} {ARABIC}" in shown.text
    assert "<script>alert(1)</script>" in parsed_pages.read(paths().site / "data/sample.html").text


def test_sizes_are_those_of_the_images(copied):
    sizes: dict[str, list[tuple[int, int]]] = {}
    for archive in sorted(paths().raw("sample").glob("*.zip")):
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                if not name.endswith("/"):
                    with Image.open(BytesIO(opened.read(name))) as image:
                        sizes.setdefault(archive.stem, []).append(image.size)
    data_sets.write()
    shown = parsed_pages.read(paths().site / "data/sample.html")
    found = {row[0]: row for row in shown.tables["Sizes and formats by source"][1:]}
    assert set(found) == set(sizes)
    for source, pairs in sizes.items():
        widths, heights = np.array(pairs).T
        for row, side in ((found[source][3], widths), (found[source][4], heights)):
            assert row == f"{np.median(side):.0f} ({side.min()} to {side.max()})"


def test_a_data_set_that_was_not_obtained_says_how_to_get_it(copied):
    entries = yaml.safe_load((ROOT / paths().catalog).read_text())
    paths().catalog.write_text(yaml.safe_dump(entries))
    written = data_sets.write()
    assert {path.stem for path in written} == {*catalog.load(), "index"}
    shown = parsed_pages.read(paths().site / "data/dff.html")
    assert "not obtained here" in shown.text and "deepfake data fetch dff" in shown.text
    index = parsed_pages.read(paths().site / data_sets.INDEX)
    samples = dict(
        zip(index.column("All data sets", "Data set"), index.column("All data sets", "Samples"), strict=True)
    )
    manifest = pd.read_parquet(paths().manifest("sample"))
    assert samples["dff"] == "not obtained" and samples["sample"] == f"{len(manifest):,}"


def test_folds_and_users_stand_on_the_data_sets_page(copied, runner):
    assert runner.invoke(cli.main, ["split", "sample"]).exit_code == 0  # writes the data card
    data_sets.write()
    shown = parsed_pages.read(paths().site / "data/sample.html")
    assert shown.column("Runs that use the data set", "Run") == [RUN]
    manifest = pd.read_parquet(paths().manifest("sample"))
    facts = shown.settings("The data set")
    fakes = int(manifest["label"].sum())
    assert facts["Samples"] == f"{len(manifest):,}: {len(manifest) - fakes:,} real, {fakes:,} fake"
    folds = next(rows for rows in shown.tables.values() if "test set" in rows[0])
    counts = dict(zip(folds[0], next(row for row in folds if row[0] == "groups"), strict=True))
    assert counts["all"] == str(manifest["group"].nunique())
    headings = [tag for tag, _ in shown.tags if tag in ("h1", "h2", "h3")]
    assert headings.count("h1") == 1


def test_a_raw_configuration_can_be_read_as_json(copied):
    runs.write()
    text = page(RUN).text
    raw = text[text.index("The resolved configuration as JSON") + len("The resolved configuration as JSON") :]
    assert json.JSONDecoder().raw_decode(raw)[0] == json.loads(paths().config(RUN).read_text())


def test_quality_checks_are_shown_as_they_were_counted(copied):
    rows = pd.DataFrame({"check": ["no face", "minority", "faces"], "value": [12, 0.25, None]})
    rows["of"] = [1600, None, None]
    rows = rows.assign(dataset="sample", limit=0, outcome=["caution", "passed", "not_checked"], meaning="so it is")
    result_tables.write(pd.concat([rows, rows.assign(dataset="another")]), "eda_quality")
    data_sets.write()
    models.write()
    shown = parsed_pages.read(paths().site / "data/sample.html")
    assert shown.column("Quality checks", "Found") == ["12 of 1,600", "25.0%", "-"]
    assert shown.column("Quality checks", "Outcome") == ["caution", "passed", "not checked"]
    card = parsed_pages.read(paths().site / f"models/{RUN}.html")
    said = "Of 3 quality checks of sample, 1 passed; the others: no face (caution), faces (not checked)."
    assert said in " ".join(card.text.split())
