"""Segmenting Oxford 17 flowers with little: one last layer, few labelled pictures, a few pixels, measured.

    python benchmarks/flowers.py --root FOLDER --weights deeplabv3_257_mv_gpu.tflite --out docs/results

FOLDER holds flowers17-256. Runs that are finished are not run again, one that was stopped goes on, and the features of
a picture are computed once. Writes flowers.md and flowers.csv (one row a run). `--clicks` names CSV files of
benchmarks/rivals.py whose summaries go into the page.
"""

import argparse
import csv
import io
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise.console import show_segment_training
from pixelwise.environment import environment
from pixelwise.evaluate.segment import SegmentEvaluation
from pixelwise.files import write_text
from pixelwise.report.tables import Table
from pixelwise.runs import Run
from pixelwise.workflow.segment_plan import SegmentPlan
from pixelwise.workflow.segmenting import train_segment

FLOWER = "flower"
FEW_SEEDS = 5


@dataclass(frozen=True)
class Row:
    """One finished run."""

    what: str
    seed: int
    evaluation: SegmentEvaluation
    seconds: float  # of the whole command, features included where they were not cached yet


def settings_of(weights: Path | None) -> dict[str, tuple[dict[str, Any], int]]:
    """What is measured: settings of the network, and over how many seeds."""
    rows: dict[str, tuple[dict[str, Any], int]] = {
        "last layer, 400 pictures": ({}, 3),
        "the same, void is background in training": ({"void": "background"}, 3),
        "5 labelled pictures": ({"labelled": 5}, FEW_SEEDS),
        "5 labelled pictures, taught itself on the other 395": ({"labelled": 5, "rest": "learn"}, FEW_SEEDS),
        "colour_alone, 400 pictures: no network": ({"name": "colour_alone"}, 1),
        "20 labelled pictures": ({"labelled": 20}, FEW_SEEDS),
    }
    if weights:
        mobile = {"name": "deeplabv3_mobilenet_v2", "weights": str(weights.absolute())}
        rows["deeplabv3_mobilenet_v2, last layer"] = (mobile, 3)
        rows["the same network, void is background in training"] = ({**mobile, "void": "background"}, 3)
    return rows


def measure(what: str, model: Mapping[str, Any], seed: int, root: Path, runs: Path) -> Row:
    """Train, or take, one run."""
    plan = SegmentPlan.from_given({"name": "flowers17", "root": str(root)}, model, {"seed": seed})
    run = Run(runs / f"{what.replace(' ', '_').replace(',', '').replace(':', '')}-seed{seed}")
    clock = run / "seconds.txt"
    if not clock.is_file():
        started = time.perf_counter()
        show_segment_training(train_segment(plan, run.folder, resume=True), f"{what}, seed {seed}", plan.train.epochs)
        write_text(clock, f"{time.perf_counter() - started:.1f}\n")
    return Row(what, seed, SegmentEvaluation.from_mapping(run.evaluation()), float(clock.read_text()))


def spread(values: Sequence[float]) -> str:
    """Mean, and sample standard deviation where there are several."""
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.3f}"


def table_of(rows: Sequence[Row]) -> Table:
    """A line for each setting, mean and standard deviation over its seeds."""
    headings = ["", "seeds", "IoU", "mean picture IoU", "boundary F1", "score", "IoU, void", "score, void", "s"]
    lines = []
    for what in dict.fromkeys(row.what for row in rows):
        own = [row.evaluation for row in rows if row.what == what]
        lines.append(
            [
                what,
                str(len(own)),
                spread([e.iou[FLOWER] for e in own]),
                spread([e.mean_picture_iou for e in own]),
                spread([e.boundary_f1 for e in own]),
                spread([e.thresholded_iou for e in own]),
                spread([e.iou_void_as_background[FLOWER] for e in own]),
                spread([e.thresholded_iou_void_as_background for e in own]),
                f"{statistics.median(row.seconds for row in rows if row.what == what):.0f}",
            ]
        )
    majority = rows[0].evaluation
    lines.append(["all background, the commonest class", "", f"{majority.majority_iou[FLOWER]:.3f}", *[""] * 6])
    return Table(headings, lines)


