"""`pixelwise train colour`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .app import app
from .options import Category, Data, Json, Root, Seed, given, pictures_given

Out = Annotated[Path, typer.Option("--out", help="Folder of the run; new, or the one to resume.")]
NETWORKS = "lookup, cnn, unet, residual_unet; for photographs hypercolumn_efficientnet_lite0. [residual_unet]"
Model = Annotated[str | None, typer.Option(help=NETWORKS)]
Validation = Annotated[float | None, typer.Option(help="Share of training pictures for validation. [0.1]")]
Patch = Annotated[int | None, typer.Option(help="Side of photographs' patches, in pixels. [32]")]
PaletteFile = Annotated[Path | None, typer.Option(help="Colours from a file; otherwise k-means of the data.")]
Kernel = Annotated[int | None, typer.Option(help="Side of the filters, in pixels. [3]")]
NumFilters = Annotated[int | None, typer.Option(help="NF, filters of the first layer.")]
NumColours = Annotated[int | None, typer.Option(help="NC, colours to choose from. [24, or the palette's]")]
Space = Annotated[str | None, typer.Option(help="rgb, or oklab: chroma at the picture's own lightness. [rgb]")]
Skips = Annotated[str | None, typer.Option(help="Connections of unet: some of quarter,half,whole; or none. [all]")]
InputScale = Annotated[float | None, typer.Option(help="a, where cnn or unet is shown a x + b instead of x. [1]")]
InputShift = Annotated[float | None, typer.Option(help="b of that. [0]")]
InputPadding = Annotated[float | None, typer.Option(help="What its layers put around the picture. [0]")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training pictures.")]
BatchSize = Annotated[int | None, typer.Option(help="Pictures a step.")]
LearningRate = Annotated[float | None, typer.Option(help="Of Adam; the highest of a one-cycle schedule.")]
Optimizer = Annotated[str | None, typer.Option(help="adam or adamw.")]
WeightDecay = Annotated[float | None, typer.Option(help="On filters.")]
Schedule = Annotated[str | None, typer.Option(help="constant or one_cycle.")]
Flips = Annotated[bool | None, typer.Option("--flips/--no-flips", help="Mirror pictures at random.")]
Zooms = Annotated[str | None, typer.Option(help="Enlargements to learn photographs at, such as 1,1.5. [1]")]
Precision = Annotated[str | None, typer.Option(help="float32 or bfloat16.")]
Averaging = Annotated[float | None, typer.Option(help="Average weights over about the last 1/x of all steps; 0: not.")]
Keep = Annotated[str | None, typer.Option(help="The epoch that is best on validation, or the last. [best]")]
Device = Annotated[str, typer.Option(help="cpu, cuda or mps.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out, if there is one.")]

# The model's name, and the settings given for its pictures, its sizes and its training.
GivenSettings = tuple[str | None, dict[str, Any], dict[str, Any], dict[str, Any]]


train_app = typer.Typer(help="Train a model and write its run.", no_args_is_help=True)
app.add_typer(train_app, name="train")


@train_app.command("colour")
def train_colour(
    out: Out,
    model: Model = None,
    data: Data = None,
    root: Root = None,
    category: Category = None,
    validation: Validation = None,
    patch: Patch = None,
    palette: PaletteFile = None,
    kernel: Kernel = None,
    num_filters: NumFilters = None,
    num_colours: NumColours = None,
    space: Space = None,
    skips: Skips = None,
    input_scale: InputScale = None,
    input_shift: InputShift = None,
    input_padding: InputPadding = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    optimizer: Optimizer = None,
    weight_decay: WeightDecay = None,
    schedule: Schedule = None,
    flips: Flips = None,
    zooms: Zooms = None,
    precision: Precision = None,
    averaging: Averaging = None,
    keep: Keep = None,
    seed: Seed = None,
    device: Device = "cpu",
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Train a model to colour and write its run: settings, rows, weights, evaluation, curve and gallery.

    Settings that are not given are the model's own (the classic exercise's for cnn and unet), or, with --resume, the
    run's.
    """
    pictures = {**pictures_given(data, root, category), **given({"validation": validation, "patch": patch})}
    sizes = {"kernel": kernel, "num_filters": num_filters, "num_colours": num_colours, "space": space}
    shown = {"input_scale": input_scale, "input_shift": input_shift, "input_padding": input_padding}
    connections = None if skips is None else tuple(name for name in skips.split(",") if name not in ("", "none"))
    steps = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "schedule": schedule}
    rule = {"optimizer": optimizer, "weight_decay": weight_decay, "precision": precision, "averaging": averaging}
    training = given({**steps, **rule, "flips": flips, "zooms": _zooms(zooms), "keep": keep, "seed": seed})
    _train(
        out, palette, resume, device, json, (model, pictures, given({**sizes, **shown, "skips": connections}), training)
    )


def _zooms(said: str | None) -> tuple[float, ...] | None:
    try:
        return None if said is None else tuple(float(part) for part in said.split(","))
    except ValueError:
        raise typer.BadParameter(f"{said!r}; expected numbers such as 1,1.5", param_hint="--zooms") from None


def _train(out: Path, palette: Path | None, resume: bool, device: str, json: bool, settings: GivenSettings) -> None:
    from .. import console
    from ..evaluate.colour import ColourEvaluation
    from ..report.tables import values_of
    from ..runs import Run
    from ..workflow import training
    from ..workflow.keeping import choose_device
    from ..workflow.plan import Plan

    run = Run(out)
    begun = Plan.of_run(run) if resume and run.begun else None
    plan = Plan.from_given(*settings, begun=begun, palette_file=palette)
    with console.stop_on_request() as stopping:
        where = choose_device(device)
        rows = training.train_colour(plan, out, palette_file=palette, resume=resume, device=where, stopping=stopping)
        console.show_training(rows, f"training {plan.model.name}", plan.train.epochs)
    evaluation = ColourEvaluation(**run.evaluation())
    if json:
        console.print_json({"run": str(out), **evaluation.to_mapping()})
        return
    console.print_values(f"{evaluation.model} on the test pictures of {evaluation.data}", values_of(evaluation))
    typer.echo(f"\nThe run, with curve.png and gallery.png: {out.resolve()}")
