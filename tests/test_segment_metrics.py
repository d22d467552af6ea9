"""Regions and contours by two routes: by hand, by slow loops in fractions, by scikit-learn and by scipy."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import confusion_matrix, jaccard_score, log_loss
from torch import nn

from pixelwise.classes.labels import VOID, Labels
from pixelwise.counts import PixelCounts
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadData, Diverged
from pixelwise.evaluate.segment import SegmentEvaluation, evaluate_segment
from pixelwise.report.tables import segment_values_of
from pixelwise.segment_metrics import (
    bootstrap_interval,
    boundary_f1,
    boundary_tolerance,
    foreground,
    iou,
    overlaps,
    ratios,
    summands,
    thresholded,
    void_as_background,
)

LABELS = Labels(("ground", "flower", "leaf"))
KEYS = {
    *("task", "model", "data", "split", "pictures", "pixels", "pixel_accuracy", "cross_entropy", "iou", "miou"),
    *("mean_picture_iou", "thresholded_iou", "boundary_f1", "majority_pixel_accuracy", "majority_iou"),
    *("iou_void_as_background", "thresholded_iou_void_as_background", "iou_interval", "miou_interval"),
    *("mean_picture_iou_interval", "thresholded_iou_interval"),
}
NAN = pytest.approx(math.nan, nan_ok=True)


def ids(*rows):
    """One small picture of classes; `.` is void."""
    return torch.tensor([[[VOID if c == "." else int(c) for c in row] for row in rows]], dtype=torch.uint8)


def some_ids(n=5, size=8, k=3, seed=0, void=0.2):
    """Answers and truths at random; the truth has void."""
    generator = torch.Generator().manual_seed(seed)
    answer, truth = torch.randint(0, k, (2, n, size, size), generator=generator, dtype=torch.uint8)
    return answer, truth.masked_fill(torch.rand(n, size, size, generator=generator) < void, VOID)


class Says(nn.Module):
    """Answers with known classes, one batch of them after the other."""

    def __init__(self, answer, k, sure=2.0):
        super().__init__()
        self.logits, self.at = nn.functional.one_hot(answer.long(), k).permute(0, 3, 1, 2) * sure, 0

    def forward(self, seen):
        self.at += len(seen)
        return self.logits[self.at - len(seen) : self.at]


# Counts


def test_void_counts_for_nothing():
    """The counts of some pixels are those of the same pixels among void, whatever is answered there."""
    answer, truth = some_ids()
    logits = Says(answer, 8).logits + torch.linspace(0, 1, 8).view(1, 8, 1, 1)
    known = truth != VOID
    counts, without = PixelCounts(8), PixelCounts(8)
    counts.add(logits, truth)
    without.add(logits.permute(1, 0, 2, 3)[:, known].T[:, :, None, None], truth[known][:, None, None])
    assert 0 < counts.pixels == int(known.sum()) < truth.numel()
    assert counts.confusion.equal(without.confusion)
    assert counts.top_hits == without.top_hits
    assert counts.cross_entropy == pytest.approx(without.cross_entropy)


def test_void_is_counted_as_scikit_learn_counts_what_is_left():
    answer, truth = some_ids(k=6)
    logits = Says(answer, 6).logits
    counts = PixelCounts(6)
    counts.add(logits, truth)
    known = (truth != VOID).numpy()
    right, said = truth.numpy()[known], answer.numpy()[known]
    assert counts.confusion.tolist() == confusion_matrix(right, said, labels=range(6)).tolist()
    assert counts.iou.tolist() == pytest.approx(jaccard_score(right, said, labels=range(6), average=None))
    assert counts.miou == pytest.approx(jaccard_score(right, said, labels=range(6), average="macro"))
    probabilities = logits.double().softmax(1).permute(0, 2, 3, 1).numpy()[known]
    assert counts.cross_entropy == pytest.approx(log_loss(right, probabilities, labels=range(6)))


def test_iou_by_hand_and_absent_classes():
    counts = PixelCounts(4)
    counts.add(Says(ids("0111"), 4).logits, ids("0012"))
    assert counts.iou.tolist() == [1 / 2, 1 / 3, 0, NAN]
    assert counts.miou == pytest.approx((1 / 2 + 1 / 3) / 3)
    assert math.isnan(PixelCounts(2).miou)


@pytest.mark.parametrize("k", [1, 255])
def test_counts_of_as_few_and_as_many_classes_as_there_can_be(k):
    counts = PixelCounts(k)
    truth = torch.tensor([[[0, k - 1, VOID]]], dtype=torch.uint8)
    counts.add(torch.zeros(1, k, 1, 3), truth)
    assert (counts.pixels, int(counts.confusion[0, 0])) == (2, 2 if k == 1 else 1)
    assert counts.accuracy_top5 == (1 if k == 1 else 1 / 2)
    counts.add(torch.zeros(1, k, 1, 3), torch.full_like(truth, VOID))
    assert counts.pixels == 2
    assert counts.cross_entropy == pytest.approx(math.log(k))


# Regions, picture by picture


def test_overlaps_by_hand_with_void_left_out_and_as_background():
    answer, truth = ids("0112", "1100"), ids("011.", ".100")
    hits, unions = overlaps(answer, truth, 4)
    assert (hits.tolist(), unions.tolist()) == ([[3, 3, 0, 0]], [[3, 3, 0, 0]])
    assert iou(hits, unions).tolist() == [[1, 1, NAN, NAN]]
    hits, unions = overlaps(answer, void_as_background(truth), 4)
    assert (hits.tolist(), unions.tolist()) == ([[3, 3, 0, 0]], [[5, 4, 1, 0]])
    assert truth.max() == VOID  # what was given is left as it was


@given(st.integers(0, 2**32), st.integers(1, 5), st.booleans())
@settings(max_examples=30, deadline=None)
def test_overlaps_and_thresholds_agree_with_a_slow_loop_in_fractions(seed, k, background):
    answer, truth = some_ids(2, 3, k, seed, void=0.3)
    truth = void_as_background(truth) if background else truth
    hits, unions = overlaps(answer, truth, k)
    steps = thresholded(hits, unions)
    for i in range(2):
        pairs = [(a, t) for a, t in zip(answer[i].flatten().tolist(), truth[i].flatten().tolist(), strict=True)]
        for c in range(k):
            both = sum(a == c and t == c for a, t in pairs)
            either = sum((a == c or t == c) and t != VOID for a, t in pairs)
            assert (hits[i, c], unions[i, c]) == (both, either)
            exact = math.ceil(min(max(20 * (Fraction(both, either) - Fraction(1, 2)), 0), 10)) / 10 if either else NAN
            assert steps[i, c].item() == exact


@pytest.mark.parametrize(
    ("intersection", "union", "score"),
    [
        *[(0, 3, 0.0), (1, 2, 0.0), (50_001, 100_000, 0.1), (11, 20, 0.1), (11 * 10**9 + 1, 20 * 10**9, 0.2)],
        *[(3, 5, 0.2), (19, 20, 0.9), (96, 100, 1.0), (7, 7, 1.0), (0, 0, math.nan)],
    ],
)
def test_thresholds_are_exact(intersection, union, score):
    ours = thresholded(torch.tensor([[intersection]]), torch.tensor([[union]])).item()
    assert ours == (NAN if math.isnan(score) else score)


def test_every_step_is_exact_where_floating_point_is_not():
    unions = torch.full((1, 10), 20)
    assert thresholded(torch.arange(11, 21).view(1, 10), unions).tolist() == [[i / 10 for i in range(1, 11)]]
    naive = [math.ceil(20 * (i / 20 - 0.5)) / 10 for i in range(11, 21)]
    assert naive != [i / 10 for i in range(1, 11)]


def test_the_foreground_is_all_but_the_first_class():
    scores = torch.tensor([[1.0, 0.25, 0.75], [1.0, math.nan, 0.5], [1.0, math.nan, math.nan]], dtype=torch.float64)
    assert foreground(scores).tolist() == [0.5, 0.5, NAN]
    assert math.isnan(foreground(torch.ones(1, 1, dtype=torch.float64)).item())


# Contours


def slow_f1(own, true, reach):
    """F1 of two regions' contours, pixel by pixel and pair by pair."""

    def contour(region):
        height, width = region.shape
        steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
        return [
            (y, x)
            for y, x in np.ndindex(height, width)
            if region[y, x]
            and any(0 <= y + v < height and 0 <= x + h < width and not region[y + v, x + h] for v, h in steps)
        ]

    def near(points, others):
        hits = sum(any((y - v) ** 2 + (x - h) ** 2 <= reach**2 for v, h in others) for y, x in points)
        return Fraction(hits, len(points)) if points else None

    if not own.any() and not true.any():
        return math.nan
    if not own.any() or not true.any():
        return 0
    one, other = contour(own), contour(true)
    precision, recall = near(one, other), near(other, one)
    if precision is None or recall is None:
        return 1 if precision is None and recall is None else 0
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0


