"""What fine-tuning costs: the last layer alone, a leak, the head and the whole network, predicted and measured.

    python benchmarks/finetuning.py --out docs/results

Needs no weights and no data: costs do not depend on values, so networks and pictures are random. Predictions are those
of `pixelwise.fine_tuning`, made without running the network; beside them stands what real steps kept, how much memory
they took at most and how long they took, each in a process of its own. Writes finetuning.md and finetuning.csv. --quick
tries it out on one small network.
"""

import argparse
import csv
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sympy
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.accounting.equal_layers import EQUAL_LAYERS
from pixelwise.accounting.finetuning import fine_tuning
from pixelwise.accounting.measure import measured
from pixelwise.accounting.subject import subject_of
from pixelwise.environment import environment
from pixelwise.features import FeatureCache
from pixelwise.files import write_text
from pixelwise.freeze import freeze, prefixes_of
from pixelwise.models.conv import MyConv2d
from pixelwise.models.pretrained import PRETRAINED
from pixelwise.models.segmenter import Features, Segmenter
from pixelwise.report.cost_math import latex_formula
from pixelwise.report.tables import Table

# Rows and columns of the pictures, pictures a step.
NETWORKS = {
    "unet": (32, 100),
    "deeplabv3_mobilenet_v3_large": (224, 4),
    "hypercolumn_efficientnet_lite0": (224, 4),
    "deeplabv3_resnet50": (224, 4),
    "deeplabv3_resnet101": (224, 4),
}
DOUBLED = {"unet": (64, 100), "deeplabv3_mobilenet_v3_large": (448, 4)}
CACHED = {"deeplabv3_resnet50": 224, "hypercolumn_efficientnet_lite0": 256, "deeplabv3_mobilenet_v3_large": 256}
QUICK = {"deeplabv3_mobilenet_v3_large": (64, 4)}
CLASSES = 2
BATCH = 4  # pictures whose features are cached
CACHED_TIMES = 20  # steps on cached features that are timed; each is a few milliseconds
PREDICTED = ("parameters", "forward_macs", "backward_macs", "kept_bytes", "gradient_bytes", "adam_bytes", "peak_bytes")
EXPECTED = """Each layer has k² C² + C parameters and C channels on H × W pixels; B pictures a step. Backward has two
products a layer, each as dear as forward: for the weights' gradient, where they are trained, and for the gradient of
the input, where something before it is trained; the first trained layer needs no such one. So the whole network
computes (3n - 1) times a layer's product in a step, the last layer (n + 1) times, not even three times less, since the
frozen trunk still runs. On cached features 2 are left. A frozen convolution that backward passes through keeps its
input all the same: torch does not leave it out."""

Row = dict[str, Any]  # one line of the CSV file by column: what should be, and what was where it was measured


def modes_of(network: str) -> dict[str, tuple[str, ...]]:
    """What is trained, by mode; the second is the leak: the first BatchNorm besides the last layer."""
    model = build(network)
    first = next(name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d))
    head = {"head": ("head",)} if isinstance(model, Segmenter) and model.head_prefixes else {}
    return {"last": ("last",), f"last + {first}": ("last", f"{first}."), **head, "full": ("full",)}


def build(network: str) -> nn.Module:
    subject = subject_of(network, {})
    return subject.build(subject.widths).network


