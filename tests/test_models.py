import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import nn

from deepfake import models
from deepfake.config import FROM_SCRATCH
from deepfake.errors import InputError
from deepfake.models.light_cnn import MaxFeatureMap
from deepfake.studies.results import TITLES


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_simple_cnn_has_about_400k_parameters():
    model = models.SimpleCNN()
    widths = [3, 16, 32, 64, 128, 256]
    convolutions = sum(9 * before * after for before, after in itertools.pairwise(widths))
    norms = sum(2 * after for after in widths[1:])
    head = 256 + 1
    assert models.count_parameters(model) == convolutions + norms + head == 393_361
    assert 380_000 <= models.count_parameters(model) <= 420_000


def test_frozen_parameters_are_not_counted():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    model[0].requires_grad_(False)
    assert models.count_parameters(model) == 4 + 1


@pytest.mark.parametrize("size", [32, 48, 63, 128, 224])
def test_simple_cnn_takes_any_side(size):
    model = models.create("simple_cnn", size)
    assert model(torch.randn(3, 3, size, size)).shape == (3, 1)


def test_simple_cnn_takes_rectangles():
    assert models.SimpleCNN()(torch.randn(2, 3, 40, 56)).shape == (2, 1)


def test_simple_cnn_does_not_need_timm():
    # it takes seconds to import
    code = "import sys; from deepfake import models; models.create('simple_cnn', 48); assert 'timm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100", "convnext_atto", "vit_tiny_patch16_224"])
def test_backbones_give_one_logit_at_64_px(name):
    model = models.create(name, 64)
    assert model.training
    assert all(module.training for module in model.modules())
    logits = model(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 1)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["simple_cnn", "mobilenetv3_small_100"])
def test_the_seed_alone_decides_the_initial_weights(name):
    def weights(seed):
        torch.manual_seed(seed)
        return list(models.create(name, 48).state_dict().values())

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_trying_the_size_leaves_the_batch_norms_as_new():
    model = models.create("resnet18", 48)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(norm.num_batches_tracked == 0 and not norm.running_mean.any() for norm in norms)


@pytest.mark.parametrize(
    ("name", "near"), [("resnet81", "resnet18"), ("simple_cn", "simple_cnn"), ("convnext_tinny", "convnext_tiny")]
)
def test_an_unknown_model_is_answered_with_the_nearest(name, near):
    for ask in (models.check_name, lambda wrong: models.create(wrong, 64)):
        with pytest.raises(InputError, match=rf"model: unknown model '{name}'; did you mean .*\b{near}\b"):
            ask(name)


@pytest.mark.parametrize("name", ["simple_cnn", "resnet18", "resnet18.a1_in1k"])
def test_a_known_name_passes(name):
    models.check_name(name)


def test_an_unknown_tag_of_a_known_model_is_an_input_error():
    with pytest.raises(InputError, match=r"resnet18\.nosuch"):
        models.create("resnet18.nosuch", 48)


SIZES = [
    ("vit_small_patch16_224", 100, "its patches of 16 px do not divide them", "96 or 112"),
    ("vit_small_patch16_224", 10, "its patches of 16 px do not divide them", "16"),
    ("vit_small_patch14_dinov2", 128, "its patches of 14 px do not divide them", "126 or 140"),
    ("vit_small_patch14_reg4_dinov2", 128, "its patches of 14 px do not divide them", "126 or 140"),
    ("vit_small_patch16_dinov3", 100, "its patches of 16 px do not divide them", "96 or 112"),
    ("deit_tiny_distilled_patch16_224", 100, "its patches of 16 px do not divide them", "96 or 112"),
    ("eva02_tiny_patch14_224", 128, "its patches of 14 px do not divide them", "126 or 140"),
    ("swin_tiny_patch4_window7_224", 102, "its patches of 4 px do not divide them", "100 or 104"),
    ("mixer_s32_224", 100, "its patches of 32 px do not divide them", "96 or 128"),
    # not by patches
    ("maxvit_tiny_tf_224", 100, ".+", "96 or 128"),
    ("twins_pcpvt_small", 48, ".+", "32 or 64"),
    ("crossvit_tiny_240", 64, ".+", "240"),
    ("mvitv2_tiny", 100, ".+", "96 or 128"),
]


