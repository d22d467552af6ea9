"""Evaluation against numbers worked out another way, and whole photographs against the same network in one piece."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pixelwise.classes.palette import Palette, fit_palette, load_palette
from pixelwise.config import DataSettings, ModelSettings
from pixelwise.data.batches import Encoded
from pixelwise.data.load import load_data
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadData, Diverged
from pixelwise.evaluate.colour import evaluate_colour, skill
from pixelwise.evaluate.pixels import count_pixels
from pixelwise.grey import grey_of
from pixelwise.models.answer import logits_of
from pixelwise.models.build import build_model
from pixelwise.models.lookup import Lookup
from pixelwise.predict import colour
from pixelwise.workflow.training import fit_table


def some_pictures(n=7, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)
    return Pictures(pixels, [str(i) for i in range(n)])


class Knows(nn.Module):
    """Answers with the true classes of one batch, so that painting reaches the palette's ceiling."""

    def __init__(self, ids, k):
        super().__init__()
        self.logits = nn.functional.one_hot(ids.long(), k).permute(0, 3, 1, 2) * 30.0

    def forward(self, grey):
        return self.logits


def evaluated(model, palette, pictures):
    return evaluate_colour(model, palette, fit_table(palette, pictures), pictures, names=("model", "data", "test"))


def test_who_knows_everything_reaches_the_ceiling(palette):
    pictures = some_pictures()
    e = evaluated(Knows(palette.encode(pictures.pixels), 4), palette, pictures)
    assert e.accuracy == e.balanced_accuracy == 1
    assert e.cross_entropy == pytest.approx(0, abs=1e-9)
    assert e.skill == pytest.approx(1)
    assert (e.psnr, e.ciede2000) == (e.psnr_ceiling, e.ciede2000_ceiling)
    assert (e.pictures, e.pixels) == (7, 7 * 64)


def test_baselines_by_hand(palette):
    """Majority and lookup on their own pictures: counted with numpy."""
    pictures = some_pictures()
    ids = palette.encode(pictures.pixels).numpy().ravel()
    levels = pictures.pixels.sum(dim=1).numpy().ravel()
    e = evaluated(Lookup(4, fit_table(palette, pictures)), palette, pictures)
    shares = np.bincount(ids, minlength=4) / len(ids)
    assert e.majority_accuracy == pytest.approx(shares.max())
    assert e.majority_cross_entropy == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-3)
    right = sum(np.bincount(ids[levels == level]).max() for level in np.unique(levels))
    assert e.lookup_accuracy == e.accuracy == pytest.approx(right / len(ids))
    assert e.skill == 0


def test_psnr_is_the_mean_of_the_pictures_and_the_pooled_one_is_of_all_pixels(palette):
    pictures = some_pictures(2)
    pictures.pixels[0] = palette.decode(palette.encode(pictures.pixels))[0]  # the first is painted without error
    e = evaluated(Knows(palette.encode(pictures.pixels), 4), palette, pictures)
    error = (
        (palette.decode(palette.encode(pictures.pixels)).double() - pictures.pixels.double()).square().mean((1, 2, 3))
    )
    second = 10 * math.log10(255**2 / error[1])
    assert e.psnr == pytest.approx((100 + second) / 2)
    assert e.psnr_pooled == pytest.approx(10 * math.log10(255**2 / error.mean()))


def test_batches_do_not_change_the_evaluation(palette, monkeypatch):
    pictures = some_pictures(7)
    model = build_model(ModelSettings(name="unet", num_filters=4, num_colours=4))
    whole = evaluated(model, palette, pictures)
    monkeypatch.setattr("pixelwise.data.batches.PIXELS_AT_ONCE", 3 * 64)
    pieces = evaluated(model, palette, pictures)
    for name, value in whole.to_mapping().items():
        assert pieces.to_mapping()[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-6)), name
    counted = count_pixels(model, palette, Encoded.by(palette, pictures))
    assert counted.cross_entropy == pytest.approx(whole.cross_entropy, rel=1e-6)


