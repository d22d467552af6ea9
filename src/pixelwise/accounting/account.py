"""Weights, outputs and connections of a network: formulas, values, and what doubling the picture does to them.

    cost = account("cnn", size=(32, 32))
    cost.totals["outputs"].formula      # 9*H*NC*W/4 + 37*H*NF*W/16
    cost.totals["outputs"].at_size      # 2304*NC + 2368*NF
    cost.totals["outputs"].value        # 131072

Nothing is run: shapes walk through the network's own modules (walk.py). Every account checks itself at another size and
in other widths, where the formulas must give what the network has there and torch's own counter the same connections.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy
from sympy import Expr
from torch import nn

from ..errors import BadSetting
from .conditions import symbol
from .conventions import Conventions
from .layers import Layer
from .rounding import ceilings, written_out
from .run import Ran, checked_elsewhere, ran
from .subject import Subject, subject_of
from .symbols import Facts, expression_of, plain_of

NEARLY = Fraction(1, 4)  # of 4
WHAT = ("weights", "outputs", "connections")


@dataclass(frozen=True)
class Quantity:
    """A number of weights, outputs or connections."""

    formula: Expr  # in the widths and in H and W
    at_size: Expr  # in NF, NC and K, at this size of the picture, with this kernel
    value: int

    def to_mapping(self) -> dict[str, Any]:
        """As JSON; formulas are sympy's, as text."""
        return {"formula": str(written_out(self.formula)), "at_size": str(self.at_size), "value": self.value}


@dataclass(frozen=True)
class Growth:
    """What doubling the width and height of the picture makes of a quantity."""

    doubled: Quantity  # its formula in the height and width before
    ratio: Fraction
    everywhere: bool  # the ratio is the same at every size that the conditions allow
    before: int  # its value before
    because: tuple[str, ...]  # the layers that do not grow with the picture's area, if the ratio is neither 1 nor 4

    @property
    def words(self) -> str:
        """What happens, in a few words."""
        where = "" if self.everywhere else ", at this size"
        if self.before == 0 < self.doubled.value:
            return "none before"
        if self.ratio == 1:
            return f"unchanged{where}"
        if self.ratio.denominator == 1:
            return f"×{self.ratio} exactly{where}"
        return f"×{float(self.ratio):.7g}{', nearly 4' if abs(self.ratio - 4) < NEARLY else ''}"

    def to_mapping(self) -> dict[str, Any]:
        """As JSON."""
        ratio = {"exact": str(self.ratio), "value": float(self.ratio), "everywhere": self.everywhere}
        return {**self.doubled.to_mapping(), "ratio": ratio, "because": list(self.because)}


@dataclass(frozen=True)
class Row:
    """One layer."""

    name: str
    kind: str
    calls: int
    made: tuple[Expr, ...]  # channels, rows, columns
    counts: Mapping[str, Quantity]  # weights, outputs, connections

    def to_mapping(self) -> dict[str, Any]:
        """As JSON."""
        made = [str(written_out(size)) for size in self.made]
        counts = {what: quantity.to_mapping() for what, quantity in self.counts.items()}
        return {"name": self.name, "kind": self.kind, "calls": self.calls, "size": made, **counts}


@dataclass(frozen=True)
class Account:
    """What a network costs for one picture, in evaluation mode."""

    model: str
    size: tuple[int, int]
    widths: Mapping[str, int]
    convention: Conventions
    rows: Sequence[Row]
    totals: Mapping[str, Quantity]
    doubled: Mapping[str, Growth]  # empty if the network takes no doubled picture
    slips: Mapping[str, Quantity]  # what common mistakes would have given, in words
    statistics: int  # running means and variances of normalization: kept, not learned
    conditions: Sequence[sympy.Basic]  # relations under which the formulas hold
    notes: Sequence[str]  # what has to be known besides: what could not be followed, what is shared, called again, idle
    checked: str  # where the formulas were compared with the network

    def to_mapping(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "model": self.model,
            "size": list(self.size),
            "widths": dict(self.widths),
            "conventions": vars(self.convention),
            "totals": {what: quantity.to_mapping() for what, quantity in self.totals.items()},
            "doubled": {what: growth.to_mapping() for what, growth in self.doubled.items()},
            "layers": [row.to_mapping() for row in self.rows],
            "common_mistakes": {words: quantity.to_mapping() for words, quantity in self.slips.items()},
            "running_statistics": self.statistics,
            "conditions": [in_words(condition) for condition in self.conditions],
            "notes": list(self.notes),
            "checked": self.checked,
        }


