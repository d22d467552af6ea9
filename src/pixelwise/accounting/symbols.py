"""Integers that know where they come from: a value to run a network with, and a formula for every other value.

A network that is built with such widths and shown pictures of such sizes computes its own formulas: Python's arithmetic
on its shapes carries a sympy expression along. Where the network asks a size ("is it even?") the value decides, and the
answer is kept as a condition under which the formula holds: H/4 stands for ceiling(H/4) once H is known to be even
twice over.
"""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import sympy
from sympy import Expr, Integer, Symbol

from .rounding import Rounded, ceilings, floor_of, floors

Number = int | float
Anything: TypeAlias = Any  # what Python or torch may hand over


def symbol(name: str) -> Symbol:
    """The symbol of that name, for a positive integer; the same one every time."""
    return Symbol(name, integer=True, positive=True)


class Facts:
    """What holds of the symbols of one walk, because the network asked and was answered by their values."""

    def __init__(self) -> None:
        self.values: dict[Symbol, int] = {}
        self.listening = True
        self._conditions: dict[sympy.Basic, None] = {}  # in the order in which they were met
        self._residues: dict[Symbol, tuple[int, int]] = {}  # symbol: m, r; it leaves r when divided by m
        self._rounded: dict[Expr, Expr] = {}  # down, with the remainders that are known so far

    def integer(self, name: str, value: int) -> "SymbolicInt":
        """A new symbol with the value that it has in this walk."""
        self.values[symbol(name)] = value
        return SymbolicInt(value, symbol(name), self)

    def learn(self, relation: sympy.Basic) -> None:
        """Keep a condition, unless it always holds."""
        relation = ceilings(self.simplified(relation))
        if not self.listening or relation in (sympy.true, sympy.false):
            return
        if not isinstance(relation, sympy.Eq) or not self._learn_residue(floors(relation.lhs - relation.rhs)):
            self._conditions[relation] = None

    @property
    def conditions(self) -> tuple[sympy.Basic, ...]:
        """Under which the formulas of this walk hold."""
        residues = (sympy.Eq(sympy.Mod(s, m), r, evaluate=False) for s, (m, r) in self._residues.items())
        return (*residues, *self._conditions)

    def hold_at(self, values: Mapping[Symbol, int]) -> bool:
        """Whether all conditions hold for other values too."""
        return all(condition.subs(values) == sympy.true for condition in self.conditions)

    def simplified(self, expression: sympy.Basic) -> sympy.Basic:
        """The expression with every rounding made as simple as what is known allows."""
        return floors(expression).replace(sympy.floor, lambda inner: self.floor(inner))

    def floor(self, ratio: Expr) -> Expr:
        """Round down a ratio of polynomials with integer coefficients, in its simplest form."""
        if ratio not in self._rounded:
            self._rounded[ratio] = self._floor(ratio)
        return self._rounded[ratio]

    def _floor(self, ratio: Expr) -> Expr:
        forth, back = self._in_steps()
        numerator, denominator = sympy.fraction(sympy.together(floors(ratio).subs(forth)))
        numerator = sympy.expand(numerator)
        if not denominator.is_Integer:
            exact = sympy.cancel(numerator / denominator)
            simple = exact if sympy.fraction(exact)[1] == 1 else sympy.floor(exact)
        else:
            simple = floor_of(numerator, int(denominator))
        return sympy.expand(simple.subs(back))

    def _in_steps(self) -> tuple[dict[Symbol, Expr], dict[Symbol, Expr]]:
        """Symbols as m t + r with a new integer t, and back."""
        forth, back = {}, {}
        for known, (m, r) in self._residues.items():
            step = symbol(f"_{known.name}")
            forth[known] = m * step + r
            back[step] = (known - r) / m
        return forth, back

    def _learn_residue(self, zero: Expr) -> bool:
        """From a floor(u / m) + b = 0: if that says floor(u / m) = (u - c) / m, then u leaves c when divided by m."""
        roundings = zero.atoms(sympy.floor)
        if len(roundings) != 1:
            return False
        (rounded,) = roundings
        u, m = sympy.fraction(sympy.together(rounded.args[0]))
        c = sympy.expand(u + m * sympy.expand(zero - rounded * zero.coeff(rounded)) / zero.coeff(rounded))
        symbols = u.free_symbols
        if len(symbols) != 1 or not (m.is_Integer and c.is_Integer):
            return False
        (s,) = symbols
        if abs(u.coeff(s)) != 1:
            return False
        old, _ = self._residues.get(s, (1, 0))
        both = math.lcm(old, int(m))
        self._residues[s] = both, self.values[s] % both
        self._rounded.clear()
        return True


def expression_of(value: Anything) -> Expr:
    """The formula that a number carries, or the number itself, exactly."""
    if isinstance(value, SymbolicInt | SymbolicFloat):
        return value.expression
    return Integer(value) if isinstance(value, int) else sympy.Rational(value)


def _arithmetic(act: Callable[[Any, Any], Any], swapped: bool = False) -> Callable[[Any, Any], Any]:
    """A method for one of Python's operators: on values and on formulas alike."""

    def method(self: "SymbolicInt | SymbolicFloat", other: Anything) -> Anything:
        if not isinstance(other, Number):
            return NotImplemented
        plain, formula = (self.plain, plain_of(other)), (self.expression, expression_of(other))
        if swapped:
            plain, formula = plain[::-1], formula[::-1]
        return symbolic(act(*plain), act(*formula), self.facts)

    return method


