"""OKLab against its published values, and a palette of chromas that keeps the lightness of what it paints."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import scenery
from pixelwise.classes.chroma import ChromaPalette
from pixelwise.classes.oklab import light_of, linear_rgb_of, oklab_of, pixels_of
from pixelwise.classes.palette import Palette, fit_palette, load_palette
from pixelwise.data.images import open_picture
from pixelwise.errors import BadPalette, BadRun, BadSetting
from pixelwise.predict.colour import colourize
from pixelwise.workflow.finished import Trained, colourize_files, load_trained
from pixelwise.workflow.plan import Plan
from pixelwise.workflow.training import train_colour

# sRGB bytes and their L, a, b, from the reference implementation (https://bottosson.github.io/posts/oklab/).
PUBLISHED = {
    (255, 255, 255): (1.0, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
    (255, 0, 0): (0.627955, 0.224863, 0.125846),
    (0, 255, 0): (0.866440, -0.233888, 0.179498),
    (0, 0, 255): (0.452014, -0.032457, -0.311528),
}


def of(*colours):
    return torch.tensor(colours, dtype=torch.uint8).T.reshape(1, 3, 1, -1)


def chromas(*pairs):
    return ChromaPalette(torch.tensor(pairs, dtype=torch.float64))


@pytest.fixture
def six() -> ChromaPalette:
    return chromas((0, 0), (0.1, 0.05), (-0.1, 0.1), (0.0, -0.12), (0.2, 0.1), (-0.05, -0.05))


def test_oklab_has_its_published_values():
    found = oklab_of(of(*PUBLISHED))[0, :, 0].T
    torch.testing.assert_close(found, torch.tensor(list(PUBLISHED.values())), atol=2e-5, rtol=0)


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=50))
def test_every_colour_of_a_screen_comes_back(colours):
    pixels = of(*colours)
    lab = oklab_of(pixels)
    assert torch.equal(pixels_of(lab[:, :1], lab[:, 1:]), pixels)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 255), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_a_grey_that_is_coloured_keeps_its_lightness_and_its_hue(grey, a, b):
    light, asked = light_of(of((grey,) * 3)), torch.tensor([a, b]).view(1, 2, 1, 1)
    made = oklab_of(pixels_of(light, asked))
    assert (made[:, :1] - light).abs().max() <= 1 / 255 + 1e-6
    found = made[0, 1:, 0, 0]
    if found.norm() > 0.06 and 40 < grey < 250:  # of paler and darker ones bytes are too coarse to tell the hue
        angle = torch.atan2(found[1], found[0]) - torch.atan2(asked[0, 1, 0, 0], asked[0, 0, 0, 0])
        assert abs((angle + torch.pi) % (2 * torch.pi) - torch.pi) < 0.12
        assert found.norm() <= asked.norm() * 1.1 + 0.01


def test_what_no_screen_has_becomes_paler_as_far_as_needed_and_no_farther():
    light, asked = torch.tensor(0.7).view(1, 1, 1, 1), torch.tensor([0.4, 0.0]).view(1, 2, 1, 1)
    made = oklab_of(pixels_of(light, asked))[0, :, 0, 0]
    assert made[1] > 0.15 and abs(made[2]) < 0.01  # still strongly red: clipping channels would have moved the hue
    farther = torch.tensor([0.7, made[1] + 0.01, 0.0]).view(1, 3, 1, 1)
    linear = linear_rgb_of(farther)
    assert linear.max() > 1 or linear.min() < 0


def test_a_class_is_the_nearest_chroma_whatever_the_lightness(six):
    pixels = torch.from_numpy(scenery(1)).permute(2, 0, 1)[None]
    slow = torch.empty(pixels.shape[2:], dtype=torch.uint8)
    lab = oklab_of(pixels)[0].double()
    for y in range(pixels.shape[2]):
        for x in range(pixels.shape[3]):
            away = [(lab[1, y, x] - a) ** 2 + (lab[2, y, x] - b) ** 2 for a, b in six.chromas.tolist()]
            slow[y, x] = int(torch.stack(away).argmin())
    assert torch.equal(six.encode(pixels)[0], slow)
    greys = of(*[(value,) * 3 for value in range(0, 256, 5)])
    assert six.encode(greys).unique().tolist() == [0]


def test_painting_keeps_the_lightness_and_takes_the_chroma(six):
    pixels = torch.from_numpy(scenery(2)).permute(2, 0, 1)[None]
    painted = six.decode(six.encode(pixels), pixels)
    assert (light_of(painted) - light_of(pixels)).abs().max() <= 1 / 255
    wrong = six.decode(torch.full_like(six.encode(pixels), 3), pixels)
    assert (light_of(wrong) - light_of(pixels)).abs().max() <= 1 / 255
    assert oklab_of(wrong)[:, 2].mean() < -0.05 < oklab_of(pixels)[:, 2].mean()
    likeliest = torch.nn.functional.one_hot(six.encode(pixels).long(), 6).permute(0, 3, 1, 2).float()
    assert torch.equal(six.paint(likeliest, pixels), painted)


def test_the_network_sees_the_grey_of_equal_lightness_and_grey_pictures_as_they_are(six):
    greys = of(*[(value,) * 3 for value in range(256)])
    torch.testing.assert_close(six.see(greys)[0, 0, 0], torch.arange(256) / 255, atol=2e-6, rtol=0)
    assert torch.equal(six.grey_shown(greys), greys)
    pixels = torch.from_numpy(scenery(3)).permute(2, 0, 1)[None]
    assert (light_of(six.grey_shown(pixels)) - light_of(pixels)).abs().max() < 0.005


def test_a_fitted_palette_has_the_pictures_chromas_greyest_first():
    pixels = of(*[(200, 30, 30)] * 50, *[(90, 90, 90)] * 50, *[(60, 90, 160)] * 50)
    palette = fit_palette(pixels, 3, space="oklab")
    expected = oklab_of(of((90, 90, 90), (60, 90, 160), (200, 30, 30)))[0, 1:, 0].T
    torch.testing.assert_close(palette.chromas.float(), expected, atol=1e-5, rtol=0)
    assert isinstance(palette, ChromaPalette) and len(set(palette.display_colours)) == 3


def test_a_palette_comes_back_from_its_file(six, tmp_path):
    six.save(tmp_path / "six.json")
    found = load_palette(tmp_path / "six.json")
    assert isinstance(found, ChromaPalette) and torch.equal(found.chromas, six.chromas)
    assert found.sha256 == six.sha256 != chromas((0, 0), (0.1, 0.05)).sha256


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"space": "oklab", "colours": [[0.1, 0.2, 0.3], [0.1, 0.1, 0.1]]}, "is not two numbers"),
        ({"space": "oklab", "colours": ["#ffffff", "#000000"]}, "is not two numbers"),
        ({"space": "oklab", "colours": [[0.1, 0.2]]}, "has 1 chromas; expected 2 to 255"),
        ({"space": "oklab", "colours": [[0.1, 0.2], [7, 0]]}, "values beyond 0.5"),
        ({"space": "oklab", "colours": [[0.1, 0.2], [float("nan"), 0]]}, "values beyond 0.5"),
        ({"space": "oklab", "colours": 5}, "is not a list of colours"),
        ({"space": "lab", "colours": [[0.1, 0.2], [0, 0]]}, "expected 'rgb' or 'oklab'"),
        ({"space": ["oklab"], "colours": [[0.1, 0.2], [0, 0]]}, "expected 'rgb' or 'oklab'"),
    ],
)
def test_what_is_no_palette_of_chromas_is_refused(tmp_path, given, message):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(given))
    with pytest.raises(BadPalette, match=message):
        load_palette(path)


def test_an_unknown_class_is_refused(six):
    with pytest.raises(BadPalette, match="class 6 asked of palette .* which has 6 chromas"):
        six.decode(torch.tensor([[[6]]], dtype=torch.uint8))


@pytest.mark.parametrize("model", ["lookup", "cnn", "unet", "residual_unet"])
def test_every_network_learns_chromas_and_colours_with_them(folder_of_pictures, tmp_path, model):
    data = {"name": "folder", "root": str(folder_of_pictures), "scales": (40,)}
    sizes = {"num_filters": 4, "num_colours": 4, "space": "oklab"}
    plan = Plan.from_given(model, data, sizes, {"epochs": 1, "batch_size": 2})
    list(train_colour(plan, tmp_path / "run"))
    trained = load_trained(tmp_path / "run")
    assert isinstance(trained.palette, ChromaPalette)
    grey = torch.from_numpy(np.asarray(Image.fromarray(scenery(4)).convert("L").convert("RGB")).copy()).permute(2, 0, 1)
    coloured = colourize(trained.model, trained.palette, grey)
    assert (light_of(coloured[None]) - light_of(grey[None])).abs().max() <= 1 / 255
    assert not torch.equal(coloured, grey)


def test_a_run_of_chromas_resumes_and_colours_files(folder_of_pictures, tmp_path):
    data = {"name": "folder", "root": str(folder_of_pictures), "scales": (40,)}
    plan = Plan.from_given("lookup", data, {"num_colours": 4, "space": "oklab"}, {})
    list(train_colour(plan, tmp_path / "run"))
    list(train_colour(plan, tmp_path / "run", resume=True))
    trained: Trained = load_trained(tmp_path / "run")
    picture = folder_of_pictures / "1.png"
    (done,) = colourize_files([(picture, tmp_path / "out.png")], trained)
    light = light_of(open_picture(done.output).rgb[None]) - light_of(open_picture(picture).rgb[None])
    assert light.abs().max() <= 1 / 255 + 1e-6
    with pytest.raises(BadRun, match=r"model.space was 'oklab', is 'rgb'"):
        rgb = Plan.from_given("lookup", data, {"num_colours": 4}, {})
        list(train_colour(rgb, tmp_path / "run", resume=True))


def test_a_palette_file_says_which_kind_of_colours_a_run_has(six, folder_of_pictures, tmp_path):
    six.save(tmp_path / "six.json")
    data = {"name": "folder", "root": str(folder_of_pictures), "scales": (40,)}
    plan = Plan.from_given("lookup", data, {}, {}, palette_file=tmp_path / "six.json")
    assert (plan.model.space, plan.model.num_colours) == ("oklab", 6)
    other = Plan.from_given("lookup", data, {"space": "rgb"}, {}, palette_file=tmp_path / "six.json")
    with pytest.raises(BadSetting, match="is of space oklab, space is rgb; leave space out"):
        list(train_colour(other, tmp_path / "run", palette_file=tmp_path / "six.json"))
    assert not (tmp_path / "run").exists()
    assert isinstance(fit_palette(of(*[(i, 0, 0) for i in range(9)]), 2), Palette)
