"""The gallery in docs: photographs that may be shown, coloured by the colourizer that pixelwise carries.

    python benchmarks/colour_gallery.py --photos FOLDER --out docs

FOLDER holds the four Kodak photographs and the four historic ones; the seven that scikit-image and scikit-learn carry
are there anyway. Nothing is chosen by how it came out: all fifteen are shown, with CIEDE2000 where the truth is known.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from pixelwise import colourize, load_trained, open_picture
from pixelwise.classes.oklab import encoded_of, light_of
from pixelwise.data.images import to_image
from pixelwise.data.photos import PHOTOGRAPHS, photograph
from pixelwise.files import replacing
from pixelwise.picture_metrics import ciede2000
from pixelwise.report.figures import photographs
from pixelwise.shapes import RgbOfAnySize
from pixelwise.workflow.finished import COLOURIZER

HIGH = 320  # pixels, at which pictures are shown
HISTORIC = ("1880Paris.jpg", "1890CliffHouseSF.jpg", "1899NycBlizzard.jpg", "BoulevardDuTemple1838.jpg")
KODAK = ("kodim05.png", "kodim07.png", "kodim16.png", "kodim21.png")
FRONT = ("kodim21.png", "kodim16.png")  # on the README's first page


def shown(path: Path) -> tuple[list[RgbOfAnySize], float]:
    """Grey, coloured and as it was, small enough to show, and CIEDE2000 to what it was in full size."""
    truth = open_picture(path).rgb
    trained = load_trained(COLOURIZER)
    grey = (encoded_of(light_of(truth[None]) ** 3).clamp(0, 1) * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)[0]
    coloured = colourize(trained.model, trained.palette, grey.contiguous())
    return [small(picture) for picture in (grey, coloured, truth)], ciede2000(coloured[None], truth[None]).item()


def small(rgb: RgbOfAnySize) -> RgbOfAnySize:
    """The picture as high as it is shown."""
    image = to_image(rgb)
    reduced = image.resize((round(image.width * HIGH / image.height), HIGH), Image.Resampling.LANCZOS)
    return torch.frombuffer(bytearray(reduced.tobytes()), dtype=torch.uint8).view(HIGH, -1, 3).permute(2, 0, 1)


def draw(rows: Sequence[Sequence[RgbOfAnySize]], headings: Sequence[str], path: Path) -> None:
    """Write a grid of photographs as JPEG."""
    drawn = io.BytesIO()
    photographs(rows, headings).savefig(drawn, dpi=110, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        Image.open(drawn).convert("RGB").save(beside, format="JPEG", quality=88)


def main() -> None:
    """Colour all, draw them, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    given = parser.parse_args()
    embedded = [photograph(name) for name in PHOTOGRAPHS]
    groups = {
        "kodak": [given.photos / name for name in KODAK],
        "embedded": embedded,
        "historic": [given.photos / name for name in HISTORIC],
    }
    found = {path.name: shown(path) for paths in groups.values() for path in paths}
    for name, paths in groups.items():
        columns = 2 if name == "historic" else 3
        headings = ("as it came", "coloured") if name == "historic" else ("grey", "coloured", "truth")
        rows = [found[path.name][0] for path in paths]
        picked = [[row[2], row[1]] for row in rows] if columns == 2 else rows
        draw(picked, headings, given.out / "images" / f"gallery_{name}.jpg")
    draw(
        [found[name][0] for name in FRONT],
        ("grey", "coloured by pixelwise", "truth"),
        given.out / "images" / "photographs.jpg",
    )
    for paths in (groups["kodak"], groups["embedded"]):
        for path in paths:
            print(f"{path.name}: CIEDE2000 {found[path.name][1]:.1f}")


if __name__ == "__main__":
    main()
