"""The code that decides a run's numbers, as one digest: a change of it is another run."""

from collections.abc import Iterable
from functools import cache

import grimp

from deepfake import modalities, runtime


@cache
def digest(module: str, modality: str | None = None) -> str:
    """Return the SHA-256 over the source of a module and all that it imports of this package.

    Args:
        module: the module.
        modality: whose samples it works on: modalities are imported by name.
    """
    chosen = modalities.load(modality).CODE if modality else ()
    return runtime.code_hash(files(_graph(), [module, *chosen]))


@cache
def _graph() -> grimp.ImportGraph:
    """Return who imports whom in this package."""
    return grimp.build_graph("deepfake", cache_dir=None)


def files(graph: grimp.ImportGraph, entries: Iterable[str]) -> list[str]:
    """Return the source files behind some modules and all that they import, as paths inside the package."""
    modules = set(entries).union(*(graph.find_upstream_modules(entry) for entry in entries))
    paths = []
    for module in sorted(modules - {"deepfake"}):
        path = module.removeprefix("deepfake.").replace(".", "/")
        paths.append(f"{path}/__init__.py" if graph.find_children(module) else f"{path}.py")
    return paths