def pictures(side: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A batch of noise, 0 to 255, and true classes."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (BATCH, 3, side, side), generator=generator, dtype=torch.uint8)
    return pixels, torch.randint(CLASSES, (BATCH, side, side), generator=generator)


def timed(action: Callable[[], object], times: int, warm: int = 1) -> Row:
    """Seconds of each time, by the clock and of the processor, after some that are not counted."""
    found = []
    for _ in range(warm + times):
        started = time.perf_counter(), time.process_time()
        action()
        found.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    clock, processor = zip(*found[warm:], strict=True)
    return {"n": times, "clock_seconds": clock, "processor_seconds": processor}


def least(row: Row) -> float:
    return min(row["processor_seconds"])


def text(row: Row, scale: float = 1, digits: int = 2) -> str:
    """Least and median of the processor; least by the clock."""
    values = least(row), statistics.median(row["processor_seconds"]), min(row["clock_seconds"])
    return "{:.{d}f} / {:.{d}f}; {:.{d}f}".format(*(scale * v for v in values), d=digits)


def seconds(row: Row, phase: str) -> float:
    return statistics.median(row[f"{phase}_seconds"])


def steps_of(network: str, side: int, batch: int, times: int, threads: int) -> list[Row]:
    """All modes of a network, predicted and measured."""
    rows = []
    for mode, trains in modes_of(network).items():
        c = fine_tuning(network, trains, batch, (side, side))
        assert c.peak is not None
        r = measured(c, times=times, threads=threads)
        values = c.trainable, c.forward.value, c.backward.value, c.kept.value, c.gradient_bytes, c.optimizer_bytes
        row = {"network": network, "trained": mode, "side": side, "batch": batch, "starts_at": c.starts_at}
        row |= dict(zip(PREDICTED, (*values, c.peak.bytes), strict=True)) | {"n": times}
        row |= {"kept_measured": r.kept_bytes, "gradients_measured": r.gradient_bytes}
        row |= {"adam_measured": r.optimizer_bytes, "peak_measured": r.peak_bytes}
        row |= {"forward_seconds": r.forward_seconds, "backward_seconds": r.backward_seconds}
        rows.append(row)
        off = f"kept {r.kept_bytes - c.kept.value:+,} bytes, peak {percent(row):+.1f} %"
        print(f"{network} {side}x{side} {mode}: {off}", file=sys.stderr, flush=True)
    return rows


def percent(row: Row) -> float:
    """How far the highest memory that was measured lies from the predicted one."""
    return 100 * (row["peak_measured"] / row["peak_bytes"] - 1)


def cached_steps(network: str, side: int, times: int) -> list[Row]:
    """Steps of the last layer with the trunk run each time, with features from disk, and with features in memory."""
    torch.manual_seed(0)
    model = PRETRAINED[network].untrained(CLASSES)
    freeze(model, prefixes_of(model, "last"))
    (pixels, truth), optimizer = pictures(side), torch.optim.Adam(model.last.parameters())
    look = torch.no_grad()(model.features)

    def train(features: Features) -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model.answer(features, (side, side)), truth).backward()
        optimizer.step()

    with tempfile.TemporaryDirectory() as folder:
        cache = FeatureCache(model, "float16", Path(folder))
        list(cache.fill(pictures(side, seed=1)[0]))  # others, to warm up
        ways = {"filling": timed(lambda: list(cache.fill(pixels)), 1, warm=0)}
        features = cache.read(pixels)
        ways["trunk each step"] = timed(lambda: train(look(pixels.float() / 255)), times)
        ways["features from disk"] = timed(lambda: train(cache.read(pixels)), CACHED_TIMES)
        ways["features in memory"] = timed(lambda: train(features), CACHED_TIMES)
        size = max(path.stat().st_size for path in cache.folder.glob("*.safetensors"))
    own = {"network": network, "side": side, "file_bytes": size}
    rows = [{**own, "trained": f"last; {way}", **found} for way, found in ways.items()]
    print(f"{network} {side}x{side} on features: {', '.join(text(row, 1000) for row in rows)} ms", file=sys.stderr)
    return rows


def cost_table(rows: Sequence[Row]) -> str:
    """One network's modes: predicted, then measured."""
    headings = ["trained", "parameters", "backward starts at", "forward GMAC", "backward GMAC", "gradients, Adam MiB"]
    headings += ["kept MiB", "kept, measured less predicted", "peak MiB", "peak measured", "off"]
    headings += [f"seconds forward, backward (n {rows[0]['n']})"]
    lines = []
    for r in rows:
        macs = f"{r['forward_macs'] / 1e9:.3f}", f"{r['backward_macs'] / 1e9:.4f}"
        learnt = f"{(r['gradient_bytes'] + r['adam_bytes']) / 2**20:.2f}"
        kept = f"{r['kept_bytes'] / 2**20:.3f}", f"{r['kept_measured'] - r['kept_bytes']:+,} bytes"
        peaks = f"{r['peak_bytes'] / 2**20:,.0f}", f"{r['peak_measured'] / 2**20:,.0f}", f"{percent(r):+.1f} %"
        took = f"{seconds(r, 'forward'):.2f}, {seconds(r, 'backward'):.2f}"
        lines.append([r["trained"], f"{r['parameters']:,}", r["starts_at"], *macs, learnt, *kept, *peaks, took])
    return Table(headings, lines).markdown()


