"""Sixteen bits come in whole, follow their profile, and go out whole."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pixelwise.data import deep
from pixelwise.data.images import TURNS, open_picture, save_picture
from pixelwise.errors import BadPicture

VALUES = np.random.default_rng(3).integers(0, 65536, (5, 4, 4), dtype=np.uint16)


def gamma_profile(gamma: float, space: bytes = b"GRAY") -> bytes:
    """A profile of grey of one power, built by hand: Pillow makes none."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = [(b"wtpt", white), (b"kTRC", curve)]
    table, data, place = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", place + len(data), len(content))
        data += content
    head = bytearray(128)
    head[:4] = struct.pack(">I", place + len(data))
    head[8:12], head[12:16], head[16:20], head[20:24] = b"\x02\x10\x00\x00", b"mntr", space, b"XYZ "
    head[36:40], head[68:80] = b"acsp", struct.pack(">3i", 63190, 65536, 54061)
    return bytes(head) + table + data


def srgb_of_gamma(values: np.ndarray, gamma: float) -> np.ndarray:
    light = values**gamma
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep_png(path, values, *chunks: bytes):
    content = imagecodecs.png_encode(np.ascontiguousarray(values))
    path.write_bytes(content[:33] + b"".join(chunks) + content[33:])
    return path


def planes(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def expected(channels: int) -> np.ndarray:
    return VALUES[..., :3] if channels >= 3 else np.repeat(VALUES[..., :1], 3, axis=2)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_deep_png_keeps_its_sixteen_bits(tmp_path, channels):
    values = VALUES[..., 0] if channels == 1 else VALUES[..., [0, 3]] if channels == 2 else VALUES[..., :channels]
    picture = open_picture(deep_png(tmp_path / "a.png", values))
    assert torch.equal(picture.deep, planes(expected(channels)))
    assert np.array_equal(picture.rgb.numpy(), np.round(picture.deep.numpy() / 257))
    if channels in (2, 4):
        assert np.array_equal(picture.alpha.numpy(), np.round(VALUES[..., 3] / 257))
    else:
        assert picture.alpha is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "lzw"},
        {"compression": "zlib", "predictor": True},
        {"byteorder": ">"},
        {"tile": (16, 16)},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "zlib"},
    ],
    ids=str,
)
def test_a_deep_tiff_keeps_its_sixteen_bits(tmp_path, options):
    stored = VALUES[..., :3]
    stored = stored.transpose(2, 0, 1) if "planarconfig" in options else stored
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **options)
    assert torch.equal(open_picture(tmp_path / "a.tif").deep, planes(expected(3)))


def test_a_deep_tiff_keeps_its_alpha(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VALUES, photometric="rgb", extrasamples=["unassalpha"])
    picture = open_picture(tmp_path / "a.tif")
    assert torch.equal(picture.deep, planes(expected(4)))
    assert np.array_equal(picture.alpha.numpy(), np.round(VALUES[..., 3] / 257))


@pytest.mark.parametrize("kind", ["minisblack", "miniswhite"])
def test_deep_grey_is_lighter_where_the_tiff_says_so(tmp_path, kind):
    tifffile.imwrite(tmp_path / "a.tif", VALUES[..., 0], photometric=kind)
    grey = 65535 - expected(1) if kind == "miniswhite" else expected(1)
    assert torch.equal(open_picture(tmp_path / "a.tif").deep, planes(grey))


def test_the_transparent_colour_of_a_deep_png(tmp_path):
    named = chunk(b"tRNS", struct.pack(">3H", *VALUES[1, 2, :3]))
    alpha = open_picture(deep_png(tmp_path / "a.png", VALUES[..., :3], named)).alpha
    assert [tuple(place) for place in (alpha == 0).nonzero().tolist()] == [(1, 2)]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_deep_pictures_are_turned_as_shallow_ones(tmp_path, orientation, suffix, channels):
    exif = Image.Exif()
    exif[274] = orientation
    shallow = (VALUES[..., :3] >> 8).astype(np.uint8)
    values = VALUES[..., 0] if channels == 1 else VALUES[..., :3]
    Image.fromarray(shallow[..., 0] if channels == 1 else shallow).save(tmp_path / f"8.{suffix}", exif=exif)
    if suffix == "png":
        deep_png(tmp_path / "16.png", values, chunk(b"eXIf", exif.tobytes()[6:]))
    else:
        kind = "minisblack" if channels == 1 else "rgb"
        tifffile.imwrite(tmp_path / "16.tif", values, photometric=kind, extratags=[(274, 3, 1, orientation, True)])
    wanted = Image.fromarray(shallow[..., [0, 0, 0]] if channels == 1 else shallow)
    wanted = wanted.transpose(TURNS[orientation]) if orientation > 1 else wanted
    assert np.array_equal(open_picture(tmp_path / f"8.{suffix}").rgb.permute(1, 2, 0).numpy(), np.array(wanted))
    found = open_picture(tmp_path / f"16.{suffix}").deep.permute(1, 2, 0).numpy() >> 8
    assert np.array_equal(found, np.array(wanted))


def test_eight_bits_have_no_sixteen(tmp_path):
    for name, image in [("a.png", Image.new("RGB", (2, 2))), ("a.tif", Image.new("L", (2, 2)))]:
        image.save(tmp_path / name)
        assert open_picture(tmp_path / name).deep is None


