"""The command line: parse, call one function of the library, print. Heavy rooms are entered only when needed."""

import io
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from . import __version__
from .errors import PixelwiseError

app = typer.Typer(
    name="pixelwise",
    help="Every pixel is a classification problem: colour grey pictures, with honest baselines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
palette_app = typer.Typer(help="Fit and show palettes: the colours that a pixel can be.", no_args_is_help=True)
data_app = typer.Typer(help="List and fetch data sets.", no_args_is_help=True)
app.add_typer(palette_app, name="palette")
app.add_typer(data_app, name="data")


class Task(StrEnum):
    """What a pixel is classified into."""

    COLOUR = "colour"


class SplitName(StrEnum):
    """The parts of a data set."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Data = Annotated[str | None, typer.Option("--data", help="photos, cifar10 or folder; `pixelwise data list`.")]
Root = Annotated[Path | None, typer.Option("--root", help="Folder that holds the data.")]
Category = Annotated[str | None, typer.Option("--category", help="CIFAR-10 categories, such as horse,deer.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]


def _show_version(asked: bool | None) -> None:
    if asked:
        typer.echo(f"pixelwise {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool | None, typer.Option("--version", is_eager=True, callback=_show_version)] = None,
) -> None:
    """Colour grey pictures, with honest baselines."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the page and the runs.")] = Path("pixelwise-demo"),
    json: Json = False,
) -> None:
    """Train four models on embedded photographs, compare them, and write one HTML page; offline, a few minutes."""
    from . import console
    from .demo import run_demo

    result = run_demo(out, show=console.show_training)
    if json:
        console.print_json(result.to_mapping())
        return
    console.print_table("Two photographs that no model has seen, coloured by four models", result.table)
    typer.echo(f"\nThe page with curves and pictures: {result.page.resolve()}")


@app.command()
def train(
    task: Annotated[Task, typer.Argument(help="What to learn.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run; new, or the one to resume.")],
    model: Annotated[str | None, typer.Option(help="lookup, cnn, unet or residual_unet. [residual_unet]")] = None,
    data: Data = None,
    root: Root = None,
    category: Category = None,
    validation: Annotated[float | None, typer.Option(help="Share of training pictures for validation. [0.1]")] = None,
    patch: Annotated[int | None, typer.Option(help="Side of photographs' patches, in pixels. [32]")] = None,
    palette: Annotated[Path | None, typer.Option(help="Colours from a file; otherwise k-means of the data.")] = None,
    kernel: Annotated[int | None, typer.Option(help="Side of the filters, in pixels. [3]")] = None,
    num_filters: Annotated[int | None, typer.Option(help="NF, filters of the first layer.")] = None,
    num_colours: Annotated[int | None, typer.Option(help="NC, colours to choose from. [24, or the palette's]")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training pictures.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam; the highest of a one-cycle schedule.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam or adamw.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="On filters.")] = None,
    schedule: Annotated[str | None, typer.Option(help="constant or one_cycle.")] = None,
    flips: Annotated[bool | None, typer.Option("--flips/--no-flips", help="Mirror pictures at random.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    keep: Annotated[
        str | None, typer.Option(help="Weights of the best epoch on validation, or the last. [best]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order, flips and palette. [0]")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out, if there is one.")] = False,
    json: Json = False,
) -> None:
    """Train a model and write its run: settings, rows, weights, evaluation, curve and gallery.

    Settings that are not given are the model's own (the classic exercise's for cnn and unet), or, with --resume, the
    run's.
    """
    from . import console
    from .classes.palette import load_palette
    from .evaluate import ColourEvaluation
    from .report.tables import values_of
    from .runs import Run
    from .workflow.plan import Plan
    from .workflow.training import choose_device, train_colour

    del task  # there is one so far
    pictures = {"name": data, "root": root and str(root), "category": _names(category), "validation": validation}
    sizes = {"kernel": kernel, "num_filters": num_filters, "num_colours": num_colours}
    training = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "optimizer": optimizer}
    training |= {
        "weight_decay": weight_decay,
        "schedule": schedule,
        "flips": flips,
        "precision": precision,
        "keep": keep,
    }
    run = Run(out)
    if palette and num_colours is None:
        sizes["num_colours"] = len(load_palette(palette))
    given = (_given({**pictures, "patch": patch}), _given(sizes), _given({**training, "seed": seed}))
    plan = Plan.from_given(model, *given, begun=Plan.of_run(run) if resume and run.begun else None)
    with console.stop_on_request() as stopping:
        rows = train_colour(
            plan, out, palette_file=palette, resume=resume, device=choose_device(device), stopping=stopping
        )
        console.show_training(rows, f"training {plan.model.name}", plan.train.epochs)
    evaluation = ColourEvaluation(**run.evaluation())
    if json:
        console.print_json({"run": str(out), **evaluation.to_mapping()})
        return
    console.print_values(f"{evaluation.model} on the test pictures of {evaluation.data}", values_of(evaluation))
    typer.echo(f"\nThe run, with curve.png and gallery.png: {out.resolve()}")


