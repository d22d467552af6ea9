"""Tools that segment a picture from a few of its own labelled pixels, measured on Oxford 17 flowers.

    python benchmarks/rivals.py --root ../shared/data/flowers17-256 --tool pixelwise --out pixelwise.csv --seeds 3
    python benchmarks/rivals.py --root ../shared/data/flowers17-256 --tool skimage --out skimage.csv --seeds 3
    python benchmarks/rivals.py --root ../shared/data/flowers17-256 --tool convpaint --out convpaint.csv --seeds 3

ROOT holds images/*.jpg and trimaps/*.png. Of every test picture 20 flower and 20 other pixels are drawn at random and
given to the tool, which answers with a mask of the whole picture. `skimage` is scikit-image's trainable segmentation as
its gallery shows it; `convpaint` is napari-convpaint's Python interface without a viewer, which best gets a virtual
environment of its own (pip install napari-convpaint pyqt5; QT_QPA_PLATFORM=offscreen where there is no screen). Each
needs only what it is named after. One row a picture and seed goes to the CSV file, a summary to the terminal.

Settings are chosen with --part validation; --part test is for the numbers that are reported. On the validation
pictures scikit-image does far better without the gallery's max_samples, which is meant for long strokes, and
convpaint's gaussian features do best with --scalings 1 2 4.
"""

import argparse
import contextlib
import csv
import hashlib
import io
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

CLICKS = 20  # labelled pixels of a class
OTHER, FLOWER, VOID = 0, 1, 255  # in a truth
MEANING = np.array([VOID, FLOWER, OTHER, OTHER, OTHER, VOID], np.uint8)  # void, flower, leaf, background, sky, stray
UNLABELLED, IS_OTHER, IS_FLOWER = 0, 1, 2  # in the labels that both tools read
PARTS = {"test": slice(0, 100), "validation": slice(100, 200)}  # of the pictures by rank of their content
PACKAGES = {
    "skimage": ("scikit-image", "scikit-learn", "numpy"),
    "convpaint": ("napari-convpaint", "catboost", "scikit-image", "numpy"),
    "pixelwise": ("pixelwise", "torch", "timm", "numpy"),
}


@dataclass(frozen=True)
class Flower:
    """A picture with its truth."""

    number: int
    rgb: np.ndarray  # h w 3, uint8
    truth: np.ndarray  # h w: OTHER, FLOWER or VOID


@dataclass(frozen=True)
class Answer:
    """A tool's mask of one picture, and how long it took."""

    mask: np.ndarray  # h w, true where it says flower
    first_seconds: float  # from the picture and the labelled pixels
    stroke_seconds: float  # once more, when only the labels have changed


@dataclass(frozen=True)
class Row:
    """One line of the CSV file."""

    picture: int
    seed: int
    iou: float
    first_seconds: float
    stroke_seconds: float


def read_flowers(root: Path, part: str) -> list[Flower]:
    """The pictures of one part: ranked by the SHA-256 of shape and pixels, channels first; then in order of number."""
    ranked = []
    for path in sorted((root / "images").glob("image_*.jpg")):
        with Image.open(path) as image:
            rgb = np.asarray(image.convert("RGB"))
        planes = np.ascontiguousarray(rgb.transpose(2, 0, 1))
        ranked.append((hashlib.sha256(str(planes.shape).encode() + planes.tobytes()).hexdigest(), path, rgb))
    flowers = []
    for _, path, rgb in sorted(ranked, key=lambda entry: entry[0])[PARTS[part]]:
        with Image.open(root / "trimaps" / f"{path.stem}.png") as trimap:
            truth = MEANING[np.asarray(trimap)]
        flowers.append(Flower(int(path.stem.removeprefix("image_")), rgb, truth))
    return sorted(flowers, key=lambda flower: flower.number)


