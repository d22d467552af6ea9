"""Questions as grids of runs: what is missing is run, what is there is not, and a kill at any moment loses nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import scenery
from pixelwise.data.cifar10 import TEST_FILE, TRAIN_FILES
from pixelwise.errors import BadSetting, Diverged, Interrupted, UnknownName
from pixelwise.experiments.job import ColourJob, Job, SegmentJob
from pixelwise.experiments.protocol import Protocol, full, quick
from pixelwise.experiments.runner import missing, run_jobs
from pixelwise.experiments.skips import widened
from pixelwise.experiments.table import EXPERIMENTS, experiment
from pixelwise.models.cnn import Cnn
from pixelwise.models.unet import UNet
from pixelwise.runs import Run
from pixelwise.workflow.plan import Plan
from pixelwise.workflow.segment_plan import SegmentPlan

HORSE = 7


@dataclass(frozen=True)
class Noted(Job):
    """A job that notes each time it is worked on, and in which process."""

    name: str = ""
    fails: str = ""
    seconds: float = 0.0
    alone: bool = False
    expected_seconds: float = 1.0

    def done(self, runs: Path) -> bool:
        return (runs / self.name / "done").is_file()

    def work(self, runs: Path, stopping) -> Iterator[float]:
        folder = runs / self.name
        (folder / f"by-{os.getpid()}").touch()
        (folder / "threads").write_text(str(torch.get_num_threads()))
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            if stopping():
                raise Interrupted("stopped")
            time.sleep(0.01)
            yield 0.5
        if self.fails == "user":
            raise Diverged("the loss became nan")
        if self.fails == "us":
            raise ZeroDivisionError("a fault")
        if self.fails == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / "done").touch()
        yield 1.0


def never() -> bool:
    return False


def workers_of(runs: Path, name: str) -> list[str]:
    return sorted(path.name for path in (runs / name).glob("by-*"))


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_is_missing_is_run_once_and_what_is_there_is_not(tmp_path, at_once):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "done").touch()
    jobs = [Noted("there"), Noted("a"), Noted("b"), Noted("a")]
    news = list(run_jobs(jobs, tmp_path, never, at_once))
    assert [item.name for item in news if item.share == 1] in (["a", "b"], ["b", "a"])
    assert all(item.failure is None for item in news)
    assert len(workers_of(tmp_path, "a")) == len(workers_of(tmp_path, "b")) == 1
    assert workers_of(tmp_path, "there") == []
    assert missing(jobs, tmp_path) == [] == list(run_jobs(jobs, tmp_path, never, at_once))


def test_jobs_at_once_share_the_time_in_processes_of_their_own(tmp_path):
    jobs = [Noted(name, seconds=1.0) for name in "ab"] + [Noted("measured", alone=True)]
    list(run_jobs(jobs, tmp_path, never, 2))
    here = f"by-{os.getpid()}"
    assert workers_of(tmp_path, "a") != workers_of(tmp_path, "b")
    assert here not in workers_of(tmp_path, "a") + workers_of(tmp_path, "b")
    assert workers_of(tmp_path, "measured") == [here]


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_run_that_fails_does_not_stop_the_others(tmp_path, at_once):
    jobs = [Noted("bad", fails="user"), Noted("fault", fails="us"), Noted("good")]
    failures = {item.name: item.failure for item in run_jobs(jobs, tmp_path, never, at_once) if item.failure}
    assert failures == {
        "bad": "the loss became nan",
        "fault": "a fault in pixelwise (ZeroDivisionError: a fault); see fault.fault.txt",
    }
    assert "ZeroDivisionError" in (tmp_path / "fault.fault.txt").read_text()
    assert missing(jobs, tmp_path) == jobs[:2]


def test_the_last_one_missing_computes_with_as_many_threads_as_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr("pixelwise.experiments.runner.cores", lambda: 6)
    list(run_jobs([Noted("a"), Noted("b")], tmp_path, never, 3))
    list(run_jobs([Noted("a"), Noted("b"), Noted("c")], tmp_path, never, 3))
    assert {(tmp_path / name / "threads").read_text() for name in "abc"} == {"2"}
    assert torch.get_num_threads() == 1  # what the tests have


def test_a_process_that_is_killed_is_told_of(tmp_path):
    jobs = [Noted("bad", fails="killed"), Noted("good", seconds=0.5)]
    failures = {item.name: item.failure for item in run_jobs(jobs, tmp_path, never, 2) if item.failure}
    assert list(failures) == ["bad"] and "ended with -9" in failures["bad"]
    assert missing(jobs, tmp_path) == jobs[:1]


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_stop_reaches_every_run(tmp_path, at_once):
    jobs = [Noted(name, seconds=60) for name in "abc"]
    asked: list[float] = []

    def stopping() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 20

    started = time.monotonic()
    with pytest.raises(Interrupted):
        list(run_jobs(jobs, tmp_path, stopping, at_once))
    assert time.monotonic() - started < 40
    assert missing(jobs, tmp_path) == jobs


def test_no_job_at_once_is_refused(tmp_path):
    with pytest.raises(BadSetting, match="0 jobs at once; expected 1 or more"):
        list(run_jobs([], tmp_path, never, 0))


# --- what a run is called ---


def colour_job(model, sizes, training):
    return ColourJob(Plan.from_given(model, {"name": "photos"}, sizes, training), Path("palette.json"), 10)


@pytest.mark.parametrize(
    ("model", "sizes", "training", "name"),
    [
        ("cnn", {}, {}, "cnn,seed=0"),
        ("unet", {"num_colours": 24}, {"batch_size": 10, "seed": 2}, "unet,batch_size=10,seed=2"),
        ("unet", {"skips": ("half", "whole")}, {}, "unet,skips=half+whole,seed=0"),
        ("unet", {"skips": ()}, {}, "unet,skips=none,seed=0"),
        ("cnn", {"input_scale": 2.0, "input_shift": -0.5}, {}, "cnn,input_scale=2,input_shift=-0.5,seed=0"),
        ("residual_unet", {}, {}, "residual_unet,seed=0"),
        ("residual_unet", {"num_filters": 32}, {"flips": False}, "residual_unet,num_filters=32,flips=False,seed=0"),
    ],
)
def test_a_run_is_called_by_what_is_unusual_about_it(model, sizes, training, name):
    assert colour_job(model, sizes, training).name == name


def test_a_run_that_segments_is_called_by_what_is_unusual_about_it():
    def name(model, training):
        return SegmentJob(SegmentPlan.from_given({}, model, training), 10).name

    assert name({}, {}) == "flowers,hypercolumn_efficientnet_lite0,seed=0"
    few = {"labelled": 5, "weights": "/somewhere/else"}
    assert name(few, {"seed": 1}) == "flowers,hypercolumn_efficientnet_lite0,labelled=5,seed=1"
    assert (
        name({"learn": ("full",)}, {"epochs": 2}) == "flowers,hypercolumn_efficientnet_lite0,learn=full,epochs=2,seed=0"
    )


def test_the_time_expected_follows_the_work():
    short, long = colour_job("cnn", {}, {"epochs": 5}), colour_job("cnn", {}, {"epochs": 10})
    assert long.expected_seconds - short.expected_seconds == pytest.approx(short.expected_seconds - 5)
    assert colour_job("unet", {}, {}).expected_seconds > colour_job("cnn", {}, {}).expected_seconds


# --- the questions ---


def test_a_widened_cnn_has_the_weights_of_the_unet():
    def weights(network):
        return sum(parameter.numel() for parameter in network.parameters())

    asked, found = weights(UNet(3, 32, 24)), weights(Cnn(3, widened(), 24))
    assert abs(found - asked) < abs(weights(Cnn(3, widened() + 1, 24)) - asked)
    assert abs(found - asked) < abs(weights(Cnn(3, widened() - 1, 24)) - asked)
    assert abs(found / asked - 1) < 0.03


def test_an_unknown_question_is_refused_with_the_known_ones():
    with pytest.raises(UnknownName, match="unknown experiment 'batch'; known: affine, batches"):
        experiment("batch")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A little CIFAR-10 of horses and some flowers with masks, in the official layouts."""
    folder = tmp_path_factory.mktemp("data")
    for number, name in enumerate([*TRAIN_FILES, TEST_FILE]):
        pictures = [scenery(10 * number + i, 32, 32).transpose(2, 0, 1).tobytes() for i in range(8)]
        (folder / name).write_bytes(b"".join(bytes([HORSE]) + picture for picture in pictures))
    trimap = Image.fromarray(np.where(np.arange(64)[:, None] < 32, 3, 1).astype(np.uint8).repeat(64, 1), "P")
    trimap.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    for kind in ("images", "trimaps"):
        (folder / "flowers17-256" / kind).mkdir(parents=True)
    for number in range(1, 13):
        picture = Image.fromarray(scenery(number, 64, 64))
        picture.save(folder / "flowers17-256" / "images" / f"image_{number:04}.jpg")
        trimap.save(folder / "flowers17-256" / "trimaps" / f"image_{number:04}.png")
    return folder


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("protocol", [quick, full])
def test_every_question_has_a_grid_of_runs_with_names_of_their_own(root, tmp_path, name, protocol):
    asked = protocol(tmp_path, root)
    settings = EXPERIMENTS[name].settings(asked)
    assert len({setting.label for setting in settings}) == len(settings) > 1
    grids = [[job.name for job in setting.jobs] for setting in settings]
    assert all(len(set(names)) == len(names) > 0 for names in grids)
    assert all("/" not in name and len(name) < 120 for names in grids for name in names)
    assert not list((tmp_path / "runs").glob("*"))


