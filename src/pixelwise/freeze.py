"""What is trained and what is not: chosen by name, and proven by fingerprints taken before and after.

That a parameter takes no gradient is not enough. A frozen BatchNorm in training mode still moves its statistics, and
frozen dropout still drops; so everything frozen is also in evaluation mode (models/segmenter.py), and the fingerprints
cover buffers as well as parameters.
"""

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from .errors import BadRun, BadSetting
from .models.segmenter import Segmenter, rest_frozen

Mode = Literal["last", "head", "full"]
MODES: tuple[Mode, ...] = get_args(Mode)


def prefixes_of(model: Segmenter, mode: Mode) -> tuple[str, ...]:
    """The name prefixes of what a mode trains: the last layer, all that stands behind the trunk, or everything."""
    if mode == "full":
        return ("",)
    return ("last.",) if mode == "last" else (*model.head_prefixes, "last.")


def freeze(model: nn.Module, learned: Sequence[str]) -> None:
    """Train what has one of these name prefixes and nothing else; the model goes into training mode so.

    A segmenter stays so whenever it is put into training mode again; of another network, train() would wake up what is
    frozen, so that its modes are set here once.

    Raises:
        BadSetting: a prefix fits no parameter, so that less would be trained than was meant.
    """
    names = [name for name, _ in model.named_parameters()]
    if not names:
        raise BadSetting(f"{type(model).__name__} has nothing to train: no parameters")
    for prefix in learned:
        if not any(name.startswith(prefix) for name in names):
            close = difflib.get_close_matches(prefix, names, n=3, cutoff=0.3)
            raise BadSetting(
                f"no parameter's name begins with {prefix!r}; names are such as {', '.join(close or names[:3])}"
            )
    if not learned:
        raise BadSetting("nothing is left to train; name at least the last layer: last.")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(tuple(learned)))
    if isinstance(model, Segmenter):
        model.learned = tuple(learned)
    model.train()
    rest_frozen(model, tuple(learned))


def fingerprints(model: Segmenter) -> dict[str, str]:
    """The SHA-256 of every frozen parameter, and of every buffer that training has no business with, by name."""
    training = {name for name, module in model.named_modules() if name and module.training}
    frozen = {name: tensor for name, tensor in model.named_parameters() if not tensor.requires_grad}
    buffers = {name: tensor for name, tensor in model.named_buffers() if name.rpartition(".")[0] not in training}
    return {name: fingerprint(tensor) for name, tensor in {**frozen, **buffers}.items()}


def fingerprint(tensor: Tensor) -> str:
    """The SHA-256 of a tensor's values, type and shape."""
    values = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{values.dtype} {tuple(values.shape)}".encode())
    digest.update(values.flatten().view(torch.uint8).numpy().tobytes() if values.numel() else b"")
    return digest.hexdigest()


def prove_frozen(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Stop if anything frozen has changed.

    Raises:
        BadRun: it has; the message names the first of it.
    """
    moved = [name for name, old in before.items() if after.get(name) != old]
    if moved or len(before) != len(after):
        some = ", ".join(moved[:3]) or "the list of frozen tensors"
        raise BadRun(f"{len(moved)} frozen tensors changed while training ({some}); please report it")
