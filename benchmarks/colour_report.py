"""The page and the two CSV files of benchmarks/colour.py, from what was measured."""

import csv
import io
import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from colour_measures import METRICS, Pooled
from pixelwise.report.tables import Table

if TYPE_CHECKING:
    from colour import Part, Result

CLASS_COLUMNS = {
    "cross_entropy": "cross-entropy",
    "below_entropy": "below class entropy",
    "accuracy": "top-1",
    "accuracy_top5": "top-5",
    "balanced_accuracy": "balanced",
    "calibration_error": "calibration error",
}
LOOK_COLUMNS = {
    "psnr": "PSNR (dB)",
    "psnr_pooled": "pooled",
    "ciede2000": "CIEDE2000",
    "ciede2000_median": "median",
    "ciede2000_p95": "95 %",
    "colourfulness": "colourfulness",
    "colourfulness_gap_of_means": "its gap, of means",
    "colourfulness_mean_gap": "its gap, mean",
    "light_change": "lightness, 1/255",
    "milliseconds": "ms",
}
KIND_COLUMNS = {
    "psnr": "PSNR (dB)",
    "above_grey": "PSNR above grey",
    "ciede2000": "CIEDE2000",
    "below_grey": "CIEDE2000 below grey",
    "cross_entropy": "cross-entropy",
    "below_entropy": "below class entropy",
    "colourfulness": "colourfulness",
    "colourfulness_truth": "the truth's",
}
KINDS = {"all": "All", "bsds_": "Berkeley 500 (bsds_)", "n": "ImageNet classes (n)"}
MEANINGS = """Cross-entropy in nats a pixel; "below class entropy": the entropy of the classes in the training
pictures less that. Top-1, top-5 and balanced accuracy (mean recall of the classes that occur) are of the true class.
Calibration error: expected calibration error of the likeliest class's confidence, 15 bins. These are over all pixels
pooled; a photograph's pixels answer as their cells do, corrected by their own light. PSNR is the mean over pictures,
"pooled" that of all pixels at once. CIEDE2000 is the mean over pictures of the mean over pixels; median and 95 % are
quantiles of all pixels pooled, to 0.01. Colourfulness (Hasler and Süsstrunk, signed channels) is the mean over
pictures; its gap to the truth once as the difference of means, once as the mean of differences. Lightness: the
greatest change of OKLab's L of any pixel, in 1/255; for the grey picture it is what rounding to a grey byte costs
near black. ms: of one picture from opened to painted, median. The grey picture, the true single tint (the picture's
own mean chroma everywhere) and the palette ceiling (the nearest class of every pixel) have no probabilities."""

HOW = """The networks were trained on training pictures alone and kept at their best epoch on validation pictures.
Photographs are split by content, 50 of the Berkeley 500 and 100 of ImageNet's classes for test. "Carried" is the
colourizer in the package, which learnt from the training photographs. Networks and table are painted with vividness
0.7 unless another is named, the majority with the mean. Every picture's numbers are in colour_pictures.csv."""


def rounded(value: float) -> str:
    """Four significant figures; nothing for what was not measured."""
    if math.isnan(value):
        return ""
    if value == 0:
        return "0"
    kept = round(value, 3 - math.floor(math.log10(abs(value))))
    return f"{kept:.{max(0, 3 - math.floor(math.log10(abs(kept))))}f}"


def spread(values: Sequence[float]) -> str:
    """Mean and sample standard deviation over seeds."""
    mean = rounded(statistics.fmean(values))
    if min(values) == max(values) or math.isnan(values[0]):  # one seed, or nothing that depends on seeds
        return mean
    return f"{mean} ± {statistics.stdev(values):.2g}"


def by_row(part: "Part", kind: str) -> dict[str, list["Result"]]:
    """The results of one kind, seeds of one row together."""
    found: dict[str, list[Result]] = {}
    for result in part.results:
        if result.kind == kind:
            found.setdefault(result.row.name, []).append(result)
    return found


def with_differences(results: Sequence["Result"], grey: Mapping[str, float]) -> list[dict[str, float]]:
    """Each seed's summary, with what is won over the grey picture."""
    summaries = [result.summary() for result in results]
    return [
        {**s, "above_grey": s["psnr"] - grey["psnr"], "below_grey": grey["ciede2000"] - s["ciede2000"]}
        for s in summaries
    ]


def table_of(part: "Part", kind: str, columns: Mapping[str, str]) -> Table:
    """Rows down, metrics across; rows that have none of these are left out."""
    found = by_row(part, kind)
    grey = found["grey"][0].summary()
    lines = []
    for name, results in found.items():
        summaries = with_differences(results, grey)
        cells = [spread([s[column] for s in summaries]) for column in columns]
        if any(cells):
            lines.append([f"{name} (n = {len(results)} seeds)" if len(results) > 1 else name, *cells])
    return Table(["", *columns.values()], lines)


