"""What fine-tuning costs: the last layer alone, the head and the whole network, predicted and measured.

    python benchmarks/finetuning.py --out docs/results

Needs no weights and no data: costs do not depend on values, so networks and pictures are random. Predictions are those
of `pixelwise.backward`, made without running the network; beside them stands what real steps kept and how long they
took. Writes finetuning.md and finetuning.csv. --quick tries it out on one small network, each step timed once.
"""

import argparse
import csv
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from pixelwise.backward import backward_of
from pixelwise.environment import environment
from pixelwise.features import FeatureCache
from pixelwise.files import write_text
from pixelwise.freeze import freeze, prefixes_of
from pixelwise.models.pretrained import PRETRAINED
from pixelwise.models.segmenter import Features, Segmenter
from pixelwise.report.tables import Table

NETWORKS = {"deeplabv3_resnet50": 224, "deeplabv3_resnet101": 224}  # rows and columns of the pictures
CACHED = {"deeplabv3_resnet50": 224, "hypercolumn_efficientnet_lite0": 256, "deeplabv3_mobilenet_v3_large": 256}
QUICK = {"deeplabv3_mobilenet_v3_large": 256}
CLASSES = 2
BATCH = 4  # pictures a step
CACHED_TIMES = 20  # steps on cached features that are timed; each is a few milliseconds
PREDICTED = ("parameters", "forward_macs", "backward_macs", "kept_bytes", "gradient_bytes", "adam_bytes")
EXPECTED = """For a network of n equal layers, each with P parameters, C channels, A bytes of input and F multiply-adds:

| | whole network | last layer | last layer and first BatchNorm | width and height doubled |
| --- | ---: | ---: | ---: | ---: |
| kept for backward | n·A | A | n·A | ×4 |
| gradients | n·P | P | P + 2C | ×1 |
| Adam's moments | 2n·P | 2P | 2P + 4C | ×1 |
| forward | n·F | n·F | n·F | ×4 |
| backward | (2n-1)·F, nearly 2n·F | F | n·F | ×4 |

Backward has two products a layer, each as dear as forward: the weights' gradient, where the layer is trained, and the
gradient with respect to its input, where something before it is trained; the first trained layer needs no such one. So
a step of the whole network computes (3n-1)·F, of the last layer (n+1)·F, not even three times less, since the frozen
trunk still runs. On cached features 2F are left."""

Row = dict[str, Any]  # one line of the CSV file by column: what should be, and what was where it was measured


def modes_of(model: Segmenter) -> dict[str, tuple[str, ...]]:
    """Name prefixes of what is trained, by mode; the second is the leak."""
    first = next(name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d))
    last, head = prefixes_of(model, "last"), prefixes_of(model, "head")
    return {"last": last, f"last + {first}": (*last, f"{first}."), "head": head, "full": prefixes_of(model, "full")}


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
    if "n" not in row:
        return "not measured"
    values = least(row), statistics.median(row["processor_seconds"]), min(row["clock_seconds"])
    return "{:.{d}f} / {:.{d}f}; {:.{d}f}".format(*(scale * v for v in values), d=digits)


def measured(model: Segmenter, side: int, times: int) -> Row:
    """A real step whose bytes are counted, those kept each storage once; then some that are timed."""
    (pixels, truth), learned = pictures(side), [p for p in model.parameters() if p.requires_grad]
    seen, optimizer = pixels.float() / 255, torch.optim.Adam(learned)
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, Tensor] = {}  # by address; alive, so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.detach()
        return tensor.detach()

    def once(counted: bool = False) -> None:
        optimizer.zero_grad(set_to_none=True)
        with saved_tensors_hooks(keep, lambda tensor: tensor) if counted else nullcontext():
            loss = F.cross_entropy(model(seen), truth)
        loss.backward()
        optimizer.step()

    once(counted=True)
    row = {
        "kept_measured": sum(t.untyped_storage().nbytes() for address, t in kept.items() if address not in own),
        "gradients_measured": sum(p.grad.nbytes for p in model.parameters() if p.grad is not None),
        "adam_measured": sum(state[m].nbytes for state in optimizer.state.values() for m in ("exp_avg", "exp_avg_sq")),
    }
    kept.clear()
    return row | timed(once, times, warm=0)


