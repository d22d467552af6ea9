"""`pixelwise export`: a finished run for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Json, RunFolder


@app.command()
def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option("--out", help="File that ends in .onnx.")],
    json: Json = False,
) -> None:
    """Write a finished run as an ONNX file for pictures of any size, and check that it answers as the run does."""
    from .. import console
    from ..workflow.exporting import export_run

    with console.waiting(f"exporting {run}"):
        made = export_run(run, out)
    if json:
        console.print_json({"file": str(made.path), "bytes": made.size, "difference": made.difference})
    else:
        typer.echo(f"{made.path}  {made.size / 1e6:.2f} MB; differs from the run by {made.difference:.1e} at most")
