"""The same step for real, beside what was predicted: bytes kept, highest memory, seconds forward and backward.

On a CPU the step runs in a process of its own, whose memory the system watches: its highest resident size, less what it
needed without the network after a small step had loaded all code. There the C library is told to give freed tensors
back at once, so that what is measured is what lives and not what it keeps in store. On a GPU torch's allocator says it.
"""

import gc
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from ..errors import BadSetting
from ..freeze import freeze
from .finetuning import FineTuning
from .peak import logits_of_answer, optimizer_of, step
from .subject import on_meta, subject_of

WARM_SIDE = 32  # pixels of the small step's pictures
SELF = Path("/proc/self")  # Linux keeps a process's memory here
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True)
class Measured:
    """What real steps took, on random pictures with random weights; costs do not depend on values."""

    device: str
    kept_bytes: int
    gradient_bytes: int
    optimizer_bytes: int  # of the numbers that Adam or momentum keeps, step counts not
    peak_bytes: int | None  # None where the system does not say
    forward_seconds: tuple[float, ...]  # of each timed step, by the clock
    backward_seconds: tuple[float, ...]  # optimizer included

    def to_mapping(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def measured(cost: FineTuning, device: str = "cpu", times: int = 3, threads: int | None = None) -> Measured:
    """Take the step whose cost was predicted, in a process of its own.

    Args:
        cost: the prediction, of a network by name; a network object cannot be sent to another process.
        device: cpu, or cuda.
        times: timed steps, after one that warms up.
        threads: of the CPU; None: as many as torch takes.

    Raises:
        BadSetting: the network is not one that is known by name, or the step failed.
    """
    given = {
        "model": cost.model,
        "widths": dict(cost.widths),
        "trains": list(cost.trains),
        "shape": [cost.batch, cost.channels, *cost.size],
        "precision": cost.precision,
        "optimizer": cost.optimizer,
        "device": device,
        "times": times,
        "threads": threads or torch.get_num_threads(),
    }
    command = [sys.executable, "-m", __name__, json.dumps(given)]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **GIVE_BACK}, check=False)
    if ran.returncode:
        said = (ran.stderr.strip().splitlines() or ["it was stopped, perhaps for want of memory"])[-1]
        raise BadSetting(f"the step of {cost.model} failed: {said}; try a smaller --batch or --size")
    found = json.loads(ran.stdout)
    for name in ("forward_seconds", "backward_seconds"):
        found[name] = tuple(found[name])
    return Measured(**found)


def take_steps(given: dict[str, Any]) -> Measured:
    """Steps in this process, watched.

    Args:
        given: what `measured` hands over.
    """
    torch.set_num_threads(given["threads"])
    torch.manual_seed(0)
    device, dtype = torch.device(given["device"]), getattr(torch, given["precision"])
    network = subject_of(given["model"], given["widths"]).make_real(given["widths"]).to(device, dtype)
    freeze(network, given["trains"])
    learned = [p for p in network.parameters() if p.requires_grad]
    small = given["shape"][:2] + [min(side, WARM_SIDE) for side in given["shape"][2:]]
    step(network, *_random(network, small, dtype, device), optimizer_of(given["optimizer"], learned))
    network.zero_grad(set_to_none=True)
    watch = _MemoryOfGpu(device) if device.type == "cuda" else _MemoryOfProcess(network)
    pictures, truth = _random(network, given["shape"], dtype, device)
    learning, clock = optimizer_of(given["optimizer"], learned), _Clock(device)
    for _ in range(1 + given["times"]):
        step(network, pictures, truth, learning, clock.enter)
    peak = watch.highest()
    states = [v for state in learning.state.values() for n, v in state.items() if isinstance(v, Tensor) and n != "step"]
    gradients = sum(p.grad.nbytes for p in learned if p.grad is not None)
    return Measured(
        device=str(device) if device.type == "cpu" else torch.cuda.get_device_name(device),
        kept_bytes=kept_by(network, pictures, truth, learning),
        gradient_bytes=gradients,
        optimizer_bytes=sum(value.nbytes for value in states),
        peak_bytes=peak,
        forward_seconds=tuple(clock.seconds["forward"][1:]),
        backward_seconds=tuple(
            a + b for a, b in zip(clock.seconds["backward"][1:], clock.seconds["optimizer"][1:], strict=True)
        ),
    )


def kept_by(network: nn.Module, pictures: Tensor, truth: Tensor, learning: torch.optim.Optimizer) -> int:
    """Bytes that autograd's hooks see it keep in one step, each storage once, parameters and buffers not at all."""
    own = {t.untyped_storage().data_ptr() for t in [*network.parameters(), *network.buffers()]}
    kept: dict[int, Tensor] = {}  # by address; alive, so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.detach()
        return tensor.detach()

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        step(network, pictures, truth, learning)
    return sum(t.untyped_storage().nbytes() for address, t in kept.items() if address not in own)


def _random(
    network: nn.Module, shape: Sequence[int], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Random pictures, and random classes for all that the network answers."""
    bare = on_meta(network)
    answer = logits_of_answer(bare(torch.empty(tuple(shape), dtype=dtype, device="meta")))
    n, k, *sides = answer.shape
    return torch.rand(tuple(shape), dtype=dtype, device=device), torch.randint(k, (n, *sides), device=device)


class _Clock:
    """Seconds of each phase of each step."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._device = device
        self._phase, self._since = "", 0.0

    def enter(self, phase: str) -> None:
        """What comes next; a GPU is waited for."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if self._phase:
            self.seconds.setdefault(self._phase, []).append(now - self._since)
        self._phase, self._since = phase, now


class _MemoryOfProcess:
    """The resident size of this process, as Linux reports it, above what it was, the network not counted."""

    def __init__(self, network: nn.Module) -> None:
        gc.collect()
        own = sum(tensor.nbytes for tensor in [*network.parameters(), *network.buffers()])
        now = _status("VmRSS")
        self._before = None if now is None else now - own
        if now is not None:
            (SELF / "clear_refs").write_text("5")  # forget the highest size so far

    def highest(self) -> int | None:
        """Bytes."""
        highest = _status("VmHWM")
        return None if highest is None or self._before is None else highest - self._before


class _MemoryOfGpu:
    """What torch's allocator has handed out on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        torch.cuda.reset_peak_memory_stats(device)

    def highest(self) -> int | None:
        """Bytes."""
        return int(torch.cuda.max_memory_allocated(self._device))


def _status(name: str) -> int | None:
    """A size of this process in bytes; None on systems other than Linux."""
    path = SELF / "status"
    found = re.search(rf"^{name}:\s*(\d+) kB", path.read_text(), re.MULTILINE) if path.exists() else None
    return int(found[1]) * 1024 if found else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(take_steps(json.loads(sys.argv[1])).to_mapping()))
