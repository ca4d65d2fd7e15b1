"""First layers, maps between, and what the last features separate."""

import cmath
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from deepfake import config as configs
from deepfake import models, tables
from deepfake.config.training import PENALTIES, Probe
from deepfake.evaluation import influence
from deepfake.loading import views
from deepfake.project import paths
from deepfake.runs import cross_validation, fold, trained
from deepfake.runs import weights as pretrained
from deepfake.studies.explain import cases, deep, deep_figures, embedding, filters, panel
from deepfake.tables import results as result_tables
from stored_runs import add_run
from tiny_study import config, manifest

RUN = "simple_cnn_low"


@pytest.fixture
def evaluation(copied):
    return configs.load().evaluation


def held_out() -> pd.DataFrame:
    predictions = tables.read(paths().predictions(RUN), tables.PREDICTIONS)
    return predictions[predictions["subset"] == "held_out"].set_index("sample_id")


def opened(name: str) -> cases.Case:
    return cases.read([name])[name]


# --- first layers


def test_high_frequencies_are_those_of_a_transform_by_hand():
    kernels = np.random.default_rng(0).normal(size=(2, 3, 3, 3))
    grid, expected = filters._GRID, []
    frequencies = [k / grid if k < grid / 2 else k / grid - 1 for k in range(grid)]
    waves = np.array([[cmath.exp(-2j * cmath.pi * f * x) for x in range(3)] for f in frequencies])
    for kernel in kernels:
        energy = np.sum([np.abs(waves @ channel @ waves.T) ** 2 for channel in kernel], axis=0)
        high = [[math.hypot(f, g) > 0.25 for g in frequencies] for f in frequencies]
        expected.append(energy[np.array(high)].sum() / energy.sum())
    assert filters.high_frequency(kernels) == pytest.approx(np.mean(expected))


def test_smooth_filters_have_little_of_them_edges_much_and_noise_what_is_said():
    smooth, board = np.ones((1, 3, 7, 7)), np.indices((7, 7)).sum(0) % 2 * 2.0 - 1
    assert filters.high_frequency(smooth) < 0.15
    assert filters.high_frequency(np.broadcast_to(board, (1, 3, 7, 7))) > 0.95
    noise = np.random.default_rng(1).normal(size=(2000, 3, 5, 5))
    assert filters.high_frequency(noise) == pytest.approx(filters.NOISE, abs=0.01)
    dead = np.concatenate([np.zeros((3, 3, 7, 7)), smooth])
    assert filters.high_frequency(dead) == pytest.approx(filters.high_frequency(smooth))
    assert math.isnan(filters.high_frequency(np.zeros((1, 3, 3, 3))))


def test_before_training_means_what_training_started_from(copied, tmp_path, monkeypatch):
    """The network that the training loop is given, against the one that is made again."""
    seen = []

    class Enough(Exception):
        pass

    def stop(model, *_, **__):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        raise Enough

    monkeypatch.setattr(fold, "fit", stop)
    for job in fold.jobs(config(), manifest(), tmp_path):
        with pytest.raises(Enough):
            fold.train_fold(job, print)
    for number, state in enumerate(seen):
        again = filters._untrained(configs.config_of(RUN), number).state_dict()
        assert all(torch.equal(again[name], value) for name, value in state.items())
    assert len(seen) == 2 and not torch.equal(seen[0]["features.0.weight"], seen[1]["features.0.weight"])


def test_the_change_is_the_norm_of_the_difference_over_that_before(copied):
    filters.run([opened(RUN)])
    row = pd.read_csv(paths().table("explain_filters")).iloc[0]
    ratios = []
    for number in range(2):
        after = load_file(paths().checkpoint(RUN, number))["features.0.weight"].double()
        before = filters._untrained(configs.config_of(RUN), number).state_dict()["features.0.weight"].double()
        ratios.append(float((after - before).square().sum().sqrt() / before.square().sum().sqrt()))
    assert row["change"] == pytest.approx(np.mean(ratios), rel=1e-4) and row["change"] > 0.001
    assert row[["filters", "size", "folds"]].tolist() == [16, 3, 2]


def test_of_runs_of_one_kind_the_first_is_shown(copied):
    add_run("twice", factor=2.0)
    filters.run([opened("twice"), opened(RUN)])
    assert pd.read_csv(paths().table("explain_filters"))["experiment"].tolist() == ["twice"]


def test_a_network_that_does_not_begin_with_three_channels_has_no_row():
    assert filters.first_layer(torch.nn.Conv2d(1, 4, 3)) is None
    assert filters.first_layer(torch.nn.Linear(3, 1)) is None
    layer = filters.first_layer(timm.create_model("resnet18"))
    assert layer is not None and layer.kernel_size == (7, 7)


