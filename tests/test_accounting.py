"""Accounts of networks: the exercise's polynomials, four routes to each number, and nothing wrong said elsewhere."""

import functools
import itertools
import json
import math
from unittest import mock

import pytest
import sympy
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from pixelwise import Conventions, account
from pixelwise.accounting.subject import subject_of
from pixelwise.accounting.symbols import symbol
from pixelwise.errors import BadSetting, UnknownName
from pixelwise.models.cnn import Cnn
from pixelwise.models.conv import MyConv2d
from pixelwise.models.lookup import Lookup
from pixelwise.models.residual_unet import ResidualUNet
from pixelwise.models.unet import UNet

k, NIC, NF, NC, K, H, W = map(symbol, ("k", "NIC", "NF", "NC", "K", "H", "W"))
WHAT = ("weights", "outputs", "connections")


def multiply_adds(network, seen):
    """Of a real run, by torch's own counter, which counts two operations for each."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(seen)
    return counter.get_total_flops() // 2


def holds(cost, values):
    """Whether an account says that its formulas hold there."""
    there = {symbol(name): value for name, value in values.items()}
    return all(condition.subs(there) == sympy.true for condition in cost.conditions)


def at(formula, values):
    """A formula as text, as anyone would read it from the JSON, in numbers."""
    named = {name: symbol(name) for name in ("k", "NIC", "NF", "NC", "K", "H", "W")}
    return sympy.sympify(formula, locals=named).subs({named[name]: value for name, value in values.items()})


# The exercise


def by_hand(convolutions, times=1):
    """Weights, outputs and connections of 3 x 3 convolutions, each followed by pooling or enlarging, and BatchNorm."""
    weights, outputs, connections = 0, 0, 0
    for channels, filters, side, after in convolutions:
        weights += 9 * channels * filters + filters
        outputs += filters * (times * side) ** 2 + filters * (times * after) ** 2
        connections += 9 * channels * filters * (times * side) ** 2
    normalized = sum(filters for _, filters, _, _ in convolutions[:-1])
    return [sympy.expand(count) for count in (weights + 2 * normalized, outputs, connections)]


# Channels, filters, the side of what the convolution makes, and of what pooling or enlarging makes of that.
CNN = [(1, NF, 32, 16), (NF, 2 * NF, 16, 8), (2 * NF, 2 * NF, 8, 0), (2 * NF, NF, 8, 16), (NF, NC, 16, 32)]
CNN += [(NC, NC, 32, 0)]
UNET = [*CNN[:3], (2 * NF + 2 * NF, NF, 8, 16), (NF + NF, NC, 16, 32), (NC + 1, NC, 32, 0)]


def test_cnn_has_the_exercises_polynomials_at_32_by_32():
    cost = account("cnn", size=(32, 32), NF=8, NC=5, k=3)
    weights = 27 * NF + 72 * NF**2 + 9 * NC**2 + 9 * NF * NC + 4 * NC
    assert cost.totals["weights"].at_size == weights == cost.doubled["weights"].doubled.at_size
    assert cost.totals["outputs"].at_size == 2368 * NF + 2304 * NC
    assert cost.doubled["outputs"].doubled.at_size == 9472 * NF + 9216 * NC
    connections = 9216 * NF + 8064 * NF**2 + 2304 * NF * NC + 9216 * NC**2
    assert cost.totals["connections"].at_size == connections
    assert cost.doubled["connections"].doubled.at_size == sympy.expand(4 * connections)
    assert [cost.totals[what].value for what in WHAT] == [5429, 30464, 912384]
    assert cost.to_mapping()["conditions"] == ["H is a multiple of 4", "W is a multiple of 4", "k is odd"]


@pytest.mark.parametrize(("name", "convolutions"), [("cnn", CNN), ("unet", UNET)])
def test_polynomials_follow_from_the_architecture(name, convolutions):
    cost = account(name, size=(32, 32), NF=7, NC=9)
    assert [cost.totals[what].at_size for what in WHAT] == by_hand(convolutions)
    assert [cost.doubled[what].doubled.at_size for what in WHAT] == by_hand(convolutions, times=2)


@pytest.mark.parametrize("name", ["cnn", "unet", "residual_unet"])
def test_doubling_leaves_weights_and_makes_outputs_and_connections_four_times_as_many(name):
    cost = account(name, size=(8, 12), NF=2, NC=3)
    assert [cost.doubled[what].ratio for what in WHAT] == [1, 4, 4]
    assert [cost.doubled[what].words for what in WHAT] == ["unchanged", "×4 exactly", "×4 exactly"]
    assert all(growth.everywhere and not growth.because for growth in cost.doubled.values())


def test_common_mistakes_are_counted_too():
    cost = account("cnn", size=(32, 32))
    for_each_pixel = 2 * (256 * NF + 128 * NF + 128 * NF + 256 * NF + 1024 * NC)
    for_each_channel = 2 * (6 * NF + NC)
    mistaken = {
        words: quantity.at_size - cost.totals[words.partition(",")[0]].at_size for words, quantity in cost.slips.items()
    }
    assert {words: sympy.expand(difference) for words, difference in mistaken.items()} == {
        "weights, if BatchNorm had its two for each pixel": for_each_pixel - for_each_channel,
        "weights, if the last convolution were forgotten": -9 * NC**2 - NC,
        "connections, if the last convolution were forgotten": -9216 * NC**2,
    }


# Four routes to each number: the formula, a model that is really built, torch's counter, and counting one by one


BUILT = {
    "cnn": lambda w: Cnn(w["k"], w["NF"], w["NC"], w["NIC"]),
    "unet": lambda w: UNet(w["k"], w["NF"], w["NC"], w["NIC"]),
    "residual_unet": lambda w: ResidualUNet(w["k"], w["NF"], w["NC"]),
    "lookup": lambda w: Lookup(w["NC"]),
}
WIDTHS = {"k": st.integers(1, 6), "NF": st.integers(1, 3), "NC": st.integers(2, 4), "NIC": st.integers(1, 4)}
OF_MODEL = {"residual_unet": ("k", "NF", "NC"), "lookup": ("NC",)}


def counted_one_by_one(network, seen):
    """Units and multiply-adds of a real run, without a single formula."""
    units = connections = 0

    def count(out):
        nonlocal units
        for _ in itertools.product(*map(range, out.shape)):
            units += 1

    def convolved(layer, _, out):
        nonlocal connections
        count(out)
        _, channels, rows, columns = layer.weight.shape
        for _ in itertools.product(*map(range, out.shape), range(channels), range(rows), range(columns)):
            connections += 1  # one weight times one value, or times one of the zeros around the picture

    def counting(function):
        def called(*args, **named):
            out = function(*args, **named)
            count(out)
            return out

        return called

    handles = [m.register_forward_hook(convolved) for m in network.modules() if isinstance(m, MyConv2d)]
    watched = {name: counting(getattr(F, name)) for name in ("max_pool2d", "interpolate", "embedding")}
    with torch.no_grad(), mock.patch.multiple(F, **watched):
        network.eval()(seen)
    for handle in handles:
        handle.remove()
    return units, connections


@pytest.mark.parametrize("name", BUILT)
@settings(max_examples=5, deadline=None)
@given(widths=st.fixed_dictionaries(WIDTHS), size=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_formula_model_counter_and_counting_one_by_one_agree(name, widths, size):
    given_widths = {symbol: widths[symbol] for symbol in OF_MODEL.get(name, WIDTHS)}
    cost = account(name, size=size, **given_widths)
    network = BUILT[name](widths)
    seen = torch.rand(1, widths["NIC"] if "NIC" in given_widths else 1, *size)
    units, connections = counted_one_by_one(network, seen)
    assert connections == multiply_adds(network, seen)
    expected = {"weights": sum(p.numel() for p in network.parameters()), "outputs": units, "connections": connections}
    values = {**given_widths, "H": size[0], "W": size[1]}
    written = json.loads(json.dumps(cost.to_mapping()))
    for what in WHAT:
        assert cost.totals[what].value == written["totals"][what]["value"] == expected[what]
        assert at(written["totals"][what]["formula"], values) == expected[what]
        assert at(written["totals"][what]["at_size"], values) == expected[what]
        assert sum(row[what]["value"] for row in written["layers"]) == expected[what]
        assert sum(at(row[what]["formula"], values) for row in written["layers"]) == expected[what]


# Layers of all kinds, at the walk's size and elsewhere


class Permuted(nn.Module):
    """A linear layer over channels."""

    def __init__(self, filters):
        super().__init__()
        self.linear = nn.Linear(4, filters)

    def forward(self, x):
        return self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Joined(nn.Module):
    """A picture beside what a convolution makes of it."""

    def __init__(self, filters):
        super().__init__()
        self.conv = nn.Conv2d(4, filters, 3, padding=1)

    def forward(self, x):
        return torch.cat([x, self.conv(x)], dim=1)


class Residual(nn.Module):
    """A picture plus what a convolution makes of it, and what pooling over all of it makes of that."""

    def __init__(self, kernel):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, kernel, padding="same")
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        y = x + self.conv(x)
        return y * self.pool(y)


def layers(kind, **settings):
    return st.builds(functools.partial(kind, *settings.pop("first", ())), **settings)


SMALL = st.integers(1, 3)
PAIR = st.tuples(SMALL, SMALL)
WINDOW = {"kernel_size": st.tuples(st.integers(2, 4), st.integers(2, 4)), "stride": PAIR, "padding": st.integers(0, 1)}
EVEN = st.sampled_from([2, 4, 6])
LAYERS = {
    "convolution": layers(
        nn.Conv2d,
        first=(4,),
        out_channels=EVEN,
        kernel_size=PAIR,
        stride=PAIR,
        padding=st.integers(0, 2),
        dilation=PAIR,
        groups=st.sampled_from([1, 2]),
    ),
    "padding same": layers(
        functools.partial(nn.Conv2d, padding="same"),
        first=(4, 3),
        kernel_size=st.sampled_from([1, 3, 5]),
        dilation=PAIR,
    ),
    "depthwise": layers(nn.Conv2d, first=(4, 8), kernel_size=SMALL, stride=PAIR, groups=st.just(4), bias=st.booleans()),
    "transposed": layers(
        nn.ConvTranspose2d,
        first=(4,),
        out_channels=EVEN,
        kernel_size=PAIR,
        stride=st.integers(2, 3),
        padding=st.integers(0, 1),
        output_padding=st.integers(0, 1),
        groups=st.sampled_from([1, 2]),
        dilation=SMALL,
    ),
    "maxima": layers(nn.MaxPool2d, **WINDOW, dilation=st.integers(1, 2)),
    "maxima, rounded up": layers(nn.MaxPool2d, **WINDOW, dilation=st.integers(1, 2), ceil_mode=st.just(True)),
    "means": layers(nn.AvgPool2d, **WINDOW),
    "means, rounded up": layers(nn.AvgPool2d, **WINDOW, ceil_mode=st.just(True)),
    "adaptive": layers(nn.AdaptiveAvgPool2d, output_size=st.sampled_from([1, 3, (2, 5)])),
    "nearest": layers(nn.Upsample, scale_factor=st.sampled_from([2, 3.0, (1, 2)])),
    "broken": layers(nn.Upsample, scale_factor=st.sampled_from([0.5, 1.5, 2.25, (1.5, 0.75)])),
    "bilinear": layers(
        functools.partial(nn.Upsample, mode="bilinear"),
        scale_factor=st.sampled_from([2, 1.5]),
        align_corners=st.booleans(),
    ),
    "to a size": layers(nn.Upsample, size=st.tuples(st.integers(1, 9), st.integers(1, 9))),
    "linear": layers(Permuted, filters=SMALL),
    "joined": layers(Joined, filters=SMALL),
    "residual": layers(Residual, kernel=st.sampled_from([1, 3])),
    "shuffled": layers(nn.PixelShuffle, upscale_factor=st.sampled_from([1, 2])),
    "padded": layers(nn.ReflectionPad2d, padding=st.tuples(SMALL, SMALL, SMALL, SMALL)),
}
MAKES_UNITS = (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Upsample, nn.Linear)
LARGER = st.tuples(st.integers(9, 24), st.integers(9, 24))


def run_for_real(network, size, channels=4):
    """Totals, and what each layer made, of a run on real numbers."""
    made = {}
    handles = [
        module.register_forward_hook(lambda _, __, out, name=name: made.__setitem__(name, out))
        for name, module in network.named_modules()
    ]
    seen = torch.rand(1, channels, *size)
    connections = multiply_adds(network, seen)
    for handle in handles:
        handle.remove()
    units = sum(made[name].numel() for name, module in network.named_modules() if isinstance(module, MAKES_UNITS))
    weights = sum(p.numel() for p in network.parameters())
    return {"weights": weights, "outputs": units, "connections": connections}, made


@pytest.mark.parametrize("kind", LAYERS)
@settings(max_examples=5, deadline=None)
@given(data=st.data(), size=LARGER, others=st.lists(LARGER, min_size=2, max_size=2))
def test_every_layer_makes_here_and_elsewhere_what_torch_makes(kind, data, size, others):
    layer = data.draw(LAYERS[kind])
    last = nn.Conv2d(layer(torch.rand(1, 4, 20, 20)).shape[1], 3, 1)  # its connections tell the layer's shape
    network = nn.Sequential(layer, last)
    cost = account(network, size=size, NIC=4)
    assert not cost.notes
    assert holds(cost, {"H": size[0], "W": size[1]})
    for there in (size, *others):
        values = {"H": there[0], "W": there[1]}
        if not holds(cost, values):
            continue
        expected, made = run_for_real(network, there)
        assert {what: at(str(cost.totals[what].formula), values) for what in WHAT} == expected
        for row in cost.rows:
            sides = tuple(at(str(side), values) for side in row.made)
            assert sorted(sides) == sorted(made[row.name].shape[1:])  # channels come last in a linear layer
    assert {what: cost.totals[what].value for what in WHAT} == run_for_real(network, size)[0]


# torchvision's published figures


class Allocations(TorchDispatchMode):
    """Remembers the bytes of the largest tensor that has numbers."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for made in out if isinstance(out, list | tuple) else (out,):
            if isinstance(made, torch.Tensor) and not made.is_meta:
                self.largest = max(self.largest, made.untyped_storage().nbytes())
        return out


