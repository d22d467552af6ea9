"""The doctor's look at masks: whether they fit their pictures, and whether all their values are classes."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from ..classes.labels import VOID
from ..errors import BadPicture, PixelwiseError
from .check_pictures import MEND_UNREADABLE, Divide, Seen, check_copies, check_parts, opened
from .findings import ClassCount, Findings, Report
from .labelled_folder import Parts, check_sizes
from .mask_pairs import Pair
from .masks import MEND_COLOURS, MEND_UNKNOWN, MaskCode, RawMask, guessed_code, numbers_of, read_mask, settled_code
from .split import content_hash

MOST_VALUES = 8  # unknown values that are reported one by one
NUMBERS = re.compile(r"\d[\d,]*")
MEND_BINARY = (
    "nothing if that is right; if 255 means 'not labelled', say so in classes.json: "
    '{"classes": ["ground", …], "void": 255}'
)


@dataclass
class Mask:
    """What is remembered of one mask: its values, and of a colour mask the pixels of each class."""

    seen: Seen
    name: str
    numbers: dict[int, int] = field(default_factory=dict)
    classes: Counter[int] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


def check_pairs(
    root: Path, pairs: Sequence[Pair], listed: MaskCode | None, guess: bool, found: Findings, divide: Divide
) -> Report:
    """Check pictures with their masks, one pair in memory at a time.

    Args:
        root: the folder that names are relative to.
        pairs: pictures and masks.
        listed: what the masks' values mean; None if nobody said so.
        guess: whether that is to be guessed then.
        found: where findings go; those of the folder may be there already.
        divide: who trains and who is tested.
    """
    scanned = [_scanned(root, pair, listed, found) for pair in pairs]
    masks = [mask for mask in scanned if mask is not None]
    code = _code(root, masks, listed, found) if guess or listed is not None else None
    seen = [mask.seen for mask in masks]
    check_copies(seen, found)
    parts = check_parts(seen, found, divide)
    if code is None or not masks:
        return Report(found.all(), len(masks))
    for mask in masks:
        for value, count in mask.numbers.items():
            if value in code.of_number:
                mask.classes[code.of_number[value]] += count
            else:
                mask.unknown[str(value)] += count
    _check_unknown(masks, found)
    _check_each(masks, code, found)
    _check_all(masks, code, parts, found)
    totals = _total(masks)
    labelled = max(1, sum(totals[i] for i in range(len(code.labels))))
    counts = [ClassCount(name, totals[i], totals[i] / labelled) for i, name in enumerate(code.labels.names)]
    return Report(found.all(), len(masks), tuple(counts))


def _scanned(root: Path, pair: Pair, listed: MaskCode | None, found: Findings) -> Mask | None:
    rgb, raw = opened(pair.picture, root, found), _raw(root, pair, found)
    if rgb is None or raw is None:
        return None
    name = pair.mask.relative_to(root).as_posix()
    try:
        check_sizes(pair, rgb, raw)
    except PixelwiseError as error:
        found.add("error", "{n} masks have another size than their pictures", name, "make them anew", str(error))
        return None
    mask = Mask(Seen(pair.name, pair.part, content_hash(rgb), content_hash(raw.values)), name)
    numbers = numbers_of(raw, listed)
    if numbers is None and listed is not None and listed.of_colour:
        ids, unknown = listed.read(raw)
        mask.classes.update(_counts(ids))
        mask.unknown.update(dict(sorted(unknown.items(), key=lambda item: -item[1])[:MOST_VALUES]))
        return mask
    if numbers is None:
        found.add("error", "{n} masks are in colours, of which the meaning is unknown", name, MEND_COLOURS)
        return None
    mask.numbers = _counts(numbers)
    return mask


def _raw(root: Path, pair: Pair, found: Findings) -> RawMask | None:
    name = pair.mask.relative_to(root).as_posix()
    try:
        return read_mask(pair.mask)
    except BadPicture as error:
        found.add("error", "{n} masks cannot be read", name, MEND_UNREADABLE, str(error))
    except PixelwiseError as error:
        said, _, remedy = str(error).removeprefix(str(pair.mask)).strip().partition("; ")
        found.add("error", f"{{n}} masks cannot be used: each {NUMBERS.sub('…', said)}", name, remedy, str(error))
    return None


def _code(root: Path, masks: Sequence[Mask], listed: MaskCode | None, found: Findings) -> MaskCode | None:
    """What values mean, with a note where that was not said."""
    seen = {value: root / mask.name for mask in masks for value in mask.numbers}
    if listed is not None and listed.settled:
        return listed
    try:
        code = guessed_code(seen) if listed is None else settled_code(listed, seen)
    except PixelwiseError as error:
        found.add("error", str(error), None, "export the masks as class numbers, or list their values in classes.json")
        return None
    if 255 in seen and code.of_number.get(255) != VOID:
        names = " and ".join(code.labels.names)
        files = [mask.name for mask in masks if 255 in mask.numbers]
        found.add_all("note", f"{{n}} masks hold 0 and 255, which are read as {names}", files, MEND_BINARY)
    elif listed is None and masks:
        what = f"no class list; the numbers in the masks are read as {', '.join(code.labels.names)}"
        found.add("note", what, None, "name the classes in classes.txt, one a line")
    return code


def _check_unknown(masks: Sequence[Mask], found: Findings) -> None:
    pixels: Counter[str] = Counter()
    files: dict[str, list[str]] = defaultdict(list)
    for mask in masks:
        pixels.update(mask.unknown)
        for value in mask.unknown:
            files[value].append(mask.name)
    for value, count in pixels.most_common(MOST_VALUES):
        what = f"the value {value} is no class and not void: {count:,} pixels in {{n}} masks"
        found.add_all("error", what, files[value], MEND_UNKNOWN)
    if len(pixels) > MOST_VALUES:
        others = sorted({mask.name for mask in masks if mask.unknown})
        what = f"{len(pixels) - MOST_VALUES} or more other values are no class, in some of {{n}} masks"
        found.add_all("error", what, others, "are these masks, and of these classes? " + MEND_UNKNOWN)


def _check_each(masks: Sequence[Mask], code: MaskCode, found: Findings) -> None:
    for mask in masks:
        held = [i for i in range(len(code.labels)) if mask.classes[i]]
        if not held and not mask.unknown:
            found.add("warning", "{n} masks are void everywhere and teach nothing", mask.name, "label or remove them")
        elif len(held) == 1 and len(code.labels) > 1:
            what = f"{{n}} masks hold one class only, {code.labels.names[held[0]]}"
            found.add("note", what, mask.name, "nothing if that is right")


def _check_all(masks: Sequence[Mask], code: MaskCode, parts: Parts | None, found: Findings) -> None:
    everywhere, train = _total(masks), _total([masks[i] for i in parts[0]] if parts else masks)
    for index, name in enumerate(code.labels.names):
        if not everywhere[index]:
            found.add("warning", f"class {name} is in no mask", None, "label some, or take it off the class list")
        elif not train[index]:
            what = f"class {name} is in no mask that is trained on, and cannot be learnt"
            found.add("warning", what, None, "label more pictures with it")


def _total(masks: Sequence[Mask]) -> Counter[int]:
    total: Counter[int] = Counter()
    for mask in masks:
        total.update(mask.classes)
    return total


def _counts(values: Tensor) -> dict[int, int]:
    counts = np.bincount(values.numpy().ravel(), minlength=256)
    return {i: int(counts[i]) for i in np.flatnonzero(counts).tolist()}
