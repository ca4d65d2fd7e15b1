import re
from pathlib import Path

import pytest
import yaml

from deepfake.data import catalog, ingest
from deepfake.errors import InputError

COMMITTED = Path(__file__).parents[2] / "data" / "catalog.yaml"
ENTRY = {
    "title": "a test",
    "modality": "image",
    "adapter": "source_archives",
    "group": "basename",
    "sources": {"wiki": "real", "insight": "fake"},
    "licence": "none",
    "obtain": "ask",
}


@pytest.fixture
def written(tmp_path):
    def write(entries) -> Path:
        path = tmp_path / "catalog.yaml"
        path.write_text(entries if isinstance(entries, str) else yaml.safe_dump(entries), encoding="utf-8")
        return path

    return write


def test_the_committed_catalog_has_the_sample():
    sample = catalog.find("sample", COMMITTED)
    assert sample.sources["wiki"] == "real"
    assert {source for source, label in sample.sources.items() if label == "fake"} == {
        "inpainting",
        "insight",
        "text2img",
    }


def test_every_committed_data_set_has_both_classes_and_an_adapter():
    for entry in catalog.load(COMMITTED).values():
        assert set(entry.sources.values()) == {"real", "fake"}
        assert entry.adapter in ingest.ADAPTERS


def test_every_key_is_required():
    assert all(field.is_required() for field in catalog.DataSet.model_fields.values())


def test_an_unknown_data_set_is_answered_with_the_nearest():
    with pytest.raises(
        InputError, match=rf"unknown data set 'sampel'; did you mean sample\b.*{re.escape(str(COMMITTED))}"
    ):
        catalog.find("sampel", COMMITTED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modalty": "image"}, r"mine\.modalty: unknown key; did you mean modality\?"),
        ({"modality": "smell"}, r"mine\.modality: input should be 'image'"),
        ({"adapter": "folders"}, r"mine\.adapter: "),
        ({"group": "person"}, r"mine\.group: "),
        ({"sources": {"wiki": "true"}}, r"mine\.sources\.wiki: "),
        ({"sources": ["wiki"]}, r"mine\.sources: "),
    ],
)
def test_a_mistake_is_told_by_its_path(written, change, message):
    with pytest.raises(InputError, match=message):
        catalog.load(written({"good": ENTRY, "mine": ENTRY | change}))


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
