"""OKLab, in which equal distances look about equal (Ottosson 2020, https://bottosson.github.io/posts/oklab/).

L is lightness, 0 (black) to 1 (white); a goes from green to red, b from blue to yellow. A grey pixel has a = b = 0, and
its L is the cube root of its linear light.
"""

from collections.abc import Iterator
from itertools import product

import torch
from jaxtyping import Bool, Float, Int64, UInt8, UInt16
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
HALVINGS = 10  # of the interval in which the palest scale lies: 1/1024 of a chroma
NEAREST = 1 / 255  # lightness that rounding to bytes may cost
DARK = 0.15  # rounding costs that much only below this lightness (0.13, by trying colours from all over the cube)
AT_ONCE = 1 << 17  # pixels; their dozen planes of numbers then stay near the processor
LEVELS = (1 << 16) - 1  # of light, for the table of what bytes they are; steps of 1/20 of a byte where it is steepest
SLACK = 1e-5  # of linear light, for the rounding of float32; a thirtieth of what lies between bytes 0 and 1

Steps = tuple[tuple[int, ...], ...]  # of red, green and blue, in bytes
AROUND: Steps = tuple(product((0, 1), repeat=3))
FARTHER: Steps = tuple(product((-1, 0, 1, 2), repeat=3))  # below byte 3 the nearest lightness can lie there
# What is tried where rounding costs more: by how much chroma is multiplied, and the bytes around that.
TRIED = (*((scale, AROUND) for scale in (1.0, 0.75, 0.5, 0.25, 0.0)), (0.0, FARTHER))

Lab = Float[Tensor, "n 3 h w"]
Lightness = Float[Tensor, "n 1 h w"]
Chroma = Float[Tensor, "n 2 h w"]
DeepPixels = UInt16[Tensor, "n 3 h w"]
Places = tuple[Int64[Tensor, "m"], Int64[Tensor, "m"]]
AtPixels = Bool[Tensor, "n h w"]


def linear_of(encoded: Tensor) -> Tensor:
    """Light in 0 to 1, from sRGB's encoding of it in 0 to 1 (IEC 61966-2-1)."""
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def encoded_of(linear: Tensor) -> Tensor:
    """The encoding of light by sRGB; what is outside 0 to 1 goes on smoothly above and along a line below."""
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055)


def oklab_of(pixels: Pixels) -> Lab:
    """L, a and b of every pixel, in float32."""
    return _oklab_of_linear(_looked_up(LINEAR, pixels.int()))


def light_of(pixels: Pixels) -> Lightness:
    """L of every pixel; of grey pictures quickly, from a table."""
    made = torch.empty(len(pixels), 1, *pixels.shape[2:])
    for rows in _strips(made):
        strip = pixels[:, :, rows]
        red, green, blue = strip.unbind(dim=1)
        if torch.equal(red, green) and torch.equal(green, blue):
            made[:, 0, rows] = _looked_up(LIGHT, red.int())
        else:
            made[:, :, rows] = _light_of_linear(_looked_up(LINEAR, strip.int()))
    return made


def deep_light_of(pixels: DeepPixels) -> Lightness:
    """L of every pixel of 16 bits."""
    made = torch.empty(len(pixels), 1, *pixels.shape[2:])
    for rows in _strips(made):
        made[:, :, rows] = _light_of_linear(linear_of(pixels[:, :, rows].to(torch.int32) / 65535))
    return made


def chromas_of(colours: UInt8[Tensor, "m 3"]) -> Float[Tensor, "m 2"]:
    """The a and b of some colours, sRGB bytes."""
    return oklab_of(colours.T[None, :, :, None])[0, 1:, :, 0].T


def linear_rgb_of(lab: Lab) -> Float[Tensor, "n 3 h w"]:
    """Linear red, green and blue; outside of 0 to 1 for colours that no screen has."""
    return _mixed(_INVERSE_CONES, _mixed(_INVERSE_OPPONENTS, lab).pow_(3))


def pixels_of(light: Lightness, chroma: Chroma) -> Pixels:
    """Bytes of the given lightness and hue, with as much of the chroma as there is room for.

    Chroma is made less where a channel would leave 0 to 1, at the same lightness and hue; nothing is clipped. Where
    rounding to bytes would move the lightness by more than 1/255, as it does near black, the bytes around the colour
    are tried, then those around paler ones. A lightness that some byte colour has is kept within 1/255.

    Args:
        light: L, 0 to 1.
        chroma: a and b.
    """
    made = torch.empty(len(light), 3, *light.shape[2:], dtype=torch.uint8)
    for rows in _strips(light):
        made[:, :, rows] = _bytes_of(light[:, :, rows], chroma[:, :, rows])
    return made


def deep_pixels_of(light: Lightness, chroma: Chroma) -> DeepPixels:
    """The same in 16 bits, whose rounding costs no lightness worth the name."""
    made = torch.empty(len(light), 3, *light.shape[2:], dtype=torch.uint16)
    for rows in _strips(light):
        linear, _ = _linear_with_room(light[:, :, rows], chroma[:, :, rows])
        made[:, :, rows] = (encoded_of(linear).clamp(0, 1) * 65535).round().to(torch.int32).to(torch.uint16)
    return made