@functools.cache
def torchvision_network(name):
    """Of shapes alone, as torchvision builds it."""
    from torchvision.models import get_model

    auxiliary = {} if name.startswith("lraspp") else {"aux_loss": True}
    with torch.device("meta"):
        return get_model(name, weights=None, weights_backbone=None, num_classes=21, **auxiliary)


@functools.cache
def torchvision_cost(name, side):
    """Found without making any numbers."""
    with Allocations() as allocations:
        cost = account(torchvision_network(name), size=(side, side))
    assert allocations.largest < 1000
    return cost


@pytest.mark.parametrize(
    ("name", "side", "parameters", "billions"),
    [
        ("deeplabv3_resnet50", 224, 42_004_074, 178.722),
        ("deeplabv3_resnet101", 520, 60_996_202, 258.743),
        ("deeplabv3_mobilenet_v3_large", 520, 11_029_328, 10.452),
        ("lraspp_mobilenet_v3_large", 520, 3_221_538, 2.086),
    ],
)
def test_torchvisions_networks_cost_at_520_by_520_what_torchvision_publishes(name, side, parameters, billions):
    cost = torchvision_cost(name, side)
    assert cost.totals["weights"].value == cost.totals["weights"].formula == parameters
    assert not cost.notes and not cost.conditions
    connections = at(str(cost.totals["connections"].formula), {"H": 520, "W": 520})
    assert round(float(connections / 10**9), 3) == billions
    assert connections == multiply_adds(torchvision_network(name), torch.empty(1, 3, 520, 520, device="meta"))
    assert side == 224 or cost.totals["connections"].value == connections


