"""The custom run and all it needs, brought up to date by one command."""

import subprocess
import sys
from collections.abc import Callable

from deepfake import config, layout
from deepfake.data import catalog
from deepfake.params import Params
from deepfake.studies import repository


def custom(settings: Params, *, announce: Callable[[str], None] = lambda line: None) -> int:
    """Bring the custom run up to date, through DVC where there is a repository of it.

    DVC first gets what it lacks of the data set from the remote. Without DVC or git the commands of the pipeline run
    one after the other; what is there already is kept.

    Args:
        settings: the checked params.yaml.
        announce: called with a line about how it is done, where that is not the usual way.

    Returns:
        The exit code of the first command that failed, or 0.

    Raises:
        InputError: results cannot be written here, or the data set cannot be had.
    """
    repository.require_writable()
    if repository.uses_dvc():
        # a remote that has the raw data may have what was made of it, too
        pulled = ["--pull"] if repository.pull(settings.dataset) else []
        return subprocess.run(["dvc", "repro", *pulled, layout.CUSTOM_EXPERIMENT], check=False).returncode
    announce("no git repository with DVC here: running without; data and results get no versions")
    catalog.require(settings.dataset)
    for command in _commands(settings):
        code = subprocess.run([sys.executable, "-m", "deepfake", *command], check=False).returncode
        if code:
            return code
    return 0


def _commands(settings: Params) -> list[list[str]]:
    """Return the commands that lead to the custom run, without those whose results are there."""
    dataset, view = settings.dataset, settings.custom.view
    commands = []
    if dataset in catalog.GENERATED and not layout.raw(dataset).exists():
        commands.append(["sample", dataset])
    if not layout.samples(dataset).exists():
        commands.append(["ingest", dataset])
    commands.append(["split", dataset])
    if settings.views[view].face_crop and not layout.faces(dataset).exists():
        commands.append(["faces", dataset])
    commands.append(["cache", view])
    if config.resolve(settings, layout.CUSTOM_EXPERIMENT).pretrained:
        commands.append(["weights"])
    return [*commands, ["train", layout.CUSTOM_EXPERIMENT]]
