"""The calls of one walk, put together layer by layer and counted under a convention."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import nn

from .conventions import Conventions
from .made import Role, Shape
from .symbols import plain_of
from .walk import Op

UNITS = (Role.CONVOLUTION, Role.POOLING, Role.UPSAMPLING, Role.TABLE)


@dataclass
class Layer:
    """One module of the network, or one function called outside of a module of its own."""

    name: str
    kind: str  # the module's class, or the function
    role: Role = Role.VIEW
    made: Shape = field(default_factory=Shape)  # what it made when it was last called
    weights: int = 0
    statistics: int = 0  # running mean and variance
    calls: int = 0
    units: int = 0
    values: int = 0
    final: int = 0
    connections: int = 0
    looked_at: int = 0
    ops: list[Op] = field(default_factory=list)

    def counted(self, what: str, convention: Conventions) -> int:
        """Weights, outputs or connections under a convention."""
        if what == "weights":
            if self.role is not Role.NORMALIZATION:
                return self.weights
            extra = self.statistics if convention.normalization == "statistics" else 0
            return 0 if convention.normalization == "none" else self.weights + extra
        if what == "outputs":
            return {"units": self.units, "every": self.values, "final": self.final}[convention.outputs]
        return self.connections + (self.looked_at if convention.connections == "pooling" else 0)


def layers_of(
    network: nn.Module, shapes: Mapping[str, Shape], ops: Iterable[Op], calls: Mapping[str, int]
) -> list[Layer]:
    """Rows in the order in which the network came to them; last those that have weights and were not called.

    Args:
        network: on the meta device.
        shapes: of its parameters and buffers, by name, with formulas.
        ops: the calls of functions.
        calls: how often each module was called, by name.
    """
    root = type(network).__name__
    modules = {name or root: module for name, module in network.named_modules()}
    rows: dict[str, Layer] = {}
    numbers: dict[tuple[str, str], int] = {}  # functions called in several places are told apart by what they make
    for op in ops:
        name, kind = op.layer, op.function
        if name in modules:
            kind = type(modules[name]).__name__
        elif op.role is Role.VIEW:
            continue
        else:
            made = str([plain_of(size) for size in op.made.first])
            places = {place: n for (layer, place), n in numbers.items() if layer == name}
            number = numbers.setdefault((name, made), places.get(made, len(places) + 1))
            name = name if number == 1 else f"{name} ({number})"
        _add(rows.setdefault(name, Layer(name, kind)), op)
    for name, row in rows.items():
        used = sum(op.role is row.role for op in row.ops)  # without being called, as modules that lend their weights
        row.calls = calls.get("" if name == root else name, used)
    for name, _ in network.named_parameters():
        owner = name.rpartition(".")[0] or root
        row = rows.setdefault(owner, Layer(owner, type(modules[owner]).__name__))
        row.weights += shapes[name].elements
    for name, _ in network.named_buffers():
        owner = name.rpartition(".")[0] or root
        if owner in rows and name.endswith(("running_mean", "running_var")):
            rows[owner].statistics += shapes[name].elements
    return list(rows.values())


def _add(row: Layer, op: Op) -> None:
    row.ops.append(op)
    if op.role is not Role.VIEW:
        row.values += op.outputs
    if op.role in UNITS:
        row.units += op.outputs
    if row.role not in UNITS and op.role is not Role.VIEW:  # a convolution's own padding and bias are part of it
        row.role = op.role
    row.made = op.made.first
    row.connections += op.made.connections
    row.looked_at += op.made.looked_at


def shared_parameters(network: nn.Module) -> list[tuple[str, str]]:
    """Parameters that two modules have in common: the second name, and the first, under which it is counted."""
    first = {id(tensor): name for name, tensor in network.named_parameters()}
    every = network.named_parameters(remove_duplicate=False)
    return [(name, first[id(tensor)]) for name, tensor in every if first[id(tensor)] != name]
