"""Formulas as people write them: 72·NF² + 9·NF·NC in Unicode, in LaTeX and in MathML.

sympy's own printers sort by the alphabet, hang everything over a fraction bar and do not know our rounding. Here terms
stand by falling degree, factors in the order of SYMBOLS, and every formula on one line, so that tables stay even.
"""

from collections.abc import Sequence
from html import escape
from typing import Any, TypeAlias

import sympy
from sympy import Expr
from sympy.printing.latex import LatexPrinter
from sympy.printing.mathml import MathMLPresentationPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

SYMBOLS = ("B", "n", "NF", "NC", "K", "k", "NIC", "H", "W")
SIGNS = {"==": "=", "!=": "≠", ">=": "≥", "<=": "≤", ">": ">", "<": "<"}
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
MINUS, TIMES = "−", "·"
LONG_TERM = 24  # letters
Printed: TypeAlias = Any  # text, or a piece of MathML


def unicode_formula(formula: sympy.Basic) -> str:
    """As text for a terminal: 37·NF·H·W/16, ⌈H/8⌉, round(3·H/64)."""
    return str(Unicode().doprint(formula))


def latex_formula(formula: sympy.Basic) -> str:
    r"""As LaTeX, to be put between dollars; needs amsmath for \\operatorname."""
    return str(_Latex().doprint(formula))


def mathml_formula(formula: sympy.Basic) -> str:
    """As MathML that browsers show by themselves."""
    return f"<math>{_MathML().doprint(formula)}</math>"


def mathml_in_pieces(formula: sympy.Basic) -> str:
    """As pieces of MathML, since browsers break lines between them and not inside: terms, and factors of long terms."""
    pieces = []
    for sign, term in signed_terms(formula, MINUS):
        before = f'<mo lspace="0" rspace="0.28em">{sign}</mo>' if sign else ""
        long = len(unicode_formula(term)) > LONG_TERM
        first, *others = _MathML().in_factors(term) if long else [_MathML().doprint(term)]
        factors = [f"<math><mo>{TIMES}</mo>{factor}</math>" for factor in others]
        pieces.append("".join([f"<math>{before}{first}</math>", *factors]))
    return " ".join(pieces)


def signed_terms(formula: sympy.Basic, minus: str) -> list[tuple[str, sympy.Basic]]:
    """The terms in order, with the sign before each; none before the first, whose minus is its own."""
    first, *rest = terms_in_order(formula) if isinstance(formula, sympy.Add) else [formula]
    signed = [(minus, -term) if _is_negative(term) else ("+", term) for term in rest]
    return [("", first), *signed]


def terms_in_order(formula: Expr) -> list[Expr]:
    """The terms of a sum: by falling degree, then in the order of the symbols, then by what sizes are divided by."""
    return sorted(sympy.Add.make_args(formula), key=_place_of_term)


def _place_of_term(term: Expr) -> tuple[Any, ...]:
    exponents: dict[tuple[int, str], Expr] = {}
    steps = []
    for factor in sympy.Mul.make_args(term):
        base, exponent = factor.as_base_exp()
        exponent = exponent if exponent.is_Number else sympy.S.One
        names = sorted(_place_of_name(symbol.name) for symbol in base.free_symbols)
        if names:
            exponents[names[0]] = exponents.get(names[0], 0) + exponent
        if not base.is_Symbol:
            steps.append(_step(base))
    alike = tuple((name, -exponent) for name, exponent in sorted(exponents.items()))
    return -sum(exponents.values()), alike, sorted(steps), str(term)


def _place_of_name(name: str) -> tuple[int, str]:
    return (SYMBOLS.index(name) if name in SYMBOLS else len(SYMBOLS)), name


def _step(rounded: Expr) -> float:
    """What a rounded size is divided by, such as 8 in ceiling(H/8)."""
    denominator = sympy.fraction(sympy.together(rounded.args[0]))[1] if rounded.args else sympy.S.One
    return float(denominator) if denominator.is_number else 0.0


def _place_of_factor(factor: Expr) -> tuple[Any, ...]:
    base = factor.as_base_exp()[0]
    names = sorted(_place_of_name(symbol.name) for symbol in base.free_symbols)
    return names[:1], not base.is_Symbol, str(base)


