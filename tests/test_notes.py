"""What a file says beside its pixels is kept, and what is added is read back."""

import io
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from pixelwise.data.images import Picture, open_picture, read_notes, save_picture
from pixelwise.errors import BadPicture, BadSetting

RGB = torch.randint(0, 256, (3, 6, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
NAMES = ["a.png", "a.jpg", "a.tif", "a.webp"]
NOTES = {"Description": "Coloured by a network", "Software": "pixelwise 1", "Seed": "7"}
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9 _-]{0,20}[A-Za-z]", fullmatch=True)


def camera_exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Kodak"
    exif[ExifTags.Base.Copyright] = "A. Photographer"
    exif[ExifTags.Base.ImageDescription] = "My grandmother"
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "1999:12:31 23:59:59"}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (50.0, 30.0, 0.0)}
    return exif


def original(folder, suffix: str = "jpg", **options) -> Picture:
    path = folder / f"original.{suffix}"
    Image.new("L", (8, 6), 90).save(path, **({"exif": camera_exif().tobytes()} | options))
    return open_picture(path)


def deep_or_not(name: str, deep: bool) -> torch.Tensor:
    if deep and name not in ("a.png", "a.tif"):
        pytest.skip("holds 8 bits")
    return RGB.to(torch.uint16) if deep else RGB


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(notes=st.dictionaries(names, texts, max_size=4))
def test_notes_are_read_as_they_were_written(tmp_path, name, notes):
    save_picture(tmp_path / name, RGB, notes=notes)
    assert read_notes(tmp_path / name) == notes


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_what_the_camera_said_is_kept_and_the_pixels_stay_upright(tmp_path, name, suffix, deep):
    rgb, like = deep_or_not(name, deep), original(tmp_path, suffix)
    assert like.rgb.shape == (3, 8, 6)
    save_picture(tmp_path / name, rgb, notes=NOTES, like=like)
    with Image.open(tmp_path / name) as image:
        assert image.size == (8, 6)
        exif = image.getexif()
        assert exif[ExifTags.Base.Make] == "Kodak"
        assert exif[ExifTags.Base.Copyright] == "A. Photographer"
        assert exif.get(ExifTags.Base.Orientation, 1) == 1
        assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "1999:12:31 23:59:59"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (50.0, 30.0, 0.0)
        added = "" if name == "a.png" else "\nColoured by a network"
        assert exif[ExifTags.Base.ImageDescription] == "My grandmother" + added
    assert read_notes(tmp_path / name) == NOTES
    assert open_picture(tmp_path / name).rgb.shape == rgb.shape


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.webp"])
def test_the_standard_tags_hold_what_viewers_look_for(tmp_path, name):
    save_picture(tmp_path / name, RGB, notes=NOTES)
    with Image.open(tmp_path / name) as image:
        exif = image.getexif()
        assert exif[270] == "Coloured by a network"
        assert exif[305] == "pixelwise 1"
        comment = exif.get_ifd(ExifTags.IFD.Exif)[0x9286]
    assert comment == b"ASCII\0\0\0Description: Coloured by a network\nSoftware: pixelwise 1\nSeed: 7"


def test_other_letters_than_ascii_are_marked_as_the_standard_says(tmp_path):
    save_picture(tmp_path / "a.jpg", RGB, notes={"Description": "Größe"})
    with Image.open(tmp_path / "a.jpg") as image:
        exif = image.getexif()
        comment = exif.get_ifd(ExifTags.IFD.Exif)[0x9286]
        assert exif.endian == "<"
    assert comment == b"UNICODE\0" + "Description: Größe".encode("utf-16-le")


def test_the_thumbnail_of_the_grey_picture_is_dropped(tmp_path):
    stream = io.BytesIO()
    Image.new("L", (4, 4), 77).save(stream, "JPEG")
    thumbnail = stream.getvalue()
    block = bytearray(camera_exif(1).tobytes())
    last = 6 + 8 + 2 + 12 * struct.unpack("<H", block[14:16])[0]  # where the place of the next directory stands
    place = len(block) - 6
    block[last : last + 4] = struct.pack("<L", place)
    entries = struct.pack("<HHLL", 513, 4, 1, place + 2 + 24 + 4) + struct.pack("<HHLL", 514, 4, 1, len(thumbnail))
    block += struct.pack("<H", 2) + entries + struct.pack("<L", 0) + thumbnail
    like = original(tmp_path, exif=bytes(block))
    assert thumbnail in like.exif
    for name in NAMES:
        save_picture(tmp_path / name, RGB, like=like)
        assert thumbnail not in (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_damaged_exif_never_stops_a_result(tmp_path, name):
    block = camera_exif().tobytes()
    like = original(tmp_path)
    for offset in range(6, len(block)):
        damaged = block[:offset] + bytes([block[offset] ^ 0xFF]) + block[offset + 1 :]
        picture = Picture(like.rgb, None, like.source, exif=damaged)
        save_picture(tmp_path / name, RGB, notes=NOTES, like=picture)
        assert read_notes(tmp_path / name) == NOTES
        assert open_picture(tmp_path / name).rgb.shape == RGB.shape


@pytest.mark.parametrize("name", NAMES)
def test_too_long_exif_gives_way(tmp_path, name):
    exif = camera_exif()
    exif[ExifTags.IFD.Exif] = {0x927C: bytes(65_200)}  # the camera maker's own
    like = Picture(RGB, None, tmp_path / "x", exif=exif.tobytes())
    save_picture(tmp_path / name, RGB, notes=NOTES, like=like)
    assert read_notes(tmp_path / name) == NOTES


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profiled", [False, True])
def test_a_profile_is_answered_with_that_of_srgb(tmp_path, name, profiled, deep):
    rgb = deep_or_not(name, deep)
    old = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    like = original(tmp_path, icc_profile=old) if profiled else original(tmp_path)
    assert like.profiled == profiled
    save_picture(tmp_path / name, rgb, like=like)
    with Image.open(tmp_path / name) as image:
        found = image.info.get("icc_profile")
    if not profiled:
        assert found is None
    else:
        assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(found)))
        assert open_picture(tmp_path / name).rgb.shape == rgb.shape


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_dots_per_inch_are_kept(tmp_path, name, deep):
    rgb = deep_or_not(name, deep)
    like = original(tmp_path, dpi=(300, 150))
    assert like.dots == (300, 150)
    save_picture(tmp_path / name, rgb, like=like)
    with Image.open(tmp_path / name) as image:
        assert np.abs(np.array(image.info["dpi"], dtype=float) - [300, 150]).max() < 0.02


@pytest.mark.parametrize("name", ["", "a:b", " a", "a\n", "x" * 80, "ä"])
def test_a_note_that_no_file_can_name_is_refused(tmp_path, name):
    with pytest.raises(BadSetting, match="expected 1 to 79 ASCII signs without a colon"):
        save_picture(tmp_path / "a.png", RGB, notes={name: "x"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_letters_that_no_file_holds_are_left_out_of_notes(tmp_path, name):
    save_picture(tmp_path / name, RGB, notes={"File": "a\0b\udcff"})
    assert read_notes(tmp_path / name) == {"File": "ab?"}


def test_files_without_notes_have_none(tmp_path):
    for name in NAMES:
        save_picture(tmp_path / name, RGB)
        assert read_notes(tmp_path / name) == {}


def test_what_is_no_picture_has_no_notes(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(BadPicture, match="is not a picture that can hold notes"):
        read_notes(tmp_path / "a.png")
