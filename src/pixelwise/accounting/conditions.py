"""Under which conditions formulas hold: what a network asked of a size, and how the values answered."""

import math
from collections.abc import Mapping

import sympy
from sympy import Expr, Symbol

from .rounding import ceilings, floor_of, floors


def symbol(name: str) -> Symbol:
    """The symbol of that name, for a positive integer; the same one every time."""
    return Symbol(name, integer=True, positive=True)


class Conditions:
    """What holds of the symbols of one walk, because the network asked and was answered by their values."""

    def __init__(self) -> None:
        self.values: dict[Symbol, int] = {}
        self.listening = True
        self._conditions: dict[sympy.Basic, None] = {}  # in the order in which they were met
        self._residues: dict[Symbol, tuple[int, int]] = {}  # symbol: m, r; it leaves r when divided by m
        self._rounded: dict[Expr, Expr] = {}  # down, with the remainders that are known so far

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
