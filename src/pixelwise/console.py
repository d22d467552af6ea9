"""What people see in a terminal: progress with rate and time left on stderr, results on stdout."""

import itertools
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.progress import MofNCompleteColumn, TextColumn
from rich.table import Table as RichTable
from rich.text import Text

from .accounting.costs import Costs
from .classes.palette import AnyPalette
from .data.findings import Report
from .evaluate.colour import ColourEvaluation
from .evaluate.segment import SegmentEvaluation
from .experiments.experiment import Experiment
from .experiments.job import Job
from .experiments.protocol import Protocol
from .experiments.runner import News, expected_seconds, missing
from .report.cost_text import (
    cost_table,
    formula_values,
    has_formula_table,
    heading,
    remarks,
    slips_table,
    totals_table,
)
from .report.step_text import step_formulas, step_heading, step_layers, step_remarks, step_table
from .report.tables import Table, segment_values_of, values_of
from .terminal import json_text as json_text
from .terminal import print_json as print_json
from .terminal import progress_bar, stdout
from .terminal import waiting as waiting
from .terminal import watched as watched
from .train import EpochRow, StepRow
from .workflow.filling import FillRow, NoteRow, Row

RUNS_REMEMBERED = 600.0  # seconds by which the time left of a study is judged: its trainings are of many kinds


