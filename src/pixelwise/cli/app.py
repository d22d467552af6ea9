"""The program that commands are added to, and how it ends."""

import io
import os
import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import PixelwiseError

app = typer.Typer(
    name="pixelwise",
    help="Every pixel is a classification problem: colour and segment pictures, with honest baselines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool | None) -> None:
    if asked:
        typer.echo(f"pixelwise {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool | None, typer.Option("--version", is_eager=True, callback=_show_version)] = None,
) -> None:
    """Colour and segment pictures, with honest baselines."""


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
