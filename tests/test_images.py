import io
import struct
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image, ImageCms

from pixelwise.data.images import MOST_PIXELS, find_pictures, open_picture, read_notes, save_picture
from pixelwise.errors import BadPicture, CannotWrite

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)  # 5 rows, 4 columns


def saved(folder: Path, name: str, image: Image.Image, **options) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def colours_of(path: Path) -> np.ndarray:
    return open_picture(path).rgb.permute(1, 2, 0).numpy()


def greys_of(path: Path) -> list:
    red, green, blue = open_picture(path).rgb
    assert torch.equal(red, green) and torch.equal(green, blue)
    return red.tolist()


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png_of_one_claim(width: int, height: int) -> bytes:
    """A PNG whose header, with a right checksum, claims a size, and which holds a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.tiff", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.bmp", {}),
        ("a.ppm", {}),
        ("a.webp", {"lossless": True}),
        ("a.no suffix of a picture", {"format": "PNG"}),
    ],
)
def test_lossless_colour_pictures_come_back_as_they_are(tmp_path, name, options):
    picture = open_picture(saved(tmp_path, name, Image.fromarray(COLOURS), **options))
    assert np.array_equal(picture.rgb.permute(1, 2, 0).numpy(), COLOURS)
    assert picture.rgb.is_contiguous()
    assert picture.alpha is None
    assert picture.source == tmp_path / name


def test_grey_is_repeated_in_three_planes(tmp_path):
    grey = np.array([[0, 100, 255]], dtype=np.uint8)
    assert greys_of(saved(tmp_path, "a.png", Image.fromarray(grey))) == [[0, 100, 255]]


def test_black_and_white_of_one_bit_become_0_and_255(tmp_path):
    bits = Image.fromarray(np.array([[0, 255, 255]], dtype=np.uint8)).convert("1")
    assert greys_of(saved(tmp_path, "a.png", bits)) == [[0, 255, 255]]


def test_grey_with_alpha_keeps_both(tmp_path):
    path = saved(tmp_path, "a.png", Image.new("LA", (2, 3), (100, 50)))
    assert greys_of(path) == [[100, 100]] * 3
    assert open_picture(path).alpha.tolist() == [[50, 50]] * 3


def test_transparent_pixels_keep_their_colour(tmp_path):
    path = saved(tmp_path, "a.png", Image.new("RGBA", (2, 1), (10, 20, 30, 0)))
    assert colours_of(path).tolist() == [[[10, 20, 30]] * 2]
    assert open_picture(path).alpha.tolist() == [[0, 0]]


@pytest.mark.parametrize(("name", "options"), [("a.png", {"transparency": 0}), ("a.gif", {}), ("a.png", {})])
def test_indexed_colours_become_colours(tmp_path, name, options):
    indexed = Image.fromarray(np.array([[0, 1, 0]], dtype=np.uint8)).convert("P")
    indexed.putpalette([10, 20, 30, 200, 100, 50])
    path = saved(tmp_path, name, indexed, **options)
    assert colours_of(path).tolist() == [[[10, 20, 30], [200, 100, 50], [10, 20, 30]]]
    alpha = open_picture(path).alpha
    assert (alpha.tolist() if options else alpha) == ([[0, 255, 0]] if options else None)


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("#ff0000", "#0000ff")]
    path = saved(tmp_path, "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert colours_of(path).tolist() == [[[255, 0, 0]] * 3] * 2


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_of_grey_are_rounded_to_eight(tmp_path, name):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = greys_of(saved(tmp_path, name, Image.fromarray(values)))
    assert [value for row in found for value in row] == [round(value / 257) for value in range(65536)]
    assert (found[255][255], found[128][128]) == (255, 128)


def test_32_bit_grey_beyond_16_bits_is_refused(tmp_path):
    path = saved(tmp_path, "a.tif", Image.fromarray(np.array([[0, 65536]], dtype=np.int32)))
    with pytest.raises(BadPicture, match="values from 0 to 65536; expected 16 bits"):
        open_picture(path)


@pytest.mark.parametrize(
    ("ink", "expected"),
    [((0, 0, 0, 0), (255, 255, 255)), ((255, 0, 0, 0), (0, 255, 255)), ((0, 0, 0, 255), (0, 0, 0))],
)
@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_printing_inks_become_colours(tmp_path, name, ink, expected):
    found = colours_of(saved(tmp_path, name, Image.new("CMYK", (16, 8), ink)))
    assert found.shape == (8, 16, 3)
    assert np.abs(found.astype(int) - expected).max() <= 5


def test_a_camera_on_its_side_gives_an_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    found = colours_of(saved(tmp_path, "a.png", Image.fromarray(COLOURS), exif=exif))
    assert found.shape == (4, 5, 3)
    assert np.array_equal(found, [[COLOURS[4 - x, y] for x in range(5)] for y in range(4)])


def test_alpha_turns_with_the_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = np.array([[1, 2, 3]], dtype=np.uint8)
    path = saved(tmp_path, "a.png", Image.fromarray(np.stack([alpha] * 4, axis=2)), exif=exif)
    assert open_picture(path).alpha.tolist() == [[1], [2], [3]]


def test_the_profile_of_srgb_changes_nothing(tmp_path):
    found = colours_of(saved(tmp_path, "a.png", Image.fromarray(COLOURS), icc_profile=srgb_profile()))
    assert np.abs(found.astype(int) - COLOURS).max() <= 1


@pytest.mark.parametrize("profile", [b"nonsense", b"", "half", "of another mode"])
def test_a_profile_that_does_not_fit_is_ignored(tmp_path, profile):
    image = Image.fromarray(COLOURS)
    if profile == "half":
        profile = srgb_profile()[:200]
    elif profile == "of another mode":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert np.array_equal(colours_of(saved(tmp_path, "a.png", image, icc_profile=profile)), COLOURS)


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(BadPicture, match=r"no picture at .*; expected a file"):
            open_picture(path)


@pytest.mark.parametrize(("content", "message"), [(b"", "it is empty"), (b"Dear reader, ...", "b'Dear reader,'")])
def test_what_is_no_picture_is_refused_with_how_it_starts(tmp_path, content, message):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(BadPicture, match=f"a.png is not a picture that can be read .*{message}"):
        open_picture(path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.bmp"])
@pytest.mark.parametrize("kept", [0.9, 0.5])
def test_a_picture_that_is_cut_short_is_refused(tmp_path, name, kept):
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = saved(tmp_path, name, Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(BadPicture, match=f"{name} is (damaged or cut short|not a picture)"):
        open_picture(path)


def test_floating_point_values_are_refused(tmp_path):
    path = saved(tmp_path, "a.tif", Image.new("F", (2, 2), 0.5))
    with pytest.raises(BadPicture, match="floating-point values, whose range is unknown; save it as 8 or 16 bits"):
        open_picture(path)


def test_a_picture_above_the_limit_is_refused_with_its_size(tmp_path):
    path = saved(tmp_path, "a.png", Image.fromarray(COLOURS))
    with pytest.raises(BadPicture, match="is 4 x 5 pixels; at most 19 are allowed"):
        open_picture(path, most_pixels=19)
    assert open_picture(path, most_pixels=20).rgb.shape == (3, 5, 4)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (10_000, 17_801)])
def test_a_header_that_claims_too_much_is_refused_before_anything_is_decoded(tmp_path, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_one_claim(width, height))
    with pytest.raises(BadPicture, match=f"{MOST_PIXELS:,} are allowed; reduce it first"):
        open_picture(path)


@pytest.mark.parametrize(
    ("width", "height", "message"), [(0, 5, "damaged|no pixels|not a picture"), (30, 30, "damaged or cut short")]
)
def test_a_header_that_claims_something_else_than_there_is_is_refused(tmp_path, width, height, message):
    path = tmp_path / "a.png"
    path.write_bytes(png_of_one_claim(width, height))
    with pytest.raises(BadPicture, match=message):
        open_picture(path)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    reach = len(changed) if rng.random() < 0.5 else min(120, len(changed))  # half of the time in the header
    for _ in range(rng.integers(1, 4)):
        start, length = int(rng.integers(reach)), int(rng.integers(1, 9))
        match int(rng.integers(3)):
            case 0:
                changed[start : start + 1] = bytes([int(rng.integers(256))])
            case 1:
                del changed[start : start + length]
            case 2:
                changed[start:start] = changed[start : start + length]
    return bytes(changed)


def whole_files() -> dict[str, bytes]:
    """One small file of every kind that comes in, with metadata where it can hold some."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.ImageDescription] = 6, "a meadow"
    extra = {"exif": exif, "icc_profile": srgb_profile()}
    wide = np.random.default_rng(5).integers(0, 65536, (5, 4, 4), dtype=np.uint16)
    files = {}
    for name, image, options in [
        ("PNG", Image.fromarray(COLOURS), extra),
        ("PNG grey", Image.fromarray(COLOURS[..., 0]), {"exif": exif}),
        ("PNG alpha", Image.fromarray(COLOURS).convert("RGBA"), {}),
        ("JPEG", Image.fromarray(COLOURS), extra),
        ("WEBP", Image.fromarray(COLOURS), {"exif": exif}),
        ("GIF", Image.fromarray(COLOURS), {}),
        ("BMP", Image.fromarray(COLOURS), {}),
        ("TIFF deflate", Image.fromarray(COLOURS), {"compression": "tiff_adobe_deflate"}),
        ("TIFF lzw", Image.fromarray(COLOURS), {"compression": "tiff_lzw"}),
    ]:
        stream = io.BytesIO()
        image.save(stream, name.split()[0], **options)
        files[name] = stream.getvalue()
    for channels in (1, 2, 3, 4):
        files[f"PNG deep {channels}"] = imagecodecs.png_encode(wide[..., :channels].squeeze().copy())
    for compression in (None, "zlib", "lzw"):
        for channels in (1, 3, 4):
            stream = io.BytesIO()
            kind = "rgb" if channels > 1 else "minisblack"
            values = wide[..., :channels].squeeze()
            tifffile.imwrite(stream, values, photometric=kind, compression=compression, metadata=None)
            files[f"TIFF deep {compression} {channels}"] = stream.getvalue()
    return files