def _rounded(act: Callable[[Any, Any], Any], swapped: bool = False) -> Callable[[Any, Any], Any]:
    """A method for // or %: a mod b = a - b floor(a / b)."""

    def method(self: "SymbolicInt", other: Anything) -> Anything:
        if not isinstance(other, int):
            return NotImplemented
        a, b = (other, self) if swapped else (self, other)
        down = self.facts.floor(expression_of(a) / expression_of(b))
        formula = down if act is operator.floordiv else sympy.expand(expression_of(a) - expression_of(b) * down)
        return symbolic(act(plain_of(a), plain_of(b)), formula, self.facts)

    return method


def _asked(act: Callable[[Any, Any], bool], relation: Anything) -> Callable[[Any, Any], Any]:
    """A method for a comparison: the values decide, and the answer is kept as a condition."""

    def method(self: "SymbolicInt | SymbolicFloat", other: Anything) -> Anything:
        if not isinstance(other, Number):
            return NotImplemented
        answer = act(self.plain, plain_of(other))
        asked = relation(self.expression, expression_of(other))
        self.facts.learn(asked if answer else sympy.Not(asked))
        return answer

    return method


class _Symbolic:
    """What whole and broken numbers with a formula have in common."""

    expression: Expr
    facts: Facts

    @property
    def plain(self) -> Number:
        """The value alone."""
        raise NotImplementedError

    __add__ = _arithmetic(operator.add)
    __radd__ = _arithmetic(operator.add, swapped=True)
    __sub__ = _arithmetic(operator.sub)
    __rsub__ = _arithmetic(operator.sub, swapped=True)
    __mul__ = _arithmetic(operator.mul)
    __rmul__ = _arithmetic(operator.mul, swapped=True)
    __truediv__ = _arithmetic(operator.truediv)
    __rtruediv__ = _arithmetic(operator.truediv, swapped=True)
    __pow__ = _arithmetic(operator.pow)
    __rpow__ = _arithmetic(operator.pow, swapped=True)
    __eq__ = _asked(operator.eq, sympy.Eq)
    __ne__ = _asked(operator.ne, sympy.Ne)
    __lt__ = _asked(operator.lt, sympy.Lt)
    __le__ = _asked(operator.le, sympy.Le)
    __gt__ = _asked(operator.gt, sympy.Gt)
    __ge__ = _asked(operator.ge, sympy.Ge)

    def __neg__(self) -> Anything:
        return symbolic(-self.plain, -self.expression, self.facts)

    def __pos__(self) -> "_Symbolic":
        return self

    def __hash__(self) -> int:
        return hash(self.plain)

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __int__(self) -> int:
        """The value alone; from here on the number stands for itself, which is a condition too."""
        value = int(self.plain)
        self.facts.learn(sympy.Eq(self.facts.floor(self.expression), value))
        return value

    def __copy__(self) -> "_Symbolic":
        return self

    def __deepcopy__(self, memory: dict[int, Any]) -> "_Symbolic":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self.plain), (self.plain,)


class SymbolicInt(_Symbolic, int):  # type: ignore[misc]  # its operators take any number, int's only some
    """A whole number and its formula; torch takes it as the int that it is."""

    def __new__(cls, value: int, expression: Expr, facts: Facts) -> "SymbolicInt":
        """A value, its formula, and the walk that it belongs to."""
        new = int.__new__(cls, value)
        new.expression, new.facts = expression, facts
        return new

    @property
    def plain(self) -> int:
        """The value alone."""
        return int.__int__(self)

    __floordiv__ = _rounded(operator.floordiv)
    __rfloordiv__ = _rounded(operator.floordiv, swapped=True)
    __mod__ = _rounded(operator.mod)
    __rmod__ = _rounded(operator.mod, swapped=True)
    __repr__ = int.__repr__
    __hash__ = int.__hash__


class SymbolicFloat(_Symbolic, float):  # type: ignore[misc]
    """A broken number and its formula, until it is rounded to a whole one."""

    def __new__(cls, value: float, expression: Expr, facts: Facts) -> "SymbolicFloat":
        """A value, its formula, and the walk that it belongs to."""
        new = float.__new__(cls, value)
        new.expression, new.facts = expression, facts
        return new

    @property
    def plain(self) -> float:
        """The value alone."""
        return float.__float__(self)

    def __floor__(self) -> Anything:
        return symbolic(math.floor(self.plain), self.facts.floor(self.expression), self.facts)

    def __ceil__(self) -> Anything:
        return symbolic(math.ceil(self.plain), -self.facts.floor(-self.expression), self.facts)

    def __round__(self, digits: int | None = None) -> Anything:  # type: ignore[override]
        """To the nearest whole number, halves to the even side."""
        if digits is not None:
            return round(self.plain, digits)
        return symbolic(round(self.plain), Rounded(self.expression), self.facts)

    __repr__ = float.__repr__
    __hash__ = float.__hash__


@contextmanager
def unasked(values: Iterable[Any]) -> Iterator[None]:
    """Comparisons inside leave no conditions behind."""
    asked = [value.facts for value in values if isinstance(value, _Symbolic)]
    for facts in asked:
        facts.listening = False
    try:
        yield
    finally:
        for facts in asked:
            facts.listening = True


def plain_of(value: Anything) -> Anything:
    """The value without its formula."""
    return value.plain if isinstance(value, _Symbolic) else value


def symbolic(value: Number, expression: Expr, facts: Facts) -> Anything:
    """A number with its formula; without one where the formula is a number itself."""
    if not expression.free_symbols:
        return value
    if isinstance(value, int):
        return SymbolicInt(value, expression, facts)
    return SymbolicFloat(value, expression, facts)
