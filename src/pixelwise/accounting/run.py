"""One walk of a network at one size; and the same network elsewhere, to see whether the formulas hold there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from sympy import Symbol
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..errors import BadSetting, PixelwiseError
from .conditions import symbol
from .layers import Layer, layers_of, shared_parameters
from .made import Shape
from .subject import Subject
from .symbols import Facts, expression_of, plain_of
from .walk import Walk, tensors_in

PLACES = 3  # where formulas are compared with the network
COUNTED = ("weights", "units", "values", "final", "connections", "looked_at")


@dataclass(frozen=True)
class Ran:
    """What one walk found."""

    facts: Facts
    layers: Sequence[Layer]
    notes: Sequence[str]

    def sums(self) -> dict[str, int]:
        """Of everything that is counted, over the layers."""
        return {name: sum(getattr(layer, name) for layer in self.layers) for name in COUNTED}


def ran(subject: Subject, size: tuple[int, int], facts: Facts, symbols: Sequence[str], times: int = 1) -> Ran:
    """Walk through a network.

    Args:
        subject: the network.
        size: rows and columns of the picture, before it is doubled.
        facts: takes up the conditions under which the formulas hold.
        symbols: names of the widths and sides that carry formulas; the others are plain numbers.
        times: 2 for a picture of twice the width and height.

    Raises:
        BadSetting: the network cannot be built or run so.
    """
    widths = {s: facts.integer(s, value) if s in symbols else value for s, value in subject.widths.items()}
    sides = [times * (facts.integer(s, v) if s in symbols else v) for s, v in zip("HW", size, strict=True)]
    built = subject.build(widths)
    channels = widths[subject.channels] if isinstance(subject.channels, str) else subject.channels
    walk = Walk(built.network, built.shapes)
    seen = Shape([1, channels, *sides])
    with walk.watching(), torch.no_grad():
        answer = run_forward(built.network, walk, seen)
    facts.listening = False  # what is asked from here on is not asked by the network
    layers = layers_of(built.network, built.shapes, walk.ops, walk.calls)
    for last in ([layer for layer in layers if layer.units] or layers)[-1:]:
        last.final = sum(walk.shape_of(tensor).elements for tensor in answer)
    return Ran(facts, layers, _notes(built.network, walk))


def run_forward(network: nn.Module, walk: Walk, seen: Shape, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """The network's answer to a picture without numbers: one tensor, or those in a tuple or dictionary.

    Raises:
        BadSetting: it fails.
    """
    picture = walk.tag(torch.empty(tuple(map(plain_of, seen)), dtype=dtype, device="meta"), seen)
    try:
        answer = network(picture)
    except PixelwiseError:
        raise
    except Exception as error:  # someone's own network raises what it likes
        size = " x ".join(str(plain_of(s)) for s in seen)
        at = f" in its layer {walk.where!r}" if walk.where else ""
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise BadSetting(
            f"the network fails{at} on pictures of {size} (number, channels, rows, columns): {said}; "
            "give --size or --channels as it expects them"
        ) from error
    return tensors_of(answer)


def tensors_of(answer: Any) -> list[Tensor]:  # noqa: ANN401 - what a network answers
    """The tensors of an answer; of a dictionary with "out", as torchvision's networks give, that one alone.

    Raises:
        BadSetting: there is none.
    """
    if isinstance(answer, Mapping):
        answer = answer.get("out", answer)
    found = tensors_in(answer)
    if not found:
        raise BadSetting(f"the network answers with {type(answer).__name__}; expected a tensor, or tensors")
    return found


def _notes(network: nn.Module, walk: Walk) -> list[str]:
    """What has to be known of a walk besides its numbers."""
    found = [f"could not be followed, and stands as a number of this size alone: {what}" for what in walk.not_followed]
    found += [f"{second} is {first}, and counted once" for second, first in shared_parameters(network)]
    with_weights = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
    again = [f"{name} ({walk.calls[name]} times)" for name in with_weights if walk.calls.get(name, 0) > 1]
    if again:
        found.append(f"called more than once: {_some(again)}")
    used = {name for op in walk.ops for name in op.parameters}
    idle = [name for name, _ in network.named_parameters() if name not in used]
    if idle:
        found.append(f"has weights that an answer does not use: {_some(idle)}")
    return found


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def checked_elsewhere(subject: Subject, size: tuple[int, int], once: Ran, symbols: Sequence[str]) -> tuple[str, bool]:
    """Compare the formulas with the network itself in other widths and at another size.

    Nearby, far away and below: a depth may have followed from a width, and where a number of someone's own arithmetic
    lost its formula, sizes nearby may still give the same.

    Returns:
        Where they were compared, in words, and whether they were wrong there, or could be compared nowhere.
    """
    places = _elsewhere(once.facts, subject.widths, size, symbols)
    said: list[str] = []
    for values in places:
        widths = {name: values.get(symbol(name), value) for name, value in subject.widths.items()}
        there = (values.get(symbol("H"), size[0]), values.get(symbol("W"), size[1]))
        other = Subject(subject.name, widths, subject.channels, there, subject.make)
        try:
            real = ran(other, there, Facts(), ())
            connections = counted_by_torch(other, there)
        except BadSetting:
            continue  # it is not made for this
        sums, expected = once.sums(), real.sums()
        same = all(expression_of(sums[name]).subs(values) == expected[name] for name in COUNTED)
        words = ", ".join(f"{name} = {value}" for name, value in {**widths, "H": there[0], "W": there[1]}.items())
        agrees = connections == expected["connections"]
        torch_says = "torch's counter agrees"
        if not agrees:
            torch_says = f"torch's counter finds {connections:,} connections instead of {expected['connections']:,}"
        said.append(f"{words}: the network itself has what the formulas give there, and {torch_says}")
        if not same or len(said) == PLACES:
            return said[0], not same
    return said[0] if said else "nowhere else: the network takes no other size and width", not said and bool(symbols)


def _elsewhere(
    facts: Facts, widths: Mapping[str, int], size: tuple[int, int], symbols: Sequence[str]
) -> Iterator[dict[Symbol, int]]:
    """Other values at which the conditions hold, nearer ones first."""
    here = {**widths, **dict(zip("HW", size, strict=True))}
    for factor, wider in ((1, 1), (3, 1), (Fraction(1, 2), -1), (1, -1), (2, 1), (2, -1)):
        for step in (*range(1, 13), 16, 24, 32, 48, 64):
            more = {"H": 3 * step, "W": 5 * step}
            moved = {s: int(factor * here[s]) + more.get(s, wider * min(step, 3)) for s in symbols}
            if "k" in moved:
                moved["k"] = here["k"] + 2 * wider
            values = {symbol(s): value for s, value in moved.items()}
            if symbols and min(moved.values()) > 0 and facts.hold_at(values):
                yield values
                break
    if not symbols:
        yield {}


def counted_by_torch(subject: Subject, size: tuple[int, int]) -> int:
    """Multiply-adds of one answer by torch's own counter, which counts two operations for each."""
    built = subject.build(subject.widths)
    channels = subject.widths[subject.channels] if isinstance(subject.channels, str) else subject.channels
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        built.network(torch.empty(1, channels, *size))
    return int(counter.get_total_flops()) // 2
