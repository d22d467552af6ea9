"""The embedded photographs: seven colour pictures that scikit-image and scikit-learn carry, so that all runs offline.

The split is by whole photograph: four to train on, one for validation, two for test.
"""

import importlib.util
from pathlib import Path

from ..config import DataSettings, Split
from ..errors import BadData
from .folder import cut_all, patches_of
from .pictures import DataSet

PHOTOGRAPHS: dict[str, tuple[Split, str, str]] = {  # name: split, package, path in the package
    "astronaut": ("train", "skimage", "data/astronaut.png"),
    "china": ("train", "sklearn", "datasets/images/china.jpg"),
    "flower": ("train", "sklearn", "datasets/images/flower.jpg"),
    "motorcycle": ("train", "skimage", "data/motorcycle_left.png"),
    "rocket": ("validation", "skimage", "data/rocket.jpg"),
    "chelsea": ("test", "skimage", "data/chelsea.png"),
    "coffee": ("test", "skimage", "data/coffee.png"),
}


def load_photos(settings: DataSettings) -> DataSet:
    """The photographs' patches; `validation` has no meaning here.

    Raises:
        BadData: an installed package does not carry its photographs.
    """
    splits: tuple[Split, ...] = ("train", "validation", "test")
    return DataSet(
        "photos", "photos", *(patches_of(cut_all(photographs(split), settings), settings) for split in splits)
    )


def photographs(split: Split) -> list[Path]:
    """The files of one split's photographs."""
    return [photograph(name) for name, (part, _, _) in PHOTOGRAPHS.items() if part == split]


def photograph(name: str) -> Path:
    """The file of one photograph.

    Raises:
        BadData: the package does not carry it.
    """
    _, package, inside = PHOTOGRAPHS[name]
    found = importlib.util.find_spec(package)  # locates the package without importing it
    if found is None or found.origin is None or not (Path(found.origin).parent / inside).is_file():
        raise BadData(f"{package} does not carry {inside}; reinstall it: pip install --force-reinstall {package}")
    return Path(found.origin).parent / inside