# --- maps


def test_the_last_layer_of_simple_cnn_is_its_features():
    torch.manual_seed(0)
    model, images = models.SimpleCNN().eval(), torch.randn(2, 3, 32, 32)
    found = filters.layer_outputs(model, images)
    assert list(found) == [f"layer {number}" for number in range(1, 6)]
    torch.testing.assert_close(found["layer 5"], model.features(images))
    # what follows writes into a layer's output
    torch.testing.assert_close(found["layer 1"], model.features[:3](images))


@pytest.mark.parametrize(("name", "stage"), [("test_resnet", "penultimate"), ("test_vit", "penultimate")])
def test_maps_of_a_frozen_trunk_are_those_of_timm(name, stage):
    torch.manual_seed(0)
    trunk: Any = timm.create_model(name, num_classes=1).eval()
    size = trunk.default_cfg["input_size"][-1]
    images = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        expected = trunk.forward_intermediates(images, intermediates_only=True)
    places = [info["module"] for info in trunk.feature_info]
    probe = models.LinearProbe(trunk, stage, size).eval()
    found = filters.layer_outputs(probe, images)
    assert list(found) == places[: len(found)] and len(found) == len(places) - 1
    if name == "test_resnet":
        for place, maps in zip(places, expected, strict=False):
            if place in found:
                torch.testing.assert_close(found[place], maps)


def test_the_channel_that_varies_most_is_shown(copied):
    model = opened(RUN)
    rows = model.verdicts.query("fold == 1")["row"].to_numpy(copy=True)[:5]
    found = filters.maps_of(model, 1, rows)
    assert list(found) == ["layer 1", "layer 3", "layer 5"]
    images = np.load(views.pixels(config().view, manifest(), threads=1))[rows] / 255.0
    scale = model.weights.scales[1]
    pixels = (images - np.array(scale.mean)) / np.array(scale.std)
    network: Any = trained.model_of(model.weights, 1, torch.device("cpu"))
    outputs = network.features(torch.from_numpy(pixels).float().permute(0, 3, 1, 2)).detach().numpy()
    channel, maps = found["layer 5"]
    assert channel == max(range(outputs.shape[1]), key=lambda number: outputs[:, number].std())
    np.testing.assert_allclose(maps, outputs[:, channel], rtol=1e-3, atol=1e-4)


def test_the_images_shown_were_held_out_by_the_networks_that_see_them(copied):
    model = opened(RUN)
    chosen = filters._images([model])
    assert chosen["fold"].nunique() == 1 and chosen["source"].is_unique
    fold_of = held_out()["fold"]
    assert (fold_of.loc[chosen["sample_id"]].to_numpy() == chosen["fold"].to_numpy()).all()


# --- features


def test_the_features_are_what_the_logits_are_computed_from(copied):
    model = opened(RUN)
    samples = model.verdicts.sample(frac=1, random_state=0)
    values = embedding.read(model, samples)
    for number in range(2):
        weights = load_file(paths().checkpoint(RUN, number))
        rows = (samples["fold"] == number).to_numpy()
        logits = values[rows] @ weights["head.weight"][0].double().numpy() + float(weights["head.bias"][0])
        np.testing.assert_allclose(logits, samples.loc[rows, "logit"], rtol=1e-4, atol=1e-4)


