"""y = a x + b before the network: what absorbs it exactly, what zeros around the picture break, what learning sees."""

import copy
import json
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pixelwise.affine import absorbed, invariance, touched
from pixelwise.config import ModelSettings
from pixelwise.errors import BadSetting, Diverged
from pixelwise.models.build import build_model
from pixelwise.models.cnn import Cnn
from pixelwise.models.conv import MyConv2d
from pixelwise.models.preprocessed import Preprocessed, padded
from pixelwise.models.residual_unet import ResidualUNet
from pixelwise.models.unet import UNet

FACTORS = st.floats(0.1, 10) | st.floats(-10, -0.1)
CONSTANTS = st.floats(-10, 10)
NETWORKS = [Cnn, UNet]
SIDE = 72  # pixels, more than two borders of the largest kernel
NEAR = {1: 0, 3: 15, 5: 30}  # pixels from the border, by kernel: 11 r + 4 ⌈3r/4⌉


def trained_looking(net, kernel, dtype=torch.float64):
    """A network in evaluation mode whose normalization is no longer what it starts as."""
    model = net(kernel, 4, 5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.01, 0.1)
    return model.to(dtype).eval()


def without_epsilon(model):
    """Normalization that divides by nothing but the deviation."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-30  # torch wants one above 0
    return model


def frame(width, side=SIDE):
    """True on the pixels nearer to the border than that."""
    mask = torch.ones(side, side, dtype=torch.bool)
    mask[width : side - width, width : side - width] = False
    return mask


def worst(one, other):
    """The greatest difference at each place."""
    return (one - other).detach().abs().amax(dim=(0, 1))


@settings(max_examples=40, deadline=None)
@given(
    a=FACTORS,
    b=CONSTANTS,
    kernel=st.integers(1, 6),
    channels=st.integers(1, 3),
    route=st.sampled_from(["fast", "unfold"]),
)
def test_one_convolution_absorbs_it_but_for_the_weights_on_the_padding(a, b, kernel, channels, route):
    torch.manual_seed(0)
    layer = MyConv2d(channels, 4, kernel, route).double()
    x = torch.randn(2, channels, 9, 8, dtype=torch.float64)
    before, after = (kernel - 1) // 2, kernel // 2
    outside = F.pad(torch.zeros_like(x), (before, after, before, after), value=1.0)
    missing = b / a * F.conv2d(outside, layer.weight)  # 0 inside
    torch.testing.assert_close(absorbed(nn.Sequential(layer), a, b)(a * x + b), layer(x) - missing, rtol=0, atol=1e-9)
    framed = padded(absorbed(nn.Sequential(layer), a, b), b)
    torch.testing.assert_close(framed(a * x + b), layer(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize("net", NETWORKS)
@pytest.mark.parametrize("kernel", NEAR)
@pytest.mark.parametrize(("a", "b"), [(2.0, -0.5), (10.0, 10.0), (-1.0, 1.0), (0.3, 0.0)])
def test_networks_answer_alike_inside_and_everywhere_if_padded_with_b(net, kernel, a, b):
    model, near = trained_looking(net, kernel), frame(NEAR[kernel])
    x = torch.rand(2, 1, SIDE, SIDE, dtype=torch.float64)
    expected, new = model(x), absorbed(model, a, b)
    apart = worst(new(a * x + b), expected)
    assert apart[~near].max() < 1e-9
    assert worst(padded(new, b)(a * x + b), expected).max() < 1e-9
    assert (apart.max() > 1e-4) == (b != 0 and kernel > 1)
    assert worst(model(a * x + b), expected).max() > 1e-3  # as it was, it answers something else


@settings(max_examples=15, deadline=None)
@given(a=FACTORS, b=CONSTANTS, size=st.tuples(st.integers(1, 21), st.integers(1, 21)), kernel=st.integers(1, 5))
def test_padded_with_b_it_is_exact_for_every_size_and_kernel(a, b, size, kernel):
    torch.manual_seed(0)
    model = trained_looking(UNet, kernel)
    x = torch.rand(1, 1, *size, dtype=torch.float64)
    assert worst(padded(absorbed(model, a, b), b)(a * x + b), model(x)).max() < 1e-9


@pytest.mark.parametrize("net", NETWORKS)
@pytest.mark.parametrize("kernel", NEAR)
def test_padding_has_a_say_as_far_as_the_formula_says(net, kernel):
    r = kernel // 2
    assert 11 * r + 4 * math.ceil(3 * r / 4) == NEAR[kernel]
    assert torch.equal(touched(net(kernel, 4, 5), SIDE, SIDE), frame(NEAR[kernel]))


def test_an_even_kernel_sees_no_padding_above_and_to_the_left():
    expected = torch.zeros(40, 40, dtype=torch.bool)
    expected[-15:] = expected[:, -15:] = True
    assert torch.equal(touched(Cnn(2, 4, 5), 40, 40), expected)


def test_of_the_exercises_pictures_four_pixels_see_no_padding():
    assert torch.equal(touched(UNet(3, 4, 5), 32, 32), frame(15, 32))
    assert int((~touched(UNet(3, 4, 5), 32, 32)).sum()) == 4


@pytest.mark.parametrize("net", NETWORKS)
def test_several_channels_are_absorbed_too(net):
    model = net(3, 4, 5, num_in_channels=3).double().eval()
    x = torch.rand(2, 3, 20, 20, dtype=torch.float64)
    assert worst(padded(absorbed(model, 3.0, -2.0), -2.0)(3 * x - 2), model(x)).max() < 1e-9


def test_weights_of_what_came_up_are_left_alone():
    model = UNet(3, 4, 5)
    new = absorbed(model, 4.0, 0.0)
    assert torch.equal(new.last.weight[:, :5], model.last.weight[:, :5])
    assert torch.equal(new.last.weight[:, 5:], model.last.weight[:, 5:] / 4)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize(("a", "b"), [(1.0, 7.0), (10.0, 10.0), (0.2, -3.0)])
def test_batchnorm_in_training_needs_no_change_of_the_first_layer(kernel, a, b):
    """Convolution, pooling, BatchNorm, ReLU with the weights they had, but for what zeros around the picture do."""
    first = without_epsilon(Cnn(kernel, 4, 5).down1.double().train())
    x = torch.rand(3, 1, 16, 16, dtype=torch.float64)
    expected = first(x)
    assert worst(padded(first, b)(a * x + b), expected).max() < 1e-9
    with_zeros = worst(first(a * x + b), expected)
    assert (with_zeros[3:5, 3:5].min() > 1e-6) == (kernel > 1)  # far from the border too, by mean and deviation


def test_epsilon_is_as_though_it_were_divided_by_the_square_of_a():
    first = Cnn(3, 4, 5).down1.double().train()
    x, other = torch.rand(3, 1, 16, 16, dtype=torch.float64), copy.deepcopy(first)
    other[2].eps = first[2].eps / 0.01**2
    answer = padded(first, 5.0)(0.01 * x + 5)
    torch.testing.assert_close(answer, other(x), rtol=0, atol=1e-9)
    assert worst(answer, first(x)).max() > 1e-2


def test_plain_network_in_training_needs_no_change_but_the_skip_of_the_picture_does():
    x = torch.rand(3, 1, 16, 16, dtype=torch.float64)
    apart = {}
    for net in NETWORKS:
        model = without_epsilon(net(3, 4, 5).double().train())
        apart[net] = worst(padded(model, 10.0)(10 * x + 10), model(x)).max()
    assert apart[Cnn] < 1e-9 and apart[UNet] > 1e-2


def test_max_pooling_of_a_negative_picture_is_min_pooling():
    first = without_epsilon(Cnn(1, 4, 5).down1.double().train())
    x = torch.rand(3, 1, 16, 16, dtype=torch.float64)
    convolved, pooled = first[0](x), first[1](first[0](-x))
    mirrored = 2 * first[0].bias.view(1, -1, 1, 1) - convolved  # what the same weights give on -x
    smallest = torch.stack([convolved[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]).amin(dim=0)
    torch.testing.assert_close(first[0](-x), mirrored)
    torch.testing.assert_close(pooled, 2 * first[0].bias.view(1, -1, 1, 1) - smallest)
    assert worst(first(-x), first(x)).max() > 0.1  # unchanged weights are not invariant
    assert worst(absorbed(first, -1.0, 0.0)(-x), first(x)).max() < 1e-9  # absorbed ones are


def first_gradient(model, x, coefficients):
    """Of the first layer's weights, where the loss is a product with the answer."""
    model.zero_grad()
    (model(x) * coefficients).sum().backward()
    return next(model.parameters()).grad.clone()


