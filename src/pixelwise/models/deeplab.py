"""torchvision's DeepLabV3 (Chen et al. 2017) and LR-ASPP (Howard et al. 2019), pretrained on COCO, as segmenters.

Each is cut in two before its last 1x1 convolution, so that a new last layer can be trained on features computed once.
The auxiliary head, which only served the original training, is never built: it would run in every forward pass.

In training mode with a batch of one, DeepLabV3's image pooling hands BatchNorm a single value per channel, which it
refuses; frozen parts are in evaluation mode, where this does not happen.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadSetting, UnknownName
from ..weights import is_own, load_exactly, official_weights, read_official, read_own, weights_file
from .segmenter import Features, Segmenter, last_layer

CLASSES = 21
MEAN = (0.485, 0.456, 0.406)  # of ImageNet's red, green and blue
DEVIATION = (0.229, 0.224, 0.225)


class TorchvisionSegmenter(Segmenter):
    """Base of torchvision's networks: `backbone`, `head` and `last`, and ImageNet's normalization."""

    preprocessing = f"red, green and blue in 0 to 1, minus {MEAN}, divided by {DEVIATION}"
    backbone: nn.Module
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def maps(self, seen: Float[Tensor, "n 3 h w"]) -> dict[str, Tensor]:
        """What the backbone makes of pictures in 0 to 1."""
        found: dict[str, Tensor] = self.backbone((seen - self.mean) / self.deviation)
        return found

    @staticmethod
    def renamed(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of torchvision's file by this network's names; those that have them already keep them."""
        raise NotImplementedError


class DeepLab(TorchvisionSegmenter):
    """DeepLabV3 without its weights.

    Args:
        name: a name in NETWORKS that begins with deeplabv3.
        k: classes of the last layer.
    """

    def __init__(self, name: str, k: int) -> None:
        super().__init__()
        from torchvision.models import get_model  # a second of imports, which other models need not wait for

        network = get_model(name, weights=None, weights_backbone=None, aux_loss=None, num_classes=CLASSES)
        *head, last = network.classifier.children()  # a slice of it would be built anew as a DeepLabHead, and raise
        self.backbone = network.backbone
        self.head = nn.Sequential(*head)
        self.channels = (last.in_channels,)
        self.last = last_layer(last.in_channels, k)

    def features(self, seen: Float[Tensor, "n 3 h w"]) -> Features:
        """256 maps of an eighth of the pictures' size (a sixteenth on MobileNetV3), for pictures in 0 to 1."""
        return (self.head(self.maps(seen)["out"]),)

    @staticmethod
    def renamed(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The file's classifier.4 is `last`, the rest of classifier is `head`; the auxiliary head is left out."""
        found = {}
        for name, tensor in official.items():
            room, _, rest = name.partition(".")
            if room == "classifier":
                found[f"last.{rest[2:]}" if rest.startswith("4.") else f"head.{rest}"] = tensor
            elif room != "aux_classifier":
                found[name] = tensor
        return found


class LrAspp(TorchvisionSegmenter):
    """LR-ASPP without its weights.

    Its two last convolutions, one for each of two maps, are one over both: `last` has the columns of the finer first.

    Args:
        name: lraspp_mobilenet_v3_large.
        k: classes of the last layer.
    """

    def __init__(self, name: str, k: int) -> None:
        super().__init__()
        from torchvision.models import get_model  # a second of imports, which other models need not wait for

        network = get_model(name, weights=None, weights_backbone=None, num_classes=CLASSES)
        head = network.classifier
        self.backbone = network.backbone
        self.head = nn.ModuleDict({"cbr": head.cbr, "scale": head.scale})
        self.channels = (head.low_classifier.in_channels, head.high_classifier.in_channels)
        self.last = last_layer(sum(self.channels), k)

    def features(self, seen: Float[Tensor, "n 3 h w"]) -> Features:
        """40 maps of an eighth and 128 of a sixteenth of the pictures' size, for pictures in 0 to 1."""
        maps = self.maps(seen)
        return (maps["low"], self.head["cbr"](maps["high"]) * self.head["scale"](maps["high"]))

    @staticmethod
    def renamed(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The file's classifier is `head`; its two last convolutions are `last`, weights side by side, biases added."""
        found = dict(official)
        for name in official:
            if name.startswith("classifier."):
                found[f"head.{name.removeprefix('classifier.')}"] = found.pop(name)
        for kind in ("weight", "bias"):
            low, high = (f"head.{side}_classifier.{kind}" for side in ("low", "high"))
            if low in found and high in found:
                pair = [found.pop(low), found.pop(high)]
                found[f"last.{kind}"] = torch.cat(pair, dim=1) if kind == "weight" else pair[0] + pair[1]
        return found


NETWORKS: dict[str, type[DeepLab] | type[LrAspp]] = {
    "deeplabv3_resnet101": DeepLab,
    "deeplabv3_resnet50": DeepLab,
    "deeplabv3_mobilenet_v3_large": DeepLab,
    "lraspp_mobilenet_v3_large": LrAspp,
}


def untrained_segmenter(name: str, k: int) -> TorchvisionSegmenter:
    """One of torchvision's networks without its weights, as it is needed to load a finished run.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in NETWORKS:
        raise UnknownName("pretrained network", name, NETWORKS)
    return NETWORKS[name](name, k)


def coco_segmenter(
    name: str, k: int, weights: Path | None = None, pretrained_last: bool = False
) -> TorchvisionSegmenter:
    """One of torchvision's networks with its pretrained weights and a new last layer.

    Args:
        name: a name in NETWORKS.
        k: classes of the last layer.
        weights: the official .pth file, or a .safetensors with the network's weights for 21 classes, in torchvision's
            names or in ours; None: the official file in the cache.
        pretrained_last: keep the last layer that was trained, for the 21 classes of Pascal VOC.

    Raises:
        UnknownName: there is no such network.
        BadWeights: the file is missing, damaged, or another network's.
        BadSetting: the trained last layer is asked for with another number of classes than 21.
    """
    if pretrained_last and k != CLASSES:
        raise BadSetting(f"{k} classes; the last layer of {name} was trained for {CLASSES}, leave it out for others")
    if name not in NETWORKS:
        raise UnknownName("pretrained network", name, NETWORKS)
    path = weights_file(name, weights)
    model = untrained_segmenter(name, CLASSES)
    tensors = read_own(path) if is_own(path) else read_official(path, official_weights(name).sha256)
    load_exactly(model, model.renamed(tensors), path)
    if not pretrained_last:
        model.last = last_layer(sum(model.channels), k)
    return model
