"""Do the jobs that are missing: here one after the other, or several at once in processes of their own.

Each process gets its share of the cores, so that they are never oversubscribed: convolutions of small pictures use one
core well and two badly, and two trainings at once take three quarters of the time of one after the other. A kill loses
what came after the last checkpoint of each training; the next start goes on from there. Jobs that measure seconds and
memory run alone, at the end.
"""

import multiprocessing
import os
import queue
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from ..errors import BadSetting, Interrupted, PixelwiseError
from ..files import write_json
from .job import Job, Stopping

TOLD_EVERY = 0.25  # seconds between two words about one job
SIDE_BY_SIDE = 1.35  # times as much is done in the same time by a process on each core, measured on two cores
WAIT = 0.5  # seconds until the processes are looked after again


@dataclass(frozen=True)
class News:
    """How far one job has come: a share, or why it failed."""

    name: str
    share: float
    failure: str | None = None


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def missing(jobs: Sequence[Job], runs: Path) -> list[Job]:
    """Those that are not done, each once, in their order."""
    return [job for job in {job.name: job for job in jobs}.values() if not job.done(runs)]


def expected_seconds(alone: float, at_once: int) -> float:
    """About how long jobs take that would take so long one after the other on all cores."""
    return alone / SIDE_BY_SIDE if at_once > 1 else alone


def run_jobs(jobs: Sequence[Job], runs: Path, stopping: Stopping, at_once: int = 1) -> Iterator[News]:
    """Do the jobs that are missing, yielding news of them as they come; one that fails does not stop the others.

    Args:
        jobs: what there is to do; what is done is left alone.
        runs: the folder of their folders.
        stopping: asked often; when it says so, all jobs keep what they have and stop.
        at_once: processes.

    Raises:
        BadSetting: fewer than one process.
        Interrupted: `stopping` said so.
    """
    if at_once < 1:
        raise BadSetting(f"{at_once} jobs at once; expected 1 or more")
    open_jobs = missing(jobs, runs)
    together = [job for job in open_jobs if not job.alone]
    alone = [job for job in open_jobs if job.alone]
    threads = max(1, cores() // at_once) if at_once > 1 else torch.get_num_threads()
    if at_once > 1 and len(together) > 1:
        yield from _in_processes(together, runs, stopping, min(at_once, len(together)), threads)
        together = []
    with _threads(threads):  # the last one that is missing computes as the others did, to the last bit
        for job in together:
            yield from _followed(job, runs, stopping)
    for job in alone:
        yield from _followed(job, runs, stopping)


def _followed(job: Job, runs: Path, stopping: Stopping, at_once: int = 1) -> Iterator[News]:
    """One job in this process."""
    start, told = time.perf_counter(), 0.0
    try:
        with _only_one(runs / job.name, stopping):
            yield News(job.name, 0.0)
            for share in () if job.done(runs) else job.work(runs, stopping):
                now = time.perf_counter()
                if now - told > TOLD_EVERY:
                    told = now
                    yield News(job.name, min(share, 0.999))
            seconds = {"seconds": time.perf_counter() - start, "at_once": at_once, "threads": torch.get_num_threads()}
            write_json(runs / job.name / "took.json", seconds)
        yield News(job.name, 1.0)
    except Interrupted:
        raise
    except PixelwiseError as error:
        yield News(job.name, 1.0, str(error))
    except Exception as error:  # one fault must not cost the other runs; where it came from is kept
        runs.mkdir(parents=True, exist_ok=True)
        (runs / f"{job.name}.fault.txt").write_text(traceback.format_exc(), encoding="utf-8")
        yield News(job.name, 1.0, f"a fault in pixelwise ({type(error).__name__}: {error}); see {job.name}.fault.txt")


def _in_processes(jobs: Sequence[Job], runs: Path, stopping: Stopping, count: int, threads: int) -> Iterator[News]:
    """The jobs in processes of their own, each with its share of the cores."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with torch's threads can hang
    waiting, news, stop = context.Queue(), context.Queue(), context.Event()
    for job in jobs:
        waiting.put(job)
    for _ in range(count):
        waiting.put(None)
    given = (waiting, news, stop, runs, threads, count, os.getpid())
    workers = [context.Process(target=_work, args=given, daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    told: set[str] = set()  # jobs that came to an end, good or bad
    try:
        for item in _heard(workers, news, stop, stopping):
            told |= {item.name} if item.share == 1 else set()
            yield item
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    if stopping():
        raise Interrupted("stopped; all of it is kept: the same command goes on from there")
    ended = ", ".join(str(worker.exitcode) for worker in workers if worker.exitcode)
    for job in missing(jobs, runs):
        if job.name not in told:
            yield News(job.name, 1.0, f"its process ended with {ended}, perhaps for want of memory; try fewer --jobs")


def _heard(workers: Sequence[BaseProcess], news: Any, stop: Any, stopping: Stopping) -> Iterator[News]:  # noqa: ANN401
    """What the processes tell, until they have ended and all is heard."""
    while True:
        alive = any(worker.is_alive() for worker in workers)
        try:
            yield news.get(timeout=WAIT)
        except queue.Empty:
            if not alive:
                return
        if stopping():
            stop.set()


def _work(
    waiting: Any,  # noqa: ANN401 - queues and events of a multiprocessing context have no public types
    news: Any,  # noqa: ANN401
    stop: Any,  # noqa: ANN401
    runs: Path,
    threads: int,
    at_once: int,
    parent: int,
) -> None:
    """A process: take jobs until there are none, or a stop is asked for, or whoever started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent passes it on

    def stopping() -> bool:
        return stop.is_set() or os.getppid() != parent

    while (job := waiting.get()) is not None:
        torch.set_num_threads(threads)  # only now, since what a job brings along when it is read may set it too
        try:
            for item in _followed(job, runs, stopping, at_once):
                news.put(item)
        except Interrupted:
            pass
        if stopping():
            news.cancel_join_thread()  # nobody may be there to hear the rest
            return


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads of torch's, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _only_one(folder: Path, stopping: Stopping) -> Iterator[None]:
    """Wait until no other process works in a folder: one whose parent was killed may be about to keep its last step."""
    try:
        import fcntl
    except ImportError:  # Windows, where a folder cannot be locked so
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        while not _locked(fcntl, handle):
            if stopping():
                raise Interrupted("stopped while another process worked in the same folder")
            time.sleep(WAIT)
        yield
    finally:
        os.close(handle)  # which gives the lock up, as the end of a process does


def _locked(fcntl: Any, handle: int) -> bool:  # noqa: ANN401 - a module
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
