"""What fine-tuning costs: the last layer alone, the head and the whole network, predicted and measured.

    python benchmarks/finetuning.py --out docs/results

Needs no weights and no data: costs do not depend on values, so networks and pictures are random. Predictions are those
of `pixelwise.backward`, made without running the network; beside them stands what real steps kept and how long they
took. Writes finetuning.md and finetuning.csv. --quick tries it out on one small network, each step timed once.
"""

import argparse
import csv
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from pixelwise.backward import backward_of
from pixelwise.features import FeatureCache
from pixelwise.files import write_text
from pixelwise.freeze import freeze, prefixes_of
from pixelwise.models.pretrained import PRETRAINED
from pixelwise.models.segmenter import Features, Segmenter
from pixelwise.report.tables import Table
from pixelwise.environment import environment

NETWORKS = {"deeplabv3_resnet50": 224, "deeplabv3_resnet101": 224}  # rows and columns of the pictures
CACHED = {"deeplabv3_resnet50": 224, "hypercolumn_efficientnet_lite0": 256, "deeplabv3_mobilenet_v3_large": 256}
QUICK = {"deeplabv3_mobilenet_v3_large": 256}
CLASSES = 2
BATCH = 4  # pictures a step
CACHED_TIMES = 20  # steps on cached features that are timed; each is a few milliseconds
MIB = 2**20
CLOCKS = "least / median; processor"
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
a step of the whole network computes (3n-1)·F, of the last layer (n+1)·F, which is not even three times less, since the
frozen trunk still runs. On cached features 2F are left."""


@dataclass(frozen=True)
class Times:
    """Seconds of each run of the same, by the clock and of the processor, all threads together."""

    clock: tuple[float, ...] = ()
    processor: tuple[float, ...] = ()

    @property
    def least(self) -> float:
        """Processor seconds, which others on the machine change least."""
        return min(self.processor)

    def text(self, scale: float = 1, digits: int = 2) -> str:
        """As CLOCKS says."""
        if not self.clock:
            return "not measured"
        values = (scale * v for v in (min(self.clock), statistics.median(self.clock), self.least))
        return "{:.{d}f} / {:.{d}f}; {:.{d}f}".format(*values, d=digits)


@dataclass(frozen=True)
class Step:
    """One way of fine-tuning: what a step of it should cost and, where steps were made, what they did cost."""

    network: str
    trained: str
    side: int
    times: Times
    predicted: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, int] = field(default_factory=dict)  # bytes


def modes_of(model: Segmenter) -> dict[str, tuple[str, ...]]:
    """Name prefixes of what is trained, by mode; the second is the leak."""
    first = next(name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d))
    last = prefixes_of(model, "last")
    leak = {f"last + {first}": (*last, f"{first}.")}
    return {"last": last, **leak, "head": prefixes_of(model, "head"), "full": prefixes_of(model, "full")}


def pictures(side: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A batch of noise, 0 to 255, and true classes."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (BATCH, 3, side, side), generator=generator, dtype=torch.uint8)
    return pixels, torch.randint(CLASSES, (BATCH, side, side), generator=generator)


def timed(action: Callable[[], object], times: int, warm: bool = True) -> Times:
    """Times of an action, after one that warms up and is not counted."""
    found = []
    for _ in range(times + warm):
        started = time.perf_counter(), time.process_time()
        action()
        found.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    return Times(*zip(*found[warm:], strict=True))


def measured(model: Segmenter, side: int, times: int) -> tuple[dict[str, int], Times]:
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
    bytes_of = {
        "kept_measured": sum(t.untyped_storage().nbytes() for address, t in kept.items() if address not in own),
        "gradients_measured": sum(p.grad.nbytes for p in learned if p.grad is not None),
        "adam_measured": sum(state[m].nbytes for state in optimizer.state.values() for m in ("exp_avg", "exp_avg_sq")),
    }
    kept.clear()
    found = timed(once, times, warm=False)
    model.zero_grad(set_to_none=True)
    return bytes_of, found


def steps_of(network: str, side: int, times: int, run: Sequence[str] | None = None) -> list[Step]:
    """All modes of a network, predicted; measured are those in `run`, or all."""
    torch.manual_seed(0)
    model, found = PRETRAINED[network].untrained(CLASSES), []
    for mode, learned in modes_of(model).items():
        freeze(model, learned)
        c = backward_of(model, BATCH, (side, side))
        assert c is not None, f"{network} cannot be run without numbers"
        predicted = {"starts_at": c.starts_at, "parameters": c.learned, "forward_macs": c.forward_macs}
        predicted |= {"backward_macs": c.backward_macs, "kept_bytes": c.kept_bytes}
        predicted |= {"gradient_bytes": c.gradient_bytes, "adam_bytes": c.optimizer_bytes}
        bytes_of, seconds = measured(model, side, times) if run is None or mode in run else ({}, Times())
        found.append(Step(network, mode, side, seconds, predicted, bytes_of))
        print(f"{network} {side}x{side} {mode}: {seconds.text()}", file=sys.stderr, flush=True)
    return found


def cached_steps(network: str, side: int, times: int) -> list[Step]:
    """Steps of the last layer with the trunk run each time, with features from disk, and with features in memory."""
    torch.manual_seed(0)
    model = PRETRAINED[network].untrained(CLASSES)
    freeze(model, prefixes_of(model, "last"))
    (pixels, truth), optimizer = pictures(side), torch.optim.Adam(model.last.parameters())

    def train(features: Features) -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model.answer(features, (side, side)), truth).backward()
        optimizer.step()

    def look() -> Features:
        with torch.no_grad():
            return model.features(pixels.float() / 255)

    with tempfile.TemporaryDirectory() as folder:
        cache = FeatureCache(model, "float16", Path(folder))
        list(cache.fill(pictures(side, seed=1)[0]))  # others, to warm up
        fill = timed(lambda: list(cache.fill(pixels)), 1, warm=False)
        size = max(path.stat().st_size for path in cache.folder.glob("*.safetensors"))
        features = cache.read(pixels)
        ways = {
            "trunk each step": timed(lambda: train(look()), times),
            "features from disk": timed(lambda: train(cache.read(pixels)), CACHED_TIMES),
            "features in memory": timed(lambda: train(features), CACHED_TIMES),
            "filling": fill,
        }
    for way, found in ways.items():
        print(f"{network} {side}x{side} {way}: {found.text(digits=4)}", file=sys.stderr, flush=True)
    return [Step(network, f"last; {w}", side, found, measured={"file_bytes": size}) for w, found in ways.items()]


def cost_table(steps: Sequence[Step]) -> str:
    """One network's modes: predicted, then measured."""
    headings = ["trained", "parameters", "backward starts at", "forward GMAC", "backward GMAC", "gradient bytes"]
    headings += ["Adam bytes", "kept MiB", "kept MiB, measured", f"seconds a step (n {len(steps[0].times.clock)})"]
    rows = []
    for s in steps:
        p = s.predicted
        row = [s.trained, f"{p['parameters']:,}", p["starts_at"], f"{p['forward_macs'] / 1e9:.3f}"]
        row += [f"{p['backward_macs'] / 1e9:.4f}", f"{p['gradient_bytes']:,}", f"{p['adam_bytes']:,}"]
        kept = p["kept_bytes"], s.measured["kept_measured"]
        rows.append([*row, *(f"{each / MIB:.3f}" for each in kept), s.times.text()])
    return Table(headings, rows).markdown()