def test_image_pooling_keeps_doubling_below_four():
    growth = torchvision_cost("deeplabv3_resnet50", 224).doubled["connections"]
    assert round(float(growth.ratio), 5) == 3.99995
    assert growth.words == "×3.999953, nearly 4" and not growth.everywhere
    assert any("classifier.0.convs.4" in name for name in growth.because)
    assert round(float(torchvision_cost("deeplabv3_mobilenet_v3_large", 520).doubled["connections"].ratio), 3) == 3.884


def test_numbers_would_be_noticed():
    with Allocations() as allocations:
        Cnn(3, 8, 5)
    assert allocations.largest == 4 * 9 * 16 * 16


def test_a_pretrained_network_has_its_classes_as_a_symbol():
    cost = account("colour_alone", size=(8, 6), K=5)
    assert [cost.totals[what].formula for what in WHAT] == [10 * K, H * W * K, 9 * H * W * K]


# Conventions


def plain_network():
    """Four channels, halved and enlarged again: 3 x 3, BatchNorm, ReLU, pooling, bilinear, 1 x 1."""
    enlarge = nn.Upsample(scale_factor=2, mode="bilinear")
    conv, last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 1)
    return nn.Sequential(conv, nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), enlarge, last)


@pytest.mark.parametrize(
    ("convention", "what", "expected"),
    [
        ({}, "outputs", 4 * 48 + 4 * 12 + 4 * 48 + 2 * 48),
        ({"outputs": "every"}, "outputs", 3 * 4 * 48 + 4 * 12 + 4 * 48 + 2 * 48),
        ({"outputs": "final"}, "outputs", 2 * 48),
        ({}, "connections", 27 * 4 * 48 + 4 * 2 * 48),
        ({"connections": "pooling"}, "connections", 27 * 4 * 48 + 4 * 2 * 48 + 4 * (4 * 12) + 4 * (4 * 48)),
        ({}, "weights", 27 * 4 + 4 + 8 + 10),
        ({"normalization": "statistics"}, "weights", 27 * 4 + 4 + 16 + 10),
        ({"normalization": "none"}, "weights", 27 * 4 + 4 + 10),
    ],
)
def test_conventions_count_what_they_say(convention, what, expected):
    cost = account(plain_network(), size=(8, 6), convention=Conventions(**convention))
    assert cost.totals[what].value == at(str(cost.totals[what].formula), {"H": 8, "W": 6}) == expected
    assert cost.statistics == 8
    for other in set(WHAT) - {what}:
        assert cost.totals[other] == account(plain_network(), size=(8, 6)).totals[other]


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
def test_the_final_outputs_are_the_answers(size):
    cost = account("unet", size=size, convention=Conventions(outputs="final"))
    assert cost.totals["outputs"].formula == H * W * NC
    assert cost.totals["outputs"].value == Cnn(3, 2, 24).eval()(torch.rand(1, 1, *size)).numel()


