"""The highest memory of a training step, without running it: every tensor's birth and death on the meta device.

Tensors live and die there as they do in a real step, since it is the same code that holds on to them. What kernels need
for themselves while they run is not seen; for convolutions on a CPU it is known well enough (workspace.py).
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from .symbols import Anything
from .workspace import room_for

STEPS = 2  # the first creates what the optimizer keeps; the second begins with it


@dataclass(frozen=True)
class Peak:
    """The most bytes that lived at once, and in which part of the step."""

    bytes: int
    phase: str


def optimizer_of(name: str, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """One of torch's optimizers by the names used here."""
    if name in ("adam", "adamw"):
        return (torch.optim.AdamW if name == "adamw" else torch.optim.Adam)(parameters)
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9 if name == "momentum" else 0.0)


def step(
    network: nn.Module,
    seen: Tensor,
    truth: Tensor,
    optimizer: torch.optim.Optimizer,
    enter: Callable[[str], None] = lambda phase: None,
) -> None:
    """One training step, the same for predictions and for measurements; `enter` is told what comes next."""
    enter("forward")
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(logits_of_answer(network(seen)), truth)
    enter("backward")
    loss.backward()  # type: ignore[no-untyped-call]
    enter("optimizer")
    optimizer.step()
    enter("between steps")


def logits_of_answer(answer: Any) -> Tensor:  # noqa: ANN401 - what a network answers
    """The logits in an answer: a tensor, the first of several, or a dictionary's "out"."""
    if isinstance(answer, Mapping):
        answer = answer["out"] if "out" in answer else next(iter(answer.values()))
    logits: Tensor = answer[0] if isinstance(answer, list | tuple) else answer
    return logits


def peak_of(network: nn.Module, seen: Sequence[int], truth: Sequence[int], optimizer: str) -> Peak:
    """The highest memory of a step of a network that is on the meta device, in bytes, parameters included."""
    trained = [p for p in network.parameters() if p.requires_grad]
    dtype = trained[0].dtype
    live = _Live()
    for tensor in [*network.parameters(), *network.buffers()]:
        live.born(tensor)
    with live:
        pictures = torch.empty(tuple(seen), dtype=dtype, device="meta")
        labels = torch.empty(tuple(truth), dtype=torch.int64, device="meta")
        learning = optimizer_of(optimizer, trained)
        for _ in range(STEPS):
            step(network, pictures, labels, learning, live.enter)
    network.zero_grad(set_to_none=True)
    return Peak(live.highest, live.at)


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.highest, self.at = 0, "forward"
        self._phase = "forward"
        self._bytes = 0
        self._known: set[int] = set()

    def enter(self, phase: str) -> None:
        """What comes next."""
        self._phase = phase

    def born(self, tensor: Tensor) -> None:
        """A tensor is there; its storage is counted once, until it dies."""
        storage = tensor.untyped_storage()
        address = storage._cdata
        if address in self._known:
            return
        self._known.add(address)
        self._bytes += storage.nbytes()
        weakref.finalize(storage, self._died, address, storage.nbytes())
        self._reach(self._bytes)

    def _died(self, address: int, size: int) -> None:
        self._known.discard(address)
        self._bytes -= size

    def __torch_dispatch__(
        self, func: Anything, types: Anything, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Anything:
        """See what a function makes."""
        before = self._bytes
        out = func(*args, **(kwargs or {}))
        for made in out if isinstance(out, list | tuple) else (out,):
            if isinstance(made, Tensor):
                self.born(made)
        self._reach(before + room_for(func, args, out))
        return out

    def _reach(self, size: int) -> None:
        if size > self.highest:
            self.highest, self.at = size, self._phase