def doubled_table(small: Sequence[Step], large: Sequence[Step]) -> str:
    """How many times each quantity grows."""
    headings = ["network", "trained", "parameters, gradients, Adam", "forward", "backward", "kept", "kept, measured"]
    rows = []
    for one, two in zip(small, large, strict=True):
        ratios = [f"×{ratio:.5f}" for ratio in list(grown(one, two).values())[:4]]
        real = ["not measured", "", two.times.text()]
        if two.measured:
            kept = two.measured["kept_measured"] / one.measured["kept_measured"]
            real[:2] = f"×{kept:.5f}", f"×{two.times.least / one.times.least:.2f}"
        rows.append([one.network, one.trained, *ratios, *real])
    n = max(len(step.times.clock) for step in large)
    return Table([*headings, "processor seconds", f"seconds a step (n {n})"], rows).markdown()


def cached_table(steps: Sequence[Step]) -> str:
    """Milliseconds a step, and how many times quicker."""
    n = len(steps[0].times.clock)
    headings = ["network", "pictures", f"(a) trunk each step, ms (n {n})", f"(b) from disk, ms (n {CACHED_TIMES})"]
    headings += [f"(c) in memory, ms (n {CACHED_TIMES})", "a / b", "a / c", "b / c", "KiB a picture", "fill, ms (n 1)"]
    rows = []
    for some in zip(*[iter(steps)] * 4, strict=True):
        a, b, c, _ = (s.times.least for s in some)
        *ms, fill = (s.times.text(1000, 1) for s in some)
        ratios = [f"{a / b:.0f}", f"{a / c:.0f}", f"{b / c:.1f}", f"{some[0].measured['file_bytes'] / 1024:.0f}"]
        rows.append([some[0].network, f"{some[0].side}x{some[0].side}", *ms, *ratios, fill])
    return Table(headings, rows).markdown()


