"""An ONNX file answers as its run does, for pictures of any size, and says what it is."""

import json

import pytest
import torch
from torch import nn

from pixelwise.classes.chroma import ChromaPalette
from pixelwise.config import ModelSettings
from pixelwise.errors import BadRun, BadSetting
from pixelwise.models.build import MODELS, build_model
from pixelwise.models.colour_hypercolumn import Cells, HypercolumnColours
from pixelwise.models.folding import folded
from pixelwise.models.hypercolumn import hypercolumn_segmenter
from pixelwise.onnx_files import OnnxModel, export_network
from pixelwise.predict.colour import reach_of

pytest.importorskip("onnxruntime", reason='needs pip install "pixelwise[onnx]"')
SIZES = [(1, 32, 32), (3, 33, 47), (1, 64, 96), (2, 101, 57)]


def answering(model: nn.Module) -> nn.Module:
    """The model with last layers that say something, and its trunk at hand."""
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    if isinstance(model, HypercolumnColours):
        model.prepare()
    return model.eval()


def agree(model: nn.Module, file: OnnxModel, channels: int) -> None:
    for n, h, w in SIZES:
        seen = torch.rand(n, channels, h, w)
        with torch.no_grad():
            wanted = model(seen)
        found = file(seen)
        assert found.shape == wanted.shape
        assert ((found - wanted).abs() / wanted.abs().clamp(min=1)).max() < 1e-4


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_colour_network_answers_the_same_from_its_file(name, tmp_path):
    space = "oklab" if name.startswith("hypercolumn") else "rgb"
    settings = ModelSettings(name=name, num_filters=4, num_colours=3, space=space)
    model = answering(build_model(settings))
    made = export_network(model, 1, tmp_path / "a.onnx", {"task": "colour"})
    file = OnnxModel(made.path)
    assert file.notes["task"] == "colour"
    assert made.size == made.path.stat().st_size
    agree(model, file, 1)


def test_cells_and_segmenters_answer_the_same(tmp_path):
    model = answering(HypercolumnColours(3, 4))
    cells = Cells(model)
    agree(cells, OnnxModel(export_network(cells, 1, tmp_path / "cells.onnx", {}).path), 1)
    segmenter = folded(answering(hypercolumn_segmenter(2)))
    nn.init.normal_(segmenter.last.weight, std=0.01)
    agree(segmenter, OnnxModel(export_network(segmenter, 3, tmp_path / "segment.onnx", {}).path), 3)


def test_a_network_whose_file_would_answer_otherwise_is_refused_and_leaves_nothing(tmp_path):
    class Forgetful(nn.Module):
        """Its size is a constant to whoever traces it."""

        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            return seen[:, :, : int(seen.shape[2]) // 2] * 2

    with pytest.raises(BadRun, match="otherwise"):
        export_network(Forgetful(), 1, tmp_path / "a.onnx", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not onnx", b"\x08\x07" * 50])
def test_what_is_no_network_is_refused(content, tmp_path):
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(BadRun, match="not an ONNX file"):
        OnnxModel(tmp_path / "a.onnx")


def test_without_the_libraries_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(BadSetting, match=r"pip install \"pixelwise\[onnx\]\""):
        export_network(nn.Identity(), 1, tmp_path / "a.onnx", {})


def test_an_engine_keeps_the_reach_of_its_network(tmp_path):
    model = answering(build_model(ModelSettings(name="unet", num_filters=2, num_colours=3, kernel=5)))
    made = export_network(model, 1, tmp_path / "a.onnx", {})
    assert reach_of(OnnxModel(made.path, reach_of(model))) == reach_of(model) == 48


def test_the_palette_is_in_the_file_of_a_run(photograph_run, tmp_path):
    from pixelwise.workflow.exporting import export_run

    made = export_run(photograph_run, tmp_path / "a.onnx")
    notes = OnnxModel(made.path).notes
    assert notes["task"] == "colour"
    assert len(json.loads(notes["palette"])["colours"]) == 6
    assert ChromaPalette.space == json.loads(notes["palette"])["space"]
    with pytest.raises(BadSetting, match=r"does not end in \.onnx"):
        export_run(photograph_run, tmp_path / "a.bin")
