"""The schemas of the result tables, against what is committed."""

from pathlib import Path

import pandas as pd
import pytest

from deepfake.errors import InputError
from deepfake.project import Project, paths
from deepfake.tables import results, write_csv

ROOT = Path(__file__).parents[1]
COMMITTED = sorted(path.stem for path in (ROOT / "reports").glob("*/*.csv") if path.parent.name != "bench")
FACES = pd.DataFrame(
    {"source": ["camera"], "samples": 2, "found": 1, "share": 0.5, "several": 0, "median_confidence": 0.9}
)


@pytest.fixture
def project(tmp_path):
    with Project(tmp_path).entered():
        yield


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_tables_fit_their_schemas(name):
    with Project(ROOT).entered():
        frame = results.read(name)
        key = list(results.find(name)[0].key)
        assert not (key and frame.duplicated(key).any())


def test_every_schema_is_in_use():
    used = {id(results.find(name)[0]) for name in COMMITTED}
    assert {name for name, table in results.RESULTS.items() if id(table) not in used} == set()


@pytest.mark.usefixtures("project")
def test_what_is_written_is_read():
    results.write(FACES, "faces_mine")
    pd.testing.assert_frame_equal(results.read("faces_mine"), FACES, check_dtype=False)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FACES.drop(columns="found"), "lacks column found"),
        (FACES.assign(more=1), "unknown column more"),
        (FACES.assign(found=0.5), "column found: expected int"),
        (FACES.assign(source=""), "column source: expected str"),
        (pd.concat([FACES, FACES]), "source=camera stands there more than once"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(frame, message):
    with pytest.raises(ValueError, match=message) as error:
        results.write(frame, "faces_mine")
    assert not isinstance(error.value, InputError) and not paths().table("faces_mine").exists()
    write_csv(frame, paths().table("faces_mine"))
    with pytest.raises(InputError, match=f"faces_mine.csv: {message}; run deepfake faces mine again"):
        results.read("faces_mine")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("phase4a_tests", "deepfake phase4"),
        ("summary_study", "deepfake report"),
        ("imbalance_tests", "deepfake imbalance"),
        ("own_my_data_probes", "deepfake probe my_data"),
        ("own_my_data_shortcuts_runs", "deepfake shortcuts my_data"),
        ("own_run_robustness_summary", "deepfake robustness run"),
    ],
)
def test_a_missing_table_says_which_command_writes_it(name, command):
    with pytest.raises(InputError, match=f"{name}.csv: not found; run {command}, or dvc repro"):
        results.read(name)


@pytest.mark.usefixtures("project")
def test_a_table_without_a_schema_is_no_table():
    with pytest.raises(KeyError, match="elsewhere"):
        results.find("elsewhere")
