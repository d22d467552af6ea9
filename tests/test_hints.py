"""Colours that a user says: their file, the pixels under them, and how they spread over what they lie on."""

import heapq
import json
import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import scenery
from pixelwise.classes.oklab import chromas_of, oklab_of, pixels_of
from pixelwise.errors import BadData
from pixelwise.hints import (
    Hint,
    Hints,
    Seeds,
    grid,
    joined,
    load_hints,
    outside,
    placed,
    region_seeds,
    said,
    scaled,
    seeds,
    spread,
)

RED, BLUE = "#8a2b1f", "#1f4a8a"


def hint(colour, radius, *points):
    return Hint(colour, float(radius), tuple((float(x), float(y)) for x, y in points))


def chroma_of(colour):
    return chromas_of(torch.tensor([list(bytes.fromhex(colour[1:]))], dtype=torch.uint8))[0]


def written(folder, given):
    path = folder / "hints.json"
    path.write_text(given if isinstance(given, str) else json.dumps(given), encoding="utf-8")
    return path


def one(**changes):
    return {"pictures": {"a.jpg": [{"colour": RED, "radius": 3, "points": [[1, 2]], **changes}]}}


def drawn(found):
    """The hint of every pixel, -1 where there is none; each pixel may be said once."""
    which = np.full(found.size, -1)
    for row, first, after, number in found.runs.tolist():
        assert 0 <= first < after <= found.size[1]
        assert (which[row, first:after] == -1).all()
        which[row, first:after] = number
    return which


# The file.


def test_hints_come_from_their_file(tmp_path):
    line = {"colour": "#8A2B1F", "points": [[1, 2], [3.5, 4]]}
    given = {"pictures": {"ä.jpg": [line, {"colour": BLUE, "radius": 0, "points": [[5, 6]]}], "b.png": []}}
    found = load_hints(written(tmp_path, given))
    assert found == Hints({"ä.jpg": (hint(RED, 3, (1, 2), (3.5, 4)), hint(BLUE, 0, (5, 6))), "b.png": ()})


@pytest.mark.parametrize(
    "given",
    [
        "",
        "[" * 100_000,
        "5",
        "[]",
        '{"pictures": [1]}',
        '{"pictures": {"a.jpg": {"colour": 1}}}',
        '{"pictures": {"a.jpg": 5}}',
        {"picture": {}},
        {"pictures": {"a.jpg": [{"radius": 3, "points": [[1, 2]]}]}},
        {"pictures": {"a.jpg": [{"colour": RED, "radius": 3}]}},
        one(colour="red"),
        one(colour="#8a2b1"),
        one(colour="#8a2b1g"),
        one(colour=RED + "\n"),
        one(colour=[1, 2, 3]),
        one(radius=-1),
        one(radius=10_001),
        one(radius="3"),
        one(radius=True),
        one(radius=None),
        one(radius=float("nan")),
        one(radius=10**400),
        one(points=[]),
        one(points=[1, 2]),
        one(points=[[1]]),
        one(points=[[1, 2, 3]]),
        one(points=[["1", "2"]]),
        one(points="ab"),
        one(points=[[1, float("nan")]]),
        one(points=[[float("inf"), 1]]),
        one(points=[[1, -2e6]]),
        one(points=[[1, 10**400]]),
        one(points=[[1, 2]] * 10_001),
        {"pictures": {"a.jpg": one()["pictures"]["a.jpg"] * 501}},
    ],
    ids=lambda given: str(given)[:60],
)
def test_what_holds_no_hints_is_refused_with_an_example(tmp_path, given):
    with pytest.raises(BadData, match=r"cannot be read .*; expected \{\"pictures\".*#8a2b1f") as caught:
        load_hints(written(tmp_path, given))
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("pictures", [{}, {"a.jpg": []}])
def test_a_file_without_a_hint_is_refused(tmp_path, pictures):
    with pytest.raises(BadData, match=r"hold no hint; expected \{\"pictures\""):
        load_hints(written(tmp_path, {"pictures": pictures}))


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(BadData, match=r"nowhere\.json cannot be read \(FileNotFoundError"):
        load_hints(tmp_path / "nowhere.json")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(BadData, match="cannot be read"):
        load_hints(tmp_path / "a.json")


