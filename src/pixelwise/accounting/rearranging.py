"""Rules for the same values elsewhere: cut, joined, repeated, in another order; and for new tensors."""

import math
from collections.abc import Sequence

from .made import Made, NotFollowed, Role, Shape, Sizes, each, view
from .symbols import Anything, plain_of


def same(x: Shape, *_: Anything, **__: Anything) -> Made:
    """Nothing changes in shape."""
    return Made(x)


def cat(tensors: Sequence[Shape], dim: int = 0) -> Made:
    """Side by side along an axis."""
    first, axis = tensors[0], dim % len(tensors[0])
    return Made(Shape(sum(t[axis] for t in tensors) if i == axis else size for i, size in enumerate(first)), Role.JOIN)


def stack(tensors: Sequence[Shape], dim: int = 0) -> Made:
    """Along a new axis."""
    sizes = list(tensors[0])
    sizes.insert(dim % (len(sizes) + 1), len(tensors))
    return Made(Shape(sizes), Role.JOIN)


def pad(x: Shape, pad: Sequence[int], *_: Anything, **__: Anything) -> Made:
    """Pairs of before and after, the last axis first."""
    sizes = list(x)
    for i in range(len(pad) // 2):
        sizes[-1 - i] = sizes[-1 - i] + pad[2 * i] + pad[2 * i + 1]
    return view(sizes)


def reshape(x: Shape, *sizes: Anything, shape: Anything = None) -> Made:
    """In new sizes; one of them may be -1."""
    wanted = shape if shape is not None else sizes[0] if isinstance(sizes[0], Sequence) else sizes
    known = math.prod(size for size in wanted if plain_of(size) != -1)
    return view([x.elements // known if plain_of(size) == -1 else size for size in wanted])


def flatten(x: Shape, start_dim: int = 0, end_dim: int = -1) -> Made:
    """Some axes made one."""
    start, end = start_dim % len(x), end_dim % len(x)
    return view([*x[:start], math.prod(x[start : end + 1]), *x[end + 1 :]])


def unfold(x: Shape, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Made:
    """Every neighbourhood as a column."""
    kernel = each(kernel_size, 2)
    axes = zip(x[-2:], kernel, *(each(v, 2) for v in (dilation, padding, stride)), strict=True)
    places = math.prod((s + 2 * p - d * (k - 1) - 1) // by + 1 for s, k, d, p, by in axes)
    return view([*x[:-3], x[-3] * math.prod(kernel), places])


def permute(x: Shape, *dims: Anything) -> Made:
    """Axes in another order."""
    order = dims[0] if isinstance(dims[0], Sequence) else dims
    return view([x[i] for i in order])


def transpose(x: Shape, dim0: int = -1, dim1: int = -2) -> Made:
    """Two axes swapped."""
    sizes = list(x)
    sizes[dim0], sizes[dim1] = sizes[dim1], sizes[dim0]
    return view(sizes)


def expand(x: Shape, *sizes: Anything) -> Made:
    """Repeated without being copied; -1 leaves an axis as it is."""
    wanted = sizes[0] if isinstance(sizes[0], Sequence) else sizes
    there = (1,) * (len(wanted) - len(x)) + tuple(x)
    return view([old if plain_of(new) == -1 else new for old, new in zip(there, wanted, strict=True)])


def squeeze(x: Shape, dim: Anything = None) -> Made:
    """Without axes of one."""
    axes = {i % len(x) for i in (range(len(x)) if dim is None else each(dim, 1))}
    return view([size for i, size in enumerate(x) if i not in axes or plain_of(size) != 1])


def unsqueeze(x: Shape, dim: int) -> Made:
    """With a new axis of one."""
    at = dim % (len(x) + 1)
    return view([*x[:at], 1, *x[at:]])


def split(x: Shape, split_size_or_sections: Anything, dim: int = 0) -> Made:
    """Cut along an axis, in parts of a size or in given ones."""
    axis, parts = dim % len(x), split_size_or_sections
    if not isinstance(parts, Sequence):
        whole, rest = divmod(plain_of(x[axis]), plain_of(parts))
        bool(x[axis] // parts == whole)  # how many parts there are is a condition
        bool((x[axis] % parts == 0) == (not rest))
        parts = [parts] * whole + [x[axis] - whole * parts] * bool(rest)
    return Made([Shape([*x[:axis], part, *x[axis + 1 :]]) for part in parts])


def chunk(x: Shape, chunks: int, dim: int = 0) -> Made:
    """Cut in so many parts along an axis."""
    return split(x, -(-x[dim % len(x)] // chunks), dim)


def item(x: Shape, index: Anything) -> Made:
    """x[…] with numbers, slices, None, … and one tensor of numbers."""
    given = list(index) if isinstance(index, tuple) and not isinstance(index, Shape) else [index]
    if ... in given:
        at = given.index(...)
        used = sum(1 for i in given if i is not None and i is not ...)
        given[at : at + 1] = [slice(None)] * (len(x) - used)
    sizes, axes = [], iter(x)
    for one in given:
        if one is None:
            sizes.append(1)
        elif isinstance(one, slice):
            sizes.append(_length(one, next(axes)))
        elif isinstance(one, Shape):
            sizes += one
            next(axes)
        elif isinstance(one, int) and not isinstance(one, bool):
            next(axes)
        else:
            raise NotFollowed(f"an index of type {type(one).__name__}")
    return view([*sizes, *axes])


def _length(part: slice, size: int) -> int:
    """How many values a slice has; where its ends fall is a condition."""
    start, stop = (0 if part.start is None else part.start), (size if part.stop is None else part.stop)
    start, stop = _inside(start, size), _inside(stop, size)
    step = 1 if part.step is None else part.step
    return (stop - start + step - 1) // step if stop > start else 0


def _inside(end: int, size: int) -> int:
    """An end of a slice, counted from the beginning; Python cuts those that lie outside."""
    if end < 0:
        return size + end if size + end >= 0 else 0
    return end if end <= size else size


def made_of(*sizes: Anything, size: Anything = None, **_: Anything) -> Made:
    """A new tensor of some size."""
    wanted = size if size is not None else sizes[0] if sizes and isinstance(sizes[0], Sequence) else sizes
    return view([s for s in wanted if isinstance(s, int)])


def counted(*ends: int, **_: Anything) -> Made:
    """Numbers in a row, from 0 or from the first one given."""
    if len(ends) > 2:
        raise NotFollowed("arange with a step")
    return view([ends[-1] - ends[0] if len(ends) == 2 else ends[0]])
