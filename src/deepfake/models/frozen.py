"""A linear head on features of one stage of a trunk, as a detector with timm's methods.

Frozen, the trunk keeps the weights that it was pretrained with and only the head is fitted (`training.heads`);
a fine-tuned run goes on from both and trains all layers.
"""

from collections.abc import Callable

import torch
from torch import nn

from deepfake.errors import InputError
from deepfake.models import grids, sizes
from deepfake.models.sizes import Shape

PENULTIMATE = "penultimate"
"""The last but one of the stages that timm lists in `feature_info`."""
FINAL = "final"
"""What the trunk's own classifier sees: the features after its last pooling."""
_SMALLEST_VARIANCE = 1e-12
"""Below it a channel is constant: its standard deviation has no gradient that could be followed."""


class LinearHead(nn.Module):
    """Standardised features to a logit."""

    def __init__(self, features: int):
        """Build the head for this many features; mean and standard deviation are 0 and 1 until it is fitted."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.linear = nn.Linear(features, 1)

    def standardised(self, features: torch.Tensor) -> torch.Tensor:
        """Return features [b, d] less the training rows' mean, over their standard deviation."""
        return (features - self.mean) / self.scale  # pyright: ignore[reportOperatorIssue]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features [b, d] to logits [b, 1]."""
        return self.linear(self.standardised(features))


class LinearProbe(nn.Module):
    """A trunk up to one of its stages, and a linear head on each channel's mean and standard deviation there."""

    def __init__(self, trunk: nn.Module, stage: str, shape: Shape):
        """Cut a trunk off behind a stage.

        Args:
            trunk: a backbone of timm, which is changed: what runs behind the stage is taken out.
            stage: `penultimate`, `final`, or the name of a module of the trunk (`blocks.3`).
            shape: of an input: channels, height and width, or the side of a square of three channels.

        Raises:
            InputError: the trunk has no such stage, or it gives no feature map.
        """
        super().__init__()
        self.final = stage == FINAL
        name = type(trunk).__name__
        if not self.final:
            place = _place(trunk, stage)
            _cut(trunk, place, sizes.sides(shape))
            stage = place
        self.trunk = trunk
        self.moments = _Moments()
        training = trunk.training
        with torch.no_grad():
            try:
                maps = self.eval().forward_features(torch.zeros(1, *sizes.sides(shape)))
                count = self.pooled(maps).shape[1]
            except (AttributeError, IndexError, TypeError, ValueError) as error:
                reason = " ".join(str(error).split())[:120]
                raise InputError(f"probe.stage: {stage} of {name} gives no feature map ({reason})") from None
        self.head = LinearHead(count)
        self.train(training)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float [b, c, h, w] to logits [b, 1]."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """Map float [b, c, h, w] to the stage's k maps and as many of squared deviations, [b, 2k, h', w'].

        A transformer's tokens are put where their patches lie. `final` gives what the trunk calls its features.
        """
        if self.final:
            return self.trunk.forward_features(images)  # pyright: ignore[reportCallIssue]
        try:
            self.trunk(images)
        except _Reached as reached:
            maps = reached.maps
        else:
            raise InputError("probe.stage: the trunk was run without its stage; choose another one")
        return self.moments(grids.as_maps(maps, self.trunk, (images.shape[2], images.shape[3])))

    def pooled(self, maps: torch.Tensor) -> torch.Tensor:
        """Map the stage's maps to features [b, d]: means, then standard deviations, over positions.

        `final`: the trunk's own pooling, nothing else.
        """
        if self.final:
            return self.trunk.forward_head(maps, pre_logits=True)  # pyright: ignore[reportCallIssue]
        means, variances = maps.mean(dim=(2, 3)).chunk(2, dim=1)
        return torch.cat([means, variances.clamp(min=_SMALLEST_VARIANCE).sqrt()], dim=1)

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Map the stage's maps to logits [b, 1], or to the standardised features that these are computed from."""
        pooled = self.pooled(features)
        return self.head.standardised(pooled) if pre_logits else self.head(pooled)

    def get_classifier(self) -> nn.Module:
        """Return the layer that gives the logit."""
        return self.head.linear


class _Moments(nn.Module):
    """Maps, and their squared deviations from their means, as maps of their own.

    All that the head sees are means of these over positions. So Grad-CAM, which weighs maps by their mean gradient,
    sees what speaks through standard deviations; of the stage's own maps, it would not.
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.cat([maps, (maps - maps.mean(dim=(2, 3), keepdim=True)).square()], dim=1)


class _Reached(Exception):
    """The stage's output is there."""

    def __init__(self, maps: torch.Tensor):
        super().__init__()
        self.maps = maps


class _Last(nn.Module):
    """The stage in its place: it runs, hooks and all, and what follows it does not."""

    def __init__(self, stage: nn.Module):
        super().__init__()
        self.stage = stage

    def forward(self, *inputs: object, **named: object) -> torch.Tensor:
        raise _Reached(self.stage(*inputs, **named))


def _place(trunk: nn.Module, stage: str) -> str:
    """Return the name of the module that gives a stage's output."""
    listed = [info["module"] for info in getattr(trunk, "feature_info", [])]
    if stage == PENULTIMATE and len(listed) > 1:
        return listed[-2]
    modules = dict(trunk.named_modules())
    if stage in modules and stage:
        return stage
    stages = [name for name in modules if name and (name in listed or name.rpartition(".")[0] in _ranks(listed))]
    known = [PENULTIMATE] * (len(listed) > 1) + [FINAL, *stages]
    raise InputError(f"probe.stage: {type(trunk).__name__} has no stage {stage!r}; it has {', '.join(known)}")


def _ranks(listed: list[str]) -> set[str]:
    """Return the modules that hold the stages that timm lists (`blocks`), so that their neighbours are shown, too."""
    return {name.rpartition(".")[0] for name in listed} - {""}


def _cut(trunk: nn.Module, place: str, shape: tuple[int, int, int]) -> None:
    """End a trunk's forward pass behind a module, and take out the modules that it never comes to."""
    called: set[nn.Module] = set()

    def remember(module: nn.Module, _: object) -> None:
        called.add(module)

    above, _, name = place.rpartition(".")
    stage = trunk.get_submodule(place)
    setattr(trunk.get_submodule(above), name, _Last(stage))
    hooks = [module.register_forward_pre_hook(remember) for module in trunk.modules()]
    try:
        with torch.no_grad():
            trunk.eval()(torch.zeros(1, *shape))
    except _Reached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    # position embeddings are asked by a method of their own
    _walk(trunk, lambda module: not called.intersection(module.modules()) and not hasattr(module, "get_embed"))


def _walk(module: nn.Module, unused: Callable[[nn.Module], bool]) -> None:
    """Replace what is unused beside the stage and beside what holds it; all below a layer that runs stays.

    Such a layer may use the weights of another one without calling it (the attention of EVA and BEiT).
    """
    for name, child in list(module.named_children()):
        if unused(child):
            setattr(module, name, nn.Identity())
        elif not isinstance(child, _Last) and any(isinstance(each, _Last) for each in child.modules()):
            _walk(child, unused)
