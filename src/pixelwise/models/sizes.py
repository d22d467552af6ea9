"""Any picture size through a network that halves it: pad to a multiple, crop back."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def padded_to_multiple(x: Float[Tensor, "n c h w"], step: int) -> Float[Tensor, "n c hh ww"]:
    """The picture with its last row and column repeated until both sides divide by `step`; the same if they do."""
    h, w = x.shape[2:]
    down, right = -h % step, -w % step
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def cropped_to(x: Float[Tensor, "n c hh ww"], like: Float[Tensor, "n d h w"]) -> Float[Tensor, "n c h w"]:
    """The top left part of `x` that is as large as `like`."""
    return x[:, :, : like.shape[2], : like.shape[3]]