def test_questions_share_the_runs_that_they_both_need(root, tmp_path):
    protocol = full(tmp_path, root)
    names = {name: {job.name for job in EXPERIMENTS[name].jobs(protocol)} for name in EXPERIMENTS}
    assert names["plain"] - names["skips"] == {"lookup,seed=0"}
    assert {f"unet,seed={seed}" for seed in range(3)} <= names["skips"] & names["batches"]


def test_batches_have_as_many_updates_where_updates_are_fixed(root, tmp_path):
    from pixelwise.experiments.batches import fixed_updates

    protocol = Protocol(out=tmp_path, root=root, batches=(9, 18, 36), short_epochs=25)
    plans = [setting.jobs[0].plan for setting in fixed_updates(protocol)]
    pictures = len(protocol.pictures.train)
    steps = [plan.train.epochs * -(-pictures // plan.train.batch_size) for plan in plans]
    assert pictures == 36 and steps == [8, 8, 9]  # 2.25, 4.5 and 9 epochs would be 9 updates each


def test_any_batch_sizes_can_be_asked_for(root, tmp_path):
    protocol = quick(tmp_path, root).with_batches(" 36, 9,9")
    assert protocol.batches == (9, 36)
    labels = [setting.label for setting in EXPERIMENTS["batches"].settings(protocol)]
    assert labels == ["batch 9, 2 epochs", "batch 36, 2 epochs", "batch 9, 4 updates", "batch 36, 1 updates"]
    for wrong in ("", "0", "10;50", "1e2", "-3", "9" * 9):
        with pytest.raises(BadSetting, match="expected numbers of pictures"):
            protocol.with_batches(wrong)


def test_the_study_has_one_palette_for_all_its_runs(root, tmp_path):
    protocol = quick(tmp_path, root)
    path = protocol.palette()
    written = path.read_bytes()
    assert protocol.palette() == path and path.read_bytes() == written
    assert len(list(path.parent.iterdir())) == 1


# --- a kill at any moment ---


def table_without_seconds(protocol: Protocol) -> list[tuple[object, ...]]:
    found = []
    for job in EXPERIMENTS["plain"].jobs(protocol):
        run = Run(protocol.runs / job.name)
        rows = [{**row.to_mapping(), "seconds": 0} for row in run.rows()]
        found.append((job.name, rows, run.evaluation(), (run / "model.safetensors").read_bytes()))
    return found


def written(runs: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in runs.rglob("*") if not path.name.startswith(".")}


def killed_soon_after_it_wrote_something(command: list[str], runs: Path, seconds: float) -> bool:
    """Whether a study was still going on when it was killed, some time after it first wrote anything."""
    before, begun = written(runs), subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while written(runs) == before and begun.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(seconds)
    going_on = begun.poll() is None
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    return going_on


def test_killed_at_five_random_moments_and_started_again_a_study_ends_with_the_same_runs(root, tmp_path):
    command = [sys.executable, "-m", "pixelwise", "experiment", "plain", "--quick", "--seeds", "3", "--jobs", "2"]
    command += ["--root", str(root), "--out"]
    protocol, random = quick(tmp_path / "killed", root, 3), Random(5)
    killed = [
        killed_soon_after_it_wrote_something([*command, str(protocol.out)], protocol.runs, random.uniform(0, 0.8))
        for _ in range(5)
    ]
    assert killed.count(True) >= 3, killed
    for out in (protocol.out, tmp_path / "whole"):
        subprocess.run([*command, str(out)], check=True, capture_output=True)
    assert missing(EXPERIMENTS["plain"].jobs(protocol), protocol.runs) == []
    assert table_without_seconds(protocol) == table_without_seconds(quick(tmp_path / "whole", root, 3))
