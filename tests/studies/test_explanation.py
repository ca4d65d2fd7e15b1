import dataclasses
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import FACE_BOX
from deepfake import config as configs
from deepfake import tables
from deepfake.project import paths
from deepfake.reports import findings, image_grid
from deepfake.studies import face_tables
from deepfake.studies.explain import analysis as explain
from deepfake.studies.explain import cases, changes, deletion, figures, gradcam, hard, heat, page
from deepfake.studies.explain import shown as choice
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


OTHER = "another"


@pytest.fixture
def pair(copied, monkeypatch) -> None:
    """A second run, with other weights, and a contrast of both in every phase."""
    shutil.copytree(paths().run(NAME), paths().run(NAME).with_name(OTHER))
    facts = json.loads(paths().config(OTHER).read_text()) | {"experiment": OTHER}
    tables.write_text(json.dumps(facts), paths().config(OTHER))
    predictions = tables.read(paths().predictions(OTHER), tables.PREDICTIONS).assign(experiment=OTHER)
    tables.write(predictions, paths().predictions(OTHER), tables.PREDICTIONS)
    for path in paths().checkpoints(OTHER).glob("*.safetensors"):
        values = load_file(path)
        values["head.weight"] = values["head.weight"].roll(7, dims=1)
        save_file(values, path)
    phases = list(changes.PHASES)
    planned = pd.DataFrame({"phase": phases, "table": phases, "baseline": NAME, "experiment": OTHER})
    monkeypatch.setattr(changes, "planned", lambda: planned)