def test_as_many_hints_as_are_allowed_are_read(tmp_path):
    given = {"pictures": {name: one()["pictures"]["a.jpg"] * 500 for name in "ab"}}
    assert [len(found) for found in load_hints(written(tmp_path, given)).pictures.values()] == [500, 500]
    assert len(load_hints(written(tmp_path, one(points=[[1, 2]] * 10_000))).pictures["a.jpg"][0].points) == 10_000


# The pixels.


def slowly_drawn(hints, size):
    """The hint of every pixel by the distance of its middle from each line, as the definition says."""
    y, x = np.mgrid[: size[0], : size[1]]
    which = np.full(size, -1)
    for number, one in enumerate(hints):
        points = [(math.floor(x + 0.5), math.floor(y + 0.5)) for x, y in one.points]
        for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
            dx, dy = x1 - x0, y1 - y0
            along = np.clip(((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1), 0, 1)
            away = np.hypot(x - x0 - along * dx, y - y0 - along * dy)
            which[away <= max(one.radius, 0.5) + 1e-6] = number
    return which


ordinates = st.floats(-5, 25).map(lambda value: round(value, 1))
some_lines = st.lists(
    st.tuples(
        st.sampled_from([RED, BLUE]),
        st.sampled_from([0.0, 0.4, 1.0, 2.3, 3.0, 9.0]),
        st.lists(st.tuples(ordinates, ordinates), min_size=1, max_size=4),
    ),
    max_size=4,
)


def within(lines, size):
    """The hints among some that lie in a picture, at least in part."""
    hints = [hint(colour, radius, *points) for colour, radius, points in lines]
    return [one for one in hints if (slowly_drawn([one], size) >= 0).any()]


@settings(deadline=None, max_examples=150)
@given(some_lines, st.integers(1, 21), st.integers(1, 21))
def test_a_hint_covers_the_pixels_that_its_radius_reaches_and_later_hints_lie_over_earlier(lines, h, w):
    hints = [hint(colour, radius, *points) for colour, radius, points in lines]
    if within(lines, (h, w)) != hints:
        with pytest.raises(BadData, match=f"lies outside of its picture of {w} x {h} pixels"):
            said(hints, (h, w))
    else:
        found = said(hints, (h, w))
        assert (drawn(found) == slowly_drawn(hints, (h, w))).all()
        assert found.runs[:, 0].tolist() == sorted(found.runs[:, 0].tolist())
        expected = [chroma_of(one.colour).tolist() for one in hints]
        assert torch.equal(found.chromas, torch.tensor(expected).reshape(-1, 2))


@settings(deadline=None, max_examples=150)
@given(some_lines, st.integers(1, 21), st.integers(1, 21), st.integers(1, 9), st.integers(1, 9), st.randoms())
def test_nothing_is_said_of_pixels_in_some_cells_and_all_else_stays(lines, h, w, rows, columns, random):
    found = said(within(lines, (h, w)), (h, w))
    cells = torch.tensor([[random.random() < 0.5 for _ in range(columns)] for _ in range(rows)])
    left = outside(found, cells)
    here = [[bool(cells[y * rows // h, x * columns // w]) for x in range(w)] for y in range(h)]
    assert (drawn(left) == np.where(here, -1, drawn(found))).all()
    assert left.runs[:, 0].tolist() == sorted(left.runs[:, 0].tolist())
    assert torch.equal(left.chromas, found.chromas)


def test_no_radius_is_one_pixel_and_a_radius_a_disc():
    assert np.argwhere(drawn(said([hint(RED, 0, (4, 2))], (6, 8))) == 0).tolist() == [[2, 4]]
    assert np.argwhere(drawn(said([hint(RED, 0, (4.4, 1.6))], (6, 8))) == 0).tolist() == [[2, 4]]
    rows = drawn(said([hint(RED, 2, (3, 3))], (7, 7))) == 0
    assert rows.sum(axis=1).tolist() == [0, 1, 3, 5, 3, 1, 0]


def test_the_thinnest_line_has_no_gap():
    rows, columns = np.nonzero(drawn(said([hint(RED, 0, (0, 0), (30, 11))], (12, 31))) == 0)
    assert sorted(set(columns)) == list(range(31))
    assert sorted(set(rows)) == list(range(12))
    assert len(rows) < 2 * 31


def test_a_line_of_many_points_has_one_run_in_a_row():
    found = said([hint(RED, 3, *((x, 10) for x in range(5, 60)))], (20, 70))
    assert found.runs.tolist() == [
        [10 + row, 5 - half, 60 + half, 0] for row, half in zip(range(-3, 4), (0, 2, 2, 3, 2, 2, 0), strict=True)
    ]


def test_a_pixel_at_the_very_radius_is_covered_on_either_side():
    for radius in (math.sqrt(2), math.sqrt(0.5) * 3, math.sqrt(5), math.sqrt(10) * 2):
        for end in ((20, 20), (10, 20), (20, 10), (1, 20)):
            line = [hint(RED, radius, (0, 0), end)]
            assert (drawn(said(line, (40, 40))) == slowly_drawn(line, (40, 40))).all()


def test_joining_runs_early_changes_nothing(monkeypatch):
    line = [hint(RED, 4, *((5 + 3 * i % 17, i % 23) for i in range(40)))]
    expected = said(line, (30, 30)).runs
    monkeypatch.setattr("pixelwise.hints.brush.RUNS_AT_ONCE", 20)
    assert torch.equal(said(line, (30, 30)).runs, expected)


@pytest.mark.parametrize("point", [(-4, 5), (5, -4), (24, 5), (5, 14), (1e6, -1e6)])
def test_a_hint_outside_of_its_picture_is_refused(point):
    with pytest.raises(BadData, match=r"#8a2b1f lies outside of its picture of 20 x 10 pixels; points are \[x, y\]"):
        said([hint(BLUE, 3, (5, 5)), hint(RED, 3, point)], (10, 20))


def test_a_hint_that_is_wholly_under_another_is_no_mistake():
    found = said([hint(RED, 1, (5, 5)), hint(BLUE, 3, (5, 5))], (10, 20))
    assert set(found.runs[:, 3].tolist()) == {1}
    assert set(seeds(found, (5, 10)).which.flatten().tolist()) == {-1, 1}


def test_a_hundred_megapixels_need_no_map():
    tracemalloc.start()
    found = said([hint(RED, 50, (0, 0), (9_999, 9_999)), hint(BLUE, 2_000, (5_000, 5_000))], (10_000, 10_000))
    cells = seeds(found, (64, 64))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    assert len(found.runs) <= 3 * 10_000
    assert cells.which[32, 32] == 1
    assert cells.which[2, 2] == 0


@settings(deadline=None, max_examples=30)
@given(some_lines, st.integers(1, 9))
def test_strips_are_parts_of_the_whole(lines, rows):
    size = (23, 17)
    hints = within(lines, size)
    found, chroma = said(hints, size), torch.randn(2, *size)
    before, which = chroma.clone(), torch.from_numpy(slowly_drawn(hints, size))
    strips = [placed(chroma[:, top : top + rows], top, found) for top in range(0, 23, rows)]
    expected = chroma.clone()
    for number, one in enumerate(hints):
        expected[:, which == number] = chroma_of(one.colour)[:, None]
    assert torch.equal(torch.cat(strips, dim=1), expected)
    assert torch.equal(chroma, before)


@pytest.mark.parametrize(("shape", "first"), [((2, 5, 19), 0), ((2, 5, 20), 6), ((2, 5, 20), -1)])
def test_a_strip_of_another_picture_is_refused(shape, first):
    with pytest.raises(BadData, match="are not of the picture of 20 x 10 pixels"):
        placed(torch.zeros(shape), first, said([hint(RED, 3, (5, 5))], (10, 20)))


def test_a_painted_pixel_has_the_hue_and_chroma_that_were_said_at_its_own_lightness():
    light = torch.linspace(0.35, 0.55, 20).expand(1, 1, 10, 20)
    chroma = placed(torch.zeros(2, 10, 20), 0, said([hint(RED, 3, (8, 5))], (10, 20)))
    lab = oklab_of(pixels_of(light, chroma.unsqueeze(0)))[0]
    assert (lab[1:, 5, 5:12] - chroma_of(RED)[:, None]).abs().max() < 6e-3  # what bytes can say
    assert (lab[:1] - light[0]).abs().max() <= 1 / 255 + 1e-6
    assert lab[1:, :, 12:].abs().max() < 1e-4


# The cells.


@settings(deadline=None, max_examples=60)
@given(some_lines, st.sampled_from([(1, 1), (4, 4), (5, 3), (7, 20), (40, 33)]))
def test_shares_of_cells_are_areas(lines, cells):
    size = (20, 21)
    hints = within(lines, size)
    found = said(hints, size)
    under = torch.from_numpy(slowly_drawn(hints, size))
    for number in range(len(hints)):
        runs = found.runs[found.runs[:, 3] == number].numpy()
        fine = (under == number).double().repeat_interleave(cells[0], 0).repeat_interleave(cells[1], 1)
        expected = fine.reshape(cells[0], size[0], cells[1], size[1]).mean(dim=(1, 3))
        assert np.abs(grid._share(runs, size, cells) - expected.numpy()).max() < 1e-9


def test_a_dot_is_the_seed_of_its_cell_and_a_brush_of_those_it_mostly_covers():
    corner = seeds(said([hint(RED, 3, (30, 50))], (100, 100)), (10, 10))  # pixels: 4, 7, 7 and 11
    assert (corner.which >= 0).nonzero().tolist() == [[4, 3], [5, 2], [5, 3]]
    middle = seeds(said([hint(RED, 3, (35, 55))], (100, 100)), (10, 10))
    assert (middle.which >= 0).nonzero().tolist() == [[5, 3]]
    broad = said([hint(RED, 17, (45, 45))], (100, 100))
    share = grid._share(broad.runs.numpy(), (100, 100), (10, 10))
    assert torch.equal(seeds(broad, (10, 10)).which == 0, torch.from_numpy(share >= 0.5))
    assert share[share < 0.5].max() > 0


def test_a_picture_of_fewer_pixels_than_cells_has_seeds():
    found = seeds(said([hint(RED, 0, (1, 0))], (2, 3)), (8, 9))
    assert (found.which == 0).nonzero().tolist() == [[r, c] for r in range(4) for c in range(3, 6)]


def test_of_two_hints_in_a_cell_the_larger_counts_of_equals_the_later():
    large, small = hint(RED, 3, (15, 15)), hint(BLUE, 1, (15, 11))
    for hints in ([large, small], [small, large]):
        which = seeds(said(hints, (30, 30)), (3, 3)).which
        assert which[1, 1] == hints.index(large)
    equals = [hint(RED, 1, (12, 15)), hint(BLUE, 1, (17, 15))]
    assert seeds(said(equals, (30, 30)), (3, 3)).which[1, 1] == 1
    assert seeds(said(equals[::-1], (30, 30)), (3, 3)).which[1, 1] == 1


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 39), st.integers(0, 29), st.sampled_from([0.5, 2.0, 3.0, 10.0, 1.7]))
def test_a_scaled_hint_lies_on_the_same_thing(x, y, factor):
    size = (round(30 * factor), round(40 * factor))
    (moved,) = scaled([hint(RED, 2, (x, y))], factor)
    assert moved.radius == 2 * factor
    assert (moved.points[0][0] + 0.5) / size[1] == pytest.approx((x + 0.5) / 40)
    assert (moved.points[0][1] + 0.5) / size[0] == pytest.approx((y + 0.5) / 30)
    there = seeds(said([hint(RED, 0, moved.points[0])], size), (6, 8)).which
    assert bool((there >= 0)[y // 5 : y // 5 + 2, x // 5 : x // 5 + 2].any())
    assert int((there >= 0).sum()) == 1 or factor not in (2, 3, 10)


def test_hints_scaled_by_one_are_the_same():
    hints = (hint(RED, 3, (1, 2), (3, 4)),)
    assert scaled(hints, 1.0) == hints


def test_later_seeds_lie_over_earlier_ones():
    first = region_seeds(torch.tensor([[True, True, False]]), torch.tensor([0.1, 0.0]))
    second = region_seeds(torch.tensor([[False, True, False]]), torch.tensor([0.0, 0.1]))
    both = joined(first, second)
    assert both.which.tolist() == [[0, 1, -1]]
    assert torch.equal(both.chromas, torch.tensor([[0.1, 0.0], [0.0, 0.1]]))


# The spreading.


def spots(size, *cells, chromas=((0.1, 0.05), (-0.05, -0.1))):
    which = torch.full(size, -1)
    for number, (row, column) in enumerate(cells):
        which[row, column] = number
    return Seeds(which, torch.tensor(chromas[: len(cells)]).reshape(-1, 2))


def picture(seed, size, k=None):
    random = torch.Generator().manual_seed(seed)
    light = torch.rand(size, generator=random) * 0.3 + 0.4
    chroma = torch.randn(2, *size, generator=random) * 0.02
    return light, chroma, None if k is None else torch.rand(k, *size, generator=random).softmax(dim=0)


pictures = st.tuples(st.integers(0, 10**6), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.sampled_from([None, 3]))


@settings(deadline=None, max_examples=60)
@given(pictures, st.randoms(use_true_random=False))
def test_a_hint_is_exact_where_it_lies_and_locked_cells_stay(given_picture, random):
    light, chroma, probabilities = picture(*given_picture)
    size = tuple(light.shape)
    which = torch.tensor([[random.choice([-1, -1, -1, 0, 1, 2]) for _ in range(size[1])] for _ in range(size[0])])
    locked = torch.tensor([[random.random() < 0.3 for _ in range(size[1])] for _ in range(size[0])])
    found = Seeds(which, torch.tensor([[0.1, 0.05], [-0.05, -0.1], [0.0, 0.0]]))
    before = chroma.clone()
    made = spread(light, chroma, found, probabilities, locked)
    assert torch.equal(chroma, before)
    assert made.dtype == chroma.dtype
    assert bool(made.isfinite().all())
    assert torch.equal(made[:, locked], chroma[:, locked])
    here = (which >= 0) & ~locked
    assert torch.equal(made[:, here], found.chromas[which[here]].T)
    assert torch.equal(made, spread(light, chroma, found, probabilities, locked))


@settings(deadline=None, max_examples=20)
@given(pictures)
def test_without_hints_the_answer_is_the_networks(given_picture):
    light, chroma, probabilities = picture(*given_picture)
    nothing = Seeds(torch.full(tuple(light.shape), -1), torch.zeros(0, 2))
    assert torch.equal(spread(light, chroma, nothing, probabilities), chroma)
    assert torch.equal(spread(light, chroma, Seeds(nothing.which, torch.ones(2, 2)), probabilities), chroma)


@pytest.mark.parametrize("turned", [lambda x: x.mT, lambda x: x.flip(-1), lambda x: x.flip(-2)])
def test_a_turned_picture_is_coloured_alike(turned):
    light, chroma, probabilities = picture(1, (7, 11), 4)
    found = spots((7, 11), (2, 3), (5, 8))
    made = spread(light, chroma, found, probabilities)
    again = spread(turned(light), turned(chroma), Seeds(turned(found.which), found.chromas), turned(probabilities))
    assert torch.allclose(turned(made), again, atol=1e-7)


def slow_distance(cost, start):
    """The least sum of costs on the way from one cell to each, step by step."""
    found, waiting = {}, [(0.0, start)]
    while waiting:
        distance, (r, c) = heapq.heappop(waiting)
        if (r, c) in found:
            continue
        found[r, c] = distance
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                if (dr or dc) and (step := cost((r, c), (r + dr, c + dc))) is not None:
                    heapq.heappush(waiting, (distance + step, (r + dr, c + dc)))
    return found


@pytest.mark.parametrize("k", [None, 3])
def test_two_hints_are_mixed_by_their_distances_as_the_formulas_say(k, monkeypatch):
    monkeypatch.setattr("scipy.ndimage.median_filter", lambda values, *_, **__: values)
    size = (6, 7)
    light, chroma, probabilities = picture(3, size, k)
    light, cells = light * 0.3, ((1, 2), (4, 5))

    def cost(one, other):
        if not (0 <= other[0] < size[0] and 0 <= other[1] < size[1]):
            return None
        total = grid.STEP * math.dist(one, other) + float((light[one] - light[other]) / grid.LIGHT) ** 2
        if probabilities is None:
            (a, b), (c, d) = (chroma[:, r, c].tolist() for r, c in (one, other))
            return total + ((a - c) ** 2 + (b - d) ** 2) / grid.CHROMA**2
        p, q = (probabilities[:, r, c].sqrt() for r, c in (one, other))
        return total + float((p - q).square().sum() / 2) / grid.DOUBT**2  # Hellinger's distance, squared

    found = spots(size, *cells)
    distances = [slow_distance(cost, cell) for cell in cells]
    made = spread(light, chroma, found, probabilities)
    for r, c in np.ndindex(*size):
        if (r, c) in cells:
            continue
        d = [
            math.hypot(one[r, c], float(light[r, c] - light[s]) / grid.TONE) if one[r, c] <= grid.REACH else math.inf
            for one, s in zip(distances, cells, strict=True)
        ]
        weights = [value**-grid.RIVALRY for value in d]
        share, total = math.exp(-(min(d) ** 2)), sum(weights) or 1
        wanted = before = torch.zeros(2)
        for weight, cell, own in zip(weights, cells, found.chromas, strict=True):
            ratio = float((light[r, c] + grid.DARKEST) / (light[cell] + grid.DARKEST))
            ratio = min(max(ratio, 1 / grid.MOST_SHADE), grid.MOST_SHADE)
            wanted = wanted + weight / total * ratio**grid.SHADE * own
            before = before + weight / total * chroma[:, cell[0], cell[1]]
        answer = chroma[:, r, c]
        expected = answer + share * (wanted - share * answer - (1 - share) * before)
        assert torch.allclose(made[:, r, c], expected, atol=1e-5)


def test_a_hint_fills_what_it_lies_on_and_stops_at_a_step_of_lightness():
    light = torch.full((24, 32), 0.4)
    light[:, 16:] = 0.75
    made = spread(light, torch.zeros(2, 24, 32), spots((24, 32), (12, 5)))
    near, far = made[:, 8:16, :10].norm(dim=0), made[:, :, 16:].norm(dim=0)
    assert near.min() > 0.9 * math.hypot(0.1, 0.05)
    assert far.max() < 0.01 * near.min()


def test_a_bar_stops_a_hint_and_a_wire_does_not():
    light = torch.full((24, 32), 0.4)
    light[:, 10] = 0.75
    found, grey = spots((24, 32), (12, 5)), torch.zeros(2, 24, 32)
    assert spread(light, grey, found)[:, 12, 20].norm() > 0.07
    light[:, 14:16] = 0.75
    assert spread(light, grey, found)[:, :, 17:].norm(dim=0).max() < 1e-3


def test_a_hint_stops_where_the_network_sees_another_thing():
    light = torch.full((24, 32), 0.5)
    chroma, halves = torch.zeros(2, 24, 32), torch.zeros(2, 24, 32)
    chroma[0, :, 16:] = 0.08
    halves[0, :, :16], halves[1, :, 16:] = 1, 1
    found, flat = spots((24, 32), (12, 5)), torch.zeros(2, 24, 32)
    assert (spread(light, chroma, found) - chroma)[:, :, 16:].norm(dim=0).max() < 2e-3
    assert spread(light, flat, found, halves)[:, :, 16:].norm(dim=0).max() < 3e-3
    assert spread(light, flat, found)[:, 12, 16].norm() > 0.08


def test_a_hint_neither_changes_nor_passes_what_is_locked():
    locked = torch.zeros(10, 20, dtype=torch.bool)
    locked[:, 9] = True
    made = spread(torch.full((10, 20), 0.5), torch.zeros(2, 10, 20), spots((10, 20), (5, 4)), locked=locked)
    assert made[:, :, :9].norm(dim=0).min() > 0.09
    assert not made[:, :, 9:].any()


def test_a_hint_wholly_under_a_lock_says_nothing():
    light, chroma, _ = picture(5, (6, 6))
    assert torch.equal(spread(light, chroma, spots((6, 6), (2, 2)), locked=torch.ones(6, 6, dtype=torch.bool)), chroma)


@pytest.mark.parametrize("step", [0.0, 0.3])
def test_two_hints_rule_a_half_each(step):
    light = torch.full((16, 32), 0.4)
    light[:, 16:] += step
    found = spots((16, 32), (8, 7), (8, 24))
    made = spread(light, torch.zeros(2, 16, 32), found)
    to_first, to_second = ((made - own[:, None, None]).norm(dim=0) for own in found.chromas)
    assert bool((to_first < to_second)[:, :15].all())
    assert bool((to_second < to_first)[:, 17:].all())
    assert to_first[8, :12].max() < 0.03
    assert to_second[8, 20:].max() < 0.03


def test_two_equal_hints_say_no_more_than_one():
    made = spread(
        torch.full((9, 9), 0.5), torch.zeros(2, 9, 9), spots((9, 9), (4, 2), (4, 6), chromas=[(0.1, 0.0)] * 2)
    )
    assert made[0].max() == pytest.approx(0.1)
    assert made[0].min() > 0.09


def test_a_hint_that_agrees_with_the_network_changes_nothing():
    light, chroma = torch.full((9, 12), 0.5), torch.empty(2, 9, 12)
    chroma[0], chroma[1] = 0.1, 0.05
    assert torch.allclose(spread(light, chroma, spots((9, 12), (4, 2))), chroma, atol=1e-7)


def test_chroma_follows_lightness_by_its_half():
    light = torch.linspace(0.35, 0.55, 21).expand(5, 21)
    made = spread(light, torch.zeros(2, 5, 21), spots((5, 21), (2, 10)))
    ratio = made[0, 2, 11] / made[0, 2, 9]
    assert 1 < ratio < float((light[0, 11] + 0.1) / (light[0, 9] + 0.1))


def test_what_is_out_of_reach_is_the_networks_to_the_bit():
    light, chroma = torch.full((1, 400), 0.5), torch.rand(2, 1, 1).expand(2, 1, 400).contiguous()
    made = spread(light, chroma, spots((1, 400), (0, 0)))
    reach = int(grid.REACH / grid.STEP)
    assert torch.equal(made[:, :, reach + 2 :], chroma[:, :, reach + 2 :])
    assert not torch.equal(made[:, :, : reach // 2], chroma[:, :, : reach // 2])
    moved = (made - chroma).norm(dim=0)[0]
    assert bool((moved[:-1] + 1e-7 >= moved[1:]).all())


def error_after(pixels, count, seed):
    """Mean error of chroma, of a grey answer and with hints of the true colour at random places."""
    h, w = pixels.shape[1] // 4 * 4, pixels.shape[2] // 4 * 4
    lab = oklab_of(pixels[None, :, :h, :w])
    cells = torch.nn.functional.avg_pool2d(lab, 4)[0]
    random, hints = np.random.default_rng(seed), []
    for _ in range(count):
        x, y = int(random.integers(2, w - 2)), int(random.integers(2, h - 2))
        mean = pixels[:, y - 2 : y + 3, x - 2 : x + 3].float().mean(dim=(1, 2)).round().int().tolist()
        hints.append(hint("#{:02x}{:02x}{:02x}".format(*mean), 2, (x, y)))
    nothing = torch.zeros_like(cells[1:])
    made = spread(cells[0], nothing, seeds(said(hints, (h, w)), (h // 4, w // 4)))
    return [float((answer - cells[1:]).norm(dim=0).mean()) for answer in (nothing, made)]


def test_a_few_true_hints_bring_back_the_scenery():
    pixels = torch.from_numpy(scenery(1, 80, 96)).permute(2, 0, 1)
    before, after = error_after(pixels, 6, 0)
    assert after < 0.35 * before


def test_true_hints_bring_real_pictures_nearer_to_the_truth(real_data):
    names = [f"bsds_{number}.jpg" for number in (100075, 101085, 103070)]
    falls = []
    for name in names:
        pixels = torch.from_numpy(np.array(Image.open(real_data / "photographs-256" / name))).permute(2, 0, 1)
        (before, few), (_, many) = (error_after(pixels, count, 0) for count in (5, 20))
        falls.append((few / before, many / before))
    few, many = np.mean(falls, axis=0)
    assert few < 0.85
    assert many < 0.65
