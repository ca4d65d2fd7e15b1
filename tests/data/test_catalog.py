import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from conftest import tiny_params
from deepfake.datasets import catalog, entries
from deepfake.datasets.layouts import adapters
from deepfake.errors import InputError
from deepfake.project import paths

COMMITTED = Path(__file__).parents[2] / "data" / "catalog.yaml"
ENTRY = {
    "title": "a test",
    "modality": "image",
    "adapter": "sources",
    "group": "basename",
    "sources": {"wiki": "real", "insight": "fake"},
    "licence": "none",
    "obtain": "ask",
}


PATTERNS = {"labels": {"**/0_real/**": "real", "**/1_fake/**": "fake"}, "source": "^(.*?)/", "splits": "from_folders"}
FOLDER = {key: value for key, value in ENTRY.items() if key != "sources"} | {"adapter": "folder"}
HUB = {"repo": "owner/name", "revision": "0123456789abcdef" * 2 + "01234567", "files": ["wiki.zip"]}


@pytest.fixture
def written(tmp_path):
    def write(entries) -> Path:
        path = tmp_path / "catalog.yaml"
        path.write_text(entries if isinstance(entries, str) else yaml.safe_dump(entries), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(("name", "group"), [("sample", "folder"), ("dff", "basename")])
def test_the_committed_catalog_has_the_images(name, group):
    entry = catalog.find(name, COMMITTED)
    assert entry.sources == {"wiki": "real", "inpainting": "fake", "insight": "fake", "text2img": "fake"}
    assert entry.group == group


def test_deepfakeface_is_pinned():
    hub = catalog.find("dff", COMMITTED).hub
    assert hub is not None
    assert (hub.repo, hub.revision) == ("OpenRL/DeepFakeFace", "eb2a54fbf2567790bd3dc61d09fdaade6bb6c31c")
    assert set(hub.files) == {f"{source}.zip" for source in catalog.find("dff", COMMITTED).sources}


def test_every_adapter_of_the_catalog_exists():
    known = catalog.DataSet.model_fields["adapter"].annotation
    assert set(get_args(known)) == set(adapters.ADAPTERS)


@pytest.mark.parametrize(
    "entry",
    [
        FOLDER,
        FOLDER | {"table": "meta/labels.csv"},
        FOLDER | {"group": "file"},
        ENTRY | {"hub": HUB},
        FOLDER | PATTERNS,
    ],
    ids=["folders", "table", "file", "hub", "patterns"],
)
def test_what_an_entry_may_be(written, entry):
    assert set(catalog.load(written({"mine": entry}))) == {"mine"}


def test_an_unknown_data_set_is_answered_with_the_nearest():
    with pytest.raises(
        InputError, match=rf"unknown data set 'sampel'; did you mean sample\b.*{re.escape(str(COMMITTED))}"
    ):
        catalog.find("sampel", COMMITTED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modalty": "image"}, r"mine\.modalty: unknown key; did you mean modality\?"),
        ({"modality": "smell"}, r"mine\.modality: .*unknown modality 'smell'; known: audio, image, video"),
        ({"adapter": "folders"}, r"mine\.adapter: "),
        ({"group": "person"}, r"mine\.group: "),
        ({"sources": {"wiki": "true"}}, r"mine\.sources\.wiki: "),
        ({"sources": ["wiki"]}, r"mine\.sources: "),
        ({"sources": {"../wiki": "real", "insight": "fake"}}, r"mine\.sources\.\.\./wiki"),
        ({"sources": {"wiki": "real"}}, r"mine: .*adapter sources needs the key sources: .*both real and fake"),
        ({"sources": {}}, r"mine: .*adapter sources needs the key sources"),
        ({"table": "labels.csv"}, r"mine: .*table goes with adapter folder"),
        ({"adapter": "folder"}, r"mine: .*remove the key sources"),
        ({"table": "../labels.csv"}, r"mine\.table: .*must name a file below the data set's folder"),
        ({"table": "/labels.csv"}, r"mine\.table: .*must name a file below"),
        ({"labels": {"real/**": "real", "fake/**": "fake"}}, r"mine: labels goes with adapter folder, without table"),
        ({"source": "label"}, r"mine: source goes with adapters folder and metadata"),
        ({"splits": "from_folder"}, r"mine\.splits: "),
        ({"splits": "from_folders", "groups_of": "good"}, r"mine: splits and groups_of: "),
        ({"recipe": "dff"}, r"mine: unknown recipe 'dff'; "),
        ({"modality": "vidoe"}, r"mine\.modality: unknown modality 'vidoe'; did you mean video\?"),
        ({"splits": {"tset": "**/test.json"}}, r"mine\.splits\.tset: unknown key"),
        ({"splits": {"train": "**/train.json"}}, r"mine\.splits\.test: this key is missing"),
        ({"splits": {"test": "../test.json"}}, r"mine\.splits\.test: .*must name a file below"),
        ({"table_names": "files"}, r"mine: columns, positive, negative and table_names .*add the key table"),
        ({"hub": HUB | {"revision": "main"}}, r"mine\.hub\.revision: "),
        ({"hub": HUB | {"repo": "https://host/owner/name"}}, r"mine\.hub\.repo: "),
        ({"hub": HUB | {"files": []}}, r"mine\.hub\.files: "),
        ({"hub": HUB | {"files": ["../x.zip"]}}, r"mine\.hub\.files\.0: .*below the data set's folder"),
        ({"hub": HUB | {"branch": "main"}}, r"mine\.hub\.branch: unknown key"),
    ],
)
def test_a_mistake_is_told_by_its_path(written, change, message):
    with pytest.raises(InputError, match=message):
        catalog.load(written({"good": ENTRY, "mine": ENTRY | change}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"real/**": "real"}}, r"mine: labels needs patterns of both real and fake"),
        ({"labels": {}}, r"mine\.labels: "),
        ({"labels": {"../real/**": "real", "fake/**": "fake"}}, r"mine\.labels.*must name a file below"),
        ({"labels": {"real/**": "real", "fake/**": "cat"}}, r"mine\.labels\.fake/\*\*: "),
        (
            {"labels": PATTERNS["labels"], "table": "labels.csv"},
            r"mine: labels goes with adapter folder, without table",
        ),
        ({"source": "gan"}, r"mine\.source: 'gan' reads nobody"),
        ({"source": "(gan"}, r"mine\.source: '\(gan' is not a regular expression"),
        ({"lables": PATTERNS["labels"]}, r"mine\.lables: unknown key; did you mean labels\?"),
        ({"adapter": "metadata", "labels": PATTERNS["labels"]}, r"mine: labels goes with adapter folder"),
    ],
)
def test_a_mistake_in_how_folders_are_read_is_told(written, change, message):
    with pytest.raises(InputError, match=message):
        catalog.load(written({"mine": FOLDER | change}))


