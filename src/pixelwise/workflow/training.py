"""Train a run from pictures to receipts: palette, table, model, loop, evaluation, curve and gallery."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import nn

from ..classes.palette import Palette, fit_palette, load_palette
from ..data.batches import Encoded, PictureFeed, in_order
from ..data.load import load_data
from ..data.pictures import DataSet, Pictures, evenly_spaced
from ..errors import BadRun, BadSetting, Interrupted
from ..evaluate.colour import evaluate_colour
from ..evaluate.pixels import count_pixels
from ..files import write_json
from ..grey import shown_in_grey
from ..models.answer import logits_of
from ..models.build import build_model
from ..models.lookup import GreyTable, Lookup
from ..report.figures import curve, gallery, save_figure
from ..runs import Run
from ..train import EpochRow, StepRow, Training, best_epoch, fit
from .finished import load_trained
from .plan import Plan

DEVICES = ("cpu", "cuda", "mps")
CHECKPOINT_SHARE = 0.02  # of the time may go into checkpoints between epochs
TABLE_BATCH = 500  # pictures counted at once
SHOWN = 12  # pictures in a gallery


def train_colour(
    plan: Plan,
    folder: Path,
    *,
    palette_file: Path | None = None,
    resume: bool = False,
    device: torch.device | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[StepRow | EpochRow]:
    """Train a run to its end, or from where it stopped, yielding rows; then evaluate it and draw its pictures.

    Args:
        plan: what to do; with `resume`, what the run was begun with.
        folder: the run's.
        palette_file: the classes; without it they are fitted to the training pictures by k-means.
        resume: go on with the run in `folder`, or begin it if there is none.
        device: where to train; the CPU if not given.
        stopping: asked after each step; when it says so, a checkpoint is kept and the loop stops.

    Raises:
        BadRun: there is a run already and `resume` is not set, or it does not fit the plan.
        Interrupted: `stopping` said so.
        Diverged: the loss is no longer a number; the last checkpoint is kept.
    """
    run, device = Run(folder), device or torch.device("cpu")
    if run.begun and not resume:
        raise BadRun(f"{folder} already holds a run; add --resume to continue it, or give another --out")
    among_pictures = plan.data.name == "folder" and plan.data.root
    if among_pictures and folder.resolve().is_relative_to(Path(among_pictures).resolve()):
        raise BadRun(
            f"{folder} lies among the pictures of {plan.data.root} and would become one of them; give another --out"
        )
    data = load_data(plan.data)
    if not run.begun:
        _begin(run, plan, data, palette_file)
    palette, table = _classes_of(run, plan, data, palette_file)
    training = Training(initial_model(plan, table).to(device), plan.train)
    run.continue_from_checkpoint(training)
    yield from _kept(run, training, _fitting(training, palette, data, device), stopping)
    if not run.finished:
        run.finish(training.model, best=_keeps_best(training))
    _finish(run, data)


def choose_device(name: str) -> torch.device:
    """A device by its name.

    Raises:
        BadSetting: there is no such device here.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).splitlines()[0]
        raise BadSetting(f"device {name!r} cannot be used here ({reason}); use cpu") from None
    if device.type not in DEVICES:
        raise BadSetting(f"device {name!r} does not compute; expected {', '.join(DEVICES)}")
    return device


def _begin(run: Run, plan: Plan, data: DataSet, palette_file: Path | None) -> None:
    k = plan.model.num_colours
    palette = load_palette(palette_file) if palette_file else fit_palette(data.train.pixels, k, plan.train.seed)
    if len(palette) != k:
        raise BadSetting(
            f"palette {palette_file} has {len(palette)} colours, num_colours is {k}; leave num_colours out"
        )
    initial_model(plan, None)  # a model that cannot be built must not leave a folder behind
    run.begin({**plan.to_mapping(), "data_sha256": _fingerprints(data)}, palette, fit_table(palette, data.train))


