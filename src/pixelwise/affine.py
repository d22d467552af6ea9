"""What if every picture x became y = a x + b before the network? Nothing is lost, and the border is not the same.

**One convolution.** Filters w with bias c give on y, away from the border,

    w * (a x + b) + c  =  (a w) * x + (c + b Σw)        Σw: the sum of a filter's weights on the picture's channels

so the filters w / a with the bias c - (b / a) Σw give on y exactly what w and c gave on x: nothing is lost. `absorbed`
writes this into every layer that sees the picture: the first, and in `unet` also the last, by its skip connection.

**The border.** Convolutions put zeros around the picture, which tell a network where it is (Islam, Jia and Bruce 2020);
a zero of y stands for x = -b / a. There the absorbed layer falls short by (b / a) times the sum of the weights that lie
on the padding. If y is padded with b, as x was with 0 (`padded`), all is exact. How far does the difference come? With
r = (k - 1) / 2 each convolution takes it r pixels further, pooling halves the way, rounded up, upsampling doubles it:

    r,  ⌈r/2⌉ + r,  ⌈3r/4⌉ + r,  ⌈3r/4⌉ + 2r,  2⌈3r/4⌉ + 5r,  4⌈3r/4⌉ + 11r        pixels behind the convolutions

in `cnn` and in `unet`, whose skip connections are shorter: 0, 15 and 30 pixels for kernels of 1, 3 and 5. Of a picture
of 32 x 32, kernel 3 leaves the four pixels in the middle alone and kernel 5 none.

**Pooling and normalization.** Filters left as they were give a u + d on y, where they gave u on x; d is a constant of
the channel. The greatest of some a u + d is a max(u) + d if a > 0; if a < 0 it is a min(u) + d, another function of x.
BatchNorm in training (Ioffe and Szegedy 2015) subtracts the batch's mean and divides by its deviation,

    (a u + d - mean(a u + d)) / sqrt(a² variance(u) + ε)  =  (u - mean(u)) / sqrt(variance(u) + ε / a²)      a > 0

so b is gone, and a but for ε = 1e-5: convolution, pooling and BatchNorm, as `cnn` and `unet` begin, need no change in
training if y is padded with b. With zeros the border is part of mean and deviation, and so changes every pixel. When
not training, mean and deviation stay those of x, and a layer left as it was is wrong for y.

**Learning.** With δ_p the gradient of the loss at a convolution's output p, that of its weight at place v is

    Σ_p δ_p y_(p+v)  =  a Σ_p δ_p x_(p+v) + b Σ_p δ_p

With BatchNorm behind it, in training, δ sums to 0 and is a times smaller: the gradient is that of x. So `cnn` learns
from y as from x but for border, ε, rounding and the running statistics, which start at 0 and 1. The last layer of
`unet` has no BatchNorm behind it. Adam takes the factor a out of its steps (Kingma and Ba 2015), not out of what they
do: one step moves the answer a times as far. The part with b is the same for all weights of a kernel; the larger
mean(y)² is beside variance(y), the steeper is the loss where they grow together, and in such valleys descent is slow
(LeCun et al. 1998). Nor does training start from w / a, and weight decay makes w / a cost 1 / a² of what w did.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .config import TrainSettings
from .data.batches import Feed
from .errors import BadSetting, Diverged
from .models.cnn import Cnn
from .models.conv import MyConv2d
from .models.unet import UNet
from .shapes import Logits, Seen
from .train import EpochRow, Training, fit

LAYERS: dict[type[nn.Module], tuple[str, ...]] = {  # that see the picture, as the last of their channels
    Cnn: ("down1.0",),
    UNet: ("down1.0", "last"),
    nn.Sequential: ("0",),  # that begins with a MyConv2d
}
ROUNDING = 1e-11  # of the largest logit and of 1 + |b / a|; float64 itself is good for 1e-16
AT_ONCE = 50  # pictures measured at once


class Preprocessed(nn.Module):
    """A network that sees y = a x + b; a is any number but 0."""

    def __init__(self, network: nn.Module, a: float, b: float) -> None:
        super().__init__()
        _check(a, b)
        self.network, self.a, self.b = network, a, b

    def forward(self, x: Float[Tensor, "n c h w"]) -> Logits:
        """The network's answer to a x + b."""
        logits: Logits = self.network(self.a * x + self.b)
        return logits


