"""What fine-tuning needs, before it runs: bytes of parameters, gradients, optimizer and what is kept for backward.

    cost = fine_tuning("deeplabv3_resnet50", "last", batch=4, size=(224, 224))
    cost.kept.formula        # 1024*B*ceiling(H/8)*ceiling(W/8) + 4*B*H*K*W + 8*B*H*W + 4
    cost.kept.value          # 6422532

The number of trained parameters says little. Backward goes as far as the first tensor that is trained, and for every
layer on that way something is kept: with the last layer of DeepLabV3-ResNet50 alone 6 MiB, with the 128 numbers of the
first BatchNorm besides 778 MiB. Such a leak is named here, with what it costs.

The network walks on the meta device, as it is frozen, and autograd's own hooks say what it keeps (walk.py). Multiply-
adds of backward: every product with weights is done once more for the weights' gradient, where they are trained, and
once more for the gradient of what came in, where something before it is trained. torch's own counter finds more in
backward through grouped convolutions, where it multiplies with zeros that no kernel does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import nn

from ..errors import BadSetting
from .account import Counted, Growth, Quantity, growth, same_way
from .peak import Peak, peak_of
from .step import TERMS, Asked, Precision, Step, total, watched
from .subject import subject_of
from .symbols import plain_of

OPTIMIZERS = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}  # numbers kept for each one that is trained


@dataclass(frozen=True)
class LayerCost:
    """One layer's part."""

    name: str
    parameters: int
    trained: int
    kept: Quantity  # bytes; a tensor that several layers need belongs to the first
    forward: Quantity  # multiply-adds
    backward: Quantity

    def to_mapping(self) -> dict[str, Any]:
        """As JSON."""
        numbers = {"name": self.name, "parameters": self.parameters, "trained": self.trained}
        return {**numbers, **{term: getattr(self, term).to_mapping() for term in TERMS}}


@dataclass(frozen=True)
class Leak:
    """What is trained although frozen layers come after it, and what would be saved if it were frozen too."""

    layers: tuple[str, ...]
    parameters: int
    kept_bytes: int
    backward_macs: int


@dataclass(frozen=True)
class FineTuning:
    """The cost of one training step with cross-entropy at all pixels."""

    model: str
    widths: Mapping[str, int]
    channels: int
    trains: tuple[str, ...]  # name prefixes
    batch: int
    size: tuple[int, int]
    precision: Precision
    optimizer: str
    rows: Sequence[LayerCost]
    trainable: int  # parameters
    frozen: int
    number_bytes: int  # of one number in this precision
    kept: Quantity  # bytes that autograd keeps, parameters not counted
    forward: Quantity  # multiply-adds
    backward: Quantity
    doubled: Mapping[str, Growth]  # kept, forward and backward, for pictures of twice the width and height
    starts_at: str  # the first layer on the way that is trained: so far backward goes
    leak: Leak | None
    peak: Peak | None  # of a whole step, parameters included
    notes: Sequence[str] = ()

    @property
    def parameter_bytes(self) -> int:
        """Of all parameters."""
        return self.number_bytes * (self.trainable + self.frozen)

    @property
    def gradient_bytes(self) -> int:
        """Of the trained parameters' gradients."""
        return self.number_bytes * self.trainable

    @property
    def optimizer_bytes(self) -> int:
        """Of the numbers that the optimizer keeps for every trained one: Adam its two moments."""
        return OPTIMIZERS[self.optimizer] * self.number_bytes * self.trainable

    def to_mapping(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            **self.summary(),
            "peak_bytes": self.peak and self.peak.bytes,
            "peak_while": self.peak and self.peak.phase,
            "formulas": {term: getattr(self, term).to_mapping() for term in TERMS},
            "doubled": {term: growth.to_mapping() for term, growth in self.doubled.items()},
            "layers": [row.to_mapping() for row in self.rows],
            "notes": list(self.notes),
        }

    def summary(self) -> dict[str, Any]:
        """The values alone, of the whole network, as JSON can hold them."""
        leak = None if self.leak is None else {**vars(self.leak), "layers": list(self.leak.layers)}
        return {
            "trains": list(self.trains),
            "batch": self.batch,
            "size": list(self.size),
            "precision": self.precision,
            "optimizer": self.optimizer,
            "trainable": self.trainable,
            "frozen": self.frozen,
            "parameter_bytes": self.parameter_bytes,
            "gradient_bytes": self.gradient_bytes,
            "optimizer_bytes": self.optimizer_bytes,
            "kept_bytes": self.kept.value,
            "forward_macs": self.forward.value,
            "backward_macs": self.backward.value,
            "backward_starts_at": self.starts_at,
            "leak": leak,
        }


