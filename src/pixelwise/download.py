"""Fetch a file from its official address: whole, with the right checksum, or not at all."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from .errors import BadData
from .files import replacing

CHUNK = 1 << 20
SECONDS_WITHOUT_DATA = 60.0


def fetch(url: str, target: Path, sha256: str) -> Iterator[tuple[int, int]]:
    """Download `url` to `target`, yielding (bytes so far, bytes in all or 0) as they come.

    A target that is there with the right checksum is left alone. The file appears only when its checksum is right.

    Raises:
        BadData: the address cannot be reached, the download is cut short, or the checksum is another.
    """
    if target.is_file() and checksum(target) == sha256:
        return
    by_hand = f"download it by hand to {target}"
    try:
        with (
            replacing(target) as beside,
            urllib.request.urlopen(url, timeout=SECONDS_WITHOUT_DATA) as answer,
            beside.open("wb") as file,
        ):
            total = int(answer.headers.get("Content-Length") or 0)
            got = 0
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                got += len(chunk)
                yield got, total
            file.flush()
            if total and got < total:
                raise BadData(f"{url} stopped after {got:,} of {total:,} bytes; try again, or {by_hand}")
            found = checksum(beside)
            if found != sha256:
                raise BadData(f"{url} gave a file with SHA-256 {found}; expected {sha256}; try again, or {by_hand}")
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise BadData(f"{url} cannot be fetched ({error}); {by_hand}, or give the folder that has it") from None


def cache_folder() -> Path:
    """Where downloads are kept: PIXELWISE_CACHE, or `pixelwise` in the user's cache folder."""
    named = os.environ.get("PIXELWISE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelwise"


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
