"""The tiny project, as far as a search for shortcuts needs it; a test names this module as a plugin."""

import pytest
import yaml

from conftest import changed
from deepfake import config, tables
from deepfake.config import params
from deepfake.datasets import catalog, ingest, splits
from deepfake.loading import views
from deepfake.project import paths


@pytest.fixture
def settings(project) -> params.Params:
    """The tiny project, ingested and split, with a view; one experiment is to be held against the probes."""
    values = yaml.safe_load(paths().params.read_text("utf-8"))
    values = changed(values, {"studies.shortcuts.views": ["crop_low"], "studies.shortcuts.runs": ["simple_cnn_low"]})
    paths().params.write_text(yaml.safe_dump(values, sort_keys=False))
    found = config.load()
    entry = catalog.find("sample")
    samples, media, _ = ingest.ingest(
        "sample", entry, paths().raw("sample"), settings=params.Ingest(max_quarantined=0), threads=1
    )
    tables.write(samples, paths().samples("sample"), tables.SAMPLES)
    tables.write(media, paths().media("sample"), tables.MEDIA)
    tables.write(splits.split(samples, folds=2, test_ratio=0.1, seed=1), paths().manifest("sample"), tables.MANIFEST)
    views.write(config.resolve_view(found, "crop_low"), threads=1)
    return found