def fine_tuning(
    model: str | nn.Module,
    trains: str | Sequence[str] | None = "last",
    batch: int = 4,
    size: tuple[int, int] | None = None,
    precision: Precision = "float32",
    optimizer: str = "adam",
    formulas: bool = True,
    **widths: int,
) -> FineTuning:
    """What one training step costs; the network is neither run nor changed.

    Args:
        model: a name, "module:factory" of your own, or a network that is there already.
        trains: last, head or full, name prefixes of parameters, or both; None: as a network is frozen now.
        batch: pictures a step.
        size: rows and columns of the pictures; None: those that `account` takes.
        precision: of parameters, maps and the loss alike.
        optimizer: sgd, momentum, adam or adamw.
        formulas: False gives values alone, without doubling and peak, in a fraction of the time.
        widths: as for `account`.

    Raises:
        UnknownName: there is no network of that name.
        BadSetting: the network cannot be built, run or frozen so.
    """
    if precision not in get_args(Precision):
        raise BadSetting(f"precision is {precision!r}; expected one of {', '.join(get_args(Precision))}")
    if optimizer not in OPTIMIZERS:
        raise BadSetting(f"optimizer is {optimizer!r}; expected one of {', '.join(OPTIMIZERS)}")
    if batch < 1:
        raise BadSetting(f"batch is {batch}; expected 1 picture a step or more")
    subject = subject_of(model, widths)
    asked = Asked(subject, trains, batch, size or subject.size, precision, formulas)
    once = watched(asked)
    fixed = {"H": asked.size[0], "W": asked.size[1], **{s: v for s, v in subject.widths.items() if s in ("k", "NIC")}}
    counted = Counted(once.facts, fixed)
    totals = {term: counted(total(once.ops, term)) for term in TERMS}
    numbers = [(p.numel(), p.requires_grad) for p in once.network.parameters()]
    return FineTuning(
        model=subject.name,
        widths=subject.widths,
        channels=once.seen[1],
        trains=once.trains,
        batch=batch,
        size=asked.size,
        precision=precision,
        optimizer=optimizer,
        rows=_rows(once, counted),
        trainable=sum(n for n, trained in numbers if trained),
        frozen=sum(n for n, trained in numbers if not trained),
        number_bytes=getattr(torch, precision).itemsize,
        **totals,
        doubled=_doubled(asked, once, totals, fixed) if formulas else {},
        starts_at=once.starts_at,
        leak=_leak(asked, once, totals),
        peak=peak_of(once.network, once.seen, once.truth, optimizer) if formulas else None,
        notes=tuple(once.notes),
    )


def _doubled(asked: Asked, once: Step, totals: Mapping[str, Quantity], fixed: Mapping[str, int]) -> dict[str, Growth]:
    """The same step on pictures of twice the width and height."""
    try:
        twice = watched(asked, times=2)
    except BadSetting:
        return {}  # a network for pictures of one size
    later = Counted(twice.facts, fixed)
    parts = {term: (once.by_layer(term), twice.by_layer(term)) for term in TERMS}
    alike = same_way(once.facts, twice.facts)
    return {term: growth(totals[term], later(total(twice.ops, term)), *parts[term], alike=alike) for term in TERMS}


def _rows(step: Step, counted: Counted) -> list[LayerCost]:
    parameters: dict[str, list[int]] = {}
    for name, p in step.network.named_parameters():
        own = parameters.setdefault(name.rpartition(".")[0], [0, 0])
        own[0] += p.numel()
        own[1] += p.numel() * p.requires_grad
    each = {term: step.by_layer(term) for term in TERMS}
    rows = []
    for layer in dict.fromkeys([*each["kept"], *parameters]):
        there, trained = parameters.get(layer, (0, 0))
        terms = {term: counted(each[term].get(layer, 0)) for term in TERMS}
        if there or any(quantity.value for quantity in terms.values()):
            rows.append(LayerCost(layer, there, trained, **terms))
    return rows


def _leak(asked: Asked, step: Step, totals: Mapping[str, Quantity]) -> Leak | None:
    """The same step with the leaking layers frozen, and the difference."""
    if not step.leaking:
        return None
    trained = [name for name, p in step.network.named_parameters() if p.requires_grad]
    leaking = [name for name in trained if name.rpartition(".")[0] in step.leaking]
    kept = [name for name in trained if name not in leaking]
    if not kept:
        return None  # it is all that was asked for
    sealed = watched(asked, trains=kept)
    sizes = dict(step.network.named_parameters())
    return Leak(
        tuple(step.leaking),
        sum(sizes[name].numel() for name in leaking),
        totals["kept"].value - int(plain_of(total(sealed.ops, "kept"))),
        totals["backward"].value - int(plain_of(total(sealed.ops, "backward"))),
    )
