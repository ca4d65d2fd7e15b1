import pandas as pd
import pytest

from deepfake import cli, tables
from deepfake.datasets import catalog, composition
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.studies.data_cards import page


@pytest.fixture
def manifest(project, runner) -> pd.DataFrame:
    for command in ("ingest", "split"):
        assert runner.invoke(cli.main, [command, "sample"]).exit_code == 0
    return tables.read(paths().manifest("sample"), tables.MANIFEST)


def test_splitting_prints_what_each_part_holds_and_writes_it_to_the_card(project, runner, manifest):
    result = runner.invoke(cli.main, ["split", "sample"])
    table = composition.count(manifest).to_markdown()
    assert table in result.stdout
    assert f"sample: {paths().data_card('sample')}" in result.stdout
    card = paths().data_card("sample").read_text()
    assert table in card
    entry = catalog.find("sample")
    assert all(said in card for said in (entry.title, entry.licence, entry.obtain))


def test_the_card_counts_what_was_set_aside_and_what_is_twice(manifest):
    reasons = ["empty file"] * 3 + ["a|b"] * 2 + [f"reason {number}" for number in range(30)]
    columns = {"archive": "", "path": "x", "source": "wiki"}
    tables.write_csv(pd.DataFrame({"reason": reasons}).assign(**columns), paths().quarantine("sample"))
    twice = pd.DataFrame({"sha256": ["x", "y"], "samples": "a | b", "groups": "a | b", "both_labels": [0, 1]})
    tables.write_csv(twice, paths().duplicates("sample"))
    card = page.write("sample", catalog.find("sample"), manifest).read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in card.splitlines() if line.startswith("|")]
    assert ["empty file", "3"] in rows and ["a/b", "2"] in rows
    assert ["other reasons", "12"] in rows  # 32 reasons, of which 20 are shown
    assert "2 files stand in several groups or under both labels (1 of them under both)" in card


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"identities": r"(\d+)"}, r"as `(\d+)` reads them from paths"),
        ({"group": "basename"}, "the files of one name"),
        ({"table": "labels.csv", "group": "file"}, "Groups are those of `labels.csv`; where it names none: Every file"),
        ({"groups_of": "dff"}, "Groups called alike in `dff` stand in the same fold"),
        ({"splits": "from_folders"}, "The test set is the published one."),
        ({"near_duplicates": "join"}, "nearly the same picture, which splits join"),
    ],
)
def test_the_card_says_what_makes_a_group(manifest, keys, said):
    assert said in page.write("sample", catalog.find("sample").model_copy(update=keys), manifest).read_text()


def test_what_ingest_did_not_write_is_named(manifest):
    paths().quarantine("sample").unlink()
    with pytest.raises(InputError, match=r"quarantine\.csv: not found; run deepfake ingest"):
        page.write("sample", catalog.find("sample"), manifest)
