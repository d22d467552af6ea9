"""How a head for photographs learns: from features that are computed once, of whole pictures, at several zooms."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import scenery
from pixelwise.config import DataSettings
from pixelwise.data.load import load_data
from pixelwise.errors import BadSetting
from pixelwise.features import FeatureCache
from pixelwise.runs import Run
from pixelwise.workflow.finished import load_trained
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
