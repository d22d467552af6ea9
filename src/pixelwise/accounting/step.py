"""One training step, watched on the meta device: how far backward goes, what it keeps, what it computes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import BadSetting
from ..freeze import MODES, freeze, prefixes_of
from ..models.segmenter import Segmenter
from .made import Shape
from .run import run_forward
from .subject import Subject
from .symbols import Facts, plain_of
from .walk import Op, Walk

Precision = Literal["float64", "float32", "bfloat16", "float16"]
TERMS = ("kept", "forward", "backward")


@dataclass(frozen=True)
class Asked:
    """Which step."""

    subject: Subject
    trains: str | Sequence[str] | None
    batch: int
    size: tuple[int, int]
    precision: Precision
    formulas: bool = True  # False: values alone, which is quicker


@dataclass(frozen=True)
class Step:
    """One step that was watched."""

    network: nn.Module
    trains: tuple[str, ...]
    ops: Sequence[Op]
    facts: Facts
    notes: Sequence[str]
    seen: tuple[int, ...]
    truth: tuple[int, ...]

    @property
    def order(self) -> list[str]:
        """The layers with parameters in the order in which the step comes to them."""
        return list(dict.fromkeys(op.layer for op in self.ops if op.parameters))

    @property
    def trained(self) -> list[str]:
        """Those of them that have trained ones."""
        with_gradient = {name.rpartition(".")[0] for name, p in self.network.named_parameters() if p.requires_grad}
        return [layer for layer in self.order if layer in with_gradient]

    @property
    def starts_at(self) -> str:
        """The first trained layer."""
        return self.trained[0]

    @property
    def leaking(self) -> list[str]:
        """Trained layers with frozen ones behind them."""
        without = {name.rpartition(".")[0] for name, p in self.network.named_parameters() if not p.requires_grad}
        behind = max((self.order.index(layer) for layer in self.order if layer in without), default=-1)
        return [layer for layer in self.trained if self.order.index(layer) < behind]

    def by_layer(self, term: str) -> dict[str, int]:
        """A term's part of each layer."""
        found: dict[str, int] = {}
        for op in self.ops:
            found[op.layer] = found.get(op.layer, 0) + part_of(op, term)
        return found


def watched(asked: Asked, times: int = 1, trains: Sequence[str] | None = None) -> Step:
    """Watch one forward pass and its loss, frozen as asked."""
    facts = Facts()
    integer = facts.integer if asked.formulas else lambda _, value: value
    widths = {name: integer(name, value) for name, value in asked.subject.widths.items()}
    sides = [times * integer(name, value) for name, value in zip("HW", asked.size, strict=True)]
    built = asked.subject.build(widths, as_it_is=asked.trains is None)
    network = built.network.to(getattr(torch, asked.precision))
    chosen = tuple(trains) if trains is not None else _prefixes(network, asked)
    if chosen is not None:
        freeze(network, chosen)
    channels = widths.get(str(asked.subject.channels), asked.subject.channels)
    seen = Shape([integer("B", asked.batch), channels, *sides])
    walk = Walk(network, built.shapes)
    with walk.watching():
        answer = run_forward(network, walk, seen, getattr(torch, asked.precision))[0]
        shape = walk.shape_of(answer)
        truth = Shape([shape[0], *shape[2:]])
        labels = walk.tag(torch.empty(tuple(map(plain_of, truth)), dtype=torch.int64, device="meta"), truth)
        loss = F.cross_entropy(answer, labels)
    facts.listening = False
    walk.forget_unreached(loss)
    names = tuple(name for name, p in network.named_parameters() if p.requires_grad) if chosen is None else chosen
    plain = tuple(map(plain_of, seen)), tuple(map(plain_of, truth))
    notes = [f"could not be followed, and stands as a number: {what}" for what in walk.not_followed]
    return Step(network, names, walk.ops, facts, notes, *plain)


def _prefixes(network: nn.Module, asked: Asked) -> tuple[str, ...] | None:
    """Name prefixes of what is trained: of the last layer, the head, everything, or as they are given."""
    if asked.trains is None:
        return None
    found: list[str] = []
    for one in (asked.trains,) if isinstance(asked.trains, str) else asked.trains:
        if one not in MODES:
            found.append(one)
        elif isinstance(network, Segmenter):
            found += prefixes_of(network, one)
        elif one == "full":
            found.append("")
        elif one == "last":
            found.append(f"{_last_of(asked)}.")
        else:
            raise BadSetting(f"{asked.subject.name} has no head of its own; train last, full, or name prefixes")
    return tuple(found)


def _last_of(asked: Asked) -> str:
    """The last layer with weights that the loss depends on, in the order in which the network runs."""
    whole = watched(replace(asked, trains="full", formulas=False))
    layers = [op.layer for op in whole.ops if op.products and op.learns]
    if not layers:
        raise BadSetting(f"{asked.subject.name} has nothing to train; there is no last layer")
    return layers[-1]


def part_of(op: Op, term: str) -> int:
    """Bytes kept, or multiply-adds forward or backward, of one call."""
    if term == "kept":
        return sum(kept.elements * kept.bytes_each for kept in op.kept)
    return op.made.connections * (1 if term == "forward" else op.products)


def total(ops: Sequence[Op], term: str) -> int:
    """The same of all calls."""
    return sum(part_of(op, term) for op in ops)
