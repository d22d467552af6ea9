"""Do skip connections help, and why? Against the plain network; more weights, detail, and copying grey taken apart."""

from collections.abc import Mapping

from ..evaluate.edges import hits_by_distance
from ..experiments import palettes, skips
from ..models.unet import SKIPS
from ..report.document import Block, FigureBlock, Paragraph, Section, TableBlock
from ..report.spread import BETTER, UNCLEAR, WORSE, difference, signed
from ..report.study_figures import by_distance
from .blocks import answer, curves, extremes_block, gallery_block, missing, with_baselines
from .results import Outcome, Results
from .tables import COLOUR, LEARNING, outcome_table
from .words import VERBS, judged, judged_loss, judged_share


def comparison_section(results: Results) -> Section:
    """The U-Net against the plain network."""
    outcomes = results.of(skips.EXPERIMENT)
    pair = {name: outcomes[name] for name in ("cnn", "unet")}
    cnn, unet = pair.values()
    if not (cnn.runs and unet.runs):
        return Section("Is it better than the plain network?", [missing(list(pair), "skips")])
    table = with_baselines(outcome_table(pair, COLOUR, "network", weights=True), unet.runs[0])
    sentences = [
        judged_loss(unet, cnn, lambda run: run.validation_loss, "validation loss"),
        judged_loss(unet, cnn, "cross_entropy", "test cross-entropy"),
        judged_share(unet, cnn, "accuracy", "test accuracy"),
        judged(unet, cnn, "psnr", "PSNR", digits=2, unit=" dB"),
    ]
    return Section(
        "Is it better than the plain network?",
        [
            answer(sentences),
            curves(results, pair, "The plain network and the U-Net"),
            TableBlock(table, f"Both networks on {len(results.protocol.pictures.test):,} test horses"),
            TableBlock(outcome_table(pair, LEARNING, "network"), "The epoch that was kept"),
            gallery_block(results, pair, "Test horses, evenly spaced, by the networks of seed 0"),
            extremes_block(unet.runs[0], results),
        ],
    )


def reasons_section(results: Results) -> Section:
    """More weights, detail that pooling lost, and copying grey: each by an experiment."""
    outcomes = results.of(skips.EXPERIMENT)
    return Section(
        "Why? Three reasons put to the test",
        [],
        [weights_section(outcomes), detail_section(results, outcomes), copying_section(results)],
    )


def weights_section(outcomes: Mapping[str, Outcome]) -> Section:
    """Is it the weights that the connections bring along?"""
    three = {name: outcomes[name] for name in ("cnn", "cnn, widened", "unet")}
    cnn, wide, unet = three.values()
    if not all(side.runs for side in three.values()):
        return Section("More weights?", [missing(list(three), "skips")])
    gained = sum(unet.values("accuracy")) / len(unet.runs) - sum(cnn.values("accuracy")) / len(cnn.runs)
    by_weights = sum(wide.values("accuracy")) / len(wide.runs) - sum(cnn.values("accuracy")) / len(cnn.runs)
    sentences = [
        judged_share(wide, cnn, "accuracy", "accuracy"),
        judged_share(unet, wide, "accuracy", "accuracy"),
        f"Of the {100 * gained:+.1f} points between `cnn` and `unet`, as many weights without connections bring "
        f"{100 * by_weights:+.1f}.",
    ]
    told = "A `cnn` with as many weights as the U-Net, as nearly as its width allows."
    return Section(
        "More weights?", [answer(sentences, 2), TableBlock(outcome_table(three, COLOUR, "network", True), told)]
    )


def detail_section(results: Results, outcomes: Mapping[str, Outcome]) -> Section:
    """Is it detail? Connections left out one by one, and accuracy by distance to an edge."""
    blocks: list[Block] = []
    unet, cnn = outcomes["unet"], outcomes["cnn"]
    without = {skip: outcomes[f"unet without {skip}"] for skip in SKIPS}
    if unet.runs and any(side.runs for side in without.values()):
        sentences = [judged_share(side, unet, "accuracy", "accuracy") for side in without.values()]
        sentences.append(_most_needed(unet, without))
        shown = {"unet": unet, **{side.label: side for side in without.values()}, "unet without any: cnn": cnn}
        blocks += [
            answer(sentences, -1),
            TableBlock(
                outcome_table(shown, COLOUR, "network", True),
                "Connections left out, named by the size of what they carry",
            ),
        ]
    else:
        blocks.append(missing([side.label for side in without.values()], "skips"))
    if unet.runs and cnn.runs:
        blocks += edge_blocks(results, {"cnn": cnn, "unet": unet})
    return Section("Detail that pooling lost?", blocks)


