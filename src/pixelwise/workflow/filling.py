"""Features computed before training, and what a training tells besides its steps and epochs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import Interrupted
from ..features import FeatureCache
from ..shapes import Pixels
from ..train import EpochRow, StepRow


@dataclass(frozen=True)
class FillRow:
    """Features so far: of how many pictures, and of how many there are to be."""

    done: int
    total: int


@dataclass(frozen=True)
class NoteRow:
    """Something that whoever trains should know before it goes on."""

    text: str


Row = FillRow | NoteRow | StepRow | EpochRow


def filled(
    cache: FeatureCache, parts: Iterable[tuple[int, Pixels]], total: int, stopping: Callable[[], bool], folder: Path
) -> Iterator[FillRow]:
    """Compute the features that are not there yet.

    Args:
        cache: keeps them.
        parts: pictures, some at a time, as the trunk is shown them, each with how many came before.
        total: pictures in all parts.
        stopping: asked after each few pictures.
        folder: of the run, for the message.

    Raises:
        Interrupted: `stopping` said so; what was computed is kept.
    """
    for before, pixels in parts:
        for done in cache.fill(pixels):
            yield FillRow(before + done, total)
            if stopping():
                raise Interrupted(f"stopped; the features so far are kept: continue {folder} with --resume")