def test_skill_counts_what_the_lookup_does_not_know():
    assert skill(0.6, 0.8) == pytest.approx(0.25)
    assert skill(0.8, 0.8) == 0
    assert skill(1.0, 0.8) < 0
    assert skill(0.0, 0.0) == 0


def test_nothing_to_evaluate_and_answers_that_are_no_numbers_are_errors(palette):
    with pytest.raises(BadData, match="the test split of data has no pictures"):
        evaluate_colour(
            nn.Identity(), palette, fit_table(palette, some_pictures()), some_pictures(0), names=("m", "data", "test")
        )
    spoilt = Knows(torch.zeros(7, 8, 8, dtype=torch.uint8), 4)
    spoilt.logits[0, 0, 0, 0] = float("nan")
    with pytest.raises(Diverged, match="not a finite number"):
        evaluated(spoilt, palette, some_pictures())


def test_asking_a_model_leaves_it_in_its_mode(palette):
    model = build_model(ModelSettings(name="cnn", num_filters=4, num_colours=4)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits_of(model, torch.rand(2, 1, 8, 8))
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", ["lookup", "cnn", "unet", "residual_unet"])
def test_tiles_fit_together_as_if_the_picture_had_gone_through_whole(name, monkeypatch):
    model = build_model(ModelSettings(name=name, num_filters=4, num_colours=6)).eval()
    pictures = some_pictures(1, 200)
    palette = fit_palette(pictures.pixels, 6)
    if name == "residual_unet":
        nn.init.normal_(model.last.weight)
    whole = colour.colourize(model, palette, pictures.pixels[0])
    monkeypatch.setattr(colour, "TILE", 64)
    tiled = colour.colourize(model, palette, pictures.pixels[0])
    assert (whole.int() - tiled.int()).abs().max() <= 1
    assert (whole != tiled).float().mean() < 1e-3
    monkeypatch.setattr(colour, "reach_of", lambda model: 0)
    seams = colour.colourize(model, palette, pictures.pixels[0])
    assert name == "lookup" or (whole != seams).float().mean() > 1e-3


def test_tinting_keeps_the_light_and_the_hue():
    colours = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.5, 0.5]], dtype=torch.float64)
    palette = Palette(colours)
    grey = torch.linspace(0, 1, 256).view(1, 1, 1, 256)
    probabilities = torch.tensor([0.7, 0.2, 0.1]).view(1, 3, 1, 1).expand(1, 3, 1, 256)
    tinted = palette.tinted(grey, probabilities)
    assert (tinted.double().mean(dim=1, keepdim=True) - grey * 255).abs().max() <= 1
    red, green, blue = tinted[0, :, 0, 128].tolist()
    assert red > blue > green
    assert tinted[0, :, 0, [0, 255]].tolist() == [[0, 255]] * 3  # black and white have no room for colour


def test_the_horses_table_of_grey_to_colour(real_data):
    """The reference values of the classic exercise, from the real pictures."""
    if not (real_data / "cifar-10-batches-bin").is_dir():
        pytest.skip("no cifar-10-batches-bin in the real data")
    data = load_data(DataSettings(name="cifar10", root=str(real_data), category=("horse",)))
    palette = load_palette(real_data / "palette24_horse.json")
    assert (len(data.train), len(data.validation), len(data.test)) == (4500, 500, 1000)
    model = Lookup(24, fit_table(palette, data.train))
    counts = count_pixels(model, palette, Encoded.by(palette, data.test))
    assert counts.accuracy >= 0.620
    assert counts.cross_entropy <= 0.917


def test_grey_of_a_painted_picture_is_grey(palette):
    ids = torch.zeros(1, 2, 2, dtype=torch.uint8)
    assert grey_of(palette.decode(ids)).flatten().tolist() == pytest.approx([26 / 255] * 4)