def clicks_table(files: Sequence[Path]) -> Table:
    """A line for each tool that was measured by benchmarks/rivals.py."""
    headings = ["tool", "pictures x seeds", "flower IoU", "median", "first mask (s)", "after a stroke (s)"]
    lines = []
    for file in files:
        with file.open(newline="", encoding="utf-8") as opened:
            rows = list(csv.DictReader(opened))
        seeds = sorted({row["seed"] for row in rows})
        means = [statistics.mean(float(row["iou"]) for row in rows if row["seed"] == seed) for seed in seeds]
        times = [f"{statistics.median(float(r[key]) for r in rows):.3f}" for key in ("first_seconds", "stroke_seconds")]
        middle = f"{statistics.median(float(row['iou']) for row in rows):.3f}"
        lines.append([file.stem, f"{len(rows) // len(seeds)} x {len(seeds)}", spread(means), middle, *times])
    return Table(headings, lines)


def page(rows: Sequence[Row], clicks: Sequence[Path]) -> str:
    """The results as Markdown."""
    machine, first = environment(), rows[0].evaluation
    low, high = first.iou_interval[FLOWER]
    return f"""# Oxford 17 flowers with little

Made by `python benchmarks/flowers.py` on {machine["started"][:10]}: pixelwise {machine["pixelwise"]} at
{machine["commit"]}, torch {machine["torch"]}, {machine["processor"]}, {machine["threads"]} threads.

600 pictures of 256 x 256 pixels, split by content: 400 to train on, 100 for validation, {first.pictures} for test.
Flower against everything else. Unless it says otherwise, the network is hypercolumn_efficientnet_lite0 and nothing but
its last layer (898 weights) was trained, on cached features. Mean ± standard deviation over seeds; a seed draws the
pixels that are learnt from, and the labelled pictures where they are few. The 95 % interval of the first line's IoU
over the test pictures is {low:.3f} to {high:.3f}.

{table_of(rows).markdown()}
IoU of the flower, pixels of all pictures pooled, void left out. Score: the exercise's thresholded score, mean over
pictures of ceil(clamp(20 (IoU - 0.5), 0, 10)) / 10. "Void" repeats both with void counted as background, the exercise's
way. s: seconds of the whole command, median over seeds; the first seed of a network also computes its features, later
ones find them cached.

## 40 labelled pixels of the picture itself

{clicks_table(clicks).markdown() if clicks else "Not measured in this run."}
20 flower and 20 other pixels of each test picture, drawn at random; mean ± standard deviation over the seeds' means;
times are medians. Made by `python benchmarks/rivals.py` (its head says which settings the other tools have, and why).
napari-convpaint's own default features come from VGG16, whose weights have to be downloaded; here it has its offline
features.
"""


def csv_of(rows: Sequence[Row]) -> str:
    """One line a run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["pixel_accuracy", "cross_entropy", "miou", "mean_picture_iou", "thresholded_iou", "boundary_f1"]
    writer.writerow(["what", "seed", "iou", "iou_void_as_background", *names, "thresholded_iou_void", "seconds"])
    for row in rows:
        e = row.evaluation
        values = [e.iou[FLOWER], e.iou_void_as_background[FLOWER], *(getattr(e, name) for name in names)]
        numbers = [f"{value:.5f}" for value in (*values, e.thresholded_iou_void_as_background)]
        writer.writerow([row.what, row.seed, *numbers, f"{row.seconds:.1f}"])
    return text.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with flowers17-256")
    parser.add_argument("--weights", type=Path, help="deeplabv3_257_mv_gpu.tflite; without it that network is left out")
    parser.add_argument("--clicks", type=Path, nargs="*", default=[], help="CSV files of benchmarks/rivals.py")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--runs", type=Path, default=Path("runs/flowers"))
    given = parser.parse_args()
    rows = [
        measure(what, model, seed, given.root, given.runs)
        for what, (model, seeds) in settings_of(given.weights).items()
        for seed in range(seeds)
    ]
    write_text(given.out / "flowers.md", page(rows, given.clicks))
    write_text(given.out / "flowers.csv", csv_of(rows))
    print(table_of(rows).markdown())


if __name__ == "__main__":
    main()
