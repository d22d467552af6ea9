"""Data sets by name: a new one is one more file here and one more line in the table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..config import DataSettings
from ..download import cache_folder
from ..errors import BadData, UnknownName
from .cifar10 import fetch_cifar10, load_cifar10
from .flowers17 import fetch_flowers17, load_flowers17
from .folder import load_folder
from .labelled_folder import load_labelled_folder
from .photos import load_photos
from .pictures import DataSet


@dataclass(frozen=True)
class Source:
    """One data set: a line about it, how to load it for colour, with labels, or both, and how to fetch it if needed."""

    summary: str
    load: Callable[[DataSettings], DataSet] | None = None
    load_labelled: Callable[[DataSettings], DataSet] | None = None
    fetch: Callable[[Path], Iterator[tuple[int, int]]] | None = None


SOURCES = {
    "photos": Source("7 photographs that scikit-image and scikit-learn carry, in patches; offline", load=load_photos),
    "cifar10": Source(
        "60,000 pictures of 32x32 in ten categories (--category horse,deer)", load=load_cifar10, fetch=fetch_cifar10
    ),
    "flowers17": Source(
        "flowers of 17 species, each pixel labelled flower or background",
        load_labelled=load_flowers17,
        fetch=fetch_flowers17,
    ),
    "folder": Source(
        "your own folder of pictures, in patches, or of pictures and masks (--root FOLDER)",
        load=load_folder,
        load_labelled=load_labelled_folder,
    ),
}


def source(name: str) -> Source:
    """The data set of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in SOURCES:
        raise UnknownName("data set", name, SOURCES)
    return SOURCES[name]


def load_data(settings: DataSettings) -> DataSet:
    """Load a data set for colour by its name.

    Raises:
        UnknownName: no data set, or no category, of that name.
        BadData: it cannot be used as asked.
    """
    _check_given(settings)
    load = source(settings.name).load
    if load is None:
        able = ", ".join(name for name, other in SOURCES.items() if other.load)
        raise BadData(f"data set {settings.name!r} is for segmentation, not for colour; for colour there are: {able}")
    return _with_pictures(load(settings))


def load_labelled(settings: DataSettings) -> DataSet:
    """Load a data set with the true class of every pixel by its name.

    Raises:
        UnknownName: no data set of that name.
        BadData: it has no labels, or cannot be used as asked.
    """
    _check_given(settings)
    load = source(settings.name).load_labelled
    if load is None:
        able = ", ".join(name for name, other in SOURCES.items() if other.load_labelled)
        raise BadData(f"data set {settings.name!r} has no labels; data sets with labels are: {able}")
    return _with_pictures(load(settings))


def _check_given(settings: DataSettings) -> None:
    if settings.category and settings.name != "cifar10":
        raise BadData(
            f"category {', '.join(settings.category)} given; only cifar10 has categories, not {settings.name}"
        )
    if settings.root is not None and settings.name == "photos":
        raise BadData(f"root {settings.root} given, but photos are embedded; for pictures of your own: --data folder")


def _with_pictures(data: DataSet) -> DataSet:
    if not len(data.train) or not len(data.test):
        raise BadData(
            f"{data.title}: {len(data.train)} pictures to train on, {len(data.test)} to test; expected some of each"
        )
    return data


def fetch_data(name: str, root: Path | None) -> Iterator[tuple[int, int]]:
    """Download a data set to `root` (or the cache), yielding (bytes so far, bytes in all).

    Raises:
        UnknownName: no data set of that name.
        BadData: it is not one to download, or the download fails.
    """
    found = source(name)
    if found.fetch is None:
        raise BadData(f"data set {name!r} needs no download: {found.summary}")
    return found.fetch(root or cache_folder())
