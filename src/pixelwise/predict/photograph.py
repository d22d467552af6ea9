"""A photograph through the colourizer: look once, decide as often as the dials are turned, paint in full size.

What the network says is kept as it is (`Looked`): k numbers for every cell, whatever the size of the photograph. So
turning a dial or giving a hint costs the painting alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt16
from PIL import Image
from torch import Tensor

from ..classes.chroma import ChromaPalette
from ..classes.dials import Dials, class_of, decided, swapped
from ..classes.oklab import deep_light_of, deep_pixels_of, light_of, pixels_of
from ..data.images import to_image, to_tensor
from ..hints import Said, outside, placed, seeds, spread
from ..models.answer import logits_of
from ..models.colour_hypercolumn import Cells, HypercolumnColours
from ..shapes import Rgb, RgbOfAnySize
from .edge_aware import GuidedChroma, in_strips

SEEN = 256  # pixels of the short side, at which photographs were learnt from
LONGEST = 4096  # pixels of the long side as seen; a longer strip is seen smaller

ChromaMap = Float[Tensor, "2 gh gw"]
_Depth = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]
DeepRgb = UInt16[Tensor, "3 h w"]


@dataclass(frozen=True, eq=False)
class Looked:
    """What the network says of a photograph, before anything is decided.

    Args:
        logits: of every cell.
        guide: lightness of the photograph as it was seen, for edges.
        size: rows and columns of the photograph.
    """

    logits: Float[Tensor, "k gh gw"]
    guide: Float[Tensor, "hs ws"]
    size: tuple[int, int]

    @property
    def light(self) -> Float[Tensor, "gh gw"]:
        """Lightness of every cell."""
        cells = self.logits.shape[1:]
        return torch.nn.functional.interpolate(self.guide[None, None], size=tuple(cells), mode="area")[0, 0]


def look(model: HypercolumnColours, palette: ChromaPalette, rgb: Rgb) -> Looked:
    """The first pass: only the grey of the photograph is looked at.

    Raises:
        BadWeights: the frozen trunk's weights are missing, or not exactly the official ones.
        Diverged: the network's answers are not numbers.
    """
    small = as_seen(rgb)
    seen = palette.see(small.unsqueeze(0))
    return Looked(logits_of(Cells(model), seen)[0], light_of(small.unsqueeze(0))[0, 0], (rgb.shape[1], rgb.shape[2]))


def as_seen(rgb: Rgb) -> RgbOfAnySize:
    """The photograph with a short side of 256 pixels, and a long side of 4,096 at most."""
    h, w = rgb.shape[1:]
    scale = min(SEEN / min(h, w), LONGEST / max(h, w))
    height, width = (max(1, round(side * scale)) for side in (h, w))
    if (height, width) == (h, w):
        return rgb
    return to_tensor(to_image(rgb).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0))


def chroma_of(
    looked: Looked, palette: ChromaPalette, shares: Float[Tensor, "k"], dials: Dials, hinted: Said | None = None
) -> ChromaMap:
    """The chroma of every cell, once the dials have been asked and the hints have spread.

    Args:
        looked: what the network says.
        palette: its classes.
        shares: of these in the training pictures.
        dials: how answers become colours.
        hinted: what hints say of the photograph's pixels; of locked ones it is not heard.
    """
    probabilities = decided(looked.logits.unsqueeze(0), palette, shares, dials)
    chroma = swapped(palette, dials.swapped).mean_chroma(probabilities)[0]
    if hinted is None:
        return chroma
    locked = locked_cells(looked, palette, dials)
    sown = seeds(hinted, (locked.shape[0], locked.shape[1]))
    return spread(looked.light, chroma, sown, looked.logits.softmax(dim=0), locked)


def locked_cells(looked: Looked, palette: ChromaPalette, dials: Dials) -> Bool[Tensor, "gh gw"]:
    """The cells that no hint may change: those whose likeliest class is locked."""
    likeliest = looked.logits.argmax(dim=0)
    locked = torch.zeros_like(likeliest, dtype=torch.bool)
    for colour in dials.locked:
        locked |= likeliest == class_of(palette, colour)
    return locked


def allowed(hinted: Said | None, looked: Looked, palette: ChromaPalette, dials: Dials) -> Said | None:
    """What hints say of pixels whose colour is not locked."""
    if hinted is None or not dials.locked:
        return hinted
    return outside(hinted, locked_cells(looked, palette, dials))


def uncertainty_of(
    looked: Looked, palette: ChromaPalette, shares: Float[Tensor, "k"], dials: Dials
) -> Float[Tensor, "gh gw"]:
    """How far the painted chroma may be from the true one: the root of the mean square distance, in OKLab.

    The mean is over what the network says at temperature 1, whatever the vividness is.
    """
    chroma = chroma_of(looked, palette, shares, dials)
    probabilities = looked.logits.softmax(dim=0)
    mean = torch.einsum("khw,kc->chw", probabilities, palette.chromas.float())
    square = torch.einsum("khw,k->hw", probabilities, palette.chromas.float().square().sum(dim=1))
    spread = (square - mean.square().sum(dim=0)).clamp(min=0)
    return (spread + (chroma - mean).square().sum(dim=0)).sqrt()


def painted(rgb: Rgb, chroma: ChromaMap, guide: Float[Tensor, "hs ws"], hinted: Said | None = None) -> Rgb:
    """The photograph in colour: its own lightness, and a map of chroma enlarged along the edges of that.

    Under hints the chroma is exactly what they say, as far as there is room for it at that lightness.
    """
    return _painted(rgb, chroma, guide, hinted, (light_of, pixels_of))


def painted_deep(
    deep: DeepRgb, chroma: ChromaMap, guide: Float[Tensor, "hs ws"], hinted: Said | None = None
) -> DeepRgb:
    """The same for a photograph of 16 bits."""
    return _painted(deep, chroma, guide, hinted, (deep_light_of, deep_pixels_of))


def _painted(
    picture: Tensor, chroma: ChromaMap, guide: Float[Tensor, "hs ws"], hinted: Said | None, depth: _Depth
) -> Tensor:
    """A photograph in the depth of some ways to take its lightness and to make its pixels."""
    (taking, making), height = depth, picture.shape[1]
    made, lines = torch.empty_like(picture), GuidedChroma.fitted(chroma, guide)

    def paint(rows: slice) -> None:
        light = taking(picture[None, :, rows])
        wide = lines.rows(light[0, 0], rows.start, height)
        made[:, rows] = making(light, _with(hinted, wide, rows.start).unsqueeze(0))[0]

    in_strips(paint, *picture.shape[1:])
    return made


def _with(hinted: Said | None, chroma: Float[Tensor, "2 r w"], first: int) -> Float[Tensor, "2 r w"]:
    return chroma if hinted is None else placed(chroma, first, hinted)
