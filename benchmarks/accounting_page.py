"""The page that accounting.py writes: who is right, where each differs and why, seconds and memory."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from accounting_cases import CASES
from accounting_causes import CAUSES
from accounting_networks import NC, NETWORKS, PUBLISHED, formulas_agree
from accounting_tools import WAYS, others
from pixelwise.report.tables import Table

Row = dict[str, Any]
Rows = Sequence[Row]
TOOLS = tuple(dict.fromkeys(way.tool for way in WAYS.values()))
HEADINGS = {"fvcore": "fvcore / products", "ptflops": "ptflops / aten", "FlopCounterMode": "FlopCounterMode / meta"}

WHAT = """**The truth** is one multiply-add for each product of a value with a weight, or of two values, in the
definition of a convolution, a linear layer, a matrix product or attention: zeros around the picture included, biases
not. For the small networks it is written out by hand; for the project's own by hand and by a count of each
convolution that runs (weights of a filter times values it makes), for `cnn` by the exercise's polynomials too; for
torchvision's by that count and the published figures, which all agree with it to their last digit. Parameters are all
numbers in parameters, each once. FlopCounterMode's operations are halved: it says two for each multiply-add. The
others say multiply-adds, whatever they call them; of calflops its MACs are taken.

✓ is the truth exactly. Of two values in a cell, the second is the tool's other setting: fvcore's operators that are
products, ptflops's backend aten, FlopCounterMode on the meta device instead of a CPU (both under `no_grad`). Letters
are [causes](#why-they-differ); † marks where the tool itself says that something is left out."""


def page(rows: Rows, times: Rows, e: Mapping[str, Any]) -> str:
    """All of it, as Markdown."""
    made = (
        f"Made by `{e['command']}` on {e['started'][:10]}: {e['processor']}, {e['cores']} cores, {e['system']}; "
        f"{others()}; pixelwise at {e['commit']}."
    )
    small, whole = parted(rows)
    lines = [
        *("# What a network costs: five tools, pixelwise and the truth", "", lead(rows), "", overview(rows)),
        "Exactly right about the multiply-adds, and right but for the biases (cause a).",
        *("", made, ""),
        "To run it again, in a virtual environment of its own: `pip install -e . torchinfo fvcore ptflops calflops "
        "transformers`, then the command above. Every number is in [accounting.csv](accounting.csv).",
        *("", "## What is counted", "", WHAT, "", "## Small networks, each with one difficulty", ""),
        "Multiply-adds of one answer; the code is in `benchmarks/accounting_cases.py`.",
        *("", small_table(small), "## Whole networks", ""),
        f"k 3, NC {NC}, NF 32, for residual_unet NF 24 and two passes, at 32x32; torchvision's with 21 classes "
        "and auxiliary heads at 520x520. Multiply-adds, and how far off:",
        *("", whole_table(whole)),
        parameters_text(whole),
        *(
            "",
            "Outputs of convolutions, which fvcore calls activations; torchinfo says bytes, times two for gradients:",
        ),
        *("", outputs_table(whole), "## Why they differ", ""),
        *(causes_table(rows), explained(rows), "", "## Seconds and memory", ""),
        times_table(times) if times else "Not measured.\n",
    ]
    return "\n".join(lines)


def of(rows: Rows, network: str, what: str) -> dict[str, Row]:
    """One quantity of one network, by way."""
    return {r["way"]: r for r in rows if r["network"] == network and r["quantity"] == what}


def right(row: Row) -> bool:
    return "error" not in row and row["difference"] == 0


def cell(row: Row | None, differences: bool = False) -> str:
    """One tool's number, judged."""
    if row is None:
        return ""
    causes = f" {row['causes']}" if row["causes"] else ""
    if "error" in row:
        return row["error"] if row["error"] == "not installed" else f"fails{causes}"
    if right(row):
        return "✓"
    number = f"{row['difference']:+,}" if differences else f"{row['compared']:,}"
    return number + causes + ("†" if row["left_out"] and "g" in row["causes"] else "")


def cells(found: Mapping[str, Row], differences: bool = False) -> list[str]:
    """One cell for each tool; both of its ways if they differ."""
    line = []
    for tool in TOOLS:
        both = [cell(found.get(name), differences) for name, way in WAYS.items() if way.tool == tool]
        line.append(" / ".join(dict.fromkeys(both)))
    return line


def headings(*first: str) -> list[str]:
    return [*first, *(HEADINGS.get(tool, tool) for tool in TOOLS)]


def small_table(rows: Rows) -> str:
    """A line for each small network, then the parameters where a tool differs."""
    lines = [[name, f"{case.products:,}", *cells(of(rows, name, "products"))] for name, case in CASES.items()]
    for name, case in CASES.items():
        found = of(rows, name, "parameters")
        if not all(map(right, found.values())):
            lines.append([f"parameters: {name}", f"{case.parameters:,}", *cells(found)])
    return Table(headings("network", "truth"), lines).markdown()


def whole_table(rows: Rows) -> str:
    """A line for each whole network, with differences."""
    lines = []
    for name in NETWORKS:
        found = of(rows, name, "products")
        truth = next(iter(found.values()))["truth"]
        lines.append([name, f"{truth:,}", *cells(found, differences=True)])
    return Table(headings("network", "truth"), lines).markdown()


def parameters_text(rows: Rows) -> str:
    found = [r for r in rows if r["quantity"] == "parameters"]
    numbers = {r["network"]: f"{r['truth']:,}" for r in found}
    wrong = [f"{r['way']} says {r['compared']:,} for {r['network']}" for r in found if not right(r)]
    words = "; ".join(wrong) if wrong else "all tools that count them are right"
    return f"Parameters: {', '.join(f'{n} {p}' for n, p in numbers.items())}; {words}. FlopCounterMode counts none."


def outputs_table(rows: Rows) -> str:
    """Outputs by both definitions."""
    lines = []
    for name in NETWORKS:
        alone, every = of(rows, name, "outputs"), of(rows, name, "every output")
        ways = ("fvcore", "torchinfo", "pixelwise")
        found = [cell(alone.get(way), differences=True) for way in ways]
        truth = [f"{every['pixelwise']['truth']:,}", cell(every["pixelwise"])] if "pixelwise" in every else ["", ""]
        lines.append([name, f"{next(iter(alone.values()))['truth']:,}" if alone else "", *found, *truth])
    first = ("network", "truth", "fvcore", "torchinfo", "pixelwise, rows with products")
    return Table([*first, "truth with pooling and enlarging", "pixelwise, as it comes"], lines).markdown()


def causes_table(rows: Rows) -> str:
    """The causes that made a difference here."""
    made = {(letter, WAYS[r["way"]].tool) for r in rows if not right(r) for letter in r["causes"]}
    lines = [list(cause) for cause in CAUSES if cause[:2] in made]
    table = Table(["cause", "tool", "what it does", "where in its source"], lines).markdown()
    return table.replace("---:", "---")  # texts, not numbers


def explained(rows: Rows) -> str:
    """Whether the causes amount to the differences, and in which versions they were read."""
    off = [r for r in rows if not right(r) and r.get("error") != "not installed"]
    judged = [r for r in off if r["network"] in NETWORKS or r["quantity"] != "outputs"]
    strange = [r for r in judged if not ("error" in r and r["causes"]) and r.get("difference") != r.get("explained")]
    named = [f"{r['way']} on {r['network']} ({r['quantity']}: {r.get('error') or r['compared']})" for r in strange]
    old = [
        f"{w.package} {w.read_in}" for w in WAYS.values() if w.read_in and not (w.version or "").startswith(w.read_in)
    ]
    text = f"Of {len(judged)} differences and failures, the causes explain {len(judged) - len(strange)} exactly"
    text += f"; not {', '.join(named)}." if named else ": each cause's formula gives the difference to the last unit."
    return text + (f" They were read in {', '.join(old)}, and other versions ran here." if old else "")


def times_table(times: Rows) -> str:
    """Medians, and the least and the most."""
    lines = []
    for name in dict.fromkeys(r["way"] for r in times):
        runs = [r for r in times if r["way"] == name]
        way = WAYS.get(name)
        label = f"{way.tool}, {way.setting}" if way and way.setting else name
        spreads = [
            spread([r[what] for r in runs], d) for what, d in (("seconds", 1), ("processor seconds", 1), ("MiB", 0))
        ]
        lines.append([label, *spreads])
    load = statistics.median(r["load"] for r in times)
    text = (
        f"{times[0]['network']} with 21 classes and auxiliary head at 520x520: median, least and most of "
        f"{times[-1]['run']} runs, each in a fresh process, after the network was built; the tool's own import counts. "
        "MiB are those that the process held at most, less those of the built network. fvcore, ptflops and calflops "
        "run the network with gradients on, and so hold what backward would need; pixelwise and the meta device run "
        f"nothing. The load of the machine was {load:.1f} (median); processor seconds suffer least from it.\n\n"
    )
    return text + Table(["", "seconds by the clock", "of the processor", "MiB"], lines).markdown()


def spread(values: Sequence[float], digits: int) -> str:
    """Median, and the least and the most."""
    middle, least, most = (f"{v:,.{digits}f}" for v in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def lead(rows: Rows) -> str:
    """The findings, in the numbers of this run."""
    small, whole = parted(rows)
    text = [
        f"{len(CASES)} small networks, each with one difficulty, and {len(NETWORKS)} whole ones. Most differences are "
        "choices: biases, BatchNorm and the like count as multiply-adds or do not. The dangerous ones are products "
        "that a tool does not see and silently counts as 0: functions, `a @ b`, attention, modules of one's own."
    ]
    cnn = of(whole, "cnn", "products").get("ptflops", {"error": ""})
    if "error" not in cnn and not right(cnn):
        text.append(f"So ptflops, as it comes, says {cnn['compared']:,} for `cnn`, which has {cnn['truth']:,}.")
    wrong = [r for r in small if r["way"] == "pixelwise" and r["quantity"] == "products" and not right(r)]
    named = ", ".join(f"“{r['network']}”" for r in wrong)
    says = (
        ", where it fails or says itself what it leaves out"
        if all(r.get("error") or r["left_out"] for r in wrong)
        else ""
    )
    text.append(
        f"pixelwise.account is not right about {named}{says}." if wrong else "pixelwise.account is always right."
    )
    if formulas_agree():
        text.append("It alone gives formulas besides; those of `cnn` are the exercise's polynomials.")
    return " ".join(text)


def parted(rows: Rows) -> tuple[list[Row], list[Row]]:
    """Of small networks, and of whole ones."""
    small = [r for r in rows if r["network"] in CASES]
    return small, [r for r in rows if r["network"] in NETWORKS]


def score(rows: Rows, way: str) -> str:
    """How many networks' multiply-adds a tool has exactly; and how many but for the biases."""
    found = [r for r in rows if r["way"] == way and r["quantity"] == "products"]
    exactly = sum(map(right, found))
    return f"{exactly}, {exactly + sum(not right(r) and r['causes'] == 'a' for r in found)}"


def overview(rows: Rows) -> str:
    """A line for each tool and setting."""
    small, whole = parted(rows)
    lines = []
    for name, way in WAYS.items():
        off = [abs(r["difference"]) / r["truth"] for r in whole if published(r, name)]
        said = [score(small, name), score(whole, name), percent(off)]
        label = f"{way.tool}, {way.setting}" if way.setting else way.tool
        lines.append([label, way.version or "not installed", *(said if way.version else [""] * 3)])
    first = ["tool", "version", f"of {len(CASES)} small", f"of {len(NETWORKS)} whole", "most off on torchvision's"]
    return Table(first, lines).markdown()


def percent(off: Sequence[float]) -> str:
    """The largest."""
    return "" if not off else f"{max(off):.3%}" if max(off) else "0"


def published(row: Row, way: str) -> bool:
    wanted = row["way"] == way and row["network"] in PUBLISHED and row["quantity"] == "products"
    return wanted and "error" not in row
