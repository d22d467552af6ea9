"""A frozen network made quicker without changing what it says: BatchNorm goes into the convolution before it.

In evaluation mode BatchNorm is y = (x - mean) g / sqrt(variance + eps) + b, which is affine for each channel, as the
convolution's filters and bias are. Which BatchNorm follows which convolution is not guessed from names: one run on a
picture of noise shows whose output goes where.
"""

import copy

import torch
from torch import Tensor, nn

from .segmenter import Features, Segmenter

PROBE = 64  # pixels a side
TOLERANCE = 1e-3  # of the largest feature; float32 rounds differently in another order


def folded(segmenter: Segmenter) -> Segmenter:
    """A copy for looking only: in evaluation mode, without gradients, BatchNorm folded, memory in channels-last order.

    Where folding would change what the network says, as when a convolution's output is used twice, it is left out.
    """
    quick = _frozen_copy(segmenter)
    seen = torch.rand(1, 3, PROBE, PROBE, generator=torch.Generator().manual_seed(0))
    try:
        plain, pairs = _looked_at_noting_pairs(quick, seen)
        for convolution, norm in dict.fromkeys(pairs):
            _fold(quick, convolution, norm)
        same = _alike(plain, _looked_at(quick, seen))
    except (RuntimeError, AttributeError, TypeError):  # someone's own network may be built in any way
        same = False
    return (quick if same else _frozen_copy(segmenter)).to(memory_format=torch.channels_last)


def _frozen_copy(segmenter: Segmenter) -> Segmenter:
    return copy.deepcopy(segmenter).eval().requires_grad_(False)


def _looked_at(model: Segmenter, seen: Tensor) -> Features:
    with torch.no_grad():
        return model.features(seen)


def _alike(one: Features, other: Features) -> bool:
    return all(
        bool(torch.isfinite(b).all()) and (a - b).abs().max() <= TOLERANCE * a.abs().max()
        for a, b in zip(one, other, strict=True)
    )


def _looked_at_noting_pairs(model: Segmenter, seen: Tensor) -> tuple[Features, list[tuple[str, str]]]:
    """Features, and the names of convolutions and of the BatchNorms that read them, found in one run."""
    made: dict[int, str] = {}
    alive: list[Tensor] = []  # so that no two tensors have one id
    pairs: list[tuple[str, str]] = []
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):

            def note(_: nn.Module, __: object, output: Tensor, name: str = name) -> None:
                made[id(output)] = name
                alive.append(output)

            hooks.append(module.register_forward_hook(note))
        elif isinstance(module, nn.BatchNorm2d):

            def read(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                if id(inputs[0]) in made:
                    pairs.append((made.pop(id(inputs[0])), name))

            hooks.append(module.register_forward_pre_hook(read))
    try:
        features = _looked_at(model, seen)
    finally:
        for hook in hooks:
            hook.remove()
    return features, pairs


def _fold(model: Segmenter, convolution: str, norm: str) -> None:
    conv, after = model.get_submodule(convolution), model.get_submodule(norm)
    if not isinstance(conv, nn.Conv2d) or not isinstance(after, nn.BatchNorm2d):
        return  # one of the two is used twice and has been folded
    if after.running_mean is None or after.running_var is None:
        return
    factor = (after.running_var + after.eps).rsqrt() * (1 if after.weight is None else after.weight)
    bias = torch.zeros_like(factor) if conv.bias is None else conv.bias
    shifted = (bias - after.running_mean) * factor + (0 if after.bias is None else after.bias)
    conv.weight = nn.Parameter(conv.weight * factor.view(-1, 1, 1, 1), requires_grad=False)
    conv.bias = nn.Parameter(shifted, requires_grad=False)
    activation = getattr(after, "act", None)  # some BatchNorms, such as timm's, have their activation in them
    model.set_submodule(norm, activation if isinstance(activation, nn.Module) else nn.Identity())
