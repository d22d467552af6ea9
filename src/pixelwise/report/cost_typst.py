"""The same formulas in typst's mathematics, for documents: 72 NF² + 9 NF NC with a thin space for a product."""

from typing import ClassVar

import sympy
from sympy import Expr

from .cost_math import MINUS, Unicode


def typst_formula(formula: sympy.Basic) -> str:
    """As typst's mathematics, to be put between dollars."""
    return str(_Typst().doprint(formula))


class _Typst(Unicode):
    """To typst: names of several letters upright, numbers with their commas as words, divisions on the line."""

    rounded: ClassVar[dict[str, str]] = {"floor": "floor", "ceil": "ceil", "round": 'op("round")'}

    def _product(self, negative: bool, above: list[str], below: list[str]) -> str:
        over, under = " thin ".join(above), " thin ".join(below)
        divided = f" \\/ ({under})" if len(below) > 1 else f" \\/ {under}" if under else ""
        return MINUS * negative + over + divided

    def _between(self, which: str, inside: Expr) -> str:
        return f"{self.rounded[which]}({self._print(inside)})"

    def _print_Integer(self, number: Expr) -> str:
        digits = f"{abs(int(number)):,}"
        return MINUS * bool(number.is_negative) + (f'"{digits}"' if "," in digits else digits)

    def _print_Pow(self, power: Expr, rational: bool = False) -> str:
        base, exponent = power.args
        if exponent.is_number and exponent.is_negative:
            return str(self._print_Mul(power))
        return f"{self.parenthesize(base, sympy.printing.precedence.PRECEDENCE['Pow'])}^({self._print(exponent)})"

    def _print_Symbol(self, symbol: sympy.Symbol) -> str:
        return symbol.name if len(symbol.name) == 1 else f'upright("{symbol.name}")'

    def _print_Mod(self, remainder: Expr) -> str:
        known, m = remainder.args
        return f"({self._print(known)} mod {self._print(m)})"