def grown(one: Step, two: Step) -> dict[str, float]:
    """How many times as much each predicted quantity is in the second."""
    return {name: two.predicted[name] / value for name, value in one.predicted.items() if name != "starts_at"}


def compared(steps: Sequence[Step]) -> str:
    """What was found for one network beside what n equal layers would give."""
    last, leak, _, full = steps
    n = sum(isinstance(module, nn.Conv2d) for module in PRETRAINED[last.network].untrained(CLASSES).modules())
    whole, leaked = grown(last, full), grown(full, leak)
    loss = BATCH * last.side**2 * (4 * CLASSES + 8)  # log-probabilities in float32, true classes in int64
    more = leak.predicted["parameters"] - last.predicted["parameters"]
    return (
        f"With n = {n}, its convolutions, the whole network costs, against the last layer: kept "
        f"×{whole['kept_bytes']:.0f} (equal layers: ×{n}), gradients and Adam ×{whole['parameters']:,.0f} (×{n}), "
        f"forward ×{whole['forward_macs']:.0f} (×1), backward ×{whole['backward_macs']:,.0f} (×{2 * n - 1}), processor "
        f"seconds ×{full.times.least / last.times.least:.1f} (×{(3 * n - 1) / (n + 1):.1f}): layers are far from "
        f"equal, and the last is tiny. Of what it keeps, {loss / last.predicted['kept_bytes']:.0%} are the loss's "
        f"log-probabilities and true classes. The {more} parameters more of {leak.trained} make it keep "
        f"{leaked['kept_bytes']:.1%} of what the whole network keeps and compute {leaked['backward_macs']:.1%} of its "
        f"backward (equal layers: {n / (2 * n - 1):.1%}), in {leak.times.least / full.times.least:.0%} of its "
        "processor seconds."
    )


def agreement(steps: Sequence[Step]) -> str:
    """How far predictions are from what was measured."""
    real = [s for s in steps if s.measured]
    off = [s.predicted["kept_bytes"] - s.measured["kept_measured"] for s in real]
    same = sum(list(s.predicted.values())[-2:] == list(s.measured.values())[1:] for s in real)
    furthest = real[off.index(max(off, key=abs))]
    return (
        f"Of {len(real)} measured rows, of both sizes, {off.count(0)} keep exactly the bytes predicted; furthest off "
        f"is {furthest.trained} of {furthest.network}, with {-max(off, key=abs):+,} bytes. Gradients' and Adam's bytes "
        f"are exactly those predicted in {same}. A frozen BatchNorm that backward passes through keeps two numbers a "
        "channel in the prediction, and none on this CPU."
    )


