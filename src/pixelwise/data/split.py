"""Who trains and who is tested, decided by a picture's content, so that copies of one picture stay together.

Pictures are ranked by the SHA-256 of their pixels, which knows neither file names nor order; the first ones go to
test, the next to validation. The same folder splits the same way on every machine.
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