def account(
    model: str | nn.Module,
    size: tuple[int, int] | None = None,
    convention: Conventions | None = None,
    **widths: int,
) -> Account:
    """What a network costs: nothing is run, and nothing of a network that is given is changed.

    Args:
        model: a name such as "cnn" or "deeplabv3_resnet101", "module:factory" of your own, or a network.
        size: rows and columns of the picture; None: 32 x 32 for networks that colour, 224 x 224 for others.
        convention: what counts.
        widths: other values of k, NF, NC, NIC or K than the usual ones.

    Raises:
        UnknownName: there is no network of that name.
        BadSetting: the network cannot be built or run so; the message says where and why.
    """
    subject = subject_of(model, widths)
    size, convention = size or subject.size, convention or Conventions()
    every = (*subject.widths, "H", "W")
    for symbols in (every, ("H", "W"), ()):
        once = ran(subject, size, Facts(), symbols)
        checked, wrong = checked_elsewhere(subject, size, once, symbols)
        if not wrong:
            break
    try:
        twice = ran(subject, size, Facts(), symbols, times=2)
    except BadSetting:
        twice = None  # a network for pictures of one size
    lost = [name for name in every if name not in symbols]
    return _put_together(subject, size, convention, once, twice, lost, checked)


def _put_together(
    subject: Subject,
    size: tuple[int, int],
    convention: Conventions,
    once: Ran,
    twice: Ran | None,
    lost: Sequence[str],
    checked: str,
) -> Account:
    fixed = {"H": size[0], "W": size[1], **{s: v for s, v in subject.widths.items() if s in ("k", "NIC")}}
    counted = Counted(once.facts, fixed)
    rows = [_row(layer, counted, convention) for layer in once.layers]
    totals = {what: counted(_sum(once.layers, what, convention)) for what in WHAT}
    notes = [*once.notes]
    if twice is None:
        notes.append("the network fails on a picture of twice the width and height")
    if lost:
        notes.insert(0, f"the formulas could not be confirmed for other {', '.join(lost)}, which stand as numbers here")
    return Account(
        model=subject.name,
        size=size,
        widths=subject.widths,
        convention=convention,
        rows=[row for row in rows if any(q.value for q in row.counts.values())],
        totals=totals,
        doubled={} if twice is None else _doubled(once, twice, totals, convention, fixed),
        slips=_slips(once, counted, convention),
        statistics=int(plain_of(sum(layer.statistics for layer in once.layers))),
        conditions=list(dict.fromkeys(map(tidied, once.facts.conditions))),
        notes=notes,
        checked=checked,
    )


def _doubled(
    once: Ran, twice: Ran, totals: Mapping[str, Quantity], convention: Conventions, fixed: Mapping[str, int]
) -> dict[str, Growth]:
    """What doubling makes of each total."""
    later, alike = Counted(twice.facts, fixed), same_way(once.facts, twice.facts)
    found = {}
    for what in WHAT:
        parts = [{row.name: row.counted(what, convention) for row in walked.layers} for walked in (once, twice)]
        found[what] = growth(totals[what], later(_sum(twice.layers, what, convention)), parts[0], parts[1], alike)
    return found


class Counted:
    """Makes quantities of numbers that carry formulas."""

    def __init__(self, facts: Facts, fixed: Mapping[str, int]) -> None:
        self._facts = facts
        self._fixed = {symbol(name): value for name, value in fixed.items()}
        self._forms: dict[Expr, tuple[Expr, Expr]] = {}  # what was simplified before; layers are often alike

    def __call__(self, number: int) -> Quantity:
        """The number with its formula, simplified."""
        formula = expression_of(number)
        if formula not in self._forms:
            general = sympy.expand(self._facts.simplified(sympy.expand(formula)))
            self._forms[formula] = ceilings(general), sympy.expand(general.subs(self._fixed))
        return Quantity(*self._forms[formula], int(plain_of(number)))


