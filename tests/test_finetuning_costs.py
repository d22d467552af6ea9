"""What fine-tuning needs is foretold exactly: by formulas, by real steps, by torch's own counter."""

import json

import pytest
import sympy
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pixelwise.accounting.costs import costs_of
from pixelwise.accounting.equal_layers import EQUAL_LAYERS, B, C, H, W, k, n
from pixelwise.accounting.finetuning import fine_tuning
from pixelwise.accounting.measure import kept_by, measured, take_steps
from pixelwise.accounting.peak import optimizer_of, peak_of, step
from pixelwise.accounting.subject import on_meta
from pixelwise.accounting.symbols import symbol
from pixelwise.errors import BadSetting
from pixelwise.freeze import freeze
from pixelwise.models.cnn import Cnn
from pixelwise.models.unet import UNet


def stack(layers, channels=4):
    return nn.Sequential(*(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(layers)))


def a_bit_of_everything():
    """Strides, dilation, groups, transposed convolution, dropout, pooling, in-place ReLU, enlarging."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4),
        nn.Hardswish(),
        nn.MaxPool2d(2),
        nn.Dropout(0.3),
        nn.ConvTranspose2d(8, 6, 2, stride=2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Sigmoid(),
        nn.Conv2d(6, 3, 1),
    )


def real_step(network, seen, k):
    answer = network(seen)
    truth = torch.randint(k, (len(seen), *answer.shape[2:]))
    return F.cross_entropy(answer, truth), truth


@pytest.mark.parametrize("trains", ["last", "full", ("0.", "last"), ("7.", "10."), ("3.",)])
@given(batch=st.integers(1, 3), height=st.integers(8, 13), width=st.integers(8, 13))
@settings(max_examples=2, deadline=None)
def test_bytes_kept_are_those_of_a_real_step(trains, batch, height, width):
    network = a_bit_of_everything()
    cost = fine_tuning(network, trains, batch, (height, width), formulas=False)
    freeze(network, cost.trains)
    seen = torch.rand(batch, 3, height, width)
    _, truth = real_step(network, seen, 3)
    learning = optimizer_of("adam", [p for p in network.parameters() if p.requires_grad])
    assert cost.kept.value == kept_by(network, seen, truth, learning)
    assert cost.gradient_bytes == sum(p.grad.nbytes for p in network.parameters() if p.grad is not None)
    assert cost.optimizer_bytes == sum(s["exp_avg"].nbytes + s["exp_avg_sq"].nbytes for s in learning.state.values())


@pytest.mark.parametrize("model", ["cnn", "unet"])
@given(sizes=st.tuples(*[st.integers(1, 4)] * 3), widths=st.tuples(st.integers(1, 4), st.integers(2, 5)))
@settings(max_examples=3, deadline=None)
def test_formulas_give_the_bytes_of_other_batches_sizes_and_widths(model, sizes, widths):
    formula = fine_tuning(model, "full", 2, (16, 16), NF=3, NC=4).kept.formula
    batch, rows, columns = sizes[0], 8 * sizes[1], 8 * sizes[2]
    values = {"B": batch, "H": rows, "W": columns, "NF": widths[0], "NC": widths[1], "NIC": 1, "k": 3}
    network = {"cnn": Cnn, "unet": UNet}[model](3, *widths)
    freeze(network, ("",))
    seen = torch.rand(batch, 1, rows, columns)
    _, truth = real_step(network, seen, widths[1])
    real = kept_by(network, seen, truth, optimizer_of("sgd", list(network.parameters())))
    assert formula.subs({symbol(name): value for name, value in values.items()}) == real


@pytest.mark.parametrize("trains", ["last", "full", ("down1.", "last")])
def test_backward_computes_what_torch_counts(trains):
    cost = fine_tuning("unet", trains, 2, (16, 20), formulas=False, NF=4, NC=5)
    network = UNet(3, 4, 5)
    freeze(network, cost.trains)
    with FlopCounterMode(display=False) as forward:
        loss, _ = real_step(network, torch.rand(2, 1, 16, 20), 5)
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    assert cost.forward.value == forward.get_total_flops() // 2
    assert cost.backward.value == backward.get_total_flops() // 2


def test_backward_through_groups_has_the_products_of_forward_and_not_those_with_zeros():
    """By hand: 6 x 6 outputs of 8 channels from 3 x 3 x 2 values each; twice that backward, input and weights."""
    network = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=4))
    cost = {row.name: row for row in fine_tuning(network, "full", 1, (6, 6), formulas=False, NIC=8).rows}
    assert cost["1"].forward.value == 6 * 6 * 8 * 3 * 3 * 2
    assert cost["1"].backward.value == 2 * cost["1"].forward.value
    assert cost["0"].backward.value == cost["0"].forward.value  # nothing before it is trained


@pytest.mark.parametrize("layers", [2, 5])
@pytest.mark.parametrize(
    ("name", "trains"), [("whole network", "full"), ("last layer", "last"), ("first and last layer", ("0.", "last"))]
)
def test_n_equal_layers_cost_what_a_real_stack_of_them_does(layers, name, trains):
    cost = fine_tuning(stack(layers), trains, 2, (6, 10), formulas=False, NIC=4)
    values = {n: layers, B: 2, C: 4, H: 6, W: 10, k: 3}
    terms = {term: int(formula.subs(values)) for term, formula in vars(EQUAL_LAYERS[name]).items()}
    kept = sum(row.kept.value for row in cost.rows if row.name != "cross_entropy")
    assert (cost.trainable, cost.gradient_bytes, cost.optimizer_bytes) == tuple(list(terms.values())[:3])
    assert (kept, cost.forward.value, cost.backward.value) == tuple(list(terms.values())[3:])


def test_doubling_the_picture_leaves_parameters_and_multiplies_the_rest_by_four():
    for terms in EQUAL_LAYERS.values():
        assert list(terms.doubled().values()) == [1, 1, 1, 4, 4, 4]
    assert sympy.expand(EQUAL_LAYERS["whole network"].computed - (3 * n - 1) * B * k**2 * C**2 * H * W) == 0


def test_last_layer_of_deeplab_keeps_its_input_log_probabilities_and_truth():
    cost = fine_tuning("deeplabv3_resnet50", "last", 4, (224, 224))
    h, w = (sympy.ceiling(symbol(side) / 8) for side in "HW")
    b, classes, rows, columns = (symbol(name) for name in ("B", "K", "H", "W"))
    by_hand = 4 * b * h * w * 256 + 4 * b * classes * rows * columns + 8 * b * rows * columns + 4
    assert sympy.expand(cost.kept.formula - by_hand) == 0
    assert cost.kept.value == 6_422_532
    assert cost.leak is None


def test_a_leak_is_named_with_its_price():
    sealed = fine_tuning("deeplabv3_resnet50", "last", 4, (224, 224), formulas=False)
    cost = fine_tuning("deeplabv3_resnet50", ("last", "backbone.bn1."), 4, (224, 224), formulas=False)
    assert (cost.starts_at, cost.leak.layers, cost.leak.parameters) == ("backbone.bn1", ("backbone.bn1",), 128)
    assert cost.leak.kept_bytes == cost.kept.value - sealed.kept.value > 770 * 2**20
    assert cost.leak.backward_macs == cost.backward.value - sealed.backward.value


def test_layers_add_up_to_the_whole():
    cost = fine_tuning("unet", "full", 3, (12, 16))
    for term in ("kept", "forward", "backward"):
        assert sum(getattr(row, term).value for row in cost.rows) == getattr(cost, term).value
    assert sum(row.trained for row in cost.rows) == cost.trainable == 112_344


@pytest.mark.parametrize(("precision", "bytes_each"), [("float64", 8), ("bfloat16", 2), ("float16", 2)])
def test_precision_changes_all_but_the_true_classes(precision, bytes_each):
    single, other = (fine_tuning("cnn", "last", 2, (8, 8), p, NC=3) for p in ("float32", precision))
    truth = 8 * 2 * 8 * 8
    assert (other.kept.value - truth) * 4 == (single.kept.value - truth) * bytes_each
    assert other.gradient_bytes * 4 == single.gradient_bytes * bytes_each


@pytest.mark.parametrize(("optimizer", "numbers"), [("sgd", 0), ("momentum", 1), ("adam", 2), ("adamw", 2)])
def test_optimizers_keep_as_many_numbers_as_torch_s_do(optimizer, numbers):
    network = stack(2)
    freeze(network, ("",))
    learning = optimizer_of(optimizer, list(network.parameters()))
    step(network, torch.rand(1, 4, 8, 8), torch.randint(4, (1, 8, 8)), learning)
    kept = [value for state in learning.state.values() for name, value in state.items() if name != "step"]
    cost = fine_tuning(stack(2), "full", 1, (8, 8), optimizer=optimizer, NIC=4)
    assert cost.optimizer_bytes == sum(value.nbytes for value in kept) == 4 * numbers * cost.trainable


def test_the_highest_memory_counts_every_tensor_that_lives_at_once():
    """By hand, without convolutions: x, w x, log-probabilities, their gradients."""
    network = nn.Sequential(nn.BatchNorm2d(4, affine=True))
    freeze(network, ("",))
    one = 4 * 2 * 4 * 8 * 8  # bytes of a map
    peak = peak_of(on_meta(network), (2, 4, 8, 8), (2, 8, 8), "sgd")
    truth, rest = 8 * 2 * 8 * 8, 1000
    assert 4 * one + truth <= peak.bytes <= 5 * one + truth + rest


def test_real_steps_keep_what_was_predicted():
    cost = fine_tuning("unet", "last", 2, (16, 16), NF=4, NC=5)
    real = measured(cost, times=2)
    assert (real.kept_bytes, real.gradient_bytes, real.optimizer_bytes) == (
        cost.kept.value,
        cost.gradient_bytes,
        cost.optimizer_bytes,
    )
    assert len(real.forward_seconds) == len(real.backward_seconds) == 2
    assert real.peak_bytes is None or real.peak_bytes > cost.kept.value
    assert json.loads(json.dumps(real.to_mapping()))["device"] == "cpu"


def test_a_step_that_fails_for_real_is_told_in_one_line():
    cost = fine_tuning("unet", "last", 1, (8, 8))
    with pytest.raises(BadSetting, match=r"the step of unet failed: .*; try a smaller"):
        measured(cost, device="nonsense")


def test_steps_in_this_process_move_the_trained_layer_only(monkeypatch):
    given = {"model": "cnn", "widths": {"k": 3, "NIC": 1, "NF": 2, "NC": 3}, "trains": ["last."], "times": 1}
    given |= {"shape": [1, 1, 8, 8], "precision": "float32", "optimizer": "adam", "device": "cpu", "threads": 1}
    threads = torch.get_num_threads()
    try:
        assert take_steps(given).gradient_bytes == 4 * (3 * 3 * 9 + 3)
    finally:
        torch.set_num_threads(threads)


def test_the_last_layer_is_the_last_on_the_way_to_the_loss():
    class Auxiliary(nn.Module):
        """Has its last layer built before the trunk, and a head that the loss does not see."""

        def __init__(self):
            super().__init__()
            self.last = nn.Conv2d(4, 2, 1)
            self.trunk = nn.Conv2d(3, 4, 3, padding=1)
            self.aux = nn.Conv2d(4, 2, 1)

        def forward(self, x):
            features = self.trunk(x)
            return {"out": self.last(features), "aux": self.aux(features)}

    cost = fine_tuning(Auxiliary(), "last", 1, (6, 6))
    assert (cost.trains, cost.starts_at) == (("last.",), "last")
    full = {row.name: row for row in fine_tuning(Auxiliary(), "full", 1, (6, 6)).rows}
    assert full["aux"].backward.value == 0 < full["aux"].forward.value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trains": "head"}, "cnn has no head of its own; train last, full"),
        ({"trains": ("nonsense.",)}, "no parameter's name begins with 'nonsense.'"),
        ({"precision": "int8"}, "precision is 'int8'; expected one of float64, float32"),
        ({"optimizer": "lion"}, "optimizer is 'lion'; expected one of sgd"),
        ({"batch": 0}, "batch is 0; expected 1 picture"),
    ],
)
def test_impossible_steps_are_refused(given, message):
    with pytest.raises(BadSetting, match=message):
        fine_tuning("cnn", **given)


def test_a_table_has_nothing_to_train():
    with pytest.raises(BadSetting, match="nothing to train"):
        fine_tuning("lookup", "last")


def test_everything_that_is_known_goes_into_json():
    costs = costs_of("cnn", (8, 8), trains=("last",), batch=2, devices=("cpu",), widths={"NF": 2, "NC": 3})
    found = json.loads(json.dumps(costs.to_mapping()))
    assert found["finetune"]["kept_bytes"] == found["finetune"]["measured"][0]["kept_bytes"]
    assert {"trainable", "gradient_bytes", "optimizer_bytes", "forward_macs", "backward_macs"} <= set(found["finetune"])
    assert found["finetune"]["backward_starts_at"] == "last"
    assert found["totals"]["weights"]["value"] == sum(p.numel() for p in Cnn(3, 2, 3).parameters())
