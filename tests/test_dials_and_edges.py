"""The dials against their formulas, OKLab's quick ways against its plain ones, and chroma along edges."""

import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import scenery
from pixelwise.classes import oklab
from pixelwise.classes.chroma import ChromaPalette
from pixelwise.classes.dials import Dials, class_of, decided, swapped
from pixelwise.classes.oklab import deep_light_of, deep_pixels_of, light_of, linear_of, oklab_of, pixels_of
from pixelwise.classes.palette import Palette
from pixelwise.errors import BadSetting
from pixelwise.picture_metrics import colourfulness
from pixelwise.predict import edge_aware
from pixelwise.predict.edge_aware import GuidedChroma, in_strips, stretched

CHROMAS = [[0.0, 0.0], [0.1, 0.05], [-0.1, 0.1], [0.0, -0.12], [0.2, 0.1]]
SHARES = torch.tensor([0.5, 0.3, 0.1, 0.08, 0.02])


@pytest.fixture
def five() -> ChromaPalette:
    return ChromaPalette(torch.tensor(CHROMAS, dtype=torch.float64), "five")


@pytest.fixture
def logits():
    return torch.randn(2, 5, 6, 7) * 2


def turned(logits, palette, shares=SHARES, **dials):
    return decided(logits, palette, shares, Dials(**{"vividness": 1.0, **dials}))


def one_hot(logits):
    return F.one_hot(logits.argmax(dim=1), 5).permute(0, 3, 1, 2).float()


def shade(palette, class_id):
    return palette.display_colours[class_id]


def test_vividness_of_one_is_the_softmax(five, logits):
    torch.testing.assert_close(turned(logits, five), logits.softmax(dim=1))


@pytest.mark.parametrize("vividness", [0.25, 0.7, 2.0, 4.0])
def test_vividness_raises_probabilities_to_its_inverse(five, logits, vividness):
    powers = logits.softmax(dim=1) ** (1 / vividness)
    expected = powers / powers.sum(dim=1, keepdim=True)
    torch.testing.assert_close(turned(logits, five, vividness=vividness), expected)


def test_vividness_of_nothing_is_exactly_the_likeliest_class(five, logits):
    assert torch.equal(turned(logits, five, vividness=0.0), one_hot(logits))
    even = torch.zeros(1, 5, 1, 1)
    assert turned(even, five, vividness=0.0).flatten().tolist() == [1, 0, 0, 0, 0]  # of equals the first


@pytest.mark.parametrize("vividness", [1e-3, 1e-20, 1e-40, 1e-300])
def test_a_vividness_near_nothing_tends_to_the_likeliest_class(five, vividness):
    clear = torch.tensor([0.1, 0.5, 0.9, 0.3, 0.2]).view(1, 5, 1, 1)
    torch.testing.assert_close(turned(clear, five, vividness=vividness), one_hot(clear))


def test_the_lower_the_vividness_number_the_more_colourful_the_picture(five):
    pixels = torch.from_numpy(scenery(3)).permute(2, 0, 1)[None]
    answer = F.one_hot(five.encode(pixels).long(), 5).permute(0, 3, 1, 2) * 1.5
    found = [
        colourfulness(five.paint(turned(answer, five, vividness=t), pixels)).item() for t in (4.0, 1.0, 0.7, 0.3, 0.0)
    ]
    assert found == sorted(found)
    assert found[-1] > 2 * found[0]


def test_rare_at_nothing_is_as_trained_whatever_the_shares(five, logits):
    assert torch.equal(turned(logits, five, rare=0.0), turned(logits, five, torch.full((5,), 0.2), rare=0.0))
    torch.testing.assert_close(turned(logits, five, rare=0.0), logits.softmax(dim=1))


def test_rare_at_one_divides_by_the_shares(five, logits):
    weighed = logits.softmax(dim=1) / SHARES.view(1, 5, 1, 1)
    torch.testing.assert_close(turned(logits, five, rare=1.0), weighed / weighed.sum(dim=1, keepdim=True))


@given(st.floats(0, 1))
@settings(deadline=None, max_examples=30)
def test_rare_in_between_multiplies_by_the_published_weights(rare):
    palette, logits = ChromaPalette(torch.tensor(CHROMAS, dtype=torch.float64)), torch.randn(1, 5, 3, 3)
    mixed = 1 - rare
    weighed = logits.softmax(dim=1) / ((1 - mixed) * SHARES + mixed / 5).view(1, 5, 1, 1)
    torch.testing.assert_close(turned(logits, palette, rare=rare), weighed / weighed.sum(dim=1, keepdim=True))


@pytest.mark.parametrize("vividness", [0.0, 1.0])
def test_a_forbidden_class_has_nothing_and_the_others_share_what_was_its(five, logits, vividness):
    found = turned(logits, five, forbidden=(shade(five, 2), shade(five, 4)), vividness=vividness)
    assert (found[:, [2, 4]] == 0).all()
    rest = logits[:, [0, 1, 3]].softmax(dim=1)
    expected = rest if vividness else F.one_hot(rest.argmax(dim=1), 3).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(found[:, [0, 1, 3]], expected)


