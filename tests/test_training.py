"""The loop learns, repeats itself, resumes bit for bit, counts a short last batch right, and stops on nonsense."""

import copy
import dataclasses
import math

import pytest
import torch
from torch import nn

from pixelwise.config import TrainSettings
from pixelwise.data.batches import Encoded, PictureFeed
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadRun, Diverged
from pixelwise.evaluate.pixels import count_feed
from pixelwise.models.cnn import Cnn
from pixelwise.schedule import learning_rate_at
from pixelwise.train import EpochRow, StepRow, Training, best_epoch, fit

CPU = torch.device("cpu")


@pytest.fixture
def data(palette):
    """Ten pictures of 8 x 8 in the palette's colours, striped by grey, so that there is something to learn."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 4, (10, 2, 2), generator=generator).repeat_interleave(4, 1).repeat_interleave(4, 2)
    pictures = Pictures(palette.decode(ids.to(torch.uint8)), [str(i) for i in range(10)])
    return PictureFeed(palette, Encoded.by(palette, pictures))


def training_of(settings):
    torch.manual_seed(settings.seed)
    return Training(Cnn(3, 8, 4), settings)


def rows_of(training, palette, data, validation=None):
    return list(fit(training, data, validation, CPU))


def without_seconds(rows):
    return [dataclasses.replace(row, seconds=0.0) for row in rows if isinstance(row, EpochRow)]


def test_loss_falls_fivefold_on_a_few_pictures(palette, data):
    training = training_of(TrainSettings(epochs=40, batch_size=5, learning_rate=1e-2))
    rows = without_seconds(rows_of(training, palette, data))
    assert rows[-1].train_loss < rows[0].train_loss / 5


def test_two_runs_with_one_seed_are_equal_and_another_seed_differs(palette, data):
    settings = TrainSettings(epochs=2, batch_size=4, flips=True)
    one, same, other = (training_of(s) for s in (settings, settings, dataclasses.replace(settings, seed=1)))
    rows = [without_seconds(rows_of(t, palette, data, data)) for t in (one, same, other)]
    assert rows[0] == rows[1] != rows[2]
    assert all(torch.equal(a, b) for a, b in zip(one.tensors().values(), same.tensors().values(), strict=True))


@pytest.mark.parametrize("stop_after", range(1, 9))
@pytest.mark.parametrize(("optimizer", "averaging"), [("adam", 0.0), ("adamw", 0.0), ("adamw", 8.0)])
def test_a_run_stopped_after_any_step_resumes_to_the_same_bits(palette, data, stop_after, optimizer, averaging):
    settings = TrainSettings(
        epochs=2, batch_size=3, schedule="one_cycle", flips=True, optimizer=optimizer, averaging=averaging
    )
    unbroken = training_of(settings)
    expected = without_seconds(rows_of(unbroken, palette, data, data))
    broken = training_of(settings)
    steps = 0
    for row in fit(broken, data, data, CPU):
        steps += isinstance(row, StepRow)
        if steps == stop_after:
            break
    resumed = training_of(dataclasses.replace(settings))
    resumed.restore(broken.tensors(), broken.progress())
    rows_of(resumed, palette, data, data)
    assert without_seconds(resumed.rows) == expected
    for name, tensor in unbroken.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


@pytest.mark.parametrize("eta", [0.5, 8.0])
def test_averaged_weights_are_the_weighted_mean_that_the_paper_defines(palette, data, eta):
    training = training_of(TrainSettings(epochs=2, batch_size=3, averaging=eta))
    initial = copy.deepcopy(training.model)
    seen = []
    for row in fit(training, data, data, CPU):
        if isinstance(row, StepRow):
            seen.append({name: t.clone() for name, t in training.model.state_dict().items()})
    shares = [(eta + 1) / (t + eta) for t in range(1, len(seen) + 1)]
    weights = [share * math.prod(1 - later for later in shares[t + 1 :]) for t, share in enumerate(shares)]
    assert len(seen) > 4
    assert shares[0] == 1  # nothing is left of where training began
    assert sum(weights) == pytest.approx(1)
    for name, mean in training.result.named_parameters():
        torch.testing.assert_close(mean, sum(w * state[name] for w, state in zip(weights, seen, strict=True)))
    assert not any(torch.equal(a, b) for a, b in zip(training.result.parameters(), initial.parameters(), strict=True))


def test_averaged_weights_are_what_is_measured_and_without_averaging_the_latest_are(palette, data):
    averaged = training_of(TrainSettings(epochs=2, batch_size=3, averaging=4.0))
    latest = training_of(TrainSettings(epochs=2, batch_size=3))
    last, other = (rows_of(t, palette, data, data)[-1] for t in (averaged, latest))
    assert latest.result is latest.model
    assert all(torch.equal(a, b) for a, b in zip(averaged.model.parameters(), latest.model.parameters(), strict=True))
    assert last.train_loss == other.train_loss  # averaging does not disturb what is trained
    assert last.validation_loss == count_feed(averaged.result, data).cross_entropy
    assert last.validation_loss != other.validation_loss


def test_dropout_resumes_to_the_same_bits_and_leaves_others_random_numbers_alone(palette, data):
    def fresh():
        torch.manual_seed(0)
        return Training(nn.Sequential(Cnn(3, 4, 4), nn.Dropout2d(0.5)), TrainSettings(epochs=1, batch_size=3))

    unbroken, broken, resumed = fresh(), fresh(), fresh()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    rows = without_seconds(rows_of(unbroken, palette, data))
    assert torch.equal(torch.rand(3), expected)
    next(fit(broken, data, None, CPU))
    torch.rand(5)
    resumed.restore(broken.tensors(), broken.progress())
    assert without_seconds(rows_of(resumed, palette, data)) == rows
    assert all(torch.equal(a, b) for a, b in zip(unbroken.tensors().values(), resumed.tensors().values(), strict=True))


def test_every_step_has_random_numbers_of_its_own(palette, data):
    drawn = []

    class Draws(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(4))

        def forward(self, x):
            drawn.append(torch.rand(1).item())
            return self.bias.view(1, 4, 1, 1).expand(len(x), 4, *x.shape[2:])

    rows_of(Training(Draws(), TrainSettings(epochs=2, batch_size=3)), palette, data)
    rows_of(Training(Draws(), TrainSettings(epochs=2, batch_size=3, seed=1)), palette, data)
    assert len(set(drawn)) == len(drawn) == 2 * 2 * 4


def test_the_best_epoch_is_the_first_of_lowest_validation_loss():
    rows = [EpochRow(i + 1, 1.0, 0.5, loss, 0.5, 1e-3, 1.0) for i, loss in enumerate([3.0, 2.0, 2.5, 2.0])]
    assert best_epoch(rows) == 2
    assert best_epoch([dataclasses.replace(row, validation_loss=None) for row in rows]) is None


def test_a_short_last_batch_counts_by_its_pixels(palette, data):
    """With a rate near zero the epoch's loss is the plain mean over all pixels, whatever the batches."""

    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.tensor([0.0, 1.0, 2.0, 3.0]))

        def forward(self, x):
            return self.bias.view(1, 4, 1, 1).expand(len(x), 4, *x.shape[2:])

    ids = data.encoded.ids
    expected = nn.functional.cross_entropy(torch.arange(4.0).expand(ids.numel(), 4), ids.flatten().long()).item()
    settings = TrainSettings(epochs=1, batch_size=3, learning_rate=1e-12)
    row = rows_of(Training(Constant(), settings), palette, data)[-1]
    assert row.train_loss == pytest.approx(expected, rel=1e-6)
    assert row.train_accuracy == pytest.approx((ids == 3).float().mean().item())