def doubled_table(small: Sequence[Row], large: Sequence[Row]) -> str:
    """How many times each quantity grows."""
    headings = ["network", "trained", "parameters, gradients, Adam", "forward", "backward", "kept", "kept, measured"]
    headings += ["peak", "peak, measured", "seconds forward, backward"]
    lines = []
    for one, two in zip(small, large, strict=True):
        names = (*PREDICTED[:4], "kept_measured", "peak_bytes", "peak_measured")
        ratios = [f"×{two[name] / one[name]:.5f}" for name in names]
        took = ", ".join(f"×{seconds(two, phase) / seconds(one, phase):.2f}" for phase in ("forward", "backward"))
        lines.append([one["network"], one["trained"], *ratios, took])
    return Table(headings, lines).markdown()


def equal_layers_table() -> str:
    """N equal layers, as formulas."""
    headings = ["trained", "parameters", "gradients (bytes)", "Adam (bytes)", "kept (bytes)", "forward", "backward"]
    lines = []
    for name, terms in EQUAL_LAYERS.items():
        lines.append([name, *(f"${latex_formula(sympy.factor(term))}$" for term in vars(terms).values())])
    growth = EQUAL_LAYERS["whole network"].doubled()
    lines.append(["width and height doubled", *(f"×{ratio}" for ratio in growth.values())])
    return Table(headings, lines).markdown()


def cached_table(rows: Sequence[Row]) -> str:
    """Milliseconds a step, and how many times quicker."""
    headings = (
        "network|pictures|(a) trunk each step|(b) from disk|(c) in memory|a / b|a / c|b / c|KiB a picture|filling"
    )
    lines = []
    for some in zip(*[iter(rows)] * 4, strict=True):
        _, a, b, c = map(least, some)
        fill, *ms = (text(row, 1000, 1) for row in some)
        ratios = [f"{a / b:.1f}", f"{a / c:.1f}", f"{b / c:.1f}", f"{some[0]['file_bytes'] / 1024:.0f}"]
        lines.append([some[0]["network"], f"{some[0]['side']}x{some[0]['side']}", *ms, *ratios, fill])
    return Table(headings.split("|"), lines).markdown()


def compared(rows: Sequence[Row]) -> str:
    """What was found for one network beside what n equal layers would give."""
    last, leak, full = rows[0], rows[1], rows[-1]
    n = sum(isinstance(module, nn.Conv2d | MyConv2d) for module in build(last["network"]).modules())
    whole, leaked = ({name: r[name] / to[name] for name in PREDICTED} for r, to in ((full, last), (leak, full)))
    took = {r["trained"]: seconds(r, "forward") + seconds(r, "backward") for r in rows}
    return (
        f"Whole network against last layer: kept ×{whole['kept_bytes']:.0f}, gradients and Adam "
        f"×{whole['parameters']:,.0f}, forward ×{whole['forward_macs']:.0f}, backward ×{whole['backward_macs']:,.0f}, "
        f"peak ×{whole['peak_bytes']:.1f}, seconds ×{took['full'] / took['last']:.2f}. Its {n} convolutions, were they "
        f"equal layers, would give ×{n}, ×{n}, ×1, ×{2 * n - 1}; they are far from equal. With "
        f"{leak['parameters'] - last['parameters']} parameters more, {leak['trained']} keeps "
        f"{leaked['kept_bytes']:.1%} of what the whole network keeps, computes {leaked['backward_macs']:.1%} of its "
        f"backward and takes {took[leak['trained']] / took['full']:.0%} of its seconds."
    )


