"""Only the last layer of a pretrained network, fine-tuned on flowers: how well, and how it looks."""

from ..evaluate.segment import evaluate_segment
from ..experiments import deeplab
from ..report.document import Block, FigureBlock, Paragraph, Section, TableBlock
from ..workflow.segment_pictures import gallery_of
from ..workflow.segmented import load_segmenter
from .blocks import answer, missing
from .results import Outcome, Results
from .tables import SEGMENT, outcome_table
from .words import judged, mean_of

IOU, SCORE = SEGMENT[0][1], "thresholded_iou_void_as_background"
EXERCISE = "deeplabv3_resnet101"


def deeplab_section(results: Results) -> Section:
    """The table, the answer, and the pictures."""
    outcomes = results.of(deeplab.EXPERIMENT)
    done = {label: outcome for label, outcome in outcomes.items() if outcome.runs}
    if not done:
        return Section("The last layer alone", [missing(list(outcomes), "deeplab")])
    first = next(iter(done.values())).runs[0].evaluation
    given = results.protocol.deeplab
    blocks: list[Block] = [Paragraph(_which(given["name"] if given else None))]
    sentences = [
        f"`{label}`: flower IoU {mean_of(side, IOU)}, score {mean_of(side, SCORE)}." for label, side in done.items()
    ]
    if given and given["name"] in done and "default network" in done:
        sentences.append(judged(done["default network"], done[given["name"]], IOU, "flower IoU"))
    blocks += [
        answer(sentences),
        TableBlock(
            outcome_table(outcomes, SEGMENT, "network, its last layer trained"),
            f"Flowers, {first['pictures']} test pictures; void pixels left out unless a column says otherwise",
            note="Score: the exercise's, mean over pictures of ceil(clamp(20 (IoU - 0.5), 0, 10)) / 10.",
        ),
    ]
    blocks += [picture_block(results, done[label]) for label in done if "void" not in label]
    return Section("The last layer alone", blocks)


def _which(name: str | None) -> str:
    if name is None:
        return "No weights of a COCO-pretrained DeepLabV3 are at hand; `pixelwise weights fetch` gets them."
    if name == EXERCISE:
        return f"The exercise's network, `{name}`, pretrained on COCO: everything but its last layer stays as it is."
    return (
        f"The weights of the exercise's `{EXERCISE}` are not at hand (`pixelwise weights fetch {EXERCISE}` gets "
        f"them, and the same command then uses them). In its place stands `{name}`, pretrained on COCO too, which is "
        "far smaller."
    )


def picture_block(results: Results, outcome: Outcome) -> FigureBlock:
    """Test pictures from worst to best."""
    run, test = outcome.runs[0], results.protocol.flowers.test
    trained = load_segmenter(run.run.folder)
    evaluation = evaluate_segment(trained.model, trained.labels, test, names=(trained.name, "flowers17", "test"))
    figure = gallery_of(trained.model, trained.labels, test, evaluation, "")
    return FigureBlock(
        figure,
        f"`{outcome.label}`: test flowers from worst to best, seed 0",
        alt="Pictures, truth, answers",
        pictures=True,
    )
