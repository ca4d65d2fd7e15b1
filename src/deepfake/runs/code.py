"""The code that decides a run's numbers, as one digest: a change of it is another run."""

from collections.abc import Iterable
from functools import cache

import grimp

from deepfake import runtime

_BACKENDS = ("deepfake.modalities.image.dali", "deepfake.modalities.image.opencv", "deepfake.modalities.image.vision")
"""What `modalities.image.backends` imports by name."""


@cache
def digest(module: str) -> str:
    """Return the SHA-256 over the source of a module and all that it imports of this package."""
    return runtime.code_hash(files(_graph(), [module]))


@cache
def _graph() -> grimp.ImportGraph:
    """Return who imports whom in this package."""
    return grimp.build_graph("deepfake", cache_dir=None)


def files(graph: grimp.ImportGraph, entries: Iterable[str]) -> list[str]:
    """Return the source files behind some modules and all that they import, as paths inside the package."""
    modules = set(entries).union(*(graph.find_upstream_modules(entry) for entry in entries))
    if "deepfake.modalities.image.backends" in modules:
        modules.update(_BACKENDS, *(graph.find_upstream_modules(backend) for backend in _BACKENDS))
    paths = []
    for module in sorted(modules - {"deepfake"}):
        path = module.removeprefix("deepfake.").replace(".", "/")
        paths.append(f"{path}/__init__.py" if graph.find_children(module) else f"{path}.py")
    return paths
