"""Pictures of any size segmented as if in one piece, and what is written and drawn of them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from pixelwise import outputs
from pixelwise.classes.labels import VOID, Labels
from pixelwise.data.images import open_picture
from pixelwise.data.masks import read_mask
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadData, BadSetting, CannotWrite, Diverged
from pixelwise.predict import segment as predict
from pixelwise.report import segment_figures
from pixelwise.report.segment_figures import FALSE, MISSED, chosen, worst_to_best

LABELS = Labels(("ground", "cat", "dog"), ("#2b2b2b", "#e69f00", "#56b4e9"))


def network(k=3, kernel=3, seed=0):
    torch.manual_seed(seed)
    return nn.Conv2d(3, k, kernel, padding=kernel // 2)


def noise(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def discs(height=60, width=80):
    """A cat and a dog side by side on the ground, and void along the right edge."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    ids = torch.zeros(height, width, dtype=torch.uint8)
    ids[(y - 30) ** 2 + (x - 22) ** 2 < 200] = 1
    ids[(y - 30) ** 2 + (x - 52) ** 2 < 100] = 2
    ids[:, 76:] = VOID
    return ids


def differing_where_it_matters(ids, logits):
    """Pixels whose class is not the likeliest of some logits, near ties left out."""
    best = logits.topk(2, dim=0).values
    return int(((ids != logits.argmax(dim=0)) & (best[0] - best[1] >= 1e-4)).sum())


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(211, 317, 50), (317, 90, 64), (40, 31, 128), (1, 1, 64), (1, 5000, 64), (5000, 1, 64), (3, 7, None)],
)
def test_rows_at_a_time_are_the_whole_enlarged(height, width, size, monkeypatch):
    monkeypatch.setattr(predict, "AT_ONCE", 5 * 3 * width)  # five rows
    model, rgb = network(), noise(height, width)
    seen = predict.as_seen(rgb, size)
    assert max(seen.shape[1:]) == (size or max(height, width))
    with torch.no_grad():
        beyond = [max(0, 32 - side) for side in seen.shape[1:]]
        padded = F.pad(seen[None] / 255, (0, beyond[1], 0, beyond[0]), mode="replicate")
        logits = model(padded)[:, :, : seen.shape[1], : seen.shape[2]]
    whole = F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)[0]
    ids = predict.segment(model, rgb, size)
    assert ids.shape == (height, width)
    assert differing_where_it_matters(ids, whole) == 0
    assert max(rows.shape[1] for rows in predict.logit_rows(model, rgb, size)) <= 5
    torch.testing.assert_close(predict.class_probabilities(model, rgb, size), whole.softmax(dim=0), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("wanted", "larger"), [((150, 70), 2), ((70, 150), 1.3), ((333, 222), 1.1), ((3, 7), 60)])
