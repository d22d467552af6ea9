"""The terminal itself: results on stdout, progress on stderr. What is shown there in particular is console's."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

stderr = Console(stderr=True, highlight=False)
stdout = Console(highlight=False)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout and nothing else."""
    sys.stdout.write(json_text(value))


def json_text(value: dict[str, Any]) -> str:
    """One JSON object."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def watched(batches: Iterable[Any], total: int, what: str = "evaluating") -> Iterator[Any]:
    """Passes batches on under a progress bar."""
    with progress_bar() as progress:
        yield from progress.track(batches, total=total, description=what)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A sign of life while something of unknown length goes on."""
    with stderr.status(what):
        yield


def progress_bar(*columns: Any, remembered: float = 30.0) -> Progress:  # noqa: ANN401 - rich's columns and strings
    """A bar with the time that is left, by the speed of the last seconds that are remembered."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        *columns,
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        speed_estimate_period=remembered,
    )
