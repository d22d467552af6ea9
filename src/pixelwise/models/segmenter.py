"""What every network that is fine-tuned to segment has in common: a trunk, one last layer, and an enlargement.

    logits = enlarge(last(features(seen)))

`last` is a 1x1 convolution over maps of features that stand stacked in the size of the finest. Convolution over
channels and bilinear enlargement over pixels are both linear and commute; so each map meets its own columns of the
weights in its own size, and only k maps of logits are ever enlarged, never the features (Hariharan et al. 2015).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ..shapes import Logits

# What the trunk hands to the last layer: one map, or several of falling size, finest first.
Features = tuple[Float[Tensor, "n _ _ _"], ...]
Size = tuple[int, int] | torch.Size


class Segmenter(nn.Module):
    """Base of the networks whose last layer can be trained on features that were computed once.

    A subclass sets `last`, `channels`, `preprocessing` and `head_prefixes`, and gives `features`.
    """

    last: nn.Conv2d  # 1x1, from sum(channels) to k
    channels: tuple[int, ...]  # of each map of features, in order
    preprocessing: str  # what is done to pictures before the trunk, in words that change when it does
    head_prefixes: tuple[str, ...] = ("head.",)  # names of what stands between the trunk proper and the last layer
    align_corners = False  # TensorFlow's networks lay corner pixels on corner pixels when they enlarge
    trust: tuple[float, ...] | None = None  # in each map, where labels are only a few strokes; None: all alike
    learned: tuple[str, ...] | None = None  # name prefixes of what is trained; None: everything

    def features(self, seen: Float[Tensor, "n 3 h w"]) -> Features:
        """The last layer's input, for pictures in 0 to 1."""
        raise NotImplementedError

    def answer(self, features: Features, size: Size) -> Logits:
        """Logits of some size from features."""
        return answer(self.last.weight, self.last.bias, features, size, self.align_corners)

    def forward(self, seen: Float[Tensor, "n 3 h w"]) -> Logits:
        """Logits of pictures in 0 to 1, in the pictures' size."""
        return self.answer(self.features(seen), seen.shape[2:])

    def train(self, mode: bool = True) -> "Segmenter":
        """Training mode, but only for what is learned: frozen BatchNorm keeps its statistics, frozen dropout is off.

        PyTorch's own train() would move a frozen BatchNorm's running statistics and drop features at random.
        """
        super().train(mode)
        if mode and self.learned is not None:
            rest_frozen(self, self.learned)
        return self


def rest_frozen(model: nn.Module, learned: tuple[str, ...]) -> None:
    """Put into evaluation mode what does not have one of these name prefixes."""
    for name, module in model.named_modules():
        if name and not _is_learned(name, module, learned):
            module.training = False


def _is_learned(name: str, module: nn.Module, learned: tuple[str, ...]) -> bool:
    """Whether all of a module is trained; one without parameters, such as dropout, belongs to where it stands."""
    parameters = [parameter.requires_grad for parameter in module.parameters()]
    return all(parameters) if parameters else f"{name}.".startswith(learned)


def answer(weight: Tensor, bias: Tensor | None, features: Features, size: Size, align_corners: bool = False) -> Logits:
    """Logits in some size, of a last layer on maps of features that stand stacked in the size of the first."""
    weights = torch.split(weight, [feature.shape[1] for feature in features], dim=1)
    logits = F.conv2d(features[0], weights[0], bias)
    for feature, own in zip(features[1:], weights[1:], strict=True):
        logits = logits + enlarged(F.conv2d(feature, own), logits.shape[2:], align_corners)
    return enlarged(logits, size, align_corners)


def stacked(features: Features, align_corners: bool = False) -> Float[Tensor, "n c h w"]:
    """All maps of features in the size of the first, one behind the other: what the last layer is a 1x1 of."""
    size = features[0].shape[2:]
    return torch.cat([enlarged(feature, size, align_corners) for feature in features], dim=1)


def at_pixels(
    whole: Float[Tensor, "1 c _ _"], size: Size, flat: Int64[Tensor, "p"], align_corners: bool = False
) -> Float[Tensor, "1 c 1 p"]:
    """Stacked features at single pixels of one picture, as if they had been enlarged to the picture's size.

    Args:
        whole: the stacked features.
        size: of the picture, rows and columns.
        flat: the pixels, counted row by row.
        align_corners: how the network enlarges.
    """
    rows, columns = flat // size[1], flat % size[1]
    places = [_place(columns, size[1], align_corners), _place(rows, size[0], align_corners)]
    grid = torch.stack(places, dim=-1).view(1, 1, -1, 2)
    return F.grid_sample(whole, grid, mode="bilinear", padding_mode="border", align_corners=align_corners)


def _place(index: Tensor, length: int, align_corners: bool) -> Tensor:
    """A pixel's place from -1 to 1: between the outer edges, or between the centres of the outermost pixels."""
    if align_corners:
        return index.float() / max(1, length - 1) * 2 - 1
    return (index.float() + 0.5) / length * 2 - 1


def enlarged(x: Float[Tensor, "n c _ _"], size: Size, align_corners: bool = False) -> Float[Tensor, "n c _ _"]:
    """Bilinear; as it is where the size is right already."""
    if x.shape[2:] == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align_corners)


def last_layer(channels: int, k: int) -> nn.Conv2d:
    """A new last layer that starts without an opinion: every class equally likely at every pixel."""
    layer = nn.Conv2d(channels, k, 1)
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
