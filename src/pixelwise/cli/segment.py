"""`pixelwise segment`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import app
from .options import Json

if TYPE_CHECKING:
    from ..workflow.segmented import Segmented


@app.command()
def segment(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE|FOLDER...", help="What to segment.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for masks, overlays and cut-outs.")],
    run: Annotated[Path | None, typer.Option("--run", help="Folder of a finished run that segments.")] = None,
    strokes: Annotated[Path | None, typer.Option("--strokes", help="JSON of painted pixels, to learn from.")] = None,
    json: Json = False,
) -> None:
    """Segment pictures by a finished run, or by a few strokes painted on one or several of them.

    Of each picture: its mask of class numbers, an overlay, a cut-out on transparent ground, outlines with a legend.
    """
    from .. import console
    from ..strokes import load_strokes
    from ..workflow.segmented import load_segmenter, named, segment_files, taught_by_strokes
    from ..workflow.targets import targets

    pairs = targets(pictures, out, lambda picture: picture.stem)
    if strokes is not None:
        drawn = load_strokes(strokes)
        trained = taught_by_strokes(drawn, named(drawn, (path for path, _ in pairs)), run)
    elif run is not None:
        trained = load_segmenter(run)
    else:
        raise typer.BadParameter("give --run RUN, or --strokes FILE, or both", param_hint="--run / --strokes")
    results = list(console.watched(segment_files(pairs, trained), len(pairs), "segmenting"))
    failed = [{"picture": str(r.picture), "reason": r.reason} for r in results if r.reason is not None]
    done = [_described(result) for result in results if result.reason is None]
    if json:
        console.print_json({"pictures": done, "failed": failed})
    else:
        for item in results:
            if item.reason is None:
                shares = ", ".join(f"{name} {share:.1%}" for name, share in item.shares.items())
                typer.echo(f"{item.outputs[0]}  {shares}  {item.seconds:.1f} s")
    for fault in failed:
        typer.echo(f"error: {fault['reason']}", err=True)
    if failed:
        raise typer.Exit(1)


def _described(result: "Segmented") -> dict[str, Any]:
    outputs = [str(path) for path in result.outputs]
    return {
        "picture": str(result.picture),
        "output": outputs[0],
        "outputs": outputs,
        "seconds": result.seconds,
        "shares": dict(result.shares),
    }
