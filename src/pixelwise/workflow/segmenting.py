"""Fine-tune a run from labelled pictures to receipts: network, freezing, features, loop, proof, evaluation."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..accounting.finetuning import FineTuning, fine_tuning
from ..classes.labels import Labels
from ..data.batches import Encoded, Feed, PictureFeed
from ..data.load import load_labelled
from ..data.pictures import DataSet, Pictures
from ..errors import BadData, BadSetting
from ..evaluate.segment import evaluate_segment
from ..features import FeatureCache
from ..feeds import MapFeed, SelfTaughtFeed, encoded_pictures, sampled
from ..files import write_json
from ..freeze import MODES, fingerprints, freeze, prefixes_of, prove_frozen
from ..models.folding import folded
from ..models.head import Head
from ..models.pretrained import pretrained_segmenter
from ..models.segmenter import Segmenter
from ..report.figures import curve, save_figure
from ..runs import Run
from ..train import Training, best_epoch, fit
from .filling import FillRow, NoteRow, Row, filled
from .keeping import check_begun_so, fingerprints_of, keeps_best, kept, run_to_train
from .segment_pictures import gallery_of
from .segment_plan import SegmentPlan

FOR_STATISTICS = 20_000  # pixels, where all are trained on
CROPS_AND_CACHE = (
    "warning: a random crop is another picture each time, so its features cannot be kept: the frozen trunk runs in "
    "every step; leave --crop out to compute features once"
)
CHECKED_BATCH = 4  # pictures; what a step keeps grows with their number and says nothing else


Feeds = tuple[Feed, Feed | None]  # to train on, and to measure on where something was kept for validation


def train_segment(
    plan: SegmentPlan,
    folder: Path,
    *,
    resume: bool = False,
    device: torch.device | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Row]:
    """Fine-tune a run to its end, or from where it stopped, yielding rows; then evaluate it and draw its pictures.

    Args:
        plan: what to do; with `resume`, what the run was begun with.
        folder: the run's.
        resume: go on with the run in `folder`, or begin it if there is none.
        device: where to train; the CPU if not given.
        stopping: asked after each step; when it says so, a checkpoint is kept and the loop stops.

    Raises:
        BadRun: there is a run already and `resume` is not set, or it does not fit the plan; or frozen weights moved.
        BadData: there is one class only, or no pixel is labelled.
        BadWeights: the pretrained weights are missing or are another network's.
        Interrupted: `stopping` said so.
        Diverged: the loss is no longer a number; the last checkpoint is kept.
    """
    plan.check()
    run, device = run_to_train(folder, plan.data, "segment", resume), device or torch.device("cpu")
    data = load_labelled(plan.data)
    labels = _labels_of(data)
    _check_weights(plan, labels)
    labelled_part(plan, data)  # too few of them must not leave a folder behind
    model = _frozen_model(plan, len(labels))
    if run.begun:
        check_begun_so(run, SegmentPlan.of_run(run).to_mapping(), _settings(plan, data))
    else:
        classes = {"names": list(labels.names), "colours": list(labels.colours)}
        run.begin({**_settings(plan, data), "classes": classes})
    before = fingerprints(model)
    cost = _cost(model, _size(data.train))
    yield from _notes(cost)
    if plan.model.crop and plan.learns_last_only:
        yield NoteRow(CROPS_AND_CACHE)
    if not run.finished:
        if plan.uses_cache:
            cache = FeatureCache(model, plan.model.precision)
            yield from _filled(plan, cache, data, stopping, folder)
            training, feeds = _on_features(plan, model, data, cache)
        else:
            training, feeds = Training(model.to(device), plan.train), _on_pictures(plan, data, labels)
        run.continue_from_checkpoint(training)
        rows = iter(()) if training.finished else fit(training, *feeds, _device_of(training.model))
        yield from kept(run, training, rows, stopping)
        _end(run, training, model)
        prove_frozen(before, fingerprints(model))
        _write_proof(run, plan, model, before, cost)
        run.finish(model, best=False)
    _finish(run, plan, model, labels, data)


def _frozen_model(plan: SegmentPlan, k: int) -> Segmenter:
    """The pretrained network with a new last layer, all but what is to be trained frozen."""
    with torch.random.fork_rng(devices=[]):  # a network of one's own may start at random: so again when resumed
        torch.manual_seed(plan.train.seed)
        model = pretrained_segmenter(plan.model, k)
    first = plan.model.learn[0]
    freeze(model, prefixes_of(model, first) if first in MODES else plan.model.learn)
    return model


def _filled(
    plan: SegmentPlan, cache: FeatureCache, data: DataSet, stopping: Callable[[], bool], folder: Path
) -> Iterator[FillRow]:
    """Compute the features that are not there yet."""
    train = data.train if plan.model.rest == "learn" else labelled_part(plan, data)
    everything = [part.pixels for part in (train, data.validation) if len(part)]
    if plan.train.flips:
        everything.append(train.pixels.flip(3))
    before = [0, *itertools.accumulate(len(pixels) for pixels in everything)]
    return filled(cache, zip(before, everything, strict=False), before[-1], stopping, folder)


def labelled_part(plan: SegmentPlan, data: DataSet) -> Pictures:
    """The training pictures whose masks are used.

    Raises:
        BadData: there are fewer training pictures than that.
    """
    count = plan.model.labelled
    if count > len(data.train):
        raise BadData(f"{count} labelled pictures asked; {data.title} has {len(data.train)} to train on; ask for fewer")
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(plan.train.seed))
    return data.train.take(sorted(order[:count].tolist())) if count else data.train


def _on_features(plan: SegmentPlan, model: Segmenter, data: DataSet, cache: FeatureCache) -> tuple[Training, Feeds]:
    """The last layer alone, and features for it."""
    background, seed = plan.model.void == "background", plan.train.seed
    some = labelled_part(plan, data)
    train, validation = (encoded_pictures(part, background) for part in (some, data.validation))
    sample = sampled(cache, train, seed=seed, flips=plan.train.flips, most=plan.model.sample or FOR_STATISTICS)
    head = Head(model, model.last.out_channels, sample.mean, sample.deviation)
    feed: Feed = sample if plan.uses_sample else MapFeed(cache, train, plan.model.loss_at == "features")
    if plan.model.rest == "learn":
        known = set(some.names)
        others = data.train.take([i for i, name in enumerate(data.train.names) if name not in known])
        unseen = Encoded(others, torch.zeros_like(encoded_pictures(others).ids))  # nobody looks at their masks
        feed = SelfTaughtFeed(sample, sampled(cache, unseen, seed=seed, most=plan.model.sample).features, head)
    return Training(head, plan.train), (feed, MapFeed(cache, validation) if len(validation) else None)


def _on_pictures(plan: SegmentPlan, data: DataSet, labels: Labels) -> Feeds:
    background = plan.model.void == "background"
    train, validation = (encoded_pictures(part, background) for part in (labelled_part(plan, data), data.validation))
    measured = PictureFeed(labels, validation) if len(validation) else None
    return PictureFeed(labels, train, join_last=True, crop=plan.model.crop), measured


def _end(run: Run, training: Training, model: Segmenter) -> None:
    """The weights that the run ends with, in the network."""
    if keeps_best(training):
        run.take_best(training.model)
    elif training.average:
        training.model.load_state_dict(training.result.state_dict())
    if isinstance(training.model, Head):
        model.last = training.model.finished()
    model.cpu()


def _write_proof(
    run: Run, plan: SegmentPlan, model: Segmenter, before: dict[str, str], cost: FineTuning | None
) -> None:
    """The receipt that says what was trained and proves what was not."""
    proof = {
        "learn": list(plan.model.learn),
        "learned": [name for name, parameter in model.named_parameters() if parameter.requires_grad],
        "frozen_unchanged": True,  # or prove_frozen would have stopped the run
        "step": cost.summary() if cost else None,
        "frozen_sha256_before": before,
        "frozen_sha256_after": fingerprints(model),
    }
    write_json(run / "freezing.json", proof)


def _finish(run: Run, plan: SegmentPlan, model: Segmenter, labels: Labels, data: DataSet) -> None:
    """Evaluate what was saved, on the test split; draw the curve and the gallery."""
    run.load_model(model)
    quick = folded(model)
    evaluation = evaluate_segment(quick, labels, data.test, names=(plan.model.name, data.name, "test"))
    write_json(run / "evaluation.json", evaluation.to_mapping())
    title = f"{plan.model.name} on {data.title}, {' and '.join(plan.model.learn)} trained"
    kept_epoch = best_epoch(run.rows()) if plan.train.keep == "best" else None
    save_figure(curve(run.rows(), title, kept=kept_epoch), run / "curve.png")
    save_figure(gallery_of(quick, labels, data.test, evaluation, title), run / "gallery.png")


def _cost(model: Segmenter, size: tuple[int, int]) -> FineTuning | None:
    """What a step costs; None if the network cannot be run without numbers, as some networks of one's own."""
    try:
        return fine_tuning(model, None, CHECKED_BATCH, size, formulas=False)
    except BadSetting:
        return None


