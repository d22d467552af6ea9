"""What the last layer and the whole network cost: as functions of n layers, and of real networks, measured."""

from collections.abc import Mapping

from ..accounting.equal_layers import EQUAL_LAYERS
from ..experiments import memory
from ..report.cost_typst import typst_formula
from ..report.document import Block, Paragraph, Section, TableBlock
from ..report.tables import Table
from .blocks import answer, missing
from .results import Cost, Results
from .tables import cost_table

TERMS = ("trained", "gradients", "optimizer", "kept", "forward", "backward")


def memory_section(results: Results) -> Section:
    """Formulas in n, and the measured table."""
    costs = results.costs(memory.EXPERIMENT)
    blocks: list[Block] = [
        Paragraph(
            "Let a network have $n$ equal convolutions of $C$ channels with filters of $k times k$ on $B$ pictures "
            "of $H times W$ pixels, in numbers of 4 bytes. Forward computes $B k^2 C^2 H W$ multiply-adds a layer. "
            "Backward does the same once more for a layer's weights, where they are trained, and once more for its "
            "input, where something before it is trained; and it needs the input of every layer on its way to have "
            "been kept."
        ),
        TableBlock(equal_layers_table(), "One step of training with Adam, as functions of n"),
    ]
    pairs = pairs_of(costs)
    if not pairs:
        blocks.append(missing([s.label for s in memory.settings(results.protocol)], "memory"))
        return Section("Memory and compute: the whole against the last layer", blocks)
    blocks += [
        answer([_pair_sentence(network, *pair) for network, pair in pairs.items()]),
        TableBlock(cost_table(costs), "Steps of fine-tuning, predicted without running the network, and measured"),
    ]
    return Section("Memory and compute: the whole against the last layer", blocks)


def equal_layers_table() -> Table:
    """By what is trained: parameters, gradients, Adam, kept, forward and backward, as formulas in n."""
    headings = ["trained", "parameters", "gradients (bytes)", "Adam (bytes)", "kept (bytes)", "forward", "backward"]
    rows = [
        [words, *(f"${typst_formula(getattr(terms, term).factor())}$" for term in TERMS)]
        for words, terms in EQUAL_LAYERS.items()
    ]
    return Table(headings, rows)


def pairs_of(costs: Mapping[str, Cost]) -> dict[str, tuple[Cost, Cost]]:
    """The last layer and the whole of every network that has both, in pictures of the first size."""
    networks = {label.split(",")[0] for label in costs}
    return {
        network: (costs[f"{network}, last"], costs[f"{network}, full"])
        for network in sorted(networks)
        if f"{network}, last" in costs and f"{network}, full" in costs
    }


def _pair_sentence(network: str, last: Cost, full: Cost) -> str:
    kept = full.measured["kept_bytes"] / last.measured["kept_bytes"]
    steps = [min(c.measured["forward_seconds"]) + min(c.measured["backward_seconds"]) for c in (last, full)]
    rest = (full.measured["gradient_bytes"] + full.measured["optimizer_bytes"]) / max(
        1, last.measured["gradient_bytes"] + last.measured["optimizer_bytes"]
    )
    exact = all(c.measured["kept_bytes"] == c.predicted["kept_bytes"] for c in (last, full))
    return (
        f"`{network}`: training the whole keeps {kept:,.0f} times as many bytes for backward as the last layer alone, "
        f"{rest:,.0f} times as many for gradients and Adam, and a step takes {steps[1] / steps[0]:.1f} times as long "
        f"({steps[1]:.1f} against {steps[0]:.1f} s, since forward through the frozen part stays); the bytes kept were "
        f"{'foretold exactly' if exact else 'not foretold exactly'}."
    )


def doubling_section(results: Results) -> Section:
    """What pictures of twice the width and height do, by formula and measured."""
    costs = results.costs(memory.EXPERIMENT)
    labels = {
        trains: [memory.doubled_label(trains, n * memory.HALF_SIDE) for n in (1, 2)] for trains in ("last", "full")
    }
    pairs = {
        f"{memory.DOUBLED}, {trains}": (costs[once], costs[twice])
        for trains, (once, twice) in labels.items()
        if once in costs and twice in costs
    }
    heading = "What doubling the picture does"
    words = Paragraph(
        "Every term of the table above that has $H W$ in it becomes four times as large, and the others stay: "
        "parameters, gradients and Adam know nothing of the picture. What is not quite four times has a part of "
        "fixed size."
    )
    if not pairs:
        return Section(heading, [words, missing([label for some in labels.values() for label in some], "memory")])
    rows, sentences = [], []
    for label, (once, twice) in pairs.items():
        ratios = {
            "parameters": twice.predicted["parameter_bytes"] / once.predicted["parameter_bytes"],
            "forward": twice.predicted["forward_macs"] / once.predicted["forward_macs"],
            "backward": twice.predicted["backward_macs"] / once.predicted["backward_macs"],
            "kept": twice.predicted["kept_bytes"] / once.predicted["kept_bytes"],
            "measured": twice.measured["kept_bytes"] / once.measured["kept_bytes"],
        }
        seconds = [min(c.measured["forward_seconds"]) + min(c.measured["backward_seconds"]) for c in (once, twice)]
        peaks = [c.measured["peak_bytes"] for c in (once, twice)]
        peak = f"×{peaks[1] / peaks[0]:.2f}" if all(peaks) else "not known"
        rows.append([label, *(f"×{ratio:.4f}" for ratio in ratios.values()), peak, f"×{seconds[1] / seconds[0]:.2f}"])
        sentences.append(
            f"`{label}`: bytes kept ×{ratios['measured']:.3f} measured (×{ratios['kept']:.3f} foretold), multiply-adds "
            f"×{ratios['forward']:.3f} forward, parameters ×{ratios['parameters']:.0f}, seconds "
            f"×{seconds[1] / seconds[0]:.1f}."
        )
    headings = ["trained", "parameters", "forward", "backward", "kept", "kept, measured", "peak, measured", "seconds"]
    return Section(
        heading,
        [
            words,
            answer(sentences),
            TableBlock(
                Table(headings, rows),
                f"Pictures of {memory.HALF_SIDE} × {memory.HALF_SIDE} doubled in width and height",
            ),
        ],
    )