class FramedConv2d(MyConv2d):
    """A convolution with `layer`'s parameters that puts `value` around its last `channels`, 0 around the others."""

    def __init__(self, layer: MyConv2d, channels: int, value: float) -> None:
        with torch.random.fork_rng(devices=[]):  # what is drawn here is thrown away
            super().__init__(layer.weight.shape[1], layer.weight.shape[0], layer.kernel, layer.route)
        self.weight, self.bias = layer.weight, layer.bias
        self.channels, self.value = channels, value

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n filters h w"]:
        """Frame, convolve, and leave out what was computed on the frame."""
        before, after, (h, w) = (self.kernel - 1) // 2, self.kernel // 2, x.shape[2:]
        frame = (before, after, before, after)
        others, picture = F.pad(x[:, : -self.channels], frame), F.pad(x[:, -self.channels :], frame, value=self.value)
        return super().forward(torch.cat([others, picture], dim=1))[:, :, before : before + h, before : before + w]


def absorbed(model: nn.Module, a: float, b: float) -> nn.Module:
    """A copy that answers on a x + b as the model on x: exactly, but where zeros around the picture have a say.

    Args:
        model: a `Cnn`, a `UNet`, or an nn.Sequential that starts with a `MyConv2d`.
        a: any number but 0.
        b: any number.

    Raises:
        BadSetting: another model; a is 0; or a number is not finite, or makes weights that are not.
    """
    _check(a, b)
    new = copy.deepcopy(model)
    for _, layer, channels in _seeing(new):
        with torch.no_grad():
            weight = layer.weight[:, -channels:].double() / a
            layer.weight[:, -channels:] = weight
            layer.bias.sub_(b * weight.sum(dim=(1, 2, 3)))
        if not all(bool(parameter.isfinite().all()) for parameter in layer.parameters()):
            raise BadSetting(f"a, b = {a:g}, {b:g} make weights that are not finite; give an a that is nearer to 1")
    return new


def padded(model: nn.Module, value: float) -> nn.Module:
    """A copy of what `absorbed` takes (BadSetting for others), with `value` around the picture instead of 0.

    NaN as the value goes into every answer in which what is around the picture has a say.
    """
    new = copy.deepcopy(model)
    for name, layer, channels in _seeing(new):
        new.set_submodule(name, FramedConv2d(layer, channels, value))
    return new


def touched(model: nn.Module, height: int, width: int) -> Bool[Tensor, "h w"]:
    """The pixels of pictures of that size in whose answers what is around the picture has a say, when not training."""
    model = copy.deepcopy(model).double().eval()  # in float32 a convolution may mix neighbours' sums, and so their NaN
    picture = torch.zeros(1, _seeing(model)[0][2], height, width, dtype=torch.float64)
    with torch.inference_mode():
        answer: Logits = padded(model, math.nan)(picture)
    return answer.isnan().any(dim=1)[0]


@dataclass(frozen=True)
class Difference:
    """How far answers on a x + b are from the model's on x: the greatest difference of a logit in all pictures."""

    inside: float | None  # where nothing around the picture has a say; None if there is no such pixel
    border: float | None  # everywhere else
    reach: int  # pixels from the border, from which on no difference is above the tolerance
    changed: float  # share of the pixels whose likeliest class is another
    by_distance: tuple[float, ...]  # from the border, first the outermost pixels


@dataclass(frozen=True)
class Invariance:
    """What y = a x + b does to a trained network when it does not train, in float64."""

    a: float
    b: float
    pictures: int
    tolerance: float  # a smaller difference is rounding
    touched: int  # pixels from the border, as far as padding can have a say
    absorbed: Difference  # the network that absorbed a and b
    padded: Difference  # the same, with y padded with b
    unchanged: Difference  # the network as it is, fed with y

    def to_mapping(self) -> dict[str, Any]:
        """The values by name, as JSON can hold them."""
        return asdict(self)


def invariance(model: nn.Module, seen: Seen, a: float, b: float) -> Invariance:
    """Measure how near a network's answers on a x + b are to those on x, or can be brought.

    Args:
        model: as for `absorbed`, as a and b; it is not changed.
        seen: x, one picture at least.
        a: any number but 0.
        b: any number.

    Raises:
        BadSetting: as for `absorbed`.
        Diverged: an answer is not a finite number.
    """
    original = copy.deepcopy(model).double().cpu().eval()
    new = absorbed(original, a, b)
    others = {"absorbed": new, "padded": padded(new, b), "unchanged": original}
    near, largest, changed = touched(original, *seen.shape[2:]), 0.0, torch.zeros(3, dtype=torch.float64)
    worst = torch.zeros(3, *near.shape, dtype=torch.float64)
    for start in range(0, len(seen), AT_ONCE):
        x = seen[start : start + AT_ONCE].double().cpu()
        with torch.inference_mode():
            answer: Logits = original(x)
            own = torch.stack([other(a * x + b) for other in others.values()])
        worst = torch.maximum(worst, (own - answer).abs().amax(dim=(1, 2)))
        changed += (own.argmax(dim=2) != answer.argmax(dim=1)).double().mean(dim=(2, 3)).sum(dim=1)
        largest = max(largest, answer.abs().max().item())
    if not bool(worst.isfinite().all()):
        raise Diverged("an answer of the network is not a finite number; train it again, or give other numbers a and b")
    tolerance, shares = ROUNDING * largest * (1 + abs(b / a)), (changed / len(seen)).tolist()
    found = (_difference(*pair, near, tolerance) for pair in zip(worst, shares, strict=True))
    return Invariance(a, b, len(seen), tolerance, _reach(near), **dict(zip(others, found, strict=True)))


