"""The colourizer that pixelwise carries, trained again and written into the package.

    python benchmarks/colourizer.py --root FOLDER/photographs-256 --runs FOLDER --out src/pixelwise/colourizer

Splits the photographs by content (colour_split.py), trains heads of several seeds as `pixelwise train colour` does,
teaches one head what they say together (Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network"),
and keeps that in half precision, with its card. Runs that are finished are not run again.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from colour_split import split_photographs
from pixelwise import Plan, load_data, load_trained, train_colour
from pixelwise.classes.palette import AnyPalette
from pixelwise.console import show_training
from pixelwise.data.batches import Encoded
from pixelwise.evaluate.pixels import count_feed
from pixelwise.files import write_json
from pixelwise.models.colour_hypercolumn import FeatureHead, HypercolumnColours
from pixelwise.runs import Run
from pixelwise.train import learning_rate_at
from pixelwise.workflow.on_features import computed, on_features
from pixelwise.workflow.training import initial_model

MODEL = "hypercolumn_efficientnet_lite0"
TAUGHT = 0.7  # share of what the teachers say, beside the truth, in what the student learns
EPOCHS = 12
ZOOMS = (1.0, 1.5)
RECEIPTS = ("palette.json", "lookup.safetensors", "environment.json")


def plan_of(split: Path, seed: int) -> Plan:
    """What `pixelwise train colour --data folder --model hypercolumn_efficientnet_lite0` would do."""
    return Plan.from_given(
        MODEL, {"name": "folder", "root": str(split)}, {}, {"seed": seed, "epochs": EPOCHS, "zooms": ZOOMS}
    )


def teachers(split: Path, runs: Path, seeds: Sequence[int]) -> list[Run]:
    """A finished run for each seed; all have the palette of the first, so that their answers can be averaged."""
    found: list[Run] = []
    for seed in seeds:
        run, plan = Run(runs / f"photographs-seed{seed}"), plan_of(split, seed)
        first = found[0] / "palette.json" if found else None
        rows = train_colour(plan, run.folder, palette_file=first, resume=True)
        show_training(rows, f"seed {seed}", plan.train.epochs)
        found.append(run)
    return found


def taught(runs: Sequence[Run], epochs: int, seed: int = 100) -> tuple[HypercolumnColours, AnyPalette, list[float]]:
    """A head that learnt what the heads of some runs say together, beside the truth; its validation losses by epoch."""
    known = [load_trained(run.folder) for run in runs]
    plan, palette, table = known[0].plan, known[0].palette, known[0].table
    data = load_data(plan.data)
    student = initial_model(Plan.from_given(MODEL, {}, {}, {"seed": seed}), table)
    assert isinstance(student, HypercolumnColours)
    parts = [Encoded.by(palette, part) for part in (data.train, data.validation)]
    feeds = on_features(palette, *parts, plan.train.zooms)
    for _ in computed(feeds, True, lambda: False, runs[0].folder):
        pass
    settings = Plan.from_given(MODEL, {}, {}, {"seed": seed, "epochs": epochs}).train
    learner, losses = FeatureHead(student.head), []
    masters = [FeatureHead(t.model.head).eval() for t in known if isinstance(t.model, HypercolumnColours)]
    groups = [
        {"params": [p for p in learner.parameters() if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in learner.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
    steps, done = feeds[0].steps(settings.batch_size), 0
    for epoch in range(1, epochs + 1):
        learner.train()
        batches = feeds[0].shuffled(settings.batch_size, seed=seed, epoch=epoch, flips=True)
        for given, truth in batches:
            with torch.no_grad():
                wanted = sum(master(*given).softmax(dim=1) for master in masters) / len(masters)
            logits = learner(*given)
            said = -(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean()
            loss = TAUGHT * said + (1 - TAUGHT) * nn.functional.cross_entropy(logits, truth.long())
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(done, epochs * steps, settings)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            done += 1
        losses.append(count_feed(learner, feeds[1]).cross_entropy)
        print(f"taught, epoch {epoch}/{epochs}: validation {losses[-1]:.4f} nats", flush=True)
    return student, palette, losses


def halved(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights in half precision; counts stay whole numbers."""
    for name, tensor in model.state_dict().items():
        yield name, (tensor.half() if tensor.is_floating_point() else tensor).contiguous()


def write_package(model: nn.Module, first: Run, out: Path, how: dict[str, object]) -> str:
    """The run that pixelwise carries: a run's receipts without the checkpoint; gives the hash of its weights."""
    out.mkdir(parents=True, exist_ok=True)
    for name in RECEIPTS:
        shutil.copyfile(first / name, out / name)
    safetensors.torch.save_file(dict(halved(model)), out / "model.safetensors")
    settings = first.settings()
    settings["data"] = {**settings["data"], "root": None}  # where the photographs lay says nothing to others
    write_json(out / "settings.json", {**settings, "taught": how})
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    """Split, train, teach, and write the package's folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("src/pixelwise/colourizer"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    split = given.runs / "photographs"
    pictures = split_photographs(given.root, split)
    runs = teachers(split, given.runs, range(given.seeds))
    model, palette, losses = taught(runs, given.epochs)
    how = {
        "teachers": [run.weights_sha256 for run in runs],
        "share": TAUGHT,
        "epochs": given.epochs,
        "validation_losses": losses,
    }
    digest = write_package(model, runs[0], given.out, how)
    counts = {name: len(paths) for name, paths in pictures.items()}
    print(json.dumps({"weights sha256": digest, "palette sha256": palette.sha256, "pictures": counts}, indent=2))


if __name__ == "__main__":
    main()
