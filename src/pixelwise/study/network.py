"""What a network is and costs, whatever it is trained on."""

from ..accounting.account import WHAT, Account, account
from ..config import ModelSettings
from ..models.build import build_model
from ..report.cost_figures import cost_bars
from ..report.cost_text import cost_table, counted_words, sides, slips_table, totals_table
from ..report.cost_typst import typst_formula
from ..report.diagram import diagram
from ..report.document import Block, Equation, FigureBlock, Paragraph, Section, TableBlock
from ..report.tables import Table
from .blocks import answer
from .notation import TYPST


def network_section(model: str, heading: str) -> Section:
    """A network, drawn from what was built."""
    drawn = diagram(build_model(ModelSettings(name=model)), title="")
    words = (
        f"The network `{model}` as it was built and traced with a picture of 32 × 32 pixels: NF 32 filters at first, "
        "NC 24 colours, filters of 3 × 3. Height is the size of the maps, and every box is labelled with its channels."
    )
    return Section(heading, [FigureBlock(drawn, words, alt=f"Diagram of the network {model}")])


def costs_section(model: str) -> Section:
    """Weights, outputs and connections, derived layer by layer, and what doubling the picture does."""
    cost = account(model)
    k = "k^2"
    blocks: list[Block] = [
        Paragraph(
            f"A convolution of $c$ channels into $f$ filters of $k times k$ pixels has $f ({k} c + 1)$ weights: a "
            f"filter looks at ${k} c$ numbers and has a bias. It gives $f$ numbers for each of the $H W$ pixels, its "
            f"outputs; and each of these is joined to ${k} c$ numbers, which makes $f {k} c H W$ connections, zeros "
            "around the picture included. BatchNorm has two weights for each channel; pooling and enlarging have "
            f"outputs and no weights. What counts here: {counted_words(cost)}."
        ),
        TableBlock(cost_table(cost, formulas=True, notation=TYPST), f"`{model}`, layer by layer"),
        Paragraph("Summed over the layers, in all widths and at any size:"),
        *(Equation(f'upright("{what}") = {typst_formula(cost.totals[what].formula)}') for what in WHAT),
        Paragraph(
            f"With filters of {cost.widths['k']} × {cost.widths['k']} on grey pictures that makes the six values "
            "asked for:"
        ),
        TableBlock(six_values(cost), f"`{model}` as functions of NF and NC, at {sides(cost)} and at {sides(cost, 2)}"),
        TableBlock(totals_table(cost, TYPST), f"The same with NF {cost.widths['NF']} and NC {cost.widths['NC']}"),
        answer(
            [
                "Doubling height and width leaves the weights as they are: a filter knows nothing of the picture's "
                "size.",
                *(f"The {what} become {cost.doubled[what].words}." for what in WHAT[1:]),
            ]
        ),
        Paragraph(f"The formulas were compared with the network itself: {TYPST.text(cost.checked)}."),
    ]
    if cost.slips:
        blocks.append(TableBlock(slips_table(cost, TYPST), "Common mistakes, and what they would give"))
    blocks.append(FigureBlock(cost_bars(cost), f"Where the weights, outputs and connections of `{model}` are", alt=""))
    return Section("Weights, outputs, connections", blocks)


def six_values(cost: Account) -> Table:
    """Weights, outputs and connections as functions of the widths, at this size and at the doubled one."""
    rows = []
    for what in WHAT:
        twice = cost.doubled[what].doubled
        rows.append([what, *(f"${typst_formula(quantity.at_size)}$" for quantity in (cost.totals[what], twice))])
    return Table(["", f"at {sides(cost)}", f"at {sides(cost, 2)}"], rows)
