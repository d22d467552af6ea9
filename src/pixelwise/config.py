"""Settings as frozen values. A key that nobody knows is an error that lists the keys there are.

The library takes flat arguments; only the commands and the run folders speak in settings.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from .errors import BadSetting

Split = Literal["train", "validation", "test", "all"]

_Settings = TypeVar("_Settings", bound="Settings")  # not Self, which beartype cannot check in a single method


LARGEST = 1e38  # about what float32 can hold


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Base of all settings: made from a mapping, turned into one, and checked when made."""

    @classmethod
    def from_mapping(cls: type[_Settings], given: Mapping[str, Any]) -> _Settings:
        """Settings from names and values; JSON lists become tuples.

        Raises:
            BadSetting: a name is unknown, or a value has the wrong type or is out of range.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise BadSetting(f"unknown setting {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        hints = get_type_hints(cls)
        values = {key: _as_written(value, hints[key]) for key, value in given.items()}
        cls._check_types(values)
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """The settings as names and values that JSON can hold."""
        return asdict(self)

    def __post_init__(self) -> None:
        self._check_types(self.to_mapping())

    @classmethod
    def _check_types(cls, values: Mapping[str, Any]) -> None:
        hints = get_type_hints(cls)
        for name, value in values.items():
            if not _fits(value, hints[name]):
                options = get_args(hints[name]) if get_origin(hints[name]) is Literal else [_name_of(hints[name])]
                raise BadSetting(f"{name} is {value!r}; expected {' or '.join(options)}")

    def _need(self, holds: bool, name: str, expected: str) -> None:
        if not holds:
            raise BadSetting(f"{name} is {getattr(self, name)!r}; expected {expected}")


def _as_written(value: Any, hint: Any) -> Any:  # noqa: ANN401 - any setting's value and type
    """A value that went through JSON as it was: lists were tuples, and 1 may have been 1.0."""
    if isinstance(value, list):
        return tuple(value)
    wants_float = float in (hint, *get_args(hint))
    return float(value) if wants_float and isinstance(value, int) and _fits(value, float) else value


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401 - a type hint can be any object
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin is tuple:
        inner = get_args(hint)[0]
        return isinstance(value, tuple) and all(_fits(item, inner) for item in value)
    if get_args(hint):  # a union such as str | None
        return any(_fits(value, option) for option in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _name_of(hint: Any) -> str:  # noqa: ANN401 - a type hint can be any object
    if hint is float:
        return "a finite number"
    if get_origin(hint) is tuple and get_origin(get_args(hint)[0]) is Literal:
        return f"some of {', '.join(get_args(get_args(hint)[0]))}"
    return hint.__name__ if isinstance(hint, type) else str(hint)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSettings(Settings):
    """Which pictures: the name of a data set, where it lies, and how it is cut and split."""

    name: str = "photos"
    root: str | None = None  # folder that holds the data; None: the embedded or downloaded copy
    category: tuple[str, ...] = ()  # CIFAR-10 categories; empty: all ten
    validation: float | None = None  # share of the pictures kept aside for validation; None: the data set's usual one
    patch: int = 32  # side of the square patches that photographs are cut into, in pixels
    size: int = 256  # long side at which labelled pictures are seen, in pixels
    scales: tuple[int, ...] = (64, 128, 256)  # short sides to which photographs are reduced before cutting

    cover: bool = False  # where one square would leave much of a photograph unseen, cut two that overlap

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        self._need(self.validation is None or 0 <= self.validation < 1, "validation", "a share, 0 or more and below 1")
        self._need(8 <= self.patch <= 512, "patch", "8 to 512 pixels")
        self._need(16 <= self.size <= 4096, "size", "16 to 4096 pixels")
        self._need(len(self.scales) > 0 and all(1 <= s <= 4096 for s in self.scales), "scales", "1 to 4096 pixels each")

    def validation_share(self, usual: float = 0.1) -> float:
        """The share that is kept for validation: the one that was given, or else the data set's usual one."""
        return usual if self.validation is None else self.validation


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings(Settings):
    """Which network, in the exercise's names: kernel, NF, NC and NIC."""

    name: str = "residual_unet"
    kernel: int = 3  # side of the square convolution kernels, in pixels
    num_filters: int = 32  # NF, the number of filters of the first convolution; the others follow from it
    num_colours: int = 24  # NC, the number of classes
    num_in_channels: int = 1  # NIC, 1 for grey
    space: Literal["rgb", "oklab"] = "rgb"  # of the palette: whole colours, or chroma at the picture's own lightness
    heads: int = 1  # on a frozen trunk, whose answers are averaged
    skips: tuple[Literal["quarter", "half", "whole"], ...] = ("quarter", "half", "whole")  # connections of unet
    input_scale: float = 1.0  # a of a x + b, which the network is shown instead of the grey picture x; cnn and unet
    input_shift: float = 0.0  # b of it
    input_padding: float = 0.0  # what the layers that see the picture put around it

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        self._need(self.input_scale != 0, "input_scale", "a number other than 0, which leaves no picture")
        self._need(len(set(self.skips)) == len(self.skips), "skips", "each connection once")
        self._need(1 <= self.heads <= 16, "heads", "1 to 16")
        self._need(1 <= self.kernel <= 31, "kernel", "1 to 31 pixels")
        self._need(1 <= self.num_filters <= 4096, "num_filters", "1 to 4096")
        self._need(2 <= self.num_colours <= 255, "num_colours", "2 to 255 (a class is stored in one byte)")
        self._need(1 <= self.num_in_channels <= 4096, "num_in_channels", "1 to 4096")


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmenterSettings(Settings):
    """Which pretrained network is fine-tuned to segment, and what of it is trained."""

    name: str = "hypercolumn_efficientnet_lite0"  # or package.module:factory, for a network of one's own
    weights: str | None = None  # a file; None: the installed or downloaded one
    last: str | None = None  # the last layer's name, in a network of one's own
    learn: tuple[str, ...] = ("last",)  # last, head or full, or name prefixes of parameters
    cache: Literal["float16", "float32", "none"] = "float16"  # precision of cached features
    sample: int = 80_000  # labelled pixels that a last layer learns from, of all pictures; 0: all of them
    void: Literal["ignore", "background"] = "ignore"  # what unlabelled pixels are while training
    loss_at: Literal["picture", "features"] = "picture"  # where all pixels are learnt from: in which resolution
    crop: int = 0  # side of random crops while training, in pixels; 0: whole pictures
    labelled: int = 0  # training pictures whose masks are used, drawn by the seed; 0: all
    rest: Literal["ignore", "learn"] = "ignore"  # learn: from the network's own confident answers on the others

    @property
    def precision(self) -> Literal["float16", "float32"]:
        """Of cached features, where there are any."""
        return "float32" if self.cache == "float32" else "float16"

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        self._need(len(self.learn) > 0 and all(self.learn), "learn", "last, head, full, or name prefixes")
        self._need(0 <= self.sample <= 10_000_000, "sample", "0 to 10,000,000 pixels")
        self._need(self.crop == 0 or 16 <= self.crop <= 4096, "crop", "0, or 16 to 4096 pixels")
        self._need(0 <= self.labelled <= 10_000_000, "labelled", "0 or more pictures")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSettings(Settings):
    """How to train; the defaults are the classic exercise's."""

    epochs: int = 25
    batch_size: int = 100  # pictures a step; the last step of an epoch may have fewer
    learning_rate: float = 1e-3  # the highest one, when the schedule is one_cycle
    optimizer: Literal["adam", "adamw", "lbfgs"] = "adam"  # lbfgs: for a last layer on cached features
    weight_decay: float = 0.0  # with lbfgs, the factor of the squared weights that are added to the loss
    loss: Literal["cross_entropy", "dice", "soft_iou", "cross_entropy_dice"] = "cross_entropy"
    class_weights: tuple[float, ...] = ()  # one for each class; empty: all alike
    schedule: Literal["constant", "one_cycle"] = "constant"
    flips: bool = False  # mirror each picture left to right with probability 1/2
    zooms: tuple[float, ...] = (1.0,)  # enlargements of photographs, of which each batch is shown one
    precision: Literal["float32", "bfloat16"] = "float32"  # of the convolutions; weights stay in float32
    averaging: float = 0.0  # the last 1 / averaging of all steps, about, have their weights averaged; 0: none
    keep: Literal["best", "last"] = "best"  # the epoch of lowest validation loss, if anything is kept for validation
    patience: int = 0  # epochs without a lower validation loss after which training ends; 0: it never does
    seed: int = 0  # of the weights, the order of the pictures and the flips

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        self._need(1 <= self.epochs <= 1_000_000, "epochs", "1 or more")
        self._need(1 <= self.batch_size <= 1_000_000, "batch_size", "1 or more pictures")
        self._need(0 < self.learning_rate <= LARGEST, "learning_rate", "a number above 0, at most 1e38")
        self._need(0 <= self.weight_decay <= LARGEST, "weight_decay", "0 or more, at most 1e38")
        weights = self.class_weights
        self._need(all(0 <= w <= LARGEST for w in weights), "class_weights", "numbers of 0 or more")
        self._need(not weights or max(weights) > 0, "class_weights", "one weight above 0 at least")
        self._need(len(self.zooms) > 0 and all(0.25 <= z <= 4 for z in self.zooms), "zooms", "0.25 to 4 each")
        self._need(0 <= self.averaging <= LARGEST, "averaging", "0 or more, at most 1e38")
        self._need(0 <= self.patience <= 1_000_000, "patience", "0 or more epochs")
        self._need(0 <= self.seed < 2**31, "seed", "0 or more, below 2^31")
