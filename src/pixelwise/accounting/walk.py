"""One walk through a network's very modules, on the meta device: every call of torch is seen, none computes numbers.

torch makes the real shapes; the rules make the same shapes as formulas, and where the two differ, or a function has no
rule, it is named and goes on as a number. So every formula was compared with torch on its way. Sizes that the network
asks for (x.shape) come with their formulas, so that its own arithmetic goes on with them.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode

from ..errors import BadSetting
from .made import Made, NotFollowed, Role, Shape
from .rules import RULES
from .symbols import Anything, SymbolicInt, plain_of

ASKS_VALUES = (
    "item",
    "tolist",
    "numpy",
    "array",
    "bool",
    "int",
    "float",
    "index",
    "nonzero",
    "unique",
    "masked_select",
)
SIZES = ("shape", "size", "numel", "nelement", "len")


@dataclass(frozen=True)
class Kept:
    """A tensor that autograd keeps for backward; each storage once."""

    elements: int  # of the storage, with a formula where it has one
    bytes_each: int
    what: str  # "input", or "inside" where the function made it for itself


@dataclass
class Op:
    """One call of one of torch's functions."""

    layer: str  # the module it belongs to, and the function's name where that has parts of its own
    function: str
    role: Role
    made: Made
    inputs: tuple[Shape, ...] = ()
    parameters: tuple[str, ...] = ()  # names of those that it uses
    learns: bool = False  # some of these are trained
    products: int = 0  # in backward, as dear as forward: for its weights, and for what comes in
    kept: list[Kept] = field(default_factory=list)
    node: Any = None  # of autograd's graph

    @property
    def outputs(self) -> int:
        """How many values it makes."""
        return sum(shape.elements for shape in self.made.every)