def test_gradients_get_the_factor_and_the_constant_but_behind_batchnorm_nothing():
    layer, x = MyConv2d(1, 4, 3), torch.rand(3, 1, 16, 16, dtype=torch.float64)
    model = nn.Sequential(layer).double()
    deltas = torch.randn(3, 4, 16, 16, dtype=torch.float64)
    expected = 10 * first_gradient(model, x, deltas) + 7 * deltas.sum(dim=(0, 2, 3)).view(-1, 1, 1, 1)
    torch.testing.assert_close(first_gradient(padded(model, 7.0), 10 * x + 7, deltas), expected)
    normalized = nn.Sequential(layer, nn.MaxPool2d(2), nn.BatchNorm2d(4, eps=1e-30), nn.ReLU()).double().train()
    deltas = deltas[:, :, ::2, ::2]
    expected = first_gradient(normalized, x, deltas)
    torch.testing.assert_close(first_gradient(padded(normalized, 7.0), 10 * x + 7, deltas), expected)
    assert expected.abs().max() > 1e-3


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (math.nan, 1.0), (math.inf, 0.0), (1.0, math.inf), (1.0, math.nan)])
def test_what_leaves_no_picture_is_refused(a, b):
    for refused in (
        lambda: absorbed(Cnn(3, 4, 5), a, b),
        lambda: invariance(Cnn(3, 4, 5), torch.rand(1, 1, 8, 8), a, b),
        lambda: Preprocessed(Cnn(3, 4, 5), a, b),
    ):
        with pytest.raises(BadSetting, match="expected finite numbers, and a other than 0"):
            refused()


