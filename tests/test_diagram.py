"""Diagrams show what a network does: the recorded steps and edges, the boxes they become, and that nothing changes."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise.errors import BadSetting
from pixelwise.models.cnn import Cnn
from pixelwise.models.conv import MyConv2d
from pixelwise.models.hypercolumn import Hypercolumn
from pixelwise.models.lookup import Lookup
from pixelwise.models.preprocessed import Preprocessed, padded
from pixelwise.models.residual_unet import ResidualUNet
from pixelwise.models.unet import SKIPS, UNet
from pixelwise.report.diagram import diagram
from pixelwise.report.diagram_flow import boxes_of, summed_up
from pixelwise.report.diagram_trace import recorded


def chain(*names):
    return list(itertools.pairwise(names))


CNN = chain(
    "picture",
    *[f"down1.{i}" for i in range(4)],
    *[f"down2.{i}" for i in range(4)],
    *[f"middle.{i}" for i in range(3)],
    *[f"up1.{i}" for i in range(4)],
    *[f"up2.{i}" for i in range(4)],
    "last",
)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_plain_network_is_a_chain():
    record = recorded(Cnn(3, 4, 5))
    assert record.edges == CNN
    assert [node.kind for node in record.nodes[:5]] == ["picture", "MyConv2d", "MaxPool2d", "BatchNorm2d", "ReLU"]
    assert [node.shape for node in record.nodes[:3]] == [(1, 32, 32), (4, 32, 32), (4, 16, 16)]
    assert record.outputs == (len(record.nodes) - 1,)


def test_skip_connections_go_into_concatenations():
    edges = recorded(UNet(3, 4, 5)).edges
    into_cats = [edge for edge in edges if edge[1] == "cat"]
    assert into_cats == [
        ("middle.2", "cat"),
        ("down2.3", "cat"),
        ("up1.3", "cat"),
        ("down1.3", "cat"),
        ("up2.3", "cat"),
        ("picture", "cat"),
    ]
    out_of_cats = [edge for edge in edges if edge[0] == "cat"]
    assert out_of_cats == [("cat", "up1.0"), ("cat", "up2.0"), ("cat", "last")]
    within = {edge for edge in edges if "cat" not in edge}
    assert within == set(CNN) - {("middle.2", "up1.0"), ("up1.3", "up2.0"), ("up2.3", "last")}


@pytest.mark.parametrize("skips", [s for n in range(4) for s in itertools.combinations(SKIPS, n)], ids="+".join)
def test_each_subset_of_skips_is_drawn_as_it_is(skips):
    model = UNet(3, 4, 5, skips=skips)
    boxes = boxes_of(recorded(model))
    joins = [box for box in boxes if box.joins]
    twins = {"quarter": "down2.0", "half": "down1.0", "whole": "picture"}
    assert [boxes[box.inputs[1]].name for box in joins] == [twins[name] for name in SKIPS if name in skips]
    assert len(boxes) == 7 + len(skips)
    figure = diagram(model)
    arrows = [patch for patch in figure.axes[0].patches if type(patch).__name__ == "FancyArrowPatch"]
    assert len(arrows) == 6 + 2 * len(skips)


def test_cheap_steps_stand_in_the_box_of_their_convolution():
    boxes = boxes_of(recorded(Cnn(3, 4, 5)))
    assert boxes[1].steps == ["conv 3×3, 4", "max pool 2×2", "BatchNorm", "ReLU"]
    assert boxes[4].steps == ["conv 3×3, 4", "up ×2", "BatchNorm", "ReLU"]
    assert [box.leaving for box in boxes[:3]] == [(1, 32, 32), (4, 16, 16), (8, 8, 8)]
    said = texts(diagram(Cnn(3, 4, 5)))
    assert said[:7] == ["picture", "1 @ 32×32", "conv 3×3, 4", "max pool 2×2", "BatchNorm", "ReLU", "4 @ 16×16"]


def test_a_box_is_as_high_as_its_pictures_and_lower_where_they_are_smaller():
    figure = diagram(Cnn(3, 4, 5))
    shapes = {p.get_label(): p.get_xy() for p in figure.axes[0].patches if type(p).__name__ == "Polygon"}
    before, after = [abs(shapes["down1.0"][a][1] - shapes["down1.0"][b][1]) for a, b in ((0, 1), (2, 3))]
    assert before == pytest.approx(2 * after)
    middles = {name: (corners[2][1] + corners[3][1]) / 2 for name, corners in shapes.items()}
    assert middles["picture"] == middles["last"] > middles["down1.0"] == middles["up1.0"] > middles["middle.0"]
    lefts = [corners[0][0] for corners in shapes.values()]
    assert lefts == sorted(lefts)


def test_pads_and_crops_show_only_where_they_do_something():
    kinds = [node.kind for node in recorded(UNet(3, 4, 5), size=(30, 33)).nodes]
    assert (kinds[1], kinds[-1]) == ("pad", "__getitem__")
    assert "pad" not in [node.kind for node in recorded(UNet(3, 4, 5), size=(28, 32)).nodes]


def test_a_pass_over_the_mirror_image_is_recorded_once():
    record = recorded(ResidualUNet(3, 4, 5))
    assert sum(node.name == "down_full.0" for node in record.nodes) == 1
    said = [node.said for node in record.nodes]
    assert said[-4:] == ["+ its mirror image", "/ 2", "lookup table", "+"]
    assert record.nodes[-1].inputs == (len(said) - 2, len(said) - 3)
    boxes = boxes_of(record)
    assert [boxes[i].name for box in boxes if box.steps == ["concatenate"] for i in box.inputs] == [
        "bottom.3",
        "down_half.3",
        "up_half.3",
        "down_full.3",
    ]
    assert all(boxes[i].leaving[1:] == box.leaving[1:] for box in boxes if box.joins for i in box.inputs)
    assert max(len(box.steps) for box in boxes_of(record, depth=1)) <= 6
    assert "its mirror image" not in " ".join(
        node.said for node in recorded(ResidualUNet(3, 4, 5), training=True).nodes
    )


def test_other_networks_are_drawn_too():
    shown = Preprocessed(padded(Cnn(3, 4, 5), 0.5), 2.0, 0.5)
    assert boxes_of(recorded(shown))[1].steps[:3] == ["× 2", "+ 0.5", "conv 3×3, 4"]
    assert texts(diagram(Lookup(5))) == ["picture", "1 @ 32×32", "lookup table", "5 @ 32×32"]
    flat = nn.Sequential(MyConv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 7))
    assert texts(diagram(flat))[2:] == ["conv 3×3, 2", "ReLU", "flatten", "2048", "linear, 7", "7"]


def test_what_modules_of_modules_do_is_summed_up():
    model = Hypercolumn(3)
    boxes = boxes_of(recorded(model, (64, 64), 3))
    assert len(boxes) <= 20
    assert [box.name for box in boxes if box.collapsed][-1] == "trunk.blocks.5"
    joins = [box for box in boxes if box.joins]
    assert [box.steps for box in joins] == [["+"]] * 4
    assert diagram(model, (64, 64), 3, depth=1).axes
    with pytest.raises(BadSetting, match="boxes at depth 9; at most 40"):
        diagram(model, (64, 64), 3, depth=9)
    assert summed_up("a.b", ["conv", "ReLU"] * 3) == ["3 × (conv", "ReLU)"]
    assert summed_up("a.b", [f"conv {i}" for i in range(9)]) == ["b", "9 convolutions"]


def test_torchvisions_networks_are_collapsed():
    models = pytest.importorskip("torchvision.models.segmentation")
    network = models.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    boxes = boxes_of(recorded(network, (64, 64), 3))
    assert len(boxes) <= 20
    assert boxes[1].name == "backbone"
    assert boxes[1].steps[-1].endswith("convolutions")


def test_drawing_changes_nothing():
    model = ResidualUNet(3, 4, 5)  # it has BatchNorm, and dropout, which draws random numbers
    model.bottom.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random = torch.get_rng_state()
    diagram(model)
    diagram(model, training=True)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Own(nn.Module):
    """Does something to pictures."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x), x)


