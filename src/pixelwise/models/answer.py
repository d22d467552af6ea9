"""Ask a trained network: in evaluation mode, without gradients, and never with an answer that is not a number."""

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import Diverged
from ..shapes import Logits


def logits_of(model: nn.Module, *given: Any) -> Logits:  # noqa: ANN401 - a picture mostly, or features and a size
    """A model's answer to what it is given, in evaluation mode and without gradients, as float32 on the CPU.

    Raises:
        Diverged: the answer is not made of numbers.
    """
    device = next((t.device for t in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        logits: Logits = model(*moved(given, device)).float().cpu()
    model.train(was_training)
    if not bool(torch.isfinite(logits).all()):
        raise Diverged("the network's answer is not a finite number; its weights are of no use, train it again")
    return logits


def moved(given: Any, device: torch.device) -> Any:  # noqa: ANN401 - tensors, and tuples of them
    """What a model is called with, on a device."""
    if isinstance(given, tuple) and not isinstance(given, torch.Size):
        return tuple(moved(item, device) for item in given)
    return given.to(device) if isinstance(given, Tensor) else given
