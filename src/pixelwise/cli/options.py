"""What commands have in common: options that mean the same everywhere, and what was really given."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class SplitName(StrEnum):
    """The parts of a data set."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Data = Annotated[str | None, typer.Option("--data", help="photos, cifar10 or folder; `pixelwise data list`. [photos]")]
Labelled = Annotated[str | None, typer.Option("--data", help="flowers17 or folder; `pixelwise data list`. [flowers17]")]
Root = Annotated[Path | None, typer.Option("--root", help="Folder that holds the data.")]
Category = Annotated[str | None, typer.Option("--category", help="CIFAR-10 categories, such as horse,deer.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Of weights, order, flips and palette. [0]")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]


def pictures_given(data: str | None, root: Path | None, category: str | None) -> dict[str, Any]:
    """What was given of the settings that name a data set."""
    names = tuple(name.strip() for name in category.split(",") if name.strip()) if category else None
    return given({"name": data, "root": str(root) if root else None, "category": names})


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that were given a value."""
    return {name: value for name, value in settings.items() if value is not None}
