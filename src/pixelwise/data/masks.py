"""Masks in: the numbers or colours that a file holds, and the classes that they stand for.

A mask is a lossless file in which each pixel is a class number (grey, palette or two-coloured), or a class's colour.
What the numbers and colours mean is said by `classes.json` or `classes.txt` beside the masks, or else guessed from the
numbers that occur.
"""

import contextlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from ..classes.labels import VOID, Labels, packed
from ..errors import BadData, BadPicture, PixelwiseError
from ..shapes import Rgb
from .images import FORMATS, MOST_PIXELS, open_picture, to_tensor

LOSSY = frozenset({"JPEG", "WEBP"})  # as files' formats; WebP can be lossless, but its files do not say so up front
STEPS = {"L;2": 85, "L;4": 17}  # Pillow stretches greys of 2 and 4 bits to 0 to 255; a class number must not be
NEARLY = 32  # a lossy file's values are this near to 0 or 255 where the mask was 0/255
MOST_GUESSED = 64  # classes; more numbers than that are a grey picture rather than a mask
SHOWN = 5  # values in an error
BINARY = ("background", "foreground")
MEND_LOSSY = "JPEG and WebP mix classes at their borders; export the masks again as PNG"
MEND_UNKNOWN = "mend the mask, or list these as classes or as void in classes.json"
MEND_COLOURS = 'list each class and its colour in classes.json: {"classes": ["ground", …], "colours": ["#000000", …]}'


@dataclass(frozen=True, eq=False)
class RawMask:
    """A mask as its file has it, upright: the number of each pixel, or its colour."""

    source: Path
    values: UInt8[Tensor, "h w"] | Rgb

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        height, width = self.values.shape[-2:]
        return height, width

    @property
    def coloured(self) -> bool:
        """Whether the file holds colours."""
        return self.values.ndim == 3

    @property
    def numbers(self) -> UInt8[Tensor, "h w"] | None:
        """The number of each pixel, which a colour file has too if it is all grey; None where there are colours."""
        if not self.coloured:
            return self.values
        red, green, blue = self.values
        return red if torch.equal(red, green) and torch.equal(red, blue) else None


@dataclass(frozen=True)
class MaskCode:
    """What the values in mask files stand for.

    Args:
        labels: the classes.
        of_number: the class of each number, or VOID.
        of_colour: the class of each colour (0xrrggbb), or VOID; empty if masks do not come in colours.
        settled: False where 255 is void only as long as the masks hold another number than 0 and 255.
    """

    labels: Labels
    of_number: Mapping[int, int]
    of_colour: Mapping[int, int] = field(default_factory=dict)
    settled: bool = True

    def ids(self, raw: RawMask) -> UInt8[Tensor, "h w"]:
        """The class of every pixel.

        Raises:
            BadData: the mask has a number or colour that stands for nothing, or colours where none are listed.
        """
        ids, unknown = self.read(raw)
        if unknown:
            most = sorted(unknown.items(), key=lambda item: -item[1])[:SHOWN]
            shown = ", ".join(f"{value} ({count:,} pixels)" for value, count in most)
            more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
            raise BadData(f"{raw.source} holds {shown}{more}; expected {self.expected(raw)}; {MEND_UNKNOWN}")
        return ids

    def read(self, raw: RawMask) -> tuple[UInt8[Tensor, "h w"], dict[str, int]]:
        """The class of every pixel, VOID where its value is unknown, and how many pixels have each unknown value.

        Raises:
            BadData: the mask has colours, and no class has one.
        """
        numbers = numbers_of(raw, self)
        if numbers is not None:
            return _by_number(numbers, self.of_number)
        if not self.of_colour:
            raise BadData(f"{raw.source} is in colours, of which the meaning is unknown; {MEND_COLOURS}")
        return _by_colour(raw.values, self.of_colour)

    def expected(self, raw: RawMask) -> str:
        """The values that a mask like this one may have, in words."""
        if raw.coloured and self.of_colour:
            return "one of the colours " + ", ".join(f"#{value:06x}" for value in self.of_colour)
        return "one of the numbers " + _ranges(sorted(self.of_number))


def read_mask(path: Path) -> RawMask:
    """Read a mask's numbers (of a palette file the numbers, not the colours) or, of a colour file, its colours.

    Raises:
        BadPicture: there is no such file, or it is not a picture that can be read whole.
        BadData: it is a lossy file, has transparent pixels, or holds numbers above 255.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                if not 0 < image.width * image.height <= MOST_PIXELS:
                    raise ValueError("too many pixels, or none")
                step = _step(image)
                image.load()
                _refuse_lossy(path, image)
                return _raw(path, _upright(image), step)
    except PixelwiseError:
        raise
    except Exception as error:
        open_picture(path)  # says in words what is wrong with a file; the decoders themselves raise almost anything
        raise BadPicture(f"{path} cannot be read as a mask ({error}); save it as PNG") from None


def numbers_of(raw: RawMask, code: MaskCode | None) -> UInt8[Tensor, "h w"] | None:
    """The numbers of a mask's pixels; None if the mask is read by colour, or could only be."""
    return None if raw.coloured and code is not None and code.of_colour else raw.numbers


