"""The write-up: all answers of a study in one document, as PDF and as a page, its tables and figures beside it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..experiments.experiment import Experiment, Part
from ..experiments.protocol import Protocol
from ..experiments.table import EXPERIMENTS
from ..files import write_text
from ..report.document import Document, FigureBlock, Paragraph, Points, Section, TableBlock, Verdict, escaped
from ..report.document_page import write_html
from ..report.document_words import table_in_words
from ..report.figures import save_figure, save_vector
from ..report.typeset import write_pdf
from .affine import affine_section
from .batches import batches_section
from .deeplab import deeplab_section
from .labelled import labelled_section
from .memory import doubling_section, memory_section
from .network import costs_section, network_section
from .plain import trained_section
from .recorded import recorded_section
from .results import Results
from .skips import comparison_section, reasons_section

REMARK = "remark.txt"  # what whoever ran the study has to say about it
PARTS: Mapping[Part, str] = {"a": "Colourization as classification", "b": "Skip connections", "c": "Fine-tuning"}
SECTIONS: Mapping[Part, Sequence[Callable[[Results], Section]]] = {
    "a": (
        lambda results: network_section("cnn", "The plain network"),
        trained_section,
        lambda results: costs_section("cnn"),
        affine_section,
    ),
    "b": (
        lambda results: network_section("unet", "The U-Net"),
        comparison_section,
        reasons_section,
        batches_section,
    ),
    "c": (deeplab_section, memory_section, doubling_section, labelled_section),
}


@dataclass(frozen=True)
class Written:
    """Where a write-up is, and what it says in short."""

    pdf: Path
    html: Path
    answers: Sequence[tuple[str, str]]  # sections, and what they say
    unanswered: Sequence[str]  # sections that lack runs

    def to_mapping(self) -> dict[str, Any]:
        """As JSON can hold it."""
        answers = [{"section": section, "answer": text} for section, text in self.answers]
        return {"pdf": str(self.pdf), "html": str(self.html), "answers": answers, "unanswered": list(self.unanswered)}


def questions_of(parts: Sequence[Part]) -> list[Experiment]:
    """The questions that belong to some parts."""
    return [experiment for experiment in EXPERIMENTS.values() if experiment.part in parts]


def write_up(protocol: Protocol, parts: Sequence[Part]) -> Written:
    """Write what the runs say that there are.

    Raises:
        PixelwiseError: a run that is there cannot be read, the data are missing, or the folder cannot be written.
    """
    document = document_of(Results(protocol), parts)
    pdf, html = protocol.out / "study.pdf", protocol.out / "study.html"
    write_pdf(document, pdf)
    write_html(document, html)
    write_pieces(document, protocol.out)
    said = list(_verdicts(document.sections))
    answers = [(name, " ".join(verdict.sentences)) for name, verdict in said if verdict.kind == "answer"]
    return Written(pdf, html, answers, [name for name, verdict in said if verdict.kind == "missing"])


def document_of(results: Results, parts: Sequence[Part]) -> Document:
    """All answers of some parts."""
    sections = [Section(PARTS[part], [], [section(results) for section in SECTIONS[part]]) for part in parts]
    closing = [recorded_section(results)] if set(parts) == set(PARTS) else []
    return Document(
        title="Every pixel is a classification problem",
        subtitle="The classic study of convolutional networks for pictures, measured",
        abstract=[Paragraph(_scope(results.protocol)), Points(in_short(sections))],
        sections=[*sections, *closing, protocol_section(results, parts)],
        colophon="Written by `pixelwise reproduce` from run folders; sentences that judge follow rules.",
    )


def in_short(sections: Sequence[Section]) -> list[str]:
    """One sentence of every answer."""
    answers = [(name, verdict) for name, verdict in _verdicts(sections) if verdict.kind == "answer"]
    return [f"*{name}* {verdict.sentences[verdict.short]}" for name, verdict in answers if verdict.short is not None]


def _scope(protocol: Protocol) -> str:
    quick = "This is a quick trial, whose numbers say little. " if protocol.quick else ""
    return (
        f"{quick}Every number is measured or worked out in this study; ± is the sample standard deviation over n "
        "runs that differ by their seed. Better and worse: Welch's 95 % interval of the difference of the means "
        "leaves out 0. An answer whose runs are missing says so."
    )


def protocol_section(results: Results, parts: Sequence[Part]) -> Section:
    """Data, settings, machine, versions."""
    protocol = results.protocol
    points = [f"seeds: {', '.join(map(str, protocol.seeds))}"]
    if {"a", "b"} & set(parts):
        data = protocol.pictures
        points.append(
            f"horses of CIFAR-10: {len(data.train):,} to train on, {len(data.validation):,} for validation, "
            f"{len(data.test):,} for test, split by content; SHA-256 of the test pictures {data.test.sha256[:16]}…"
        )
        points.append(
            f"training to colour: Adam at 0.001 in batches of 100, {protocol.epochs} epochs ({protocol.short_epochs} "
            "where beginnings are compared), and the epoch of lowest validation loss is kept"
        )
    if "c" in parts:
        flowers = protocol.flowers
        points.append(
            f"Oxford 17 flowers: {len(flowers.train):,} to train on, {len(flowers.validation):,} for validation, "
            f"{len(flowers.test):,} for test, split by content, long side 256 pixels"
        )
    found = results.environments(questions_of(parts))
    for name in ("pixelwise", "commit", "python", "torch", "processor", "cores", "threads"):
        points.append(f"{name}: {escaped(', '.join(_different(found, name)))}")
    days = sorted({environment["started"][:10] for environment in found})
    remark = protocol.out / REMARK
    points += [escaped(remark.read_text(encoding="utf-8").strip())] if remark.is_file() else []
    points.append(f"measured {' to '.join(dict.fromkeys([days[0], days[-1]]))}" if days else "no runs yet")
    return Section("Protocol", [Points(points)])


def _different(environments: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return sorted({str(environment.get(name)) for environment in environments}) or ["not known yet"]


def _verdicts(sections: Sequence[Section], above: str = "") -> Iterator[tuple[str, Verdict]]:
    """Every verdict with the section that it stands in."""
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Verdict):
                yield section.heading, block
        yield from _verdicts(section.sections)


def write_pieces(document: Document, out: Path) -> None:
    """Every table as text, Markdown, CSV and HTML, every figure as PNG, drawings as SVG too; numbered as they stand."""
    tables = (table_in_words(block.table) for block in document.blocks() if isinstance(block, TableBlock))
    for number, table in enumerate(tables, start=1):
        written = {"txt": table.text(), "md": table.markdown(), "csv": table.csv(), "html": table.html()}
        for ending, text in written.items():
            write_text(out / "tables" / f"table-{number:02}.{ending}", text)
    drawn = (block for block in document.blocks() if isinstance(block, FigureBlock))
    for number, block in enumerate(drawn, start=1):
        save_figure(block.figure, out / "figures" / f"figure-{number:02}.png")
        if not block.pictures:
            save_vector(block.figure, out / "figures" / f"figure-{number:02}.svg")
