"""What if every grey picture x becomes a x + b? The argument, the curves, and the border."""

import math
from collections.abc import Mapping, Sequence

from ..affine import invariance
from ..data.pictures import evenly_spaced
from ..experiments import affine, plain
from ..report.document import Block, Equation, Paragraph, Section, TableBlock
from ..report.tables import Table
from .blocks import answer, curves, missing
from .results import Outcome, Results
from .tables import Column, outcome_table
from .words import judged

ASKED_PICTURES = 100  # validation pictures on which a trained network is asked about a x + b; float64 is slow
ASKED = ((2.0, -0.5), (10.0, 10.0), (-1.0, 1.0))


def columns(results: Results) -> tuple[Column, ...]:
    """The losses in the first and the last of the epochs that all treatments have."""
    last = min(results.protocol.short_epochs, results.protocol.epochs) - 1
    return (
        ("training loss, epoch 1 (nats)", lambda run: run.rows[0].train_loss, 3, 1.0),
        (f"training loss, epoch {last + 1} (nats)", lambda run: run.rows[last].train_loss, 3, 1.0),
        (f"validation loss, epoch {last + 1} (nats)", lambda run: run.rows[last].validation_loss or math.nan, 3, 1.0),
    )


def affine_section(results: Results) -> Section:
    """The argument, the curves, and the border."""
    outcomes = results.of(affine.EXPERIMENT)
    x = outcomes["x"]
    blocks: list[Block] = [
        Paragraph(
            "A filter $w$ with bias $c$ gives on $a x + b$, away from the border, what a filter $a w$ with another "
            "bias gives on $x$:"
        ),
        Equation("w * (a x + b) + c = (a w) * x + (c + b sum_i w_i)"),
        Paragraph(
            "so that nothing is lost: the filters $w \\/ a$ with the bias $c - (b \\/ a) sum_i w_i$ answer as before. "
            "Two things are not the same. *The border*: zeros around the picture stand for $x = - b \\/ a$ and no "
            "longer for black; the difference disappears if the picture is padded with $b$. *Learning*: the first "
            "layer's gradient grows with $a$ and, by the mean of the picture, with $b$. BatchNorm behind that layer "
            "takes both out while training, since"
        ),
        Equation(
            '(a u + d - op("mean")(a u + d)) / sqrt(a^2 op("var")(u) + epsilon) = '
            '(u - op("mean")(u)) / sqrt(op("var")(u) + epsilon \\/ a^2)'
        ),
    ]
    if not x.runs:
        return Section("What if x becomes a x + b?", [*blocks, missing(list(outcomes), "affine")])
    blocks += [
        answer(affine_sentences(outcomes, columns(results)[:2]), 2),
        curves(
            results, outcomes, "`cnn` shown x and a x + b, from the same weights and in the same order", lookup=False
        ),
        TableBlock(
            outcome_table(outcomes, columns(results), "shown"),
            "Training and validation in the first and the last epoch that all have",
        ),
        *border_blocks(results),
    ]
    return Section("What if x becomes a x + b?", blocks)


def affine_sentences(outcomes: Mapping[str, Outcome], columns: Sequence[Column]) -> list[str]:
    """Each treatment against x, at the start and at the end of training."""
    x = outcomes["x"]
    sentences = []
    for own in outcomes.values():
        if own is x:
            continue
        for heading, value, digits, _ in columns:
            sentences.append(
                judged(
                    own,
                    x,
                    value,
                    heading.removesuffix(" (nats)"),
                    more_is_better=False,
                    digits=digits,
                    unit=" nats",
                    paired=True,
                )
            )
    return sentences


def border_blocks(results: Results) -> list[Block]:
    """How a network that was trained on x answers about 10x + 10."""
    plain_cnn = results.of(plain.EXPERIMENT)["cnn"]
    if not plain_cnn.runs:
        return [missing(["cnn"], "plain")]
    trained, validation = plain_cnn.runs[0].trained, results.protocol.pictures.validation
    some = validation.take(evenly_spaced(len(validation), ASKED_PICTURES))
    rows = []
    for a, b in ASKED:
        found = invariance(trained.model, trained.palette.see(some.pixels), a, b)
        for words, way in (
            ("as it is", found.unchanged),
            ("absorbed", found.absorbed),
            ("absorbed, padded with b", found.padded),
        ):
            inside = "none there" if way.inside is None else f"{way.inside:.1e}"
            rows.append(
                [
                    f"{a:g}x {'+' if b > 0 else '-'} {abs(b):g}, {words}",
                    inside,
                    f"{way.border:.1e}",
                    str(way.reach),
                    f"{100 * way.changed:.2f}",
                ]
            )
    headings = ["asked about", "difference inside", "near the border", "reaches (pixels)", "other class (% of pixels)"]
    words = (
        f"A `cnn` trained on x, seed 0, asked about a x + b on {len(some)} validation horses: the greatest "
        "difference of a logit from its own answer to x, in float64. Absorbed: a and b are written into its first "
        "layer."
    )
    return [TableBlock(Table(headings, rows), words)]