@pytest.mark.parametrize("name", ["raw", "My Data", "../x", "a/b", "", 2024, "checked.json"])
def test_a_name_that_cannot_be_a_folder_is_refused(written, name):
    with pytest.raises(InputError, match=rf"{re.escape(repr(name))} cannot name a data set"):
        catalog.load(written({name: ENTRY}))


def test_a_missing_key_is_named(written):
    without = {key: value for key, value in ENTRY.items() if key != "licence"}
    with pytest.raises(InputError, match=r"mine\.licence: this key is missing"):
        catalog.load(written({"mine": without}))


def test_the_order_of_entries_and_sources_is_kept(written):
    entries = catalog.load(written(yaml.safe_dump({"b": ENTRY, "a": ENTRY}, sort_keys=False)))
    assert list(entries) == ["b", "a"]
    assert list(entries["a"].sources) == ["wiki", "insight"]


def test_an_empty_catalog_knows_nothing(written):
    with pytest.raises(InputError, match="unknown data set 'sample'"):
        catalog.find("sample", written(""))


@pytest.mark.parametrize("content", ["- a\n- list\n", "just words", "a: [1\n", "mine:\n", "mine: [1]\n"])
def test_a_file_that_is_no_catalog_is_refused(written, content):
    path = written(content)
    with pytest.raises(InputError, match=re.escape(str(path))):
        catalog.load(path)


