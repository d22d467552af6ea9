"""Sixteen bits per channel: Pillow keeps the upper eight of a colour, so other readers give the rest.

Pillow has opened, measured and decoded the file before one of these is asked, and the upper eight bits of what they
give must be the ones that Pillow gave. Where they are not, or a reader fails, the picture stays at eight bits.
"""

import io
import logging
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms, TiffImagePlugin

for _name in ("imagecodecs", "tifffile"):  # they would write to the terminal of odd metadata in a good file
    logging.getLogger(_name).addHandler(logging.NullHandler())

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an opened file holds 16-bit colour, or grey with alpha; asked before Pillow decodes it."""
    tiles = getattr(image, "tile", [])  # Pillow's plan for decoding: where, and in which order of bits
    deep = any(";16" in str(tile[3]) for tile in tiles) or is_planar(image)
    return deep and image.mode in {"RGB", "RGBA", "LA"}


def is_planar(image: Image.Image) -> bool:
    """Whether a TIFF holds 16-bit colour in separate planes, of which Pillow makes nonsense."""
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    return tags.get(284) == 2 and 16 in tuple(tags.get(258, ()))


def grey_values(shown: Image.Image, opened: Image.Image) -> np.ndarray:
    """The values of Pillow's image of deep grey, larger where it is lighter, by the tags of the file."""
    values = np.array(shown)
    tags = opened.tag_v2 if isinstance(opened, TiffImagePlugin.TiffImageFile) else {}
    return 65535 - values if tags.get(262) == 0 and values.dtype == np.uint16 else values


def deep_colours(path: Path, shown: Image.Image, orientation: int | None, planar: bool) -> np.ndarray | None:
    """All 16 bits of a file as h x w x channels, upright; None if they do not agree with what Pillow shows of it.

    Args:
        path: a PNG or TIFF that Pillow has decoded whole.
        shown: what Pillow made of it, upright.
        orientation: how the file's rows lie, in EXIF's numbers.
        planar: whether Pillow's colours are known to be wrong, so that only the size must agree.
    """
    try:
        stored = _png(path) if is_png(path) else _tiff(path, shown.width * shown.height)
    except Exception:  # they raise almost anything on odd files, and eight good bits are there already
        return None
    if stored.dtype != np.uint16 or stored.ndim != 3:
        return None
    values = upright(stored, orientation)
    seen = np.asarray(shown)
    if values.shape[:2] != seen.shape[:2]:
        return None
    if planar:
        return values
    if values.shape[2] == 2:  # grey with alpha, which Pillow may show as colours with alpha
        return values if np.array_equal(values >> 8, seen[..., [0, -1]]) else None
    channels = min(values.shape[2], seen.shape[2])
    return values if np.array_equal(values[..., :channels] >> 8, seen[..., :channels]) else None


def is_png(path: Path) -> bool:
    """Whether a file is a PNG by its first bytes, whatever its name says."""
    with path.open("rb") as file:
        return file.read(4) == b"\x89PNG"


def upright(values: np.ndarray, orientation: int | None) -> np.ndarray:
    """Rows and columns turned as EXIF's orientation says, as Pillow turns its images."""
    match orientation:
        case 2:
            return values[:, ::-1]
        case 3:
            return values[::-1, ::-1]
        case 4:
            return values[::-1]
        case 5:
            return values.swapaxes(0, 1)
        case 6:
            return np.rot90(values, -1)
        case 7:
            return values[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return np.rot90(values)
    return values


def deep_to_srgb(values: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Grey (h x w) or colours (h x w x 3) of 16 bits as sRGB colours of 16 bits, by an ICC profile if it fits."""
    if values.ndim == 2:
        return _grey_to_srgb(values, profile)
    if profile and colour_space(profile) == "RGB":
        try:
            return _transformed(values, profile, "rgb")
        except Exception:  # a damaged profile says nothing about the pixels
            return values
    return values


def colour_space(profile: bytes) -> str | None:
    """What a profile describes, such as RGB or GRAY; None when it is damaged."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def to_eight(values: np.ndarray) -> np.ndarray:
    """16 bits rounded to 8: 65535 / 257 = 255."""
    rounded: np.ndarray = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return rounded


def _grey_to_srgb(values: np.ndarray, profile: bytes | None) -> np.ndarray:
    ramp = np.arange(65536, dtype=np.uint16)  # every grey once: quicker than every pixel
    table = np.repeat(ramp[:, None], 3, axis=1)
    space = colour_space(profile) if profile else None
    try:
        if profile and space == "GRAY":
            table = _transformed(ramp.reshape(256, 256), profile, "gray", 0x100).reshape(65536, 3)  # not by few points
        elif profile and space == "RGB":
            table = _transformed(table.reshape(256, 256, 3), profile, "rgb").reshape(65536, 3)
    except Exception:  # a damaged profile says nothing about the pixels
        return np.repeat(values[..., None], 3, axis=2)
    looked_up: np.ndarray = table[values]
    return looked_up


def _transformed(values: np.ndarray, profile: bytes, space: str, flags: int = 0) -> np.ndarray:
    changed: np.ndarray = imagecodecs.cms_transform(
        np.ascontiguousarray(values),
        profile,
        SRGB,
        colorspace=space,
        outcolorspace="rgb",
        outdtype="uint16",
        flags=flags,
    )
    return changed


def _png(path: Path) -> np.ndarray:
    values: np.ndarray = imagecodecs.png_decode(path.read_bytes())
    return values


def _tiff(path: Path, pixels: int) -> np.ndarray:
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        if page.dtype != np.uint16 or page.samplesperpixel not in (3, 4):
            raise ValueError("not 16-bit colour")
        if page.imagewidth * page.imagelength != pixels or page.imagedepth != 1:  # before memory is asked for
            raise ValueError("another size than Pillow's")
        values: np.ndarray = page.asarray()
    return np.moveaxis(values, 0, -1) if page.planarconfig == 2 else values
