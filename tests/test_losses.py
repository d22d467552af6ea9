"""Each loss against a slow loop over pixels, and what void, absent classes and weights do to it."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pixelwise.classes.labels import VOID
from pixelwise.errors import BadSetting
from pixelwise.losses import SMOOTH, cross_entropy, loss_of, overlap

KINDS = ["cross_entropy", "dice", "soft_iou", "cross_entropy_dice"]


@st.composite
def batches(draw):
    """Logits, true classes with void among them, and weights of the classes or none."""
    n, k, h, w = draw(st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    logits = draw(st.sampled_from([0.1, 3.0, 30.0])) * torch.randn(n, k, h, w, generator=generator)
    ids = draw(st.lists(st.sampled_from([*range(k), VOID]), min_size=n * h * w, max_size=n * h * w))
    weights = draw(st.one_of(st.just(()), st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 7.0])] * k)))
    return logits, torch.tensor(ids).view(n, h, w), weights


def pixels_of(logits, truth):
    """(probabilities, true class) of every labelled pixel."""
    for n, row, column in torch.cartesian_prod(*map(torch.arange, truth.shape)).view(-1, 3).tolist():
        scores = [float(score) for score in logits[n, :, row, column]]
        powers = [math.exp(score - max(scores)) for score in scores]
        if truth[n, row, column] != VOID:
            yield [power / sum(powers) for power in powers], int(truth[n, row, column])


def slow_cross_entropy(logits, truth, weights):
    total = counted = 0.0
    for p, true in pixels_of(logits, truth):
        weight = weights[true] if weights else 1.0
        total -= weight * math.log(p[true]) if weight else 0.0
        counted += weight
    return total / counted if counted else 0.0


def slow_overlap(logits, truth, weights, dice):
    pixels = list(pixels_of(logits, truth))
    total = counted = 0.0
    for k in range(logits.shape[1]):
        both = sum(p[k] for p, true in pixels if true == k)
        ours = sum(p[k] for p, _ in pixels)
        theirs = sum(true == k for _, true in pixels)
        weight = (weights[k] if weights else 1.0) if theirs else 0.0
        above, below = (2 * both, ours + theirs) if dice else (both, ours + theirs - both)
        total += weight * (above + SMOOTH) / (below + SMOOTH)
        counted += weight
    return total / counted if counted else 1.0


def slow(kind, logits, truth, weights):
    found = 0.0
    if kind.startswith("cross_entropy"):
        found += slow_cross_entropy(logits, truth, weights)
    if kind != "cross_entropy":
        found += 1 - slow_overlap(logits, truth, weights, dice=kind != "soft_iou")
    return found


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(batch=batches())
def test_every_loss_is_that_of_a_slow_loop_and_has_gradients(kind, batch):
    logits, truth, weights = batch
    occurring = [weights[true] for true in truth.unique().tolist() if true != VOID and weights]
    assume(not occurring or any(occurring))  # what is then, is said below
    logits.requires_grad_()
    loss = loss_of(kind, logits, truth, weights)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(slow(kind, logits.detach().double(), truth, weights), rel=1e-4, abs=1e-5)
    loss.backward()
    assert logits.grad.isfinite().all()
    assert not (logits.grad * (truth == VOID).unsqueeze(1)).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", [(), (1.0, 2.0)], ids=["alike", "weighted"])
def test_gradients_are_those_of_finite_differences(kind, weights):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 2, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    truth = torch.tensor([[[0, 1, VOID], [1, 1, 0]], [[VOID, 0, 0], [1, 0, 1]]])
    assert torch.autograd.gradcheck(lambda x: loss_of(kind, x, truth, weights), logits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", [(), (1.0, 2.0, 3.0)], ids=["alike", "weighted"])
def test_where_all_is_void_the_loss_and_its_gradient_are_zero(kind, weights):
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = loss_of(kind, logits, torch.full((2, 4, 5), VOID), weights)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.shape == logits.shape and not logits.grad.any()


@pytest.mark.parametrize("kind", KINDS)
def test_where_only_weightless_classes_are_the_loss_and_its_gradient_are_zero(kind):
    logits = torch.randn(1, 2, 4, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = loss_of(kind, logits, torch.zeros(1, 4, 5, dtype=torch.int64), (0.0, 1.0))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("kind", KINDS)
def test_void_pixels_count_for_nothing_whatever_is_said_of_them(kind):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 4, 4, generator=generator)
    truth = torch.randint(0, 3, (1, 4, 4), generator=generator)
    expected = loss_of(kind, logits, truth)
    wider = torch.cat([logits, 50 * torch.randn(1, 3, 4, 2, generator=generator)], dim=3)
    with_void = torch.cat([truth, torch.full((1, 4, 2), VOID)], dim=2)
    assert loss_of(kind, wider, with_void).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_answer_loses_nothing_and_the_opposite_much(kind):
    truth = torch.randint(0, 3, (2, 6, 6), generator=torch.Generator().manual_seed(0))
    perfect = 40.0 * torch.nn.functional.one_hot(truth, 3).permute(0, 3, 1, 2)
    assert loss_of(kind, perfect, truth).item() == pytest.approx(0, abs=1e-5)
    assert loss_of(kind, -perfect, truth).item() > 0.5


@pytest.mark.parametrize("kind", ["dice", "soft_iou"])
def test_a_class_that_is_nowhere_does_not_count(kind):
    """The third class has no pixel; its logits are so low that the two others share all there is."""
    generator = torch.Generator().manual_seed(0)
    two = torch.randn(2, 2, 4, 4, generator=generator)
    truth = torch.randint(0, 2, (2, 4, 4), generator=generator)
    three = torch.cat([two, torch.full((2, 1, 4, 4), -100.0)], dim=1)
    assert loss_of(kind, three, truth).item() == pytest.approx(loss_of(kind, two, truth).item(), rel=1e-6)
    heavy = loss_of(kind, three, truth, (1.0, 1.0, 1000.0))
    assert heavy.item() == pytest.approx(loss_of(kind, two, truth).item(), rel=1e-6)


def test_dice_and_iou_of_a_picture_by_hand():
    """One of four pixels is wrong, by certain answers: class 0 has 2 of 3 right, class 1 has 1 of 1 and 1 too many."""
    truth = torch.tensor([[[0, 0], [0, 1]]])
    answer = torch.tensor([[[0, 0], [1, 1]]])
    logits = 100.0 * torch.nn.functional.one_hot(answer, 2).permute(0, 3, 1, 2)
    assert overlap(logits, truth, dice=True).item() == pytest.approx(((4 + 1) / (5 + 1) + (2 + 1) / (3 + 1)) / 2)
    assert overlap(logits, truth, dice=False).item() == pytest.approx(((2 + 1) / (3 + 1) + (1 + 1) / (2 + 1)) / 2)


@pytest.mark.parametrize("k", [2, 5])
def test_a_network_without_an_opinion_loses_the_log_of_the_number_of_classes(k):
    truth = torch.randint(0, k, (2, 3, 3), generator=torch.Generator().manual_seed(0))
    assert cross_entropy(torch.zeros(2, k, 3, 3), truth).item() == pytest.approx(math.log(k))


def test_weighted_cross_entropy_is_scikit_learns_log_loss_with_sample_weights():
    from sklearn.metrics import log_loss

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 4, generator=generator)
    truth = torch.randint(0, 3, (2, 5, 4), generator=generator)
    truth[0, :2] = VOID
    weights = torch.tensor([0.2, 1.0, 5.0], dtype=torch.float64)
    labelled = truth != VOID
    p = logits.double().softmax(dim=1).permute(0, 2, 3, 1)[labelled]
    expected = log_loss(truth[labelled], p, sample_weight=weights[truth[labelled]], labels=[0, 1, 2])
    assert cross_entropy(logits, truth, weights.tolist()).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_matter_by_their_ratio_alone(kind):
    generator = torch.Generator().manual_seed(0)
    logits, truth = torch.randn(1, 2, 4, 4, generator=generator), torch.randint(0, 2, (1, 4, 4), generator=generator)
    plain, one, ten = (loss_of(kind, logits, truth, weights).item() for weights in ((), (1.0, 3.0), (10.0, 30.0)))
    assert one == pytest.approx(ten, rel=1e-5)
    assert one != pytest.approx(plain, rel=1e-3)
    assert loss_of(kind, logits, truth, (2.0, 2.0)).item() == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", [(2.0,), (1.0, 2.0, 3.0)], ids=["too few", "too many"])
def test_weights_that_are_not_one_for_each_class_are_refused_in_words(kind, weights):
    with pytest.raises(BadSetting, match=f"{len(weights)} .*2 classes"):
        loss_of(kind, torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.int64), weights)
