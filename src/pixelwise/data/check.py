"""The doctor: reads a whole data set before anything is trained on it, and says all that is wrong with it at once.

Nothing is raised; every fault is a finding. A report without errors means that the data set can be loaded.
"""

from pathlib import Path

from ..config import DataSettings
from ..errors import PixelwiseError
from .check_masks import check_pairs
from .check_pictures import check_colour_folder, check_split_folders
from .class_list import read_class_list
from .findings import Findings, Level, Report
from .flowers17 import CODE, divide_flowers, find_flowers, flower_pairs, flower_pictures
from .labelled_folder import divide
from .load import load_data, load_labelled
from .mask_pairs import LAYOUTS, Found, find_pairs


def check_data(settings: DataSettings, labelled: bool) -> Report:
    """Check a data set, with its masks if it is to be labelled, or its pictures for colour."""
    try:
        if settings.name == "folder" and settings.root is not None:
            check = check_folder if labelled else check_colour_folder
            return check(Path(settings.root), settings)
        if settings.name == "flowers17" and labelled and not settings.category:
            return _check_flowers(settings)
        data = load_labelled(settings) if labelled else load_data(settings)
    except PixelwiseError as error:
        return _refused(error)
    return Report((), len(data.train) + len(data.validation) + len(data.test))


def check_folder(root: Path, settings: DataSettings) -> Report:
    """Check a folder of pictures and masks."""
    found = Findings()
    try:
        files = find_pairs(root)
    except PixelwiseError as error:
        return _refused(error)
    check_split_folders(root, found)
    _check_pairing(root, files, found)
    listed, guess = None, True
    try:
        listed = read_class_list(root)
    except PixelwiseError as error:
        guess = False
        found.add("error", str(error), None, "mend the class list; what the masks hold was not compared with it")
    return check_pairs(
        root, files.pairs, listed, guess, found, lambda parts, contents: divide(parts, contents, settings, root)
    )


def _check_flowers(settings: DataSettings) -> Report:
    found = Findings()
    folder = find_flowers(settings.root)
    pairs = flower_pairs(folder)
    if not pairs:
        found.add("error", f"{folder} has no picture with a trimap", None, "run `pixelwise data fetch flowers17`")
    having = {pair.picture for pair in pairs}
    without = [path.name for path in flower_pictures(folder) if path not in having]
    if without:
        found.add_all("note", "{n} pictures have no trimap and are left out", without, "nothing; it is so officially")
    return check_pairs(folder, pairs, CODE, False, found, lambda _, contents: divide_flowers(contents, settings))


def _check_pairing(root: Path, files: Found, found: Findings) -> None:
    if not files.pairs:
        found.add("error", f"{root} has no picture with a mask", None, f"expected {LAYOUTS}")
    faults: tuple[tuple[Level, str, list[Path], str], ...] = (
        ("warning", "{n} pictures have no mask and are left out", files.unmasked, "add masks of the same name"),
        ("warning", "{n} masks have no picture", files.unused, "give them their pictures' names, or remove them"),
        ("error", "{n} pictures and masks share names with others", files.doubtful, "give each picture one mask"),
    )
    for level, what, paths, remedy in faults:
        if paths:
            found.add_all(level, what, [path.relative_to(root).as_posix() for path in paths], remedy)


def _refused(error: PixelwiseError) -> Report:
    found = Findings()
    found.add("error", str(error), None, "give another data set, or mend this one")
    return Report(found.all())
