"""What if every grey picture x becomes a x + b? Trained networks that absorb it, and networks that learn from it.

    python benchmarks/affine.py --root ROOT

ROOT holds CIFAR-10's binary files and palette24_horse.json. The exercise's `cnn` and `unet` are trained on its horses,
as they are and changed, from the same weights and in the same order; `pixelwise.affine` says what should happen and
why. Everything is judged on validation pictures. Writes affine.md, affine.csv (a row an epoch) and affine.png.
"""

import argparse
import csv
import io
import math
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import t as student
from torch import nn

from pixelwise.affine import Difference, Invariance, Preprocessed, Treatment, absorbed, invariance, padded, retrained
from pixelwise.classes.palette import Palette, load_palette
from pixelwise.config import DataSettings, ModelSettings, TrainSettings
from pixelwise.data.batches import Encoded, PictureFeed
from pixelwise.data.load import load_data
from pixelwise.data.pictures import DataSet
from pixelwise.environment import environment
from pixelwise.evaluate.pixels import count_feed
from pixelwise.files import write_text
from pixelwise.models.build import build_model
from pixelwise.report.figures import save_figure
from pixelwise.report.tables import Table

MODELS = ("cnn", "unet")
PLAIN = Treatment()
LEARNT = (PLAIN, Treatment(2.0, -0.5), Treatment(10.0, 10.0), Treatment(10.0, 10.0, 10.0))
ASKED = (Treatment(2.0, -0.5), Treatment(10.0, 10.0), Treatment(-1.0, 1.0))  # of trained networks
DRAWN = ASKED[1]
LEVEL = 0.95
STYLES = dict(  # Okabe and Ito's colours, and lines that differ without them
    zip(
        (treatment.name for treatment in LEARNT),
        (("#000000", "-", "o"), ("#0072B2", "--", "s"), ("#D55E00", "-.", "^"), ("#009E73", ":", "D")),
        strict=True,
    )
)
WAYS = {  # in a drawing and in a table: how a trained network is asked about y
    "unchanged": ("as it is", "#D55E00", "-.", "^"),
    "absorbed": ("absorbed", "#0072B2", "--", "s"),
    "padded": ("absorbed, y padded with b", "#009E73", ":", "D"),
}
MEASURES: dict[str, tuple[Callable[[Sequence["Row"]], float], bool]] = {  # of one training; and whether more is better
    "first training loss": (lambda rows: rows[0]["train_loss"], False),
    "mean training loss": (lambda rows: statistics.mean(row["train_loss"] for row in rows), False),
    "mean validation loss": (lambda rows: statistics.mean(row["validation_loss"] for row in rows), False),
    "lowest validation loss": (lambda rows: best(rows)["validation_loss"], False),
    "accuracy at the lowest": (lambda rows: best(rows)["validation_accuracy"], True),
}

Row = dict[str, Any]  # one epoch of one training, by column of the CSV file


@dataclass(frozen=True)
class Asked:
    """A trained network asked about y: how its logits differ, and its accuracy in each way."""

    found: Invariance
    accuracy: Mapping[str, float]


def trained_rows(
    model: str, seed: int, data: DataSet, palette: Palette, epochs: int
) -> tuple[list[Row], dict[str, nn.Module]]:
    """A network trained on every treatment of the horses: its rows, and the networks by treatment."""
    feeds = [PictureFeed(palette, Encoded.by(palette, part)) for part in (data.train, data.validation)]
    build = partial(build_model, ModelSettings(name=model, num_colours=len(palette)))
    kept: dict[str, nn.Module] = {}
    rows = []
    for row in retrained(
        build, TrainSettings(epochs=epochs, seed=seed), (feeds[0], feeds[1]), LEARNT, kept.__setitem__
    ):
        rows.append({"model": model, **row.to_mapping()})
        told = rows[-1]["train_loss"], rows[-1]["validation_loss"], rows[-1]["seconds"]
        words = "training {:.3f}, validation {:.3f}, {:.0f} s".format(*told)
        print(f"{model}, {row.which}, seed {seed}, epoch {row.row.epoch}: {words}", file=sys.stderr, flush=True)
    return rows, kept