def guessed_code(seen: Mapping[int, Path]) -> MaskCode:
    """What numbers mean if nobody said so: 0/255 and 0/1 are background and foreground, others are classes themselves.

    Args:
        seen: each number that the masks hold, and a file that holds it.

    Raises:
        BadData: there are too many numbers for masks.
    """
    if seen.keys() <= {0, 255}:
        return MaskCode(Labels(BINARY), {0: 0, 255: 1})
    if seen.keys() <= {0, 1}:
        return MaskCode(Labels(BINARY), {0: 0, 1: 1})
    highest = max(value for value in seen if value != VOID)
    if highest >= MOST_GUESSED:
        raise BadData(
            f"{seen[highest]} holds the number {highest}; expected class numbers below {MOST_GUESSED}, and 255 for "
            "void: it looks like a grey picture, or a mask with soft edges; if not, list the classes in classes.json"
        )
    numbers = range(highest + 1)
    return MaskCode(Labels(tuple(f"class {i}" for i in numbers)), {**{i: i for i in numbers}, VOID: VOID})


def settled_code(code: MaskCode, seen: Mapping[int, Path]) -> MaskCode:
    """Two listed classes in 0/255 masks: 255 is the second class, unless the list says what it is."""
    if not code.settled and seen.keys() <= {0, 255} and 255 in seen:
        code = replace(code, of_number={0: 0, 255: 1})
    return replace(code, settled=True)


def _by_number(numbers: Tensor, known: Mapping[int, int]) -> tuple[Tensor, dict[str, int]]:
    table = np.full(256, VOID, dtype=np.uint8)
    table[list(known)] = list(known.values())
    counts = np.bincount(numbers.numpy().ravel(), minlength=256)
    unknown = {str(i): int(counts[i]) for i in range(256) if counts[i] and i not in known}
    return torch.from_numpy(table[numbers.numpy()]), unknown


def _by_colour(rgb: Rgb, known: Mapping[int, int]) -> tuple[Tensor, dict[str, int]]:
    colours = packed(rgb.unsqueeze(0))[0]
    ids = torch.full(colours.shape, VOID, dtype=torch.uint8)
    left = torch.ones(colours.shape, dtype=torch.bool)
    for colour, index in known.items():
        here = colours == colour
        ids[here] = index
        left &= ~here
    found, counts = np.unique(colours[left].numpy(), return_counts=True)
    return ids, {f"#{c:06x}": n for c, n in zip(found.tolist(), counts.tolist(), strict=True)}


def _step(image: Image.Image) -> int:
    """What the file's numbers were multiplied by; known only before the pixels are loaded."""
    tile = image.tile[0] if image.tile else None  # type: ignore[attr-defined]
    raw = tile.args if tile is not None else None
    raw = raw[0] if isinstance(raw, tuple) and raw else raw
    return STEPS.get(raw, 1) if isinstance(raw, str) else 1


def _refuse_lossy(path: Path, image: Image.Image) -> None:
    if image.format not in LOSSY and image.info.get("compression") != "jpeg":
        return
    grey = np.array(image.convert("L"))
    if np.mean((grey <= NEARLY) | (grey >= 255 - NEARLY)) >= 0.95:
        raise BadData(f"{path} is a lossy file of a 0/255 mask; expected PNG: save it as PNG after thresholding at 128")
    raise BadData(f"{path} is a lossy file; expected PNG: {MEND_LOSSY}")


def _upright(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # odd EXIF data is no reason to refuse good pixels
        return ImageOps.exif_transpose(image)
    return image


def _raw(path: Path, image: Image.Image, step: int) -> RawMask:
    if image.mode in {"LA", "PA", "RGBA", "La", "RGBa"}:
        clear = int(np.count_nonzero(np.array(image.getchannel("A")) < 255))
        if clear:
            raise BadData(f"{path} has {clear:,} transparent pixels, of which the class is unknown; save it without")
        image = image.convert({"LA": "L", "PA": "P"}.get(image.mode, "RGB"))
    if image.mode in {"1", "L", "P"} or image.mode.startswith("I"):
        numbers = np.array(image)
        if numbers.min() < 0 or numbers.max() > 255:
            raise BadData(f"{path} holds numbers up to {numbers.max()}; expected class numbers of 0 to 255")
        return RawMask(path, torch.from_numpy(numbers.astype(np.uint8) // step))
    if image.mode == "F":
        raise BadData(f"{path} holds floating-point values; expected class numbers; save it as 8-bit PNG")
    return RawMask(path, to_tensor(image.convert("RGB")))


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers in words: 0 to 20, 255."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True))
