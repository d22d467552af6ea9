"""The one safe way to open a picture: whole and upright in sRGB, or a clear error.

Every mode that Pillow reads becomes 8-bit RGB: grey is repeated, RGB, CMYK and grey follow the embedded ICC profile
where there is one, and the camera's orientation is applied. Of a file with 16 bits the 16 are kept, too, and the 8 are
rounded from them after the profile has been followed at 16 bits.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError
from torch import Tensor

from ..errors import BadPicture
from ..shapes import Rgb
from .deep import colour_space, deep_colours, deep_to_srgb, grey_values, is_deep_colour, is_planar, to_eight
from .notes import dots_of, exif_of
from .notes import read_notes as read_notes  # this and the next two have their public place here
from .saving import Picture as Picture
from .saving import save_picture as save_picture

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # and no other: EPS would start a program
KEEP_ALPHA = frozenset({".png", ".tif", ".tiff", ".webp"})
MOST_PIXELS = 178_000_000  # a bomb is refused before anything is decoded; Pillow itself refuses 178,956,971 and more

TURNS = {  # EXIF orientation: how to make it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow's decoders raise on damaged files, found by feeding them mutated ones.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, OverflowError, EOFError, RuntimeError)


def open_picture(path: Path, most_pixels: int = MOST_PIXELS) -> Picture:
    """Read one picture whole. Of an animation, the first frame.

    Raises:
        BadPicture: there is no such file, it is not a picture, it is cut short, or it has too many pixels.
    """
    if not path.is_file():
        raise BadPicture(f"no picture at {path}; expected a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, and of sizes that are checked here
            # By its path, Pillow would map the file, and then it garbles a grey TIFF that lies on its side.
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
                _check_size(path, image, most_pixels)
                picture = _read(path, image)
    except PermissionError as error:
        raise BadPicture(
            f"{path} cannot be opened ({error.strerror}); ask its owner for the right to read it"
        ) from None
    except Image.DecompressionBombError:
        raise BadPicture(f"{path} claims more pixels than {most_pixels:,} are allowed; reduce it first") from None
    except UnidentifiedImageError:
        raise BadPicture(f"{path} is not a picture that can be read ({_first_bytes(path)})") from None
    except (*_DAMAGE, MemoryError) as error:
        raise BadPicture(f"{path} is damaged or cut short ({error}); get a whole copy of it") from None
    return picture


def find_pictures(folder: Path, leaving_out: Path | None = None) -> list[Path]:
    """The files below a folder whose suffix is a picture's, sorted; hidden ones, and a folder of results, are left out.

    Raises:
        BadPicture: there is no such folder, or it holds no pictures.
    """
    if not folder.is_dir():
        raise BadPicture(f"no folder at {folder}")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not (leaving_out and path.resolve().is_relative_to(leaving_out.resolve()))
    )
    if not found:
        raise BadPicture(f"no pictures in {folder}; expected files ending in {', '.join(sorted(SUFFIXES))}")
    return found


def to_tensor(image: Image.Image) -> Rgb:
    """An RGB image of Pillow's as a tensor of its own."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def to_image(rgb: Rgb) -> Image.Image:
    """A tensor as an RGB image of Pillow's."""
    return Image.fromarray(rgb.permute(1, 2, 0).contiguous().numpy())


def _check_size(path: Path, image: Image.Image, most_pixels: int) -> None:
    width, height = image.size
    if width * height > most_pixels:
        raise BadPicture(f"{path} is {width} x {height} pixels; at most {most_pixels:,} are allowed; reduce it first")
    if width * height == 0:
        raise BadPicture(f"{path} has no pixels ({width} x {height})")


def _read(path: Path, image: Image.Image) -> Picture:
    """Everything that an opened file of a bearable size holds."""
    deep_colour, planar = is_deep_colour(image), is_planar(image)
    tagged = _orientation(image) if image.format == "TIFF" else None  # a TIFF is turned while it is loaded
    image.load()
    orientation = tagged or _orientation(image)
    turn = TURNS.get(_orientation(image) or 1)
    upright = image if turn is None else image.transpose(turn)
    alpha = _alpha_of(upright)
    profile = image.info.get("icc_profile") or None
    values = deep_colours(path, upright, orientation, planar) if deep_colour else None
    if planar and values is None:
        raise ValueError("its planes of 16 bits cannot be read")
    if upright.mode.startswith("I"):
        values = _sixteen_bits(path, grey_values(upright, image))
    if values is None:
        rgb, deep = _to_rgb(path, upright), None
    else:
        if values.ndim == 3 and values.shape[2] in (2, 4):
            alpha = torch.from_numpy(to_eight(values[..., -1]))
            values = values[..., :-1]
        deep_rgb = deep_to_srgb(values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values, profile)
        deep = torch.from_numpy(np.ascontiguousarray(deep_rgb.transpose(2, 0, 1)))
        rgb = torch.from_numpy(to_eight(deep.numpy()))
    return Picture(rgb, alpha, path, deep, exif_of(image), profile is not None, dots_of(image))


def _orientation(image: Image.Image) -> int | None:
    """How the camera was held. Odd EXIF data is no reason to refuse good pixels."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # EXIF comes from the file, and Pillow's reader raises almost anything on a damaged one
        return None
    return orientation if isinstance(orientation, int) else None


def _alpha_of(image: Image.Image) -> Tensor | None:
    if not image.has_transparency_data:
        return None
    if image.mode.startswith("I"):  # 16 bits of grey, one value of which is transparent
        opaque = np.array(image) != image.info["transparency"]
        return torch.from_numpy(opaque.astype(np.uint8) * 255)
    return torch.from_numpy(np.array(image.convert("RGBA"))[:, :, 3].copy())


def _to_rgb(path: Path, image: Image.Image) -> Rgb:
    if image.mode == "F":
        raise BadPicture(f"{path} holds floating-point values, whose range is unknown; save it as 8 or 16 bits")
    profile = image.info.get("icc_profile")
    if image.mode == "LA":
        image = image.convert("L")
    elif image.has_transparency_data and image.mode != "L":
        image = image.convert("RGBA").convert("RGB")  # directly, a palette's transparent colour could change
    elif image.mode == "P":
        image = image.convert("RGB")
    if profile and image.mode in {"RGB", "CMYK", "L"}:
        image = _to_srgb(image, profile)
    return to_tensor(image.convert("RGB"))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The image in sRGB by its own ICC profile; as it is when the profile is damaged or for another mode."""
    if image.mode == "L":
        return _grey_to_srgb(image, profile)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted if converted is not None else image


def _grey_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Grey by a profile of grey, or by one of colours whose three channels are alike."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])  # every grey once: quicker than every pixel
    space = colour_space(profile)
    if space not in {"GRAY", "RGB"}:
        return image
    if space == "RGB":
        ramp = ramp.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        table = ImageCms.profileToProfile(ramp, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return Image.fromarray(np.array(table)[0][np.array(image)]) if table is not None else image


def _sixteen_bits(path: Path, values: np.ndarray) -> np.ndarray:
    if values.min() < 0 or values.max() > 65535:
        raise BadPicture(f"{path} holds values from {values.min()} to {values.max()}; expected 16 bits, 0 to 65535")
    return values.astype(np.uint16)


def _first_bytes(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(12)
    return f"it starts with {start!r}" if start else "it is empty"
