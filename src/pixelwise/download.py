"""Fetch a file from its official address: whole, with the right checksum, or not at all; and copy files out of it."""

import gzip
import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import BadData
from .files import replacing

CHUNK = 1 << 20
SECONDS_WITHOUT_DATA = 60.0
CHECKSUMS = {"sha256": "SHA-256", "md5": "MD5"}

# What the standard library raises on archives that are damaged or cut short.
_DAMAGE = (tarfile.TarError, zlib.error, EOFError, KeyError, OSError, ValueError)


def fetch(url: str, target: Path, expected: str | None) -> Iterator[tuple[int, int]]:
    """Download `url` to `target`, yielding (bytes so far, bytes in all or 0) as they come.

    A target that is there with the right checksum is left alone. The file appears only when its checksum is right.

    Args:
        url: the official address.
        target: the file to make.
        expected: "sha256:" or "md5:" and the checksum in hexadecimal; without a prefix, SHA-256. None is for archives
            of which nobody has published a checksum: one that we took from our own download would vouch for what we
            got, not for what was published. Such a file must at least be a gzipped tar archive, whole to its end.

    Raises:
        BadData: the address cannot be reached, the download is cut short, or it is not the file that was expected.
    """
    if target.is_file() and _fault(target, expected) is None:
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
            fault = _fault(beside, expected)
            if fault is not None:
                raise BadData(f"{url} gave a file {fault}; try again, or {by_hand}")
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise BadData(f"{url} cannot be fetched ({error}); {by_hand}, or give the folder that has it") from None


def copy_out(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> None:
    """Copy the files with wanted names out of a tar archive; each one whole or not at all.

    Only regular files are copied, and only the last part of a member's path counts, so that neither a path nor a link
    in the archive can lead out of `folder`.

    Raises:
        BadData: the archive is missing, damaged or cut short.
        CannotWrite: a file cannot be made.
    """
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                source = tar.extractfile(member) if member.isfile() and wanted(name) else None
                if source is not None:
                    with source, replacing(folder / name) as beside, beside.open("wb") as file:
                        shutil.copyfileobj(source, file)
    except _DAMAGE as error:
        raise BadData(f"{archive} cannot be unpacked ({error}); delete it and fetch again") from None


def cache_folder() -> Path:
    """Where downloads are kept: PIXELWISE_CACHE, or `pixelwise` in the user's cache folder."""
    named = os.environ.get("PIXELWISE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixelwise"


def checksum(path: Path, kind: str = "sha256") -> str:
    """SHA-256 of a file, or its MD5, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _fault(path: Path, expected: str | None) -> str | None:
    """How a file differs from what was expected; None if it does not."""
    if expected is None:
        return _damage(path)
    kind, _, digits = expected.rpartition(":")
    kind = kind or "sha256"
    if kind not in CHECKSUMS:
        raise BadData(f"checksum {expected!r}; expected {' or '.join(f'{known}:…' for known in CHECKSUMS)}")
    found = checksum(path, kind)
    return None if found == digits.lower() else f"with {CHECKSUMS[kind]} {found}; expected {digits}"


def _damage(path: Path) -> str | None:
    try:
        with gzip.open(path) as inside:
            while inside.read(CHUNK):  # tarfile alone stops before gzip's own checksum, which comes last
                pass
        with tarfile.open(path) as tar:
            count = sum(1 for _ in tar)
    except _DAMAGE as error:
        return f"that is no whole .tar.gz archive ({error})"
    return None if count else "that is an archive without files"
