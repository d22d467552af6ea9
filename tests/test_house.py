"""The house keeps its shape: imports point downstairs only, modules stay short, the public names are true."""

import ast
import re
from pathlib import Path

import pytest

import pixelwise

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "pixelwise"
FLOORS = [
    "errors shapes environment",
    "files config grey terminal",
    "download",
    "weights",
    "classes",
    "losses data models counts picture_metrics segment_metrics",
    "freeze onnx_files averaging schedule",
    "accounting",
    "features",
    "feeds strokes hints alternatives",
    "evaluate predict outputs",
    "train",
    "runs affine",
    "report",
    "workflow",
    "experiments",
    "study",
    "demo console",
    "cli",
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported_by(path):
    """The rooms of the package that a module imports, wherever in it the import stands."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == depth:
            yield from (alias.name for alias in node.names if alias.name in FLOOR_OF)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pixelwise"):
            yield [*node.module.split("."), ""][1]


def upward_imports():
    for path in MODULES:
        room = room_of(path)
        if room in ("__init__", "__main__"):
            continue
        for other in rooms_imported_by(path):
            if other != room and FLOOR_OF[other] >= FLOOR_OF[room]:
                yield f"{room} imports {other}"


def test_nothing_imports_upstairs_or_sideways():
    assert sorted(upward_imports()) == []


def test_every_room_has_a_floor():
    rooms = {room_of(path) for path in MODULES} - {"__init__", "__main__"}
    assert rooms == set(FLOOR_OF)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_short_and_functions_fit_a_screen(path):
    text = path.read_text()
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 60
    ]
    assert text.count("\n") <= 300
    assert long == []


def test_the_public_names_are_sorted_and_all_there():
    assert list(pixelwise.__all__) == sorted(pixelwise.__all__)
    assert set(pixelwise._HOME) == set(pixelwise.__all__)
    assert all(getattr(pixelwise, name) is not None for name in pixelwise.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = pixelwise.nonsense


def test_exercise_networks_use_no_convolution_of_torch():
    for name in ("cnn", "unet", "conv"):
        assert "nn.Conv2d(" not in (PACKAGE / "models" / f"{name}.py").read_text()


def test_nothing_is_unpickled():
    unpickling = re.compile(r"(?<!safetensors\.)torch\.load\b|\bpickle|joblib|allow_pickle=True")
    # Official weights are published as .pth files. One room may read them, with their checksum known, and only by the
    # reader that builds tensors and nothing else.
    of_tensors_only = re.compile(r"torch\.load\([^()]*\bweights_only=True\)")
    texts = {path: path.read_text() for path in MODULES}
    texts[PACKAGE / "weights.py"] = of_tensors_only.sub("", texts[PACKAGE / "weights.py"])
    assert [path.name for path, text in texts.items() if unpickling.search(text)] == []


def test_changelog_names_the_version():
    assert f"## {pixelwise.__version__}" in (ROOT / "CHANGELOG.md").read_text()
