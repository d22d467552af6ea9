"""The doctor's look at pictures: unreadable ones, tiny ones, copies, and splits that have none."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config import DataSettings, Split
from ..errors import PixelwiseError
from ..shapes import RgbOfAnySize
from .findings import Findings, Report
from .images import find_pictures, open_picture
from .labelled_folder import Parts, divide
from .mask_pairs import split_folders
from .split import content_hash

TINY = 16  # pixels of the long side; such a picture is an icon
MEND_UNREADABLE = "get whole copies of them, or remove them"
MEND_COPY = "nothing, as one of each is kept; remove the others to be sure which"
MEND_LEAK = "nothing, as it counts for test before validation before training; remove the others to be sure which"

# From the splits that folders name and the pictures' fingerprints, who trains and who is tested.
Divide = Callable[[Sequence[Split], Sequence[str]], Parts]


@dataclass(frozen=True)
class Seen:
    """A picture that can be read: its name, the split that its folder names, and fingerprints of it and its mask."""

    name: str
    part: Split
    content: str
    mask: str = ""


def check_colour_folder(root: Path, settings: DataSettings) -> Report:
    """Check a folder of pictures for colour. Nothing is raised: every fault is a finding."""
    found = Findings()
    check_split_folders(root, found)
    named: dict[Split, Path] = {}
    for folder, part in split_folders(root):
        named.setdefault(part, folder)
    seen: list[Seen] = []
    for part, folder in (named or {"all": root}).items():
        try:
            paths = find_pictures(folder)
        except PixelwiseError as error:
            found.add("error", str(error), None, "put pictures there, or give another folder")
            continue
        for path in paths:
            rgb = opened(path, root, found)
            if rgb is not None:
                seen.append(Seen(path.relative_to(root).as_posix(), part, content_hash(rgb)))
    check_copies(seen, found)
    check_parts(seen, found, lambda parts, contents: divide(parts, contents, settings, root))
    return Report(found.all(), len(seen))


def opened(path: Path, root: Path, found: Findings) -> RgbOfAnySize | None:
    """A picture's pixels; None, and a finding, if it cannot be read."""
    name = path.relative_to(root).as_posix()
    try:
        rgb = open_picture(path).rgb
    except PixelwiseError as error:
        found.add("error", "{n} pictures cannot be read", name, MEND_UNREADABLE, str(error))
        return None
    height, width = rgb.shape[1:]
    if max(height, width) < TINY:
        what = f"{{n}} pictures are tiny, below {TINY} x {TINY} pixels"
        found.add("warning", what, name, "use larger pictures", f"{name} is {width} x {height}")
    return rgb


def check_split_folders(root: Path, found: Findings) -> None:
    """One of `train` and `test` without the other names no splits."""
    have = [name for name in ("train", "test") if (root / name).is_dir()]
    if len(have) == 1:
        other = "test" if have == ["train"] else "train"
        what = f"there is a folder {have[0]} but none called {other}, so that folders do not name the splits"
        found.add("warning", what, f"{have[0]}/", f"add the folder {other}, or put all pictures into one folder")


def check_copies(seen: Sequence[Seen], found: Findings) -> None:
    """Pictures that occur twice: within a split, in two splits, and with different masks."""
    same: dict[str, list[Seen]] = defaultdict(list)
    for picture in seen:
        same[picture.content].append(picture)
    for copies in same.values():
        names = [picture.name for picture in copies]
        parts = sorted({picture.part for picture in copies})
        if len(parts) > 1:
            what = f"{{n}} files are pictures that are in {' and '.join(parts)} at once"
            found.add_all("warning", what, names, MEND_LEAK, " = ".join(names[:3]))
        elif len(copies) > 1:
            found.add_all("warning", "{n} files are copies of each other", names, MEND_COPY, " = ".join(names[:3]))
        if len({picture.mask for picture in copies}) > 1:
            what = "{n} files are copies of each other whose masks differ"
            found.add_all("warning", what, names, "keep the one with the right mask", " = ".join(names[:3]))


def check_parts(seen: Sequence[Seen], found: Findings, divide: Divide) -> Parts | None:
    """Who would train and who would be tested; None, and a finding, if a split had no picture."""
    if not seen:
        return None
    try:
        return divide([picture.part for picture in seen], [picture.content for picture in seen])
    except PixelwiseError as error:
        found.add("error", str(error), None, "add pictures")
        return None
