"""OKLab, in which equal distances look about equal (Ottosson 2020, https://bottosson.github.io/posts/oklab/).

L is lightness, 0 (black) to 1 (white); a goes from green to red, b from blue to yellow. A grey pixel has a = b = 0, and
its L is the cube root of its linear light.
"""

from itertools import product

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from ..shapes import Pixels

CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)  # linear sRGB to long, middle and short waves
OPPONENTS = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)  # their cube roots to L, a, b
HALVINGS = 12  # of the interval in which the palest scale lies: 1/4096 of a chroma
NEAREST = 1 / 255  # lightness that rounding to bytes may cost
SLACK = 1e-5  # of linear light, for the rounding of float32; a thirtieth of what lies between bytes 0 and 1

Steps = tuple[tuple[int, ...], ...]  # of red, green and blue, in bytes
AROUND: Steps = tuple(product((0, 1), repeat=3))
FARTHER: Steps = tuple(product((-1, 0, 1, 2), repeat=3))  # below byte 3 the nearest lightness can lie there
# What is tried where rounding costs more: by how much chroma is multiplied, and the bytes around that.
TRIED = (*((scale, AROUND) for scale in (1.0, 0.75, 0.5, 0.25, 0.0)), (0.0, FARTHER))

Lab = Float[Tensor, "n 3 h w"]
Lightness = Float[Tensor, "n 1 h w"]
Chroma = Float[Tensor, "n 2 h w"]
AtPixels = Bool[Tensor, "n h w"]


def linear_of(encoded: Tensor) -> Tensor:
    """Light in 0 to 1, from sRGB's encoding of it in 0 to 1 (IEC 61966-2-1)."""
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def encoded_of(linear: Tensor) -> Tensor:
    """The encoding of light by sRGB; what is outside 0 to 1 goes on smoothly above and along a line below."""
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055)


def oklab_of(pixels: Pixels) -> Lab:
    """L, a and b of every pixel, in float32."""
    return _oklab_of_linear(LINEAR[pixels.long()])


def light_of(pixels: Pixels) -> Lightness:
    """L of every pixel."""
    return oklab_of(pixels)[:, :1]


def chromas_of(colours: UInt8[Tensor, "m 3"]) -> Float[Tensor, "m 2"]:
    """The a and b of some colours, sRGB bytes."""
    return oklab_of(colours.T[None, :, :, None])[0, 1:, :, 0].T


def linear_rgb_of(lab: Lab) -> Float[Tensor, "n 3 h w"]:
    """Linear red, green and blue; outside of 0 to 1 for colours that no screen has."""
    roots = torch.einsum("ij,njhw->nihw", _INVERSE_OPPONENTS.to(lab), lab)
    return torch.einsum("ij,njhw->nihw", _INVERSE_CONES.to(lab), roots**3)


def pixels_of(light: Lightness, chroma: Chroma) -> Pixels:
    """Bytes of the given lightness and hue, with as much of the chroma as there is room for.

    Chroma is made less where a channel would leave 0 to 1, at the same lightness and hue; nothing is clipped. Where
    rounding to bytes would move the lightness by more than 1/255, as it does near black, the bytes around the colour
    are tried, then those around paler ones. A lightness that some byte colour has is kept within 1/255.

    Args:
        light: L, 0 to 1.
        chroma: a and b.
    """
    outside = ~_inside(light, chroma)
    if bool(outside.any()):
        chroma = _placed(chroma, outside, _with_room(_taken(light, outside), _taken(chroma, outside)))
    made = _bytes_before_rounding(light, chroma).round().to(torch.uint8)
    off = _off(made, light)
    if bool(off.any()):
        made = _placed(made, off, _nearest_bytes(*(_taken(values, off) for values in (made, light, chroma))))
    return made


def _bytes_before_rounding(light: Lightness, chroma: Chroma) -> Tensor:
    return encoded_of(linear_rgb_of(torch.cat([light, chroma], dim=1))).clamp(0, 1) * 255


def _with_room(light: Lightness, chroma: Chroma) -> Chroma:
    """Chroma made less, by bisection, until every channel is within 0 to 1."""
    low, high = torch.zeros_like(light), torch.ones_like(light)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = _inside(light, middle * chroma).unsqueeze(1)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return low * chroma


def _inside(light: Lightness, chroma: Chroma) -> AtPixels:
    linear = linear_rgb_of(torch.cat([light, chroma], dim=1))
    return ((linear >= -SLACK) & (linear <= 1 + SLACK)).all(dim=1)


def _off(made: Pixels, light: Lightness) -> AtPixels:
    return ((light_of(made) - light).abs() > NEAREST).squeeze(1)


def _nearest_bytes(made: Pixels, light: Lightness, chroma: Chroma) -> Pixels:
    """Bytes that keep the lightness, of as much chroma as can be, or else those that keep it best."""
    for scale, steps in TRIED:
        off = _off(made, light)
        if not bool(off.any()):
            break
        kept, wanted, paler = _taken(made, off), _taken(light, off), scale * _taken(chroma, off)
        made = _placed(made, off, _nearer(kept, wanted, paler, steps))
    return made


def _nearer(made: Pixels, light: Lightness, chroma: Chroma, steps: Steps) -> Pixels:
    """Of the bytes made so far and those some steps away from a colour, the ones nearest in lightness."""
    below = (_bytes_before_rounding(light, chroma) + 1e-4).floor()  # what is a byte but for rounding is that byte
    error = (light_of(made) - light).abs()
    for step in steps:
        tried = (below + torch.tensor(step).view(1, 3, 1, 1)).clamp(0, 255).to(torch.uint8)
        away = (light_of(tried) - light).abs()
        made, error = torch.where(away < error, tried, made), torch.minimum(away, error)
    return made


def _taken(values: Tensor, where: AtPixels) -> Float[Tensor, "1 c m 1"] | UInt8[Tensor, "1 c m 1"]:
    """The values at m pixels, as a picture that is one pixel wide."""
    return values.movedim(1, -1)[where].T[None, :, :, None]


def _placed(values: Tensor, where: AtPixels, taken: Tensor) -> Tensor:
    """The values with those that were taken put back."""
    changed = values.movedim(1, -1).clone()
    changed[where] = taken[0, :, :, 0].T
    return changed.movedim(-1, 1).contiguous()


def _oklab_of_linear(linear: Tensor) -> Lab:
    cones = torch.einsum("ij,njhw->nihw", torch.tensor(CONES).to(linear), linear)
    return torch.einsum("ij,njhw->nihw", torch.tensor(OPPONENTS).to(linear), cones.sign() * cones.abs() ** (1 / 3))


LINEAR = linear_of(torch.arange(256) / 255)  # of each byte
_INVERSE_CONES = torch.tensor(CONES, dtype=torch.float64).inverse()
_INVERSE_OPPONENTS = torch.tensor(OPPONENTS, dtype=torch.float64).inverse()