def test_a_factor_too_small_for_the_weights_is_refused():
    with pytest.raises(BadSetting, match="weights that are not finite; give an a that is nearer to 1"):
        absorbed(Cnn(3, 4, 5), 1e-42, 0.0)


@pytest.mark.parametrize("change", [lambda m: absorbed(m, 2.0, 1.0), lambda m: padded(m, 1.0)])
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (ResidualUNet(3, 4, 5), "ResidualUNet"),
        (nn.Conv2d(1, 2, 3), "Conv2d"),
        (nn.Sequential(), "Sequential"),
        (nn.Sequential(nn.BatchNorm2d(1), MyConv2d(1, 2, 3)), "Sequential"),
        (Preprocessed(Cnn(3, 4, 5), 2.0, 1.0), "Preprocessed"),
    ],
)
def test_other_models_are_refused(model, kind, change):
    with pytest.raises(
        BadSetting, match=f"^{kind} is not supported; give a Cnn, a UNet or an nn.Sequential that starts"
    ):
        change(model)


@pytest.mark.parametrize("net", NETWORKS)
def test_the_original_and_others_random_numbers_are_left_alone(net):
    model = net(3, 4, 5).train()
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    new = padded(absorbed(model, 3.0, 1.0), 1.0)
    invariance(model, torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)), 3.0, 1.0)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training and new.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert before.keys() == new.state_dict().keys()


