"""The rows of benchmarks/colour.py: what answers to a picture, from the grey picture itself to the networks."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from colour_measures import Answer, Truth
from pixelwise.classes.chroma import ChromaPalette
from pixelwise.classes.dials import Dials, decided
from pixelwise.classes.oklab import pixels_of
from pixelwise.errors import BadRun
from pixelwise.models.answer import logits_of
from pixelwise.models.colour_hypercolumn import HypercolumnColours
from pixelwise.models.lookup import GreyTable, Lookup
from pixelwise.predict.photograph import Looked, as_seen, chroma_of, look, painted, uncertainty_of
from pixelwise.shapes import ClassIds, Logits, Pixels
from pixelwise.workflow.finished import Trained

Responder = Callable[[Truth, ClassIds], Answer]  # to a picture, whose true classes it may hand on
BASELINES = ("grey", "majority", "lookup", "true single tint", "palette ceiling")


@dataclass(frozen=True, eq=False)
class Row:
    """One thing that answers.

    Args:
        name: the row's.
        seed: of a network that was trained for this; None for others.
        palette: its classes.
        entropy: of these in the training pictures, in nats.
        answer: its answer to a picture.
    """

    name: str
    seed: int | None
    palette: ChromaPalette
    entropy: float
    answer: Responder


def chroma_palette(trained: Trained) -> ChromaPalette:
    """A run's palette, which has to be of chroma.

    Raises:
        BadRun: it is not.
    """
    if not isinstance(trained.palette, ChromaPalette):
        raise BadRun(f"the palette is of space {trained.palette.space}; expected oklab")
    return trained.palette


def entropy_of(shares: Float[Tensor, "k"]) -> float:
    """What one would have to be told of a pixel's class who knows the shares of the classes alone, in nats."""
    return -(shares.double() * shares.double().log()).sum().item()


def baselines(palette: ChromaPalette, table: GreyTable) -> list[Row]:
    """The rows that no network has a part in."""
    shares, lookup, k = table.shares, Lookup(len(palette), table), len(palette)

    def grey(truth: Truth, _: ClassIds) -> Answer:
        return Answer(palette.grey_shown(truth.pixels).contiguous())

    def majority(truth: Truth, ids: ClassIds) -> Answer:
        everywhere = shares.view(1, k, 1, 1).expand(1, k, *truth.pixels.shape[2:])
        return Answer(palette.paint(everywhere, truth.pixels), everywhere.log(), ids)

    def from_table(truth: Truth, ids: ClassIds) -> Answer:
        logits = lookup(palette.see(truth.pixels))
        return Answer(palette.paint(decided(logits, palette, shares, Dials()), truth.pixels), logits, ids)

    def single_tint(truth: Truth, _: ClassIds) -> Answer:
        tint = truth.oklab[:, 1:].mean(dim=(2, 3), keepdim=True)
        return Answer(pixels_of(truth.light, tint.expand(1, 2, *truth.pixels.shape[2:])))

    def ceiling(truth: Truth, ids: ClassIds) -> Answer:
        return Answer(palette.decode(ids, truth.pixels))

    responders = (grey, majority, from_table, single_tint, ceiling)
    entropy = entropy_of(shares)
    return [Row(name, None, palette, entropy, responder) for name, responder in zip(BASELINES, responders, strict=True)]


def network(name: str, seed: int | None, trained: Trained) -> Row:
    """A network's row; photographs are painted exactly as `pixelwise colourize` paints them."""
    palette, shares, dials = chroma_palette(trained), trained.table.shares, Dials()

    def answer(truth: Truth, ids: ClassIds) -> Answer:
        start = time.perf_counter()
        looked = looked_at(trained, truth.pixels)
        shown = coloured(trained, looked, truth.pixels, dials)
        milliseconds = (time.perf_counter() - start) * 1000
        doubt = in_full_size(uncertainty_of(looked, palette, shares, dials).unsqueeze(0), truth.pixels)[0, 0]
        return Answer(shown, pixel_logits(trained, looked, truth.pixels), ids, doubt, milliseconds)

    return Row(name, seed, palette, entropy_of(shares), answer)


def looked_at(trained: Trained, pixels: Pixels) -> Looked:
    """What a network says of one picture, for cells or for pixels."""
    palette, model = chroma_palette(trained), trained.model
    if isinstance(model, HypercolumnColours):
        return look(model, palette, pixels[0])
    seen = palette.see(pixels)
    return Looked(logits_of(model, seen)[0], seen[0, 0], (pixels.shape[2], pixels.shape[3]))


def pixel_logits(trained: Trained, looked: Looked, pixels: Pixels) -> Logits:
    """What a network says of every pixel; of a photograph's, as it was seen, it knows more than of their cells."""
    if isinstance(trained.model, HypercolumnColours):
        seen = chroma_palette(trained).see(as_seen(pixels[0]).unsqueeze(0))
        return in_full_size(logits_of(trained.model, seen)[0], pixels)
    return looked.logits.unsqueeze(0)


def coloured(trained: Trained, looked: Looked, pixels: Pixels, dials: Dials) -> Pixels:
    """One picture in the colours that a network says."""
    palette, shares = chroma_palette(trained), trained.table.shares
    if isinstance(trained.model, HypercolumnColours):
        return painted(pixels[0], chroma_of(looked, palette, shares, dials), looked.guide).unsqueeze(0)
    return palette.paint(decided(looked.logits.unsqueeze(0), palette, shares, dials), pixels)


def in_full_size(cells: Float[Tensor, "c gh gw"], pixels: Pixels) -> Float[Tensor, "1 c h w"]:
    """A map of another size brought bilinearly to a picture's."""
    if cells.shape[1:] == pixels.shape[2:]:
        return cells.unsqueeze(0)
    return F.interpolate(cells.unsqueeze(0), size=tuple(pixels.shape[2:]), mode="bilinear", align_corners=False)


def classes_by_palette(truth: Truth, known: Mapping[str, ChromaPalette]) -> dict[str, ClassIds]:
    """A picture's true classes in each of several palettes, by their fingerprints."""
    return {sha256: palette.encode(truth.pixels) for sha256, palette in known.items()}
