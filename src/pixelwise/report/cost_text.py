"""What a network costs, in tables and words: for a terminal as they are, for documents in another notation."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import sympy

from ..accounting.account import WHAT, Account, Quantity, Row, in_words
from ..accounting.conditions import symbol
from .cost_math import SYMBOLS, unicode_formula
from .tables import Table

FORMULA_ROWS = 30  # at most, in a table of formulas
MOST_ROWS = 60  # beyond them those without weights and connections become one row
MOST_CONDITIONS, MOST_NAMES = 3, 3
PRODUCTS = "multiply-adds of everything with weights, zeros around the picture included, biases not"
COUNTED = {
    "units": "outputs of convolutions, pooling and enlarging",
    "every": "outputs of everything, sums, joins, BatchNorm and ReLU too",
    "final": "outputs of the network alone",
    "convolutions": PRODUCTS,
    "pooling": f"{PRODUCTS}; the values that pooling and enlarging look at",
    "learned": "of BatchNorm two weights a channel",
    "statistics": "of BatchNorm two weights a channel, and running mean and variance",
    "none": "of BatchNorm no weights",
}


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True)
class Notation:
    """How words, names of layers and formulas are written; what is given as words or names is made harmless."""

    text: Callable[[str], str]
    name: Callable[[str], str]
    formula: Callable[[sympy.Basic], str]

    def joined(self, between: str, parts: Iterable[str]) -> str:
        """What is written already, with words between."""
        return self.text(between).join(parts)


PLAIN = Notation(_as_it_is, _as_it_is, unicode_formula)


def heading(account: Account) -> str:
    """The network and the picture's size."""
    return f"{account.model} at {sides(account)}"


def sides(account: Account, times: int = 1) -> str:
    """The picture's rows and columns, or those of the doubled one."""
    height, width = account.size
    return f"{times * height:,} × {times * width:,}"


def settings(account: Account) -> str:
    """The widths with their values, in order: NF = 32, NC = 24, k = 3."""
    names = sorted(account.widths, key=lambda name: (SYMBOLS.index(name) if name in SYMBOLS else len(SYMBOLS), name))
    return ", ".join(f"{name} = {account.widths[name]:,}" for name in names)


def made_here(account: Account, row: Row) -> list[int]:
    """A layer's channels, rows and columns at this size."""
    named = {**account.widths, **dict(zip("HW", account.size, strict=True))}
    values = {symbol(name): value for name, value in named.items()}
    return [int(size.subs(values)) for size in row.made]


def totals_table(account: Account, notation: Notation = PLAIN, doubled: bool = True) -> Table:
    """Weights, outputs and connections: at this size, at the doubled one, and their ratio in words."""
    columns = slice(None) if doubled and account.doubled else slice(2)
    grown = {what: (f"{g.doubled.value:,}", notation.text(g.words)) for what, g in account.doubled.items()}
    rows = [[what, f"{account.totals[what].value:,}", *grown.get(what, ())][columns] for what in WHAT]
    return Table(["", f"at {sides(account)}", f"at {sides(account, 2)}", "ratio"][columns], rows)


def formula_values(account: Account, notation: Notation = PLAIN, doubled: bool = True) -> list[tuple[str, str]]:
    """The totals as formulas: in all widths and sizes, at this size, and doubled where that differs."""
    values = []
    for what in WHAT:
        total = account.totals[what]
        twice = account.doubled[what].doubled if account.doubled else total
        values.append((what, notation.formula(total.formula)))
        if total.at_size != total.formula and total.at_size.free_symbols:
            values.append((f"  at {sides(account)}", notation.formula(total.at_size)))
        if doubled and twice.formula != total.formula:
            here = twice.at_size.free_symbols
            values.append((f"  at {sides(account, 2)}", notation.formula(twice.at_size if here else twice.formula)))
    return values


