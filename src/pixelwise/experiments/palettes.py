"""Does a network learn colour, or does it copy grey? RGB classes against chroma classes.

In an RGB palette most of a pixel's class is its brightness, which a skip connection hands through. In a chroma palette
(OKLab's a and b, at the picture's own lightness) it is not: what is gained there is knowledge of colour.
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
