"""`pixelwise palette …` and `pixelwise data …`: what pixels can be, and where they come from."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Category, Data, Json, Root, pictures_given

palette_app = typer.Typer(help="Fit and show palettes: the colours that a pixel can be.", no_args_is_help=True)
data_app = typer.Typer(help="List and fetch data sets.", no_args_is_help=True)
app.add_typer(palette_app, name="palette")
app.add_typer(data_app, name="data")


@palette_app.command("fit")
def palette_fit(
    out: Annotated[Path, typer.Option("--out", help="File for the palette, JSON.")],
    data: Data = None,
    root: Root = None,
    category: Category = None,
    num_colours: Annotated[int, typer.Option(help="Colours to find.")] = 24,
    seed: Annotated[int, typer.Option(help="Of k-means.")] = 0,
    json: Json = False,
) -> None:
    """Find the colours that paint the training pictures best, by k-means."""
    from .. import console
    from ..classes.palette import fit_palette
    from ..config import DataSettings
    from ..data.load import load_data

    pictures = load_data(DataSettings.from_mapping(pictures_given(data, root, category))).train
    palette = fit_palette(pictures.pixels, num_colours, seed, name=out.stem)
    palette.save(out)
    console.show_palette(palette, json, out)


@palette_app.command("show")
def palette_show(
    palette: Annotated[Path, typer.Argument(metavar="FILE|RUN", help="A palette file, or a run's folder.")],
    json: Json = False,
) -> None:
    """Show a palette's colours."""
    from .. import console
    from ..classes.palette import load_palette

    console.show_palette(load_palette(palette / "palette.json" if palette.is_dir() else palette), json)


@data_app.command("list")
def data_list(json: Json = False) -> None:
    """Name the data sets there are."""
    from .. import console
    from ..data.load import SOURCES

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
    from .. import console
    from ..data.load import fetch_data
    from ..download import cache_folder

    root = root or cache_folder()
    console.download_bar(fetch_data(name, root), f"fetching {name}")
    if json:
        console.print_json({"data": name, "root": str(root)})
    else:
        typer.echo(f"{name} is in {root}")
