"""Rules for what makes maps smaller or larger: pooling, means, enlarging.

What they look at for each output is counted apart from multiply-adds: s² values for an s x s window, 4 for bilinear.
"""

import math

from .made import Made, NotFollowed, Role, Shape, Sizes, each, view
from .symbols import Anything, SymbolicInt, exactly, is_exact, plain_of


def pooling(
    x: Shape,
    kernel_size: Sizes,
    stride: Anything = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Made:
    """Maxima; a window that would begin beyond the picture is left out (ceil_mode)."""
    n = 2
    kernel = each(kernel_size, n)
    strides = kernel if stride is None or stride == [] else each(stride, n)
    sides = []
    for s, k, by, p, d in zip(x[-n:], kernel, strides, each(padding, n), each(dilation, n), strict=True):
        room = s + 2 * p - d * (k - 1) - 1
        side = (room + by - 1) // by + 1 if ceil_mode else room // by + 1
        sides.append(side - 1 if ceil_mode and (side - 1) * by >= s + p else side)
    made = Shape([*x[:-n], *sides])
    shapes = [made, made] if return_indices else made
    return Made(shapes, Role.POOLING, looked_at=made.elements * math.prod(kernel), internals=(made.elements,))


def mean_pooling(
    x: Shape,
    kernel_size: Sizes,
    stride: Anything = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    *_: Anything,
    **__: Anything,
) -> Made:
    """Means; as maxima."""
    return pooling(x, kernel_size, stride, padding, ceil_mode=ceil_mode)


def adaptive_pooling(x: Shape, output_size: Anything, return_indices: bool = False) -> Made:
    """To a size; output i of o looks at the inputs from floor(i s / o) to ceiling((i + 1) s / o)."""
    wanted = [x[i - 2] if o is None else o for i, o in enumerate(each(output_size, 2))]
    looked_at = math.prod(x[:-2])
    for s, o in zip(x[-2:], wanted, strict=True):
        if isinstance(o, SymbolicInt) or plain_of(o) > 64:
            raise NotFollowed("adaptive pooling to a size that is not a small number")
        looked_at *= sum(-(-(i + 1) * s // o) - i * s // o for i in range(o))
    made = Shape([*x[:-2], *wanted])
    return Made([made, made] if return_indices else made, Role.POOLING, looked_at=looked_at, internals=(made.elements,))


def reduction(x: Shape, dim: Anything = None, keepdim: bool = False, **_: Anything) -> Made:
    """Mean, sum, largest value over some axes; over the picture's two it is pooling."""
    axes = {i % len(x) for i in (range(len(x)) if dim is None else each(dim, 1))}
    made = Shape([1 if i in axes else s for i, s in enumerate(x) if keepdim or i not in axes])
    over_picture = len(x) == 4 and axes == {2, 3}
    return Made(made, Role.POOLING if over_picture else Role.ELEMENTWISE, looked_at=x.elements if over_picture else 0)


NEIGHBOURS = {"nearest": 1, "nearest-exact": 1, "bilinear": 4, "bicubic": 16, "area": 1}


def interpolation(
    x: Shape, size: Anything = None, scale_factor: Anything = None, mode: str = "nearest", *_: Anything, **__: Anything
) -> Made:
    """To a size, or by a factor, rounded down."""
    n = len(x) - 2
    if size is not None:
        sides = each(size, n)
    else:
        if not all(is_exact(f) for f in each(scale_factor, n)):
            raise NotFollowed(f"enlarging by {scale_factor}, which floats cannot hold")
        factors = (exactly(f) for f in each(scale_factor, n))
        sides = tuple(s * int(f.p) // int(f.q) for s, f in zip(x[2:], factors, strict=True))
    if mode not in NEIGHBOURS:
        raise NotFollowed(f"enlarging by mode {mode!r}")
    made = Shape([*x[:2], *sides])
    return Made(made, Role.UPSAMPLING, looked_at=made.elements * NEIGHBOURS[mode])


def pixel_shuffle(x: Shape, factor: int) -> Made:
    """Channels become pixels (Shi et al. 2016)."""
    *batch, c, h, w = x
    return view([*batch, c // factor**2, h * factor, w * factor])
