"""Segmented pictures from the worst to the best, with what is right and what is wrong in each.

The worst are always shown: a gallery of good examples says nothing of a network.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from ..classes.labels import VOID, Labels
from ..data.pictures import Pictures
from ..errors import BadData
from ..shapes import ClassIds, Pixels, RgbOfAnySize

MISSED, FALSE, CONFUSED = "#dc267f", "#648fff", "#ffffff"  # told apart by the colour-blind; no class's own
STRIPES = ((205, 205, 205), (160, 160, 160))  # of void
DIM = 0.5  # how much of a picture's light is left where the answer is right
GAP = 0.04  # between pictures, as a share of their long side
LEAST_INCHES, MOST_INCHES, INCHES_WIDE = 1.5, 2.5, 12.0  # of a picture, and of all in a row
WORST = 4
LONGEST_NAME = 20  # letters


def worst_to_best(
    pictures: Pictures,
    answers: ClassIds,
    labels: Labels,
    scores: Sequence[float],
    title: str,
    shown: int = 12,
) -> Figure:
    """A column for each picture, the lowest score first: the picture, its truth, the answer, and what is wrong.

    The four worst and the best are there, and between them pictures that are evenly spaced by rank. Pictures without a
    score are left out, unless none has one.

    Args:
        pictures: labelled ones.
        answers: the class of each of their pixels, as a network sees it.
        labels: the classes.
        scores: intersection over union of each picture, 0 to 1; NaN where there is none.
        title: above the columns.
        shown: how many columns at most.

    Raises:
        BadData: there are no pictures, they have no masks, or not as many answers and scores as pictures.
    """
    if pictures.ids is None or not len(pictures):
        which = f"{len(pictures)} pictures without masks" if len(pictures) else "no pictures"
        raise BadData(f"{which} to show from worst to best; give pictures with masks to compare answers with")
    if not len(pictures) == len(answers) == len(scores):
        raise BadData(f"{len(answers)} answers and {len(scores)} scores for {len(pictures)} pictures; give one of each")
    columns = chosen(scores, shown)
    some, given = pictures.take(columns), answers[columns]
    assert some.ids is not None
    void = _striped(some.pixels.shape)
    truth = torch.where((some.ids == VOID).unsqueeze(1), void, labels.decode(some.ids))
    rows = {
        "picture": some.pixels,
        "truth": truth,
        "answer": labels.decode(given),
        "errors": errors_shown(some.pixels, some.ids, given),
    }
    seen = torch.unique(torch.cat([some.ids, given]))
    patches = _patches(labels, seen)
    headings = ["no object" if math.isnan(scores[i]) else f"{scores[i]:.2f}" for i in columns]
    return _drawn(rows, headings, [_short(name) for name in some.names], title, patches)


def chosen(scores: Sequence[float], shown: int) -> list[int]:
    """Which pictures are shown, worst first: four worst, the best, and evenly spaced ones by rank between them."""
    scored = [i for i, score in enumerate(scores) if not math.isnan(score)]
    ranking = sorted(scored, key=lambda i: scores[i]) or list(range(len(scores)))
    last, most = len(ranking) - 1, max(1, shown)
    if last < most:
        return ranking
    worst = min(WORST, max(1, most - 1))
    steps = most - worst
    return ranking[:worst] + [ranking[worst - 1 + round((last - worst + 1) * i / steps)] for i in range(1, steps + 1)]


def errors_shown(pixels: Pixels, truth: ClassIds, answer: ClassIds) -> Pixels:
    """Pictures in dim grey where the answer is right, coloured by the kind of error elsewhere, void striped."""
    grey = (DIM * pixels.float().mean(dim=1, keepdim=True)).to(torch.uint8).expand_as(pixels)
    kinds = {
        MISSED: (truth != 0) & (answer == 0),
        FALSE: (truth == 0) & (answer != 0),
        CONFUSED: (truth != 0) & (answer != 0) & (truth != answer),
    }
    made = grey.clone()
    for colour, where in kinds.items():
        made = torch.where(where.unsqueeze(1), _rgb(colour), made)
    return torch.where((truth == VOID).unsqueeze(1), _striped(pixels.shape), made)


def _striped(shape: Sequence[int]) -> Tensor:
    """Diagonal stripes in two greys, in the size of pictures."""
    height, width = shape[2:]
    period = max(2, max(height, width) // 24)
    place = torch.arange(height).unsqueeze(1) + torch.arange(width)
    light, dark = (torch.tensor(grey, dtype=torch.uint8).view(1, 3, 1, 1) for grey in STRIPES)
    return torch.where((place // period % 2 == 0), light, dark)


def _patches(labels: Labels, seen: UInt8[Tensor, "_"]) -> list[Patch]:
    classes = [int(index) for index in seen if int(index) != VOID]
    patches = [Patch(color=labels.display_colours[index], label=_short(labels.names[index])) for index in classes]
    patches.append(Patch(color=MISSED, label="missed object"))
    patches.append(Patch(color=FALSE, label="false object"))
    if len(labels) > 2:
        patches.append(Patch(facecolor=CONFUSED, edgecolor="#777777", label="object of another class"))
    if len(classes) < len(seen):
        light, dark = (f"#{bytes(grey).hex()}" for grey in STRIPES)
        patches.append(Patch(facecolor=light, edgecolor=dark, hatch="////", label="void: counts for nothing"))
    return patches


def _drawn(
    rows: dict[str, Pixels], headings: Sequence[str], names: Sequence[str], title: str, patches: list[Patch]
) -> Figure:
    """Rows of pictures below each other, headings above the columns, names below them, and a legend."""
    n, _, h, w = next(iter(rows.values())).shape
    gap = max(1, round(GAP * max(h, w)))
    whole = torch.cat([_row(pixels, gap) for pixels in rows.values()], dim=1)[:, gap:]
    inches = min(MOST_INCHES, max(LEAST_INCHES, INCHES_WIDE / n))
    wide = max(6.0, n * inches + 0.8)
    columns = max(2, int(wide / 2.2))
    high = (n * inches) * whole.shape[1] / whole.shape[2] + 1.2 + 0.25 * math.ceil(len(patches) / columns)
    figure = Figure(figsize=(wide, high), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots()
    axes.imshow(whole.permute(1, 2, 0).numpy(), interpolation="antialiased")
    middles = [i * (w + gap) + w / 2 for i in range(n)]
    axes.set_xticks(middles, list(names), fontsize=7, color="#777777")
    axes.set_yticks([i * (h + gap) + h / 2 for i in range(len(rows))], list(rows))
    above = axes.secondary_xaxis("top")
    above.set_xticks(middles, [f"IoU {text}" if text[0].isdigit() else text for text in headings])
    for ticks in (axes, above):
        ticks.tick_params(length=0)
        ticks.spines[:].set_visible(False)
    figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    return figure


def _row(pixels: Pixels, gap: int) -> RgbOfAnySize:
    n, c, h, w = pixels.shape
    framed = torch.full((n, c, h + gap, w + gap), 255, dtype=torch.uint8)
    framed[:, :, gap:, :w] = pixels
    return framed.permute(1, 2, 0, 3).reshape(c, h + gap, n * (w + gap))[:, :, :-gap].contiguous()


def _rgb(colour: str) -> Tensor:
    return torch.tensor(list(bytes.fromhex(colour[1:])), dtype=torch.uint8).view(1, 3, 1, 1)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
