import os
import re
import stat

import numpy as np
import pandas as pd
import pytest

from deepfake import tables
from deepfake.errors import InputError
from deepfake.tables import FACES, MANIFEST, MEDIA, PREDICTIONS, REGIONS, SAMPLES, Schema, atomic, check, read, write


def predictions(rows: int = 4) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": [f"wiki/{i}" for i in range(rows)],
            "clip_id": [f"wiki/{i}" for i in range(rows)],
            "experiment": "backbone_low",
            "fold": np.arange(rows) % 2,
            "repeat": 0,
            "subset": "held_out",
            "condition": tables.STANDARD_CONDITION,
            "logit": np.linspace(-1, 1, rows),
        }
    )


# --- check


@pytest.mark.parametrize("schema", [SAMPLES, MANIFEST, MEDIA, FACES, REGIONS, PREDICTIONS], ids=lambda s: s.name)
def test_a_schema_speaks_of_its_own_columns_only(schema):
    assert {*schema.key, *schema.allowed} <= set(schema.columns)


def test_the_manifest_is_the_samples_and_their_places():
    # which decide the published part, where one is kept
    *samples, published = SAMPLES.columns
    assert published == "published"
    assert list(MANIFEST.columns) == [*samples, "split", "fold", "folds", "fraction_rank", "stratum"]


def test_a_face_is_a_box_and_five_points_in_the_same_pixels():
    points = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    expected = ["sample_id", "faces", "confidence", "left", "top", "right", "bottom"]
    assert list(FACES.columns) == expected + [f"{point}_{axis}" for point in points for axis in "xy"]
    assert {kind for name, kind in FACES.columns.items() if name not in ("sample_id", "faces")} == {"float"}


def test_a_region_is_made_of_whole_pixels_that_may_lie_beyond_the_image():
    frame = pd.DataFrame({"sample_id": ["a"], "left": [-3], "top": [0], "right": [9], "bottom": [12], "face": [0]})
    frame["plain"] = 1
    assert len(check(frame, REGIONS, "here")) == 1
    with pytest.raises(InputError, match="column left: expected int"):
        check(frame.assign(left=[-2.5]), REGIONS, "here")
    with pytest.raises(InputError, match=r"column face: .*2.* in row 0; allowed: 0, 1"):
        check(frame.assign(face=[2]), REGIONS, "here")


def test_a_missing_column_is_named():
    frame = predictions().drop(columns=["fold", "logit"])
    with pytest.raises(InputError, match=r"here: the predictions table lacks column fold, logit"):
        check(frame, PREDICTIONS, "here")


def test_extra_columns_are_dropped_and_the_order_is_the_schemas():
    frame = predictions().assign(extra=1)
    checked = check(frame[frame.columns[::-1]], PREDICTIONS, "here")
    assert list(checked.columns) == list(PREDICTIONS.columns)
    pd.testing.assert_frame_equal(checked, predictions())


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("fold", [0.0, 1.0, 0.0, 1.0]),
        ("fold", [True, False, True, False]),
        ("fold", ["0", "1", "0", "1"]),
        ("logit", [0, 1, 0, 1]),
        ("logit", ["a", "b", "c", "d"]),
        ("sample_id", [1, 2, 3, 4]),
        ("experiment", pd.Categorical(["a", "a", "b", "b"])),
        ("sample_id", np.array([1, 2, 3, 4], dtype=object)),
        ("sample_id", np.array(["a", "b", "c", 4], dtype=object)),
    ],
    ids=lambda v: v if isinstance(v, str) else f"{np.asarray(v).dtype}-{v[0]!r}",
)
def test_a_wrong_type_is_refused(column, values):
    with pytest.raises(InputError, match=f"here: column {column}: expected "):
        check(predictions().assign(**{column: values}), PREDICTIONS, "here")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("sample_id", ["a", "b", None, "d"]),
        ("logit", [0.0, 1.0, np.nan, 2.0]),
        ("fold", [0.0, 1.0, None, 1.0]),
        ("fold", pd.array([0, 1, None, 1], dtype="Int64")),
    ],
)
def test_an_empty_value_is_told_by_its_row(column, values):
    with pytest.raises(InputError, match=f"here: column {column}: no value in row 2"):
        check(predictions().assign(**{column: values}), PREDICTIONS, "here")


def test_a_value_that_is_not_allowed_is_told_by_its_row():
    frame = predictions()
    frame.loc[2, "subset"] = "holdout"
    with pytest.raises(InputError, match=r"column subset: 'holdout' in row 2; allowed: train, validation, held_out"):
        check(frame, PREDICTIONS, "here")


def test_the_row_is_counted_from_the_top_whatever_the_index():
    frame = predictions().set_index(pd.Index([9, 8, 7, 6]))
    frame.loc[7, "subset"] = "holdout"
    with pytest.raises(InputError, match="in row 2;"):
        check(frame, PREDICTIONS, "here")


def test_a_repeated_key_is_named():
    frame = pd.concat([predictions(), predictions().iloc[[2]].assign(logit=9.0)])
    with pytest.raises(InputError, match=r"sample_id=wiki/2, experiment=backbone_low, fold=0, .* more than once"):
        check(frame, PREDICTIONS, "here")


