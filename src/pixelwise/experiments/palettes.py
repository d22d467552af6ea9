"""Does a network learn colour, or does it copy grey? RGB classes against chroma classes.

In an RGB palette most of a pixel's class is its brightness, which a skip connection hands through. In a chroma palette
(OKLab's a and b, at the picture's own lightness) it is not: what is gained there is knowledge of colour.

Measured 2026-11-23 (n 3, two cores of an Intel Xeon), cross-entropy in nats: with RGB classes the table has 0.913,
`cnn` 1.597 ± 0.007 and `unet` 1.352 ± 0.010; with chroma classes the table has 2.718, `cnn` 2.583 ± 0.011 and `unet`
2.556 ± 0.004. So both networks know colour that the table does not, and nine tenths of what the connections bring is
brightness.
"""

from .experiment import Experiment
from .protocol import Protocol, Setting


def settings(protocol: Protocol) -> list[Setting]:
    """Both networks and the lookup, with both palettes."""
    return [
        protocol.colour(f"{model}, {space}", model, {"space": space})
        for space in ("rgb", "oklab")
        for model in ("lookup", "cnn", "unet")
    ]


EXPERIMENT = Experiment("palettes", "b", "Does a network learn colour, or does it copy grey?", settings)
