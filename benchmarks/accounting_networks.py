"""Whole networks that accounting.py counts, and the truth about them by two routes each.

The project's own have the sums of the exercise written out, torchvision's their published figures. Beside them every
convolution that an answer runs is counted by definition, and what the tools add to that, so that differences can be
taken apart to the last unit.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

NF = {"cnn": 32, "unet": 32, "residual_unet": 24}  # filters of the project's own networks
NC = 24  # classes
PUBLISHED = ("deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")  # by torchvision
NETWORKS = (*NF, *PUBLISHED)
TWICE = (
    nn.ReLU,
    nn.MaxPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Upsample,
)  # modules that call a function of torch.nn.functional


def size_of(name: str) -> tuple[int, int, int]:
    """Channels, rows and columns of the picture."""
    return (1, 32, 32) if name in NF else (3, 520, 520)


def make(name: str) -> nn.Module:
    """The network with random weights; torchvision's with 21 classes and, if it has one, its auxiliary head."""
    if name in NF:
        from pixelwise import ModelSettings, build_model

        return build_model(ModelSettings(name=name, kernel=3, num_filters=NF[name], num_colours=NC))
    from torchvision.models import get_model

    head = {"aux_loss": True} if name.startswith("deeplab") else {}
    network: nn.Module = get_model(name, weights=None, weights_backbone=None, num_classes=21, **head)
    return network


class SlowRoute(TorchFunctionMode):
    """Counts by definition, function by function: a filter's weights times the values that it makes.

    Beside the truth it counts what the tools add to it, so that differences can be taken apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        """Let torch run the function, and count it."""
        named = dict(kwargs or {})
        out = func(*args, **named)
        name = getattr(func, "__name__", "")
        if name == "conv2d":
            bias = named.get("bias", args[2] if len(args) > 2 else None)
            self._add("products", args[1][0].numel() * out.numel())
            self._add("outputs", out.numel())
            self._add("biases", 0 if bias is None else out.numel())
        elif name == "batch_norm":
            self._add("norm channels", args[0].shape[1])
            self._add("norm values", out.numel())
        elif name == "interpolate":
            self._add("enlarged", out.numel())
            self._add(named.get("mode", "nearest"), out.numel())
        elif name in ("max_pool2d", "adaptive_avg_pool2d"):
            self._add("pooled", out.numel())
            self._add(f"into {name}", args[0].numel())
        elif name in ("relu", "embedding"):
            self._add(name, out.numel())
        return out

    def _add(self, what: str, number: int) -> None:
        self.counted[what] += number

    def watch(self, network: nn.Module) -> None:
        """Count besides what goes through modules of torch's that call a function of the same meaning."""

        def through(module: nn.Module, given: Any, out: Tensor) -> None:  # noqa: ANN401
            if isinstance(module, nn.Conv2d):
                self._add("Conv2d products", module.weight[0].numel() * out.numel())
                self._add("Conv2d biases", 0 if module.bias is None else out.numel())
            elif isinstance(module, TWICE):
                enlarges = isinstance(module, nn.Upsample | nn.ReLU)
                self._add("through modules", out.numel() if enlarges else given[0].numel())

        for module in network.modules():
            module.register_forward_hook(through)


def slow_route(network: nn.Module, picture: Tensor) -> Counter[str]:
    """The truth of one answer of a network of convolutions, and what the tools add to it."""
    route = SlowRoute()
    route.watch(network)
    with torch.no_grad(), route:
        network(picture)
    return route.counted


def convolutions(name: str, nf: int, nc: int = NC) -> list[tuple[int, int, int, int]]:
    """Kernel, channels in, filters and side of the map of each convolution of one pass, for a picture of 32 x 32."""
    if name == "residual_unet":
        pairs = [(1, nf, 32), (nf, 2 * nf, 16), (2 * nf, 4 * nf, 8), (6 * nf, 2 * nf, 16), (3 * nf, nf, 32)]
        return [(3, i, f, s) for c, f, s in pairs for i in (c, f)] + [(1, nf, nc, 32)]
    skip = (2 * nf, nf, 1) if name == "unet" else (0, 0, 0)  # what torch.cat adds to the last three
    ins = [1, nf, 2 * nf, 2 * nf + skip[0], nf + skip[1], nc + skip[2]]
    return [(3, *c) for c in zip(ins, [nf, 2 * nf, 2 * nf, nf, nc, nc], [32, 16, 8, 8, 16, 32], strict=True)]


