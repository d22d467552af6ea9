"""Any folder of pictures as a data set for colour.

With subfolders `train` and `test` (and `validation` or `val`) those are the splits; otherwise pictures are split by
their content, one in ten for test. Whole pictures are split, then cut into patches, so that no picture has patches in
two splits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..config import DataSettings
from ..errors import BadData, BadPicture
from .images import find_pictures, open_picture
from .patches import Patches, cut_patches
from .pictures import DataSet, Pictures, evenly_spaced
from .split import content_hash, place_split, without_copies

TEST_SHARE = 0.1
MOST_PATCHES = 20_000  # a split's patches are thinned evenly to this many, which bounds time and memory
FEWEST = 3  # pictures: one to train on, one for validation, one for test


@dataclass(frozen=True, eq=False)
class Cut:
    """What is kept of one picture: its name, the fingerprint of all its pixels, and its patches."""

    name: str
    content: str
    patches: Patches


def load_folder(settings: DataSettings) -> DataSet:
    """A folder's pictures, cut into patches of one size; only patches are kept in memory.

    Raises:
        BadData: no folder was given, it has too few different pictures, or some of them cannot be read.
        BadPicture: there is no such folder, or it holds no pictures.
    """
    if settings.root is None:
        raise BadData("data set 'folder' needs a folder of pictures; give --root FOLDER")
    root = Path(settings.root)
    named = (root / "train").is_dir() and (root / "test").is_dir()
    train, validation, test = _named_splits(root, settings) if named else _content_splits(root, settings)
    return DataSet("folder", root.absolute().name, *(patches_of(part, settings) for part in (train, validation, test)))


def patches_of(pictures: Sequence[Cut], settings: DataSettings) -> Pictures:
    """All pictures' patches, named after their picture and number, thinned evenly if they are very many."""
    names = [f"{picture.name}#{i}" for picture in pictures for i in range(len(picture.patches))]
    nothing = torch.empty(0, 3, settings.patch, settings.patch, dtype=torch.uint8)
    everything = Pictures(torch.cat([nothing, *(picture.patches for picture in pictures)]), names)
    return everything.take(evenly_spaced(len(names), MOST_PATCHES))


def cut_all(paths: Sequence[Path], settings: DataSettings) -> list[Cut]:
    """Every picture cut, one after the other, or one error that names the ones that cannot be read.

    Raises:
        BadData: one or more pictures cannot be read.
    """
    most = max(4, 2 * MOST_PATCHES // max(1, len(paths)))  # of one picture, so that memory is bounded for any folder
    cuts, faults = [], []
    for path in paths:
        try:
            rgb = open_picture(path).rgb
        except BadPicture as fault:
            faults.append(str(fault))
            continue
        patches = cut_patches(rgb, settings.patch, settings.scales, settings.cover)
        cuts.append(Cut(path.name, content_hash(rgb), patches[evenly_spaced(len(patches), most)]))
    if faults:
        shown = "\n  ".join(faults[:5] + ([f"and {len(faults) - 5} more"] if len(faults) > 5 else []))
        raise BadData(f"{len(faults)} of {len(paths)} pictures cannot be read; mend or remove them:\n  {shown}")
    return cuts


def _named_splits(root: Path, settings: DataSettings) -> tuple[list[Cut], list[Cut], list[Cut]]:
    """The splits that subfolders name; a copy counts for test before validation before training."""
    test = cut_all(find_pictures(root / "test"), settings)
    inside = cut_all(find_pictures(root / "train"), settings)
    kept = next((root / name for name in ("validation", "val") if (root / name).is_dir()), None)
    banned = [picture.content for picture in test]
    if kept is None:
        inside = _different(inside, banned)
        chosen, rest = place_split([picture.content for picture in inside], [settings.validation_share()])
        validation, train = [inside[i] for i in chosen], [inside[i] for i in rest]
    else:
        validation = _different(cut_all(find_pictures(kept), settings), banned)
        train = _different(inside, [*banned, *(picture.content for picture in validation)])
    if not train:
        raise BadData(f"{root / 'train'} has no picture left to train on: all are in the other splits too; add some")
    return train, validation, test


def _content_splits(root: Path, settings: DataSettings) -> tuple[list[Cut], list[Cut], list[Cut]]:
    pictures = _different(cut_all(find_pictures(root), settings))
    if len(pictures) < FEWEST:
        raise BadData(f"{root} has {len(pictures)} different pictures; expected at least {FEWEST}, one for each split")
    contents = [picture.content for picture in pictures]
    share = settings.validation_share()
    test, validation, train = place_split(contents, [TEST_SHARE, share])
    if not train:
        raise BadData(f"validation {share} of {len(pictures)} pictures leaves none to train on; lower it")
    return [pictures[i] for i in train], [pictures[i] for i in validation], [pictures[i] for i in test]


def _different(pictures: Sequence[Cut], banned: Sequence[str] = ()) -> list[Cut]:
    return [pictures[i] for i in without_copies([picture.content for picture in pictures], banned)]
