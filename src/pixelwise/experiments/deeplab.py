"""Only the last layer of a COCO-pretrained DeepLabV3, fine-tuned on Oxford 17 flowers.

The exercise's ResNet-101 where its weights are at hand, and else the small public one for phones; once with void pixels
left out of training, and once as background, which is the exercise's way and what its score rewards.

Measured 2026-11-23 (n 3, two cores of an Intel Xeon): flower IoU 0.847 ± 0.001 of deeplabv3_mobilenet_v2 and 0.976 ±
0.001 of the default network, void left out; by the exercise's score, void as background, 0.444 ± 0.004 and 0.558 ±
0.008, or 0.445 ± 0.001 and 0.787 ± 0.001 where void was background in training too.
"""

from typing import Any

from .experiment import Experiment
from .protocol import Protocol, Setting


def settings(protocol: Protocol) -> list[Setting]:
    """The network and the default one, void left out and as background."""
    networks: dict[str, dict[str, Any]] = {"default network": {}}
    if protocol.deeplab:
        networks[protocol.deeplab["name"]] = protocol.deeplab
    return [
        protocol.segment(f"{name}{words}", {**network, **void})
        for name, network in reversed(networks.items())
        for words, void in (("", {}), (", void as background", {"void": "background"}))
    ]


EXPERIMENT = Experiment("deeplab", "c", "How well does the last layer alone segment flowers?", settings)
