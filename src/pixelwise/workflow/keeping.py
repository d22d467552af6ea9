"""What every training of a run has in common: a folder of its own, the same settings throughout, checkpoints."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ..config import DataSettings, Split
from ..data.pictures import DataSet
from ..errors import BadRun, BadSetting, CannotWrite, Interrupted
from ..files import write_json
from ..runs import Run
from ..train import EpochRow, StepRow, Training, best_epoch

DEVICES = ("cpu", "cuda", "mps")
CHECKPOINT_SHARE = 0.02  # of the time may go into checkpoints between epochs


def run_to_train(folder: Path, data: DataSettings, task: str, resume: bool) -> Run:
    """A folder to begin a run in, or to go on with one.

    Raises:
        BadRun: there is a run already and `resume` is not set, or it is of another task, or the folder lies among the
            pictures.
    """
    run = Run(folder)
    if run.begun and not resume:
        raise BadRun(f"{folder} already holds a run; add --resume to continue it, or give another --out")
    if run.begun and run.task != task:
        raise BadRun(f"{folder} holds a run that learns to {run.task}; give another --out")
    among_pictures = data.name == "folder" and data.root
    if among_pictures and folder.resolve().is_relative_to(Path(among_pictures).resolve()):
        raise BadRun(
            f"{folder} lies among the pictures of {data.root} and would become one of them; give another --out"
        )
    return run


def check_begun_so(run: Run, begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to go on with a run under other settings, or with other pictures.

    Raises:
        BadRun: something differs; the message says what.
    """
    begun = {**begun, "data_sha256": run.settings().get("data_sha256")}
    for part in ("data", "model", "train", "data_sha256"):
        old, new = begun[part] or {}, wanted[part]
        changed = [
            f"{part}.{key} was {old.get(key)!r}, is {value!r}"
            for key, value in new.items()
            if old.get(key) != value and key != "root"  # pictures may move as long as they stay the same
        ]
        if changed:
            raise BadRun(f"{run.folder} was begun otherwise: {'; '.join(changed)}; give the same, or another --out")


def fingerprints_of(data: DataSet) -> dict[str, str]:
    """What the three splits are known by."""
    return {"train": data.train.sha256, "validation": data.validation.sha256, "test": data.test.sha256}


def keep_if_own(run: Run, data: DataSet, split: Split, evaluation: Mapping[str, Any]) -> None:
    """Let the folder keep an evaluation, if it is one on the run's own test pictures."""
    own = run.settings().get("data_sha256")
    if split == "test" and isinstance(own, dict) and own.get("test") == data.test.sha256:
        with suppress(CannotWrite):  # a run that is only to be read is still measured
            write_json(run / "evaluation.json", dict(evaluation))


def kept(
    run: Run, training: Training, rows: Iterator[StepRow | EpochRow], stopping: Callable[[], bool]
) -> Iterator[StepRow | EpochRow]:
    """The rows, with a checkpoint after each epoch, on request, and as often between as 2 % of the time allows."""
    last, cost = time.perf_counter(), 0.0
    for row in rows:
        begin = time.perf_counter()
        stop = stopping()
        if isinstance(row, EpochRow) and keeps_best(training) and best_epoch(training.rows) == row.epoch:
            run.save_best(training.result)  # before the checkpoint: a kill between the two only repeats some steps
        if stop or isinstance(row, EpochRow) or begin - last > cost / CHECKPOINT_SHARE:
            run.save_checkpoint(training)
            last, cost = time.perf_counter(), time.perf_counter() - begin
        yield row
        if stop and not training.finished:
            at = training.position
            where = f"in epoch {at.epoch} of {training.settings.epochs}, {at.step} steps done"
            raise Interrupted(f"stopped {where}; all of it is kept in {run.folder}: continue with --resume")


def keeps_best(training: Training) -> bool:
    """Whether the run ends with the weights of its best epoch."""
    return training.settings.keep == "best" and best_epoch(training.rows) is not None


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