def _strips(light: Lightness) -> Iterator[slice]:
    n, _, h, w = light.shape
    rows = max(1, AT_ONCE // max(1, n * w))
    return (slice(top, top + rows) for top in range(0, h, rows))


def _bytes_of(light: Lightness, chroma: Chroma) -> Pixels:
    linear, chroma = _linear_with_room(light, chroma)
    made = _looked_up(BYTES, linear.clamp_(0, 1).mul_(LEVELS).add_(0.5).to(torch.int32))
    dark = _where((light < DARK).squeeze(1))
    if dark is None:
        return made
    there = [_taken(values, dark) for values in (made, light, chroma)]
    off = _where(_off(there[0], there[1]))
    if off is None:
        return made
    mended = _placed(there[0], off, _nearest_bytes(*(_taken(values, off) for values in there)))
    return _placed(made, dark, mended)


def _linear_with_room(light: Lightness, chroma: Chroma) -> tuple[Float[Tensor, "n 3 h w"], Chroma]:
    """Linear light, and the chroma that it has room for."""
    linear = linear_rgb_of(torch.cat([light, chroma], dim=1))
    outside = _where(~_within(linear))
    if outside is not None:
        own = _taken(light, outside)
        paler = _with_room(own, _taken(chroma, outside))
        chroma = _placed(chroma.clone(), outside, paler)
        linear = _placed(linear, outside, linear_rgb_of(torch.cat([own, paler], dim=1)))
    return linear, chroma


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
    return _within(linear_rgb_of(torch.cat([light, chroma], dim=1)))


def _within(linear: Float[Tensor, "n 3 h w"]) -> AtPixels:
    red, green, blue = linear.unbind(dim=1)
    least = torch.minimum(torch.minimum(red, green), blue)
    most = torch.maximum(torch.maximum(red, green), blue)
    return (least >= -SLACK) & (most <= 1 + SLACK)


def _off(made: Pixels, light: Lightness) -> AtPixels:
    return ((light_of(made) - light).abs() > NEAREST).squeeze(1)


def _nearest_bytes(made: Pixels, light: Lightness, chroma: Chroma) -> Pixels:
    """Bytes that keep the lightness, of as much chroma as can be, or else those that keep it best."""
    for scale, steps in TRIED:
        off = _where(_off(made, light))
        if off is None:
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


def _where(chosen: AtPixels) -> Places | None:
    """Which picture, and which of its pixels, each of the chosen ones is; None if there are none."""
    flat = chosen.flatten().nonzero().squeeze(1)
    size = max(1, chosen[0].numel()) if len(chosen) else 1
    return (flat // size, flat % size) if len(flat) else None


def _taken(values: Tensor, places: Places) -> Float[Tensor, "1 c m 1"] | UInt8[Tensor, "1 c m 1"]:
    """The values at m pixels, as a picture that is one pixel wide."""
    picture, pixel = places
    return values.flatten(2)[picture, :, pixel].T[None, :, :, None]


def _placed(values: Tensor, places: Places, taken: Tensor) -> Tensor:
    """The values with those that were taken put back, in place."""
    picture, pixel = places
    values.view(*values.shape[:2], -1)[picture, :, pixel] = taken[0, :, :, 0].T
    return values


def _looked_up(table: Tensor, index: Tensor) -> Tensor:
    """`table[index]`, three times quicker."""
    return table.index_select(0, index.flatten()).view(index.shape)


def _oklab_of_linear(linear: Tensor) -> Lab:
    return _mixed(torch.tensor(OPPONENTS), _roots(linear))


def _light_of_linear(linear: Tensor) -> Lightness:
    one, two, three = _roots(linear).unbind(dim=1)
    long, middle, short = OPPONENTS[0]
    return torch.mul(one, long).add_(two, alpha=middle).add_(three, alpha=short).unsqueeze(1)


def _roots(linear: Tensor) -> Tensor:
    cones = _mixed(torch.tensor(CONES), linear)
    return cones.sign() * cones.abs() ** (1 / 3)


def _mixed(matrix: Float[Tensor, "3 3"], planes: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Each pixel's three numbers times a matrix; plane by plane, which is several times quicker than an einsum."""
    made = torch.empty_like(planes)
    one, two, three = planes.unbind(dim=1)
    for row, out in zip(matrix.tolist(), made.unbind(dim=1), strict=True):
        torch.mul(one, row[0], out=out)
        out.add_(two, alpha=row[1]).add_(three, alpha=row[2])
    return made


BYTES = (encoded_of(torch.arange(LEVELS + 1) / LEVELS) * 255).round().to(torch.uint8)  # of each level of light
LINEAR = linear_of(torch.arange(256) / 255)  # of each byte
LIGHT = _light_of_linear(LINEAR.expand(1, 3, 1, 256)).view(256)  # of each grey
_INVERSE_CONES = torch.tensor(CONES, dtype=torch.float64).inverse()
_INVERSE_OPPONENTS = torch.tensor(OPPONENTS, dtype=torch.float64).inverse()
