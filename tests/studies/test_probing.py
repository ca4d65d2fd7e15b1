import pandas as pd
import pytest

from conftest import write_tiny_faces
from deepfake import config, tables
from deepfake.config.params import Params
from deepfake.errors import InputError
from deepfake.evaluation import probes, resampling
from deepfake.evaluation.evalset import EvalSet
from deepfake.loading import views
from deepfake.modalities.image import framing
from deepfake.project import paths
from deepfake.studies import probing
from deepfake.studies.shortcuts import search
from tiny_study import manifest

pytest_plugins = ["probed_sample"]


def narrowed(settings: Params, **changes: object) -> Params:
    """Return params with other values in the section of the search for shortcuts."""
    shortcuts = settings.studies.shortcuts.model_copy(update=changes)
    return settings.model_copy(update={"studies": settings.studies.model_copy(update={"shortcuts": shortcuts})})


def test_probes_are_written_without_any_trained_run(settings):
    rows = search.run(settings, "sample", threads=2)
    assert not paths().runs.exists()
    written = pd.read_csv(paths().table("probes"))
    assert written[["subject", "level", "name"]].equals(rows[["subject", "level", "name"]])
    assert written["subject"].unique().tolist() == ["files", "crop_low"]
    alone = written[written["level"] == "feature"].set_index(["subject", "name"])
    # all files are of one size, in both formats alike; fakes carry stripes
    assert (alone.loc["files"].loc[["width", "height", "aspect", "exif"], "auc"] == 0.5).all()
    assert alone.loc[("files", "high_frequency"), "auc"] > 0.9
    assert alone.loc[("crop_low", "scale"), "auc"] == 0.5
    # the same square of every image
    assert (alone.loc["crop_low"].loc[list(framing.PLACE), "auc"] == 0.5).all()
    natures = written[written["name"].isin(["framing", "all"])].set_index(["subject", "name"])["nature"]
    assert natures[("crop_low", "framing")] == "container"
    assert natures[("crop_low", "all")] == "both"


def test_the_scores_are_those_of_the_joint_probes(settings):
    rows = search.run(settings, "sample", threads=1)
    joint = rows[rows["level"] == probes.JOINT].set_index("subject")["auc"]
    development = manifest().query("split == 'dev'")
    written = tables.read(paths().probe_scores("sample"), tables.PROBE_SCORES)
    for subject, found in written.groupby("subject"):
        assert found["sample_id"].tolist() == development["sample_id"].tolist()
        figure = resampling.auc(EvalSet.of(development.assign(logit=found["score"].to_numpy())))
        assert figure.values.mean() == pytest.approx(joint[subject])
    assert set(written["subject"]) == {"files", "crop_low"}


def test_the_view_of_an_examined_run_is_probed_without_being_listed(settings):
    assert set(search.run(narrowed(settings, views=()), "sample", threads=1)["subject"]) == {"files", "crop_low"}


def test_of_a_face_crop_counts_how_the_face_lies_in_the_square_and_not_where_it_stood(settings):
    face = settings.views["crop_low"].model_copy(update={"face_crop": True})
    found = narrowed(settings, views=("face",), runs=())
    found = found.model_copy(update={"views": {"crop_low": settings.views["crop_low"], "face": face}})
    write_tiny_faces()
    views.write(config.resolve_view(found, "face"), threads=1)
    rows = search.run(found, "sample", threads=1)
    alone = rows[(rows["subject"] == "face") & (rows["level"] == "feature")].set_index("name")["family"]
    assert set(alone[alone == "framing"].index) == set(framing.FACE)
    assert set(alone[alone == "geometry"].index) == {"scale", *framing.PLACE}
    joint = rows[(rows["subject"] == "face") & (rows["level"] == "all")].iloc[0]
    assert joint["nature"] == "both"


def test_probes_are_the_same_whatever_the_threads(settings):
    written = [paths().table("probes"), paths().probe_scores("sample")]
    search.run(settings, "sample", threads=1)
    before = [path.read_bytes() for path in written]
    search.run(settings, "sample", threads=3)
    assert [path.read_bytes() for path in written] == before


def test_features_are_measured_once(settings, monkeypatch):
    probing.measure("sample", threads=1)
    monkeypatch.setattr(probing.measuring, "measure", lambda *_, **__: pytest.fail("measured again"))
    search.run(settings, "sample", threads=1)


def test_features_of_other_files_are_refused(settings):
    found = probing.measure("sample", threads=1)
    found.loc[0, "sha256"] = "0"
    tables.write(found, paths().features("sample"), tables.FEATURES)
    with pytest.raises(InputError, match="not of the files in the manifest; run deepfake features sample"):
        search.run(settings, "sample", threads=1)


def test_another_data_set_is_probed_by_its_files_alone(settings):
    other = settings.model_copy(update={"dataset": "another"})
    rows = search.run(other, "sample", threads=1)
    assert set(rows["subject"]) == {"files"}
    assert paths().table("own_sample_probes").exists() and not paths().table("probes").exists()
