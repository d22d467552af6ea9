"""The colourizer that pixelwise carries, trained again and written into the package.

    python benchmarks/colourizer.py --root FOLDER/photographs-256 --runs FOLDER --out src/pixelwise/colourizer

Splits the photographs by content (colour_split.py), trains a head for each seed as `pixelwise train colour` does, and
keeps them, whose answers are averaged, in half precision. Runs that are finished are not run again.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import safetensors.torch
import torch

from colour_split import split_photographs
from pixelwise import Plan, load_trained, train_colour
from pixelwise.console import show_training
from pixelwise.files import write_json
from pixelwise.runs import Run

MODEL = "hypercolumn_efficientnet_lite0"
EPOCHS = 8
ZOOMS = (1.0, 1.5)
RECEIPTS = ("palette.json", "lookup.safetensors", "environment.json")


def plan_of(split: Path, seed: int) -> Plan:
    """`pixelwise train colour --data folder --model hypercolumn_efficientnet_lite0 --epochs 8 --zooms 1,1.5`."""
    data = {"name": "folder", "root": str(split)}
    return Plan.from_given(MODEL, data, {}, {"seed": seed, "epochs": EPOCHS, "zooms": ZOOMS})


def trained(split: Path, runs: Path, seed: int) -> Run:
    """A finished run, taken or trained; all seeds have the palette of seed 0."""
    run, plan = Run(runs / f"photographs-seed{seed}"), plan_of(split, seed)
    if run.finished and Plan.of_run(run).train == plan.train:
        return run
    palette = runs / "photographs-seed0" / "palette.json" if seed else None
    show_training(train_colour(plan, run.folder, palette_file=palette, resume=True), f"seed {seed}", plan.train.epochs)
    return run


def heads(split: Path, runs: Path, seeds: Iterable[int]) -> list[Run]:
    """A finished run for each seed."""
    return [trained(split, runs, seed) for seed in seeds]


def together(runs: Sequence[Run]) -> dict[str, torch.Tensor]:
    """The weights of all heads under the names of one network that averages them, in half precision."""
    named = {}
    for number, run in enumerate(runs):
        for name, tensor in load_trained(run.folder).model.state_dict().items():
            kept = tensor.half() if tensor.is_floating_point() else tensor
            named[name.replace("head.", f"head.members.{number}.", 1)] = kept.contiguous()
    return named


def write_package(runs: Sequence[Run], out: Path) -> str:
    """The run that pixelwise carries: a run's receipts without the checkpoint; gives the hash of its weights."""
    out.mkdir(parents=True, exist_ok=True)
    for name in RECEIPTS:
        shutil.copyfile(runs[0] / name, out / name)
    safetensors.torch.save_file(together(runs), out / "model.safetensors")
    (out / "model.safetensors").chmod(0o644)  # for whoever installs it
    settings = runs[0].settings()
    settings["data"] = {**settings["data"], "root": None}  # where the photographs lay says nothing to others
    settings["model"] = {**settings["model"], "heads": len(runs)}
    write_json(out / "settings.json", settings)
    load_trained(out)  # what is carried must load exactly
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    """Split, train, and write the package's folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("src/pixelwise/colourizer"))
    parser.add_argument("--seeds", type=int, default=4)
    given = parser.parse_args()
    split = given.runs / "photographs"
    pictures = split_photographs(given.root, split)
    runs = heads(split, given.runs, range(given.seeds))
    counts = {name: len(paths) for name, paths in pictures.items()}
    print(json.dumps({"pictures": counts, "weights sha256": write_package(runs, given.out)}, indent=2))


if __name__ == "__main__":
    main()