def markdown(small: Sequence[Row], large: Sequence[Row], cached: Sequence[Row], made: str) -> str:
    """The page."""
    rows = [*small, *large]
    names = (("kept_measured", "kept_bytes"), ("gradients_measured", "gradient_bytes"), ("adam_measured", "adam_bytes"))
    exact = sum(all(r[a] == r[b] for a, b in names) for r in rows)
    worst = max(abs(percent(r)) for r in rows)
    lines = [
        *("# What fine-tuning costs, predicted and measured", ""),
        f"A step is forward, cross-entropy at full resolution, backward and Adam, for {CLASSES} classes (24 colours in "
        "unet), in float32 on a CPU, with random weights and pictures. Predictions need no run "
        "(`pixelwise account MODEL --finetune last`). GMAC are 10^9 multiply-adds. Kept is what autograd holds for "
        "backward, each storage once, without parameters and buffers. Peak is the highest memory of a step with all "
        "that: measured, the process's resident size less what it needed without the network. Each row "
        "was measured in a process of its own; seconds are medians by the clock.",
        "",
        f"**Kept, gradients and Adam are exact to the byte in {exact} of {len(rows)} rows; the peak is off by at most "
        f"{worst:.1f} %.**",
        *("", made, "", "## What to expect: n equal layers", "", equal_layers_table()),
        EXPECTED,
        *("", "## One step", ""),
    ]
    for network in dict.fromkeys(row["network"] for row in small):
        some = [row for row in small if row["network"] == network]
        size = f"{some[0]['batch']} pictures of {some[0]['side']}x{some[0]['side']}"
        lines += [f"### {network}, {size}", "", cost_table(some), compared(some), ""]
    same = [row for row in small if row["network"] in {r["network"] for r in large}]
    lines += [
        *("## Width and height doubled", ""),
        "How many times as much as above. What is not quite ×4 has a part of fixed size: the branch of DeepLab's head "
        "that sees the whole picture as one pixel, BatchNorm's statistics; or sizes that do not halve evenly.",
        *("", doubled_table(sorted(same, key=order_of(large)), large), "## The last layer on cached features", ""),
        f"Milliseconds a step of {BATCH} pictures, n {cached[1]['n']} for (a), {CACHED_TIMES} for (b) and (c): least / "
        "median of the processor; least by the clock; one thread. (a) runs the frozen trunk under no_grad each time; "
        "(b) reads features, in float16, from files, which the system still has in memory; (c) has them, in float32. "
        f"Filling, n 1, makes and writes {BATCH} pictures' features, BatchNorm folded.",
        *("", cached_table(cached)),
    ]
    return "\n".join(lines)


def order_of(rows: Sequence[Row]) -> Callable[[Row], int]:
    """The place of a row's network and mode among others."""
    places = [(row["network"], row["trained"]) for row in rows]
    return lambda row: places.index((row["network"], row["trained"]))


def csv_of(rows: Sequence[Row]) -> str:
    """Every number, in bytes, multiply-adds and seconds."""
    written = io.StringIO()
    writer = csv.DictWriter(written, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: " ".join(f"{s:.5f}" for s in v) if k.endswith("_seconds") else v for k, v in row.items()})
    return written.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one small network, each step timed once, to try it out")
    given = parser.parse_args()
    e = {"command": " ".join(["python benchmarks/finetuning.py", *sys.argv[1:]]), **environment()}
    networks, doubled, times = (QUICK, {}, 1) if given.quick else (NETWORKS, DOUBLED, 3)
    small = [row for name, how in networks.items() for row in steps_of(name, *how, times, given.threads)]
    large = [row for name, how in doubled.items() for row in steps_of(name, *how, times, given.threads)]
    torch.set_num_threads(1)
    cached = [row for name, side in CACHED.items() for row in cached_steps(name, side, times)]
    made = (
        f"Made by `{e['command']}` on {e['started'][:10]}: {e['processor']}, {given.threads} of {e['cores']} cores, "
        f"Python {e['python']}, torch {e['torch']}, pixelwise {e['pixelwise']} at {e['commit']}."
    )
    write_text(given.out / "finetuning.md", markdown(small, large, cached, made))
    write_text(given.out / "finetuning.csv", csv_of([row | e for row in (*small, *large, *cached)]))


if __name__ == "__main__":
    main()
