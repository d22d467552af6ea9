"""What a network confuses, and its best and worst pictures."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from ..errors import BadData
from ..shapes import Pixels
from .figures import GAP, joined
from .study_style import FAINT, INK, LETTERS, SMALL, WIDE, escaped, titled

LUMA = (0.2126, 0.7152, 0.0722)  # of linear red, green and blue (ITU-R BT.709)
WRITTEN = 0.25  # shares from here on are also written, in per cent: smaller squares have no room for digits


def confusion_swatches(counts: Int64[Tensor, "k k"], colours: Sequence[str], title: str = "") -> Figure:
    """What each colour of a palette is answered with: one row a true colour, one column an answer, darkest first.

    The area of a square is the share of the true colour's pixels that got the answer; a square fills its cell at
    100 %. Squares lie in the answer's own colour, with the right answers framed. Shares of a quarter and more are also
    written, in per cent. On the left stands what share of all pixels has the true colour.

    Args:
        counts: pixels by [truth, answer].
        colours: of the palette, as #rrggbb.
        title: above the table.

    Raises:
        BadData: there are not as many colours as rows, or no pixels.
    """
    if len(colours) != len(counts) or not int(counts.sum()):
        raise BadData(f"{len(colours)} colours for counts {tuple(counts.shape)} of {int(counts.sum())} pixels")
    order = sorted(range(len(colours)), key=lambda i: (lightness(colours[i]), i))
    table = counts.numpy()[np.ix_(order, order)].astype(np.float64)
    shades, k = [colours[i] for i in order], len(colours)
    rows = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, rows, out=np.zeros_like(table), where=rows > 0)
    figure = Figure(figsize=(WIDE, WIDE * 0.97), layout="constrained")
    titled(figure, title)
    axes = figure.subplots()
    squares, fills, edges = [], [], []
    for truth, answer in zip(*np.nonzero(shares), strict=True):
        side = math.sqrt(shares[truth, answer])
        squares.append(Rectangle((answer - side / 2, truth - side / 2), side, side))
        fills.append(shades[answer])
        edges.append(INK if truth == answer else FAINT)
        if shares[truth, answer] >= WRITTEN:
            light = lightness(shades[answer]) > 0.5
            axes.text(
                answer,
                truth,
                f"{100 * shares[truth, answer]:.0f}",
                ha="center",
                va="center_baseline",
                fontsize=min(SMALL - 0.5, 150 / k),
                color="black" if light else "white",
            )
    axes.add_collection(PatchCollection(squares, facecolors=fills, edgecolors=edges, linewidths=0.5))
    _frame(figure, shades, (rows[:, 0] / rows.sum()).tolist())
    return figure


def _frame(figure: Figure, shades: Sequence[str], frequency: Sequence[float]) -> None:
    """Swatches of the palette along both axes, and how frequent each true colour is."""
    axes, k = figure.axes[0], len(shades)
    for place, shade in enumerate(shades):
        for corner in ((-1.65, place - 0.5), (place - 0.5, -1.65)):
            axes.add_patch(Rectangle(corner, 1, 1, facecolor=shade, edgecolor="white", linewidth=0.6, clip_on=False))
    axes.set_xlim(-1.7, k - 0.4)
    axes.set_ylim(k - 0.4, -1.7)
    axes.set_aspect("equal")
    axes.set_xticks([])
    said = [f"{100 * share:.1f} %" if share >= 0.0005 or not share else "<0.1 %" for share in frequency]
    axes.set_yticks(range(k), said, fontsize=min(SMALL, 170 / k), color=FAINT)
    axes.tick_params(length=0)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("answer, dark to light", fontsize=LETTERS, color=INK)
    axes.set_ylabel("truth, dark to light; its share of all pixels", fontsize=LETTERS, color=INK)
    for place in range(k + 1):
        axes.plot([place - 0.5, place - 0.5], [-0.5, k - 0.5], color="#e6e6e6", linewidth=0.4, zorder=0)
        axes.plot([-0.5, k - 0.5], [place - 0.5, place - 0.5], color="#e6e6e6", linewidth=0.4, zorder=0)
    axes.spines[:].set_visible(False)


def lightness(colour: str) -> float:
    """How light #rrggbb looks, from 0 to 1: CIE L* divided by 100."""
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
        for v in (byte / 255 for byte in bytes.fromhex(colour.removeprefix("#")))
    ]
    luminance = sum(weight * value for weight, value in zip(LUMA, linear, strict=True))
    return (116 * luminance ** (1 / 3) - 16) / 100 if luminance > 216 / 24389 else luminance * 24389 / 2700


def best_and_worst(
    rows: Sequence[tuple[str, Pixels]],
    scores: Sequence[float],
    score: str,
    *,
    title: str = "",
    shown: int = 8,
    higher_is_better: bool = True,
    written: str = "{:.2f}",
) -> Figure:
    """The best pictures in one block and the worst in another, in rows such as grey, truth and answers.

    Args:
        rows: label and n pictures each, in the order of the rows.
        scores: one for each picture; NaN where there is none, which is left out.
        score: what the scores are, with their unit.
        title: above both.
        shown: how many columns a block has; each block has at most half of the pictures, so that none is in both.
        higher_is_better: of accuracy it is, of a loss it is not.
        written: how a score is written above its picture.

    Raises:
        BadData: fewer than two pictures have scores, or there are not as many scores as pictures.
    """
    if any(len(pixels) != len(scores) for _, pixels in rows) or not rows:
        raise BadData(f"{len(scores)} scores for {[len(pixels) for _, pixels in rows]} pictures; give one of each")
    best, worst = extremes(scores, shown, higher_is_better)
    n = len(best)
    height, width = rows[0][1].shape[2:]
    side = (WIDE - 0.75) / n
    block = side * height / width * len(rows) + 0.42
    figure = Figure(figsize=(WIDE, 2 * block + 0.3 * bool(title)), layout="constrained")
    titled(figure, title)
    for axes, indices, name in zip(figure.subplots(2, 1), (best, worst), ("best", "worst"), strict=True):
        whole = joined([pixels[indices] for _, pixels in rows])
        axes.imshow(whole.permute(1, 2, 0).numpy(), interpolation="nearest")
        middles = [i * (width + GAP) + (width - 1) / 2 for i in range(n)]
        axes.set_xticks(middles, [written.format(scores[i]) for i in indices])
        axes.set_yticks(
            [(height + GAP) * i + (height - 1) / 2 for i in range(len(rows))], [escaped(label) for label, _ in rows]
        )
        axes.tick_params(length=0, labelsize=SMALL, labeltop=True, labelbottom=False, labelcolor=INK, pad=2)
        axes.set_title(f"The {n} {name}: {escaped(score)}", fontsize=LETTERS, color=INK, loc="left", pad=3)
        axes.spines[:].set_visible(False)
    return figure


def extremes(scores: Sequence[float], shown: int, higher_is_better: bool = True) -> tuple[list[int], list[int]]:
    """Which pictures are best, the best first, and which are worst, the worst first; none is in both.

    Raises:
        BadData: fewer than two pictures have a score.
    """
    scored = [i for i, value in enumerate(scores) if not math.isnan(value)]
    taken = min(shown, len(scored) // 2)
    if taken < 1:
        raise BadData(f"{len(scored)} pictures with a score, {shown} asked; give at least two, and ask for one or more")
    ranking = sorted(scored, key=lambda i: (scores[i], i), reverse=higher_is_better)
    return ranking[:taken], ranking[::-1][:taken]
