"""What else a region may be: the likeliest colours of one that was clicked, to choose among.

A network that gives every class a probability has said more than it shows. Of a coat that it took for brown it may
think green half as likely; who knows better chooses green, and the coat's cells become a hint of it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from .classes.chroma import ChromaPalette
from .classes.oklab import pixels_of
from .errors import BadData


@dataclass(frozen=True)
class Alternative:
    """A colour that a region may have."""

    class_id: int
    probability: float  # mean over the region
    colour: str  # #rrggbb of the chroma, as light as the region is on the average


def region_at(ids: UInt8[Tensor, "h w"], row: int, column: int) -> Bool[Tensor, "h w"]:
    """The cells of a cell's class that hang together with it, side by side.

    Args:
        ids: the likeliest class of every cell.
        row: of the cell.
        column: of the cell.

    Raises:
        BadData: there is no such cell.
    """
    from scipy.ndimage import label  # a third of a second to load, which colouring alone does not wait for

    h, w = ids.shape
    if not (0 <= row < h and 0 <= column < w):
        raise BadData(f"row {row}, column {column} is no cell of a grid of {h} rows and {w} columns; both begin at 0")
    numbers: np.ndarray = label((ids == ids[row, column]).numpy())[0]
    return torch.from_numpy(numbers == numbers[row, column])


def alternatives(
    probabilities: Float[Tensor, "k h w"],
    palette: ChromaPalette,
    light: Float[Tensor, "h w"],
    row: int,
    column: int,
    most: int,
) -> list[Alternative]:
    """The likeliest colours of the region around a cell, likeliest first; of equals the lower class.

    Args:
        probabilities: of the palette's chromas, in every cell.
        palette: the classes.
        light: of the cells, OKLab's L.
        row: of the cell.
        column: of the cell.
        most: how many alternatives, at most.

    Raises:
        BadData: there is no such cell, or the probabilities are not of this palette.
    """
    k = len(probabilities)
    if k != len(palette):
        raise BadData(
            f"probabilities are of {k} classes, palette {palette.name!r} has {len(palette)}; "
            "take the palette with which the network was trained"
        )
    region = region_at(probabilities.argmax(dim=0).to(torch.uint8), row, column)
    means = probabilities[:, region].double().mean(dim=1)
    likeliest = means.sort(descending=True, stable=True).indices[: max(most, 0)]
    shades = palette.chromas.float()[likeliest].T.reshape(1, 2, -1, 1)
    shown = pixels_of(torch.full_like(shades[:, :1], float(light[region].mean())), shades)[0, :, :, 0].T.tolist()
    return [
        Alternative(class_id, float(means[class_id]), "#{:02x}{:02x}{:02x}".format(*colour))
        for class_id, colour in zip(likeliest.tolist(), shown, strict=True)
    ]


def chosen(
    probabilities: Float[Tensor, "k h w"], palette: ChromaPalette, row: int, column: int, class_id: int
) -> tuple[Bool[Tensor, "h w"], Float[Tensor, "2"]]:
    """The region around a cell, and the chroma of the class that was chosen for it: what a hint of it says.

    The chroma is the palette's own. The colour that was shown may be paler, where no screen has one of that lightness.

    Raises:
        BadData: there is no such cell, or no such class.
    """
    if not 0 <= class_id < len(palette):
        raise BadData(f"class {class_id} is none of palette {palette.name!r}, which has {len(palette)}, from 0 on")
    region = region_at(probabilities.argmax(dim=0).to(torch.uint8), row, column)
    return region, palette.chromas[class_id].float()
