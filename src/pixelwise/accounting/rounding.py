"""Sizes that are rounded down, in their simplest form.

    floor((floor(u / m) + c) / d) = floor((u + c m) / (m d))        for integers u, c and positive m, d

so that four halvings of H are ceiling(H/16).
"""

import sympy
from sympy import Expr


class Rounded(sympy.Function):  # type: ignore[misc]
    """To the nearest whole number, halves to the even side, as Python's round."""

    is_integer = True
    is_real = True

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        """Of a number, the number."""
        return sympy.Integer(round(x)) if x.is_Rational else None


def written_out(expression: sympy.Basic) -> sympy.Basic:
    """The expression with roundings in words that every sympy knows: ceiling((2 x - 1) / 4) + floor((2 x + 1) / 4)."""
    return expression.replace(Rounded, lambda x: sympy.ceiling((2 * x - 1) / 4) + sympy.floor((2 * x + 1) / 4))


def floor_of(numerator: Expr, d: int) -> Expr:
    """The ratio rounded down: whole parts before it, one floor inside another made one, -floor(-x) for ceiling."""
    whole, rest, constant = sympy.S.Zero, sympy.S.Zero, 0
    for term in sympy.Add.make_args(numerator):
        coefficient, factor = term.as_coeff_Mul()
        if factor == 1:
            constant = int(coefficient)
        elif coefficient.is_Integer and coefficient % d == 0:
            whole += term / d
        else:
            rest += term
    if rest == 0:
        return whole + constant // d
    if rest.could_extract_minus_sign():
        return whole - floor_of(-rest - constant + d - 1, d)
    inner, m = sympy.fraction(sympy.together(rest.args[0])) if isinstance(rest, sympy.floor) else (rest, sympy.S.Half)
    if m.is_Integer:
        return whole + floor_of(sympy.expand(inner + constant * m), int(m) * d)
    return whole + constant // d + sympy.floor((rest + constant % d) / d)


def ceilings(expression: sympy.Basic) -> sympy.Basic:
    """The expression with floor((x + m - 1) / m) written as ceiling(x / m), as people do."""

    def raised(inner: Expr) -> Expr:
        numerator, m = sympy.fraction(sympy.together(inner))
        constant, rest = sympy.expand(numerator).as_coeff_Add()
        return sympy.ceiling(rest / m) if m.is_Integer and m > 1 and constant == m - 1 else sympy.floor(inner)

    return expression.replace(sympy.floor, raised)


def floors(expression: sympy.Basic) -> sympy.Basic:
    """The expression with ceilings written as floors."""
    return expression.replace(sympy.ceiling, lambda inner: -sympy.floor(-inner))
