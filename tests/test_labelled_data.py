import gzip
import hashlib
import http.server
import io
import json
import struct
import tarfile
import threading
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import scenery
from pixelwise.classes.labels import VOID
from pixelwise.config import DataSettings
from pixelwise.data import flowers17, masks
from pixelwise.data.check import check_data, check_folder
from pixelwise.data.class_list import read_class_list
from pixelwise.data.findings import Report
from pixelwise.data.fitting import letterboxed
from pixelwise.data.flowers17 import fetch_flowers17, species
from pixelwise.data.labelled_folder import load_labelled_folder
from pixelwise.data.load import SOURCES, load_data, load_labelled
from pixelwise.data.masks import RawMask, guessed_code, read_mask, settled_code
from pixelwise.data.pictures import DataSet
from pixelwise.download import fetch
from pixelwise.errors import BadData, BadPicture, BadSetting, PixelwiseError, UnknownName

SIDE = 48  # of the squares that the 40 x 48 scenery is fitted into


def of(root: Path, **changes) -> DataSettings:
    return DataSettings(**({"name": "folder", "root": str(root), "size": SIDE, "validation": 0.3} | changes))


def blob(number: int, height: int = 40, width: int = 48) -> np.ndarray:
    """Class 1 in a disc whose place and size depend on the number, 0 around it."""
    y, x = np.mgrid[:height, :width]
    return ((y - 12 - number) ** 2 + (x - 10 - 3 * number) ** 2 < 40 + 9 * number).astype(np.uint8)


