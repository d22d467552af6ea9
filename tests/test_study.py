"""Answers follow from numbers by rules: told otherwise where they come out otherwise, and missing where runs are."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pixelwise.cli import app
from pixelwise.experiments import affine, batches, deeplab, labelled, memory, palettes, plain, skips
from pixelwise.experiments.protocol import Protocol, quick
from pixelwise.experiments.runner import run_jobs
from pixelwise.experiments.table import EXPERIMENTS
from pixelwise.files import write_json
from pixelwise.report.document import FigureBlock, TableBlock, Verdict
from pixelwise.runs import Run
from pixelwise.study.results import Finished, Outcome, Results
from pixelwise.study.skips import _most_needed
from pixelwise.study.tables import COLOUR, outcome_table, table_of
from pixelwise.study.words import judged, judged_loss, judged_share, mean_of
from pixelwise.study.write_up import document_of, questions_of, write_up
from test_experiments import root  # noqa: F401 - a fixture: a little CIFAR-10 and some flowers

PARTS = ("a", "b", "c")


def outcome(label: str, *values: float, wanted: int = 3, certain: bool = False) -> Outcome:
    """A setting whose runs have these accuracies."""

    class Told(Finished):
        evaluation = None  # type: ignore[assignment]

    runs = []
    for value in values:
        run = Told(Run(Path(label)))
        object.__setattr__(run, "evaluation", {"accuracy": value, "cross_entropy": 1 - value})
        runs.append(run)
    return Outcome(label, runs, wanted, certain)


HIGH, LOW = outcome("unet", 0.48, 0.49, 0.485), outcome("cnn", 0.41, 0.412, 0.409)


def test_sentences_follow_the_numbers():
    better = judged_share(HIGH, LOW, "accuracy", "accuracy")
    assert better.startswith("In accuracy `unet` is better than `cnn`: 48.5 ± 0.5 % (n 3) against 41.0 ± 0.2 % (n 3), ")
    assert re.search(r"difference \+7\.5 \(\+6\.\d to \+8\.\d\) points\.$", better)
    assert "`cnn` is worse than `unet`" in judged_share(LOW, HIGH, "accuracy", "accuracy")
    assert "`unet` is better than `cnn`" in judged_loss(HIGH, LOW, "cross_entropy", "loss")
    assert "is not clearly different from" in judged(
        outcome("a", 0.2, 0.6, 0.5), outcome("b", 0.4, 0.3), "accuracy", "it"
    )


def test_sentences_say_how_many_runs_there_are_and_what_is_missing():
    assert judged(outcome("a"), LOW, "accuracy", "accuracy") == (
        "Accuracy: not answered, since the runs of `a` are missing."
    )
    one = judged(outcome("a", 0.9), LOW, "accuracy", "accuracy")
    assert "was run too few times to be told from" in one and "(n 1 of 3)" in one
    assert mean_of(outcome("a", 0.5), "accuracy", 1, 100.0, " %") == "50.0 % (n 1 of 3)"
    assert mean_of(outcome("a"), "accuracy") == "missing"


def test_what_has_no_chance_in_it_is_one_number_and_not_a_sample():
    lookup = outcome("lookup", 0.62, wanted=1, certain=True)
    assert "is worse than `lookup`" in judged(LOW, lookup, "accuracy", "accuracy")
    once = outcome("once", 0.62, wanted=1)
    assert "too few times" in judged(LOW, once, "accuracy", "accuracy")


def test_the_connection_that_is_needed_most_is_found_by_the_numbers():
    lost = outcome("without half", 0.41, 0.412, 0.411)
    same = outcome("without whole", 0.482, 0.491, 0.486)
    told = _most_needed(HIGH, {"half": lost, "whole": same})
    assert told.startswith("The connection that is needed most is the one at half size (−7.4 points); without whole")
    assert _most_needed(HIGH, {"half": same}).startswith("None of them alone is clearly needed")


def test_a_table_says_what_is_missing():
    table = outcome_table({"unet": HIGH, "other": outcome("other")}, COLOUR[:2], "network")
    assert table.rows == [["unet", "3", "48.5 ± 0.5", "0.515 ± 0.005"], ["other", "0", "missing", "missing"]]


# --- a study of little pictures ---


@pytest.fixture(scope="module")
def studied(root, tmp_path_factory) -> Protocol:  # noqa: F811
    """All of part A and B, and the last layer from a few flowers; nothing of memory, more layers, or chroma."""
    protocol = replace(quick(tmp_path_factory.mktemp("study"), root), labelled=(0, 1), deep=())
    wanted = [plain, affine, skips, batches]
    jobs = [job for question in wanted for job in question.EXPERIMENT.jobs(protocol)]
    jobs += labelled.EXPERIMENT.jobs(protocol)
    news = list(run_jobs(jobs, protocol.runs, lambda: False))
    assert [item.failure for item in news if item.failure] == []
    return protocol


@pytest.fixture(scope="module")
def written(studied):
    return write_up(studied, PARTS)


def test_every_question_is_answered_or_said_to_be_missing(studied, written):
    page = written.html.read_text()
    for heading in (
        "The plain network",
        "Is it good?",
        "Weights, outputs, connections",
        "What if x becomes a x + b?",
        "The U-Net",
        "Is it better than the plain network?",
        "More weights?",
        "Detail that pooling lost?",
        "Or copying grey?",
        "What does the batch size do?",
        "The last layer alone",
        "Memory and compute: the whole against the last layer",
        "What doubling the picture does",
        "How many labelled pictures, and is the last layer enough?",
        "Do the recorded answers hold?",
        "Protocol",
    ):
        assert f"</span>{heading}</h" in page, heading
    assert set(written.unanswered) == {
        "Or copying grey?",
        "Memory and compute: the whole against the last layer",
        "What doubling the picture does",
    }
    assert "pixelwise experiment palettes" in page and "pixelwise experiment memory" in page
    answered = {name for name, _ in written.answers}
    assert {"Is it good?", "What if x becomes a x + b?", "More weights?", "At the same number of epochs"} <= answered


def test_numbers_in_the_page_are_those_of_the_runs(studied, written):
    evaluation = Run(studied.runs / "cnn,epochs=2,seed=0").evaluation()
    page = written.html.read_text()
    accuracy, loss = f"{100 * evaluation['accuracy']:.1f}", f"{evaluation['cross_entropy']:.3f}"
    assert re.search(rf"<td[^>]*>{accuracy}</td>\s*<td[^>]*>{loss}</td>", page)
    assert "quick trial, whose numbers say little" in page


def test_the_page_needs_nothing_from_elsewhere_and_has_its_mathematics(written):
    page = written.html.read_text()
    assert "<script" not in page and not re.search(r'(src|href)="(?!data:|#|https://)', page)
    assert page.count("<math") > 40 and "72" in page
    assert re.search(r"<img [^>]*alt=\"[^\"]+\"", page) and 'alt=""' not in page


def test_the_pdf_is_whole_and_the_same_each_time(studied, written):
    first = written.pdf.read_bytes()
    assert first.startswith(b"%PDF-") and first.rstrip().endswith(b"%%EOF")
    assert write_up(studied, PARTS).pdf.read_bytes() == first


def test_every_table_and_figure_is_a_file_of_its_own(studied, written):
    blocks = list(document_of(Results(studied), PARTS).blocks())
    tables = sum(isinstance(block, TableBlock) for block in blocks)
    figures = [block for block in blocks if isinstance(block, FigureBlock)]
    drawings = [block for block in figures if not block.pictures]
    expected = {**dict.fromkeys(("txt", "md", "csv", "html"), tables), "png": len(figures), "svg": len(drawings)}
    for kind, count in expected.items():
        folder = "figures" if kind in ("png", "svg") else "tables"
        assert len(list((studied.out / folder).glob(f"*.{kind}"))) == count > 5


def test_a_study_that_comes_out_otherwise_says_otherwise(studied, tmp_path):
    """The same runs with the accuracies of two networks exchanged."""
    import shutil

    other = replace(studied, out=tmp_path / "other")
    shutil.copytree(studied.runs, other.runs)
    shutil.copytree(studied.out / "palettes", other.out / "palettes")
    told = []
    for high, low in (("unet,epochs=2,seed=0", "cnn,epochs=2,seed=0"), ("cnn,epochs=2,seed=0", "unet,epochs=2,seed=0")):
        for name, psnr in ((high, 30.0), (low, 20.0)):
            path = other.runs / name / "evaluation.json"
            write_json(path, {**json.loads(path.read_text()), "psnr": psnr, "psnr_grey": 25.0})
        document = document_of(Results(other), ("a",))
        told.append(" ".join(s for b in document.blocks() if isinstance(b, Verdict) for s in b.sentences))
    assert "By PSNR its pictures are farther from the truth than the grey ones" in told[0]
    assert "By PSNR its pictures are nearer to the truth than the grey ones" in told[1]


def test_tables_of_questions(studied):
    for question in (plain, affine, skips, batches):
        table = table_of(question.EXPERIMENT, studied)
        assert len(table.rows) == len(question.EXPERIMENT.settings(studied))
        assert all("missing" not in row for row in table.rows)
    assert all("missing" in row for row in table_of(palettes.EXPERIMENT, studied).rows if "oklab" in row[0])
    assert table_of(memory.EXPERIMENT, studied).rows == []


# --- the commands ---


def run_command(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_dry_run_lists_what_is_missing_and_runs_nothing(root, tmp_path):  # noqa: F811
    given = ("--quick", "--root", root, "--out", tmp_path / "out", "--dry-run", "--json")
    found = json.loads(run_command("reproduce", "--part", "a", *given).stdout)
    assert {run["experiment"] for run in found["runs"]} == {"plain", "affine"}
    assert [run["run"] for run in found["runs"]][:2] == ["lookup,seed=0", "cnn,epochs=2,seed=0"]
    assert found["seconds"] > 0 and not (tmp_path / "out" / "runs").exists()
    shown = run_command("experiment", "plain", *given[:-1])
    assert "2 of 2 runs are missing" in shown.stdout and "minutes on two cores" in shown.stdout


def test_an_experiment_shows_its_table_and_is_not_run_again(studied):
    given = ("--quick", "--root", studied.root, "--out", studied.out, "--jobs", "1")
    found = json.loads(run_command("experiment", "plain", *given, "--json").stdout)
    assert (found["experiment"], found["failed"]) == ("plain", {})
    assert [row["network"] for row in found["table"]] == ["lookup", "cnn"]
    assert "cnn" in run_command("experiment", "plain", *given).stdout


def test_reproduce_gives_its_answers_as_json(studied):
    given = ("--quick", "--root", studied.root, "--out", studied.out, "--jobs", "1", "--part", "a")
    found = json.loads(run_command("reproduce", *given, "--json").stdout)
    assert Path(found["pdf"]).is_file() and Path(found["html"]).is_file()
    assert found["failed"] == {} and found["unanswered"] == []
    assert "Is it good?" in {answer["section"] for answer in found["answers"]}


def test_a_run_that_fails_is_told_and_the_rest_is_written_up(root, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    (out / "runs" / "cnn,epochs=2,seed=0").mkdir(parents=True)
    (out / "runs" / "cnn,epochs=2,seed=0" / "mine.txt").write_text("not a run")
    result = run_command("experiment", "plain", "--quick", "--root", root, "--out", out, "--jobs", "1")
    assert isinstance(result.exception, Exception) and "1 of the runs failed" in str(result.exception)
    assert "holds other files" in str(result.exception)
    assert re.search(r"lookup +1 +0 +\S+", result.stdout) and re.search(r"cnn +0 +missing", result.stdout)


def test_parts_have_their_questions():
    assert {e.name for e in questions_of(["a"])} == {"plain", "affine"}
    assert {e.name for e in questions_of(["c"])} == {"deeplab", "labelled", "memory"}
    assert {e.name for e in questions_of(PARTS)} == set(EXPERIMENTS)
    assert deeplab.EXPERIMENT.part == "c"


def test_runs_are_reported_side_by_side(studied, tmp_path):
    runs = [studied.runs / name for name in ("cnn,epochs=2,seed=0", "unet,epochs=2,seed=0")]
    found = json.loads(run_command("report", *runs, "--out", tmp_path / "r.html", "--json").stdout)
    page = Path(found["report"]).read_text()
    for run in runs:
        assert f"{Run(run).evaluation()['accuracy']:.4f}" in page
    assert run_command("report", runs[0], "--out", tmp_path / "r.pdf").exit_code == 0
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("runs", "out", "message"),
    [
        (["nowhere"], "r.pdf", "no run in"),
        (["nowhere"], "r.docx", "expected a name that ends in .pdf or .html"),
    ],
)
def test_reports_of_what_is_not_there_are_refused(tmp_path, runs, out, message):
    result = run_command("report", *(tmp_path / run for run in runs), "--out", tmp_path / out)
    assert message in str(result.exception)
    assert not (tmp_path / out).exists()