def _is_negative(term: Expr) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def _over_and_under(product: Expr) -> tuple[bool, list[Expr], list[Expr]]:
    """Whether a product is negative, and its factors above and below the line, in order."""
    coefficient, rest = product.as_coeff_Mul(rational=True)
    above = [sympy.Integer(abs(coefficient.p))] if abs(coefficient.p) != 1 else []
    below = [sympy.Integer(coefficient.q)] if coefficient.q != 1 else []
    for factor in sorted(sympy.Mul.make_args(rest), key=_place_of_factor):
        exponent = factor.as_base_exp()[1]
        if exponent.is_number and exponent.is_negative:
            below.append(factor**-1)
        elif factor != 1:
            above.append(factor)
    return bool(coefficient.is_negative), above or [sympy.S.One], below


class _OnOneLine:
    """What the three printers have in common; each says how a product and rounding look."""

    def _as_ordered_terms(self, formula: Expr, order: str | None = None) -> list[Expr]:
        return terms_in_order(formula)

    def _print_Mul(self, product: Expr) -> Printed:
        negative, above, below = _over_and_under(product)
        return self._product(negative, self._factors(above), self._factors(below))

    _print_Rational = _print_Mul

    def _factors(self, factors: Sequence[Expr]) -> list[Printed]:
        return [self.parenthesize(factor, PRECEDENCE["Mul"]) for factor in factors]  # type: ignore[attr-defined]

    def _print_floor(self, rounded: Expr) -> Printed:
        return self._between("floor", sympy.together(rounded.args[0]))

    def _print_ceiling(self, rounded: Expr) -> Printed:
        return self._between("ceil", sympy.together(rounded.args[0]))

    def _print_Rounded(self, rounded: Expr) -> Printed:
        return self._between("round", sympy.together(rounded.args[0]))

    def _product(self, negative: bool, above: list[Printed], below: list[Printed]) -> Printed:
        raise NotImplementedError

    def _between(self, which: str, inside: Expr) -> Printed:
        raise NotImplementedError


class Unicode(_OnOneLine, StrPrinter):  # type: ignore[misc]
    """To Unicode text."""

    def _product(self, negative: bool, above: list[str], below: list[str]) -> str:
        over, under = TIMES.join(above), TIMES.join(below)
        return MINUS * negative + over + (f"/({under})" if len(below) > 1 else f"/{under}" * bool(under))

    def _between(self, which: str, inside: Expr) -> str:
        left, right = {"floor": ("⌊", "⌋"), "ceil": ("⌈", "⌉"), "round": ("round(", ")")}[which]
        unbroken = self._print(inside).replace(" + ", "+").replace(f" {MINUS} ", MINUS)  # no line ends inside
        return f"{left}{unbroken}{right}"

    def _print_Add(self, formula: Expr, order: str | None = None) -> str:
        terms = signed_terms(formula, MINUS)
        level = PRECEDENCE["Add"]
        return "".join(f" {sign} {self.parenthesize(t, level)}" if sign else self._print(t) for sign, t in terms)

    def _print_Integer(self, number: Expr) -> str:
        return f"{int(number):,}".replace("-", MINUS)

    def _print_Pow(self, power: Expr, rational: bool = False) -> str:
        base, exponent = power.args
        if exponent.is_number and exponent.is_negative:
            return str(self._print_Mul(power))
        written = self.parenthesize(base, PRECEDENCE["Pow"])
        if exponent.is_Integer:
            return f"{written}{str(exponent).translate(SUPERSCRIPTS)}"
        return f"{written}^{self.parenthesize(exponent, PRECEDENCE['Pow'])}"

    def _print_Mod(self, remainder: Expr) -> str:
        known, m = remainder.args
        return f"({self._print(known)} mod {self._print(m)})"

    def _print_Relational(self, relation: sympy.Basic) -> str:
        return f"{self._print(relation.lhs)} {SIGNS[relation.rel_op]} {self._print(relation.rhs)}"


