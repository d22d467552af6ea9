"""Oxford 17 flowers with trimaps: which pixels are flower.

Nilsback and Zisserman, "A Visual Vocabulary for Flower Classification", CVPR 2006, and "Delving into the Whorl of
Flower Segmentation", BMVC 2007; https://www.robots.ox.ac.uk/~vgg/data/flowers/17/

17 species of 80 pictures each, of which some have a trimap. Leaf, sky and other background are one class here; borders
and what is neither are void.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..classes.labels import VOID, Labels
from ..config import DataSettings
from ..download import cache_folder, copy_out, fetch
from ..errors import BadData
from .labelled_folder import Parts, pictures_of, read_all
from .mask_pairs import Pair
from .masks import MaskCode
from .pictures import DataSet
from .split import ranked_split, without_copies

ADDRESS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/17/"
PICTURES = ("17flowers.tgz", "md5:b59a65d8d1a99cd66944d474e1289eab")
TRIMAPS = ("trimaps.tgz", None)
FOLDER = "flowers17"
PLACES = ("", f"{FOLDER}-256", FOLDER)  # below the root
PICTURE_FOLDERS = ("jpg", "images")
TRIMAP_FOLDER = "trimaps"
NAME = re.compile(r"image_(\d{4})\.(?:jpg|png)")
COUNT, OF_A_SPECIES = 1360, 80
SHARE = 1 / 6  # of the pictures for test, and for validation

LABELS = Labels(("background", "flower"), ("#2b2b2b", "#e69f00"))
# Trimaps' numbers: 0 border or unknown, 1 flower, 2 leaf, 3 background, 4 sky, 5 a few stray pixels.
CODE = MaskCode(LABELS, {0: VOID, 1: 1, 2: 0, 3: 0, 4: 0, 5: VOID})


def load_flowers17(settings: DataSettings) -> DataSet:
    """The pictures that have a trimap, fitted into squares of `size` pixels, split by rank of their content.

    A sixth is for test, and a sixth, or the share that is asked, for validation.

    Raises:
        BadData: the files are missing or damaged, or trimaps hold other numbers than the official ones.
    """
    folder = find_flowers(settings.root)
    pairs = flower_pairs(folder)
    if not pairs:
        raise BadData(f"{folder} has no picture with a trimap; expected image_0001.jpg to image_{COUNT}.jpg and .png")
    examples = read_all(pairs, CODE, settings.size)
    parts = divide_flowers([example.content for example in examples], settings)
    splits = [pictures_of([examples[i] for i in part], settings.size) for part in parts]
    return DataSet("flowers17", "Oxford 17 flowers", *splits, labels=LABELS)


def fetch_flowers17(root: Path) -> Iterator[tuple[int, int]]:
    """Download and unpack the official archives below `root`, yielding (bytes so far, bytes in all) of each.

    Raises:
        BadData: a download fails or is not what was expected.
    """
    for (name, checksum), inside in ((PICTURES, PICTURE_FOLDERS[0]), (TRIMAPS, TRIMAP_FOLDER)):
        archive = root / FOLDER / name
        yield from fetch(ADDRESS + name, archive, checksum)
        unpack(archive, root / FOLDER / inside)


def unpack(archive: Path, folder: Path) -> None:
    """Copy the numbered pictures or trimaps out of an archive, and nothing else; each one whole or not at all.

    Raises:
        BadData: the archive is damaged or holds none.
    """
    copy_out(archive, folder, lambda name: NAME.fullmatch(name) is not None)
    if not folder.is_dir() or not any(NAME.fullmatch(path.name) for path in folder.iterdir()):
        raise BadData(f"{archive} has no image_0001.jpg or image_0001.png; delete it and fetch again")


def divide_flowers(contents: Sequence[str], settings: DataSettings) -> Parts:
    """Indices of the pictures for training, validation and test, by rank of content; of copies one is kept.

    Raises:
        BadData: there is nothing to train on.
    """
    kept = without_copies(contents)
    shares = [SHARE, settings.validation_share(SHARE)]
    test, validation, train = ([kept[i] for i in part] for part in ranked_split([contents[i] for i in kept], shares))
    if not train:
        raise BadData(f"validation {shares[1]:g} of {len(kept)} flowers leaves none to train on; lower it")
    return train, validation, test


def find_flowers(root: str | None) -> Path:
    """The folder with the pictures and trimaps: `root`, or `flowers17-256` or `flowers17` below it, or the download's.

    Raises:
        BadData: they are not there.
    """
    start = Path(root) if root is not None else cache_folder()
    for folder in (start / place for place in PLACES):
        if (folder / TRIMAP_FOLDER).is_dir() and any((folder / name).is_dir() for name in PICTURE_FOLDERS):
            return folder
    if root is not None:
        raise BadData(f"no Oxford flowers at {root}; expected a folder jpg or images, and a folder trimaps, there")
    raise BadData(f"Oxford flowers are not in {start}; run `pixelwise data fetch flowers17`, or give --root FOLDER")


def flower_pictures(folder: Path) -> list[Path]:
    """The official pictures in a folder, by number."""
    pictures = next(folder / name for name in PICTURE_FOLDERS if (folder / name).is_dir())
    return [path for path in sorted(pictures.iterdir()) if NAME.fullmatch(path.name) and path.is_file()]


def flower_pairs(folder: Path) -> list[Pair]:
    """The pictures that have a trimap, by number; each is called by its file's name, whatever the layout."""
    masks = folder / TRIMAP_FOLDER
    pairs = [Pair(path.name, path, masks / f"{path.stem}.png") for path in flower_pictures(folder)]
    return [pair for pair in pairs if pair.mask.is_file()]


def species(name: str) -> int:
    """Which of the 17 species a picture shows, 0 to 16, by the number in its name.

    Raises:
        BadData: the name is not that of one of the 1,360 pictures.
    """
    found = NAME.fullmatch(name)
    if found is None or not 1 <= int(found[1]) <= COUNT:
        raise BadData(f"{name!r} is no picture of Oxford 17 flowers; expected image_0001.jpg to image_{COUNT}.jpg")
    return (int(found[1]) - 1) // OF_A_SPECIES
