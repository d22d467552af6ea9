"""OKLab, in which equal distances look about equal (Ottosson 2020, https://bottosson.github.io/posts/oklab/).

L is lightness, 0 (black) to 1 (white); a goes from green to red, b from blue to yellow. A grey pixel has a = b = 0, and
its L is the cube root of its linear light.
"""

import torch
from jaxtyping import Float
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
PALER = (0.75, 0.5, 0.25, 0.0)  # scales that are tried where rounding costs more

Lab = Float[Tensor, "n 3 h w"]
Lightness = Float[Tensor, "n 1 h w"]
Chroma = Float[Tensor, "n 2 h w"]


def linear_of(encoded: Tensor) -> Tensor:
    """Light in 0 to 1, from sRGB's encoding of it in 0 to 1 (IEC 61966-2-1)."""
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def encoded_of(linear: Tensor) -> Tensor:
    """sRGB's encoding of light; what is outside 0 to 1 goes on smoothly above and along a line below."""
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055)


def oklab_of(pixels: Pixels) -> Lab:
    """L, a and b of every pixel, in float32."""
    return _oklab_of_linear(LINEAR[pixels.long()])


def light_of(pixels: Pixels) -> Lightness:
    """L of every pixel."""
    return oklab_of(pixels)[:, :1]


def linear_rgb_of(lab: Lab) -> Float[Tensor, "n 3 h w"]:
    """Linear red, green and blue; outside of 0 to 1 for colours that no screen has."""
    roots = torch.einsum("ij,njhw->nihw", _INVERSE_OPPONENTS.to(lab), lab)
    return torch.einsum("ij,njhw->nihw", _INVERSE_CONES.to(lab), roots**3)


def pixels_of(light: Lightness, chroma: Chroma) -> Pixels:
    """Bytes of the given lightness and hue, with as much of the chroma as there is room for.

    Chroma is made less where a channel would leave 0 to 1, at the same lightness and hue; nothing is clipped. Where
    rounding to bytes would move the lightness by more than 1/255, the eight neighbouring bytes are tried, then paler
    colours; a pixel whose grey is a byte keeps its lightness always.

    Args:
        light: L, 0 to 1.
        chroma: a and b.
    """
    scale = _room(light, chroma)
    rounded = (encoded_of(linear_rgb_of(torch.cat([light, scale * chroma], 1))).clamp(0, 1) * 255).round()
    made = rounded.to(torch.uint8)
    off = ((light_of(made) - light).abs() > NEAREST).squeeze(1)
    if not bool(off.any()):
        return made
    asked = light.movedim(1, -1)[off].T.unsqueeze(0), (scale * chroma).movedim(1, -1)[off].T.unsqueeze(0)
    better = _nearest_bytes(*(part.unsqueeze(-1) for part in asked))
    placed = made.movedim(1, -1).clone()
    placed[off] = better[0, :, :, 0].T
    return placed.movedim(-1, 1).contiguous()


def _room(light: Lightness, chroma: Chroma) -> Lightness:
    """By how much chroma is to be multiplied, at most 1, so that every channel is within 0 to 1, by bisection."""
    low, high = torch.zeros_like(light), torch.ones_like(light)
    whole = _inside(light, chroma)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = _inside(light, middle * chroma)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return torch.where(whole, 1.0, low)


def _inside(light: Lightness, chroma: Chroma) -> Tensor:
    linear = linear_rgb_of(torch.cat([light, chroma], dim=1))
    slack = 1e-6  # rounding of float32
    return ((linear >= -slack) & (linear <= 1 + slack)).all(dim=1, keepdim=True)


def _nearest_bytes(light: Lightness, chroma: Chroma) -> Pixels:
    """The bytes around each colour that keep its lightness best; paler colours where none keeps it."""
    best, error = None, torch.full_like(light, torch.inf)
    for scale in (1.0, *PALER):
        exact = encoded_of(linear_rgb_of(torch.cat([light, scale * chroma], dim=1))).clamp(0, 1) * 255
        for corner in range(8):
            up = torch.tensor([corner >> bit & 1 for bit in range(3)]).view(1, 3, 1, 1)
            tried = (exact + 1e-4).floor().add(up).clamp(0, 255).to(torch.uint8)
            away = (light_of(tried) - light).abs()
            better = (away < error) & (error > NEAREST)  # the most chroma that keeps the lightness well enough
            best = tried if best is None else torch.where(better, tried, best)
            error = torch.where(better, away, error)
    assert best is not None
    return best


def _oklab_of_linear(linear: Tensor) -> Lab:
    cones = torch.einsum("ij,njhw->nihw", torch.tensor(CONES).to(linear), linear)
    return torch.einsum("ij,njhw->nihw", torch.tensor(OPPONENTS).to(linear), cones.sign() * cones.abs() ** (1 / 3))


LINEAR = linear_of(torch.arange(256) / 255)  # of each byte
_INVERSE_CONES = torch.tensor(CONES, dtype=torch.float64).inverse()
_INVERSE_OPPONENTS = torch.tensor(OPPONENTS, dtype=torch.float64).inverse()
