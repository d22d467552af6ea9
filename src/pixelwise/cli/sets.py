"""`pixelwise palette …`, `data …` and `weights …`: what pixels can be, where they and networks come from."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Category, Data, Json, Labelled, Root, given, pictures_given


class SpaceName(StrEnum):
    """What the colours of a palette are."""

    RGB = "rgb"
    OKLAB = "oklab"


palette_app = typer.Typer(help="Fit and show palettes: the colours that a pixel can be.", no_args_is_help=True)
data_app = typer.Typer(help="List, check and fetch data sets.", no_args_is_help=True)
app.add_typer(palette_app, name="palette")
app.add_typer(data_app, name="data")
weights_app = typer.Typer(help="List and fetch pretrained weights.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")


@palette_app.command("fit")
def palette_fit(
    out: Annotated[Path, typer.Option("--out", help="File for the palette, JSON.")],
    data: Data = None,
    root: Root = None,
    category: Category = None,
    num_colours: Annotated[int, typer.Option(help="Colours to find.")] = 24,
    space: Annotated[SpaceName, typer.Option(help="Whole colours, or chroma alone.")] = SpaceName.RGB,
    seed: Annotated[int, typer.Option(help="Of k-means.")] = 0,
    json: Json = False,
) -> None:
    """Find the colours that paint the training pictures best, by k-means."""
    from .. import console
    from ..classes.palette import fit_palette
    from ..config import DataSettings
    from ..data.load import load_data

    pictures = load_data(DataSettings.from_mapping(pictures_given(data, root, category))).train
    palette = fit_palette(pictures.pixels, num_colours, seed, name=out.stem, space=space.value)
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


@palette_app.command("compare")
def palette_compare(
    data: Data = None,
    root: Root = None,
    category: Category = None,
    num_colours: Annotated[str, typer.Option(help="Numbers of colours to try.")] = "8,16,24,32,48,64",
    error: Annotated[float, typer.Option(help="CIEDE2000 that painting may cost, for a recommendation.")] = 3.0,
    pictures: Annotated[int, typer.Option(help="Test pictures to paint, evenly spaced.")] = 100,
    seed: Annotated[int, typer.Option(help="Of k-means.")] = 0,
    json: Json = False,
) -> None:
    """How well your own pictures can be painted at best with k colours: whole ones, or chroma of Lab or OKLab."""
    from .. import console
    from ..config import DataSettings
    from ..data.load import load_data
    from ..data.pictures import evenly_spaced
    from ..evaluate.ceiling import SPACES, ceilings, enough
    from ..report.tables import ceiling_table

    try:
        sizes = sorted({int(part) for part in num_colours.split(",") if part.strip()})
    except ValueError:
        raise typer.BadParameter(
            f"{num_colours!r}; expected numbers such as 8,16", param_hint="--num-colours"
        ) from None
    if not sizes or pictures < 1 or not error > 0:
        raise typer.BadParameter("expected one number of colours, one picture and an error above 0 at least")
    found_data = load_data(DataSettings.from_mapping(pictures_given(data, root, category)))
    shown = found_data.test.take(evenly_spaced(len(found_data.test), pictures))
    rows = ceilings(found_data.train, shown, sizes, seed)
    found = list(console.watched(rows, 1 + len(sizes) * len(SPACES), "painting"))
    wanted = enough(found, error)
    if json:
        chosen = wanted.num_colours if wanted else None
        table = [ceiling.to_mapping() for ceiling in found]
        console.print_json({"error": error, "recommended": chosen, "pictures": len(shown), "ceilings": table})
        return
    console.print_table(f"At best, on {len(shown)} test pictures of {found_data.title}", ceiling_table(found))
    advice = (
        f"{wanted.num_colours} chroma classes of OKLab keep CIEDE2000 within {error:g}: --space oklab "
        f"--num-colours {wanted.num_colours}"
        if wanted
        else f"none of these keeps CIEDE2000 within {error:g}; ask for more colours"
    )
    typer.echo(f"\n{advice}")


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
    name: Annotated[str, typer.Argument(help="cifar10 or flowers17.")],
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


@data_app.command("check")
def data_check(
    data: Labelled = None,
    root: Root = None,
    task: Annotated[str | None, typer.Option(help="colour or segment. [segment, where there are masks]")] = None,
    json: Json = False,
) -> None:
    """Read every picture and mask before training, and say in plain words what is wrong and how to mend it."""
    from .. import console
    from ..config import DataSettings
    from ..data.check import check_data
    from ..data.load import SOURCES, source

    if task not in (None, "colour", "segment"):
        raise typer.BadParameter(f"{task!r}; expected colour or segment", param_hint="--task")
    settings = DataSettings.from_mapping(given({"name": data or "folder", "root": str(root) if root else None}))
    labelled = source(settings.name).load_labelled is not None if task is None else task == "segment"
    with console.waiting(f"reading {SOURCES[settings.name].summary.split(',')[0]}"):
        report = check_data(settings, labelled)
    if json:
        console.print_json(report.to_mapping())
    else:
        console.print_report(report)
    if not report.ok:
        raise typer.Exit(1)


@weights_app.command("list")
def weights_list(json: Json = False) -> None:
    """Name the networks whose pretrained weights can be fetched."""
    from .. import console
    from ..weights import WEIGHTS

    if json:
        console.print_json(
            {name: {"url": w.url, "sha256": w.sha256, "megabytes": w.size_mb} for name, w in WEIGHTS.items()}
        )
    else:
        console.print_values(
            "pretrained weights", [(name, f"{w.summary}; {w.size_mb:g} MB") for name, w in WEIGHTS.items()]
        )


@weights_app.command("fetch")
def weights_fetch(
    name: Annotated[str, typer.Argument(help="A network's name; `pixelwise weights list`.")], json: Json = False
) -> None:
    """Download a network's pretrained weights from their official address and check them."""
    from .. import console
    from ..weights import fetch_weights, official_weights

    official = official_weights(name)
    console.download_bar(fetch_weights(name), f"fetching {name}")
    if json:
        console.print_json({"weights": name, "file": str(official.cached)})
    else:
        typer.echo(f"the weights of {name} are in {official.cached}")