def study(**options) -> None:
    explain.study([NAME], NAME, configs.load().evaluation, **options)


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
        "deepfake.studies.explain.gradcam.heat", lambda model, layer, images, known: heat.repeat(len(images), 1, 1)
    )
    run()
    rows = table("gradcam")
    area = (BOX[2] - BOX[0]) * (BOX[3] - BOX[1]) / SIDE**2
    np.testing.assert_allclose(rows["face_area"].dropna(), area, rtol=1e-4)
    expected = {"everywhere": area, "inside": 1.0, "outside": 0.0}[where]
    np.testing.assert_allclose(rows["face"].dropna(), expected, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(rows[["face", "border", "background"]].dropna().sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows[["face_area", "border_area", "background_area"]].dropna().sum(axis=1), 1, atol=1e-5)
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


def test_where_no_faces_were_looked_for_no_image_counts_and_the_page_is_written(pair):
    face_tables.write_none("sample")
    study()
    assert table("gradcam").empty and table("attention_changes").empty
    assert findings.read("explain")[f"face.{NAME}"].verdict == "not_run"
    page.write()
    assert "not run" in paths().page("explain").read_text("utf-8")


def test_a_backbone_that_cannot_be_explained_does_not_end_the_others(pair, one_process, monkeypatch):
    models = explain.finished.trained.model_of
    monkeypatch.setattr(
        explain.finished.trained,
        "model_of",
        lambda run, fold, device: Headless().eval() if run.config.experiment == OTHER else models(run, fold, device),
    )
    explain.study([OTHER, NAME], NAME, configs.load().evaluation, progress=(heard := Heard()))
    assert set(table("gradcam")["experiment"]) == set(table("regions")["experiment"]) == {NAME}
    assert set(table("confidence")["experiment"]) == {NAME, OTHER}
    assert table("attention_changes").empty
    said = "Headless has no feature map that Grad-CAM could explain; choose another backbone"
    assert heard.lines.count(f"{OTHER}: no heatmaps: {said}") == 1
    found = findings.read("explain")
    assert found[f"face.{OTHER}"].verdict == "not_run" and found[f"face.{OTHER}"].note == f"{said}."
    assert found[f"face.{NAME}"].verdict != "not_run"
    page.write()
    text = paths().page("explain").read_text("utf-8")
    assert f"| {NAME} " in text and "| 2×2 " in text and said in text
    assert all(text.count(f"| {one.question} |") == 1 for one in found.values())
    # none at all
    explain.run((OTHER,), configs.load().evaluation)
    assert table("gradcam").empty and table("regions").empty


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

    def get_classifier(self) -> torch.nn.Module:
        return self.head


def test_verdicts_are_those_of_the_thresholds_that_training_wrote(copied):
    run()
    predictions = held_out()
    thresholds = cases.trained.read(NAME).thresholds
    called = predictions["logit"] >= np.array(thresholds)[predictions["fold"]]
    wrong = predictions[called != (predictions["label"] == 1)]
    errors = table("confident_errors").set_index("source")["errors"]
    assert errors.to_dict() == wrong["source"].value_counts().reindex(errors.index, fill_value=0).to_dict()
    listed = table("hard_examples")
    assert set(listed["sample_id"]) <= set(wrong["sample_id"])
    assert len(listed) == wrong["label"].value_counts().clip(upper=hard.HARD).sum()
    assert table("confidence")["count"].sum() == len(predictions)


def test_a_second_run_writes_the_same_bytes(pair, monkeypatch):
    written = []
    for cores in (2, 1):
        monkeypatch.setattr("deepfake.runtime.cores", lambda cores=cores: cores)
        shutil.rmtree(paths().heat, ignore_errors=True)
        study()
        page.write()
        files = [*paths().results("explain").iterdir(), *paths().photograph("").parent.iterdir()]
        files += [paths().page("explain"), paths().findings("explain")]
        written.append({str(path): path.read_bytes() for path in files})
    assert written[0] == written[1]
    assert {f"gradcam_{phase}.png" for phase in changes.PHASES} <= {path.split("/")[-1] for path in written[0]}


def test_a_second_run_computes_nothing_and_a_damaged_file_is_computed_again(pair, one_process, monkeypatch):
    counted = []
    for module, name in ((gradcam, "heat"), (gradcam, "feature_layer"), (deletion, "painted")):
        whole = getattr(module, name)

        def count(*given, name=name, whole=whole):
            counted.append(name)
            return whole(*given)

        monkeypatch.setattr(module, name, count)
    study()
    assert set(counted) == {"heat", "feature_layer", "painted"}
    first = {path: path.read_bytes() for path in paths().results("explain").iterdir()}
    counted.clear()
    study(progress=(heard := Heard()))
    assert not counted and not heard.steps
    files = sorted(paths().heat.iterdir())
    whole = {path: path.read_bytes() for path in files}
    for number, path in enumerate(files):
        data = bytearray(whole[path])
        # cut short, emptied, changed in one bit, or no archive at all
        data[len(data) // 2] ^= 1
        path.write_bytes((whole[path][:-20], b"", bytes(data), b"no archive")[number % 4])
    study()
    assert {"heat", "painted"} <= set(counted)
    assert {path: path.read_bytes() for path in files} == whole
    assert {path: path.read_bytes() for path in paths().results("explain").iterdir()} == first


def test_other_weights_images_and_rows_have_files_of_their_own(copied):
    case = cases.read([NAME])[NAME]
    rows = np.arange(4)
    plain = heat.Wanted(case.weights, 0, case.file, rows)
    names = {heat.path_of(plain)}
    names |= {heat.path_of(dataclasses.replace(plain, rows=rows[:3])), heat.path_of(dataclasses.replace(plain, fold=1))}
    names |= {heat.path_of(dataclasses.replace(plain, random="head", draw=draw)) for draw in (0, 1)}
    changed = np.load(case.file)
    changed[2, 0, 0, 0] ^= 1
    other = case.file.with_name("changed.npy")
    np.save(other, changed)
    names.add(heat.path_of(dataclasses.replace(plain, file=other)))
    assert len(names) == 6
    # what a picture looks like that nobody asked for decides nothing
    changed[2, 0, 0, 0] ^= 1
    changed[9] ^= 1
    np.save(other, changed)
    assert heat.path_of(dataclasses.replace(plain, file=other)) == heat.path_of(plain)


def test_random_heads_share_the_pass_of_what_was_learned_and_leave_it_as_it_was(copied, one_process, monkeypatch):
    case = cases.read([NAME])[NAME]
    plain = heat.Wanted(case.weights, 0, case.file, np.arange(20))
    wanted = [dataclasses.replace(plain, random="head", draw=draw) for draw in (0, 1)]
    wanted += [plain, dataclasses.replace(plain, random="all")]
    passes = []
    whole = gradcam.features
    monkeypatch.setattr(gradcam, "features", lambda model, images: passes.append(len(images)) or whole(model, images))
    found = heat.maps(wanted).found
    # besides the two images by which the layer is found
    assert sum(count for count in passes if count > 2) == 2 * 20
    scale = case.weights.scales[0]
    pixels = (np.load(case.file)[:20] / 255 - np.array(scale.mean)) / np.array(scale.std)
    images = torch.from_numpy(pixels).float().permute(0, 3, 1, 2)
    for number, each in enumerate(wanted):
        model = heat.model_of(each, torch.device("cpu"))
        np.testing.assert_allclose(found[number], gradcam.heat(model, None, images), rtol=1e-3, atol=1e-5)
    learned = cases.trained.model_of(case.weights, 0, torch.device("cpu"))
    np.testing.assert_allclose(found[2], gradcam.heat(learned, None, images), rtol=1e-3, atol=1e-5)
    assert len({each.tobytes() for each in found.values()}) == 4


def test_progress_counts_every_image_once(copied):
    run(progress=(heard := Heard()))
    assert heard.steps[-1] == ("explaining", len(held_out()), len(held_out()))


def verdicts(sources: int, per_source: int = 30) -> pd.DataFrame:
    """Return verdicts on made samples; every third is wrong."""
    draw = np.random.default_rng(0)
    count = sources * per_source
    return pd.DataFrame(
        {
            "sample_id": [f"sample{number:04d}" for number in range(count)],
            "source": [f"source{number % sources:03d}" for number in range(count)],
            "label": (np.arange(count) % sources > 0).astype(int),
            "margin": draw.normal(size=count),
            "wrong": np.arange(count) // sources % 3 == 0,
        }
    )


def test_a_picture_shows_the_surest_verdicts_and_the_borderline_of_every_source():
    rows = verdicts(4)
    shown = choice.shown(rows)
    assert len(shown) == choice.SHOWN and shown["sample_id"].is_unique
    first = shown.drop_duplicates(["source", "kind"]).set_index(["source", "kind"])
    sizes = rows.assign(distance=rows["margin"].abs())
    for source, part in sizes.groupby("source"):
        right, wrong = part[~part["wrong"]], part[part["wrong"]]
        expected = {
            "confident right": right.loc[right["distance"].idxmax(), "sample_id"],
            "confident wrong": wrong.loc[wrong["distance"].idxmax(), "sample_id"],
            "borderline": part.loc[part["distance"].idxmin(), "sample_id"],
        }
        assert {kind: first.loc[(source, kind), "sample_id"] for kind in choice.KINDS} == expected
    shuffled = rows.sample(frac=1, random_state=0)
    assert choice.shown(shuffled)["sample_id"].tolist() == shown["sample_id"].tolist()


@pytest.mark.parametrize("sources", [1, 2, 7, 40, 200])
def test_a_picture_never_grows_with_the_number_of_sources(sources):
    shown = choice.shown(verdicts(sources))
    assert len(shown) == min(choice.SHOWN, 30 * sources)
    # all kinds, and as many sources as there is room for
    assert set(shown["kind"]) == set(choice.KINDS)
    assert shown["source"].nunique() == min(sources, choice.SHOWN)


def test_a_model_that_is_never_wrong_shows_what_there_is():
    shown = choice.shown(verdicts(4).assign(wrong=False))
    assert len(shown) == choice.SHOWN and set(shown["kind"]) == {"confident right", "borderline"}


def test_images_behind_the_figures_are_chosen_by_their_names_as_many_of_each_source():
    rows = verdicts(4)
    chosen = choice.measured(rows, 20)
    assert (chosen["source"].value_counts() == 5).all()
    assert set(choice.measured(rows.assign(wrong=True, margin=0.0)[::-1], 20)["sample_id"]) == set(chosen["sample_id"])


def test_of_very_many_sources_those_with_most_confident_errors_are_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bins = pd.DataFrame({"bin": range(20), "low": np.arange(20) / 20, "high": np.arange(1, 21) / 20, "count": 5})
    parts = [bins.assign(source=f"source{number:03d}", label=int(number > 0), share=0.05) for number in range(200)]
    for number in (7, 190):
        parts[number].loc[0, "share"] = 0.5
    figures.histogram(pd.concat(parts).assign(experiment="run"))
    drawn = set(re.findall(r"source\d{3}", paths().figure("explain_confidence").with_suffix(".svg").read_text("utf-8")))
    assert {"source007", "source190"} <= drawn and len(drawn) == 12


def test_an_overlay_leaves_cold_pixels_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    heat = np.zeros((8, 8))
    heat[2, 3] = 1
    found = image_grid.overlay(image, heat)
    changed = (found != image).any(axis=2)
    assert changed[2, 3] and changed.sum() == 1
