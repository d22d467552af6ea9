"""The networks: the open convolution against torch's and a plain loop, sizes, the lookup against counting."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pixelwise.config import ModelSettings
from pixelwise.errors import BadSetting, UnknownName
from pixelwise.grey import GREY_LEVELS, grey_levels, grey_of
from pixelwise.models.build import MODELS, build_model
from pixelwise.models.cnn import Cnn
from pixelwise.models.conv import MyConv2d
from pixelwise.models.lookup import GreyTable, Lookup
from pixelwise.models.unet import SKIPS, UNet


def torch_twin(layer):
    """torch's own convolution with the same weights and the same zeros around the picture."""
    filters, channels, kernel, _ = layer.weight.shape
    twin = nn.Conv2d(channels, filters, kernel).double()
    twin.weight.data, twin.bias.data = layer.weight.data.clone(), layer.bias.data.clone()
    before, after = (kernel - 1) // 2, kernel // 2
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), twin)


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 4),
    filters=st.integers(1, 4),
    kernel=st.integers(1, 6),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_both_routes_and_torch_agree_in_value_and_gradient(channels, filters, kernel, size):
    torch.manual_seed(0)
    open_layer = MyConv2d(channels, filters, kernel, route="unfold").double()
    twin = torch_twin(open_layer)
    fast = MyConv2d(channels, filters, kernel).double()
    fast.load_state_dict(open_layer.state_dict())
    x = torch.randn(2, channels, *size, dtype=torch.float64)
    weight_of_outputs = torch.randn(2, filters, *size, dtype=torch.float64)
    answers = []
    for layer in (open_layer, fast, twin):
        seen = x.clone().requires_grad_()
        out = layer(seen)
        (out * weight_of_outputs).sum().backward()
        answers.append((out, seen.grad, *(parameter.grad for parameter in layer.parameters())))
    for value, *others in zip(*answers, strict=True):
        for other in others:
            torch.testing.assert_close(value, other, rtol=1e-10, atol=1e-10)


def test_convolution_is_the_sum_in_its_docstring():
    layer = MyConv2d(2, 3, 4)
    x = torch.randn(1, 2, 3, 5)
    out = layer(x)
    top = left = 1
    for o, y, column in np.ndindex(3, 3, 5):
        total = layer.bias[o].item()
        for i, u, v in np.ndindex(2, 4, 4):
            row, place = y + u - top, column + v - left
            if 0 <= row < 3 and 0 <= place < 5:
                total += layer.weight[o, i, u, v].item() * x[0, i, row, place].item()
        assert out[0, o, y, column].item() == pytest.approx(total, abs=1e-5)


def test_convolution_starts_as_torch_does():
    bound = 1 / (3 * 5**2) ** 0.5
    layer = MyConv2d(3, 400, 5)
    assert layer.weight.abs().max().item() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize(("nf", "nc"), [(32, 24), (5, 7)])
def test_cnn_has_the_exercises_weights(nf, nc):
    learned = sum(p.numel() for p in Cnn(3, nf, nc).parameters())
    assert learned == 27 * nf + 72 * nf**2 + 9 * nc**2 + 9 * nf * nc + 4 * nc


def test_unet_adds_the_weights_of_its_skips():
    nf, nc = 6, 5
    plain, skipping = (sum(p.numel() for p in net(3, nf, nc).parameters()) for net in (Cnn, UNet))
    assert skipping - plain == 9 * (2 * nf * nf + nf * nc + 1 * nc)  # second, first and the grey picture, by 3 x 3


def test_unet_skips_carry_detail():
    """Only the skip from the grey picture can tell two pixels of one 4 x 4 block apart when the rest is constant."""
    net = UNet(1, 4, 3).eval()
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 1, 1] = 1
    logits = net(x)
    plain = Cnn(1, 4, 3).eval()(x)
    assert not torch.equal(logits[0, :, 1, 1], logits[0, :, 0, 0])
    assert torch.equal(plain[0, :, 1, 1], plain[0, :, 0, 0])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [(32, 32), (1, 1), (1, 50), (33, 30), (7, 5)])
@pytest.mark.parametrize("kernel", [2, 3])
def test_every_model_takes_every_size(name, size, kernel):
    space = "oklab" if name.startswith("hypercolumn") else "rgb"
    model = build_model(ModelSettings(name=name, num_filters=4, num_colours=5, kernel=kernel, space=space)).eval()
    assert model(torch.rand(2, 1, *size)).shape == (2, 5, *size)


@pytest.mark.parametrize("name", ["cnn", "unet", "residual_unet"])
def test_padding_does_not_change_what_needs_none(name):
    """A picture of 8 x 8 gives the same as the top left of itself continued the way padding would."""
    model = build_model(ModelSettings(name=name, num_filters=4, num_colours=5, kernel=1)).eval()
    x = torch.rand(1, 1, 8, 6)
    wider = torch.cat([x, x[:, :, :, -1:], x[:, :, :, -1:]], dim=3)
    torch.testing.assert_close(model(x), model(wider)[:, :, :, :6])


