"""The run store: whole or not at all, found by its key alone, and nothing lost."""

import errno
import json
import shutil
from pathlib import Path

import filelock
import pytest

from deepfake import originals, run_files, tables
from deepfake.project import paths
from deepfake.runs import store
from heard import Heard


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def put(study="phase1", run="a", key="k1", text="1"):
    store.put(study, run, "trained", key, lambda folder: (folder / "numbers.txt").write_text(text))


def test_an_entry_is_found_by_its_key_and_lies_in_its_studys_folder():
    put()
    found = store.find("k1")
    assert found is not None
    assert found.folder == paths().study("phase1") / "a"
    assert found.entry.kind == "trained"
    assert store.find("k2") is None
    assert paths().run("a") == paths().study("phase1") / "a"


def test_of_two_of_a_key_that_of_the_run_is_taken():
    put(run="b")
    put(study="phase2", run="a")
    assert store.find("k1", run="a").entry.run == "a"
    assert store.find("k1", run="b").entry.run == "b"


def test_other_code_keeps_what_it_pushes_out_until_it_is_pruned():
    put(key="old", text="old")
    put(key="new", text="new")
    assert (paths().study("phase1") / "a" / "numbers.txt").read_text() == "new"
    assert (store.find("old").folder / "numbers.txt").read_text() == "old"
    assert store.find("old").folder.parent == paths().store
    store.unfinished("other").mkdir()
    assert store.prune() == 2
    assert store.find("old") is None
    assert store.find("new") is not None


def test_an_entry_that_cannot_be_moved_away_is_not_lost(monkeypatch):
    put(key="old", text="old")
    rename = Path.rename

    def elsewhere(path: Path, target: Path) -> Path:
        if target == paths().store / "old":
            raise OSError(errno.EXDEV, "another disk")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", elsewhere)
    with pytest.raises(OSError, match="another disk"):
        put(key="new", text="new")
    assert (store.find("old").folder / "numbers.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_text("2"), "numbers.txt is not what was written"),
        (lambda path: path.unlink(), "numbers.txt is missing"),
    ],
)
def test_a_damaged_entry_is_told_in_one_line_and_not_used(spoil, said):
    put()
    spoil(paths().study("phase1") / "a" / "numbers.txt")
    heard = Heard()
    assert store.find("k1", progress=heard) is None
    assert heard.lines == [f"runs/phase1/a: {said}; this entry of the run store is computed again"]
    put(text="3")  # and it can be replaced
    assert store.find("k1") is not None


def test_half_an_entry_is_none():
    put()
    (paths().study("phase1") / "a" / run_files.ENTRY).write_text('{"run": "a"')
    assert store.find("k1") is None


