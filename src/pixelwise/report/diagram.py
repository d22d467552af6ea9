"""A network drawn from what it does: boxes in the order of computation, lower where the picture is smaller.

The left side of a box is as high as the picture that comes in, its right side as the one that goes out. Dark arrows go
from each box to the next one, coloured ones around others: the skip connections.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from torch import nn

from .diagram_flow import Box, boxes_of, side
from .diagram_trace import recorded
from .diagram_words import size_said
from .figures import ORANGE
from .study_style import INK, SMALL, WIDE, escaped, titled

LETTERS = SMALL - 0.5  # points
LINE = LETTERS * 1.2 / 72  # inches
GAP, NARROW_GAP = 0.15, 0.12  # between columns, in inches; where letters stand upright there are more of them
HIGHEST, LOWEST = 0.85, 1 / 8  # box of the largest picture in inches; the smallest one's at least, as a share of it
EDGE = 0.04  # from the side of a box to where an arrow leaves its upper edge
JOIN = 2 * EDGE  # width of the bar where tensors come together
LONGEST = 34  # letters in a line that stands upright
FILLS = {"picture": "#e6e6e6", "learned": "#cfe3f2", "join": "#f7d5c0", "other": "#f3f3f3"}


@dataclass
class Place:
    """Where a box stands, in inches, and its letters."""

    left: float  # of its column, which has room for letters
    right: float
    body: float  # width of the box in the middle of the column
    y: float  # of its middle
    before: float  # heights of its two sides
    after: float
    lines: list[str]

    @property
    def sides(self) -> tuple[float, float]:
        """Left and right side of the box."""
        middle = (self.left + self.right) / 2
        return middle - self.body / 2, middle + self.body / 2

    @property
    def top(self) -> float:
        """Its highest point."""
        return self.y + max(self.before, self.after) / 2

    @property
    def bottom(self) -> float:
        """Its lowest point."""
        return self.y - max(self.before, self.after) / 2


def diagram(
    model: nn.Module,
    size: tuple[int, int] = (32, 32),
    channels: int = 1,
    title: str = "",
    *,
    depth: int | None = None,
    training: bool = False,
) -> Figure:
    """A drawing of a network for pictures of some size; the network is run once, in a copy, and stays as it is.

    Under each box stand its steps, and the channels and size of what comes out: 32 @ 16×16.

    Args:
        model: takes pictures of shape (n, channels, rows, columns), 0 to 1.
        size: rows and columns.
        channels: of the pictures.
        title: above the drawing.
        depth: how deep modules in modules are opened; None: as deep as gives at most 20 boxes.
        training: as while training, with dropout; else as when asked for an answer.

    Raises:
        BadSetting: the network fails on such pictures, its steps cannot be followed, or there are too many boxes.
    """
    boxes = boxes_of(recorded(model, size, channels, training), depth)
    lying = placed(boxes, upright=False)
    upright = lying[-1].right > WIDE + 0.5
    places = placed(boxes, upright=True) if upright else lying
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for box, place in zip(boxes, places, strict=True):
        _draw_box(axes, box, place, upright)
    top = _draw_arrows(axes, boxes, places)
    low = min(place.bottom - _deep(place, box, upright) for box, place in zip(boxes, places, strict=True))
    right = places[-1].right
    aside = max(0.0, WIDE - 0.2 - right) / 2  # a small network is not blown up where figures are made equally wide
    axes.set_xlim(-aside - 0.05, right + aside + 0.05)
    axes.set_ylim(low - 0.04, top + 0.05)
    axes.set_aspect("equal")
    axes.set_axis_off()
    figure.set_size_inches(right + 2 * aside + 0.2, top - low + 0.19 + 0.22 * bool(title))
    titled(figure, title)
    return figure


def placed(boxes: Sequence[Box], upright: bool) -> list[Place]:
    """Places of boxes from left to right, each level of size below the larger ones.

    Args:
        boxes: in the order of computation.
        upright: letters run upwards, so that columns are narrow.
    """
    sides = [side(shape) for box in boxes for shape in (box.entering, box.leaving)]
    largest, ratio = max(sides), max(sides) / min(sides)
    bend = min(1.0, math.log(1 / LOWEST) / math.log(ratio)) if ratio > 1 else 1.0
    heights = {rows: HIGHEST * (rows / largest) ** bend for rows in sides}
    levels = {rows: round(math.log2(largest / rows)) for rows in sides}
    middles, y, above = {}, 0.0, None
    for level in sorted({levels[side(box.leaving)] for box in boxes}):
        highest = max(height for rows, height in heights.items() if levels[rows] == level)
        y -= 0.0 if above is None else 0.5 * above + 0.14
        middles[level], above = y, highest
    places, x = [], 0.0
    for box in boxes:
        lines = _lines(box, upright)
        wide = LINE if box.joins else len(lines) * LINE if upright else max(map(_width, lines))
        before, after = heights[side(box.entering)], heights[side(box.leaving)]
        before = after if box.joins else before
        body = JOIN if box.joins else wide
        places.append(Place(x, x + wide, body, middles[levels[side(box.leaving)]], before, after, lines))
        x += wide + (NARROW_GAP if upright else GAP)
    return places


def _lines(box: Box, upright: bool) -> list[str]:
    """What stands under a box; the last line is the size of what comes out."""
    size = size_said(box.leaving)
    if box.joins:
        return [f"{', '.join(box.steps)}, {size}"]
    if not upright:
        return [*box.steps, size]
    lines = [""]
    for step in box.steps:
        if lines[-1] and len(lines[-1]) + len(step) + 2 > LONGEST:
            lines.append("")
        lines[-1] += f", {step}" if lines[-1] else step
    return [*lines, size]


def _width(text: str) -> float:
    return float(TextPath((0, 0), escaped(text), size=LETTERS).get_extents().width) / 72 + 0.03


def _deep(place: Place, box: Box, upright: bool) -> float:
    """How far letters reach below their box."""
    return 0.05 + (max(map(_width, place.lines)) if upright or box.joins else len(place.lines) * LINE)


def _draw_box(axes: Axes, box: Box, place: Place, upright: bool) -> None:
    kind = "join" if box.joins else "learned" if box.learned else "other" if box.inputs else "picture"
    middle = (place.left + place.right) / 2
    left, right = place.sides
    corners = [
        (left, place.y - place.before / 2),
        (left, place.y + place.before / 2),
        (right, place.y + place.after / 2),
        (right, place.y - place.after / 2),
    ]
    edge = ORANGE if box.joins else INK
    axes.add_patch(Polygon(corners, facecolor=FILLS[kind], edgecolor=edge, linewidth=0.7, zorder=2, label=box.name))
    turned = upright or box.joins
    for number, line in enumerate(place.lines):
        x, y = middle, place.bottom - 0.04 - number * LINE
        if turned:
            x, y = middle + (number - (len(place.lines) - 1) / 2) * LINE, place.bottom - 0.04
        axes.text(
            x,
            y,
            escaped(line),
            rotation=90 if turned else 0,
            ha="center",
            va="top",
            fontsize=LETTERS,
            color=INK,
            weight="bold" if number == len(place.lines) - 1 and not box.joins else "normal",
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85},
        )


def _draw_arrows(axes: Axes, boxes: Sequence[Box], places: Sequence[Place]) -> float:
    """Every edge; those that cannot go straight pass above, each in a lane of its own. Returns the highest point."""
    top, lanes = max(place.top for place in places), list[tuple[int, int, float]]()
    for end, box in enumerate(boxes):
        for start in sorted(box.inputs, reverse=True):
            skip = start != end - 1
            points, height = _way(places, start, end, lanes)
            top = max(top, height)
            axes.add_patch(
                FancyArrowPatch(
                    path=Path(points),
                    arrowstyle="-|>,head_length=2.6,head_width=1.5",
                    color=ORANGE if skip else INK,
                    linewidth=1.1 if skip else 0.8,
                    linestyle=(0, (4, 1.5)) if skip else "-",
                    shrinkA=0,
                    shrinkB=0,
                    zorder=3,
                    joinstyle="miter",
                    capstyle="butt",
                )
            )
    return top


def _way(
    places: Sequence[Place], start: int, end: int, lanes: list[tuple[int, int, float]]
) -> tuple[list[tuple[float, float]], float]:
    """The corners of an arrow: at the height of where it starts, if nothing stands there, else above everything."""
    a, b, between = places[start], places[end], places[start + 1 : end]
    out, into = a.sides[1], b.sides[0]
    free = all(not place.bottom - 0.02 <= a.y <= place.top + 0.02 for place in between)
    if free:
        if not between or a.y == b.y:
            return [(out, a.y), (into, b.y)], a.y
        turn = b.left - NARROW_GAP / 2
        return [(out, a.y), (turn, a.y), (turn, b.y), (into, b.y)], a.y
    height = max(place.top for place in places[start : end + 1]) + 0.1
    taken = [lane for first, last, lane in lanes if first <= end and start <= last]
    while any(abs(height - lane) < 0.07 for lane in taken):
        height += 0.08
    lanes.append((start, end, height))
    x, y = out - EDGE, into + EDGE  # what goes out leaves the right side, what comes in comes to the left one
    return [(x, a.y + a.after / 2), (x, height), (y, height), (y, b.y + b.before / 2)], height
