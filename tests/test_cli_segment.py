"""The commands that segment as users meet them: fine-tune, measure, segment, check, and what goes wrong."""

import json
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from conftest import scenery
from test_cli import call, error, ok

EVALUATION_KEYS = {
    *("task", "model", "data", "split", "pictures", "pixels", "pixel_accuracy", "iou", "miou", "mean_picture_iou"),
    *("thresholded_iou", "boundary_f1", "iou_void_as_background", "thresholded_iou_void_as_background"),
}
RECEIPTS = {
    *("settings.json", "environment.json", "metrics.jsonl", "model.safetensors", "evaluation.json", "freezing.json"),
    *("curve.png", "gallery.png"),
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "labelled"
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for number in range(12):
        Image.fromarray(scenery(number)).save(root / "images" / f"{number}.png")
        mask = np.zeros((40, 48), np.uint8)
        mask[:20] = 1
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    (root / "classes.txt").write_text("land #444444\nsky #56b4e9\n")
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def in_cache(cache, monkeypatch):
    monkeypatch.setenv("PIXELWISE_CACHE", str(cache))


def training(root, run, *more):
    return ["train", "segment", "--data", "folder", "--root", root, "--size", "48", "--out", run, *more]


@pytest.fixture(scope="module")
def finished(labelled, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIXELWISE_CACHE", str(cache))
        shown = json.loads(ok(*training(labelled, folder), "--json"))
    assert shown["run"] == str(folder)
    return folder


@pytest.fixture
def strokes(tmp_path):
    drawn = [
        {"class": "sky", "radius": 1, "points": [[5, 14], [40, 14]]},
        {"class": "land", "radius": 1, "points": [[5, 30], [40, 30]]},
    ]
    file = tmp_path / "strokes.json"
    file.write_text(json.dumps({"classes": ["land", "sky"], "pictures": {"0.png": drawn}}))
    return file


def test_a_finished_run_has_its_receipts_and_its_numbers(finished, labelled):
    assert {path.name for path in finished.iterdir()} >= RECEIPTS
    measured = json.loads(ok("evaluate", finished, "--json"))
    assert set(measured) >= EVALUATION_KEYS
    assert set(measured["iou"]) == {"land", "sky"}
    assert measured["iou"]["sky"] > 0.9
    assert "IoU of sky" in ok("evaluate", finished, "--data", "folder", "--root", labelled, "--split", "all")


def test_pictures_and_folders_are_segmented_past_bad_ones(finished, labelled, tmp_path):
    (tmp_path / "in" / "inner").mkdir(parents=True)
    for name, shape in (("wide", (31, 90)), ("inner/dot", (1, 1)), ("strip", (1, 5000))):
        Image.fromarray(scenery(3, *shape)).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG nothing more")
    code, out, err = call("segment", tmp_path / "in", "--run", finished, "--out", tmp_path / "out", "--json")
    shown = json.loads(out)
    assert code == 1
    assert "broken.png" in err
    assert [item["picture"].rpartition("/")[2] for item in shown["failed"]] == ["broken.png"]
    assert {"picture", "output", "seconds"} <= set(shown["pictures"][0])
    for item in shown["pictures"]:
        with Image.open(item["picture"]) as picture, Image.open(item["output"]) as mask:
            assert mask.size == picture.size
            assert mask.mode == "P"
    names = {path.name for path in (tmp_path / "out").rglob("*.png")}
    assert {"wide_mask.png", "wide_overlay.png", "wide_cutout.png", "wide_outlines.png", "dot_mask.png"} <= names


def test_strokes_teach_a_folder(labelled, strokes, tmp_path):
    out = ok("segment", labelled / "images", "--strokes", strokes, "--out", tmp_path / "out")
    assert out.count("_mask.png") == 12
    ids = np.array(Image.open(tmp_path / "out" / "7_mask.png"))
    assert (ids[:15] == 1).mean() > 0.9 > 0.1 > (ids[26:] == 1).mean()


def test_strokes_on_a_name_that_two_pictures_have_are_refused(labelled, strokes, tmp_path):
    (tmp_path / "in" / "inner").mkdir(parents=True)
    for place in ("0.png", "1.png", "inner/0.png", "inner/1.png"):
        Image.fromarray(scenery(0)).save(tmp_path / "in" / place)
    said = error("segment", tmp_path / "in", "--strokes", strokes, "--out", tmp_path / "out")
    assert "are called so; rename one" in said
    (tmp_path / "in" / "inner" / "0.png").unlink()
    assert "_mask.png" in ok("segment", tmp_path / "in", "--strokes", strokes, "--out", tmp_path / "out")


def test_strokes_on_the_trunk_of_a_run(finished, labelled, strokes, tmp_path):
    ok("segment", labelled / "images" / "0.png", "--run", finished, "--strokes", strokes, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "0_cutout.png").is_file()


def test_what_segment_cannot_do_is_said_in_words(finished, labelled, strokes, tmp_path):
    picture = labelled / "images" / "1.png"
    assert "'0.png', which is not among" in error("segment", picture, "--strokes", strokes, "--out", tmp_path / "out")
    assert call("segment", picture, "--out", tmp_path / "out")[0] == 2
    assert "no run in" in error("segment", picture, "--run", tmp_path, "--out", tmp_path / "out")
    assert "another --out" in error("segment", picture, "--run", finished, "--out", labelled / "images")
    strokes.write_text("{}")
    assert "strokes" in error("segment", picture, "--strokes", strokes, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "nonsense"], "unknown pretrained network 'nonsense'"),
        (["--model", "deeplabv3_resnet50"], "pixelwise weights fetch deeplabv3_resnet50"),
        (["--learn", "nonsense"], "no parameter's name begins with 'nonsense'"),
        (["--loss", "nonsense"], "loss is 'nonsense'"),
        (["--class-weights", "1,2,3"], "3 class_weights for 2 classes"),
        (["--labelled", "1000"], "1000 labelled pictures asked"),
        (["--no-cache", "--optimizer", "lbfgs"], "expected 'adamw' or 'adam' here"),
        (["--model", "nowhere:build", "--last", "last"], "cannot be imported"),
        (["--last", "last"], "only a network of your own needs it"),
    ],
)
def test_nonsense_is_refused_before_a_run_is_there(labelled, tmp_path, arguments, words):
    assert words in error(*training(labelled, tmp_path / "run", *arguments))
    assert not (tmp_path / "run").exists()


