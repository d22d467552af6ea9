"""What is wrong with a data set, in plain words, and how to mend it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
MOST_FILES = 20  # named in one finding; a large folder may have the same fault everywhere


@dataclass(frozen=True)
class Finding:
    """One fault or oddity.

    Args:
        level: error (training is not possible), warning (it is, but the result may be poor) or note.
        what: what was found, and in how many files.
        files: the first of those files.
        remedy: what to do about it.
    """

    level: Level
    what: str
    files: tuple[str, ...]
    remedy: str


@dataclass(frozen=True)
class ClassCount:
    """How many pixels of a class the masks have, and which share of all labelled pixels that is."""

    name: str
    pixels: int
    share: float


@dataclass(frozen=True)
class Report:
    """All findings on a data set, errors first, and what it holds.

    Args:
        findings: what was found.
        pictures: pictures that can be used, each with its mask if masks are wanted.
        classes: pixels by class in the masks as they are in their files; empty without masks.
    """

    findings: tuple[Finding, ...]
    pictures: int = 0
    classes: tuple[ClassCount, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the data set can be loaded."""
        return not any(finding.level == "error" for finding in self.findings)

    def to_mapping(self) -> dict[str, Any]:
        """The report as values that JSON can hold."""
        return {"ok": self.ok, **asdict(self)}


@dataclass
class Findings:
    """A collector: the same fault in many files becomes one finding."""

    _files: dict[tuple[Level, str, str], list[str]] = field(default_factory=dict)
    _first: dict[tuple[Level, str, str], str] = field(default_factory=dict)

    def add(self, level: Level, what: str, file: str | None, remedy: str, example: str = "") -> None:
        """Note a fault. In `what`, {n} becomes the number of files; the first file's example follows in brackets."""
        key = (level, what, remedy)
        self._files.setdefault(key, []).extend([] if file is None else [file])
        self._first.setdefault(key, example)

    def add_all(self, level: Level, what: str, files: Sequence[str], remedy: str, example: str = "") -> None:
        """Note a fault of several files."""
        for file in files:
            self.add(level, what, file, remedy, example)

    def all(self) -> tuple[Finding, ...]:
        """The findings, errors first, otherwise in the order in which they came."""
        found = [self._finding(key, files) for key, files in self._files.items()]
        return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))

    def _finding(self, key: tuple[Level, str, str], files: Sequence[str]) -> Finding:
        level, what, remedy = key
        example = f" ({self._first[key]})" if self._first[key] else ""
        return Finding(level, what.replace("{n}", f"{len(files):,}") + example, tuple(files[:MOST_FILES]), remedy)