@pytest.mark.parametrize(("name", "size", "reason", "near"), SIZES)
def test_a_size_that_a_model_cannot_take_is_refused_with_the_nearest_that_fit(name, size, reason, near):
    line = rf"^model {name} cannot take images of {size} px \({reason}\); use {near} px$"
    with pytest.raises(InputError, match=line) as caught:
        models.create(name, size)
    assert "\n" not in str(caught.value)
    if reason != ".+":  # without its weights in memory, for these
        with pytest.raises(InputError, match=line):
            models.check_size(name, size)
    for side in near.split(" or "):
        models.check_size(name, int(side))
        assert models.create(name, int(side))(torch.randn(2, 3, int(side), int(side))).shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("vit_small_patch16_224", 96),
        ("vit_small_patch14_dinov2", 126),
        ("swin_tiny_patch4_window7_224", 96),
        # in windows of 7 patches, which timm pads
        ("swin_tiny_patch4_window7_224", 100),
        # patches that overlap, and none
        ("pvt_v2_b0", 100),
        ("resnet18", 97),
    ],
)
def test_every_pixel_of_a_legal_size_counts(name, size):
    model = models.create(name, size)
    models.check_size(name, size)
    images = torch.randn(2, 3, size, size, requires_grad=True)
    nn.functional.binary_cross_entropy_with_logits(model(images)[:, 0], torch.tensor([0.0, 1.0])).backward()
    assert images.grad is not None
    assert (images.grad[:, :, [0, -1]].abs().amax((0, 1)) > 0).all()
    assert (images.grad[:, :, :, [0, -1]].abs().amax((0, 1)) > 0).all()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_a_size_is_checked_for_models_that_exist():
    models.check_size("simple_cnn", 48)
    with pytest.raises(InputError, match="unknown model 'resnet81'"):
        models.check_size("resnet81", 48)


# --- pretrained weights


def classifier(name: str, path: Path, **changes: torch.Tensor | None) -> nn.Module:
    """Make timm's classifier and write its weights, some of them changed or, for None, left out."""
    torch.manual_seed(7)
    made = timm.create_model(name).eval()
    state = {key.replace(".", "__"): value for key, value in made.state_dict().items()} | changes
    save_file({key.replace("__", "."): value for key, value in state.items() if value is not None}, path)
    return made


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_a_pretrained_backbone_computes_what_timms_does_and_its_head_is_fresh(tmp_path, name):
    reference = classifier(name, tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    model = models.create(name, 48, tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    fresh = models.create(name, 48)
    assert all(module.training for module in model.modules())
    images = torch.randn(2, 3, 48, 48)
    model.eval()
    with torch.inference_mode():
        assert torch.equal(model.forward_features(images), reference.forward_features(images))
        assert not torch.equal(fresh.eval().forward_features(images), reference.forward_features(images))
        assert model(images).shape == (2, 1)
    for given, own in zip(model.get_classifier().parameters(), fresh.get_classifier().parameters(), strict=True):
        assert torch.equal(given, own)


def test_position_embeddings_are_resampled_to_the_size(tmp_path):
    reference = classifier("test_vit", tmp_path / "weights.safetensors")
    model = models.create("test_vit", 64, tmp_path / "weights.safetensors")
    expected = resample_abs_pos_embed(reference.pos_embed, [4, 4], num_prefix_tokens=1)
    assert model.pos_embed.shape != reference.pos_embed.shape
    assert torch.equal(model.pos_embed, expected)
    assert torch.equal(model.patch_embed.proj.weight, reference.patch_embed.proj.weight)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"conv1__0__weight": None}, r"Missing conv1\.0\.weight"),
        ({"extra": torch.zeros(1)}, "Unexpected extra"),
        ({"conv1__0__weight": torch.zeros(2, 3, 3, 3)}, r"mismatch conv1\.0\.weight"),
        ({"fc__bias": None}, r"Missing fc\.bias"),
    ],
)
def test_weights_that_do_not_fit_name_the_tensor(tmp_path, changes, found):
    classifier("test_resnet", tmp_path / "weights.safetensors", **changes)
    with pytest.raises(InputError, match=rf"weights\.safetensors: not weights of test_resnet \({found}\)") as caught:
        models.create("test_resnet", 48, tmp_path / "weights.safetensors")
    assert "\n" not in str(caught.value)


