"""Is the plain network any good? By its curve, by numbers beside the baselines, and by pictures."""

from ..evaluate.confusion import confusion
from ..experiments import plain
from ..report.document import Block, FigureBlock, Section, TableBlock
from ..report.study_pictures import confusion_swatches
from .blocks import answer, curves, extremes_block, gallery_block, missing, with_baselines
from .results import Outcome, Results
from .tables import COLOUR, LEARNING, outcome_table
from .words import judged_loss, judged_share, mean_of


def trained_section(results: Results) -> Section:
    """Training, pictures, and whether they are good."""
    outcomes = results.of(plain.EXPERIMENT)
    cnn, lookup = outcomes["cnn"], outcomes["lookup"]
    if not cnn.runs:
        return Section("Is it good?", [missing(["cnn"], "plain")])
    trained, data = cnn.runs[0].trained, results.protocol.pictures
    table = outcome_table({"lookup": lookup, "cnn": cnn}, COLOUR, "network", weights=True)
    blocks: list[Block] = [
        answer(goodness(cnn, lookup), 1),
        curves(results, {"cnn": cnn}, "Training of the plain network"),
        TableBlock(with_baselines(table, cnn.runs[0]), f"The plain network on {len(data.test):,} test horses"),
        TableBlock(outcome_table({"cnn": cnn}, LEARNING, "network"), "The epoch that was kept"),
    ]
    blocks.append(gallery_block(results, {"lookup": lookup, "cnn": cnn}, "Test horses, evenly spaced, seed 0"))
    counts = confusion(trained.model, trained.palette, data.test)
    swatches = confusion_swatches(counts, trained.palette.display_colours)
    blocks.append(
        FigureBlock(swatches, "What each true colour is answered with, `cnn`, seed 0, all test horses", alt="")
    )
    blocks.append(extremes_block(trained_run=cnn.runs[0], results=results))
    return Section("Is it good?", blocks)


def goodness(cnn: Outcome, lookup: Outcome) -> list[str]:
    """Whether the pictures are good, by which measure."""
    e = cnn.runs[0].evaluation
    sentences = [
        f"The commonest colour everywhere would be right at {100 * e['majority_accuracy']:.1f} % of the pixels; the "
        f"network is at {mean_of(cnn, 'accuracy', 1, 100.0, ' %')}.",
        judged_share(cnn, lookup, "accuracy", "accuracy"),
        judged_loss(cnn, lookup, "cross_entropy", "cross-entropy"),
    ]
    above = [run.evaluation["psnr"] - run.evaluation["psnr_grey"] for run in cnn.runs]
    nearer = [run.evaluation["ciede2000_grey"] - run.evaluation["ciede2000"] for run in cnn.runs]
    for words, unit, values in (("PSNR", "dB", above), ("CIEDE2000", "of its units", nearer)):
        mean = sum(values) / len(values)
        side = {True: "nearer to the truth than", False: "farther from the truth than"}.get(min(values) > 0)
        if min(values) <= 0 <= max(values):
            side = "neither nearer to the truth nor farther from it than"
        sentences.append(
            f"By {words} its pictures are {side} the grey ones left as they are, by {abs(mean):.2f} {unit}."
        )
    return sentences
