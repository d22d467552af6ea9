"""`pixelwise account`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .app import app
from .options import Json, given


class Format(StrEnum):
    """How an account is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    LATEX = "latex"
    HTML = "html"


class Outputs(StrEnum):
    """Which values are outputs."""

    UNITS = "units"
    EVERY = "every"
    FINAL = "final"


class Connections(StrEnum):
    """What is a connection."""

    CONVOLUTIONS = "convolutions"
    POOLING = "pooling"


class Normalization(StrEnum):
    """What BatchNorm's weights are."""

    LEARNED = "learned"
    STATISTICS = "statistics"
    NONE = "none"


class Precision(StrEnum):
    """Of a training step."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Optimizer(StrEnum):
    """Of a training step."""

    SGD = "sgd"
    MOMENTUM = "momentum"
    ADAM = "adam"
    ADAMW = "adamw"


def _size(text: str) -> tuple[int, int]:
    """HxW, in pixels."""
    height, by, width = text.lower().partition("x")
    if not (by and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise typer.BadParameter(f"{text!r}; expected rows x columns, such as 224x224", param_hint="--size")
    return int(height), int(width)


Model = Annotated[str, typer.Argument(metavar="MODEL", help="A network's name, or your_module:factory.")]
Size = Annotated[str | None, typer.Option(metavar="HxW", help="Rows x columns. [32x32 to colour, else 224x224]")]
Double = Annotated[bool, typer.Option("--double", help="And for twice the width and height.")]
Trains = Annotated[
    list[str] | None, typer.Option(help="What a training step costs: last, head or full; or a name's beginning.")
]
Batch = Annotated[int, typer.Option(min=1, help="Pictures a step.")]
PrecisionOption = Annotated[Precision, typer.Option(help="Of a step.")]
OptimizerOption = Annotated[Optimizer, typer.Option(help="Of a step.")]
Measure = Annotated[bool, typer.Option("--measure", help="Take real steps, and show them beside.")]
Device = Annotated[str | None, typer.Option(help="To measure on. [a GPU if there is one, and the CPU]")]
Kernel = Annotated[int | None, typer.Option(min=1, help="k, side of the filters.")]
Filters = Annotated[int | None, typer.Option(min=1, help="NF, filters of the first convolution.")]
Colours = Annotated[int | None, typer.Option(min=1, help="NC, colours to choose from.")]
Classes = Annotated[int | None, typer.Option(min=1, help="K, classes to choose from.")]
Channels = Annotated[int | None, typer.Option(min=1, help="NIC, channels of the picture.")]
OutputsOption = Annotated[Outputs, typer.Option(help="Which values are outputs.")]
ConnectionsOption = Annotated[Connections, typer.Option(help="What is a connection.")]
NormalizationOption = Annotated[Normalization, typer.Option(help="BatchNorm's weights.")]
Formulas = Annotated[bool, typer.Option("--formulas", help="Layer by layer as formulas too.")]
Bars = Annotated[Path | None, typer.Option(help="Draw where they are, to this PNG, PDF or SVG file.")]
Out = Annotated[Path | None, typer.Option(help="Write JSON, Markdown, LaTeX or HTML to this file.")]
Form = Annotated[Format, typer.Option("--format", help="How it is written.")]


@app.command()
def account(
    model: Model,
    size: Size = None,
    double: Double = False,
    finetune: Trains = None,
    batch: Batch = 4,
    precision: PrecisionOption = Precision.FLOAT32,
    optimizer: OptimizerOption = Optimizer.ADAM,
    measure: Measure = False,
    device: Device = None,
    kernel: Kernel = None,
    filters: Filters = None,
    colours: Colours = None,
    classes: Classes = None,
    channels: Channels = None,
    outputs: OutputsOption = Outputs.UNITS,
    connections: ConnectionsOption = Connections.CONVOLUTIONS,
    normalization: NormalizationOption = Normalization.LEARNED,
    formulas: Formulas = False,
    bars: Bars = None,
    out: Out = None,
    form: Form = Format.TEXT,
    json: Json = False,
) -> None:
    """What a network costs: weights, outputs and connections as formulas, and what fine-tuning it needs.

    Nothing is trained or run, unless you ask for --measure.
    """
    from .. import console
    from ..accounting.conventions import Conventions
    from ..accounting.costs import costs_of, devices_here
    from ..files import write_text
    from ..report.cost_documents import latex, markdown
    from ..report.cost_figures import save_bars
    from ..report.cost_page import html

    if measure and not finetune:
        raise typer.BadParameter("say what is trained, such as --finetune last", param_hint="--measure")
    convention = Conventions(outputs=outputs.value, connections=connections.value, normalization=normalization.value)
    widths = given({"k": kernel, "NF": filters, "NC": colours, "K": classes, "NIC": channels})
    devices = () if not measure else (device,) if device else devices_here()
    with console.waiting(f"measuring {model}" if measure else f"going through {model}"):
        pixels = _size(size) if size else None
        how: tuple[int, Any, str] = batch, precision.value, optimizer.value
        costs = costs_of(model, pixels, convention, finetune or (), *how, devices, widths)
    if bars:
        save_bars(costs.account, bars)
    if form is Format.TEXT and not json:
        console.print_costs(costs, double, formulas)
        return
    views = {Format.MARKDOWN: markdown, Format.LATEX: latex, Format.HTML: html}
    text = console.json_text(costs.to_mapping()) if json or form is Format.JSON else views[form](costs)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