def doubt_table(part: "Part") -> str:
    """How true the map of uncertainty is: for each network, ten bins of its doubt against the error that was made."""
    together: dict[str, list[Result]] = {
        name: results for name, results in by_row(part, "all").items() if results[0].pooled.moments[0]
    }
    lines = []
    for name, results in together.items():
        pooled = Pooled(len(results[0].row.palette))
        for result in results:
            pooled.include(result.pooled)
        bins = pooled.doubt_table()
        lines.append([f"{name}: expected", *(rounded(expected) for expected, _ in bins), ""])
        correlation = spread([result.pooled.doubt_correlation for result in results])
        lines.append([f"{name}: made", *(rounded(made) for _, made in bins), correlation])
    width = max(len(line) for line in lines) - 2
    lines = [[*line[:-1], *[""] * (width + 2 - len(line)), line[-1]] for line in lines]
    return Table(["", *map(str, range(1, width + 1)), "correlation"], lines).markdown()


def dials_table(part: "Part") -> str:
    """What the dials cost and give."""
    lines = [[f"vividness {d.vividness:g}, rare {d.rare:g}", *(rounded(v[name]) for name in v)] for d, v in part.dials]
    return Table(["dials", "PSNR (dB)", "CIEDE2000", "colourfulness", "the truth's"], lines).markdown()


def section(part: "Part") -> str:
    """One half of the page."""
    first = part.results[0]
    kinds = list(dict.fromkeys(result.kind for result in part.results))
    seeds = sorted({r.row.seed for r in part.results if r.row.seed is not None})
    lines = [
        f"## {part.title}",
        "",
        wrapped(
            f"{len(first.pictures):,} test pictures, {first.pooled.pixels:,} pixels; mean ± sample standard deviation "
            f"over the seeds {', '.join(map(str, seeds))}, which share a palette. The classes' entropy in the training "
            f"pictures is {rounded(first.row.entropy)} nats; the pictures' own colourfulness "
            f"{rounded(first.summary()['colourfulness_truth'])}."
        ),
        "",
        table_of(part, "all", CLASS_COLUMNS).markdown(),
        table_of(part, "all", LOOK_COLUMNS).markdown(),
    ]
    for kind in kinds if len(kinds) > 1 else []:
        count = len(by_row(part, kind)["grey"][0].pictures)
        lines += [f"### {KINDS.get(kind, kind)}: {count} pictures", "", table_of(part, kind, KIND_COLUMNS).markdown()]
    lines += [
        "### How true the map of uncertainty is",
        "",
        wrapped(
            "Root mean square error of a pixel's chroma in OKLab, as it was expected and as it was made, in ten bins "
            "of equally many pixels from the surest to the most doubtful (all seeds together), and Pearson's "
            "correlation of the two over single pixels."
        ),
        "",
        doubt_table(part),
        "### Dials",
        "",
        f"{part.dials_of}, on {part.dialled:,} validation pictures; means over pictures.",
        "",
        dials_table(part),
        wrapped(f"Trained with {part.settings}."),
        "",
        wrapped("SHA-256: " + "; ".join(f"{name} {value[:12]}…" for name, value in part.facts.items()) + "."),
        "",
    ]
    return "\n".join(lines)


def page(parts: Sequence["Part"], command: str, machine: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    sections = "\n".join(section(part) for part in parts)
    made = (
        f"Made by `{command}` on {machine['started'][:10]}: {machine['processor']}, {machine['threads']} threads, "
        f"Python {machine['python']}, torch {machine['torch']}, pixelwise {machine['pixelwise']} at "
        f"{machine['commit'] or 'unknown'}."
    )
    return "\n\n".join(["# Colour: horses and photographs", wrapped(made), wrapped(MEANINGS), wrapped(HOW), sections])


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 120 letters."""
    return textwrap.fill(" ".join(text.split()), 120, break_on_hyphens=False, break_long_words=False)


def summary_csv(parts: Sequence["Part"]) -> str:
    """One line for each part, kind, row and seed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    more = ["below_entropy", "above_grey", "below_grey"]
    writer.writerow(["part", "kind", "row", "seed", "pictures", "pixels", *METRICS, *more])
    for part in parts:
        for kind in dict.fromkeys(result.kind for result in part.results):
            found = by_row(part, kind)
            grey = found["grey"][0].summary()
            for name, results in found.items():
                for result, values in zip(results, with_differences(results, grey), strict=True):
                    own = [part.name, kind, name, _seed(result), len(result.pictures), result.pooled.pixels]
                    writer.writerow([*own, *(rounded(values[m]) for m in (*METRICS, *more))])
    return text.getvalue()


def pictures_csv(parts: Sequence["Part"]) -> str:
    """One line for each part, row, seed and picture."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    own = [name for name in METRICS if name not in ("psnr_pooled", "colourfulness_gap_of_means")]  # of many pictures
    writer.writerow(["part", "row", "seed", "picture", *own])
    for part in parts:
        for result in (result for result in part.results if result.kind == "all"):
            for name, values in zip(result.names, result.pictures, strict=True):
                numbers = [rounded(values[metric]) for metric in own]
                writer.writerow([part.name, result.row.name, _seed(result), name, *numbers])
    return text.getvalue()


def _seed(result: "Result") -> str:
    return "" if result.row.seed is None else str(result.row.seed)
