"""Models by name: a new one is one more file here and one more line in the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..config import ModelSettings
from ..errors import BadSetting, UnknownName
from .cnn import Cnn
from .colour_hypercolumn import HypercolumnColours
from .lookup import GreyTable, Lookup
from .preprocessed import Preprocessed, padded
from .residual_unet import ResidualUNet
from .unet import SKIPS, UNet

Builder = Callable[[ModelSettings, GreyTable | None], nn.Module]


@dataclass(frozen=True)
class Entry:
    """One model: how to build it, one line about it, and the settings it is used with unless others are given."""

    build: Builder
    summary: str
    widths: tuple[str, ...] = ("kernel", "num_filters", "num_colours")  # settings that its weights' shapes depend on
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)


def _lookup(s: ModelSettings, table: GreyTable | None) -> nn.Module:
    return Lookup(s.num_colours, table)


def _cnn(s: ModelSettings, _: GreyTable | None) -> nn.Module:
    return Cnn(s.kernel, s.num_filters, s.num_colours, s.num_in_channels)


def _unet(s: ModelSettings, _: GreyTable | None) -> nn.Module:
    return UNet(s.kernel, s.num_filters, s.num_colours, s.num_in_channels, s.skips)


def _residual_unet(s: ModelSettings, table: GreyTable | None) -> nn.Module:
    return ResidualUNet(s.kernel, s.num_filters, s.num_colours, table)


def _hypercolumn(s: ModelSettings, table: GreyTable | None) -> nn.Module:
    if s.space != "oklab":
        raise BadSetting(f"space is {s.space!r}; {s.name} answers with chroma at the picture's own light: oklab")
    return HypercolumnColours(s.num_colours, s.num_filters, table, s.heads)


ALL_WIDTHS = ("kernel", "num_filters", "num_colours", "num_in_channels")
MODELS = {
    "lookup": Entry(
        _lookup, "the table from grey level to colour: the baseline, no network", ("num_colours",), train={"epochs": 1}
    ),
    "cnn": Entry(_cnn, "the exercise's plain network, twice down and twice up", ALL_WIDTHS),
    "unet": Entry(_unet, "the same with skip connections", ALL_WIDTHS),
    "hypercolumn_efficientnet_lite0": Entry(
        _hypercolumn,
        "for photographs: a frozen ImageNet network looks, a small head says which chroma",
        ("num_filters", "num_colours"),
        data={"patch": 256, "scales": (256,), "cover": True},
        model={"num_filters": 128, "num_colours": 48, "space": "oklab"},
        train={
            "epochs": 5,
            "batch_size": 8,
            "learning_rate": 2e-3,
            "optimizer": "adamw",
            "weight_decay": 0.05,
            "averaging": 6.0,
            "flips": True,
        },
    ),
    "residual_unet": Entry(
        _residual_unet,
        "a full-resolution U-Net that starts as the lookup",
        model={"num_filters": 24},
        train={
            "epochs": 18,
            "batch_size": 50,
            "learning_rate": 4e-3,
            "optimizer": "adamw",
            "weight_decay": 0.01,
            "schedule": "one_cycle",
            "flips": True,
        },
    ),
}


def entry(name: str) -> Entry:
    """The model of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in MODELS:
        raise UnknownName("model", name, MODELS)
    return MODELS[name]


def build_model(settings: ModelSettings, table: GreyTable | None = None) -> nn.Module:
    """Build a model for grey pictures.

    Args:
        settings: its name and sizes.
        table: the grey-to-class counts that `lookup` and `residual_unet` start from; not needed when trained
            weights are loaded afterwards.

    Raises:
        UnknownName: no model of that name.
        BadSetting: a palette's networks see one channel; or the model cannot see a x + b, or has no skip connections.
    """
    if settings.num_in_channels != 1:
        raise BadSetting(f"num_in_channels is {settings.num_in_channels}; a palette shows the network 1 channel, grey")
    model = _treated(entry(settings.name).build(settings, table), settings)
    return model.to(memory_format=torch.channels_last)  # a quarter quicker on a CPU


def _treated(model: nn.Module, s: ModelSettings) -> nn.Module:
    """A model that is shown what the settings say, if that is not the grey picture itself."""
    if set(s.skips) != set(SKIPS) and s.name != "unet":
        raise BadSetting(f"skips is {', '.join(s.skips) or 'empty'}; {s.name} has none to leave out, unet has")
    if s.heads != 1 and not isinstance(model, HypercolumnColours):
        raise BadSetting(f"heads is {s.heads}; {s.name} has one, hypercolumn_efficientnet_lite0 can have several")
    if (s.input_scale, s.input_shift, s.input_padding) == (1.0, 0.0, 0.0):
        return model
    framed = padded(model, s.input_padding)  # whether it is one that can be shown something else, is found out here
    return Preprocessed(framed if s.input_padding else model, s.input_scale, s.input_shift)
