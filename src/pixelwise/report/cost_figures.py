"""Where weights, outputs and connections are: three panels of bars, a row for each layer or group of layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..accounting.account import WHAT, Account
from ..errors import BadSetting
from ..files import replacing
from .figures import BLUE, DPI, ORANGE

MOST_BARS = 25
KINDS = ("png", "pdf", "svg")
LONGEST_NAME = 28  # letters
GREEN = "#009E73"  # of Okabe and Ito's set too
COLOURS = dict(zip(WHAT, (BLUE, ORANGE, GREEN), strict=True))
LIT = dict(zip(WHAT, ("#56B4E9", "#E69F00", "#2FBF97"), strict=True))  # the same on dark paper


@dataclass(frozen=True)
class Ink:
    """Colours of a drawing on light or dark paper."""

    paper: str
    text: str
    grid: str
    bars: Mapping[str, str]


LIGHT = Ink("#ffffff", "#1c1f24", "#dfe3e8", COLOURS)
DARK = Ink("#1b1e23", "#e6e8eb", "#3a3f47", LIT)


def cost_bars(account: Account, dark: bool = False) -> Figure:
    """What share of the weights, outputs and connections each layer has, or each group of layers of a large network.

    Args:
        account: what a network costs.
        dark: draw for dark paper.
    """
    groups = grouped(account)
    ink = DARK if dark else LIGHT
    figure = Figure(figsize=(11, 1.2 + 0.27 * len(groups)), layout="constrained", facecolor=ink.paper)
    panels = figure.subplots(1, len(WHAT), sharey=True, sharex=True, squeeze=False)[0]
    for what, axes in zip(WHAT, panels, strict=True):
        total = account.totals[what].value
        shares = {name: 100 * counts[what] / total if total else 0.0 for name, counts in groups.items()}
        _bars(axes, shares, ink.bars[what], ink)
        axes.set_title(f"{total:,} {what}", fontsize=11, color=ink.text, pad=10)
        axes.set_xlabel(f"share of all {what} (%)", color=ink.text)
    whole = len(groups) == len(account.rows)
    panels[0].set_ylabel("layer" if whole else "layers, by the beginning of their names", color=ink.text)
    panels[0].set_yticks(range(len(groups)), [_short(name) for name in groups], fontsize=9)
    panels[0].set_ylim(len(groups) - 0.4, -0.6)
    return figure


def save_bars(account: Account, path: Path) -> None:
    """Write the picture, whole or not at all, as the end of the path says: PNG, PDF or SVG.

    Raises:
        BadSetting: it says something else.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise BadSetting(f"{path} cannot be drawn; expected a name that ends in .{', .'.join(KINDS)}")
    with replacing(path) as beside:
        cost_bars(account).savefig(beside, dpi=DPI, format=kind)


def bars_in_words(account: Account) -> str:
    """What the picture shows, for those who cannot see it."""
    groups = grouped(account)
    most = []
    for what in WHAT:
        total = account.totals[what].value
        name = max(groups, key=lambda name: groups[name][what], default="")
        if total:
            most.append(f"{groups[name][what] / total:.0%} of the {what} in {name}")
    return f"Bars of where weights, outputs and connections are; the most: {', '.join(most) or 'none anywhere'}"


def grouped(account: Account, most: int = MOST_BARS) -> dict[str, dict[str, int]]:
    """Weights, outputs and connections of each layer, or of groups whose names begin alike, as fine as there is room.

    Where even the first parts of the names are too many, the smallest groups become one.
    """
    depths = range(max((row.name.count(".") for row in account.rows), default=0), -1, -1)
    for depth in depths:
        groups: dict[str, dict[str, int]] = {}
        for row in account.rows:
            name = ".".join(row.name.split(".")[: depth + 1])
            sums = groups.setdefault(name, dict.fromkeys(WHAT, 0))
            for what in WHAT:
                sums[what] += row.counts[what].value
        if len(groups) <= most:
            return groups
    return _with_others(account, groups, most)


def _with_others(account: Account, groups: dict[str, dict[str, int]], most: int) -> dict[str, dict[str, int]]:
    def largest_share(name: str) -> float:
        return max(groups[name][what] / max(1, account.totals[what].value) for what in WHAT)

    large = set(sorted(groups, key=largest_share, reverse=True)[: most - 1])
    small = [name for name in groups if name not in large]
    others = {what: sum(groups[name][what] for name in small) for what in WHAT}
    return {**{name: groups[name] for name in groups if name in large}, f"{len(small)} others": others}


def _bars(axes: Axes, shares: Mapping[str, float], colour: str, ink: Ink) -> None:
    places = range(len(shares))
    axes.barh(places, list(shares.values()), color=colour, height=0.7)
    for place, share in zip(places, shares.values(), strict=True):
        if share:
            said = f"{share:.1f}" if share >= 0.05 else "<0.1"
            axes.annotate(
                said, (share, place), (4, 0), textcoords="offset points", va="center", fontsize=8, color=ink.text
            )
    axes.margins(x=0.16)
    axes.set_facecolor(ink.paper)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=ink.grid, linewidth=0.8)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(ink.grid)
    axes.tick_params(colors=ink.text, length=0)


def _short(name: str) -> str:
    """A name with its middle left out, if it is long: both ends tell layers apart."""
    half = (LONGEST_NAME - 1) // 2
    shown = name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"
    return shown.replace("$", r"\$")  # matplotlib reads formulas between dollars
