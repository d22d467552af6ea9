"""Rules for products with weights: convolutions, linear layers, attention, and tables.

Multiply-adds are counted with the zeros around the picture and without the bias, as everyone counts them.
"""

import math

from .made import Made, NotFollowed, Role, Shape, Sizes, broadcast, each
from .symbols import Anything


def convolution(
    x: Shape,
    weight: Shape,
    bias: Shape | None = None,
    stride: Sizes = 1,
    padding: Anything = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Made:
    """In any number of dimensions; weights are filters, channels / groups, kernel."""
    filters, channels, *kernel = weight
    n = len(kernel)
    strides, dilations = each(stride, n), each(dilation, n)
    reaches = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
    zeros = reaches if padding == "same" else [2 * p for p in each(0 if padding == "valid" else padding, n)]
    sides = [(s + z - r - 1) // by + 1 for s, z, r, by in zip(x[-n:], zeros, reaches, strides, strict=True)]
    made = Shape([*x[: -n - 1], filters, *sides])
    return Made(made, Role.CONVOLUTION, made.elements * channels * math.prod(kernel))


def transposed_convolution(
    x: Shape,
    weight: Shape,
    bias: Shape | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Made:
    """Every input value is multiplied with a kernel; weights are channels, filters / groups, kernel."""
    _, filters, *kernel = weight
    n = len(kernel)
    axes = zip(x[-n:], kernel, *(each(v, n) for v in (stride, padding, output_padding, dilation)), strict=True)
    sides = [(s - 1) * by - 2 * p + d * (k - 1) + more + 1 for s, k, by, p, more, d in axes]
    made = Shape([*x[: -n - 1], filters * groups, *sides])
    return Made(made, Role.CONVOLUTION, x.elements * filters * math.prod(kernel))


def linear(x: Shape, weight: Shape, bias: Shape | None = None) -> Made:
    """Weights are outputs, inputs."""
    made = Shape([*x[:-1], weight[0]])
    return Made(made, Role.CONVOLUTION, made.elements * weight[1])


def matrix_product(a: Shape, b: Shape) -> Made:
    """The last two axes; the others are broadcast."""
    if len(a) == 1:
        made = Shape([*b[:-2], *b[-1:]]) if len(b) > 1 else Shape()
        return Made(made, Role.CONVOLUTION, made.elements * a[0])
    if len(b) == 1:
        return Made(Shape(a[:-1]), Role.CONVOLUTION, a.elements)
    made = Shape([*broadcast(Shape(a[:-2]), Shape(b[:-2])), a[-2], b[-1]])
    return Made(made, Role.CONVOLUTION, made.elements * a[-1])


def einsum(equation: str, *operands: Shape) -> Made:
    """Every combination of indices is one product (of two operands; of more it depends on their order)."""
    given, _, wanted = equation.replace(" ", "").partition("->")
    letters = given.split(",")
    if "..." in equation or not wanted or len(operands) != len(letters) or len(operands) > 2:
        raise NotFollowed(f"the equation {equation!r}")
    sizes = {
        letter: size for some, x in zip(letters, operands, strict=True) for letter, size in zip(some, x, strict=True)
    }
    made = Shape(sizes[letter] for letter in wanted)
    if len(operands) == 1:
        return Made(made)
    return Made(made, Role.CONVOLUTION, math.prod(sizes.values()))


def attention(query: Shape, key: Shape, value: Shape, *_: Anything, **__: Anything) -> Made:
    """Queries times keys, and that times values (Vaswani et al. 2017)."""
    made = Shape([*query[:-1], value[-1]])
    scores = Shape([*query[:-1], key[-2]]).elements
    return Made(made, Role.CONVOLUTION, scores * (query[-1] + value[-1]), internals=(query.elements // query[-1],))


def embedding(indices: Shape, weight: Shape, *_: Anything, **__: Anything) -> Made:
    """A row of the table for each index."""
    return Made(Shape([*indices, *weight[1:]]), Role.TABLE)
