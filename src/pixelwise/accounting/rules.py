"""What torch's functions make of shapes, and how many multiply-adds that takes: one rule a function, under its name.

A rule has the arguments of the function, with shapes in place of tensors, and is plain arithmetic; run on integers that
carry formulas (symbols.py) it gives formulas. What a rule says is compared with what torch made (walk.py).
"""

import math

from .made import Made, Role, Rule, Shape, Sizes, broadcast, each, view
from .products import attention, convolution, einsum, embedding, linear, matrix_product, transposed_convolution
from .rearranging import (
    cat,
    chunk,
    counted,
    expand,
    flatten,
    item,
    made_of,
    pad,
    permute,
    reshape,
    same,
    split,
    squeeze,
    stack,
    transpose,
    unfold,
    unsqueeze,
)
from .resizing import adaptive_pooling, interpolation, mean_pooling, pixel_shuffle, pooling, reduction
from .symbols import Anything


def elementwise(*given: Anything, **named: Anything) -> Made:
    """Functions of one value, or of several that stand in the same place."""
    return Made(broadcast(*(s for s in (*given, *named.values()) if isinstance(s, Shape))), Role.ELEMENTWISE)


def dropout(x: Shape, *_: Anything, **__: Anything) -> Made:
    """Values, or with dropout2d whole channels; keeps what it multiplied with."""
    return Made(x, Role.ELEMENTWISE, internals=(x.elements, math.prod(x[:2])))


def normalization(x: Shape, *_: Anything, **__: Anything) -> Made:
    """BatchNorm and its kin; keep mean and deviation of each channel, or of each picture's."""
    return Made(x, Role.NORMALIZATION, internals=(x[1], x[0] * x[1], x[0]) if len(x) > 1 else ())


def layer_norm(x: Shape, normalized_shape: Sizes, *_: Anything, **__: Anything) -> Made:
    """Over the last axes; keeps mean and deviation of each."""
    return Made(x, Role.NORMALIZATION, internals=(math.prod(x[: -len(each(normalized_shape, 1))]),))


def cross_entropy(x: Shape, target: Shape, *_: Anything, reduction: str = "mean", **__: Anything) -> Made:
    """Keeps the log-probabilities, and one number for the mean."""
    made = Shape([x[0], *x[2:]]) if reduction == "none" else Shape()
    return Made(made, Role.LOSS, internals=(x.elements, 1))


_POINTWISE = """add sub rsub mul div true_divide pow neg abs exp log sqrt rsqrt square reciprocal sin cos clamp
    clamp_min clamp_max minimum maximum where floor ceil round relu relu6 leaky_relu elu selu celu gelu silu mish
    hardtanh hardswish hardsigmoid sigmoid logsigmoid tanh softplus softmax log_softmax lt le gt ge eq ne logical_and
    logical_or logical_not addcmul addcdiv lerp radd rmul rtruediv
    truediv iadd isub imul itruediv floordiv mod remainder"""
_SAME = """contiguous clone detach to float double half bfloat16 long int bool type requires_grad_ data flip roll
    alpha_dropout zeros_like ones_like empty_like full_like rand_like randn_like identity fill zero copy uniform normal
    type_as cpu"""

RULES: dict[str, Rule] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed_convolution),
    **dict.fromkeys(("matmul", "mm", "mv", "bmm", "dot"), matrix_product),
    **dict.fromkeys(("max_pool2d", "max_pool2d_with_indices"), pooling),
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_max_pool2d"), adaptive_pooling),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), reduction),
    **dict.fromkeys(("batch_norm", "instance_norm", "group_norm"), normalization),
    **dict.fromkeys(("dropout", "dropout2d", "feature_dropout"), dropout),
    **dict.fromkeys(("view", "reshape"), reshape),
    **dict.fromkeys(("zeros", "ones", "empty", "full", "rand", "randn"), made_of),
    **dict.fromkeys(_POINTWISE.split(), elementwise),
    **dict.fromkeys(_SAME.split(), same),
    "arange": counted,
    "avg_pool2d": mean_pooling,
    "cat": cat,
    "chunk": chunk,
    "concat": cat,
    "cross_entropy": cross_entropy,
    "einsum": einsum,
    "embedding": embedding,
    "expand": expand,
    "expand_as": lambda x, other: view(other),
    "flatten": flatten,
    "getitem": item,
    "interpolate": interpolation,
    "layer_norm": layer_norm,
    "linear": linear,
    "pad": pad,
    "permute": permute,
    "prelu": lambda x, _: Made(x, Role.ELEMENTWISE),
    "pixel_shuffle": pixel_shuffle,
    "scaled_dot_product_attention": attention,
    "split": split,
    "squeeze": squeeze,
    "stack": stack,
    "t": transpose,
    "transpose": transpose,
    "unfold": unfold,
    "unsqueeze": unsqueeze,
    "view_as": lambda x, other: view(other),
}