def save(path: Path, values: np.ndarray, palette: list[int] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette:
        image.putpalette(palette)
    image.save(path)
    return path


def labelled(root: Path, numbers=range(6), pictures="images", masks="masks", write=None, ending="") -> Path:
    """Pictures and masks in two folders; `write` turns a mask of 0 and 1 into what is saved."""
    for number in numbers:
        save(root / pictures / f"{number}.png", scenery(number))
        save(root / masks / f"{number}{ending}.png", (write or (lambda ids: ids))(blob(number)))
    return root


def listing(root: Path, **content) -> None:
    root.mkdir(exist_ok=True)
    (root / "classes.json").write_text(json.dumps(content))


def padded(ids: np.ndarray) -> np.ndarray:
    """What the scenery's masks become in a square, by hand."""
    square = np.full((SIDE, SIDE), VOID, dtype=np.uint8)
    square[: ids.shape[0], : ids.shape[1]] = ids
    return square


def ids_by_number(data: DataSet) -> dict[int, np.ndarray]:
    every = data.split("all")
    return {int(Path(name).stem): ids.numpy() for name, ids in zip(every.names, every.ids, strict=True)}


def assert_blobs(data: DataSet, numbers=range(6)) -> None:
    found = ids_by_number(data)
    assert sorted(found) == list(numbers)
    for number, ids in found.items():
        assert (ids == padded(blob(number))).all()


# --- reading one mask ---


def png(bits: int, colour: int, rows: list[bytes], width: int) -> bytes:
    """A PNG by hand, of any bit depth; colour 0 is grey."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_numbers_are_read_as_they_are_from_grey_palette_two_colours_and_sixteen_bits(tmp_path):
    ids = np.array([[0, 1, 2], [3, 250, 255]], dtype=np.uint8)
    save(tmp_path / "grey.png", ids)
    save(tmp_path / "palette.png", ids, palette=[(7 * i) % 256 for i in range(768)])
    save(tmp_path / "grey.bmp", ids)
    save(tmp_path / "grey.tif", ids)
    save(tmp_path / "wide.png", ids.astype(np.uint16))
    save(tmp_path / "wide.tif", ids.astype(np.int32))
    paths = sorted(path for path in tmp_path.iterdir())
    assert len(paths) == 6
    for path in paths:
        raw = read_mask(path)
        assert not raw.coloured and raw.size == (2, 3)
        assert raw.values.tolist() == ids.tolist(), path
    Image.fromarray(ids > 2).save(tmp_path / "two.png")
    assert read_mask(tmp_path / "two.png").values.tolist() == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize(("bits", "row", "expected"), [(2, b"\x1b", [0, 1, 2, 3]), (4, b"\x01\xaf", [0, 1, 10, 15])])
def test_greys_of_two_and_four_bits_are_numbers_too(tmp_path, bits, row, expected):
    (tmp_path / "a.png").write_bytes(png(bits, 0, [row], 4))
    assert read_mask(tmp_path / "a.png").values.tolist() == [expected]


def test_a_transparent_number_of_a_palette_is_still_that_number(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8))
    image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    image.save(tmp_path / "a.png", transparency=1)
    assert read_mask(tmp_path / "a.png").values.tolist() == [[0, 1, 2]]


def test_colours_are_read_as_they_are_and_opaque_alpha_is_nothing(tmp_path):
    rgba = np.array([[[255, 0, 0, 255], [1, 2, 3, 255]]], dtype=np.uint8)
    for name, values in (("a.png", rgba), ("b.png", rgba[..., :3].copy())):
        raw = read_mask(save(tmp_path / name, values))
        assert raw.coloured and raw.numbers is None
        assert raw.values.permute(1, 2, 0).tolist() == [[[255, 0, 0], [1, 2, 3]]]


def test_colours_that_are_all_grey_have_numbers_and_grey_with_opaque_alpha_is_grey(tmp_path):
    ids = np.array([[0, 255], [1, 7]], dtype=np.uint8)
    raw = read_mask(save(tmp_path / "a.png", np.stack([ids] * 3, axis=2)))
    assert raw.coloured and raw.numbers.tolist() == ids.tolist()
    raw = read_mask(save(tmp_path / "b.png", np.stack([ids, np.full_like(ids, 255)], axis=2)))
    assert raw.values.tolist() == ids.tolist()


def test_a_mask_is_held_upright_like_its_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.array([[1, 2, 3]], dtype=np.uint8)).save(tmp_path / "a.png", exif=exif)
    assert read_mask(tmp_path / "a.png").values.tolist() == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("values", "name", "message"),
    [
        (blob(1) * 255, "a.jpg", "lossy file of a 0/255 mask; expected PNG: save it as PNG after thresholding at 128"),
        (scenery(1), "a.jpg", "is a lossy file; expected PNG: JPEG and WebP mix classes"),
        (scenery(1), "a.webp", "is a lossy file; expected PNG: JPEG and WebP mix classes"),
        (np.array([[[9, 9, 9, 254]]], dtype=np.uint8), "a.png", "has 1 transparent pixels, of which the class is"),
        (np.array([[3, 256]], dtype=np.uint16), "a.png", "holds numbers up to 256; expected class numbers of 0 to 255"),
        (np.array([[3, -1]], dtype=np.int32), "a.tif", "holds numbers"),
        (np.array([[0.5]], dtype=np.float32), "a.tif", "holds floating-point values; expected class numbers"),
    ],
)
def test_what_cannot_be_classes_is_refused(tmp_path, values, name, message):
    with pytest.raises(BadData, match=message):
        read_mask(save(tmp_path / name, values))


def test_a_jpeg_is_known_by_its_content_and_a_jpeg_within_a_tiff_too(tmp_path):
    save(tmp_path / "a.jpg", scenery(1)).rename(tmp_path / "a.png")
    Image.fromarray(scenery(1)).save(tmp_path / "b.tif", compression="jpeg")
    for name in ("a.png", "b.tif"):
        with pytest.raises(BadData, match=f"{name} is a lossy file"):
            read_mask(tmp_path / name)


def hostile(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"{kind}.png"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("class 1")
    elif kind == "short":
        path.write_bytes(save(tmp_path / "whole.png", scenery(1)[:, :, 0].copy()).read_bytes()[:500])
    elif kind == "bomb":
        path.write_bytes(png(8, 0, [b"\0"], 178_500_000))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("folder", "expected a file"),
        ("missing", "expected a file"),
        ("text", "is not a picture that can be read"),
        ("short", "is damaged or cut short"),
        ("bomb", "at most 178,000,000 are allowed"),
    ],
)
def test_a_file_that_is_no_picture_is_refused_in_the_words_for_pictures(tmp_path, kind, message):
    with pytest.raises(BadPicture, match=message):
        read_mask(hostile(tmp_path, kind))


def test_a_mask_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(masks, "MOST_PIXELS", 1919)
    monkeypatch.setattr(masks, "_raw", None)
    with pytest.raises(BadPicture, match="too many pixels"):
        read_mask(save(tmp_path / "a.png", blob(1)))


# --- what values mean ---


def ids_of(code, values) -> list:
    path = Path("m.png")
    tensor = torch.from_numpy(np.asarray(values, dtype=np.uint8))
    tensor = tensor.permute(2, 0, 1).contiguous() if tensor.ndim == 3 else tensor
    return code.ids(RawMask(path, tensor)).tolist()


def seen(*numbers: int) -> dict[int, Path]:
    return {number: Path(f"{number}.png") for number in numbers}


@pytest.mark.parametrize(
    ("numbers", "names", "values", "expected"),
    [
        ((0, 255), ("background", "foreground"), [[0, 255]], [[0, 1]]),
        ((255,), ("background", "foreground"), [[255]], [[1]]),
        ((0, 1), ("background", "foreground"), [[0, 1]], [[0, 1]]),
        ((1,), ("background", "foreground"), [[1]], [[1]]),
        ((0, 1, 255), ("class 0", "class 1"), [[0, 1, 255]], [[0, 1, VOID]]),
        ((3, 255), ("class 0", "class 1", "class 2", "class 3"), [[0, 3, 255]], [[0, 3, VOID]]),
        ((63,), tuple(f"class {i}" for i in range(64)), [[63]], [[63]]),
    ],
)
def test_numbers_without_a_class_list_are_guessed(numbers, names, values, expected):
    code = guessed_code(seen(*numbers))
    assert code.labels.names == names
    assert ids_of(code, values) == expected


def test_too_many_numbers_look_like_a_grey_picture():
    with pytest.raises(BadData, match=r"64.png holds the number 64; expected class numbers below 64.*grey picture"):
        guessed_code(seen(0, 64, 255))


RED, GREEN, WHITE = [255, 0, 0], [0, 255, 0], [255, 255, 255]


@pytest.mark.parametrize(
    ("content", "values", "expected"),
    [
        ({"classes": ["a", "b", "c"]}, [[0, 1, 2, 255]], [[0, 1, 2, VOID]]),
        ({"classes": ["a", "b"], "values": [0, 128]}, [[0, 128, 255]], [[0, 1, VOID]]),
        ({"classes": ["a", "b"], "values": [0, 255]}, [[0, 255]], [[0, 1]]),
        ({"classes": ["a", "b"], "void": [9, 255]}, [[0, 1, 9, 255]], [[0, 1, VOID, VOID]]),
        ({"classes": ["a", "b"], "void": 0, "values": [1, 2]}, [[0, 1, 2]], [[VOID, 0, 1]]),
        ({"classes": ["a", "b"], "colours": ["#FF0000", "#00ff00"]}, [[RED, GREEN]], [[0, 1]]),
        (
            {"classes": ["a", "b"], "colours": ["#ff0000", "#00ff00"], "void": "#ffffff"},
            [[RED, GREEN, WHITE]],
            [[0, 1, VOID]],
        ),
        ({"classes": ["a", "b"], "colours": ["#ff0000", "#00ff00"], "void": "#ffffff"}, [[0, 1, 255]], [[0, 1, VOID]]),
        ({"classes": ["a", "b", "c"]}, [[[2, 2, 2], [0, 0, 0]]], [[2, 0]]),
    ],
)
def test_a_class_list_says_what_values_mean(tmp_path, content, values, expected):
    listing(tmp_path, **content)
    assert ids_of(read_class_list(tmp_path), values) == expected


@pytest.mark.parametrize(
    ("content", "values", "message"),
    [
        (
            {"classes": ["a", "b", "c"]},
            [[0, 7, 7, 5]],
            r"m.png holds 7 \(2 pixels\), 5 \(1 .*the numbers 0 to 2, 255; men",
        ),
        ({"classes": ["a", "b"], "void": []}, [[255]], r"holds 255 \(1 pixels\); expected one of the numbers 0 to 1;"),
        (
            {"classes": ["a", "b"], "colours": ["#ff0000", "#00ff00"]},
            [[RED, [254, 0, 0], [0, 0, 9]]],
            r"holds #000009 \(1 pixels\), #fe0000 \(1 pixels\); expected one of the colours #ff0000, #00ff00",
        ),
        ({"classes": ["a", "b"]}, [[RED]], "is in colours, of which the meaning is unknown; list each class and its"),
        ({"classes": ["a", "b"]}, [list(range(9))], "and 2 more; expected"),
    ],
)
def test_unknown_values_are_counted_and_named(tmp_path, content, values, message):
    listing(tmp_path, **content)
    with pytest.raises(BadData, match=message):
        ids_of(read_class_list(tmp_path), values)


def test_values_that_are_unknown_can_be_counted_without_an_error_and_are_void(tmp_path):
    listing(tmp_path, classes=["a", "b"], colours=["#ff0000", "#00ff00"])
    code = read_class_list(tmp_path)
    ids, unknown = code.read(RawMask(Path("m"), torch.tensor([[1, 7, 0, 7]], dtype=torch.uint8)))
    assert (ids.tolist(), unknown) == ([[1, VOID, 0, VOID]], {"7": 2})
    rgb = torch.tensor([GREEN, WHITE, RED], dtype=torch.uint8).T.reshape(3, 1, 3).contiguous()
    ids, unknown = code.read(RawMask(Path("m"), rgb))
    assert (ids.tolist(), unknown) == ([[1, VOID, 0]], {"#ffffff": 1})


def test_255_is_the_second_of_two_classes_only_where_the_list_leaves_it_open(tmp_path):
    listing(tmp_path, classes=["a", "b"])
    code = read_class_list(tmp_path)
    assert ids_of(settled_code(code, seen(0, 255)), [[0, 255]]) == [[0, 1]]
    assert ids_of(settled_code(code, seen(0, 1, 255)), [[0, 1, 255]]) == [[0, 1, VOID]]
    listing(tmp_path, classes=["a", "b"], void=255)
    assert ids_of(settled_code(read_class_list(tmp_path), seen(0, 255)), [[0, 255]]) == [[0, VOID]]


def test_a_class_list_may_be_plain_text(tmp_path):
    (tmp_path / "classes.txt").write_text("\ufeffblue sky \n\nflower #bed 2\n", encoding="utf-8")
    assert read_class_list(tmp_path).labels.names == ("blue sky", "flower #bed 2")
    (tmp_path / "classes.txt").write_text("sky #0000FF\r\nflower\t#ff0000\r\n")
    code = read_class_list(tmp_path)
    assert (code.labels.names, code.labels.colours) == (("sky", "flower"), ("#0000ff", "#ff0000"))
    assert code.of_colour == {0x0000FF: 0, 0xFF0000: 1}
    assert read_class_list(tmp_path / "empty") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "has no list of classes"),
        ('{"colours": []}', "has no list of classes"),
        ('{"classes": ["a"], "colors": []}', "has colors; known: classes, colours, values, void"),
        ('{"classes": "ab"}', "classes 'ab'; expected a list of texts"),
        ('{"classes": []}', "expected 1 to 255 different names"),
        ('{"classes": ["a", "a"]}', "expected 1 to 255 different names"),
        ('{"classes": ["a", "b"], "colours": ["#000000"]}', "1 colours for 2 classes"),
        ('{"classes": ["a"], "colours": ["red"]}', "colour 'red'; expected #rrggbb"),
        ('{"classes": ["a", "b"], "colours": ["#000000", "#000000"]}', "have one number or colour"),
        ('{"classes": ["a"], "colours": ["#000000"], "void": "#000000"}', "have one number or colour"),
        ('{"classes": ["a", "b"], "void": 1}', "have one number or colour"),
        ('{"classes": ["a", "b"], "values": [1, 1]}', "have one number or colour"),
        ('{"classes": ["a", "b"], "values": [1]}', "expected a number from 0 to 255 for each of 2 classes"),
        ('{"classes": ["a"], "values": [true]}', "expected a number from 0 to 255 for each"),
        ('{"classes": ["a"], "void": 256}', "void 256; expected numbers from 0 to 255 and colours"),
        ('{"classes": ["a"], "void": "white"}', "void 'white'; expected numbers"),
        ('{"classes": ["\udcff"]}', "cannot be read"),
        ("a" * 1_000_001, "has more than 1,000,000 bytes"),
    ],
)
def test_a_class_list_that_makes_no_sense_is_refused(tmp_path, text, message):
    (tmp_path / "classes.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadData, match=f"classes.json.*{message}"):
        read_class_list(tmp_path)


def test_two_class_lists_or_half_the_colours_are_refused(tmp_path):
    (tmp_path / "classes.txt").write_text("a #000000\nb\n")
    with pytest.raises(BadData, match="gives 1 of 2 classes a colour; expected all or none"):
        read_class_list(tmp_path)
    listing(tmp_path, classes=["a"])
    with pytest.raises(BadData, match=r"has both classes.json and classes.txt; keep one"):
        read_class_list(tmp_path)


# --- fitting ---


def nearest(new: int, old: int) -> tuple[list[int], list[int]]:
    """Of which old pixel each new one has the centre in it, and which new ones do not have it on a border."""
    return [(2 * i + 1) * old // (2 * new) for i in range(new)], [
        i for i in range(new) if (2 * i + 1) * old % (2 * new)
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**31))
def test_a_fitted_picture_keeps_shape_and_place_and_what_it_leaves_empty_is_void(height, width, size, seed):
    generator = np.random.default_rng(seed)
    rgb = generator.integers(0, 256, (3, height, width), dtype=np.uint8)
    ids = generator.integers(0, 3, (height, width), dtype=np.uint8)
    pixels, fitted = letterboxed(torch.from_numpy(rgb), torch.from_numpy(ids), size)
    assert pixels.shape == (3, size, size) and fitted.shape == (size, size)
    inside = fitted.numpy() != VOID
    h, w = inside.any(1).sum(), inside.any(0).sum()
    assert inside[:h, :w].all() and inside.sum() == h * w
    assert max(h, w) == size
    assert abs(h - height * size / max(height, width)) <= 0.5 or h == 1
    assert abs(w - width * size / max(height, width)) <= 0.5 or w == 1
    rows, clear_rows = nearest(h, height)
    columns, clear_columns = nearest(w, width)
    clear = np.ix_(clear_rows, clear_columns)
    assert (fitted.numpy()[:h, :w][clear] == ids[np.ix_(rows, columns)][clear]).all()
    assert (pixels[:, h:, :] == pixels[:, h - 1 : h, :]).all()
    assert (pixels[:, :, w:] == pixels[:, :, w - 1 : w]).all()
    if max(height, width) == size:
        assert (pixels.numpy()[:, :h, :w] == rgb).all() and (h, w) == (height, width)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (5000, 1), (3, 7)])
def test_extreme_pictures_can_be_fitted(height, width):
    rgb = torch.full((3, height, width), 77, dtype=torch.uint8)
    pixels, ids = letterboxed(rgb, torch.ones(height, width, dtype=torch.uint8), 256)
    assert (pixels == 77).all()
    expected = 256 * max(1, round(256 * min(height, width) / max(height, width)))
    assert Counter(ids.flatten().tolist()) == Counter({1: expected, VOID: 256 * 256 - expected})


def test_pictures_are_resampled_smoothly_by_lanczos(tmp_path):
    rgb = torch.from_numpy(scenery(3)).permute(2, 0, 1).contiguous()
    pixels, _ = letterboxed(rgb, torch.zeros(40, 48, dtype=torch.uint8), 24)
    expected = np.array(Image.fromarray(scenery(3)).resize((24, 20), Image.Resampling.LANCZOS))
    assert (pixels[:, :20].permute(1, 2, 0).numpy() == expected).all()


# --- folders ---


@pytest.mark.parametrize("masks", ["masks", "labels", "annotations", "trimaps"])
def test_pictures_and_masks_may_lie_in_two_folders(tmp_path, masks):
    data = load_labelled_folder(of(labelled(tmp_path / "garden", masks=masks)))
    assert (data.name, data.title, data.labels.names) == ("folder", "garden", ("background", "foreground"))
    assert_blobs(data)
    assert all(name.startswith("images/") for name in data.split("all").names)
    assert min(len(data.train), len(data.validation), len(data.test)) >= 1


def test_a_mask_may_end_in_mask_and_lie_beside_its_picture_or_below_subfolders(tmp_path):
    assert_blobs(load_labelled_folder(of(labelled(tmp_path / "a", ending="_mask"))))
    assert_blobs(load_labelled_folder(of(labelled(tmp_path / "b", pictures="", masks="", ending="_mask"))))
    assert_blobs(load_labelled_folder(of(labelled(tmp_path / "c", pictures="images/x", masks="masks/x"))))
    assert_blobs(load_labelled_folder(of(labelled(tmp_path / "d", pictures="x/y", masks="x/y", ending="_mask"))))


def test_the_pictures_come_through_bit_for_bit_beside_their_padding(tmp_path):
    every = load_labelled_folder(of(labelled(tmp_path))).split("all")
    for name, pixels in zip(every.names, every.pixels, strict=True):
        picture = scenery(int(Path(name).stem))
        assert (pixels[:, :40].permute(1, 2, 0).numpy() == picture).all()
        assert (pixels[:, 40:].permute(1, 2, 0).numpy() == picture[-1:]).all()


@pytest.mark.parametrize(
    ("write", "content"),
    [
        (lambda ids: ids * 255, None),
        (lambda ids: ids * 255, {"classes": ["ground", "flower"]}),
        (lambda ids: ids * 255, {"classes": ["ground", "flower"], "colours": ["#000000", "#ff0000"]}),
        (lambda ids: ids > 0, None),
        (lambda ids: np.stack([ids * 255] * 3, axis=2), None),
        (lambda ids: ids + 3, {"classes": ["ground", "flower"], "values": [3, 4]}),
        (
            lambda ids: np.array([[9, 8, 7], [250, 0, 3]], dtype=np.uint8)[ids],
            {"classes": ["ground", "flower"], "colours": ["#090807", "#fa0003"]},
        ),
    ],
)
def test_every_kind_of_mask_leads_to_the_same_classes(tmp_path, write, content):
    labelled(tmp_path, write=write)
    if content:
        listing(tmp_path, **content)
    data = load_labelled_folder(of(tmp_path))
    assert_blobs(data)
    assert len(data.labels) == 2
    report = check_folder(tmp_path, of(tmp_path))
    own = sum(int(blob(i).sum()) for i in range(6))
    assert report.ok and report.pictures == 6
    assert [c.pixels for c in report.classes] == [6 * 40 * 48 - own, own]
    assert sum(c.share for c in report.classes) == pytest.approx(1)


def test_255_is_void_as_soon_as_the_list_says_so_or_there_are_other_numbers(tmp_path):
    labelled(tmp_path, write=lambda ids: ids * 255)
    listing(tmp_path, classes=["ground", "flower"], void=255)
    expected = np.where(blob(0) == 1, VOID, 0)
    assert (ids_by_number(load_labelled_folder(of(tmp_path)))[0] == padded(expected)).all()
    listing(tmp_path, classes=["ground", "flower"])
    assert_blobs(load_labelled_folder(of(tmp_path)))
    save(tmp_path / "masks" / "5.png", blob(5))
    assert (ids_by_number(load_labelled_folder(of(tmp_path)))[0] == padded(expected)).all()


@pytest.mark.parametrize("name", ["validation", "val"])
def test_named_subfolders_are_the_splits_and_a_copy_counts_for_test_first(tmp_path, name):
    labelled(tmp_path / "train", [0, 1, 2, 3, 4])
    labelled(tmp_path / name, [5, 3, 4])
    labelled(tmp_path / "test", [6, 4])
    data = load_labelled_folder(of(tmp_path))
    assert list(data.train.names) == [f"train/images/{i}.png" for i in (0, 1, 2)]
    assert list(data.validation.names) == [f"{name}/images/{i}.png" for i in (3, 5)]
    assert list(data.test.names) == [f"test/images/{i}.png" for i in (4, 6)]


def test_without_a_named_validation_folder_it_is_cut_from_train(tmp_path):
    labelled(tmp_path / "train", [0, 1, 2, 3])
    labelled(tmp_path / "test", [5], pictures="", masks="", ending="_mask")
    data = load_labelled_folder(of(tmp_path, validation=0.25))
    assert (len(data.train), len(data.validation), list(data.test.names)) == (3, 1, ["test/5.png"])


def test_the_split_is_by_content_and_copies_are_kept_once(tmp_path):
    before = load_labelled_folder(of(labelled(tmp_path / "a")))
    root = labelled(tmp_path / "b")
    for number in range(6):
        save(root / "images" / f"{9 - number}0.bmp", scenery(number))
        save(root / "masks" / f"{9 - number}0.png", blob(number))
    after = load_labelled_folder(of(root))
    for split in ("train", "validation", "test"):
        old, new = ({pixels.numpy().tobytes() for pixels in data.split(split).pixels} for data in (before, after))
        assert old == new and len(after.split(split)) == len(old)


def test_the_usual_share_for_validation_of_a_folder_is_a_tenth():
    assert DataSettings().validation_share() == 0.1
    assert DataSettings().validation_share(0.25) == 0.25
    assert DataSettings(validation=0.0).validation_share(0.25) == 0.0


def test_pictures_without_mask_are_left_out(tmp_path):
    labelled(tmp_path)
    save(tmp_path / "images" / "7.png", scenery(7))
    save(tmp_path / "masks" / "8.png", blob(8))
    assert_blobs(load_labelled_folder(of(tmp_path)))


def test_faults_of_many_files_are_listed_up_to_five(tmp_path):
    labelled(tmp_path)
    for number in range(7):
        save(tmp_path / "images" / f"x{number}.png", scenery(number))
        (tmp_path / "masks" / f"x{number}.png").write_text("no")
    with pytest.raises(
        BadData, match=r"7 of 13 pictures with masks cannot be used(.|\n)*x4.png(.|\n)*and 2 more"
    ) as caught:
        load_labelled_folder(of(tmp_path))
    assert "x5.png" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda r: save(r / "masks" / "1.png", blob(1)[:, :-1]),
            r"1.png is 47 x 40 pixels, but .*1.png is 48 x 40 when",
        ),
        (lambda r: save(r / "masks" / "1.png", blob(1)[:1, :1]), "1.png is 1 x 1 pixels"),
        (lambda r: save(r / "masks" / "1.png", scenery(1)[:, :, 0]), "expected class numbers below 64"),
        (lambda r: save(r / "masks" / "1.png", scenery(1)), "is in colours, of which the meaning is unknown"),
        (lambda r: (r / "images" / "1.png").write_text("no"), "1.png is not a picture that can be read"),
        (lambda r: save(r / "masks" / "1_mask.png", blob(1)), "belong together is open"),
        (lambda r: save(r / "images" / "1.jpg", scenery(1)), "belong together is open"),
        (lambda r: listing(r, classes=["only"]), r"0.png holds 1 \("),
        (
            lambda r: [path.unlink() for path in (r / "masks").iterdir()],
            "no picture with a mask; expected images/a.jpg",
        ),
        (lambda r: [(r / "images" / f"{i}.png").unlink() for i in range(4)], "has 2 different pictures that can be"),
    ],
)
def test_what_makes_a_folder_unusable_is_refused_and_the_doctor_says_so_too(tmp_path, spoil, message):
    labelled(tmp_path)
    assert check_folder(tmp_path, of(tmp_path)).ok
    spoil(tmp_path)
    with pytest.raises(PixelwiseError, match=message):
        load_labelled_folder(of(tmp_path))
    assert not check_folder(tmp_path, of(tmp_path)).ok


def test_a_turned_picture_wants_an_upright_mask(tmp_path):
    labelled(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scenery(1)).save(tmp_path / "images" / "1.png", exif=exif)
    with pytest.raises(BadData, match=r"1.png is 48 x 40 pixels, but its picture 1.png is 40 x 48 when upright"):
        load_labelled_folder(of(tmp_path, validation=0.0))
    save(tmp_path / "masks" / "1.png", np.ascontiguousarray(np.rot90(blob(1), -1)))
    assert (ids_by_number(load_labelled_folder(of(tmp_path, validation=0.0)))[1] == padded(np.rot90(blob(1), -1))).all()


# --- data sets by name ---


def test_each_data_set_has_the_sides_it_says(tmp_path):
    sides = {name: (source.load is not None, source.load_labelled is not None) for name, source in SOURCES.items()}
    assert sides == {
        "photos": (True, False),
        "cifar10": (True, False),
        "flowers17": (False, True),
        "folder": (True, True),
    }
    with pytest.raises(BadData, match=r"'flowers17' is for segmentation, not for colour; .* photos, cifar10, folder"):
        load_data(DataSettings(name="flowers17"))
    with pytest.raises(BadData, match="'photos' has no labels; data sets with labels are: flowers17, folder"):
        load_labelled(DataSettings(name="photos"))
    with pytest.raises(BadData, match="only cifar10 has categories, not folder"):
        load_labelled(of(tmp_path, category=("horse",)))
    with pytest.raises(UnknownName, match="did you mean 'flowers17'"):
        load_labelled(DataSettings(name="flower17"))
    with pytest.raises(BadData, match="needs a folder of pictures and masks; give --root FOLDER"):
        load_labelled(DataSettings(name="folder"))
    assert_blobs(load_labelled(of(labelled(tmp_path))))


@pytest.mark.parametrize(("name", "value"), [("size", 15), ("size", 4097), ("validation", 1.0), ("validation", -0.1)])
def test_sizes_and_shares_have_bounds(name, value):
    with pytest.raises(BadSetting, match=f"^{name} is {value}; expected"):
        DataSettings(**{name: value})
    assert DataSettings.from_mapping({"validation": 0, "size": 16}).validation == 0.0


# --- the doctor ---


def found(report: Report, what: str) -> tuple[str, tuple[str, ...]]:
    """Level and files of the one finding that says `what`."""
    texts = [f.what for f in report.findings]
    chosen = [f for f in report.findings if what in f.what]
    assert len(chosen) == 1, texts
    assert chosen[0].remedy
    return chosen[0].level, chosen[0].files


def check(root: Path, **changes) -> Report:
    return check_folder(root, of(root, **changes))


def test_a_good_folder_has_nothing_but_a_note_on_names(tmp_path):
    labelled(tmp_path)
    report = check(tmp_path)
    assert report.ok and [f.level for f in report.findings] == ["note"]
    assert found(report, "no class list; the numbers in the masks are read as background, foreground") == ("note", ())
    listing(tmp_path, classes=["ground", "flower"])
    assert check(tmp_path).findings == ()


def test_the_doctor_tells_of_0_and_255(tmp_path):
    report = check(labelled(tmp_path, write=lambda ids: ids * 255))
    level, files = found(report, "6 masks hold 0 and 255, which are read as background and foreground")
    assert (level, len(files), report.ok) == ("note", 6, True)
    assert "if 255 means 'not labelled', say so in classes.json" in report.findings[0].remedy


@pytest.mark.parametrize(
    ("values", "name", "what"),
    [
        (scenery(1), "1.png", "1 masks are in colours, of which the meaning is unknown"),
        (blob(1) * 255, "1.jpg", "1 masks cannot be used: each is a lossy file of a …/… mask"),
        (scenery(1), "1.jpg", "1 masks cannot be used: each is a lossy file"),
        (blob(1)[:-1], "1.png", "1 masks have another size than their pictures ("),
        (blob(1)[:1, :1], "1.png", "1.png is 1 x 1 pixels, but its picture 1.png is 48 x 40"),
    ],
)
def test_the_doctor_names_masks_that_cannot_be_used(tmp_path, values, name, what):
    labelled(tmp_path)
    (tmp_path / "masks" / "1.png").unlink()
    save(tmp_path / "masks" / name, values)
    report = check(tmp_path)
    assert found(report, what) == ("error", (f"masks/{name}",))
    assert report.pictures == 5


def test_the_doctor_does_not_stop_at_the_first_fault(tmp_path):
    labelled(tmp_path, range(9))
    (tmp_path / "images" / "0.png").write_text("no")
    (tmp_path / "images" / "1.png").write_bytes((tmp_path / "images" / "1.png").read_bytes()[:300])
    (tmp_path / "masks" / "2.png").write_text("no")
    save(tmp_path / "masks" / "3.png", blob(3)[1:])
    save(tmp_path / "masks" / "7.png", scenery(3))
    save(tmp_path / "images" / "a.png", scenery(30))
    save(tmp_path / "masks" / "b.png", blob(3))
    (tmp_path / "images" / "folder.png").mkdir()
    report = check(tmp_path)
    assert found(report, "2 pictures cannot be read") == ("error", ("images/0.png", "images/1.png"))
    assert found(report, "1 masks cannot be read") == ("error", ("masks/2.png",))
    assert found(report, "1 masks have another size") == ("error", ("masks/3.png",))
    assert found(report, "1 masks are in colours") == ("error", ("masks/7.png",))
    assert found(report, "1 pictures have no mask and are left out") == ("warning", ("images/a.png",))
    assert found(report, "1 masks have no picture") == ("warning", ("masks/b.png",))
    levels = [("error", "warning", "note").index(f.level) for f in report.findings]
    assert levels == sorted(levels)
    mapping = json.loads(json.dumps(report.to_mapping(), allow_nan=False))
    assert (mapping["ok"], mapping["pictures"]) == (False, 4)
    assert [c["name"] for c in mapping["classes"]] == ["background", "foreground"]


def test_the_doctor_counts_unknown_numbers_and_colours(tmp_path):
    def write(ids):
        ids = ids.copy()
        ids[0, :5], ids[1, :2] = 7, 9
        return ids

    labelled(tmp_path / "a", write=write)
    listing(tmp_path / "a", classes=["ground", "flower"])
    report = check(tmp_path / "a")
    assert found(report, "the value 7 is no class and not void: 30 pixels in 6 masks")[0] == "error"
    assert found(report, "the value 9 is no class and not void: 12 pixels in 6 masks")[0] == "error"

    labelled(tmp_path / "b", write=lambda ids: np.array([[0, 0, 0], [250, 0, 0]], dtype=np.uint8)[ids])
    listing(tmp_path / "b", classes=["ground", "flower"], colours=["#000000", "#ff0000"])
    pixels = sum(int(blob(i).sum()) for i in range(6))
    report = check(tmp_path / "b")
    assert found(report, f"the value #fa0000 is no class and not void: {pixels:,} pixels in 6 masks")[0] == "error"

    labelled(tmp_path / "c", write=lambda ids: (np.arange(ids.size).reshape(ids.shape) % 20).astype(np.uint8))
    listing(tmp_path / "c", classes=["ground", "flower"])
    assert len(check(tmp_path / "c").findings) == 9
    assert found(check(tmp_path / "c"), "10 or more other values are no class, in some of 6 masks")[0] == "error"


def test_the_doctor_tells_of_void_and_lonely_classes(tmp_path):
    labelled(tmp_path)
    listing(tmp_path, classes=["ground", "flower", "tree"], void=255)
    save(tmp_path / "masks" / "1.png", np.full_like(blob(1), 255))
    save(tmp_path / "masks" / "2.png", np.zeros_like(blob(1)))
    report = check(tmp_path)
    assert report.ok
    assert found(report, "1 masks are void everywhere and teach nothing") == ("warning", ("masks/1.png",))
    assert found(report, "1 masks hold one class only, ground") == ("note", ("masks/2.png",))
    assert found(report, "class tree is in no mask") == ("warning", ())


def test_the_doctor_tells_of_a_class_that_nobody_trains_on(tmp_path):
    labelled(tmp_path / "train", [0, 1, 2, 3], write=lambda ids: ids * 0)
    labelled(tmp_path / "test", [5])
    listing(tmp_path, classes=["ground", "flower"])
    report = check(tmp_path)
    assert found(report, "class flower is in no mask that is trained on, and cannot be learnt") == ("warning", ())


def test_the_doctor_tells_of_copies_and_of_pictures_in_two_splits(tmp_path):
    labelled(tmp_path / "train", [0, 1, 2, 3])
    labelled(tmp_path / "test", [5, 3])
    save(tmp_path / "train" / "images" / "z.bmp", scenery(1))
    save(tmp_path / "train" / "masks" / "z.png", blob(4))
    report = check(tmp_path)
    assert report.ok
    files = ("train/images/3.png", "test/images/3.png")
    level, named = found(report, "2 files are pictures that are in test and train at once")
    assert (level, set(named)) == ("warning", set(files))
    copies = ("train/images/1.png", "train/images/z.bmp")
    assert found(report, "2 files are copies of each other (") == ("warning", copies)
    assert found(report, "2 files are copies of each other whose masks differ") == ("warning", copies)


def test_the_doctor_tells_of_tiny_pictures_and_of_a_folder_without_its_fellow(tmp_path):
    labelled(tmp_path)
    save(tmp_path / "images" / "t.png", scenery(1, 4, 15))
    save(tmp_path / "masks" / "t.png", blob(1, 4, 15))
    (tmp_path / "train").mkdir()
    report = check(tmp_path)
    assert found(report, "1 pictures are tiny, below 16 x 16 pixels") == ("warning", ("images/t.png",))
    assert found(report, "there is a folder train but none called test") == ("warning", ("train/",))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda root: None, "no folder at"),
        (lambda root: root.write_text("x"), "no folder at"),
        (lambda root: root.mkdir(), "has no picture with a mask"),
        (lambda root: labelled(root, [1, 2]), "has 2 different pictures that can be used"),
        (lambda root: [labelled(root), (root / "classes.json").write_text("{")], "is not JSON"),
        (lambda root: [labelled(root / "train"), (root / "test").mkdir()], "6 to train on and 0 to test|4 to"),
    ],
)
def test_the_doctor_reports_on_hopeless_folders(tmp_path, make, what):
    root = tmp_path / "x"
    make(root)
    report = check(root, validation=0.0)
    assert not report.ok
    assert report.classes == () or "different" in what or "test" in what
    assert any(text in f.what for f in report.findings for text in what.split("|") if f.level == "error")
    assert json.dumps(report.to_mapping())


def test_a_fault_in_many_files_names_twenty_of_them(tmp_path):
    labelled(tmp_path)
    for number in range(25):
        (tmp_path / "images" / f"x{number}.png").write_text("no")
        save(tmp_path / "masks" / f"x{number}.png", blob(1))
    level, files = found(check(tmp_path), "25 pictures cannot be read")
    assert (level, len(files)) == ("error", 20)


def test_the_doctor_looks_at_folders_of_pictures_for_colour(tmp_path, folder_of_pictures):
    def colour(root: Path) -> Report:
        return check_data(DataSettings(name="folder", root=str(root)), labelled=False)

    assert colour(folder_of_pictures) == Report((), 6)
    (folder_of_pictures / "bad.png").write_text("no")
    save(folder_of_pictures / "copy.bmp", scenery(2))
    save(folder_of_pictures / "tiny.bmp", scenery(2, 3, 3))
    report = colour(folder_of_pictures)
    assert found(report, "1 pictures cannot be read") == ("error", ("bad.png",))
    assert found(report, "2 files are copies of each other") == ("warning", ("2.png", "copy.bmp"))
    assert found(report, "1 pictures are tiny") == ("warning", ("tiny.bmp",))
    for part, numbers in (("train", [0, 1, 2]), ("validation", [3, 0]), ("test", [5])):
        for number in numbers:
            save(tmp_path / "s" / part / f"{number}.png", scenery(number))
    level, files = found(colour(tmp_path / "s"), "2 files are pictures that are in train and validation at once")
    assert (level, set(files)) == ("warning", {"train/0.png", "validation/0.png"})
    (tmp_path / "s" / "val").mkdir()
    assert colour(tmp_path / "s").ok  # as for load_folder, validation comes before val
    (tmp_path / "s" / "test" / "5.png").unlink()
    assert found(colour(tmp_path / "s"), "no pictures in")[0] == "error"
    assert not colour(tmp_path / "missing").ok


def test_the_doctor_checks_by_name(tmp_path):
    photos = check_data(DataSettings(name="photos", scales=(32,)), labelled=False)
    assert photos.ok and photos.pictures > 6
    assert found(check_data(DataSettings(name="photos"), labelled=True), "'photos' has no labels")[0] == "error"
    assert found(check_data(DataSettings(name="nonsense"), labelled=False), "unknown data set")[0] == "error"
    assert found(check_data(DataSettings(name="folder"), labelled=True), "needs a folder")[0] == "error"
    assert check_data(of(labelled(tmp_path)), labelled=True).pictures == 6
    flowers = DataSettings(name="flowers17", root=str(tmp_path))
    assert found(check_data(flowers, labelled=True), "no Oxford flowers at")[0] == "error"


# --- Oxford 17 flowers ---

TRIMAP = np.tile(np.array([0, 1, 2, 3, 4, 5, 1, 3], dtype=np.uint8), (8, 1))
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, 128, 0, 128]


def flowers(root: Path, pictures: str = "jpg", count: int = 12) -> Path:
    """Pictures 1 to `count`, all but the last with a trimap."""
    for number in range(1, count + 1):
        save(root / pictures / f"image_{number:04}.jpg", scenery(number, 8, 8))
        if number < count:
            save(root / "trimaps" / f"image_{number:04}.png", TRIMAP, palette=VOC)
    return root


def flowers_of(root: Path, **changes) -> DataSettings:
    return DataSettings(**({"name": "flowers17", "root": str(root), "size": 16} | changes))


@pytest.mark.parametrize("below", ["", "flowers17", "flowers17-256"])
@pytest.mark.parametrize("pictures", ["jpg", "images"])
def test_flowers_are_found_in_every_layout_and_their_numbers_become_two_classes(tmp_path, below, pictures):
    flowers(tmp_path / below, pictures)
    data = load_labelled(flowers_of(tmp_path))
    assert (data.name, data.title, data.labels.names) == ("flowers17", "Oxford 17 flowers", ("background", "flower"))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [7, 2, 2]
    every = data.split("all")
    assert sorted(every.names) == [f"image_{i:04}.jpg" for i in range(1, 12)]
    row = [v for v in [VOID, 1, 0, 0, 0, VOID, 1, 0] for _ in range(2)]
    assert every.ids.tolist() == [[row] * 16] * 11


def test_the_share_of_flowers_for_validation_can_be_asked(tmp_path):
    flowers(tmp_path)
    assert len(load_labelled(flowers_of(tmp_path, validation=0.0)).validation) == 0
    assert len(load_labelled(flowers_of(tmp_path, validation=0.5)).validation) == 6
    with pytest.raises(BadData, match=r"validation 0.9 of 11 flowers leaves none to train on"):
        load_labelled(flowers_of(tmp_path, validation=0.9))


def test_copies_of_a_flower_are_kept_once(tmp_path):
    flowers(tmp_path)
    first = (tmp_path / "jpg" / "image_0001.jpg").read_bytes()
    for number in (3, 4, 5):
        (tmp_path / "jpg" / f"image_{number:04}.jpg").write_bytes(first)
    every = load_labelled(flowers_of(tmp_path)).split("all")
    assert sorted(int(name[6:10]) for name in every.names) == [1, 2, 6, 7, 8, 9, 10, 11]
    report = check_data(flowers_of(tmp_path), labelled=True)
    assert found(report, "4 files are copies of each other")[0] == "warning"
    assert found(report, "1 pictures have no trimap and are left out") == ("note", ("image_0012.jpg",))


def test_trimaps_in_colours_or_with_other_numbers_are_refused(tmp_path):
    flowers(tmp_path)
    save(tmp_path / "trimaps" / "image_0002.png", TRIMAP + 1, palette=VOC)
    with pytest.raises(BadData, match=r"image_0002.png holds 6 \(8 pixels\); expected one of the numbers 0 to 5"):
        load_labelled(flowers_of(tmp_path))
    save(tmp_path / "trimaps" / "image_0002.png", scenery(2, 8, 8))
    with pytest.raises(BadData, match=r"image_0002.png is in colours"):
        load_labelled(flowers_of(tmp_path))
    assert not check_data(flowers_of(tmp_path), labelled=True).ok


def test_missing_flowers_are_asked_for(tmp_path, monkeypatch):
    with pytest.raises(BadData, match=r"no Oxford flowers at .*; expected a folder jpg or images"):
        load_labelled(flowers_of(tmp_path))
    monkeypatch.setenv("PIXELWISE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BadData, match="run `pixelwise data fetch flowers17`, or give --root FOLDER"):
        load_labelled(DataSettings(name="flowers17"))
    for name in ("jpg", "trimaps"):
        (tmp_path / name).mkdir()
    with pytest.raises(BadData, match="has no picture with a trimap"):
        load_labelled(flowers_of(tmp_path))


def test_the_number_tells_the_species():
    assert [species(f"image_{n:04}.jpg") for n in (1, 80, 81, 1360)] == [0, 0, 1, 16]
    for name in ("image_0000.jpg", "image_1361.jpg", "rose.jpg"):
        with pytest.raises(BadData, match="is no picture of Oxford 17 flowers"):
            species(name)


def test_the_real_flowers_are_400_100_and_100_different_ones(real_data):
    folder = real_data / "flowers17-256"
    if not folder.is_dir():
        pytest.skip("no flowers17-256 there")
    data = load_labelled(DataSettings(name="flowers17", root=str(real_data), size=64))
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [400, 100, 100]
    names = [set(part.names) for part in parts]
    assert len(set.union(*names)) == 600
    assert {species(name) for name in data.train.names} > set(range(5))
    contents = [{(folder / "images" / name).read_bytes() for name in some} for some in names]
    assert not contents[0] & contents[1] and not contents[0] & contents[2] and not contents[1] & contents[2]
    # by hand: every fourth pixel of each trimap, in the middle of its 4 x 4 square (the upper left of the middle four)
    counts = np.zeros(6, dtype=int)
    for name in data.test.names:
        with Image.open(folder / "trimaps" / f"{Path(name).stem}.png") as image:
            counts += np.bincount(np.asarray(image)[2::4, 2::4].ravel(), minlength=6)
    ids = data.test.ids
    expected = [counts[2] + counts[3] + counts[4], counts[1], counts[0] + counts[5]]
    assert [int((ids == i).sum()) for i in (0, 1, VOID)] == expected


# --- downloads, from a server on this machine ---


def tar_of(members: list[tuple[str, bytes]], link: tuple[str, str] | None = None) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, inside in members:
            member = tarfile.TarInfo(name)
            member.size = len(inside)
            tar.addfile(member, io.BytesIO(inside))
        if link:
            for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member = tarfile.TarInfo(link[0])
                member.type, member.linkname = kind, link[1]
                tar.addfile(member)
    return content.getvalue()


def picture_bytes(number: int, trimap: bool) -> bytes:
    content = io.BytesIO()
    if trimap:
        image = Image.fromarray(TRIMAP)
        image.putpalette(VOC)
        image.save(content, "PNG")
    else:
        Image.fromarray(scenery(number, 8, 8)).save(content, "JPEG")
    return content.getvalue()


PICTURES = tar_of(
    [
        *((f"jpg/image_{n:04}.jpg", picture_bytes(n, False)) for n in range(1, 7)),
        ("../../image_0007.jpg", picture_bytes(7, False)),
        ("/etc/passwd", b"no"),
        ("jpg/files.txt", b"no"),
        ("jpg/image_1.jpg", b"no"),
    ],
    link=("jpg/image_0008.jpg", "jpg/image_0001.jpg"),
)
TRIMAPS = tar_of(
    [(f"trimaps/image_{n:04}.png", picture_bytes(n, True)) for n in range(1, 9)] + [("trimaps/imlist.mat", b"")]
)


class Archives(http.server.BaseHTTPRequestHandler):
    files: dict[str, bytes]

    def do_GET(self):
        content = self.files[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(Archives, "files", {"/17flowers.tgz": PICTURES, "/trimaps.tgz": TRIMAPS}, raising=False)
    with http.server.HTTPServer(("127.0.0.1", 0), Archives) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{serving.server_port}/"
        monkeypatch.setattr(flowers17, "ADDRESS", address)
        monkeypatch.setattr(flowers17, "PICTURES", ("17flowers.tgz", f"md5:{hashlib.md5(PICTURES).hexdigest()}"))
        yield address
        serving.shutdown()
        thread.join()


def test_fetching_flowers_unpacks_pictures_and_trimaps_and_nothing_else(server, tmp_path):
    root = tmp_path / "deep" / "er"
    assert [total for _, total in fetch_flowers17(root)] == [len(PICTURES), len(TRIMAPS)]
    inside = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert sorted(inside) == sorted(
        ["deep/er/flowers17/17flowers.tgz", "deep/er/flowers17/trimaps.tgz"]
        + [f"deep/er/flowers17/jpg/image_{n:04}.jpg" for n in range(1, 8)]
        + [f"deep/er/flowers17/trimaps/image_{n:04}.png" for n in range(1, 9)]
    )
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert len(load_labelled(flowers_of(root)).split("all")) == 7


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    list(fetch_flowers17(tmp_path))
    Archives.files.clear()
    assert list(fetch_flowers17(tmp_path)) == []


def test_pictures_with_another_md5_are_refused(server, tmp_path):
    Archives.files["/17flowers.tgz"] = TRIMAPS
    with pytest.raises(BadData, match=rf"gave a file with MD5 {hashlib.md5(TRIMAPS).hexdigest()}; expected"):
        list(fetch_flowers17(tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>not found</html>", "that is no whole .tar.gz archive"),
        (TRIMAPS[:-3], "that is no whole .tar.gz archive"),
        (TRIMAPS[:-8] + b"\0" * 8, "that is no whole .tar.gz archive .*CRC"),
        (gzip.compress(b"no tar"), "that is no whole .tar.gz archive"),
        (tar_of([]), "that is an archive without files"),
        (b"", "that is no whole .tar.gz archive|without files"),
    ],
)
def test_an_archive_of_which_no_checksum_is_known_must_be_whole(server, tmp_path, content, message):
    Archives.files["/trimaps.tgz"] = content
    with pytest.raises(BadData, match=message):
        list(fetch_flowers17(tmp_path))
    assert not (tmp_path / "flowers17" / "trimaps.tgz").exists()


def test_an_archive_without_flowers_is_refused(server, tmp_path):
    Archives.files["/trimaps.tgz"] = tar_of([("trimaps/readme.txt", b"moved")])
    with pytest.raises(
        BadData, match=r"trimaps.tgz has no image_0001.jpg or image_0001.png; delete it and fetch again"
    ):
        list(fetch_flowers17(tmp_path))


def test_checksums_say_what_they_are(server, tmp_path):
    digest = hashlib.sha256(TRIMAPS).hexdigest()
    for number, expected in enumerate(
        (digest, digest.upper(), f"sha256:{digest}", f"md5:{hashlib.md5(TRIMAPS).hexdigest()}")
    ):
        target = tmp_path / f"{number}.tgz"
        list(fetch(f"{server}trimaps.tgz", target, expected))
        assert target.read_bytes() == TRIMAPS
    with pytest.raises(BadData, match="checksum 'crc:00'; expected sha256:… or md5:…"):
        list(fetch(f"{server}trimaps.tgz", tmp_path / "a.tgz", "crc:00"))
    assert not (tmp_path / "a.tgz").exists()
