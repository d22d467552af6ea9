"""What a file says beside its pixels: the camera's notes are kept, ours are added and read back.

A PNG holds notes as text chunks. The other formats hold them in EXIF: the description and the program in the tags made
for them, and all notes as "name: value" lines in the user comment, where a line that starts with a space goes on.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from PIL import ExifTags, Image, PngImagePlugin

from ..errors import BadPicture, BadSetting

USER_COMMENT = 0x9286
DESCRIPTION, SOFTWARE = ExifTags.Base.ImageDescription, ExifTags.Base.Software
LONGEST_EXIF = 65_000  # bytes; a JPEG's segment holds 65,533 with its name

# Tags of the first directory that tell of the photograph, not of how the old file laid out its pixels.
_KEPT = frozenset({270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432, 40091, 40092, 40093, 40094, 40095})
_POINTERS = frozenset({0xA005, 0xA002, 0xA003})  # to another directory, and the old file's width and height


def checked(notes: Mapping[str, str] | None) -> dict[str, str]:
    """Notes that every format can hold.

    Raises:
        BadSetting: a name is empty, too long, or has a sign that PNG or the lines of EXIF have no room for.
    """
    for name in notes or {}:
        if not re.fullmatch(r"[!-9;-~]([ -9;-~]{0,77}[!-9;-~])?", name):
            raise BadSetting(f"a note is named {name!r}; expected 1 to 79 ASCII signs without a colon")
    return {name: _clean(value) for name, value in (notes or {}).items()}


def exif_of(image: Image.Image) -> bytes | None:
    """The EXIF block of an opened file; of a TIFF, whose tags are its EXIF, those that tell of the photograph."""
    try:
        if image.format == "TIFF":
            kept = _kept(image.getexif())
            return kept.tobytes() if len(kept) else None
        block = image.info.get("exif")
    except Exception:  # EXIF comes from the file, and Pillow's reader raises almost anything on a damaged one
        return None
    return block if isinstance(block, bytes) and block else None


def dots_of(image: Image.Image) -> tuple[float, float] | None:
    """Dots per inch, across and down, where the file has sensible ones."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across < 65536 and 1 <= down < 65536 else None


def exif_with(notes: Mapping[str, str], old: bytes | None, most: int = 2**31) -> Image.Exif:
    """The old EXIF of upright pixels without its thumbnail, with notes; without the old one where it is damaged.

    Args:
        notes: checked ones; none for a format that holds them elsewhere.
        old: the block of the file that was read.
        most: bytes; a longer block is given up first, since pixels and notes matter more.
    """
    try:
        merged = _with_notes(_parsed(old), notes)
        if len(merged.tobytes()) <= most:
            return merged
    except Exception:  # as above
        pass
    return _with_notes(_empty(), notes)


def png_text(notes: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    """Notes as text chunks: plain ones for Latin letters, international ones for others."""
    chunks = PngImagePlugin.PngInfo()
    for name, value in notes.items():
        if value.isascii():
            chunks.add_text(name, value)
        else:
            chunks.add_itxt(name, value)
    return chunks


def read_notes(path: Path) -> dict[str, str]:
    """The notes in a picture's file; none where there are none or the block that would hold them is damaged.

    Raises:
        BadPicture: the file is no picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=("JPEG", "PNG", "TIFF", "WEBP")) as image:
                if isinstance(image, PngImagePlugin.PngImageFile):
                    texts = {str(name): str(value) for name, value in image.info.items() if isinstance(value, str)}
                    return {name: value for name, value in texts.items() if not name.startswith(("XML:", "Raw "))}
                exif = image.getexif()
                return _from_comment(exif.get_ifd(ExifTags.IFD.Exif).get(USER_COMMENT), exif.endian)
    except OSError as error:
        raise BadPicture(f"{path} is not a picture that can hold notes ({error})") from None
    except Exception:  # as above
        return {}


def _clean(value: str) -> str:
    """Without NUL, which ends a text in both formats, and without halves of letters, which no file can hold."""
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _empty() -> Image.Exif:
    exif = Image.Exif()
    exif.endian = "<"  # as in our TIFF files; the letters of the user comment follow it
    return exif


def _parsed(block: bytes | None) -> Image.Exif:
    old = Image.Exif()
    if block:
        old.load(block)
    return _kept(old)


def _kept(old: Image.Exif) -> Image.Exif:
    """The tags that tell of the photograph, in a block of its own: no thumbnail, no orientation, no layout."""
    kept = _empty()
    for tag, value in old.items():
        if tag in _KEPT:
            kept[tag] = value.encode("latin-1", "replace") if isinstance(value, str) else value
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        values = {tag: value for tag, value in old.get_ifd(directory).items() if tag not in _POINTERS}
        if values:
            kept[directory] = values
    return kept


def _with_notes(exif: Image.Exif, notes: Mapping[str, str]) -> Image.Exif:
    if not notes:
        return exif
    if "Description" in notes:
        there = exif.get(DESCRIPTION, b"")
        before = there if isinstance(there, bytes) else str(there).encode("latin-1", "replace")
        before = before.rstrip(b"\0 ")
        exif[DESCRIPTION] = (before + b"\n" if before else b"") + notes["Description"].encode()
    if "Software" in notes:
        exif[SOFTWARE] = notes["Software"].encode()
    inner = exif.get(ExifTags.IFD.Exif)
    exif[ExifTags.IFD.Exif] = (inner if isinstance(inner, dict) else {}) | {USER_COMMENT: _as_comment(notes)}
    return exif


def _as_comment(notes: Mapping[str, str]) -> bytes:
    lines = "\n".join(f"{name}: {value}".replace("\n", "\n ") for name, value in notes.items())
    if lines.isascii():
        return b"ASCII\0\0\0" + lines.encode()
    return b"UNICODE\0" + lines.encode("utf-16-le")  # the order of bytes of the whole block


def _from_comment(comment: object, order: str | None) -> dict[str, str]:
    if not isinstance(comment, bytes):
        return {}
    kind, text = comment[:8], comment[8:]
    if kind == b"UNICODE\0":
        lines = text.decode("utf-16-be" if order == ">" else "utf-16-le", "replace")
    else:
        lines = text.decode("utf-8", "replace")
    parts = [line.partition(": ") for line in re.split(r"\n(?! )", lines)]
    return {name: value.replace("\n ", "\n") for name, colon, value in parts if colon}
