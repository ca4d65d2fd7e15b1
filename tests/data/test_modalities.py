"""What is behind the protocol of modalities: one that is made up here, and images."""

import subprocess
import sys
import types
import zipfile
from contextlib import nullcontext

import pytest

from deepfake import modalities, tables
from deepfake.config import params
from deepfake.datasets import catalog, ingest, partition
from deepfake.datasets.catalog import DataSet
from deepfake.errors import InputError
from deepfake.modalities.base import Modality
from deepfake.project import paths

MEDIA = tables.Schema("media", {"sample_id": "str", "seconds": "float", "rate": "int"}, key=("sample_id",), allowed={})


def inspect(data: bytes) -> tuple[float, int] | str:
    """Read a tone, which says how long it is at which rate."""
    seconds, _, rate = data.decode().partition("s at ")
    return (float(seconds), int(rate)) if rate else "not a tone"


@pytest.fixture
def tone(monkeypatch) -> None:
    """A modality whose files are a line of text."""
    module = types.ModuleType("made_up_tone")
    module.__dict__.update(MEDIA=MEDIA, inspect=inspect, quiet=nullcontext)
    monkeypatch.setitem(sys.modules, "made_up_tone", module)
    monkeypatch.setitem(modalities.MODALITIES, "tone", "made_up_tone")


def test_an_unknown_modality_is_told_with_the_known_ones():
    with pytest.raises(InputError, match="unknown modality 'imag'; did you mean image"):
        modalities.load("imag")


def test_another_modality_is_ingested_and_split(project, tone):
    raw = paths().raw("mine")
    raw.mkdir()
    for source in ("played", "made"):
        with zipfile.ZipFile(raw / f"{source}.zip", "w") as archive:
            for group in range(12):
                archive.writestr(f"{group:02d}/0.tone", f"{group + 0.5}s at 16000")
            archive.writestr("00/broken.tone", "noise")
    keys = {"title": "tones", "adapter": "sources", "group": "folder", "licence": "none", "obtain": "ask the test"}
    entry = DataSet.model_validate(keys | {"modality": "tone", "sources": {"played": "real", "made": "fake"}})
    ingest.write("mine", entry, params.Ingest(max_quarantined=0.5), threads=2)
    media = tables.read(paths().media("mine"), MEDIA)
    samples = tables.read(paths().samples("mine"), tables.SAMPLES)
    assert media["sample_id"].tolist() == samples["sample_id"].tolist()
    assert media["seconds"].tolist() == [group + 0.5 for group in range(12)] * 2
    assert set(samples["modality"]) == {"tone"}
    assert paths().quarantine("mine").read_text().count("not a tone") == 2
    manifest = partition.write("mine", params.load(), catalog.load() | {"mine": entry})
    assert len(manifest) == 24
    assert manifest.groupby("group")["fold"].nunique().eq(1).all()


def test_images_have_all_of_the_protocol():
    image = modalities.load("image")
    wanted = {name for name in vars(Modality) if not name.startswith("_")} | set(Modality.__annotations__)
    assert wanted >= {"inspect", "quiet", "decode", "augmenter", "corrupt", "measure", "MEDIA"}
    assert not {name for name in wanted if not hasattr(image, name)}


def test_images_are_loaded_without_torch():
    code = "import sys; from deepfake import modalities; modalities.load('image'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
