"""Networks that are shown a x + b instead of x, with another number than 0 around it; pixelwise.affine says why."""

import copy
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadSetting
from ..shapes import Logits
from .cnn import Cnn
from .conv import MyConv2d
from .unet import UNet


class Preprocessed(nn.Module):
    """A network that sees y = a x + b; a is any number but 0."""

    def __init__(self, network: nn.Module, a: float, b: float) -> None:
        super().__init__()
        check_affine(a, b)
        self.network, self.a, self.b = network, a, b

    def forward(self, x: Float[Tensor, "n c h w"]) -> Logits:
        """The network's answer to a x + b."""
        logits: Logits = self.network(self.a * x + self.b)
        return logits


class FramedConv2d(MyConv2d):
    """A convolution with `layer`'s parameters that puts `value` around its last `channels`, 0 around the others."""

    def __init__(self, layer: MyConv2d, channels: int, value: float) -> None:
        with torch.random.fork_rng(devices=[]):  # what is drawn here is thrown away
            super().__init__(layer.weight.shape[1], layer.weight.shape[0], layer.kernel, layer.route)
        self.weight, self.bias = layer.weight, layer.bias
        self.channels, self.value = channels, value

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n filters h w"]:
        """Frame, convolve, and leave out what was computed on the frame."""
        before, after, (h, w) = (self.kernel - 1) // 2, self.kernel // 2, x.shape[2:]
        frame = (before, after, before, after)
        others, picture = F.pad(x[:, : -self.channels], frame), F.pad(x[:, -self.channels :], frame, value=self.value)
        return super().forward(torch.cat([others, picture], dim=1))[:, :, before : before + h, before : before + w]


def padded(model: nn.Module, value: float) -> nn.Module:
    """A copy with `value` around the picture instead of 0: of a `Cnn`, a `UNet`, or a Sequential from a `MyConv2d` on.

    NaN as the value goes into every answer in which what is around the picture has a say.

    Raises:
        BadSetting: another model.
    """
    new = copy.deepcopy(model)
    for name, layer, channels in seeing(new):
        new.set_submodule(name, FramedConv2d(layer, channels, value))
    return new


def check_affine(a: float, *others: float) -> None:
    """Refuse numbers that leave no picture, or are none.

    Raises:
        BadSetting: a is 0, or a number is not finite.
    """
    if not a or not all(map(math.isfinite, (a, *others))):
        raise BadSetting(f"a, b = {(a, *others)}; expected finite numbers, and a other than 0, which leaves no picture")


def seeing(model: nn.Module) -> list[tuple[str, MyConv2d, int]]:
    """The convolutions that see the picture: name, layer, and how many of its last channels are the picture's.

    Raises:
        BadSetting: another model than `padded` takes.
    """
    if isinstance(model, nn.Sequential):
        names: tuple[str, ...] = ("0",) if len(model) else ()
    else:
        names = model.seeing if isinstance(model, Cnn | UNet) else ()
    layers = [(name, layer) for name in names if isinstance(layer := model.get_submodule(name), MyConv2d)]
    if not layers:
        raise BadSetting(
            f"{type(model).__name__} is not supported; give a Cnn, a UNet or an nn.Sequential that starts with MyConv2d"
        )
    return [(name, layer, layers[0][1].weight.shape[1]) for name, layer in layers]
