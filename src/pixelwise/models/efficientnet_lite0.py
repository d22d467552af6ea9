"""EfficientNet-Lite0: the ImageNet network whose features both halves of the house look through.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019, in the Lite variant of
TensorFlow's repository: no squeeze-and-excitation, ReLU6. Blocks are the inverted residuals of MobileNetV2 (Sandler et
al. 2018): widen by 1x1, look by one filter for each channel, narrow by 1x1.

Layers are named as timm names those of its tf_efficientnet_lite0, with which tests/test_pretrained.py compares it; here
it is built of torch alone, because importing timm takes as long as colouring a photograph does.
"""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

EPSILON = 1e-3  # of BatchNorm, TensorFlow's
STEM, TOP, CLASSES = 32, 1280, 1000  # channels
STAGES = (  # (blocks, side of the filters, stride of the first block, how many times wider inside, channels)
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SamePadded(nn.Conv2d):
    """A convolution with a stride whose output has ceil(size / stride) pixels, padded as TensorFlow pads.

    What is missing is added half before and half behind, and the odd pixel behind.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d hh ww"]:
        """Pad, then convolve."""
        rows, columns = (self._missing(x.shape[2 + axis], axis) for axis in (0, 1))
        x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _missing(self, length: Any, axis: int) -> Any:  # noqa: ANN401 - a number, or one that is traced
        steps = (length - 1) // self.stride[axis]
        return max(0, steps * self.stride[axis] + self.kernel_size[axis] - length)


class Block(nn.Module):
    """An inverted residual, or without widening a depthwise separable convolution.

    Args:
        channels: that enter.
        filters: channels that leave; where as many enter and the stride is 1, what entered is added.
        kernel: side of the filters.
        stride: of them.
        wider: how many times as many channels there are inside.
    """

    def __init__(self, channels: int, filters: int, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        inside = channels * wider
        self.adds = stride == 1 and channels == filters
        if wider > 1:
            self.conv_pw = nn.Conv2d(channels, inside, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(inside, EPSILON)
            self.act1 = nn.ReLU6(inplace=True)
        self.conv_dw = looking(inside, inside, kernel, stride, groups=inside)
        looked, narrowed = ("bn2", "bn3") if wider > 1 else ("bn1", "bn2")
        self.add_module(looked, nn.BatchNorm2d(inside, EPSILON))
        self.act = nn.ReLU6(inplace=True)
        self.add_module("conv_pwl" if wider > 1 else "conv_pw", nn.Conv2d(inside, filters, 1, bias=False))
        self.add_module(narrowed, nn.BatchNorm2d(filters, EPSILON))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d hh ww"]:
        """Layers in the order in which they were added."""
        y = x
        for layer in self.children():
            y = layer(y)
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """Pictures to logits of ImageNet's 1,000 classes, without weights.

    Args:
        stages: how many of the seven stages there are; with fewer there is nothing behind them either.
    """

    def __init__(self, stages: int = len(STAGES)) -> None:
        super().__init__()
        self.conv_stem = looking(3, STEM, 3, 2)
        self.bn1 = nn.BatchNorm2d(STEM, EPSILON)
        self.act1 = nn.ReLU6(inplace=True)
        made, channels = [], STEM
        for count, kernel, stride, wider, filters in STAGES[:stages]:
            first = Block(channels, filters, kernel, stride, wider)
            made.append(nn.Sequential(first, *(Block(filters, filters, kernel, 1, wider) for _ in range(count - 1))))
            channels = filters
        self.blocks = nn.Sequential(*made)
        if stages == len(STAGES):
            self.conv_head = nn.Conv2d(channels, TOP, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(TOP, EPSILON)
            self.act2 = nn.ReLU6(inplace=True)
            self.classifier = nn.Linear(TOP, CLASSES)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1000"]:
        """Logits for pictures as (red, green and blue in 0 to 255, minus 127) / 128."""
        x = self.act2(self.bn2(self.conv_head(self.maps(x)[-1])))
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits

    def maps(self, x: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """What each stage makes of such pictures."""
        x, made = self.act1(self.bn1(self.conv_stem(x))), []
        for stage in self.blocks:
            x = stage(x)
            made.append(x)
        return made


def looking(channels: int, filters: int, kernel: int, stride: int, groups: int = 1) -> nn.Conv2d:
    """A convolution over a neighbourhood, padded so that its output has ceil(size / stride) pixels."""
    if stride == 1:
        return nn.Conv2d(channels, filters, kernel, padding=kernel // 2, groups=groups, bias=False)
    return SamePadded(channels, filters, kernel, stride, groups=groups, bias=False)
