"""OKLab against its published values, and a palette of chromas that keeps the lightness of what it paints."""

import json

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import scenery
from pixelwise.classes import chroma as chroma_module
from pixelwise.classes.chroma import ChromaPalette
from pixelwise.classes.dials import Dials, decided
from pixelwise.classes.oklab import light_of, linear_rgb_of, oklab_of, pixels_of
from pixelwise.classes.palette import Palette, fit_palette, load_palette
from pixelwise.data.images import open_picture
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadPalette, BadRun, BadSetting, Interrupted
from pixelwise.evaluate.colour import evaluate_colour
from pixelwise.grey import grey_levels
from pixelwise.models.lookup import Lookup
from pixelwise.picture_metrics import psnr, squared_error
from pixelwise.predict.colour import colourize
from pixelwise.workflow.colouring import colourize_files
from pixelwise.workflow.finished import Trained, evaluate_run, load_trained
from pixelwise.workflow.plan import Plan
from pixelwise.workflow.training import fit_table, train_colour

# sRGB bytes and their L, a, b, from the reference implementation (https://bottosson.github.io/posts/oklab/).
PUBLISHED = {
    (255, 255, 255): (1.0, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
    (255, 0, 0): (0.627955, 0.224863, 0.125846),
    (0, 255, 0): (0.866440, -0.233888, 0.179498),
    (0, 0, 255): (0.452014, -0.032457, -0.311528),
}

# X, Y, Z and their L, a, b, to three decimals, from the table on that page.
TABLE = [
    ((0.950, 1.000, 1.089), (1.000, 0.000, 0.000)),
    ((1.000, 0.000, 0.000), (0.450, 1.236, -0.019)),
    ((0.000, 1.000, 0.000), (0.922, -0.671, 0.263)),
    ((0.000, 0.000, 1.000), (0.153, -1.415, -0.449)),
]
# IEC 61966-2-1's linear sRGB to XYZ, and that page's XYZ to cones and on to L, a, b.
XYZ_OF_RGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
CONES_OF_XYZ = np.array(
    [
        [0.8189330101, 0.3618667424, -0.1288597137],
        [0.0329845436, 0.9293118715, 0.0361456387],
        [0.0482003018, 0.2643662691, 0.6338517070],
    ]
)
LAB_OF_CONES = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


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


def test_the_way_back_has_the_values_of_the_published_table():
    """Its colours are no screen's, so that this also holds outside of 0 to 1."""
    lab = torch.tensor([lab for _, lab in TABLE], dtype=torch.float64).T.reshape(1, 3, 1, -1)
    found = XYZ_OF_RGB @ linear_rgb_of(lab)[0, :, 0].numpy()
    assert np.abs(found.T - np.array([xyz for xyz, _ in TABLE])).max() < 0.005


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=50))
def test_oklab_is_what_the_way_over_xyz_gives(colours):
    encoded = np.array(colours) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    expected = np.cbrt(linear @ XYZ_OF_RGB.T @ CONES_OF_XYZ.T) @ LAB_OF_CONES.T
    assert np.abs(oklab_of(of(*colours))[0, :, 0].T.numpy() - expected).max() < 1.5e-4  # the matrices' own digits


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=50))
@example([(0, 246, 234), (0, 251, 174), (255, 251, 5), (255, 254, 8)])  # at the edge of what a screen has
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


def test_the_darkest_colours_keep_their_lightness_in_whatever_chroma():
    dark = torch.cartesian_prod(*[torch.arange(7, dtype=torch.uint8)] * 3).tolist()
    light = light_of(of(*dark))
    for angle in torch.linspace(0, 6, 40):
        chroma = torch.stack([angle.cos(), angle.sin()]).view(1, 2, 1, 1) * torch.linspace(0.02, 0.35, len(dark))
        assert (light_of(pixels_of(light, chroma)) - light).abs().max() <= 1 / 255


def test_painting_is_the_same_in_double_precision(six):
    pixels = torch.from_numpy(scenery(5)).permute(2, 0, 1)[None]
    light, chroma = light_of(pixels), oklab_of(pixels)[:, 1:].flip(1)
    away = pixels_of(light.double(), chroma.double()).int() - pixels_of(light, chroma).int()
    assert away.abs().max() <= 1 and (away != 0).float().mean() < 1e-2


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


def test_the_size_of_the_pieces_changes_neither_the_classes_nor_what_is_seen(six, monkeypatch):
    pixels = torch.from_numpy(np.stack([scenery(1), scenery(2)])).permute(0, 3, 1, 2)
    ids, seen, made = six.encode(pixels), six.see(pixels), []
    addmm = torch.addmm
    monkeypatch.setattr(torch, "addmm", lambda *given: made.append(addmm(*given)) or made[-1])
    monkeypatch.setattr(chroma_module, "PIXELS_AT_ONCE", 70)
    monkeypatch.setattr(chroma_module, "SEEN_AT_ONCE", 7 * 48)
    assert torch.equal(six.encode(pixels), ids)
    assert max(len(distances) for distances in made) == 70
    torch.testing.assert_close(six.see(pixels), seen, atol=1e-6, rtol=0)


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
    assert grey_levels(six.see(greys)).flatten().tolist() == [3 * value for value in range(256)]
    pixels = torch.from_numpy(scenery(3)).permute(2, 0, 1)[None]
    assert (light_of(six.grey_shown(pixels)) - light_of(pixels)).abs().max() < 0.005