def test_the_final_outputs_need_no_layer_with_units():
    cost = account(nn.Sequential(nn.ReLU()), size=(5, 4), convention=Conventions(outputs="final"))
    assert cost.totals["outputs"].value == 3 * 5 * 4


def test_every_output_counts_sums():
    assert account(Residual(3), size=(5, 4), NIC=4, convention=Conventions(outputs="every")).totals[
        "outputs"
    ].formula == sympy.expand(3 * 4 * H * W + 4)  # convolution, sum, product; and the pooled


def test_every_output_counts_joins():
    cost = account(Joined(3), size=(5, 4), NIC=4, convention=Conventions(outputs="every"))
    assert cost.totals["outputs"].formula == (3 + 7) * H * W


@pytest.mark.parametrize(
    ("convention", "message"),
    [
        ({"outputs": "all"}, r"convention outputs is 'all'; expected one of units, every, final"),
        ({"connections": "macs"}, r"convention connections is 'macs'; expected one of convolutions, pooling"),
        ({"normalization": "yes"}, r"convention normalization is 'yes'; expected one of learned, statistics, none"),
    ],
)
def test_an_unknown_convention_is_refused_with_the_choices(convention, message):
    with pytest.raises(BadSetting, match=message):
        Conventions(**convention)


# Growth


