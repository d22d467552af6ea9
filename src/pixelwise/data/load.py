"""Data sets by name: a new one is one more file here and one more line in the table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..config import DataSettings
from ..download import cache_folder
from ..errors import BadData, UnknownName
from .cifar10 import fetch_cifar10, load_cifar10
from .folder import load_folder
from .photos import load_photos
from .pictures import DataSet


@dataclass(frozen=True)
class Source:
    """One data set: how to load it, how to fetch it if it has to be, and one line about it."""

    load: Callable[[DataSettings], DataSet]
    summary: str
    fetch: Callable[[Path], Iterator[tuple[int, int]]] | None = None


SOURCES = {
    "photos": Source(load_photos, "7 photographs that scikit-image and scikit-learn carry, in patches; offline"),
    "cifar10": Source(
        load_cifar10, "60,000 pictures of 32x32 in ten categories (--category horse,deer)", fetch_cifar10
    ),
    "folder": Source(load_folder, "your own folder of pictures, in patches (--root FOLDER)"),
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
    """Load a data set by its name.

    Raises:
        UnknownName: no data set, or no category, of that name.
        BadData: it cannot be used as asked.
    """
    if settings.category and settings.name != "cifar10":
        raise BadData(
            f"category {', '.join(settings.category)} given; only cifar10 has categories, not {settings.name}"
        )
    if settings.root is not None and settings.name == "photos":
        raise BadData(f"root {settings.root} given, but photos are embedded; for pictures of your own: --data folder")
    data = source(settings.name).load(settings)
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
