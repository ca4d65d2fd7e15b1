"""Jobs on a real Ray cluster: nodes on this machine, each with a core, workers and an object store of its own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch

import deepfake
import jobs_for_cluster as work
from deepfake import cli, execution
from deepfake.config.execution import Execution
from deepfake.errors import InputError
from deepfake.execution import cluster
from deepfake.execution.processes import LocalProcesses
from deepfake.project import paths
from deepfake.runs import cross_validation
from heard import Heard
from ray_nodes import IDLE, Nodes
from tiny_study import config, weights

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def started():
    with pytest.MonkeyPatch.context() as environment, Nodes() as nodes:
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        yield nodes
        ours = [process for name in nodes.names for process in nodes.processes(name)]
    _, alive = psutil.wait_procs(ours, timeout=10)
    assert not alive


@pytest.fixture
def nodes(started) -> Nodes:
    """Two nodes that see the same files."""
    started.only("left", "right")
    return started


def settings(nodes: Nodes | None = None, **values) -> Execution:
    return Execution(backend="ray", address=nodes.address if nodes else None, **values)


class Told:
    """What is told of jobs, in its order; `then` is called with each piece of news."""

    def __init__(self, then=lambda news: None):
        self.states, self.news, self._then = [], [], then

    def run(self, executor, function, jobs) -> None:
        executor.run(function, jobs, on_news=self._hear, remedy="buy some", on_state=self.states.append)

    def _hear(self, news) -> None:
        self.news.append(news)
        self._then(news)

    def of(self, name: str) -> list[str]:
        return [each.state for each in self.states if each.name == name]

    def where(self, name: str) -> str:
        """Return where a job was begun last."""
        return [each.where for each in self.states if each.name == name and each.state == "running"][-1]


@pytest.fixture
def jobs(project):
    """Give a function that makes jobs which read two files of a project."""
    files = []
    for name in ("data/first.txt", "data/second.txt"):
        files.append(paths().root / name)
        files[-1].write_text(name)

    def make(count: int, **values) -> list[work.Job]:
        diary = Path("diary.txt").absolute()
        return [
            work.Job(f"run, fold {number}", tuple(files), paths().store / "key.part" / f"fold{number}", diary, **values)
            for number in range(count)
        ]

    return make


def begun() -> list[str]:
    return sorted(Path("diary.txt").read_text().splitlines())


def assert_nothing_is_left() -> None:
    assert not list(paths().store.rglob("*.token"))
    assert not [path for path in paths().store.rglob("*") if path.name.startswith(".")]


# --- what does not begin


def test_an_address_at_which_nobody_listens_is_told_at_once(jobs):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for scheme in ("", "ray://"):
            executor = cluster.Cluster(Execution(backend="ray", address=scheme + address))
            with pytest.raises(InputError) as error:
                Told().run(executor, work.work, jobs(1))
            assert str(error.value) == (
                f"execution.address: no Ray cluster answers at {scheme}{address} (Connection refused); "
                "start one (ray start --head), or set address to null"
            )


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:", "127.0.0.1:port", ":6379"])
def test_what_is_no_address_is_told(jobs, address):
    with pytest.raises(InputError, match=r"write auto, HOST:PORT or ray://HOST:PORT$"):
        Told().run(cluster.Cluster(Execution(backend="ray", address=address)), work.work, jobs(1))


@pytest.mark.slow
def test_somebody_else_at_the_address_is_given_up(jobs, monkeypatch):
    monkeypatch.setattr(cluster, "_ANSWER", 6.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(InputError, match=rf"the Ray cluster at {address}: it does not answer; start one"):
            Told().run(cluster.Cluster(Execution(backend="ray", address=address)), work.work, jobs(1))
        assert time.monotonic() - started < 60
    assert_nothing_is_left()


def test_a_number_of_gpus_is_for_clusters_of_this_machine_alone():
    cluster.Cluster(Execution(backend="ray", gpus=1))
    with pytest.raises(InputError, match=r"^execution.gpus: .*ray start --num-gpus"):
        cluster.Cluster(Execution(backend="ray", gpus=1, address="auto"))


def test_jobs_that_cannot_be_carried_stay_on_this_machine(monkeypatch):
    here, told = [], Told()
    monkeypatch.setattr(LocalProcesses, "run", lambda self, function, jobs, **_: here.extend(jobs))
    told.run(cluster.Cluster(settings()), work.work, range(3))
    assert here == [0, 1, 2]


# --- on two nodes


@pytest.mark.slow
def test_jobs_are_carried_out_on_all_nodes_and_heard(nodes, jobs):
    told = Told()
    told.run(cluster.Cluster(settings(nodes)), work.work, jobs(4, seconds=2.0))
    for job in jobs(4):
        assert told.of(job.name) == ["waiting", "running", "done"]
        assert (job.folder / "result.txt").read_text() == "data/first.txtdata/second.txt"
        # in place, from the very files
        _, source, folder = (job.folder / "where.txt").read_text().splitlines()
        assert (Path(source), Path(folder)) == (job.inputs[0].resolve(), job.folder.resolve())
    assert {told.where(job.name) for job in jobs(4)} == {"left", "right"}
    assert sorted(what for what, _ in told.news) == ["begun"] * 4 + ["ended"] * 4
    assert begun() == [job.name for job in jobs(4)]
    assert_nothing_is_left()


# --- what goes wrong in a job


@pytest.mark.slow
def test_a_job_that_fails_is_not_tried_again_and_what_runs_beside_it_is_kept(nodes, jobs):
    told = Told()
    with pytest.raises(InputError) as error:
        told.run(cluster.Cluster(settings(nodes)), work.fail_first, jobs(8, seconds=3.0))
    where = told.where("run, fold 0")
    assert str(error.value).startswith(
        f"run, fold 0: {where}: ZeroDivisionError: of no use (jobs_for_cluster.py, line "
    )
    assert "\n" not in str(error.value)
    assert begun().count("run, fold 0") == 1
    assert len(begun()) < 8  # the others were not begun
    done = [job.name for job in jobs(8) if (job.folder / "result.txt").exists()]
    assert done == sorted(set(begun()) - {"run, fold 0"})
    assert told.of("run, fold 0") == ["waiting", "running", "failed"]
    assert_nothing_is_left()


@pytest.mark.slow
def test_what_the_user_can_mend_names_the_job_and_the_node(nodes, jobs):
    (job,) = jobs(1)
    for function, words in (
        (work.wrong, "run, fold 0 is wrong"),
        (work.fill_the_disk, f"{os.path.abspath(job.folder)}: no space left on device"),
    ):
        told = Told()
        with pytest.raises(InputError) as error:
            told.run(cluster.Cluster(settings(nodes)), function, [job])
        assert str(error.value) == f"run, fold 0: {told.where(job.name)}: {words}"


@pytest.mark.slow
def test_a_job_whose_worker_is_always_killed_is_given_up(nodes, jobs):
    told = Told()
    with pytest.raises(
        InputError, match=r"run, fold 0: its worker was killed 4 times, .*for lack of memory; buy some$"
    ):
        told.run(cluster.Cluster(settings(nodes)), work.die, jobs(1))
    assert begun() == ["run, fold 0"] * 4
    assert told.of("run, fold 0") == ["waiting", "running"] * 4 + ["failed"]


@pytest.mark.slow
def test_what_is_interrupted_stops_on_the_nodes_too(nodes, jobs):
    def interrupt(news) -> None:
        raise KeyboardInterrupt

    told = Told(interrupt)
    with pytest.raises(KeyboardInterrupt):
        told.run(cluster.Cluster(settings(nodes)), work.work, jobs(2, seconds=600.0))
    ((_, pid),) = told.news
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert_nothing_is_left()


# --- folds


RUN = "simple_cnn_low"


def results() -> tuple[pd.DataFrame, dict[str, torch.Tensor]]:
    return pd.read_parquet(paths().predictions(RUN)), weights(RUN)


@pytest.fixture
def trained_here(copied) -> Callable[[], None]:
    """Train a run by processes of this machine and forget it; give a function that holds what is there against it."""
    with execution.using(LocalProcesses(1)):
        cross_validation.complete([config(epochs=4)])
    predictions, parameters = results()
    shutil.rmtree(paths().runs)

    def same() -> None:
        again, parameters_again = results()
        pd.testing.assert_frame_equal(predictions, again, check_exact=True)
        assert parameters.keys() == parameters_again.keys()
        assert all(torch.equal(value, parameters_again[key]) for key, value in parameters.items())

    return same


@pytest.mark.slow
def test_folds_whose_worker_and_node_are_killed_end_with_the_same_bits(nodes, trained_here):
    every = cross_validation.jobs(cross_validation.prepare(config(epochs=4)))
    killed = {}

    def kill(news) -> None:
        """Kill what trains a fold in its third epoch: of one node the workers, the other node as a whole."""
        name = f"{news.experiment}, fold {news.fold}"
        where = told.where(name)
        if news.epoch == 2 and where not in killed:
            killed[where] = name
            if where == "right":
                nodes.kill("right")
            else:
                for process in nodes.workers("left"):
                    process.kill()

    told = Told(kill)
    told.run(cluster.Cluster(settings(nodes)), work.train_until_killed, every)
    assert sorted(killed) == ["left", "right"]
    assert sorted(killed.values()) == [job.name for job in every]
    for job in every:
        assert told.of(job.name) == ["waiting", "running", "waiting", "running", "done"]
        epochs = [int(line) for line in (job.folder / "epochs.txt").read_text().splitlines()]
        # it went on from the last epoch that was saved: only the one that was cut off was begun twice
        assert epochs == [0, 1, 2, 2, 3]
        assert cross_validation.is_done(job.folder)
    cross_validation.complete([config(epochs=4)])
    trained_here()


# --- nodes that are not like this machine


@pytest.mark.slow
def test_a_node_that_sees_no_files_gets_them_from_ray_and_sends_its_results(started, trained_here, tmp_path):
    started.only(IDLE)
    started.start("away", DEEPFAKE_PROJECT=str(tmp_path / "nowhere"))
    heard, states = Heard(), []
    heard.job = states.append
    with execution.using(cluster.Cluster(settings(started))):
        cross_validation.complete([config(epochs=4)], heard)
    trained_here()
    assert {each.where for each in states if each.state == "running"} == {"away"}
    assert sorted(news.fold for news in heard.folds if news.finished) == [0, 1]
    # the images came once, and nothing else is left there
    came = [path for path in (started.cache("away") / "files").iterdir() if path.suffix != ".lock"]
    assert len(came) == 1
    assert not list((started.cache("away") / "jobs").iterdir())
    assert not (tmp_path / "nowhere").exists()
    assert_nothing_is_left()


@pytest.mark.slow
def test_a_node_with_other_code_is_refused(started, jobs, tmp_path):
    shutil.copytree(Path(deepfake.__file__).parent, tmp_path / "code/deepfake")
    with (tmp_path / "code/deepfake/errors.py").open("a") as file:
        file.write("# another line\n")
    started.only(IDLE)
    started.start("other", code=str(tmp_path / "code"))
    told = Told()
    with pytest.raises(InputError, match=r"^other: the code of deepfake is [0-9a-f]{12} there and [0-9a-f]{12} here"):
        told.run(cluster.Cluster(settings(started)), work.work, jobs(2))
    assert not Path("diary.txt").exists()
    assert_nothing_is_left()


@pytest.mark.slow
def test_a_cluster_that_goes_away_is_told_and_the_next_start_trains_what_is_missing(started, trained_here):
    class Kills(Heard):
        """Kills the head, and all with it, when the first fold is done."""

        def job(self, state):
            if state.state == "done" and started.names:
                started.only()

    started.only("left")
    executor = cluster.Cluster(settings(started))
    with pytest.raises(ConnectionError) as error, execution.using(executor):
        cross_validation.complete([config(epochs=4)], Kills())
    assert error.value.errno not in cli._MENDABLE  # exit code 1: a batch system may try again
    assert f"{error.value.filename}: {error.value.strerror}" == (
        f"the Ray cluster at {started.address}: it is gone; start it and run the same command again: "
        "it goes on from what is finished"
    )
    with pytest.raises(InputError, match="no Ray cluster answers"), execution.using(executor):
        cross_validation.complete([config(epochs=4)])
    started.only("left")
    heard = Heard()
    with execution.using(executor):
        cross_validation.complete([config(epochs=4)], heard)
    assert len({news.fold for news in heard.folds}) == 1
    trained_here()
    assert_nothing_is_left()


# --- this machine alone


@pytest.mark.slow
def test_a_cluster_of_this_machine_alone_ends_with_its_caller(project, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "import jobs_for_cluster as work\n"
        "from deepfake.config.execution import Execution\n"
        "from deepfake.execution.cluster import Cluster\n"
        "from deepfake.project import Project\n"
        "if __name__ == '__main__':\n"
        "    with Project(Path()).entered():\n"
        "        diary = Path('diary.txt').absolute()\n"
        "        jobs = [work.Job(f'{n}', (Path('params.yaml'),), Path(f'.store/a/{n}'), diary, n) for n in (0, 600)]\n"
        "        Cluster(Execution(backend='ray')).run(work.work, jobs, on_news=print, remedy='')\n"
    )
    code = os.pathsep.join([str(Path(deepfake.__file__).parents[1]), str(Path(work.__file__).parent)])
    home = tmp_path / "home"
    home.mkdir()
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    variables |= {"PYTHONPATH": code, "HOME": str(home)}
    caller = psutil.Popen([sys.executable, "-u", str(script)], env=variables, stdout=subprocess.PIPE)
    said = [caller.stdout.readline() for _ in range(3)]
    assert sum(b"begun" in line for line in said) == 2 and sum(b"ended" in line for line in said) == 1
    everybody = caller.children(recursive=True)
    assert len(everybody) > 3
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    caller.stdout.close()
    assert not list(home.iterdir())  # which the image does not let it write
    _, alive = psutil.wait_procs(everybody, timeout=40)
    assert not alive