def test_growth_far_from_four_is_not_called_nearly_four():
    growth = account(nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1)), size=(1, 1)).doubled["outputs"]
    assert growth.ratio == sympy.Rational(5, 2)
    assert "nearly" not in growth.words


def test_outputs_that_padding_leaves_as_they_are_are_unchanged_at_this_size_only():
    """2 x 2 and 4 x 4 are both padded to 4 x 4, but 4 x 4 and 8 x 8 are not."""
    growth = account("cnn", size=(2, 2)).doubled["outputs"]
    assert growth.ratio == 1 and not growth.everywhere
    assert growth.words == "unchanged, at this size"


class Larger(nn.Module):
    """Convolves again if the picture is large."""

    def __init__(self, large, last=True):
        super().__init__()
        self.first, self.again, self.large = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1), large
        self.last = nn.Conv2d(3, 2, 1) if last else nn.Identity()

    def forward(self, x):
        x = self.first(x) if isinstance(self.last, nn.Conv2d) else x
        return self.last(self.again(x) if self.large(x.shape[2]) else x)


def test_growth_from_nothing_is_not_called_unchanged():
    growth = account(Larger(lambda h: h > 40, last=False), size=(32, 32)).doubled["connections"]
    assert growth.doubled.value == 81 * 64 * 64
    assert not growth.words.startswith("unchanged")


@pytest.mark.parametrize("side", [32, 60])
def test_growth_is_not_the_same_everywhere_if_the_doubled_picture_takes_another_way(side):
    """At 32, 64 is still small and the ratio is 4; at 60, 120 is large and it is more: the conditions allow both."""
    cost = account(Larger(lambda h: h > 100), size=(side, side))
    assert cost.to_mapping()["conditions"] == ["H <= 100"]
    assert not cost.doubled["connections"].everywhere


# What cannot be followed


class Mixing(nn.Module):
    """A function between two convolutions."""

    def __init__(self, function, last=2):
        super().__init__()
        self.first, self.mix, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Identity(), nn.Conv2d(4, last, 1)
        self.mix.forward = function

    def forward(self, x):
        return self.last(self.mix(self.first(x)))


FOREIGN = {
    "fft_fft2": lambda x: torch.fft.fft2(x).real,
    "cumsum": lambda x: torch.cumsum(x, 2),
    "roll_and_sort": lambda x: torch.sort(x, dim=2)[0],
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2)[:, :4],
}


def says_nothing_wrong(network, size, others):
    """Connections elsewhere are right wherever the conditions hold, or stand as a number that a note tells of."""
    cost = account(network, size=size)
    quantity = cost.totals["connections"]
    assert quantity.value == multiply_adds(network, torch.rand(1, 3, *size))
    if not quantity.formula.free_symbols:
        assert any("stand as numbers" in note for note in cost.notes)
        return
    assert holds(cost, {"H": size[0], "W": size[1]})
    for there in others:
        values = {"H": there[0], "W": there[1]}
        if holds(cost, values):
            expected = multiply_adds(network, torch.rand(1, 3, *there))
            assert at(quantity.to_mapping()["formula"], values) == expected, (quantity, there, cost.conditions)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_function_that_cannot_be_followed_is_named_with_its_layer(name):
    network = Mixing(FOREIGN[name])
    notes = account(network, size=(8, 8)).notes
    named = name if name != "roll_and_sort" else "sort"
    assert any(note.startswith("could not be followed") and f"{named} in mix" in note for note in notes)
    says_nothing_wrong(network, (8, 8), [(10, 12), (16, 16), (9, 7)])


ASKING = {
    "h > 40": lambda h: h > 40,
    "half": lambda h: h / 2 > 20,
    "int(h * 0.5)": lambda h: int(h * 0.5) > 20,
    "remainder": lambda h: h % 48 == 0,
    "one of": lambda h: h in (48, 64),
    "smaller of": lambda h: min(h, 40) == 40,
    "h >> 6": lambda h: h >> 6,
    "h & 64": lambda h: h & 64,
    "divmod": lambda h: divmod(h, 48)[0],
    "h // 48.0": lambda h: h // 48.0,
    "floor": lambda h: math.floor(h) > 40,
    "root": lambda h: math.sqrt(h) > 6.5,
    "float": lambda h: float(h) > 40,
    "float on the left": lambda h: 1.5 * h > 60,
    "float on the left, below": lambda h: 1.5 * h > 45,
    "float on the left, divided": lambda h: 100.0 // h < 3,
    "logarithm": lambda h: math.log2(h) > 5.5,
    "range": lambda h: len(range(h)) > 40,
    "text": lambda h: int(str(h)) > 40,
    "no size at all": lambda h: False,
}


