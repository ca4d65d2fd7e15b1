"""The study's data set joined with others into one that can be trained on like any other."""

import hashlib
import json

import pandas as pd

from deepfake import modalities, project, tables
from deepfake.config import resolve_view
from deepfake.config.params import Params
from deepfake.datasets import catalog, shared_identities
from deepfake.errors import InputError
from deepfake.loading import views
from deepfake.project import paths


def members(settings: Params) -> list[str]:
    """Return the data sets that are joined, the study's first."""
    return [settings.dataset, *settings.studies.generalization.union]


def run(settings: Params) -> pd.DataFrame:
    """Write the union's manifest, and what its views show; its images stay where they are.

    Returns:
        `tables.MANIFEST`.

    Raises:
        InputError: a data set was not prepared, they do not fit together, or a file stands in two of them.
    """
    known = catalog.load()
    manifests = {name: tables.read(paths().manifest(name), tables.MANIFEST) for name in members(settings)}
    joined = shared_identities.union(manifests, known)
    for view in views.wanted(settings, project.UNION):
        _write_view(view, manifests, settings)
    tables.write(joined, paths().manifest(project.UNION), tables.MANIFEST)
    return joined


def _write_view(view: str, manifests: dict[str, pd.DataFrame], settings: Params) -> None:
    """Write the regions of a view, those of one data set after the other."""
    resolved = resolve_view(settings, view, dataset=project.UNION)
    schema = modalities.load(resolved.modality).REGIONS
    parts, hashes = [], []
    for name, manifest in manifests.items():
        path = paths().regions(name, view)
        regions = tables.read(path, schema)
        if regions["sample_id"].tolist() != manifest["sample_id"].tolist():
            raise InputError(f"{path}: not of the samples in the manifest; run deepfake views {name}, or dvc repro")
        parts.append(regions.assign(sample_id=f"{name}/" + regions["sample_id"]))
        hashes.append(json.loads(paths().view_facts(name, view).read_text("utf-8"))["pixels_sha256"])
    regions = pd.concat(parts, ignore_index=True)
    facts = resolved.model_dump() | {
        "images": len(regions),
        "without_face": int((regions["face"] == 0).sum()) if resolved.face_margin is not None else 0,
        "pixels_sha256": hashlib.sha256(" ".join(hashes).encode()).hexdigest(),
    }
    tables.write(regions, paths().regions(project.UNION, view), schema)
    tables.write_text(json.dumps(facts, indent=2) + "\n", paths().view_facts(project.UNION, view))
