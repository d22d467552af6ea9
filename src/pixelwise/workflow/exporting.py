"""Finished runs as ONNX files, and ONNX as the engine that a colour run answers with."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from .. import __version__
from ..download import cache_folder
from ..errors import BadRun, BadSetting
from ..models.colour_hypercolumn import Cells, HypercolumnColours
from ..onnx_files import OPSET, Exported, OnnxModel, export_network
from ..predict.colour import reach_of
from ..runs import Run
from .finished import Trained, load_trained
from .segmented import load_segmenter

SUFFIX = ".onnx"


def export_run(folder: Path, out: Path) -> Exported:
    """Write a finished run, of either task, as an ONNX file that stands alone.

    Raises:
        BadSetting: `out` does not end in .onnx, or onnx is not installed.
        BadRun: the run is missing or unfinished, or the file would answer otherwise than the run.
        CannotWrite: the file cannot be made there.
    """
    if out.suffix.lower() != SUFFIX:
        raise BadSetting(f"{out} does not end in {SUFFIX}")
    run = Run(folder)
    notes = {"task": run.task, "pixelwise": __version__, "opset": str(OPSET)}
    if run.task == "segment":
        segmenter = load_segmenter(folder)
        labels = {"names": list(segmenter.labels.names), "colours": list(segmenter.labels.colours)}
        notes |= {"model": segmenter.name, "labels": json.dumps(labels), "model sha256": run.weights_sha256}
        return export_network(segmenter.model, 3, out, notes)
    trained = load_trained(folder)
    if isinstance(trained.model, HypercolumnColours):
        trained.model.prepare()
    notes |= {"model": trained.plan.model.name, "model sha256": trained.weights_sha256}
    notes |= {"palette": (run / "palette.json").read_text(encoding="utf-8")}
    return export_network(trained.model, 1, out, notes)


def on_onnx(trained: Trained) -> Trained:
    """The same run, answered by onnxruntime; its file is made once, and again if it was damaged, in the cache folder.

    Raises:
        BadSetting: onnx or onnxruntime is not installed.
        BadRun: the network cannot be exported.
    """
    model = trained.model
    said = [trained.weights_sha256, trained.plan.model.to_mapping(), __version__, torch.__version__, OPSET]
    name = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
    path = cache_folder() / "onnx" / f"{name}{SUFFIX}"
    engine = _kept(path, reach_of(model))
    if engine is None:
        network: nn.Module = Cells(model) if isinstance(model, HypercolumnColours) else model  # reads the trunk
        export_network(network, 1, path, {"model sha256": trained.weights_sha256})
        engine = OnnxModel(path, reach_of(model))
    if isinstance(model, HypercolumnColours):
        model.__dict__["engine"] = engine
        return trained
    return replace(trained, model=engine)


def _kept(path: Path, reach: int | None) -> OnnxModel | None:
    """What was made before, if it is there and whole."""
    try:
        return OnnxModel(path, reach) if path.is_file() else None
    except BadRun:  # damaged: to be made again
        return None
