"""`pixelwise evaluate`, `pixelwise colourize` and `pixelwise demo`: what finished models are for."""

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


@app.command()
def colourize(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE|FOLDER...", help="What to colour.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the coloured pictures.")],
    run: Annotated[Path, typer.Option("--run", help="Folder of a finished run.")],
    json: Json = False,
) -> None:
    """Colour pictures, each in its own size and with its own light; only their grey is looked at."""
    from .. import console
    from ..workflow.finished import colourize_files, load_trained
    from ..workflow.targets import targets

    pairs = targets(pictures, out)
    results = list(console.watched(colourize_files(pairs, load_trained(run)), len(pairs), "colouring"))
    failed = [{"picture": str(r.picture), "reason": r.reason} for r in results if r.output is None]
    done = [{"picture": str(r.picture), "output": str(r.output), "seconds": r.seconds} for r in results if r.output]
    if json:
        console.print_json({"pictures": done, "failed": failed})
    else:
        for item in done:
            typer.echo(f"{item['output']}  {item['seconds']:.1f} s")
    for fault in failed:
        typer.echo(f"error: {fault['reason']}", err=True)
    if failed:
        raise typer.Exit(1)


app.command("colorize", hidden=True, help="The same as colourize.")(colourize)
