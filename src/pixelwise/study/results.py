"""What the run folders of a question say: for every setting its finished runs, and any value of theirs."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..config import TrainSettings
from ..errors import BadRun
from ..experiments.cost_job import RECEIPT, CostJob
from ..experiments.experiment import Experiment
from ..experiments.job import seconds_of
from ..experiments.protocol import Protocol, Setting
from ..report.spread import Difference, difference, paired_difference
from ..runs import Run
from ..train import EpochRow, best_epoch
from ..workflow.finished import Trained, load_trained

Value = Callable[["Finished"], float]  # of one run


@dataclass(frozen=True)
class Finished:
    """One finished run, read when asked."""

    run: Run

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """On the test pictures."""
        return self.run.evaluation()

    @cached_property
    def rows(self) -> list[EpochRow]:
        """Its epochs."""
        return self.run.rows()

    @cached_property
    def trained(self) -> Trained:
        """Network, palette and table, of a run that colours."""
        return load_trained(self.run.folder)

    @cached_property
    def train(self) -> TrainSettings:
        """How it was trained."""
        return TrainSettings.from_mapping(self.run.settings()["train"])

    @property
    def kept(self) -> EpochRow:
        """The epoch that the run ended with.

        Raises:
            BadRun: it has none.
        """
        if not self.rows:
            raise BadRun(f"{self.run.folder} has no epochs; run it again")
        best = best_epoch(self.rows) if self.train.keep == "best" else None
        return self.rows[-1] if best is None else next(row for row in self.rows if row.epoch == best)

    @property
    def validation_loss(self) -> float:
        """Of the epoch that was kept; NaN where nothing was kept for validation."""
        loss = self.kept.validation_loss
        return math.nan if loss is None else loss

    @property
    def gap(self) -> float:
        """Validation loss less training loss, in the epoch that was kept."""
        return self.validation_loss - self.kept.train_loss

    @property
    def seconds(self) -> float:
        """Of training and validation."""
        return seconds_of(self.run)

    @cached_property
    def weights(self) -> int:
        """That were learnt."""
        return sum(p.numel() for p in self.trained.model.parameters())


@dataclass(frozen=True)
class Outcome:
    """One setting and its finished runs."""

    label: str
    runs: Sequence[Finished]
    wanted: int  # runs that there are to be
    certain: bool = False  # no chance is in it

    def values(self, value: str | Value) -> list[float]:
        """One for each run: of its evaluation by name, or by a function."""
        return [float(value(run) if callable(value) else run.evaluation[value]) for run in self.runs]

    def against(
        self, other: "Outcome", value: str | Value, more_is_better: bool = True, paired: bool = False
    ) -> Difference:
        """How it differs from another setting.

        A setting without chance in it counts as a number and not as one of many. Runs go in pairs only where each of
        one setting began as one of the other, and all are there.
        """
        if paired and len(self.runs) == len(other.runs):
            return paired_difference(self.values(value), other.values(value), more_is_better)
        own, others = (side.values(value) * (2 if side.certain else 1) for side in (self, other))
        return difference(own, others, more_is_better)


@dataclass(frozen=True)
class Cost:
    """A step of fine-tuning, predicted and measured."""

    label: str
    predicted: dict[str, Any]
    measured: dict[str, Any]


@dataclass(frozen=True)
class Results:
    """Everything that a study has found so far.

    Args:
        protocol: how it is made.
    """

    protocol: Protocol

    def outcome(self, setting: Setting) -> Outcome:
        """A setting's finished runs."""
        runs = self.protocol.runs
        done = [Finished(Run(runs / job.name)) for job in setting.jobs if job.done(runs)]
        return Outcome(setting.label, done, len(setting.jobs), setting.certain)

    def of(self, experiment: Experiment) -> dict[str, Outcome]:
        """A question's settings by what they are called, those without any run too."""
        return {setting.label: self.outcome(setting) for setting in experiment.settings(self.protocol)}

    def costs(self, experiment: Experiment) -> dict[str, Cost]:
        """The steps that were costed."""
        found = {}
        for setting in experiment.settings(self.protocol):
            (job,) = setting.jobs
            if isinstance(job, CostJob) and job.done(self.protocol.runs):
                receipt = _read(self.protocol.runs / job.name / RECEIPT)
                found[setting.label] = Cost(setting.label, receipt["predicted"], receipt["measured"])
        return found

    def environments(self, experiments: Sequence[Experiment]) -> list[dict[str, Any]]:
        """Where the finished runs of some questions were made."""
        runs = self.protocol.runs
        names = {job.name for experiment in experiments for job in experiment.jobs(self.protocol) if job.done(runs)}
        return [_read(runs / name / "environment.json") for name in sorted(names)]


def _read(path: Path) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadRun(f"{path} cannot be read ({error}); delete its folder and run it again") from None
