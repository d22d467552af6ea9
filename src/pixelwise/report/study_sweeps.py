"""What a setting does to a result: sweeps over a number, and bars of named choices, each seed shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ..errors import BadData
from .study_style import COLOURS, FAINT, INK, LETTERS, SMALL, WIDE, Look, escaped, looks, plain, titled

X = int | float  # such as a batch size, or a learning rate
Points = Mapping[str, Mapping[X, Sequence[float]]]
SEED = 2.6  # size of a seed's mark, in points


@dataclass(frozen=True)
class Panel:
    """One panel of a sweep.

    Args:
        points: for each series and each x the values of its seeds.
        x: what x is, with its unit.
        y: what the values are, with their unit.
        log_x: steps of equal ratio are equally wide.
        ticks: x of each tick and what it is called, such as {16: "16", 5000: "all"}; None: x of the points.
        title: above the panel.
        lines: reference values, by what they are called.
    """

    points: Points
    x: str
    y: str
    log_x: bool = False
    ticks: Mapping[X, str] | None = None
    title: str = ""
    lines: Mapping[str, float] | None = None


def sweep(
    points: Points,
    x: str,
    y: str,
    log_x: bool = False,
    ticks: Mapping[X, str] | None = None,
    *,
    title: str = "",
    lines: Mapping[str, float] | None = None,
) -> Figure:
    """One panel: a small mark for each seed, a line through the means; the arguments are those of `Panel`."""
    return sweeps([Panel(points, x, y, log_x, ticks, title, lines)])


def sweeps(panels: Sequence[Panel], title: str = "") -> Figure:
    """Several panels side by side, a series in the same colour and with the same marker in all, named once below.

    Raises:
        BadData: there is no panel, no point, or there are too many series to tell apart.
    """
    series = list(dict.fromkeys(label for panel in panels for label in panel.points))
    chosen = looks(series)
    wide = WIDE if len(panels) > 1 else 0.65 * WIDE
    named = len(series) > 1
    figure = Figure(figsize=(wide, 2.5 + 0.2 * named), layout="constrained")
    titled(figure, title)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, panel, chosen)
    if named:
        handles = {h.get_label(): h for axes in figure.axes for h in axes.lines if h.get_label() in chosen}
        figure.legend(
            handles=list(handles.values()),
            labels=[escaped(str(label)) for label in handles],
            loc="outside lower center",
            ncols=min(4, len(series)),
            frameon=False,
            fontsize=SMALL,
            labelcolor=INK,
        )
    return figure


def _panel(axes: Axes, panel: Panel, chosen: Mapping[str, Look]) -> None:
    plain(axes, panel.x, panel.y)
    axes.set_title(escaped(panel.title), fontsize=LETTERS, color=INK)
    for label, by_x in panel.points.items():
        if not by_x or not all(by_x.values()):
            raise BadData(f"{label!r} has an x without values; leave out what was not measured")
        look, places = chosen[label], sorted(by_x)
        seeds = [(x, value) for x in places for value in by_x[x]]
        axes.plot(
            *zip(*seeds, strict=True),
            linestyle="none",
            marker=look.marker,
            markersize=SEED,
            markeredgewidth=0,
            color=look.colour,
            alpha=0.75,
            zorder=3,
            label="_seeds",
        )
        means = [sum(by_x[x]) / len(by_x[x]) for x in places]
        axes.plot(
            places,
            means,
            color=look.colour,
            marker=look.marker,
            markersize=5.5,
            markerfacecolor="white",  # so that seeds near the mean are seen on it
            markeredgewidth=1.0,
            linewidth=1.2,
            label=label,
        )
    if panel.log_x:
        axes.set_xscale("log")
    ticks = panel.ticks or {x: f"{x:g}" for x in sorted({x for by_x in panel.points.values() for x in by_x})}
    axes.set_xticks(list(ticks), [escaped(name) for name in ticks.values()])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.06, y=0.1)
    for name, value in (panel.lines or {}).items():
        _reference(axes, name, value)


def _reference(axes: Axes, name: str, value: float) -> None:
    """A dotted level with its name above it at the left, and room for both."""
    low, high = axes.get_ylim()
    axes.axhline(value, color=FAINT, linestyle=":", linewidth=1.1, zorder=1)
    axes.set_ylim(min(low, value - 0.05 * (high - low)), max(high, value + 0.1 * (high - low)))
    axes.annotate(
        escaped(name),
        (0.02, value),
        (0, 1.5),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        va="bottom",
        fontsize=SMALL - 0.5,
        color=FAINT,
    )


def bars(
    values: Mapping[str, Sequence[float]],
    x: str,
    *,
    title: str = "",
    lines: Mapping[str, float] | None = None,
    written: str = "{:.1f}",
    start: float | None = None,
) -> Figure:
    """Bars of means from the top in the order given, with a point for each seed and the mean in figures.

    Args:
        values: the seeds' values of each choice.
        x: what the values are, with their unit.
        title: above the bars.
        lines: reference values, by what they are called.
        written: how a mean is written.
        start: None: bars start at 0. A number: the axis starts there, and there are points and ticks of the means in
            place of bars, whose lengths would mislead.

    Raises:
        BadData: there is nothing to draw, or a choice without values.
    """
    if not values or not all(values.values()):
        raise BadData("there is nothing to draw, or a choice has no values; leave out what was not measured")
    figure = Figure(figsize=(WIDE, 0.85 + 0.25 * len(values) + 0.15 * bool(lines)), layout="constrained")
    titled(figure, title)
    axes = figure.subplots()
    plain(axes, x, "")
    means = [sum(seeds) / len(seeds) for seeds in values.values()]
    if start is None:
        axes.barh(range(len(values)), means, height=0.62, color="#9cc7e4")
    else:
        axes.plot(
            means, range(len(values)), linestyle="none", marker="|", markersize=13, color=INK, markeredgewidth=1.6
        )
    for place, seeds in enumerate(values.values()):
        axes.plot(
            seeds, [place] * len(seeds), linestyle="none", marker="o", markersize=3.2, color=COLOURS[0], alpha=0.8
        )
        axes.annotate(
            written.format(means[place]),
            (max(*seeds, means[place]), place),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=INK,
        )
    axes.set_yticks(range(len(values)), [escaped(label) for label in values])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.tick_params(axis="y", length=0, labelsize=LETTERS)
    _span(axes, [v for seeds in values.values() for v in seeds] + list((lines or {}).values()), start)
    _columns(axes, lines or {})
    return figure


def _columns(axes: Axes, lines: Mapping[str, float]) -> None:
    """Reference values with their names above."""
    for name, value in lines.items():
        axes.axvline(value, color=FAINT, linestyle=":", linewidth=1.1, zorder=3)
        axes.annotate(
            escaped(name),
            (value, 1),
            (0, 1),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=SMALL,
            color=FAINT,
        )


def _span(axes: Axes, values: Sequence[float], start: float | None) -> None:
    """From the start, 0 if none is given, to a little beyond the greatest value, where the means are written."""
    low = min(0.0, *values) if start is None else start
    high = max(0.0, *values) if start is None else max(values)
    axes.set_xlim(low - (0.1 * (high - low) if low < 0 and start is None else 0), high + 0.1 * (high - low))