def points(truth: np.ndarray, seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of the flower pixels and of the other pixels that are labelled.

    Args:
        truth: OTHER, FLOWER or VOID for every pixel.
        seed: which draw.
        number: the picture's, so that every picture has draws of its own.
    """
    generator = np.random.default_rng([seed, number])
    flower = generator.choice(np.flatnonzero(truth == FLOWER), CLICKS, replace=False)
    return flower, generator.choice(np.flatnonzero(truth == OTHER), CLICKS, replace=False)


def labels_of(flower: Flower, seed: int) -> np.ndarray:
    """The labelled pixels as a picture: UNLABELLED nearly everywhere."""
    labels = np.full(flower.truth.shape, UNLABELLED, np.int32)
    of_flower, of_other = points(flower.truth, seed, flower.number)
    labels.flat[of_flower], labels.flat[of_other] = IS_FLOWER, IS_OTHER
    return labels


def flower_iou(answer: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of the flower, void left out.

    Args:
        answer: true where the tool says flower.
        truth: OTHER, FLOWER or VOID for every pixel.
    """
    known, flower = truth != VOID, truth == FLOWER
    return float((answer & flower).sum() / ((answer | flower) & known).sum())


def skimage_masks(
    cases: Iterable[tuple[np.ndarray, np.ndarray]], max_samples: float | None = None, edges: bool = False
) -> Iterator[Answer]:
    """scikit-image's trainable segmentation, set as in its gallery.

    The gallery's two functions are what TrainableSegmenter calls, which computes the features again to predict; here
    they are computed once.

    Args:
        cases: pictures (h w 3) with their labels (h w).
        max_samples: share of the labelled pixels that a tree sees; the gallery's 0.05 is 2 of 40. None for as many as
            there are, drawn with replacement.
        edges: whether features tell the strength of edges; not so in the gallery.
    """
    from skimage.feature import multiscale_basic_features
    from skimage.future import fit_segmenter, predict_segmenter
    from sklearn.ensemble import RandomForestClassifier

    def learn_and_predict(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        forest = RandomForestClassifier(
            n_estimators=50, n_jobs=-1, max_depth=10, max_samples=max_samples, random_state=0
        )
        return predict_segmenter(features, fit_segmenter(labels, features, forest)) == IS_FLOWER

    for rgb, labels in cases:
        started = time.perf_counter()
        features = multiscale_basic_features(
            rgb, intensity=True, edges=edges, texture=True, sigma_min=1, sigma_max=16, channel_axis=-1
        )
        featured = time.perf_counter()
        mask = learn_and_predict(features, labels)
        first = time.perf_counter()
        yield Answer(mask, first - started, first - featured)


def convpaint_masks(
    cases: Iterable[tuple[np.ndarray, np.ndarray]],
    alias: str = "gaussian",
    scalings: Sequence[int] | None = None,
    use_forest: bool = False,
) -> Iterator[Answer]:
    """napari-convpaint through its Python interface.

    The model is built before the clock runs. Prediction computes the whole picture's features again each time, so a
    stroke costs what the first mask does.

    Args:
        cases: pictures (h w 3) with their labels (h w).
        alias: convpaint's name of a feature extractor. `gaussian` needs nothing more; `vgg`, which convpaint takes when
            nothing is said, and `dinov2` download their weights; `ilastik` needs ilastik-napari and fastfilters.
        scalings: sizes at which features are taken, such as 1 2 4; None for the extractor's own.
        use_forest: a random forest in place of the usual CatBoost.
    """
    from napari_convpaint.convpaint_model import ConvpaintModel

    model = ConvpaintModel(alias)
    model.set_params(channel_mode="rgb", ignore_warnings=True)
    if scalings is not None:
        model.set_params(fe_scalings=list(scalings), ignore_warnings=True)

    def learn_and_predict(rgb: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
        started = time.perf_counter()
        model.train(rgb, labels, use_rf=use_forest, fe_use_device="cpu", clf_use_device="cpu")
        answer = model.segment(rgb, fe_use_device="cpu")
        return answer == IS_FLOWER, time.perf_counter() - started

    for picture, labels in cases:
        rgb = np.ascontiguousarray(picture.transpose(2, 0, 1))
        model.reset_classifier()
        with contextlib.redirect_stdout(io.StringIO()):  # CatBoost tells of every tree
            mask, first = learn_and_predict(rgb, labels)
            _, stroke = learn_and_predict(rgb, labels)
        yield Answer(mask, first, stroke)


def pixelwise_masks(cases: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[Answer]:
    """What `pixelwise segment --strokes` does, from pixels to mask.

    Args:
        cases: pictures (h w 3) with their labels (h w).
    """
    import torch

    from pixelwise.config import SegmenterSettings
    from pixelwise.models.folding import folded
    from pixelwise.models.pretrained import pretrained_segmenter
    from pixelwise.strokes import fit_head, look, painted_pixels

    model = folded(pretrained_segmenter(SegmenterSettings(), 2))
    for rgb, labels in cases:
        ids = torch.from_numpy(np.select([labels == IS_FLOWER, labels == IS_OTHER], [FLOWER, OTHER], VOID)).byte()
        started = time.perf_counter()
        looked = look(model, torch.from_numpy(rgb.copy()).permute(2, 0, 1))
        featured = time.perf_counter()
        head = fit_head(model, 2, painted_pixels(model, [(looked, ids)]))
        with torch.no_grad():
            mask = head(looked.features, ids.shape)[0].argmax(dim=0).numpy() == FLOWER
        first = time.perf_counter()
        yield Answer(mask, first - started, first - featured)


def measure(masks: Callable[..., Iterator[Answer]], flowers: Sequence[Flower], seeds: int) -> list[Row]:
    """A row for every picture and seed, after one mask that is not counted and warms everything up."""
    list(masks([(flowers[0].rgb, labels_of(flowers[0], 0))]))
    rows = []
    for seed in range(seeds):
        cases = ((flower.rgb, labels_of(flower, seed)) for flower in flowers)
        for flower, answer in zip(flowers, masks(cases), strict=True):
            iou = flower_iou(answer.mask, flower.truth)
            rows.append(Row(flower.number, seed, iou, answer.first_seconds, answer.stroke_seconds))
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row.__dataclass_fields__)
        for row in rows:
            times = f"{row.first_seconds:.4f}", f"{row.stroke_seconds:.4f}"
            writer.writerow([row.picture, row.seed, f"{row.iou:.6f}", *times])


def summary(rows: Sequence[Row]) -> str:
    """IoU and its spread over pictures and over seeds, and the times."""
    seeds = sorted({row.seed for row in rows})
    means = [statistics.mean(row.iou for row in rows if row.seed == seed) for seed in seeds]
    ious = [row.iou for row in rows]
    lines = [
        f"flower IoU {statistics.mean(ious):.4f}, median {statistics.median(ious):.4f}, "
        f"standard deviation over pictures {statistics.stdev(ious):.4f}, least {min(ious):.4f}, n {len(ious)}",
        "  by seed: " + ", ".join(f"{seed}: {mean:.4f}" for seed, mean in zip(seeds, means, strict=True)),
    ]
    if len(means) > 1:
        lines.append(f"  standard deviation of the seeds' means {statistics.stdev(means):.4f}")
    for name, times in (
        ("first mask", [row.first_seconds for row in rows]),
        ("after a stroke", [row.stroke_seconds for row in rows]),
    ):
        low, middle, high = statistics.quantiles(times, n=4)
        lines.append(f"{name}: median {middle:.3f} s, middle half {low:.3f} to {high:.3f}, n {len(times)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with images and trimaps")
    parser.add_argument("--tool", choices=PACKAGES, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the CSV file")
    parser.add_argument("--seeds", type=int, default=1, help="how many draws of labelled pixels")
    parser.add_argument("--part", choices=PARTS, default="test")
    parser.add_argument("--max-samples", type=float, help="skimage: share of the labelled pixels for a tree; else all")
    parser.add_argument("--edges", action="store_true", help="skimage: edge features too")
    parser.add_argument("--alias", default="gaussian", help="convpaint: feature extractor")
    parser.add_argument("--scalings", type=int, nargs="+", help="convpaint: sizes at which features are taken")
    parser.add_argument("--forest", action="store_true", help="convpaint: random forest in place of CatBoost")
    given = parser.parse_args()
    masks = {
        "skimage": partial(skimage_masks, max_samples=given.max_samples, edges=given.edges),
        "convpaint": partial(convpaint_masks, alias=given.alias, scalings=given.scalings, use_forest=given.forest),
        "pixelwise": pixelwise_masks,
    }
    rows = measure(masks[given.tool], read_flowers(given.root, given.part), given.seeds)
    write_rows(given.out, rows)
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES[given.tool]))
    print(f"{os.cpu_count()} processors, load over 5 minutes {os.getloadavg()[1]:.1f}")
    print(summary(rows))


if __name__ == "__main__":
    main()
