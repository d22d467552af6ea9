"""How well pictures can be painted with k colours at best, by the space that the colours are chosen in.

Every pixel gets the colour nearest to its own: what a network that never errs would reach. A palette of whole colours
(rgb) also has to find the lightness; palettes of chroma (lab, oklab) keep the picture's own.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.spatial import cKDTree
from skimage.color import lab2rgb, rgb2lab

from ..classes.palette import SAMPLED_PIXELS, fit_palette
from ..data.batches import batch_size
from ..data.pictures import Pictures
from ..grey import shown_in_grey
from ..picture_metrics import ciede2000, psnr, squared_error
from ..shapes import Pixels

Space = Literal["rgb", "lab", "oklab"]
_Paint = Callable[[Pixels], Pixels]
SPACES: tuple[Space, ...] = ("rgb", "lab", "oklab")
SIZES = (8, 16, 24, 32, 48, 64)


@dataclass(frozen=True)
class Ceiling:
    """What painting with k colours of a space reaches at best; k is 0 for the grey picture.

    PSNR in dB and CIEDE2000 are means over the pictures.
    """

    space: str
    num_colours: int
    psnr: float
    ciede2000: float

    def to_mapping(self) -> dict[str, Any]:
        """The values by name."""
        return asdict(self)


def ceilings(fitted_on: Pictures, measured_on: Pictures, sizes: Sequence[int], seed: int = 0) -> Iterator[Ceiling]:
    """The grey picture first, then for each number of colours the three spaces.

    Args:
        fitted_on: pictures that the colours are chosen for, by k-means.
        measured_on: others, that are painted.
        sizes: numbers of colours.
        seed: of k-means.

    Raises:
        BadPalette: a number of colours is out of range, or the pictures have fewer.
    """
    yield _measured("grey", 0, measured_on, shown_in_grey)
    for k in sizes:
        for space in SPACES:
            yield _measured(space, k, measured_on, _painter(space, k, fitted_on.pixels, seed))


def enough(found: Sequence[Ceiling], error: float) -> Ceiling | None:
    """The fewest colours of OKLab whose CIEDE2000 is at most some error, if any of those tried."""
    good = [ceiling for ceiling in found if ceiling.space == "oklab" and ceiling.ciede2000 <= error]
    return min(good, key=lambda ceiling: ceiling.num_colours, default=None)


def _painter(space: Space, k: int, pixels: Pixels, seed: int) -> _Paint:
    if space == "lab":
        return _lab_painter(k, pixels, seed)
    palette = fit_palette(pixels, k, seed, space=space)
    return lambda some: palette.decode(palette.encode(some), some)


def _lab_painter(k: int, pixels: Pixels, seed: int) -> _Paint:
    """As colourizers since Zhang et al. 2016 do: k-means in a and b of CIELAB, what leaves sRGB is clipped."""
    from sklearn.cluster import KMeans  # a second of imports

    colours = pixels.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    chosen = np.random.default_rng(seed).choice(len(colours), min(len(colours), SAMPLED_PIXELS), replace=False)
    centres = KMeans(k, n_init=1, random_state=seed).fit(rgb2lab(colours[chosen] / 255)[:, 1:]).cluster_centers_
    tree = cKDTree(centres)

    def paint(some: Pixels) -> Pixels:
        lab = rgb2lab(some.permute(0, 2, 3, 1).numpy())
        lab[..., 1:] = centres[tree.query(lab[..., 1:])[1]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of colours that no screen has, which are clipped here
            made = lab2rgb(lab)
        return torch.from_numpy(np.rint(made * 255).astype(np.uint8)).permute(0, 3, 1, 2)

    return paint


def _measured(space: str, k: int, pictures: Pictures, paint: _Paint) -> Ceiling:
    likeness, difference, step = 0.0, 0.0, batch_size(pictures)
    for start in range(0, len(pictures), step):
        truth = pictures.pixels[start : start + step]
        made = paint(truth)
        likeness += psnr(squared_error(made, truth)).sum().item()
        difference += ciede2000(made, truth).sum().item()
    return Ceiling(space, k, likeness / len(pictures), difference / len(pictures))
