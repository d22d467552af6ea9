"""Networks that accounting.py counts, with their true numbers, and what is expected of each tool where it differs.

The truth of a small case is written out by hand from the definition: weights of a filter times values that it makes,
zeros around the picture included, biases not. The project's own networks have the exercise's polynomials; torchvision's
have its published figures. `but` says by how much a tool is off and why (letters of accounting_causes.py), so that a
difference that nobody has explained shows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

But = Mapping[str, tuple[str, int | None]]  # by way of asking: letters, and how far off; None: it fails
BIASES = ("torchinfo", "ptflops", "ptflops, aten")  # ways that count a multiply-add for each bias (cause a)


class Net(nn.Module):
    """Some layers, and how they are called."""

    def __init__(self, how: Callable[[Any, Tensor], Any], **layers: nn.Module) -> None:
        super().__init__()
        self.how = how
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401 - a tensor, or a dictionary of them
        """Call them."""
        return self.how(self, x)


@dataclass(frozen=True)
class Case:
    """A small network, and the truth about it, by hand."""

    make: Callable[[], nn.Module]
    size: tuple[int, int, int]  # channels, rows, columns
    products: int
    outputs: int  # of products
    parameters: int
    biases: int = 0  # outputs that a bias is added to
    but: But = field(default_factory=dict)  # beside the biases, for products
    but_parameters: But = field(default_factory=dict)

    def expected(self, way: str, what: str) -> tuple[str, int | None]:
        """Letters of the causes, and how far off; ("", 0) where a tool should be right."""
        if what != "products":
            return self.but_parameters.get(way, ("", 0)) if what == "parameters" else ("", 0)
        letters, off = self.but.get(way, ("", 0))
        biases = self.biases if way in BIASES and off != -self.products else 0
        return letters + "a" * bool(biases), None if off is None else off + biases


def tokens(x: Tensor) -> Tensor:
    """Pixels in a row: n c h w becomes n (h w) c."""
    return x.flatten(2).transpose(1, 2)


def attended(net: Any, x: Tensor, **how: bool) -> Tensor:  # noqa: ANN401
    """Multi-head attention of a picture's pixels to each other."""
    t = tokens(x)
    out: Tensor = net.m(t, t, t, **how)[0]
    return out


def scaled_dot_product(net: Any, x: Tensor) -> Tensor:  # noqa: ANN401
    """The same with one head, by its function."""
    q, k, v = net.l(tokens(x)).unsqueeze(1).chunk(3, dim=-1)
    return F.scaled_dot_product_attention(q, k, v)


def shared() -> nn.Module:
    """Two modules with one weight."""
    first, second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    second.weight = first.weight
    return nn.Sequential(first, second)


def frozen() -> nn.Module:
    """A frozen layer, and a trained one."""
    return nn.Sequential(nn.Conv2d(3, 8, 1).requires_grad_(False), nn.Conv2d(8, 4, 1))


def own_convolution(route: str, name: str = "MyConv2d") -> nn.Module:
    """The project's module with parameters of its own, perhaps under another name."""
    from pixelwise import MyConv2d

    return type(name, (MyConv2d,), {})(3, 8, 3, route)


def without(off: int, letters: str, *ways: str) -> dict[str, tuple[str, int | None]]:
    """Ways that all leave out as much for the same reason."""
    return dict.fromkeys(ways, (letters, -off))


EVERY_PTFLOPS = ("ptflops", "ptflops, aten")
COUNTERS = ("FlopCounterMode", "FlopCounterMode, meta")
FVCORE = ("fvcore", "fvcore, products")
CONV = {"size": (3, 8, 10), "products": 27 * 8 * 80, "outputs": 8 * 80, "parameters": 224, "biases": 8 * 80}
POINT = {"size": (3, 8, 10), "products": 3 * 8 * 80, "outputs": 8 * 80, "biases": 8 * 80}  # 1x1, 3 to 8 channels