def _most_needed(unet: Outcome, without: Mapping[str, Outcome]) -> str:
    """Which connection costs most where it is left out, if one does clearly."""
    lost = {skip: side.against(unet, "accuracy") for skip, side in without.items() if side.runs}
    worse = {skip: found.mean for skip, found in lost.items() if found.verdict == WORSE}
    if not worse:
        return "None of them alone is clearly needed: what one carries, the others bring too."
    most = min(worse, key=lambda skip: worse[skip])
    others = [skip for skip in lost if skip not in worse]
    rest = f"; without {' or '.join(others)} nothing is clearly lost" if others else ""
    return (
        f"The connection that is needed most is the one at {most} size ({signed(100 * worse[most], 1)} points){rest}."
    )


def edge_blocks(results: Results, outcomes: Mapping[str, Outcome]) -> list[Block]:
    """Accuracy by distance to an edge between true colours."""
    test = results.protocol.pictures.test
    found = {
        label: [hits_by_distance(run.trained.model, run.trained.palette, test) for run in outcome.runs]
        for label, outcome in outcomes.items()
    }
    shares = {label: [(100 * counts.accuracy).tolist() for counts in runs] for label, runs in found.items()}
    bins = next(iter(found.values()))[0]
    cnn, unet = shares.values()
    near, far = (difference([run[i] for run in unet], [run[i] for run in cnn]) for i in (0, -1))
    words = [
        f"At an edge between true colours (distance {bins.names[0]}, {100 * bins.shares[0]:.0f} % of the pixels) "
        f"`unet` {VERBS[near.verdict]} `cnn` in accuracy, by {near.told(1)} points; {bins.names[-1]} pixels away "
        f"from one it {VERBS[far.verdict]} it, by {far.told(1)} points.",
        "So the gain is greatest at edges, as lost detail would have it."
        if near.mean > far.mean and near.verdict == BETTER
        else "So the gain is not greatest at edges, and lost detail is not what explains it.",
    ]
    figure = by_distance(shares, bins.names)
    return [
        answer(words, None),
        FigureBlock(figure, "Accuracy by distance to the nearest edge between true colours, test horses", alt="Lines"),
    ]


def copying_section(results: Results) -> Section:
    """Is it copying grey? The same networks where brightness is no part of a class."""
    outcomes = results.of(palettes.EXPERIMENT)
    needed = [f"{model}, {space}" for space in ("rgb", "oklab") for model in ("lookup", "cnn", "unet")]
    gone = [label for label in needed if not outcomes[label].runs]
    if gone:
        return Section("Or copying grey?", [missing(gone, "palettes")])
    sentences, gains = [], {}
    for space in ("rgb", "oklab"):
        lookup, cnn, unet = (outcomes[f"{model}, {space}"] for model in ("lookup", "cnn", "unet"))
        sentences.append(judged_loss(unet, cnn, "cross_entropy", "cross-entropy"))
        sentences.append(judged_loss(unet, lookup, "cross_entropy", "cross-entropy"))
        gains[space] = unet.against(cnn, "cross_entropy", more_is_better=False)
    shrinks = abs(gains["oklab"].mean) < abs(gains["rgb"].mean) or gains["oklab"].verdict == UNCLEAR
    sentences.append(
        f"The connections save {-gains['rgb'].mean:.3f} nats with RGB classes and {-gains['oklab'].mean:.3f} with "
        "chroma "
        + (
            "classes: most of what they carry is brightness."
            if shrinks
            else "classes: they carry more than brightness."
        )
    )
    return Section(
        "Or copying grey?",
        [
            Paragraph(
                "In a palette of 24 RGB colours a pixel's class is mostly its brightness, which the picture shows. "
                "In a palette of 24 chroma classes, OKLab's $a$ and $b$ at the picture's own lightness, it is not."
            ),
            answer(sentences, -1),
            TableBlock(outcome_table(outcomes, COLOUR, "network, classes"), "Both kinds of classes"),
            gallery_block(
                results,
                {name: outcomes[name] for name in ("lookup, oklab", "cnn, oklab", "unet, oklab")},
                "Test horses with chroma classes, seed 0",
            ),
        ],
    )
