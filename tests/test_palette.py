import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.classes import palette as palette_module
from pixelwise.classes.palette import Palette, fit_palette, load_palette
from pixelwise.config import DataSettings
from pixelwise.data.cifar10 import load_cifar10
from pixelwise.errors import BadPalette

byte = st.integers(0, 255)
colour = st.tuples(byte, byte, byte)
few_close = st.tuples(*[st.integers(100, 103)] * 3)


def of_bytes(colours) -> Palette:
    return Palette(torch.tensor(colours, dtype=torch.float64) / 255, "bytes")


def row_of(colours) -> torch.Tensor:
    """One picture of one row of pixels."""
    return torch.tensor(colours, dtype=torch.uint8).T.reshape(1, 3, 1, -1)


def noise(*shape, seed=0) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def nearest_in_integers(pixel, colours) -> int:
    distances = [sum((a - b) ** 2 for a, b in zip(pixel, c, strict=True)) for c in colours]
    return distances.index(min(distances))


@given(st.lists(st.one_of(colour, few_close), min_size=2, max_size=20), st.lists(colour, min_size=1, max_size=20))
@settings(deadline=None, max_examples=80)
def test_encode_is_the_nearest_colour_in_integer_arithmetic(colours, pixels):
    found = of_bytes(colours).encode(row_of(pixels)).flatten().tolist()
    assert found == [nearest_in_integers(pixel, colours) for pixel in pixels]


@given(st.lists(few_close, min_size=2, max_size=12), st.lists(few_close, min_size=1, max_size=20))
@settings(deadline=None, max_examples=80)
def test_encode_breaks_the_many_ties_among_close_colours_as_integers_do(colours, pixels):
    found = of_bytes(colours).encode(row_of(pixels)).flatten().tolist()
    assert found == [nearest_in_integers(pixel, colours) for pixel in pixels]


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [
        ((1, 1, 0), 0),  # as far from all four
        ((1, 0, 0), 0),
        ((2, 0, 0), 1),  # colour 3 is the same colour
        ((2, 2, 0), 1),  # as far from 1, 2 and 3
        ((1, 2, 0), 2),
    ],
)
def test_equal_distances_go_to_the_lowest_index(pixel, expected):
    four = of_bytes([[0, 0, 0], [2, 0, 0], [0, 2, 0], [2, 0, 0]])
    assert four.encode(row_of([pixel])).item() == expected


def test_equal_distances_stay_equal_after_the_palette_is_saved_to_8_decimals(tmp_path):
    colours = [[200, 37, 91], [202, 37, 91], [200, 39, 91], [7, 7, 7], [9, 7, 7]]
    pixels = [[201, 37, 91], [200, 38, 91], [201, 38, 91], [8, 7, 7]]
    of_bytes(colours).save(tmp_path / "p.json")
    assert load_palette(tmp_path / "p.json").encode(row_of(pixels)).flatten().tolist() == [0, 0, 0, 3]


def test_a_picture_larger_than_one_piece_encodes_as_its_pieces_do(palette):
    pixels = noise(1, 3, 200, 257)
    assert pixels[0, 0].numel() > palette_module.PIXELS_AT_ONCE
    whole = palette.encode(pixels)
    rows = torch.cat([palette.encode(pixels[:, :, y : y + 10]) for y in range(0, 200, 10)], dim=1)
    assert torch.equal(whole, rows)


@pytest.mark.parametrize("at_once", [1, 7, 60])
def test_the_size_of_the_pieces_does_not_change_the_classes(palette, monkeypatch, at_once):
    pixels = noise(2, 3, 5, 6)
    expected = palette.encode(pixels)
    rows = []

    def recording(lengths, some, directions):
        rows.append(len(some))
        return lengths + some @ directions

    monkeypatch.setattr(palette_module, "PIXELS_AT_ONCE", at_once)
    monkeypatch.setattr(torch, "addmm", recording)
    assert torch.equal(palette.encode(pixels), expected)
    assert sum(rows) == 60 and max(rows) <= at_once