CASES: dict[str, Case] = {
    "Conv2d": Case(lambda: nn.Conv2d(3, 8, 3, padding=1), **CONV),
    "dilated": Case(lambda: nn.Conv2d(3, 8, 3, padding=2, dilation=2), **CONV),
    "depthwise": Case(lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8), (8, 8, 10), 9 * 8 * 80, 640, 80, 640),
    "33x31, stride 2": Case(
        lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 33, 31), 27 * 8 * 17 * 16, 8 * 17 * 16, 224, 8 * 17 * 16
    ),
    "ConvTranspose2d, stride 2": Case(
        lambda: nn.ConvTranspose2d(3, 8, 3, stride=2),
        *((3, 8, 10), 9 * 8 * 3 * 80, 8 * 17 * 21, 224, 8 * 17 * 21),
        but={"torchinfo": ("b", 9 * 8 * 3 * (17 * 21 - 80))},
    ),
    "the same in 2 groups": Case(
        lambda: nn.ConvTranspose2d(4, 8, 3, stride=2, groups=2),
        *((4, 8, 10), 9 * 4 * 4 * 80, 8 * 17 * 21, 152, 8 * 17 * 21),
        but={"torchinfo": ("b", 9 * 4 * 4 * (17 * 21 - 80)), "calflops": ("h", -9 * 4 * 2 * 80)},
    ),
    "F.conv2d": Case(
        lambda: Net(lambda n, x: F.conv2d(x, n.c.weight, n.c.bias, padding=1), c=nn.Conv2d(3, 8, 3)),
        **CONV,
        but=without(27 * 8 * 80, "c", "torchinfo", "ptflops"),
    ),
    "module called twice": Case(
        lambda: Net(lambda n, x: n.c(n.c(x)), c=nn.Conv2d(8, 8, 3, padding=1)),
        *((8, 8, 10), 2 * 9 * 8 * 8 * 80, 2 * 640, 584, 2 * 640),
    ),
    "weight of two modules": Case(
        shared, (3, 8, 10), 2 * 27 * 3 * 80, 2 * 240, 87, 2 * 240, but_parameters={"torchinfo": ("j", 81)}
    ),
    "layer never called": Case(
        lambda: Net(lambda n, x: n.c(x), c=nn.Conv2d(3, 8, 3, padding=1), idle=nn.Conv2d(3, 5, 3)),
        **{**CONV, "parameters": 224 + 140},
    ),
    "frozen layer": Case(
        frozen,
        *((3, 8, 10), 3 * 8 * 80 + 8 * 4 * 80, 12 * 80, 68, 12 * 80),
        but_parameters=without(32, "k", *EVERY_PTFLOPS, "calflops"),
    ),
    "answers in a dictionary": Case(
        lambda: Net(lambda n, x: {"out": n.c(x), "aux": n.d(x)}, c=nn.Conv2d(3, 8, 1), d=nn.Conv2d(3, 8, 1)),
        *((3, 8, 10), 2 * 3 * 8 * 80, 2 * 640, 64, 2 * 640),
    ),
    "1x1, BatchNorm": Case(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)),
        **POINT,
        parameters=48,
        but={"torchinfo": ("b", 16), "fvcore": ("d", 2 * 640), "ptflops": ("e", 2 * 640)},
    ),
    "1x1, ReLU": Case(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()), **POINT, parameters=32, but={"ptflops": ("e", 2 * 640)}
    ),
    "1x1, bilinear to twice": Case(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.Upsample(scale_factor=2, mode="bilinear")),
        **POINT,
        parameters=32,
        but={"fvcore": ("d", 4 * 8 * 320), "ptflops": ("e", 2 * 8 * 320)},
    ),
    "Linear, channels last": Case(
        lambda: Net(lambda n, x: n.l(x.permute(0, 2, 3, 1)), l=nn.Linear(8, 5)),
        *((8, 8, 10), 8 * 5 * 80, 5 * 80, 45, 5 * 80),
        but={"torchinfo": ("b", 45 - 8 * 5 * 80 - 5 * 80), "ptflops, aten": ("", -5 * 80)},
    ),
    "1x1, flatten, Linear": Case(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten(), nn.Linear(640, 10)),
        *((3, 8, 10), 3 * 8 * 80 + 6400, 650, 32 + 6410, 650),
        but={"pixelwise": ("m", None)},
    ),
    "MyConv2d": Case(lambda: own_convolution("fast"), **CONV, but=without(27 * 8 * 80, "c", "ptflops")),
    "MyConv2d, named Filters": Case(
        lambda: own_convolution("fast", "Filters"),
        **CONV,
        but={"torchinfo": ("b", 224 - 27 * 8 * 80 - 640), "ptflops": ("c", -27 * 8 * 80)},
    ),
    "MyConv2d, route unfold": Case(
        lambda: own_convolution("unfold"),
        **CONV,
        but={**without(27 * 8 * 80, "f", "ptflops", "calflops"), "ptflops, aten": ("", -640)},
    ),
    "a @ b": Case(
        lambda: Net(lambda n, x: tokens(x) @ n.c(x).flatten(2), c=nn.Conv2d(8, 8, 1)),
        *((8, 8, 10), 8 * 8 * 80 + 80 * 80 * 8, 640 + 6400, 72, 640),
        but={**without(80 * 80 * 8, "f", "ptflops", "calflops"), "torchinfo": ("c", -80 * 80 * 8)},
    ),
    "torch.matmul, no weights": Case(
        lambda: Net(lambda n, x: torch.matmul(tokens(x), x.flatten(2))),
        *((8, 8, 10), 80 * 80 * 8, 6400, 0),
        but={"torchinfo": ("c", -80 * 80 * 8), "calflops": ("i", None)},
    ),
    "torch.einsum": Case(
        lambda: Net(lambda n, x: torch.einsum("bchw,oc->bohw", x, n.l.weight), l=nn.Linear(3, 8, bias=False)),
        *((3, 8, 10), 3 * 8 * 80, 640, 24),
        but={
            "torchinfo": ("c", -1920),
            **without(1920, "f", "ptflops", "calflops"),
            "pixelwise": ("g", -1920),
        },
    ),
    "matrix @ vector": Case(
        lambda: Net(lambda n, x: tokens(x) @ n.l.weight[0], l=nn.Linear(8, 1, bias=False)),
        *((8, 8, 10), 8 * 80, 80, 8),
        but={
            "torchinfo": ("c", -640),
            **dict.fromkeys(FVCORE, ("g", None)),
            **without(640, "f", "ptflops", "calflops"),
            **without(640, "g", "ptflops, aten", *COUNTERS, "pixelwise"),
        },
    ),
    "attention, by its function": Case(
        lambda: Net(scaled_dot_product, l=nn.Linear(8, 24)),
        *((8, 3, 4), 12 * 8 * 24 + 2 * 12 * 12 * 8, 12 * 24 + 12 * 12 + 12 * 8, 216, 12 * 24),
        but={
            "torchinfo": ("bc", 216 - 4608 - 288),
            **without(2304, "g", *FVCORE, "ptflops", "calflops", "FlopCounterMode"),
            "ptflops, aten": ("g", -2304 - 288),
        },
    ),
    "MultiheadAttention": Case(
        lambda: Net(attended, m=nn.MultiheadAttention(8, 2, batch_first=True)),
        *((8, 3, 4), 4 * 12 * 8 * 8 + 2 * 12 * 12 * 8, 4 * 12 * 8 + 2 * 12 * 12 + 12 * 8, 288, 4 * 12 * 8),
        but={
            "torchinfo": ("c", -5376),
            "ptflops": ("e", 96 + 288 + 2304 + 288),
            "ptflops, aten": ("", -3 * 96),
            "calflops": ("f", -2304),
            "FlopCounterMode": ("g", -5376),
            "pixelwise": ("g", -5376),
        },
    ),
    "LSTM over the pixels": Case(
        lambda: Net(lambda n, x: n.l(tokens(x))[0], l=nn.LSTM(8, 5, batch_first=True)),
        *((8, 3, 4), 12 * 4 * 5 * (8 + 5), 12 * 2 * 20, 300),
        but={
            "torchinfo": ("a", 12 * 40),
            "ptflops": ("ae", 12 * (40 + 50)),
            **without(3120, "g", *FVCORE, "ptflops, aten", "FlopCounterMode", "calflops", "pixelwise"),
        },
    ),
}
