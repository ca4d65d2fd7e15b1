"""What is behind the protocol of modalities: images, video and audio, which all have all of it."""

import inspect
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import planted_sound
from deepfake import modalities, tables
from deepfake.config import params
from deepfake.errors import InputError
from deepfake.modalities import base
from deepfake.modalities.base import Modality
from deepfake.project import paths
from planted_sound import NAME


def test_an_unknown_modality_is_told_with_the_known_ones():
    with pytest.raises(InputError, match="unknown modality 'imag'; did you mean image"):
        modalities.load("imag")


def test_recordings_are_ingested_and_split_as_images_are(project):
    raw = planted_sound.write(speakers=12, each=1, seconds=(9.0, 9.5))
    with zipfile.ZipFile(raw / "copied.zip", "a") as archive:
        archive.writestr("s00/broken.wav", b"RIFF of nothing")
    planted_sound.prepare(params.load())
    media = tables.read(paths().media(NAME), modalities.load("audio").MEDIA)
    samples = tables.read(paths().samples(NAME), tables.SAMPLES)
    assert media["sample_id"].tolist() == samples["sample_id"].tolist()
    # 9 s are two windows of 4 s; the rest is shorter than half a window
    assert samples.groupby("clip_id").size().tolist() == [2] * 24
    assert {name[-4:] for name in samples["sample_id"]} == {"#000", "#001"}
    assert set(samples["modality"]) == {"audio"}
    assert paths().quarantine(NAME).read_text().count("broken.wav") == 1
    manifest = tables.read(paths().manifest(NAME), tables.MANIFEST)
    assert len(manifest) == 48
    for key in ("clip_id", "group"):
        assert manifest.groupby(key)["fold"].nunique().eq(1).all()


@pytest.mark.parametrize("name", modalities.MODALITIES)
def test_each_modality_has_all_of_the_protocol(name):
    wanted = {one for one in vars(Modality) if not one.startswith("_")} | set(Modality.__annotations__)
    assert wanted >= {"inspect", "quiet", "decode", "augmenter", "corrupt", "measure", "MEDIA", "FAMILIES"}
    assert not {one for one in wanted if not hasattr(modalities.load(name), one)}


@pytest.mark.parametrize("name", modalities.MODALITIES)
def test_the_functions_of_each_modality_take_what_the_protocol_says(name):
    wanted = {one: what for one, what in vars(Modality).items() if not one.startswith("_") and inspect.isfunction(what)}
    assert len(wanted) > 15
    for function, what in wanted.items():
        _, *expected = [(one.name, one.kind, one.default) for one in inspect.signature(what).parameters.values()]
        found = inspect.signature(getattr(modalities.load(name), function)).parameters.values()
        assert [(one.name, one.kind, one.default) for one in found] == expected, function


@pytest.mark.parametrize("name", modalities.MODALITIES)
def test_the_features_of_each_modality_have_a_family_and_the_first_columns_are_who(name):
    modality = modalities.load(name)
    features = [one for family in modality.FAMILIES.values() for one in family]
    assert len(set(features)) == len(features)
    assert {"sample_id", "sha256"} | set(features) == set(modality.FEATURES.columns)
    for schema in (modality.MEDIA, modality.REGIONS, modality.FEATURES):
        assert next(iter(schema.columns)) == "sample_id"


@pytest.mark.parametrize("name", modalities.MODALITIES)
def test_modalities_are_loaded_without_torch(name):
    code = f"import sys; from deepfake import modalities; modalities.load({name!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("given", [[10], [1] * 10, [3, 3, 4], [7, 2, 1]])
def test_samples_come_in_batches_of_the_lengths_that_are_asked_for(given):
    samples = np.arange(20).reshape(10, 2)
    arrays = np.split(samples, np.cumsum(given)[:-1])
    found = list(base.rebatched(iter(arrays), [4, 1, 5]))
    assert [len(each) for each in found] == [4, 1, 5]
    np.testing.assert_array_equal(np.concatenate(found), samples)
    with pytest.raises(ValueError, match="fewer samples"):
        list(base.rebatched(iter(arrays), [4, 7]))


def test_samples_of_a_file_that_follow_each_other_come_together():
    media = [("a", b"1"), ("a", b"1"), ("b", b"2"), ("a", b"1")]
    found = list(base.grouped(iter(media), [(0,), (1,), (2,), (3,)]))
    assert found == [(b"1", [(0,), (1,)]), (b"2", [(2,)]), (b"1", [(3,)])]
