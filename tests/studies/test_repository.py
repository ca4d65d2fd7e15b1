import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from dvc.config import Config

from deepfake.errors import InputError
from deepfake.ops import repository
from deepfake.project import paths
from dvc_repository import (
    RAW,
    add,
    call,
    commit,
    configure,
    contents,
    isolate,
    lose,
    make_repository,
    write,
    write_pictures,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own
CLOUD = "'remote \"cloud\"'"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A repository whose data set `mine` is versioned and pushed, as the current folder."""
    isolate(tmp_path, monkeypatch)
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    make_repository(root)
    write_pictures(real=2, fake=2)
    add()
    commit("a data set")
    return root


def refusal() -> str:
    with pytest.raises(InputError) as error:
        repository.pull("mine")
    message = str(error.value)
    assert "\n" not in message
    return message


def test_what_a_remote_has_is_pulled_once(here):
    before = contents()
    call("dvc", "push", "-q")
    lose()
    assert repository.pull("mine")
    assert contents() == before
    assert not repository.pull("mine")


def test_a_data_set_that_is_not_versioned_is_left_alone(here):
    assert not repository.pull("sample")


def test_what_no_remote_has(here):
    lose()
    assert "remote 'storage' does not have it; run `dvc push`" in refusal()
    call("dvc", "remote", "remove", "-q", "storage")
    assert "no remote is configured" in refusal()


def test_a_remote_that_is_out_of_reach(here, monkeypatch):
    lose()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    configure("core", remote="cloud")
    configure(CLOUD, url="s3://bucket/data", endpointurl="http://127.0.0.1:9")
    assert "remote 'cloud' wants credentials; set AWS_ACCESS_KEY_ID" in refusal()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    message = refusal()
    assert "remote 'cloud' cannot be reached (Could not connect to the endpoint" in message
    assert "secret" not in message


def test_what_came_damaged_is_not_called_missing(here):
    call("dvc", "push", "-q")
    lose()
    for path in Path(".dvc/storage").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            path.chmod(0o644)
            path.write_bytes(b"damaged")
    message = refusal()
    assert "what remote 'storage' has of it is damaged or incomplete (Checkout failed" in message
    assert "\x1b" not in message


def test_dvc_speaks_for_itself_again_afterwards(here):
    import logging

    before = [logging.getLogger(name).handlers for name in ("dvc", "dvc_data", "dvc_objects")]
    lose()
    refusal()
    assert [logging.getLogger(name).handlers for name in ("dvc", "dvc_data", "dvc_objects")] == before


def test_a_folder_of_somebody_else_and_one_that_nobody_can_write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repository.require_writable(Path())
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    owner = tmp_path.stat()
    with pytest.raises(InputError, match=rf"belongs to uid {owner.st_uid} .* --user {owner.st_uid}:{owner.st_gid}"):
        repository.require_writable(Path())
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(InputError, match="mounted read-only"):
        repository.require_writable(Path())


# --- with git or without


def core() -> dict:
    """Return what holds for DVC here, of the section that tells whether it works with git."""
    return dict(Config(".dvc")["core"])


def version_of(folder: Path) -> dict[str, str]:
    """Return what of DVC's settings lies in a folder."""
    return contents(folder / ".dvc") if (folder / ".dvc").exists() else {}


@pytest.fixture
def alone(tmp_path, monkeypatch) -> Path:
    """A folder with dvc.yaml that no repository has, as the current one."""
    isolate(tmp_path, monkeypatch)
    root = tmp_path / "alone"
    root.mkdir()
    monkeypatch.chdir(root)
    write("dvc.yaml", {"stages": {}})
    return root


def test_in_a_git_repository_no_setting_changes(here):
    (here / ".dvc/config.local").write_text("[cache]\n    dir = elsewhere\n")
    before = version_of(here)
    assert repository.prepare() is None
    assert version_of(here) == before


def test_a_git_repository_without_dvc_gets_it(here):
    shutil.rmtree(".dvc")
    assert repository.prepare() is None
    assert not core()["no_scm"]
    assert not core()["analytics"]
    assert not paths().dvc.joinpath("config.local").exists()
    assert call("dvc", "root") == ".\n"


def test_git_that_dvc_was_told_to_do_without_is_told(here):
    configure("core", local=True, no_scm=True)
    before = version_of(here)
    note = repository.prepare()
    assert note is not None
    assert "\n" not in note
    assert version_of(here) == before
    call(*note.rpartition(": ")[2].split())  # the remedy
    assert repository.prepare() is None


def test_where_git_is_not_installed_its_repository_keeps_its_settings(here, monkeypatch):
    before = version_of(here)
    monkeypatch.setattr(repository.shutil, "which", lambda name: None)
    assert repository.prepare() is None
    assert version_of(here) == before


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("settings", [None, "[core]\n    remote = storage\n"])
def test_without_a_repository_dvc_does_without_git(alone, monkeypatch, settings, installed):
    if settings is not None:
        paths().dvc.mkdir()
        paths().dvc.joinpath("config").write_text(settings)
    if not installed:
        monkeypatch.setattr(repository.shutil, "which", lambda name: None)
    note = repository.prepare()
    assert note is not None
    assert "no git repository here" in note
    assert core()["no_scm"]
    assert settings is None or paths().dvc.joinpath("config").read_text() == settings
    before = version_of(alone)
    assert repository.prepare() == note
    assert version_of(alone) == before


def test_what_is_in_config_local_already_stays(alone):
    paths().dvc.mkdir()
    configure("core", local=True, autostage=True)
    repository.prepare()
    assert (core()["no_scm"], core()["autostage"]) == (True, True)


def test_a_repository_further_up_counts_if_it_has_this_folder(alone, monkeypatch):
    paths().dvc.mkdir()
    call("git", "init", "-q", str(alone.parent))
    assert repository.prepare() is not None
    assert core()["no_scm"]
    paths().dvc.joinpath("config.local").unlink()
    call("git", "add", "dvc.yaml")
    assert repository.prepare() is None
    assert not core()["no_scm"]


def test_settings_that_dvc_cannot_read(alone):
    paths().dvc.mkdir()
    paths().dvc.joinpath("config").write_text("[core\n")
    with pytest.raises(InputError, match=r"^\.dvc: config file error") as error:
        repository.prepare()
    assert "\n" not in str(error.value)


def test_settings_that_cannot_be_written(alone, monkeypatch):
    paths().dvc.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != paths().dvc)  # root may write anywhere
    with pytest.raises(InputError, match=r"\.dvc: belongs to uid"):
        repository.prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_repository_that_git_distrusts(here):
    os.chown(here, 4321, 4321)
    with pytest.raises(InputError, match=rf"dubious ownership.*safe\.directory {here}"):
        repository.prepare()


def test_a_worktree_whose_repository_is_elsewhere(here):
    shutil.rmtree(".git")
    Path(".git").write_text("gitdir: /nowhere/.git/worktrees/it\n")
    with pytest.raises(InputError, match=r"\.git: git cannot use it \(not a git repository.*not a worktree"):
        repository.prepare()


def test_the_pointer_is_where_dvc_puts_it(here):
    assert paths().pointer("mine").exists()
    assert paths().raw("mine") == RAW
    assert subprocess.run(["git", "ls-files", "--error-unmatch", paths().pointer("mine")], check=False).returncode == 0
