"""A run is a folder of receipts, each written whole or not at all; nothing in it is ever unpickled.

settings.json           task, data, model and training settings, fingerprints of palette and pictures
environment.json        versions, machine, threads, commit, when
palette.json            the classes
lookup.safetensors      grey level to class counts of the training pictures: the baseline
metrics.jsonl           a row an epoch
checkpoint.safetensors  model, optimizer and position; what --resume continues from
best.safetensors        while training: the weights of the best epoch so far
model.safetensors       the trained weights; a run that has them is finished
evaluation.json, curve.png, gallery.png
freezing.json           of a run that segments: what was trained, what was not, and the proof
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from . import __version__
from .classes.palette import AnyPalette, load_palette
from .environment import environment
from .errors import BadPalette, BadRun
from .files import BESIDE, replacing, sweep, write_json, write_text
from .models.lookup import GreyTable
from .train import EpochRow, Training

FORMAT = 1  # of the folder; raised when an older reader would misread it


class Run:
    """One run's folder.

    Args:
        folder: where its receipts lie or will lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @property
    def begun(self) -> bool:
        """Whether there is a run in the folder."""
        return (self / "settings.json").is_file()

    @property
    def finished(self) -> bool:
        """Whether its trained weights are there."""
        return (self / "model.safetensors").is_file()

    def begin(
        self, settings: dict[str, Any], palette: AnyPalette | None = None, table: GreyTable | None = None
    ) -> None:
        """Write a new run's first receipts, the settings last, since they say that a run is there.

        A run that colours has a palette and a table; one that segments has its classes in the settings.

        Raises:
            BadRun: the folder cannot be written, or holds something else than a run.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadRun(f"the run folder {self.folder} cannot be made ({error}); give another --out") from None
        if any(self.folder.iterdir()) and not self._only_receipts():
            raise BadRun(f"{self.folder} holds other files; give --out a new or empty folder")
        if palette is not None and table is not None:
            palette.save(self / "palette.json")
            self._save_tensors("lookup.safetensors", {"counts": table.counts})
            settings = {**settings, "palette_sha256": palette.sha256}
        write_json(self / "environment.json", environment())
        if settings["data"]["root"]:  # so that the run can be evaluated from any folder
            settings = {
                **settings,
                "data": {**settings["data"], "root": str(Path(settings["data"]["root"]).absolute())},
            }
        write_json(self / "settings.json", {"format": FORMAT, **settings})

    def _only_receipts(self) -> bool:
        """Whether all that is there was left by a beginning that was cut short."""
        ours = {"palette.json", "lookup.safetensors", "environment.json"}
        return all(path.name in ours or path.name.startswith(BESIDE) for path in self.folder.iterdir())

    @property
    def task(self) -> str:
        """What the run learnt: colour or segment.

        Raises:
            BadRun: there is no run, or its settings cannot be read.
        """
        return str(self.settings().get("task", "colour"))

    def settings(self) -> dict[str, Any]:
        """What the run was begun with.

        Raises:
            BadRun: there is no run, or its settings cannot be read.
        """
        if not self.begun:
            raise BadRun(f"no run in {self.folder}; expected a folder that `pixelwise train … --out` made")
        settings = self._json("settings.json")
        if not isinstance(settings, dict) or settings.get("format") != FORMAT:
            raise BadRun(
                f"{self / 'settings.json'} is not of format {FORMAT}; this pixelwise ({__version__}) can't read it"
            )
        return settings

    def environment(self) -> dict[str, Any]:
        """The machine and software that the run was begun on.

        Raises:
            BadRun: that receipt is missing or damaged.
        """
        values = self._json("environment.json")
        if not isinstance(values, dict):
            raise BadRun(f"{self / 'environment.json'} is damaged; expected names and values")
        return values

    def palette(self) -> AnyPalette:
        """The classes the run was trained on.

        Raises:
            BadRun: the palette is missing, damaged, or not the one the run was trained on.
        """
        try:
            palette = load_palette(self / "palette.json")
        except BadPalette as error:
            raise BadRun(f"the run's {error}") from None
        if palette.sha256 != self.settings().get("palette_sha256"):
            raise BadRun(f"{self / 'palette.json'} is not the palette that this run was trained on; put that one back")
        return palette

    def table(self) -> GreyTable:
        """The grey-to-class counts of the training pictures.

        Raises:
            BadRun: they are missing or damaged.
        """
        counts = self._tensors("lookup.safetensors").get("counts")
        if counts is None or counts.ndim != 2 or counts.dtype != torch.int64:
            raise BadRun(f"{self / 'lookup.safetensors'} holds no table of counts; train the run again")
        return GreyTable(counts)

    def save_checkpoint(self, training: Training) -> None:
        """Keep all that the run needs to go on, in one file, and the epochs' rows for people to read."""
        progress = {"progress": json.dumps(training.progress())}
        self._save_tensors("checkpoint.safetensors", training.tensors(), progress)
        self._save_rows(training.rows)

    def continue_from_checkpoint(self, training: Training) -> None:
        """Bring `training`, and the folder, to where the run stopped, if it got as far as a checkpoint.

        Raises:
            BadRun: the checkpoint is damaged or belongs to other settings.
        """
        sweep(self.folder)
        path = self / "checkpoint.safetensors"
        if not path.is_file():
            return
        tensors = self._tensors(path.name)
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                progress = json.loads((file.metadata() or {}).get("progress", "null"))
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise BadRun(f"{path} cannot be read ({error}); delete it to start again") from None
        if not isinstance(progress, dict):
            raise BadRun(f"{path} is not a checkpoint of pixelwise; delete it to start again")
        training.restore(tensors, progress)
        self._save_rows(training.rows)  # a kill may have come between the checkpoint and the rows

    def save_best(self, model: nn.Module) -> None:
        """Keep the weights of the best epoch so far."""
        self._save_weights("best.safetensors", model)

    def finish(self, model: nn.Module, best: bool) -> None:
        """Make the last weights, or those of the best epoch, the trained ones; from then on the run is finished.

        Raises:
            BadRun: the best epoch's weights are asked for and not there.
        """
        kept = self / "best.safetensors"
        if not best:
            self._save_weights("model.safetensors", model)
        elif kept.is_file():
            kept.replace(self / "model.safetensors")
        else:
            raise BadRun(
                f"{kept} is missing, so the best epoch's weights are lost; train the run again in a new folder"
            )

    def take_best(self, model: nn.Module) -> None:
        """Put the weights of the best epoch into a model.

        Raises:
            BadRun: they are not there.
        """
        self._fill_model("best.safetensors", model)

    def _save_weights(self, name: str, model: nn.Module) -> None:
        self._save_tensors(name, {name: t.cpu().contiguous() for name, t in model.state_dict().items()})

    def load_model(self, model: nn.Module) -> None:
        """Put the trained weights into a model, every one of them.

        Raises:
            BadRun: the run is unfinished, or its weights are not exactly this model's, or not numbers.
        """
        if not self.finished:
            done = len(self.rows())
            raise BadRun(f"the run in {self.folder} is unfinished ({done} epochs done); continue it with --resume")
        self._fill_model("model.safetensors", model)

    @property
    def weights_sha256(self) -> str:
        """Fingerprint of the file of trained weights.

        Raises:
            BadRun: it cannot be read.
        """
        try:
            return hashlib.sha256((self / "model.safetensors").read_bytes()).hexdigest()
        except OSError as error:
            raise BadRun(f"{self / 'model.safetensors'} cannot be read ({error})") from None

    def _fill_model(self, name: str, model: nn.Module) -> None:
        tensors = self._tensors(name)
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise BadRun(f"the weights in {self / name} are another model's ({reason[:300]})") from None
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise BadRun(f"{self / name} holds values that are not numbers; train the run again")

    def evaluation(self) -> dict[str, Any]:
        """The evaluation on the run's own test pictures.

        Raises:
            BadRun: there is none, or it is damaged.
        """
        values = self._json("evaluation.json")
        if not isinstance(values, dict):
            raise BadRun(f"{self / 'evaluation.json'} holds no evaluation; run `pixelwise evaluate {self.folder}`")
        return values

    def rows(self) -> list[EpochRow]:
        """The epochs done so far.

        Raises:
            BadRun: metrics.jsonl is damaged.
        """
        path = self / "metrics.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
            return [EpochRow(**json.loads(line)) for line in lines]
        except (OSError, ValueError, TypeError) as error:
            raise BadRun(f"{path} is damaged ({error}); continue the run with --resume to write it again") from None

    def _save_rows(self, rows: Sequence[EpochRow]) -> None:
        write_text(self / "metrics.jsonl", "".join(json.dumps(row.to_mapping()) + "\n" for row in rows))

    def _json(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        try:
            return json.loads((self / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise BadRun(f"{self / name} cannot be read ({error})") from None

    def _tensors(self, name: str) -> dict[str, Tensor]:
        try:
            return safetensors.torch.load_file(self / name)
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise BadRun(
                f"{self / name} cannot be read ({error}); it is missing, cut short, or not safetensors"
            ) from None

    def _save_tensors(self, name: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
        with replacing(self / name) as beside:
            safetensors.torch.save_file(tensors, beside, metadata)
