"""Photographs from files to files: opened, coloured, painted, and told what was done to them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from .. import __version__
from ..alternatives import Alternative, alternatives
from ..classes.chroma import ChromaPalette
from ..classes.dials import Dials
from ..data.images import FORMATS, KEEP_ALPHA, Picture, open_picture, read_notes, save_picture
from ..errors import BadData, BadPicture, BadSetting, PixelwiseError
from ..hints import Hint, Hints, said
from ..models.colour_hypercolumn import HypercolumnColours
from ..models.hypercolumn import SHA256 as TRUNK_SHA256
from ..predict.colour import colourize
from ..predict.photograph import Looked, allowed, chroma_of, look, painted, painted_deep, uncertainty_of
from ..predict.uncertainty import uncertainty_shown
from ..shapes import Rgb
from .finished import Trained

PIXELS_AT_ONCE = 30_000_000  # of all pictures that are worked on at the same time; about 25 bytes of memory for each
DEEP = frozenset({".png", ".tif", ".tiff"})  # formats that hold 16 bits
ESTIMATES = "Colours are estimates made by pixelwise, not a record of what was there."
MOST_ALTERNATIVES = 5


@dataclass(frozen=True)
class Wishes:
    """How pictures are to be coloured.

    Args:
        dials: how answers become colours.
        hints: colours that a user says, by the pictures' names.
        uncertainty: write a map of doubt beside each picture.
        again: also colour pictures whose result is there already.
    """

    dials: Dials = field(default_factory=Dials)
    hints: Hints = field(default_factory=lambda: Hints({}))
    uncertainty: bool = False
    again: bool = False


@dataclass(frozen=True)
class Coloured:
    """One picture of a batch: where its colours are and how long it took, or why it has none."""

    picture: Path
    output: Path | None
    seconds: float
    reason: str | None = None
    skipped: bool = False  # its result was there already, made in the same way


def colourize_files(
    pairs: Sequence[tuple[Path, Path]], trained: Trained, wishes: Wishes | None = None, jobs: int = 1
) -> Iterator[Coloured]:
    """Colour pictures, each in its own size, from the first path of a pair to the second; bad ones do not stop it.

    Args:
        pairs: pictures and where their results go.
        trained: the network.
        wishes: how.
        jobs: pictures worked on at the same time, as far as memory for them is bounded; results come as they are done.

    Raises:
        BadData: hints are on a picture that is not among these, or two of them have its name.
        BadSetting: what is wished needs a network that answers with chroma for cells.
    """
    wishes = wishes or Wishes()
    _check(pairs, trained, wishes)
    if jobs <= 1 or len(pairs) <= 1:
        yield from (_tried(trained, wishes, *pair) for pair in pairs)
        return
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(max(1, threads // jobs),)) as workers:
        running: dict[Future[Coloured], int] = {}
        try:
            for picture, target in pairs:
                pixels = _pixels_of(picture)
                while running and (len(running) >= jobs or sum(running.values()) + pixels > PIXELS_AT_ONCE):
                    yield from _ended(running)
                running[workers.submit(_tried, trained, wishes, picture, target)] = pixels
            while running:
                yield from _ended(running)
        finally:  # whoever stops asking for results does not wait for what has not begun
            workers.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(threads)  # what one thread sets, threads that begin later start with


def _ended(running: dict[Future[Coloured], int]) -> Iterator[Coloured]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        del running[future]
        yield future.result()


def _check(pairs: Iterable[tuple[Path, Path]], trained: Trained, wishes: Wishes) -> None:
    named = [name for name, hints in wishes.hints.pictures.items() if hints]
    if (named or wishes.uncertainty or wishes.dials.locked) and not _sees_photographs(trained):
        raise BadSetting(
            f"hints, locks and maps of uncertainty need a network for photographs; the run is of "
            f"{trained.plan.model.name}; leave out --run, or train hypercolumn_efficientnet_lite0"
        )
    given = [picture.name for picture, _ in pairs]
    for name in named:
        if given.count(name) != 1:
            found = "not among the pictures given" if name not in given else f"the name of {given.count(name)} pictures"
            raise BadData(f"hints are on {name!r}, which is {found}; name one picture as its file is called")


def _sees_photographs(trained: Trained) -> bool:
    return isinstance(trained.model, HypercolumnColours) and isinstance(trained.palette, ChromaPalette)


def _pixels_of(picture: Path) -> int:
    """What the file's header says; a picture that cannot be read needs no memory."""
    try:
        with Image.open(picture, formats=FORMATS) as image:
            return image.size[0] * image.size[1]
    except Exception:  # whatever is wrong is told when the picture is opened
        return 0


