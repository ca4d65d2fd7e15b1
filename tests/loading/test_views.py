import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import ROOT, as_shown, changed, encoded, write_pictures
from deepfake import config, project, tables
from deepfake.config import ViewConfig
from deepfake.errors import InputError
from deepfake.loading import cache, views
from deepfake.modalities.image import backends
from deepfake.project import paths
from heard import Heard
from shown import pixel_view

SIZES = [(14, 10), (10, 14), (12, 12), (9, 20)]
FACE_BOX = (2.0, 3.0, 8.0, 9.0)


def view(**changes) -> ViewConfig:
    return pixel_view(8, **{"dataset": "sample", "loader": "opencv"} | changes)


@pytest.fixture
def decodings(monkeypatch) -> list[int]:
    """The sizes that were decoded, by a backend that is PIL alone."""
    calls: list[int] = []

    def decode(batches, size, *, threads, cuda=False):
        calls.append(size)
        for batch in batches:
            yield np.stack([as_shown(file.data, file.region, size) for file in batch])

    monkeypatch.setattr(backends, "load", lambda name: SimpleNamespace(decode=decode))
    return calls


@pytest.fixture
def contents(tmp_path, monkeypatch, decodings) -> list[bytes]:
    """A data set of four images, ingested and searched for faces, in the current folder; its files."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    files = [encoded(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in SIZES]
    samples = write_pictures(paths().raw("sample"), [("", f"{n}.png", data) for n, data in enumerate(files)])
    tables.write(samples, paths().samples("sample"), tables.SAMPLES)
    tables.write(samples, paths().media("sample"), tables.MEDIA)
    faces = pd.DataFrame(0.0, index=range(len(samples)), columns=list(tables.FACES.columns))
    faces = faces.assign(sample_id=samples["sample_id"], faces=[1, 0, 2, 0])
    faces.loc[faces["faces"] > 0, ["left", "top", "right", "bottom"]] = FACE_BOX
    # the table has an order of its own
    tables.write(faces.iloc[::-1], paths().faces("sample"), tables.FACES)
    return files


def manifest() -> pd.DataFrame:
    samples = tables.read(paths().samples("sample"), tables.SAMPLES)
    return samples.assign(split="dev", fold=[0, 1, 0, 1], fraction_rank=0.0, stratum="a")


def test_writing_leaves_regions_and_facts_and_the_pixels(contents):
    facts = views.write(view(), threads=1)
    assert facts == json.loads(paths().view_facts("sample", "crop_low").read_text())
    regions = tables.read(paths().regions("sample", "crop_low"), tables.REGIONS)
    assert list(regions["sample_id"]) == list(manifest()["sample_id"])
    squares = [(2, 0, 12, 10), (0, 2, 10, 12), (0, 0, 12, 12), (0, 5, 9, 14)]
    assert list(regions[["left", "top", "right", "bottom"]].itertuples(index=False, name=None)) == squares
    (array,) = paths().cache("sample").iterdir()
    pixels = np.load(array)
    np.testing.assert_array_equal(pixels, [as_shown(f, r, 8) for f, r in zip(contents, squares, strict=True)])
    assert facts == view().model_dump() | {
        "images": 4,
        "without_face": 0,
        "pixels_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
    }


def test_a_face_view_counts_the_images_without_a_face(contents):
    facts = views.write(view(view="face_low", face_margin=0.0), threads=1)
    assert facts["without_face"] == 2
    regions = tables.read(paths().regions("sample", "face_low"), tables.REGIONS)
    assert list(regions["face"]) == [1, 0, 1, 0]
    assert tuple(regions[["left", "top", "right", "bottom"]].iloc[0]) == (2, 3, 8, 9)


def test_faces_have_to_be_looked_for_in_all_samples(contents):
    from deepfake.studies import face_tables

    face_tables.write_none("sample")
    with pytest.raises(InputError, match="run deepfake faces sample again"):
        views.write(view(view="face_low", face_margin=0.3), threads=1)


def test_a_face_view_needs_the_faces_and_others_do_not(contents):
    paths().faces("sample").unlink()
    views.write(view(), threads=1)
    with pytest.raises(InputError, match=r"faces\.parquet: not found"):
        views.write(view(view="face_low", face_margin=0.3), threads=1)
    assert not paths().view("sample", "face_low").exists()


def test_the_same_view_again_is_the_same_files_and_decodes_nothing(contents, decodings):
    views.write(view(), threads=1)
    written = [paths().regions("sample", "crop_low"), paths().view_facts("sample", "crop_low")]
    before = [path.read_bytes() for path in written]
    views.write(view(), threads=4)
    assert [path.read_bytes() for path in written] == before
    assert decodings == [8]


def test_a_failed_decoding_writes_no_facts(contents):
    (paths().raw("sample") / "2.png").write_bytes(b"changed")
    with pytest.raises(InputError, match="differs"):
        views.write(view(), threads=1)
    assert not paths().view("sample", "crop_low").exists()
    assert not list(paths().cache("sample").iterdir())


def test_the_pixels_of_a_written_view_are_not_decoded_again(contents, decodings):
    views.write(view(), threads=1)
    path = views.pixels(view(), manifest(), threads=1)
    assert decodings == [8]
    assert cache.pixels_hash(path) == json.loads(paths().view_facts("sample", "crop_low").read_text())["pixels_sha256"]


def test_lost_pixels_are_made_again_the_same(contents, decodings):
    facts = views.write(view(), threads=1)
    for array in paths().cache("sample").iterdir():
        array.unlink()
    heard = Heard()
    path = views.pixels(view(), manifest(), threads=1, progress=heard)
    assert decodings == [8, 8]
    assert len(heard.lines) == 1
    assert cache.pixels_hash(path) == facts["pixels_sha256"]


@pytest.mark.parametrize(("oversampling", "side"), [(1.25, 10), (1.0, 8), (1.5, 12), (1.3, 10), (1.2, 10)])
def test_an_oversampled_view_shows_the_same_regions_larger(contents, decodings, oversampling, side):
    views.write(view(geometry="letterbox"), threads=1)
    path = views.pixels(view(geometry="letterbox"), manifest(), oversampling=oversampling, threads=1)
    squares = [(0, -2, 14, 12), (-2, 0, 12, 14), (0, 0, 12, 12), (-6, 0, 14, 20)]
    wanted = [as_shown(file, square, side) for file, square in zip(contents, squares, strict=True)]
    np.testing.assert_array_equal(np.load(path), wanted)
    # both sizes stay beside each other
    assert len(list(paths().cache("sample").iterdir())) == len({8, side})


def test_pixels_without_their_view_say_what_to_run(contents):
    with pytest.raises(InputError, match=r"regions\.parquet: not found"):
        views.pixels(view(), manifest(), threads=1)


@pytest.mark.parametrize("change", ["order", "one less", "another"])
def test_regions_of_other_samples_are_refused(contents, change):
    views.write(view(), threads=1)
    other = {
        "order": lambda m: m.iloc[::-1],
        "one less": lambda m: m.iloc[1:],
        "another": lambda m: m.assign(sample_id=["a", "b", "c", "d"]),
    }[change](manifest())
    with pytest.raises(InputError, match=r"regions\.parquet: not of the samples .*deepfake views sample"):
        views.pixels(view(), other, threads=1)


@pytest.fixture(params=["image", "video", "audio"])
def modality(request, tmp_path, monkeypatch) -> str:
    """What the study's own data set is of: it has been ingested, in the current folder."""
    monkeypatch.chdir(tmp_path)
    samples = write_pictures(paths().raw("sample"), [("", "0.png", encoded(np.zeros((9, 9, 3), np.uint8)))])
    samples["modality"] = request.param
    tables.write(samples, paths().samples("sample"), tables.SAMPLES)
    return request.param