@pytest.mark.parametrize("net", NETWORKS)
@pytest.mark.parametrize("kernel", NEAR)
def test_invariance_is_what_two_forward_passes_say(net, kernel):
    model, x = trained_looking(net, kernel), torch.rand(53, 1, 36, 36)  # not a multiple of what is measured at once
    found = invariance(model, x, 10.0, 10.0)
    y, x = 10 * x.double() + 10, x.double()
    with torch.no_grad():
        answer, own, unchanged = model(x), absorbed(model, 10.0, 10.0)(y), model(y)
    apart, near = worst(own, answer), frame(min(18, NEAR[kernel]), 36)
    assert found.absorbed.inside == (None if kernel == 5 else pytest.approx(apart[~near].max().item(), abs=1e-12))
    assert found.absorbed.border == (None if kernel == 1 else pytest.approx(apart[near].max().item(), abs=1e-12))
    assert found.absorbed.changed == pytest.approx((own.argmax(1) != answer.argmax(1)).double().mean().item())
    assert found.unchanged.changed == pytest.approx((unchanged.argmax(1) != answer.argmax(1)).double().mean().item())
    assert found.unchanged.by_distance[17] == pytest.approx(worst(unchanged, answer)[17:19, 17:19].max().item())
    assert found.unchanged.reach == 18 > found.padded.reach == 0
    assert found.touched == min(18, NEAR[kernel]) >= found.absorbed.reach
    assert (found.absorbed.reach > 0) == (kernel > 1)
    assert found.padded.changed == 0 and max(found.padded.by_distance) < found.tolerance < 1e-8
    assert len(found.absorbed.by_distance) == 18 and found.pictures == 53


@pytest.mark.parametrize("reach", [1, 2, 15])
def test_reach_is_the_first_distance_without_a_difference(reach):
    """A network whose difference comes as far as it should and is not small on the way: its weights are all 1."""
    layers = {1: [MyConv2d(1, 1, 3)], 2: [MyConv2d(1, 1, 3), MyConv2d(1, 1, 3)]}
    model = nn.Sequential(*layers[reach]) if reach in layers else Cnn(3, 2, 2)
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    assert invariance(model, torch.rand(2, 1, 40, 56), 1.0, -2.0).absorbed.reach == reach


def test_invariance_can_be_kept_as_json():
    values = invariance(Cnn(3, 4, 5), torch.rand(2, 1, 8, 8), 2.0, -0.5).to_mapping()
    assert json.loads(json.dumps(values))["absorbed"]["inside"] is None
    assert (values["a"], values["b"], values["pictures"]) == (2.0, -0.5, 2)


def test_a_network_that_is_no_use_is_not_called_invariant():
    model = Cnn(3, 4, 5)
    nn.init.constant_(model.last.bias, math.nan)
    with pytest.raises(Diverged, match="not a finite number"):
        invariance(model, torch.rand(1, 1, 8, 8), 2.0, 1.0)


def test_preprocessed_shows_the_network_another_picture():
    model, x = Cnn(3, 4, 5).eval(), torch.rand(2, 1, 8, 8)
    assert torch.equal(Preprocessed(model, 3.0, -1.0)(x), model(3 * x - 1))
    assert torch.equal(Preprocessed(model, 1.0, 0.0)(x), model(x))


def built(**settings):
    torch.manual_seed(5)
    return build_model(ModelSettings(num_filters=4, num_colours=4, **settings)).eval()


@pytest.mark.parametrize("name", ["cnn", "unet"])
def test_settings_say_what_the_network_is_shown_and_its_weights_stay_those_of_the_seed(name):
    x = torch.rand(2, 1, 40, 40)
    plain, changed = built(name=name), built(name=name, input_scale=10.0, input_shift=10.0)
    framed = built(name=name, input_scale=10.0, input_shift=10.0, input_padding=10.0)
    assert torch.equal(changed(x), plain(10 * x + 10))
    assert worst(framed(x), padded(plain, 10.0)(10 * x + 10)).max() == 0
    assert not torch.equal(framed(x), changed(x))


@pytest.mark.parametrize("name", ["lookup", "residual_unet"])
@pytest.mark.parametrize("what", [{"input_scale": 2.0}, {"input_shift": 1.0}, {"input_padding": 1.0}])
def test_models_that_know_grey_levels_cannot_be_shown_anything_else(name, what):
    with pytest.raises(BadSetting, match="not supported"):
        built(name=name, **what)


def test_no_picture_is_left_of_a_scale_of_zero():
    with pytest.raises(BadSetting, match="input_scale is 0"):
        ModelSettings(input_scale=0.0)