class _Latex(_OnOneLine, LatexPrinter):  # type: ignore[misc]
    """To LaTeX."""

    def _product(self, negative: bool, above: list[str], below: list[str]) -> str:
        over, under = (r"{\cdot}".join(factors) for factors in (above, below))  # in braces without space around
        return "-" * negative + over + (f"/({under})" if len(below) > 1 else f"/{under}" * bool(under))

    def _between(self, which: str, inside: Expr) -> str:
        if which == "round":
            return rf"\operatorname{{round}}({self._print(inside)})"
        return rf"\l{which} {self._print(inside)} \r{which}"

    def _print_Integer(self, number: Expr) -> str:
        return f"{int(number):,}".replace(",", "{,}")

    def _print_Pow(self, power: Expr) -> str:
        base, exponent = power.args
        if exponent.is_number and exponent.is_negative:
            return str(self._print_Mul(power))
        return f"{self.parenthesize(base, PRECEDENCE['Pow'])}^{{{self._print(exponent)}}}"

    def _print_Mod(self, remainder: Expr) -> str:
        known, m = remainder.args
        return rf"({self._print(known)} \bmod {self._print(m)})"

    def _print_Symbol(self, symbol: sympy.Symbol) -> str:
        name = symbol.name
        return rf"\mathit{{{name}}}" if name.isalpha() and len(name) > 1 else str(super()._print_Symbol(symbol))


class _MathML(_OnOneLine, MathMLPresentationPrinter):  # type: ignore[misc]
    """To presentation MathML; sympy's own puts text into it without escaping."""

    def in_factors(self, product: Expr) -> list[str]:
        """The factors: the first with the number before it, the last with all that is below the line."""
        negative, above, below = _over_and_under(product)
        together = 2 if above[0].is_Integer and len(above) > 1 else 1
        groups = [above[:together], *([factor] for factor in above[together:])]
        under = [[] for _ in groups[1:]] + [below]
        signs = [negative] + [False for _ in groups[1:]]
        return [
            str(self._product(sign, self._factors(over), self._factors(u)).toxml())
            for sign, over, u in zip(signs, groups, under, strict=True)
        ]

    def _leaf(self, tag: str, text: str) -> Printed:
        leaf = self.dom.createElement(tag)
        leaf.appendChild(self.dom.createTextNode(escape(text)))
        if text == "/":  # browsers give it more room than the dot between factors
            leaf.setAttribute("lspace", "0")
            leaf.setAttribute("rspace", "0")
        return leaf

    def _row(self, *parts: Printed) -> Printed:
        row = self.dom.createElement("mrow")
        for part in parts:
            row.appendChild(self._leaf("mo", part) if isinstance(part, str) else part)
        return row

    def _product(self, negative: bool, above: list[Printed], below: list[Printed]) -> Printed:
        over, under = ([p for factor in factors for p in (TIMES, factor)][1:] for factors in (above, below))
        under = ["(", *under, ")"] if len(below) > 1 else under
        signed = [MINUS, *over] if negative else over
        return self._row(*signed, *(["/", *under] if under else [])) if len(signed) > 1 or under else signed[0]

    def _between(self, which: str, inside: Expr) -> Printed:
        if which == "round":
            return self._row(self._leaf("mi", which), "\N{FUNCTION APPLICATION}", "(", self._print(inside), ")")
        left, right = {"floor": ("⌊", "⌋"), "ceil": ("⌈", "⌉")}[which]
        return self._row(left, self._print(inside), right)

    def _print_Add(self, formula: Expr, order: str | None = None) -> Printed:
        terms = signed_terms(formula, MINUS)
        return self._row(*(part for sign, term in terms for part in (sign, self._print(term)) if part != ""))

    def _print_Integer(self, number: Expr) -> Printed:
        digits = self._leaf("mn", f"{abs(int(number)):,}")
        return self._row(MINUS, digits) if number.is_negative else digits

    def _print_Pow(self, power: Expr) -> Printed:
        exponent = power.args[1]
        return self._print_Mul(power) if exponent.is_number and exponent.is_negative else super()._print_Pow(power)

    def _print_Mod(self, remainder: Expr) -> Printed:
        known, m = remainder.args
        return self._row("(", self._print(known), self._leaf("mo", "mod"), self._print(m), ")")

    def _print_Relational(self, relation: sympy.Basic) -> Printed:
        return self._row(self._print(relation.lhs), SIGNS[relation.rel_op], self._print(relation.rhs))

    def _print_Symbol(self, symbol: sympy.Symbol, style: str = "plain") -> Printed:
        return self._leaf("mi", symbol.name)
