"""Networks as ONNX files that stand alone, and ONNX files as networks.

A file's input `picture` is what the network sees, float32 in 0 to 1, (n, channels, h, w); its output `logits` are
(n, k, h, w). n, h and w are free. What the classes are stands in the file's metadata.

torch's exporter by tracing is used: it needs nothing but onnx, and the sizes of our networks follow their pictures in
it. The newer one, by torch.export, needs onnxscript and takes a minute for what this one does in a second.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .errors import BadRun, BadSetting, CannotWrite
from .files import replacing

OPSET = 18
TOLERANCE = 1e-4  # of a logit, or of 1 where the logit is smaller
TRACED_AT = (101, 57)  # rows and columns; odd, so that what odd sizes need is traced, too
CHECKED_AT = ((1, 64, 96), (2, 75, 131))  # pictures, rows and columns


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked."""

    path: Path
    size: int  # bytes
    difference: float  # the largest between a logit of torch and of onnxruntime, in shares of max(1, |logit|)


class OnnxModel(nn.Module):
    """An ONNX file as a network: takes what is seen, gives logits; on as many cores as torch uses.

    Args:
        path: the file.
        reach: how far around a pixel the network looks, where that is known.

    Raises:
        BadSetting: onnxruntime is not installed.
        BadRun: the file is not such a network.
    """

    def __init__(self, path: Path, reach: int | None = None) -> None:
        super().__init__()
        self.reach = reach
        runtime = _library("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            ours = [
                [value.name for value in values()] for values in (self.session.get_inputs, self.session.get_outputs)
            ]
        except Exception as error:  # onnxruntime raises classes of its own for each kind of damage
            raise BadRun(f"{path} is not an ONNX file that can be run ({str(error)[:200]})") from None
        if ours != [["picture"], ["logits"]]:
            raise BadRun(f"{path} has inputs and outputs {ours}; expected those of `pixelwise export`")

    def forward(self, seen: Float[Tensor, "n _ h w"]) -> Float[Tensor, "n k hh ww"]:
        """Logits."""
        (logits,) = self.session.run(None, {"picture": seen.float().contiguous().numpy()})
        return torch.from_numpy(logits)

    @property
    def notes(self) -> dict[str, str]:
        """What the file says of itself."""
        return dict(self.session.get_modelmeta().custom_metadata_map)


def export_network(network: nn.Module, channels: int, path: Path, notes: Mapping[str, str]) -> Exported:
    """Write a network as an ONNX file, if that answers as the network does.

    Args:
        network: maps (n, channels, h, w) to (n, k, ...), in evaluation mode.
        channels: that it sees, 1 or 3.
        path: where to.
        notes: kept in the file.

    Raises:
        BadSetting: onnx or onnxruntime is not installed.
        BadRun: the network cannot be exported, or the file answers otherwise; nothing is written.
        CannotWrite: the file cannot be made there.
    """
    onnx = _library("onnx")
    _library("onnxruntime")
    seen = torch.rand(1, channels, *TRACED_AT, generator=torch.Generator().manual_seed(0))
    free = {0: "n", 2: "h", 3: "w"}
    try:
        with replacing(path) as beside:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # of sizes that are traced, which is what we want
                torch.onnx.export(
                    network.eval(),
                    (seen,),
                    str(beside),
                    dynamo=False,
                    input_names=["picture"],
                    output_names=["logits"],
                    dynamic_axes={"picture": free, "logits": free},
                    opset_version=OPSET,
                )
            written = onnx.load(str(beside))
            onnx.helper.set_model_props(written, dict(notes))
            onnx.save(written, str(beside))
            difference = _difference(network, OnnxModel(beside), channels)
            if not difference <= TOLERANCE:
                raise BadRun(f"the ONNX file answers otherwise than the run, by {difference:.1e}; nothing was written")
            size = beside.stat().st_size
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written ({error}); make room, or give another place") from None
    except (RuntimeError, TypeError) as error:
        raise BadRun(f"this network cannot be exported to ONNX ({str(error).splitlines()[0][:200]})") from None
    return Exported(path, size, difference)


def _difference(network: nn.Module, file: OnnxModel, channels: int) -> float:
    generator, worst = torch.Generator().manual_seed(1), 0.0
    for n, h, w in CHECKED_AT:
        seen = torch.rand(n, channels, h, w, generator=generator)
        with torch.no_grad():
            ours, theirs = network(seen), file(seen)
        if ours.shape != theirs.shape:
            return float("inf")
        worst = max(worst, ((ours - theirs).abs() / ours.abs().clamp(min=1)).max().item())
    return worst


def _library(name: str) -> Any:  # noqa: ANN401 - a module of an optional library
    try:
        return import_module(name)
    except ImportError:
        raise BadSetting(f'{name} is not installed, which ONNX files need; pip install "pixelwise[onnx]"') from None
