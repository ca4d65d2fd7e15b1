"""DVC: its repository, its cache, and the remote that data and results are shared through."""

import shutil
from pathlib import Path

from deepfake.config.params import Params
from deepfake.ops.doctor.data import existing
from deepfake.ops.doctor.finding import Finding, gigabytes
from deepfake.ops.doctor.probe import Answer
from deepfake.project import paths

FOLD_BYTES = 1_000_000_000
"""What the checkpoints of a whole study take for each fold: 4.0 GB with 4 folds, as committed."""
_NO_REPOSITORY = ("NotDvcRepoError", "SCMError")
_KEYS = "export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=..., or: dvc remote modify --local {name} access_key_id ..."
_REMEDIES = {
    "NoCredentialsError": _KEYS,
    "PartialCredentialsError": _KEYS,
    "PermissionError": "ask who owns it for access, or use another key",
    "PermissionDenied": "ssh-copy-id to that host, or: dvc remote modify --local {name} keyfile PATH",
    "HostKeyNotVerifiable": "connect once with ssh, to accept the host's key",
}
"""What to do, by the name of what was raised: classes of botocore, s3fs, asyncssh and DVC."""


def repository(answer: Answer) -> Finding:
    """Say whether DVC finds its repository, and how it gives out files of its cache."""
    if error := answer.get("error"):
        if error == "ModuleNotFoundError":
            text = "not installed; only deepfake train RUN works without"
            return Finding("missing", "DVC", text, "make setup")
        if error in _NO_REPOSITORY:
            text = "no DVC repository here; deepfake train makes one, without a history of results"
            return Finding("note", "DVC", text, "clone the project with git instead of copying it")
        remedy = "see folder" if error == "PermissionError" else "dvc doctor says more"
        return Finding("missing", "DVC", f"does not work: {answer['message']}", remedy)
    link = next((kind for kind in answer["types"] or ["copy"] if kind in (*answer["works"], "copy")), None)
    if link is None:
        text = f"cache.type is {', '.join(answer['types'])}, of which nothing works between cache and project"
        return Finding("missing", "DVC", text, "dvc config --unset cache.type, or put the cache on the project's disk")
    found = f"DVC {answer['version']}, gives out files of its cache by {link}"
    if link == "copy":
        text = f"{found}: all is kept twice"
        return Finding("note", "DVC", text, "put the cache on the project's disk, or make links work there")
    return Finding("ok", "DVC", found)


def space(answer: Answer, settings: Params) -> Finding:
    """Say whether the checkpoints of a whole study fit into DVC's cache."""
    folder = Path(answer["folder"])
    free = shutil.disk_usage(existing(folder)).free
    needed = settings.presets[settings.preset].folds * FOLD_BYTES
    text = f"{gigabytes(free)} free in {folder}; the checkpoints of a whole study take about {gigabytes(needed)}"
    if free < needed:
        return Finding("note", "DVC cache", text, "make room, or dvc config --local cache.dir PATH")
    return Finding("ok", "DVC cache", text)


def remote(answer: Answer) -> Finding:
    """Say whether the default remote is there and can be reached."""
    if error := answer.get("error"):
        remedy = _REMEDIES.get(error, "is the network there? dvc remote list shows the address").format(name="NAME")
        return Finding("note", "remote", f"cannot be reached: {answer['message']}", remedy)
    if answer["name"] is None:
        others = f" (there are: {', '.join(answer['others'])})" if answer["others"] else ""
        text = f"none is the default{others}: results stay on this machine"
        return Finding("note", "remote", text, "dvc remote add --default NAME URL, or dvc remote default NAME")
    where = f"{answer['name']} ({answer['url']})"
    if answer["there"]:
        return Finding("ok", "remote", f"{where} can be reached")
    if answer["scheme"] == "local":
        if Path(answer["path"]).is_relative_to(paths().root.resolve()):
            return Finding("ok", "remote", f"{where}: the first dvc push makes it")
        return Finding("note", "remote", f"{where} is not there", f"mount it, or make it: mkdir -p {answer['path']}")
    return Finding("note", "remote", f"{where} is not there, or cannot be seen", f"look at its URL: {answer['url']}")
