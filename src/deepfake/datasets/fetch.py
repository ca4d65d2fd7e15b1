"""Download published archives at a pinned revision: what was cut off goes on, and nothing wrong is kept.

`huggingface_hub.hf_hub_download` (2.4.0) is not used: it writes into a file of a new random name each time, which it
deletes when it fails, so a download that was killed begins again, and it does not compare the SHA-256.
"""

import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deepfake.datasets.entries import DataSet, Hub
from deepfake.errors import InputError
from deepfake.progress import SILENT, Progress
from deepfake.project import paths

_HUB = "https://huggingface.co"
_TIMEOUT = 30
"""Seconds without a byte after which a connection counts as lost."""
_ATTEMPTS = 5
"""Requests in a row that may bring nothing."""
_PAUSE = 1.0
"""Seconds before the second of them; doubled each time."""
_BLOCK = 2**20
_LOST = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
"""What a connection that fails or breaks raises; a full disk is another OSError and is not tried again."""
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP answers that may be different a moment later (RFC 9110, 6585, 8470)."""


@dataclass(frozen=True)
class Published:
    """A file of a repository as the hub describes it: path, bytes and SHA-256."""

    path: str
    size: int
    sha256: str


def fetch(name: str, dataset: DataSet, destination: Path, *, progress: Progress = SILENT) -> list[Path]:
    """Download the published files of a data set; those that are there already and right are left alone.

    The environment variable HF_ENDPOINT names a mirror of the hub, as it does for the hub's own programs.

    Args:
        name: the data set's key in the catalog.
        dataset: its entry there.
        destination: the folder to put the files in.
        progress: told of the bytes that are there.

    Returns:
        The files, in the catalog's order.

    Raises:
        InputError: the catalog does not say where to fetch it, the hub does not answer or has no such file, a file
            differs from the published one, or the disk is too small.
    """
    if dataset.hub is None:
        raise InputError(f"data set {name}: it cannot be fetched; to obtain the data: {dataset.obtain}")
    published = _describe(dataset.hub)
    missing = [file for file in published if not _is_there(destination / file.path, file)]
    destination.mkdir(parents=True, exist_ok=True)
    _check_space(destination, missing)
    title, total = f"fetching {name}", sum(file.size for file in published)
    done = total - sum(file.size for file in missing)
    for file in missing:
        url = (
            f"{_endpoint()}/datasets/{dataset.hub.repo}/resolve/{dataset.hub.revision}/{urllib.parse.quote(file.path)}"
        )
        _download(url, file, destination, lambda size, before=done: progress.advance(title, before + size, total))
        done += file.size
    progress.advance(title, total, total)
    return [destination / file.path for file in published]


def next_steps(name: str) -> str:
    """Say how to put a data set under version control once it was fetched, and how to use it.

    DVC keeps a folder as one entry that lists the hashes of its files. That is right here: the archives are few and
    large, they change together with the revision, and the stages depend on the folder as a whole.
    """
    raw = paths().raw(name)
    return (
        f"to version it (one entry for the folder, whose few archives change together): dvc add {raw}\n"
        f"to use it: dvc exp run -S dataset={name}"
    )


def _describe(hub: Hub) -> list[Published]:
    """Ask the hub for size and SHA-256 of the files: it keeps both for each file that git LFS holds."""
    url = f"{_endpoint()}/api/datasets/{hub.repo}/paths-info/{hub.revision}"
    form = urllib.parse.urlencode({"paths": hub.files, "expand": "false"}, doseq=True).encode()
    answers: list[bytes] = []

    def ask() -> None:
        with _open(url, data=form) as answer:
            answers.append(answer.read())

    _patiently(ask, url, goal=1, reached=lambda: len(answers), attempts=2)
    try:
        found = {
            entry["path"]: Published(entry["path"], int(entry["lfs"]["size"]), entry["lfs"]["oid"])
            for entry in json.loads(answers[0])
            if "lfs" in entry
        }
        if not all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in found.values()):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{url}: not an answer of the hub; check HF_ENDPOINT and the proxy") from None
    for path in hub.files:
        if path not in found:
            raise InputError(f"{url}: no file {path} with a SHA-256 there; check hub in {paths().catalog}")
    return [found[path] for path in hub.files]


def _download(url: str, file: Published, destination: Path, grown: Callable[[int], None]) -> None:
    """Download a file beside its place, from where the last try ended, and move it once it is whole and right."""
    target, partial = destination / file.path, _partial(destination, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("ab") as sink:
        _patiently(lambda: _append(url, sink, file.size, grown), url, goal=file.size, reached=sink.tell)
        sink.flush()
        os.fsync(sink.fileno())
    if _sha256(partial) != file.sha256:
        partial.unlink()
        raise InputError(f"{url}: its SHA-256 is not the one that the hub states; it was thrown away, fetch it again")
    partial.replace(target)


def _append(url: str, sink: BinaryIO, size: int, grown: Callable[[int], None]) -> None:
    """Download what is missing of a file, as far as the connection carries."""
    start = sink.tell()
    # no If-Range: a revision never changes, and the SHA-256 of the whole is compared at the end
    with _open(url, headers={"Range": f"bytes={start}-"} if start else {}) as answer:
        if answer.status != 206:
            sink.truncate(0)  # the server knows no ranges and begins again
            sink.seek(0)
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise http.client.HTTPException("it sent another range than the one asked for")
        while block := answer.read(min(_BLOCK, size - sink.tell())):
            sink.write(block)
            grown(sink.tell())


def _patiently(
    step: Callable[[], None], url: str, *, goal: int, reached: Callable[[], int], attempts: int = _ATTEMPTS
) -> None:
    """Repeat a step that needs the network until it reached its goal.

    Raises:
        InputError: so many attempts in a row brought nothing, or the server says no.
    """
    best, idle = reached(), 0
    while best < goal:
        problem = "the connection was closed"
        try:
            step()
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"HTTP {error.code} {error.reason}"
            if error.code in (401, 403):
                raise InputError(f"{url}: {problem}; no such repository, or one that needs permission") from None
            if error.code not in _PASSING:
                raise InputError(f"{url}: {problem}; check hub in {paths().catalog}") from None
        except _LOST as error:
            problem = str(getattr(error, "reason", error)) or type(error).__name__
        if reached() > best:
            best, idle = reached(), 0
            continue
        idle += 1
        if idle == attempts:
            raise InputError(f"{url}: {problem}; check the connection and fetch again, it goes on from here")
        time.sleep(_PAUSE * 2 ** (idle - 1))


def _open(url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """Send a request and follow redirects."""
    request = urllib.request.Request(url, data, {"User-Agent": "deepfake", **(headers or {})})
    return urllib.request.urlopen(request, timeout=_TIMEOUT)


def _endpoint() -> str:
    """Return the address of the hub or of its mirror."""
    endpoint = os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
    if not endpoint.startswith(("https://", "http://")):
        raise InputError(f"HF_ENDPOINT: {endpoint!r} is not the address of a server; unset it or write https://...")
    return endpoint


def _partial(destination: Path, file: Published) -> Path:
    """Return where a file grows; the hash in its name keeps it from being continued with other content."""
    return (destination / file.path).with_name(f".{Path(file.path).name}.{file.sha256[:16]}.partial")


def _is_there(path: Path, file: Published) -> bool:
    """Tell whether a file is there; one with other content is never overwritten."""
    if not path.exists():
        return False
    if path.stat().st_size != file.size or _sha256(path) != file.sha256:
        raise InputError(f"{path}: differs from the published file; move it away and fetch again")
    return True


def _check_space(destination: Path, missing: list[Published]) -> None:
    """Check that the disk can hold what is still to come."""
    partials = [_partial(destination, file) for file in missing]
    there = sum(partial.stat().st_size for partial in partials if partial.exists())
    needed, free = sum(file.size for file in missing) - there, shutil.disk_usage(destination).free
    if needed > free:
        raise InputError(
            f"{destination}: {needed / 1e9:.2f} GB are still to come, {free / 1e9:.2f} GB are free; make room"
        )


def _sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