def ask(network: nn.Module, data: DataSet, palette: Palette) -> list[Asked]:
    """What each change of the pictures does to a network that was trained without it."""
    seen, feed = palette.see(data.validation.pixels), PictureFeed(palette, Encoded.by(palette, data.validation))
    answers = []
    for a, b in ((treatment.a, treatment.b) for treatment in ASKED):
        own = absorbed(network, a, b)
        ways = {"unchanged": network, "absorbed": own, "padded": padded(own, b)}
        accuracy = {way: count_feed(Preprocessed(other, a, b), feed).accuracy for way, other in ways.items()}
        plain = count_feed(network, feed).accuracy
        answers.append(Asked(invariance(network, seen, a, b), {"x": plain, **accuracy}))
    return answers


def best(rows: Sequence[Row]) -> Row:
    """The epoch of lowest validation loss."""
    return min(rows, key=lambda row: row["validation_loss"])


def of(rows: Sequence[Row], model: str, which: str) -> list[list[Row]]:
    """The epochs of each seed."""
    own = [row for row in rows if (row["model"], row["which"]) == (model, which)]
    return [[row for row in own if row["seed"] == seed] for seed in dict.fromkeys(row["seed"] for row in own)]


def spread(values: Sequence[float], sign: str = "") -> str:
    """Mean and sample standard deviation."""
    mean = f"{statistics.mean(values):{sign}.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def verdict(differences: Sequence[float], more_is_better: bool) -> str:
    """Better or worse, if Student's interval of the seeds' mean difference leaves out 0."""
    n = len(differences)
    if n < 2:
        return "one seed says nothing"
    mean, deviation = statistics.mean(differences), statistics.stdev(differences)
    if abs(mean) <= student.ppf((1 + LEVEL) / 2, n - 1) * deviation / math.sqrt(n):
        return "no clear difference"
    return "better" if (mean > 0) == more_is_better else "worse"


def judged(rows: Sequence[Row], model: str, which: str) -> dict[str, tuple[list[float], list[float], str]]:
    """By measure: each seed's values, their differences from the same seed's on x, and the verdict."""
    found = {}
    for measure, (value_of, more_is_better) in MEASURES.items():
        own, plain = ([value_of(epochs) for epochs in of(rows, model, name)] for name in (which, PLAIN.name))
        differences = [value - other for value, other in zip(own, plain, strict=True)]
        found[measure] = own, differences, verdict(differences, more_is_better)
    return found


def learning_table(rows: Sequence[Row], beside_x: bool) -> str:
    """A line for each network and treatment: the values, or how they differ from those of x."""
    lines = []
    for model in MODELS:
        for which in (treatment.name for treatment in LEARNT[beside_x:]):
            found = judged(rows, model, which).values()
            cells = [spread(differences, "+") if beside_x else spread(own) for own, differences, _ in found]
            lines.append([f"{model} on {which}", *cells])
    return Table(["beside the same network on x" if beside_x else "trained", *MEASURES], lines).markdown()


def asked_table(answers: Mapping[str, Sequence[Asked]]) -> str:
    """A line for each network, change and way of asking."""
    headings = ["network, y, how it is asked", "difference inside", "near the border", "reaches (pixels)"]
    headings += ["likeliest class changes", "accuracy"]
    lines = []
    for model, some in answers.items():
        for asked in some:
            y = Treatment(asked.found.a, asked.found.b).name
            for way, (words, *_) in WAYS.items():
                d: Difference = getattr(asked.found, way)
                numbers = ["none there" if value is None else f"{value:.1e}" for value in (d.inside, d.border)]
                shares = f"{d.changed:.2%}", f"{asked.accuracy[way]:.4f}"
                lines.append([f"{model}, {y}, {words}", *numbers, str(d.reach), *shares])
    return Table(headings, lines).markdown()


