"""A step of fine-tuning as a job: predicted without running the network, then measured in a process of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from ..accounting.finetuning import fine_tuning
from ..accounting.measure import measured
from ..environment import environment
from ..files import write_json
from .job import Job, Stopping

MULTIPLY_ADDS = 70e9  # a second on two cores of 2023, of pretrained networks, measured
OTHERWISE = 12.0  # seconds for starting a process and predicting, measured
RECEIPT = "cost.json"


@dataclass(frozen=True)
class CostJob(Job):
    """One step of fine-tuning, costed.

    Args:
        model: the network.
        trains: last, head or full, name prefixes of parameters, or both.
        side: of the square pictures, in pixels.
        batch: pictures a step.
        times: steps that are timed, after one that warms up.
    """

    model: str
    trains: tuple[str, ...]
    side: int
    batch: int
    times: int = 3
    alone: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Network, what is trained, pictures; their number of timed steps, which only sharpens seconds, is left out."""
        return f"cost,{self.model},trains={'+'.join(self.trains)},side={self.side},batch={self.batch}"

    @property
    def expected_seconds(self) -> float:
        """By the multiply-adds of all steps."""
        cost = fine_tuning(self.model, self.trains, self.batch, (self.side, self.side), formulas=False)
        return OTHERWISE + (2 + self.times) * (cost.forward.value + cost.backward.value) / MULTIPLY_ADDS

    def done(self, runs: Path) -> bool:
        """Whether it was measured."""
        return (runs / self.name / RECEIPT).is_file()

    def work(self, runs: Path, stopping: Stopping) -> Iterator[float]:
        """Predict and measure."""
        cost = fine_tuning(self.model, self.trains, self.batch, (self.side, self.side))
        yield 0.2
        found = measured(cost, times=self.times, threads=torch.get_num_threads())
        write_json(runs / self.name / "environment.json", environment())
        predicted = {"model": cost.model, **cost.to_mapping()}
        write_json(runs / self.name / RECEIPT, {"predicted": predicted, "measured": found.to_mapping()})
        yield 1.0
