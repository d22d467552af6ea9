"""What several rooms' tests share: small pictures, a small palette, and the real data where it is."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.classes.palette import Palette

torch.set_num_threads(1)  # the tests' networks are too small to share


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Random weights are the same whichever tests ran before."""
    torch.manual_seed(0)


@pytest.fixture
def palette() -> Palette:
    """Four colours, two of them equally grey."""
    colours = [[0.1, 0.1, 0.1], [0.9, 0.2, 0.1], [0.1, 0.2, 0.9], [0.95, 0.95, 0.95]]
    return Palette(torch.tensor(colours, dtype=torch.float64), "four")


@pytest.fixture
def folder_of_pictures(tmp_path: Path) -> Path:
    """Six different 40 x 48 pictures in which colour follows grey and place, so that something can be learnt."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(scenery(number)).save(folder / f"{number}.png")
    return folder


def scenery(number: int, height: int = 40, width: int = 48) -> np.ndarray:
    """A blue sky above a green field, both noisy, with a sun."""
    noise = np.random.default_rng(number).integers(0, 30, (height, width, 1))
    picture = np.where(np.arange(height)[:, None, None] < height // 2, [60, 110, 200], [40, 130, 50]) + noise
    y, x = np.mgrid[:height, :width]
    sun = (y - 8) ** 2 + (x - 8 - 5 * number) ** 2 < 20
    picture[sun] = [240, 220, 90]
    return picture.astype(np.uint8)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, which lies outside of the repository."""
    named = os.environ.get("PIXELWISE_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data: set PIXELWISE_DATA to a folder with cifar-10-batches-bin and palette24_horse.json")
    return folder


@pytest.fixture(scope="session")
def photograph_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little run of the network for photographs: six chroma classes, learnt from six sceneries."""
    from pixelwise.workflow.plan import Plan
    from pixelwise.workflow.training import train_colour

    folder = tmp_path_factory.mktemp("photographs")
    for number in range(6):
        Image.fromarray(scenery(number, 64, 96)).save(folder / f"{number}.png")
    data = {"name": "folder", "root": str(folder), "patch": 64, "scales": (64,)}
    sizes = {"num_filters": 8, "num_colours": 6}
    plan = Plan.from_given("hypercolumn_efficientnet_lite0", data, sizes, {"epochs": 6, "batch_size": 2})
    before = os.environ.get("PIXELWISE_CACHE")
    os.environ["PIXELWISE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    try:
        list(train_colour(plan, folder.parent / "photograph_run"))
    finally:
        del os.environ["PIXELWISE_CACHE"]
        if before is not None:
            os.environ["PIXELWISE_CACHE"] = before
    return folder.parent / "photograph_run"
