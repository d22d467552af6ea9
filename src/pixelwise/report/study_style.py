"""How figures of a study look: as wide as a page of text, each series told apart by colour and by marker.

Sizes are true in print: a figure is 16 cm wide, and its smallest letters are 7 points high.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import BadData

WIDE = 6.3  # inches, 16 cm: the text of an A4 page
LETTERS, SMALL = 8.0, 7.0  # points
INK, FAINT = "#222222", "#777777"
# Okabe and Ito's set without its yellow, which white paper swallows; beside each a marker, for grey print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#777777")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
BAND = 0.18  # opacity of a band from the least to the greatest
LINE_HEIGHT = 1.25  # of a label, in heights of its letters


@dataclass(frozen=True)
class Look:
    """How one series is drawn."""

    colour: str
    marker: str


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """A look for each series, in their order.

    Raises:
        BadData: there is nothing to draw, or more series than can be told apart.
    """
    if not labels:
        raise BadData("there is nothing to draw; give at least one series")
    if len(labels) > len(COLOURS):
        raise BadData(f"{len(labels)} series in one panel; at most {len(COLOURS)} can be told apart, draw two figures")
    return {label: Look(*look) for label, look in zip(labels, zip(COLOURS, MARKERS, strict=True), strict=False)}


def plain(axes: Axes, x: str, y: str) -> None:
    """Axes with names, a faint grid to read values from, and no box around."""
    axes.set_xlabel(escaped(x), fontsize=LETTERS, color=INK)
    axes.set_ylabel(escaped(y), fontsize=LETTERS, color=INK)
    axes.tick_params(labelsize=SMALL, color=FAINT, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def titled(figure: Figure, title: str) -> None:
    """A title, if there is one."""
    if title:
        figure.suptitle(escaped(title), fontsize=LETTERS + 1.5, color=INK)


def label_ends(axes: Axes, ends: Mapping[str, tuple[float, float]], colours: Mapping[str, str]) -> None:
    """Name lines to the right of the axes, beside their ends; names that would overlap are moved apart.

    The limits of the axes must stand already, since places are worked out from them.

    Args:
        axes: where the lines are.
        ends: x and y of each line's end, by its label.
        colours: of each line.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    low, high = axes.get_ylim()
    inches = float(figure.get_figheight()) * 0.7  # about what titles and ticks leave of it
    step = SMALL * LINE_HEIGHT / 72 / inches
    order = sorted(ends, key=lambda label: ends[label][1])
    wanted = [_share(axes, ends[label][1], low, high) for label in order]
    for label, y in zip(order, spread(wanted, step), strict=True):
        axes.annotate(
            escaped(label),
            xy=ends[label],
            xytext=(1.06, y),
            textcoords="axes fraction",
            va="center",
            fontsize=SMALL,
            color=INK,
            arrowprops={
                "arrowstyle": "-",
                "color": colours[label],
                "linewidth": 0.9,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 2,
            },
            annotation_clip=False,
        )


def _share(axes: Axes, y: float, low: float, high: float) -> float:
    """How far up the axes a value is, from 0 to 1."""
    forward = axes.yaxis.get_transform().transform
    bottom, here, top = (float(forward(value)) for value in (low, y, high))
    return (here - bottom) / (top - bottom)


def spread(wanted: Sequence[float], step: float) -> list[float]:
    """Places at least `step` apart and as near to the wanted ones, which rise, as that allows.

    Places that are too near form a group, which stands evenly spaced around the mean of what its members want.
    """
    groups: list[list[float]] = []  # what the members of each want
    for place in wanted:
        groups.append([place])
        while len(groups) > 1 and _ends(groups[-1], step)[0] < _ends(groups[-2], step)[1] + step:
            last = groups.pop()
            groups[-1] += last
    return [_ends(group, step)[0] + step * i for group in groups for i in range(len(group))]


def _ends(group: Sequence[float], step: float) -> tuple[float, float]:
    """Where the first and the last of a group stand."""
    middle, half = sum(group) / len(group), step * (len(group) - 1) / 2
    return middle - half, middle + half


def escaped(text: str) -> str:
    """A text as it is; matplotlib reads formulas between dollars."""
    return text.replace("$", r"\$")
