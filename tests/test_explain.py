from typing import Any

import pytest
import timm
import torch
from torch import nn

from deepfake import models
from deepfake.errors import InputError
from deepfake.models import grids
from deepfake.studies.explain import gradcam
from heatmaps import heatmaps


def simple_cnn(seed: int = 0) -> models.SimpleCNN:
    torch.manual_seed(seed)
    model = models.SimpleCNN(widths=(4, 8, 6)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def images(count: int = 5, size: int = 24) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def by_hand(features: torch.Tensor, logits: torch.Tensor, size: int) -> torch.Tensor:
    """Grad-CAM as the paper's equations 1 and 2 have it, one image after the other."""
    maps = []
    for number in range(len(logits)):
        (gradient,) = torch.autograd.grad(logits[number, 0], features, retain_graph=True)
        weights = gradient[number].sum(dim=(1, 2)) / gradient[number, 0].numel()
        summed = (weights[:, None, None] * features[number]).sum(dim=0)
        enlarged = nn.Upsample(size=(size, size), mode="bilinear")(summed.clamp(min=0)[None, None])[0, 0]
        maps.append(enlarged / enlarged.max() if enlarged.max() > 0 else enlarged)
    return torch.stack(maps).detach()


def test_heatmaps_are_those_of_the_paper():
    model, inputs = simple_cnn(), images()
    features = model.features(inputs)
    expected = by_hand(features, model.head(features.mean(dim=(2, 3))), 24)
    layer, cells = gradcam.feature_layer(model, 24)
    assert cells == 6
    found = heatmaps(model, layer, inputs)
    torch.testing.assert_close(found, expected)
    assert found.min() >= 0 and found.std() > 0.05


def test_a_backbone_of_timm_is_explained_at_its_last_feature_map():
    torch.manual_seed(0)
    model: Any = timm.create_model("resnet18", num_classes=1).eval()
    inputs = images(2, 64)
    features = model.forward_features(inputs)
    expected = by_hand(features, model.forward_head(features), 64)
    layer, cells = gradcam.feature_layer(model, 64)
    assert layer is None and cells == 2
    torch.testing.assert_close(heatmaps(model, layer, inputs), expected, rtol=1e-4, atol=1e-4)


def test_where_nothing_speaks_for_a_fake_there_is_no_heat():
    model = simple_cnn()
    with torch.no_grad():
        model.head.weight.copy_(-model.head.weight.abs())
    layer, _ = gradcam.feature_layer(model, 24)
    assert (heatmaps(model, layer, images()) == 0).all()


def test_an_image_is_explained_alike_alone_and_among_others():
    model, inputs = simple_cnn(), images()
    layer, _ = gradcam.feature_layer(model, 24)
    together = heatmaps(model, layer, inputs)
    torch.testing.assert_close(heatmaps(model, layer, inputs[3:4])[0], together[3])


def test_a_frozen_trunk_is_explained_at_its_stage_through_both_means_and_deviations():
    torch.manual_seed(0)
    probe = models.LinearProbe(timm.create_model("resnet18", num_classes=1), "layer2", 64).eval()
    nn.init.normal_(probe.head.linear.weight)
    inputs = images(3, 64)
    maps = probe.forward_features(inputs)
    assert maps.shape[1:] == (256, 8, 8)  # 128 features, and their squared deviations
    expected = by_hand(maps, probe.forward_head(maps), 64)
    layer, cells = gradcam.feature_layer(probe, 64)
    assert cells == 8
    found = heatmaps(probe, layer, inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert found.std() > 0.05


# --- transformers

SIDE, PATCH = 48, 8
TINY = {"embed_dim": 32, "depth": 3, "num_heads": 4, "patch_size": PATCH}
SWIN = {"embed_dim": 16, "depths": (2, 2), "num_heads": (2, 4), "window_size": 3}
"""Patches of 4 px, joined four by four after two blocks."""
TRANSFORMERS = {
    "vit": ("vit_tiny_patch16_224", TINY),
    "vit_mean": ("vit_tiny_patch16_224", TINY | {"global_pool": "avg", "class_token": False}),
    "deit_distilled": ("deit_tiny_distilled_patch16_224", TINY),
    "dino": ("vit_small_patch16_224.dino", TINY),
    "dinov2_registers": ("vit_small_patch14_reg4_dinov2", TINY),
    "dinov3": ("vit_small_patch16_dinov3", TINY),
    "eva02": ("eva02_tiny_patch14_224", TINY),
    "eva02_class_token": ("eva02_tiny_patch14_224", TINY | {"global_pool": "token"}),
    "eva_post_norm": ("eva02_tiny_patch14_224", TINY | {"global_pool": "token", "use_post_norm": True}),
    "beit": ("beit_base_patch16_224", TINY),
    "swin": ("swin_tiny_patch4_window7_224", SWIN),
    "swinv2": ("swinv2_tiny_window8_256", SWIN),
}
CLASS_TOKEN = {"vit", "deit_distilled", "dino", "dinov2_registers", "eva02_class_token", "eva_post_norm"}


def transformer(name: str, seed: int = 0, **changes) -> Any:
    torch.manual_seed(seed)
    architecture, options = TRANSFORMERS[name]
    return timm.create_model(architecture, num_classes=1, **({"img_size": SIDE} | options | changes)).eval()


def blocks(model: Any) -> list[Any]:
    layers = [layer.blocks for layer in model.layers] if hasattr(model, "layers") else [model.blocks]
    return [block for each in layers for block in each]


def planted(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return gray images, their labels, and the cell that is bright in the fakes, the odd ones."""
    noise = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 3, SIDE, SIDE, generator=noise) * 0.05 - 0.5
    cells = torch.randint(0, SIDE // PATCH, (count, 2), generator=noise)
    for number in range(1, count, 2):
        row, column = (cells[number] * PATCH).tolist()
        inputs[number, :, row : row + PATCH, column : column + PATCH] += 1.5
    return inputs, torch.arange(count) % 2, cells


def decided_by_a_patch(name: str) -> Any:
    """Return a random transformer whose tokens know of their own patch alone, until a class token reads them.

    So the patch that is bright decides, and no other. The head tells apart what it makes of `planted`.
    """
    model = transformer(name)
    for name_of, parameter in model.named_parameters():
        if parameter.ndim == 2:  # timm's own are so small that all tokens are nearly alike
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        elif "gamma" in name_of:
            nn.init.ones_(parameter)
    for block in blocks(model)[: -1 if name in CLASS_TOKEN else None]:
        for parameter in block.attn.proj.parameters():
            nn.init.zeros_(parameter)
    inputs, labels, _ = planted(128, 1)
    with torch.no_grad():
        pooled = model.forward_head(model.forward_features(inputs), pre_logits=True)
        fake, real = (pooled[labels == label].mean(0) for label in (1, 0))
        heads = model.get_classifier()
        for head in heads if isinstance(heads, tuple) else (heads,):
            head.weight.copy_((fake - real)[None])
            head.bias.copy_(-(fake - real) @ (fake + real) / 2)
    return model


def found_at(heat: torch.Tensor) -> torch.Tensor:
    """Return the cell that is hottest in each image."""
    hottest = heat.flatten(1).argmax(1)
    return torch.stack([hottest // SIDE, hottest % SIDE], dim=1) // PATCH


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_heat_lands_on_the_patch_that_decides(name):
    model = decided_by_a_patch(name)
    layer, cells = gradcam.feature_layer(model, SIDE)
    assert cells == SIDE // PATCH
    inputs, labels, places = planted(64, 1000)
    with torch.no_grad():
        assert ((model(inputs)[:, 0] > 0) == (labels == 1)).float().mean() > 0.8
    found = found_at(heatmaps(model, layer, inputs[labels == 1]))
    assert (found == places[labels == 1]).all()


@pytest.mark.parametrize("name", CLASS_TOKEN - {"eva_post_norm"})
def test_a_class_token_is_explained_by_what_the_last_attention_reads(name):
    """Grad-CAM by hand, of the output of `blocks[-1].norm1`."""
    model, inputs = decided_by_a_patch(name), planted(4, 7)[0]
    kept = []
    hook = model.blocks[-1].norm1.register_forward_hook(lambda _, __, output: kept.append(output))
    logits = model(inputs)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits.sum(), kept[0])
    side, before = SIDE // PATCH, model.num_prefix_tokens
    expected = torch.zeros(4, side, side)
    for image in range(4):
        for row in range(side):
            for column in range(side):
                token = kept[0][image, before + row * side + column]
                expected[image, row, column] = gradient[image, before:].mean(0) @ token
    expected = nn.Upsample(size=(SIDE, SIDE), mode="bilinear")(expected.clamp(min=0)[:, None])[:, 0]
    expected /= expected.amax((1, 2), keepdim=True).clamp(min=1e-12)
    layer, _ = gradcam.feature_layer(model, SIDE)
    found = heatmaps(model, layer, inputs)
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-4)
    assert found.std() > 0.05


@pytest.mark.parametrize("name", ["swin", "swinv2", "dinov3", "eva02", "vit_mean"])
def test_a_mean_of_tokens_is_explained_by_the_output_of_the_last_block(name):
    """Grad-CAM by hand, of the tokens before the last norm."""
    model, inputs = decided_by_a_patch(name), planted(4, 7)[0]
    kept = []
    hook = blocks(model)[-1].register_forward_hook(lambda _, __, output: kept.append(output))
    logits = model(inputs)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits.sum(), kept[0])
    before = getattr(model, "num_prefix_tokens", 0)
    tokens, gradient = (each.flatten(1, -2)[:, before:] for each in (kept[0], gradient))
    expected = torch.einsum("bc,bpc->bp", gradient.mean(1), tokens).reshape(4, 6, 6).clamp(min=0)
    expected = nn.Upsample(size=(SIDE, SIDE), mode="bilinear")(expected[:, None])[:, 0]
    expected /= expected.amax((1, 2), keepdim=True).clamp(min=1e-12)
    layer, _ = gradcam.feature_layer(model, SIDE)
    found = heatmaps(model, layer, inputs)
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-3)
    assert found.std() > 0.05


@pytest.mark.parametrize("name", ["coat_tiny", "tnt_s_patch16_224", "pit_ti_224"])
def test_a_model_without_a_feature_map_is_named(name):
    model = timm.create_model(name, num_classes=1, img_size=64).eval()
    with pytest.raises(InputError, match=f"^{type(model).__name__} has no feature map that Grad-CAM could explain"):
        gradcam.feature_layer(model, 64)


def test_heat_of_images_that_are_not_square_lands_on_the_patch_that_decides():
    """Four rows and six columns of patches, from `patch_embed`; the map is transposed if they are swapped."""
    model = transformer("vit_mean", img_size=(32, 48))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        for block in blocks(model):
            for parameter in block.attn.proj.parameters():
                nn.init.zeros_(parameter)
        dark, bright = torch.full((1, 3, 32, 48), -0.5), torch.full((1, 3, 32, 48), 1.0)
        pooled = [model.forward_head(model.forward_features(each), pre_logits=True) for each in (dark, bright)]
        model.head.weight.copy_(pooled[1] - pooled[0])
    for row, column in ((0, 5), (3, 0), (2, 4)):
        inputs = dark.clone()
        inputs[:, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 1.0
        heat = heatmaps(model, None, inputs)[0]
        assert heat.shape == (32, 48)
        hottest = int(heat.argmax())
        assert (hottest // 48 // 8, hottest % 48 // 8) == (row, column)


@pytest.mark.parametrize(
    ("tokens", "options", "size", "grid"),
    [
        (24 + 5, {"num_prefix_tokens": 5}, (32, 48), (4, 6)),
        (24, {"patches": (4, 6)}, (32, 48), (4, 6)),
        # 3 of 5 rows of patches are padding: no aspect says so
        (35, {"patches": (5, 7)}, (33, 49), (5, 7)),
        # joined four by four behind `patch_embed`
        (6, {"patches": (4, 6)}, (32, 48), (2, 3)),
        # no grid
        (7, {}, (32, 32), (7, 1)),
    ],
)
def test_tokens_are_put_where_their_patches_lie(tokens, options, size, grid):
    trunk: Any = nn.Module()
    trunk.num_prefix_tokens = options.get("num_prefix_tokens", 0)
    if "patches" in options:
        trunk.patch_embed = type("Embed", (), {"dynamic_feat_size": lambda self, size: options["patches"]})()
    features = torch.arange(tokens).float()[None, :, None].expand(2, tokens, 3)
    expected = torch.arange(trunk.num_prefix_tokens, tokens).reshape(grid).float()
    assert torch.equal(grids.as_maps(features, trunk, size), expected.expand(2, 3, *grid))


@pytest.mark.parametrize("stage", ["penultimate", "final"])
@pytest.mark.parametrize("name", ["vit", "vit_mean", "dinov2_registers", "swin", "eva02", "beit"])
def test_a_head_on_a_frozen_transformer_is_explained(name, stage):
    """The heat is what each position adds to the logit: by hand where the head reads means, and where they lie."""
    trunk = decided_by_a_patch(name)
    probe = models.LinearProbe(trunk, stage, SIDE).eval()
    inputs, labels, places = planted(64, 5)
    with torch.no_grad():
        pooled = probe.pooled(probe.forward_features(inputs))
        probe.head.linear.weight.copy_((pooled[labels == 1].mean(0) - pooled[labels == 0].mean(0))[None])
    layer, cells = gradcam.feature_layer(probe, SIDE)
    assert cells == (12 if (name, stage) == ("swin", "penultimate") else 6)  # before patches are joined
    heat = heatmaps(probe, layer, inputs[labels == 1])
    assert (found_at(heat) == places[labels == 1]).all(1).float().mean() > 0.9
