"""Distances to edges against a direct search, counts against counts of everything, and scores picture by picture."""

import math

import pytest
import torch
from torch import nn

from pixelwise.classes.labels import VOID
from pixelwise.counts import PixelCounts
from pixelwise.data.pictures import Pictures
from pixelwise.evaluate.confusion import by_picture, confusion
from pixelwise.evaluate.edges import EdgeCounts, count_by_distance, edge_distance, hits_by_distance
from pixelwise.models.answer import logits_of


@pytest.fixture
def pictures():
    pixels = (torch.rand(5, 3, 6, 7).round() * 255).to(torch.uint8)
    pixels[0] = 0  # one class alone
    return Pictures(pixels, [str(i) for i in range(5)])


@pytest.fixture
def model():
    return nn.Conv2d(1, 4, 3, padding=1)


def slowly(ids):
    """Distances by comparing every pixel with every other one."""
    h, w = ids.shape
    edge = [
        (y, x)
        for y in range(h)
        for x in range(w)
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))
        if 0 <= y + dy < h and 0 <= x + dx < w and ids[y + dy, x + dx] != ids[y, x]
    ]
    return [[min(max(abs(y - a), abs(x - b)) for a, b in edge) for x in range(w)] for y in range(h)]


def test_distances_agree_with_a_search_over_all_pixels():
    ids = torch.zeros(3, 9, 11, dtype=torch.uint8)
    ids[0, 4:, :5] = 1
    ids[1, 0, 0] = 2
    ids[2] = torch.randint(0, 2, (9, 11)) * (torch.rand(9, 11) > 0.9)
    assert edge_distance(ids).tolist() == [slowly(one) for one in ids]


def test_a_step_has_distance_0_at_both_sides():
    ids = torch.tensor([[[3, 3, 3, 5, 5]]], dtype=torch.uint8)
    assert edge_distance(ids).tolist() == [[[2, 1, 0, 0, 1]]]


def test_without_edges_everything_is_far():
    assert int(edge_distance(torch.full((1, 4, 4), 7, dtype=torch.uint8)).min()) == 1 << 15


def test_bins_hold_every_pixel_once(model, palette, pictures):
    counts = hits_by_distance(model, palette, pictures, fewest=0)
    whole = PixelCounts(4)
    whole.add(logits_of(model, palette.see(pictures.pixels)), palette.encode(pictures.pixels))
    assert counts.names == ["0", "1", "2", "3", "4–5", "6+"]
    assert int(counts.pixels.sum()) == whole.pixels == 5 * 6 * 7
    assert int(counts.hits.sum()) == int(whole.confusion.diagonal().sum())
    assert counts.loss_sums.sum().item() == pytest.approx(whole.loss_sum)
    assert int(counts.pixels[-1]) >= 6 * 7  # the picture without an edge


def test_hits_and_losses_are_those_of_the_pixels_at_that_distance():
    ids = torch.tensor([[[0, 0, 0, 0, 1, VOID]]], dtype=torch.uint8)
    logits = torch.tensor([0.0, 1, 2, 0, 5, 0]).expand(1, 1, 1, 6)
    logits = torch.cat([torch.ones_like(logits), logits], dim=1)  # class 1 is right where its logit exceeds 1
    counts = count_by_distance(logits, ids, (0, 1, 3))
    assert counts.pixels.tolist() == [2, 2, 1]
    assert counts.hits.tolist() == [2, 1, 1]
    assert counts.accuracy.tolist() == [1.0, 0.5, 1.0]
    near = math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-4))
    assert counts.cross_entropy[0].item() == pytest.approx(near / 2)


def test_small_bins_are_joined_and_nothing_is_lost():
    pixels = torch.tensor([5, 200, 30, 40, 50])
    counts = EdgeCounts((0, 1, 2, 3, 4), pixels, pixels // 5, pixels.double())
    merged = counts.merged(100)
    assert (merged.starts, merged.names) == ((0, 2), ["0–1", "2+"])
    assert merged.pixels.tolist() == [205, 120]
    assert merged.hits.tolist() == [41, 24]
    assert merged.loss_sums.tolist() == [205.0, 120.0]
    assert counts.merged(130).names == ["0+"]
    assert counts.merged(0).names == ["0", "1", "2", "3", "4+"]


def test_confusion_has_the_truth_in_rows(palette, pictures):
    always = nn.Conv2d(1, 4, 1)
    nn.init.zeros_(always.weight)
    always.bias.data = torch.tensor([0.0, 0.0, 5.0, 0.0])
    table = confusion(always, palette, pictures)
    truth = torch.bincount(palette.encode(pictures.pixels).flatten(), minlength=4)
    assert table[:, 2].tolist() == truth.tolist()
    assert int(table.sum()) == 210
    assert int(confusion(always, palette, pictures.take([])).sum()) == 0


def test_scores_of_pictures_average_to_the_whole(model, palette, pictures):
    scores = by_picture(model, palette, pictures)
    table = confusion(model, palette, pictures)
    assert scores.accuracy.mean().item() == pytest.approx(table.diagonal().sum().item() / 210)
    for i in range(5):
        one = PixelCounts(4)
        one.add(logits_of(model, palette.see(pictures.pixels[i : i + 1])), palette.encode(pictures.pixels[i : i + 1]))
        assert scores.accuracy[i].item() == pytest.approx(one.accuracy)
        assert scores.cross_entropy[i].item() == pytest.approx(one.cross_entropy, abs=1e-6)
