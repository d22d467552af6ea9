"""What a step of a network does, in few words."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..models.conv import MyConv2d

Shape = tuple[int, ...]
ARITHMETIC = {
    "add": "+",
    "sub": "−",
    "mul": "×",
    "div": "/",
    "truediv": "/",
    "true_divide": "/",
    "rsub": "−",
    "pow": "^",
}
SIGNS = frozenset(ARITHMETIC.values())
KNOWN = {
    "ReLU": "ReLU",
    "relu": "ReLU",
    "BatchNorm2d": "BatchNorm",
    "batch_norm": "BatchNorm",
    "Lookup": "lookup table",
    "softmax": "softmax",
    "log_softmax": "log softmax",
    "sigmoid": "sigmoid",
    "Linear": "linear",
    "Flatten": "flatten",
}


def said_of_module(module: nn.Module, given: Shape, made: Shape) -> str:
    """What a leaf module does to a tensor of one shape, that of another comes out."""
    kind = type(module).__name__
    if isinstance(module, MyConv2d):
        return convolution(module.weight.shape, (1, 1), (1, 1), 1)
    if isinstance(module, nn.Conv2d):
        return convolution(module.weight.shape, module.stride, module.dilation, module.groups)
    if isinstance(module, nn.ConvTranspose2d):
        return f"up-conv {_by(module.kernel_size)}, {module.out_channels}"
    if isinstance(module, nn.Upsample | nn.PixelShuffle):
        return resized(given, made)
    if "Pool" in kind:
        return pooling(kind, getattr(module, "kernel_size", None))
    if isinstance(module, nn.Linear):
        return f"linear, {module.out_features}"
    return KNOWN.get(kind, kind)


def said_of_function(kind: str, args: Sequence[Any], kwargs: Mapping[str, Any], made: Shape) -> str:
    """What a function does that was called outside of leaf modules."""
    plain = kind.strip("_")
    given = tuple(args[0].shape[1:]) if args and isinstance(args[0], Tensor) else ()
    if plain in ("conv2d", "_conv2d"):
        weight = args[1] if len(args) > 1 else kwargs["weight"]
        values = {
            name: kwargs.get(name, args[place] if len(args) > place else 1) for name, place in CONVOLUTION.items()
        }
        return convolution(weight.shape, _pair(values["stride"]), _pair(values["dilation"]), values["groups"])
    if plain in ("interpolate", "upsample"):
        return resized(given, made)
    if "pool" in plain:
        return pooling(plain, kwargs.get("kernel_size", args[1] if len(args) > 1 else None))
    for name, sign in ARITHMETIC.items():
        if plain in (name, f"i{name}", f"r{name}"):
            numbers = [value for value in args if isinstance(value, int | float)]
            if numbers and plain == f"r{name}":
                return f"{numbers[0]:g} {sign}"
            return f"{sign} {numbers[0]:g}" if numbers else sign
    if plain in ("cat", "concat", "concatenate"):
        return "concatenate"
    if plain == "getitem":
        return "crop" if given[:1] == made[:1] else "part"
    return KNOWN.get(plain, plain.replace("_", " "))


CONVOLUTION = {"stride": 3, "dilation": 5, "groups": 6}  # places of conv2d's arguments


def convolution(weight: Sequence[int], stride: Any, dilation: Any, groups: int) -> str:  # noqa: ANN401 - int or pair
    """Such as `conv 3×3, 32`, and what is unusual about it."""
    filters, channels, *sides = weight
    unusual = [f"step {max(_pair(stride))}"] if max(_pair(stride)) > 1 else []
    unusual += [f"rate {max(_pair(dilation))}"] if max(_pair(dilation)) > 1 else []
    unusual += ["depthwise" if channels == 1 else f"{groups} groups"] if groups > 1 else []
    return ", ".join([f"conv {_by(sides)}, {filters}", *unusual])


def pooling(kind: str, kernel: Any) -> str:  # noqa: ANN401 - int, pair or None
    """Such as `max pool 2×2`; a mean over all pixels is `mean of all`."""
    which = "max" if "max" in kind.lower() else "mean"
    if "adaptive" in kind.lower() or kernel is None:
        return f"{which} of all"
    return f"{which} pool {_by(kernel)}"


def resized(given: Shape, made: Shape) -> str:
    """Such as `up ×2`."""
    if len(given) < 2 or given[-1] == made[-1]:
        return "resize"
    factor = made[-1] / given[-1]
    return f"up ×{factor:.3g}" if factor > 1 else f"down to 1/{1 / factor:.3g}"


def size_said(shape: Shape) -> str:
    """Channels and size, such as `32 @ 16×16`."""
    if len(shape) != 3:
        return " × ".join(map(str, shape))
    return f"{shape[0]} @ {shape[1]}×{shape[2]}"


def _pair(value: Any) -> tuple[int, int]:  # noqa: ANN401 - int or pair
    one, two = (value, value) if isinstance(value, int) else (value[0], value[-1])
    return int(one), int(two)


def _by(value: Any) -> str:  # noqa: ANN401 - int or pair
    return "{}×{}".format(*_pair(value))
