"""Colour measured: CIFAR-10's horses and whole photographs, with baselines, calibration and dials.

    python benchmarks/colour.py --root FOLDER --out docs/results

FOLDER holds cifar-10-batches-bin and photographs-256. Residual U-Nets learn the horses, heads on a frozen network the
photographs (those of benchmarks/colourizer.py, with which the folder of runs can be shared); what is trained already is
taken as it is. The colourizer that pixelwise carries is measured too, if it is there. Writes colour.md, colour.csv (one
line for each row, seed and kind of picture) and colour_pictures.csv (one for each picture).
"""

import argparse
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from colour_measures import Pooled, Truth, ciede2000_of, lab_of, measured, summarized
from colour_report import page, pictures_csv, summary_csv
from colour_rows import Row, baselines, chroma_palette, classes_by_palette, coloured, looked_at, network
from colour_split import split_photographs
from colourizer import heads
from pixelwise import Plan, load_data, load_trained, open_picture, train_colour
from pixelwise.classes.dials import Dials
from pixelwise.console import show_training, watched
from pixelwise.data.pictures import Pictures, evenly_spaced
from pixelwise.environment import environment
from pixelwise.files import write_text
from pixelwise.picture_metrics import colourfulness, psnr, squared_error
from pixelwise.runs import Run
from pixelwise.workflow.finished import COLOURIZER, Trained

CATEGORY, COLOURS = "horse", 32
VIVIDNESSES, RARES = (1.0, 0.7, 0.5, 0.38, 0.0), (0.0, 0.5)
TURNED = [Dials(vividness=vividness, rare=rare) for rare in RARES for vividness in VIVIDNESSES]


@dataclass(eq=False)
class Result:
    """What one row reached on pictures of one kind ("all": of every kind)."""

    row: Row
    kind: str
    pooled: Pooled
    names: list[str] = field(default_factory=list)
    pictures: list[dict[str, float]] = field(default_factory=list)

    def take(self, name: str, values: dict[str, float], pooled: Pooled) -> None:
        """Add one picture."""
        self.names.append(name)
        self.pictures.append(values)
        self.pooled.include(pooled)

    def summary(self) -> dict[str, float]:
        """The numbers of all its pictures, and how far the classes' entropy is undercut."""
        values = summarized(self.pictures, self.pooled)
        return {**values, "below_entropy": self.row.entropy - values["cross_entropy"]}


@dataclass(frozen=True, eq=False)
class Part:
    """One half of the benchmark, measured."""

    name: str
    title: str
    results: Sequence[Result]
    dials_of: str  # the row whose dials were turned
    dials: Sequence[tuple[Dials, dict[str, float]]]
    dialled: int  # validation pictures
    settings: str  # of the training
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Kept:
    """Pictures to measure, opened one at a time."""

    names: Sequence[str]
    opened: Callable[[int], Truth]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Truth]:
        return (self.opened(i) for i in range(len(self)))


def files(paths: Sequence[Path], most: int) -> Kept:
    """Photographs in their own size; of more than some number, evenly spaced ones."""
    chosen = [paths[i] for i in evenly_spaced(len(paths), most)]

    def opened(index: int) -> Truth:
        path = chosen[index]
        kind = "bsds_" if path.name.startswith("bsds_") else "n"
        return Truth(open_picture(path).rgb.unsqueeze(0), path.name, kind)

    return Kept([path.name for path in chosen], opened)


def small(pictures: Pictures, most: int) -> Kept:
    """Pictures in memory; of more than some number, evenly spaced ones."""
    chosen = pictures.take(evenly_spaced(len(pictures), most))
    return Kept(chosen.names, lambda i: Truth(chosen.pixels[i : i + 1], chosen.names[i], CATEGORY))


def measure(rows: Sequence[Row], pictures: Kept, what: str) -> list[Result]:
    """Every row's answer to every picture; results by kind, and of all kinds where there are several."""
    palettes = {row.palette.sha256: row.palette for row in rows}
    found: dict[tuple[int, str], Result] = {}
    for truth in watched(pictures, len(pictures), what):
        ids = classes_by_palette(truth, palettes)
        for number, row in enumerate(rows):
            k = len(row.palette)
            values, pooled = measured(row.answer(truth, ids[row.palette.sha256]), truth, k)
            result = found.setdefault((number, truth.kind), Result(row, truth.kind, Pooled(k)))
            result.take(truth.name, values, pooled)
    kinds = sorted({kind for _, kind in found})
    if len(kinds) == 1:
        return [Result(r.row, "all", r.pooled, r.names, r.pictures) for r in found.values()]
    together = []
    for number, row in enumerate(rows):
        everything = Result(row, "all", Pooled(len(row.palette)))
        for result in (found[number, kind] for kind in kinds):
            everything.pooled.include(result.pooled)
            everything.names += result.names
            everything.pictures += result.pictures
        together.append(everything)
    return [*together, *(found[number, kind] for kind in kinds for number in range(len(rows)))]


def turn_dials(trained: Trained, pictures: Kept, what: str) -> list[tuple[Dials, dict[str, float]]]:
    """Means over pictures for each setting of the dials; the network looks at each picture once."""
    sums = torch.zeros(len(TURNED), 3, dtype=torch.float64)
    true = 0.0
    for truth in watched(pictures, len(pictures), what):
        looked = looked_at(trained, truth.pixels)
        true += truth.colourfulness
        for number, dials in enumerate(TURNED):
            shown = coloured(trained, looked, truth.pixels, dials)
            difference = ciede2000_of(lab_of(shown), truth.lab).mean(dtype=torch.float64)
            own = [psnr(squared_error(shown, truth.pixels))[0], difference, colourfulness(shown)[0]]
            sums[number] += torch.stack(own)
    named = ("psnr", "ciede2000", "colourfulness")
    means = (sums / len(pictures)).tolist()
    of_truth = {"colourfulness_truth": true / len(pictures)}
    return [(d, {**dict(zip(named, m, strict=True)), **of_truth}) for d, m in zip(TURNED, means, strict=True)]


