"""The two tables at the narrow waist: the manifest before training, the predictions after it.

Whatever needs a sample's identity reads it from the manifest; nothing parses it out of a path again. Both are
checked whenever they are read or written, and written whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

REAL, FAKE = 0, 1
TEST_FOLD = -1
"""The `fold` of test samples."""
SUBSETS = ("train", "validation", "held_out")
"""A sample's part in one fold: trained on, inner validation, or the fold itself. No run predicts the test set: it is
opened once, for the final model."""
STANDARD_CONDITION = "standard"
"""The `condition` of predictions made with the plain evaluation transform."""


@dataclass(frozen=True)
class Schema:
    """The columns of a table and what must hold for them.

    Args:
        name: what the table is called in messages.
        columns: column name to kind: `str`, `int` or `float`.
        key: the columns that together name a row.
        allowed: column name to the values that may stand in it.
    """

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    allowed: dict[str, tuple[object, ...]]


_SAMPLE_COLUMNS = {
    "sample_id": "str",  # unique in the table: "<source>/<basename>"
    "clip_id": "str",  # the unit of decision: samples of one clip have one verdict; of an image, its `sample_id`
    "archive": "str",  # archive below the raw folder that holds the file, or "" for a loose file
    "path": "str",  # path inside the archive, or below the raw folder
    "dataset": "str",
    "modality": "str",  # a key of `modalities.MODALITIES`
    "label": "int",  # 0 real, 1 fake
    "source": "str",  # who made it: the camera collection or the generator
    "group": "str",  # samples of one group never stand on two sides of a split
    "bytes": "int",  # size of the encoded file
    "sha256": "str",  # of the encoded file
}

SAMPLES = Schema(
    "samples",
    _SAMPLE_COLUMNS
    | {
        "published": "str",  # part of a published split that is kept: train, val, test; or ""
    },
    key=("sample_id",),
    allowed={"label": (REAL, FAKE), "published": ("", "train", "val", "test")},
)
MANIFEST = Schema(
    "manifest",
    _SAMPLE_COLUMNS
    | {
        "split": "str",
        "fold": "int",  # 0..k-1 for development samples, -1 for the test set
        "folds": "str",  # the fold of each repeat, numbered on through all of them ("3 7 14"); that of the test set: -1
        "fraction_rank": "float",  # in [0, 1): the sample is in every fraction above its rank
        "stratum": "str",  # what its group is like: groups of one stratum are spread evenly over all parts
    },
    key=("sample_id",),
    allowed={"label": (REAL, FAKE), "split": ("dev", "test")},
)
MEDIA = Schema(
    "media",
    {
        "sample_id": "str",
        "width": "int",  # pixels, upright (EXIF orientation applied)
        "height": "int",  # pixels, upright
        "format": "str",  # of the encoded file, as PIL names it: JPEG, PNG, ...
        "mode": "str",  # of its pixels, as PIL names it: RGB, L, P, CMYK, ...
        "fingerprint": "str",  # perceptual hash, 64 hexadecimal digits; "" of a flat picture
        "notes": "str",  # what was odd and how it was taken ("broken EXIF; first of 3 frames"); mostly ""
    },
    key=("sample_id",),
    allowed={},
)
FACES = Schema(
    "faces",
    {
        "sample_id": "str",
        "faces": "int",  # faces found with enough confidence; 0: all that follows is 0
        "confidence": "float",  # of the chosen face, the largest
        "left": "float",  # its box in pixels of the upright image
        "top": "float",
        "right": "float",
        "bottom": "float",
        **{  # its landmarks in the same pixels; left and right as seen in the picture
            f"{point}_{axis}": "float"
            for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
            for axis in "xy"
        },
    },
    key=("sample_id",),
    allowed={},
)
REGIONS = Schema(
    "regions",
    {
        "sample_id": "str",
        # the part of the upright image that a view shows, in its pixels; beyond the image there is black
        "left": "int",
        "top": "int",
        "right": "int",
        "bottom": "int",
        "face": "int",  # 1: cut out around a face
        "plain": "int",  # 1: of a JPEG in RGB or gray, which every decoder turns into the same pixels
    },
    key=("sample_id",),
    allowed={"face": (0, 1), "plain": (0, 1)},
)
FEATURES = Schema(
    "features",
    {
        "sample_id": "str",
        "sha256": "str",  # of the encoded file that was measured
        # the container (modalities/image/features.py says what each is); 0 or "none" where a format has no such thing
        **dict.fromkeys(("width", "height"), "int"),
        "aspect": "float",
        **dict.fromkeys(("pixels", "bytes"), "int"),
        "bytes_per_pixel": "float",
        **dict.fromkeys(("format", "mode"), "str"),
        "quality": "int",
        **dict.fromkeys(("luma_mean", "chroma_mean"), "float"),
        **dict.fromkeys(("luma_dc", "luma_last", "chroma_dc"), "int"),
        "subsampling": "str",
        **dict.fromkeys(("progressive", "exif", "icc", "segments"), "int"),
        "dpi": "float",
        # the pixels of the upright image
        **{f"{figure}_{channel}": "float" for figure in ("mean", "std") for channel in "rgb"},
        **dict.fromkeys(("saturation", "laplacian", "high_frequency", "noise"), "float"),
        **dict.fromkeys(("resampling_x", "resampling_y", "blockiness"), "float"),
    },
    key=("sample_id",),
    allowed={},
)
PROBE_SCORES = Schema(
    "probe scores",
    {
        "subject": "str",  # what was probed: files, or a view
        "sample_id": "str",
        "fold": "int",  # held out from the models that gave the score
        "score": "float",  # log-odds of being fake, by the probe of all families together
    },
    key=("subject", "sample_id"),
    allowed={},
)
PREDICTIONS = Schema(
    "predictions",
    {
        "sample_id": "str",
        "clip_id": "str",  # that of the manifest
        "experiment": "str",
        "fold": "int",  # the fold whose model made the prediction, numbered on through all repeats
        "repeat": "int",  # the repeat of the cross-validation that the fold belongs to, from 0
        "subset": "str",  # the sample's part in that fold
        "condition": "str",  # how the input was changed for evaluation
        "logit": "float",  # greater means more likely fake
    },
    key=("sample_id", "experiment", "fold", "condition"),
    allowed={"subset": SUBSETS},
)

_DTYPES = {"str": "str", "int": "int64", "float": "float64"}
"""The dtype that each kind of column is written as."""


def check(frame: pd.DataFrame, schema: Schema, where: str) -> pd.DataFrame:
    """Return the table with exactly its schema's columns, in the schema's order.

    Raises:
        InputError: a column is missing, has the wrong type or an empty or unknown value, or a key repeats.
    """
    missing = [column for column in schema.columns if column not in frame.columns]
    if missing:
        raise InputError(f"{where}: the {schema.name} table lacks column {', '.join(missing)}; write it again")
    frame = frame[list(schema.columns)]
    for column, kind in schema.columns.items():
        _check_column(frame[column], kind, schema.allowed.get(column), f"{where}: column {column}")
    repeated = frame.duplicated(list(schema.key)).to_numpy()
    if repeated.any():
        row = frame[repeated].iloc[0]
        name = ", ".join(f"{column}={row[column]}" for column in schema.key)
        raise InputError(f"{where}: {name} stands there more than once; rows must be unique")
    return frame


def _check_column(values: pd.Series, kind: str, allowed: tuple[object, ...] | None, where: str) -> None:
    """Check that a column is complete, of its type, and holds allowed values only."""
    empty = values.isna().to_numpy()
    if empty.any():
        raise InputError(f"{where}: no value in row {empty.argmax()}; every row needs one")
    from pandas.api import types  # a second, which commands that only copy files need not wait for

    is_kind = {"str": types.is_string_dtype, "int": types.is_integer_dtype, "float": types.is_float_dtype}[kind]
    if len(values) and not (is_kind(values.dtype) and is_kind(values)):
        raise InputError(f"{where}: expected {kind}, found {values.dtype}")
    if allowed is not None:
        strange = ~values.isin(allowed).to_numpy()
        if strange.any():
            row = strange.argmax()
            choices = ", ".join(str(value) for value in allowed)
            raise InputError(f"{where}: {values.iloc[row]!r} in row {row}; allowed: {choices}")


def read(path: Path, schema: Schema) -> pd.DataFrame:
    """Read and check a Parquet table.

    Raises:
        InputError: the file is missing, unreadable or does not fit the schema.
    """
    import pandas as pd

    try:
        # opened here and not by pyarrow, so that a test can trace what is read
        with path.open("rb") as file:
            frame = pd.read_parquet(file)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run the stage that writes it, or dvc repro") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable Parquet table: {' '.join(str(error).split())}") from None
    return check(frame, schema, str(path))


def with_media(samples: pd.DataFrame, path: Path, schema: Schema = MEDIA) -> pd.DataFrame:
    """Return samples with what their media are, in the order of the samples.

    Args:
        samples: with a `sample_id`, as `SAMPLES` or the manifest.
        path: of the table of media.
        schema: of that table.

    Raises:
        InputError: the table is missing, does not fit the schema, or lacks a sample.
    """
    media = read(path, schema)
    strange = ~samples["sample_id"].isin(media["sample_id"]).to_numpy()
    if strange.any():
        sample = samples["sample_id"].iloc[strange.argmax()]
        raise InputError(f"{path}: nothing is known of {sample}; ingest the data set again, or dvc repro")
    return samples.merge(media, on="sample_id", validate="one_to_one")


def write(frame: pd.DataFrame, path: Path, schema: Schema) -> None:
    """Check a table and write it as Parquet, whole or not at all."""
    checked = check(frame, schema, str(path))
    checked = checked.astype({column: _DTYPES[kind] for column, kind in schema.columns.items()})
    with atomic(path) as temporary:
        checked.to_parquet(temporary, index=False)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a small table for people and for git: six significant digits, whole or not at all."""
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def write_text(text: str, path: Path) -> None:
    """Write a text file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` and move it there when the block ends well.

    The file is flushed to the disk before it is renamed, so a reader sees the old file or the whole new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes files for the owner alone; results are as readable as any other file of the project
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
