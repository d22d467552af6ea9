"""A finished run taken from its folder, and measured."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..classes.palette import AnyPalette
from ..config import DataSettings, Split
from ..data.load import load_data
from ..errors import BadRun
from ..evaluate.colour import ColourEvaluation, evaluate_colour
from ..evaluate.watch import Watch, unwatched
from ..models.build import build_model
from ..models.lookup import GreyTable
from ..runs import Run
from .keeping import keep_if_own
from .plan import Plan

COLOURIZER = Path(__file__).parent.parent / "colourizer"  # the run that pixelwise carries


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished run's parts, checked to belong together."""

    plan: Plan
    model: nn.Module
    palette: AnyPalette
    table: GreyTable
    weights_sha256: str = ""


def load_trained(folder: Path) -> Trained:
    """A finished run.

    Raises:
        BadRun: it is missing or unfinished, or its parts do not belong together.
    """
    run = Run(folder)
    plan = Plan.of_run(run)
    palette, table = run.palette(), run.table()
    k = plan.model.num_colours
    if len(palette) != k or table.counts.shape[1] != k:
        raise BadRun(f"{folder} has a model of {k} colours beside a palette of {len(palette)}; they are of two runs")
    if palette.space != plan.model.space:
        raise BadRun(f"{folder} has settings of space {plan.model.space} beside a palette of space {palette.space}")
    model = build_model(plan.model).eval()  # once, so that pictures can be looked at side by side
    run.load_model(model)
    return Trained(plan, model, palette, table, run.weights_sha256)


def evaluate_run(
    folder: Path,
    *,
    data: str | None = None,
    root: Path | None = None,
    category: tuple[str, ...] = (),
    split: Split = "test",
    watch: Watch = unwatched,
) -> ColourEvaluation:
    """Evaluate a finished run on its own data, or on others; on its own test split, the folder keeps the result.

    Raises:
        BadRun: the run is missing or unfinished, or its parts do not belong together.
        PixelwiseError: the data cannot be loaded.
    """
    trained = load_trained(folder)
    settings = trained.plan.data
    if data is not None or root is not None or category:
        same = data is None or data == settings.name
        given = {"name": data or settings.name, "category": category or (settings.category if same else ())}
        own_root = settings.root if same else None
        settings = DataSettings.from_mapping(
            {**settings.to_mapping(), **given, "root": str(root) if root else own_root}
        )
    pictures = load_data(settings)
    names = (trained.plan.model.name, pictures.name, split)
    model, palette, table = trained.model, trained.palette, trained.table
    evaluation = evaluate_colour(model, palette, table, pictures.split(split), names=names, watch=watch)
    keep_if_own(Run(folder), pictures, split, evaluation.to_mapping())
    return evaluation