def test_the_features_of_a_frozen_trunk_are_what_its_head_reads(copied):
    torch.manual_seed(1)
    path = paths().weights("test_resnet")
    path.parent.mkdir(parents=True)
    save_file(timm.create_model("test_resnet").state_dict(), path)
    facts = pretrained.Facts(model="test_resnet", sha256="0" * 64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    paths().weights_facts("test_resnet").write_text(facts.model_dump_json())
    own = {"model": "test_resnet", "pretrained": True, "train": "head", "probe": Probe(stage="penultimate", draws=1)}
    cross_validation.run(config("custom", epochs=len(PENALTIES), **own))
    model = opened("custom")
    samples = model.verdicts.sample(frac=1, random_state=0)
    values = embedding.read(model, samples)
    for number in range(2):
        weights = load_file(paths().checkpoint("custom", number))
        rows = (samples["fold"] == number).to_numpy()
        logits = values[rows] @ weights["linear.weight"][0].double().numpy() + float(weights["linear.bias"][0])
        np.testing.assert_allclose(logits, samples.loc[rows, "logit"], rtol=1e-4, atol=1e-4)
    # a frozen trunk is as its weights say, and training has not moved it
    filters.run([model])
    row = pd.read_csv(paths().table("explain_filters")).iloc[0]
    assert row["change"] == 0 and row["folds"] == 1
    filters.draw_maps([model])
    assert paths().photograph("feature_maps").exists()


def made(samples: int = 240, sources: int = 3, seed: int = 0) -> tuple[pd.DataFrame, np.random.Generator]:
    """Samples of two folds with six groups each, every source in every group."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"sample_id": [f"s{number:03}" for number in range(samples)]})
    source, group = np.arange(samples) % (sources + 1), np.arange(samples) // (sources + 1) % 12
    frame = frame.assign(source=[f"gan{one}" if one else "camera" for one in source], label=(source > 0).astype(int))
    return frame.assign(group=group.astype(str), fold=group % 2, logit=rng.normal(size=samples)), rng


def judged(samples: pd.DataFrame, values: np.ndarray, evaluation) -> Any:
    answers = embedding.ask(samples, values, 0.95)
    contrast = influence.difference(answers[embedding.CLASS].adjusted, answers[embedding.SOURCE].adjusted)
    (found,) = embedding.conclusions({"run": contrast}, {"run": "the model"}, evaluation)
    return found


def test_features_of_sources_alone_separate_sources(evaluation):
    """Reals lie among the first source's fakes and the sources lie apart."""
    samples, rng = made()
    place = samples["source"].map({"camera": 1, "gan1": 1, "gan2": 2, "gan3": 3}).to_numpy()
    found = judged(samples, np.eye(4)[place] * 5 + rng.normal(size=(240, 4)), evaluation)
    assert found.verdict == "above_chance" and found.answer == "yes" and found.effect > 0.3


def test_features_of_the_class_alone_do_not(evaluation):
    samples, rng = made()
    found = judged(samples, samples[["label"]].to_numpy() * 9.0 + rng.normal(size=(240, 1)), evaluation)
    assert found.verdict == "at_chance" and found.effect < -0.5
    assert found.n_groups == 12 and found.low is not None and found.low < found.effect < found.high


def test_features_of_nothing_are_undecided_or_equal(evaluation):
    samples, rng = made(960)
    found = judged(samples, rng.normal(size=(960, 5)), evaluation)
    assert found.verdict in ("undecided", "equivalent") and abs(found.effect) < 0.2
    own = embedding.ask(samples, rng.normal(size=(960, 5)), 0.95)[embedding.CLASS].own
    (finding,) = embedding.together({"run": own}, {"run": "the model"}, evaluation)
    assert finding.answer == "no" and (finding.effect or 1) < 0.2


def test_neighbours_never_share_the_group_so_people_alone_are_no_answer(evaluation):
    """Each person has one source of fakes and a place of his own: only himself could vote for it."""
    samples, rng = made(480)
    samples = samples.assign(group=[f"{source}{number % 40}" for number, source in enumerate(samples["source"])])
    samples = samples.assign(fold=0)
    _, codes = np.unique(samples["group"], return_inverse=True)
    values = rng.normal(size=(codes.max() + 1, 6))[codes] * 50
    answers = embedding.ask(samples, values + 0.01 * rng.normal(size=values.shape), 0.95)
    assert answers[embedding.CLASS].row["own_group"] > 0.9
    (finding,) = embedding.together({"run": answers[embedding.CLASS].own}, {"run": "the model"}, evaluation)
    assert finding.answer == "yes" and finding.effect == pytest.approx(1, abs=0.1)
    assert abs(answers[embedding.CLASS].row["adjusted"]) < 0.35
    assert abs(answers[embedding.SOURCE].row["adjusted"]) < 0.35


def test_folds_are_spaces_of_their_own():
    """The same place means another source in the other fold."""
    samples, rng = made()
    place = samples["source"].map({"camera": 0, "gan1": 1, "gan2": 2, "gan3": 3}).to_numpy()
    place = np.where(samples["fold"] == 1, 3 - place, place)
    answers = embedding.ask(samples, np.eye(4)[place] * 9 + rng.normal(size=(240, 4)), 0.95)
    assert answers[embedding.SOURCE].row["accuracy"] > 0.95 < answers[embedding.CLASS].row["accuracy"]


def test_one_source_of_fakes_is_no_question(evaluation):
    samples, rng = made(sources=1)
    assert list(embedding.ask(samples, rng.normal(size=(240, 3)), 0.95)) == [embedding.CLASS]
    alone = samples.assign(group="me")
    assert not embedding.ask(alone, rng.normal(size=(240, 3)), 0.95)
    (found,) = embedding.conclusions({}, {"run": "the model"}, evaluation)
    assert found.verdict == "not_run" and found.note


def test_pca_is_that_of_numpy_and_one_fold_is_drawn():
    samples, rng = made()
    values = rng.normal(size=(240, 6)) * [5, 3, 1, 1, 1, 1]
    found = embedding.projected(samples, values)
    assert found["fold"].nunique() == 1 and found["method"].unique().tolist() == ["t-SNE", "PCA"]
    inside = values[(samples["fold"] == samples["fold"].iloc[0]).to_numpy()]
    centred = inside - inside.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axis = found[found["method"] == "PCA"][["x", "y"]].to_numpy()
    np.testing.assert_allclose(np.abs(axis), np.abs(centred @ axes[:2].T), atol=1e-8)


def test_the_picture_does_not_hang_on_the_last_bits():
    """Another processor rounds otherwise: t-SNE has to end at the same place."""
    samples, rng = made()
    curve = np.linspace(0, 9, 240)[:, None]
    values = np.sin(curve + rng.normal(size=20)) + 0.3 * curve * rng.normal(size=20) + 0.1 * rng.normal(size=(240, 20))
    first = embedding.projected(samples, values)[["x", "y"]].to_numpy()
    np.testing.assert_array_equal(first, embedding.projected(samples, values)[["x", "y"]].to_numpy())
    other = embedding.projected(samples, values * (1 + 1e-12 * rng.normal(size=values.shape)))
    np.testing.assert_allclose(other[["x", "y"]].to_numpy(), first, atol=1e-2 * np.abs(first).max())


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_handful_of_samples_is_drawn_too(count):
    samples, rng = made()
    found = embedding.projected(samples.head(count).assign(fold=0), rng.normal(size=(count, 4)))
    assert np.isfinite(found[["x", "y"]].to_numpy()).all()
    assert np.isfinite(embedding.projected(samples, np.ones((240, 4)))[["x", "y"]].to_numpy()).all()


def test_two_hundred_sources_are_drawn_and_most_are_gray(copied, monkeypatch):
    samples, rng = made(1200, sources=200)
    points = embedding.projected(samples, rng.normal(size=(1200, 4))).assign(experiment="run")
    said = []
    monkeypatch.setattr(deep_figures.figures, "save", lambda figure, path: said.append(figure))
    deep_figures.embedding(points, {"run": "the model"})
    labels = [text.get_text() for text in said[0].legends[0].get_texts()]
    shown = points["source"].nunique()
    assert len(labels) == 8 and labels[-1] == f"{shown - 7} other sources"


# --- all of it


def test_the_study_writes_the_same_bytes_again(evaluation):
    written, found = [], []
    for _ in range(2):
        found = deep.run([RUN], evaluation)
        files = [paths().table(f"explain_{name}") for name in ("filters", "neighbours", "embedding")]
        files += [paths().figure(f"explain_{name}") for name in ("filters", "embedding")]
        files += [path.with_suffix(".svg") for path in files[3:]] + [paths().photograph("feature_maps")]
        written.append([path.read_bytes() for path in files])
    assert written[0] == written[1]
    assert [one.id for one in found] == [f"sources.{RUN}", f"groups.{RUN}"]
    assert "SimpleCNN" in deep.values()["filters"]


def test_the_baseline_stands_beside_the_final_model_where_phase_1_was_run(copied):
    add_run("other", factor=2.0)
    assert panel.pair(["other"]) == ["other"] and panel.names(["other"]) == ["other"]
    phase(["simple_cnn_low", "gone"])
    assert panel.pair(["other"]) == ["other", RUN]
    assert panel.names(["other"]) == [RUN, "other"]  # one of phase 1 is not there
    paths().final.parent.mkdir(parents=True)
    paths().final.write_text('{"run": "other"}')
    assert panel.pair([RUN, "other"]) == ["other", RUN]
    assert panel.pair([RUN]) == [RUN]  # the final model is not explained


def phase(names: list[str]) -> None:
    """Write the tables of phase 1 of runs of this model, the first the baseline, with figures of no account."""
    for kind, rows in (("experiments", [{"experiment": name} for name in names]),
                       ("tests", [{"baseline": names[0], "experiment": name} for name in names[1:]])):  # fmt: skip
        schema, _ = result_tables.find(f"phase1_{kind}")
        values = {"str": "", "int": 1, "float": 0.5, "bool": False}
        blank = {column: values[form.removesuffix("?")] for column, form in schema.columns.items()}
        blank |= {column: "some" for column, form in schema.columns.items() if form == "str"}
        paths().table("phase1_tests").parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame([blank | row for row in rows]).to_csv(paths().table(f"phase1_{kind}"), index=False)
