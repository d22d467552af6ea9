"""The glossary of axes, said once, and the tensor types that cross the borders between rooms.

n pictures · k classes (colours or labels) · c channels · h rows · w columns of pixels.

Shapes are checked when the tests run (jaxtyping + beartype) and cost nothing otherwise.
"""

from typing import TypeAlias

from jaxtyping import Float, Int64, UInt8
from torch import Tensor

# n colour pictures: red, green, blue; sRGB, 0 to 255.
Pixels: TypeAlias = UInt8[Tensor, "n 3 h w"]

# One colour picture: red, green, blue; sRGB, 0 to 255.
Rgb: TypeAlias = UInt8[Tensor, "3 h w"]

# A colour picture among others, each of its own size.
RgbOfAnySize: TypeAlias = UInt8[Tensor, "3 _ _"]

# n grey pictures: the mean of red, green and blue, 0 to 1.
Grey: TypeAlias = Float[Tensor, "n 1 h w"]

# What a network is shown of n pictures: one grey channel, or red, green and blue; 0 to 1.
Seen: TypeAlias = Float[Tensor, "n _ h w"]

# The grey level of every pixel as an integer: red + green + blue, 0 to 765.
GreyLevels: TypeAlias = Int64[Tensor, "n h w"]

# The class of every pixel, 0 to k - 1; 255 is void, which counts for nothing.
ClassIds: TypeAlias = UInt8[Tensor, "n h w"]

# Unnormalized log-probabilities of the k classes for every pixel.
Logits: TypeAlias = Float[Tensor, "n k h w"]

# Probabilities of the k classes for every pixel; they sum to 1 over k.
Probabilities: TypeAlias = Float[Tensor, "n k h w"]