def test_the_same_sample_in_another_fold_or_condition_is_another_row():
    frame = pd.concat([predictions(), predictions().assign(fold=7), predictions().assign(condition="letterbox")])
    assert len(check(frame, PREDICTIONS, "here")) == 12


# --- files


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "below" / "predictions.parquet"
    narrow = predictions().astype({"fold": "int32", "logit": "float32"})
    write(narrow.set_index(pd.Index([5, 3, 1, 0])), path, PREDICTIONS)
    found = read(path, PREDICTIONS)
    assert [str(kind) for kind in found.dtypes] == ["str", "str", "str", "int64", "int64", "str", "str", "float64"]
    pd.testing.assert_frame_equal(found, narrow.astype({"fold": "int64", "logit": "float64"}))


def test_an_empty_table_keeps_its_types(tmp_path):
    path = tmp_path / "predictions.parquet"
    write(predictions().iloc[:0], path, PREDICTIONS)
    found = read(path, PREDICTIONS)
    assert len(found) == 0
    assert list(found.dtypes) == list(check(predictions(), PREDICTIONS, "").dtypes)


def test_a_table_that_does_not_fit_is_not_written(tmp_path):
    path = tmp_path / "predictions.parquet"
    write(predictions(), path, PREDICTIONS)
    before = path.read_bytes()
    with pytest.raises(InputError, match=re.escape(str(path))):
        write(predictions().drop(columns="fold"), path, PREDICTIONS)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_a_missing_table_says_what_to_run(tmp_path):
    with pytest.raises(InputError, match=r"none\.parquet: not found; .*dvc repro"):
        read(tmp_path / "none.parquet", PREDICTIONS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"sample_id,logit\na,1\n",
        lambda data: data[:-20],
        lambda data: data[len(data) // 2 :],
        lambda data: data[:4] + bytes(300) + data[304:],
    ],
    ids=["empty", "csv", "tail lost", "head lost", "pages zeroed"],
)
def test_a_corrupt_table_is_an_input_error(tmp_path, damage):
    path = tmp_path / "predictions.parquet"
    write(predictions(), path, PREDICTIONS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=re.escape(str(path))):
        read(path, PREDICTIONS)


def test_a_folder_in_the_place_of_a_table_is_an_input_error(tmp_path):
    (tmp_path / "predictions.parquet").mkdir()
    with pytest.raises(InputError, match=r"predictions\.parquet"):
        read(tmp_path / "predictions.parquet", PREDICTIONS)


def test_a_table_that_another_tool_wrote_is_checked_too(tmp_path):
    path = tmp_path / "predictions.parquet"
    predictions().assign(logit=["a", "b", "c", "d"]).to_parquet(path)
    with pytest.raises(InputError, match=f"{re.escape(str(path))}: column logit: expected float"):
        read(path, PREDICTIONS)


def test_csv_has_six_digits_and_plain_line_ends(tmp_path):
    path = tmp_path / "table.csv"
    tables.write_csv(pd.DataFrame({"name": ["a", "b"], "auc": [1 / 3, 0.5]}), path)
    assert path.read_bytes() == b"name,auc\na,0.333333\nb,0.5\n"


# --- atomic


def test_the_old_file_stands_until_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("exception", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, exception):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(exception), atomic(path) as temporary:
        temporary.write_text("half")
        raise exception
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables.os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        tables.write_text("new", path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_content_is_on_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")
    seen = []
    fsync = os.fsync
    monkeypatch.setattr(tables.os, "fsync", lambda handle: (seen.append(path.read_text()), fsync(handle)))
    tables.write_text("new", path)
    assert seen[:1] == ["old"]


def test_a_file_in_the_place_of_the_folder_is_the_systems_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(OSError, match=re.escape(str(blocked))):
        tables.write_text("new", blocked / "a.txt")
    assert blocked.read_text() == "in the way"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_rights_of_any_other(tmp_path, umask):
    before = os.umask(umask)
    try:
        tables.write_text("new", tmp_path / "a.txt")
        assert os.umask(umask) == umask  # and the process's own mask is as it was
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask


def test_a_schema_may_be_as_small_as_one_column():
    schema = Schema("names", {"name": "str"}, key=("name",), allowed={})
    assert len(check(pd.DataFrame({"name": ["a", "b"]}), schema, "here")) == 2


# --- with_media


def test_media_join_samples_in_the_order_of_the_samples(tmp_path):
    path = tmp_path / "media.parquet"
    facts = {"height": 4, "format": "PNG", "mode": "L", "fingerprint": "", "notes": ""}
    media = pd.DataFrame({"sample_id": ["a", "b", "c"], "width": [1, 2, 3], **facts})
    write(media, path, MEDIA)
    found = tables.with_media(pd.DataFrame({"sample_id": ["c", "a"], "label": [0, 1]}), path)
    assert found[["sample_id", "label", "width"]].to_numpy().tolist() == [["c", 0, 3], ["a", 1, 1]]
    with pytest.raises(InputError, match=r"media.parquet: nothing is known of d; ingest the data set again"):
        tables.with_media(pd.DataFrame({"sample_id": ["a", "d"]}), path)