def test_a_loss_that_is_no_number_stops_the_run_in_words(palette, data):
    training = training_of(TrainSettings(epochs=30, batch_size=5, learning_rate=1e30))
    with pytest.raises(Diverged, match=r"the loss became (nan|inf) in epoch \d+, step \d.*lower learning_rate"):
        rows_of(training, palette, data)


def test_weights_stay_as_they_were_when_the_first_loss_is_no_number(palette, data):
    training = training_of(TrainSettings(epochs=1))
    training.model.last.bias.data[0] = float("nan")
    before = {name: p.clone() for name, p in training.model.named_parameters()}
    with pytest.raises(Diverged):
        rows_of(training, palette, data)
    for name, p in training.model.named_parameters():
        assert torch.equal(p.nan_to_num(), before[name].nan_to_num()), name


def test_one_cycle_rises_to_the_rate_and_falls_to_nothing():
    settings = TrainSettings(learning_rate=0.1, schedule="one_cycle")
    rates = [learning_rate_at(step, 100, settings) for step in range(100)]
    top = rates.index(max(rates))
    assert rates[0] == pytest.approx(0.1 / 25)
    assert (top, rates[top]) == (19, pytest.approx(0.1))
    assert rates[:20] == sorted(rates[:20])
    assert rates[19:] == sorted(rates[19:], reverse=True)
    assert rates[-1] == pytest.approx(0.1 / 25 / 10_000)
    assert all(math.isfinite(learning_rate_at(step, n, settings)) for n in (1, 2, 3, 4, 7) for step in range(n))


def test_one_cycle_agrees_with_torchs():
    settings = TrainSettings(learning_rate=0.1, schedule="one_cycle")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=50, pct_start=0.2)
    for step in range(50):
        assert learning_rate_at(step, 50, settings) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        theirs.step()


def test_weight_decay_spares_biases_and_normalization():
    decay = {}
    training = training_of(TrainSettings(weight_decay=0.5))
    for group in training.optimizer.param_groups:
        for p in group["params"]:
            decay[id(p)] = group["weight_decay"]
    for name, p in training.model.named_parameters():
        assert decay[id(p)] == (0.5 if p.ndim == 4 else 0), name


def test_a_checkpoint_of_another_model_is_refused():
    small, large = (Training(Cnn(3, nf, 4), TrainSettings()) for nf in (8, 9))
    with pytest.raises(BadRun, match="does not fit this model"):
        large.restore(small.tensors(), small.progress())
