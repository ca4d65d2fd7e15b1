import threading
from pathlib import Path

import pytest

from deepfake.cli import main
from deepfake.errors import InputError
from deepfake.execution.processes import LocalProcesses
from deepfake.project import PARAMS, Project, nearest, paths


def test_two_projects_in_one_process_do_not_meet(tmp_path):
    together, found = threading.Barrier(2), {}

    def work(name):
        with Project(tmp_path / name).entered():
            together.wait(10)  # both have entered
            path = paths().table("phase1_tests")
            path.parent.mkdir(parents=True)
            path.write_text(name)
            together.wait(10)
            found[name] = paths().table("phase1_tests").read_text()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == {"one": "one", "other": "other"}
    assert (tmp_path / "one/reports/phase1/phase1_tests.csv").read_text() == "one"


def test_a_project_inside_another_ends_with_its_block(tmp_path):
    with Project(tmp_path).entered():
        with Project(tmp_path / "copy").entered():
            assert paths().root == tmp_path / "copy"
        assert paths().root == tmp_path


def test_a_thread_that_entered_no_project_is_told_so():
    told = []

    def work():
        try:
            paths()
        except InputError as error:
            told.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert "no project" in told[0]


def write_where_it_works(name, tell):
    (paths().root / name).touch()


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_are_in_the_project_of_their_parent(tmp_path, workers):
    with Project(tmp_path).entered():
        LocalProcesses(workers).run(write_where_it_works, ["a", "b"], on_news=lambda news: None, remedy="")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_the_nearest_project_is_named_from_where_one_stands(tmp_path, monkeypatch):
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / PARAMS).touch()
    monkeypatch.chdir(tmp_path / "deep/er")
    assert nearest(Path()) == Project(Path("../.."))
    monkeypatch.chdir(tmp_path)
    assert nearest(Path()) == Project(Path())
    assert nearest(tmp_path / "deep") == Project(tmp_path / "deep/..")


def test_a_command_leaves_the_working_directory_alone(project, monkeypatch, runner):
    (project / "data/below").mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(project / "data/below")
    done = runner.invoke(main, ["runs", "list", "phase1"])
    assert done.exit_code == 0, done.output
    assert Path.cwd() == (project / "data/below").resolve()
