"""What a finished run that segments is for: evaluate it, and segment pictures with it, or with a few strokes."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ..classes.labels import Labels
from ..config import DataSettings, SegmenterSettings, Split
from ..data.images import open_picture
from ..data.load import load_labelled
from ..errors import BadData, BadRun, BadSetting, PixelwiseError
from ..evaluate.segment import SegmentEvaluation, evaluate_segment
from ..evaluate.watch import Watch, unwatched
from ..models.folding import folded
from ..models.pretrained import pretrained_segmenter, untrained_network
from ..models.segmenter import Segmenter
from ..outputs import write_outputs
from ..predict.segment import as_seen, segment
from ..runs import Run
from ..shapes import Rgb
from ..strokes import Looked, Strokes, fit_head, look, painted, painted_pixels, scaled
from .keeping import keep_if_own
from .segment_plan import SegmentPlan

STROKES_SEEN_AT = 512  # long side, pixels, at most; strokes answer at once, and so does the trunk at this size


@dataclass(frozen=True, eq=False)
class TrainedSegmenter:
    """A network that segments, quick to look at pictures with, and what its classes are called."""

    name: str
    model: Segmenter
    labels: Labels
    size: int | None  # long side, in pixels, at which it sees pictures; None: their own, but bounded


def load_segmenter(folder: Path) -> TrainedSegmenter:
    """A finished run that segments.

    Raises:
        BadRun: it is missing or unfinished, or its parts do not belong together.
    """
    run = Run(folder)
    plan = SegmentPlan.of_run(run)
    try:
        classes = run.settings()["classes"]
        labels = Labels(tuple(classes["names"]), tuple(classes["colours"]))
    except (KeyError, TypeError, BadSetting) as error:
        raise BadRun(f"{run / 'settings.json'} does not name the run's classes ({error})") from None
    model = untrained_network(plan.model, len(labels))
    run.load_model(model)
    return TrainedSegmenter(plan.model.name, folded(model), labels, plan.data.size)


def evaluate_segmenter(
    folder: Path, *, data: str | None = None, root: Path | None = None, split: Split = "test", watch: Watch = unwatched
) -> SegmentEvaluation:
    """Evaluate a finished run on its own data, or on others; on its own test split, the folder keeps the result.

    Raises:
        BadRun: the run is missing or unfinished, or its parts do not belong together.
        BadData: the data have other classes than the run.
    """
    trained, plan = load_segmenter(folder), SegmentPlan.of_run(Run(folder))
    same = data is None or data == plan.data.name
    own_root = plan.data.root if same else None
    given = {"name": data or plan.data.name, "root": str(root) if root else own_root}
    pictures = load_labelled(DataSettings.from_mapping({**plan.data.to_mapping(), **given}))
    if pictures.labels is None or pictures.labels.names != trained.labels.names:
        there = ", ".join(pictures.labels.names) if pictures.labels else "none"
        raise BadData(
            f"{pictures.title} has the classes {there}; the run knows {', '.join(trained.labels.names)}; give data "
            "with the same classes in the same order"
        )
    names = (trained.name, pictures.name, split)
    evaluation = evaluate_segment(trained.model, trained.labels, pictures.split(split), names=names, watch=watch)
    keep_if_own(Run(folder), pictures, split, evaluation.to_mapping())
    return evaluation


@dataclass(frozen=True)
class Segmented:
    """One picture of a batch: where its mask is, how long it took, each class's share; or why it has none."""

    picture: Path
    outputs: tuple[Path, ...]
    seconds: float
    shares: Mapping[str, float]
    reason: str | None = None


def segment_files(pairs: Iterable[tuple[Path, Path]], trained: TrainedSegmenter) -> Iterator[Segmented]:
    """Segment pictures, each in its own size; from a picture to the stem of its results. Bad ones do not stop it."""
    for picture, stem in pairs:
        start = time.perf_counter()
        try:
            rgb = open_picture(picture).rgb
            ids = segment(trained.model, rgb, trained.size or strokes_size(rgb))
            outputs = write_outputs(stem, rgb, ids, trained.labels)
        except PixelwiseError as error:
            yield Segmented(picture, (), time.perf_counter() - start, {}, str(error))
        else:
            counts = torch.bincount(ids.flatten().long(), minlength=len(trained.labels))
            shares = {
                name: count / ids.numel() for name, count in zip(trained.labels.names, counts.tolist(), strict=False)
            }
            yield Segmented(picture, tuple(outputs), time.perf_counter() - start, shares)


def named(strokes: Strokes, paths: Iterable[Path]) -> dict[str, Path]:
    """Files by the names that strokes give them.

    Raises:
        BadData: strokes are on a name that two of the files have.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if path.name in found and path.name in strokes.pictures:
            raise BadData(
                f"strokes are on {path.name!r}; both {found[path.name]} and {path} are called so; rename one of them"
            )
        found.setdefault(path.name, path)
    return found


def taught_by_strokes(
    strokes: Strokes, pictures: Mapping[str, Path], base: Path | None = None, network: str = SegmenterSettings().name
) -> TrainedSegmenter:
    """A network whose last layer has learnt from strokes alone.

    Args:
        strokes: on some of the pictures.
        pictures: files by the names that the strokes give them.
        base: a finished run, whose network is taken.
        network: the pretrained network that is taken without a run.

    Raises:
        BadData: a stroke is on no picture that was given, or outside of it, or only one class is painted.
        BadPicture: a painted picture cannot be read.
    """
    known = sorted(name for name, drawn in strokes.pictures.items() if drawn)
    missing = [name for name in known if name not in pictures]
    if missing:
        raise BadData(
            f"strokes are on {missing[0]!r}, which is not among the pictures given ({', '.join(list(pictures)[:5])}…); "
            "name pictures as their files are called"
        )
    k = len(strokes.labels)
    model = load_segmenter(base).model if base else folded(pretrained_segmenter(SegmenterSettings(name=network), k))
    drawn = [_seen_painted(model, open_picture(pictures[name]).rgb, strokes, name) for name in known]
    model.last = fit_head(model, k, painted_pixels(model, drawn)).finished()
    return TrainedSegmenter(f"strokes on {len(known)}", model, strokes.labels, None)


def strokes_size(rgb: Rgb) -> int:
    """The long side at which a picture is seen where strokes teach: its own, but bounded."""
    return min(max(rgb.shape[1:]), STROKES_SEEN_AT)


def _seen_painted(model: Segmenter, rgb: Rgb, strokes: Strokes, name: str) -> tuple[Looked, torch.Tensor]:
    """Features of a painted picture as the network sees it, and its painted classes in that size."""
    seen = as_seen(rgb, strokes_size(rgb))
    height, width = seen.shape[1:]
    classes = painted(scaled(strokes.pictures[name], width / rgb.shape[2]), strokes.labels, (height, width))
    return look(model, seen), classes
