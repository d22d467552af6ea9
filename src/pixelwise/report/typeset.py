"""A document as PDF, set by typst: numbered sections, captions, mathematics, fonts inside. And formulas as MathML.

Everything is in one source text and in figures beside it in a temporary folder; nothing else is read, no package is
loaded, and the same document gives the same bytes.
"""

import io
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import typst
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..errors import BadSetting
from ..files import replacing
from .document import Document, FigureBlock, Piece, pieces
from .document_columns import columns, is_sideways, unbreakable
from .document_words import in_words
from .figures import save_vector
from .tables import Table

SPECIAL = re.compile(r"([\\`*_$#@<>\[\]~/=+\-'\".])")
LINE_ENDS = re.compile("[\n\r\v\f\x85\u2028\u2029]+")  # what typst takes for one
PRINT_DPI = 180  # of pictures as they are printed
LONG = 20  # rows, from which on a table may go on on the next page
PAGE_WIDTH, HIGHEST = 166.0, 105.0  # mm, of figures
POINTS = 72 / 25.4  # of a millimetre
MATHML = re.compile(r"<math.*?</math>", re.DOTALL)


def write_pdf(document: Document, path: Path) -> None:
    """Write a document as PDF, whole or not at all.

    Raises:
        BadSetting: a formula is not typst's mathematics.
        CannotWrite: the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = {id(block): drawn(block, folder, number) for number, block in enumerate(_figures(document))}
        (folder / "document.typ").write_text(source_of(document, figures), encoding="utf-8")
        pdf = compiled(folder / "document.typ", "pdf")
    with replacing(path) as beside:
        beside.write_bytes(pdf)


def source_of(document: Document, figures: dict[int, str]) -> str:
    """The document in typst's language.

    Args:
        document: what to write.
        figures: the file name of each figure block, by its identity.
    """
    environment = Environment(
        loader=PackageLoader("pixelwise.report"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"marked": marked, "plain": plain, "quoted": quoted, "columns": columns, "words": in_words}
    environment.filters |= {"sideways": _is_sideways, "parts": _parts}
    template = environment.get_template("document.typ.j2")
    widths = {id(block): f"{printed_width(block):.1f}mm" for block in _figures(document)}
    known = {"figures": figures, "widths": widths, "identity": id, "long": LONG}
    return template.render(document=document, kind=lambda block: type(block).__name__, **known)


def marked(text: str) -> str:
    """A text with its marks, in typst's language."""
    return "".join(_typst(piece) for piece in pieces(text))


def plain(text: str) -> str:
    """A text in typst's language in which nothing has a meaning."""
    return SPECIAL.sub(r"\\\1", LINE_ENDS.sub(" ", text))


def quoted(text: str) -> str:
    """A text as a string of typst's language."""
    return '"' + LINE_ENDS.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _typst(piece: Piece) -> str:
    if piece.kind == "math":
        return f"${piece.words}$"
    if piece.kind == "code":  # the semicolon ends it: a bracket behind it would be its arguments
        return f"#raw({quoted(piece.words)});"
    words = plain(piece.words)
    if piece.kind == "link":
        return f"#link({quoted(piece.address)})[{words}];"
    return {"text": words, "strong": f"#strong[{words}];", "emphasis": f"#emph[{words}];"}[piece.kind]


def _is_sideways(table: Table) -> bool:
    return is_sideways(table, PAGE_WIDTH * POINTS)


def _parts(cells: Iterable[str]) -> list[str]:
    """What must not be broken in the cells of a column, in typst's language."""
    return list(dict.fromkeys(marked(part) for cell in cells for part in unbreakable(cell)))


def compiled(source: Path, kind: Literal["pdf", "html"]) -> bytes:
    """What typst makes of a file.

    Raises:
        BadSetting: it is not typst's language.
    """
    try:
        made = typst.compile(str(source), root=str(source.parent), format=kind, ignore_system_fonts=True, timestamp=0)
    except typst.TypstError as error:
        raise BadSetting(f"typst cannot set this document ({error}); look for a formula that is not typst's") from None
    return bytes(made)


def mathml(formulas: Sequence[tuple[str, bool]]) -> list[str]:
    """Formulas as MathML, which browsers show by themselves.

    Args:
        formulas: each in typst's mathematics, and whether it stands on lines of its own.

    Raises:
        BadSetting: one is not typst's mathematics.
    """
    if not formulas:
        return []
    lines = [f"$ {formula} $" if display else f"${formula}$" for formula, display in formulas]
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "formulas.typ"
        source.write_text("\n\n".join(lines), encoding="utf-8")
        found = MATHML.findall(compiled(source, "html").decode())
    if len(found) != len(formulas):
        raise BadSetting(f"{len(formulas)} formulas gave {len(found)} pieces of MathML; one has two dollars or none")
    return found


def drawn(block: FigureBlock, folder: Path, number: int) -> str:
    """A figure as a file that typst reads: vectors, or pixels where it is made of pictures."""
    path = folder / f"figure-{number}.{'png' if block.pictures else 'svg'}"
    if block.pictures:
        path.write_bytes(png_of(block, PRINT_DPI * printed_width(block) / 25.4))
    else:
        save_vector(block.figure, path)
    return path.name


def png_of(block: FigureBlock, pixels: float) -> bytes:
    """A figure as PNG, about so many pixels wide."""
    data = io.BytesIO()
    dpi = pixels / block.figure.get_size_inches()[0]
    block.figure.savefig(data, dpi=dpi, format="png", metadata={"Software": None})
    return data.getvalue()


def printed_width(block: FigureBlock) -> float:
    """In mm: as wide as the page, or as high as two may stand on one."""
    width, height = block.figure.get_size_inches()
    return float(min(PAGE_WIDTH, HIGHEST * width / height))


def _figures(document: Document) -> list[FigureBlock]:
    return [block for block in document.blocks() if isinstance(block, FigureBlock)]