def test_what_fails_while_it_is_written_leaves_the_old_entry_whole():
    put(text="old")

    def fail(folder):
        (folder / "numbers.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.put("phase1", "a", "trained", "k2", fail)
    found = store.find("k1")
    assert (found.folder / "numbers.txt").read_text() == "old"
    assert store.find("k2") is None


def test_one_killed_before_its_entry_was_renamed_is_written_again(monkeypatch):
    """What the killed one left must not be copied from: it is in the way, and is removed first."""

    def kill(path, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", kill)
        with pytest.raises(KeyboardInterrupt):
            put()
    assert list(paths().store.glob("*/entry.json")), "it was whole"
    assert store.find("k1") is None
    put()
    assert store.find("k1").folder == paths().study("phase1") / "a"
    assert [path.name for path in paths().store.iterdir()] == []


def test_a_whole_entry_takes_the_place_of_a_damaged_one_of_its_key():
    put()
    put(key="k2")
    (paths().store / "k1" / "numbers.txt").write_text("damaged")
    put(text="again")
    put(key="k2")
    assert (store.find("k1").folder / "numbers.txt").read_text() == "again"
    assert store.find("k1").folder == paths().store / "k1"


def test_a_studys_folder_holds_its_runs_and_nothing_else():
    put(run="a", key="ka")
    put(run="b", key="kb")
    (paths().study("phase1") / "stray.txt").write_text("")
    store.keep_only("phase1", ["b"])
    assert [path.name for path in paths().study("phase1").iterdir()] == ["b"]
    assert store.find("ka").folder.parent == paths().store, "one entry taken out of params.yaml is not lost"


def test_hashes_are_those_of_the_files():
    put(text="x")
    entry = json.loads((paths().run("a") / run_files.ENTRY).read_text())
    # sha256sum of "x"
    assert entry["files"] == {"numbers.txt": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}


def test_the_key_depends_on_every_part():
    keys = {store.key("a", 1), store.key("a", 2), store.key("b", 1), store.key("a", "1")}
    assert len(keys) == 4


def test_a_second_process_waits():
    paths().store.mkdir()
    other = filelock.FileLock(paths().store / "k1.lock", is_singleton=False)
    other.acquire()

    class Releases(Heard):
        def say(self, line):
            super().say(line)
            other.release()

    heard = Releases()
    with store.locked(["k1"], heard):
        assert heard.lines == ["another process computes the same run; waiting for it"]


def test_what_another_process_works_on_is_not_pruned():
    for key in ("k1", "k2"):
        store.unfinished(key).mkdir(parents=True)
        (paths().store / f"{key}-simple_cnn_low.new").mkdir()
    with filelock.FileLock(paths().store / "k1.lock", is_singleton=False):
        assert store.prune() == 2
    assert store.unfinished("k1").exists() and (paths().store / "k1-simple_cnn_low.new").exists()
    assert store.prune() == 2


# --- DVC's copies of a workspace


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """Give a function that enters the copy of a name, as DVC makes them below the workspace."""

    def enter(name: str) -> Path:
        folder = tmp_path / "main/.dvc/tmp/exps" / name
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(folder)
        return folder

    return enter


@pytest.mark.parametrize("names", [("tmpa", "tmpb"), ("standalone/tmpa", "tmpb")])
def test_what_one_copy_trains_another_takes_when_the_first_is_gone(copies, tmp_path, names):
    first = copies(names[0])
    put()
    shutil.rmtree(first)
    copies(names[1])
    assert paths().store.resolve() == (tmp_path / "main/.store").resolve()
    assert store.bring_back("phase1", "a", "k1")
    assert (paths().study("phase1") / "a/numbers.txt").read_text() == "1"
    # whole, and once
    put(text="not again", key="k1")
    assert (paths().store / "k1/numbers.txt").read_text() == "1"
    assert [path.name for path in paths().store.glob("*/")] == ["k1"]


def test_the_workspace_takes_what_a_copy_has_trained_and_knows_its_provenance(copies, tmp_path, monkeypatch):
    copies("tmpa")
    put(key="new", text="new")
    tables.write_text("when and where", paths().provenance("a"))
    monkeypatch.chdir(tmp_path / "main")
    assert store.bring_back("phase1", "a", "new")
    # that of the experiment goes with its copy
    assert not paths().provenance("a").exists()


def test_copies_that_push_out_the_same_entry_at_once_do_not_disturb_each_other(copies, monkeypatch):
    remove, whole = shutil.rmtree, store._whole
    copies("tmpa")
    put(key="old")
    copies("tmpb")
    put(key="old")
    # the other one has moved it there between the look and the move
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: path.name == "old" or remove(path))
    monkeypatch.setattr(store, "_whole", lambda folder: whole(folder) if folder.name == "a" else None)
    store._set_aside(paths().study("phase1") / "a")
    assert (paths().store / "old/numbers.txt").read_text() == "1"


def test_a_copy_is_known_by_where_dvc_puts_it(tmp_path):
    for below, expected in (
        (".dvc/tmp/exps/tmpx", True),
        (".dvc/tmp/exps/standalone/tmpx", True),
        (".dvc/tmp/exps/tmpx/project", True),  # of a repository in a folder of another one
        (".dvc/tmp/other", False),
        ("tmp/exps/x", False),
    ):
        assert originals.original(tmp_path / below) == (tmp_path if expected else None), below
