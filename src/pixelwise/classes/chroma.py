"""A palette of k chromas, at the picture's own lightness: OKLab's a and b, fitted by k-means, nearest, painted back.

An RGB palette's classes are mostly brightness, which the grey picture shows anyway. Here a class says colour alone; the
lightness is the picture's, and painting keeps it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float64
from torch import Tensor

from ..errors import BadPalette
from ..files import write_json
from ..shapes import ClassIds, Grey, Pixels, Probabilities
from .oklab import Chroma, chromas_of, encoded_of, light_of, linear_of, pixels_of

MIDDLE = 0.7  # the lightness at which a chroma is shown by itself
EVENED = 12.0  # s: 0.045 of CIELAB's C, of which there are about 270 in one of OKLab's
TINY = 1e-6
FARTHEST = 0.5  # from grey; no colour of a screen is farther than 0.33
PIXELS_AT_ONCE = 1 << 15  # bounds the table of distances, as in an RGB palette
SEEN_AT_ONCE = 1 << 20  # pixels of a photograph, whose light is worked out in strips


@dataclass(frozen=True, eq=False)
class ChromaPalette:
    """k chromas; class i is chroma i.

    Args:
        chromas: a and b of each, float64 of shape (k, 2), 2 <= k <= 255.
        name: what to call it in tables.

    Raises:
        BadPalette: fewer than 2 or more than 255 chromas, or values that no colour has.
    """

    chromas: Float64[Tensor, "k 2"]
    name: str = "chroma palette"
    space: ClassVar[str] = "oklab"

    def __post_init__(self) -> None:
        if not 2 <= len(self.chromas) <= 255:
            raise BadPalette(f"palette {self.name!r} has {len(self.chromas)} chromas; expected 2 to 255")
        if not bool((self.chromas.abs() <= FARTHEST).all()):
            raise BadPalette(f"palette {self.name!r} has values beyond {FARTHEST}; expected a and b of OKLab")

    def __len__(self) -> int:
        return len(self.chromas)

    @property
    def display_colours(self) -> Sequence[str]:
        """One `#rrggbb` for each chroma, at a middle lightness."""
        chroma = self.chromas.float().T.reshape(1, 2, -1, 1)
        shown = pixels_of(torch.full_like(chroma[:, :1], MIDDLE), chroma)[0, :, :, 0].T.tolist()
        return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in shown]

    @property
    def names(self) -> Sequence[str]:
        """A chroma is called by its `#rrggbb` at a middle lightness."""
        return self.display_colours

    @property
    def void(self) -> int | None:
        """A palette has a class for every pixel."""
        return None

    @property
    def sha256(self) -> str:
        """Fingerprint of the chromas, in their order, to 8 decimals."""
        return hashlib.sha256(json.dumps([self.space, self._rounded()]).encode()).hexdigest()

    def see(self, pixels: Pixels) -> Grey:
        """The network sees the grey of equal lightness, 0 to 1; a grey picture is seen as it is."""
        n, _, h, w = pixels.shape
        seen, rows = torch.empty(n, 1, h, w), max(1, SEEN_AT_ONCE // w)
        for top in range(0, h, rows):
            light = light_of(pixels[:, :, top : top + rows])
            seen[:, :, top : top + rows] = encoded_of(light**3).clamp(0, 1)
        return seen

    def encode(self, pixels: Pixels) -> ClassIds:
        """The nearest chroma of every pixel, in memory that does not grow with the pictures.

        Equal distances go to the lowest index; |x - c|² is compared as |c|² - 2 x·c.
        """
        n, _, h, w = pixels.shape
        lengths, directions = self.chromas.square().sum(dim=1), -2 * self.chromas.T
        flat = pixels.permute(0, 2, 3, 1).reshape(-1, 3)
        ids = torch.empty(len(flat), dtype=torch.uint8)
        for start in range(0, len(flat), PIXELS_AT_ONCE):
            some, out = flat[start : start + PIXELS_AT_ONCE], ids[start : start + PIXELS_AT_ONCE]
            distances = torch.addmm(lengths, chromas_of(some).double(), directions)
            out.copy_(distances.argmin(dim=1))  # argmin takes the first of equals
        return ids.reshape(n, h, w)

    def decode(self, ids: ClassIds, like: Pixels | None = None) -> Pixels:
        """Every pixel in the chroma of its class, as light as in some pictures, or else of a middle lightness.

        Raises:
            BadPalette: a class id that the palette does not have.
        """
        if ids.numel() and int(ids.max()) >= len(self):
            raise BadPalette(f"class {int(ids.max())} asked of palette {self.name!r}, which has {len(self)} chromas")
        chroma = self.chromas.float()[ids.long()].permute(0, 3, 1, 2)
        light = torch.full_like(chroma[:, :1], MIDDLE) if like is None else light_of(like)
        return pixels_of(light, chroma)

    def paint(self, probabilities: Probabilities, like: Pixels | None = None) -> Pixels:
        """Every pixel in the mean chroma of its probabilities, as light as in some pictures or else middling."""
        chroma = self.mean_chroma(probabilities)
        return pixels_of(torch.full_like(chroma[:, :1], MIDDLE) if like is None else light_of(like), chroma)

    def mean_chroma(self, probabilities: Probabilities) -> Chroma:
        """The mean chroma of some probabilities, on a scale on which equal steps look alike.

        A step of chroma is seen the less, the farther it is from grey: CIEDE2000 divides it by 1 + 0.045 C. On the
        scale log(1 + s C) / s the mean errs least by that measure: nearer to grey than the plain mean where classes
        disagree, the same where they agree (docs/log.md).
        """
        mean = torch.einsum("nkhw,kc->nchw", probabilities, _evened(self.chromas.float(), 1))
        far = mean.norm(dim=1, keepdim=True).clamp(min=TINY)
        chroma: Tensor = mean / far * torch.expm1(EVENED * far) / EVENED
        return chroma

    def tinted(self, grey: Grey, probabilities: Probabilities) -> Pixels:
        """Every pixel in the mean chroma of its probabilities, as light as the grey that was seen."""
        chroma = self.mean_chroma(probabilities)
        return pixels_of(linear_of(grey).clamp_min(0) ** (1 / 3), chroma)

    def grey_shown(self, pixels: Pixels) -> Pixels:
        """What the network sees, as people see it: in all three planes, rounded to a byte."""
        return (self.see(pixels) * 255).round().to(torch.uint8).expand_as(pixels)

    def save(self, path: Path) -> None:
        """Write the palette as JSON: name, space, range, colours."""
        write_json(path, {"name": self.name, "space": self.space, "range": "a, b", "colours": self._rounded()})

    def _rounded(self) -> list[list[float]]:
        return [[round(value, 8) for value in chroma] for chroma in self.chromas.tolist()]


def _evened(chroma: Tensor, dim: int) -> Tensor:
    far = chroma.norm(dim=dim, keepdim=True).clamp(min=TINY)
    evened: Tensor = chroma / far * torch.log1p(EVENED * far) / EVENED
    return evened
