import numpy as np
import pandas as pd
import pytest
import scipy.stats

from deepfake.project import paths
from deepfake.studies import results

pytest_plugins = ["reported_study"]


@pytest.fixture
def found(study_settings):
    return results.read("phase2", study_settings)


def test_pairs_stand_beside_the_figures_of_both_sides(found):
    pairs = found.pairs("phase2b").set_index("title")
    known = pd.read_csv(paths().table("phase2_experiments")).set_index("experiment")
    assert pairs.index.tolist() == ["SimpleCNN", "ResNet18"]
    assert pairs.loc["ResNet18", "a_auc"] == known.loc["resnet18_low", "auc"]
    assert pairs.loc["ResNet18", "b_auc"] == known.loc["resnet18_high", "auc"]
    assert pairs.loc["SimpleCNN", "experiment"] == "simple_cnn_high"


def test_experiments_of_a_table_follow_their_baselines(found):
    sources = ["resnet18_without_text2img", "resnet18_without_inpainting", "resnet18_without_insight"]
    assert found.experiments("phase2a_holdout") == ["resnet18_high", *sources]


def test_a_change_has_the_interval_of_nadeau_and_bengio(found):
    change = found.change("simple_cnn_high", "simple_cnn_face", "train_auc", 0.95)
    folds = pd.read_csv(paths().table("phase2_folds")).pivot(index="fold", columns="experiment", values="train_auc")
    values = (folds["simple_cnn_face"] - folds["simple_cnn_high"]).to_numpy()
    k = len(values)
    reach = scipy.stats.t.ppf(0.975, k - 1) * np.sqrt((1 / k + 1 / (k - 1)) * values.var(ddof=1))
    assert change.estimate == pytest.approx(values.mean())
    assert (change.low, change.high) == pytest.approx((values.mean() - reach, values.mean() + reach))


def test_own_weights_are_part_of_a_name_and_unranked_candidates_are_not_of_the_plan(study_settings):
    found = results.read("phase3", study_settings)
    assert found.titles["efficientnet_lite0_imagenet_best"] == "EfficientNet-Lite0 (ImageNet weights)"
    assert found.titles["mobilenetv3_small_best"] == "MobileNetV3-Small"
    assert found.unplanned == ("efficientnet_lite0_imagenet_best",)


def test_experiments_go_by_their_model_only_where_that_tells_them_apart(study_settings):
    assert results.read("phase1", study_settings).names() == {"simple_cnn_low": "SimpleCNN", "resnet18_low": "ResNet18"}
    assert results.read("custom", study_settings).names() == {"simple_cnn_low": "simple_cnn_low", "custom": "custom"}
