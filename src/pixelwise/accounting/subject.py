"""What an account is of: a network by its name, or anyone's own, and how to build it with widths that carry formulas.

The builder is the one that training uses. Its widths are integers with formulas (symbols.py), torch.empty and its like
are watched while it builds on the meta device, and so every parameter has a shape in NF, NC, k, NIC or K.
"""

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..config import ModelSettings
from ..errors import BadSetting, UnknownName
from ..models.build import MODELS
from ..models.own import called, own_factory
from ..models.pretrained import PRETRAINED
from .made import Shape
from .rearranging import made_of
from .symbols import Anything, plain_of, unasked

Widths = Mapping[str, int]  # by symbol: k, NIC, NF, NC, K; with formulas or without
SETTINGS = {"kernel": "k", "num_filters": "NF", "num_colours": "NC", "num_in_channels": "NIC"}
# What the parameters of someone's own factory may be called, so that its widths become symbols.
OWN_SETTINGS = {
    **SETTINGS,
    **{name: name for name in ("k", "NF", "NC", "NIC", "K")},
    **{"filters": "NF", "colours": "NC", "num_colors": "NC", "in_channels": "NIC"},
    **{"classes": "K", "num_classes": "K", "n_classes": "K"},
}


@dataclass(frozen=True)
class Built:
    """A network on the meta device, and its parameters' and buffers' shapes by name, with formulas."""

    network: nn.Module
    shapes: Mapping[str, Shape]


@dataclass(frozen=True)
class Subject:
    """A network to be built with any widths.

    Args:
        name: what to call it.
        widths: the symbols that it has, with their values.
        channels: that it is shown; the symbol's name, or a number.
        size: rows and columns of pictures that it is usually shown.
        make: builds it.
    """

    name: str
    widths: Widths
    channels: str | int
    size: tuple[int, int]
    make: Callable[[Widths], nn.Module]

    def make_real(self, widths: Widths) -> nn.Module:
        """The network with real, random weights."""
        return self.make(widths)

    def build(self, widths: Widths, as_it_is: bool = False) -> Built:
        """The network on the meta device, in evaluation mode unless it is wanted as it is."""
        watch = _Building()
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", ".*no-op.*"
            )  # weights that a factory loads into a network without numbers
            try:
                with torch.device("meta"), watch:
                    network = self.make(widths)
            except BadSetting:  # someone's own factory may need numbers
                with watch:
                    network = self.make(widths)
        try:
            copied = on_meta(network)
        except (TypeError, ValueError, RuntimeError) as error:
            said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            raise BadSetting(
                f"{self.name} cannot be copied without its numbers ({said}); give a network that copy.deepcopy can copy"
            ) from error
        shapes = {name: watch.shape_of(t) for name, t in [*network.named_parameters(), *network.named_buffers()]}
        return Built(copied if as_it_is else copied.eval(), shapes)


class _Building(TorchFunctionMode):
    """Remembers the shapes, with formulas, of all new tensors, by their storage."""

    def __init__(self) -> None:
        super().__init__()
        self._shapes: dict[int, Shape] = {}
        self._alive: list[Tensor] = []  # so that no storage's address is used twice

    def __torch_function__(
        self, func: Anything, types: Anything, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Anything:
        """Let torch make the tensor, and note what it was asked for."""
        out = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in ("empty", "zeros", "ones", "full", "rand", "randn"):
            shape = made_of(*args, **(kwargs or {})).shapes
            if isinstance(shape, Shape) and tuple(map(plain_of, shape)) == tuple(out.shape):
                self._shapes[out.untyped_storage()._cdata] = shape
                self._alive.append(out)
        return out

    def shape_of(self, tensor: Tensor) -> Shape:
        """A parameter's shape, with formulas if it is one of those tensors."""
        found = self._shapes.get(tensor.untyped_storage()._cdata, Shape())
        return found if tuple(map(plain_of, found)) == tuple(tensor.shape) else Shape(tensor.shape)


def on_meta(network: nn.Module) -> nn.Module:
    """A copy that has shapes and no numbers; parameters that were shared are shared, frozen ones are frozen."""
    copies: dict[int, Any] = {}
    held = [value for module in network.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    for tensor in [*network.parameters(), *network.buffers(), *held]:
        bare = torch.empty_like(tensor, device="meta", requires_grad=False)
        copies[id(tensor)] = nn.Parameter(bare, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else bare
    return copy.deepcopy(network, copies)


def subject_of(model: str | nn.Module, given: Widths) -> Subject:
    """What an account is of.

    Args:
        model: a name, "module:factory" of someone's own code, or a network that is there already.
        given: widths other than the usual ones, by symbol.

    Raises:
        UnknownName: there is no network of that name.
        BadSetting: a width was given that the network does not have, or it cannot be built.
    """
    if isinstance(model, nn.Module):
        subject = Subject(type(model).__name__, {}, given.get("NIC", 3), (224, 224), lambda _: model)
    elif ":" in model:
        subject = _own(model, given)
    elif model in PRETRAINED:
        untrained = PRETRAINED[model].untrained
        subject = Subject(model, {"K": 2}, 3, (224, 224), lambda widths: untrained(widths["K"]))
    elif model in MODELS:
        subject = _colour(model, given)
    else:
        raise UnknownName("model", model, [*MODELS, *PRETRAINED])
    any_channels = isinstance(model, nn.Module) or ":" in model
    foreign = [name for name in given if name not in subject.widths and not (name == "NIC" and any_channels)]
    if foreign:
        has = ", ".join(subject.widths) or "none"
        raise BadSetting(f"{subject.name} has no {' and no '.join(foreign)}; the widths that can be given are: {has}")
    return Subject(subject.name, {**subject.widths, **given}, subject.channels, subject.size, subject.make)


def _colour(name: str, given: Widths) -> Subject:
    entry = MODELS[name]
    usual = ModelSettings(**{"name": name, **entry.model})
    widths = {symbol: getattr(usual, setting) for setting, symbol in SETTINGS.items() if setting in entry.widths}

    def make(now: Widths) -> nn.Module:
        sizes: dict[str, Any] = {setting: now[symbol] for setting, symbol in SETTINGS.items() if symbol in now}
        with unasked(now.values()):  # whether settings are in range says nothing of the network
            settings = ModelSettings(name=name, **sizes)
        return entry.build(settings, None)

    return Subject(name, widths, "NIC" if "NIC" in widths else 1, (32, 32), make)


def _own(spec: str, given: Widths) -> Subject:
    """A network of someone's own; those parameters of its factory that have a known name are symbols."""
    factory = own_factory(spec)
    parameters = {} if isinstance(factory, nn.Module) else dict(inspect.signature(factory).parameters)
    settings = {name: OWN_SETTINGS[name] for name in parameters if name in OWN_SETTINGS}
    widths = {}
    for name, symbol in settings.items():
        usual = parameters[name].default
        if symbol in given or isinstance(usual, int):
            widths[symbol] = given.get(symbol, usual)
    channels: str | int = "NIC" if "NIC" in widths else given.get("NIC", 3)

    def make(now: Widths) -> nn.Module:
        return called(spec, factory, {name: now[symbol] for name, symbol in settings.items() if symbol in now})

    return Subject(spec, widths, channels, (224, 224), make)