class Walk(TorchFunctionMode):
    """Watches a network that runs on the meta device.

    Args:
        network: it.
        shapes: the shapes of its parameters and buffers, by name, with formulas where they have some.
    """

    def __init__(self, network: nn.Module, shapes: Mapping[str, Shape] | None = None) -> None:
        super().__init__()
        self.ops: list[Op] = []
        self.not_followed: dict[str, None] = {}
        self.calls: dict[str, int] = {}  # of every module
        self._inside: list[tuple[str, nn.Module]] = []
        self._network = network
        self._shapes: dict[int, Shape] = {}  # of tensors, by id
        self._storages: dict[int, int] = {}  # elements, by the storage's address
        self._alive: list[Any] = []  # so that no id and no address is used twice
        self._owners: dict[int, str] = {}  # parameters and buffers by their storage's address
        self._op: Op | None = None
        self._kept: set[int] = set()
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            self._owners.setdefault(_storage(tensor), name)
            self.tag(tensor, (shapes or {}).get(name, Shape(tensor.shape)))

    def tag(self, tensor: Tensor, shape: Shape) -> Tensor:
        """Tell the walk a tensor's shape with formulas."""
        self._shapes[id(tensor)] = shape
        elements = tensor.untyped_storage().nbytes() // tensor.element_size()
        size, address = shape.elements, _storage(tensor)
        if plain_of(size) == elements and not isinstance(self._storages.get(address), SymbolicInt):
            self._storages[address] = size
        self._storages.setdefault(address, elements)
        self._alive.append(tensor)
        return tensor

    def shape_of(self, tensor: Tensor) -> Shape:
        """A tensor's shape, with formulas where they are known."""
        return self._shapes.get(id(tensor)) or Shape(torch.Tensor.size(tensor))

    @contextmanager
    def watching(self) -> Iterator["Walk"]:
        """Follow what runs inside: the calls, and what autograd keeps of them."""
        handles = []
        for name, module in self._network.named_modules():
            handles.append(module.register_forward_pre_hook(self._enter(name)))
            handles.append(module.register_forward_hook(self._leave))
        try:
            with saved_tensors_hooks(self._keep, lambda tensor: tensor), torch.device("meta"), self:
                yield self
        finally:
            for handle in handles:
                handle.remove()

    def forget_unreached(self, loss: Tensor) -> None:
        """Count no product in backward of what the loss does not depend on, such as an auxiliary head."""
        reached: set[Any] = set()
        ahead = [loss.grad_fn]
        while ahead:
            node = ahead.pop()
            if node is not None and node not in reached:
                reached.add(node)
                ahead += [before for before, _ in node.next_functions]
        for op in self.ops:
            op.products *= op.node in reached

    @property
    def where(self) -> str:
        """The module that runs."""
        return self._inside[-1][0] if self._inside else ""

    def _enter(self, name: str) -> Callable[[nn.Module, Any], None]:
        def entered(module: nn.Module, _: Anything) -> None:
            self._inside.append((name, module))
            self.calls[name] = self.calls.get(name, 0) + 1

        return entered

    def _leave(self, *_: Anything) -> None:
        self._inside.pop()

    def __torch_function__(
        self, func: Anything, types: Anything, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Anything:
        """See one call: let torch make it, and tag what it made."""
        name, named = _name_of(func), dict(kwargs or {})
        if name in SIZES:
            return self._sizes(func, name, args, named)
        self._op = op = Op("", name, Role.VIEW, Made(Shape()))
        try:
            out = func(*args, **named)
        except (RuntimeError, TypeError, ValueError) as error:
            if name in ASKS_VALUES or (isinstance(error, NotImplementedError) and "meta" in str(error).lower()):
                raise BadSetting(
                    f"the network looks at the values of a tensor ({name}, in {self.where or 'its own forward'}); what "
                    "it costs then depends on the picture. Expected choices by sizes alone; take this one out"
                ) from error
            raise
        finally:
            self._op = None
        made = tensors_in(out)
        if made:
            self._record(op, args, named, made)
        return out

    def _sizes(self, func: Anything, name: str, args: Sequence[Any], named: Mapping[str, Any]) -> Anything:
        """A shape or a size with formulas; plain for libraries that only check shapes."""
        plain = func(*args, **named)
        if sys._getframe(2).f_globals.get("__name__", "").startswith("jaxtyping"):
            return plain
        shape = self.shape_of(args[0])
        if name in ("numel", "nelement"):
            return shape.elements
        if name == "len":
            return plain  # Python makes it a plain number in any case
        return torch.Size(shape) if isinstance(plain, torch.Size) else shape[args[1] if len(args) > 1 else named["dim"]]

    def _record(self, op: Op, args: Sequence[Any], named: Mapping[str, Any], made: Sequence[Tensor]) -> None:
        given = list(tensors_in((args, named)))
        op.parameters = tuple(dict.fromkeys(n for t in given if (n := self._owners.get(_storage(t)))))
        op.learns = any(t.requires_grad for t in given if _storage(t) in self._owners)
        op.products = sum(t.requires_grad and t.dim() > 1 for t in given)  # biases need none
        op.inputs = tuple(self.shape_of(t) for t in given if _storage(t) not in self._owners)
        op.layer = self._layer_of(op)
        op.made = self._made(op, args, named, made)
        op.role = op.made.role
        fresh = [id(tensor) not in self._shapes for tensor in made]
        for tensor, shape, is_fresh in zip(made, op.made.every, fresh, strict=True):
            if is_fresh:
                self.tag(tensor, shape)
        if not any(fresh) and op.role is Role.VIEW:
            return  # such as requires_grad_
        op.node = made[0].grad_fn
        op.kept = [self._with_formula(kept, op) for kept in op.kept]
        self.ops.append(op)

    def _made(self, op: Op, args: Sequence[Any], named: Mapping[str, Any], made: Sequence[Tensor]) -> Made:
        """What the function's rule says, if it says what torch did."""
        real = [Shape(torch.Tensor.size(tensor)) for tensor in made]
        try:
            if op.function not in RULES:
                raise NotFollowed("no rule for it")
            found = RULES[op.function](*self._in_shapes(tuple(args)), **self._in_shapes(dict(named)))
            said = [tuple(map(plain_of, shape)) for shape in found.every]
            if said != [tuple(shape) for shape in real]:
                raise NotFollowed(f"its rule makes {said} of it, torch {real}")
        except (NotFollowed, TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
            self.not_followed[f"{op.function} in {op.layer} ({error})"] = None
            return Made(real)
        return found

    def _in_shapes(self, given: Anything) -> Anything:
        """The same arguments with shapes in place of tensors."""
        if isinstance(given, Tensor):
            return self.shape_of(given)
        if isinstance(given, dict):
            return {key: self._in_shapes(value) for key, value in given.items()}
        if type(given) in (tuple, list):
            return type(given)(self._in_shapes(value) for value in given)
        return given

    def _layer_of(self, op: Op) -> str:
        """The module whose parameters it uses, or the innermost one that runs."""
        name, module = self._inside[-1] if self._inside else ("", self._network)
        own = {self._owners.get(_storage(p)) for p in module.parameters(recurse=False)}  # or shared with it
        if op.parameters and op.parameters[0] not in own:
            return op.parameters[0].rpartition(".")[0] or type(self._network).__name__
        leaf = bool(self._inside) and not any(True for _ in module.children())
        return (name or type(module).__name__) if leaf else f"{name}.{op.function}".lstrip(".")

    def _keep(self, tensor: Tensor) -> Tensor:
        """Autograd keeps a tensor; called while a function runs."""
        address = _storage(tensor)
        if address in self._owners or address in self._kept or self._op is None:
            return tensor
        known = address in self._storages
        if not known and self._op.function == "batch_norm" and not self._in_training():
            return tensor  # made on the meta device only; a CPU keeps nothing for a frozen BatchNorm but its input
        self._kept.add(address)
        self._alive.append(tensor)
        size = tensor.element_size()
        elements = self._storages.get(address, tensor.untyped_storage().nbytes() // size)
        self._op.kept.append(Kept(elements, size, "input" if known else "inside"))
        return tensor

    def _in_training(self) -> bool:
        return bool(self._inside) and self._inside[-1][1].training

    @staticmethod
    def _with_formula(kept: Kept, op: Op) -> Kept:
        """With the formula of the outputs, or of the rule's internals, if the number is theirs."""
        if kept.what == "input":
            return kept
        known: Iterable[int] = (*(shape.elements for shape in op.made.every), *op.made.internals)
        elements = next((n for n in known if plain_of(n) == kept.elements), kept.elements)
        return Kept(elements, kept.bytes_each, kept.what)


def _name_of(func: Anything) -> str:
    """A function's name: relu for relu_, getitem for __getitem__, T for the property T."""
    name = getattr(func, "__name__", str(func))
    if name == "__get__":
        name = func.__self__.__name__
    return str(name).strip("_")


def tensors_in(value: Anything) -> list[Tensor]:
    """All tensors in nested lists, tuples and dictionaries, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [t for item in value for t in tensors_in(item)] if isinstance(value, list | tuple) else []


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
