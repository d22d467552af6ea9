"""A map that shows people where the colours are guesses: the photograph in grey, doubtful places tinted.

What is mapped is how far the painted chroma may be from the true one, in OKLab, where 0.02 is about what one just sees
and 0.1 lies between grass and straw. benchmarks/colour.py measures how true the map itself is.
"""

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..classes.oklab import light_of, pixels_of
from ..data.images import to_image, to_tensor
from ..shapes import Rgb, RgbOfAnySize
from .edge_aware import in_strips, stretched

SURE, LOST = 0.03, 0.15  # distances in OKLab at which the tint begins, and is full
TINT = torch.tensor([0.17, 0.09])  # a and b of the full tint, an orange red
SMALLEST_TEXT = 12  # pixels


def uncertainty_shown(rgb: Rgb, doubt: Float[Tensor, "gh gw"]) -> RgbOfAnySize:
    """The photograph in grey, tinted the more the more its colours are guesses, with a scale below it."""
    shown = torch.empty_like(rgb)
    strength = ((doubt - SURE) / (LOST - SURE)).clamp(0, 1).unsqueeze(0)

    def paint(rows: slice) -> None:
        light = light_of(rgb[None, :, rows])
        own = stretched(strength, rows.start, light.shape[2], light.shape[3], rgb.shape[1])
        shown[:, rows] = pixels_of(light, (own * TINT.view(2, 1, 1)).unsqueeze(0))[0]

    in_strips(paint, *rgb.shape[1:])
    return _above_scale(shown)


def _above_scale(shown: Rgb) -> RgbOfAnySize:
    _, height, width = shown.shape
    size = max(SMALLEST_TEXT, round((height + width) / 80))
    font = ImageFont.load_default(size)
    words = ("sure", "expected error of the colour (OKLab): 0.03 to 0.15", "a guess")
    texts = [round(font.getlength(word)) for word in words]
    wide = max(width, sum(texts) + 4 * size)
    sheet = Image.new("RGB", (wide, height + 4 * size), "white")
    sheet.paste(to_image(shown), (0, 0))
    light, share = torch.full((1, 1, size, wide), 0.7), torch.linspace(0, 1, wide)
    bar = pixels_of(light, (share.view(1, 1, 1, -1) * TINT.view(1, 2, 1, 1)).expand(1, 2, size, wide))
    sheet.paste(to_image(bar[0]), (0, height + size // 2))
    draw, top = ImageDraw.Draw(sheet), height + 2 * size
    draw.text((size // 2, top), words[0], "black", font)
    draw.text(((wide - texts[1]) // 2, top), words[1], "black", font)
    draw.text((wide - texts[2] - size // 2, top), words[2], "black", font)
    return to_tensor(sheet)