def steps_of(network: str, side: int, times: int, run: Sequence[str]) -> list[Row]:
    """All modes of a network, predicted; and measured where `run` names them, all where it is empty."""
    torch.manual_seed(0)
    model, rows = PRETRAINED[network].untrained(CLASSES), []
    for mode, learned in modes_of(model).items():
        freeze(model, learned)
        model.zero_grad(set_to_none=True)  # another mode's
        c = backward_of(model, BATCH, (side, side))
        assert c is not None, f"{network} cannot be run without numbers"
        values = c.learned, c.forward_macs, c.backward_macs, c.kept_bytes, c.gradient_bytes, c.optimizer_bytes
        row = {"network": network, "trained": mode, "side": side, "starts_at": c.starts_at}
        real = measured(model, side, times) if not run or mode in run else {}
        rows.append(row | dict(zip(PREDICTED, values, strict=True)) | real)
        print(f"{network} {side}x{side} {mode}: {text(rows[-1])}", file=sys.stderr, flush=True)
    return rows


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
    headings = ["trained", "parameters", "backward starts at", "forward GMAC", "backward GMAC", "gradient bytes"]
    headings += ["Adam bytes", "kept MiB", "kept MiB, measured", f"seconds a step (n {rows[0]['n']})"]
    lines = []
    for r in rows:
        macs = f"{r['forward_macs'] / 1e9:.3f}", f"{r['backward_macs'] / 1e9:.4f}"
        mib = (f"{r[name] / 2**20:.3f}" for name in ("kept_bytes", "kept_measured"))
        sizes = f"{r['gradient_bytes']:,}", f"{r['adam_bytes']:,}", *mib
        lines.append([r["trained"], f"{r['parameters']:,}", r["starts_at"], *macs, *sizes, text(r)])
    return Table(headings, lines).markdown()


def doubled_table(small: Sequence[Row], large: Sequence[Row]) -> str:
    """How many times each quantity grows."""
    headings = ["network", "trained", "parameters, gradients, Adam", "forward", "backward", "kept", "kept, measured"]
    headings += ["processor seconds", f"seconds a step (n {large[0]['n']})"]
    lines = []
    for one, two in zip(small, large, strict=True):
        real = "kept_measured" in two
        ratios = [f"×{two[name] / one[name]:.5f}" for name in (*PREDICTED[:4], *["kept_measured"] * real)]
        ratios += [f"×{least(two) / least(one):.2f}"] if real else ["", ""]
        lines.append([one["network"], one["trained"], *ratios, text(two)])
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
    """What was found for one network beside what n equal layers would give, and how good the predictions are."""
    last, leak, _, full = rows
    n = sum(isinstance(module, nn.Conv2d) for module in PRETRAINED[last["network"]].untrained(CLASSES).modules())
    whole, leaked = ({name: r[name] / to[name] for name in PREDICTED} for r, to in ((full, last), (leak, full)))
    loss = BATCH * last["side"] ** 2 * (4 * CLASSES + 8)  # log-probabilities in float32, true classes in int64
    off = ", ".join(f"{r['kept_measured'] - r['kept_bytes']:+,}" for r in rows)
    return (
        f"Whole network against last layer: kept ×{whole['kept_bytes']:.0f}, gradients and Adam "
        f"×{whole['parameters']:,.0f}, forward ×{whole['forward_macs']:.0f}, backward ×{whole['backward_macs']:,.0f}, "
        f"processor seconds ×{least(full) / least(last):.2f}. Its {n} convolutions, were they equal layers, would give "
        f"×{n}, ×{n}, ×1, ×{2 * n - 1} and ×{(3 * n - 1) / (n + 1):.2f}; they are far from equal, the last is tiny. "
        f"Of what the last layer keeps, {loss / last['kept_bytes']:.0%} are the loss's log-probabilities and true "
        f"classes. With {leak['parameters'] - last['parameters']} parameters more, {leak['trained']} keeps "
        f"{leaked['kept_bytes']:.1%} of what the whole network keeps, computes {leaked['backward_macs']:.1%} of its "
        f"backward (equal layers: {n / (2 * n - 1):.1%}) and takes {least(leak) / least(full):.0%} of its processor "
        f"seconds. Bytes kept, measured less predicted, row by row: {off}."
    )


