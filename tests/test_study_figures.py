"""Figures of a study show the numbers that they were given: means, spread, names and units are read back from them."""

import itertools
import math

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from pixelwise.errors import BadData, BadSetting
from pixelwise.report.figures import save_figure, save_vector
from pixelwise.report.study_figures import by_distance, learning_curves
from pixelwise.report.study_pictures import best_and_worst, confusion_swatches, extremes, lightness
from pixelwise.report.study_style import looks, spread
from pixelwise.report.study_sweeps import Panel, bars, sweep, sweeps
from pixelwise.train import EpochRow


def run(*losses, accuracy=0.25, train=9.0):
    return [EpochRow(i, train, 0.5, float(loss), accuracy, 1e-3, 1.0) for i, loss in enumerate(losses, start=1)]


CURVES = {"wide": [run(4, 3, 2), run(2, 1, 0, 7)], "narrow": [run(5, 5, 5)]}


def band(axes, number=0):
    """The least and the greatest values of a band, by x."""
    corners = axes.collections[number].get_paths()[0].vertices
    xs = sorted(set(corners[:, 0]))
    ends = [corners[corners[:, 0] == x][:, 1] for x in xs]
    return [end.min() for end in ends], [end.max() for end in ends]


def test_curves_are_means_with_bands_as_far_as_all_runs_go():
    loss, accuracy = learning_curves(CURVES).axes
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "validation cross-entropy (nats per pixel)")
    assert accuracy.get_ylabel() == "validation accuracy (% of pixels)"
    assert [list(line.get_xdata()) for line in loss.lines] == [[1, 2, 3], [1, 2, 3]]
    assert [list(line.get_ydata()) for line in loss.lines] == [[3, 2, 1], [5, 5, 5]]
    assert list(accuracy.lines[0].get_ydata()) == [25, 25, 25]
    assert len(loss.collections) == 1  # a single run has no spread
    assert band(loss) == ([2, 1, 0], [4, 3, 2])


def test_curves_are_named_at_their_ends_and_told_apart_without_colour():
    loss, accuracy = learning_curves(CURVES, "title", lookup=(2.5, 0.5)).axes
    assert [text.get_text() for text in loss.texts] == ["lookup table 2.5"]
    said = {text.get_text(): text for text in accuracy.texts}
    assert set(said) == {"wide", "narrow", "lookup table 50.0"}
    assert said["wide"].xy == (3, 25)
    assert said["wide"].xyann[0] > 1  # beside the panel, not on the lines
    assert abs(said["wide"].xyann[1] - said["narrow"].xyann[1]) > 0.04  # both end at 25 %
    assert len({line.get_marker() for line in loss.lines[:2]}) == 2
    dotted = loss.lines[-1]
    assert (list(dotted.get_ydata()), dotted.get_linestyle()) == ([2.5, 2.5], ":")
    assert loss.get_ylim()[0] < 2.5 < loss.get_ylim()[1]


def test_training_curves_are_thin_and_dashed():
    loss = learning_curves({"one": [run(4, 3, train=8.0), run(2, 1, train=6.0)]}, training=True).axes[0]
    solid, dashed = loss.lines
    assert list(dashed.get_ydata()) == [7, 7]
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert dashed.get_linewidth() < solid.get_linewidth()


def test_an_axis_can_show_the_later_epochs_only():
    loss = learning_curves({"one": [run(100, 3, 2)]}, kept_to=2).axes[0]
    assert 3 < loss.get_ylim()[1] < 4


def test_curves_that_cannot_be_drawn_are_refused():
    with pytest.raises(BadData, match="no epoch with validation values"):
        learning_curves({"one": [[EpochRow(1, 1.0, 0.5, None, None, 1e-3, 1.0)]]})
    with pytest.raises(BadData, match="nothing to draw"):
        learning_curves({})
    with pytest.raises(BadData, match="9 series"):
        learning_curves({str(i): [run(1)] for i in range(9)})
    assert len({look.marker for look in looks("abcdefgh").values()}) == 8


