import json
import os
import stat
from pathlib import Path

import pytest

from pixelwise.files import replacing, write_json, write_text


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_only_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "folder" / "a.txt"
    with replacing(target) as beside:
        beside.write_text("whole")
        assert not target.exists()
        assert beside.parent == target.parent and beside.suffix == ".txt"
    assert target.read_text() == "whole"
    assert names_in(target.parent) == ["a.txt"]


def test_an_error_inside_the_block_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="power cut"), replacing(target) as beside:
        beside.write_text("half")
        raise RuntimeError("power cut")
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_an_error_inside_the_block_makes_no_file_where_there_was_none(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt"):
        raise KeyboardInterrupt
    assert names_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_written_file_can_be_read_by_those_that_the_umask_allows(tmp_path):
    old = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "é")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644
    assert (tmp_path / "a.txt").read_bytes() == "é".encode()


def test_json_is_written_whole_and_ends_with_a_newline(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, 2.5, None]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"b": [1, 2.5, None]}
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_is_not_a_number_and_leaves_the_old_file(tmp_path, value):
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(target, {"loss": [value]})
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["a.json"]