def test_weights_that_are_no_weights_are_refused(labelled, tmp_path):
    class Surprise:
        def __reduce__(self):
            return print, ("this code was run",)

    files = {"disguised.pth": pickle.dumps(Surprise()), "short.pth": b"PK\x03\x04", "empty.safetensors": b""}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        said = error(*training(labelled, tmp_path / "run", "--weights", tmp_path / name))
        assert name in said
        assert "this code was run" not in said


def test_a_network_of_ones_own_learns_by_the_command(labelled, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\n\ndef build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1))\n"
    )
    monkeypatch.chdir(tmp_path)
    network = ["--model", "mine.py:build", "--last", "2"]
    measured = json.loads(ok(*training(labelled, tmp_path / "run", *network), "--json"))
    assert measured["iou"]["sky"] > 0.75  # of eight random filters
    again = json.loads(ok(*training(labelled, tmp_path / "again", *network), "--json"))
    assert again["iou"] == measured["iou"]


def test_the_doctor_finds_what_is_wrong(labelled, tmp_path):
    assert json.loads(ok("data", "check", "--root", labelled, "--json"))["ok"]
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(scenery(0)).save(tmp_path / "images" / "a.png")
    Image.fromarray(np.full((9, 9), 200, np.uint8)).save(tmp_path / "masks" / "a.png")
    code, out, err = call("data", "check", "--root", tmp_path)
    assert code == 1
    assert "error" in out
    assert "Traceback" not in err


def test_weights_can_be_listed_and_fetched_only_by_name():
    assert "deeplabv3_resnet101" in json.loads(ok("weights", "list", "--json"))
    assert "unknown pretrained network" in error("weights", "fetch", "nonsense")


def test_a_killed_fine_tuning_goes_on_to_the_same_weights(labelled, tmp_path):
    slow = ["--optimizer", "adamw", "--epochs", "15", "--batch-size", "1", "--sample", "0"]
    ok(*training(labelled, tmp_path / "whole", *slow))
    command = [sys.executable, "-m", "pixelwise", *map(str, training(labelled, tmp_path / "broken", *slow))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not (tmp_path / "broken" / "checkpoint.safetensors").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -9
    ok(*training(labelled, tmp_path / "broken", "--resume"))
    whole, broken = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert whole == broken
