import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import FACE_BOX
from deepfake import config as configs
from deepfake import tables
from deepfake.project import paths
from deepfake.reports import findings, image_grid
from deepfake.studies import face_tables
from deepfake.studies.explain import analysis as explain
from deepfake.studies.explain import hard, page
from heard import Heard
from tiny_study import manifest

NAME = "simple_cnn_low"
SIDE = 32
BOX = (4.8, 6.4, 17.6, 19.2)
"""FACE_BOX in the view: of 48x40 pixels the central 40x40 are shown at 32x32."""


def run(**options) -> None:
    explain.run((NAME,), configs.load().evaluation, **options)


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(paths().table(f"explain_{name}"))


def held_out() -> pd.DataFrame:
    predictions = tables.read(paths().predictions(NAME), tables.PREDICTIONS)
    return predictions[predictions["subset"] == "held_out"].merge(manifest(), on=["sample_id", "fold"])


@pytest.fixture
def one_process(monkeypatch) -> None:
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)


def test_the_box_of_these_tests_is_that_of_the_face():
    assert tuple((edge - start) * SIDE / 40 for edge, start in zip(FACE_BOX, (4, 0, 4, 0), strict=True)) == BOX


@pytest.mark.parametrize("where", ["everywhere", "inside", "outside"])
def test_heat_is_held_against_the_area_of_the_face(copied, one_process, monkeypatch, where):
    inside = torch.zeros(SIDE, SIDE)
    inside[7:19, 5:17] = 1
    # nothing within a pixel of the edge of the box
    outside = torch.zeros(SIDE, SIDE)
    outside[21:] = 1
    heat = {"everywhere": torch.ones(SIDE, SIDE), "inside": inside, "outside": outside}[where]
    monkeypatch.setattr(
        "deepfake.studies.explain.gradcam.heatmaps", lambda model, layer, images: heat.repeat(len(images), 1, 1)
    )
    run()
    rows = table("gradcam")
    area = (BOX[2] - BOX[0]) * (BOX[3] - BOX[1]) / SIDE**2
    np.testing.assert_allclose(rows["area"].dropna(), area, rtol=1e-4)
    expected = {"everywhere": area, "inside": 1.0, "outside": 0.0}[where]
    np.testing.assert_allclose(rows["heat"].dropna(), expected, rtol=1e-4)
    assert (rows["without_heat"] == 0).all()
    # the same in all groups has no spread, and heat on the face alone is no matter of chance
    told = findings.read("explain")[f"face.{NAME}"]
    assert told.effect == pytest.approx(expected - area, abs=1e-4)


def test_every_held_out_image_with_a_face_counts_once(copied):
    run()
    rows = table("gradcam").set_index(["source", "verdict"])
    found = tables.read(paths().faces("sample"), tables.FACES).query("faces > 0")["sample_id"]
    expected = held_out()[held_out()["sample_id"].isin(found)].groupby("source").size()
    counts = rows["images"] + rows["without_heat"]
    for source, count in expected.items():
        assert counts[source, "all"] == counts[source, "correct"] + counts[source, "wrong"] == count
    assert (rows["cells"] == 2).all()  # 32 pixels, halved four times


def test_where_no_faces_were_looked_for_no_image_counts_and_the_page_is_written(copied):
    face_tables.write_none("sample")
    run()
    assert table("gradcam").empty
    assert findings.read("explain")[f"face.{NAME}"].verdict == "not_run"
    page.write()
    assert "not run" in paths().page("explain").read_text("utf-8")


def test_a_backbone_that_cannot_be_explained_does_not_end_the_others(copied, one_process, monkeypatch):
    other = "another"
    shutil.copytree(paths().run(NAME), paths().run(NAME).with_name(other))
    facts = json.loads(paths().config(other).read_text()) | {"experiment": other}
    tables.write_text(json.dumps(facts), paths().config(other))
    predictions = tables.read(paths().predictions(other), tables.PREDICTIONS).assign(experiment=other)
    tables.write(predictions, paths().predictions(other), tables.PREDICTIONS)
    models = explain.trained.model_of
    monkeypatch.setattr(
        explain.trained,
        "model_of",
        lambda run, fold, device: Headless().eval() if run.config.experiment == other else models(run, fold, device),
    )
    explain.run((other, NAME), configs.load().evaluation, progress=(heard := Heard()))
    assert set(table("gradcam")["experiment"]) == {NAME}
    assert set(table("confidence")["experiment"]) == {NAME, other}
    said = "Headless has no feature map that Grad-CAM could explain; choose another backbone"
    assert heard.lines.count(f"{other}: no heatmaps: {said}") == 1
    found = findings.read("explain")
    assert found[f"face.{other}"].verdict == "not_run" and found[f"face.{other}"].note == f"{said}."
    assert found[f"face.{NAME}"].verdict != "not_run"
    page.write()
    text = paths().page("explain").read_text("utf-8")
    assert f"The map of {NAME} has 2×2 cells" in text and said in text and f"The map of {other}" not in text
    # none at all
    explain.run((other,), configs.load().evaluation)
    assert table("gradcam").empty


class Headless(torch.nn.Module):
    """Features without positions."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        return features if pre_logits else self.head(features)


def test_verdicts_are_those_of_the_thresholds_that_training_wrote(copied):
    run()
    predictions = held_out()
    thresholds = explain.trained.read(NAME).thresholds
    called = predictions["logit"] >= np.array(thresholds)[predictions["fold"]]
    wrong = predictions[called != (predictions["label"] == 1)]
    errors = table("confident_errors").set_index("source")["errors"]
    assert errors.to_dict() == wrong["source"].value_counts().reindex(errors.index, fill_value=0).to_dict()
    listed = table("hard_examples")
    assert set(listed["sample_id"]) <= set(wrong["sample_id"])
    assert len(listed) == wrong["label"].value_counts().clip(upper=hard.HARD).sum()
    assert table("confidence")["count"].sum() == len(predictions)


def test_a_second_run_writes_the_same_bytes(copied, monkeypatch):
    files = [
        paths().table(f"explain_{name}") for name in ("gradcam", "hard_examples", "confidence", "confident_errors")
    ]
    files += [paths().photograph(name) for name in ("gradcam", "hard_examples")]
    written = []
    for cores in (2, 1):
        monkeypatch.setattr("deepfake.runtime.cores", lambda cores=cores: cores)
        run(progress=(heard := Heard()))
        assert heard.steps[-1] == ("explaining", len(held_out()), len(held_out()))
        written.append([path.read_bytes() for path in files])
    assert written[0] == written[1]


def test_images_are_chosen_by_their_names_and_of_every_kind(copied):
    verdicts = explain.hard_examples.judged(explain.trained.predicted(NAME, manifest()))
    shown = explain._shown(verdicts)
    kinds = verdicts.groupby(["source", "wrong"]).size().clip(upper=2)
    assert shown.groupby(["source", "wrong"]).size().to_dict() == kinds.to_dict()
    shuffled = verdicts.sample(frac=1, random_state=0)
    assert explain._shown(shuffled)["sample_id"].tolist() == shown["sample_id"].tolist()


def test_an_overlay_leaves_cold_pixels_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    heat = np.zeros((8, 8))
    heat[2, 3] = 1
    found = image_grid.overlay(image, heat)
    changed = (found != image).any(axis=2)
    assert changed[2, 3] and changed.sum() == 1
