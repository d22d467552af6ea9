"""Pretrained networks by name: a new one is one more file here and one more line in the table."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..config import SegmenterSettings
from ..errors import BadSetting, UnknownName
from .colour_alone import ColourAlone
from .deeplab import coco_segmenter, untrained_segmenter
from .deeplab_mobilenet_v2 import DeepLabMobileNetV2, mobilenet_v2_segmenter
from .hypercolumn import Hypercolumn, hypercolumn_segmenter
from .own import OwnSegmenter, own_module
from .segmenter import Segmenter


@dataclass(frozen=True)
class Pretrained:
    """One network: with its pretrained weights and a new last layer of k classes, without any weights, one line."""

    build: Callable[[int, Path | None], Segmenter]
    untrained: Callable[[int], Segmenter]
    summary: str


def _torchvision(name: str, summary: str) -> Pretrained:
    return Pretrained(partial(coco_segmenter, name), partial(untrained_segmenter, name), summary)


PRETRAINED = {
    "hypercolumn_efficientnet_lite0": Pretrained(
        hypercolumn_segmenter,
        Hypercolumn,
        "five stages of an ImageNet network, stacked; nothing to fetch",
    ),
    "colour_alone": Pretrained(
        lambda k, _: ColourAlone(k), ColourAlone, "no network: a pixel's colour is all its features; the baseline"
    ),
    "deeplabv3_mobilenet_v2": Pretrained(
        mobilenet_v2_segmenter, DeepLabMobileNetV2, "DeepLabV3 for phones, 2.8 MB, trained on COCO and VOC"
    ),
    "deeplabv3_mobilenet_v3_large": _torchvision("deeplabv3_mobilenet_v3_large", "torchvision's, 44 MB, COCO"),
    "deeplabv3_resnet50": _torchvision("deeplabv3_resnet50", "torchvision's, 168 MB, COCO"),
    "deeplabv3_resnet101": _torchvision("deeplabv3_resnet101", "torchvision's, 244 MB, COCO; the exercise's"),
    "lraspp_mobilenet_v3_large": _torchvision("lraspp_mobilenet_v3_large", "torchvision's lightest, 13 MB, COCO"),
}


def pretrained_segmenter(settings: SegmenterSettings, k: int) -> Segmenter:
    """A network with pretrained weights and a new last layer.

    Raises:
        UnknownName: no network of that name.
        BadWeights: its weights are missing, damaged, or another network's.
        BadSetting: a network of one's own does not fit.
    """
    if ":" in settings.name:
        return _own(settings, k)
    if settings.last is not None:
        raise BadSetting(f"last {settings.last!r} given; only a network of your own needs it, not {settings.name}")
    return _known(settings.name).build(k, Path(settings.weights) if settings.weights else None)


def untrained_network(settings: SegmenterSettings, k: int) -> Segmenter:
    """The same network, for weights that are loaded afterwards."""
    return _own(settings, k) if ":" in settings.name else _known(settings.name).untrained(k)


def _known(name: str) -> Pretrained:
    if name not in PRETRAINED:
        raise UnknownName("pretrained network", name, PRETRAINED)
    return PRETRAINED[name]


def _own(settings: SegmenterSettings, k: int) -> Segmenter:
    if settings.last is None:
        raise BadSetting(f"network {settings.name} of your own: name its last layer, such as --last classifier.4")
    if settings.weights is not None:
        raise BadSetting(f"weights {settings.weights} given; a network of your own loads its weights in its factory")
    model = OwnSegmenter(own_module(settings.name), settings.last)
    model.replace(k)
    return model
