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
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from .errors import BadSetting, Diverged
from .models.preprocessed import check_affine, padded, seeing
from .shapes import Logits, Seen

ROUNDING = 1e-11  # of the largest logit and of 1 + |b / a|; float64 itself is good for 1e-16
AT_ONCE = 50  # pictures measured at once


def absorbed(model: nn.Module, a: float, b: float) -> nn.Module:
    """A copy that answers on a x + b as the model on x: exactly, but where zeros around the picture have a say.

    Args:
        model: a `Cnn`, a `UNet`, or an nn.Sequential that starts with a `MyConv2d`.
        a: any number but 0.
        b: any number.

    Raises:
        BadSetting: another model; a is 0; or a number is not finite, or makes weights that are not.
    """
    check_affine(a, b)
    new = copy.deepcopy(model)
    for _, layer, channels in seeing(new):
        with torch.no_grad():
            weight = layer.weight[:, -channels:].double() / a
            layer.weight[:, -channels:] = weight
            layer.bias.sub_(b * weight.sum(dim=(1, 2, 3)))
        if not all(bool(parameter.isfinite().all()) for parameter in layer.parameters()):
            raise BadSetting(f"a, b = {a:g}, {b:g} make weights that are not finite; give an a that is nearer to 1")
    return new


def touched(model: nn.Module, height: int, width: int) -> Bool[Tensor, "h w"]:
    """The pixels of pictures of that size in whose answers what is around the picture has a say, when not training."""
    model = copy.deepcopy(model).double().eval()  # in float32 a convolution may mix neighbours' sums, and so their NaN
    picture = torch.zeros(1, seeing(model)[0][2], height, width, dtype=torch.float64)
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
