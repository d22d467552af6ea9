"""How thoroughly a study is made: on which pictures, with how many seeds, for how long. Full and quick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ..classes.palette import fit_palette, load_palette
from ..config import DataSettings
from ..data.load import load_data, load_labelled
from ..data.pictures import DataSet
from ..errors import BadSetting, BadWeights
from ..weights import weights_file
from ..workflow.plan import Plan
from ..workflow.segment_plan import SegmentPlan
from .cost_job import CostJob
from .job import ColourJob, Job, SegmentJob

EXERCISE_PALETTE = "palette24_horse.json"  # the classic exercise's 24 colours, used where the data have it
COLOURS = 24
COCO = ("deeplabv3_resnet101", "deeplabv3_mobilenet_v2")  # pretrained DeepLabV3, the exercise's first
TFLITE = "deeplabv3_257_mv_gpu.tflite"  # the small one's official file, below weights/


@dataclass(frozen=True)
class Setting:
    """One point of a question's grid: what it is called, and a job for every seed."""

    label: str
    jobs: tuple[Job, ...]
    certain: bool = False  # whether there is no chance in it, so that one run says all


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What a study may take.

    Args:
        out: the study's folder.
        root: that holds the data; None: where they were downloaded to.
        seeds: of weights, order and drawn pictures.
        epochs: of the exercise's trainings.
        short_epochs: of those that compare beginnings.
        batches: pictures a step.
        labelled: numbers of labelled pictures; 0: all.
        deep: numbers of labelled pictures from which more than the last layer is fine-tuned.
        quick: whether it is a trial of the whole, whose numbers say little.
    """

    out: Path
    root: Path | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 25
    short_epochs: int = 10
    batches: tuple[int, ...] = (10, 50, 100, 200)
    labelled: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 0)
    deep: tuple[int, ...] = (20, 0)
    quick: bool = False

    @property
    def runs(self) -> Path:
        """Where the run folders lie."""
        return self.out / "runs"

    @cached_property
    def pictures(self) -> DataSet:
        """The horses."""
        return load_data(DataSettings.from_mapping(self._colour_data))

    @cached_property
    def flowers(self) -> DataSet:
        """The flowers, with their masks."""
        return load_labelled(DataSettings.from_mapping(self._flower_data))

    @property
    def _colour_data(self) -> dict[str, Any]:
        return {"name": "cifar10", "root": str(self.root) if self.root else None, "category": ("horse",)}

    @property
    def _flower_data(self) -> dict[str, Any]:
        return {"name": "flowers17", "root": str(self.root) if self.root else None}

    def palette(self, space: Literal["rgb", "oklab"] = "rgb") -> Path:
        """The file with the study's palette of a kind, which is made if it is not there yet."""
        path = self.out / "palettes" / f"{space}{COLOURS}.json"
        if not path.is_file():
            given = self.root / EXERCISE_PALETTE if self.root and space == "rgb" else None
            if given and given.is_file():
                load_palette(given).save(path)
            else:
                fit_palette(self.pictures.train.pixels, COLOURS, 0, space=space).save(path)
        return path

    def colour(
        self,
        label: str,
        model: str,
        sizes: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> Setting:
        """A network trained to colour the horses, once for every seed; the lookup, which has no chance in it, once."""
        sizes = {"num_colours": COLOURS, **(sizes or {})}
        steps = {} if model == "lookup" else {"epochs": self.epochs}
        palette, count = self.palette(sizes.get("space", "rgb")), len(self.pictures.train)
        plans = [
            Plan.from_given(model, self._colour_data, sizes, {**steps, **(training or {}), "seed": seed})
            for seed in (self.seeds[:1] if model == "lookup" else self.seeds)
        ]
        return Setting(label, tuple(ColourJob(plan, palette, count) for plan in plans), model == "lookup")

    def segment(
        self, label: str, model: Mapping[str, Any], training: Mapping[str, Any] | None = None, once: bool = False
    ) -> Setting:
        """A network fine-tuned on the flowers, once for every seed, or once only where that takes long."""
        plans = [
            SegmentPlan.from_given(self._flower_data, dict(model), {**(training or {}), "seed": seed})
            for seed in (self.seeds[:1] if once else self.seeds)
        ]
        count = model.get("labelled") or len(self.flowers.train)
        return Setting(label, tuple(SegmentJob(plan, count, len(self.flowers.validation)) for plan in plans))

    def cost(self, label: str, model: str, trains: Sequence[str], side: int, batch: int) -> Setting:
        """A step of fine-tuning, predicted and measured."""
        return Setting(label, (CostJob(model, tuple(trains), side, batch, times=1 if self.quick else 3),))

    @cached_property
    def deeplab(self) -> dict[str, Any] | None:
        """The COCO-pretrained DeepLabV3 whose weights are at hand, as settings; None if there are none."""
        for name in COCO:
            beside = self.root / "weights" / TFLITE if self.root and name == COCO[-1] else None
            given = beside if beside and beside.is_file() else None
            try:
                weights_file(name, given)
            except BadWeights:
                continue
            return {"name": name, **({"weights": str(given.absolute())} if given else {})}
        return None

    def with_batches(self, given: str) -> "Protocol":
        """The same with other batch sizes, such as 10,50,100.

        Raises:
            BadSetting: they are not numbers from 1 to 1,000,000.
        """
        sizes = [size.strip() for size in given.split(",") if size.strip()]
        if not sizes or not all(size.isdecimal() and 1 <= int(size) <= 1_000_000 for size in sizes):
            raise BadSetting(f"batches is {given!r}; expected numbers of pictures, 1 to 1,000,000, such as 10,50,100")
        return replace(self, batches=tuple(sorted({int(size) for size in sizes})))


def full(out: Path, root: Path | None = None, seeds: int | None = None) -> Protocol:
    """The study as it is meant: 25 epochs, three seeds unless another number is given."""
    return Protocol(out=out, root=root, seeds=tuple(range(seeds or 3)))


def quick(out: Path, root: Path | None = None, seeds: int | None = None) -> Protocol:
    """A trial of everything in minutes: two epochs, one seed unless another number is given."""
    return Protocol(
        out=out,
        root=root,
        seeds=tuple(range(seeds or 1)),
        epochs=2,
        short_epochs=2,
        batches=(50, 100),
        labelled=(1, 5, 0),
        deep=(5,),
        quick=True,
    )
