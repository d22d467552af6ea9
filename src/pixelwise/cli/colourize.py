"""`pixelwise colourize`: photographs in, photographs in colour out."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import app
from .options import Json

if TYPE_CHECKING:
    from ..classes.dials import Dials
    from ..workflow.colouring import Coloured
    from ..workflow.finished import Trained


class EngineName(StrEnum):
    """What can compute a network's answers."""

    TORCH = "torch"
    ONNX = "onnx"


Pictures = Annotated[list[Path], typer.Argument(metavar="PICTURE|FOLDER...", help="What to colour.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the coloured pictures.")]
Finished = Annotated[
    Path | None, typer.Option("--run", help="Folder of a finished run. [the colourizer that pixelwise carries]")
]
Vividness = Annotated[
    float | None, typer.Option(help="T of the annealed mean: 1 calm, towards 0 vivid, 0 the likeliest colour. [0.7]")
]
Rare = Annotated[float, typer.Option(help="0 as trained, to 1: rare colours count as much as common ones.")]
HintsFile = Annotated[Path | None, typer.Option("--hints", help="JSON of colours that you know; see the README.")]
Forbid = Annotated[str | None, typer.Option(help="Colours never to use, such as '#8a2b1f,#204080'.")]
Swap = Annotated[str | None, typer.Option(help="Colours to exchange, such as '#8a2b1f=#204080'.")]
Lock = Annotated[str | None, typer.Option(help="Colours that no hint may change, such as '#8a2b1f'.")]
Uncertainty = Annotated[bool, typer.Option("--uncertainty", help="Also write a map of where colours are guesses.")]
AlternativesAt = Annotated[
    str | None, typer.Option("--alternatives", help="X,Y of a pixel: name its region's likeliest colours, and end.")
]
Again = Annotated[bool, typer.Option("--again", help="Also colour pictures whose result is there already.")]
Engine = Annotated[EngineName, typer.Option(help="What computes the network's answers.")]
Jobs = Annotated[int | None, typer.Option(help="Pictures at the same time. [one for each core]")]


@app.command()
def colourize(
    pictures: Pictures,
    out: Out = None,
    run: Finished = None,
    vividness: Vividness = None,
    rare: Rare = 0.0,
    hints: HintsFile = None,
    forbid: Forbid = None,
    swap: Swap = None,
    lock: Lock = None,
    uncertainty: Uncertainty = False,
    alternatives: AlternativesAt = None,
    again: Again = False,
    jobs: Jobs = None,
    engine: Engine = EngineName.TORCH,
    json: Json = False,
) -> None:
    """Colour pictures, each in its own size and with its own light; only their grey is looked at.

    Pictures whose result is there already, made in the same way, are skipped.
    """
    from ..hints import Hints, load_hints
    from ..workflow.colouring import Wishes
    from ..workflow.finished import COLOURIZER, load_trained

    dials = _dials(vividness, rare, forbid, swap, lock)
    trained = load_trained(run or COLOURIZER)
    if engine is EngineName.ONNX:
        from ..workflow.exporting import on_onnx

        trained = on_onnx(trained)
    if alternatives is not None:
        _show_alternatives(trained, pictures, alternatives, json)
        return
    if out is None:
        raise typer.BadParameter("a folder for the coloured pictures is needed", param_hint="--out")
    from .. import terminal
    from ..workflow.colouring import colourize_files
    from ..workflow.targets import targets

    wishes = Wishes(dials, load_hints(hints) if hints else Hints({}), uncertainty, again)
    pairs = targets(pictures, out)
    at_once = jobs if jobs is not None else min(len(pairs), os.cpu_count() or 1)
    if at_once < 1:
        raise typer.BadParameter(f"{at_once}; expected 1 or more", param_hint="--jobs")
    results = list(terminal.watched(colourize_files(pairs, trained, wishes, at_once), len(pairs), "colouring"))
    order = {picture: place for place, (picture, _) in enumerate(pairs)}
    _tell(sorted(results, key=lambda result: order[result.picture]), json)


app.command("colorize", hidden=True, help="The same as colourize.")(colourize)


def _dials(vividness: float | None, rare: float, forbid: str | None, swap: str | None, lock: str | None) -> "Dials":
    from ..classes.dials import VIVIDNESS, Dials

    swaps = []
    for pair in _listed(swap):
        first, equals, second = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r}; expected two colours such as #8a2b1f=#204080", param_hint="--swap")
        swaps.append((first.strip(), second.strip()))
    return Dials(
        vividness=VIVIDNESS if vividness is None else vividness,
        rare=rare,
        forbidden=tuple(_listed(forbid)),
        swapped=tuple(swaps),
        locked=tuple(_listed(lock)),
    )


def _listed(given: str | None) -> list[str]:
    return [part.strip() for part in (given or "").split(",") if part.strip()]


def _show_alternatives(trained: "Trained", pictures: list[Path], where: str, json: bool) -> None:
    from .. import console
    from ..data.images import open_picture
    from ..report.tables import Table
    from ..workflow.colouring import alternatives_at

    try:
        x, y = (float(number) for number in where.split(","))
    except ValueError:
        raise typer.BadParameter(f"{where!r}; expected a pixel such as 120,80", param_hint="--alternatives") from None
    if len(pictures) != 1:
        raise typer.BadParameter(f"{len(pictures)} pictures; a pixel is one of a single picture", param_hint="PICTURE")
    found = alternatives_at(trained, open_picture(pictures[0]).rgb, x, y)
    if json:
        shown = [{"colour": a.colour, "probability": a.probability, "class": a.class_id} for a in found]
        console.print_json({"picture": str(pictures[0]), "alternatives": shown})
        return
    rows = [[a.colour, f"{a.probability:.1%}"] for a in found]
    console.print_table("may be", Table(["colour", "probability"], rows))


def _tell(results: "list[Coloured]", json: bool) -> None:
    from .. import terminal

    failed = [{"picture": str(r.picture), "reason": r.reason} for r in results if r.output is None]
    if json:
        done = [
            {"picture": str(r.picture), "output": str(r.output), "seconds": r.seconds, "skipped": r.skipped}
            for r in results
            if r.output
        ]
        terminal.print_json({"pictures": done, "failed": failed})
    else:
        for result in results:
            if result.output:
                typer.echo(f"{result.output}  {'was there' if result.skipped else f'{result.seconds:.1f} s'}")
    for fault in failed:
        typer.echo(f"error: {fault['reason']}", err=True)
    if failed:
        if len(results) > 1:
            typer.echo(f"{len(failed)} of {len(results)} pictures failed", err=True)
        raise typer.Exit(1)
