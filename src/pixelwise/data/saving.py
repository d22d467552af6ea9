"""Writing a picture: whole or not at all, in sRGB, with eight or sixteen bits, and with what the old file said.

PNG is compressed at level 2. A noisy photograph of 12 megapixels takes 1.1 seconds and 19.7 megabytes at level 2,
1.0 and 19.8 at level 1, 4.0 and 16.9 at level 6; in 16 bits 2.2 and 55.2 at level 2, 3.0 and 54.2 at level 6.
"""

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import torch
from jaxtyping import UInt8, UInt16
from PIL import Image, PngImagePlugin, TiffImagePlugin
from torch import Tensor

from ..errors import BadPicture
from ..files import replacing
from ..shapes import Rgb
from .deep import SRGB
from .notes import LONGEST_EXIF, checked, exif_with, png_text

PNG_LEVEL = 2
ROWS = 256  # of a TIFF's strip


@dataclass(frozen=True, eq=False)
class Picture:
    """One upright picture: its colours, and its transparency if it has any (0 transparent, 255 opaque).

    Args:
        rgb: sRGB in 8 bits.
        alpha: None where every pixel is opaque by its format.
        source: the file.
        deep: sRGB in 16 bits, 0 to 65535, of which `rgb` is rounded; None where the file has 8.
        exif: the EXIF block as it was, its orientation included, which the pixels here no longer need.
        profiled: whether the file had an ICC profile; the pixels here have followed it.
        dots: per inch, across and down.
    """

    rgb: Rgb
    alpha: UInt8[Tensor, "h w"] | None
    source: Path
    deep: UInt16[Tensor, "3 h w"] | None = None
    exif: bytes | None = None
    profiled: bool = False
    dots: tuple[float, float] | None = None


def save_picture(
    path: Path,
    rgb: Rgb | UInt16[Tensor, "3 h w"],
    alpha: UInt8[Tensor, "h w"] | None = None,
    *,
    notes: Mapping[str, str] | None = None,
    like: Picture | None = None,
) -> None:
    """Write a picture in the format that the file's suffix says, whole or not at all.

    Args:
        path: where to; .bmp, .gif and .ppm have no room for notes.
        rgb: sRGB in 8 bits, or for PNG and TIFF in 16.
        alpha: 8 bits of transparency.
        notes: what to write into the file, such as Description and Software.
        like: the picture that this one was made of. Its EXIF and its dots per inch are kept, without orientation and
            thumbnail; if it had a profile, that of sRGB is written, never the old one.

    Raises:
        BadPicture: the suffix belongs to no format that can be written, or to one that cannot hold transparency or
            16 bits.
        BadSetting: a note's name fits no file.
        CannotWrite: the file cannot be made there.
    """
    said = checked(notes)
    suffix = path.suffix.lower()
    if rgb.dtype == torch.uint16 and suffix not in {".png", ".tif", ".tiff"}:
        raise BadPicture(
            f"{path} cannot be written (16 bits were given, and {suffix or 'no suffix'} holds 8 bits); save it as "
            ".png or .tif, or give 8 bits"
        )
    samples = _interleaved(rgb, alpha)
    try:
        with replacing(path) as beside:
            if suffix in {".tif", ".tiff"}:
                _save_tiff(beside, samples, said, like)
            elif suffix == ".png" and samples.dtype == np.uint16:
                _save_deep_png(beside, samples, said, like)
            else:
                Image.fromarray(samples).save(beside, **_options(suffix, said, like))
    except (OSError, ValueError, struct.error) as error:
        raise BadPicture(f"{path} cannot be written ({error})") from None


def _interleaved(rgb: Tensor, alpha: Tensor | None) -> np.ndarray:
    """Height x width x 3 or 4, all of the same number of bits."""
    planes = [rgb.numpy()]
    if alpha is not None:
        opacity = alpha.numpy()[None]
        planes.append(opacity.astype(np.uint16) * 257 if rgb.dtype == torch.uint16 else opacity)
    return np.ascontiguousarray(np.concatenate(planes).transpose(1, 2, 0))


def _options(suffix: str, notes: Mapping[str, str], like: Picture | None) -> dict[str, Any]:
    """What Pillow is told of a file with this suffix."""
    options: dict[str, Any] = {}
    if suffix in {".jpg", ".jpeg"}:
        options |= {"quality": 95, "subsampling": 0}
    elif suffix == ".webp":
        options |= {"quality": 95}
    elif suffix == ".png":
        options |= {"compress_level": PNG_LEVEL, "pnginfo": png_text(notes)}
    else:
        return options
    exif = exif_with({} if suffix == ".png" else notes, like.exif if like else None, LONGEST_EXIF)
    if len(exif):
        options["exif"] = exif
    if like and like.dots and suffix != ".webp":
        options["dpi"] = like.dots
    if like and like.profiled:
        options["icc_profile"] = SRGB
    return options


def _save_deep_png(path: Path, samples: np.ndarray, notes: Mapping[str, str], like: Picture | None) -> None:
    """Pixels from one library, which knows 16 bits, between chunks from Pillow, which knows the others."""
    stream = io.BytesIO()
    Image.new("RGB", (1, 1)).save(stream, "PNG", **_options(".png", notes, like))
    plain = np.array(samples, order="C")  # of a single pixel, strides can be anything, which the encoder refuses
    pixels = bytes(imagecodecs.png_encode(plain, level=PNG_LEVEL))
    after_header = 8 + 4 + 4 + 13 + 4
    kept = b"".join(
        chunk for kind, chunk in _chunks(stream.getvalue()) if kind in {b"iCCP", b"tEXt", b"iTXt", b"pHYs", b"eXIf"}
    )
    path.write_bytes(pixels[:after_header] + kept + pixels[after_header:])


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Every chunk of a PNG that was just written: its kind, and all of its bytes."""
    found, place = [], len(PngImagePlugin._MAGIC)
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big") + 12
        found.append((content[place + 4 : place + 8], content[place : place + length]))
        place += length
    return found


def _save_tiff(path: Path, samples: np.ndarray, notes: Mapping[str, str], like: Picture | None) -> None:
    """A TIFF of strips, each deflated after taking differences along the rows.

    Written here, since Pillow writes neither 16 bits of colour nor, beside compressed strips, a directory of EXIF.
    """
    height, width, channels = samples.shape
    strips = [_deflated(samples[top : top + ROWS]) for top in range(0, height, ROWS)]
    lengths = [len(strip) for strip in strips]
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in exif_with(notes, like.exif if like else None).items():
        directory[tag] = value
    if like and like.dots:
        directory[282], directory[283], directory[296] = (*like.dots, 2)  # 2: per inch
    directory[256], directory[257] = width, height
    directory[258] = (samples.dtype.itemsize * 8,) * channels
    directory[259], directory[262], directory[317] = 8, 2, 2  # deflate; red, green, blue; differences
    directory[273] = tuple(int(start) for start in np.cumsum([0, *lengths[:-1]]))
    directory[277], directory[278], directory[279] = channels, ROWS, tuple(lengths)
    directory[284] = 1  # the channels of a pixel stand together
    if channels == 4:
        directory[338] = 2  # transparency that the colours are not multiplied by
    if like and like.profiled:
        directory.tagtype[34675] = 7  # bytes of any meaning
        directory[34675] = SRGB
    path.write_bytes(b"II*\0" + struct.pack("<L", 8) + directory.tobytes(8) + b"".join(strips))


def _deflated(rows: np.ndarray) -> bytes:
    differences = rows.astype(rows.dtype.newbyteorder("<"))
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.tobytes(), PNG_LEVEL)
