r"""What a network costs, as one document: Markdown as GitHub shows it, or LaTeX to be put into a paper with \input.

The LaTeX wants amsmath and booktabs, and nothing else.
"""

import re
from collections.abc import Sequence

import sympy

from ..accounting.account import WHAT, Account
from ..accounting.costs import Costs
from .cost_math import latex_formula, signed_terms, unicode_formula
from .cost_text import (
    Notation,
    cost_table,
    formula_values,
    has_formula_table,
    remarks,
    sides,
    slips_table,
    totals_table,
)
from .step_text import step_formulas, step_heading, step_layers, step_remarks, step_table
from .tables import Table

PAGE_ROWS = 40  # of a table in LaTeX, which does not break by itself
LINE_LETTERS = 50  # of a formula in one line of a page
MARKUP_OF_TEX = {
    **{character: f"\\{character}" for character in "_&%$#{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"{\char96}",
    '"': r"{\char34}",
    "×": r"$\times$",
    "≠": r"$\neq$",
    "≥": r"$\geq$",
    "\n": " ",
}


def markdown(costs: Costs) -> str:
    """The whole account as a Markdown document, with formulas in dollars."""
    account = costs.account
    notation = Notation(markdown_text, markdown_code, _in_dollars)
    parts = [
        f"# What {markdown_code(account.model)} costs at {sides(account)}",
        totals_table(account, notation).markdown(),
    ]
    formulas = formula_values(account, notation)
    parts.append("\n".join(f"{'  ' * name.startswith('  ')}- {name.strip()}: {said}" for name, said in formulas) + "\n")
    parts += ["## Layer by layer", _markdown_table(cost_table(account, notation=notation))]
    if has_formula_table(account):
        parts += ["The same as formulas:", _markdown_table(cost_table(account, formulas=True, notation=notation))]
    if account.slips:
        parts += ["## Common mistakes", _markdown_table(slips_table(account, notation))]
    parts += ["## What has to be known", _listed(remarks(account, notation))]
    if costs.step is not None:
        parts.append(f"## {markdown_text(step_heading(costs.step))}")
        for real in costs.real or (None,):
            parts += [f"Measured on {markdown_text(real.device)}:"] if real else []
            parts.append(step_table(costs.step, real, notation).markdown())
        parts.append(_listed([*step_formulas(costs.step, notation), *step_remarks(costs.step, notation)]))
        parts += ["### Where it is", step_layers(costs.step, notation).markdown()]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _listed(said: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- **{name}**: {words}" for name, words in said)


def markdown_text(text: str) -> str:
    """Words in which nothing is markup."""
    harmless = re.sub(r"([\\`*_{}\[\]#$~])", r"\\\1", re.sub(r"\s+", " ", text))
    return harmless.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_code(text: str) -> str:
    """A name as code, in which nothing is markup."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    inside = re.sub(r"\s+", " ", text)
    return f"{fence} {inside} {fence}" if longest else f"{fence}{inside}{fence}"


def _markdown_table(table: Table) -> str:
    """A table of what is written already; | would end a cell, even in code."""
    rows = [[cell.replace("|", r"\|") for cell in row] for row in table.rows]
    return Table(table.headings, rows).markdown()


def _in_dollars(formula: sympy.Basic) -> str:
    return f"${latex_formula(formula)}$"


def latex(costs: Costs) -> str:
    """The whole account as a fragment of LaTeX."""
    account = costs.account
    notation = Notation(latex_text, latex_code, _in_dollars)
    parts = [
        r"% needs \usepackage{amsmath} and \usepackage{booktabs}",
        rf"\subsection*{{{latex_code(account.model)} at {latex_text(sides(account))}}}",
        *(_equations(account, what) for what in WHAT),
        _tabulars(totals_table(account, notation)),
        _tabulars(cost_table(account, notation=notation)),
    ]
    if has_formula_table(account):
        parts.append(_tabulars(cost_table(account, formulas=True, notation=notation)))
    if account.slips:
        parts.append(_tabulars(slips_table(account, notation)))
    parts.append(_itemized(remarks(account, notation)))
    if costs.step is not None:
        parts.append(rf"\subsection*{{{latex_text(step_heading(costs.step))}}}")
        parts += [_tabulars(step_table(costs.step, real, notation)) for real in costs.real or (None,)]
        parts.append(_itemized([*step_formulas(costs.step, notation), *step_remarks(costs.step, notation)]))
        parts.append(_tabulars(step_layers(costs.step, notation)))
    return "\n\n".join(parts) + "\n"


def _itemized(said: Sequence[tuple[str, str]]) -> str:
    items = "\n".join(rf"\item {latex_text(name)}: {words}" for name, words in said)
    return f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}"


def latex_text(text: str) -> str:
    """Words in which nothing is a command."""
    return "".join(MARKUP_OF_TEX.get(character, character) for character in text)


def latex_code(text: str) -> str:
    """A name as typewriter text."""
    return rf"\texttt{{{latex_text(text)}}}"


def _equations(account: Account, what: str) -> str:
    """A total, from its formula to its value; what is the same twice stands once."""
    total = account.totals[what]
    said = list(dict.fromkeys([total.formula, total.at_size, sympy.Integer(total.value)]))
    lines = [line for formula in said for line in _broken(formula)]
    left = rf"\text{{{latex_text(what)}}} "
    return "\\begin{align*}\n" + left + " \\\\\n".join(lines) + "\n\\end{align*}"


def _broken(formula: sympy.Basic) -> list[str]:
    """A formula over as many lines as it needs."""
    lines, letters = ["&="], 0
    for sign, term in signed_terms(formula, "-"):
        wide = len(unicode_formula(term)) + 3
        if letters and letters + wide > LINE_LETTERS:
            lines.append(r"&\quad")
            letters = 0
        lines[-1] += f" {sign} {latex_formula(term)}" if sign else f" {latex_formula(term)}"
        letters += wide
    return lines


def _tabulars(table: Table) -> str:
    """A table in pieces that fit a page; what is written already stands as it is."""
    pieces = [table.rows[start : start + PAGE_ROWS] for start in range(0, len(table.rows), PAGE_ROWS)]
    return "\n\n".join(_tabular([latex_text(heading) for heading in table.headings], piece) for piece in pieces)


def _tabular(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = "l" + "r" * (len(headings) - 1)
    lines = [" & ".join(row) + r" \\" for row in rows]
    return "\n".join(
        [
            r"\begin{center}",
            r"\scriptsize\setlength{\tabcolsep}{3pt}",
            r"\makebox[\linewidth]{%",  # in the middle even where it is wider than the text
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(headings) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{center}",
        ]
    )
