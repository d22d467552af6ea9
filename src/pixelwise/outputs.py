"""What is left on disk of a segmented picture: its mask, and pictures that show people what was found where.

The mask is an indexed PNG. The overlay dims what is background and tints the rest, the outlines leave the picture as it
is and have a legend below it, and the cutout keeps what is not background. All but the legend are made for some rows at
a time, so that a large picture needs little memory beside itself.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from .classes.labels import VOID, VOID_COLOUR, Labels
from .data.images import save_picture, to_image, to_tensor
from .errors import BadData, CannotWrite
from .files import replacing
from .shapes import Rgb, RgbOfAnySize

BACKGROUND = 0
GREYED, DIMMED = 0.7, 0.7  # how much of its colour the background loses, and how much of its light it keeps
AT_ONCE = 2_000_000  # pixels
LINE = 1 / 280  # width of an outline by the mean of a picture's sides
DARK = np.array([16, 16, 16], dtype=np.float32)  # beside an outline
PAPER, INK, RIM = "#ffffff", "#222222", "#777777"  # of the legend
SMALLEST_TEXT = 12  # pixels
LONGEST_NAME = 32  # letters

Ids = UInt8[Tensor, "h w"]
Part = Float32[np.ndarray, "_ w 3"]


def write_outputs(stem: Path, rgb: Rgb, ids: UInt8[Tensor, "h w"], labels: Labels) -> list[Path]:
    """Write `<stem>_mask.png`, `<stem>_overlay.png`, `<stem>_outlines.png` and `<stem>_cutout.png`; says where.

    Raises:
        BadData: an id is neither a class nor void.
        CannotWrite: a file cannot be made there.
    """
    kinds = ("mask", "overlay", "outlines", "cutout")
    mask, shown, drawn, cut = (stem.with_name(f"{stem.name}_{kind}.png") for kind in kinds)
    index_mask(mask, ids, labels)
    save_picture(shown, overlay(rgb, ids, labels))
    save_picture(drawn, outlines(rgb, ids, labels))
    kept = cutout(rgb, ids, labels)
    save_picture(cut, kept[:3], kept[3])
    return [mask, shown, drawn, cut]


def index_mask(path: Path, ids: UInt8[Tensor, "h w"], labels: Labels) -> None:
    """Write a PNG of which every pixel is its class's number, 255 for void, shown in the classes' colours.

    Raises:
        BadData: an id is neither a class nor void.
        CannotWrite: the file cannot be made there.
    """
    _check(ids, labels)
    image = Image.fromarray(ids.contiguous().numpy())
    image.putpalette(_colours(labels).astype(np.uint8).tobytes())  # 256 colours, or Pillow would pack the numbers
    try:
        with replacing(path) as beside:
            image.save(beside, format="PNG")
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written ({error}); make room, or give another place") from None


def overlay(rgb: Rgb, ids: UInt8[Tensor, "h w"], labels: Labels, strength: float = 0.3) -> Rgb:
    """The picture with class 0 dim and nearly grey, and the other classes tinted and outlined in their colours.

    Args:
        rgb: the picture.
        ids: its classes; void is tinted in grey and has no outline.
        labels: their colours.
        strength: of the tint; 0 leaves the classes as they are, 1 paints them over.

    Raises:
        BadData: an id is neither a class nor void.
    """
    _check(ids, labels)
    colours = _colours(labels)
    made = torch.empty_like(rgb)
    for rows, part, own, lines in _parts(rgb, ids):
        tinted = part + strength * (colours[own] - part)
        grey = part.mean(axis=2, keepdims=True)
        dim = DIMMED * (part + GREYED * (grey - part))
        ground = (own == BACKGROUND)[:, :, None]
        made[:, rows] = _bytes(lines.drawn(np.where(ground, dim, tinted), colours[own]))
    return made


def outlines(rgb: Rgb, ids: UInt8[Tensor, "h w"], labels: Labels) -> RgbOfAnySize:
    """The picture with its classes outlined, but for class 0, and below it a legend with each class's share of pixels.

    It is as wide as the picture, or as wide as the legend needs if that is more.

    Raises:
        BadData: an id is neither a class nor void.
    """
    _check(ids, labels)
    colours = _colours(labels)
    made = torch.empty_like(rgb)
    for rows, part, own, lines in _parts(rgb, ids):
        made[:, rows] = _bytes(lines.drawn(part, colours[own]))
    return _above_legend(made, ids, labels)


def cutout(
    rgb: Rgb, ids: UInt8[Tensor, "h w"], labels: Labels, keep: Sequence[int] | None = None
) -> UInt8[Tensor, "4 h w"]:
    """The picture with all but some classes transparent, in its own size; the edge is soft, one pixel to either side.

    Args:
        rgb: the picture.
        ids: its classes.
        labels: what they are.
        keep: the classes that stay; None: all but class 0. Void never stays.

    Raises:
        BadData: an id is neither a class nor void, or a class to keep is none.
    """
    _check(ids, labels)
    classes = range(1, len(labels)) if keep is None else keep
    stays = np.zeros(256, dtype=np.uint8)
    for index in classes:
        if not 0 <= index < len(labels):
            raise BadData(f"class {index} to keep of {len(labels)} classes; expected 0 to {len(labels) - 1}")
        stays[index] = 255
    hard = Image.fromarray(stays[ids.numpy()])
    alpha = torch.from_numpy(np.array(hard.filter(ImageFilter.BoxBlur(1))))
    return torch.cat([rgb * (alpha > 0), alpha.unsqueeze(0)])  # what is cut away is gone, not only hidden


class _Lines:
    """How far every pixel of some rows lies from a border between classes, in line widths."""

    def __init__(self, own: UInt8[np.ndarray, "r w"], away: Float32[np.ndarray, "r w"], width: float) -> None:
        self.classed = ((own != BACKGROUND) & (own != VOID))[:, :, None]
        self.away, self.width = away[:, :, None], width

    def drawn(self, part: Part, colours: Part) -> Part:
        """Lines in the classes' own colours, inside of them, and thinner dark ones on both sides."""
        thin = self.width / 3
        reach = np.where(self.classed, self.width + thin, max(1.0, thin)).astype(np.float32)
        dark = np.clip(reach - self.away, 0, 1)
        bright = np.where(self.classed, np.clip(self.width - self.away, 0, 1), 0)
        edged: Part = part + dark * (DARK - part)
        made: Part = edged + bright * (colours - edged)
        return made