def initial_model(plan: Plan, table: GreyTable | None) -> nn.Module:
    """The untrained model; its weights depend on the seed alone, and nobody else's random numbers change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.train.seed)
        return build_model(plan.model, table)


def _classes_of(run: Run, plan: Plan, data: DataSet, palette_file: Path | None) -> tuple[Palette, GreyTable]:
    """The run's palette and table, if plan, pictures and palette are still those it was begun with."""
    begun = {**Plan.of_run(run).to_mapping(), "data_sha256": run.settings().get("data_sha256")}
    wanted = {**plan.to_mapping(), "data_sha256": _fingerprints(data)}
    for part in ("data", "model", "train", "data_sha256"):
        old, new = begun[part] or {}, wanted[part]
        changed = [
            f"{part}.{key} was {old.get(key)!r}, is {value!r}"
            for key, value in new.items()
            if old.get(key) != value and key != "root"  # pictures may move as long as they stay the same
        ]
        if changed:
            raise BadRun(f"{run.folder} was begun otherwise: {'; '.join(changed)}; give the same, or another --out")
    palette = run.palette()
    if palette_file and load_palette(palette_file).sha256 != palette.sha256:
        raise BadRun(f"{run.folder} was begun with another palette than {palette_file}; leave --palette out")
    return palette, run.table()


def _fingerprints(data: DataSet) -> dict[str, str]:
    return {"train": data.train.sha256, "validation": data.validation.sha256, "test": data.test.sha256}


def fit_table(palette: Palette, pictures: Pictures) -> GreyTable:
    """The grey-to-class counts of some pictures."""
    seen = ((seen, palette.encode(some.pixels)) for some, seen in in_order(pictures, palette, TABLE_BATCH))
    return GreyTable.fitted(len(palette), seen)


def _fitting(training: Training, palette: Palette, data: DataSet, device: torch.device) -> Iterator[StepRow | EpochRow]:
    if training.finished:
        return iter(())
    train, validation = (PictureFeed(palette, Encoded.by(palette, part)) for part in (data.train, data.validation))
    return fit(training, train, validation, device)


def _kept(
    run: Run, training: Training, rows: Iterator[StepRow | EpochRow], stopping: Callable[[], bool]
) -> Iterator[StepRow | EpochRow]:
    """The rows, with a checkpoint after each epoch, on request, and as often between as 2 % of the time allows."""
    last, cost = time.perf_counter(), 0.0
    for row in rows:
        begin = time.perf_counter()
        stop = stopping()
        if isinstance(row, EpochRow) and _keeps_best(training) and best_epoch(training.rows) == row.epoch:
            run.save_best(training.model)  # before the checkpoint: a kill between the two only repeats some steps
        if stop or isinstance(row, EpochRow) or begin - last > cost / CHECKPOINT_SHARE:
            run.save_checkpoint(training)
            last, cost = time.perf_counter(), time.perf_counter() - begin
        yield row
        if stop and not training.finished:
            at = training.position
            where = f"in epoch {at.epoch} of {training.settings.epochs}, {at.step} steps done"
            raise Interrupted(f"stopped {where}; all of it is kept in {run.folder}: continue with --resume")


def _keeps_best(training: Training) -> bool:
    return training.settings.keep == "best" and best_epoch(training.rows) is not None


def _finish(run: Run, data: DataSet) -> None:
    """Evaluate what was saved, as any reader of the run would, on the test split; draw the curve and the gallery."""
    trained = load_trained(run.folder)
    model, palette, name = trained.model, trained.palette, trained.plan.model.name
    evaluation = evaluate_colour(model, palette, trained.table, data.test, names=(name, data.name, "test"))
    write_json(run / "evaluation.json", evaluation.to_mapping())
    title = f"{name} on {data.title}, {len(palette)} colours"
    lookup = validation_lookup(palette, trained.table, data.validation)
    kept = best_epoch(run.rows()) if trained.plan.train.keep == "best" else None
    save_figure(curve(run.rows(), title, lookup, kept), run / "curve.png")
    rows = gallery_rows({name: model}, palette, data.test.take(evenly_spaced(len(data.test), SHOWN)))
    save_figure(gallery(rows, f"{title}: test pictures"), run / "gallery.png")


def validation_lookup(palette: Palette, table: GreyTable, validation: Pictures) -> tuple[float, float] | None:
    """The lookup's cross-entropy and accuracy on the validation split, if there is one."""
    if not len(validation):
        return None
    counts = count_pixels(Lookup(len(palette), table), palette, Encoded.by(palette, validation))
    return counts.cross_entropy, counts.accuracy


def gallery_rows(models: Mapping[str, nn.Module], palette: Palette, shown: Pictures) -> dict[str, torch.Tensor]:
    """What a gallery shows of some pictures: grey, truth, truth in palette colours, and each model's answer."""
    rows = {
        "what the network sees": shown_in_grey(shown.pixels),
        "truth": shown.pixels,
        f"truth in {len(palette)} colours": palette.decode(palette.encode(shown.pixels)),
    }
    return rows | {name: palette.paint(logits_of(model, palette.see(shown.pixels))) for name, model in models.items()}