class Trap:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("trace"),))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_nothing_is_unpickled(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.0.weight": Trap()}, tmp_path / name)
    with pytest.raises(InputError, match=rf"{name}: not a safetensors file"):
        models.create("test_resnet", 48, tmp_path / name)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "name",
    ["simple_cnn", "resnet18", "efficientnet_b0", "convnext_atto", "mobilenetv3_small_100", "vit_tiny_patch16_224"],
)
def test_the_logit_is_what_the_classifier_makes_of_the_pooled_features(name):
    """So a second head can stand on the same features, by timm's own interface."""
    model = models.create(name, 64).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = model.forward_head(model.forward_features(images), pre_logits=True)
        assert features.shape == (2, model.get_classifier().in_features)
        assert torch.equal(model.get_classifier()(features), model(images))


# --- rectangles, one channel


MAPS = ["simple_cnn", "lcnn", "resnet18", "efficientnet_b0", "convnext_atto", "mobilenetv3_small_100"]


@pytest.mark.parametrize("name", MAPS)
def test_models_take_one_channel_and_sides_that_differ(name):
    models.check_size(name, (1, 64, 201))
    model = models.create(name, (1, 64, 201))
    assert all(module.training for module in model.modules())
    logits = model(torch.randn(2, 1, 64, 201))
    assert logits.shape == (2, 1)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_transformers_are_built_for_both_sides(name):
    model = models.create(name, (1, 64, 208)).eval()
    assert model.patch_embed.grid_size == (
        64 // model.patch_embed.patch_size[0],
        208 // model.patch_embed.patch_size[1],
    )
    assert model(torch.randn(2, 1, 64, 208)).shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "shape", "line"),
    [
        (
            "vit_tiny_patch16_224",
            (1, 64, 201),
            r"maps of 64x201 px \(its patches .*\); use 64x192 or 64x208 px",
        ),
        (
            "vit_tiny_patch16_224",
            (3, 100, 40),
            r"images of 100x40 px \(its patches .*\); use 96x32 or 112x48 px",
        ),
        ("vit_tiny_patch16_224", (1, 8, 64), r"maps of 8x64 px \(its patches of 16 px .*\); use 16x64 px"),
        ("vit_tiny_patch16_224", (1, 40, 40), r"maps of 40 px \(its patches of 16 px .*\); use 32 or 48 px"),
        ("lcnn", (1, 8, 200), "maps of 8x200; use 16 bins and frames or more"),
    ],
)
def test_a_rectangle_that_a_model_cannot_take_is_refused_with_the_nearest_sides(name, shape, line):
    for ask in (models.check_size, models.create):
        with pytest.raises(InputError, match=rf"^model {name} cannot take {line}$"):
            ask(name, shape)


@pytest.mark.parametrize("name", ["simple_cnn", "resnet18", "vit_tiny_patch16_224"])
def test_a_side_means_a_square_of_three_channels(name):
    def state(shape):
        torch.manual_seed(3)
        return models.create(name, shape).state_dict()

    one, other = state(64), state((3, 64, 64))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("stage", [None, "penultimate", "final"])
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"])
def test_a_pretrained_trunk_sees_one_channel_as_three_equal_ones(tmp_path, name, stage):
    classifier(name, tmp_path / "weights.safetensors")

    def model(channels):
        torch.manual_seed(1)
        return models.create(name, (channels, 64, 96), tmp_path / "weights.safetensors", stage).eval()

    maps = torch.randn(2, 1, 64, 96)
    with torch.inference_mode():
        one = model(1).forward_features(maps)
        three = model(3).forward_features(maps.expand(-1, 3, -1, -1))
    assert one.shape == three.shape
    torch.testing.assert_close(one, three, rtol=1e-4, atol=1e-5)
    assert one.std() > 0


# --- the light CNN


