"""Named labels as a set of classes, and void: pixels that nobody labelled, which count for nothing.

Class ids are 0 to k - 1; 255 is void, as in Pascal VOC and Cityscapes.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import BadData, BadSetting
from ..shapes import ClassIds, Pixels, Probabilities

VOID = 255
MOST_LABELS = 255
# Okabe and Ito's colours, which colour-blind readers can tell apart, after a dark ground for the first class.
COLOURS = ("#2b2b2b", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
VOID_COLOUR = (160, 160, 160)


@dataclass(frozen=True)
class Labels:
    """k labels; class i is called `names[i]` and shown in `colours[i]`.

    Args:
        names: different from each other, 1 to 255 of them.
        colours: one `#rrggbb` for each; without them, colours that are easy to tell apart.

    Raises:
        BadSetting: no names, too many, two alike, or colours that are not `#rrggbb` or not one for each name.
    """

    names: tuple[str, ...]
    colours: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        k = len(self.names)
        if not 1 <= k <= MOST_LABELS or len(set(self.names)) < k or not all(name.strip() for name in self.names):
            raise BadSetting(f"classes {', '.join(self.names)!r}; expected 1 to {MOST_LABELS} different names")
        if not self.colours:
            object.__setattr__(self, "colours", tuple(usual_colour(i) for i in range(k)))
        if len(self.colours) != k:
            raise BadSetting(f"{len(self.colours)} colours for {k} classes; expected one for each")
        object.__setattr__(self, "colours", tuple(_hex(colour) for colour in self.colours))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def display_colours(self) -> Sequence[str]:
        """One `#rrggbb` for each class."""
        return self.colours

    @property
    def void(self) -> int | None:
        """The id of pixels that are not labelled."""
        return VOID

    def see(self, pixels: Pixels) -> Float[Tensor, "n 3 h w"]:
        """The network sees the picture in colour, 0 to 1; what else it wants of its input is its own business."""
        return pixels.float() / 255

    def encode(self, pixels: Pixels) -> ClassIds:
        """The classes of a mask that is painted in the display colours; any other colour is void.

        Raises:
            BadData: two classes share a colour, so that colours do not tell them apart.
        """
        if len(set(self.colours)) < len(self):
            raise BadData("two classes have one colour; give each its own to read masks by colour")
        codes = packed(pixels)
        ids = torch.full_like(codes, VOID, dtype=torch.uint8)
        for index, colour in enumerate(self._bytes().view(-1, 3, 1, 1)):
            ids[codes == packed(colour.unsqueeze(0))] = index
        return ids

    def decode(self, ids: ClassIds) -> Pixels:
        """Every pixel in the colour of its class, void in grey.

        Raises:
            BadData: an id that is neither a class nor void.
        """
        table = torch.tensor(VOID_COLOUR, dtype=torch.uint8).repeat(256, 1)
        table[: len(self)] = self._bytes()
        known = (ids < len(self)) | (ids == VOID)
        if not bool(known.all()):
            raise BadData(f"class {int(ids[~known][0])} asked of {len(self)} classes; expected 0 to {len(self) - 1}")
        return table[ids.long()].permute(0, 3, 1, 2).contiguous()

    def paint(self, probabilities: Probabilities) -> Pixels:
        """Every pixel in the colour of its likeliest class; equal probabilities go to the lowest index."""
        return self.decode(probabilities.argmax(dim=1).to(torch.uint8))

    def _bytes(self) -> Tensor:
        return torch.tensor([list(bytes.fromhex(colour[1:])) for colour in self.colours], dtype=torch.uint8)


def packed(pixels: Pixels) -> Tensor:
    """Red, green and blue of every pixel as one integer."""
    red, green, blue = pixels.long().unbind(dim=1)
    return (red << 16) | (green << 8) | blue


def usual_colour(index: int) -> str:
    """The display colour of a class that was given none; after the first eight, spread round the colour circle."""
    if index < len(COLOURS):
        return COLOURS[index]
    hue = (index * 0.6180339887) % 1  # the golden ratio keeps neighbours apart
    light = 0.45 + 0.2 * (index % 3)
    return "#{:02x}{:02x}{:02x}".format(*(round(255 * v) for v in colorsys.hls_to_rgb(hue, light, 0.65)))


def _hex(colour: str) -> str:
    digits = colour.removeprefix("#").lower()
    if len(digits) != 6 or any(digit not in "0123456789abcdef" for digit in digits):
        raise BadSetting(f"colour {colour!r}; expected #rrggbb")
    return f"#{digits}"
