"""Files that are whole or not there: write beside the target, then rename over it (atomic on POSIX and Windows)."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import CannotWrite

BESIDE = ".pixelwise-"  # how temporary files begin; short, since names have a longest length


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes `path`'s place only if the block ends without error.

    Raises:
        CannotWrite: the folder cannot be made or written to, or `path` is a folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=BESIDE, suffix=path.suffix)
    except OSError as error:
        raise _cannot_write(path, error) from None
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        with beside.open("rb+") as written:
            os.fsync(written.fileno())  # so that after a power cut the name does not stand for half a file
        _take_place(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def sweep(folder: Path, older_than: float = 0.0) -> None:
    """Remove what a process that was killed while writing has left in a folder.

    Args:
        folder: where to look.
        older_than: seconds; what is younger may be another process's, which is still writing.
    """
    for path in folder.glob(f"{BESIDE}*"):
        with suppress(OSError):  # another process has taken it, or it is another user's
            if time.time() - path.stat().st_mtime >= older_than:
                path.unlink()


def _take_place(beside: Path, path: Path) -> None:
    try:
        beside.chmod(0o666 & ~_umask())  # mkstemp makes files private; results are for everyone
        beside.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> CannotWrite:
    reason = "a file is where its folder should be" if isinstance(error, FileExistsError) else error.strerror or error
    return CannotWrite(f"{path} cannot be written ({reason}); give another place")


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, in UTF-8, or leave the old one as it was."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - anything JSON can hold
    """Write a value as indented JSON; NaN and infinity are refused, since JSON has no words for them."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