def _parts(rgb: Rgb, ids: Ids) -> Iterator[tuple[slice, Part, UInt8[np.ndarray, "_ w"], _Lines]]:
    """Some rows at a time: which, their pixels, their classes, and the lines in them."""
    h, w = ids.shape
    width = max(1.0, LINE * (h * w) ** 0.5)
    margin = 2 * int(width) + 3  # what lies farther away draws no line here
    step = max(1, AT_ONCE // w)
    for top in range(0, h, step):
        rows = slice(top, min(top + step, h))
        above = max(0, top - margin)
        around = ids[above : rows.stop + margin].numpy()
        here = slice(top - above, rows.stop - above)
        part = rgb[:, rows].permute(1, 2, 0).numpy().astype(np.float32)
        yield rows, part, around[here], _Lines(around[here], _from_border(around)[here], width)


def _from_border(ids: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Pixels between each pixel and the nearest one at a class's border; those have 0. Void and class 0 have none."""
    border: Bool[np.ndarray, "h w"] = np.zeros(ids.shape, dtype=bool)
    drawn = np.where(ids == VOID, BACKGROUND, ids)
    beside, below = drawn[:, 1:] != drawn[:, :-1], drawn[1:] != drawn[:-1]
    border[:, 1:] |= beside
    border[:, :-1] |= beside
    border[1:] |= below
    border[:-1] |= below
    if not border.any():
        return np.full(ids.shape, np.inf, dtype=np.float32)
    away: Float32[np.ndarray, "h w"] = distance_transform_edt(~border).astype(np.float32)
    return away


def _above_legend(rgb: Rgb, ids: Ids, labels: Labels) -> RgbOfAnySize:
    """The picture with a strip below: a swatch, the name and the share of pixels of every class that occurs."""
    picture = to_image(rgb)
    side = max(SMALLEST_TEXT, round(picture.width / 48))
    font = ImageFont.load_default(size=side)
    counts = torch.bincount(ids.flatten(), minlength=256).tolist()
    entries = [(i, _entry(i, count / ids.numel(), labels)) for i, count in enumerate(counts) if count]
    needed = [round(2 * side + font.getlength(text)) for _, text in entries]
    width = max(picture.width, max(needed) + side)
    places, x, y = [], side // 2, side // 2
    for entry in needed:
        if x + entry > width and x > side // 2:
            x, y = side // 2, y + round(1.5 * side)
        places.append((x, y))
        x += entry + side
    whole = Image.new("RGB", (width, picture.height + y + round(1.7 * side)), PAPER)
    whole.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(whole)
    colours = _colours(labels).astype(int)
    for (index, text), (x, y) in zip(entries, places, strict=True):
        top = picture.height + y
        draw.rectangle((x, top, x + side, top + side), tuple(colours[index]), RIM, max(1, side // 12))
        draw.text((x + round(1.4 * side), top + side / 2), text, INK, font, anchor="lm")
    return to_tensor(whole)


def _entry(index: int, share: float, labels: Labels) -> str:
    name = "void" if index == VOID else labels.names[index]
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return f"{short} {100 * share:.1f} %" if share >= 0.001 else f"{short} < 0.1 %"


def _check(ids: Ids, labels: Labels) -> None:
    wrong = ids[(ids >= len(labels)) & (ids != VOID)]
    if len(wrong):
        raise BadData(f"class {int(wrong[0])} in a mask of {len(labels)} classes; expected 0 to {len(labels) - 1}, 255")


def _colours(labels: Labels) -> Float32[np.ndarray, "256 3"]:
    """Red, green and blue of every id; what is no class is void."""
    table = np.tile(np.array(VOID_COLOUR, dtype=np.float32), (256, 1))
    table[: len(labels)] = [list(bytes.fromhex(colour[1:])) for colour in labels.display_colours]
    return table


def _bytes(part: Part) -> UInt8[Tensor, "3 _ w"]:
    return torch.from_numpy(part.round().clip(0, 255).astype(np.uint8)).permute(2, 0, 1)