def markdown(small: Sequence[Row], large: Sequence[Row], cached: Sequence[Row], made: str) -> str:
    """The page."""
    side = small[0]["side"]
    same = sum(r["gradients_measured"] == r["gradient_bytes"] and r["adam_measured"] == r["adam_bytes"] for r in small)
    lines = [
        *("# What fine-tuning costs, predicted and measured", ""),
        f"A step is forward, cross-entropy at full resolution, backward and Adam, on {BATCH} pictures and {CLASSES} "
        "classes, in float32 on a CPU, with random weights and pictures. Predictions need no run "
        "(`pixelwise.backward`). GMAC are 10^9 multiply-adds. Kept is what autograd holds for backward, each storage "
        "once, without parameters and buffers. Times are: least / median of the processor; least by the clock. Ratios "
        "are of processor times, which others on the machine change least.",
        *("", made, "", "## What to expect", "", EXPECTED, "", f"## One step at {side}x{side}", ""),
    ]
    for network in dict.fromkeys(row["network"] for row in small):
        some = [row for row in small if row["network"] == network]
        lines += [f"### {network}", "", cost_table(some), compared(some), ""]
    lines += [
        f"Gradients and Adam's moments, measured, are the predicted bytes in {same} of {len(small)} rows. Where frozen "
        "BatchNorm is passed through, two numbers a channel are predicted that this CPU does not keep.",
        *("", f"## Doubled to {2 * side}x{2 * side}", ""),
        "How many times as much as above. What is not quite ×4 has a part of fixed size: the branch of DeepLab's head "
        "that sees the whole picture as one pixel, BatchNorm's statistics.",
        *("", doubled_table(small, large), "## The last layer on cached features", ""),
        f"Milliseconds a step, n {cached[1]['n']} for (a), {CACHED_TIMES} for (b) and (c). (a) runs the frozen trunk "
        "under no_grad each time; (b) reads features, in float16, from files, which the system still has in memory; "
        f"(c) has them, in float32. Filling, n 1, makes and writes {BATCH} pictures' features, BatchNorm folded.",
        *("", cached_table(cached)),
    ]
    return "\n".join(lines)


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
    parser.add_argument("--threads", type=int, default=1, help="more are quicker, but wait for each other if disturbed")
    parser.add_argument("--all", action="store_true", help="measure all modes on the doubled pictures")
    parser.add_argument("--quick", action="store_true", help="one small network, each step timed once, to try it out")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    e = {"batch": BATCH, "command": " ".join(["python benchmarks/finetuning.py", *sys.argv[1:]]), **environment()}
    networks, cached_of, times = (QUICK, QUICK, 1) if given.quick else (NETWORKS, CACHED, 3)
    run = () if given.all else ("last", "head")
    small = [row for name, side in networks.items() for row in steps_of(name, side, times, ())]
    large = [row for name, side in networks.items() for row in steps_of(name, 2 * side, times, run)]
    cached = [row for name, side in cached_of.items() for row in cached_steps(name, side, times)]
    made = (
        f"Made by `{e['command']}` on {e['started'][:10]}: {e['processor']}, {e['threads']} of {e['cores']} threads, "
        f"Python {e['python']}, torch {e['torch']}, pixelwise {e['pixelwise']} at {e['commit']}."
    )
    write_text(given.out / "finetuning.md", markdown(small, large, cached, made))
    write_text(given.out / "finetuning.csv", csv_of([row | e for row in (*small, *large, *cached)]))


if __name__ == "__main__":
    main()
