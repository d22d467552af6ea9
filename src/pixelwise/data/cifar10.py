"""CIFAR-10 from its official binary files: one byte of label, then 32 x 32 bytes each of red, green and blue.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; https://www.cs.toronto.edu/~kriz/cifar.html
The checksum is that of the archive named there (MD5 c32a1d4ab5d03f1284b67883e8d87530).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ..config import DataSettings
from ..download import cache_folder, checksum, copy_out, fetch
from ..errors import BadData, UnknownName
from .pictures import DataSet, Pictures
from .split import content_hash, ranked_split, without_copies

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILE = "test_batch.bin"
CATEGORIES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE  # bytes


def load_cifar10(settings: DataSettings) -> DataSet:
    """CIFAR-10, or some of its categories. The official test pictures are the test split; validation is cut from train.

    Training pictures that are copies of a test picture, or of each other, are left out.

    Raises:
        UnknownName: no category of that name.
        BadData: the files are missing or damaged, or hold no picture of a category.
    """
    labels = [_label(name) for name in settings.category] or list(range(len(CATEGORIES)))
    folder = find_folder(settings.root)
    train = _read([folder / name for name in TRAIN_FILES], labels)
    test = _read([folder / TEST_FILE], labels)
    banned = [content_hash(pixels) for pixels in test.pixels]
    hashes = [content_hash(pixels) for pixels in train.pixels]
    kept = without_copies(hashes, banned)
    validation, training = ranked_split([hashes[i] for i in kept], [settings.validation_share()])
    return DataSet(
        name="cifar10",
        title=f"CIFAR-10 {', '.join(settings.category)}".rstrip(),
        train=train.take([kept[i] for i in training]),
        validation=train.take([kept[i] for i in validation]),
        test=test,
    )


def fetch_cifar10(root: Path) -> Iterator[tuple[int, int]]:
    """Download and unpack the official archive below `root`, yielding (bytes so far, bytes in all).

    Raises:
        BadData: the download fails or is not the official archive.
    """
    archive = root / URL.rpartition("/")[2]
    yield from fetch(URL, archive, SHA256)
    unpack(archive, root / FOLDER)


def unpack(archive: Path, folder: Path) -> None:
    """Copy the batch files out of the archive, and nothing else; each one whole or not at all."""
    wanted = {*TRAIN_FILES, TEST_FILE}
    copy_out(archive, folder, wanted.__contains__)
    missing = sorted(name for name in wanted if not (folder / name).is_file())
    if missing:
        raise BadData(f"{archive} has no {', '.join(missing)} (SHA-256 {checksum(archive)}); delete it and fetch again")


def find_folder(root: str | None) -> Path:
    """The folder with the batch files: `root`, or `cifar-10-batches-bin` below it; without a root, the download's.

    Raises:
        BadData: the batch files are not there.
    """
    start = Path(root) if root is not None else cache_folder()
    for folder in (start, start / FOLDER):
        if (folder / TEST_FILE).is_file():
            return folder
    if root is not None:
        raise BadData(f"no CIFAR-10 at {root}; expected {TEST_FILE} and data_batch_1.bin to data_batch_5.bin there")
    raise BadData(f"CIFAR-10 is not in {start}; run `pixelwise data fetch cifar10`, or give --root FOLDER")


def _label(category: str) -> int:
    if category not in CATEGORIES:
        raise UnknownName("CIFAR-10 category", category, CATEGORIES)
    return CATEGORIES.index(category)


def _read(files: Sequence[Path], labels: Sequence[int]) -> Pictures:
    pixels, names = [], []
    for path in files:
        records = _records(path)
        chosen = np.flatnonzero(np.isin(records[:, 0], labels))
        pixels.append(records[chosen, 1:])
        names += [f"{path.stem}/{i}" for i in chosen.tolist()]
    if not names:
        asked = ", ".join(CATEGORIES[i] for i in labels)
        raise BadData(f"{', '.join(path.name for path in files)} in {files[0].parent}: no pictures of {asked}")
    return Pictures(torch.from_numpy(np.concatenate(pixels).reshape(-1, 3, SIDE, SIDE)), names)


def _records(path: Path) -> np.ndarray:
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error}); expected a CIFAR-10 batch file") from None
    if len(data) == 0 or len(data) % RECORD:
        raise BadData(
            f"{path} has {len(data):,} bytes; expected a multiple of {RECORD:,}: it is cut short or another file"
        )
    records = data.reshape(-1, RECORD)
    if records[:, 0].max() >= len(CATEGORIES):
        raise BadData(f"{path} has label {records[:, 0].max()}; expected 0 to 9: it is not in CIFAR-10's binary layout")
    return records
