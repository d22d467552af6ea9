"""Five tools that count what a network costs, and pixelwise.account, on the same networks, beside the truth.

    python -m venv tools && . tools/bin/activate
    pip install -e . torchinfo fvcore ptflops calflops transformers
    python benchmarks/accounting.py --out docs/results

The tools are torchinfo, fvcore, ptflops, calflops (which imports transformers, but does not ask for it) and torch's own
FlopCounterMode. They are no dependencies of pixelwise and best get a virtual environment of their own; one that is
missing stands as "not installed". Needs no weights and no data: costs do not depend on values. Writes accounting.md and
accounting.csv. Each tool is asked about each network in a process of its own, since some replace functions of torch and
do not put them back when they fail; seconds and memory are measured in fresh processes. --times 0 leaves these out.

The truth stands in accounting_cases.py, by hand, and accounting_networks.py, by two routes; each difference is compared
with what its causes amount to, and one that they do not explain is named on the page.
"""

import argparse
import csv
import io
import json
import logging
import multiprocessing
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from accounting_cases import CASES
from accounting_networks import NETWORKS, expected, make, size_of, slow_route, truth_of
from accounting_page import page
from accounting_tools import WAYS, Said, own_answer
from pixelwise.environment import environment
from pixelwise.files import write_text

TIMED = "deeplabv3_resnet101"
NO_TOOL = "the network's own answer"
ASKS_MORE = ("fvcore",)  # not timed, since here it is asked for outputs besides
QUANTITIES = ("parameters", "products", "outputs")

Row = dict[str, Any]  # one line of the CSV file by column


def asked(network: torch.nn.Module, size: Sequence[int], way: str) -> Said | str:
    """What a tool says, or why it says nothing."""
    if WAYS[way].version is None:
        return "not installed"
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    picture = torch.rand(1, *size)
    try:
        return WAYS[way].ask(network.eval(), picture)
    except Exception as error:  # that a tool may raise anything is among the things measured
        return f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0]}"


def rows_of(job: tuple[str, str]) -> list[Row]:
    """What one way of asking says of one network, beside the truth.

    Args:
        job: the network's name and the way's.
    """
    name, way = job
    torch.set_num_threads(1)
    if name in CASES:
        case = CASES[name]
        network, size, truth = case.make(), case.size, asdict(case)
        held = sum(parameter.numel() for parameter in network.parameters())
        assert held == case.parameters, f"{name} has {held} parameters, {case.parameters} by hand"
    else:
        network, size = make(name), size_of(name)
        counted = slow_route(make(name).eval().to("meta"), torch.empty(1, *size, device="meta"))
        truth = truth_of(name, counted)
    said = asked(network, size, way)
    common = {"network": name, "way": way, "version": WAYS[way].version}
    if isinstance(said, str):
        causes, off = CASES[name].expected(way, "products") if name in CASES else ("", 0)
        causes = "" if off is not None or WAYS[way].version is None else causes
        return [common | {"quantity": "products", "truth": truth["products"], "causes": causes, "error": said}]
    rows = []
    for what in QUANTITIES:
        value: int | None = getattr(said, what)
        if value is None:
            continue
        causes, off = CASES[name].expected(way, what) if name in CASES else expected(way, what, counted)
        raw = {"said": said.operations, "unit": said.unit} if what == "products" else {"said": value, "unit": 1}
        off_by = {"compared": value, "truth": truth[what], "difference": value - truth[what], "explained": off}
        letters = "" if value == truth[what] else "".join(sorted(causes))
        rows.append(common | {"quantity": what, **raw, **off_by, "causes": letters, "left_out": said.left_out})
    if said.every_output is not None and name in NETWORKS:
        value, right = said.every_output, truth["every output"]
        off_by = {"compared": value, "truth": right, "difference": value - right, "explained": 0}
        rows.append(
            common | {"quantity": "every output", "said": value, "unit": 1, **off_by, "causes": "", "left_out": ""}
        )
    return rows


def all_rows(names: Sequence[str], ways: Sequence[str]) -> list[Row]:
    """Every network by every way, each in a process of its own."""
    for module in ("torchinfo", "fvcore.nn", "ptflops", "calflops", "pixelwise.accounting.account"):
        with suppress(ImportError):  # imported once, before the processes part; which are missing is said later
            import_module(module)
    jobs = [(name, way) for name in names for way in ways]
    rows = []
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for found in pool.imap(rows_of, jobs, chunksize=1):
            rows += found
            print(*found[0].values(), file=sys.stderr, flush=True)
    return rows


def most_memory() -> float:
    """MiB that this process has held at most."""
    status = Path("/proc/self/status")
    if status.exists():
        held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(held.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def timed_here(way: str) -> Row:
    """Seconds and MiB of one question about the large network, in this process; the tool's own import counts."""
    torch.manual_seed(0)
    network, picture = make(TIMED).eval(), torch.rand(1, 3, 520, 520)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # forget what building it took (Linux)
    before, load, started = most_memory(), os.getloadavg()[0], (time.perf_counter(), time.process_time())
    said = (own_answer if way == NO_TOOL else WAYS[way].ask)(network, picture)
    clock, processor = time.perf_counter() - started[0], time.process_time() - started[1]
    found = {"seconds": clock, "processor seconds": processor, "MiB": most_memory() - before}
    return {name: round(value, 3) for name, value in found.items()} | {"compared": said.products, "load": load}


def timings(times: int) -> list[Row]:
    """Each way several times, in turn, so that what else the machine does meets all of them."""
    rows = []
    for n in range(times):
        for way in (NO_TOOL, *(way for way in WAYS if WAYS[way].version and way not in ASKS_MORE)):
            command = [sys.executable, __file__, "--one", way]
            ran = subprocess.run(command, capture_output=True, text=True)
            print(way, ran.stdout.strip() or ran.stderr.strip().splitlines()[-1], file=sys.stderr, flush=True)
            if ran.returncode == 0:
                found = json.loads(ran.stdout.splitlines()[-1])
                rows.append({"network": TIMED, "way": way, "quantity": "seconds and MiB", "run": n + 1, **found})
    return rows


def csv_of(rows: Sequence[Row], every: Mapping[str, Any]) -> str:
    """Every number as the tools said it, and beside it what it was compared with."""
    written = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(written, [*columns, *every], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **every} for row in rows)
    return written.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--times", type=int, default=3, help="runs of each tool whose seconds and memory are measured")
    parser.add_argument("--one", choices=[NO_TOOL, *WAYS], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(timed_here(given.one)))
        return
    e = {"command": " ".join(["python benchmarks/accounting.py", *sys.argv[1:]]), **environment()}
    rows = all_rows([*CASES, *NETWORKS], list(WAYS))
    times = timings(given.times)
    write_text(given.out / "accounting.md", page(rows, times, e))
    named = {name: e[name] for name in ("processor", "cores", "python", "torch", "pixelwise", "commit", "started")}
    write_text(given.out / "accounting.csv", csv_of([*rows, *times], named))


if __name__ == "__main__":
    main()
