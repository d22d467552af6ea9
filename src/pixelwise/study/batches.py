"""What the batch size does, at the same number of epochs and at the same number of updates."""

from collections.abc import Mapping

from ..experiments import batches
from ..report.document import FigureBlock, Section, TableBlock
from ..report.study_sweeps import Panel, sweeps
from .blocks import answer, gallery_block, missing
from .results import Outcome, Results, Value
from .tables import COLOUR, LEARNING, outcome_table
from .words import judged, judged_loss, judged_share


def batches_section(results: Results) -> Section:
    """Both halves."""
    halves = {
        "epochs": {s.label: results.outcome(s) for s in batches.fixed_epochs(results.protocol)},
        "updates": {s.label: results.outcome(s) for s in batches.fixed_updates(results.protocol)},
    }
    whole = all(any(outcome.runs for outcome in half.values()) for half in halves.values())
    blocks = [figure_of(results, halves)] if whole else []
    sections = [half_section(results, fixed, outcomes) for fixed, outcomes in halves.items()]
    return Section("What does the batch size do?", blocks, sections)


def half_section(results: Results, fixed: str, outcomes: Mapping[str, Outcome]) -> Section:
    """Batch sizes at the same number of epochs, or of updates."""
    heading = f"At the same number of {fixed}"
    done = [outcome for outcome in outcomes.values() if outcome.runs]
    if len(done) < 2:
        return Section(
            heading, [missing([label for label, outcome in outcomes.items() if not outcome.runs], "batches")]
        )
    small, large = done[0], done[-1]
    return Section(
        heading,
        [
            answer(
                [
                    judged_loss(small, large, "cross_entropy", "test cross-entropy"),
                    judged_share(small, large, "accuracy", "test accuracy"),
                    judged_loss(small, large, lambda run: run.gap, "the gap from training to validation loss"),
                    judged(small, large, lambda run: run.seconds, "time", more_is_better=False, digits=0, unit=" s"),
                ]
            ),
            TableBlock(outcome_table(outcomes, COLOUR + LEARNING, "`unet`"), f"The same number of {fixed}"),
            gallery_block(results, {small.label: small, large.label: large}, "The extremes, seed 0, test horses"),
        ],
    )


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
