"""The classic exercise's table, measured: 24 RGB colours on CIFAR-10's horses, four models, several seeds.

    python benchmarks/horses.py --root FOLDER --out docs/results

FOLDER holds CIFAR-10's binary files and palette24_horse.json. Runs that are finished are not run again, and one that
was stopped goes on. Writes horses.md and horses.csv (one row a run).
"""

import argparse
import csv
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixelwise import ColourEvaluation, Plan, load_data, load_trained, train_colour
from pixelwise.console import show_training
from pixelwise.files import write_text
from pixelwise.report.tables import Table
from pixelwise.runs import Run

MODELS = ("lookup", "cnn", "unet", "residual_unet")
ASKED = {  # accuracy at least, cross-entropy at most; with the aim where there is one
    "lookup": ("0.620", "0.917"),
    "cnn": ("0.400", "1.620"),
    "unet": ("0.485", "1.383"),
    "residual_unet": ("0.670 (aim 0.690)", "0.775 (aim 0.730)"),
}
RECORDED = {"cnn": "0.407 to 0.416 / 1.576 to 1.594", "unet": "0.493 to 0.500 / 1.327 to 1.355"}


@dataclass(frozen=True)
class Measured:
    """One finished run."""

    seed: int
    evaluation: ColourEvaluation
    weights: int
    seconds: float
    plan: Plan
    run: Run


def measure(model: str, seed: int, root: Path, palette: Path, runs: Path) -> Measured:
    """Train, or take, one run on the horses."""
    data = {"name": "cifar10", "root": str(root), "category": ("horse",)}
    plan = Plan.from_given(model, data, {"num_colours": 24}, {"seed": seed})
    run = Run(runs / f"{model}-seed{seed}")
    show_training(
        train_colour(plan, run.folder, palette_file=palette, resume=True), f"{model}, seed {seed}", plan.train.epochs
    )
    weights = sum(p.numel() for p in load_trained(run.folder).model.parameters())
    seconds = sum(row.seconds for row in run.rows())
    return Measured(seed, ColourEvaluation(**run.evaluation()), weights, seconds, plan, run)


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and sample standard deviation."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def summary(measured: Sequence[Measured]) -> list[str]:
    """One model's row."""
    e = [m.evaluation for m in measured]
    model = e[0].model
    accuracy, loss = ASKED[model]
    deterministic = e[:1] if model == "lookup" else e  # it has no random numbers
    return [
        model,
        f"{measured[0].weights:,}",
        spread([x.accuracy for x in deterministic], 4),
        accuracy,
        spread([x.cross_entropy for x in deterministic], 4),
        loss,
        spread([x.skill for x in deterministic], 3),
        spread([x.psnr for x in deterministic], 2),
        spread([x.ciede2000 for x in deterministic], 2),
        f"{statistics.mean([m.seconds for m in measured]):.0f}",
        str(len(deterministic)),
    ]


def markdown(table: Sequence[Sequence[Measured]], seeds: Sequence[int], command: str) -> str:
    """The report, from the runs alone."""
    first = table[0][0].evaluation
    machine = table[-1][-1].run.environment()
    commits = sorted({m.run.environment()["commit"] or "unknown" for runs in table for m in runs})
    data = load_data(table[0][0].plan.data)
    headings = ["model", "weights", "accuracy", "at least", "cross-entropy", "at most"]
    headings += ["skill", "PSNR (dB)", "CIEDE2000", "seconds", "n seeds"]
    lines = [
        "# Horses: 24 RGB colours on CIFAR-10, the classic exercise's task",
        "",
        f"{first.pictures:,} test horses, {first.pixels:,} pixels; means over pixels or pictures, ± sample standard "
        f"deviation over the seeds {', '.join(map(str, seeds))}.",
        "",
        Table(headings, [summary(runs) for runs in table]).markdown(),
        "Baselines on the same pictures: majority "
        f"{first.majority_accuracy:.4f} / {first.majority_cross_entropy:.4f}; the grey picture as it is "
        f"{first.psnr_grey:.2f} dB, CIEDE2000 {first.ciede2000_grey:.2f}; every pixel in its right palette colour "
        f"{first.psnr_ceiling:.2f} dB, {first.ciede2000_ceiling:.2f}.",
        "",
        "Recorded elsewhere for the exercise (accuracy / cross-entropy): "
        + "; ".join(f"{name} {value}" for name, value in RECORDED.items())
        + ".",
        "",
        "## Protocol",
        "",
        "Grey is the mean of red, green and blue; classes are the nearest of the palette's 24 RGB colours. Of the "
        f"{len(data.train) + len(data.validation):,} training horses {len(data.validation):,} are kept for validation, "
        "chosen by their content, and a run ends with its best epoch on them. Settings were chosen on training horses "
        "kept aside (docs/log.md). Seconds are of training and "
        "validation.",
        "",
    ]
    for runs in table:
        plan = runs[0].plan
        words = {**plan.model.to_mapping(), **plan.train.to_mapping()}
        left_out = {"name", "seed", "num_in_channels", "num_colours"}
        lines.append(f"- {plan.model.name}: " + ", ".join(f"{k} {v}" for k, v in words.items() if k not in left_out))
    palette, prints = table[0][0].run.settings()["palette_sha256"], table[0][0].run.settings()["data_sha256"]
    lines += [
        "",
        f"Made by `{command}` on {machine['started'][:10]}: {machine['processor']}, {machine['threads']} threads, "
        f"Python {machine['python']}, torch {machine['torch']}, pixelwise {machine['pixelwise']} at "
        f"{', '.join(commits)}. SHA-256 of the palette {palette[:12]}…, of the test pictures {prints['test'][:12]}….",
        "",
    ]
    return "\n".join(lines)


def rows(table: Sequence[Sequence[Measured]]) -> str:
    """Every run as CSV."""
    text = io.StringIO()
    columns = ["seed", "weights", "seconds", *table[0][0].evaluation.to_mapping()]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for runs in table:
        for m in runs:
            own = {"seed": m.seed, "weights": m.weights, "seconds": round(m.seconds, 1)}
            writer.writerow({**own, **m.evaluation.to_mapping()})
    return text.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with CIFAR-10 and palette24_horse.json")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--runs", type=Path, default=Path("runs/horses"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    palette = given.root / "palette24_horse.json"
    table = [[measure(m, seed, given.root, palette, given.runs) for seed in given.seeds] for m in MODELS]
    seeds = " ".join(map(str, given.seeds))
    command = f"python benchmarks/horses.py --root FOLDER --seeds {seeds}"
    write_text(given.out / "horses.md", markdown(table, given.seeds, command))
    write_text(given.out / "horses.csv", rows(table))


if __name__ == "__main__":
    main()
