"""A 2-D convolution laid open for reading, on two routes that agree in value and gradient.

The sum behind it (a cross-correlation, with zeros around the picture so that its size is kept):

    out[n, o, y, x] = bias[o] + sum over i, u, v of  weight[o, i, u, v] * in[n, i, y + u - top, x + v - left]

The route "unfold" writes that sum as one matrix product: every k x k neighbourhood becomes a column ("im2col",
Chellapilla, Puri and Simard 2006), and the weights, one row for each filter, multiply the columns. The route "fast"
hands the same numbers to torch.nn.functional.conv2d. It uses about k² times less memory and is the one trained with.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Route = Literal["fast", "unfold"]


class MyConv2d(nn.Module):
    """Convolution by `kernel` x `kernel` filters at stride 1 that keeps the picture's size.

    Args:
        in_channels: channels that come in.
        out_channels: filters, and channels that go out.
        kernel: side of the filters, odd or even; an even one sees one pixel more to the right and below.
        route: "fast" or "unfold"; the same values up to rounding.

    The weights, of shape (out_channels, in_channels, kernel, kernel), and the bias, of shape (out_channels,), start
    uniform in ±1/sqrt(in_channels * kernel²), as torch.nn.Conv2d's do.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, route: Route = "fast") -> None:
        super().__init__()
        self.kernel = kernel
        self.route = route
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(out_channels))
        bound = 1 / math.sqrt(in_channels * kernel**2)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n filters h w"]:
        """Convolve; the result has as many rows and columns as `x`."""
        before = (self.kernel - 1) // 2  # zeros above and to the left; an even kernel needs one more behind
        after = self.kernel - 1 - before
        if self.route == "fast" and before == after:
            return F.conv2d(x, self.weight, self.bias, padding=before)
        x_in_zeros = F.pad(x, (before, after, before, after))
        if self.route == "fast":
            return F.conv2d(x_in_zeros, self.weight, self.bias)
        n, _, h, w = x.shape
        columns = F.unfold(x_in_zeros, self.kernel)  # (n, c k k, h w): one column for each pixel
        rows = self.weight.flatten(1)  # (filters, c k k): one row for each filter
        return (rows @ columns + self.bias.view(1, -1, 1)).view(n, -1, h, w)

    def extra_repr(self) -> str:
        """What torch prints between the brackets."""
        filters, channels, *_ = self.weight.shape
        return f"{channels}, {filters}, kernel={self.kernel}, route={self.route!r}"