def markdown(small: Sequence[Step], large: Sequence[Step], cached: Sequence[Step], made: str) -> str:
    """The page."""
    side = small[0].side
    lines = [
        "# What fine-tuning costs, predicted and measured",
        "",
        f"A step is forward, cross-entropy at full resolution, backward and Adam, on {BATCH} pictures and {CLASSES} "
        "classes, in float32 on a CPU. Predictions need no run (`pixelwise.backward`). GMAC are 10^9 multiply-adds; "
        "kept are the bytes that autograd holds for backward, each storage once, without parameters and buffers; "
        f"MiB are 2^20 bytes. Seconds are: {CLOCKS}, that is the least and the median by the clock, then the least "
        "of the processor, all threads together, of which ratios are made. Weights and pictures are random.",
        "",
        made,
        *("", "## What to expect", "", EXPECTED, "", f"## Kept, computed and waited for, at {side}x{side}", ""),
    ]
    for network in dict.fromkeys(s.network for s in small):
        some = [s for s in small if s.network == network]
        lines += [f"### {network}", "", cost_table(some), compared(some), ""]
    lines += [
        *(agreement([*small, *large]), "", f"## Doubled to {2 * side}x{2 * side}", ""),
        "How many times as much. Where it is not quite 4, a part of the network has a fixed size, as the branch of "
        "DeepLab's head that sees the whole picture as one pixel, or BatchNorm's statistics.",
        *("", doubled_table(small, large), "## The last layer on cached features", ""),
        "Milliseconds a step. (a) runs the frozen trunk under no_grad each time; (b) reads float16 features from "
        "files, which the system still has in memory; (c) has them already, as float32. Filling computes and writes "
        f"the features of the {BATCH} pictures once.",
        *("", cached_table(cached)),
    ]
    return "\n".join(lines)


def csv_rows(steps: Sequence[Step], origin: dict[str, Any]) -> str:
    """Every number, in bytes, multiply-adds and seconds."""
    text = io.StringIO()
    names = dict.fromkeys(name for s in steps for name in (*s.predicted, *s.measured))
    columns = ["network", "trained", "side", "batch", *names, "n", "clock_seconds", "processor_seconds", *origin]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for s in steps:
        own = {"network": s.network, "trained": s.trained, "side": s.side, "batch": BATCH, "n": len(s.times.clock)}
        clock, processor = (" ".join(f"{v:.5f}" for v in each) for each in (s.times.clock, s.times.processor))
        seconds = {"clock_seconds": clock, "processor_seconds": processor}
        writer.writerow({**own, **s.predicted, **s.measured, **seconds, **origin})
    return text.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--times", type=int, default=3, help="steps that are timed, after one that warms up")
    parser.add_argument("--all", action="store_true", help="measure all modes on the doubled pictures")
    parser.add_argument("--quick", action="store_true", help="one small network, each step timed once, to try it out")
    given = parser.parse_args()
    e, load = environment(), os.getloadavg()[0]
    networks, cached_of, times = (QUICK, QUICK, 1) if given.quick else (NETWORKS, CACHED, given.times)
    small = [step for name, side in networks.items() for step in steps_of(name, side, times)]
    run = None if given.all else ("last", "head")
    large = [step for name, side in networks.items() for step in steps_of(name, 2 * side, times, run)]
    cached = [step for name, side in cached_of.items() for step in cached_steps(name, side, times)]
    command = " ".join(["python benchmarks/finetuning.py", *sys.argv[1:]])
    made = (
        f"Made by `{command}` on {e['started'][:10]}: {e['processor']}, {e['threads']} threads, Python {e['python']}, "
        f"torch {e['torch']}, pixelwise {e['pixelwise']} at {e['commit']}; load before the start {load:.1f}."
    )
    write_text(given.out / "finetuning.md", markdown(small, large, cached, made))
    write_text(given.out / "finetuning.csv", csv_rows([*small, *large, *cached], {**e, "command": command}))


if __name__ == "__main__":
    main()
