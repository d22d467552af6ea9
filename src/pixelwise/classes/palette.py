"""A palette of k RGB colours as a set of classes: fit by k-means, nearest colour, paint back. Chroma is beside it.

A pixel's class is the colour with the smallest Euclidean distance in sRGB; equal distances go to the lowest index.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from ..errors import BadPalette
from ..files import write_json
from ..grey import grey_of, shown_in_grey
from ..shapes import ClassIds, Grey, Pixels, Probabilities
from .chroma import ChromaPalette
from .oklab import chromas_of

MOST_COLOURS = 255  # a class id is one byte, and 255 stays free for void
SAMPLED_PIXELS = 100_000  # k-means sees at most this many pixels; more change the centres by less than one level
PIXELS_AT_ONCE = 1 << 15  # bounds the table of distances: 32,768 x k x 8 bytes, which also fits the cache


@dataclass(frozen=True, eq=False)
class Palette:
    """k colours; class i is colour i.

    Args:
        colours: red, green and blue of each colour, 0 to 1 (1 is byte 255), float64 of shape (k, 3), 2 <= k <= 255.
        name: what to call it in tables.

    Raises:
        BadPalette: fewer than 2 or more than 255 colours, or values outside 0 to 1.
    """

    colours: Float64[Tensor, "k 3"]
    name: str = "palette"
    space: ClassVar[str] = "rgb"

    def __post_init__(self) -> None:
        k = len(self.colours)
        if not 2 <= k <= MOST_COLOURS:
            raise BadPalette(f"palette {self.name!r} has {k} colours; expected 2 to {MOST_COLOURS}")
        if not bool(((self.colours >= 0) & (self.colours <= 1)).all()):
            raise BadPalette(f"palette {self.name!r} has values outside 0 to 1; divide bytes by 255 first")

    def __len__(self) -> int:
        return len(self.colours)

    @property
    def display_colours(self) -> Sequence[str]:
        """One `#rrggbb` for each colour."""
        return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in self._bytes().tolist()]

    @property
    def names(self) -> Sequence[str]:
        """A colour is called by its `#rrggbb`."""
        return self.display_colours

    @property
    def void(self) -> int | None:
        """A palette has a class for every pixel."""
        return None

    @property
    def sha256(self) -> str:
        """Fingerprint of the colours, in their order, to 8 decimals."""
        return hashlib.sha256(json.dumps(self._rounded()).encode()).hexdigest()

    def see(self, pixels: Pixels) -> Grey:
        """The network sees the grey picture."""
        return grey_of(pixels)

    def encode(self, pixels: Pixels) -> ClassIds:
        """The nearest colour of every pixel, exactly, in memory that does not grow with the pictures.

        |x - c|² is compared as |c|² - 2 x·c, in float64 and on the 0 to 255 scale: there bytes, and colours that are
        bytes, are integers, their products are exact, and equal distances are found equal.
        """
        n, _, h, w = pixels.shape
        colours = _snapped(self.colours * 255)
        lengths, directions = colours.square().sum(dim=1), -2 * colours.T
        flat = pixels.permute(0, 2, 3, 1).reshape(-1, 3)
        ids = torch.empty(len(flat), dtype=torch.uint8)
        for start in range(0, len(flat), PIXELS_AT_ONCE):
            some, out = flat[start : start + PIXELS_AT_ONCE], ids[start : start + PIXELS_AT_ONCE]
            distances = torch.addmm(lengths, some.to(torch.float64), directions)
            out.copy_(distances.argmin(dim=1))  # argmin takes the first of equals
        return ids.reshape(n, h, w)

    def decode(self, ids: ClassIds, like: Pixels | None = None) -> Pixels:
        """Every pixel in the colour of its class; how light some pictures are has no say in it.

        Raises:
            BadPalette: a class id that the palette does not have.
        """
        if ids.numel() and int(ids.max()) >= len(self):
            raise BadPalette(f"class {int(ids.max())} asked of palette {self.name!r}, which has {len(self)} colours")
        return self._bytes()[ids.long()].permute(0, 3, 1, 2).contiguous()

    def paint(self, probabilities: Probabilities, like: Pixels | None = None) -> Pixels:
        """Every pixel in its likeliest colour; equal probabilities go to the lowest index."""
        return self.decode(probabilities.argmax(dim=1).to(torch.uint8))

    def tinted(self, grey: Grey, probabilities: Probabilities) -> Pixels:
        """Mean colours at the given grey values, whose mean of red, green and blue is the grey's, to rounding.

        Where that would leave the range of bytes, the colour is made paler (never clipped).
        """
        mean = torch.einsum("nkhw,kc->nchw", probabilities, self.colours.float())
        tint = mean - mean.mean(dim=1, keepdim=True)  # what is left of a colour without its grey
        room = torch.where(tint > 0, 1 - grey, grey) / tint.abs().clamp_min(1e-6)
        paler = room.amin(dim=1, keepdim=True).clamp(0, 1)
        return ((grey + paler * tint) * 255).round().clamp(0, 255).to(torch.uint8)

    def grey_shown(self, pixels: Pixels) -> Pixels:
        """What the network sees, as people see it: in all three planes, rounded to a byte."""
        return shown_in_grey(pixels)

    def save(self, path: Path) -> None:
        """Write the palette as JSON: name, space, range, colours."""
        write_json(path, {"name": self.name, "space": self.space, "range": "0..1", "colours": self._rounded()})

    def _bytes(self) -> Tensor:
        return (self.colours * 255).round().to(torch.uint8)

    def _rounded(self) -> list[list[float]]:
        return [[round(value, 8) for value in colour] for colour in self.colours.tolist()]


def _snapped(colours: Tensor) -> Tensor:
    """Colours on the 0 to 255 scale, those within rounding (8 decimals of 0 to 1) of a byte set to that byte."""
    whole = colours.round()
    return torch.where((colours - whole).abs() < 255 * 0.5e-8, whole, colours)


AnyPalette: TypeAlias = Palette | ChromaPalette


def fit_palette(
    pixels: Pixels, k: int, seed: int = 0, name: str | None = None, space: Literal["rgb", "oklab"] = "rgb"
) -> AnyPalette:
    """The k-means palette of some pictures (Lloyd's algorithm from a k-means++ start).

    Args:
        pixels: of the pictures.
        k: colours, or chromas.
        seed: of the sample and the start.
        name: what to call the palette.
        space: "rgb", darkest colour first; or "oklab", chromas alone, greyest first.

    Raises:
        BadPalette: k is out of range, or the pictures have fewer than k different colours, or chromas.
    """
    if not 2 <= k <= MOST_COLOURS:
        raise BadPalette(f"{k} colours asked; a palette has 2 to {MOST_COLOURS}")
    colours = pixels.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    if len(colours) > SAMPLED_PIXELS:
        colours = colours[np.random.default_rng(seed).choice(len(colours), SAMPLED_PIXELS, replace=False)]
    if space == "oklab":
        centres = _centres(chromas_of(torch.from_numpy(colours)).double().numpy(), k, seed, "chromas")
        centres = centres[np.argsort(np.hypot(*centres.T), kind="stable")]
        return ChromaPalette(torch.from_numpy(np.round(centres, 8)), name or f"chroma{k}")
    centres = np.clip(_centres(colours.astype(np.float64) / 255, k, seed, "colours"), 0, 1)
    centres = centres[np.argsort(centres.sum(axis=1), kind="stable")]
    return Palette(torch.from_numpy(np.round(centres, 8)), name or f"kmeans{k}")


def _centres(points: np.ndarray, k: int, seed: int, what: str) -> np.ndarray:
    from sklearn.cluster import KMeans  # a second of imports, which painting need not wait for

    different = len(np.unique(points.round(5), axis=0))  # greys differ in chroma by rounding alone, some 1e-7
    if different < k:
        raise BadPalette(f"the pictures have {different} different {what}, {k} were asked; ask for fewer colours")
    centres: np.ndarray = KMeans(k, n_init=1, random_state=seed).fit(points).cluster_centers_
    return centres


def load_palette(path: Path) -> AnyPalette:
    """A palette from JSON: an object with `colours`, or a bare list; each colour three numbers in 0 to 1 or `#rrggbb`.

    In an object that has "oklab" as its `space`, a colour is two numbers, a and b.

    Raises:
        BadPalette: the file is missing, is not JSON, or is not a palette.
    """
    expected = 'expected JSON such as {"colours": [[0.1, 0.2, 0.3], "#8a2b1f"]}, values 0 to 1'
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadPalette(f"palette {path} cannot be read ({error}); {expected}") from None
    name, space = path.stem, "rgb"
    if isinstance(given, dict):
        space = given.get("space", space)
        if space not in ("rgb", "oklab"):
            raise BadPalette(f"palette {path} is in space {space!r}; expected 'rgb' or 'oklab'")
        name = str(given.get("name", name))
        given = given.get("colours")
    try:
        colours = [_chroma(value) if space == "oklab" else _colour(value) for value in given]
    except (TypeError, ValueError, OverflowError) as error:
        raise BadPalette(f"palette {path} is not a list of colours ({error}); {expected}") from None
    values = torch.tensor(colours, dtype=torch.float64)
    return ChromaPalette(values.reshape(-1, 2), name) if space == "oklab" else Palette(values.reshape(-1, 3), name)


def _chroma(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != 2 or any(isinstance(v, bool | str) for v in value):
        raise ValueError(f"{value!r} is not two numbers, a and b")
    return tuple(float(v) for v in value)


def _colour(value: object) -> tuple[float, ...]:
    if isinstance(value, str):
        digits = value.removeprefix("#")
        if len(digits) != 6:
            raise ValueError(f"{value!r} is not #rrggbb")
        one, two, three = bytes.fromhex(digits)
        return one / 255, two / 255, three / 255
    if not isinstance(value, list) or len(value) != 3 or any(isinstance(v, bool | str) for v in value):
        raise ValueError(f"{value!r} is not three numbers")
    red, green, blue = (float(v) for v in value)
    return red, green, blue