@app.command()
def evaluate(
    run: RunFolder,
    data: Data = None,
    root: Root = None,
    category: Category = None,
    split: Annotated[SplitName, typer.Option(help="Which part of the data.")] = SplitName.TEST,
    json: Json = False,
) -> None:
    """Measure a finished run, beside majority, lookup, the grey picture and the palette's ceiling."""
    from . import console
    from .report.tables import values_of
    from .workflow.finished import evaluate_run

    result = evaluate_run(
        run, data=data, root=root, category=_names(category), split=split.value, watch=console.watched
    )
    if json:
        console.print_json(result.to_mapping())
    else:
        console.print_values(f"{result.model} on the {result.split} pictures of {result.data}", values_of(result))


@app.command()
def colourize(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE|FOLDER...", help="What to colour.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the coloured pictures.")],
    run: Annotated[Path, typer.Option("--run", help="Folder of a finished run.")],
    json: Json = False,
) -> None:
    """Colour pictures, each in its own size and with its own light; only their grey is looked at."""
    from . import console
    from .workflow.finished import colourize_files, load_trained, targets

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


@palette_app.command("fit")
def palette_fit(
    out: Annotated[Path, typer.Option("--out", help="File for the palette, JSON.")],
    data: Data = "photos",
    root: Root = None,
    category: Category = None,
    num_colours: Annotated[int, typer.Option(help="Colours to find.")] = 24,
    seed: Annotated[int, typer.Option(help="Of k-means.")] = 0,
    json: Json = False,
) -> None:
    """Find the colours that paint the training pictures best, by k-means."""
    from . import console
    from .classes.palette import fit_palette
    from .config import DataSettings
    from .data.load import load_data

    settings = {"name": data, "root": root and str(root), "category": _names(category)}
    pictures = load_data(DataSettings.from_mapping(_given(settings))).train
    palette = fit_palette(pictures.pixels, num_colours, seed, name=out.stem)
    palette.save(out)
    console.show_palette(palette, json, out)


@palette_app.command("show")
def palette_show(
    palette: Annotated[Path, typer.Argument(metavar="FILE|RUN", help="A palette file, or a run's folder.")],
    json: Json = False,
) -> None:
    """Show a palette's colours."""
    from . import console
    from .classes.palette import load_palette

    console.show_palette(load_palette(palette / "palette.json" if palette.is_dir() else palette), json)


@data_app.command("list")
def data_list(json: Json = False) -> None:
    """Name the data sets there are."""
    from . import console
    from .data.load import SOURCES

    if json:
        console.print_json({name: source.summary for name, source in SOURCES.items()})
    else:
        console.print_values("data sets", [(name, source.summary) for name, source in SOURCES.items()])


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="cifar10.")],
    root: Annotated[Path | None, typer.Option("--root", help="Where to; otherwise the cache.")] = None,
    json: Json = False,
) -> None:
    """Download a data set from its official address and check it."""
    from . import console
    from .data.cifar10 import cache_folder
    from .data.load import fetch_data

    root = root or cache_folder()
    console.download_bar(fetch_data(name, root), f"fetching {name}")
    if json:
        console.print_json({"data": name, "root": str(root)})
    else:
        typer.echo(f"{name} is in {root}")


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _names(listed: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip()) if listed else ()


def main() -> None:
    """The console script: what went wrong is told in one line, with exit code 1, never as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file may be called what a terminal cannot write
    try:
        app()
    except PixelwiseError as error:
        typer.echo(f"error: {error}", err=True)
    except OSError as error:
        typer.echo(f"error: {error}; what was finished before is kept", err=True)
    except Exception as error:  # a fault of pixelwise: users get a line, its developers the whole
        if os.environ.get("PIXELWISE_TRACEBACK"):
            raise
        if isinstance(error, MemoryError) or "memory" in str(error):  # torch has no class of its own for it on CPUs
            typer.echo("error: not enough memory; try fewer filters, a smaller patch or a smaller batch_size", err=True)
        else:
            fault = f"{type(error).__name__}: {error}"
            typer.echo(
                f"error: a fault in pixelwise ({fault}); PIXELWISE_TRACEBACK=1 shows where; please report it", err=True
            )
    sys.exit(1)  # app() itself exits when all went well
