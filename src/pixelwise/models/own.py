"""Anyone's network as a segmenter: name its last layer, and the rest of it becomes the trunk.

The last layer is taken out of the network, and a stop that hands over its input is put in its place. That what comes
behind the last layer is nothing but bilinear enlargement is not believed but tried out, on a picture of noise.
"""

import contextlib
import copy
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadSetting
from .segmenter import Features, Segmenter, enlarged, last_layer

TOLERANCE = 1e-4  # of the largest logit; rounding is a hundred times smaller


class _Reached(Exception):
    """The run has come to the last layer."""

    def __init__(self, features: Tensor) -> None:
        self.features = features


class _Stop(nn.Module):
    """Stands where the last layer was."""

    def forward(self, features: Tensor) -> NoReturn:
        """Hand over the last layer's input and run no further."""
        raise _Reached(features)


class OwnSegmenter(Segmenter):
    """A network of one's own, cut in two before its last layer.

    Args:
        module: gives logits (n, k, h, w), or a dictionary that has them as "out", for pictures in 0 to 1; in the
            pictures' size or smaller. It is taken over: its last layer is moved out of it.
        last: the last layer's name in it, such as "classifier.4"; a 1x1 convolution.
        size: rows and columns of the picture that it is tried out on.

    Raises:
        BadSetting: there is no such layer, it is no 1x1 convolution, or the network is not trunk, last layer and
            bilinear enlargement.
    """

    preprocessing = "none: red, green and blue in 0 to 1"
    head_prefixes = ()  # what stands before the last layer has no name of its own

    def __init__(self, module: nn.Module, last: str, size: tuple[int, int] = (64, 64)) -> None:
        super().__init__()
        layer = _last_of(module, last)
        _try_out(module, last, layer, size)
        module.set_submodule(last, _Stop())
        self.module = module
        self.last = layer
        self.channels = (layer.in_channels,)

    def features(self, seen: Float[Tensor, "n 3 h w"]) -> Features:
        """The last layer's input, for pictures in 0 to 1."""
        return (_until_stop(self.module, seen),)

    def replace(self, k: int) -> None:
        """Put a new last layer for k classes in place of the old one."""
        self.last = last_layer(self.last.in_channels, k).to(self.last.weight.device)


def own_module(spec: str) -> nn.Module:
    """A network from someone's own Python code, which is run.

    Args:
        spec: "package.module:factory" or "folder/file.py:factory"; the factory is called without arguments. It may
            also be a network that is there already.

    Raises:
        BadSetting: there is no such module or name, its code fails, or what it makes is no torch.nn.Module.
    """
    return called(spec, own_factory(spec), {})


def own_factory(spec: str) -> Any:  # noqa: ANN401 - what someone else's module holds under that name
    """What someone's own Python code, which is run, has under a name: a function that makes a network, or a network.

    Args:
        spec: as for own_module.

    Raises:
        BadSetting: there is no such module or name, or its code fails.
    """
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise BadSetting(f"network {spec!r}; expected package.module:factory, such as my_networks:build")
    with _current_folder_on_path():
        code = _imported(place, spec)
        if not hasattr(code, name):
            public = [known for known in vars(code) if not known.startswith("_")]
            raise BadSetting(f"{place} has no {name!r}{_close(name, public)}; expected a function that makes a network")
        return getattr(code, name)


def called(spec: str, factory: Any, widths: Mapping[str, int]) -> nn.Module:  # noqa: ANN401 - see own_factory
    """The network that a factory makes, or that it is already.

    Args:
        spec: what to call it in errors.
        factory: from own_factory.
        widths: what it is called with.

    Raises:
        BadSetting: it fails, or makes no torch.nn.Module.
    """
    found = factory
    if not isinstance(factory, nn.Module) and callable(factory):
        with _current_folder_on_path():
            try:
                found = factory(**widths)
            except Exception as error:  # someone's own code raises what it likes
                given = ", ".join(f"{name}={value}" for name, value in widths.items())
                called_with = f"it is called with {given}" if given else "it is called without arguments"
                raise BadSetting(f"{spec}({given}) failed with {_said(error)}; {called_with}") from error
    if not isinstance(found, nn.Module):
        raise BadSetting(
            f"{spec} gives {type(found).__name__}; expected a torch.nn.Module, or a function that makes one"
        )
    return found


