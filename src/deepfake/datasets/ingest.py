"""From a raw data set to its tables of samples and media: every file hashed and decoded, the bad ones set aside."""

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from deepfake import modalities, tables
from deepfake.config.params import Ingest
from deepfake.datasets import adapters, near_duplicates
from deepfake.datasets.adapters import RawFile
from deepfake.datasets.catalog import DataSet
from deepfake.errors import InputError
from deepfake.modalities.base import Facts, Modality, counted
from deepfake.progress import SILENT, Progress
from deepfake.project import paths

_FILES_AHEAD = 256
_BYTES_AHEAD = 128 * 2**20
"""What is read ahead of the file whose turn it is: so many files and so many bytes, and one file more."""
_STEP = 64
"""Files between two calls of `progress.advance`."""


class _Facts(NamedTuple):
    """What follows from a file's bytes."""

    medium: Facts
    """The columns of the table of media, but for the `sample_id`."""
    bytes: int
    sha256: str


def ingest(
    name: str,
    dataset: DataSet,
    raw: Path,
    *,
    max_quarantined: float,
    threads: int,
    progress: Progress = SILENT,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Decode every file of a raw data set.

    Args:
        name: the data set's key in the catalog.
        dataset: its entry there.
        raw: the folder it lies in.
        max_quarantined: largest share of files that may be unreadable.
        threads: decoding threads; they do not change the result.
        progress: told of the files done.

    Returns:
        The samples (`tables.SAMPLES`), what their media are (the modality's `MEDIA`), and the quarantine
        (`archive, path, source, reason`).

    Raises:
        InputError: an archive is missing, too many files are unreadable, or a class has no sample.
    """
    modality = modalities.load(dataset.modality)
    found = adapters.find(raw, dataset)
    samples: list[tuple[object, ...]] = []
    media: list[tuple[object, ...]] = []
    refused: list[tuple[str, str, str, str]] = []
    with modality.quiet():
        for done, (file, facts) in enumerate(_examined(raw, found.files, modality, threads), start=1):
            if isinstance(facts, str):
                refused.append((file.archive, file.path, file.source, facts))
            else:
                # a file is a clip of its own
                identity = (file.sample_id, file.sample_id, file.archive, file.path, name, dataset.modality)
                samples.append((*identity, file.label, file.source, file.group, facts.bytes, facts.sha256))
                media.append((file.sample_id, *facts.medium))
            if done % _STEP == 0 or done == len(found.files):
                progress.advance(f"ingesting {name}", done, len(found.files))
    quarantine = pd.DataFrame(refused, columns=["archive", "path", "source", "reason"])
    table = pd.DataFrame(samples, columns=list(tables.SAMPLES.columns))
    _check_yield(name, table, quarantine, found.litter, max_quarantined)
    return table, pd.DataFrame(media, columns=list(modality.MEDIA.columns)), quarantine


def write(name: str, dataset: DataSet, settings: Ingest, *, threads: int, progress: Progress = SILENT) -> str:
    """Ingest a data set from its raw folder, and write samples, media, quarantine, duplicates and near-duplicates.

    Returns:
        How many samples, refused files, notes, duplicates and near-duplicates there are, in two sentences.

    Raises:
        InputError: as in `ingest`.
    """
    samples, media, quarantine = ingest(
        name,
        dataset,
        paths().raw(name),
        max_quarantined=settings.max_quarantined,
        threads=threads,
        progress=progress,
    )
    repeated = duplicates(samples)
    noted = f", {notes}" if "notes" in media and (notes := counted(media["notes"])) else ""
    modality = modalities.load(dataset.modality)
    near = pd.DataFrame(columns=[*near_duplicates.COLUMNS])
    if "fingerprint" in modality.MEDIA.columns:
        near = near_duplicates.find(samples, media["fingerprint"], modality.MIRROR)
    tables.write(samples, paths().samples(name), tables.SAMPLES)
    tables.write(media, paths().media(name), modality.MEDIA)
    tables.write_csv(quarantine, paths().quarantine(name))
    tables.write_csv(repeated, paths().duplicates(name))
    tables.write_csv(near, paths().near_duplicates(name))
    joined = (
        "splits join" if dataset.near_duplicates == "join" else "splits join with near_duplicates: join in the catalog"
    )
    return (
        f"{name}: {len(samples)} samples{noted}, {len(quarantine)} files in {paths().quarantine(name)}, "
        f"{len(repeated)} in several groups ({repeated['both_labels'].sum()} both real and fake) "
        f"in {paths().duplicates(name)}. {len(near)} pairs of groups share a near-duplicate"
        + (f", which {joined}: {paths().near_duplicates(name)}" if len(near) else "")
    )


def duplicates(samples: pd.DataFrame) -> pd.DataFrame:
    """Find the files that stand in several groups or under both labels, bit for bit the same.

    The first would bring a training image into the test set, so splits join such groups. The second is a mistake in
    the data that nothing can mend: one of the labels is wrong.

    Args:
        samples: `tables.SAMPLES`.

    Returns:
        One row a file: `sha256`; `samples` and `groups`, their names with ` | ` between them; `both_labels`, 1 when it
        is labelled real and fake.
    """
    repeated = samples[samples.duplicated("sha256", keep=False)]
    table = repeated.groupby("sha256", sort=False).agg(
        samples=("sample_id", " | ".join),
        groups=("group", lambda groups: " | ".join(groups.unique())),
        several_groups=("group", lambda groups: groups.nunique() > 1),
        both_labels=("label", lambda labels: int(labels.nunique() > 1)),
    )
    table = table[table["several_groups"].astype(bool) | (table["both_labels"] == 1)]
    return table.drop(columns="several_groups").reset_index()


def _examined(
    raw: Path, files: list[RawFile], modality: Modality, threads: int
) -> Iterator[tuple[RawFile, _Facts | str]]:
    """Yield each file in order with what `_examine` says; threads hash and decode while the next ones are read."""
    ahead: deque[tuple[RawFile, Future[_Facts | str]]] = deque()
    held = 0
    with ThreadPoolExecutor(threads) as pool:
        for file, data in adapters.read(raw, files):
            ahead.append((file, pool.submit(_examine, data, modality)))
            held += file.size
            while len(ahead) > _FILES_AHEAD or held > _BYTES_AHEAD:
                oldest, future = ahead.popleft()
                yield oldest, future.result()
                held -= oldest.size
        for file, future in ahead:
            yield file, future.result()


def _examine(data: bytes | str, modality: Modality) -> _Facts | str:
    """Return what follows from a file's bytes, or why it is refused."""
    if isinstance(data, str):
        return data
    medium = modality.inspect(data)
    if isinstance(medium, str):
        return medium
    return _Facts(medium, len(data), hashlib.sha256(data).hexdigest())


def _check_yield(
    name: str, samples: pd.DataFrame, quarantine: pd.DataFrame, litter: int, max_quarantined: float
) -> None:
    """Refuse a data set of which too little is readable."""
    total = len(samples) + len(quarantine)
    if not total:
        skipped = f" but {litter} hidden or system files" if litter else ""
        raise InputError(f"data set {name}: there is no file in it{skipped}")
    if len(quarantine) > max_quarantined * total:
        worst = quarantine["reason"].value_counts().index[0]
        raise InputError(
            f"data set {name}: {len(quarantine)} of {total} files cannot be used, more than "
            f"ingest.max_quarantined = {max_quarantined:g} allows; most often: {worst}; "
            f"first: {':'.join(filter(None, quarantine.iloc[0][['archive', 'path']]))}"
        )
    if samples["label"].nunique() < 2:
        raise InputError(f"data set {name}: it needs both real and fake samples; check its sources")