def test_labels_move_apart_no_further_than_they_must():
    assert spread([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5, 0.9], 0.1) == pytest.approx([0.45, 0.55, 0.9])
    assert spread([0.5, 0.5, 0.58], 0.1) == pytest.approx([0.4267, 0.5267, 0.6267], abs=1e-3)
    placed = spread(sorted(np.random.default_rng(0).random(8).tolist()), 0.1)
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(placed))


POINTS = {"unet": {200: [0.5, 0.7], 50: [0.1, 0.2, 0.6]}, "cnn": {50: [0.4]}}


def test_a_sweep_shows_every_seed_and_joins_the_means():
    figure = sweep(POINTS, "batch size (pictures)", "accuracy (share)", log_x=True, ticks={50: "50", 200: "all"})
    seeds, means, _, single = figure.axes[0].lines
    assert list(zip(*seeds.get_data(), strict=True)) == [(50, 0.1), (50, 0.2), (50, 0.6), (200, 0.5), (200, 0.7)]
    assert seeds.get_linestyle() == "None"
    assert list(means.get_xdata()) == [50, 200]
    assert list(means.get_ydata()) == pytest.approx([0.3, 0.6])
    assert list(single.get_ydata()) == [0.4]
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == (
        "log",
        "batch size (pictures)",
        "accuracy (share)",
    )
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50", "all"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["unet", "cnn"]


def test_a_series_looks_alike_in_all_panels():
    panels = [Panel(POINTS, "x", "y", lines={"lookup": 0.9}), Panel({"cnn": {1: [2.0]}}, "x", "", title="other")]
    figure = sweeps(panels, "title")
    first, second = figure.axes
    assert first.lines[3].get_color() == second.lines[1].get_color()
    assert first.lines[3].get_marker() == second.lines[1].get_marker() != first.lines[1].get_marker()
    assert first.get_ylim()[1] > 0.9
    assert [text.get_text() for text in first.texts] == ["lookup"]
    with pytest.raises(BadData, match="without values"):
        sweep({"one": {1: []}}, "x", "y")


def test_bars_stand_in_the_order_given_with_their_seeds():
    axes = bars({"b": [40.0, 44.0], "a": [50.0]}, "accuracy (%)", lines={"lookup": 30.0}).axes[0]
    assert [patch.get_width() for patch in axes.patches] == [42, 50]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert axes.yaxis_inverted()
    assert list(axes.lines[0].get_xdata()) == [40, 44]
    assert axes.get_xlim()[0] == 0
    assert [text.get_text() for text in axes.texts] == ["42.0", "50.0", "lookup"]
    assert list(axes.lines[2].get_xdata()) == [30, 30]


def test_where_the_axis_does_not_start_at_0_there_are_no_bars():
    axes = bars({"b": [40.0, 44.0]}, "accuracy (%)", start=38.0).axes[0]
    assert list(axes.patches) == []
    assert list(axes.lines[0].get_xdata()) == [42]
    assert axes.get_xlim()[0] == 38


