"""How the columns of a table stand: numbers and formulas to the right, words to the left; and what is never broken."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .document import Piece, escaped, pieces
from .document_words import in_words
from .tables import Table

NUMBER = re.compile(r"[+\-−±~≈<>≤≥(\[]*\s*\.?\d")
PROSE = 32  # letters, above which a cell may stand on several lines
BLANKS = re.compile(r"[ \t\n\r]+")
SIGNS_AND_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|\\.|[()\[\]{}]| [+\-−=] ')
LETTER, GAP = 4.3, 8.0  # points: a letter of a table on average, and what lies between two columns
SMALLEST = 0.68  # of a table's letters, below which the table is better set sideways


@dataclass(frozen=True)
class Column:
    """One column: whether it stands to the right, and whether its cells are so long that lines are broken in them."""

    right: bool
    prose: bool


def columns(table: Table) -> list[Column]:
    """The columns of a table; the first stands to the left, since it says what the row is about."""
    cells = [[row[i] for row in table.rows] for i in range(len(table.headings))]
    return [Column(i > 0 and _is_numbers(column), _is_prose(column)) for i, column in enumerate(cells)]


def _is_numbers(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if in_words(cell).strip(" –-−")]
    numbers = [cell for cell in filled if cell.startswith("$") or NUMBER.match(in_words(cell))]
    return 2 * len(numbers) >= len(filled)


def _is_prose(cells: Sequence[str]) -> bool:
    return any(len(in_words(cell)) > PROSE for cell in cells)


def is_sideways(table: Table, points: float) -> bool:
    """Whether a table would need letters too small to be read where a page is so many points wide.

    Args:
        table: the table.
        points: the width of what stands on the page.
    """
    needed = 0.0
    for i, heading in enumerate(table.headings):
        cells = [row[i] for row in table.rows]
        whole = min(PROSE, max((len(in_words(cell)) for cell in cells), default=0))
        words = (len(in_words(word)) for text in (heading, *cells) for word in unbreakable(text))
        needed += LETTER * max(whole, *words, 1) + GAP
    return points < SMALLEST * needed


def unbreakable(text: str) -> list[str]:
    """The parts of a text in which no line may be broken, each with its marks: words, and terms of formulas."""
    parts = [""]
    for piece in pieces(text):
        split = list(_terms(piece.words)) if piece.kind == "math" else BLANKS.split(piece.words)
        for i, part in enumerate(split):
            if i:
                parts.append("")
            parts[-1] += _with_marks(piece, part) if part else ""
    return list(dict.fromkeys(part for part in parts if part))


def _with_marks(piece: Piece, part: str) -> str:
    if piece.kind == "link":
        return f"[{escaped(part)}]({piece.address})"
    sign = {"text": "", "code": "`", "math": "$", "strong": "**", "emphasis": "*"}[piece.kind]
    return f"{sign}{part if piece.kind in ('code', 'math') else escaped(part)}{sign}"


def _terms(math: str) -> Iterator[str]:
    """A formula cut where typst would break a line: behind a sign that stands in no bracket."""
    depth, begin = 0, 0
    for found in SIGNS_AND_BRACKETS.finditer(math):
        sign = found[0]
        if sign in "()[]{}":
            depth += 1 if sign in "([{" else -1
        elif sign.startswith(" ") and depth == 0:
            yield math[begin : found.end()].strip()
            begin = found.end()
    yield math[begin:].strip()
