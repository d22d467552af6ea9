"""What a convolution on a CPU needs while it runs, besides what it is given: rules of thumb for oneDNN.

It convolves in copies of input, weights and output whose channels lie in blocks of 16, and copies the output back when
the other two are gone. Going forward it does not where there are many zeros around the picture. Going backward through
a dilated kernel that reaches over the map it writes every neighbourhood as a column instead, once for each of two
threads while that is little. Found by measuring single convolutions; the whole is compared with real steps in
docs/results/finetuning.md.
"""

from collections.abc import Sequence

from torch import Tensor

from .symbols import Anything

BLOCK = 16  # channels
PLAIN = 3  # channels that are taken as they lie, such as a picture's
WIDE = 7  # zeros on a side, above which forward makes no copies
LITTLE = 64 * 2**20  # bytes of columns, above which threads do not have their own
THREADS = 2


def room_for(func: Anything, args: Sequence[Anything], out: Anything) -> int:
    """Bytes that one of torch's inner functions needs while it runs, its result included; 0 if it is no convolution."""
    name = func.overloadpacket.__name__
    if name == "convolution":
        return _forward(args[0], args[1], out, zeros=max(args[4]))
    if name == "convolution_backward":
        arriving, x, weight = args[:3]
        reach = max(d * (k - 1) + 1 for d, k in zip(args[6], weight.shape[2:], strict=True))
        return _backward(arriving, x, weight, out[:2], reach)
    return 0


def _forward(x: Tensor, weight: Tensor, out: Tensor, zeros: int) -> int:
    copies = 0 if zeros > WIDE else _blocks(x) + _blocks(weight) + _blocks(out)
    return max(copies, _blocks(out) + out.nbytes)


def _backward(arriving: Tensor, x: Tensor, weight: Tensor, made: Sequence[Tensor | None], reach: int) -> int:
    """First the gradient of the input, where it is needed, then that of the weights."""
    passed, learned = made
    side = min(x.shape[2:])
    columns = weight[0].numel() * arriving[0, 0].numel() * arriving.element_size()
    needed = [0]
    if passed is not None:
        needed.append(_blocks(arriving) + _blocks(weight) + _blocks(passed))
        needed.append(_blocks(passed) + passed.nbytes)
        needed.append(passed.nbytes + THREADS * columns * (reach > 2 * side))
    if learned is not None:
        before = 0 if passed is None else passed.nbytes
        own = THREADS * (columns + learned.nbytes)
        needed.append(before + _blocks(arriving) + _blocks(x) + _blocks(learned))
        needed.append(before + learned.nbytes + (own if own < LITTLE else columns) * (reach > side))
    return max(needed)


def _blocks(tensor: Tensor) -> int:
    """Bytes of a copy in blocks of channels."""
    channels = tensor.shape[1]
    whole = channels if channels <= PLAIN else -(-channels // BLOCK) * BLOCK
    return tensor.nbytes // max(1, channels) * whole
