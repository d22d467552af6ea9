"""Which mask belongs to which picture: by folder and name."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..config import Split
from ..errors import BadPicture
from .images import find_pictures

PICTURE_FOLDER = "images"
MASK_FOLDERS = ("masks", "labels", "annotations", "trimaps")
MASK_ENDING = "_mask"
SPLIT_FOLDERS: dict[str, Split] = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
LAYOUTS = (
    f"{PICTURE_FOLDER}/a.jpg with masks/a.png ({', '.join(MASK_FOLDERS[1:])} will do too), or a.jpg with "
    f"a{MASK_ENDING}.png beside it; directly in the folder, or in its subfolders train, validation and test"
)


@dataclass(frozen=True)
class Pair:
    """A picture, its mask, its name (the picture's path below the folder) and the split that its folder names."""

    name: str
    picture: Path
    mask: Path
    part: Split = "all"


@dataclass(frozen=True)
class Found:
    """What a folder holds: pairs, and the files that are not in one.

    Args:
        pairs: pictures with their masks, sorted by name within each split.
        unmasked: pictures that have no mask.
        unused: masks that have no picture.
        doubtful: pictures or masks of one name, of which it is open which belong together.
    """

    pairs: list[Pair] = field(default_factory=list)
    unmasked: list[Path] = field(default_factory=list)
    unused: list[Path] = field(default_factory=list)
    doubtful: list[Path] = field(default_factory=list)


def find_pairs(root: Path) -> Found:
    """The pictures and masks below a folder, matched by name; a mask may have its picture's name or that and `_mask`.

    Raises:
        BadPicture: there is no such folder.
    """
    if not root.is_dir():
        raise BadPicture(f"no folder at {root}")
    found = Found()
    for folder, part in split_folders(root) or [(root, "all")]:
        pictures, masks = _files(folder)
        for key in sorted({*pictures, *masks}):
            some, theirs = pictures[key], masks[key]
            if len(some) == len(theirs) == 1:
                found.pairs.append(Pair(some[0].relative_to(root).as_posix(), some[0], theirs[0], part))
            elif some and theirs:
                found.doubtful.extend([*some, *theirs])
            else:
                found.unmasked.extend(some)
                found.unused.extend(theirs)
    return found


def split_folders(root: Path) -> list[tuple[Path, Split]]:
    """The subfolders that name splits; none unless there are both `train` and `test`."""
    if not (root / "train").is_dir() or not (root / "test").is_dir():
        return []
    return [(root / name, split) for name, split in SPLIT_FOLDERS.items() if (root / name).is_dir()]


def _files(folder: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Pictures and masks, each by the name that they have in common."""
    pictures: dict[str, list[Path]] = defaultdict(list)
    masks: dict[str, list[Path]] = defaultdict(list)
    beside = next((folder / name for name in MASK_FOLDERS if (folder / name).is_dir()), None)
    if (folder / PICTURE_FOLDER).is_dir() and beside is not None:
        for path, key in _keys(folder / PICTURE_FOLDER):
            pictures[key].append(path)
        for path, key in _keys(beside):
            masks[key if key in pictures else key.removesuffix(MASK_ENDING)].append(path)
    else:
        for path, key in _keys(folder):
            (masks if key.endswith(MASK_ENDING) else pictures)[key.removesuffix(MASK_ENDING)].append(path)
    return pictures, masks


def _keys(folder: Path) -> Iterator[tuple[Path, str]]:
    try:
        paths = find_pictures(folder)
    except BadPicture:  # it holds none
        return
    for path in paths:
        yield path, path.relative_to(folder).with_suffix("").as_posix()