def size_by_pillow(path: Path) -> set[tuple[int, int]]:
    """Both ways up: whether a damaged orientation still counts is Pillow's to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            return {image.size, image.size[::-1]}


@pytest.mark.parametrize("kind", whole_files())
def test_a_mutated_file_is_a_picture_or_a_bad_picture(tmp_path, kind):
    content, rng = whole_files()[kind], np.random.default_rng(7)
    path, read = tmp_path / "a", 0
    path.write_bytes(content)
    assert open_picture(path).rgb.shape[0] == 3
    for _ in range(150):
        path.write_bytes(mutated(content, rng))
        try:
            picture = open_picture(path)
        except BadPicture as fault:
            assert str(path) in str(fault)
        else:
            read += 1
            assert picture.rgb.dtype == torch.uint8
            assert tuple(picture.rgb.shape[:0:-1]) in size_by_pillow(path)
            assert picture.deep is None or picture.deep.shape == picture.rgb.shape
            assert picture.alpha is None or picture.alpha.shape == picture.rgb.shape[1:]
            save_picture(tmp_path / "out.jpg", picture.rgb, notes={"Software": "x"}, like=picture)
            assert read_notes(tmp_path / "out.jpg") == {"Software": "x"}
    assert 0 < read < 150


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff", "new/folder/a.png"])
def test_a_saved_picture_opens_as_it_was_with_its_alpha(tmp_path, name):
    rgb, alpha = torch.from_numpy(COLOURS).permute(2, 0, 1), torch.arange(100, 120, dtype=torch.uint8).reshape(5, 4)
    if name == "a.webp":  # lossy in colour, exact in alpha
        rgb = torch.full_like(rgb, 255)
    save_picture(tmp_path / name, rgb, alpha)
    found = open_picture(tmp_path / name)
    assert torch.equal(found.rgb, rgb)
    assert torch.equal(found.alpha, alpha)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG"])
def test_a_saved_jpeg_is_close_to_what_it_was(tmp_path, name):
    rgb = torch.tensor([200, 30, 90], dtype=torch.uint8).view(3, 1, 1).expand(3, 8, 16).contiguous()
    rgb[:, :, 8:] = 40
    save_picture(tmp_path / name, rgb)
    assert (tmp_path / name).read_bytes()[:2] == b"\xff\xd8"
    assert (open_picture(tmp_path / name).rgb.int() - rgb.int()).abs().max() <= 4


@pytest.mark.parametrize(("name", "alpha"), [("a.xyz", False), ("a", False), ("a.jpg", True)])
def test_a_format_that_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, name, alpha):
    rgb = torch.zeros(3, 2, 2, dtype=torch.uint8)
    with pytest.raises(BadPicture, match=f"{name} cannot be written"):
        save_picture(tmp_path / name, rgb, rgb[0] if alpha else None)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_picture(tmp_path):
    rgb = torch.full((3, 2, 2), 7, dtype=torch.uint8)
    save_picture(tmp_path / "a.jpg", rgb)
    with pytest.raises(BadPicture):
        save_picture(tmp_path / "a.jpg", rgb, rgb[0])
    assert greys_of(tmp_path / "a.jpg") == [[7, 7], [7, 7]]


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match=r"a.png cannot be written \(a file is where its folder should be\)"):
        save_picture(tmp_path / "file" / "a.png", torch.zeros(3, 2, 2, dtype=torch.uint8))


def test_pictures_are_found_in_all_folders_sorted_and_without_hidden_ones(tmp_path):
    shown = ["a.JPG", "b/c.png", "b/d/e.webp", "z.gif"]
    other = [".hidden.png", ".git/f.png", "b/.x/g.png", "notes.txt", "png"]
    for name in other + shown[::-1]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert find_pictures(tmp_path) == [tmp_path / name for name in shown]


def test_a_hidden_folder_above_does_not_hide_its_pictures(tmp_path):
    folder = tmp_path / ".cache" / "p"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"")
    assert find_pictures(folder) == [folder / "a.png"]


def test_folders_without_pictures_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(BadPicture, match=r"no pictures in .*; expected files ending in \.bmp, \.gif"):
        find_pictures(tmp_path)
    with pytest.raises(BadPicture, match=r"no folder at .*missing"):
        find_pictures(tmp_path / "missing")


def test_odd_exif_is_no_reason_to_refuse_good_pixels(tmp_path):
    """Every byte of the EXIF block damaged in turn: the pixels are whole, so the picture opens."""
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.XResolution] = 72.5
    Image.new("RGB", (6, 4), (200, 10, 10)).save(path, exif=exif)
    whole = path.read_bytes()
    start, length = whole.index(b"Exif"), len(exif.tobytes())
    for offset in range(start + 6, start + length):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 0xFF]) + whole[offset + 1 :])
        assert sorted(open_picture(path).rgb.shape) == [3, 4, 6]


def test_the_transparent_value_of_sixteen_bit_grey(tmp_path):
    values = np.array([[30000, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png", transparency=65535)
    assert open_picture(tmp_path / "a.png").alpha.tolist() == [[255, 0]]


def test_formats_that_start_programs_are_not_opened(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(BadPicture, match="not a picture"):
        open_picture(tmp_path / "a.png")
