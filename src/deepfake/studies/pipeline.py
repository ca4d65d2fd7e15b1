"""The custom run and all it needs, brought up to date by one command."""

import shutil
import subprocess
import sys
from pathlib import Path

from deepfake import layout


def custom() -> int:
    """Bring the custom run up to date, through DVC where there is a repository of it.

    Without DVC or git the commands of the pipeline run one after the other; what is there already is kept.

    Returns:
        The exit code of the first command that failed, or 0.
    """
    if Path(".dvc").is_dir() and Path(".git").exists() and shutil.which("dvc"):
        return subprocess.run(["dvc", "repro", layout.CUSTOM_EXPERIMENT], check=False).returncode
    from deepfake import config
    from deepfake.data import catalog

    settings = config.load()
    dataset, view = settings.dataset, settings.custom.view
    commands = []
    if dataset == catalog.GENERATED and not layout.raw(dataset).exists():
        commands.append(["sample"])
    if not layout.samples(dataset).exists():
        commands.append(["ingest", dataset])
    commands.append(["split", dataset])
    if settings.views[view].face_crop and not layout.faces(dataset).exists():
        commands.append(["faces", dataset])
    commands += [["cache", view], ["weights"], ["train", layout.CUSTOM_EXPERIMENT]]
    for command in commands:
        code = subprocess.run([sys.executable, "-m", "deepfake", *command], check=False).returncode
        if code:
            return code
    return 0
