import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from deepfake.datasets import fetch
from deepfake.datasets.catalog import DataSet
from deepfake.errors import InputError
from heard import Heard

REVISION = "0123456789abcdef" * 2 + "01234567"
FILES = {
    "wiki.zip": np.random.default_rng(0).bytes(3_000_000),
    "sub/in sight.zip": np.random.default_rng(1).bytes(700_000),
    "empty.zip": b"",
}


class Hub(ThreadingHTTPServer):
    """The hub as far as a download needs it, with the faults that a test asks for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(FILES)
        self.cuts: list[int] = []
        """After how many bytes the next answers break off."""
        self.refusals: dict[str, list[int]] = {"POST": [], "GET": []}
        """The HTTP status of the next answers, by method."""
        self.knows_ranges = True
        self.stalls = False
        """Whether an answer that breaks off keeps the connection open instead."""
        self.asked: list[tuple[str, int]] = []
        """Path and first byte of each download."""
        self.description: bytes | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if self.refused():
            return
        if self.path != f"/api/datasets/owner/name/paths-info/{REVISION}":
            self.send_error(404)
            return
        entries = [
            {
                "type": "file",
                "path": path,
                "size": len(FILES[path]),
                "oid": "0" * 40,
                "lfs": {"oid": hashlib.sha256(FILES[path]).hexdigest(), "size": len(FILES[path]), "pointerSize": 130},
            }
            for path in form["paths"]
            if path in FILES
        ]
        if "README.md" in form["paths"]:  # small files are not held by git LFS, so there is no SHA-256
            entries.append({"type": "file", "path": "README.md", "size": 1, "oid": "0" * 40})
        self.answer(200, self.server.description or json.dumps(entries).encode())

    def do_GET(self):
        prefix = f"/datasets/owner/name/resolve/{REVISION}/"
        if self.path.startswith(prefix):  # the hub sends one on to where the bytes are
            self.send_response(302)
            self.send_header("Location", f"{self.server.url}/bytes/{self.path.removeprefix(prefix)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path = urllib.parse.unquote(self.path.removeprefix("/bytes/"))
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.asked.append((path, start))
        if self.refused():
            return
        if path not in self.server.files:
            self.send_error(404)
            return
        data = self.server.files[path]
        if start and self.server.knows_ranges:
            self.answer(206, data[start:], **{"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})
        else:
            self.answer(200, data)

    def refused(self) -> bool:
        statuses = self.server.refusals[self.command]
        if statuses:
            self.send_error(statuses.pop(0))
            return True
        return False

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts and self.command == "GET" else len(body)
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if self.server.stalls and cut < len(body):
            time.sleep(60)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch) -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(fetch, "_PAUSE", 0.001)
        yield server
        server.shutdown()


def dataset(*files: str) -> DataSet:
    hub = {"repo": "owner/name", "revision": REVISION, "files": list(files or FILES)}
    entry = {
        "title": "t",
        "modality": "image",
        "adapter": "folder",
        "group": "file",
        "licence": "none",
        "obtain": "ask",
    }
    return DataSet.model_validate(entry | {"hub": hub})


def run(destination: Path, *files: str, **options) -> list[Path]:
    return fetch.fetch("mine", dataset(*files), destination, **options)


def content(destination: Path) -> dict[str, bytes]:
    """Return every file there, hidden ones too."""
    return {str(p.relative_to(destination)): p.read_bytes() for p in destination.rglob("*") if p.is_file()}


def test_the_emulated_hub_is_one_to_the_hubs_own_client(hub):
    # so that the tests below say something about the real one
    import huggingface_hub

    where = {"repo_type": "dataset", "revision": REVISION}
    described = huggingface_hub.HfApi(hub.url, token=False).get_paths_info("owner/name", list(FILES), **where)
    assert {file.path: (file.lfs.size, file.lfs.sha256) for file in described} == {
        path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in FILES.items()
    }
    for path, data in FILES.items():
        url = huggingface_hub.hf_hub_url("owner/name", path, endpoint=hub.url, **where)
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == data


def test_all_files_arrive_whole_and_nothing_else(hub, tmp_path):
    raw = tmp_path / "data/raw/mine"
    assert run(raw) == [raw / name for name in FILES]
    assert content(raw) == FILES


def test_what_is_there_and_right_is_not_fetched_again(hub, tmp_path):
    run(tmp_path)
    hub.asked.clear()
    (tmp_path / "wiki.zip").unlink()
    run(tmp_path)
    assert hub.asked == [("wiki.zip", 0)]
    assert content(tmp_path) == FILES


@pytest.mark.parametrize("other", [b"mine", FILES["wiki.zip"][:-1] + b"x"], ids=["size", "bytes"])
def test_a_file_that_is_there_and_wrong_is_never_replaced(hub, tmp_path, other):
    (tmp_path / "wiki.zip").write_bytes(other)
    with pytest.raises(InputError, match=r"wiki\.zip: differs from the published file; move it away"):
        run(tmp_path)
    assert content(tmp_path) == {"wiki.zip": other}


def test_a_dropped_connection_is_taken_up_where_it_broke(hub, tmp_path):
    hub.cuts = [1_500_000, 700_000]
    run(tmp_path, "wiki.zip")
    assert hub.asked == [("wiki.zip", 0), ("wiki.zip", 1_500_000), ("wiki.zip", 2_200_000)]
    assert content(tmp_path) == {"wiki.zip": FILES["wiki.zip"]}


def test_any_number_of_drops_is_survived_as_long_as_bytes_come(hub, tmp_path):
    hub.cuts = [100_000] * 20
    run(tmp_path, "wiki.zip")
    assert len(hub.asked) == 21


def test_a_server_that_knows_no_ranges_begins_again(hub, tmp_path):
    hub.knows_ranges, hub.cuts = False, [1_500_000]
    run(tmp_path, "wiki.zip")
    assert hub.asked == [("wiki.zip", 0), ("wiki.zip", 1_500_000)]
    assert content(tmp_path) == {"wiki.zip": FILES["wiki.zip"]}


def test_a_server_that_knows_no_ranges_and_always_breaks_off_is_given_up(hub, tmp_path):
    hub.knows_ranges, hub.cuts = False, [1_500_000] * 100
    with pytest.raises(InputError, match=r"wiki\.zip: the connection was closed; .* fetch again"):
        run(tmp_path, "wiki.zip")
    assert len(hub.asked) == 1 + fetch._ATTEMPTS


def test_an_answer_with_another_range_is_not_believed(hub, tmp_path, monkeypatch):
    def shifted(self, status, body, **headers):
        headers = {name: "bytes 7-99/100" for name in headers}
        answer(self, status, body, **headers)

    answer = Handler.answer
    monkeypatch.setattr(Handler, "answer", shifted)
    hub.cuts = [1_500_000]
    with pytest.raises(InputError, match="another range than the one asked for"):
        run(tmp_path, "wiki.zip")
    (partial,) = content(tmp_path).values()
    assert partial == FILES["wiki.zip"][:1_500_000]


def test_a_wrong_checksum_is_an_error_and_nothing_is_kept(hub, tmp_path):
    hub.files["wiki.zip"] = FILES["wiki.zip"][:-1] + b"x"
    with pytest.raises(InputError, match=r"wiki\.zip: its SHA-256 is not the one that the hub states"):
        run(tmp_path, "sub/in sight.zip", "wiki.zip")
    assert content(tmp_path) == {"sub/in sight.zip": FILES["sub/in sight.zip"]}


def test_more_than_the_hub_states_is_not_stored(hub, tmp_path):
    hub.files["wiki.zip"] = FILES["wiki.zip"] + bytes(10_000_000)
    assert run(tmp_path, "wiki.zip")[0].read_bytes() == FILES["wiki.zip"]


def test_a_passing_fault_of_the_server_is_waited_for(hub, tmp_path):
    hub.refusals = {"POST": [503], "GET": [429, 500]}
    run(tmp_path)
    assert content(tmp_path) == FILES


@pytest.mark.parametrize(
    ("method", "status", "message"),
    [
        ("POST", 404, r"paths-info/\w+: HTTP 404 .*; check hub in data/catalog\.yaml"),
        ("POST", 401, r"paths-info/\w+: HTTP 401 .*; no such repository, or one that needs permission"),
        ("GET", 404, r"wiki\.zip: HTTP 404 .*; check hub"),
        ("GET", 403, r"wiki\.zip: HTTP 403 .*needs permission"),
        ("GET", 416, r"wiki\.zip: HTTP 416"),
    ],
)
def test_a_refusal_is_told_at_once(hub, tmp_path, method, status, message):
    hub.refusals[method] = [status]
    with pytest.raises(InputError, match=message) as caught:
        run(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(hub.asked) == (method == "GET")


def test_a_server_that_stays_out_of_order_is_given_up(hub, tmp_path):
    hub.refusals["GET"] = [503] * 100
    with pytest.raises(InputError, match=r"wiki\.zip: HTTP 503 .*; check the connection and fetch again"):
        run(tmp_path)
    assert len(hub.asked) == fetch._ATTEMPTS


def test_a_hub_that_cannot_be_reached_is_told_in_one_line(hub, tmp_path):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(InputError, match=r"^http://127.*refused.*; check the connection and fetch again") as caught:
        run(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_none_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(InputError, match="HF_ENDPOINT: 'file:///etc' is not the address of a server"):
        run(tmp_path)


@pytest.mark.parametrize("file", ["gone.zip", "README.md"])
def test_a_file_that_the_repository_does_not_have_is_named(hub, tmp_path, file):
    with pytest.raises(InputError, match=rf"no file {file} with a SHA-256 there; check hub in data/catalog\.yaml"):
        run(tmp_path, "wiki.zip", file)
    assert content(tmp_path) == {}


@pytest.mark.parametrize(
    "description",
    [
        b"<html>log in</html>",
        b"[1]",
        b"7",
        b'[{"path": "wiki.zip", "lfs": {"size": "many", "oid": "0"}}]',
        b'[{"path": "wiki.zip", "lfs": {"size": 1, "oid": "../../../x"}}]',
    ],
)
def test_what_is_no_answer_of_the_hub_is_told(hub, tmp_path, description):
    hub.description = description
    with pytest.raises(InputError, match="not an answer of the hub; check HF_ENDPOINT and the proxy"):
        run(tmp_path, "wiki.zip")


def test_a_data_set_that_is_not_published_says_how_to_obtain_it(tmp_path):
    entry = dataset().model_copy(update={"hub": None})
    with pytest.raises(InputError, match="mine: it cannot be fetched; to obtain the data: ask"):
        fetch.fetch("mine", entry, tmp_path)


def test_a_full_disk_is_told_before_anything_is_fetched(hub, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    needed = sum(map(len, FILES.values()))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, needed - 1))
    with pytest.raises(InputError, match=r"0\.00 GB are still to come, 0\.00 GB are free; make room"):
        run(tmp_path)
    assert hub.asked == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, needed))
    run(tmp_path)


def test_progress_counts_the_bytes_that_are_there(hub, tmp_path):
    run(tmp_path, "sub/in sight.zip")
    hub.cuts = [1_500_000]
    run(tmp_path, progress=(heard := Heard()))
    total = sum(map(len, FILES.values()))
    done = [step[1] for step in heard.steps]
    assert {(title, of) for title, _, of in heard.steps} == {("fetching mine", total)}
    assert done == sorted(done)
    assert done[0] > len(FILES["sub/in sight.zip"])
    assert done[-1] == total


def test_a_killed_download_goes_on(hub, tmp_path):
    hub.cuts, hub.stalls = [2_000_000], True
    code = (
        "import sys, pathlib; from deepfake.datasets import catalog, fetch; "
        "fetch.fetch('mine', catalog.find('mine', pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]))"
    )
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(json.dumps({"mine": dataset("wiki.zip").model_dump(exclude_none=True)}))
    raw = tmp_path / "raw"
    child = subprocess.Popen([sys.executable, "-c", code, str(catalog), str(raw)])
    deadline = time.monotonic() + 30
    while sum(map(len, content(raw).values())) < 1_000_000 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert not (raw / "wiki.zip").exists()
    (partial,) = content(raw).values()
    assert 1_000_000 <= len(partial) < len(FILES["wiki.zip"])
    run(raw, "wiki.zip")
    assert hub.asked == [("wiki.zip", 0), ("wiki.zip", len(partial))]
    assert content(raw) == {"wiki.zip": FILES["wiki.zip"]}


def test_the_next_steps_name_the_folder():
    assert "dvc add data/raw/dff\n" in fetch.next_steps("dff")
    assert "-S dataset=dff" in fetch.next_steps("dff")