@pytest.mark.parametrize("name", ASKING)
def test_nothing_wrong_is_said_of_sizes_that_take_another_way(name):
    says_nothing_wrong(Larger(ASKING[name]), (32, 32), [(64, 64), (48, 32), (40, 9), (33, 32), (31, 40), (16, 16)])


MADE = {
    "int(1.5 * h)": lambda h: int(1.5 * h),
    "int(h * 0.5)": lambda h: int(h * 0.5),
    "int(h)": lambda h: int(h),
    "h >> 1": lambda h: h >> 1,
    "math.ceil(h / 3)": lambda h: math.ceil(h / 3),
    "round(h * 0.3)": lambda h: round(h * 0.3),
    "math.floor(h * 0.7)": lambda h: math.floor(h * 0.7),
    "math.isqrt(h)": math.isqrt,
    "root": lambda h: math.floor(h**0.5),
    "one by one": lambda h: len([None for _ in range(h)]),
    "for every ten": lambda h: 4 + len(range(h // 10)),
    "at most": lambda h: min(h, 40),
}


@pytest.mark.parametrize("name", MADE)
def test_nothing_wrong_is_said_of_sizes_that_a_network_computes(name):
    network = Mixing(lambda x: F.interpolate(x, size=(MADE[name](x.shape[2]), x.shape[3])))
    says_nothing_wrong(network, (32, 32), [(64, 64), (48, 32), (40, 9), (33, 32), (31, 40), (30, 30), (90, 90)])


CUT = {
    "a fixed end": (lambda x: x[:, :, :40], (32, 32)),
    "a fixed beginning": (lambda x: torch.cat([x, x[:, :, 40:]], 2), (32, 32)),
    "a beginning far away": (lambda x: torch.cat([x, x[:, :, 200:]], 2), (32, 32)),
    "an end far away": (lambda x: x[:, :, :200], (32, 32)),
    "the last 200 rows": (lambda x: x[:, :, -200:], (32, 32)),
    "all but 200 rows": (lambda x: torch.cat([x, x[:, :, :-200]], 2), (32, 32)),
    "counted from a size": (lambda x: x[:, :, x.shape[2] - 50 :], (64, 32)),
    "parts of 24 rows": (lambda x: torch.cat([p.amax(2, True) for p in x.split(24, dim=2)], 2), (32, 32)),
    "parts of 150 rows": (lambda x: torch.cat([p.amax(2, True) for p in x.split(150, dim=2)], 2), (32, 32)),
    "two halves": (lambda x: torch.cat([p.amax(2, True) for p in x.chunk(2, dim=2)], 2), (32, 32)),
    "five parts": (lambda x: torch.cat([p.amax(2, True) for p in x.chunk(5, dim=2)], 2), (16, 16)),
    "every third": (lambda x: x[:, :, 1::3], (32, 32)),
    "without the border": (lambda x: x[:, :, 1:-1, 2:], (32, 32)),
    "pooled, rounded up": (lambda x: F.max_pool2d(x, (2, 1), stride=(3, 1), ceil_mode=True), (30, 32)),
    "a third": (lambda x: F.interpolate(x, scale_factor=1 / 3), (32, 32)),
    "0.7 of it": (lambda x: F.interpolate(x, scale_factor=0.7), (32, 32)),
    "if it has many values": (lambda x: x[:, :, ::2] if x.numel() > 6000 else x, (32, 32)),
    "if its shape has many values": (lambda x: x[:, :, ::2] if x.shape.numel() > 6000 else x, (32, 32)),
    "if it has many rows": (lambda x: x[:, :, ::2] if len(x[0, 0]) > 40 else x, (32, 32)),
}


@pytest.mark.parametrize("name", CUT)
def test_nothing_wrong_is_said_of_sizes_that_are_cut_otherwise(name):
    cut, size = CUT[name]
    others = [(64, 64), (48, 32), (40, 36), (33, 33), (31, 40), (30, 30), (50, 66), (20, 20), (7, 6), (220, 9)]
    says_nothing_wrong(Mixing(cut), size, others)


def test_a_formula_in_the_height_alone_leaves_the_width_its_own():
    cost = account(Mixing(lambda x: x.mean(3, keepdim=True)), size=(9, 7))
    assert cost.totals["connections"].formula == 108 * H * W + 8 * H


# Errors


def refused(message, model, size=(8, 8), **widths):
    with pytest.raises(BadSetting, match=message):
        account(model, size=size, **widths)


def test_a_network_that_fails_is_refused_with_its_layer():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.Conv2d(5, 4, 1)))
    refused(
        r"fails in its layer '1.0' on pictures of 1 x 3 x 8 x 8 .*RuntimeError: .*; give --size or --channels", network
    )


