"""The colourizer that pixelwise carries: small, whole, as its card says, and better than grey on what it never saw."""

import hashlib
import re

import pytest

from pixelwise.classes.oklab import light_of
from pixelwise.data.images import open_picture
from pixelwise.data.photos import photograph
from pixelwise.picture_metrics import ciede2000
from pixelwise.predict.colour import colourize
from pixelwise.workflow.finished import COLOURIZER, load_trained


@pytest.fixture(scope="module")
def carried():
    return load_trained(COLOURIZER)


def test_it_is_small_and_its_card_names_its_weights():
    weights = (COLOURIZER / "model.safetensors").read_bytes()
    assert len(weights) <= 1_100_000
    (said,) = re.findall(r"SHA-256 `([0-9a-f]{64})`", (COLOURIZER / "CARD.md").read_text())
    assert hashlib.sha256(weights).hexdigest() == said


def test_its_settings_name_no_machine(carried):
    assert carried.plan.data.root is None
    assert carried.plan.model.heads == 4
    assert not re.search(r"/(root|home|work|tmp)/", "".join(p.read_text() for p in COLOURIZER.glob("*.json")))


@pytest.mark.parametrize("name", ["rocket", "china", "astronaut"])
def test_it_colours_better_than_grey_does(carried, name):
    truth = open_picture(photograph(name)).rgb
    grey = carried.palette.grey_shown(truth[None]).contiguous()
    coloured = colourize(carried.model, carried.palette, truth)[None]
    assert ciede2000(coloured, truth[None]) < ciede2000(grey, truth[None]) - 1
    assert (light_of(coloured) - light_of(truth[None])).abs().max() <= 1 / 255 + 1e-6


def test_what_it_says_of_a_region_is_a_distribution(carried):
    from pixelwise.workflow.colouring import alternatives_at

    found = alternatives_at(carried, open_picture(photograph("rocket")).rgb, 300.0, 50.0, 48)
    assert len(found) == 48
    assert sum(a.probability for a in found) == pytest.approx(1, abs=1e-3)