def learning_sentences(rows: Sequence[Row]) -> str:
    """What the table says, in words that follow from its numbers."""
    lines = []
    for model in MODELS:
        for which in (treatment.name for treatment in LEARNT[1:]):
            words: dict[str, list[str]] = {}
            for measure, (_, _, word) in judged(rows, model, which).items():
                words.setdefault(word, []).append(measure)
            told = "; ".join(
                f"{word} in {', '.join(measures) if len(words) > 1 else 'all of these'}"
                for word, measures in words.items()
            )
            lines.append(f"- `{model}` on {which}: {told}.")
    return "\n".join(lines)


def asked_sentences(answers: Mapping[str, Sequence[Asked]]) -> str:
    """The same for networks that were trained on x."""
    lines = []
    for model, some in answers.items():
        for asked in some:
            found, y = asked.found, Treatment(asked.found.a, asked.found.b).name
            inside = found.absorbed.inside
            where = (
                "rounding" if inside is not None and inside <= found.tolerance else "more than rounding, or not seen"
            )
            lines.append(
                f"- `{model}` asked about {y}: as it is, accuracy {asked.accuracy['unchanged']:.3f} instead of "
                f"{asked.accuracy['x']:.3f}. Absorbed, the difference comes {found.absorbed.reach} pixels far "
                f"(padding can reach {found.touched}), inside it is {where}, and {found.absorbed.changed:.1%} of the "
                f"pixels get another class. Padded with {found.b:g}, it is "
                f"{'rounding everywhere' if found.padded.reach == 0 else 'more than rounding'}."
            )
    return "\n".join(lines)


def figure_of(rows: Sequence[Row], answers: Mapping[str, Sequence[Asked]]) -> Figure:
    """Above, learning: means over the seeds, bands from the least to the greatest. Below, trained networks by place."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    panels = figure.subplots(2, len(MODELS), sharey="row")
    for model, above, below in zip(MODELS, *panels, strict=True):
        for which, (colour, line, marker) in STYLES.items():
            runs = [[row["validation_loss"] for row in epochs] for epochs in of(rows, model, which)]
            epochs, columns = range(1, len(runs[0]) + 1), list(zip(*runs, strict=True))
            means, style = [statistics.mean(c) for c in columns], {"color": colour, "linestyle": line, "marker": marker}
            above.plot(epochs, means, label=which, markersize=4, **style)
            above.fill_between(epochs, list(map(min, columns)), list(map(max, columns)), color=colour, alpha=0.15)
        above.set_title(f"{model}, trained on y")
        finish(above, "epoch", "validation cross-entropy (nats per pixel)")
        (asked,) = (a for a in answers[model] if (a.found.a, a.found.b) == (DRAWN.a, DRAWN.b))
        for way, (words, colour, line, marker) in WAYS.items():
            values = getattr(asked.found, way).by_distance
            style = {"color": colour, "linestyle": line, "marker": marker}
            below.semilogy(range(len(values)), [max(v, 1e-17) for v in values], label=words, markersize=4, **style)
        below.axhline(asked.found.tolerance, color="#777777", linewidth=0.8, label="called rounding below this")
        below.set_title(f"{model}, trained on x, asked about y = {DRAWN.name}")
        finish(below, "distance from the border (pixels)", "greatest difference of a logit")
    for row in panels[:, 1]:
        row.set_ylabel("")
    return figure


def finish(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(framealpha=0.9, edgecolor="none", fontsize=9)


def page(rows: Sequence[Row], answers: Mapping[str, Sequence[Asked]], data: DataSet, made: str, picture: str) -> str:
    """The report."""
    seeds, epochs = sorted({row["seed"] for row in rows}), max(row["epoch"] for row in rows)
    comparisons = len(MODELS) * (len(LEARNT) - 1) * len(MEASURES)
    tolerances = [asked.found.tolerance for some in answers.values() for asked in some]
    settings = TrainSettings(epochs=epochs)
    return f"""# Every grey picture x becomes a x + b