@pytest.mark.parametrize("answer", [None, "text", 3.0, {}, [], {"out": None}])
def test_a_network_that_answers_no_tensor_is_refused(answer):
    network = Mixing(nn.Identity())
    network.forward = lambda x: answer
    refused(r"the network answers with \w+; expected a tensor, or tensors", network)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if x.mean() > 0 else -x,
        lambda x: x * x.mean().item(),
        lambda x: x * float(x.sum()),
        lambda x: x[:, :, : int(x.sum())],
        lambda x: x if (x > 0).any() else -x,
        lambda x: x if torch.equal(x, -x) else -x,
        lambda x: x + x[x > 0].mean(),
        lambda x: x + torch.nonzero(x).sum(),
    ],
)
def test_a_network_that_looks_at_values_is_refused(function):
    refused(r"the network looks at the values of a tensor .*\bmix\b.*Expected choices by sizes alone", Mixing(function))


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(UnknownName, match=r"unknown model 'unett'; known: cnn, .*did you mean 'unet'"):
        account("unett")


@pytest.mark.parametrize(
    ("model", "widths", "message"),
    [
        ("lookup", {"NF": 3}, r"lookup has no NF; the widths that can be given are: NC"),
        ("cnn", {"K": 3, "H": 4}, r"cnn has no K and no H; .*: k, NF, NC, NIC"),
        ("deeplabv3_resnet50", {"NF": 3}, r"deeplabv3_resnet50 has no NF; .*: K"),
        ("cnn", {"NF": 0}, r"num_filters is 0; expected 1 to 4096"),
    ],
)
def test_a_width_that_a_network_does_not_have_is_refused(model, widths, message):
    refused(message, model, **widths)


@pytest.mark.parametrize("width", ["NF", "H", "filters"])
def test_a_network_that_is_there_already_has_no_widths_to_give(width):
    refused(f"Conv2d has no {width}", nn.Conv2d(3, 4, 1), **{width: 5})


class Unready(nn.Module):
    """Cannot be copied."""

    def __init__(self):
        super().__init__()
        self.rows = (row for row in range(3))

    def forward(self, x):
        return x


@pytest.mark.parametrize("network", [nn.LazyConv2d(4, 1), Unready()])
def test_networks_that_cannot_be_copied_are_refused_in_words(network):
    refused(r"copied|parameter", network)


# What works all the same


def test_a_network_for_one_size_alone_is_accounted_for_there():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 8 * 6, 5))
    cost = account(network, size=(8, 6))
    expected, _ = run_for_real(network, (8, 6), channels=3)
    assert {what: cost.totals[what].value for what in WHAT} == expected


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        (lambda x: {"out": x, "aux": x[:, :1]}, 4),
        (lambda x: {"a": x, "b": x[:, :1]}, 5),
        (lambda x: (x, [x[:, :1], x[:, :2]]), 7),
        (lambda x: [x, None, 3], 4),
        (lambda x: (x, [], {}), 4),
    ],
)
def test_answers_may_be_dictionaries_and_tuples(answer, final):
    network = Mixing(nn.Identity())
    network.forward = lambda x: answer(network.first(x))
    cost = account(network, size=(8, 6), convention=Conventions(outputs="final"))
    assert cost.totals["outputs"].formula == final * H * W


def test_shared_weights_are_counted_once_and_their_products_in_their_own_layers():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
    network[1].weight = network[0].weight
    cost = account(network, size=(8, 6))
    assert cost.totals["weights"].value == 9 + 3 + 3
    assert "1.weight is 0.weight, and counted once" in cost.notes
    assert [(row.name, row.counts["connections"].formula) for row in cost.rows] == [("0", 9 * H * W), ("1", 9 * H * W)]


def test_a_module_used_twice_has_its_weights_once_and_its_connections_twice():
    layer = nn.Conv2d(3, 3, 1)
    cost = account(nn.Sequential(layer, layer), size=(8, 6))
    assert cost.totals["weights"].value == 12
    assert cost.totals["connections"].formula == 18 * H * W
    assert "called more than once: 0 (2 times)" in cost.notes
    assert [row.calls for row in cost.rows] == [2]


def test_weights_that_an_answer_does_not_use_are_counted_and_named():
    network = Mixing(nn.Identity())
    network.spare = nn.Linear(5, 6)
    cost = account(network, size=(8, 6))
    assert "has weights that an answer does not use: spare.bias, spare.weight" in cost.notes
    assert cost.totals["weights"].value == 112 + 10 + 36


