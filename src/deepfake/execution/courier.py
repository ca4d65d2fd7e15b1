"""The process that speaks to a Ray cluster for the one that has the jobs: `python -m deepfake.execution.courier FD`.

It knows jobs as numbers and bytes. Ray ends a process whose cluster is gone, keeps threads that no fork survives, and
writes to its output what it likes: none of that is the caller's concern.
"""

import logging
import os
import secrets
import socket
import sys
import time
from collections import deque
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from deepfake.execution import gate
from deepfake.execution.orders import Order

_TRIES = 4
"""How often a job is begun whose worker is lost each time."""
_CHUNK = 32 << 20
"""Bytes of a file that are one object of Ray's store."""
_PATIENCE = 20.0
"""Seconds after which a head that nobody listens at is gone; one that Kubernetes restarts may come back before."""
_ASK = 2.0
"""Seconds after which the head is looked for again."""
_SMALL_STORE = 256 << 20
"""Bytes of the object store of a cluster of this machine alone, which hardly needs it."""


class Courier:
    """Carries jobs to nodes, and what they say to the caller.

    Args:
        connection: to the caller.
        order: how it is to work.
        count: of the jobs.
    """

    def __init__(self, connection: Connection, order: Order, count: int) -> None:
        import ray
        from ray import cloudpickle
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._caller, self._order, self._ray = connection, order, ray
        self._waiting = deque(range(count))
        self._running: dict[Any, int] = {}
        self._begun = [0] * count
        self._where: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._places: dict[str, str] = {}
        self._chunks: dict[str, list[Any]] = {}
        self._failed = False
        self._heard = 0
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # begun anew when its process is killed: what was said is lost then, what was asked for is asked again
        again = {"max_restarts": -1, "max_task_retries": -1}
        cloudpickle.register_pickle_by_value(gate)
        self._post: Any = ray.remote(gate.Post).options(num_cpus=0, scheduling_strategy=here, **again).remote()
        self._gate: Any = ray.remote(gate.enter)
        self._news = self._post.take.remote()
        self._expected = ray.put(order.facts)

    def work(self) -> None:
        """Carry out all jobs; after a failure only those that are running."""
        alive = asked = time.monotonic()
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._window():
                self._begin(self._waiting.popleft())
            every = [self._news, *self._running]
            self._ray.wait(every, timeout=1.0)
            ready = self._ray.wait(every, num_returns=len(every), timeout=0)[0]
            if ready:
                self._hear()  # what a job has said comes before its end
            for ref in ready:
                if ref in self._running:  # which the news are not, and nothing is once a node was refused
                    self._end(ref)
            if self._caller.poll():
                raise EOFError  # the caller says nothing of itself but that it goes
            if time.monotonic() - asked > _ASK:
                asked = time.monotonic()
                alive = asked if self._answers() else alive
                if asked - alive > _PATIENCE:
                    raise EOFError
        self._caller.send(("end", 0, None))

    def _window(self) -> int:
        """Return how many jobs Ray is to know of: twice as many as there is room for, or who comes free would wait."""
        room = self._ray.cluster_resources()
        fit = room.get("CPU", 0)
        if self._order.gpu:
            fit = min(fit, room.get("GPU", 0) / self._order.gpu)
        return 2 * max(int(fit), 1)

    def _begin(self, number: int) -> None:
        """Hand a job to Ray."""
        self._caller.send(("wants", number, None))
        task, places = self._caller.recv()
        self._names[number] = task.name
        self._places |= places
        self._begun[number] += 1
        # Ray would try again by itself without a word, and for ever where memory ran out
        options = {
            "name": task.name,
            "scheduling_strategy": "SPREAD",
            "num_cpus": 1,
            "num_gpus": self._order.gpu,
            "max_retries": 0,
        }
        sharers = round(1 / self._order.gpu) if self._order.gpu else 1
        ref = self._gate.options(**options).remote(self._expected, (number, task.parcel), sharers, self._post)
        self._running[ref] = number

    def _hear(self) -> None:
        """Hand on what nodes have said until now, also what is still on its way here."""
        answers, said = self._ray.get(self._post.taken.remote())
        if answers > self._heard or self._ray.wait([self._news], timeout=0)[0]:
            self._listen(self._ray.get(self._news))
            self._news, self._heard = self._post.take.remote(), self._heard + 1
        self._listen(said)

    def _listen(self, said: list[Any]) -> None:
        """Hand on what nodes have said, and give them the files that they ask for."""
        for kind, number, value in said:
            if kind == "file":
                self._supply(value)
            elif kind == "running":
                node, gpus = value
                self._where[number] = ", GPU ".join([self._name(node), *gpus])
                self._caller.send((kind, number, self._where[number]))
            else:
                self._caller.send((kind, number, value))

    def _name(self, node: str) -> str:
        """Return what a node is called: what `ray start --node-name` said, or its address."""
        return next((each["NodeName"] for each in self._ray.nodes() if each["NodeID"] == node), node)

    def _supply(self, sha256: str) -> None:
        """Put a file into the object store, which spills to the disk what it has no room for."""
        import numpy as np

        if sha256 not in self._chunks:
            place = Path(self._places[sha256])
            parts = range(0, place.stat().st_size, _CHUNK)
            chunks = [self._ray.put(np.fromfile(place, np.uint8, _CHUNK, offset=start)) for start in parts]
            self._chunks[sha256] = chunks
        self._post.supply.remote(sha256, self._chunks[sha256])

    def _end(self, ref: Any) -> None:
        """Look at what a job has come to."""
        from ray import exceptions

        number = self._running.pop(ref)
        try:
            kind, value = self._ray.get(ref)
        except exceptions.TaskCancelledError:
            return
        except (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.ObjectLostError,
            exceptions.OutOfMemoryError,
        ):
            self._lost(number)
            return
        except exceptions.RayError as error:
            kind, value = "failed", str(error).strip().splitlines()[-1]
        if kind == "stopped":
            return
        where = self._where.get(number, "a node")
        if kind != "done":
            value = f"{where}: {value}"
            self._fail()
        self._caller.send((kind, number, value))
        if kind == "refused":  # what is amiss with the cluster need not wait for what is running
            self._running.clear()

    def _lost(self, number: int) -> None:
        """Try a job again whose worker was lost, unless that has happened too often."""
        where = self._where.pop(number, "a node")
        if self._begun[number] >= _TRIES:
            why = f"its worker was killed {_TRIES} times, the last time on {where}, most likely for lack of memory"
            self._caller.send(("lost", number, why))
            self._fail()
        elif not self._failed:
            self._caller.send(("waiting", number, f"lost on {where}"))
            self._waiting.append(number)

    def _fail(self) -> None:
        """Begin nothing any more, and take back what has not begun."""
        self._failed = True
        self._waiting.clear()
        self._ray.get(self._post.close.remote())
        self._hear()
        for ref, number in self._running.items():
            if number not in self._where:
                self._ray.cancel(ref)

    def _answers(self) -> bool:
        """Tell whether somebody listens where the head was."""
        host, port = self._ray.get_runtime_context().gcs_address.rsplit(":", 1)
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
        except OSError:
            return False
        return True


