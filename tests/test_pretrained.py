"""Pretrained networks: the same answers as the originals', weights files that are right or refused, one's own."""

import dataclasses
import hashlib
import http.server
import os
import pickle
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import skimage.data
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision.models import get_model, get_model_weights

from pixelwise.errors import BadData, BadSetting, BadWeights, UnknownName
from pixelwise.models.deeplab import DEVIATION, MEAN, NETWORKS, coco_segmenter, untrained_segmenter
from pixelwise.models.deeplab_mobilenet_v2 import (
    DeepLabMobileNetV2,
    SameConv2d,
    mobilenet_v2_segmenter,
    read_tflite,
)
from pixelwise.models.efficientnet_lite0 import EfficientNetLite0
from pixelwise.models.own import OwnSegmenter, own_module
from pixelwise.weights import WEIGHTS, fetch_weights, load_exactly, official_weights, read_official, weights_file

PICTURE = torch.rand(1, 3, 65, 49, generator=torch.Generator().manual_seed(1))
DEEPLAB, LRASPP = "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"


def original(name: str) -> nn.Module:
    """torchvision's network as its weights were saved, with random weights and BatchNorm statistics that matter."""
    torch.manual_seed(0)
    aux = {} if name == LRASPP else {"aux_loss": True}
    network = get_model(name, weights=None, weights_backbone=None, num_classes=21, **aux).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return network