FACTORIES = """
import torch
from torch import nn

def factory(NF=8, num_classes=5):
    return nn.Sequential(nn.Conv2d(3, NF, 3, padding=1), nn.BatchNorm2d(NF), nn.Conv2d(NF, num_classes, 1))

def with_numbers(filters=8):
    rate = torch.linspace(0, 1, 5)[1].item()
    return nn.Sequential(nn.Conv2d(3, filters, 1), nn.Dropout(rate))

def grouped(NF=8):
    return nn.Sequential(nn.Conv2d(3, NF, 1), nn.GroupNorm(2 if NF % 2 == 0 else 1, NF), nn.PReLU(NF))

def deep(NF=8):
    return nn.Sequential(nn.Conv2d(3, NF, 1), *[nn.Conv2d(NF, NF, 1) for _ in range(NF // 4)])

there = nn.Conv2d(3, 4, 1)
"""


@pytest.fixture
def factories(tmp_path):
    path = tmp_path / "file.py"
    path.write_text(FACTORIES)
    return path


def test_a_factorys_widths_are_symbols(factories):
    cost = account(f"{factories}:factory", size=(8, 6), NF=3)
    assert cost.widths == {"NF": 3, "K": 5}
    assert cost.totals["weights"].formula == 30 * NF + NF * K + K
    assert cost.totals["outputs"].formula == H * W * NF + H * W * K
    assert cost.totals["connections"].formula == sympy.expand(H * W * (27 * NF + NF * K))
    assert cost.totals["connections"].value == 48 * (27 * 3 + 15)
    assert not cost.notes


def test_a_factory_may_look_at_numbers(factories):
    cost = account(f"{factories}:with_numbers", size=(8, 6), NF=3)
    assert cost.totals["weights"].formula == 4 * NF


def test_a_factory_may_ask_for_its_widths_and_needs_no_condition_for_a_slope_for_each_channel(factories):
    cost = account(f"{factories}:grouped", size=(8, 6))
    assert cost.to_mapping()["conditions"] == ["NF is even"]
    assert cost.totals["weights"].formula == 4 * NF + 2 * NF + NF


def test_a_depth_that_follows_from_a_width_is_not_taken_for_every_width(factories):
    cost = account(f"{factories}:deep", size=(8, 6), NF=8)
    formula = cost.totals["weights"].formula
    wider = account(f"{factories}:deep", size=(8, 6), NF=16).totals["weights"].value
    assert formula.subs(NF, 16) == wider == 64 + 4 * 272 or not formula.free_symbols


def test_a_file_may_hold_the_network_itself(factories):
    cost = account(f"{factories}:there", size=(8, 6))
    assert cost.totals["connections"].formula == 12 * H * W


@pytest.mark.parametrize("channels", [4, 8, 32])
def test_slopes_of_prelu_are_no_condition_on_the_width(channels):
    cost = account(nn.Sequential(nn.Conv2d(3, channels, 1), nn.PReLU(channels)), size=(8, 8))
    assert not cost.conditions and not cost.notes
    assert cost.totals["outputs"].formula == channels * H * W


def test_a_network_that_is_given_is_not_changed():
    network = plain_network().train()
    network[1].eval()
    network[0].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    account(network, size=(8, 6))
    assert [module.training for module in network] == [True, False, True, True, True, True] and network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert {p.device.type for p in network.parameters()} == {"cpu"}
    assert [p.requires_grad for p in network.parameters()] == [False] + 5 * [True]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert network(torch.rand(2, 3, 8, 6)).shape == (2, 2, 8, 6)


def test_an_account_leaves_random_numbers_and_the_usual_device_alone():
    state = torch.get_rng_state()
    account("cnn", size=(4, 4))
    with pytest.raises(BadSetting):
        account("cnn", size=(0, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.empty(1).device.type == "cpu"


@pytest.mark.parametrize("name", ["cnn", "unet", "residual_unet", "lookup", "colour_alone"])
def test_a_picture_may_be_a_single_pixel(name):
    cost = account(name, size=(1, 1))
    network = subject_of(name, {}).build(cost.widths).network
    seen = torch.empty(1, 3 if "K" in cost.widths else 1, 1, 1, device="meta")
    assert cost.totals["connections"].value == multiply_adds(network, seen)
    assert at(str(cost.totals["connections"].formula), {**cost.widths, "H": 1, "W": 1}) == multiply_adds(network, seen)


@pytest.mark.parametrize("widths", [{"k": 31}, {"NC": 255}, {"NF": 4096}])
def test_formulas_are_compared_elsewhere_even_for_the_largest_widths(widths):
    cost = account("cnn", size=(4, 4), **widths)
    assert cost.checked.endswith("torch's counter agrees")


def test_where_formulas_were_compared_is_told():
    cost = account("cnn", size=(9, 10))
    assert cost.checked.startswith("k = ") and cost.checked.endswith("torch's counter agrees")
    product = Mixing(
        lambda x: torch.baddbmm(x[:, :1, :1, 0], x[:, 0], x[:, 1].transpose(1, 2))[:, None].expand(
            -1, x.shape[1], -1, -1
        )
    )
    assert "torch's counter finds" in account(product, size=(8, 8)).checked
