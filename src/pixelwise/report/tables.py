"""Evaluations side by side: one row a model, the baselines beside them, the columns said once."""

import csv
import html
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluate.ceiling import SPACES, Ceiling
from ..evaluate.colour import ColourEvaluation
from ..evaluate.segment import Interval, SegmentEvaluation


@dataclass(frozen=True)
class Table:
    """Headings and rows of text; what stands where is the reader's to style."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table as Markdown, numbers to the right."""
        ruler = ["---", *["---:"] * (len(self.headings) - 1)]
        lines = [[_in_markdown(cell) for cell in line] for line in (self.headings, ruler, *self.rows)]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"

    def text(self) -> str:
        """The table in columns of letters of one width, numbers to the right."""
        lines = [self.headings, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = (
            [
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            for line in lines
        )
        return "".join("  ".join(line).rstrip() + "\n" for line in padded)

    def csv(self) -> str:
        """The table as comma-separated values."""
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows([self.headings, *self.rows])
        return written.getvalue()

    def html(self) -> str:
        """The table as a piece of HTML."""
        head = "".join(f"<th>{html.escape(heading)}</th>" for heading in self.headings)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in self.rows
        )
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"

    def to_mapping(self) -> list[dict[str, str]]:
        """A mapping from headings to cells for each row, as JSON can hold it; headings that come again are numbered."""
        names = [
            f"{name} {self.headings[:i].count(name) + 1}" if name in self.headings[:i] else name
            for i, name in enumerate(self.headings)
        ]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


def _in_markdown(cell: str) -> str:
    """A cell in which nothing ends the cell or the row; what has a backslash already stays."""
    return re.sub(r"(?<!\\)\|", r"\|", " ".join(cell.splitlines()))


def values_of(e: ColourEvaluation) -> list[tuple[str, str]]:
    """One evaluation, value by value, in words and units."""
    return [
        ("pictures, pixels", f"{e.pictures:,}, {e.pixels:,}"),
        ("cross-entropy (nats per pixel)", f"{e.cross_entropy:.4f}"),
        ("  the lookup's, the majority's", f"{e.lookup_cross_entropy:.4f}, {e.majority_cross_entropy:.4f}"),
        ("skill: the share of the lookup's that is saved", f"{e.skill:+.3f}"),
        ("accuracy, of the likeliest colour", f"{e.accuracy:.2%}"),
        ("  the lookup's, the majority's", f"{e.lookup_accuracy:.2%}, {e.majority_accuracy:.2%}"),
        ("accuracy, of the five likeliest", f"{e.accuracy_top5:.2%}"),
        ("balanced accuracy, mean over the colours", f"{e.balanced_accuracy:.2%}"),
        ("PSNR of the painted pictures (dB)", f"{e.psnr:.2f}"),
        ("  the grey picture's, the palette's ceiling", f"{e.psnr_grey:.2f}, {e.psnr_ceiling:.2f}"),
        ("CIEDE2000 colour difference", f"{e.ciede2000:.2f}"),
        ("  the grey picture's, the palette's ceiling", f"{e.ciede2000_grey:.2f}, {e.ciede2000_ceiling:.2f}"),
        ("colourfulness, the truth's", f"{e.colourfulness:.1f}, {e.colourfulness_truth:.1f}"),
    ]


def segment_values_of(e: SegmentEvaluation) -> list[tuple[str, str]]:
    """One evaluation, value by value, in words and units; an absent class has no IoU."""
    each = [
        line
        for name, iou in e.iou.items()
        for line in (
            (f"IoU of {name}", _with_interval(iou, e.iou_interval[name])),
            (
                "  with void as background, the commonest class's",
                f"{_or_absent(e.iou_void_as_background[name])}, {_or_absent(e.majority_iou[name])}",
            ),
        )
    ]
    return [
        ("pictures, labelled pixels", f"{e.pictures:,}, {e.pixels:,}"),
        ("pixel accuracy, the commonest class's", f"{e.pixel_accuracy:.2%}, {e.majority_pixel_accuracy:.2%}"),
        ("cross-entropy (nats per pixel)", f"{e.cross_entropy:.4f}"),
        *each,
        ("IoU, mean over the classes", _with_interval(e.miou, e.miou_interval)),
        ("foreground IoU, mean over the pictures", _with_interval(e.mean_picture_iou, e.mean_picture_iou_interval)),
        ("  thresholded", _with_interval(e.thresholded_iou, e.thresholded_iou_interval)),
        ("  thresholded, with void as background", _or_absent(e.thresholded_iou_void_as_background)),
        ("foreground boundary F1, mean over the pictures", _or_absent(e.boundary_f1)),
        ("in brackets", "95 % intervals over the pictures"),
    ]


def _or_absent(value: float) -> str:
    return "absent" if math.isnan(value) else f"{value:.3f}"


def _with_interval(value: float, interval: Interval) -> str:
    return "absent" if math.isnan(value) else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def comparison(evaluations: Sequence[ColourEvaluation], costs: Sequence[tuple[int, float]]) -> Table:
    """Models on one split between floor and ceiling, with their weights and training seconds; narrow, for a terminal.

    Args:
        evaluations: one for each model, all of the same split.
        costs: learned weights and training seconds of each.
    """
    first = evaluations[0]
    headings = ["model", "accuracy", "loss", "skill", "PSNR dB", "CIEDE2000", "weights", "seconds"]
    floor = [
        ["grey as it is", *[""] * 3, f"{first.psnr_grey:.1f}", f"{first.ciede2000_grey:.1f}", "", ""],
        ["majority", f"{first.majority_accuracy:.1%}", f"{first.majority_cross_entropy:.3f}", *[""] * 5],
    ]
    rows = [
        [e.model, *_scores(e), f"{weights:,}", f"{seconds:.0f}"]
        for e, (weights, seconds) in zip(evaluations, costs, strict=True)
    ]
    best = [f"{first.psnr_ceiling:.1f}", f"{first.ciede2000_ceiling:.1f}"]
    return Table(headings, [*floor, *rows, ["ceiling", "100.0%", "0.000", "+1.000", *best, "", ""]])


def _scores(e: ColourEvaluation) -> list[str]:
    scores = [f"{e.accuracy:.1%}", f"{e.cross_entropy:.3f}", f"{e.skill:+.3f}"]
    return [*scores, f"{e.psnr:.1f}", f"{e.ciede2000:.1f}"]


def ceiling_table(found: Sequence[Ceiling]) -> Table:
    """Rows of numbers of colours, two columns for each space."""
    names = {"rgb": "RGB", "lab": "Lab chroma", "oklab": "OKLab chroma"}
    known = {(ceiling.num_colours, ceiling.space): ceiling for ceiling in found}
    rows = []
    for k in sorted({ceiling.num_colours for ceiling in found}):
        of_k = [known.get((k, space)) or known.get((k, "grey")) for space in SPACES]
        cells = [cell for c in of_k for cell in ((f"{c.psnr:.2f}", f"{c.ciede2000:.2f}") if c else ("", ""))]
        rows.append([str(k) if k else "grey", *cells])
    return Table(["colours", *(f"{names[s]}, {what}" for s in SPACES for what in ("dB", "dE"))], rows)
