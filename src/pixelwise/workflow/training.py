"""Train a run from pictures to receipts: palette, table, model, loop, evaluation, curve and gallery."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import nn

from ..classes.dials import Dials, decided
from ..classes.palette import AnyPalette, fit_palette, load_palette
from ..data.batches import Encoded, PictureFeed, batch_size, in_order
from ..data.load import load_data
from ..data.pictures import DataSet, Pictures, evenly_spaced
from ..errors import BadRun, BadSetting
from ..evaluate.colour import evaluate_colour
from ..evaluate.pixels import count_pixels
from ..files import write_json
from ..models.answer import logits_of
from ..models.build import build_model
from ..models.colour_hypercolumn import HypercolumnColours
from ..models.lookup import GreyTable, Lookup
from ..report.figures import curve, gallery, save_figure
from ..runs import Run
from ..train import Training, best_epoch, fit
from .filling import Row
from .finished import load_trained
from .keeping import check_begun_so, fingerprints_of, keeps_best, kept, run_to_train
from .on_features import computed, learner, on_features
from .plan import Plan

SHOWN = 12  # pictures in a gallery


def train_colour(
    plan: Plan,
    folder: Path,
    *,
    palette_file: Path | None = None,
    resume: bool = False,
    device: torch.device | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Row]:
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
        BadSetting: settings do not go together.
        Interrupted: `stopping` said so.
        Diverged: the loss is no longer a number; the last checkpoint is kept.
    """
    run, device = run_to_train(folder, plan.data, "colour", resume), device or torch.device("cpu")
    if plan.train.zooms != (1.0,) and not isinstance(initial_model(plan, None), HypercolumnColours):
        raise BadSetting(f"zooms are for photographs on a frozen network; {plan.model.name} has none, leave them out")
    data = load_data(plan.data)
    known = None if run.begun else _begin(run, plan, data, palette_file)
    palette, table = _classes_of(run, plan, data, palette_file)
    model = initial_model(plan, table).to(device)
    training = Training(learner(model), plan.train)
    run.continue_from_checkpoint(training)
    if not training.finished:
        parts = known or Encoded.by(palette, data.train), Encoded.by(palette, data.validation)
        if isinstance(model, HypercolumnColours):
            feeds = on_features(palette, *parts, plan.train.zooms)
            yield from computed(feeds, plan.train.flips, stopping, folder)
            steps = fit(training, *feeds, device)
        else:
            steps = fit(training, PictureFeed(palette, parts[0]), PictureFeed(palette, parts[1]), device)
        yield from kept(run, training, steps, stopping)
    if not run.finished:
        run.finish(training.result, best=keeps_best(training))
    _finish(run, data)


def _begin(run: Run, plan: Plan, data: DataSet, palette_file: Path | None) -> Encoded:
    """Write the run's first receipts; gives the training pictures' classes, which had to be found for them."""
    k, space = plan.model.num_colours, plan.model.space
    given = load_palette(palette_file) if palette_file else None
    palette = given or fit_palette(data.train.pixels, k, plan.train.seed, space=space)
    if len(palette) != k:
        raise BadSetting(
            f"palette {palette_file} has {len(palette)} colours, num_colours is {k}; leave num_colours out"
        )
    if palette.space != space:
        raise BadSetting(f"palette {palette_file} is of space {palette.space}, space is {space}; leave space out")
    initial_model(plan, None)  # a model that cannot be built must not leave a folder behind
    known = Encoded.by(palette, data.train)
    run.begin({**plan.to_mapping(), "data_sha256": fingerprints_of(data)}, palette, table_of(palette, known))
    return known


def initial_model(plan: Plan, table: GreyTable | None) -> nn.Module:
    """The untrained model; its weights depend on the seed alone, and nobody else's random numbers change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.train.seed)
        return build_model(plan.model, table)


def _classes_of(run: Run, plan: Plan, data: DataSet, palette_file: Path | None) -> tuple[AnyPalette, GreyTable]:
    """The run's palette and table, if plan, pictures and palette are still those it was begun with."""
    check_begun_so(run, Plan.of_run(run).to_mapping(), {**plan.to_mapping(), "data_sha256": fingerprints_of(data)})
    palette = run.palette()
    if palette_file and load_palette(palette_file).sha256 != palette.sha256:
        raise BadRun(f"{run.folder} was begun with another palette than {palette_file}; leave --palette out")
    return palette, run.table()


def fit_table(palette: AnyPalette, pictures: Pictures) -> GreyTable:
    """The grey-to-class counts of some pictures."""
    return table_of(palette, Encoded.by(palette, pictures))


def table_of(palette: AnyPalette, known: Encoded) -> GreyTable:
    """The grey-to-class counts of pictures whose classes are known."""
    size, shown = batch_size(known.pictures), in_order(known.pictures, palette, batch_size(known.pictures))
    pairs = ((seen, known.ids[start : start + size]) for start, (_, seen) in zip(itertools.count(0, size), shown))
    return GreyTable.fitted(len(palette), pairs)


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


def validation_lookup(palette: AnyPalette, table: GreyTable, validation: Pictures) -> tuple[float, float] | None:
    """The lookup's cross-entropy and accuracy on the validation split, if there is one."""
    if not len(validation):
        return None
    counts = count_pixels(Lookup(len(palette), table), palette, Encoded.by(palette, validation))
    return counts.cross_entropy, counts.accuracy


def gallery_rows(models: Mapping[str, nn.Module], palette: AnyPalette, shown: Pictures) -> dict[str, torch.Tensor]:
    """What a gallery shows of some pictures: grey, truth, truth in palette colours, and each model's answer."""
    rows = {
        "what the network sees": palette.grey_shown(shown.pixels),
        "truth": shown.pixels,
        f"truth in {len(palette)} colours": palette.decode(palette.encode(shown.pixels), shown.pixels),
    }
    even = torch.full((len(palette),), 1 / len(palette))
    for name, model in models.items():
        probabilities = decided(logits_of(model, palette.see(shown.pixels)), palette, even, Dials())
        rows[name] = palette.paint(probabilities, shown.pixels)
    return rows
