"""All checks, one after the other; what takes long is asked for first and looked at last."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from deepfake import runtime
from deepfake.ops.doctor import data, gpu, machine, packages, project, versioned
from deepfake.ops.doctor.finding import Finding
from deepfake.ops.doctor.probe import Question

_SECONDS = {"torch": 60.0, "dali": 60.0, "dvc": 30.0, "remote": 12.0}
"""How long each answer may take; a remote has ten seconds once DVC is loaded."""


def examine() -> Iterator[Finding]:
    """Yield what every check finds, each as soon as it is known."""
    with ExitStack() as open_questions:
        asked = {name: open_questions.enter_context(Question(name, seconds)) for name, seconds in _SECONDS.items()}
        first, settings = project.settings()
        yield first
        yield _found("git", project.git)
        yield _found("folder", project.writable)
        yield _found("cores", machine.cores)
        yield _found("memory", machine.memory)
        yield _found("temporary", machine.temporary)
        yield _found("processes", machine.processes)
        if settings is not None:
            yield _found("data set", lambda: data.raw(settings))
            yield _found("weights", lambda: data.weights(settings))
            yield _found("disk", lambda: data.space(settings))
        yield _found("versions", packages.versions)
        dvc = asked["dvc"].answer()
        yield _found("DVC", lambda: versioned.repository(dvc))
        if "error" not in dvc:
            if settings is not None:
                yield _found("DVC cache", lambda: versioned.space(dvc, settings))
            yield _found("remote", lambda: versioned.remote(asked["remote"].answer()))
        loader = settings.presets[settings.preset].loader if settings is not None else None
        dali, torch = asked["dali"].answer(), asked["torch"].answer()
        yield _found("torch", lambda: packages.torch(torch))
        yield _found("loader", lambda: packages.loader(loader, dali, torch))
        yield _found("GPU", lambda: gpu.judge(gpu.look(), torch, runtime.hides_gpus()))


def _found(what: str, check: Callable[[], Finding]) -> Finding:
    """Return what a check finds; on a machine that breaks it, the others are wanted all the more."""
    try:
        return check()
    except Exception as error:
        return Finding("note", what, f"could not be looked at ({type(error).__name__}: {error})")
