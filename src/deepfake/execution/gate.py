"""What the courier of a Ray cluster sends to its nodes: the way into a job there, and the post that they share.

It goes by value (`courier`), so that it says the same on a node whose code of this project is another one; what it
needs of that code is imported late.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


def facts(packages: Iterable[str]) -> "dict[str, str | None]":
    """Return what decides results on this machine, by name."""
    import platform

    from deepfake import runtime

    return {
        "Python": platform.python_version(),
        "the code of deepfake": runtime.code_hash()[:12],
        "GPU": "yes" if runtime.has_gpu() else "no",
        **runtime.versions(packages),
    }


def enter(expected: "dict[str, str | None]", task: "tuple[int, bytes]", sharers: int, post: Any) -> "tuple[str, Any]":
    """Carry out a job on a node whose versions are the caller's, on a GPU that so many jobs share.

    Returns:
        `done` and the files, `failed` or `refused` and why, `stopped` when nothing is to begin any more.
    """
    import ray

    number, parcel = task
    context = ray.get_runtime_context()
    place = context.get_node_id(), context.get_accelerator_ids().get("GPU", [])
    if not ray.get(post.begin.remote(number, place)):  # known before the job can kill its worker
        return "stopped", None
    try:
        found = facts([name for name in expected if name not in ("Python", "the code of deepfake", "GPU")])
    except (ImportError, AttributeError) as error:
        return "refused", f"it has another deepfake or none ({error})"
    for name, value in expected.items():
        if found[name] != value:
            return "refused", f"{name} is {found[name] or 'missing'} there and {value or 'missing'} here"

    from deepfake import runtime
    from deepfake.errors import InputError
    from deepfake.execution import node

    os.environ[runtime.GPU_SHARERS] = str(sharers)

    def fetch(sha256: str, path: Path) -> None:
        with path.open("wb") as file:
            for chunk in ray.get(post.chunks.remote(sha256)):
                file.write(ray.get(chunk))

    def tell(news: list[bytes]) -> None:
        ray.get(post.say.remote([("news", number, each) for each in news]))

    try:
        return "done", node.carry_out(parcel, tell, fetch)
    except InputError as error:
        return "failed", str(error)


class Post:
    """What nodes say to the courier, and the files that they ask for."""

    def __init__(self) -> None:
        import asyncio

        self._said: list[tuple[str, Any, Any]] = []
        self._answers = 0
        self._closed = False
        self._something = asyncio.Event()
        self._files: dict[str, asyncio.Future[list[Any]]] = {}

    async def say(self, news: list[Any]) -> None:
        """Keep news until they are taken."""
        self._said += news
        self._something.set()

    async def begin(self, number: int, place: Any) -> bool:
        """Tell where a job is at work from now on, unless nothing is to begin any more."""
        if not self._closed:
            await self.say([("running", number, place)])
        return not self._closed

    async def close(self) -> None:
        """Let no job begin any more."""
        self._closed = True

    async def take(self) -> list[Any]:
        """Return what was said, as soon as something was."""
        await self._something.wait()
        self._something.clear()
        said, self._said = self._said, []
        self._answers += 1
        return said

    async def taken(self) -> tuple[int, list[Any]]:
        """Return how often `take` was answered, and what was said since then."""
        said, self._said = self._said, []
        return self._answers, said

    async def chunks(self, sha256: str) -> list[Any]:
        """Return the parts of a file, once the courier has put them into the object store."""
        if sha256 not in self._files:
            await self.say([("file", None, sha256)])
        return await self._file(sha256)

    async def supply(self, sha256: str, chunks: list[Any]) -> None:
        """Take the parts of a file."""
        if not self._file(sha256).done():
            self._file(sha256).set_result(chunks)

    def _file(self, sha256: str) -> "asyncio.Future[list[Any]]":
        import asyncio

        return self._files.setdefault(sha256, asyncio.get_running_loop().create_future())
