"""Blocks that several answers need: verdicts, curves, and tables between floor and ceiling."""

from collections.abc import Mapping, Sequence

from ..data.pictures import evenly_spaced
from ..evaluate.confusion import by_picture
from ..report.document import FigureBlock, Verdict
from ..report.figures import gallery
from ..report.study_figures import learning_curves
from ..report.study_pictures import best_and_worst
from ..report.tables import Table
from ..workflow.training import gallery_rows, validation_lookup
from .results import Finished, Outcome, Results
from .words import counted

SHOWN = 10  # pictures in a gallery
LABELS = 15  # points, of a gallery's rows, which is printed at half its size


def answer(sentences: Sequence[str], short: int | None = 0) -> Verdict:
    """An answer, in sentences, one of which stands for it in the summary."""
    return Verdict(sentences, "answer", short)


def missing(labels: Sequence[str], experiment: str) -> Verdict:
    """That there is no answer, and how to get it."""
    names = ", ".join(f"`{label}`" for label in labels)
    return Verdict([f"Runs of {names} are missing. `pixelwise experiment {experiment}` makes them."], "missing")


def curves(results: Results, outcomes: Mapping[str, Outcome], caption: str, lookup: bool = True) -> FigureBlock:
    """Validation curves with bands over the seeds, and the lookup as the line to beat."""
    first = next(outcome for outcome in outcomes.values() if outcome.runs).runs[0].trained
    validation = results.protocol.pictures.validation
    beaten = validation_lookup(first.palette, first.table, validation) if lookup else None
    done = {label: outcome.runs for label, outcome in outcomes.items() if outcome.runs}
    shortest = min(max(len(run.rows) for run in some) for some in done.values())
    runs = {label: [run.rows[:shortest] for run in some] for label, some in done.items()}
    n = ", ".join(f"{label}: {counted(outcomes[label])}" for label in runs)
    words = (
        f"{caption}: validation, mean and range over the seeds ({n}).{' Dashed: training.' if len(runs) < 3 else ''}"
    )
    figure = learning_curves(runs, lookup=beaten, training=len(runs) < 3)
    return FigureBlock(figure, words, alt=caption)


def with_baselines(table: Table, run: Finished) -> Table:
    """A table of networks between the floor, which needs none, and the palette's ceiling."""
    e = run.evaluation
    blank = [""] * (len(table.headings) - 7)
    majority = [f"{100 * e['majority_accuracy']:.1f}", f"{e['majority_cross_entropy']:.3f}", "", ""]
    grey = ["", "", f"{e['psnr_grey']:.2f}", f"{e['ciede2000_grey']:.2f}"]
    ceiling = ["100.0", "0.000", f"{e['psnr_ceiling']:.2f}", f"{e['ciede2000_ceiling']:.2f}"]
    rows = [
        ["the commonest colour", "", "", *majority, *blank],
        ["grey as it is", "", "", *grey, *blank],
        *table.rows,
        ["every pixel in its right colour", "", "", *ceiling, *blank],
    ]
    return Table(table.headings, rows)


def extremes_block(trained_run: Finished, results: Results) -> FigureBlock:
    """The best and the worst test pictures of a run."""
    trained, test = trained_run.trained, results.protocol.pictures.test
    scores = [float(score) for score in by_picture(trained.model, trained.palette, test).accuracy]
    name = trained.plan.model.name
    rows = list(gallery_rows({name: trained.model}, trained.palette, test).items())
    figure = best_and_worst(rows, scores, "share of pixels right", written="{:.2f}")
    return FigureBlock(
        figure, f"The best and the worst test horses of `{name}`, seed 0", alt="Best and worst pictures", pictures=True
    )


def gallery_block(results: Results, outcomes: Mapping[str, Outcome], caption: str) -> FigureBlock:
    """The same test pictures answered by the first run of some settings, which have one palette."""
    test = results.protocol.pictures.test
    runs = {label: outcome.runs[0].trained for label, outcome in outcomes.items() if outcome.runs}
    palette = next(iter(runs.values())).palette
    models = {label: trained.model for label, trained in runs.items()}
    figure = gallery(gallery_rows(models, palette, test.take(evenly_spaced(len(test), SHOWN))), "")
    figure.axes[0].tick_params(labelsize=LABELS)
    return FigureBlock(
        figure, caption, alt=f"Rows of pictures: grey, truth, and the answers of {', '.join(runs)}", pictures=True
    )
