"""`pixelwise experiment`, `reproduce` and `report`: questions run, answered, and written up."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import BadRun
from .app import app
from .options import Json

if TYPE_CHECKING:
    from ..experiments.experiment import Experiment, Part
    from ..experiments.protocol import Protocol


class PartName(StrEnum):
    """The parts of the classic study."""

    A = "a"
    B = "b"
    C = "c"
    ALL = "all"


Out = Annotated[Path, typer.Option("--out", help="The study's folder; what is done there is not done again.")]
Root = Annotated[
    Path | None, typer.Option("--root", help="Folder that holds CIFAR-10 and the flowers; otherwise the cache.")
]
Quick = Annotated[bool, typer.Option("--quick", help="A trial in minutes: one seed, two epochs; numbers say little.")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="Runs of each setting. [3, or 1 with --quick]")]
Batches = Annotated[str | None, typer.Option("--batches", help="Batch sizes to compare. [10,50,100,200]")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Runs at once, sharing the cores. [a core each, up to 4]")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the runs and how long they take; run nothing.")]


@app.command("experiment")
def experiment(
    name: Annotated[str, typer.Argument(help="plain, affine, skips, palettes, batches, deeplab, labelled or memory.")],
    out: Out = Path("study"),
    root: Root = None,
    quick: Quick = False,
    seeds: Seeds = None,
    batches: Batches = None,
    jobs: Jobs = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Run what is missing of one question's grid of settings and seeds, and show what it says."""
    from .. import console
    from ..experiments.table import experiment as asked
    from ..study.tables import table_of

    question, protocol = asked(name), _protocol(out, root, quick, seeds, batches)
    if dry_run:
        console.show_missing([question], protocol, _at_once(jobs), json)
        return
    failures = _run([question], protocol, jobs)
    table = table_of(question, protocol, narrow=not json)
    if json:
        console.print_json({"experiment": name, "table": table.to_mapping(), "failed": failures})
    else:
        console.print_table(question.question, table)
    _refuse(failures)


@app.command("reproduce")
def reproduce(
    out: Out,
    part: Annotated[
        PartName, typer.Option(help="Colourization, skip connections, fine-tuning, or all.")
    ] = PartName.ALL,
    root: Root = None,
    quick: Quick = False,
    seeds: Seeds = None,
    batches: Batches = None,
    jobs: Jobs = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make the classic study: run what is missing, and write every answer up as PDF and as a page.

    The full study takes about 90 minutes on two cores. It can be stopped, or killed, and goes on with the same command.
    """
    from .. import console
    from ..study.write_up import PARTS, questions_of, write_up

    parts: Sequence[Part] = [one for one in PARTS if part in (one, PartName.ALL)]
    protocol = _protocol(out, root, quick, seeds, batches)
    if dry_run:
        console.show_missing(questions_of(parts), protocol, _at_once(jobs), json)
        return
    failures = _run(questions_of(parts), protocol, jobs)
    with console.waiting("writing it up"):
        written = write_up(protocol, parts)
    if json:
        console.print_json({**written.to_mapping(), "failed": failures})
    else:
        console.print_values("answers", [(name, text) for name, text in written.answers])
        typer.echo(f"\nThe study: {written.pdf.resolve()} and {written.html.resolve()}")
    _refuse(failures)


def _protocol(out: Path, root: Path | None, quick: bool, seeds: int | None, batches: str | None) -> "Protocol":
    from ..experiments import protocol as protocols

    asked = (protocols.quick if quick else protocols.full)(out, root, seeds)
    return asked if batches is None else asked.with_batches(batches)


def _at_once(jobs: int | None) -> int:
    from ..experiments.runner import cores

    return jobs or min(4, cores())


def _run(questions: "Sequence[Experiment]", protocol: "Protocol", jobs: int | None) -> dict[str, str]:
    """Run what is missing; why some failed, by their names."""
    from .. import console
    from ..experiments.runner import missing, run_jobs

    with console.stop_on_request() as stopping:
        wanted = missing([job for question in questions for job in question.jobs(protocol)], protocol.runs)
        if not wanted:
            return {}
        news = run_jobs(wanted, protocol.runs, stopping, _at_once(jobs))
        return console.show_runs(news, wanted)


def _refuse(failures: dict[str, str]) -> None:
    if failures:
        name, reason = next(iter(failures.items()))
        raise BadRun(f"{len(failures)} of the runs failed, the first of them {name}: {reason}")


@app.command("report")
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of finished runs.")],
    out: Annotated[Path, typer.Option("--out", help="A name that ends in .pdf or .html.")],
    json: Json = False,
) -> None:
    """Write runs up side by side: settings, curves, evaluations and pictures."""
    from .. import console
    from ..study.of_runs import report_runs

    report_runs(runs, out)
    if json:
        console.print_json({"report": str(out), "runs": [str(run) for run in runs]})
    else:
        typer.echo(f"The report: {out.resolve()}")
