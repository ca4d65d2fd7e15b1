"""The shipped detector: the average over folds of logits that are each divided by the fold's temperature."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import tiny_study
from deepfake.evaluation.calibration import TEMPERATURES
from deepfake.loading import views
from deepfake.project import paths
from deepfake.runs import detectors, shipped
from stored_runs import RUN


def records(*pairs: tuple[float, float]):
    """Return what is known of folds: temperature and threshold of each."""
    return {
        fold: detectors.Record.model_construct(temperature=temperature, threshold=threshold)
        for fold, (temperature, threshold) in enumerate(pairs)
    }


def test_logits_and_thresholds_are_divided_by_temperatures_and_averaged():
    scale = shipped.scale_of(records((2.0, 1.0), (0.5, -1.0)))
    logits = np.array([[2.0, -4.0, 0.0], [1.0, 3.0, -0.5]])
    np.testing.assert_allclose(scale.combine(logits), [(1 + 2) / 2, (-2 + 6) / 2, (0 - 1) / 2])
    assert scale.threshold == pytest.approx((0.5 - 2.0) / 2)


def test_several_images_of_a_clip_are_averaged_fold_by_fold_as_well():
    logits = np.arange(12.0).reshape(2, 3, 2)
    scale = shipped.scale_of(records((2.0, 0.0), (4.0, 0.0)))
    np.testing.assert_allclose(scale.combine(logits), (logits[0] / 2 + logits[1] / 4) / 2)


def test_a_fold_that_makes_no_error_does_not_outweigh_the_others():
    scale = shipped.scale_of(records((TEMPERATURES[0], 3.0), (2.0, 1.0)))
    assert scale.temperatures.tolist() == [1.0, 2.0] and scale.thresholds.tolist() == [3.0, 0.5]


def test_a_fold_that_tells_nothing_hardly_counts():
    scale = shipped.scale_of(records((TEMPERATURES[1], 1.0), (1.0, 1.0)))
    assert abs(scale.combine(np.array([10.0, 0.0]))) <= 0.05


def test_the_order_of_folds_is_that_of_their_numbers():
    given = records((2.0, 1.0), (4.0, 1.0))
    assert shipped.scale_of(dict(reversed(given.items()))).temperatures.tolist() == [2.0, 4.0]


def test_a_trained_run_says_the_average_of_its_folds(outcome):
    detector, run = detectors.read(RUN), tiny_study.config(RUN)
    path = views.pixels(run.view, tiny_study.manifest(), threads=1)
    rows = np.flatnonzero(tiny_study.manifest()["split"] == "test")
    expected = np.zeros(len(rows))
    for fold in range(run.folds):
        record = json.loads(paths().checkpoint_record(RUN, fold).read_text())
        temperature = record["temperature"] if record["temperature"] > TEMPERATURES[0] else 1.0
        loaded = detectors.LoadedFold(detector, fold, torch.device("cpu"))
        expected += loaded.logits({run.view.view: np.load(path)}, rows) / temperature / run.folds
    np.testing.assert_allclose(shipped.logits(detector, {run.view.view: path}, rows), expected, rtol=1e-6)


@pytest.mark.parametrize("how", ["mean", "median", "max"])
def test_clips_are_pooled_in_each_fold_before_folds_are_averaged(monkeypatch, how):
    config = tiny_study.configs.RunConfig.model_construct(folds=3, repeats=1)
    member = detectors.Member(detectors.Trained(config, [], []), (1.0,) * 3)
    known = records((2.0, 1.0), (4.0, 1.0), (0.5, 1.0))
    detector = detectors.Detector("x", (member,), (0.0,) * 3, known)
    given = np.random.default_rng(2).normal(size=(3, 9))
    monkeypatch.setattr(shipped.heads, "ensure", lambda wanted: None)
    monkeypatch.setattr(shipped, "file_features", lambda *_: [])
    monkeypatch.setattr(shipped, "file_logits", lambda detector, fold, images, rows: given[fold][rows])
    rows, clips = np.arange(1, 9), np.array([0, 0, 0, 1, 2, 2, 2, 2])
    pooled = pd.DataFrame(given[:, rows].T).groupby(clips).agg(how)
    expected = (pooled / [2.0, 4.0, 0.5]).mean(axis=1)
    np.testing.assert_allclose(shipped.logits(detector, {}, rows, clips, how), expected)


def test_of_several_repeats_the_first_one_is_shipped():
    config = tiny_study.configs.RunConfig.model_construct(folds=2, repeats=3)
    member = detectors.Member(detectors.Trained(config, [], []), (1.0,) * 6)
    known = records(*[(number + 1.0, 0.0) for number in range(6)])
    detector = detectors.Detector("x", (member,), (0.0,) * 6, known)
    assert list(detector.shipped) == [0, 1]
    assert shipped.scale(detector).temperatures.tolist() == [1.0, 2.0]
