"""Fine-tuning a network of n equal layers: whole, last layer, and the leak, as formulas in n; and pictures doubled.

Each layer has k² C C + C weights and C channels on H x W pixels, and its output is the next one's input; behind each
stands nothing that keeps more than that input. B pictures a step. So a layer keeps A = 4 B C H W bytes, its input, and
computes F = B k² C² H W multiply-adds; backward does F once more for the weights' gradient, where they are trained, and
once more for the gradient of the input, where something before it is trained. The first layer needs no such one.

    whole network   keeps n A   computes n F + (2 n - 1) F
    last layer      keeps   A   computes n F + F            the frozen trunk still runs forward
    first and last  keeps n A   computes n F + (n + 1) F    two layers are trained, and backward goes all the way

With features that were computed once the last layer computes 2 F, and n has no part in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sympy
from sympy import Expr

from .conditions import symbol

NUMBER = 4  # bytes, in float32
ADAM = 2  # moments

n, B, C, H, W, k = (symbol(name) for name in ("n", "B", "C", "H", "W", "k"))
PARAMETERS = k**2 * C**2 + C  # of one layer
KEPT = NUMBER * B * C * H * W  # its input
FORWARD = B * k**2 * C**2 * H * W


@dataclass(frozen=True)
class Terms:
    """What one step of training needs."""

    trained: Expr  # parameters
    gradients: Expr  # bytes
    optimizer: Expr  # bytes of Adam's moments
    kept: Expr  # bytes for backward
    forward: Expr  # multiply-adds
    backward: Expr

    @property
    def computed(self) -> Expr:
        """Forward and backward together."""
        return sympy.expand(self.forward + self.backward)

    def doubled(self) -> Mapping[str, Expr]:
        """By how much each term grows when width and height are doubled."""
        twice = {H: 2 * H, W: 2 * W}
        return {name: sympy.cancel(term.subs(twice, simultaneous=True) / term) for name, term in vars(self).items()}

    def to_mapping(self) -> dict[str, str]:
        """As JSON can hold it."""
        return {name: str(sympy.factor(term)) for name, term in vars(self).items()}


def _terms(layers_trained: Expr, layers_kept: Expr, backward: Expr) -> Terms:
    trained = layers_trained * PARAMETERS
    sizes = NUMBER * trained, ADAM * NUMBER * trained
    return Terms(trained, *sizes, layers_kept * KEPT, n * FORWARD, backward * FORWARD)


EQUAL_LAYERS = {
    "whole network": _terms(n, n, 2 * n - 1),
    "last layer": _terms(sympy.S.One, sympy.S.One, sympy.S.One),
    "first and last layer": _terms(sympy.Integer(2), n, n + 1),
    "last layer, on features computed once": Terms(
        PARAMETERS, NUMBER * PARAMETERS, ADAM * NUMBER * PARAMETERS, KEPT, FORWARD, FORWARD
    ),
}