def test_unknown_model_lists_the_known_ones():
    with pytest.raises(
        UnknownName,
        match=r"known: cnn, hypercolumn_efficientnet_lite0, lookup, .*did you mean 'unet'",
    ):
        build_model(ModelSettings(name="unett"))


def test_a_palettes_network_sees_one_channel():
    with pytest.raises(BadSetting, match="num_in_channels is 3"):
        build_model(ModelSettings(name="cnn", num_in_channels=3))


def test_grey_levels_are_exact_for_every_sum():
    sums = torch.arange(GREY_LEVELS)
    red = sums.clamp(max=255)
    green = (sums - 255).clamp(0, 255)
    blue = (sums - 510).clamp(0, 255)
    pixels = torch.stack([red, green, blue]).to(torch.uint8).view(1, 3, 1, -1)
    assert torch.equal(grey_levels(grey_of(pixels)).flatten(), sums)


def test_table_counts_as_a_loop_does():
    generator = torch.Generator().manual_seed(0)
    grey = torch.randint(0, 20, (3, 1, 6, 5), generator=generator) / 765
    ids = torch.randint(0, 4, (3, 6, 5), generator=generator, dtype=torch.uint8)
    table = GreyTable.fitted(4, [(grey[:2], ids[:2]), (grey[2:], ids[2:])])
    counted = torch.zeros(GREY_LEVELS, 4, dtype=torch.int64)
    for level, label in zip(grey_levels(grey).flatten().tolist(), ids.flatten().tolist(), strict=True):
        counted[level, label] += 1
    assert torch.equal(table.counts, counted)


def test_lookup_gives_shares_and_fills_levels_never_seen_from_their_neighbours():
    counts = torch.zeros(GREY_LEVELS, 2, dtype=torch.int64)
    counts[100], counts[300] = torch.tensor([3000, 1000]), torch.tensor([0, 4000])
    probabilities = Lookup(2, GreyTable(counts)).at(torch.tensor([[[100, 300, 0, 200, 201, 765]]])).exp()[0, 0, 0]
    expected = torch.tensor([0.75, 0.0, 0.75, 0.75, 0.0, 0.0])
    torch.testing.assert_close(probabilities, expected, atol=1e-4, rtol=0)


def test_residual_unet_starts_as_the_lookup():
    counts = torch.randint(0, 9, (GREY_LEVELS, 6), generator=torch.Generator().manual_seed(1))
    model = build_model(ModelSettings(name="residual_unet", num_filters=4, num_colours=6), GreyTable(counts)).eval()
    grey = torch.rand(2, 1, 9, 10)
    assert torch.equal(model(grey), Lookup(6, GreyTable(counts))(grey))


def test_trained_residual_unet_answers_alike_for_a_picture_and_its_mirror_image():
    model = build_model(ModelSettings(name="residual_unet", num_filters=4, num_colours=6)).eval()
    nn.init.normal_(model.last.weight)
    grey = torch.rand(2, 1, 8, 12)
    torch.testing.assert_close(model(grey), model(grey.flip(3)).flip(3))
    learnt = model.learnt((grey - 0.5) * 4)
    assert not torch.allclose(learnt, model.learnt((grey.flip(3) - 0.5) * 4).flip(3))


def test_residual_unet_has_at_most_300_000_weights_as_it_is_used():
    model = build_model(ModelSettings.from_mapping({"name": "residual_unet", **MODELS["residual_unet"].model}))
    assert sum(p.numel() for p in model.parameters()) <= 300_000


def test_unet_without_skip_connections_is_the_plain_network():
    plain, bare = Cnn(3, 4, 5), UNet(3, 4, 5, skips=())
    bare.load_state_dict(plain.state_dict())
    x = torch.rand(2, 1, 13, 18)
    assert torch.equal(bare(x), plain(x))


@pytest.mark.parametrize(("skip", "weights"), [("quarter", 2 * 4 * 9 * 4), ("half", 4 * 9 * 5), ("whole", 9 * 5)])
def test_each_skip_connection_carries_what_its_twin_made(skip, weights):
    def counted(*skips):
        return sum(p.numel() for p in UNet(3, 4, 5, skips=skips).parameters())

    assert counted(skip) - counted() == weights
    others = [other for other in SKIPS if other != skip]
    assert counted(*SKIPS) - counted(*others) == weights
    settings = ModelSettings(name="unet", num_filters=4, num_colours=5, skips=(skip,))
    assert sum(p.numel() for p in build_model(settings).parameters()) == counted(skip)


def test_a_connection_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(BadSetting, match=r"skips is \('sky',\); expected some of quarter, half, whole"):
        ModelSettings.from_mapping({"skips": ["sky"]})


@pytest.mark.parametrize("name", ["lookup", "cnn", "residual_unet"])
def test_only_unet_can_leave_skip_connections_out(name):
    with pytest.raises(BadSetting, match=f"{name} has none to leave out"):
        build_model(ModelSettings(name=name, skips=("half",)))
