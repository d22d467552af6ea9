"""`pixelwise evaluate` and `pixelwise demo`: what finished models are for."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Category, Data, Json, Root, RunFolder, SplitName, pictures_given


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the page and the runs.")] = Path("pixelwise-demo"),
    json: Json = False,
) -> None:
    """Colour and segment embedded photographs, compare models, and write one HTML page; offline, a few minutes."""
    from .. import console
    from ..demo import run_demo

    result = run_demo(out, show=console.show_training)
    if json:
        console.print_json(result.to_mapping())
        return
    console.print_table("Two photographs that no model has seen, coloured by four models", result.table)
    typer.echo(f"\nThe page with curves and pictures: {result.page.resolve()}")


@app.command()
def evaluate(
    run: RunFolder,
    data: Data = None,
    root: Root = None,
    category: Category = None,
    split: Annotated[SplitName, typer.Option(help="Which part of the data.")] = SplitName.TEST,
    json: Json = False,
) -> None:
    """Measure a finished run beside its baselines, on the pictures it was not trained on or on others."""
    from .. import console
    from ..evaluate.colour import ColourEvaluation
    from ..evaluate.segment import SegmentEvaluation
    from ..runs import Run
    from ..workflow.finished import evaluate_run
    from ..workflow.segmented import evaluate_segmenter

    names = pictures_given(None, None, category).get("category", ())
    result: ColourEvaluation | SegmentEvaluation
    if Run(run).task == "segment":
        result = evaluate_segmenter(run, data=data, root=root, split=split.value, watch=console.watched)
    else:
        result = evaluate_run(run, data=data, root=root, category=names, split=split.value, watch=console.watched)
    if json:
        console.print_json(result.to_mapping())
    else:
        console.print_evaluation(result)
