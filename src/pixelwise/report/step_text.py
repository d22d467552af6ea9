"""What a step of fine-tuning needs, in tables and words; in another notation for documents, as cost_text.py."""

import statistics
from collections.abc import Mapping, Sequence

from ..accounting.finetuning import FineTuning, LayerCost
from ..accounting.measure import Measured
from ..accounting.step import TERMS
from .cost_text import PLAIN, Notation
from .tables import Table

MOST_LAYERS = 20
TERM_WORDS = {"kept": "bytes kept", "forward": "forward multiply-adds", "backward": "backward multiply-adds"}


def step_heading(cost: FineTuning) -> str:
    """What is trained, on how many pictures of what size."""
    trained = ", ".join(prefix.rstrip(".") or "everything" for prefix in cost.trains[:4])
    more = f" and {len(cost.trains) - 4} more" if len(cost.trains) > 4 else ""
    pictures = f"{cost.batch:,} picture{'s' * (cost.batch > 1)} of {cost.size[0]:,} × {cost.size[1]:,}"
    return f"Fine-tuning {trained}{more}: a step on {pictures}, {cost.precision}, {cost.optimizer}"


def step_table(cost: FineTuning, real: Measured | None = None, notation: Notation = PLAIN) -> Table:
    """Each term predicted, measured if it was, and for pictures of twice the width and height."""
    doubled = {term: growth.words for term, growth in cost.doubled.items()}
    found = _found(real) if real else {}
    predicted = {
        "trained parameters": f"{cost.trainable:,} of {cost.trainable + cost.frozen:,}",
        "parameters": in_bytes(cost.parameter_bytes),
        "gradients": in_bytes(cost.gradient_bytes),
        "the optimizer's numbers": in_bytes(cost.optimizer_bytes),
        "kept for backward": in_bytes(cost.kept.value),
        "highest memory": f"{in_bytes(cost.peak.bytes)}, {cost.peak.phase}" if cost.peak else "",
        "forward multiply-adds": f"{cost.forward.value:,}",
        "backward multiply-adds": f"{cost.backward.value:,}",
    }
    grows = {
        **dict.fromkeys(("trained parameters", "parameters", "gradients", "the optimizer's numbers"), "unchanged"),
        "kept for backward": doubled.get("kept", ""),
        "forward multiply-adds": doubled.get("forward", ""),
        "backward multiply-adds": doubled.get("backward", ""),
    }
    rows = [
        [name, predicted.get(name, ""), found.get(name, ""), grows.get(name, "")] for name in {**predicted, **found}
    ]
    headings = ["a step", "predicted", "measured", "doubled"]
    if real is None:
        headings, rows = _without_measured(headings), [_without_measured(row) for row in rows]
    return Table(headings, [[notation.text(cell) for cell in row] for row in rows])


def _found(real: Measured) -> dict[str, str]:
    """What was measured, by the names of the terms."""
    return {
        "gradients": in_bytes(real.gradient_bytes),
        "the optimizer's numbers": in_bytes(real.optimizer_bytes),
        "kept for backward": in_bytes(real.kept_bytes),
        "highest memory": "not known here" if real.peak_bytes is None else in_bytes(real.peak_bytes),
        "forward seconds": _seconds(real.forward_seconds),
        "backward and update seconds": _seconds(real.backward_seconds),
    }


def _without_measured(row: list[str]) -> list[str]:
    return [row[0], row[1], row[3]]


def step_formulas(cost: FineTuning, notation: Notation = PLAIN) -> list[tuple[str, str]]:
    """What is kept and computed, as formulas."""
    terms: Mapping[str, str] = {term: notation.formula(getattr(cost, term).formula) for term in TERMS}
    return [(TERM_WORDS[term], formula) for term, formula in terms.items()]


def step_layers(cost: FineTuning, notation: Notation = PLAIN) -> Table:
    """The layers that keep or learn something; of many the greatest, in the order of the network."""
    there = [row for row in cost.rows if row.kept.value or row.trained]
    great = sorted(there, key=lambda row: (row.kept.value, row.trained), reverse=True)[:MOST_LAYERS]
    lines = [_layer(row, notation) for row in there if row in great]
    if len(there) > len(great):
        rest = [row for row in there if row not in great]
        sums = [sum(row.trained for row in rest), sum(row.kept.value for row in rest)]
        macs = [sum(getattr(row, term).value for row in rest) for term in ("forward", "backward")]
        named = notation.text(f"and {len(rest)} others")
        lines.append([named, f"{sums[0]:,}", in_bytes(sums[1]), *(f"{value:,}" for value in macs)])
    return Table(["layer", "trained", "kept", "forward", "backward"], lines)


def _layer(row: LayerCost, notation: Notation) -> list[str]:
    values = [f"{row.trained:,}" if row.trained else "", in_bytes(row.kept.value) if row.kept.value else ""]
    macs = [f"{value:,}" if value else "" for value in (row.forward.value, row.backward.value)]
    return [notation.name(row.name), *values, *macs]


def step_remarks(cost: FineTuning, notation: Notation = PLAIN) -> list[tuple[str, str]]:
    """How far backward goes, and why."""
    said = [("backward starts at", notation.name(cost.starts_at))]
    if cost.leak:
        names = _some([notation.name(name) for name in cost.leak.layers], notation)
        trained = f" ({cost.leak.parameters:,} parameters) is trained although frozen layers come after it. Frozen "
        saved = (
            f"too, it would save {in_bytes(cost.leak.kept_bytes)} and {cost.leak.backward_macs:,} multiply-adds a step"
        )
        said.append(("leak", names + notation.text(trained + saved)))
    return [*said, *(("note", notation.text(note)) for note in cost.notes)]


def _some(names: Sequence[str], notation: Notation) -> str:
    shown = notation.joined(", ", names[:3])
    return shown if len(names) <= 3 else shown + notation.text(f" and {len(names) - 3} more")


def _seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} (n {len(values)})"


def in_bytes(value: int) -> str:
    """Bytes in the unit that people read, from a few on."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= size:
            return f"{value / size:,.2f} {unit}"
    return f"{value:,} bytes"
