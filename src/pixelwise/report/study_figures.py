"""Lines of a study with their spread over seeds: learning curves, and accuracy by distance to an edge."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..errors import BadData
from ..train import EpochRow
from .study_style import BAND, FAINT, SMALL, WIDE, Look, escaped, label_ends, looks, plain, titled

Runs = Sequence[Sequence[EpochRow]]
Value = Callable[[EpochRow], float | None]
MARKS = 6  # about so many on a line


def learning_curves(
    curves: Mapping[str, Runs],
    title: str = "",
    lookup: tuple[float, float] | None = None,
    *,
    training: bool = False,
    kept_to: int | None = None,
) -> Figure:
    """Validation cross-entropy and accuracy over the epochs: means over runs, and bands from the least to the greatest.

    A line ends with the last epoch that all of its runs have: a mean over fewer of them would jump.

    Args:
        curves: for each label the epochs of its runs, which differ by their seeds; at most eight labels.
        title: above both panels.
        lookup: the lookup's validation cross-entropy and accuracy (a share), drawn as the line to beat.
        training: also draw the means over runs of the training values, thin and dashed.
        kept_to: let the value axes show what happens from this epoch on; earlier lines may then leave the panels.

    Raises:
        BadData: there are no curves, too many, or one without validation values.
    """
    figure = Figure(figsize=(WIDE, 2.7), layout="constrained")
    titled(figure, title)
    panels = figure.subplots(1, 2)
    chosen = looks(list(curves))
    said: list[tuple[str, Value, Value, float | None]] = [
        (
            "validation cross-entropy (nats per pixel)",
            lambda row: row.validation_loss,
            lambda row: row.train_loss,
            lookup and lookup[0],
        ),
        (
            "validation accuracy (% of pixels)",
            lambda row: None if row.validation_accuracy is None else 100 * row.validation_accuracy,
            lambda row: 100 * row.train_accuracy,
            lookup and 100 * lookup[1],
        ),
    ]
    for axes, (name, validation, train, beaten) in zip(panels, said, strict=True):
        plain(axes, "epoch", name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        values = {label: _values(label, runs, validation) for label, runs in curves.items()}
        for place, (label, (epochs, table)) in enumerate(values.items()):
            line_with_band(axes, epochs, table, chosen[label], label, first_mark=place)
            if training:
                trained = _values(label, curves[label], train)
                axes.plot(
                    trained[0], trained[1].mean(axis=0), color=chosen[label].colour, linestyle="--", linewidth=0.7
                )
        if kept_to is not None:
            _show_from(axes, values, kept_to, beaten)
        if beaten is not None:
            _beaten(axes, beaten)
    ends = {label: (float(epochs[-1]), float(table.mean(axis=0)[-1])) for label, (epochs, table) in values.items()}
    label_ends(panels[1], ends, {label: look.colour for label, look in chosen.items()})
    return figure


def by_distance(
    shares: Mapping[str, Sequence[Sequence[float]]],
    distances: Sequence[str],
    title: str = "",
    x: str = "distance to the nearest edge (pixels)",
    y: str = "accuracy (% of pixels)",
) -> Figure:
    """A value in bins of distance to an edge: means over seeds, with bands from the least to the greatest.

    Args:
        shares: for each label and each seed one value a bin; in the unit that `y` says.
        distances: what the bins are called.
        title: above the panel.
        x: what the bins are.
        y: what the values are, with its unit.

    Raises:
        BadData: there are no values, or not as many as bins.
    """
    figure = Figure(figsize=(0.72 * WIDE, 2.8), layout="constrained")
    titled(figure, title)
    axes = figure.subplots()
    plain(axes, x, y)
    chosen = looks(list(shares))
    places, ends = np.arange(len(distances), dtype=np.float64), {}
    for label, seeds in shares.items():
        if not seeds or any(len(seed) != len(distances) for seed in seeds):
            raise BadData(f"{label!r} has {[len(s) for s in seeds]} values; expected {len(distances)} of each seed")
        table = np.asarray(seeds, dtype=np.float64)
        line_with_band(axes, places, table, chosen[label], label, every=1)
        ends[label] = (float(places[-1]), float(table.mean(axis=0)[-1]))
    axes.set_xticks(places, [escaped(name) for name in distances])
    label_ends(axes, ends, {label: look.colour for label, look in chosen.items()})
    return figure


def line_with_band(
    axes: Axes,
    x: Float64[np.ndarray, "p"],
    values: Float64[np.ndarray, "s p"],
    look: Look,
    label: str,
    *,
    every: int | None = None,
    first_mark: int = 0,
) -> None:
    """The mean over seeds as a line with markers; from the least to the greatest as a band, where there are several."""
    step = every or max(1, math.ceil(len(x) / MARKS))
    if len(values) > 1:
        axes.fill_between(
            x, values.min(axis=0), values.max(axis=0), color=look.colour, alpha=BAND, linewidth=0, zorder=1.5
        )
    axes.plot(
        x,
        values.mean(axis=0),
        color=look.colour,
        linewidth=1.3,
        label=escaped(label),
        marker=look.marker,
        markersize=3.5,
        markevery=(min(first_mark % step, len(x) - 1), step),
    )


def _values(label: str, runs: Runs, value: Value) -> tuple[Float64[np.ndarray, "p"], Float64[np.ndarray, "s p"]]:
    """The epochs that all runs have a value of, and the values, a row for each run."""
    known = [{row.epoch: v for row in run if (v := value(row)) is not None} for run in runs]
    epochs = sorted(set.intersection(*map(set, known))) if known else []
    if not epochs:
        raise BadData(f"the runs of {label!r} have no epoch with validation values in common; keep validation pictures")
    table = np.array([[run[epoch] for epoch in epochs] for run in known], dtype=np.float64)
    return np.array(epochs, dtype=np.float64), table


def _show_from(
    axes: Axes,
    values: Mapping[str, tuple[Float64[np.ndarray, "_"], Float64[np.ndarray, "_ _"]]],
    first: int,
    beaten: float | None,
) -> None:
    shown = [float(v) for epochs, table in values.values() for v in table[:, epochs >= first].flatten()]
    shown += [] if beaten is None else [beaten]
    if shown:
        low, high = min(shown), max(shown)
        air = 0.05 * ((high - low) or 1.0)
        axes.set_ylim(low - air, high + air)


def _beaten(axes: Axes, value: float) -> None:
    """The lookup's value as a dotted line; its name above the line, at the side where curves are far from it."""
    axes.axhline(value, color=FAINT, linestyle=":", linewidth=1.1, zorder=1)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, value - 0.04 * (high - low)), max(high, value + 0.09 * (high - low)))
    axes.annotate(
        f"lookup table {value:.3g}" if value < 10 else f"lookup table {value:.1f}",
        (1, value),
        (0, 1.5),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=SMALL - 0.5,
        color=FAINT,
    )
