"""Who trains and who is tested, decided by a picture's content, so that copies of one picture stay together.

The SHA-256 of its pixels, which knows neither file names nor order, gives each picture a place from 0 to 1. A folder's
pictures below the test share are for test, the next for validation; so a picture stays where it is when others come
and go. A fixed data set is ranked by place instead, which makes the shares exact.
"""

import hashlib
from collections.abc import Sequence

from torch import Tensor


def content_hash(pixels: Tensor) -> str:
    """Fingerprint of the pixels of one picture or of several, of their shape and order."""
    digest = hashlib.sha256(str(tuple(pixels.shape)).encode())
    digest.update(pixels.contiguous().numpy().tobytes())
    return digest.hexdigest()


def without_copies(hashes: Sequence[str], banned: Sequence[str] = ()) -> list[int]:
    """Indices of the first picture of each content, leaving out contents that are banned (another split's)."""
    seen = set(banned)
    kept = []
    for index, content in enumerate(hashes):
        if content not in seen:
            seen.add(content)
            kept.append(index)
    return kept


def ranked_split(hashes: Sequence[str], shares: Sequence[float]) -> list[list[int]]:
    """Indices cut into one part for each share and a last part for the rest, each part in ascending order.

    A share above 0 gets at least one picture; `hashes` must all differ.
    """
    ranked = sorted(range(len(hashes)), key=hashes.__getitem__)
    parts, start = [], 0
    for share in shares:
        size = max(1, round(share * len(hashes))) if share > 0 else 0
        parts.append(sorted(ranked[start : start + size]))
        start += size
    return [*parts, sorted(ranked[start:])]


def place_split(hashes: Sequence[str], shares: Sequence[float]) -> list[list[int]]:
    """Indices cut by the place of each hash, one part for each share and a last part for the rest.

    A part that would be empty though its share is above 0, as in a small folder, takes the next picture of the rest.
    """
    parts: list[list[int]] = [[] for _ in shares]
    rest: list[int] = []
    for index, content in enumerate(hashes):
        place = int(content[:12], 16) / 16**12
        edges = [sum(shares[: i + 1]) for i in range(len(shares))]
        part = next((parts[i] for i, edge in enumerate(edges) if place < edge), rest)
        part.append(index)
    for part, share in zip(parts, shares, strict=True):
        if share > 0 and not part and rest:
            lowest = min(rest, key=hashes.__getitem__)
            rest.remove(lowest)
            part.append(lowest)
    return [*parts, rest]
