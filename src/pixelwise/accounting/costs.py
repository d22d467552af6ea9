"""All that is known of a network's cost: its account, a training step, and that step as it was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .account import Account, account
from .conventions import Conventions
from .finetuning import FineTuning, fine_tuning
from .measure import Measured, measured
from .step import Precision


@dataclass(frozen=True)
class Costs:
    """An account, and what was asked for besides."""

    account: Account
    step: FineTuning | None = None
    real: tuple[Measured, ...] = ()  # of each device

    def to_mapping(self) -> dict[str, Any]:
        """As JSON can hold it."""
        if self.step is None:
            return self.account.to_mapping()
        real = {"measured": [one.to_mapping() for one in self.real]} if self.real else {}
        return {**self.account.to_mapping(), "finetune": {**self.step.to_mapping(), **real}}


def costs_of(
    model: str,
    size: tuple[int, int] | None = None,
    convention: Conventions | None = None,
    trains: Sequence[str] = (),
    batch: int = 4,
    precision: Precision = "float32",
    optimizer: str = "adam",
    devices: Sequence[str] = (),
    widths: Mapping[str, int] | None = None,
) -> Costs:
    """An account; of a training step too where something is trained; and of real steps where there are devices.

    Raises:
        UnknownName: there is no network of that name.
        BadSetting: the network cannot be built, run or frozen so.
    """
    numbers = dict(widths or {})
    found = account(model, size, convention, **numbers)
    if not trains:
        return Costs(found)
    step = fine_tuning(model, trains, batch, size, precision, optimizer, formulas=True, **numbers)
    return Costs(found, step, tuple(measured(step, device) for device in devices))


def devices_here() -> tuple[str, ...]:
    """Where a step can be measured."""
    return ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",)
