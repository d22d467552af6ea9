"""What a network does to a picture, recorded while it does it: which module or function made which tensor from which.

Nothing is known about any network here. A copy of it is run once; leaf modules are heard by hooks, functions that are
called outside of them by a mode of torch (torch.overrides). What leaves every value and the size as they are is not in
the record, nor are mirror images: a pass over the mirrored picture is the same steps again, and recorded once. Where
such a pass is added to the first one, the step says so.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import BadSetting
from ..models.conv import MyConv2d
from .diagram_words import SIGNS, said_of_function, said_of_module

# What hands on the same values, where the size stays: a crop, a pad, an enlargement by one, dropout that is off.
HANDING_ON = {
    "__getitem__",
    "pad",
    "interpolate",
    "upsample",
    "dropout",
    "dropout2d",
    "feature_dropout",
    "cat",
    "concat",
}
HANDING_ON |= {
    "__get__",
    "contiguous",
    "to",
    "float",
    "type",
    "type_as",
    "detach",
    "clone",
    "narrow",
    "flip",
    "alias",
    "cpu",
}
LEAVES = (MyConv2d, nn.MultiheadAttention, torch.jit.ScriptModule)  # shown as one step, whatever is inside
OUT_OF_SIGHT = {"numpy", "tolist", "__array__"}


@dataclass(frozen=True)
class Node:
    """One step: what made a tensor.

    Args:
        name: of the module; a function has the name of the module that called it, and its own.
        kind: class of the module, or name of the function.
        said: what it does, in words for a drawing.
        shape: of the tensor, without the number of pictures.
        inputs: places in the record of the steps whose tensors it was made from, in order and without repetition.
        scopes: the calls of modules, outermost first, within which it happened: (name of the module, number of call).
    """

    name: str
    kind: str
    said: str
    shape: tuple[int, ...]
    inputs: tuple[int, ...]
    scopes: tuple[tuple[str, int], ...] = ()


@dataclass
class Record:
    """The steps in their order, the first of them the picture itself, and those that made the answers."""

    nodes: list[Node] = field(default_factory=list)
    outputs: tuple[int, ...] = ()

    @property
    def edges(self) -> list[tuple[str, str]]:
        """The names of the two steps of each edge."""
        return [(self.nodes[i].name, node.name) for node in self.nodes for i in node.inputs]


def recorded(model: nn.Module, size: tuple[int, int] = (32, 32), channels: int = 1, training: bool = False) -> Record:
    """The steps of a network for pictures of some size; the network itself is not touched.

    Args:
        model: takes pictures of shape (n, channels, rows, columns), 0 to 1, and gives tensors.
        size: rows and columns.
        channels: of the pictures.
        training: as while training, with dropout; else as when asked for an answer.

    Raises:
        BadSetting: the network fails on such pictures, or its answer cannot be followed back to them.
    """
    said = f"{type(model).__name__} cannot be drawn"
    try:
        copied = copy.deepcopy(model).cpu().float()
    except Exception as error:
        raise BadSetting(f"{said}: it cannot be copied ({error}); draw it before anything is attached to it") from error
    copied.train(training)
    levels = torch.Generator().manual_seed(0)
    picture = (
        torch.randint(0, 256, (2 if training else 1, channels, *size), generator=levels) / 255
    )  # BatchNorm needs 2
    recorder = _Recorder(copied, picture)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), recorder.listening():
            answer = copied(picture)
    except BadSetting:
        raise
    except Exception as error:  # someone's own code raises what it likes
        shape = " x ".join(map(str, picture.shape))
        raise BadSetting(f"{said}: it fails on pictures of {shape} ({error}); give another size or channels") from error
    outputs = [recorder.made_by(tensor) for tensor in tensors_in(answer)]
    if not outputs or None in outputs:
        raise BadSetting(f"{said}: its answer cannot be followed back to the picture; its steps must be torch's own")
    return Record(recorder.nodes, tuple(dict.fromkeys(place for place in outputs if place is not None)))


class _Recorder(TorchFunctionMode):
    """Hears of every step of a network.

    Tensors are known by their ids, and kept, so that no id is used twice.
    """

    def __init__(self, model: nn.Module, picture: Tensor) -> None:
        super().__init__()
        self.model = model
        self.nodes = [Node("picture", "picture", "picture", tuple(picture.shape[1:]), ())]
        self._made: dict[int, tuple[Tensor, int, bool]] = {id(picture): (picture, 0, False)}
        self._same: dict[tuple[Any, ...], int] = {}
        self._scopes: list[tuple[str, int]] = []
        self._calls = 0
        self._inside = 0  # of how many leaf modules

    def made_by(self, tensor: Tensor) -> int | None:
        """The step that made a tensor, if it came from the picture."""
        known = self._made.get(id(tensor))
        return known[1] if known else None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear of what modules and functions do."""
        for name, module in self.model.named_modules():
            module.register_forward_pre_hook(self._entering(name, module), with_kwargs=True)
            module.register_forward_hook(self._leaving(name, module), with_kwargs=True)
        with self:
            yield

    def _entering(self, name: str, module: nn.Module) -> Callable[..., None]:
        def hook(*_: Any) -> None:  # noqa: ANN401 - whatever the module is given
            if not self._inside:
                self._calls += 1
                self._scopes.append((name, self._calls))
            self._inside += self._is_leaf(module) or self._inside > 0

        return hook

    def _leaving(self, name: str, module: nn.Module) -> Callable[..., None]:
        def hook(_: nn.Module, args: Any, kwargs: Any, made: Any) -> None:  # noqa: ANN401 - the same
            self._inside -= self._inside > 0
            if self._inside:
                return
            if self._is_leaf(module):
                given = tensors_in((args, kwargs))
                if not any(id(tensor) in self._made for tensor in given):
                    raise BadSetting(
                        f"the input of {name} cannot be followed back to the picture; use torch's functions"
                    )
                idle = isinstance(module, nn.Identity) or ("Dropout" in type(module).__name__ and not module.training)
                said = said_of_module(module, _shape(given), _shape(tensors_in(made)))
                self._add(name or type(module).__name__, type(module).__name__, said, given, tensors_in(made), idle)
            self._scopes.pop()

        return hook

    @staticmethod
    def _is_leaf(module: nn.Module) -> bool:
        return isinstance(module, LEAVES) or not any(True for _ in module.children())

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:  # noqa: ANN401 - any function of torch
        made = func(*args, **(kwargs or {}))
        if self._inside:
            return made
        kind, given = getattr(func, "__name__", str(func)), tensors_in((args, kwargs or {}))
        known = [tensor for tensor in given if id(tensor) in self._made]
        if not known:
            return made
        if kind in OUT_OF_SIGHT:
            raise BadSetting(f"what {kind}() takes out of torch cannot be followed; use torch's functions to the end")
        if kind in ("__setitem__", "__set__"):
            self._add(self._named(kind), kind, "write", known, [args[0]])
            return made
        new = [tensor for tensor in tensors_in(made) if tensor.is_floating_point() or tensor.ndim > 2]
        if new:
            unchanged = kind in HANDING_ON and len({self._made[id(t)][1] for t in known}) == 1
            unchanged = unchanged and all(tensor.shape == known[0].shape for tensor in new)
            said = said_of_function(kind, args, kwargs or {}, _shape(new))
            said += " constants" if said in SIGNS and len(given) == len(known) + 1 else ""
            self._add(self._named(kind), kind, said, known, new, unchanged, mirrors=kind == "flip")
        return made

    def _named(self, kind: str) -> str:
        scope = self._scopes[-1][0] if self._scopes else ""
        return f"{scope}.{kind}" if scope else kind

    def _add(
        self,
        name: str,
        kind: str,
        said: str,
        given: Sequence[Tensor],
        made: Sequence[Tensor],
        idle: bool = False,
        mirrors: bool = False,
    ) -> None:
        """One step, or the same as one that there is: alike in everything and made from the same."""
        known = [self._made[id(tensor)] for tensor in given if id(tensor) in self._made]
        mirrored = mirrors or any(flag for _, _, flag in known)
        if idle:
            for tensor in made:
                self._made[id(tensor)] = (tensor, known[0][1], mirrored)
            return
        inputs = tuple(dict.fromkeys(place for _, place, _ in known))
        joins = len(known) > 1 and len({flag for _, _, flag in known}) > 1 and len(inputs) < len(known)
        said += " its mirror image" if joins else ""
        key = (name, kind, said, _shape(made), inputs)
        if key not in self._same:
            self._same[key] = len(self.nodes)
            self.nodes.append(Node(name, kind, said, _shape(made), inputs, tuple(self._scopes)))
        for tensor in made:
            self._made[id(tensor)] = (tensor, self._same[key], mirrored and not joins)


def tensors_in(value: Any) -> list[Tensor]:  # noqa: ANN401 - whatever modules are given and give
    """The tensors in a value, however deep in tuples, lists and dictionaries, or in what behaves like one."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for inner in value.values() for tensor in tensors_in(inner)]
    if isinstance(value, tuple | list):
        return [tensor for inner in value for tensor in tensors_in(inner)]
    return []


def _shape(tensors: Sequence[Tensor]) -> tuple[int, ...]:
    return tuple(tensors[0].shape[1:]) if tensors else ()
