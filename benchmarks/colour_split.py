"""The photographs' split: by kind and by content, as links in train, validation and test.

Of each kind (names that begin with bsds_, the Berkeley 500's, and with n, ImageNet's) the pictures of lowest content
hash are held out for test, the next ones for validation; whoever else has the pictures gets the same split.
"""

import shutil
from pathlib import Path

from pixelwise import open_picture
from pixelwise.data.images import find_pictures
from pixelwise.data.split import content_hash
from pixelwise.files import write_json

HELD_OUT = {"bsds_": (50, 30), "n": (100, 70)}  # pictures for test and for validation, by how their names begin


def split_photographs(root: Path, out: Path) -> dict[str, list[Path]]:
    """Link the pictures of a folder into out/train, out/validation and out/test; gives each split's pictures.

    The names and content hashes are in out/split.json.
    """
    hashes = {path: content_hash(open_picture(path).rgb) for path in find_pictures(root)}
    split: dict[str, list[Path]] = {"train": [], "validation": [], "test": []}
    for kind, (test, validation) in HELD_OUT.items():
        ranked = sorted((path for path in hashes if path.name.startswith(kind)), key=hashes.__getitem__)
        split["test"] += ranked[:test]
        split["validation"] += ranked[test : test + validation]
        split["train"] += ranked[test + validation :]
    linked = {name: [_linked(path, out / name) for path in paths] for name, paths in split.items()}
    write_json(out / "split.json", {name: {p.name: hashes[p] for p in paths} for name, paths in split.items()})
    return linked


def _linked(path: Path, folder: Path) -> Path:
    """A link to a picture, or a copy where there are no links."""
    folder.mkdir(parents=True, exist_ok=True)
    there = folder / path.name
    if not there.exists():
        try:
            there.symlink_to(path.resolve())
        except OSError:
            shutil.copyfile(path, there)
    return there
