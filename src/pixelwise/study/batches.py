"""What the batch size does, at the same number of epochs and at the same number of updates."""

from collections.abc import Mapping

from ..experiments import batches
from ..report.document import Block, FigureBlock, Section, TableBlock
from ..report.study_sweeps import Panel, sweeps
from .blocks import answer, gallery_block, missing
from .results import Outcome, Results, Value
from .tables import COLOUR, LEARNING, outcome_table
from .words import judged


def batches_section(results: Results) -> Section:
    """Both halves."""
    halves = {
        "epochs": {s.label: results.outcome(s) for s in batches.fixed_epochs(results.protocol)},
        "updates": {s.label: results.outcome(s) for s in batches.fixed_updates(results.protocol)},
    }
    blocks: list[Block] = []
    for fixed, outcomes in halves.items():
        done = {label: outcome for label, outcome in outcomes.items() if outcome.runs}
        if len(done) < 2:
            blocks.append(missing([label for label in outcomes if label not in done], "batches"))
            continue
        smallest, largest = next(iter(done.values())), list(done.values())[-1]
        blocks += [
            answer(
                [
                    f"At the same number of {fixed}:",
                    judged(
                        smallest, largest, "cross_entropy", "test cross-entropy", more_is_better=False, unit=" nats"
                    ),
                    judged(
                        smallest,
                        largest,
                        lambda run: run.gap,
                        "gap between training and validation loss",
                        more_is_better=False,
                        unit=" nats",
                    ),
                    judged(smallest, largest, lambda run: run.seconds, "seconds", more_is_better=False, digits=0),
                ]
            ),
            TableBlock(outcome_table(outcomes, COLOUR + LEARNING, "`unet`"), f"The same number of {fixed}"),
            gallery_block(
                results, {smallest.label: smallest, largest.label: largest}, "The extremes, seed 0, test horses"
            ),
        ]
    if all(any(outcome.runs for outcome in half.values()) for half in halves.values()):
        blocks.insert(0, figure_of(results, halves))
    return Section("What does the batch size do?", blocks)


def figure_of(results: Results, halves: Mapping[str, Mapping[str, Outcome]]) -> FigureBlock:
    """Loss, gap and seconds over the batch size."""
    names = {"epochs": "same epochs", "updates": "same updates"}
    measures: dict[str, Value] = {
        "test cross-entropy (nats)": lambda run: float(run.evaluation["cross_entropy"]),
        "validation less training loss (nats)": lambda run: run.gap,
        "seconds": lambda run: run.seconds,
    }
    panels = [
        Panel(
            {
                names[fixed]: {
                    float(outcome.runs[0].train.batch_size): outcome.values(value)
                    for outcome in outcomes.values()
                    if outcome.runs
                }
                for fixed, outcomes in halves.items()
            },
            "pictures a step",
            words,
            log_x=True,
            ticks={float(batch): str(batch) for batch in results.protocol.batches},
        )
        for words, value in measures.items()
    ]
    return FigureBlock(
        sweeps(panels), "`unet` by batch size: a mark for each seed, lines through the means", alt="Three panels"
    )