def test_functions_are_steps_too():
    record = recorded(Own(lambda y, x: F.interpolate(F.max_pool2d(F.relu(y), 2), scale_factor=2.0) * x))
    assert record.edges == [
        ("picture", "conv"),
        ("conv", "relu"),
        ("relu", "max_pool2d"),
        ("max_pool2d", "interpolate"),
        ("interpolate", "mul"),
        ("picture", "mul"),
    ]
    assert [node.said for node in record.nodes[2:]] == ["ReLU", "max pool 2×2", "up ×2", "×"]


def test_what_is_changed_in_place_is_followed():
    def in_place(y, x):
        y += x
        return torch.relu_(y)

    assert recorded(Own(in_place)).edges[1:] == [("conv", "add_"), ("picture", "add_"), ("add_", "relu_")]


@pytest.mark.parametrize(
    "function",
    [lambda y, x: torch.from_numpy(y.numpy()), lambda y, x: torch.zeros(1, 2, 32, 32), lambda y, x: y.shape],
)
def test_what_cannot_be_followed_is_refused(function):
    with pytest.raises(BadSetting, match="follow"):
        diagram(Own(function))


def test_what_fails_is_refused():
    with pytest.raises(BadSetting, match="fails on pictures of 1 x 3 x 32 x 32"):
        diagram(Cnn(3, 4, 5), channels=3)
    with pytest.raises(BadSetting, match="depth is 0"):
        diagram(Cnn(3, 4, 5), depth=0)
