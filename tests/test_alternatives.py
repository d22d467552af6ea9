"""What else a region may be: the region that was clicked, its likeliest colours, and one of them as a hint."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.alternatives import Alternative, alternatives, chosen, region_at
from pixelwise.classes.chroma import ChromaPalette
from pixelwise.classes.oklab import oklab_of
from pixelwise.errors import BadData
from pixelwise.hints import region_seeds, spread

PALETTE = ChromaPalette(torch.tensor([[0.0, 0.0], [0.08, 0.04], [-0.05, 0.06], [0.0, -0.09]], dtype=torch.float64))


def ids(*rows):
    return torch.tensor([[int(value) for value in row] for row in rows], dtype=torch.uint8)


def flooded(classes, row, column):
    """The region by walking from neighbour to neighbour."""
    found, waiting = torch.zeros(classes.shape, dtype=torch.bool), [(row, column)]
    while waiting:
        r, c = waiting.pop()
        inside = 0 <= r < classes.shape[0] and 0 <= c < classes.shape[1]
        if inside and not found[r, c] and classes[r, c] == classes[row, column]:
            found[r, c] = True
            waiting += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
    return found


grids = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda size: st.lists(
        st.lists(st.sampled_from([0, 1, 255]), min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
    )
)


@settings(deadline=None)
@given(grids, st.data())
def test_a_region_is_what_hangs_together_with_its_cell(rows, data):
    classes = torch.tensor(rows, dtype=torch.uint8)
    row, column = (data.draw(st.integers(0, length - 1)) for length in classes.shape)
    assert torch.equal(region_at(classes, row, column), flooded(classes, row, column))


def test_corners_do_not_hold_a_region_together():
    assert region_at(ids("10", "01"), 0, 0).tolist() == [[True, False], [False, False]]
    assert region_at(ids("00", "01"), 0, 1).tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (0, -1), (2, 0), (0, 3)])
def test_a_cell_outside_of_the_grid_is_refused(row, column):
    with pytest.raises(BadData, match=f"row {row}, column {column} is no cell of a grid of 2 rows and 3 columns"):
        region_at(ids("000", "000"), row, column)


@pytest.fixture
def answer():
    """Two rows of four cells: on the left class 1 before class 2, on the right class 3."""
    probabilities = torch.empty(4, 2, 4)
    probabilities[:, :, :2] = torch.tensor([0.05, 0.5, 0.4, 0.05])[:, None, None]
    probabilities[:, 0, 0] = torch.tensor([0.25, 0.6, 0.1, 0.05])
    probabilities[:, :, 2:] = torch.tensor([0.1, 0.1, 0.1, 0.7])[:, None, None]
    light = torch.tensor([[0.5, 0.6, 0.9, 0.9], [0.6, 0.7, 0.9, 0.9]])
    return probabilities, light


def test_alternatives_are_the_mean_probabilities_of_the_region_likeliest_first(answer):
    probabilities, light = answer
    found = alternatives(probabilities, PALETTE, light, 1, 1, 4)
    assert [one.class_id for one in found] == [1, 2, 0, 3]
    assert [one.probability for one in found] == pytest.approx([2.1 / 4, 1.3 / 4, 0.4 / 4, 0.05])
    assert [one.class_id for one in alternatives(probabilities, PALETTE, light, 0, 3, 4)] == [3, 0, 1, 2]
    assert found == alternatives(probabilities, PALETTE, light, 0, 0, 9)
    assert found[:2] == alternatives(probabilities, PALETTE, light, 1, 1, 2)
    assert alternatives(probabilities, PALETTE, light, 1, 1, 0) == []
    assert isinstance(found[0], Alternative)


def test_of_equals_the_lower_class_comes_first(answer):
    found = alternatives(torch.full((4, 2, 4), 0.25), PALETTE, answer[1], 0, 0, 4)
    assert [one.class_id for one in found] == [0, 1, 2, 3]


def test_an_alternative_is_shown_as_light_as_its_region_in_the_chroma_of_its_class(answer):
    probabilities, light = answer
    for row, column, expected in ((0, 0, 0.6), (0, 2, 0.9)):
        for one in alternatives(probabilities, PALETTE, light, row, column, 4):
            colour = torch.tensor(list(bytes.fromhex(one.colour[1:])), dtype=torch.uint8).reshape(1, 3, 1, 1)
            lab, asked = oklab_of(colour).flatten(), PALETTE.chromas[one.class_id].float()
            assert float(lab[0]) == pytest.approx(expected, abs=1 / 255)
            if expected == 0.6:  # where there is room for all of them
                assert (lab[1:] - asked).abs().max() < 6e-3
            else:
                assert float(lab[1:] @ asked) >= 0


def test_probabilities_of_another_palette_are_refused(answer):
    with pytest.raises(BadData, match="are of 3 classes, palette 'chroma palette' has 4"):
        alternatives(answer[0][:3], PALETTE, answer[1], 0, 0, 2)


@pytest.mark.parametrize("class_id", [-1, 4])
def test_a_class_that_the_palette_does_not_have_cannot_be_chosen(answer, class_id):
    with pytest.raises(BadData, match=f"class {class_id} is none of palette 'chroma palette', which has 4"):
        chosen(answer[0], PALETTE, 0, 0, class_id)


def test_a_chosen_alternative_is_a_hint_of_the_whole_region(answer):
    probabilities, light = answer
    region, chroma = chosen(probabilities, PALETTE, 0, 1, 2)
    assert region.tolist() == [[True, True, False, False]] * 2
    assert chroma.tolist() == pytest.approx([-0.05, 0.06])
    before = torch.zeros(2, 2, 4)
    made = spread(light, before, region_seeds(region, chroma), probabilities)
    assert torch.equal(made[:, region], chroma[:, None].expand(2, 4))
    within = spread(light, before, region_seeds(region, chroma), probabilities, locked=~region)
    assert torch.equal(within[:, region], made[:, region])
    assert not within[:, ~region].any()
