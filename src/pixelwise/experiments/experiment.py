"""A question and its grid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .job import Job
from .protocol import Protocol, Setting

Part = Literal["a", "b", "c"]  # of the classic study


@dataclass(frozen=True)
class Experiment:
    """One question.

    Args:
        name: what it is asked for by.
        part: of the study.
        question: in a line.
        settings: its grid, under a protocol; the first setting is the one that others are compared with.
    """

    name: str
    part: Part
    question: str
    settings: Callable[[Protocol], Sequence[Setting]]

    def jobs(self, protocol: Protocol) -> list[Job]:
        """Every run that it needs."""
        return [job for setting in self.settings(protocol) for job in setting.jobs]