def test_a_missing_catalog_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="not found"):
        catalog.load(tmp_path / "catalog.yaml")


# --- raw files


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for folder in ("elsewhere/real", "other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "elsewhere/real/a.jpg").write_bytes(b"a")
    return tmp_path


@pytest.mark.parametrize("absolute", [True, False])
def test_data_that_lies_elsewhere_is_linked(project, absolute):
    catalog.attach("mine", project / "elsewhere" if absolute else Path("elsewhere"))
    assert paths().raw("mine").is_symlink()
    assert (paths().raw("mine") / "real/a.jpg").read_bytes() == b"a"
    catalog.attach("mine", project / "elsewhere")  # again: nothing to do
    catalog.attach("mine", paths().raw("mine"))
    assert paths().raw("mine").resolve() == project / "elsewhere"


@pytest.mark.parametrize("path", ["missing", "elsewhere/real/a.jpg"])
def test_what_is_no_folder_is_not_linked(project, path):
    with pytest.raises(InputError, match=rf"{path}: not a folder"):
        catalog.attach("mine", Path(path))
    assert not paths().raw("mine").is_symlink()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda link: link.mkdir(), "is there already; remove it to use elsewhere instead"),
        (lambda link: link.write_text("x"), "is there already"),
        (lambda link: link.symlink_to("../../other"), r"is a link to \.\./\.\./other"),
        (lambda link: link.symlink_to("nowhere"), "is a link to nowhere"),
    ],
    ids=["folder", "file", "link", "dangling link"],
)
def test_what_is_there_is_never_replaced(project, make, message):
    link = paths().raw("mine")
    link.parent.mkdir(parents=True)
    make(link)
    before = link.lstat()
    with pytest.raises(InputError, match=rf"{link}: {message}"):
        catalog.attach("mine", Path("elsewhere"))
    assert link.lstat() == before


def test_raw_files_are_required_unless_the_project_makes_them(project, written):
    path = written({"sample": ENTRY, "mine": ENTRY})
    catalog.require("sample", path)
    with pytest.raises(InputError, match=r"data/raw/mine: not found; to obtain the data: ask"):
        catalog.require("mine", path)
    catalog.attach("mine", Path("elsewhere"))
    catalog.require("mine", path)


# --- DVC's copies of a workspace


@pytest.fixture
def copy_of(project, monkeypatch) -> Path:
    """A copy that DVC made of a workspace with raw data of all kinds, as the current folder."""
    raw = project / "data/raw"
    for folder in ("sample", "tracked", "lying_there", "both"):
        (raw / folder).mkdir(parents=True)
    (raw / "linked").symlink_to(project / "elsewhere")
    (raw / "gone").symlink_to(project / "nowhere")
    (raw / "notes.txt").write_text("no data")
    folder = project / ".dvc/tmp/exps/tmpx"
    (folder / "data/raw/both").mkdir(parents=True)
    (folder / "data/raw/tracked.dvc").write_text("outs: []")
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params() | {"dataset": "linked"}))
    names = ("linked", "gone", "tracked", "sample")
    (folder / "data/catalog.yaml").write_text(yaml.safe_dump(dict.fromkeys(names, ENTRY)))
    monkeypatch.chdir(folder)
    return folder


def test_a_copy_gets_the_raw_data_that_dvc_does_not_bring(copy_of, project):
    assert catalog.link_from_original() == []
    links = {path.name: path.resolve() for path in paths().raw_data.iterdir() if path.is_symlink()}
    assert links == {"linked": project / "elsewhere", "lying_there": project / "data/raw/lying_there"}
    assert (paths().raw("linked") / "real/a.jpg").read_bytes() == b"a"
    text = paths().links.read_text()
    assert catalog.link_from_original() == []  # again: nothing to do
    assert paths().links.read_text() == text


@pytest.mark.parametrize(("name", "missing"), [("gone", True), ("tracked", False), ("sample", False)])
def test_a_copy_tells_what_the_workspace_lacks_too(copy_of, name, missing):
    paths().params.write_text(yaml.safe_dump(tiny_params() | {"dataset": name}))
    said = [f"data/raw/{name}: not found; to obtain the data: ask"] if missing else []
    assert catalog.link_from_original() == said