def test_a_fitted_palette_has_the_pictures_chromas_greyest_first():
    pixels = of(*[(200, 30, 30)] * 50, *[(90, 90, 90)] * 50, *[(60, 90, 160)] * 50)
    palette = fit_palette(pixels, 3, space="oklab")
    expected = oklab_of(of((90, 90, 90), (60, 90, 160), (200, 30, 30)))[0, 1:, 0].T
    torch.testing.assert_close(palette.chromas.float(), expected, atol=1e-5, rtol=0)
    assert isinstance(palette, ChromaPalette) and len(set(palette.display_colours)) == 3


def test_chromas_that_the_pictures_do_not_have_are_not_made_up_from_rounding():
    greys = [(value,) * 3 for value in range(100)]
    with pytest.raises(BadPalette, match="the pictures have 1 different chromas, 2 were asked; ask for fewer"):
        fit_palette(of(*greys), 2, space="oklab")
    with pytest.raises(BadPalette, match="the pictures have 2 different chromas, 3 were asked"):
        fit_palette(of(*greys, (200, 30, 30)), 3, space="oklab")


def test_evaluation_compares_pictures_of_the_truths_own_lightness(six):
    pixels = torch.from_numpy(np.stack([scenery(1), scenery(2)])).permute(0, 3, 1, 2).contiguous()
    pictures = Pictures(pixels, ["one", "two"])
    table = fit_table(six, pictures)
    found = evaluate_colour(Lookup(6, table), six, table, pictures, names=("lookup", "data", "test"))
    shown = torch.tensor([[[round(value * 255)] * 3 for value in row] for row in six.see(pixels)[0, 0].tolist()])
    assert (light_of(shown.permute(2, 0, 1)[None].to(torch.uint8)) - light_of(pixels[:1])).abs().max() < 0.005
    assert torch.equal(shown.permute(2, 0, 1).to(torch.uint8), six.grey_shown(pixels)[0])
    for value, answer in {
        found.psnr_grey: six.grey_shown(pixels),
        found.psnr_ceiling: six.decode(six.encode(pixels), pixels),
        found.psnr: six.paint(decided(Lookup(6, table)(six.see(pixels)), six, table.shares, Dials()), pixels),
    }.items():
        assert value == pytest.approx(psnr(squared_error(answer, pixels)).mean().item())
    assert found.psnr_grey < found.psnr <= found.psnr_ceiling
    assert found.skill == 0


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
    with pytest.raises(BadPalette, match=r"class 6 asked of palette .* which has 6 chromas"):
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


def test_a_run_of_chromas_that_was_stopped_goes_on_to_the_same_weights(folder_of_pictures, tmp_path):
    data = {"name": "folder", "root": str(folder_of_pictures), "scales": (40,)}
    sizes = {"num_filters": 4, "num_colours": 4, "space": "oklab"}
    plan = Plan.from_given("cnn", data, sizes, {"epochs": 2, "batch_size": 1})
    asked = iter([False, True])
    with pytest.raises(Interrupted):
        list(train_colour(plan, tmp_path / "stopped", stopping=lambda: next(asked)))
    for name in ("stopped", "whole"):
        list(train_colour(plan, tmp_path / name, resume=name == "stopped"))
    stopped, whole = (load_trained(tmp_path / name).model.state_dict() for name in ("stopped", "whole"))
    assert all(torch.equal(stopped[name], whole[name]) for name in whole)
    kept = json.loads((tmp_path / "stopped" / "evaluation.json").read_text())
    assert evaluate_run(tmp_path / "stopped").to_mapping() == pytest.approx(kept)


def test_a_run_whose_settings_are_of_another_space_than_its_palette_is_refused(folder_of_pictures, tmp_path):
    data = {"name": "folder", "root": str(folder_of_pictures), "scales": (40,)}
    list(train_colour(Plan.from_given("lookup", data, {"num_colours": 4, "space": "oklab"}, {}), tmp_path / "run"))
    receipt = tmp_path / "run" / "settings.json"
    receipt.write_text(receipt.read_text().replace('"space": "oklab"', '"space": "rgb"'))
    with pytest.raises(BadRun, match="settings of space rgb beside a palette of space oklab"):
        load_trained(tmp_path / "run")


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


def test_a_mean_chroma_is_the_class_where_classes_agree_and_nearer_to_grey_where_they_do_not(six):
    sure = torch.nn.functional.one_hot(torch.arange(6), 6).float().T.reshape(1, 6, 1, 6)
    torch.testing.assert_close(six.mean_chroma(sure)[0, :, 0].T, six.chromas.float(), atol=1e-5, rtol=1e-4)
    far = ChromaPalette(torch.tensor([[0.2, 0.0], [0.0, 0.0]], dtype=torch.float64))
    mean = far.mean_chroma(torch.full((1, 2, 1, 1), 0.5))[0, :, 0, 0]
    expected = (np.exp(np.log1p(12 * 0.2) / 2) - 1) / 12
    torch.testing.assert_close(mean, torch.tensor([expected, 0.0]), atol=1e-5, rtol=1e-4, check_dtype=False)
    assert expected < 0.1