def test_tiles_of_a_network_that_sees_single_pixels_make_the_whole(wanted, larger, monkeypatch):
    monkeypatch.setattr(predict, "TILE", 64)
    monkeypatch.setattr(predict, "OVERLAP", 20)
    model, rgb = network(kernel=1), noise(*wanted)
    with torch.no_grad():
        whole = model(rgb[None] / 255)[0]
    torch.testing.assert_close(torch.cat([*predict.logit_rows(model, rgb)], dim=1), whole, atol=1e-5, rtol=0)
    size = round(larger * max(wanted))  # more rows are seen than the picture has
    with torch.no_grad():
        seen = model(predict.as_seen(rgb, size)[None] / 255)
    reduced = F.interpolate(seen, size=wanted, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(torch.cat([*predict.logit_rows(model, rgb, size)], dim=1), reduced, atol=1e-4, rtol=0)


class SeesItsTile(nn.Module):
    """Answers with the mean light of all it is shown, so that every tile says something else."""

    def forward(self, seen):
        return seen.mean(dim=(1, 2, 3), keepdim=True).expand(-1, 1, *seen.shape[2:])


def test_tiles_are_blended_without_seams(monkeypatch):
    monkeypatch.setattr(predict, "TILE", 64)
    monkeypatch.setattr(predict, "OVERLAP", 32)
    rgb = torch.zeros(3, 64, 160, dtype=torch.uint8)
    rgb[:, :, 80:] = 255
    for picture in (rgb, rgb.transpose(1, 2).contiguous()):
        (logits,) = torch.cat([*predict.logit_rows(SeesItsTile(), picture)], dim=1)
        line = logits[32] if picture is rgb else logits[:, 32]
        assert line[0] < 0.01 and line[-1] > 0.99
        assert (line.diff() >= -1e-6).all()
        assert line.diff().max() < 0.05  # abutting tiles would jump by half


def test_networks_see_large_pictures_in_tiles_only(monkeypatch):
    monkeypatch.setattr(predict, "TILE", 64)
    monkeypatch.setattr(predict, "OVERLAP", 16)
    sides = []

    class Notes(nn.Conv2d):
        def forward(self, seen):
            sides.extend(seen.shape[2:])
            return super().forward(seen)

    predict.segment(Notes(3, 2, 1), noise(200, 130))
    assert max(sides) == 64


def test_sizes_and_answers_that_are_none_are_refused():
    with pytest.raises(BadSetting, match="size 0; expected"):
        predict.segment(network(), noise(8, 8), 0)
    broken = network()
    nn.init.constant_(broken.weight, math.nan)
    with pytest.raises(Diverged):
        predict.segment(broken, noise(8, 8))


def test_what_is_written_is_read_again(tmp_path):
    rgb, ids = noise(60, 80), discs()
    paths = outputs.write_outputs(tmp_path / "new" / "a.b", rgb, ids, LABELS)
    assert [path.name for path in paths] == [f"a.b_{kind}.png" for kind in ("mask", "overlay", "outlines", "cutout")]
    assert sorted(paths) == sorted((tmp_path / "new").iterdir())
    assert torch.equal(read_mask(paths[0]).values, ids)
    with Image.open(paths[0]) as image:
        assert image.mode == "P"
        seen = np.array(image.convert("RGB"))
    assert (seen == LABELS.decode(ids[None])[0].permute(1, 2, 0).numpy()).all()
    assert open_picture(paths[1]).rgb.shape == rgb.shape
    cut = open_picture(paths[3])
    assert torch.equal(cut.alpha, outputs.cutout(rgb, ids, LABELS)[3])


def test_a_mask_of_few_numbers_keeps_them(tmp_path):
    outputs.index_mask(tmp_path / "m.png", torch.ones(1, 5, dtype=torch.uint8), LABELS)
    assert read_mask(tmp_path / "m.png").values.tolist() == [[1] * 5]


def test_errors_of_outputs(tmp_path):
    with pytest.raises(BadData, match="class 3 in a mask of 3 classes; expected 0 to 2, 255"):
        outputs.write_outputs(tmp_path / "x", noise(2, 2), torch.full((2, 2), 3, dtype=torch.uint8), LABELS)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadData, match="class 3 to keep"):
        outputs.cutout(noise(2, 2), torch.zeros(2, 2, dtype=torch.uint8), LABELS, keep=[3])
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite):
        outputs.index_mask(tmp_path / "file" / "m.png", torch.zeros(2, 2, dtype=torch.uint8), LABELS)


def test_an_overlay_dims_the_ground_and_tints_the_rest():
    rgb = torch.tensor([200, 100, 60], dtype=torch.uint8).view(3, 1, 1).repeat(1, 60, 80)
    shown = outputs.overlay(rgb, discs(), LABELS, strength=0.5)
    assert shown[:, 5, 5].sum() < 0.8 * 360  # darker, and greyer
    assert shown[:, 5, 5].max() - shown[:, 5, 5].min() < 50
    assert shown[:, 30, 22].tolist() == [215, 130, 30]  # half way to #e69f00, halves to even
    assert torch.equal(outputs.overlay(rgb, discs(), LABELS, strength=0.0)[:, 30, 22], rgb[:, 30, 22])


@pytest.mark.parametrize("ground", [0, 230])
def test_outlines_are_in_the_class_colour_beside_a_dark_edge(ground):
    rgb = torch.full((3, 60, 80), ground, dtype=torch.uint8)
    made = outputs.outlines(rgb, discs(), LABELS)
    beside = (made.shape[2] - 80) // 2  # the legend is wider than this picture
    drawn = made[:, :60, beside : beside + 80]
    left = int((discs()[30] == 1).nonzero()[0])
    assert drawn[:, 30, left].tolist() == [0xE6, 0x9F, 0x00]
    assert drawn[:, 30, left - 1].tolist() == [16, 16, 16]
    for y, x in ((30, 22), (5, 5), (30, 75), (30, 76)):  # inside, far outside, and where ground meets void
        assert torch.equal(drawn[:, y, x], rgb[:, y, x])


def test_outlines_grow_with_the_picture_and_rows_make_no_difference(monkeypatch):
    ids = discs().repeat_interleave(14, dim=0).repeat_interleave(14, dim=1)
    rgb = torch.zeros(3, *ids.shape, dtype=torch.uint8)
    drawn = outputs.overlay(rgb, ids, LABELS)
    row = drawn[:, 30 * 14 + 7]
    line = (row == torch.tensor([0xE6, 0x9F, 0x00])[:, None]).all(dim=0) & (torch.arange(ids.shape[1]) < 22 * 14)
    assert 3 <= int(line.sum()) <= 4  # 970 pixels / 280
    monkeypatch.setattr(outputs, "AT_ONCE", 37 * ids.shape[1])
    assert torch.equal(outputs.overlay(rgb, ids, LABELS), drawn)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 7), (60, 80), (400, 900)])
