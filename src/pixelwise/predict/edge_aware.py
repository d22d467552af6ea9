"""Chroma of a small map brought to a picture's full size, along the edges of its true lightness.

The guided filter (He, Sun and Tang 2013, "Guided Image Filtering") explains the chroma around each pixel by a line in
the lightness, chroma = a L + b; in its fast form (He and Sun 2015, arXiv 1505.00996) the lines are found in a small
picture, and only a and b are enlarged, bilinearly. So an edge of the lightness is an edge of the chroma, in full size,
and a large picture costs a few multiplications for each pixel. All is made some rows at a time.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

RADIUS = 16  # pixels of the small picture, four cells: how far around a pixel its line is found
AT_ONCE = 1 << 17  # pixels of a strip
SMOOTH = 4e-4  # variance of lightness, 0.02 squared: what varies less than that is no edge


@dataclass(frozen=True, eq=False)
class GuidedChroma:
    """Lines of chroma in lightness for every pixel of a small picture; rows of its full-size chroma on demand."""

    slope: Float[Tensor, "2 hs ws"]
    offset: Float[Tensor, "2 hs ws"]

    @classmethod
    def fitted(
        cls, chroma: Float[Tensor, "2 _ _"], guide: Float[Tensor, "hs ws"], radius: int = RADIUS, smooth: float = SMOOTH
    ) -> "GuidedChroma":
        """The lines that explain some chroma by the lightness of a small picture.

        Args:
            chroma: a and b, in a size of its own.
            guide: the small picture's lightness.
            radius: of the windows, in pixels of the small picture.
            smooth: variance of lightness below which a window is taken as flat.
        """
        wide = F.interpolate(chroma.unsqueeze(0), size=tuple(guide.shape), mode="bilinear", align_corners=False)[0]
        light = guide.unsqueeze(0)
        mean_light, mean_chroma = _mean(light, radius), _mean(wide, radius)
        variance = _mean(light * light, radius) - mean_light.square()
        together = _mean(light * wide, radius) - mean_light * mean_chroma
        slope = together / (variance.clamp(min=0) + smooth)
        offset = mean_chroma - slope * mean_light
        return cls(_mean(slope, radius), _mean(offset, radius))

    def rows(self, light: Float[Tensor, "h w"], first: int, height: int) -> Float[Tensor, "2 h w"]:
        """The chroma of some rows of the full-size picture.

        Args:
            light: lightness of these rows.
            first: which row of the picture the first of them is.
            height: of the whole picture, in rows.
        """
        rows, width = light.shape
        slope, offset = (stretched(lines, first, rows, width, height) for lines in (self.slope, self.offset))
        return slope.mul_(light).add_(offset)


def stretched(small: Float[Tensor, "c _ _"], first: int, rows: int, width: int, height: int) -> Float[Tensor, "c h w"]:
    """Some rows of what `F.interpolate(small, (height, width), mode="bilinear", align_corners=False)` would give."""
    upper, shares = sources(small.shape[1], height)
    above, share = upper[first : first + rows], shares[first : first + rows, None]
    below = (above + 1).clamp(max=small.shape[1] - 1)
    tall = torch.lerp(small[:, above], small[:, below], share)
    return F.interpolate(tall.unsqueeze(0), size=(rows, width), mode="bilinear", align_corners=False)[0]


def sources(before: int, after: int) -> tuple[Tensor, Tensor]:
    """For each of the rows after resampling: the row before that lies above it, and its distance from that."""
    scale = torch.tensor(before, dtype=torch.float32) / after  # in float32, since F.interpolate rounds so, too
    place = (scale * (torch.arange(after) + 0.5) - 0.5).clamp(min=0)
    rows = place.long().clamp(max=before - 1)
    return rows, (place - rows).clamp(max=1)


def in_strips(work: Callable[[slice], None], height: int, width: int) -> None:
    """Do some work on rows from the top, about 130,000 pixels at a time, on as many cores as torch would use.

    Each strip stays on one core: torch's own way, which cuts every single operation into parts for all cores, waits for
    the slowest core thousands of times, and took twenty times longer on a machine that had something else to do.
    """
    rows = max(1, AT_ONCE // max(1, width))
    strips = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as cores:
            for _ in cores.map(work, strips):
                pass  # so that what went wrong in a strip is raised here
    finally:
        torch.set_num_threads(threads)  # what one thread sets, threads that begin later start with


def _mean(values: Float[Tensor, "c h w"], radius: int) -> Float[Tensor, "c h w"]:
    """The mean over a square window around each pixel, of the part of it that lies in the picture."""
    side = 2 * radius + 1
    pooled = values.unsqueeze(0)
    for kernel, padding in (((side, 1), (radius, 0)), ((1, side), (0, radius))):
        pooled = F.avg_pool2d(pooled, kernel, stride=1, padding=padding, count_include_pad=False)
    return pooled[0]
