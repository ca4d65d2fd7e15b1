import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import nn

from deepfake import models
from deepfake.errors import InputError


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
