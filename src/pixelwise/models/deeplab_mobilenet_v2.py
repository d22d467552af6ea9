"""DeepLabV3 on MobileNetV2 of half width, as published for phones: 2.8 MB, trained on COCO and VOC 2012, 21 classes.

A redrawing in PyTorch of deeplabv3_257_mv_gpu.tflite (Chen et al. 2017 and 2018; Sandler et al. 2018) that gives its
logits within rounding and takes pictures of any size. Output stride 8: where MobileNetV2 would halve the map a fourth
and a fifth time, its convolutions look 2 and 4 pixels apart instead. BatchNorm was folded into the published weights,
so that there is none.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadSetting, BadWeights
from ..weights import is_own, load_exactly, official_weights, read_own, verified, weights_file
from .segmenter import Features, Segmenter, last_layer

NAME = "deeplabv3_mobilenet_v2"
CLASSES = 21

# Of each block: filters, stride, and how many pixels apart its depthwise convolution looks.
BLOCKS = (
    *((8, 1, 1), (12, 2, 1), (12, 1, 1), (16, 2, 1), (16, 1, 1), (16, 1, 1), (32, 1, 1)),
    *((32, 1, 2), (32, 1, 2), (32, 1, 2), (48, 1, 2), (48, 1, 2), (48, 1, 2), (80, 1, 2)),
    *((80, 1, 4), (80, 1, 4), (160, 1, 4)),
)
STEM = 16  # filters of the first convolution
WIDER = 6  # a block works on this many times its input's channels
HEAD = 256


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: as many outputs as strides begin in the input.

    With stride 2 an even size gets its one zero behind, where PyTorch's own padding would put it in front.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n _ _ _"]:
        """Convolve; the result has ceil(h / stride) rows and ceil(w / stride) columns."""
        top, bottom = self._zeros(x.shape[2])
        left, right = self._zeros(x.shape[3])
        if (top, left) == (bottom, right):
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)
        x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _zeros(self, size: int) -> tuple[int, int]:
        stride, reach = self.stride[0], self.dilation[0] * (self.kernel_size[0] - 1)
        starts = -(-size // stride)
        zeros = max((starts - 1) * stride + reach + 1 - size, 0)
        return zeros // 2, zeros - zeros // 2


class Block(nn.Module):
    """MobileNetV2's inverted residual: widen by 1x1, filter channels by 3x3, narrow by 1x1; add the input if it fits.

    Args:
        channels: that come in.
        filters: that go out.
        stride: of the 3x3 convolution.
        apart: how many pixels apart its weights look.
        wider: by which factor to widen; 1 leaves the first step out.
    """

    def __init__(self, channels: int, filters: int, stride: int, apart: int, wider: int) -> None:
        super().__init__()
        wide = wider * channels
        self.expand = SameConv2d(channels, wide, 1) if wider > 1 else None
        self.depthwise = SameConv2d(wide, wide, 3, stride, dilation=apart, groups=wide)
        self.project = SameConv2d(wide, filters, 1)
        self.adds = stride == 1 and channels == filters

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n _ _ _"]:
        """The block's map, of 1 / stride of the size."""
        wide = x if self.expand is None else F.relu6(self.expand(x))
        narrow: Tensor = self.project(F.relu6(self.depthwise(wide)))
        return x + narrow if self.adds else narrow


class DeepLabMobileNetV2(Segmenter):
    """The network without its weights.

    Args:
        k: classes of the last layer.
    """

    preprocessing = "red, green and blue in -1 to 1"
    align_corners = True

    def __init__(self, k: int) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({"Conv": SameConv2d(3, STEM, 3, 2)})
        channels = STEM
        for number, (filters, stride, apart) in enumerate(BLOCKS):
            name = f"expanded_conv_{number}" if number else "expanded_conv"
            self.backbone[name] = Block(channels, filters, stride, apart, WIDER if number else 1)
            channels = filters
        self.head = nn.ModuleDict(
            {
                "image_pooling": nn.Conv2d(channels, HEAD, 1),
                "aspp0": nn.Conv2d(channels, HEAD, 1),
                "concat_projection": nn.Conv2d(2 * HEAD, HEAD, 1),
            }
        )
        self.channels = (HEAD,)
        self.last = last_layer(HEAD, k)

    def features(self, seen: Float[Tensor, "n 3 h w"]) -> Features:
        """256 maps of an eighth of the pictures' size, for pictures in 0 to 1."""
        first, *blocks = self.backbone.values()
        x = F.relu6(first(2 * seen - 1))
        for block in blocks:
            x = block(x)
        mean = F.relu(self.head["image_pooling"](x.mean((2, 3), keepdim=True)))
        both = torch.cat([mean.expand(-1, -1, *x.shape[2:]), F.relu(self.head["aspp0"](x))], dim=1)
        return (F.relu(self.head["concat_projection"](both)),)


def mobilenet_v2_segmenter(k: int, weights: Path | None = None, pretrained_last: bool = False) -> DeepLabMobileNetV2:
    """The pretrained network, with a new last layer.

    Args:
        k: classes of the last layer.
        weights: the official .tflite file, or a .safetensors with this network's weights for 21 classes; None: the
            official file in the cache.
        pretrained_last: keep the last layer that was trained, for the 21 classes of Pascal VOC.

    Raises:
        BadWeights: the file is missing, damaged, or another network's.
        BadSetting: the trained last layer is asked for with another number of classes than 21.
    """
    if pretrained_last and k != CLASSES:
        raise BadSetting(f"{k} classes; the last layer of {NAME} was trained for {CLASSES}, leave it out for others")
    path = weights_file(NAME, weights)
    model = DeepLabMobileNetV2(CLASSES)
    tensors = read_own(path) if is_own(path) else read_tflite(verified(path, official_weights(NAME).sha256))
    load_exactly(model, tensors, path)
    if not pretrained_last:
        model.last = last_layer(HEAD, k)
    return model


def read_tflite(content: bytes) -> dict[str, Tensor]:
    """The weights and biases in a TFLite flatbuffer, by this network's names and in PyTorch's order of axes.

    Raises:
        BadWeights: it is not a TFLite file.
    """
    import tflite  # 190 small modules, which only this function needs

    if not tflite.Model.ModelBufferHasIdentifier(content, 0):
        raise BadWeights("not a TFLite file; expected a flatbuffer with the identifier TFL3")
    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    found = {}
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength() == 0 or tensor.Type() != tflite.TensorType.FLOAT32:
            continue  # a map that is computed, or a size
        name = tensor.Name().decode()
        values = buffer.DataAsNumpy().view(np.dtype("<f4")).reshape(tensor.ShapeAsNumpy())
        if name.endswith("depthwise_weights"):
            values = values.transpose(3, 0, 1, 2)  # 1, rows, columns, channels
        elif values.ndim == 4:
            values = values.transpose(0, 3, 1, 2)  # filters, rows, columns, channels
        found[_name_of(name)] = torch.from_numpy(
            np.array(values, np.float32, order="C")
        )  # a copy, since the file's bytes are read only
    return found


def _name_of(name: str) -> str:
    """`MobilenetV2/expanded_conv_3/expand/weights` is `backbone.expanded_conv_3.expand.weight` here."""
    layer, _, kind = name.rpartition("/")
    layer = "last" if layer == "logits/semantic" else layer.replace("MobilenetV2/", "backbone/")
    if not layer.startswith(("backbone/", "last")):
        layer = f"head/{layer}"
    return f"{layer.replace('/', '.')}.{'weight' if kind.endswith('weights') else 'bias'}"