def test_confusion_orders_by_lightness_and_shows_shares_as_areas():
    counts = torch.tensor([[3, 1], [0, 12]])
    axes = confusion_swatches(counts, ["#ffffff", "#000000"], "title").axes[0]
    squares = axes.collections[0]
    sides = [np.ptp(path.vertices[:, 0]) for path in squares.get_paths()]
    assert np.square(sides) == pytest.approx([1, 0.25, 0.75])  # black row; white row: black, white
    corners = [tuple(path.vertices.min(axis=0) + np.ptp(path.vertices, axis=0) / 2) for path in squares.get_paths()]
    assert corners == [(0, 0), (0, 1), (1, 1)]  # answer, truth
    assert [to_hex(colour) for colour in squares.get_facecolors()] == ["#000000", "#000000", "#ffffff"]
    assert [text.get_text() for text in axes.texts] == ["100", "25", "75"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["75.0 %", "25.0 %"]
    swatches = [to_hex(patch.get_facecolor()) for patch in axes.patches]
    assert swatches == ["#000000"] * 2 + ["#ffffff"] * 2
    with pytest.raises(BadData, match="3 colours"):
        confusion_swatches(counts, ["#000000"] * 3)


def test_a_colour_that_never_occurs_has_an_empty_row():
    axes = confusion_swatches(torch.tensor([[0, 0], [1, 1]]), ["#000000", "#0000ff"]).axes[0]
    assert len(axes.collections[0].get_paths()) == 2
    assert axes.get_yticklabels()[0].get_text() == "0.0 %"


def test_lightness_is_that_of_cie():
    assert [lightness(colour) for colour in ("#000000", "#ffffff")] == pytest.approx([0, 1])
    assert lightness("#777777") == pytest.approx(0.5003, abs=1e-3)
    assert lightness("#0000ff") == pytest.approx(0.3230, abs=1e-3)


def test_accuracy_by_distance_has_a_line_and_a_band_for_each():
    axes = by_distance({"unet": [[10.0, 20.0], [30.0, 60.0]], "cnn": [[5.0, 6.0]]}, ["0", "1+"]).axes[0]
    assert list(axes.lines[0].get_ydata()) == [20, 40]
    assert band(axes) == ([10, 20], [30, 60])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1+"]
    assert {text.get_text() for text in axes.texts} == {"unet", "cnn"}
    assert axes.get_ylabel() == "accuracy (% of pixels)"
    with pytest.raises(BadData, match=r"\[3\] values; expected 2"):
        by_distance({"unet": [[1.0, 2.0, 3.0]]}, ["0", "1+"])


def test_best_and_worst_show_the_right_pictures_with_their_scores():
    pixels = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 3, 4, 4).contiguous()
    figure = best_and_worst([("truth", pixels), ("answer", pixels + 100)], [0.3, 0.9, math.nan, 0.1, 0.5], "share")
    best, worst = figure.axes
    assert best.images[0].get_array()[0, [0, 6], 0].tolist() == [1, 4]
    assert worst.images[0].get_array()[0, [0, 6], 0].tolist() == [3, 0]
    assert worst.images[0].get_array()[6, [0, 6], 0].tolist() == [103, 100]
    assert [label.get_text() for label in worst.get_xticklabels()] == ["0.10", "0.30"]
    assert [label.get_text() for label in worst.get_yticklabels()] == ["truth", "answer"]
    assert best.get_title(loc="left") == "The 2 best: share"


def test_of_a_loss_the_lowest_is_best():
    assert extremes([3.0, 1.0, 2.0], 1, higher_is_better=False) == ([1], [0])
    with pytest.raises(BadData, match="1 pictures with a score"):
        extremes([1.0, math.nan], 3)


@pytest.mark.parametrize("kind", ["pdf", "svg"])
def test_drawings_of_lines_are_the_same_bytes_each_time(tmp_path, kind):
    for name in ("one", "two"):
        save_vector(learning_curves(CURVES, "a title"), tmp_path / f"{name}.{kind}")
    one, two = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert b"Date" not in one
    if kind == "pdf":
        assert b"/FontFile2" in one  # TrueType, within the file
        assert b"/Type3" not in one
    else:
        assert b"<text" not in one  # letters are outlines


def test_only_drawings_of_lines_are_vectors(tmp_path):
    figure = learning_curves(CURVES)
    with pytest.raises(BadSetting, match=r"\.pdf or \.svg"):
        save_vector(figure, tmp_path / "one.png")
    assert list(tmp_path.iterdir()) == []
    save_figure(figure, tmp_path / "fine.png", dpi=200)
    save_figure(figure, tmp_path / "coarse.png")
    assert (tmp_path / "fine.png").stat().st_size > (tmp_path / "coarse.png").stat().st_size