@dataclass(frozen=True)
class Treatment:
    """What is done to every picture: y = a x + b, and the number that the layers which see y put around it."""

    a: float = 1.0
    b: float = 0.0
    padding: float = 0.0

    def __post_init__(self) -> None:
        _check(self.a, self.b, self.padding)

    @property
    def name(self) -> str:
        """As people write it, such as 10x + 10."""
        factor = {1.0: "", -1.0: "-"}.get(self.a, f"{self.a:g}")
        constant = f" {'-' if self.b < 0 else '+'} {abs(self.b):g}" if self.b else ""
        return f"{factor}x{constant}" + (f", padded with {self.padding:g}" if self.padding else "")


@dataclass(frozen=True)
class RetrainedRow:
    """One network after one epoch."""

    which: str  # the treatment's name
    seed: int
    row: EpochRow

    def to_mapping(self) -> dict[str, Any]:
        """The values by name, the epoch's beside the others."""
        return {"which": self.which, "seed": self.seed, **self.row.to_mapping()}


def retrained(
    build: Callable[[], nn.Module],
    settings: TrainSettings,
    feeds: tuple[Feed, Feed | None],
    treatments: Sequence[Treatment],
    keep: Callable[[str, nn.Module], object] = lambda which, network: None,
) -> Iterator[RetrainedRow]:
    """Train a network on the CPU from the same weights, in the same order, once for each treatment of the pictures.

    Args:
        build: makes the network; its random weights are those of `settings.seed`.
        settings: how to train.
        feeds: to train on, and to validate on if there is one.
        treatments: of the pictures.
        keep: called with a treatment's name and the trained network, which sees y.

    Raises:
        BadSetting: the network is not one whose padding can be chosen.
        Diverged: a loss is no longer a number.
    """
    for treatment in treatments:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = padded(build(), treatment.padding) if treatment.padding else build()
        model = Preprocessed(network, treatment.a, treatment.b)
        for row in fit(Training(model, settings), *feeds, torch.device("cpu")):
            if isinstance(row, EpochRow):
                yield RetrainedRow(treatment.name, settings.seed, row)
        keep(treatment.name, network)


def _check(a: float, *others: float) -> None:
    if not a or not all(map(math.isfinite, (a, *others))):
        raise BadSetting(f"a, b = {(a, *others)}; expected finite numbers, and a other than 0, which leaves no picture")


def _seeing(model: nn.Module) -> list[tuple[str, MyConv2d, int]]:
    """The convolutions that see the picture: name, layer, and how many of its last channels are the picture's."""
    names = LAYERS.get(type(model), ()) if len(list(model.children())) else ()
    layers = [(name, layer) for name in names if isinstance(layer := model.get_submodule(name), MyConv2d)]
    if not layers:
        raise BadSetting(
            f"{type(model).__name__} is not supported; give a Cnn, a UNet or an nn.Sequential that starts with MyConv2d"
        )
    return [(name, layer, layers[0][1].weight.shape[1]) for name, layer in layers]


def _difference(worst: Tensor, changed: float, near: Tensor, tolerance: float) -> Difference:
    inside, border = (worst[part].max().item() if bool(part.any()) else None for part in (~near, near))
    distance = _distances(*worst.shape)
    by_distance = tuple(worst[distance == d].max().item() for d in range(int(distance.max()) + 1))
    return Difference(inside, border, _reach(worst > tolerance), changed, by_distance)


def _reach(there: Bool[Tensor, "h w"]) -> int:
    return max((int(distance) + 1 for distance in _distances(*there.shape)[there]), default=0)


def _distances(height: int, width: int) -> Tensor:
    """Of every pixel from the border, 0 for the outermost."""
    rows, columns = (torch.minimum(torch.arange(size), torch.arange(size).flip(0)) for size in (height, width))
    return torch.minimum(rows[:, None], columns[None, :])