def test_the_legend_lies_below_the_picture_and_says_what_occurs(height, width, monkeypatch):
    written = []
    monkeypatch.setattr(outputs, "_entry", lambda *given, f=outputs._entry: written.append(f(*given)) or written[-1])
    rgb, ids = noise(height, width), torch.zeros(height, width, dtype=torch.uint8)
    ids.view(-1)[0] = 2
    made = outputs.outlines(rgb, ids, LABELS)
    share = 100 / ids.numel()
    dog = f"dog {share:.1f} %" if share >= 0.1 else "dog < 0.1 %"
    assert written == ([f"ground {100 - share:.1f} %"] if ids.numel() > 1 else []) + [dog]
    assert made.shape[1] >= height + 12 and made.shape[2] >= width
    strip = made[:, height:].permute(1, 2, 0).reshape(-1, 3)
    assert (strip == torch.tensor([0x56, 0xB4, 0xE9])).all(dim=1).sum() >= 80  # the dog's swatch
    assert (strip.int().sum(dim=1) < 200).sum() > 20  # dark letters on light paper
    assert (made[:, -2:] == 255).all() and (made[:, height:, -2:] == 255).all()  # nothing is cut off


def test_a_cutout_keeps_the_object_and_softens_one_pixel():
    rgb, ids = noise(60, 80), discs()
    cut = outputs.cutout(rgb, ids, LABELS)
    kept = (ids == 1) | (ids == 2)
    near = F.max_pool2d(kept[None].float(), 3, 1, 1)[0].bool()
    inside = ~F.max_pool2d(~kept[None] * 1.0, 3, 1, 1)[0].bool()
    assert (cut[3][inside] == 255).all() and torch.equal(cut[:3, inside], rgb[:, inside])
    assert (cut[:, ~near] == 0).all()  # colours too: what is cut away cannot be brought back
    soft = cut[3][near & ~inside]
    assert ((soft > 0) & (soft < 255)).all()
    only = outputs.cutout(rgb, ids, LABELS, keep=[2])[3]
    assert only[30, 52] == 255 and only[30, 22] == 0


def test_the_worst_and_the_best_are_shown_and_ranks_between_them():
    scores = [((37 * i) % 100) / 100 for i in range(100)]
    shown = chosen(scores, 12)
    assert [scores[i] for i in shown] == [0, 0.01, 0.02, 0.03, 0.15, 0.27, 0.39, 0.51, 0.63, 0.75, 0.87, 0.99]
    assert chosen([0.5, math.nan, 0.1], 12) == [2, 0]
    assert chosen([math.nan, math.nan], 12) == [0, 1]
    for n in range(1, 20):
        for most in range(1, 15):
            some = chosen([float(i) for i in range(n)], most)
            assert len(set(some)) == len(some) == min(n, most) and some == sorted(some) and some[0] == 0
            assert most == 1 or some[-1] == n - 1


def test_the_figure_has_its_columns_sorted_and_errors_coloured():
    truth = torch.zeros(3, 20, 30, dtype=torch.uint8)
    truth[:, :, 10:20] = 1
    truth[:, :, 28:] = VOID
    answers = truth.clone()
    answers[0, :, 10:20] = 0  # missed
    answers[1, :, :10] = 1  # false
    answers[answers == VOID] = 1
    pictures = Pictures(torch.full((3, 3, 20, 30), 200, dtype=torch.uint8), ["a", "b", "c"], truth)
    errors = segment_figures.errors_shown(pictures.pixels, truth, answers)
    hexes = [["#" + bytes(errors[i, :, 0, x].tolist()).hex() for x in (5, 15, 25)] for i in range(3)]
    assert hexes == [["#646464", MISSED, "#646464"], [FALSE, "#646464", "#646464"], ["#646464"] * 3]
    assert set(errors[:, :, :, 28:].flatten().tolist()) == {160, 205}  # void is striped, whatever was answered
    figure = worst_to_best(pictures, answers, LABELS, [0.0, 0.5, 1.0][::-1], "title")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["c", "b", "a"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["picture", "truth", "answer", "errors"]
    above = [text.get_text() for text in axes.child_axes[0].get_xticklabels()]
    assert above == ["IoU 0.00", "IoU 0.50", "IoU 1.00"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:4] == ["ground", "cat", "missed object", "false object"] and "void" in legend[-1]
    with pytest.raises(BadData, match="3 answers and 2 scores for 3 pictures"):
        worst_to_best(pictures, answers, LABELS, [0.1, 0.2], "title")
