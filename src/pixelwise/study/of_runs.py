"""A report of any runs: side by side in a table, then each with its settings, its curve and its pictures."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ..data.images import open_picture
from ..errors import BadRun, BadSetting
from ..evaluate.colour import ColourEvaluation
from ..evaluate.segment import SegmentEvaluation
from ..report.document import Block, Document, FigureBlock, Paragraph, Points, Section, TableBlock, escaped
from ..report.document_page import write_html
from ..report.figures import curve
from ..report.tables import Table, segment_values_of, values_of
from ..report.typeset import write_pdf
from ..runs import Run
from .results import Finished

WRITERS = {".pdf": write_pdf, ".html": write_html}
SHOWN = {  # of an evaluation, in a table over several runs
    "colour": ("accuracy", "cross_entropy", "skill", "psnr", "ciede2000"),
    "segment": ("miou", "mean_picture_iou", "pixel_accuracy", "cross_entropy", "boundary_f1"),
}


def report_runs(folders: Sequence[Path], path: Path) -> None:
    """Write a report of finished runs, as PDF or as a page, as the end of the path says.

    Raises:
        BadSetting: the path ends otherwise, or no run is given.
        BadRun: one is missing or unfinished.
    """
    if path.suffix.lower() not in WRITERS:
        raise BadSetting(f"{path} is to be written; expected a name that ends in {' or '.join(WRITERS)}")
    if not folders:
        raise BadSetting("no run is given; expected the folder of one at least")
    runs = [Run(folder) for folder in folders]
    for run in runs:
        run.settings()
        if not run.finished:
            raise BadRun(f"the run in {run.folder} is unfinished; continue it with --resume")
    WRITERS[path.suffix.lower()](document_of(runs), path)


def document_of(runs: Sequence[Run]) -> Document:
    """The report."""
    tasks = [task for task in SHOWN if any(run.task == task for run in runs)]
    tables: Iterable[Block] = (
        TableBlock(
            _side_by_side([run for run in runs if run.task == task], task), f"Runs that {task}, on their test pictures"
        )
        for task in tasks
    )
    return Document(
        title="Runs of pixelwise",
        subtitle=f"{len(runs)} run{'s' if len(runs) > 1 else ''}, on their own test pictures",
        abstract=list(tables),
        sections=[_section(run) for run in runs],
        colophon="Written by `pixelwise report`.",
    )


def _side_by_side(runs: Sequence[Run], task: str) -> Table:
    found = [Finished(run) for run in runs]
    headings = ["run", "model", *(name.replace("_", " ") for name in SHOWN[task]), "seconds"]
    rows = [
        [
            escaped(one.run.folder.name),
            escaped(str(one.evaluation["model"])),
            *(_written(one.evaluation.get(name)) for name in SHOWN[task]),
            f"{one.seconds:,.0f}",
        ]
        for one in found
    ]
    return Table(headings, rows)


def _written(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "absent"


def _section(run: Run) -> Section:
    """Settings, curve, evaluation and gallery of one run."""
    settings, found = run.settings(), Finished(run)
    told = [f"{part}: {_told(settings[part])}" for part in ("data", "model", "train")]
    made = run.environment()
    told.append(escaped(f"made with pixelwise {made['pixelwise']}, torch {made['torch']}, on {made['started'][:10]}"))
    values = (
        values_of(ColourEvaluation(**found.evaluation))
        if run.task == "colour"
        else segment_values_of(SegmentEvaluation.from_mapping(found.evaluation))
    )
    blocks: list[Block] = [Points(told)]
    if found.rows:
        kept = found.kept.epoch if found.train.keep == "best" else None
        blocks.append(FigureBlock(curve(found.rows, "", kept=kept), "Training", alt="Loss and accuracy by epoch"))
    blocks.append(
        TableBlock(Table(["measure", "value"], [[escaped(name), escaped(v)] for name, v in values]), "Evaluation")
    )
    if (run / "gallery.png").is_file():
        blocks.append(FigureBlock(_picture(run / "gallery.png"), "Test pictures", alt="Test pictures", pictures=True))
    else:
        blocks.append(Paragraph("The run has no gallery."))
    return Section(escaped(run.folder.name), blocks)


def _told(settings: dict[str, object]) -> str:
    return escaped(", ".join(f"{name} {value}" for name, value in settings.items() if value not in (None, [], "")))


def _picture(path: Path) -> Figure:
    """A picture as a figure without a frame."""
    rgb = open_picture(path).rgb
    _, height, width = rgb.shape
    figure = Figure(figsize=(10, 10 * height / width))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(rgb.permute(1, 2, 0).numpy())
    axes.set_axis_off()
    return figure
