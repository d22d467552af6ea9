"""How well pictures can be painted with k colours at best: against the measures themselves, and by what must hold."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import scenery
from pixelwise.classes.oklab import light_of
from pixelwise.classes.palette import fit_palette
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadPalette
from pixelwise.evaluate import ceiling
from pixelwise.evaluate.ceiling import SPACES, Ceiling, ceilings, enough
from pixelwise.grey import shown_in_grey
from pixelwise.picture_metrics import ciede2000, psnr, squared_error
from test_cli import call, error, ok

SIZES = (4, 16)


def sceneries(*numbers):
    pixels = torch.from_numpy(np.stack([scenery(number) for number in numbers])).permute(0, 3, 1, 2).contiguous()
    return Pictures(pixels, [str(number) for number in numbers])


FITTED, MEASURED = sceneries(0, 1, 2), sceneries(3, 4)


@pytest.fixture(scope="module")
def found():
    return list(ceilings(FITTED, MEASURED, SIZES))


def measured(made):
    likeness = psnr(squared_error(made, MEASURED.pixels)).mean().item()
    return likeness, ciede2000(made, MEASURED.pixels).mean().item()


def test_grey_comes_first_then_each_space_for_each_number_of_colours(found):
    expected = [("grey", 0), *((space, k) for k in SIZES for space in SPACES)]
    assert [(c.space, c.num_colours) for c in found] == expected


def test_the_grey_row_is_what_the_measures_say_of_the_grey_pictures(found):
    assert (found[0].psnr, found[0].ciede2000) == pytest.approx(measured(shown_in_grey(MEASURED.pixels)))


@pytest.mark.parametrize("space", ["rgb", "oklab"])
def test_a_palettes_row_is_what_the_measures_say_of_pictures_painted_with_it(space, found):
    palette = fit_palette(FITTED.pixels, 16, 0, space=space)
    made = palette.decode(palette.encode(MEASURED.pixels), MEASURED.pixels)
    row = next(c for c in found if (c.space, c.num_colours) == (space, 16))
    assert (row.psnr, row.ciede2000) == pytest.approx(measured(made))


@pytest.mark.parametrize("space", SPACES)
def test_more_colours_paint_better(space, found):
    few, many = [c for c in found if c.space == space]
    assert many.psnr > few.psnr
    assert many.ciede2000 < few.ciede2000 < found[0].ciede2000


def test_chroma_paints_these_pictures_better_than_as_many_whole_colours(found):
    rgb, lab, oklab = found[-3:]
    assert oklab.ciede2000 < rgb.ciede2000
    assert lab.ciede2000 < rgb.ciede2000


def test_painting_in_oklab_keeps_the_lightness_and_whole_colours_do_not():
    away = {}
    for space in ("rgb", "oklab"):
        made = ceiling._painter(space, 4, FITTED.pixels, 0)(MEASURED.pixels)
        away[space] = (light_of(made) - light_of(MEASURED.pixels)).abs().max().item()
    assert away["oklab"] <= 1 / 255 + 1e-6
    assert away["rgb"] > 0.02


def test_painting_in_lab_takes_the_nearest_chroma_at_the_pictures_own_lightness():
    made = ceiling._painter("lab", 16, FITTED.pixels, 0)(MEASURED.pixels)
    assert made.shape == MEASURED.pixels.shape
    assert (light_of(made) - light_of(MEASURED.pixels)).abs().mean() < 0.01
    assert len(made[0].flatten(1).unique(dim=1).T) > 16  # colours of many lightnesses, of few chromas


def test_batches_change_no_mean(found, monkeypatch):
    monkeypatch.setattr("pixelwise.data.batches.PIXELS_AT_ONCE", 40 * 48)
    for one, other in zip(ceilings(FITTED, MEASURED, (4,)), found, strict=False):
        assert one.to_mapping() == pytest.approx(other.to_mapping())


def test_a_seed_gives_the_same_rows_again(found):
    assert list(ceilings(FITTED, MEASURED, SIZES)) == found


def row(k, error, space="oklab"):
    return Ceiling(space, k, 30.0, error)


@pytest.mark.parametrize(("error", "chosen"), [(5.0, 8), (4.0, 16), (3.0, 16), (2.0, 64), (1.0, None)])
def test_enough_is_the_fewest_colours_of_oklab_that_are_good_enough(error, chosen):
    rows = [row(0, 0.5, "grey"), row(8, 0.5, "rgb"), row(8, 4.5), row(16, 3.0), row(32, 3.5), row(64, 1.5)]
    found = enough(rows, error)
    assert (found.num_colours if found else None) == chosen


def test_enough_is_the_fewest_whatever_the_order():
    assert enough([row(64, 1.5), row(16, 2.5)], 3.0) == row(16, 2.5)


def test_more_colours_than_the_pictures_have_are_refused():
    grey = Pictures(shown_in_grey(FITTED.pixels).contiguous(), FITTED.names)
    with pytest.raises(BadPalette, match="ask for fewer"):
        list(ceilings(grey, MEASURED, (4,)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        Image.fromarray(scenery(number)).save(made / f"{number}.png")
    return made


def test_the_command_compares_and_recommends(folder):
    command = ["palette", "compare", "--data", "folder", "--root", folder, "--num-colours", "3,2,2"]
    told = json.loads(ok(*command, "--error", "100", "--json"))
    assert set(told) == {"error", "recommended", "pictures", "ceilings"}
    assert (told["error"], told["recommended"]) == (100, 2)
    assert [(c["space"], c["num_colours"]) for c in told["ceilings"]] == [
        ("grey", 0),
        *((space, k) for k in (2, 3) for space in SPACES),
    ]
    assert all(set(c) == {"space", "num_colours", "psnr", "ciede2000"} for c in told["ceilings"])
    words = ok(*command, "--error", "0.001")
    assert "none of these keeps CIEDE2000 within 0.001; ask for more colours" in words
    assert f"{told['ceilings'][-1]['psnr']:.2f}" in words


def test_nonsense_is_refused(folder):
    command = ["palette", "compare", "--data", "folder", "--root", folder]
    for given in (["--num-colours", "many"], ["--num-colours", ","], ["--pictures", "0"], ["--error", "0"]):
        code, out, err = call(*command, *given)
        assert (code, out) == (2, "")
        assert "expected" in err
    assert "256" in error(*command, "--num-colours", "256")
    assert "no folder at nowhere" in error("palette", "compare", "--data", "folder", "--root", "nowhere")