def answer_of(network: nn.Module, seen: torch.Tensor) -> torch.Tensor:
    normalized = (seen - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
    with torch.inference_mode():
        return network(normalized)["out"]


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.shape == theirs.shape
    assert theirs.std() > 1e-3  # or the comparison would be of noughts
    assert (ours - theirs).abs().max() < 1e-5 * max(1.0, theirs.abs().max().item())


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PIXELWISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def publish(monkeypatch, name: str, content: bytes) -> None:
    """Let some content be the official weights of a network."""
    sha256 = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(WEIGHTS, name, dataclasses.replace(WEIGHTS[name], sha256=sha256))


def saved(path: Path, tensors) -> Path:
    torch.save(tensors, path)
    return path


# --- torchvision's networks ---


@pytest.mark.parametrize("name", NETWORKS)
def test_torchvisions_networks_answer_as_torchvision_does(name):
    theirs = original(name)
    ours = untrained_segmenter(name, 21)
    load_exactly(ours, ours.renamed(theirs.state_dict()), Path("original"))
    with torch.inference_mode():
        assert_same(ours.eval()(PICTURE), answer_of(theirs, PICTURE))


@pytest.mark.parametrize("name", [DEEPLAB, LRASPP])
def test_an_official_file_is_loaded_without_its_auxiliary_head(name, tmp_path, monkeypatch):
    theirs = original(name)
    path = saved(tmp_path / "official.pth", theirs.state_dict())
    publish(monkeypatch, name, path.read_bytes())
    model = coco_segmenter(name, 21, path, pretrained_last=True).eval()
    rooms = {key.partition(".")[0] for key in model.state_dict()}
    assert rooms == {"backbone", "head", "last"}
    with torch.inference_mode():
        assert_same(model(PICTURE), answer_of(theirs, PICTURE))


@pytest.mark.parametrize("name", [DEEPLAB, LRASPP])
def test_a_new_last_layer_has_the_classes_asked_for_and_no_opinion(name, tmp_path, monkeypatch):
    path = saved(tmp_path / "official.pth", original(name).state_dict())
    publish(monkeypatch, name, path.read_bytes())
    model = coco_segmenter(name, 5, path).eval()
    with torch.inference_mode():
        features = model.features(PICTURE)
        logits = model(PICTURE)
    assert tuple(map_.shape[1] for map_ in features) == model.channels
    assert model.last.weight.shape == (5, sum(model.channels), 1, 1)
    assert logits.shape == (1, 5, 65, 49)
    assert not logits.any()
    with pytest.raises(BadSetting, match=f"5 classes; the last layer of {name} was trained for 21"):
        coco_segmenter(name, 5, path, pretrained_last=True)


@pytest.mark.parametrize("name", [DEEPLAB, LRASPP])
@pytest.mark.parametrize("names", ["torchvision's", "ours"])
def test_weights_of_ones_own_are_taken_from_safetensors_if_they_fit_exactly(name, names, tmp_path):
    theirs = original(name)
    tensors = theirs.state_dict()
    if names == "ours":
        tensors = NETWORKS[name].renamed(tensors)
    path = tmp_path / "own.safetensors"
    safetensors.torch.save_file(tensors, path)
    model = coco_segmenter(name, 21, path, pretrained_last=True).eval()
    with torch.inference_mode():
        assert_same(model(PICTURE), answer_of(theirs, PICTURE))
    del tensors[next(iter(tensors))]
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(BadWeights, match=r"own.safetensors holds another network's weights \(1 of .* is missing"):
        coco_segmenter(name, 21, path)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    tensors = original(LRASPP).state_dict()
    tensors["backbone.0.0.weight"][0] = torch.nan
    path = tmp_path / "own.safetensors"
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(BadWeights, match=r"not numbers in backbone\.0\.0\.weight"):
        coco_segmenter(LRASPP, 2, path)


def test_an_unknown_network_is_refused_with_the_known_ones():
    for ask in (
        lambda: coco_segmenter("deeplab", 2),
        lambda: weights_file("deeplab"),
        lambda: fetch_weights("deeplab"),
    ):
        with pytest.raises(UnknownName, match="unknown pretrained network 'deeplab'; known: deeplabv3_mobilenet_v"):
            ask()
    assert set(NETWORKS) < set(WEIGHTS)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_addresses_and_checksums_are_torchvisions(name):
    official, theirs = official_weights(name), get_model_weights(name).DEFAULT
    assert official.url == theirs.url
    assert re.search(r"-([0-9a-f]{8})\.pth$", theirs.url)[1] == official.sha256[:8]
    assert len(official.sha256) == 64
    assert official.size_mb == pytest.approx(theirs.meta["_file_size"] * 1.048576, rel=0.005)  # theirs are of 2**20


# --- files ---


def test_missing_weights_are_asked_for_with_address_checksum_and_remedy(cache):
    official = WEIGHTS[LRASPP]
    with pytest.raises(BadWeights) as refusal:
        coco_segmenter(LRASPP, 2)
    message = str(refusal.value)
    expected = [official.url, official.sha256, "--weights FILE", f"`pixelwise weights fetch {LRASPP}` (13.1 MB)"]
    assert [
        text for text in [*expected, str(cache / "lraspp_mobilenet_v3_large-d234d4ea.pth")] if text not in message
    ] == []


def test_weights_in_the_cache_are_found(cache, monkeypatch):
    cache.mkdir(parents=True)
    path = saved(cache / "lraspp_mobilenet_v3_large-d234d4ea.pth", original(LRASPP).state_dict())
    publish(monkeypatch, LRASPP, path.read_bytes())
    assert weights_file(LRASPP) == path
    assert coco_segmenter(LRASPP, 2).last.out_channels == 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b""), "has 0 bytes .* these weights are empty"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1]),
            "these weights are damaged, cut short, or not the official",
        ),
        (lambda path: path.unlink(), "cannot be read .No such file"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read .Is a directory"),
    ],
)
def test_a_damaged_file_is_refused_with_the_remedy(damage, message, tmp_path, monkeypatch):
    path = saved(tmp_path / "official.pth", {"a": torch.zeros(3)})
    publish(monkeypatch, LRASPP, path.read_bytes())
    damage(path)
    with pytest.raises(BadWeights, match=f"official.pth .*{message}.*run `pixelwise weights fetch {LRASPP}`"):
        weights_file(LRASPP, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "cannot be read"), (b"\x80\x02}q\x00.", "cannot be read"), (None, "is not a file; give the .safetensors")],
)
def test_a_damaged_safetensors_file_is_refused(content, message, tmp_path):
    path = tmp_path / "own.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadWeights, match=f"own.safetensors {message}"):
        coco_segmenter(LRASPP, 2, path)


def test_another_networks_file_is_known_by_its_checksum_or_its_tensors(tmp_path, monkeypatch):
    path = saved(tmp_path / "some.pth", original(DEEPLAB).state_dict())
    publish(monkeypatch, DEEPLAB, path.read_bytes())
    with pytest.raises(BadWeights, match=f"these weights are those of {DEEPLAB}; .*must be a .safetensors file"):
        coco_segmenter(LRASPP, 2, path)
    publish(monkeypatch, LRASPP, path.read_bytes())
    with pytest.raises(BadWeights, match=r"holds another network's weights .*head\.cbr\.0\.weight is missing"):
        coco_segmenter(LRASPP, 2, path)


def test_weights_of_another_shape_are_named(tmp_path):
    tensors = original(LRASPP).state_dict() | {"classifier.cbr.0.weight": torch.zeros(128, 7, 1, 1)}
    safetensors.torch.save_file(tensors, tmp_path / "own.safetensors")
    with pytest.raises(BadWeights, match=r"head\.cbr\.0\.weight is 128x7x1x1, expected 128x960x1x1"):
        coco_segmenter(LRASPP, 2, tmp_path / "own.safetensors")


