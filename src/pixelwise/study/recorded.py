"""What others recorded for the classic exercise, and whether it holds here.

Ranges over the runs of the published notebooks that have the exercise's settings: accuracies and cross-entropies of the
test horses, which served them as validation; thresholded scores with void counted as background. A range's ends come
from different notebooks, seeds unknown.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..experiments import batches, deeplab, plain, skips
from ..report.document import Block, Paragraph, Section, TableBlock
from ..report.spread import spread
from ..report.tables import Table
from .results import Outcome, Results
from .words import counted


@dataclass(frozen=True)
class Recorded:
    """One recorded range."""

    what: str
    low: float
    high: float
    runs: int
    find: Callable[[Results], Outcome | None]
    value: str


def _of(question: object, label: str) -> Callable[[Results], Outcome | None]:
    return lambda results: results.of(question.EXPERIMENT).get(label)  # type: ignore[attr-defined]


def _batch(size: int) -> Callable[[Results], Outcome | None]:
    def find(results: Results) -> Outcome | None:
        settings = {s.label: s for s in batches.fixed_epochs(results.protocol)}
        label = f"batch {size}, {results.protocol.epochs} epochs"
        return results.outcome(settings[label]) if label in settings else None

    return find


def _deeplab(results: Results) -> Outcome | None:
    given = results.protocol.deeplab
    return results.of(deeplab.EXPERIMENT).get(f"{given['name']}, void as background") if given else None


TABLE = (
    Recorded("cnn, accuracy", 0.407, 0.416, 8, _of(plain, "cnn"), "accuracy"),
    Recorded("cnn, cross-entropy", 1.576, 1.594, 8, _of(plain, "cnn"), "cross_entropy"),
    Recorded("unet, accuracy", 0.493, 0.500, 2, _of(skips, "unet"), "accuracy"),
    Recorded("unet, cross-entropy", 1.327, 1.355, 2, _of(skips, "unet"), "cross_entropy"),
    Recorded("unet, batch 10, accuracy", 0.505, 0.514, 3, _batch(10), "accuracy"),
    Recorded("unet, batch 50, accuracy", 0.482, 0.482, 1, _batch(50), "accuracy"),
    Recorded("last layer of DeepLabV3, score", 0.309, 0.365, 15, _deeplab, "thresholded_iou_void_as_background"),
)


def recorded_section(results: Results) -> Section:
    """Each recorded range beside what was measured here."""
    rows = []
    for line in TABLE:
        outcome = line.find(results)
        here, holds = "missing", "not answered"
        if outcome is not None and outcome.runs:
            values = outcome.values(line.value)
            here, holds = f"{spread(values)} ({counted(outcome)})", _holds(values, line)
        there = f"{line.low:.3f}" if line.low == line.high else f"{line.low:.3f} to {line.high:.3f}"
        rows.append([line.what, f"{there} ({line.runs})", here, holds])
    training, validation = (
        len(part) for part in (results.protocol.pictures.train, results.protocol.pictures.validation)
    )
    words = (
        "The recorded runs trained on all 5,000 horses and took the test horses for validation; here "
        f"{training:,} are trained on and {validation:,} kept aside, and a run ends with its best epoch on these. So a "
        "little less is to be expected. The recorded DeepLabV3 stands on ResNet-101."
    )
    blocks: list[Block] = [
        Paragraph(words),
        TableBlock(Table(["what", "recorded (runs)", "here", "does it hold?"], rows), "Recorded elsewhere, and here"),
    ]
    return Section("Do the recorded answers hold?", blocks)


def _holds(values: list[float], line: Recorded) -> str:
    mean = sum(values) / len(values)
    if line.low <= mean <= line.high:
        return "yes"
    if min(values) <= line.high and max(values) >= line.low:
        return "within the spread"
    return "higher here" if mean > line.high else "lower here"
