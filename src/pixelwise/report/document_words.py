"""A document's texts without their marks: for those who cannot see a figure, and for tables that stand alone."""

import re

from .cost_math import SUPERSCRIPTS
from .document import pieces
from .tables import Table

UPRIGHT = re.compile(r'(?:upright|op|bold|italic)\(("[^"]*"|\w+)\)')
ROUNDED = re.compile(r"\b(ceil|floor)\(((?:[^()]|\([^()]*\))*)\)")
BRACKETS = {"ceil": ("⌈", "⌉"), "floor": ("⌊", "⌋")}
RAISED = re.compile(r"\^(?:\((\d+)\)|(\d))")
EXPONENT = re.compile(r"\^\((\w+)\)")


def in_words(text: str) -> str:
    """A text as it reads: code, strong words and links without marks, formulas in Unicode."""
    return "".join(_formula_in_words(p.words) if p.kind == "math" else p.words for p in pieces(text))


def table_in_words(table: Table) -> Table:
    """A table whose cells are read outside a document."""
    return Table([in_words(heading) for heading in table.headings], [[in_words(c) for c in row] for row in table.rows])


def _formula_in_words(math: str) -> str:
    """What is in typst's mathematics as unicode_formula would write it; what it has no sign for stays as it is."""
    plain = UPRIGHT.sub(r"\1", math).replace('"', "").replace(" thin ", "·").replace(" \\/ ", "/").replace("\\/", "/")
    before = ""
    while plain != before:  # one rounding may be in another
        before, plain = plain, ROUNDED.sub(_rounded, plain)
    raised = RAISED.sub(lambda found: (found[1] or found[2]).translate(SUPERSCRIPTS), plain)
    return EXPONENT.sub(r"^\1", raised).replace("\\", "")


def _rounded(found: re.Match[str]) -> str:
    left, right = BRACKETS[found[1]]
    return left + found[2].replace(" + ", "+").replace(" − ", "−") + right  # unbroken, as unicode_formula has it
