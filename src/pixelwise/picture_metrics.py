"""How close one colour picture is to another, in the measures that the field reports.

PSNR      10 log10(255² / mean squared error) over red, green and blue, in dB.
CIEDE2000 mean colour difference of pixels (Sharma, Wu and Dalal 2005); 1 is just visible.
colourfulness  of Hasler and Süsstrunk (2003), with signed opponent channels; grey is 0, vivid photographs about 60.
"""

import numpy as np
import torch
from jaxtyping import Float64
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

from .shapes import Pixels

MOST_PSNR = 100.0  # dB, for equal pictures, whose PSNR is infinite and would swallow every mean


def squared_error(predicted: Pixels, truth: Pixels) -> Float64[Tensor, "n"]:
    """Mean squared error of each picture, on the 0 to 255 scale."""
    return (predicted.double() - truth.double()).square().mean(dim=(1, 2, 3))


def psnr(mean_squared_error: Float64[Tensor, "*any"]) -> Float64[Tensor, "*any"]:
    """PSNR in dB, at most 100."""
    return (10 * torch.log10(255**2 / mean_squared_error)).clamp(max=MOST_PSNR)


def ciede2000(predicted: Pixels, truth: Pixels) -> Float64[Tensor, "n"]:
    """Mean CIEDE2000 difference of each picture."""
    one, other = (rgb2lab(p.permute(0, 2, 3, 1).numpy()) for p in (predicted, truth))
    difference = deltaE_ciede2000(one, other)  # type: ignore[no-untyped-call]
    return torch.from_numpy(np.asarray(difference, dtype=np.float64)).mean(dim=(1, 2))


def colourfulness(pixels: Pixels) -> Float64[Tensor, "n"]:
    """Colourfulness of each picture: sqrt(σ²rg + σ²yb) + 0.3 sqrt(μ²rg + μ²yb)."""
    red, green, blue = pixels.double().unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue]).flatten(2)  # (2, n, h w)
    spread = opponents.var(dim=2, correction=0).sum(dim=0).sqrt()
    return spread + 0.3 * opponents.mean(dim=2).square().sum(dim=0).sqrt()
