"""`pixelwise train segment`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Json, Labelled, Root, Seed, given
from .train import (
    BatchSize,
    Device,
    Epochs,
    Keep,
    LearningRate,
    Optimizer,
    Out,
    Precision,
    Resume,
    Schedule,
    Validation,
    WeightDecay,
    train_app,
)

Model = Annotated[
    str | None,
    typer.Option(help="A pretrained network, or package.module:factory. [hypercolumn_efficientnet_lite0]"),
]
Weights = Annotated[Path | None, typer.Option(help="Pretrained weights; otherwise the installed or fetched ones.")]
Last = Annotated[str | None, typer.Option(help="The last layer's name, in a network of your own.")]
Learn = Annotated[str | None, typer.Option(help="last, head, full, or name prefixes of parameters, by commas. [last]")]
Cache = Annotated[str | None, typer.Option(help="Precision of cached features: float16 or float32. [float16]")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Run the frozen trunk in every step.")]
Sample = Annotated[int | None, typer.Option(help="Labelled pixels a last layer learns from; 0: all. [80000]")]
Void = Annotated[str | None, typer.Option(help="Unlabelled pixels: ignore, or background while training. [ignore]")]
LossAt = Annotated[str | None, typer.Option(help="With --sample 0: loss at the picture or features. [picture]")]
Crop = Annotated[int | None, typer.Option(help="Side of random crops in training, in pixels; 0: whole pictures. [0]")]
NumLabelled = Annotated[int | None, typer.Option("--labelled", help="Pictures whose masks are used; 0: all.")]
Rest = Annotated[str | None, typer.Option(help="The other pictures: ignore, or learn from confident answers. [ignore]")]
Size = Annotated[int | None, typer.Option(help="Long side at which pictures are seen, in pixels. [256]")]
Loss = Annotated[str | None, typer.Option(help="cross_entropy, dice, soft_iou or cross_entropy_dice.")]
ClassWeights = Annotated[str | None, typer.Option(help="A weight for each class, by commas.")]
Patience = Annotated[int | None, typer.Option(help="Epochs without a better validation loss before it ends.")]
Flips = Annotated[bool | None, typer.Option("--flips/--no-flips", help="Learn from mirrored pictures too.")]


@train_app.command("segment")
def train_segment(
    out: Out,
    model: Model = None,
    weights: Weights = None,
    last: Last = None,
    learn: Learn = None,
    data: Labelled = None,
    root: Root = None,
    validation: Validation = None,
    size: Size = None,
    cache: Cache = None,
    no_cache: NoCache = False,
    sample: Sample = None,
    void: Void = None,
    loss_at: LossAt = None,
    crop: Crop = None,
    labelled: NumLabelled = None,
    rest: Rest = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    optimizer: Optimizer = None,
    weight_decay: WeightDecay = None,
    schedule: Schedule = None,
    loss: Loss = None,
    class_weights: ClassWeights = None,
    patience: Patience = None,
    flips: Flips = None,
    precision: Precision = None,
    keep: Keep = None,
    seed: Seed = None,
    device: Device = "cpu",
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Fine-tune a pretrained network to segment: only its last layer, unless --learn says more, provably.

    Settings that are not given are the usual ones for what is trained, or, with --resume, the run's.
    """
    pictures = {"name": data, "root": str(root) if root else None, "validation": validation, "size": size}
    file = str(weights.absolute()) if weights else None
    network = {"name": model, "weights": file, "last": last, "learn": _words(learn)}
    kept = {"cache": "none" if no_cache else cache, "sample": sample, "void": void}
    few = {"labelled": labelled, "rest": rest, "loss_at": loss_at, "crop": crop}
    steps = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "schedule": schedule}
    rule = {"optimizer": optimizer, "weight_decay": weight_decay, "precision": precision, "flips": flips}
    aim = {"loss": loss, "class_weights": _numbers(class_weights), "patience": patience, "keep": keep, "seed": seed}
    _train(
        out, resume, device, json, (given(pictures), given({**network, **kept, **few}), given({**steps, **rule, **aim}))
    )


def _train(
    out: Path, resume: bool, device: str, json: bool, settings: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
) -> None:
    from .. import console
    from ..evaluate.segment import SegmentEvaluation
    from ..report.tables import segment_values_of
    from ..runs import Run
    from ..workflow import segmenting
    from ..workflow.keeping import choose_device
    from ..workflow.segment_plan import SegmentPlan

    run = Run(out)
    begun = SegmentPlan.of_run(run) if resume and run.begun and run.task == "segment" else None
    plan = SegmentPlan.from_given(*settings, begun=begun)
    with console.stop_on_request() as stopping:
        where = choose_device(device)
        rows = segmenting.train_segment(plan, out, resume=resume, device=where, stopping=stopping)
        console.show_training(rows, f"training {plan.model.name}", plan.train.epochs)
    evaluation = SegmentEvaluation.from_mapping(run.evaluation())
    if json:
        console.print_json({"run": str(out), **evaluation.to_mapping()})
        return
    console.print_values(f"{evaluation.model} on the test pictures of {evaluation.data}", segment_values_of(evaluation))
    typer.echo(f"\nThe run, with curve.png, gallery.png and freezing.json: {out.resolve()}")


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(word) for word in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not numbers separated by commas", param_hint="--class-weights") from None