def _last_of(module: nn.Module, name: str) -> nn.Conv2d:
    """The last layer of that name, if it is one."""
    layers = dict(module.named_modules())
    fitting = [known for known, layer in layers.items() if known and isinstance(layer, nn.Conv2d) and _is_1x1(layer)]
    if name not in layers or not name:
        there = f"; its 1x1 convolutions are {', '.join(fitting[-5:])}" if fitting else ""
        raise BadSetting(f"the network has no layer {name!r}{_close(name, layers)}{there}")
    layer = layers[name]
    if not isinstance(layer, nn.Conv2d) or not _is_1x1(layer):
        raise BadSetting(f"the layer {name!r} is {layer}; expected a 1x1 torch.nn.Conv2d with stride 1 and one group")
    return layer


def _is_1x1(layer: nn.Conv2d) -> bool:
    shape = (layer.kernel_size, layer.stride, layer.padding)
    return layer.groups == 1 and shape in (
        ((1, 1), (1, 1), (0, 0)),
        ((1, 1), (1, 1), "same"),
        ((1, 1), (1, 1), "valid"),
    )


def _try_out(module: nn.Module, last: str, layer: nn.Conv2d, size: tuple[int, int]) -> None:
    """Refuse a network whose logits are not what trunk, last layer and bilinear enlargement give.

    The last layer has random weights meanwhile: one that starts at zero would agree with anything.
    """
    random = torch.Generator().manual_seed(0)
    probe = copy.deepcopy(layer)
    seen = torch.rand(1, 3, *size, generator=random).to(layer.weight)
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            for parameter in probe.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=random))
            module.set_submodule(last, probe)
            expected = _logits(module, seen)
            module.set_submodule(last, _Stop())
            logits = probe(_until_stop(module, seen))
    finally:
        module.set_submodule(last, layer)
        module.train(was_training)
    shape = tuple(expected.shape)
    if expected.ndim != 4 or shape[1] != layer.out_channels or shape[2] > size[0] or shape[3] > size[1]:
        raise BadSetting(
            f"the network gives {shape} for a picture of {size[0]} x {size[1]} pixels; expected logits "
            f"(1, {layer.out_channels}, rows, columns) in the picture's size or smaller"
        )
    difference = (enlarged(logits, expected.shape[2:]) - expected).abs().max().item()
    if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
        raise BadSetting(
            f"the network's answer differs by {difference:.2g} from its layer {last!r} enlarged; expected nothing "
            f"behind that layer but bilinear enlargement with align_corners=False, and no way around it"
        )


def _logits(module: nn.Module, seen: Tensor) -> Tensor:
    shape = " x ".join(map(str, seen.shape))
    try:
        found = module(seen)
    except Exception as error:  # someone's own code raises what it likes
        raise BadSetting(f"the network fails on a picture of {shape}: {_said(error)}; give another size") from error
    logits = found.get("out") if isinstance(found, dict) else found
    if not isinstance(logits, Tensor):
        raise BadSetting(
            f"the network gives {type(found).__name__}; expected logits, or a dictionary with logits as 'out'"
        )
    return logits


def _until_stop(module: nn.Module, seen: Tensor) -> Tensor:
    try:
        module(seen)
    except _Reached as reached:
        return reached.features
    raise BadSetting("the network gave its answer without its last layer; name a layer that every picture passes")


def _imported(place: str, spec: str) -> ModuleType:
    """A Python module by its dotted name, or by the path of its file."""
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        path = Path(place)
        file = importlib.util.spec_from_file_location(path.stem, path)
        if not path.is_file() or file is None or file.loader is None:
            raise BadSetting(f"there is no file {place}, in {spec!r}; give the path of a Python file")
        code = importlib.util.module_from_spec(file)
        file.loader.exec_module(code)
        return code
    except ModuleNotFoundError as error:
        raise BadSetting(f"{spec!r} cannot be imported: {error}; install it, or run where its file lies") from None
    except BadSetting:
        raise
    except Exception as error:  # someone's own code raises what it likes
        raise BadSetting(f"{place} failed with {_said(error)} while it was imported; mend it") from error


@contextlib.contextmanager
def _current_folder_on_path() -> Iterator[None]:
    """As `python -m` has it, so that a file where one works is found; a console script has only its own folder."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the code may have put the path in order itself
            sys.path.remove(here)


def _close(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, [*known], n=3)
    return f" (close: {', '.join(close)})" if close else ""


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