What should happen, and why, is in [pixelwise.affine](../../src/pixelwise/affine.py). In short: the layers that see the
picture can absorb a and b exactly, but for the zeros around it, which are zeros of y and not of x. `cnn`, whose first
layer has BatchNorm behind it, should learn from y as from x, but for these zeros and for rounding. `unet` sees y in its
last layer too, which has no BatchNorm behind it.

![Curves of training on changed pictures, and differences by distance from the border]({picture})

Above: means over the seeds, bands from the least to the greatest. Below: the greatest difference in all pictures.

{made}

## Learning from y

{len(data.train):,} training and {len(data.validation)} validation horses of CIFAR-10, 24 colours; {epochs} epochs in
batches of {settings.batch_size}, {settings.optimizer} at {settings.learning_rate:g}, kernel 3, NF 32. Losses are
cross-entropies in nats a pixel: of training in epoch 1, its mean over the epochs, and the same of validation. Mean ±
sample standard deviation over the seeds {", ".join(map(str, seeds))} (n {len(seeds)}). "Padded": the layers that see y
put that number around it instead of 0.

{learning_table(rows, beside_x=False)}
Differences from the same seed's training on x, begun with the same weights and the same order of pictures.
"Better" and "worse": Student's {LEVEL:.0%} interval of the mean difference leaves out 0. Of these {comparisons}
comparisons {comparisons * (1 - LEVEL):.1f} would on average, were there no differences at all.

{learning_table(rows, beside_x=True)}
{learning_sentences(rows)}

## Trained on x, asked about y

The networks of seed {seeds[0]} after their last epoch on x (n 1 each), on the {len(data.validation)} validation horses:
the greatest difference of a logit from the network's own answer to x, in float64. Inside: where no padding has a say.
Rounding is what is below {min(tolerances):.0e} to {max(tolerances):.0e}: 1e-11 of the largest logit times 1 + |b / a|.
Accuracies are in float32.

{asked_table(answers)}
{asked_sentences(answers)}
"""


def csv_of(rows: Sequence[Row]) -> str:
    """Every epoch of every training."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with CIFAR-10 and palette24_horse.json")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--images", type=Path, default=Path("docs/images"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    machine, palette = environment(), load_palette(given.root / "palette24_horse.json")
    data = load_data(DataSettings(name="cifar10", root=str(given.root), category=("horse",)))
    rows: list[Row] = []
    answers: dict[str, list[Asked]] = {}
    for model in MODELS:
        for seed in given.seeds:
            own, networks = trained_rows(model, seed, data, palette, given.epochs)
            rows += own
            if seed == min(given.seeds):
                answers[model] = ask(networks[PLAIN.name], data, palette)
    command = f"python benchmarks/affine.py --root ROOT --seeds {' '.join(map(str, given.seeds))}"
    made = (
        f"Made by `{command} --epochs {given.epochs}` on {machine['started'][:10]}: {machine['processor']}, "
        f"{given.threads} of {machine['cores']} cores, Python {machine['python']}, torch {machine['torch']}, pixelwise "
        f"{machine['pixelwise']} at {machine['commit']}. SHA-256 of the palette {palette.sha256[:12]}…, of the "
        f"validation pictures {data.validation.sha256[:12]}…."
    )
    drawing = given.images / "affine.png"
    save_figure(figure_of(rows, answers), drawing)
    picture = os.path.relpath(drawing, given.out)
    write_text(given.out / "affine.md", page(rows, answers, data, made, picture))
    write_text(given.out / "affine.csv", csv_of(rows))


if __name__ == "__main__":
    main()