def by_hand(name: str) -> dict[str, int]:
    """Parameters, multiply-adds and outputs of one of the project's own networks, as one sums them up on paper."""
    nf, layers = NF[name], convolutions(name, NF[name])
    passes = 2 if name == "residual_unet" else 1  # the picture and its mirror image
    outputs = sum(f * s * s for _, _, f, s in layers)
    if name == "residual_unet":
        others = nf * 16**2 + 2 * nf * 8**2 + 4 * nf * 16**2 + 2 * nf * 32**2
    else:
        others = nf * 16**2 + 2 * nf * 8**2 + nf * 16**2 + NC * 32**2  # pooled twice, enlarged twice
    table = NC * 32**2 if name == "residual_unet" else 0
    return {
        "parameters": sum(k * k * i * f + f for k, i, f, _ in layers) + sum(2 * f for _, _, f, _ in layers[:-1]),
        "products": passes * sum(k * k * i * f * s * s for k, i, f, s in layers),
        "outputs": passes * outputs,
        "every output": passes * (outputs + others) + table,
    }


def exercise(nf: int, nc: int) -> dict[str, int]:
    """The exercise's polynomials for its plain network; symbols give the formulas."""
    return {
        "weights": 27 * nf + 72 * nf**2 + 9 * nc**2 + 9 * nf * nc + 4 * nc,
        "connections": 9216 * nf + 8064 * nf**2 + 2304 * nf * nc + 9216 * nc**2,
    }


def truth_of(name: str, counted: Mapping[str, int]) -> dict[str, int]:
    """The true numbers, where both routes have them.

    Args:
        name: of the network.
        counted: what `slow_route` found.

    Raises:
        AssertionError: they differ.
    """
    every = sum(counted.get(what, 0) for what in ("outputs", "pooled", "enlarged", "embedding"))
    found = {"products": counted["products"], "outputs": counted["outputs"], "every output": every}
    if name in NF:
        hand = by_hand(name)
        assert found == {what: hand[what] for what in found}, f"{name}: {found} by definition, {hand} by hand"
        if name == "cnn":
            assert [*exercise(NF[name], NC).values()] == [hand["parameters"], hand["products"]]
        return hand
    from torchvision.models import get_model_weights

    meta = next(iter(get_model_weights(name))).meta
    said = round(found["products"] / 1e9, 3)
    assert said == meta["_ops"], f"{name}: {said} GMAC by definition, {meta['_ops']} published"
    return {"parameters": meta["num_params"], **found}


def expected(way: str, what: str, counted: Mapping[str, int]) -> tuple[str, int]:
    """Letters of the causes for which a tool is off, and how far off that makes it."""
    n = {**dict.fromkeys(("bilinear", "nearest", "into max_pool2d", "relu"), 0), **counted}
    if what == "outputs":
        return ("p", n["norm values"]) if way == "torchinfo" else ("", 0)
    pooled, enlarged = n.get("into adaptive_avg_pool2d", 0), 4 * n["bilinear"] + n["nearest"]
    if what != "products":
        return "", 0
    if way == "torchinfo":
        return "ab", n["biases"] + 2 * n["norm channels"]
    if way == "fvcore":
        return "d", 2 * n["norm values"] + pooled + enlarged
    if way == "ptflops":
        unseen = n["products"] - n.get("Conv2d products", 0)
        more = 2 * n["norm values"] + n["relu"] + n["into max_pool2d"] + pooled + n["enlarged"] + n["through modules"]
        biases = n.get("Conv2d biases", 0)
        return "a" * bool(biases) + "c" * bool(unseen) + "e", biases + more - unseen
    return ("a", n["biases"]) if way == "ptflops, aten" else ("", 0)


def formulas_agree() -> bool:
    """Whether pixelwise.account's formulas for the plain network are the exercise's polynomials."""
    import sympy

    from pixelwise import account

    nf, nc = (sympy.Symbol(name, integer=True, positive=True) for name in ("NF", "NC"))
    totals = account("cnn", size=(32, 32)).totals
    polynomials = exercise(nf, nc).items()
    return all(sympy.expand(totals[what].at_size - formula) == 0 for what, formula in polynomials)
