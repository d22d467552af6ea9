"""A document as one self-contained HTML page: no scripts, nothing loaded, formulas as MathML, figures inside."""

import base64
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ..files import write_text
from .document import (
    Block,
    Document,
    Equation,
    FigureBlock,
    Paragraph,
    Piece,
    Points,
    Section,
    TableBlock,
    Verdict,
    pieces,
)
from .document_columns import columns
from .document_words import in_words
from .figures import save_vector
from .typeset import mathml, png_of

SCREEN_WIDTH = 1500.0  # pixels, of pictures: half as many again as a desktop shows


def write_html(document: Document, path: Path) -> None:
    """Write a document as a page, whole or not at all.

    Raises:
        BadSetting: a formula is not typst's mathematics.
        CannotWrite: the file cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("pixelwise.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    asked = list(dict.fromkeys(_formulas(document)))
    shown = dict(zip(asked, map(Markup, mathml(asked)), strict=True))

    def marked(text: str) -> Markup:
        return Markup("").join(_html(piece, shown) for piece in pieces(text))

    environment.filters |= {"marked": marked, "anchor": anchor, "source": source_of, "words": in_words}
    environment.filters |= {"columns": columns, "ratio": _ratio}
    environment.globals["formula"] = lambda equation: shown[(equation.math, True)]
    template = environment.get_template("document.html.j2")
    write_text(path, template.render(document=document, kind=lambda block: type(block).__name__))


def anchor(*numbers_and_heading: object) -> str:
    """A heading as an address within the page."""
    words = re.sub(r"[^a-z0-9]+", "-", " ".join(map(str, numbers_and_heading)).lower())
    return words.strip("-") or "section"


def source_of(block: FigureBlock) -> str:
    """A figure as an address that holds it."""
    if block.pictures:
        return f"data:image/png;base64,{base64.b64encode(png_of(block, SCREEN_WIDTH)).decode()}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figure.svg"
        save_vector(block.figure, path)
        return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _ratio(block: FigureBlock) -> str:
    """How much wider than high a figure is, so that high ones can be kept smaller than a screen."""
    width, height = block.figure.get_size_inches()
    return f"{width / height:.3f}"


def _html(piece: Piece, formulas: dict[tuple[str, bool], Markup]) -> Markup:
    if piece.kind == "math":
        return formulas[(piece.words, False)]
    words = escape(piece.words)
    if piece.kind == "link":
        return Markup('<a href="{}">{}</a>').format(piece.address, words)
    tags = {"code": "code", "strong": "strong", "emphasis": "em"}
    return Markup("<{0}>{1}</{0}>").format(Markup(tags[piece.kind]), words) if piece.kind in tags else words


def _formulas(document: Document) -> Iterator[tuple[str, bool]]:
    """Every formula, and whether it stands on lines of its own."""
    for block in document.blocks():
        if isinstance(block, Equation):
            yield block.math, True
    for text in _texts(document):
        yield from ((piece.words, False) for piece in pieces(text) if piece.kind == "math")


def _texts(document: Document) -> Iterator[str]:
    """Every text that may hold marks."""
    yield from (document.subtitle, document.colophon)
    yield from _headings(document.sections)
    for block in document.blocks():
        yield from _texts_of(block)


def _headings(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        yield section.heading
        yield from _headings(section.sections)


def _texts_of(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield text
        case Points(items) | Verdict(items):
            yield from items
        case TableBlock():
            yield from (block.caption, block.note, *block.table.headings)
            yield from (cell for row in block.table.rows for cell in row)
        case FigureBlock():
            yield block.caption
        case Equation():
            pass
