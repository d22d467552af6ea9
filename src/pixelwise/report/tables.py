"""Evaluations side by side: one row a model, the baselines beside them, the columns said once."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..evaluate import ColourEvaluation


@dataclass(frozen=True)
class Table:
    """Headings and rows of text; what stands where is the reader's to style."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table as Markdown, numbers to the right."""
        ruler = ["---", *["---:"] * (len(self.headings) - 1)]
        lines = [self.headings, ruler, *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


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
