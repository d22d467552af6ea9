"""Training curves and galleries, in colours of Okabe and Ito's set, which colour-blind readers can tell apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from ..errors import BadSetting
from ..files import replacing
from ..shapes import Pixels, RgbOfAnySize
from ..train import EpochRow

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
GAP = 2  # white pixels between pictures
INCHES_WIDE = 12.0
DPI = 110
PICTURES_DPI = 300  # of what stands as pixels in a drawing of lines


def curve(
    rows: Sequence[EpochRow], title: str, lookup: tuple[float, float] | None = None, kept: int | None = None
) -> Figure:
    """Loss and accuracy over the epochs, training and validation.

    Args:
        rows: the epochs.
        title: above both panels.
        lookup: the lookup's validation cross-entropy and accuracy, drawn as the line to beat.
        kept: the epoch whose weights the run ended with, if it was not simply the last.
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    figure.suptitle(title)
    loss, accuracy = figure.subplots(1, 2)
    epochs = [row.epoch for row in rows]
    _lines(loss, epochs, [r.train_loss for r in rows], [r.validation_loss for r in rows], lookup and lookup[0])
    _lines(
        accuracy,
        epochs,
        [100 * r.train_accuracy for r in rows],
        [None if r.validation_accuracy is None else 100 * r.validation_accuracy for r in rows],
        lookup and 100 * lookup[1],
    )
    for axes in (loss, accuracy):
        if kept is not None:
            axes.axvline(kept, color=GREY, linewidth=0.8, label=f"kept: epoch {kept}")
        axes.legend(framealpha=0.9, edgecolor="none")
    loss.set_ylabel("cross-entropy (nats per pixel)")
    accuracy.set_ylabel("accuracy (% of pixels)")
    return figure


def _lines(
    axes: Axes,
    epochs: Sequence[int],
    train: Sequence[float],
    validation: Sequence[float | None],
    lookup: float | None,
) -> None:
    marker = "o" if len(epochs) < 10 else None
    axes.plot(epochs, train, color=BLUE, linestyle="--", marker=marker, markersize=4, label="training")
    if any(value is not None for value in validation):
        values = [float("nan") if value is None else value for value in validation]
        axes.plot(epochs, values, color=ORANGE, marker=marker, markersize=4, label="validation")
    if lookup is not None:
        axes.axhline(lookup, color=GREY, linestyle=":", label="lookup table, validation")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def gallery(rows: Mapping[str, Pixels], title: str) -> Figure:
    """One labelled row of pictures for each entry; pictures that belong together stand below each other.

    Args:
        rows: label to n pictures; n and the size are the same in all.
        title: above the rows.
    """
    whole = joined(list(rows.values()))
    _, height, width = whole.shape
    high = INCHES_WIDE * 0.86 * height / width + 0.5
    figure = Figure(figsize=(INCHES_WIDE, high), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots()
    axes.imshow(whole.permute(1, 2, 0).numpy(), interpolation="nearest")
    side = height / len(rows)
    axes.set_yticks([side * (i + 0.5) for i in range(len(rows))], list(rows))
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _side_by_side(pixels: Pixels) -> Tensor:
    n, c, h, w = pixels.shape
    framed = torch.full((n, c, h + GAP, w + GAP), 255, dtype=torch.uint8)
    framed[:, :, GAP:, :w] = pixels
    return framed.permute(1, 2, 0, 3).reshape(c, h + GAP, n * (w + GAP))[:, :, :-GAP]


def photographs(rows: Sequence[Sequence[RgbOfAnySize]], headings: Sequence[str]) -> Figure:
    """Photographs of any size in a grid, a heading over each column.

    Args:
        rows: the photographs; those of one row have one shape.
        headings: one for each column.
    """
    wide = INCHES_WIDE / len(headings)
    heights = [wide * row[0].shape[1] / row[0].shape[2] for row in rows]
    figure = Figure(figsize=(INCHES_WIDE, sum(heights) + 0.3), layout="constrained")
    grid = figure.subplots(len(rows), len(headings), squeeze=False, gridspec_kw={"height_ratios": heights})
    for row, (pictures, places) in enumerate(zip(rows, grid, strict=True)):
        for picture, axes, heading in zip(pictures, places, headings, strict=True):
            axes.imshow(picture.permute(1, 2, 0).numpy())
            axes.set_axis_off()
            axes.set_title(heading if row == 0 else "", fontsize=11)
    return figure


def joined(rows: Sequence[Pixels]) -> RgbOfAnySize:
    """Rows of pictures as one picture, with white between them: `gallery` without its labels."""
    return torch.cat([_side_by_side(pixels) for pixels in rows], dim=1)[:, GAP:]


def save_figure(figure: Figure, path: Path, dpi: int = DPI) -> None:
    """Write a figure as PNG, whole or not at all."""
    with replacing(path) as beside:
        figure.savefig(beside, dpi=dpi, format="png")


def save_vector(figure: Figure, path: Path) -> None:
    """Write a figure as PDF or SVG, as the end of the path says, whole or not at all; the same figure, the same bytes.

    A PDF has its fonts within it as TrueType, an SVG has letters as outlines: neither needs fonts where it is read.

    Raises:
        BadSetting: the path ends otherwise.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("pdf", "svg"):
        raise BadSetting(f"{path} cannot be drawn in lines; expected a name that ends in .pdf or .svg")
    dated = {"pdf": "CreationDate", "svg": "Date"}[kind]
    own = matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "pixelwise"})
    with replacing(path) as beside, own:
        figure.savefig(beside, dpi=PICTURES_DPI, format=kind, metadata={dated: None})
