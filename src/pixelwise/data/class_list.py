"""The list of classes that lies beside masks: `classes.json`, or `classes.txt` with one class a line.

{"classes": ["background", "flower"], "colours": ["#000000", "#ff0000"], "values": [0, 128], "void": [255, "#ffffff"]}

All but `classes` may be left out. `values` are the classes' numbers in the masks (0, 1, 2 … without them), `colours`
their colours in colour masks, which are shown too, and `void` the numbers and colours that mean "not labelled" (255
without it). A line of `classes.txt` may end with the class's colour: `flower #ff0000`.
"""

import json
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..classes.labels import VOID, Labels
from ..errors import BadData, BadSetting
from .masks import MaskCode

JSON_FILE = "classes.json"
TEXT_FILE = "classes.txt"
KEYS = ("classes", "colours", "values", "void")
MOST_BYTES = 1_000_000
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
LINE = re.compile(r"(?P<name>.*?)(?:\s+(?P<colour>#[0-9a-fA-F]{6}))?")


def read_class_list(folder: Path) -> MaskCode | None:
    """What the folder's class list says; None if there is none.

    Raises:
        BadData: there are two lists, or the one there is cannot be read or contradicts itself.
    """
    found = [folder / name for name in (JSON_FILE, TEXT_FILE) if (folder / name).exists()]
    if len(found) > 1:
        raise BadData(f"{folder} has both {JSON_FILE} and {TEXT_FILE}; keep one of them")
    if not found:
        return None
    path = found[0]
    given = _from_json(path) if path.name == JSON_FILE else _from_text(path)
    return _code(path, given)


def _from_json(path: Path) -> dict[str, Any]:
    try:
        given = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise BadData(f'{path} is not JSON ({error}); expected {{"classes": ["ground", "flower"]}}') from None
    if not isinstance(given, dict) or "classes" not in given:
        raise BadData(f'{path} has no list of classes; expected {{"classes": ["ground", "flower"]}}')
    unknown = sorted(set(given) - set(KEYS))
    if unknown:
        raise BadData(f"{path} has {', '.join(unknown)}; known: {', '.join(KEYS)}")
    return given


def _from_text(path: Path) -> dict[str, Any]:
    lines = [LINE.fullmatch(line.strip()) for line in _text(path).splitlines() if line.strip()]
    parts = [(line["name"], line["colour"]) for line in lines if line]
    colours = [colour for _, colour in parts if colour]
    if colours and len(colours) < len(parts):
        raise BadData(f"{path} gives {len(colours)} of {len(parts)} classes a colour; expected all or none")
    return {"classes": [name for name, _ in parts], **({"colours": colours} if colours else {})}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise BadData(f"{path} has more than {MOST_BYTES:,} bytes; expected a list of at most 255 classes")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path} cannot be read ({error}); expected a text file in UTF-8") from None


def _code(path: Path, given: dict[str, Any]) -> MaskCode:
    names, colours = _strings(path, given, "classes"), _strings(path, given, "colours")
    try:
        labels = Labels(tuple(names), tuple(colours))
    except BadSetting as error:
        raise BadData(f"{path}: {error}") from None
    values = given.get("values", list(range(len(names))))
    if not _numbers(values) or len(values) != len(names):
        raise BadData(
            f"{path}: values {reprlib.repr(values)}; expected a number from 0 to 255 for each of {len(names)} classes"
        )
    void = given.get("void", VOID)
    marks = void if isinstance(void, list) else [void]
    if not all(_numbers([mark]) or (isinstance(mark, str) and COLOUR.fullmatch(mark)) for mark in marks):
        raise BadData(f"{path}: void {reprlib.repr(void)}; expected numbers from 0 to 255 and colours such as #ffffff")
    void_colours = [mark for mark in marks if isinstance(mark, str)]
    void_numbers = [mark for mark in marks if not isinstance(mark, str)]
    if not void_numbers and void_colours and VOID not in values:
        void_numbers = [VOID]
    if "void" not in given:
        void_numbers = [VOID] if VOID not in values else []
    shown = list(labels.colours) if colours else []
    return MaskCode(
        labels,
        dict(_apart(path, [*values, *void_numbers], len(names))),
        dict(_apart(path, [int(c[1:], 16) for c in [*shown, *void_colours]], len(names))) if shown else {},
        settled="values" in given or "void" in given or len(names) != 2,
    )


def _apart(path: Path, marks: Sequence[int], k: int) -> list[tuple[int, int]]:
    """Each mark with its class, VOID after the first k; two alike would leave the class open."""
    if len(set(marks)) < len(marks):
        raise BadData(f"{path}: two classes, or a class and void, have one number or colour; give each its own")
    return [(mark, index if index < k else VOID) for index, mark in enumerate(marks)]


def _strings(path: Path, given: dict[str, Any], key: str) -> list[str]:
    found = given.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise BadData(f"{path}: {key} {reprlib.repr(found)}; expected a list of texts")
    return found


def _numbers(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= 255 for value in values)
