"""A question's runs as a table: a line for each setting, mean ± standard deviation over its runs, and n."""

from collections.abc import Callable, Mapping, Sequence

from ..experiments.experiment import Experiment
from ..experiments.protocol import Protocol
from ..report.spread import spread
from ..report.tables import Table
from .results import Cost, Finished, Outcome, Results

MISSING = "missing"
FLOWER = "flower"
MIB = 2**20

# Heading, value of one run, digits, and what it is multiplied by.
Column = tuple[str, str | Callable[[Finished], float], int, float]

COLOUR: tuple[Column, ...] = (
    ("accuracy (%)", "accuracy", 1, 100.0),
    ("cross-entropy (nats)", "cross_entropy", 3, 1.0),
    ("PSNR (dB)", "psnr", 2, 1.0),
    ("CIEDE2000", "ciede2000", 2, 1.0),
    ("seconds", lambda run: run.seconds, 0, 1.0),
)
SEGMENT: tuple[Column, ...] = (
    ("flower IoU", lambda run: float(run.evaluation["iou"][FLOWER]), 3, 1.0),
    ("mean picture IoU", "mean_picture_iou", 3, 1.0),
    ("score", "thresholded_iou", 3, 1.0),
    ("score, void as background", "thresholded_iou_void_as_background", 3, 1.0),
    ("boundary F1", "boundary_f1", 3, 1.0),
    ("seconds of training", lambda run: run.seconds, 1, 1.0),
)
LEARNING: tuple[Column, ...] = (
    ("training loss (nats)", lambda run: run.kept.train_loss, 3, 1.0),
    ("validation loss (nats)", lambda run: run.validation_loss, 3, 1.0),
    ("gap (nats)", lambda run: run.gap, 3, 1.0),
    ("epoch kept", lambda run: run.kept.epoch, 0, 1.0),
)


def outcome_table(
    outcomes: Mapping[str, Outcome], columns: Sequence[Column], first: str = "", weights: bool = False
) -> Table:
    """A line for each setting.

    Args:
        outcomes: by what they are called.
        columns: what is shown of them.
        first: heading of the settings.
        weights: whether to say how many were learnt.
    """
    lines = []
    for label, outcome in outcomes.items():
        if not outcome.runs:
            lines.append([label, "0", *[MISSING] * (len(columns) + weights)])
            continue
        cells = [spread(outcome.values(value), digits, scale) for _, value, digits, scale in columns]
        learnt = [f"{outcome.runs[0].weights:,}"] if weights else []
        lines.append([label, str(len(outcome.runs)), *learnt, *cells])
    return Table([first, "n", *(["weights"] if weights else []), *(name for name, *_ in columns)], lines)


def cost_table(costs: Mapping[str, Cost]) -> Table:
    """A line for each step of fine-tuning: what was predicted, and what was measured."""
    headings = ["network, trained", "weights trained", "kept (MiB)", "measured", "gradients, Adam (MiB)"]
    headings += ["forward (GMAC)", "backward (GMAC)", "peak (MiB)", "measured", "seconds forward", "backward"]
    lines = []
    for label, cost in costs.items():
        told, seen = cost.predicted, cost.measured
        sizes = [told["kept_bytes"], seen["kept_bytes"], told["gradient_bytes"] + told["optimizer_bytes"]]
        peaks = [told["peak_bytes"], seen["peak_bytes"]]
        lines.append(
            [
                label,
                f"{told['trainable']:,}",
                *(_mebibytes(size) for size in sizes),
                *(f"{told[macs] / 1e9:,.3f}" for macs in ("forward_macs", "backward_macs")),
                *(_mebibytes(peak, 0) for peak in peaks),
                *(f"{min(seen[f'{way}_seconds']):.2f}" for way in ("forward", "backward")),
            ]
        )
    return Table(headings, lines)


def table_of(experiment: Experiment, protocol: Protocol, narrow: bool = False) -> Table:
    """What a question's runs say, in one table; a narrow one fits a terminal."""
    results = Results(protocol)
    if experiment.name == "memory":
        return cost_table(results.costs(experiment))
    outcomes = results.of(experiment)
    if experiment.part == "c":
        return outcome_table(outcomes, (*SEGMENT[:3], SEGMENT[-1]) if narrow else SEGMENT, "network")
    columns = (*COLOUR[:2], COLOUR[-1]) if narrow else COLOUR + LEARNING
    return outcome_table(outcomes, columns, "network", weights=True)


def _mebibytes(size: float | None, digits: int = 3) -> str:
    return "not known" if size is None else f"{size / MIB:,.{digits}f}"