def wanted(tmp_path, dataset: str, **changes) -> list[str]:
    """Return the views that are made of a data set, with params changed by dotted path with __ for the dot."""
    values = yaml.safe_load((ROOT / paths().params).read_text("utf-8"))
    changes = {"generalization__base__view": "crop_high"} | changes  # whatever the committed study looks through
    values = changed(values, {f"studies.{path.replace('__', '.')}": value for path, value in changes.items()})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return views.wanted(config.load(tmp_path / "params.yaml"), dataset)


def test_of_the_studys_own_data_set_all_views_of_its_modality_are_made(tmp_path, modality):
    views = yaml.safe_load((ROOT / paths().params).read_text("utf-8"))["views"]
    names = [name for name, view in views.items() if view.get("modality", "image") == modality]
    assert names
    assert wanted(tmp_path, "sample") == names


def test_the_views_of_another_data_set_are_those_that_runs_look_through(tmp_path):
    assert wanted(tmp_path, "sample_edited") == ["crop_high"]
    assert wanted(tmp_path, project.UNION) == ["crop_high"]
    home = {"kind": "trained", "model": "simple_cnn"}
    # trained on the study's own, it is asked about the others; trained on one of them, it needs that one alone
    changes = {"generalization__runs__second_in_domain": home | {"view": "crop_low"}}
    assert wanted(tmp_path, "sample_resent", **changes) == ["crop_low", "crop_high"]
    assert wanted(tmp_path, project.UNION, **changes) == ["crop_high"]
    changes = {"generalization__runs__second_combined": home | {"view": "crop_low", "dataset": project.UNION}}
    assert wanted(tmp_path, project.UNION, **changes) == ["crop_low", "crop_high"]


def test_members_of_ensembles_are_asked_about_other_data_sets_through_their_own_views(tmp_path):
    members = ["second_in_domain", "backbone_face"]
    ensemble = {"kind": "ensemble", "members": members, "weights": "mean"}
    assert wanted(tmp_path, "sample_edited", generalization__runs__ensemble_mean=ensemble) == ["crop_high", "face_high"]


def test_runs_of_any_study_may_be_trained_on_another_data_set(tmp_path):
    run = {"model": "simple_cnn", "view": "crop_low", "dataset": "sample_edited"}
    again = {"kind": "re-evaluated", "of": "elsewhere", "view": "letterbox_real_high"}
    changes = {"phase2__runs__elsewhere": run, "phase2__runs__elsewhere_letterboxed": again}
    found = wanted(tmp_path, "sample_edited", **changes)
    assert set(found) == {"crop_low", "crop_high", "letterbox_real_high"}
    assert wanted(tmp_path, "sample_resent", **changes) == ["crop_high"]