def connect(order: Order) -> str:
    """Connect to the cluster, and return what is wrong with it, or nothing."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # or Ray warns that this will be so
    if order.address is None:
        # for this cluster only: Ray would write a token into the home folder, which an image may not let it
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray  # reads these variables
    from ray.exceptions import RayError

    alone: dict[str, Any] = {}
    if order.address is None:
        alone = {"num_cpus": order.cores, "include_dashboard": False, "object_store_memory": _SMALL_STORE}
        alone |= {} if order.gpus is None else {"num_gpus": order.gpus}
    try:
        ray.init(order.address or "local", log_to_driver=False, logging_level=logging.ERROR, **alone)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        return f"execution.address: {order.address or 'Ray on this machine'}: {' '.join(str(error).split())}"
    theirs = ray.cluster_resources().get("GPU", 0) > 0
    if theirs is not bool(order.gpu):
        has = ("the cluster has none, and this machine has one", "the cluster has some, and this machine has none")
        return f"execution.address: GPUs decide what a run is known by; {has[theirs]}: start the command on such a node"
    return ""


def main() -> None:
    """Work for the process at the other end of the connection."""
    connection = Connection(int(sys.argv[1]))
    order, count = connection.recv()
    problem = connect(order)
    connection.send(problem)
    if problem:
        return
    import ray
    from ray.exceptions import RayError

    try:
        Courier(connection, order, count).work()
    except (EOFError, OSError, RayError) as error:
        print(type(error).__name__, error, file=sys.stderr)  # the caller or the cluster has gone: so do the tasks
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