def _notes(cost: FineTuning | None) -> Iterator[NoteRow]:
    if cost is None:
        yield NoteRow("this network cannot be run without numbers, so what a step keeps is not known beforehand")
        return
    yield NoteRow(
        f"trained: {cost.trainable:,} of {cost.trainable + cost.frozen:,} weights; backward starts at {cost.starts_at} "
        f"and keeps {cost.kept.value / 2**20:,.1f} MiB for {CHECKED_BATCH} pictures"
    )
    if cost.leak:
        yield NoteRow(
            f"warning: {', '.join(cost.leak.layers[:3])} is trained although layers behind it are frozen, so backward "
            f"goes all the way there; leave it out of --learn to save {cost.leak.kept_bytes / 2**20:,.1f} MiB"
        )


def _labels_of(data: DataSet) -> Labels:
    labels = data.labels
    if labels is None or len(labels) < 2:
        names = ", ".join(labels.names) if labels else "none"
        raise BadData(f"{data.title} has one class only ({names}); expected two or more, so that there is a choice")
    return labels


def _check_weights(plan: SegmentPlan, labels: Labels) -> None:
    given = plan.train.class_weights
    if given and len(given) != len(labels):
        raise BadSetting(f"{len(given)} class_weights for {len(labels)} classes ({', '.join(labels.names)}); one each")


def _settings(plan: SegmentPlan, data: DataSet) -> dict[str, Any]:
    return {**plan.to_mapping(), "data_sha256": fingerprints_of(data)}


def _size(pictures: Pictures) -> tuple[int, int]:
    return pictures.pixels.shape[2], pictures.pixels.shape[3]


def _device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
