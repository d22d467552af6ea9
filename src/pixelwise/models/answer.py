"""Ask a trained network: in evaluation mode, without gradients, and never with an answer that is not a number."""

import torch
from torch import nn

from ..errors import Diverged
from ..shapes import Grey, Logits


def logits_of(model: nn.Module, seen: Grey) -> Logits:
    """A model's answer to what it is shown, in evaluation mode and without gradients, as float32 on the CPU.

    Raises:
        Diverged: the answer is not made of numbers.
    """
    device = next((t.device for t in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        logits: Logits = model(seen.to(device)).float().cpu()
    model.train(was_training)
    if not bool(torch.isfinite(logits).all()):
        raise Diverged("the network's answer is not a finite number; its weights are of no use, train it again")
    return logits
