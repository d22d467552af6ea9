"""The cache of a frozen trunk's features: computed once, kept on disk, read whenever the last layer is trained.

When everything before the last layer is frozen, its input never changes. A file is named by what it depends on: the
folder by the trunk's weights, its preprocessing and the precision, the file by the picture's content. So nothing in the
cache is ever out of date, a mirrored picture is just another picture, a fill that was stopped goes on where it was, and
two processes may fill one cache: a file appears whole or not at all, and both write the same.

Random crops have no place here: each would be another picture, seen once.
"""

import hashlib
import inspect
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .data.split import content_hash
from .download import cache_folder
from .errors import BadSetting, CannotWrite
from .files import replacing, sweep
from .freeze import fingerprint
from .models.folding import folded
from .models.segmenter import Features, Segmenter
from .shapes import Pixels

Precision = Literal["float16", "float32"]
DTYPES = {"float16": torch.float16, "float32": torch.float32}
PIXELS_AT_ONCE = 8 * 256 * 256  # seen by the trunk in one go; bounds its memory
SPARE = 100_000_000  # bytes that are left free on the disk
FORGOTTEN_AFTER = 3600.0  # seconds; a half-written file of that age is nobody's


class FeatureCache:
    """A frozen trunk's features of any pictures.

    Args:
        segmenter: its trunk, everything but `last`, is taken as it is now; later changes do not count.
        precision: of the numbers on disk. Half precision keeps three digits, takes half the room, and moves a loss by
            less than a thousandth (tests/test_features.py).
        folder: where caches are kept; None: `features` in pixelwise's cache folder.

    Raises:
        CannotWrite: the folder cannot be made.
    """

    def __init__(self, segmenter: Segmenter, precision: Precision = "float16", folder: Path | None = None) -> None:
        self.segmenter = segmenter
        self.dtype = DTYPES[precision]
        self.trunk = folded(segmenter)
        self.folder = (folder or cache_folder() / "features") / _name_of(segmenter, precision)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWrite(
                f"the cache of features {self.folder} cannot be made ({error.strerror}); give another place in "
                "PIXELWISE_CACHE, or train with --no-cache"
            ) from None
        sweep(self.folder, older_than=FORGOTTEN_AFTER)

    def fill(self, pixels: Pixels) -> Iterator[int]:
        """Compute what is not there yet, yielding how many pictures have their features so far.

        Raises:
            CannotWrite: the disk is full, or would be; what was computed so far stays.
            BadSetting: features are too large for half precision.
        """
        names = [content_hash(picture) for picture in pixels]
        missing = [index for index, name in enumerate(names) if not self._path(name).is_file()]
        done = len(pixels) - len(missing)
        yield done
        step = max(1, PIXELS_AT_ONCE // (pixels.shape[2] * pixels.shape[3]))
        for start in range(0, len(missing), step):
            some = missing[start : start + step]
            features = self.compute(pixels[some])
            if start == 0:
                self._check_room(sum(f[0].numel() * f.element_size() for f in features) * len(missing))
            for place, index in enumerate(some):
                self._save(names[index], tuple(feature[place : place + 1] for feature in features))
            done += len(some)
            yield done

    def compute(self, pixels: Pixels) -> Features:
        """The features of some pictures, without the cache.

        Raises:
            BadSetting: they are too large for half precision.
        """
        with torch.no_grad():
            features = self.trunk.features(pixels.float() / 255)
        kept = tuple(feature.to(self.dtype).contiguous() for feature in features)
        if not all(bool(torch.isfinite(feature).all()) for feature in kept):
            raise BadSetting("features are beyond half precision's 65,504, or not numbers; keep them as float32")
        return kept

    def read(self, pixels: Pixels) -> Features:
        """The features of some pictures of one size, from the cache or else computed, in single precision."""
        each = [self._load(picture) for picture in pixels]
        return tuple(torch.cat(maps).float() for maps in zip(*each, strict=True))

    def _load(self, picture: Tensor) -> Features:
        path = self._path(content_hash(picture))
        try:
            found = safetensors.torch.load_file(path)
            return tuple(found[str(index)] for index in range(len(found)))
        except FileNotFoundError:
            return self.compute(picture.unsqueeze(0))
        except (OSError, KeyError, safetensors.SafetensorError):  # damaged from outside: the next fill makes it anew
            with suppress(OSError):
                path.unlink()
            return self.compute(picture.unsqueeze(0))

    def _save(self, name: str, features: Features) -> None:
        tensors = {str(index): feature.contiguous() for index, feature in enumerate(features)}
        path = self._path(name)
        try:
            with replacing(path) as beside:
                safetensors.torch.save_file(tensors, beside)
        except (OSError, CannotWrite, safetensors.SafetensorError) as error:
            raise CannotWrite(
                f"{path} cannot be written ({error}); what was cached before is kept; make room, give another place in "
                "PIXELWISE_CACHE, or train with --no-cache"
            ) from None

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if needed + SPARE > free:
            raise CannotWrite(
                f"the features need {needed / 1e9:.2f} GB in {self.folder}, where {free / 1e9:.2f} GB are free; make "
                "room, give another place in PIXELWISE_CACHE, or train with --no-cache"
            )

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def _name_of(segmenter: Segmenter, precision: Precision) -> str:
    """Fingerprint of all that features depend on besides the picture."""
    tensors: Sequence[tuple[str, Tensor]] = [
        *(item for item in segmenter.named_parameters() if not item[0].startswith("last.")),
        *segmenter.named_buffers(),
    ]
    said = {
        "network": type(segmenter).__name__,
        "preprocessing": segmenter.preprocessing,
        "precision": precision,
        "layers": {name: repr(module) for name, module in segmenter.named_children() if name != "last"},
        "code": sorted({_code_of(type(module)) for module in segmenter.modules()}),
        "weights": {name: fingerprint(tensor) for name, tensor in tensors},
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _code_of(kind: type) -> str:
    """The source of someone's own layer, since what it does may change under the same weights."""
    library = kind.__module__.partition(".")[0] in {"torch", "torchvision"}
    try:
        return kind.__qualname__ if library else inspect.getsource(kind)
    except (OSError, TypeError):  # made in a terminal
        return kind.__qualname__
