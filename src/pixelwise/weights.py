"""Weights that others have trained: files from their official addresses, known by checksum, read without running code.

A .pth file can hold code that runs when it is opened. An official one is therefore read only if its SHA-256 is the
published one, and then by torch's reader of plain tensors (`weights_only`), which runs nothing. Weights of one's own
come as .safetensors, which hold nothing but tensors.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from .download import cache_folder, fetch
from .errors import BadWeights, UnknownName

_TORCHVISION = "https://download.pytorch.org/models"
_BSD = "BSD-3-Clause; trained on COCO, whose pictures have terms of their own"
_VOC = "the 21 classes of Pascal VOC"


@dataclass(frozen=True)
class Weights:
    """One network's official weights."""

    name: str
    url: str
    sha256: str
    size_mb: float  # millions of bytes
    summary: str
    licence: str

    @property
    def cached(self) -> Path:
        """Where the file lies once it has been fetched."""
        return cache_folder() / "weights" / self.url.rpartition("/")[2]

    @property
    def remedy(self) -> str:
        """How to get the file."""
        return (
            f"run `pixelwise weights fetch {self.name}` ({self.size_mb:g} MB), or download {self.url} (SHA-256 "
            f"{self.sha256}) and put it at {self.cached}, or anywhere and give --weights FILE"
        )


# torchvision publishes the first eight digits of each checksum, in the file's name.
_TABLE = (
    Weights(
        "deeplabv3_resnet101",
        f"{_TORCHVISION}/deeplabv3_resnet101_coco-586e9e4e.pth",
        "586e9e4e203fcbf17e1ad45533d8d33ab133fc762bf03101c5dd743995c08c0d",
        244.5,
        f"DeepLabV3 on ResNet-101, trained on COCO for {_VOC}",
        _BSD,
    ),
    Weights(
        "deeplabv3_resnet50",
        f"{_TORCHVISION}/deeplabv3_resnet50_coco-cd0a2569.pth",
        "cd0a25694c4a0f7106b38f4938bf90a874f2f241cc410b8f63c7024399538f06",
        168.3,
        f"DeepLabV3 on ResNet-50, trained on COCO for {_VOC}",
        _BSD,
    ),
    Weights(
        "deeplabv3_mobilenet_v3_large",
        f"{_TORCHVISION}/deeplabv3_mobilenet_v3_large-fc3c493d.pth",
        "fc3c493d68e89cc31ef488c803d5d7dd2f3190fb570598faa49fef69be8e5e70",
        44.4,
        f"DeepLabV3 on MobileNetV3, trained on COCO for {_VOC}",
        _BSD,
    ),
    Weights(
        "lraspp_mobilenet_v3_large",
        f"{_TORCHVISION}/lraspp_mobilenet_v3_large-d234d4ea.pth",
        "d234d4eae9d55d5f76de18b77cf0dc62c66fe5c5482758209d00f950c92bb280",
        13.1,
        f"LR-ASPP on MobileNetV3, the lightest of torchvision's, trained on COCO for {_VOC}",
        _BSD,
    ),
    Weights(
        "deeplabv3_mobilenet_v2",
        "https://storage.googleapis.com/download.tensorflow.org/models/tflite/gpu/deeplabv3_257_mv_gpu.tflite",
        "68a539782c2c6a72f8aac3724600124a85ed977162b44e84cbae5db717c933c6",
        2.8,
        f"DeepLabV3 on MobileNetV2 of half width, for phones, trained on COCO and VOC 2012 for {_VOC}",
        "Apache-2.0",
    ),
)
WEIGHTS = {weights.name: weights for weights in _TABLE}


def official_weights(name: str) -> Weights:
    """The official weights of a network.

    Raises:
        UnknownName: there are none of that name.
    """
    if name not in WEIGHTS:
        raise UnknownName("pretrained network", name, WEIGHTS)
    return WEIGHTS[name]


