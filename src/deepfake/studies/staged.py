"""Results that were computed ahead: whole, beside unfinished work, until the stage that wants them takes them.

To take them needs neither pandas nor torch, whose imports take longer than the taking.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from deepfake import layout, runtime, tables
from deepfake.config import RunConfig
from deepfake.errors import InputError
from deepfake.studies import plan


@dataclass(frozen=True)
class Basis:
    """What decides an experiment's results.

    Args:
        inputs: hashes of what they depend on beside configuration, view and code.
        weights: what the backbones start from, or None for a random start.
        key: all of it in short, and the code, the packages and the device.
        scratch: where unfinished work and staged results of this key lie.
    """

    inputs: dict[str, str | None]
    weights: Path | None
    key: str
    scratch: Path

    @property
    def folder(self) -> Path:
        """Return where whole results wait: a project's tree with nothing but them."""
        return self.scratch / "staged"


def basis(config: RunConfig) -> Basis:
    """Return what decides an experiment's results; its name does not.

    Raises:
        InputError: the manifest, the view, the weights or the checkpoints that it starts from are missing.
    """
    manifest, regions = layout.manifest(config.dataset), layout.regions(config.dataset, config.view.view)
    weights = layout.weights(config.model) if config.pretrained else None
    parents = [layout.checkpoint(config.start_from, fold) for fold in range(config.folds)] if config.start_from else []
    for path, remedy in (
        (manifest, f"deepfake split {config.dataset}"),
        (regions, f"deepfake cache {config.view.view}"),
        (weights, "deepfake weights"),
        *((parent, f"deepfake train {config.start_from}") for parent in parents),
    ):
        if path is not None and not path.exists():
            raise InputError(f"{path}: not found; run {remedy}, or dvc repro")
    inputs = {
        "manifest_sha256": runtime.file_hash(manifest),
        "weights_sha256": runtime.file_hash(weights) if weights else None,
        "start_sha256": " ".join(map(runtime.file_hash, parents)) or None,
    }
    parts = (
        config.model_dump_json(exclude={"experiment"}),
        inputs,
        runtime.file_hash(regions),
        plan.digest("train"),
        runtime.versions(runtime.RECORDED_PACKAGES),
        runtime.has_gpu(),
    )
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return Basis(inputs, weights, key, layout.SCRATCH / f"{config.experiment}-{key}")


def is_there(config: RunConfig, found: Basis) -> bool:
    """Tell whether an experiment's results are staged; its metrics are written last."""
    return (found.folder / layout.train_metrics(config.experiment)).exists()


def take(config: RunConfig) -> dict[str, float] | None:
    """Put an experiment's staged results in their places.

    Returns:
        Its metrics, or None when nothing is staged.

    Raises:
        InputError: the manifest, the view or the weights are missing.
    """
    found = basis(config)
    if not is_there(config, found):
        return None
    metrics = layout.train_metrics(config.experiment)
    files = [path.relative_to(found.folder) for path in found.folder.rglob("*") if path.is_file()]
    # copied, not moved: a run that is killed here can be repeated
    for path in sorted(files, key=lambda path: path == metrics):
        with tables.atomic(path) as temporary:
            shutil.copyfile(found.folder / path, temporary)
    shutil.rmtree(found.scratch)
    return json.loads(metrics.read_text(encoding="utf-8"))
