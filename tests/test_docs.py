"""What the README promises is so: its commands exist, its Python runs, its map shows the house."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from pixelwise.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(
    {re.split(r"\s# ", line)[0].strip() for line in README.splitlines() if line.startswith("pixelwise ")}
    | {text.replace("…", "") for text in re.findall(r"`(pixelwise [^`]+)`", README)}
)


def command_of(words):
    """The command that some words name, and the words behind it."""
    command = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_readme_exist_with_their_options(line):
    command, words = command_of(shlex.split(line)[1:])
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert command is not get_command(app)
    assert {word for word in words if word.startswith("--")} <= options | {"--help"}


def test_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert 0 < float(capsys.readouterr().out.split()[-1]) < 1


def test_the_map_of_the_house_shows_every_room():
    (house,) = re.findall(r"```\nsrc/pixelwise/\n(.*?)```", README, re.DOTALL)
    shown = set(re.findall(r"(\w+)(?:\.py|/)", house))
    there = {
        p.stem for p in (ROOT / "src" / "pixelwise").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert there - {"__init__", "__main__"} == shown


def test_links_of_the_documents_lead_somewhere():
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make (\w+) ", README)):
        assert f"\n{target}:" in makefile