class Trap:
    """A pickle of it makes a folder where it is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("wrap", [pickle.dumps, lambda trap: _as_torch_saves(trap)], ids=["pickle", "torch"])
def test_a_pickle_is_never_opened(wrap, tmp_path, monkeypatch):
    sprung = tmp_path / "sprung"
    content = wrap(Trap(sprung))
    for name in ("trap.pth", "trap.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadWeights, match=f"{name} (has .* SHA-256|cannot be read)"):
            coco_segmenter(LRASPP, 2, tmp_path / name)
    with pytest.raises(
        BadWeights, match=r"trap\.pth cannot be read .*expected tensors by name"
    ):  # as if it were official
        read_official(tmp_path / "trap.pth", hashlib.sha256(content).hexdigest())
    assert not sprung.exists()
    if wrap is pickle.dumps:
        pickle.loads(content)  # the trap is a real one
        assert sprung.exists()


def _as_torch_saves(trap: Trap) -> bytes:
    path = trap.folder.with_name("saved")
    torch.save({"weight": torch.zeros(2), "trap": trap}, path)
    return path.read_bytes()


def test_an_official_file_must_hold_tensors_by_name(tmp_path):
    path = saved(tmp_path / "list.pth", [torch.zeros(2)])
    with pytest.raises(BadWeights, match="holds a list that is not tensors by name"):
        read_official(path, hashlib.sha256(path.read_bytes()).hexdigest())


class Answers(http.server.BaseHTTPRequestHandler):
    content = b"weights"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_weights_are_fetched_to_where_they_are_looked_for(server, cache, monkeypatch):
    publish(monkeypatch, LRASPP, Answers.content)
    monkeypatch.setitem(WEIGHTS, LRASPP, dataclasses.replace(WEIGHTS[LRASPP], url=f"{server}/some.pth"))
    assert list(fetch_weights(LRASPP)) == [(7, 7)]
    assert weights_file(LRASPP) == cache / "some.pth"
    assert (cache / "some.pth").read_bytes() == Answers.content
    publish(monkeypatch, LRASPP, b"other")
    with pytest.raises(BadData, match=r"some\.pth gave a file with SHA-256"):
        list(fetch_weights(LRASPP))


# --- TensorFlow's network ---


@pytest.fixture(scope="session")
def tflite_file(real_data) -> Path:
    path = real_data / "weights" / "deeplabv3_257_mv_gpu.tflite"
    if not path.is_file():
        pytest.skip(f"no {path}: get it from {WEIGHTS['deeplabv3_mobilenet_v2'].url}")
    return path


@pytest.fixture(scope="session")
def pictures(real_data) -> list[Image.Image]:
    flowers = sorted((real_data / "flowers17-256" / "images").glob("*.jpg"))[::200]
    drawn = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]
    return [*(Image.open(path).convert("RGB") for path in flowers), *map(Image.fromarray, drawn)]


def by_tensorflow(path: Path, seen: np.ndarray) -> np.ndarray:
    """Logits (k, 257, 257) of TensorFlow's own runtime for one picture (h, w, 3) in 0 to 255."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="no ai-edge-litert, TensorFlow's runtime")
    interpreter = litert.Interpreter(str(path), num_threads=1)
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, [1, *seen.shape])
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, seen[None].astype(np.float32) / 127.5 - 1)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].transpose(2, 0, 1)


# 257 is the original's size. Of the others each halving meets an even size, which TensorFlow pads on one side only.
@pytest.mark.parametrize("size", [(257, 257), (264, 264), (258, 260)])
def test_the_tflite_network_answers_as_tensorflow_does(size, tflite_file, pictures):
    model = mobilenet_v2_segmenter(21, tflite_file, pretrained_last=True).eval()
    height, width = size
    classes = set()
    for picture in pictures if size == (257, 257) else pictures[-2:]:
        seen = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
        theirs = by_tensorflow(tflite_file, seen)
        with torch.inference_mode():
            features = model.features(torch.from_numpy(seen / np.float32(255)).permute(2, 0, 1)[None])
            ours = model.answer(features, (257, 257))[0].numpy()
        assert features[0].shape == (1, 256, 33, 33)
        assert np.abs(theirs).max() > 10
        assert np.abs(ours - theirs).max() < 1e-3
        classes |= set(theirs.argmax(0).ravel().tolist())
    assert len(classes) > 2  # a person and a cat among them, or the pictures would prove little


