"""What a run that segments is to do, from what the user gave and what the network is usually used with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config import DataSettings, SegmenterSettings, TrainSettings
from ..errors import BadRun, BadSetting
from ..freeze import MODES
from ..runs import Run

# A last layer alone is a convex problem, which L-BFGS solves on a sample; there is no learning rate to choose.
LAST = {"epochs": 4, "optimizer": "lbfgs", "weight_decay": 2e-3, "patience": 1}
# From a few pictures, what is kept for validation must not choose; nor is one epoch enough to teach itself.
FEW = {**LAST, "keep": "last", "patience": 0, "weight_decay": 3e-3}
# With every pixel, or without cached features, it takes steps.
STEPS = {"epochs": 15, "batch_size": 16, "learning_rate": 3e-3, "optimizer": "adamw", "schedule": "one_cycle"}
# What is pretrained is only to be moved a little.
DEEP = {"epochs": 8, "batch_size": 8, "learning_rate": 3e-4, "optimizer": "adamw", "schedule": "one_cycle"}


@dataclass(frozen=True)
class SegmentPlan:
    """What a run is to do: which labelled pictures, which network and what of it, how to train it."""

    data: DataSettings
    model: SegmenterSettings
    train: TrainSettings

    @classmethod
    def from_given(
        cls,
        data: Mapping[str, Any],
        model: Mapping[str, Any],
        training: Mapping[str, Any],
        *,
        begun: "SegmentPlan | None" = None,
    ) -> "SegmentPlan":
        """A plan from what was given; for what was not, a begun run's plan, or else the usual settings.

        Args:
            data: names and values of `DataSettings`.
            model: names and values of `SegmenterSettings`.
            training: names and values of `TrainSettings`.
            begun: the plan of a run that is to go on.

        Raises:
            BadSetting: a setting is unknown or out of range, or two do not go together.
        """
        old = begun.to_mapping() if begun else {"data": {"name": "flowers17"}, "model": {}}
        settings = SegmenterSettings.from_mapping({**old["model"], **model})
        usual = begun.train.to_mapping() if begun else _usual(settings, training)
        plan = cls(
            DataSettings.from_mapping({**old["data"], **data}),
            settings,
            TrainSettings.from_mapping({**usual, **training}),
        )
        plan.check()
        return plan

    @property
    def learns_last_only(self) -> bool:
        """Whether nothing but the last layer is trained, so that features can be computed once."""
        return self.model.learn == ("last",)

    @property
    def uses_cache(self) -> bool:
        """Whether features are computed once and kept."""
        return self.learns_last_only and self.model.cache != "none" and not self.model.crop

    @property
    def uses_sample(self) -> bool:
        """Whether the last layer learns from a sample of pixels rather than from all."""
        return self.uses_cache and self.train.optimizer == "lbfgs"

    def check(self) -> None:
        """Refuse settings that do not go together.

        Raises:
            BadSetting: they do not.
        """
        if self.model.rest == "learn" and not (self.uses_sample and self.model.labelled):
            raise BadSetting(
                "rest is 'learn', which needs the last layer alone on a sample of cached features, and labelled, the "
                "number of pictures whose masks are used; leave it out, or give --labelled"
            )
        if self.train.optimizer == "lbfgs" and not (self.uses_cache and self.model.sample):
            raise BadSetting(
                "optimizer is 'lbfgs', which needs the last layer alone on a sample of cached features; "
                "expected 'adamw' or 'adam' here"
            )
        if self.model.learn != ("last",) and any(word in MODES for word in self.model.learn[1:]):
            raise BadSetting(
                f"learn is {', '.join(self.model.learn)}; give one of {', '.join(MODES)}, or name prefixes"
            )

    @classmethod
    def of_run(cls, run: Run) -> "SegmentPlan":
        """The plan that a run was begun with.

        Raises:
            BadRun: the run is missing, or its settings are not such a plan.
        """
        settings = run.settings()
        try:
            return cls(
                DataSettings.from_mapping(settings["data"]),
                SegmenterSettings.from_mapping(settings["model"]),
                TrainSettings.from_mapping(settings["train"]),
            )
        except (KeyError, TypeError, AttributeError, BadSetting) as error:
            raise BadRun(
                f"{run / 'settings.json'} does not hold the settings of a run that segments ({error})"
            ) from None

    def to_mapping(self) -> dict[str, Any]:
        """The plan as JSON can hold it."""
        parts = {"data": self.data, "model": self.model, "train": self.train}
        return {"task": "segment", **{name: settings.to_mapping() for name, settings in parts.items()}}


def _usual(model: SegmenterSettings, training: Mapping[str, Any]) -> Mapping[str, Any]:
    """The usual way to train what is to be trained."""
    if model.learn != ("last",):
        return DEEP
    all_pixels = (
        model.cache == "none"
        or model.crop
        or not model.sample
        or training.get("loss", "cross_entropy") != "cross_entropy"
    )
    if all_pixels or training.get("optimizer", "lbfgs") != "lbfgs":
        return STEPS
    return FEW if model.labelled else LAST