def horses(root: Path, runs: Path, seeds: Sequence[int]) -> list[Run]:
    """A finished run on the horses for each seed; all have the palette of the first."""
    found: list[Run] = []
    for seed in seeds:
        data = {"name": "cifar10", "root": str(root), "category": (CATEGORY,)}
        sizes = {"space": "oklab", "num_colours": COLOURS}
        plan = Plan.from_given("residual_unet", data, sizes, {"seed": seed}, begun=None)
        run = Run(runs / f"horses-oklab-seed{seed}")
        first = found[0] / "palette.json" if found else None
        rows = train_colour(plan, run.folder, palette_file=first, resume=True)
        show_training(rows, f"horses, seed {seed}", plan.train.epochs)
        found.append(run)
    return found


def of_runs(runs: Sequence[Run], seeds: Sequence[int]) -> tuple[list[Trained], list[Row]]:
    """The runs' networks; the baselines' rows and the networks'."""
    known = [load_trained(run.folder) for run in runs]
    rows = [*baselines(chroma_palette(known[0]), known[0].table)]
    return known, [*rows, *(network("ours", seed, t) for seed, t in zip(seeds, known, strict=True))]


def settings_of(plan: Plan) -> str:
    """What the runs were trained with, in the names of the settings."""
    words = {**plan.model.to_mapping(), **plan.train.to_mapping()}
    left_out = {"name", "seed", "num_in_channels", "input_scale", "input_shift", "input_padding", "skips"}
    told = {name: value for name, value in words.items() if name not in left_out and value not in ((), [])}
    return ", ".join(f"{name} {value}" for name, value in told.items())


def facts_of(runs: Sequence[Run], more: Mapping[str, str]) -> dict[str, str]:
    """Fingerprints of what was learnt from and measured on."""
    settings = runs[0].settings()
    prints = {f"{name} split": value for name, value in settings["data_sha256"].items()}
    weights = {f"weights of {run.folder.name}": run.weights_sha256 for run in runs}
    return {"palette": settings["palette_sha256"], **prints, **more, **weights}


def on_horses(root: Path, runs: Path, seeds: Sequence[int], most: int) -> Part:
    """The half on CIFAR-10."""
    trained_in = horses(root, runs, seeds)
    known, rows = of_runs(trained_in, seeds)
    data = load_data(known[0].plan.data)
    results = measure(rows, small(data.test, most), "test horses")
    kept = small(data.validation, most)
    dials = turn_dials(known[0], kept, "dials, horses")
    title = f"Horses: CIFAR-10, 32 x 32 pixels, {COLOURS} chromas of OKLab, residual_unet"
    return Part(
        "cifar",
        title,
        results,
        f"ours, seed {seeds[0]}",
        dials,
        len(kept),
        settings_of(known[0].plan),
        facts_of(trained_in, {}),
    )


def on_photographs(root: Path, runs: Path, seeds: Sequence[int], most: int) -> Part:
    """The half on photographs, each whole and in its own size."""
    folder = runs / "photographs"
    split = split_photographs(root / "photographs-256", folder)
    trained_in = heads(folder, runs, seeds)
    known, rows = of_runs(trained_in, seeds)
    more = {"list of photographs": hashlib.sha256((folder / "split.json").read_bytes()).hexdigest()}
    dialled, dials_of = known[0], f"ours, seed {seeds[0]}"
    if COLOURIZER.is_dir():
        dialled, dials_of = load_trained(COLOURIZER), "carried"
        rows.append(network("carried", None, dialled))
        more["weights of the carried colourizer"] = dialled.weights_sha256
    results = measure(rows, files(split["test"], most), "test photographs")
    kept = files(split["validation"], most)
    dials = turn_dials(dialled, kept, "dials, photographs")
    k, model = len(rows[0].palette), known[0].plan.model.name
    title = f"Photographs: short side 256 pixels, {k} chromas of OKLab, {model}"
    return Part(
        "photographs",
        title,
        results,
        dials_of,
        dials,
        len(kept),
        settings_of(known[0].plan),
        facts_of(trained_in, more),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with CIFAR-10 and photographs-256")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=["cifar", "photographs", "all"], default="all")
    parser.add_argument("--pictures", type=int, default=10**6, help="measure this many of each split, for a quick look")
    given = parser.parse_args()
    seeds, parts = range(given.seeds), []
    if given.part in ("cifar", "all"):
        parts.append(on_horses(given.root, given.runs, seeds, given.pictures))
    if given.part in ("photographs", "all"):
        parts.append(on_photographs(given.root, given.runs, seeds, given.pictures))
    command = f"python benchmarks/colour.py --root FOLDER --seeds {given.seeds}"
    command += "" if given.part == "all" else f" --part {given.part}"
    command += f" --pictures {given.pictures}" if given.pictures < 10**6 else ""
    write_text(given.out / "colour.md", page(parts, command, environment()))
    write_text(given.out / "colour.csv", summary_csv(parts))
    write_text(given.out / "colour_pictures.csv", pictures_csv(parts))


if __name__ == "__main__":
    main()
