"""One run of a study: in which folder, what is done there, about how long it takes, and whether it is done.

A job's name says how it differs from its network's usual settings, so that two questions that need the same run share
it, and a run of other settings never takes its place.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..config import ModelSettings, SegmenterSettings, TrainSettings
from ..models.build import entry
from ..runs import Run
from ..train import EpochRow, StepRow
from ..workflow.filling import FillRow
from ..workflow.plan import Plan
from ..workflow.segment_plan import SegmentPlan
from ..workflow.segmenting import train_segment
from ..workflow.training import initial_model, train_colour

EVALUATION = 0.05  # share of a job's time that comes after the last step, roughly
LAST_RECEIPT = "gallery.png"  # what a training writes when all else is there
MULTIPLY_ADDS = 45e9  # a second on two cores of 2023, forward and backward of the exercise's networks, measured
SEGMENT_SECONDS = 16.0  # of a last layer on cached features: reading, L-BFGS and judging 100 pictures, measured
DEEP_SECONDS = 0.3  # a picture, where gradients go through the trunk, measured
VALIDATED_SECONDS = 0.06  # a picture that is only looked at, measured

Stopping = Callable[[], bool]


class Job(ABC):
    """Something that a study needs done once."""

    alone: ClassVar[bool] = False  # whether it measures what others beside it would change

    @property
    @abstractmethod
    def name(self) -> str:
        """Its folder, below the study's runs."""

    @property
    @abstractmethod
    def expected_seconds(self) -> float:
        """About how long it takes, on two cores that do nothing else."""

    @abstractmethod
    def done(self, runs: Path) -> bool:
        """Whether its folder has all that it is to have."""

    @abstractmethod
    def work(self, runs: Path, stopping: Stopping) -> Iterator[float]:
        """Do it, or go on with it, yielding the share that is done.

        Raises:
            PixelwiseError: as trainings do; Interrupted when `stopping` said so.
        """


@dataclass(frozen=True)
class ColourJob(Job):
    """A training to colour.

    Args:
        plan: what to do.
        palette: the file with its classes.
        pictures: that it is trained on, for the time expected.
    """

    plan: Plan
    palette: Path
    pictures: int

    @property
    def name(self) -> str:
        """Network, what is unusual about it, and the seed."""
        usual = entry(self.plan.model.name)
        return _name(
            self.plan.model.name,
            _differing(self.plan.model.to_mapping(), {**ModelSettings().to_mapping(), **usual.model}),
            _differing(self.plan.train.to_mapping(), {**TrainSettings().to_mapping(), **usual.train}),
            self.plan.train.seed,
        )

    @property
    def expected_seconds(self) -> float:
        """By the network's multiply-adds, forward once and backward twice; and a few for all that comes after."""
        steps = self.plan.train.epochs * self.pictures
        return 5.0 + 3 * steps * _multiply_adds(self.plan) / MULTIPLY_ADDS

    def done(self, runs: Path) -> bool:
        """Whether it was trained, evaluated and drawn."""
        return (runs / self.name / LAST_RECEIPT).is_file()

    def work(self, runs: Path, stopping: Stopping) -> Iterator[float]:
        """Train, evaluate and draw."""
        rows = train_colour(self.plan, runs / self.name, palette_file=self.palette, resume=True, stopping=stopping)
        yield from _shares(rows, self.plan.train.epochs)


@dataclass(frozen=True)
class SegmentJob(Job):
    """A fine-tuning to segment.

    Args:
        plan: what to do.
        pictures: that it is trained on, for the time expected.
        validated: pictures that are looked at after every epoch.
    """

    plan: SegmentPlan
    pictures: int
    validated: int = 100

    @property
    def name(self) -> str:
        """Network, what is unusual about it, and the seed."""
        usual = SegmentPlan.from_given({}, {"name": self.plan.model.name, **_kind(self.plan)}, {}).train
        model = _differing(self.plan.model.to_mapping(), SegmenterSettings(name=self.plan.model.name).to_mapping())
        model.pop("weights", None)  # where a file lies says nothing of what is done
        training = _differing(self.plan.train.to_mapping(), usual.to_mapping())
        return _name(f"flowers,{self.plan.model.name}", model, training, self.plan.train.seed)

    @property
    def expected_seconds(self) -> float:
        """By what is trained."""
        if self.plan.uses_cache:
            return SEGMENT_SECONDS
        each = self.pictures * DEEP_SECONDS + self.validated * VALIDATED_SECONDS
        return SEGMENT_SECONDS + self.plan.train.epochs * each

    def done(self, runs: Path) -> bool:
        """Whether it was trained, evaluated and drawn."""
        return (runs / self.name / LAST_RECEIPT).is_file()

    def work(self, runs: Path, stopping: Stopping) -> Iterator[float]:
        """Fine-tune, evaluate and draw."""
        rows = train_segment(self.plan, runs / self.name, resume=True, stopping=stopping)
        yield from _shares(rows, self.plan.train.epochs)


def seconds_of(run: Run) -> float:
    """Of training and validation, in all epochs."""
    return sum(row.seconds for row in run.rows())


def _shares(rows: Iterator[Any], epochs: int) -> Iterator[float]:
    """How far a training has come, in shares of a job; nothing is known of it while features are computed."""
    for row in rows:
        if isinstance(row, StepRow):
            yield (1 - EVALUATION) * (row.epoch - 1 + row.step / row.steps) / epochs
        elif isinstance(row, EpochRow):
            yield (1 - EVALUATION) * row.epoch / epochs
        elif isinstance(row, FillRow):
            yield 0.0
    yield 1.0


def _kind(plan: SegmentPlan) -> dict[str, Any]:
    """What a plan's usual way of training depends on."""
    model = plan.model
    return {"learn": model.learn, "labelled": model.labelled, "cache": model.cache, "crop": model.crop}


def _differing(given: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value != usual[key] and key not in ("name", "seed")}


def _name(what: str, *parts: Any) -> str:  # noqa: ANN401 - two mappings and the seed
    *settings, seed = parts
    unusual = [f"{key}={_written(value)}" for part in settings for key, value in part.items()]
    return ",".join([what, *unusual, f"seed={seed}"])


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _multiply_adds(plan: Plan) -> int:
    """Of one picture of 32 x 32, by torch's counter."""
    model = initial_model(plan, None).eval()
    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        model(torch.zeros(1, 1, plan.data.patch, plan.data.patch))
    return int(counted.get_total_flops() // 2)
