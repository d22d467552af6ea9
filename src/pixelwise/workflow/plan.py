"""What a run is to do, from what the user gave and what the model is usually used with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..classes.palette import load_palette
from ..config import DataSettings, ModelSettings, TrainSettings
from ..errors import BadRun, BadSetting
from ..models.build import entry
from ..runs import Run


@dataclass(frozen=True)
class Plan:
    """What a run is to do: which pictures, which model, how to train it."""

    data: DataSettings
    model: ModelSettings
    train: TrainSettings

    @classmethod
    def from_given(
        cls,
        model: str | None,
        data: Mapping[str, Any],
        sizes: Mapping[str, Any],
        training: Mapping[str, Any],
        *,
        begun: "Plan | None" = None,
        palette_file: Path | None = None,
    ) -> "Plan":
        """A plan from what was given; for what was not, a begun run's plan, or else the model's usual settings.

        Args:
            model: its name; without one, the begun run's or residual_unet.
            data: names and values of `DataSettings`.
            sizes: names and values of `ModelSettings`.
            training: names and values of `TrainSettings`.
            begun: the plan of a run that is to go on.
            palette_file: says how many colours there are and of which kind, where the sizes do not.

        Raises:
            UnknownName: no model of that name.
            BadSetting: a setting is unknown or out of range.
            BadPalette: the palette cannot be read.
        """
        if palette_file:
            palette = load_palette(palette_file)
            sizes = {"num_colours": len(palette), "space": palette.space, **sizes}
        name = model or (begun.model.name if begun else ModelSettings().name)
        usual = entry(name)
        old = begun.to_mapping() if begun else {"data": usual.data, "model": usual.model, "train": usual.train}
        return cls(
            DataSettings.from_mapping({**old["data"], **data}),
            ModelSettings.from_mapping({**old["model"], "name": name, **sizes}),
            TrainSettings.from_mapping({**old["train"], **training}),
        )

    @classmethod
    def of_run(cls, run: Run) -> "Plan":
        """The plan that a run was begun with.

        Raises:
            BadRun: the run is missing, or its settings are not a plan.
        """
        settings = run.settings()
        try:
            return cls(
                DataSettings.from_mapping(settings["data"]),
                ModelSettings.from_mapping(settings["model"]),
                TrainSettings.from_mapping(settings["train"]),
            )
        except (KeyError, TypeError, AttributeError, BadSetting) as error:
            raise BadRun(f"{run / 'settings.json'} does not hold a run's settings ({error})") from None

    def to_mapping(self) -> dict[str, Any]:
        """The plan as JSON can hold it."""
        parts = {"data": self.data, "model": self.model, "train": self.train}
        return {"task": "colour", **{name: settings.to_mapping() for name, settings in parts.items()}}
