"""What a network costs, as one self-contained HTML page: formulas as MathML, the picture of shares inside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sympy
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ..accounting.account import WHAT, Account, Quantity, Row
from ..accounting.costs import Costs
from ..files import write_text
from .cost_figures import bars_in_words, cost_bars
from .cost_math import mathml_in_pieces
from .cost_text import Notation, made_here, remarks, settings, sides, slips_table, totals_table
from .page import figure_shown
from .step_text import step_formulas, step_heading, step_layers, step_remarks, step_table


@dataclass(frozen=True)
class Cell:
    """A value, and its formula where it has one."""

    value: str
    formula: Markup | None = None


@dataclass(frozen=True)
class Line:
    """One layer."""

    name: str
    kind: str
    calls: int
    size: Cell
    counts: list[Cell]


def html(costs: Costs) -> str:
    """The page."""
    account, step = costs.account, costs.step
    environment = Environment(
        loader=PackageLoader("pixelwise.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    notation = Notation(escape, code, breakable)
    bars, dark = (figure_shown(cost_bars(account, dark), bars_in_words(account)) for dark in (False, True))
    return environment.get_template("cost.html.j2").render(
        account=account,
        sides=[sides(account), sides(account, 2)],
        settings=settings(account),
        doubled={row[0]: row[1:] for row in totals_table(account).rows},
        formulas={what: _formulas(account, what) for what in WHAT},
        bars=bars,
        dark=dark,
        slips=slips_table(account) if account.slips else None,
        remarks=remarks(account, notation)[1 if account.widths else 0 :],
        lines=[_line(account, row) for row in account.rows],
        again=any(row.calls > 1 for row in account.rows),
        what=WHAT,
        step_heading=step_heading(step) if step else None,
        steps=[(real and real.device, step_table(step, real)) for real in costs.real or (None,)] if step else [],
        step_remarks=[*step_formulas(step, notation), *step_remarks(step, notation)] if step else [],
        step_layers=step_layers(step) if step else None,
    )


def write_cost_page(costs: Costs, path: Path) -> None:
    """Write the page, whole or not at all."""
    write_text(path, html(costs))


def code(name: str) -> Markup:
    """A name of a layer."""
    return Markup("<code>{}</code>").format(name)


def breakable(formula: sympy.Basic) -> Markup:
    """A formula that may go on in the next line."""
    return Markup(mathml_in_pieces(formula))


def _formulas(account: Account, what: str) -> Mapping[str, Markup]:
    """A total in all widths and sizes, at this size and doubled, each where it says something new."""
    total = account.totals[what]
    doubled = account.doubled[what].doubled if account.doubled else total
    said = {"in general": total.formula, f"at {sides(account)}": total.at_size, "doubled": doubled.formula}
    new = {formula: name for name, formula in reversed(said.items())}
    return {name: breakable(formula) for name, formula in said.items() if new[formula] == name and formula.free_symbols}


def _line(account: Account, row: Row) -> Line:
    made = Markup(" × ").join(breakable(size) for size in row.made)
    values = " × ".join(f"{n:,}" for n in made_here(account, row))
    size = Cell(values, made if any(size.free_symbols for size in row.made) else None)
    return Line(row.name, row.kind, row.calls, size, [_cell(row.counts[what]) for what in WHAT])


def _cell(quantity: Quantity) -> Cell:
    if not quantity.value:
        return Cell("")
    varies = bool(quantity.formula.free_symbols)
    return Cell(f"{quantity.value:,}", breakable(quantity.formula) if varies else None)
