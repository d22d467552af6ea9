"""What people may turn after training: how vivid, how rare, which colours may be used. Nothing is trained again.

Vividness is the temperature of the annealed mean (Zhang, Isola and Efros 2016, "Colorful Image Colorization", eq. 5):
1 gives the mean chroma, calm and nearest on average; towards 0 the likeliest class rules, vivid and patchy.

Rare colours: weighted training has its optimum at p(c) w(c) / sum, so that multiplying the probabilities of a network
trained without weights gives the same family (Zhang et al., eq. 4: w = 1 / ((1 - lambda) share + lambda / k)).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import BadSetting
from ..shapes import Logits, Probabilities
from .chroma import ChromaPalette
from .oklab import chromas_of
from .palette import AnyPalette, Palette

_Palette = TypeVar("_Palette", bound=Palette | ChromaPalette)

VIVIDNESS = 0.7  # chosen on validation photographs (docs/log.md)
CALMEST = 4.0
LEAST = 1e-9  # a vividness below it is as good as 0, and dividing by it would leave what float32 holds


@dataclass(frozen=True, kw_only=True)
class Dials:
    """How answers become colours.

    Args:
        vividness: T of the annealed mean, 0 (the likeliest class alone) to 4; 1 is the mean.
        rare: 0 as trained, to 1, where every class counts as if all were equally common.
        forbidden: colours, `#rrggbb`; the palette's class nearest to each is never used.
        swapped: pairs of colours; the class nearest to the first is painted in the second.
        locked: colours; where the class nearest to one is the likeliest, no hint may change it.

    Raises:
        BadSetting: a number is out of range, or a colour is not #rrggbb.
    """

    vividness: float = VIVIDNESS
    rare: float = 0.0
    forbidden: tuple[str, ...] = ()
    swapped: tuple[tuple[str, str], ...] = ()
    locked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.vividness <= CALMEST:
            raise BadSetting(f"vividness is {self.vividness}; expected 0 (vivid) to {CALMEST:g} (pale), 1 for the mean")
        if not 0 <= self.rare <= 1:
            raise BadSetting(f"rare is {self.rare}; expected 0 (as trained) to 1 (all classes alike)")
        for colour in (*self.forbidden, *self.locked, *(colour for pair in self.swapped for colour in pair)):
            bytes_of(colour)


def bytes_of(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`.

    Raises:
        BadSetting: it is not a colour.
    """
    digits = colour.removeprefix("#")
    try:
        red, green, blue = bytes.fromhex(digits if len(digits) == 6 else "")
    except ValueError:
        raise BadSetting(f"{colour!r} is not a colour; expected six hexadecimal digits such as #8a2b1f") from None
    return red, green, blue


def class_of(palette: AnyPalette, colour: str) -> int:
    """The palette's class nearest to a colour."""
    return int(palette.encode(torch.tensor(bytes_of(colour), dtype=torch.uint8).view(1, 3, 1, 1)))


def decided(logits: Logits, palette: AnyPalette, shares: Float[Tensor, "k"], dials: Dials) -> Probabilities:
    """Probabilities of the classes, once the dials have been asked.

    Args:
        logits: a network's answer.
        palette: its classes.
        shares: of the classes in the training pictures.
        dials: of these, vividness, rare and forbidden count here.

    Raises:
        BadSetting: every class is forbidden.
    """
    scores = logits.log_softmax(dim=1)
    if dials.rare:
        even = (1 - dials.rare) + dials.rare * shares.to(scores) * len(shares)  # up to a factor for all classes
        scores = scores - even.log().view(1, -1, 1, 1)
    if dials.forbidden:
        banned = sorted({class_of(palette, colour) for colour in dials.forbidden})
        if len(banned) == len(palette):
            raise BadSetting("every colour of the palette is forbidden; allow one at least")
        scores = scores.index_fill(1, torch.tensor(banned), -torch.inf)
    if dials.vividness < LEAST:
        return torch.zeros_like(scores).scatter_(1, scores.argmax(dim=1, keepdim=True), 1.0)
    return (scores / dials.vividness).softmax(dim=1)


def swapped(palette: _Palette, pairs: Sequence[tuple[str, str]]) -> _Palette:
    """A palette of which some colours are others: of each pair, the class nearest to the first becomes the second.

    Raises:
        BadSetting: two pairs are about the same class.
    """
    classes = [class_of(palette, first) for first, _ in pairs]
    if len(set(classes)) < len(classes):
        raise BadSetting("two swaps are about the same colour of the palette; `pixelwise palette show` names them")
    given = torch.tensor([bytes_of(second) for _, second in pairs], dtype=torch.uint8).reshape(-1, 3)
    if isinstance(palette, Palette):
        colours = palette.colours.clone()
        colours[classes] = given.double() / 255
        return replace(palette, colours=colours)
    chromas = palette.chromas.clone()
    chromas[classes] = chromas_of(given).double()
    return replace(palette, chromas=chromas)
