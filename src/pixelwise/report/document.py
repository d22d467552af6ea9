"""A write-up as values: sections of paragraphs, formulas, tables, figures and verdicts. PDF and HTML are views of it.

Texts may hold `code`, *emphasis*, **strong**, [words](address) and $formulas$ in typst's mathematics; everything else
stands as it is. A backslash takes the meaning from the sign behind it, except within code. Marks do not nest.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.figure import Figure

from .tables import Table

MARKS = re.compile(
    r"\\(?P<plain>[\\`*$\[\]])"
    r"|`(?P<code>[^`]+)`"
    r"|\$(?P<math>(?:[^$\\]|\\.)+)\$"
    r"|\*\*(?=\S)(?P<strong>(?:[^*\\]|\\.)+)(?<=\S)\*\*"
    r"|\*(?=\S)(?P<emphasis>(?:[^*\\]|\\.)+)(?<=\S)\*"
    r"|\[(?P<words>(?:[^\]\\]|\\.)+)\]\((?P<address>https?://[^)\s]+)\)"
)
MEANING = re.compile(r"([\\`*$\[\]])")
TAKEN = re.compile(r"\\([\\`*$\[\]])")

Kind = Literal["text", "code", "math", "strong", "emphasis", "link"]


@dataclass(frozen=True)
class Piece:
    """A part of a text: what it is, its words, and the address that a link leads to."""

    kind: Kind
    words: str
    address: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """A text taken apart; neighbouring plain parts stay apart."""
    end = 0
    for found in MARKS.finditer(text):
        if found.start() > end:
            yield Piece("text", text[end : found.start()])
        end = found.end()
        kind = found.lastgroup or "plain"
        if kind == "plain":
            yield Piece("text", found["plain"])
        elif kind == "address":
            yield Piece("link", TAKEN.sub(r"\1", found["words"]), found["address"])
        else:
            kinds: dict[str, Kind] = {"code": "code", "math": "math", "strong": "strong", "emphasis": "emphasis"}
            words = found[kind] if kind in ("code", "math") else TAKEN.sub(r"\1", found[kind])
            yield Piece(kinds[kind], words)
    if end < len(text):
        yield Piece("text", text[end:])


def escaped(text: str) -> str:
    """Any text as one that stands in a document as it is."""
    return MEANING.sub(r"\\\1", text)


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list without numbers."""

    items: Sequence[str]


@dataclass(frozen=True)
class Equation:
    """A formula on lines of its own, in typst's mathematics."""

    math: str


@dataclass(frozen=True, eq=False)
class TableBlock:
    """A table with what it shows above it; cells may hold what texts hold."""

    table: Table
    caption: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class FigureBlock:
    """A figure with what it shows below it.

    Args:
        figure: lines and letters, or pictures.
        caption: what it shows.
        alt: the same for those who cannot see it; without it the caption is taken.
        pictures: whether it is made of pictures, whose pixels a vector drawing would blur or swell with.
    """

    figure: Figure
    caption: str
    alt: str = ""
    pictures: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a section's question is answered with, sentence by sentence; or that an answer is missing."""

    sentences: Sequence[str]
    kind: Literal["answer", "missing"] = "answer"
    short: int | None = 0  # which sentence stands for all of them in a summary; None: it has no part in one


Block = Paragraph | Points | Equation | TableBlock | FigureBlock | Verdict


@dataclass(frozen=True, eq=False)
class Section:
    """A heading with blocks, and sections below it."""

    heading: str
    blocks: Sequence[Block] = ()
    sections: Sequence["Section"] = ()


@dataclass(frozen=True, eq=False)
class Document:
    """A write-up from title to last line."""

    title: str
    subtitle: str
    abstract: Sequence[Block]
    sections: Sequence[Section]
    colophon: str
    language: str = field(default="en", kw_only=True)

    def blocks(self) -> Iterator[Block]:
        """Every block in the order of reading."""
        yield from self.abstract
        for section in self.sections:
            yield from _blocks(section)


def _blocks(section: Section) -> Iterator[Block]:
    yield from section.blocks
    for inner in section.sections:
        yield from _blocks(inner)
