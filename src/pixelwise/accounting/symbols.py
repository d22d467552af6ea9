"""Integers that know where they come from: a value to run a network with, and a formula for every other value.

A network that is built with such widths and shown pictures of such sizes computes its own formulas: Python's arithmetic
on its shapes carries a sympy expression along. Where the network asks a size ("is it even?") the value decides, and the
answer is kept as a condition under which the formula holds: H/4 stands for ceiling(H/4) once H is known to be even
twice over.
"""

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, TypeAlias

import sympy
from sympy import Expr, Integer

from .conditions import Conditions, symbol
from .rounding import Rounded

Number = int | float
SIMPLE = 2**16  # the largest denominator of a float that is taken for a fraction
Anything: TypeAlias = Any  # what Python or torch may hand over


class Facts(Conditions):
    """What holds of the symbols of one walk, and the symbols."""

    def integer(self, name: str, value: int) -> "SymbolicInt":
        """A new symbol with the value that it has in this walk."""
        self.values[symbol(name)] = value
        return SymbolicInt(value, symbol(name), self)


def expression_of(value: Anything) -> Expr:
    """The formula that a number carries, or the number itself, exactly."""
    if isinstance(value, SymbolicInt | SymbolicFloat):
        return value.expression
    return Integer(value) if isinstance(value, int) else exactly(value)


def exactly(value: float) -> Expr:
    """A float as the fraction that it is."""
    return sympy.Rational(value)


def is_exact(value: Number) -> bool:
    """Whether products with a number are what they are on paper: with 1.5 they are, with 0.7 not, 0.7 * 90 < 63."""
    return isinstance(value, int | SymbolicFloat) or Fraction(value).denominator <= SIMPLE


def _arithmetic(act: Callable[[Any, Any], Any], swapped: bool = False) -> Callable[[Any, Any], Any]:
    """A method for one of Python's operators: on values and on formulas alike."""

    def method(self: "SymbolicInt | SymbolicFloat", other: Anything, modulus: int | None = None) -> Anything:
        if modulus is not None:
            return pow(int(self.pinned), other, modulus)
        if not isinstance(other, Number):
            return NotImplemented
        if not is_exact(other) or (act is operator.pow and not isinstance(other, int)):
            return act(other, self.pinned) if swapped else act(self.pinned, other)
        plain, formula = (self.plain, plain_of(other)), (self.expression, expression_of(other))
        if swapped:
            plain, formula = plain[::-1], formula[::-1]
        return symbolic(act(*plain), act(*formula), self.facts)

    return method


def _rounded(act: Callable[[Any, Any], Any], swapped: bool = False) -> Callable[[Any, Any], Any]:
    """A method for // or %: a mod b = a - b floor(a / b)."""

    def method(self: "SymbolicInt", other: Anything) -> Anything:
        if not isinstance(other, int):
            a, b = (other, self.pinned) if swapped else (self.pinned, other)
            return act(a, b)
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


def _pinned(act: Callable[..., Any], swapped: bool = False) -> Callable[..., Any]:
    """A method for an operator that has no formula: the number stands for itself, which is a condition."""

    def method(self: "SymbolicInt | SymbolicFloat", *others: Anything) -> Anything:
        numbers = [self.pinned, *(other.pinned if isinstance(other, _Symbolic) else other for other in others)]
        return act(*(numbers[::-1] if swapped else numbers))

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

    @property
    def pinned(self) -> Number:
        """The value alone; from here on the number stands for itself, which is a condition too."""
        self.facts.learn(sympy.Eq(self.expression, expression_of(self.plain)))
        return self.plain

    def __int__(self) -> int:
        """Cut to a whole number that stands for itself."""
        value, below = int(self.plain), self.plain < 0
        whole = -self.facts.floor(-self.expression) if below else self.facts.floor(self.expression)
        self.facts.learn(sympy.Eq(whole, value))
        return value

    def __abs__(self) -> Anything:
        return -self if self < 0 else self

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
    __rshift__, __rrshift__ = _pinned(operator.rshift), _pinned(operator.rshift, swapped=True)
    __lshift__, __rlshift__ = _pinned(operator.lshift), _pinned(operator.lshift, swapped=True)
    __and__, __rand__ = _pinned(operator.and_), _pinned(operator.and_, swapped=True)
    __or__, __ror__ = _pinned(operator.or_), _pinned(operator.or_, swapped=True)
    __xor__, __rxor__ = _pinned(operator.xor), _pinned(operator.xor, swapped=True)
    __invert__, bit_length = _pinned(operator.invert), _pinned(int.bit_length)
    __repr__ = int.__repr__
    __hash__ = int.__hash__

    def __divmod__(self, other: Anything) -> Anything:
        return self // other, self % other

    def __rdivmod__(self, other: Anything) -> Anything:
        return other // self, other % self

    def __floor__(self) -> Anything:
        return self

    def __ceil__(self) -> Anything:
        return self

    def __trunc__(self) -> Anything:
        return self

    def __round__(self, digits: int | None = None) -> Anything:  # type: ignore[override]
        return self if digits is None or digits >= 0 else round(self.pinned, digits)


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
            return round(self.pinned, digits)
        return symbolic(round(self.plain), Rounded(self.expression), self.facts)

    def __trunc__(self) -> Anything:
        return -((-self).__floor__()) if self < 0 else self.__floor__()

    __floordiv__, __rfloordiv__ = _pinned(operator.floordiv), _pinned(operator.floordiv, swapped=True)
    __mod__, __rmod__ = _pinned(operator.mod), _pinned(operator.mod, swapped=True)
    is_integer = _pinned(float.is_integer)
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