def fetch_weights(name: str) -> Iterator[tuple[int, int]]:
    """Download a network's official weights to the cache, yielding (bytes so far, bytes in all or 0) as they come.

    Raises:
        UnknownName: there are none of that name.
        BadData: the address cannot be reached, or gives another file.
    """
    official = official_weights(name)
    return fetch(official.url, official.cached, official.sha256)


def weights_file(name: str, given: Path | None = None) -> Path:
    """The file with a network's weights: the one that was given, or else the official one in the cache.

    A file that was given must be the official one, or a .safetensors with weights of one's own.

    Raises:
        UnknownName: there is no such network.
        BadWeights: the file is missing, damaged, or another network's.
    """
    official = official_weights(name)
    path = official.cached if given is None else given
    if given is None and not path.exists():
        raise BadWeights(f"the weights of {name} are not at {path}; {official.remedy}")
    if not is_own(path):
        verified(path, official.sha256)
    elif not path.is_file():
        raise BadWeights(f"{path} is not a file; give the .safetensors file with your weights, or {official.remedy}")
    return path


def is_own(path: Path) -> bool:
    """Whether a file is meant to hold someone's own weights; the others must be official ones."""
    return path.suffix.lower() == ".safetensors"


def verified(path: Path, sha256: str) -> bytes:
    """The content of an official file, read once, so that what was checked is what is used.

    Raises:
        BadWeights: the file cannot be read, or has another checksum.
    """
    official = next((weights for weights in WEIGHTS.values() if weights.sha256 == sha256), None)
    remedy = official.remedy if official else "get it again from where it is published"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadWeights(f"{path} cannot be read ({error.strerror or error}); {remedy}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        other = next((f"those of {weights.name}" for weights in WEIGHTS.values() if weights.sha256 == found), None)
        wrong = other or ("empty" if not content else "damaged, cut short, or not the official ones")
        raise BadWeights(
            f"{path} has {len(content):,} bytes and SHA-256 {found}; expected {sha256}: these weights are {wrong}; "
            f"{remedy}; weights of your own must be a .safetensors file"
        )
    return content


def read_official(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of an official .pth file, once its checksum is known to be the published one; no code of it runs.

    Raises:
        BadWeights: the checksum is another, or there is something else in it than tensors by name.
    """
    file = io.BytesIO(verified(path, sha256))
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's readers raise whatever they stumble over
        reason = str(error).partition("\n")[0]
        raise BadWeights(f"{path} cannot be read ({reason}); expected tensors by name, as torch saves them") from None
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise BadWeights(f"{path} holds a {type(found).__name__} that is not tensors by name; give a network's weights")
    return dict(found)


def read_own(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file.

    Raises:
        BadWeights: the file is missing, cut short, or not safetensors.
    """
    try:
        return safetensors.torch.load_file(path)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise BadWeights(f"{path} cannot be read ({error}); give a whole .safetensors file") from None


def load_exactly(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a network, every one of them, and nothing else.

    Args:
        model: the network.
        tensors: its weights by the network's own names.
        path: where they come from, for messages.

    Raises:
        BadWeights: names or shapes are not exactly the network's, or values are not numbers.
    """
    expected = model.state_dict()
    faults = [
        *(f"{name} is missing" for name in expected if name not in tensors),
        *(f"{name} does not belong" for name in tensors if name not in expected),
        *(
            f"{name} is {_shape(tensors[name])}, expected {_shape(tensor)}"
            for name, tensor in expected.items()
            if name in tensors and tensors[name].shape != tensor.shape
        ),
    ]
    if faults:
        some = "; ".join([*faults[:3], *(["…"] if len(faults) > 3 else [])])
        raise BadWeights(
            f"{path} holds another network's weights ({len(faults)} of its tensors do not fit: {some}); "
            f"give the weights of this network"
        )
    bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise BadWeights(
            f"{path} has values that are not numbers in {bad[0]}; give weights of a training that went well"
        )
    model.load_state_dict(dict(tensors))


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
