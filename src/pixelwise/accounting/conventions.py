"""What counts: accounts differ by these choices more often than by mistakes, so each is said and can be changed."""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from ..errors import BadSetting


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """What is counted as a weight, an output and a connection; the defaults are the classic exercise's.

    Args:
        outputs: "units": of convolutions, pooling and enlarging, since BatchNorm and ReLU only change units that are
            there; "every": those too, and sums and joins; "final": of the network alone.
        connections: "convolutions": multiply-adds of everything with weights, zeros around the picture included, biases
            not; "pooling": and the values that pooling and enlarging look at.
        normalization: "learned": two weights a channel, factor and offset; "statistics": and running mean and variance;
            "none".
    """

    outputs: Literal["units", "every", "final"] = "units"
    connections: Literal["convolutions", "pooling"] = "convolutions"
    normalization: Literal["learned", "statistics", "none"] = "learned"

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if value not in get_args(field.type):
                raise BadSetting(
                    f"convention {field.name} is {value!r}; expected one of {', '.join(get_args(field.type))}"
                )
