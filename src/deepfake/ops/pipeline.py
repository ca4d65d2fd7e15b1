"""The custom run and all it needs, brought up to date by one command."""

import os
import subprocess
import sys
from pathlib import Path

from deepfake import project
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.ops import repository
from deepfake.progress import SILENT, Progress
from deepfake.project import paths


def custom(settings: Params, progress: Progress = SILENT) -> int:
    """Bring the custom run up to date, through DVC, with git or without it.

    DVC first gets what it lacks of the data set from the remote.

    Args:
        settings: the checked params.yaml.
        progress: told how it is done, where that is not the usual way.

    Returns:
        DVC's exit code.

    Raises:
        InputError: results cannot be written here, or the data set cannot be had.
    """
    repository.require_writable(paths().root)
    catalog.require(settings.dataset)
    if note := repository.prepare():
        progress.say(note)
    # a remote that has the raw data may have what was made of it, too
    pulled = ["--pull"] if repository.pull(settings.dataset) else []
    command = [sys.executable, "-m", "dvc", "repro", *pulled, project.CUSTOM_EXPERIMENT]
    # the stages call `deepfake`, which need not be on the path of whoever names this one in full
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return subprocess.run(command, cwd=paths().root, env=os.environ | {"PATH": path}, check=False).returncode