def test_forbidding_means_the_nearest_class_and_may_be_said_twice(five, logits):
    red = class_of(five, "#ff0000")
    found = turned(logits, five, forbidden=("#ff0000", "#fe0101"))
    assert found.amax(dim=(0, 2, 3)).eq(0).nonzero().flatten().tolist() == [red]


def test_forbidding_every_class_is_refused(five, logits):
    every = tuple(five.display_colours)
    assert {class_of(five, colour) for colour in every} == set(range(5))
    with pytest.raises(BadSetting, match="every colour of the palette is forbidden; allow one at least"):
        turned(logits, five, forbidden=every)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vividness": -0.1}, r"vividness is -0.1; expected 0 \(vivid\) to 4 \(pale\)"),
        ({"vividness": 4.01}, "vividness is 4.01; expected 0"),
        ({"vividness": float("nan")}, "vividness is nan; expected 0"),
        ({"rare": 1.5}, r"rare is 1.5; expected 0 \(as trained\) to 1"),
        ({"rare": float("nan")}, "rare is nan; expected 0"),
        ({"forbidden": ("red",)}, "'red' is not a colour; expected six hexadecimal digits such as #8a2b1f"),
        ({"locked": ("#12345",)}, "'#12345' is not a colour"),
        ({"forbidden": ("#12 345",)}, "'#12 345' is not a colour"),
        ({"swapped": (("#123456", "#12345g"),)}, "'#12345g' is not a colour"),
        ({"swapped": (("", "#123456"),)}, "'' is not a colour"),
    ],
)
def test_numbers_out_of_range_and_what_is_no_colour_are_refused(given, message):
    with pytest.raises(BadSetting, match=message):
        Dials(**given)


def test_a_swap_changes_one_class_of_whole_colours(palette):
    found = swapped(palette, [("#e0301a", "#102030")])
    assert isinstance(found, Palette)
    assert (found.colours != palette.colours).any(dim=1).tolist() == [False, True, False, False]
    assert (found.colours[1] * 255).round().tolist() == [0x10, 0x20, 0x30]
    assert palette.colours[1].tolist() == [0.9, 0.2, 0.1]  # the one that was given stays as it was


def test_a_swap_changes_one_chroma(five):
    found = swapped(five, [(shade(five, 3), "#ff0000")])
    assert (found.chromas != five.chromas).any(dim=1).tolist() == [False, False, False, True, False]
    red = oklab_of(torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1))[0, 1:, 0, 0]
    torch.testing.assert_close(found.chromas[3].float(), red)
    assert five.chromas[3].tolist() == CHROMAS[3]


def test_no_swap_changes_nothing_and_two_of_one_class_are_refused(five, palette):
    assert torch.equal(swapped(five, []).chromas, five.chromas)
    assert torch.equal(swapped(palette, []).colours, palette.colours)
    with pytest.raises(BadSetting, match="two swaps are about the same colour of the palette"):
        swapped(five, [(shade(five, 3), "#ff0000"), (shade(five, 3), "#00ff00")])


def test_the_lightness_of_greys_by_the_table_is_that_of_the_plain_way():
    greys = torch.arange(256, dtype=torch.uint8).view(1, 1, 1, 256).expand(1, 3, 1, 256)
    colour = torch.tensor([9, 0, 200], dtype=torch.uint8).view(1, 3, 1, 1)
    plain = light_of(torch.cat([greys, colour], dim=3))[..., :256]  # one colour, so that none takes the table
    torch.testing.assert_close(light_of(greys), plain, atol=1e-6, rtol=0)
    torch.testing.assert_close(plain, oklab_of(greys)[:, :1], atol=1e-6, rtol=0)


def test_strips_change_neither_lightness_nor_what_is_painted(monkeypatch):
    pixels = torch.from_numpy(np.stack([scenery(1), scenery(2)])).permute(0, 3, 1, 2).contiguous()
    pixels[:, :, :15] = pixels[:, :1, :15]  # grey rows above coloured ones; some strips will have both
    pixels[:, :, 30:] //= 40  # and dark ones below, whose bytes are searched for
    deep = pixels.to(torch.int32).mul(257).add(3).clamp(max=65535).to(torch.uint16)
    chroma = torch.randn(2, 2, 40, 48) / 10

    def all_of_them():
        light = light_of(pixels)
        return light, pixels_of(light, chroma), deep_light_of(deep), deep_pixels_of(light, chroma)

    whole = all_of_them()
    monkeypatch.setattr(oklab, "AT_ONCE", 7 * 2 * 48)
    for one, other in zip(whole, all_of_them(), strict=True):
        torch.testing.assert_close(one.double(), other.double(), atol=1e-6, rtol=0)


def chroma_of_deep(deep):
    """In double precision, by the published matrices."""
    linear = linear_of(deep.to(torch.float64) / 65535)
    cones = torch.einsum("ij,njhw->nihw", torch.tensor(oklab.CONES, dtype=torch.float64), linear) ** (1 / 3)
    return torch.einsum("ij,njhw->nihw", torch.tensor(oklab.OPPONENTS, dtype=torch.float64), cones)