def test_encode_keeps_pictures_rows_and_columns_apart(palette):
    pixels = palette.decode(torch.tensor([[[0, 1, 2]], [[3, 2, 1]]], dtype=torch.uint8))
    assert palette.encode(pixels).tolist() == [[[0, 1, 2]], [[3, 2, 1]]]


@given(st.lists(colour, min_size=2, max_size=255, unique=True), st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_painted_colours_encode_to_themselves(colours, seed):
    k = len(colours)
    ids = torch.randint(0, k, (2, 3, 4), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    painted = of_bytes(colours).decode(ids)
    assert painted[1, :, 2, 3].tolist() == list(colours[ids[1, 2, 3]])
    assert torch.equal(of_bytes(colours).encode(painted), ids)
    assert torch.equal(of_bytes(colours).decode(of_bytes(colours).encode(painted)), painted)


def test_a_class_that_the_palette_does_not_have_cannot_be_painted(palette):
    with pytest.raises(BadPalette, match="class 4 asked of palette 'four', which has 4 colours"):
        palette.decode(torch.tensor([[[0, 4]]], dtype=torch.uint8))


def test_paint_takes_the_likeliest_class_and_of_equals_the_first(palette):
    probabilities = torch.tensor([[0.1, 0.4, 0.4, 0.1], [0.0, 0.0, 0.0, 1.0]]).T.reshape(1, 4, 1, 2)
    assert torch.equal(palette.paint(probabilities), palette.decode(torch.tensor([[[1, 3]]], dtype=torch.uint8)))


def test_colours_are_called_by_their_hex_digits():
    assert of_bytes([[0, 10, 255], [138, 43, 31]]).names == ["#000aff", "#8a2b1f"]


def test_fitting_twice_with_one_seed_gives_one_palette_darkest_first():
    pixels = noise(3, 3, 12, 12)
    first, second = fit_palette(pixels, 6, seed=3), fit_palette(pixels, 6, seed=3)
    assert first.sha256 == second.sha256
    assert len(first) == 6 and first.name == "kmeans6"
    brightness = first.colours.sum(dim=1).tolist()
    assert brightness == sorted(brightness) and brightness[0] < brightness[-1]


def test_fitting_as_many_colours_as_there_are_finds_them():
    colours = [[5, 5, 5], [200, 0, 0], [0, 250, 250]]
    found = fit_palette(row_of(colours * 4), 3)
    assert found.display_colours == ["#050505", "#c80000", "#00fafa"]


def test_fitting_samples_large_pictures(monkeypatch):
    monkeypatch.setattr(palette_module, "SAMPLED_PIXELS", 50)
    pixels = noise(1, 3, 20, 20)
    assert fit_palette(pixels, 4, seed=1).sha256 == fit_palette(pixels, 4, seed=1).sha256
    with pytest.raises(BadPalette, match="the pictures have 50 different colours, 60 were asked"):
        fit_palette(pixels, 60)


def test_fitting_more_colours_than_there_are_is_refused():
    with pytest.raises(BadPalette, match="2 different colours, 3 were asked; ask for fewer"):
        fit_palette(row_of([[1, 2, 3], [4, 5, 6], [1, 2, 3]]), 3)


@pytest.mark.parametrize("k", [-1, 0, 1, 256])
def test_fitting_a_number_of_colours_that_no_palette_has_is_refused(k):
    with pytest.raises(BadPalette, match=f"{k} colours asked; a palette has 2 to 255"):
        fit_palette(noise(1, 3, 20, 20), k)


def test_a_saved_palette_loads_as_the_same(tmp_path):
    fitted = fit_palette(noise(1, 3, 20, 20), 7, name="mine")
    fitted.save(tmp_path / "p.json")
    loaded = load_palette(tmp_path / "p.json")
    assert (loaded.sha256, loaded.name, len(loaded)) == (fitted.sha256, "mine", 7)
    assert torch.equal(loaded.colours, fitted.colours)


def test_the_fingerprint_knows_the_colours_and_their_order_but_not_the_name():
    colours = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    assert Palette(colours, "a").sha256 == Palette(colours, "b").sha256
    assert Palette(colours).sha256 != Palette(colours.flip(0)).sha256
    assert Palette(colours).sha256 != Palette(colours * 0.999).sha256


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "cannot be read"),
        ("{colours", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        ("3", "not a list of colours"),
        ("{}", "not a list of colours"),
        ('{"colours": 5}', "not a list of colours"),
        ("[[0, 0], [1, 1]]", "not three numbers"),
        ("[[0, 0, 0], [1, 1, 1, 1]]", "not three numbers"),
        ("[[0, 0, 0], 1]", "not three numbers"),
        ("[[0, 0, 0], [0, 0, null]]", "not a list of colours"),
        ("[[0, 0, 0], [0, 0, [1]]]", "not a list of colours"),
        ('[[0, 0, 0], [0, 0, "1"]]', "not three numbers"),
        ("[[0, 0, 0], [0, 0, true]]", "not three numbers"),
        (f"[[0, 0, 0], [0, 0, 1{'0' * 400}]]", "not a list of colours"),
        ('["#000000", "#12"]', "'#12' is not #rrggbb"),
        ('["#000000", "#12345g"]', "not a list of colours"),
        ('["#000000", "#12 34 "]', "not a list of colours"),
        ("[[0, 0, 0], [0, 0, 255]]", "values outside 0 to 1; divide bytes by 255"),
        ("[[0, 0, 0], [0, 0, -0.1]]", "values outside 0 to 1"),
        ("[[0, 0, 0], [0, 0, NaN]]", "values outside 0 to 1"),
        ("[[0, 0, 0], [0, 0, Infinity]]", "values outside 0 to 1"),
        ("[]", "has 0 colours; expected 2 to 255"),
        ("[[0, 0, 0]]", "has 1 colours; expected 2 to 255"),
        (json.dumps([[0, 0, i / 255] for i in range(256)]), "has 256 colours; expected 2 to 255"),
        ('{"space": "lab", "colours": [[0, 0, 0], [1, 1, 1]]}', "space 'lab'; expected 'rgb'"),
    ],
)
def test_a_file_that_is_no_palette_is_refused_with_the_reason(tmp_path, given, message):
    path = tmp_path / "bad.json"
    if given is not None:
        path.write_bytes(given if isinstance(given, bytes) else given.encode())
    with pytest.raises(BadPalette, match=message) as caught:
        load_palette(path)
    assert "bad" in str(caught.value)


def test_hex_colours_and_numbers_may_be_mixed(tmp_path):
    path = tmp_path / "mixed.json"
    path.write_text('["#8a2b1f", "00ff7F", [0, 0.5, 1]]')
    loaded = load_palette(path)
    assert loaded.name == "mixed"
    assert loaded.colours.tolist() == [[138 / 255, 43 / 255, 31 / 255], [0, 1, 127 / 255], [0, 0.5, 1]]


def test_the_real_palette_encodes_real_horses_as_brute_force_does(real_data):
    palette = load_palette(real_data / "palette24_horse.json")
    assert len(palette) == 24
    horses = load_cifar10(DataSettings(name="cifar10", root=str(real_data), category=("horse",))).test.pixels[:20]
    pixels = horses.numpy().transpose(0, 2, 3, 1).astype(np.float64)[..., None, :] / 255
    expected = np.square(pixels - palette.colours.numpy()).sum(axis=-1).argmin(axis=-1)
    assert expected.shape == (20, 32, 32)
    assert np.array_equal(palette.encode(horses).numpy(), expected)