def test_max_feature_map_takes_the_greater_of_both_halves():
    maps = np.random.default_rng(1).standard_normal((2, 6, 4, 5)).astype(np.float32)
    found = MaxFeatureMap()(torch.from_numpy(maps)).numpy()
    expected = np.array([[np.where(a > b, a, b) for a, b in zip(one[:3], one[3:], strict=True)] for one in maps])
    assert found.shape == (2, 3, 4, 5)
    assert np.array_equal(found, expected)
    rows = np.array([[1.0, -2.0, 0.5, -3.0]], np.float32)
    assert MaxFeatureMap()(torch.from_numpy(rows)).tolist() == [[1.0, -2.0]]


def test_pooling_before_the_max_feature_map_is_pooling_behind_it():
    maps, pool, greater = torch.randn(2, 8, 9, 13), nn.MaxPool2d(2), MaxFeatureMap()
    assert torch.equal(greater(pool(maps)), pool(greater(maps)))


def test_the_light_cnn_has_the_layers_of_the_paper():
    model = models.LightCNN((1, 60, 400), width=1.0)
    convolutions = [module for module in model.features if isinstance(module, nn.Conv2d)]
    # table 2 of Lavrentyeva et al. 2019: kernel, filters, thousands of parameters
    published = [
        *((5, 64, 1.6), (1, 64, 2.1), (3, 96, 27.7), (1, 96, 4.7), (3, 128, 55.4)),
        *((1, 128, 8.3), (3, 64, 36.9), (1, 64, 2.1), (3, 64, 18.5)),
    ]
    found = [
        (layer.kernel_size[0], layer.out_channels, round((layer.weight.numel() + layer.out_channels) / 1000, 1))
        for layer in convolutions
    ]
    # 1.664 is cut off there
    assert [(1.6 if kernel == 5 else count) for kernel, _, count in found] == [count for _, _, count in published]
    assert [each[:2] for each in found] == [each[:2] for each in published]
    assert model.hidden[0].out_features == 160
    assert model.get_classifier().in_features == 80
    norms = 2 * (32 + 48 + 48 + 64 + 32 + 32 + 80)
    layers = 1_664 + 2_112 + 27_744 + 4_704 + 55_424 + 8_320 + 36_928 + 2_112 + 18_496
    assert models.count_parameters(model) == layers + norms + (32 * 3 + 1) * 160 + 81


@pytest.mark.parametrize("frames", [16, 101, 200, 401])
def test_the_light_cnn_takes_windows_of_any_length(frames):
    model = models.create("lcnn", (1, 60, 400)).eval()
    maps = torch.randn(3, 1, 60, frames)
    with torch.no_grad():
        features = model.forward_features(maps)
        assert features.shape[2:] == (60 // 16, frames // 16)
        hidden = model.forward_head(features, pre_logits=True)
        assert hidden.shape == (3, model.get_classifier().in_features)
        assert torch.equal(model.get_classifier()(hidden), model(maps))


def test_steady_sound_looks_the_same_in_windows_of_any_length():
    model = models.create("lcnn", (1, 60, 160)).eval()
    steady = torch.randn(1, 1, 60, 1)
    with torch.no_grad():
        short, long = (model.forward_features(steady.expand(-1, -1, -1, frames)) for frames in (320, 640))
    # but near an edge, where convolutions see zeros
    torch.testing.assert_close(short[..., 8], long[..., 20])
    assert short[..., 8].std() > 0


def test_the_light_cnn_learns_which_of_two_bands_is_loud():
    torch.manual_seed(0)
    maps, labels = torch.randn(32, 1, 32, 64), torch.arange(32) % 2
    maps[labels == 1, :, :12] += 0.7
    maps[labels == 0, :, 20:] += 0.7
    model = models.create("lcnn", (1, 32, 64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = nn.functional.binary_cross_entropy_with_logits(model(maps)[:, 0], labels.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        decided = model.eval()(maps)[:, 0] > 0
    assert losses[0] > 0.4
    assert losses[-1] < 0.1
    assert (decided == (labels == 1)).all()


def test_the_light_cnn_does_not_need_timm():
    code = (
        "import sys; from deepfake import models; models.create('lcnn', (1, 60, 200)); assert 'timm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_nobody_has_pretrained_the_networks_that_are_our_own():
    assert set(models.OWN) == set(FROM_SCRATCH) <= set(TITLES)
