"""Train four models that colour, compare them honestly, segment photographs by a few strokes, write one page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.images import open_picture
from ..data.load import load_data
from ..data.photos import PHOTOGRAPHS, photograph
from ..data.pictures import DataSet, evenly_spaced
from ..evaluate.colour import ColourEvaluation
from ..files import write_json
from ..grey import shown_in_grey
from ..predict.colour import colourize
from ..report.figures import curve, gallery, photographs, save_figure
from ..report.page import Page, Section, figure_shown, photograph_shown, write_page
from ..report.tables import Table, comparison
from ..runs import Run
from ..shapes import RgbOfAnySize
from ..train import best_epoch
from ..workflow.filling import Row
from ..workflow.finished import COLOURIZER, Trained, load_trained
from ..workflow.plan import Plan
from ..workflow.training import SHOWN, gallery_rows, train_colour, validation_lookup
from .drawn import answered_strokes, strokes_grid, strokes_section

EPOCHS = {"lookup": 1, "cnn": 25, "unet": 25, "residual_unet": 10}  # about a minute on two cores

Show = Callable[[Iterator[Row], str, int], object]
"""Runs a training to its end while showing it."""


@dataclass(frozen=True)
class DemoResult:
    """Where the page is, and what it says in numbers."""

    page: Path
    table: Table
    evaluations: list[ColourEvaluation]
    seconds: dict[str, float]  # of training, by model

    def to_mapping(self) -> dict[str, Any]:
        """The result as JSON can hold it."""
        models = {e.model: {**e.to_mapping(), "training_seconds": self.seconds[e.model]} for e in self.evaluations}
        return {"page": str(self.page.resolve()), "models": models}


def run_demo(out: Path, show: Show, epochs: dict[str, int] | None = None) -> DemoResult:
    """Train the models into `out`/runs, or take those that are there already, and write `out`/index.html.

    Raises:
        PixelwiseError: a photograph is missing, or `out` cannot be written.
    """
    plans = {
        name: Plan.from_given(name, {"name": "photos"}, {}, {"epochs": count})
        for name, count in (epochs or EPOCHS).items()
    }
    folders = {name: out / "runs" / name for name in plans}
    for name, plan in plans.items():
        show(train_colour(plan, folders[name], resume=True), f"training {name}", plan.train.epochs)
    trained = {name: load_trained(folder) for name, folder in folders.items()}
    runs = {name: Run(folder) for name, folder in folders.items()}
    evaluations = [ColourEvaluation(**run.evaluation()) for run in runs.values()]
    seconds = {name: sum(row.seconds for row in run.rows()) for name, run in runs.items()}
    weights = [sum(p.numel() for p in t.model.parameters()) for t in trained.values()]
    table = comparison(evaluations, list(zip(weights, seconds.values(), strict=True)))
    data = load_data(plans["lookup"].data)
    result = DemoResult(out / "index.html", table, evaluations, seconds)
    best = min(evaluations, key=lambda e: e.cross_entropy).model
    coloured = _coloured(load_trained(COLOURIZER), trained[best])
    save_figure(photographs(list(coloured.values()), COLUMNS), out / "photographs.png")
    answered = answered_strokes()
    save_figure(photographs(*strokes_grid(answered)), out / "strokes.png")
    sections = [
        _photograph_section(best, coloured),
        _gallery_section(trained, data),
        _curve_section(trained, runs, data),
        strokes_section(answered),
    ]
    colours = len(trained[best].palette)
    write_page(_page(result, colours, runs[best].environment(), data, sections), result.page)
    write_json(out / "demo.json", result.to_mapping())
    return result


def _page(result: DemoResult, colours: int, machine: dict[str, Any], data: DataSet, sections: list[Section]) -> Page:
    first = result.evaluations[0]
    return Page(
        title="Every pixel is a classification problem",
        lead=(
            f"Four models see grey photographs and choose one of {colours} colours for every pixel. They learnt "
            f"from {len(data.train):,} small patches of four photographs and are judged on {first.pictures:,} patches "
            "of two others, a cat and a cup of coffee, that none of them has seen."
        ),
        table_title="How good are they?",
        table=result.table,
        table_note=(
            "Accuracy: share of pixels whose likeliest colour is the palette colour nearest to the truth. Loss: "
            "cross-entropy in nats per pixel. Skill: the share of the lookup table's loss that is saved; at 0 a model "
            "knows no more than each grey value says by itself, below 0 less. PSNR and CIEDE2000 compare painted "
            "pictures with the truth: grey as it is, and as a ceiling every pixel in its right palette colour. One "
            "seed; seconds of training on this machine."
        ),
        sections=sections,
        footer=[
            f"pixelwise {machine['pixelwise']}, torch {machine['torch']}, {machine['processor']}, "
            f"{machine['threads']} threads, {machine['started'][:10]}. Made by: pixelwise demo",
            "Photographs: chelsea (Stefan van der Walt, CC0) and coffee (Rachel Michetti, CC0), from scikit-image.",
        ],
    )


COLUMNS = ("what the networks see", "pixelwise colourize", "learnt here in a minute", "truth")


def _coloured(carried: Trained, learnt: Trained) -> dict[str, list[RgbOfAnySize]]:
    """Photographs whole: in grey, by the colourizer that pixelwise carries, by a model of the demo, in true colours."""
    shown = {}
    for title in (title for title, (split, _, _) in PHOTOGRAPHS.items() if split != "train"):
        truth = open_picture(photograph(title)).rgb
        grey = shown_in_grey(truth.unsqueeze(0))[0]
        shown[title] = [grey, *(colourize(one.model, one.palette, truth) for one in (carried, learnt)), truth]
    return shown


def _photograph_section(name: str, photographs: dict[str, list[RgbOfAnySize]]) -> Section:
    text = (
        "Whole photographs in their own size and with their own light. The colourizer that pixelwise carries looks "
        "through a network that has seen ImageNet, and learnt colours from 932 photographs; these three were not "
        f"among them. Beside it {name}, the best of the four above by cross-entropy: four photographs and a minute "
        "teach tones and blotches, no cat's colour. The rocket chose its epoch; the other two it never saw."
    )
    shown = [
        photograph_shown(picture, f"{title}: {column}", column)
        for title, pictures in photographs.items()
        for picture, column in zip(pictures, COLUMNS, strict=True)
    ]
    return Section("In full size", text, shown, columns=len(COLUMNS))


def _gallery_section(trained: dict[str, Trained], data: DataSet) -> Section:
    shown = data.test.take(evenly_spaced(len(data.test), SHOWN))
    palette = next(iter(trained.values())).palette
    rows = gallery_rows({name: t.model for name, t in trained.items()}, palette, shown)
    figure = gallery(rows, "")
    alt = f"Rows of {len(shown)} test patches: {', '.join(rows)}"
    text = f"{len(shown)} of the {len(data.test):,} test patches, evenly spaced, so that nobody picked them."
    return Section("Pixel by pixel", text, [figure_shown(figure, alt)])


def _curve_section(trained: dict[str, Trained], runs: dict[str, Run], data: DataSet) -> Section:
    shown = []
    for name, run in runs.items():
        rows = run.rows()
        if len(rows) > 1:
            lookup = validation_lookup(trained[name].palette, trained[name].table, data.validation)
            figure = curve(rows, name, lookup, best_epoch(rows))
            shown.append(figure_shown(figure, f"Training curve of {name}: loss and accuracy"))
    text = "Validation is a fifth photograph, a rocket. The dotted line is the lookup table's value: the one to beat."
    return Section("How they learnt", text, shown)
