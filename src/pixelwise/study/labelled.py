"""How many labelled pictures fine-tuning needs, and whether more than the last layer helps."""

import json
from collections.abc import Mapping
from typing import Any

from ..experiments import labelled
from ..report.document import Block, FigureBlock, Section, TableBlock
from ..report.study_sweeps import sweep
from ..report.tables import Table
from .blocks import answer, missing
from .deeplab import IOU
from .results import Outcome, Results
from .tables import SEGMENT, outcome_table
from .words import judged

MIB = 2**20


def labelled_section(results: Results) -> Section:
    """The curve, the table with seconds and bytes, and the answer."""
    outcomes = results.of(labelled.EXPERIMENT)
    done = {label: outcome for label, outcome in outcomes.items() if outcome.runs}
    every = labelled.label(("last",), 0)
    if every not in done:
        return Section("How many labelled pictures?", [missing([every], "labelled")])
    sentences = []
    for label, outcome in done.items():
        if label.startswith("last") and label != every:
            sentences.append(judged(outcome, done[every], IOU, "flower IoU"))
    for learn in ("head", "full"):
        for n in results.protocol.deep:
            pair = [done.get(labelled.label((which,), n)) for which in (learn, "last")]
            if pair[0] and pair[1]:
                sentences.append(judged(pair[0], pair[1], IOU, "flower IoU"))
    blocks: list[Block] = [
        answer(sentences),
        figure_of(results, done),
        TableBlock(with_costs(outcomes), "Flowers by number of labelled pictures and by what is trained"),
    ]
    return Section("How many labelled pictures, and is the last layer enough?", blocks)


def figure_of(results: Results, outcomes: Mapping[str, Outcome]) -> FigureBlock:
    """IoU over the number of labelled pictures."""
    every = len(results.protocol.flowers.train)
    points: dict[str, dict[float, list[float]]] = {}
    for learn in ("last", "head", "full"):
        for n in {*results.protocol.labelled, *results.protocol.deep}:
            outcome = outcomes.get(labelled.label((learn,), n))
            if outcome:
                points.setdefault(f"{learn} layer" if learn == "last" else learn, {})[float(n or every)] = (
                    outcome.values(IOU)
                )
    points = {name: dict(sorted(some.items())) for name, some in points.items()}
    ticks = {float(n or every): str(n) if n else f"all {every}" for n in results.protocol.labelled}
    figure = sweep(points, "labelled pictures", "flower IoU, 100 test pictures", log_x=True, ticks=ticks)
    words = "Flower IoU by number of labelled pictures: a mark for each seed, lines through the means"
    return FigureBlock(figure, words, alt=words)


def with_costs(outcomes: Mapping[str, Outcome]) -> Table:
    """The outcomes, with the bytes that backward keeps for four pictures, as each run has proven."""
    table = outcome_table(outcomes, (*SEGMENT[:3], SEGMENT[-1]), "trained, from")
    rows = []
    for row, outcome in zip(table.rows, outcomes.values(), strict=True):
        step = _step(outcome)
        rows.append(
            [*row, f"{step['trainable']:,}" if step else "", f"{step['kept_bytes'] / MIB:,.1f}" if step else ""]
        )
    return Table([*table.headings, "weights trained", "backward keeps (MiB for 4)"], rows)


def _step(outcome: Outcome) -> dict[str, Any] | None:
    """What a training step of four pictures costs, from a run's proof of freezing."""
    if not outcome.runs:
        return None
    proof = json.loads((outcome.runs[0].run / "freezing.json").read_text(encoding="utf-8"))
    step: dict[str, Any] | None = proof["step"]
    return step