def test_colours_of_16_bits_come_back():
    deep = torch.randint(0, 65536, (1, 3, 64, 64), dtype=torch.int32).to(torch.uint16)
    lab = chroma_of_deep(deep)
    torch.testing.assert_close(deep_light_of(deep).double(), lab[:, :1], atol=2e-6, rtol=0)
    away = deep_pixels_of(lab[:, :1].float(), lab[:, 1:].float()).to(torch.int32) - deep.to(torch.int32)
    assert away.abs().max() <= 40  # of 65535, where a channel is nearly black
    assert (away.abs() > 3).float().mean() < 0.02


def test_painting_in_16_bits_keeps_the_lightness_finer_than_bytes_could():
    light = torch.linspace(0.2, 0.98, 4096).view(1, 1, 64, 64)
    chroma = torch.randn(1, 2, 64, 64) / 8
    away = (deep_light_of(deep_pixels_of(light, chroma)) - light).abs()
    assert away.max() < 8e-5
    assert away.mean() < 1 / 65535


@pytest.mark.parametrize("small", [(3, 5), (1, 1), (13, 1), (1, 4)])
@pytest.mark.parametrize("size", [(41, 67), (13, 9), (1, 1), (2, 130)])
def test_stretching_some_rows_is_what_interpolating_all_gives_there(small, size):
    given = torch.randn(2, *small)
    whole = F.interpolate(given[None], size=size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(stretched(given, 0, *size, size[0]), whole, atol=1e-5, rtol=0)
    for first in range(0, size[0], 7):
        rows = min(7, size[0] - first)
        torch.testing.assert_close(
            stretched(given, first, rows, size[1], size[0]), whole[:, first : first + rows], atol=1e-5, rtol=0
        )


def stepped(height, width):
    """Lightness that is 0.3 on the left and 0.8 on the right."""
    light = torch.full((height, width), 0.3)
    light[:, width // 2 :] = 0.8
    return light


def test_chroma_that_is_blurred_over_an_edge_of_lightness_becomes_as_sharp_as_it():
    blurred = torch.linspace(-1, 1, 16).mul(2).clamp(-0.1, 0.1).view(1, 1, 16).expand(2, 16, 16)
    plain = F.interpolate(blurred[None], size=(256, 256), mode="bilinear")[0]
    made = GuidedChroma.fitted(blurred, stepped(64, 64)).rows(stepped(256, 256), 0, 256)
    across = (made[:, :, 128] - made[:, :, 127]).mean()
    assert (plain[:, :, 128] - plain[:, :, 127]).mean() < 0.04
    assert across > 0.15
    assert (made[:, :, :120] < -0.07).all()
    assert (made[:, :, 136:] > 0.07).all()


def test_chroma_that_is_the_same_everywhere_stays_so():
    light = torch.rand(37, 50)
    lines = GuidedChroma.fitted(torch.tensor([0.05, -0.1]).view(2, 1, 1).expand(2, 9, 12).contiguous(), light)
    made = lines.rows(torch.rand(111, 203), 0, 111)
    torch.testing.assert_close(made[0], torch.full((111, 203), 0.05), atol=1e-5, rtol=0)
    torch.testing.assert_close(made[1], torch.full((111, 203), -0.1), atol=1e-5, rtol=0)


def test_the_chroma_of_some_rows_is_that_of_all_rows_there():
    light, lines = torch.rand(45, 33), GuidedChroma.fitted(torch.randn(2, 4, 3), torch.rand(16, 12))
    whole = lines.rows(light, 0, 45)
    parts = [lines.rows(light[top : top + 8], top, 45) for top in range(0, 45, 8)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 7), (3, 5000), (41, 30)])
def test_strips_cover_every_row_once(height, width, monkeypatch):
    monkeypatch.setattr(edge_aware, "AT_ONCE", 300)
    done, lock = [], threading.Lock()

    def note(rows):
        with lock:
            done.extend(range(rows.start, rows.stop))
            assert (rows.stop - rows.start) * width <= max(300, width)

    in_strips(note, height, width)
    assert sorted(done) == list(range(height))


def test_what_goes_wrong_in_a_strip_is_raised(monkeypatch):
    monkeypatch.setattr(edge_aware, "AT_ONCE", 10)

    def fail(rows):
        if rows.start == 3:
            raise BadSetting("this strip")

    with pytest.raises(BadSetting, match="this strip"):
        in_strips(fail, 5, 10)


def test_strips_stay_on_one_core_each_and_leave_torch_its_threads():
    before, seen, later = torch.get_num_threads(), [], []
    torch.set_num_threads(3)
    try:
        in_strips(lambda _: seen.append(torch.get_num_threads()), 3, edge_aware.AT_ONCE)
        here = torch.get_num_threads()
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1, 1]
    assert here == 3
    assert later == [3]  # also for what begins later, such as the next request of a page
