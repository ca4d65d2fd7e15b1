import pytest
import timm
import torch
from torch import nn

from deepfake import models
from deepfake.errors import InputError
from deepfake.studies.explain import gradcam


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
    found = gradcam.heatmaps(model, layer, inputs)
    torch.testing.assert_close(found, expected)
    assert found.min() >= 0 and found.std() > 0.05


def test_a_backbone_of_timm_is_explained_at_its_last_feature_map():
    torch.manual_seed(0)
    model, inputs = timm.create_model("resnet18", num_classes=1).eval(), images(2, 64)
    features = model.forward_features(inputs)
    expected = by_hand(features, model.forward_head(features), 64)
    layer, cells = gradcam.feature_layer(model, 64)
    assert layer is model.layer4 and cells == 2
    torch.testing.assert_close(gradcam.heatmaps(model, layer, inputs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "last"),
    [("mobilenetv3_small_050", "blocks"), ("convnext_atto", "norm_pre"), ("efficientnet_lite0", "bn2")],
)
def test_the_layer_is_the_outermost_that_gives_the_map(name, last):
    model = timm.create_model(name, num_classes=1).eval()
    layer, cells = gradcam.feature_layer(model, 64)
    assert layer is model.get_submodule(last)
    assert cells == 2
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_model_without_a_feature_map_is_named(name):
    model = timm.create_model(name, num_classes=1, img_size=32).eval()
    with pytest.raises(InputError, match="has no feature map to explain by Grad-CAM; choose a convolutional model"):
        gradcam.feature_layer(model, 32)


def test_where_nothing_speaks_for_a_fake_there_is_no_heat():
    model = simple_cnn()
    with torch.no_grad():
        model.head.weight.copy_(-model.head.weight.abs())
    layer, _ = gradcam.feature_layer(model, 24)
    assert (gradcam.heatmaps(model, layer, images()) == 0).all()


def test_an_image_is_explained_alike_alone_and_among_others():
    model, inputs = simple_cnn(), images()
    layer, _ = gradcam.feature_layer(model, 24)
    together = gradcam.heatmaps(model, layer, inputs)
    torch.testing.assert_close(gradcam.heatmaps(model, layer, inputs[3:4])[0], together[3])


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
    found = gradcam.heatmaps(probe, layer, inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert found.std() > 0.05