@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([4, 9]))
@settings(max_examples=25, deadline=None)
def test_boundary_f1_agrees_with_brute_force(seed, k, size):
    answer, truth = some_ids(2, size, k, seed, void=0)
    truth[1, :, size // 2 :] = answer[1, :, size // 2 :]
    ours = boundary_f1(answer, truth, k + 1)
    for i in range(2):
        slow = [slow_f1((answer[i] == c).numpy(), (truth[i] == c).numpy(), 1) for c in range(k + 1)]
        assert ours[i].tolist() == pytest.approx(slow, nan_ok=True)


def test_boundary_f1_of_large_discs_agrees_with_distance_transforms():
    """At 480 x 640, contours may lie 6 pixels apart: discs of radius 100 and 104, then 100 and 110."""
    y, x = np.mgrid[:480, :640]
    disc = {r: (y - 240) ** 2 + (x - 320) ** 2 <= r**2 for r in (100, 104, 110)}
    as_ids = {r: torch.from_numpy(region.astype(np.uint8))[None] for r, region in disc.items()}
    assert boundary_f1(as_ids[104], as_ids[100], 2).tolist() == [[1, 1]]
    assert boundary_f1(as_ids[110], as_ids[100], 2).tolist() == [[0, 0]]
    moved = np.roll(disc[100], 8, axis=1)
    inner = {name: r & (distance_transform_edt(r) <= 1) for name, r in (("true", disc[100]), ("own", moved))}
    away = {name: distance_transform_edt(~contour) for name, contour in inner.items()}
    precision, recall = (away["true"][inner["own"]] <= 6).mean(), (away["own"][inner["true"]] <= 6).mean()
    ours = boundary_f1(torch.from_numpy(moved.astype(np.uint8))[None], as_ids[100], 2)
    assert 0.3 < ours[0, 1].item() < 0.9
    assert ours[0, 1].item() == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize(
    ("size", "pixels"),
    [((8, 8), 1), ((80, 106), 1), ((80, 107), 2), ((240, 320), 3), ((240, 321), 4), ((480, 640), 6), ((1, 1), 1)],
)
def test_the_tolerance_is_three_quarters_of_a_percent_of_the_diagonal(size, pixels):
    assert boundary_tolerance(*size) == pixels


def test_the_true_contour_runs_along_the_middle_of_a_band_of_void():
    """Void of six columns: a contour in its middle is right, one at its rim is 3 pixels off where 1 is allowed."""
    truth = ids(*["000000......111111"] * 6)
    filled, early, late = (ids(*["0" * n + "1" * (18 - n)] * 6) for n in (9, 6, 12))
    assert boundary_f1(filled, truth, 2).tolist() == [[1, 1]]
    assert boundary_f1(early, truth, 2).tolist() == [[0, 0]]
    assert boundary_f1(late, truth, 2).tolist() == [[0, 0]]


def test_boundary_f1_where_there_is_no_contour():
    full, part, void = ids("11", "11"), ids("01", "11"), ids("..", "..")
    assert boundary_f1(full, full, 3).tolist() == [[NAN, 1, NAN]]  # both fill the picture
    assert boundary_f1(full, part, 3).tolist() == [[0, 0, NAN]]  # one has no contour to be near to
    assert boundary_f1(full, void, 3).tolist() == [[NAN, NAN, NAN]]
    assert boundary_f1(part, ids("11", "1."), 2).tolist() == [[0, 0]]  # void there is the nearest class, 1


# Intervals


def test_a_bootstrap_is_numpys_with_the_same_draws_and_is_seeded():
    per_picture = torch.randint(0, 50, (12, 2, 3), generator=torch.Generator().manual_seed(1))
    per_picture[:, 1] += 50
    ours = bootstrap_interval(per_picture, seed=4, resamples=200, level=0.9)
    generator, slow = torch.Generator().manual_seed(4), []
    for _ in range(200):
        drawn = per_picture.numpy()[torch.randint(12, (12,), generator=generator).numpy()].sum(axis=0)
        slow.append(drawn[0] / drawn[1])
    assert ours.tolist() == pytest.approx(np.quantile(slow, [0.05, 0.95], axis=0))
    assert ours.equal(bootstrap_interval(per_picture, seed=4, resamples=200, level=0.9))
    assert not ours.equal(bootstrap_interval(per_picture, seed=5, resamples=200, level=0.9))
    estimate = ratios(per_picture.sum(dim=0, keepdim=True).double())[0]
    assert bool(((ours[0] < estimate) & (estimate < ours[1])).all())


def test_an_interval_of_a_mean_is_as_wide_as_the_normal_one():
    values = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low, high = bootstrap_interval(summands(values)).tolist()
    half = 1.96 * values.std().item() / 20
    assert [low, high] == pytest.approx([values.mean().item() - half, values.mean().item() + half], abs=0.15 * half)


def test_intervals_of_one_picture_and_of_what_is_absent():
    one = torch.tensor([[[3, 0], [4, 0]]])
    assert bootstrap_interval(one).tolist() == [[0.75, NAN], [0.75, NAN]]
    some = torch.tensor([0.5, math.nan, 0.5], dtype=torch.float64)  # draws without the two others say nothing
    assert bootstrap_interval(summands(some)).tolist() == [0.5, 0.5]


# Evaluation


def evaluated(answer, truth, labels=LABELS, **given):
    pixels = torch.zeros(len(truth), 3, *truth.shape[1:], dtype=torch.uint8)
    pictures = Pictures(pixels, [f"{i}.png" for i in range(len(truth))], truth)
    model = Says(answer, len(labels), **given)
    return evaluate_segment(model, labels, pictures, names=("model", "data", "test"))


def test_an_evaluation_by_hand():
    """Two pictures: one partly right, with void in a corner, and one without foreground that is answered rightly."""
    answer = torch.cat([ids("01111", "00111"), ids("00000", "00000")])
    truth = torch.cat([ids("0001.", "00111"), ids("00000", "00000")])
    e = evaluated(answer, truth)
    assert (e.task, e.model, e.data, e.split) == ("segment", "model", "data", "test")
    assert (e.pictures, e.pixels, e.pixel_accuracy) == (2, 19, 17 / 19)
    assert e.iou == {"ground": 13 / 15, "flower": 4 / 6, "leaf": NAN}
    assert e.miou == pytest.approx((13 / 15 + 4 / 6) / 2)
    assert (e.mean_picture_iou, e.thresholded_iou) == (4 / 6, 0.4)
    assert e.iou_void_as_background == {"ground": 13 / 16, "flower": 4 / 7, "leaf": NAN}
    assert e.thresholded_iou_void_as_background == 0.2
    assert e.boundary_f1 == 0.5  # of two contour pixels each, one is in both and one further off than 1 pixel
    assert e.majority_pixel_accuracy == 15 / 19
    assert e.majority_iou == {"ground": 15 / 19, "flower": 0, "leaf": NAN}
    assert e.cross_entropy == pytest.approx(math.log(1 + 2 * math.exp(-2)) + 2 * 2 / 19)
    assert [tuple(p) for p in e.per_picture] == [("0.png", 4 / 6, 0.4), ("1.png", NAN, NAN)]


def test_an_evaluation_agrees_with_scikit_learn_picture_by_picture():
    answer, truth = some_ids(9, 10, seed=7)
    e = evaluated(answer, truth)
    known = truth != VOID
    scores = [
        jaccard_score(t[m], a[m], labels=[1, 2], average=None)
        for a, t, m in zip(answer.numpy(), truth.numpy(), known.numpy(), strict=True)
    ]
    assert e.mean_picture_iou == pytest.approx(np.mean(scores))
    assert list(e.iou.values()) == pytest.approx(jaccard_score(truth[known], answer[known], average=None))
    every = void_as_background(truth).flatten()
    assert list(e.iou_void_as_background.values()) == pytest.approx(
        jaccard_score(every, answer.flatten(), average=None)
    )
    for name, value in e.iou.items():
        assert e.iou_interval[name][0] < value < e.iou_interval[name][1]


def test_intervals_of_an_evaluation_are_those_of_evaluating_drawn_pictures_again():
    """A thousand evaluations of drawn pictures, in numpy, from each picture's regions."""
    answer, truth = some_ids(6, 5, seed=3, void=0.1)
    answer = torch.where(torch.arange(25).view(5, 5) % 3 > 0, void_as_background(truth), answer)  # above one half
    e = evaluated(answer, truth)
    hits, unions = (counts.numpy() for counts in overlaps(answer, truth, 3))
    steps = np.ceil(np.clip(20 * (hits / unions) - 10, 0, 10) - 1e-9) / 10
    generator, miou, own, score = torch.Generator().manual_seed(0), [], [], []
    for _ in range(1000):
        drawn = torch.randint(6, (6,), generator=generator).numpy()
        miou.append((hits[drawn].sum(0) / unions[drawn].sum(0)).mean())
        own.append((hits / unions)[drawn, 1:].mean())
        score.append(steps[drawn, 1:].mean())
    for name, values in (("miou", miou), ("mean_picture_iou", own), ("thresholded_iou", score)):
        low, high = getattr(e, f"{name}_interval")
        assert [low, high] == pytest.approx(np.quantile(values, [0.025, 0.975])), name
        assert low < getattr(e, name) < high


def test_who_knows_everything_gets_full_marks():
    _, truth = some_ids(4, 12)
    e = evaluated(void_as_background(truth), truth, sure=40.0)
    assert (e.pixel_accuracy, e.miou, e.mean_picture_iou, e.thresholded_iou) == (1, 1, 1, 1)
    assert e.cross_entropy == pytest.approx(0, abs=1e-9)
    assert e.miou_interval == e.mean_picture_iou_interval == e.thresholded_iou_interval == (1, 1)


def test_an_evaluation_of_regions_is_the_same_in_any_batches(monkeypatch):
    answer, truth = some_ids(7)
    whole = evaluated(answer, truth)
    monkeypatch.setattr("pixelwise.data.batches.PIXELS_AT_ONCE", 3 * 64)
    pieces = evaluated(answer, truth)
    assert pieces.to_mapping() == {**whole.to_mapping(), "cross_entropy": pytest.approx(whole.cross_entropy)}
    assert pieces.per_picture == whole.per_picture


def test_the_json_of_an_evaluation():
    answer, truth = some_ids(3, k=2)
    e = evaluated(answer, truth)
    mapping = e.to_mapping()
    assert set(mapping) == KEYS
    assert mapping["iou"]["leaf"] is mapping["majority_iou"]["leaf"] is None
    assert mapping["iou_interval"]["leaf"] == [None, None]
    back = SegmentEvaluation.from_mapping(json.loads(json.dumps(mapping, allow_nan=False)))
    assert back.to_mapping() == mapping
    assert math.isnan(back.iou["leaf"])
    assert back.miou_interval == e.miou_interval


def test_the_pictures_table_goes_from_worst_to_best():
    truth = torch.cat([ids("0011"), ids("0000"), ids("0011"), ids("0011")])
    answer = torch.cat([ids("0011"), ids("0000"), ids("0000"), ids("0111")])
    rows = evaluated(answer, truth).pictures_table()
    assert [row["picture"] for row in rows] == ["2.png", "3.png", "0.png", "1.png"]
    assert rows[1] == {"picture": "3.png", "iou": pytest.approx(2 / 3), "thresholded_iou": 0.4}
    assert rows[3] == {"picture": "1.png", "iou": None, "thresholded_iou": None}


def test_an_evaluation_in_words():
    answer, truth = some_ids(3, k=2)
    e = evaluated(answer, truth)
    words = dict(segment_values_of(e))
    low, high = e.iou_interval["flower"]
    assert words["IoU of flower"] == f"{e.iou['flower']:.3f} ({low:.3f} to {high:.3f})"
    assert words["IoU of leaf"] == "absent"
    assert "nan" not in "".join(words.values())
    alone = dict(segment_values_of(evaluated(ids("00"), ids("0."), Labels(("all",)))))
    assert alone["foreground IoU, mean over the pictures"] == "absent"
    assert "nan" not in "".join(alone.values())


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (torch.zeros(0, 2, 2, dtype=torch.uint8), "the test split of data has no pictures"),
        (ids("..", ".."), "void throughout"),
        (ids("03"), "has class 3, but the model knows 0 to 2"),
    ],
)
def test_what_cannot_be_compared_is_an_error(truth, message):
    with pytest.raises(BadData, match=message):
        evaluated(torch.zeros_like(truth), truth)


def test_pictures_without_masks_and_answers_without_numbers_are_errors():
    pictures = Pictures(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), ["a"])
    with pytest.raises(BadData, match="has no masks"):
        evaluate_segment(nn.Identity(), LABELS, pictures, names=("model", "data", "test"))
    with pytest.raises(Diverged, match="not a finite number"):
        evaluated(ids("01"), ids("01"), sure=math.inf)
