"""The command line as users meet it: run end to end on small real pictures, killed, resumed, and given nonsense."""

import contextlib
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import safetensors.torch
from PIL import Image

from pixelwise import __version__
from pixelwise.cli import main
from pixelwise.data.images import open_picture

TINY = ["--num-filters", "4", "--num-colours", "6", "--epochs", "2", "--batch-size", "16", "--patch", "16"]
EVALUATION_KEYS = {
    *("task", "model", "data", "split", "pictures", "pixels", "cross_entropy", "accuracy", "accuracy_top5"),
    *("balanced_accuracy", "lookup_cross_entropy", "lookup_accuracy", "skill", "psnr", "psnr_grey", "psnr_ceiling"),
    *("ciede2000", "ciede2000_grey", "colourfulness"),
}
RECEIPTS = {
    *("settings.json", "environment.json", "palette.json", "lookup.safetensors", "metrics.jsonl"),
    *("checkpoint.safetensors", "model.safetensors", "evaluation.json", "curve.png", "gallery.png"),
}


def call(*arguments):
    """The exit code, stdout and stderr of a command; any exception but SystemExit fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["pixelwise", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exit_of,
    ):
        main()
    return exit_of.value.code or 0, out.getvalue(), err.getvalue()


def ok(*arguments):
    code, out, err = call(*arguments)
    assert code == 0, err
    return out


def error(*arguments):
    code, out, err = call(*arguments)
    assert code == 1, (code, err)
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ") or "error: " in err
    assert "Traceback" not in err
    return err


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from conftest import scenery

    folder = tmp_path_factory.mktemp("data") / "pictures"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(scenery(number)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    """A finished run of the U-Net; tests that damage it take a copy."""
    run = tmp_path_factory.mktemp("runs") / "unet"
    ok("train", "colour", "--data", "folder", "--root", pictures, "--model", "unet", "--out", run, *TINY)
    return run


@pytest.fixture
def copied(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_a_finished_run_is_a_folder_of_receipts(finished):
    assert {path.name for path in finished.iterdir()} == RECEIPTS
    settings = json.loads((finished / "settings.json").read_text())
    assert settings["model"]["name"] == "unet"
    assert settings["train"]["epochs"] == 2
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    for name in ("curve.png", "gallery.png"):
        assert min(open_picture(finished / name).rgb.shape[1:]) > 200


@pytest.mark.parametrize("model", ["lookup", "cnn", "residual_unet"])
def test_every_model_trains_and_evaluates(model, pictures, tmp_path):
    run = tmp_path / "run"
    command = ["train", "colour", "--data", "folder", "--root", pictures, "--model", model, "--out", run, *TINY]
    trained = json.loads(ok(*command, "--json"))
    measured = json.loads(ok("evaluate", run, "--json"))
    assert set(measured) >= EVALUATION_KEYS
    assert {**measured, "run": str(run)} == trained
    assert json.loads((run / "evaluation.json").read_text()) == measured
    assert all(math.isfinite(value) for value in measured.values() if isinstance(value, float))
    assert 0 <= measured["accuracy"] <= measured["accuracy_top5"] <= 1
    if model == "lookup":
        assert measured["skill"] == 0
        assert measured["accuracy"] == measured["lookup_accuracy"]


def test_evaluation_says_what_it_measured(finished, pictures):
    out = json.loads(ok("evaluate", finished, "--split", "validation", "--json"))
    assert (out["split"], out["data"], out["model"], out["task"]) == ("validation", "folder", "unet", "colour")
    assert out["pixels"] == out["pictures"] * 16 * 16
    words = ok("evaluate", finished)
    assert "unet on the test pictures of folder" in words
    assert "cross-entropy" in words


def test_two_runs_of_one_seed_have_the_same_weights_and_another_seed_has_not(finished, pictures, tmp_path):
    command = ["train", "colour", "--data", "folder", "--root", pictures, "--model", "unet", *TINY, "--out"]
    ok(*command, tmp_path / "same")
    ok(*command, tmp_path / "other", "--seed", "1")
    weights = [(run / "model.safetensors").read_bytes() for run in (finished, tmp_path / "same", tmp_path / "other")]
    assert weights[0] == weights[1] != weights[2]


def start(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pixelwise", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for(path, process):
    for _ in range(600):
        if path.exists() or process.poll() is not None:
            return
        time.sleep(0.05)


@pytest.fixture(scope="module")
def long_training(pictures):
    """A command that trains for some seconds, to be completed by a run folder."""
    sizes = ["--num-filters", "8", "--num-colours", "6", "--epochs", "25", "--batch-size", "4", "--patch", "16"]
    return ["train", "colour", "--data", "folder", "--root", pictures, "--model", "cnn", "--flips", *sizes, "--out"]


@pytest.fixture(scope="module")
def unbroken(long_training, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "unbroken"
    with start(*long_training, run) as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    return run


def rows_of(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{**row, "seconds": 0} for row in rows]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_killed_or_interrupted_resumes_to_the_same_weights(how, long_training, unbroken, tmp_path):
    run = tmp_path / "broken"
    with start(*long_training, run) as process:
        wait_for(run / "checkpoint.safetensors", process)
        process.send_signal(how)
        _, err = process.communicate()
    assert process.returncode == (-9 if how == signal.SIGKILL else 1)
    assert how == signal.SIGKILL or "continue with --resume" in err
    assert not (run / "model.safetensors").exists()
    assert "unfinished" in error("evaluate", run)
    with start(*long_training, run, "--resume") as resumed:
        _, err = resumed.communicate()
    assert resumed.returncode == 0, err
    assert (run / "model.safetensors").read_bytes() == (unbroken / "model.safetensors").read_bytes()
    assert rows_of(run) == rows_of(unbroken)


def test_a_run_is_not_overwritten_and_not_resumed_otherwise(finished, pictures, tmp_path):
    command = ["train", "colour", "--data", "folder", "--root", pictures, "--model", "unet", "--out", finished, *TINY]
    assert "already holds a run; add --resume" in error(*command)
    assert "train.seed was 0, is 3" in error(*command, "--seed", "3", "--resume")
    ok(*command, "--resume")  # nothing is left to do
    other = tmp_path / "palette.json"
    ok("palette", "fit", "--data", "folder", "--root", pictures, "--num-colours", "6", "--seed", "9", "--out", other)
    assert "begun with another palette" in error(*command, "--resume", "--palette", other)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("dear")
    assert "holds other files" in error(*command[: -len(TINY) - 1], tmp_path / "full", *TINY)


def test_resume_needs_only_the_folder_and_the_data_may_be_called_otherwise(copied, pictures, monkeypatch):
    (copied / "metrics.jsonl").unlink()  # as if killed between the checkpoint and the rows
    ok("train", "colour", "--resume", "--out", copied)
    assert len(rows_of(copied)) == 2
    monkeypatch.chdir(pictures.parent)
    ok("train", "colour", "--resume", "--out", copied, "--root", pictures.name)
    relative = ["train", "colour", "--data", "folder", "--root", pictures.name, "--model", "lookup", "--out"]
    ok(*relative, copied.parent / "relative")
    monkeypatch.chdir(copied)
    ok("evaluate", copied.parent / "relative")


def test_a_run_ends_with_its_best_epoch_or_its_last(pictures, tmp_path):
    command = ["train", "colour", "--data", "folder", "--root", pictures, "--model", "cnn", *TINY, "--epochs", "8"]
    command += ["--learning-rate", "0.1", "--out"]  # so high that the last epoch is not the best
    best = json.loads(ok(*command, tmp_path / "best", "--json"))
    last = json.loads(ok(*command, tmp_path / "last", "--keep", "last", "--json"))
    rows = rows_of(tmp_path / "best")
    assert rows == rows_of(tmp_path / "last")
    losses = [row["validation_loss"] for row in rows]
    assert losses.index(min(losses)) != len(losses) - 1
    for name, expected in (("best", min(losses)), ("last", losses[-1])):
        found = json.loads(ok("evaluate", tmp_path / name, "--split", "validation", "--json"))
        assert found["cross_entropy"] == pytest.approx(expected, rel=1e-6)
    assert best["cross_entropy"] != last["cross_entropy"]
    assert not (tmp_path / "best" / "best.safetensors").exists()


def test_results_among_the_pictures_do_not_become_pictures(pictures, finished, tmp_path):
    folder = Path(shutil.copytree(pictures, tmp_path / "album"))
    command = ["train", "colour", "--data", "folder", "--root", folder, "--model", "lookup", "--out", folder / "run"]
    assert "lies among the pictures" in error(*command)
    for _ in range(2):
        report = json.loads(ok("colourize", folder, "--run", finished, "--out", folder / "coloured", "--json"))
        assert len(report["pictures"]) == 6


def test_a_run_may_lie_beside_the_files_of_cifar10(tmp_path):
    words = error("train", "colour", "--data", "cifar10", "--root", tmp_path, "--out", tmp_path / "run")
    assert "no CIFAR-10 at" in words  # and not that the run would become a picture


def test_all_pictures_of_a_data_set_can_be_measured(finished):
    parts = [json.loads(ok("evaluate", finished, "--split", split, "--json")) for split in ("train", "validation")]
    parts.append(json.loads(ok("evaluate", finished, "--json")))
    whole = json.loads(ok("evaluate", finished, "--split", "all", "--json"))
    assert whole["pixels"] == sum(part["pixels"] for part in parts)


def test_pictures_that_changed_are_noticed(pictures, tmp_path):
    folder = Path(shutil.copytree(pictures, tmp_path / "pictures"))
    command = ["train", "colour", "--data", "folder", "--root", folder, "--model", "lookup", "--out", tmp_path / "run"]
    ok(*command)
    Image.fromarray(np.full((40, 40, 3), 77, np.uint8)).save(folder / "new.png")
    assert "data_sha256" in error(*command, "--resume")


def test_a_palette_from_another_run_is_refused(copied):
    palette = json.loads((copied / "palette.json").read_text())
    palette["colours"][0][0] += 0.01
    (copied / "palette.json").write_text(json.dumps(palette))
    assert "is not the palette that this run was trained on" in error("evaluate", copied)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("settings.json", b"{", "cannot be read"),
        ("settings.json", b"[]", "not of format"),
        ("settings.json", b'{"format": 1}', "does not hold a run's settings"),
        ("palette.json", b"\xff", "cannot be read"),
        ("lookup.safetensors", b"", "cannot be read"),
        ("model.safetensors", b"\x80\x04\x95 a pickle", "cannot be read"),
        ("model.safetensors", None, "unfinished"),
        ("settings.json", None, "no run in"),
    ],
)
def test_a_damaged_run_is_a_clear_error(copied, name, content, words):
    if content is None:
        (copied / name).unlink()
    else:
        (copied / name).write_bytes(content)
    assert words in error("evaluate", copied)


def test_weights_of_another_network_are_refused(copied):
    weights = safetensors.torch.load_file(copied / "model.safetensors")
    del weights["last.bias"]
    safetensors.torch.save_file(weights, copied / "model.safetensors")
    assert "are another model's" in error("evaluate", copied)


def test_weights_that_are_not_numbers_are_refused(copied):
    weights = safetensors.torch.load_file(copied / "model.safetensors")
    weights["last.bias"][0] = float("nan")
    safetensors.torch.save_file(weights, copied / "model.safetensors")
    assert "values that are not numbers" in error("evaluate", copied)


def test_a_run_that_diverges_says_so_and_keeps_its_checkpoint(pictures, tmp_path):
    command = ["train", "colour", "--data", "folder", "--root", pictures, "--model", "cnn", "--out", tmp_path / "run"]
    assert "lower learning_rate" in error(*command, *TINY, "--epochs", "50", "--learning-rate", "1e30")
    assert (tmp_path / "run" / "settings.json").exists()
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "resnet"], "unknown model 'resnet'; known: cnn, hypercolumn_efficientnet_lite0, lookup"),
        (["--model", "cnn", "--data", "imagenet"], "unknown data set 'imagenet'; known: cifar10, flowers17, folder"),
        (["--model", "cnn", "--data", "cifar10", "--category", "horze"], "did you mean 'horse'?"),
        (["--model", "cnn", "--data", "cifar10", "--root", "nowhere"], "no CIFAR-10 at nowhere"),
        (["--model", "cnn", "--data", "folder"], "give --root FOLDER"),
        (["--model", "cnn", "--data", "folder", "--root", "nowhere"], "no folder at nowhere"),
        (["--model", "cnn", "--palette", "nowhere.json"], "palette nowhere.json cannot be read"),
        (["--model", "cnn", "--root", "my_photos"], "photos are embedded; for pictures of your own: --data folder"),
        (["--model", "cnn", "--weight-decay", "1e300"], "weight_decay is 1e+300; expected 0 or more, at most 1e38"),
        (["--model", "cnn", "--device", "meta"], "device 'meta' does not compute; expected cpu, cuda, mps"),
        (["--model", "cnn", "--epochs", "0"], "epochs is 0; expected 1 or more"),
        (["--model", "cnn", "--learning-rate", "nan"], "learning_rate is nan"),
        (["--model", "cnn", "--optimizer", "sgd"], "optimizer is 'sgd'; expected adam or adamw"),
        (["--model", "cnn", "--num-colours", "256"], "num_colours is 256; expected 2 to 255"),
        (["--model", "cnn", "--device", "cuda:99"], "device 'cuda:99' cannot be used here"),
    ],
)
def test_nonsense_is_a_clear_error_and_leaves_no_run(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in error("train", "colour", *arguments, "--out", "run")
    assert not Path("run").exists()


def test_usage_errors_exit_with_two():
    assert call("train", "colour")[0] == 2
    assert call("train", "sounds", "--model", "cnn", "--out", "x")[0] == 2
    assert call("paint")[0] == 2
    assert call("evaluate", "x", "--split", "some")[0] == 2


def test_missing_run():
    assert "no run in nowhere" in error("evaluate", "nowhere")
    assert "no run in nowhere" in error("colourize", "picture.png", "--run", "nowhere", "--out", "out")


def test_a_run_is_evaluated_on_other_pictures_without_losing_its_own_result(copied, tmp_path):
    from conftest import scenery

    for number in range(3):
        Image.fromarray(scenery(number + 50)).save(tmp_path / f"other{number}.png")
    before = (copied / "evaluation.json").read_text()
    other = json.loads(ok("evaluate", copied, "--root", tmp_path, "--json"))
    assert other["pixels"] != json.loads(before)["pixels"]
    assert (copied / "evaluation.json").read_text() == before


def test_colourize_keeps_size_light_transparency_and_goes_past_bad_files(finished, tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    values = np.arange(30 * 41, dtype=np.uint32).reshape(30, 41) % 256
    Image.fromarray(values.astype(np.uint8)).save(folder / "grey.png")
    Image.fromarray((values * 257).astype(np.uint16)).save(folder / "deep" / "sixteen.png")
    see_through = np.dstack([values] * 3 + [255 - values]).astype(np.uint8)
    Image.fromarray(see_through).save(folder / "alpha.png")
    (folder / "text.png").write_text("not a picture")
    out = tmp_path / "out"
    code, stdout, stderr = call("colourize", folder, "--run", finished, "--out", out, "--json")
    assert code == 1
    assert "text.png is not a picture" in stderr
    report = json.loads(stdout)
    assert [Path(f["picture"]).name for f in report["failed"]] == ["text.png"]
    assert sorted(Path(p["output"]).relative_to(out).as_posix() for p in report["pictures"]) == [
        "alpha.png",
        "deep/sixteen.png",
        "grey.png",
    ]
    for name in ("grey.png", "deep/sixteen.png"):
        coloured = np.asarray(Image.open(out / name)).astype(int)
        assert coloured.shape == (30, 41, 3)
        assert np.abs(coloured.mean(axis=2) - values).max() <= 1
        assert (coloured.max(axis=2) - coloured.min(axis=2)).max() > 10
    assert np.array_equal(np.asarray(Image.open(out / "alpha.png"))[:, :, 3], see_through[:, :, 3])


def test_a_png_by_the_name_of_jpg_keeps_its_transparency(finished, tmp_path):
    picture = tmp_path / "in" / "web.jpg"
    picture.parent.mkdir()
    Image.new("RGBA", (8, 9), (90, 90, 90, 40)).save(picture, format="PNG")
    report = json.loads(ok("colourize", picture, "--run", finished, "--out", tmp_path / "out", "--json"))
    assert Path(report["pictures"][0]["output"]).name == "web.png"
    assert open_picture(tmp_path / "out" / "web.png").alpha.unique().tolist() == [40]


def test_a_fault_of_pixelwise_itself_is_one_line_too(finished, monkeypatch):
    def fault(*_, **__):
        raise KeyError("surprise")

    monkeypatch.setattr("pixelwise.workflow.finished.evaluate_run", fault)
    assert "a fault in pixelwise (KeyError: 'surprise')" in error("evaluate", finished)
    monkeypatch.setenv("PIXELWISE_TRACEBACK", "1")
    monkeypatch.setattr(sys, "argv", ["pixelwise", "evaluate", str(finished)])
    with pytest.raises(KeyError):
        main()


def test_too_little_memory_is_said_in_words(finished, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr("pixelwise.workflow.finished.evaluate_run", full)
    assert "not enough memory; try fewer filters" in error("evaluate", finished)


def test_colourize_refuses_to_overwrite(finished, tmp_path):
    for name in ("a.png", "a.gif"):
        Image.new("L", (8, 8), 90).save(tmp_path / name)
    common = ["--run", finished, "--out"]
    assert "would mix results with pictures" in error("colourize", tmp_path / "a.png", *common, tmp_path)
    assert "would both become" in error("colorize", tmp_path / "a.png", tmp_path / "a.gif", *common, tmp_path / "o")


def test_palette_fit_and_show(pictures, finished, tmp_path):
    file = tmp_path / "p.json"
    fitted = json.loads(
        ok("palette", "fit", "--data", "folder", "--root", pictures, "--num-colours", "5", "--out", file, "--json")
    )
    shown = json.loads(ok("palette", "show", file, "--json"))
    assert fitted == {"file": str(file), **shown}
    assert len(shown["colours"]) == shown["num_colours"] == 5
    assert all(colour in ok("palette", "show", file) for colour in shown["colours"])
    assert "6 colours" in ok("palette", "show", finished)


def test_a_palette_of_chromas_is_fitted_shown_and_trained_with(pictures, tmp_path):
    file, data = tmp_path / "chromas.json", ["--data", "folder", "--root", pictures]
    ok("palette", "fit", *data, "--space", "oklab", "--num-colours", "4", "--out", file)
    assert json.loads(file.read_text())["space"] == "oklab"
    shown = json.loads(ok("palette", "show", file, "--json"))
    assert len(shown["colours"]) == 4 and all(colour in ok("palette", "show", file) for colour in shown["colours"])
    train = ["train", "colour", *data, "--model", "lookup", "--patch", "16"]
    ok(*train, "--palette", file, "--out", tmp_path / "given")
    ok(*train, "--space", "oklab", "--num-colours", "4", "--out", tmp_path / "fitted")
    for run in ("given", "fitted"):
        model = json.loads((tmp_path / run / "settings.json").read_text())["model"]
        assert (model["space"], model["num_colours"]) == ("oklab", 4)
    assert "leave space out" in error(*train, "--palette", file, "--space", "rgb", "--out", tmp_path / "other")
    assert "space is 'lab'; expected rgb or oklab" in error(*train, "--space", "lab", "--out", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_what_the_network_is_shown_and_its_connections_are_options(pictures, tmp_path):
    train = ["train", "colour", "--data", "folder", "--root", pictures, "--model", "unet", *TINY, "--epochs", "1"]
    shown = {"input_scale": 2.0, "input_shift": -1.0, "input_padding": 0.5}
    options = [text for name, value in shown.items() for text in (f"--{name.replace('_', '-')}", value)]
    for given, skips in {"none": [], "whole,quarter": ["whole", "quarter"]}.items():
        ok(*train, *options, "--skips", given, "--out", tmp_path / given)
        model = json.loads((tmp_path / given / "settings.json").read_text())["model"]
        assert model["skips"] == skips
        assert {name: model[name] for name in shown} == shown
    assert "skips is ('eighth',)" in error(*train, "--skips", "eighth", "--out", tmp_path / "other")


def test_version_help_and_data_list():
    assert ok("--version") == f"pixelwise {__version__}\n"
    assert "colourize" in ok("--help")
    assert set(json.loads(ok("data", "list", "--json"))) == {"photos", "cifar10", "flowers17", "folder"}
    assert "needs no download" in error("data", "fetch", "photos")


def test_the_command_starts_without_torch():
    code = "import sys, pixelwise.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
