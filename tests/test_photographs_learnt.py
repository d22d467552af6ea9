"""How a head for photographs learns: from features that are computed once, of whole pictures, at several zooms."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import scenery
from pixelwise.classes.chroma import ChromaPalette
from pixelwise.config import DataSettings
from pixelwise.data.batches import Encoded
from pixelwise.data.load import load_data
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadSetting
from pixelwise.features import FeatureCache
from pixelwise.models.colour_hypercolumn import KNOTS, ChromaHead, HeadTeam, HypercolumnColours, grey_of_cells
from pixelwise.models.hypercolumn import CHANNELS
from pixelwise.models.segmenter import enlarged
from pixelwise.runs import Run
from pixelwise.workflow.finished import load_trained
from pixelwise.workflow.on_features import computed, on_features
from pixelwise.workflow.plan import Plan
from pixelwise.workflow.training import train_colour

NAME = "hypercolumn_efficientnet_lite0"
EVEN = torch.full((6,), 1 / 6)


@pytest.fixture(scope="module")
def trained(photograph_run):
    return load_trained(photograph_run)


@pytest.fixture
def rgb() -> torch.Tensor:
    return torch.from_numpy(scenery(7, 120, 150)).permute(2, 0, 1).contiguous()


def plan_for(folder, **training) -> Plan:
    data = {"name": "folder", "root": str(folder), "patch": 40, "scales": (40,)}
    return Plan.from_given(NAME, data, {"num_filters": 4, "num_colours": 4}, {"batch_size": 2, **training})


def test_a_run_learns_and_its_evaluation_has_the_contracts_keys(photograph_run):
    rows, found = Run(photograph_run).rows(), json.loads((photograph_run / "evaluation.json").read_text())
    assert rows[-1].train_loss < rows[0].train_loss < np.log(6) + 0.05
    assert found["cross_entropy"] < found["majority_cross_entropy"]
    assert {"accuracy_top5", "balanced_accuracy", "skill", "psnr_ceiling", "ciede2000_grey"} <= set(found)


def test_features_are_computed_once_for_each_enlargement_and_mirror_image(folder_of_pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELWISE_CACHE", str(tmp_path / "cache"))
    seen, compute = [], FeatureCache.compute

    def counted(cache: FeatureCache, pixels: torch.Tensor) -> object:
        seen.append(len(pixels))
        return compute(cache, pixels)

    monkeypatch.setattr(FeatureCache, "compute", counted)
    for name in ("first", "second"):
        list(train_colour(plan_for(folder_of_pictures, epochs=1, zooms=(1.0, 1.5)), tmp_path / name))
        if name == "first":
            settings = Run(tmp_path / "first").settings()
            assert settings["train"]["zooms"] == [1.0, 1.5]
            data = load_data(plan_for(folder_of_pictures).data)
            assert sum(seen) == 4 * len(data.train) + len(data.validation)  # mirrored and enlarged, to learn from
            seen.clear()
    assert seen == []


def test_zooms_are_for_photographs(folder_of_pictures, tmp_path):
    data = {"name": "folder", "root": str(folder_of_pictures), "scales": (40,)}
    with pytest.raises(BadSetting, match="zooms are for photographs"):
        list(train_colour(Plan.from_given("cnn", data, {}, {"zooms": (1.0, 2.0)}), tmp_path / "run"))
    with pytest.raises(BadSetting, match="zooms"):
        plan_for(folder_of_pictures, zooms=(9.0,))
    assert not (tmp_path / "run").exists()


def test_whole_colours_are_refused():
    plan = Plan.from_given(NAME, {}, {"space": "rgb"}, {})
    with pytest.raises(BadSetting, match="oklab"):
        list(train_colour(plan, Path("nowhere")))


def test_pictures_longer_than_square_are_cut_at_both_ends(tmp_path):
    for number in range(6):
        Image.fromarray(scenery(number, 40, 60)).save(tmp_path / f"{number}.png")
    given = {"name": "folder", "root": str(tmp_path), "patch": 40, "scales": (40,)}
    plain, covered = (load_data(DataSettings.from_mapping({**given, "cover": cover})) for cover in (False, True))
    assert len(covered.train) == 2 * len(plain.train)
    assert covered.split("all").pixels[0, 0, 0, 0] == scenery(int(covered.split("all").names[0][0]), 40, 60)[0, 0, 0]


def test_a_pixel_as_light_as_its_cell_is_answered_as_the_cell_and_others_by_slopes_and_by_lines_between_knots():
    torch.manual_seed(0)
    head, answers = ChromaHead(3, 4), (torch.randn(1, 3, 2, 2), torch.randn(1, 3, 2, 2))
    torch.nn.init.normal_(head.by_light.knots)
    grey = torch.tensor([[[0.0, 0.25], [1.0, 0.3]]])
    torch.testing.assert_close(head.corrected(answers, grey, grey), answers[0])
    dark, knots = torch.zeros_like(grey), head.by_light.knots
    at_knots = head.by_light(grey, dark)
    half_way = head.by_light(torch.full((1, 1, 1), (4 + 0.5) / (KNOTS - 1)), dark[:, :1, :1])
    for (row, column), knot in {(0, 0): 0, (0, 1): (KNOTS - 1) // 4, (1, 0): KNOTS - 1}.items():
        torch.testing.assert_close(at_knots[0, :, row, column], knots[:, knot] - knots[:, 0])
    torch.testing.assert_close(half_way.flatten(), (knots[:, 4] + knots[:, 5]) / 2 - knots[:, 0])
    corrected = head.corrected(answers, grey, dark)
    by_slopes = answers[1] * grey.unsqueeze(1) * 4
    torch.testing.assert_close(corrected - answers[0], by_slopes + at_knots)
    other = ChromaHead(3, 4)  # whose knots are zero
    both = HeadTeam([head, other]).corrected(answers, grey, dark)
    torch.testing.assert_close(both, (corrected + answers[0] + by_slopes) / 2)


def test_a_team_answers_with_the_means_of_its_members():
    torch.manual_seed(0)
    members = [ChromaHead(3, 4), ChromaHead(3, 4)]
    for member in members:
        torch.nn.init.normal_(member.last.weight)
        torch.nn.init.normal_(member.slope.weight)
    maps = tuple(
        torch.randn(1, channels, side, side) for channels, side in zip(CHANNELS, (16, 8, 4, 4, 2), strict=True)
    )
    with torch.no_grad():
        (one, slopes), (other, others) = (member.eval()(maps) for member in members)
        together, mean_slopes = HeadTeam(members).eval()(maps)
    torch.testing.assert_close(together, (one.log_softmax(dim=1) + other.log_softmax(dim=1)) / 2)
    torch.testing.assert_close(mean_slopes, (slopes + others) / 2)
    assert not torch.allclose(slopes, others)


def test_the_grey_that_comes_with_a_drawn_pixel_is_that_pixels_and_the_cells_is_their_mean(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELWISE_CACHE", str(tmp_path))
    shades = torch.arange(64 * 64).view(64, 64) % 251
    rgb = shades.to(torch.uint8).expand(2, 3, 64, 64).contiguous()
    palette = ChromaPalette(torch.tensor([[0.0, 0.0], [0.1, 0.0]], dtype=torch.float64))
    ids = (shades % 2).to(torch.uint8).expand(2, 64, 64)  # an odd shade has class 1: so grey and class must go together
    encoded = Encoded(Pictures(rgb, ["a", "b"]), ids.contiguous())
    feed, measured = on_features(palette, encoded, encoded, (1.0, 1.5))
    list(computed((feed, measured), True, lambda: False, tmp_path))
    sides = set()
    for (features, grey, of_cells), truth in feed.shuffled(1, seed=0, epoch=1, flips=True):
        drawn = (grey * 255).round().long()
        assert (drawn % 2 == truth).all()
        assert grey.shape == of_cells.shape == truth.shape == features[0][:, 0].shape
        sides.add(truth.shape[1])
    assert sides <= {16, 24}
    (_, _, of_cells), _ = next(measured.in_order())
    means = shades.view(16, 4, 16, 4).float().mean(dim=(1, 3)) / 255
    torch.testing.assert_close(of_cells[0], means)


def test_pixels_within_a_cell_differ_by_their_light_alone():
    torch.manual_seed(0)
    model = HypercolumnColours(3, 4).eval()
    grey = torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(model(grey), enlarged(model.cells(grey), (64, 96)))  # untrained, not at all
        torch.nn.init.normal_(model.head.by_light.knots)
        torch.nn.init.constant_(model.head.slope.bias, 0.5)
        logits, cells = model(grey), enlarged(model.cells(grey), (64, 96))
        of_cells = enlarged(grey_of_cells(grey, (16, 24)), (64, 96))[:, 0]
        by_slope = 0.5 * (grey - of_cells.unsqueeze(1)) * 4
        torch.testing.assert_close(logits, cells + by_slope + model.head.by_light(grey[:, 0], of_cells))
        assert (logits - cells).abs().max() > 0.1