def cost_table(account: Account, formulas: bool = False, notation: Notation = PLAIN) -> Table:
    """Layer by layer, with the totals below; formulas in place of values for networks with at most 30 layers.

    Args:
        account: what a network costs.
        formulas: whether formulas are wanted.
        notation: how names and formulas are written.
    """
    formulas = formulas and has_formula_table(account)
    again = any(row.calls > 1 for row in account.rows)
    shown = shown_rows(account)
    lines = [_line(account, row, formulas, again, notation) for row in shown]
    left_out = [row for row in account.rows if row not in shown]
    blank = [""] * (3 if again else 2)
    if left_out:
        lines.append([notation.text(f"and {len(left_out)} others"), *blank, *_sums(left_out)])
    if not formulas:
        lines.append([notation.text("together"), *blank, *(f"{account.totals[what].value:,}" for what in WHAT)])
    return Table(["layer", "kind", *(["calls"] if again else []), "size", *WHAT], lines)


def has_formula_table(account: Account) -> bool:
    """Whether the layers are few enough for a table of formulas."""
    return len(account.rows) <= FORMULA_ROWS


def shown_rows(account: Account) -> list[Row]:
    """All layers, or of many those with weights or connections."""
    if len(account.rows) <= MOST_ROWS:
        return list(account.rows)
    return [row for row in account.rows if row.counts["weights"].value or row.counts["connections"].value]


def _line(account: Account, row: Row, formulas: bool, again: bool, notation: Notation) -> list[str]:
    made: Iterable[str] = map(notation.formula, row.made) if formulas else (f"{n:,}" for n in made_here(account, row))
    calls = [str(row.calls)] if again else []
    counts = [_count(row.counts[what], formulas, notation) for what in WHAT]
    return [notation.name(row.name), notation.text(row.kind), *calls, notation.joined(" × ", made), *counts]


def _count(quantity: Quantity, formulas: bool, notation: Notation) -> str:
    if not quantity.value:
        return ""
    return notation.formula(quantity.formula) if formulas else f"{quantity.value:,}"


def _sums(rows: Sequence[Row]) -> list[str]:
    sums = [sum(row.counts[what].value for row in rows) for what in WHAT]
    return [f"{value:,}" if value else "" for value in sums]


def slips_table(account: Account, notation: Notation = PLAIN) -> Table:
    """Common mistakes: what they would give, and how many times what is right."""
    rows = []
    for words, quantity in account.slips.items():
        right = account.totals[words.partition(",")[0]].value
        rows.append([notation.text(words), f"{quantity.value:,}", notation.text(_off(quantity.value, right))])
    return Table(["common mistake", "gives", "which is"], rows)


def _off(wrong: int, right: int) -> str:
    """How far off, in a few words."""
    if wrong == right or not right:
        return "right here" if wrong == right else "too many"
    if wrong >= 2 * right:
        return f"×{wrong / right:.3g}"
    difference = abs(wrong - right)
    off = f"{difference / right:.0%}" if difference >= 0.01 * right else f"{difference:,}"
    return f"{off} too {'many' if wrong > right else 'few'}"


def remarks(account: Account, notation: Notation = PLAIN, doubled: bool = True) -> list[tuple[str, str]]:
    """What has to be known besides the numbers: where the formulas hold, what counts, where it was checked."""
    conditions = [
        notation.text(in_words(condition)) if condition.has(sympy.Mod) else notation.formula(condition)
        for condition in account.conditions
    ]
    said = [("widths", notation.text(settings(account)))] if account.widths else []
    if conditions:
        said.append(("holds where", _some(conditions, MOST_CONDITIONS, "; ", notation)))
    for what, growth in account.doubled.items() if doubled else ():
        if growth.because:
            names = _some([notation.name(name) for name in growth.because], MOST_NAMES, ", ", notation)
            said.append((f"{what} not ×4", notation.text("because of ") + names))
    said += [("note", notation.text(note)) for note in account.notes]
    said.append(("counted", notation.text(counted_words(account))))
    said.append(("checked", notation.text(account.checked)))
    return said


def counted_words(account: Account) -> str:
    """The convention, in words; and the running statistics, where they do not count."""
    convention = account.convention
    words = [COUNTED[convention.outputs], COUNTED[convention.connections], COUNTED[convention.normalization]]
    if account.statistics and convention.normalization != "statistics":
        words[-1] += f", not its {account.statistics:,} running means and variances"
    return "; ".join(words)


def _some(parts: Sequence[str], most: int, between: str, notation: Notation) -> str:
    shown = notation.joined(between, parts[:most])
    return shown if len(parts) <= most else shown + notation.text(f" and {len(parts) - most} more")
