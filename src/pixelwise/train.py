"""The one loop. It trains and yields a row after every step and every epoch; whoever asks for rows decides the rest.

All that a run needs to go on is in one `Training`: put into a file after any step and taken out again, it continues
to the same weights, bit for bit on one CPU, because the order of the pictures depends on seed and epoch alone and the
learning rate on the step alone.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .averaging import Average
from .classes.labels import VOID
from .config import TrainSettings
from .data.batches import Feed
from .errors import BadRun, BadSetting, Diverged
from .evaluate.pixels import count_feed
from .losses import loss_of
from .models.answer import moved
from .schedule import learning_rate_at

CURVED_STEPS = 25  # of L-BFGS in one epoch


@dataclass(frozen=True)
class StepRow:
    """After one step: where the run is, and the loss of this step's batch in nats a pixel."""

    epoch: int
    step: int  # in this epoch, from 1
    steps: int  # in an epoch
    pictures: int  # in this step
    loss: float


@dataclass(frozen=True)
class EpochRow:
    """After one epoch. Losses in nats a pixel; training values are means while the weights moved."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None  # None where nothing was kept for validation
    validation_accuracy: float | None
    learning_rate: float  # at the epoch's last step
    seconds: float  # of training and validation
    validation_miou: float | None = None  # mean IoU of the classes that occur

    def to_mapping(self) -> dict[str, Any]:
        """The values by name."""
        return asdict(self)


@dataclass
class Position:
    """How far a training has come, in numbers that JSON keeps exactly."""

    epoch: int = 1  # the one under way
    step: int = 0  # done in it
    loss_sum: float = 0.0  # nats, over the epoch's pixels so far
    hits: int = 0
    pixels: int = 0
    seconds: float = 0.0


class Training:
    """A model, its optimizer, and how far they have come.

    Args:
        model: trained in place.
        settings: the run's settings.
    """

    def __init__(self, model: nn.Module, settings: TrainSettings) -> None:
        self.model = model
        self.settings = settings
        self.position = Position()
        self.rows: list[EpochRow] = []
        self.optimizer = _optimizer(model, settings)
        self.average = Average(model, settings.averaging) if self.optimizer and settings.averaging else None

    @property
    def result(self) -> nn.Module:
        """What the training has come to: the averaged weights where they are averaged, else the latest."""
        return self.average.model if self.average else self.model

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the validation loss has not fallen for `patience` of them."""
        best, patience = best_epoch(self.rows), self.settings.patience
        idle = patience > 0 and best is not None and len(self.rows) - best >= patience
        return idle or self.position.epoch > self.settings.epochs

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the model, of its average and of the optimizer, by name."""
        named = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.average:
            named |= {f"average.{name}": tensor for name, tensor in self.average.model.state_dict().items()}
        remembering = self.optimizer if not isinstance(self.optimizer, torch.optim.LBFGS) else None
        for index, state in (remembering.state_dict()["state"] if remembering else {}).items():
            named |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}

    def progress(self) -> dict[str, Any]:
        """Position and rows, as JSON can hold them."""
        return {"position": asdict(self.position), "rows": [row.to_mapping() for row in self.rows]}

    def restore(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        """Go back to where `tensors()` and `progress()` were taken.

        Raises:
            BadRun: they belong to another model or are not what those methods gave.
        """
        state: dict[int, dict[str, Tensor]] = {}
        try:
            for name, tensor in tensors.items():
                if name.startswith("optimizer."):
                    _, index, key = name.split(".")
                    state.setdefault(int(index), {})[key] = tensor
            self.model.load_state_dict(_below("model.", tensors))
            if self.average:
                self.average.model.load_state_dict(_below("average.", tensors))
            if self.optimizer and state:
                self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
            self.position = Position(**progress["position"])
            self.rows = [EpochRow(**row) for row in progress["rows"]]
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise BadRun(f"the checkpoint does not fit this model and these settings ({error})") from None


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def fit(training: Training, train: Feed, validation: Feed | None, device: torch.device) -> Iterator[StepRow | EpochRow]:
    """Train from where `training` stands to its last epoch, yielding rows as they come.

    A model without weights to learn, such as the lookup, is only measured, in one epoch.

    Args:
        training: the model and how far it has come; changed in place.
        train: what the network sees and must answer.
        validation: the same, kept aside, never trained on; may be empty.
        device: where the model lies.

    Raises:
        Diverged: the loss is no longer a number; `training` is then of no more use, but older checkpoints are.
    """
    settings = training.settings
    steps = train.steps(settings.batch_size)
    while not training.finished:
        at = training.position
        start = time.perf_counter() - at.seconds
        training.model.train()
        order = {"seed": settings.seed, "epoch": at.epoch, "skip": at.step}
        for given, truth in train.shuffled(settings.batch_size, flips=settings.flips, **order):
            rate = learning_rate_at((at.epoch - 1) * steps + at.step, settings.epochs * steps, settings)
            loss, hits = _step(training, moved(given, device), truth.to(device).long(), rate)
            if not math.isfinite(loss):
                raise Diverged(
                    f"the loss became {loss} in epoch {at.epoch}, step {at.step + 1}; "
                    f"lower learning_rate ({settings.learning_rate}) and train again in a new folder"
                )
            at.step += 1
            if training.average:
                training.average.take(training.model, (at.epoch - 1) * steps + at.step)
            labelled = int((truth != VOID).sum())
            at.pixels += labelled
            at.loss_sum += loss * labelled  # by pixels, since the last batch may be short
            at.hits += hits
            at.seconds = time.perf_counter() - start
            yield StepRow(at.epoch, at.step, steps, len(truth), loss)
        rate = learning_rate_at(at.epoch * steps - 1, settings.epochs * steps, settings)
        row = _epoch_row(training, validation, rate, start)
        training.rows.append(row)
        training.position = Position(epoch=at.epoch + 1 if training.optimizer else settings.epochs + 1)
        yield row


def best_epoch(rows: Sequence[EpochRow]) -> int | None:
    """The epoch of lowest validation loss, the first of equals; None where nothing was kept for validation."""
    measured = [(row.validation_loss, row.epoch) for row in rows if row.validation_loss is not None]
    return min(measured)[1] if measured else None


def _optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer | None:
    """Adam, AdamW or L-BFGS; weight decay acts on filters alone, not on biases and normalization."""
    learned = [p for p in model.parameters() if p.requires_grad]
    if not learned:
        return None
    if settings.optimizer == "lbfgs":
        return torch.optim.LBFGS(learned, max_iter=CURVED_STEPS, history_size=20, line_search_fn="strong_wolfe")
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate)


def _step(training: Training, given: tuple[Any, ...], truth: Tensor, rate: float) -> tuple[float, int]:
    """One forward, backward and update; the loss before it, and the pixels answered rightly."""
    optimizer = training.optimizer
    if isinstance(optimizer, torch.optim.LBFGS):
        return _curved_step(training, optimizer, given, truth)
    loss, logits = _forward(training, given, truth)
    if optimizer and bool(torch.isfinite(loss)):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return loss.item(), int((logits.argmax(dim=1) == truth).sum())


def _forward(training: Training, given: tuple[Any, ...], truth: Tensor) -> tuple[Tensor, Tensor]:
    settings, device = training.settings, truth.device
    with (
        torch.set_grad_enabled(training.optimizer is not None),
        _precision(settings, device),
        _own_random_numbers(training, device),
    ):
        try:
            logits = training.model(*given).float()
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise BadSetting(
                "BatchNorm cannot learn from a batch of one picture where its map is a single pixel; give a "
                "batch_size of 2 or more, or train only the last layer"
            ) from None
    return loss_of(settings.loss, logits, truth, settings.class_weights), logits


def _curved_step(
    training: Training, optimizer: torch.optim.LBFGS, given: tuple[Any, ...], truth: Tensor
) -> tuple[float, int]:
    """Some steps of L-BFGS (Liu and Nocedal 1989) on one batch; the loss at the last one, without the squared weights.

    The curvature that it has learnt is forgotten each time, so that a run goes on from any step to the same weights.
    """
    optimizer.state.clear()
    latest: list[tuple[float, int]] = []
    filters = [p for p in training.model.parameters() if p.requires_grad and p.ndim > 1]

    def closure() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss, logits = _forward(training, given, truth)
        latest[:] = [(loss.item(), int((logits.argmax(dim=1) == truth).sum()))]
        penalized = loss + training.settings.weight_decay * sum(p.square().sum() for p in filters)
        penalized.backward()  # type: ignore[no-untyped-call]
        return penalized.item()

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    optimizer.state.clear()
    return latest[0]


@contextmanager
def _own_random_numbers(training: Training, device: torch.device) -> Iterator[None]:
    """Random numbers, as for dropout, that depend on seed, epoch and step alone; nobody else's change."""
    at = training.position
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(((training.settings.seed * 1_000_003 + at.epoch) * 1_000_003 + at.step) % 2**63)
        yield


def _precision(settings: TrainSettings, device: torch.device) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")


def _epoch_row(training: Training, validation: Feed | None, rate: float, start: float) -> EpochRow:
    at = training.position
    counts = count_feed(training.result, validation) if validation else None
    return EpochRow(
        epoch=at.epoch,
        train_loss=at.loss_sum / max(1, at.pixels),
        train_accuracy=at.hits / max(1, at.pixels),
        validation_loss=counts.cross_entropy if counts else None,
        validation_accuracy=counts.accuracy if counts else None,
        validation_miou=counts.miou if counts else None,
        learning_rate=rate,
        seconds=time.perf_counter() - start,
    )
