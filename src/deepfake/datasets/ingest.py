"""From a raw data set to its tables of samples and media: every file hashed and decoded, the bad ones set aside."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from deepfake import modalities, tables
from deepfake.config.images import Ingest, Parts
from deepfake.datasets import duplicates, identities, near_duplicates
from deepfake.datasets.entries import DataSet
from deepfake.datasets.layouts import adapters, contents
from deepfake.datasets.layouts.adapters import RawFile, RawFiles
from deepfake.datasets.layouts.listing import Passed
from deepfake.errors import InputError
from deepfake.modalities.base import Facts, Medium, Modality, counted
from deepfake.progress import SILENT, Progress
from deepfake.project import paths

_FILES_AHEAD = 256
_BYTES_AHEAD = 128 * 2**20
"""What is read ahead of the file whose turn it is: so many files and so many bytes, and one file more."""
_STEP = 64
"""Files between two calls of `progress.advance`."""


class _Facts(NamedTuple):
    """What follows from a file's bytes."""

    samples: list[Facts]
    """For each sample the columns of the table of media, but for the `sample_id`."""
    bytes: int
    sha256: str


def ingest(
    name: str,
    dataset: DataSet,
    raw: Path,
    *,
    settings: Ingest,
    threads: int,
    progress: Progress = SILENT,
    found: RawFiles | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Decode every file of a raw data set.

    Args:
        name: the data set's key in the catalog.
        dataset: its entry there.
        raw: the folder it lies in.
        settings: into how many samples files are divided, and how many may be unreadable.
        threads: decoding threads; they do not change the result.
        progress: told of the files done.
        found: its files, if they are known already.

    Returns:
        The samples (`tables.SAMPLES`), what their media are (the modality's `MEDIA`), and the quarantine
        (`archive, path, source, reason`).

    Raises:
        InputError: an archive is missing, too many files are unreadable, or a class has no sample.
    """
    modality = modalities.load(dataset.modality)
    found = found or adapters.find(raw, dataset)
    if dataset.identities is not None:
        bound = identities.bind(found.files, dataset.identities, f"data set {name}", dataset.group)
        found = found._replace(files=bound)
    samples: list[tuple[object, ...]] = []
    media: list[tuple[object, ...]] = []
    refused: list[tuple[str, str, str, str]] = []
    with modality.quiet():
        for done, (file, facts) in enumerate(_examined(raw, found.files, modality, settings, threads), start=1):
            if isinstance(facts, str):
                refused.append((file.archive, file.path, file.source, facts))
            else:
                for sample_id, each in zip(_names(file.sample_id, len(facts.samples)), facts.samples, strict=True):
                    # a file is a clip of its own
                    identity = (sample_id, file.sample_id, file.archive, file.path, name, dataset.modality)
                    samples.append(
                        (*identity, file.label, file.source, file.group, facts.bytes, facts.sha256, file.published)
                    )
                    media.append((sample_id, *each))
            if done % _STEP == 0 or done == len(found.files):
                progress.advance(f"ingesting {name}", done, len(found.files))
    quarantine = pd.DataFrame(refused, columns=["archive", "path", "source", "reason"])
    table = pd.DataFrame(samples, columns=list(tables.SAMPLES.columns))
    reasons = duplicates.placeholders(table)
    used = (reasons == "").to_numpy()
    placeholders = table.assign(reason=reasons)[~used]
    quarantine = pd.concat([quarantine, placeholders[quarantine.columns]], ignore_index=True)
    table = table[used].reset_index(drop=True)
    _check_yield(name, table, quarantine, found.passed, settings.max_quarantined)
    described = pd.DataFrame(media, columns=list(modality.MEDIA.columns))
    return table, described[used].reset_index(drop=True), quarantine


def write(name: str, dataset: DataSet, settings: Ingest, *, threads: int, progress: Progress = SILENT) -> str:
    """Ingest a data set from its raw folder, and write samples, media, quarantine, duplicates and near-duplicates.

    Returns:
        How many samples, refused files, duplicates and near-duplicates there are, in two sentences; on lines of their
        own, what decided the labels, what was passed over, what is noted of files, and what puts the groups in doubt.

    Raises:
        InputError: as in `ingest`.
    """
    found = adapters.find(paths().raw(name), dataset)
    samples, media, quarantine = ingest(
        name,
        dataset,
        paths().raw(name),
        settings=settings,
        threads=threads,
        progress=progress,
        found=found,
    )
    modality = modalities.load(dataset.modality)
    of_files = ~samples.duplicated("clip_id")
    repeated = duplicates.find(samples[of_files])
    noted = [notes] if "notes" in media and (notes := counted(media.loc[of_files, "notes"])) else []
    near = pd.DataFrame(columns=[*near_duplicates.COLUMNS])
    if "fingerprint" in modality.MEDIA.columns:
        near = near_duplicates.find(samples, media["fingerprint"], modality.MIRROR)
    tables.write(samples, paths().samples(name), tables.SAMPLES)
    tables.write(media, paths().media(name), modality.MEDIA)
    tables.write_csv(quarantine, paths().quarantine(name))
    tables.write_csv(repeated, paths().duplicates(name))
    tables.write_csv(near, paths().near_duplicates(name))
    counts = _counts(name, dataset, samples, quarantine, repeated, near)
    return "\n".join([counts, found.told(), *noted, *_remarks(dataset, samples, quarantine)])


def _counts(
    name: str,
    dataset: DataSet,
    samples: pd.DataFrame,
    quarantine: pd.DataFrame,
    repeated: pd.DataFrame,
    near: pd.DataFrame,
) -> str:
    """Say how many samples, refused files, duplicates and near-duplicates there are, in two sentences."""
    joined = (
        "splits join" if dataset.near_duplicates == "join" else "splits join with near_duplicates: join in the catalog"
    )
    return (
        f"{name}: {len(samples)} samples{_of_clips(samples)}, {len(quarantine)} files in {paths().quarantine(name)}, "
        f"{len(repeated)} in several groups ({repeated['both_labels'].sum()} both real and fake) "
        f"in {paths().duplicates(name)}. {len(near)} pairs of groups share a near-duplicate"
        + (f", which {joined}: {paths().near_duplicates(name)}" if len(near) else "")
    )


def _of_clips(samples: pd.DataFrame) -> str:
    """Say of how many clips there are samples, where that is another number."""
    clips = samples["clip_id"].nunique()
    return "" if clips == len(samples) else f" of {clips} clips"


def _remarks(dataset: DataSet, samples: pd.DataFrame, quarantine: pd.DataFrame) -> list[str]:
    """Say what somebody should look at before trusting the groups, a line each."""
    said = []
    for reason, files in quarantine[quarantine["reason"].str.startswith(duplicates.PLACEHOLDER)].groupby("reason"):
        first = ":".join(filter(None, files.iloc[0][["archive", "path"]]))
        said.append(f"set aside as {reason}: {first} and {len(files) - 1:,} more")
    if dataset.identities is None:
        named = samples[["sample_id", "group", "label"]].itertuples(index=False, name=None)
        found = identities.shared_names(named, dataset.group)
        said += [found] if found else []
    return said


def _names(clip: str, count: int) -> list[str]:
    """Return the names of a file's samples: its own where it has one."""
    return [clip] if count == 1 else [f"{clip}#{number:03d}" for number in range(count)]


def _examined(
    raw: Path, files: list[RawFile], modality: Modality, parts: Parts, threads: int
) -> Iterator[tuple[RawFile, _Facts | str]]:
    """Yield each file in order with what `_examine` says; threads hash and decode while the next ones are read."""
    ahead: deque[tuple[RawFile, Future[_Facts | str], int]] = deque()
    held = 0
    with ThreadPoolExecutor(threads) as pool:
        for file, data in contents.read(raw, files, streamed=modality.STREAMED):
            size = len(data) if isinstance(data, bytes) else 0
            ahead.append((file, pool.submit(_examine, data, modality, parts), size))
            held += size
            while len(ahead) > _FILES_AHEAD or held > _BYTES_AHEAD:
                oldest, future, freed = ahead.popleft()
                yield oldest, future.result()
                held -= freed
        for file, future, _ in ahead:
            yield file, future.result()


def _examine(data: Medium | str, modality: Modality, parts: Parts) -> _Facts | str:
    """Return what follows from a file, or why it is refused."""
    if isinstance(data, str):
        return data
    found = modality.inspect(data, parts)
    if isinstance(found, str):
        return found
    size = len(data) if isinstance(data, bytes) else data.stat().st_size
    return _Facts(found, size, contents.digest(data))


def _check_yield(
    name: str, samples: pd.DataFrame, quarantine: pd.DataFrame, passed: Passed, max_quarantined: float
) -> None:
    """Refuse a data set of which too little is readable."""
    total = samples["clip_id"].nunique() + len(quarantine)
    if not total:
        skipped = f" but {passed}" if str(passed) else ""
        raise InputError(f"data set {name}: there is no file in it{skipped}")
    if len(quarantine) > max_quarantined * total:
        worst = quarantine["reason"].value_counts().index[0]
        first = quarantine[quarantine["reason"] == worst].iloc[0]
        raise InputError(
            f"data set {name}: {len(quarantine):,} of {total:,} files cannot be used, more than "
            f"ingest.max_quarantined = {max_quarantined:g} allows; most often: {worst}; "
            f"first: {':'.join(filter(None, first[['archive', 'path']]))}; remove these files from the data set, or "
            "raise that share"
        )
    if samples["label"].nunique() < 2:
        raise InputError(f"data set {name}: it needs both real and fake samples; check its sources")
