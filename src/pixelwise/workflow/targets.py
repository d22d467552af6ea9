"""Where the results of some pictures and folders go."""

from collections.abc import Callable, Iterable
from pathlib import Path

from ..data.images import find_pictures
from ..errors import BadPicture, CannotWrite

WRITTEN_AS_PNG = frozenset({".gif", ".ppm", ".bmp", ""})  # formats that are not written with care for colour


def coloured_name(picture: Path) -> str:
    """What a coloured picture is called: as it was, but PNG instead of GIF, BMP and PPM."""
    return picture.stem + (".png" if picture.suffix.lower() in WRITTEN_AS_PNG else picture.suffix)


def targets(
    inputs: Iterable[Path], out: Path, name_of: Callable[[Path], str] = coloured_name
) -> list[tuple[Path, Path]]:
    """Each picture of some pictures and folders, and where in `out` its result goes.

    Folders keep their inner structure; results of an earlier call that lie below an input folder are left out.

    Raises:
        BadPicture: a folder has no pictures, two results would get one name, or `out` is where the pictures are.
        CannotWrite: `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise CannotWrite(f"{out} is a file; give --out a folder")
    chosen: dict[Path, Path] = {}
    for given in inputs:
        for picture in find_pictures(given, leaving_out=out) if given.is_dir() else [given]:
            below = picture.relative_to(given).parent if given.is_dir() else Path()
            target = out / below / name_of(picture)
            if target.parent.resolve() == picture.parent.resolve():
                raise BadPicture(
                    f"{out} is where {picture.name} lies, and would mix results with pictures; give another --out"
                )
            if target in chosen:
                raise BadPicture(f"{chosen[target]} and {picture} would both become {target}; rename one of them")
            chosen[target] = picture
    return [(picture, target) for target, picture in chosen.items()]