@pytest.mark.parametrize("size", [(1, 1), (64, 40), (65, 49)])
def test_the_tflite_network_takes_pictures_of_any_size(size):
    model = DeepLabMobileNetV2(3).eval()
    with torch.inference_mode():
        features = model.features(torch.rand(2, 3, *size))
        assert model(torch.rand(2, 3, *size)).shape == (2, 3, *size)
    assert features[0].shape == (2, 256, -(-size[0] // 8), -(-size[1] // 8))


@pytest.mark.parametrize("size", [(7, 8), (8, 7)])
def test_same_padding_puts_the_odd_zero_behind(size):
    layer = SameConv2d(1, 1, 3, 2, bias=False)
    nn.init.ones_(layer.weight)
    x = torch.rand(1, 1, *size)
    front = [1 if side % 2 else 0 for side in size]
    with torch.inference_mode():
        out = layer(x)
    assert out.shape[2:] == (4, 4)
    for row, column in np.ndindex(4, 4):
        top, left = 2 * row - front[0], 2 * column - front[1]
        window = x[0, 0, max(top, 0) : top + 3, max(left, 0) : left + 3]
        assert out[0, 0, row, column].item() == pytest.approx(window.sum().item(), rel=1e-5)


def test_the_tflite_network_gets_a_new_last_layer(tflite_file):
    model = mobilenet_v2_segmenter(2, tflite_file)
    assert {name.partition(".")[0] for name in model.state_dict()} == {"backbone", "head", "last"}
    assert model.last.weight.shape == (2, 256, 1, 1)
    assert not model.last.weight.any()
    with pytest.raises(BadSetting, match=r"2 classes; .* was trained for 21"):
        mobilenet_v2_segmenter(2, tflite_file, pretrained_last=True)


def test_a_tflite_file_that_is_cut_short_is_refused_and_its_weights_may_come_as_safetensors(tflite_file, tmp_path):
    content = tflite_file.read_bytes()
    (tmp_path / "short.tflite").write_bytes(content[:-1])
    with pytest.raises(BadWeights, match=r"short.tflite has 2,779,263 bytes .*fetch deeplabv3_mobilenet_v2"):
        mobilenet_v2_segmenter(2, tmp_path / "short.tflite")
    tensors = read_tflite(content)
    safetensors.torch.save_file(tensors, tmp_path / "own.safetensors")
    model = mobilenet_v2_segmenter(21, tmp_path / "own.safetensors", pretrained_last=True)
    assert torch.equal(model.last.bias, tensors["last.bias"])
    with pytest.raises(BadWeights, match="not a TFLite file"):
        read_tflite(b"some other file")


# --- a network of one's own ---


class Small(nn.Module):
    """A trunk of half size, a last layer and what a test puts behind them."""

    def __init__(self, behind=None, kernel: int = 1) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.classifier = nn.Sequential(nn.Conv2d(6, 6, 1), nn.Conv2d(6, 4, kernel))
        self.behind = behind or (lambda logits, seen: enlarge(logits, seen, False))

    def forward(self, seen):
        return self.behind(self.classifier(self.trunk(seen)), seen)


def enlarge(logits, seen, align_corners):
    return F.interpolate(logits, seen.shape[2:], mode="bilinear", align_corners=align_corners)


@pytest.mark.parametrize(
    "behind",
    [None, lambda logits, _: logits, lambda logits, seen: {"out": enlarge(logits, seen, False)}],
    ids=["enlarged", "small", "dictionary"],
)
def test_a_network_of_ones_own_answers_as_before(behind):
    torch.manual_seed(0)
    network = Small(behind)
    network.train()
    with torch.no_grad():
        theirs = network.eval()(PICTURE)
        network.train()
        theirs = theirs["out"] if isinstance(theirs, dict) else theirs
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        model = OwnSegmenter(network, "classifier.1")
        assert network.training  # as it was before it was tried out
        model.eval()
        assert_same(model(PICTURE), F.interpolate(theirs, PICTURE.shape[2:], mode="bilinear"))
    after = model.state_dict()
    assert model.channels == (6,)
    assert len(after) == len(before)  # and no tensor twice, which safetensors would refuse
    for name, tensor in before.items():
        assert torch.equal(
            tensor, after[name.replace("classifier.1", "last") if "classifier.1" in name else f"module.{name}"]
        )


def test_a_network_of_torchvision_is_one_of_ones_own():
    theirs = original(DEEPLAB)
    expected = answer_of(theirs, PICTURE)
    model = OwnSegmenter(theirs, "classifier.4").eval()
    with torch.inference_mode():
        assert_same(
            model((PICTURE - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)), expected
        )


def test_the_last_layer_is_replaced_and_learns():
    model = OwnSegmenter(Small(), "classifier.1")
    model.replace(7)
    logits = model(PICTURE)
    logits.square().sum().backward()
    assert logits.shape == (1, 7, 65, 49)
    assert not logits.any()
    F.cross_entropy(logits := model(PICTURE), torch.zeros(1, 65, 49, dtype=torch.int64)).backward()
    assert model.last.weight.grad.any()


@pytest.mark.parametrize(
    ("network", "last", "message"),
    [
        (
            lambda: Small(lambda x, seen: enlarge(x, seen, True)),
            "classifier.1",
            "expected nothing behind that layer but",
        ),
        (
            lambda: Small(lambda x, _: x.softmax(1)),
            "classifier.1",
            "differs by .* from its layer 'classifier.1' enlarged",
        ),
        (lambda: Small(lambda x, seen: x + seen.mean()), "classifier.1", "no way around it"),
        (lambda: Small(), "classifier.0", r"gives \(1, 4, 64, 64\) .*expected logits \(1, 6, rows, columns\)"),
        (lambda: Small(lambda x, _: x.flatten(1)), "classifier.1", "expected logits"),
        (lambda: Small(lambda x, _: [x]), "classifier.1", "the network gives list; expected logits"),
        (lambda: Small(lambda x, _: x @ x.new_zeros(3)), "classifier.1", "fails on a picture of 1 x 3 x 64 x 64"),
        (lambda: Small(kernel=3), "classifier.1", "expected a 1x1 torch.nn.Conv2d"),
        (lambda: Small(), "trunk", "expected a 1x1 torch.nn.Conv2d"),
        (
            lambda: Small(),
            "clasifier.1",
            r"no layer 'clasifier.1' \(close: classifier.1, .*1x1 convolutions are classifier.0, cl",
        ),
        (lambda: Small(), "", "no layer ''"),
        (lambda: original(LRASPP), "classifier.high_classifier", "no way around it"),
    ],
)
def test_a_network_that_cannot_be_cut_there_is_refused_and_left_as_it_was(network, last, message):
    module = network()
    layers = dict(module.named_modules())
    with pytest.raises(BadSetting, match=f"(?s){message}"):
        OwnSegmenter(module, last)
    assert dict(module.named_modules()) == layers


def test_a_last_layer_that_starts_at_zero_does_not_hide_what_comes_behind():
    network = Small(lambda logits, seen: enlarge(logits, seen, True))
    nn.init.zeros_(network.classifier[1].weight)
    nn.init.zeros_(network.classifier[1].bias)
    with pytest.raises(BadSetting, match="align_corners=False"):
        OwnSegmenter(network, "classifier.1")


def test_a_layer_that_no_picture_passes_is_refused():
    network = Small(lambda logits, _: logits)
    network.idle = nn.Conv2d(6, 4, 1)
    with pytest.raises(BadSetting, match="without its last layer"):
        OwnSegmenter(network, "idle")


CODE = """
import torch
network = torch.nn.Conv2d(3, 2, 1)
def build(): return torch.nn.Conv2d(3, 5, 1)
def number(): return 3
def failing(): raise ValueError("too bad")
"""


def test_a_network_comes_from_ones_own_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_own_networks.py").write_text(CODE)
    assert own_module("my_own_networks:build").out_channels == 5
    assert own_module("my_own_networks:network").out_channels == 2
    assert own_module(f"{tmp_path / 'my_own_networks.py'}:build").out_channels == 5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my_bad_networks", "expected package.module:factory"),
        ("not_there_at_all:build", "cannot be imported: No module named 'not_there_at_all'"),
        ("not_there.py:build", "there is no file not_there.py"),
        ("my_bad_networks:biuld", r"has no 'biuld' \(close: build\)"),
        ("my_bad_networks:number", "gives int; expected a torch.nn.Module"),
        ("my_bad_networks:failing", r"failing\(\) failed with ValueError: too bad; it is called without arguments"),
        ("broken_code.py:build", "broken_code.py failed with SyntaxError"),
    ],
)
def test_code_that_makes_no_network_is_refused(spec, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_bad_networks.py").write_text(CODE)
    (tmp_path / "broken_code.py").write_text("def (")
    with pytest.raises(BadSetting, match=message):
        own_module(spec)


@pytest.mark.parametrize("size", [(64, 64), (97, 131)])
def test_efficientnet_lite0_is_timms(size):
    timm = pytest.importorskip("timm", reason="timm is only needed to judge our copy of its network")
    theirs, ours = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval(), EfficientNetLite0().eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):  # so that a forgotten or misplaced one shows
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))