def test_where_the_readers_disagree_eight_bits_are_kept(tmp_path, monkeypatch):
    path = deep_png(tmp_path / "a.png", VALUES[..., :3])
    monkeypatch.setattr(deep, "_png", lambda path: VALUES[::-1, :, :3])
    picture = open_picture(path)
    assert picture.deep is None
    assert np.array_equal(picture.rgb.permute(1, 2, 0).numpy(), VALUES[..., :3] >> 8)


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_grey_follows_its_profile(tmp_path, gamma, bits, alpha):
    top = 2**bits - 1
    grey = np.linspace(0.05, 1, 20).reshape(4, 5)
    stored = np.round(grey * top).astype(np.uint16 if bits == 16 else np.uint8)
    stored = np.dstack([stored, np.full_like(stored, top)]) if alpha else stored
    profile = chunk(b"iCCP", b"grey\0\0" + zlib.compress(gamma_profile(gamma)))
    picture = open_picture(deep_png(tmp_path / "a.png", stored, profile))
    found = picture.deep if bits == 16 else picture.rgb
    wanted = srgb_of_gamma(grey, gamma) * top
    assert picture.profiled
    assert np.abs(found.numpy().astype(float) - wanted).max() < (2.5 if bits == 8 else 200)


def test_deep_colours_follow_their_profile_at_sixteen_bits(tmp_path):
    """The profile of linear light has a known answer."""
    primaries = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    linear = bytearray(primaries)
    for name in (b"rTRC", b"gTRC", b"bTRC"):  # in place of the curve: a power of one
        entry = linear.index(name, 128)
        start = struct.unpack(">I", linear[entry + 4 : entry + 8])[0]
        linear[start : start + 12] = b"curv" + bytes(8)
    values = VALUES[..., :3] // 2 + 16000
    path = deep_png(tmp_path / "a.png", values, chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(linear))))
    picture = open_picture(path)
    wanted = srgb_of_gamma(values / 65535, 1.0).transpose(2, 0, 1) * 65535
    assert np.abs(picture.deep.numpy() - wanted).max() < 60  # an eighth bit would be 257
    assert np.array_equal(picture.rgb.numpy(), np.round(picture.deep.numpy() / 257))


def test_a_damaged_profile_of_a_deep_picture_is_ignored(tmp_path):
    path = deep_png(tmp_path / "a.png", VALUES[..., :3], chunk(b"iCCP", b"p\0\0" + zlib.compress(b"nonsense")))
    assert torch.equal(open_picture(path).deep, planes(expected(3)))


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    deep=st.booleans(),
    transparent=st.booleans(),
    seed=st.integers(0, 999),
)
def test_what_is_written_is_read(tmp_path, suffix, size, deep, transparent, seed):
    torch.manual_seed(seed)
    rgb = torch.randint(0, 65536 if deep else 256, (3, *size)).to(torch.uint16 if deep else torch.uint8)
    alpha = torch.randint(0, 256, size).to(torch.uint8) if transparent else None
    save_picture(tmp_path / f"a.{suffix}", rgb, alpha)
    found = open_picture(tmp_path / f"a.{suffix}")
    assert torch.equal(found.deep if deep else found.rgb, rgb)
    assert (found.deep is not None) == deep
    assert found.alpha is None if alpha is None else torch.equal(found.alpha, alpha)


@pytest.mark.parametrize("deep", [False, True])
def test_a_written_tiff_of_several_strips_is_read_alike_by_other_readers(tmp_path, deep):
    values = np.random.default_rng(1).integers(0, 65536 if deep else 256, (600, 7, 3)).astype("u2" if deep else "u1")
    save_picture(tmp_path / "a.tif", planes(values))
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), values)
    assert np.array_equal(np.array(Image.open(tmp_path / "a.tif")), values >> 8 if deep else values)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.bmp"])
def test_sixteen_bits_are_refused_where_there_are_eight(tmp_path, name):
    with pytest.raises(BadPicture, match=r"holds 8 bits\); save it as .png or .tif"):
        save_picture(tmp_path / name, planes(VALUES[..., :3]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_a_deep_header_that_claims_too_much_is_refused_with_its_size(tmp_path, colour, monkeypatch):
    header = struct.pack(">IIBBBBB", 60000, 60000, 16, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # so that our own check is seen
    with pytest.raises(BadPicture, match=r"is 60000 x 60000 pixels; at most"):
        open_picture(tmp_path / "a.png")


def test_a_deep_tiff_that_claims_too_much_is_refused_with_its_size(tmp_path, monkeypatch):
    stream = io.BytesIO()
    tifffile.imwrite(stream, VALUES[..., :3], photometric="rgb")
    content = bytearray(stream.getvalue())
    for tag in (256, 257):
        place = content.index(struct.pack("<HH", tag, 4)) if struct.pack("<HH", tag, 4) in content else -1
        place = place if place > 0 else content.index(struct.pack("<HH", tag, 3))
        content[place + 2 : place + 12] = struct.pack("<HII", 4, 1, 60000)
    (tmp_path / "a.tif").write_bytes(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(BadPicture, match=r"is 60000 x 60000 pixels; at most"):
        open_picture(tmp_path / "a.tif")