def test_a_workspace_that_is_no_copy_gets_no_links(project, monkeypatch):
    (project / "other/data/raw").mkdir(parents=True)
    monkeypatch.chdir(project / "other")
    assert catalog.link_from_original() == []
    assert [path.name for path in paths().raw_data.iterdir()] == [paths().links.name]


# --- other people's results

REPORTED = {"title": "theirs", "accuracy": 99.7, "measured_on": "their own", "source": "a page"}
PREDICTIONS = {"title": "theirs", "file": "results.csv", "dataset": "In-The-Wild"}


def test_the_committed_catalog_reports_the_row_of_the_plan():
    (name, entry), *_ = catalog.load_reported(COMMITTED).items()
    assert (name, entry.title, entry.accuracy) == ("original_eval", "Original Eval (reported)", 99.7)
    assert {getattr(entry, figure) for figure in entries.REPORTED if figure != "accuracy"} == {None}
    assert not {"reported", "predictions"} & catalog.load(COMMITTED).keys()


def test_results_of_others_are_no_data_sets(written):
    path = written({"mine": ENTRY, "reported": {"a": REPORTED}, "predictions": {"b": PREDICTIONS | {"threshold": 0.3}}})
    assert set(catalog.load(path)) == {"mine"}
    assert catalog.load_reported(path)["a"].measured_on == "their own"
    assert catalog.load_predictions(path)["b"].threshold == 0.3
    with pytest.raises(InputError, match="unknown data set 'reported'"):
        catalog.find("reported", path)


@pytest.mark.parametrize("content", [{"mine": ENTRY}, {"reported": None, "predictions": {}}, ""])
def test_there_need_be_no_results_of_others(written, content):
    assert catalog.load_reported(written(content)) == catalog.load_predictions(written(content)) == {}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"reported": {"a": REPORTED | {"accuracy": 101}}}, r"reported: a\.accuracy: .*less than or equal to 100"),
        ({"reported": {"a": REPORTED | {"auc": 97}}}, r"reported: a\.auc: "),
        ({"reported": {"a": REPORTED | {"accuracy": None}}}, r"reported: a: .*at least one of accuracy, precision"),
        ({"reported": {"a": REPORTED | {"acuracy": 1}}}, r"reported: a\.acuracy: unknown key; did you mean accuracy"),
        ({"reported": {"A b": REPORTED}}, r"reported: 'A b' cannot be a name"),
        ({"reported": [REPORTED]}, r"reported: expected a mapping"),
        ({"reported": {"a": None}}, r"reported: a: "),
    ],
)
def test_a_mistake_in_what_is_reported_is_told(written, entries, message):
    path = written(entries)
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}: {message}"):
        catalog.load_reported(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "../x.csv"}, r"predictions: b\.file: .*must name a file below"),
        ({"thresold": 1}, r"predictions: b\.thresold: unknown key; did you mean threshold"),
        ({"threshold": float("nan")}, r"predictions: b\.threshold: "),
        ({"positive": {"a": 1}}, r"predictions: b\.positive"),
    ],
)
def test_a_mistake_in_predictions_is_told(written, change, message):
    with pytest.raises(InputError, match=message):
        catalog.load_predictions(written({"predictions": {"b": PREDICTIONS | change}}))


def test_classes_may_be_written_in_any_word_for_them(written):
    entry = ENTRY | {"sources": {"a": "Bona-Fide", "b": "spoof"}}
    assert catalog.load(written({"mine": entry}))["mine"].sources == {"a": "real", "b": "fake"}
    entry = FOLDER | {"labels": {"a/**": "pristine", "b/**": "AI-generated"}}
    assert catalog.load(written({"mine": entry}))["mine"].labels == {"a/**": "real", "b/**": "fake"}
    with pytest.raises(InputError, match=r"mine\.sources\.a: "):
        catalog.load(written({"mine": ENTRY | {"sources": {"a": "cat", "b": "fake"}}}))
