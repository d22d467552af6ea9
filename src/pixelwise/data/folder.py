"""Any folder of pictures as a data set for colour.

With subfolders `train` and `test` (and `validation` or `val`) those are the splits; otherwise pictures are split by
their content, one in ten for test. Whole pictures are split, then cut into patches, so that no picture has patches in
two splits.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from ..config import DataSettings
from ..errors import BadData, BadPicture
from .images import Picture, find_pictures, open_picture
from .patches import cut_patches, thinned
from .pictures import DataSet, Pictures
from .split import content_hash, ranked_split, without_copies

TEST_SHARE = 0.1
MOST_PATCHES = 20_000  # a split's patches are thinned evenly to this many, which bounds time and memory
FEWEST = 3  # pictures: one to train on, one for validation, one for test


def load_folder(settings: DataSettings) -> DataSet:
    """A folder's pictures, cut into patches of one size.

    Raises:
        BadData: no folder was given, it has too few different pictures, or some of them cannot be read.
        BadPicture: there is no such folder, or it holds no pictures.
    """
    if settings.root is None:
        raise BadData("data set 'folder' needs a folder of pictures; give --root FOLDER")
    root = Path(settings.root)
    train, validation, test = _named_splits(root, settings) or _content_splits(root, settings)
    return DataSet("folder", root.absolute().name, *(patches_of(part, settings) for part in (train, validation, test)))


def patches_of(pictures: Sequence[Picture], settings: DataSettings) -> Pictures:
    """All pictures' patches, named after their picture and number."""
    cut = [cut_patches(picture.rgb, settings.patch, settings.scales) for picture in pictures]
    names = [f"{p.source.name}#{i}" for p, patches in zip(pictures, cut, strict=True) for i in range(len(patches))]
    pixels = torch.cat(cut) if cut else torch.empty(0, 3, settings.patch, settings.patch, dtype=torch.uint8)
    everything = Pictures(pixels, names)
    return everything.take(thinned(pixels, MOST_PATCHES))


def read_all(paths: Sequence[Path]) -> list[Picture]:
    """Every picture, or one error that names the ones that cannot be read.

    Raises:
        BadData: one or more pictures cannot be read.
    """
    pictures, faults = [], []
    for path in paths:
        try:
            pictures.append(open_picture(path))
        except BadPicture as fault:
            faults.append(str(fault))
    if faults:
        shown = "\n  ".join(faults[:5] + ([f"and {len(faults) - 5} more"] if len(faults) > 5 else []))
        raise BadData(f"{len(faults)} of {len(paths)} pictures cannot be read; mend or remove them:\n  {shown}")
    return pictures


def _named_splits(root: Path, settings: DataSettings) -> tuple[list[Picture], ...] | None:
    """The splits that subfolders name; copies stay in test before validation before train."""
    if not (root / "train").is_dir() or not (root / "test").is_dir():
        return None
    test = read_all(find_pictures(root / "test"))
    train = read_all(find_pictures(root / "train"))
    named = next((root / name for name in ("validation", "val") if (root / name).is_dir()), None)
    test_hashes = [content_hash(p.rgb) for p in test]
    if named is None:
        train = _different(train, test_hashes)
        inner, rest = ranked_split([content_hash(p.rgb) for p in train], [settings.validation])
        validation, train = [train[i] for i in inner], [train[i] for i in rest]
    else:
        validation = _different(read_all(find_pictures(named)), test_hashes)
        train = _different(train, test_hashes + [content_hash(p.rgb) for p in validation])
    if not train:
        raise BadData(f"{root / 'train'}: no picture that is not also in the other splits; add different ones")
    return train, validation, test


def _content_splits(root: Path, settings: DataSettings) -> tuple[list[Picture], ...]:
    pictures = _different(read_all(find_pictures(root)))
    if len(pictures) < FEWEST:
        raise BadData(f"{root} has {len(pictures)} different pictures; expected at least {FEWEST}, one for each split")
    hashes = [content_hash(p.rgb) for p in pictures]
    test, validation, train = ranked_split(hashes, [TEST_SHARE, settings.validation])
    if not train:
        raise BadData(f"validation {settings.validation} of {len(pictures)} pictures leaves none to train on; lower it")
    return [pictures[i] for i in train], [pictures[i] for i in validation], [pictures[i] for i in test]


def _different(pictures: Sequence[Picture], banned: Sequence[str] = ()) -> list[Picture]:
    return [pictures[i] for i in without_copies([content_hash(p.rgb) for p in pictures], banned)]