def _sum(layers: Sequence[Layer], what: str, convention: Conventions) -> int:
    return sum(layer.counted(what, convention) for layer in layers)


def _row(layer: Layer, counted: Counted, convention: Conventions) -> Row:
    made = tuple(counted(size).formula for size in layer.made[1:])
    counts = {what: counted(layer.counted(what, convention)) for what in WHAT}
    return Row(layer.name, layer.kind, layer.calls, made, counts)


def same_way(once: Facts, twice: Facts) -> bool:
    """Whether the doubled picture goes the same way through the network as the one before, at many sizes."""
    h, w = symbol("H"), symbol("W")
    sides = [*range(1, 9), *range(12, 97, 12), *once.values.values(), 128, 256]
    tried = [{**once.values, h: side, w: side} for side in sides]
    return all(twice.hold_at(values) for values in tried if once.hold_at(values))


def growth(
    before: Quantity, after: Quantity, each: Mapping[str, int], later: Mapping[str, int], alike: bool = True
) -> Growth:
    """What doubling makes of a quantity, whose parts of each layer were so before and are so later."""
    ratio = Fraction(after.value, before.value) if before.value else Fraction(1)
    everywhere = alike and sympy.expand(after.formula - sympy.Rational(ratio) * before.formula) == 0
    slow = [name for name, value in each.items() if plain_of(later.get(name, 0)) != 4 * plain_of(value)]
    return Growth(after, ratio, everywhere, before.value, tuple(slow) if ratio not in (1, 4) else ())


def _slips(once: Ran, counted: Counted, convention: Conventions) -> dict[str, Quantity]:
    """What common mistakes give."""
    found = {}
    normalized = [layer for layer in once.layers if layer.role.value == "normalization" and len(layer.made) == 4]
    if normalized:
        per_pixel = sum(layer.weights * layer.made[2] * layer.made[3] - layer.weights for layer in normalized)
        found["weights, if BatchNorm had its two for each pixel"] = counted(
            _sum(once.layers, "weights", convention) + per_pixel
        )
    products = [layer for layer in once.layers if layer.connections]
    for what in ("weights", "connections") if len(products) > 1 else ():
        without = _sum(once.layers, what, convention) - products[-1].counted(what, convention)
        last = "layer" if products[-1].kind == "Linear" else "convolution"
        found[f"{what}, if the last {last} were forgotten"] = counted(without)
    return found


def tidied(relation: sympy.Basic) -> sympy.Basic:
    """The relation with nothing subtracted and no factor in common: 4 ceiling(W/4) ≠ W for 8 ceiling(W/4) - 2 W ≠ 0."""
    if isinstance(relation.lhs, sympy.Mod):
        return relation
    _, rest = sympy.expand(relation.lhs - relation.rhs).as_content_primitive()
    terms = sympy.Add.make_args(sympy.expand(rest))
    left = sympy.Add(*(term for term in terms if not term.as_coeff_Mul()[0].is_negative))
    right = sympy.Add(*(-term for term in terms if term.as_coeff_Mul()[0].is_negative))
    tidy = relation.func(left, right, evaluate=False)
    return tidy.reversed if left.is_Number else tidy


def in_words(condition: sympy.Basic) -> str:
    """A condition as people say it."""
    if isinstance(condition, sympy.Eq) and isinstance(condition.lhs, sympy.Mod):
        known, m = condition.lhs.args
        if m == 2:
            return f"{known} is {'odd' if condition.rhs else 'even'}"
        return f"{known} is a multiple of {m}" + (f", plus {condition.rhs}" if condition.rhs else "")
    return str(condition) if not isinstance(condition, sympy.Ne) else f"{condition.lhs} ≠ {condition.rhs}"
