"""What a step of training costs, known before it runs: where backward starts, what is kept for it, multiply-adds.

The network is run once on the meta device, which computes shapes and no numbers. What autograd keeps is seen by its own
hooks for saved tensors; multiply-adds are counted by torch's counter of floating-point operations, two of which make
one. The number of trainable parameters says little: with the last layer of DeepLabV3-ResNet50 alone, backward keeps
6 MiB, with the 128 numbers of the first BatchNorm besides 778 MiB.
"""

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from .models.segmenter import Segmenter

FLOAT = 4  # bytes
ADAM_MOMENTS = 2  # numbers that Adam keeps for each one it trains


@dataclass(frozen=True)
class Backward:
    """The cost of one training step, and what causes it."""

    learned: int  # parameters
    frozen: int  # parameters
    starts_at: str  # the first layer on the way that is trained
    upstream_of_frozen: tuple[str, ...]  # trained layers with frozen ones behind them: what makes backward go far
    kept_bytes: int  # by autograd, for backward, parameters not counted
    forward_macs: int
    backward_macs: int

    @property
    def gradient_bytes(self) -> int:
        """Of the trained parameters' gradients, in float32."""
        return FLOAT * self.learned

    @property
    def optimizer_bytes(self) -> int:
        """Of Adam's two moments."""
        return ADAM_MOMENTS * FLOAT * self.learned

    def to_mapping(self) -> dict[str, Any]:
        """The values by name, as JSON can hold them."""
        sizes = {"gradient_bytes": self.gradient_bytes, "optimizer_bytes": self.optimizer_bytes}
        return {**asdict(self), "upstream_of_frozen": list(self.upstream_of_frozen), **sizes}


def backward_of(model: Segmenter, batch: int, size: tuple[int, int]) -> Backward | None:
    """The cost of one step of a network as it is frozen now, with cross-entropy on all pixels.

    Args:
        model: the network; neither run nor changed.
        batch: pictures a step.
        size: rows and columns of the pictures.

    Returns:
        None if the network cannot be run without numbers, as some networks of one's own.
    """
    shadow = copy.deepcopy(model).to("meta")
    shadow.train(model.training)
    order = _order_of_layers(shadow)
    seen = torch.empty(batch, 3, *size, device="meta")
    truth = torch.empty(batch, *size, dtype=torch.int64, device="meta")
    saved = _Saved(shadow)
    try:
        with FlopCounterMode(display=False) as forward, saved.watching():
            loss = F.cross_entropy(shadow(seen), truth)
        with FlopCounterMode(display=False) as backward:
            loss.backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return None
    order.append("last")  # its weights are used without calling it
    layers = [name for name in order if any(p.requires_grad for p in _own(shadow, name))]
    frozen = [name for name in order if any(not p.requires_grad for p in _own(shadow, name))]
    behind = order.index(frozen[-1]) if frozen else -1
    counts = [parameter.numel() for parameter in model.parameters() if parameter.requires_grad]
    return Backward(
        learned=sum(counts),
        frozen=sum(parameter.numel() for parameter in model.parameters()) - sum(counts),
        starts_at=layers[0],
        upstream_of_frozen=tuple(name for name in layers if order.index(name) < behind),
        kept_bytes=saved.bytes,
        forward_macs=forward.get_total_flops() // 2,
        backward_macs=backward.get_total_flops() // 2,
    )


class _Saved:
    """Sums up what autograd keeps, each storage once and parameters not at all."""

    def __init__(self, model: nn.Module) -> None:
        self._known = {_storage(p) for p in [*model.parameters(), *model.buffers()]}
        self._alive: list[Tensor] = []  # so that no storage's address is used twice
        self.bytes = 0

    def watching(self) -> saved_tensors_hooks:
        return saved_tensors_hooks(self._keep, lambda tensor: tensor)

    def _keep(self, tensor: Tensor) -> Tensor:
        if _storage(tensor) not in self._known:
            self._known.add(_storage(tensor))
            self._alive.append(tensor)
            self.bytes += tensor.untyped_storage().nbytes()
        return tensor


def _order_of_layers(model: nn.Module) -> list[str]:
    """The layers with parameters of their own, filled in the order in which a run comes to them."""
    names: list[str] = []
    for name, module in model.named_modules():
        if _own(model, name):
            module.register_forward_pre_hook(lambda *_, name=name: names.append(name) if name not in names else None)
    return names


def _own(model: nn.Module, name: str) -> list[nn.Parameter]:
    return list(model.get_submodule(name).parameters(recurse=False))


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