def _tried(trained: Trained, wishes: Wishes, picture: Path, target: Path) -> Coloured:
    start = time.perf_counter()
    try:
        hints = wishes.hints.pictures.get(picture.name, ())
        notes = notes_of(trained, wishes.dials, hints)
        for there in (target, target.with_suffix(".png")):
            wanted = (there, map_beside(there)) if wishes.uncertainty else (there,)
            if not wishes.again and all(_done(picture, path, notes) for path in wanted):
                return Coloured(picture, there, time.perf_counter() - start, skipped=True)
        written = _coloured(trained, wishes, _opened(trained, picture), target, hints, notes)
    except PixelwiseError as error:
        return Coloured(picture, None, time.perf_counter() - start, str(error))
    return Coloured(picture, written, time.perf_counter() - start)


def _opened(trained: Trained, picture: Path) -> Picture:
    """The picture; the trunk, if it is not there yet, is read beside it."""
    if not isinstance(trained.model, HypercolumnColours):
        return open_picture(picture)
    with ThreadPoolExecutor(1) as beside:
        beside.submit(trained.model.prepare)  # should that fail, it fails again, and is told, where it is needed
        return open_picture(picture)


def _done(picture: Path, target: Path, notes: dict[str, str]) -> bool:
    """Whether a result is there that was made in the same way of the same picture."""
    try:
        return target.stat().st_mtime >= picture.stat().st_mtime and read_notes(target) == notes
    except (OSError, BadPicture):  # nothing is there, or something that is no picture
        return False


def _coloured(
    trained: Trained, wishes: Wishes, opened: Picture, target: Path, hints: Sequence[Hint], notes: dict[str, str]
) -> Path:
    """Write the result of one picture, and the map of doubt if it is wished; says where."""
    if opened.alpha is not None and target.suffix.lower() not in KEEP_ALPHA:  # a PNG by the name of .jpg
        target = target.with_suffix(".png")
    deep = opened.deep if target.suffix.lower() in DEEP else None
    shares, palette, model = trained.table.shares, trained.palette, trained.model
    if not (isinstance(model, HypercolumnColours) and isinstance(palette, ChromaPalette)):
        made = colourize(model, palette, opened.rgb, wishes.dials, shares)
        save_picture(target, made, opened.alpha, notes=notes, like=opened)
        return target
    hinted = said(hints, (opened.rgb.shape[1], opened.rgb.shape[2])) if hints else None
    looked = look(model, palette, opened.rgb)
    hinted = allowed(hinted, looked, palette, wishes.dials)
    chroma = chroma_of(looked, palette, shares, wishes.dials, hinted)
    if deep is None:
        save_picture(target, painted(opened.rgb, chroma, looked.guide, hinted), opened.alpha, notes=notes, like=opened)
    else:
        save_picture(target, painted_deep(deep, chroma, looked.guide, hinted), opened.alpha, notes=notes, like=opened)
    if wishes.uncertainty:
        doubt = uncertainty_of(looked, palette, shares, wishes.dials)
        save_picture(map_beside(target), uncertainty_shown(opened.rgb, doubt), notes=notes)
    return target


def map_beside(target: Path) -> Path:
    """Where the map of doubt of a coloured picture goes."""
    return target.with_name(f"{target.stem}_uncertainty.png")


def notes_of(trained: Trained, dials: Dials, hints: Sequence[Hint]) -> dict[str, str]:
    """What a coloured picture's file says of how its colours came about."""
    turned: dict[str, Any] = {
        "rare": dials.rare or None,
        "forbidden": ", ".join(dials.forbidden),
        "swapped": ", ".join(f"{first} to {second}" for first, second in dials.swapped),
        "locked": ", ".join(dials.locked),
        "hints": "; ".join(f"{h.colour} {h.radius:g} {list(map(list, h.points))}" for h in hints),
    }
    return {
        "Description": ESTIMATES,
        "Software": f"pixelwise {__version__}",
        "model": trained.plan.model.name,
        "model sha256": trained.weights_sha256,
        **({"trunk sha256": TRUNK_SHA256} if isinstance(trained.model, HypercolumnColours) else {}),
        "palette": f"{len(trained.palette)} classes in {trained.palette.space}",
        "palette sha256": trained.palette.sha256,
        "vividness": f"{dials.vividness:g}",
        **{name: str(value) for name, value in turned.items() if value},
    }


def alternatives_at(trained: Trained, rgb: Rgb, x: float, y: float, most: int = MOST_ALTERNATIVES) -> list[Alternative]:
    """The likeliest colours of the region around a pixel of a picture.

    Raises:
        BadData: the pixel is outside of the picture.
        BadSetting: the network is not one for photographs.
    """
    palette, model = trained.palette, trained.model
    if not (isinstance(model, HypercolumnColours) and isinstance(palette, ChromaPalette)):
        raise BadSetting(f"alternatives need a network for photographs, not {trained.plan.model.name}")
    height, width = rgb.shape[1:]
    if not (0 <= x < width and 0 <= y < height):
        raise BadData(f"[{x:g}, {y:g}] lies outside of a picture of {width} x {height} pixels; x goes to the right")
    looked: Looked = look(model, palette, rgb)
    _, rows, columns = looked.logits.shape
    row, column = int(y * rows / height), int(x * columns / width)
    return alternatives(looked.logits.softmax(dim=0), palette, looked.light, row, column, most)
