"""A folder of pictures and masks as a labelled data set.

Masks lie in a folder beside the pictures' folder (`images` and `masks`), or beside each picture (`a.jpg` and
`a_mask.png`). With subfolders `train` and `test` (and `validation` or `val`) those are the splits; otherwise pictures
are split by their content. What the masks' values mean is for `classes.json` or `classes.txt` in the folder to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from ..config import DataSettings, Split
from ..errors import BadData, PixelwiseError
from ..shapes import Rgb, RgbOfAnySize
from .class_list import read_class_list
from .fitting import letterboxed
from .folder import FEWEST, TEST_SHARE
from .images import open_picture
from .mask_pairs import LAYOUTS, Pair, find_pairs
from .masks import MaskCode, RawMask, guessed_code, numbers_of, read_mask, settled_code
from .pictures import DataSet, Pictures
from .split import content_hash, place_split, without_copies

SHOWN = 5  # faults in an error
Parts = tuple[list[int], list[int], list[int]]


@dataclass(frozen=True, eq=False)
class Example:
    """What is kept of one picture: its name, the fingerprint of all its pixels, and itself and its classes fitted."""

    name: str
    content: str
    pixels: Rgb
    ids: UInt8[Tensor, "h w"]


def load_labelled_folder(settings: DataSettings) -> DataSet:
    """A folder's pictures with their masks, fitted into squares of `size` pixels; a picture without mask is left out.

    Raises:
        BadData: no folder was given, it has no masks or too few different pictures, or some files cannot be used.
    """
    if settings.root is None:
        raise BadData("data set 'folder' needs a folder of pictures and masks; give --root FOLDER")
    root = Path(settings.root)
    found = find_pairs(root)
    pairs = found.pairs
    if found.doubtful:
        raise BadData(
            f"{root}: which of {', '.join(str(path) for path in found.doubtful[:SHOWN])} belong together is "
            "open, since they have one name; give each picture one mask"
        )
    if not pairs:
        raise BadData(f"{root} has no picture with a mask; expected {LAYOUTS}")
    code = _code_of(root, pairs)
    examples = read_all(pairs, code, settings.size)
    parts = divide([pair.part for pair in pairs], [example.content for example in examples], settings, root)
    splits = [pictures_of([examples[i] for i in part], settings.size) for part in parts]
    return DataSet("folder", root.absolute().name, *splits, labels=code.labels)


def read_all(pairs: Sequence[Pair], code: MaskCode, size: int) -> list[Example]:
    """Every picture with its mask, one after the other, or one error that names the ones that cannot be used.

    Raises:
        BadData: one or more pictures or masks cannot be read, or do not fit each other or the classes.
    """
    examples, faults = [], []
    for pair in pairs:
        try:
            rgb = open_picture(pair.picture).rgb
            raw = read_mask(pair.mask)
            check_sizes(pair, rgb, raw)
            pixels, ids = letterboxed(rgb, code.ids(raw), size)
        except PixelwiseError as fault:
            faults.append(str(fault))
            continue
        examples.append(Example(pair.name, content_hash(rgb), pixels, ids))
    if faults:
        shown = "\n  ".join(faults[:SHOWN] + ([f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []))
        raise BadData(
            f"{len(faults)} of {len(pairs)} pictures with masks cannot be used; mend or remove them:\n  {shown}"
        )
    return examples


def check_sizes(pair: Pair, rgb: RgbOfAnySize, raw: RawMask) -> None:
    """A mask has the size of its picture, held upright.

    Raises:
        BadData: it has not.
    """
    (height, width), (h, w) = rgb.shape[1:], raw.size
    if (h, w) != (height, width):
        raise BadData(
            f"{pair.mask} is {w} x {h} pixels, but its picture {pair.picture.name} is {width} x {height} when upright; "
            "make the mask anew at that size"
        )


def divide(named: Sequence[Split], contents: Sequence[str], settings: DataSettings, root: Path) -> Parts:
    """Indices of the pictures for training, validation and test; of copies one is kept, so that no two splits share.

    Args:
        named: the split that each picture's folder names; "all" where folders name none.
        contents: the fingerprint of each picture.
        settings: for the share that is kept for validation.
        root: the folder, for the error.

    Raises:
        BadData: a split has no picture.
    """
    train, validation, test = (
        _by_content(contents, settings) if set(named) <= {"all"} else _by_folder(named, contents, settings)
    )
    few = set(named) <= {"all"} and len(set(contents)) < FEWEST
    if few or not train or not test:
        raise BadData(
            f"{root} has {len(set(contents))} different pictures that can be used, {len(train)} to train on and "
            f"{len(test)} to test; expected {FEWEST} or more, some in each split; add pictures, or lower --validation"
        )
    return train, validation, test


def pictures_of(examples: Sequence[Example], size: int) -> Pictures:
    """Examples as one tensor of pictures and one of classes."""
    pixels = torch.empty(len(examples), 3, size, size, dtype=torch.uint8)
    ids = torch.empty(len(examples), size, size, dtype=torch.uint8)
    for i, example in enumerate(examples):
        pixels[i], ids[i] = example.pixels, example.ids
    return Pictures(pixels, [example.name for example in examples], ids)


def _by_content(contents: Sequence[str], settings: DataSettings) -> Parts:
    kept = without_copies(contents)
    shares = [TEST_SHARE, settings.validation_share()]
    test, validation, train = place_split([contents[i] for i in kept], shares)
    return [kept[i] for i in train], [kept[i] for i in validation], [kept[i] for i in test]


def _by_folder(named: Sequence[Split], contents: Sequence[str], settings: DataSettings) -> Parts:
    """The splits that folders name; a copy counts for test before validation before training."""
    kept: dict[str, list[int]] = {}
    banned: list[str] = []
    for split in ("test", "validation", "train"):
        inside = [i for i, part in enumerate(named) if part == split]
        kept[split] = [inside[i] for i in without_copies([contents[i] for i in inside], banned)]
        banned += [contents[i] for i in inside]
    if "validation" in named:
        return kept["train"], kept["validation"], kept["test"]
    train = kept["train"]
    validation, rest = place_split([contents[i] for i in train], [settings.validation_share()])
    return [train[i] for i in rest], [train[i] for i in validation], kept["test"]


def _code_of(root: Path, pairs: Sequence[Pair]) -> MaskCode:
    """What the masks' values mean: what the class list says, or what the numbers in all masks together suggest."""
    listed = read_class_list(root)
    if listed is not None and listed.settled:
        return listed
    seen: dict[int, Path] = {}
    for pair in pairs:
        try:
            numbers = numbers_of(read_mask(pair.mask), listed)
        except PixelwiseError:
            continue  # it is read again with its picture, and named with the other faults there
        for value in [] if numbers is None else np.unique(numbers.numpy()).tolist():
            seen.setdefault(value, pair.mask)
    return guessed_code(seen) if listed is None else settled_code(listed, seen)