def print_values(title: str, values: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line."""
    table = RichTable(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False
    )
    for name, value in values:
        table.add_row(Text(name), Text(value))
    stdout.print(table)


def print_table(title: str, table: Table) -> None:
    """A comparison, numbers to the right."""
    shown = RichTable(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
    )
    for index, name in enumerate(table.headings):
        shown.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    stdout.print(shown)


def show_palette(palette: AnyPalette, as_json: bool, file: Path | None = None) -> None:
    """A palette's colours as swatches with their names, or as JSON."""
    if as_json:
        where = {"file": str(file)} if file else {}
        colours = {
            "name": palette.name,
            "space": palette.space,
            "num_colours": len(palette),
            "colours": list(palette.display_colours),
        }
        print_json({**where, **colours, "sha256": palette.sha256})
        return
    stdout.print(Text(f"{palette.name}, {len(palette)} colours", style="bold"))
    for index, colour in enumerate(palette.display_colours):
        stdout.print(Text(f"{index:4} "), Text("        ", style=f"on {colour}"), Text(colour))
    if file:
        stdout.print(Text(f"kept in {file}"))


def print_report(report: Report) -> None:
    """What the doctor found: the pictures and classes there are, then every fault with its remedy."""
    stdout.print(Text(f"{report.pictures:,} pictures", style="bold"))
    for count in report.classes:
        stdout.print(Text(f"  {count.name}: {count.share:.1%} of the labelled pixels"))
    for finding in report.findings:
        stdout.print(Text(f"{finding.level}: {finding.what}", style="bold"))
        shown = ", ".join(finding.files[:5]) + (f" and {len(finding.files) - 5} more" if len(finding.files) > 5 else "")
        if shown:
            stdout.print(Text(f"  {shown}"))
        stdout.print(Text(f"  {finding.remedy}"))
    stdout.print(Text("ready to train on" if report.ok else "not ready: mend the errors first"))


def download_bar(progress_of_bytes: Iterable[tuple[int, int]], what: str) -> None:
    """Runs a download to its end under a progress bar in megabytes."""
    with progress_bar(TextColumn("{task.percentage:>3.0f} %")) as progress:
        task = progress.add_task(what, total=None)
        for got, total in progress_of_bytes:
            progress.update(task, completed=got, total=total or None)


def _show_steps(rows: Iterable[StepRow | EpochRow], name: str, epochs: int) -> list[EpochRow]:
    done: list[EpochRow] = []
    with progress_bar(MofNCompleteColumn(), TextColumn("{task.fields[rate]}")) as progress:
        task = progress.add_task(name, total=None, rate="")
        for row in rows:
            if isinstance(row, EpochRow):
                done.append(row)
                progress.console.print(_line(row, epochs))
            else:
                at = (row.epoch - 1) * row.steps + row.step
                speed = progress.tasks[task].speed
                rate = f"{speed * row.pictures:,.0f} pictures/s" if speed else ""
                progress.update(task, completed=at, total=epochs * row.steps, rate=rate)
    return done


def show_training(rows: Iterable[Row], name: str, epochs: int) -> list[EpochRow]:
    """Runs a training to its end: a bar over all steps with rate and time left, and a line for each epoch.

    Before them come its notes, and a bar while features are computed, if it has any.
    """
    remaining = iter(rows)
    first: list[Row] = []
    with progress_bar(MofNCompleteColumn()) as progress:
        task = None
        for row in remaining:
            if isinstance(row, NoteRow):
                progress.console.print(row.text)
            elif isinstance(row, FillRow):
                task = progress.add_task("features", total=row.total) if task is None else task
                progress.update(task, completed=row.done)
            else:
                first.append(row)
                break
    steps = (row for row in itertools.chain(first, remaining) if isinstance(row, StepRow | EpochRow))
    return _show_steps(steps, name, epochs)


def show_missing(questions: Sequence[Experiment], protocol: Protocol, at_once: int, as_json: bool) -> None:
    """What a study would run, question by question, and about how long that takes."""
    asked = {job.name: (question.name, job) for question in questions for job in question.jobs(protocol)}
    open_jobs = missing([job for _, job in asked.values()], protocol.runs)
    seconds = {job.name: job.expected_seconds for job in open_jobs}
    whole = round(expected_seconds(sum(seconds.values()), at_once))
    if as_json:
        runs = [{"experiment": asked[name][0], "run": name, "seconds": round(s)} for name, s in seconds.items()]
        print_json({"runs": runs, "seconds": whole, "at_once": at_once})
        return
    lines = [[name, asked[name][0], f"{s:.0f}"] for name, s in seconds.items()]
    print_table(f"{len(lines)} of {len(asked)} runs are missing", Table(["run", "for", "seconds"], lines))
    stdout.print(Text(f"about {max(1, round(whole / 60))} minutes on two cores, {at_once} at once"))


def show_runs(news: Iterable[News], jobs: Sequence[Job]) -> dict[str, str]:
    """Runs a study's jobs to their end under one bar over all, with a line for each that ends.

    Returns:
        Why some failed, by their names.
    """
    expected = {job.name: job.expected_seconds for job in jobs}
    shares = dict.fromkeys(expected, 0.0)
    failures: dict[str, str] = {}
    with progress_bar(TextColumn("{task.percentage:>3.0f} %"), remembered=RUNS_REMEMBERED) as progress:
        task = progress.add_task("", total=sum(expected.values()) or 1)
        for item in news:
            shares[item.name] = item.share
            done = [*shares.values()].count(1.0)
            if item.failure:
                failures[item.name] = item.failure
            if item.share == 1:
                words = f"failed: {item.failure}" if item.failure else "done"
                progress.console.print(Text(f"run {done:{len(str(len(jobs)))}}/{len(jobs)}  {item.name}: {words}"))
            gone = sum(expected[name] * share for name, share in shares.items())
            progress.update(task, completed=gone, description=f"{done} of {len(jobs)} runs")
    return failures


def print_costs(costs: Costs, doubled: bool, formulas: bool) -> None:
    """What a network costs: in all, layer by layer, and a training step."""
    account, step = costs.account, costs.step
    print_table(heading(account), cost_table(account))
    if formulas and has_formula_table(account):
        print_table("\nThe same as formulas", cost_table(account, formulas=True))
    print_table("\nIn all", totals_table(account, doubled=doubled))
    print_values("", formula_values(account, doubled=doubled))
    if account.slips:
        print_table("\nCommon mistakes", slips_table(account))
    print_values("", remarks(account, doubled=doubled))
    if step is not None:
        for real in costs.real or (None,):
            print_table(f"\n{step_heading(step)}", step_table(step, real))
            if real:
                stdout.print(Text(f"measured on {real.device}"))
        print_values("", [*step_formulas(step), *step_remarks(step)])
        print_table("\nWhere it is", step_layers(step))


def print_evaluation(result: ColourEvaluation | SegmentEvaluation) -> None:
    """An evaluation, value by value."""
    values = segment_values_of(result) if isinstance(result, SegmentEvaluation) else values_of(result)
    print_values(f"{result.model} on the {result.split} pictures of {result.data}", values)


def _line(row: EpochRow, epochs: int) -> str:
    wide = len(str(epochs))
    line = f"epoch {row.epoch:{wide}}/{epochs}  training {row.train_loss:.4f} nats {row.train_accuracy:6.2%}"
    if row.validation_loss is not None and row.validation_accuracy is not None:
        line += f"  validation {row.validation_loss:.4f} nats {row.validation_accuracy:6.2%}"
    return f"{line}  {row.seconds:.1f} s"


class Stopper:
    """Says whether the user asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self.asked


@contextmanager
def stop_on_request() -> Iterator[Stopper]:
    """The first Ctrl-C (or SIGTERM) asks for a stop after the current step; a second one stops at once."""
    stopper = Stopper()

    def ask(number: int, frame: FrameType | None) -> None:
        if stopper.asked:
            signal.default_int_handler(number, frame)
        stopper.asked = True
        os.write(2, b"\nstopping after this step; once more to stop at once\n")  # rich may be in the middle of a line

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
