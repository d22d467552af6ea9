"""From the steps of a network to the boxes of a drawing: calls of modules become one box, cheap steps join others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import BadSetting
from .diagram_trace import Node, Record
from .diagram_words import Shape

FEW, MOST = 20, 40  # boxes: what is looked for where no depth is given, and what can be drawn at all
HALVING = 1.4  # a step that changes the number of rows more than this goes to another level
LISTED = 6  # steps of one box that are said one by one


@dataclass
class Box:
    """One stage of a network, from the first of its steps to the last.

    Args:
        name: of the module, or of its first step.
        steps: what it does, in words.
        entering: shape of what comes in; of several, of the largest.
        leaving: shape of what comes out.
        inputs: places of the boxes that it takes from, in order.
        learned: whether it convolves.
        collapsed: whether it is the whole call of a module with others inside.
    """

    name: str
    steps: list[str]
    entering: Shape
    leaving: Shape
    inputs: list[int]
    learned: bool = False
    collapsed: bool = False

    @property
    def joins(self) -> bool:
        """Whether several tensors come together here, in a single step."""
        return len(self.inputs) > 1 and not self.collapsed

    @property
    def resizes(self) -> bool:
        """Whether what comes out has another size than what comes in."""
        before, after = side(self.entering), side(self.leaving)
        return max(before, after) > HALVING * min(before, after)


def boxes_of(record: Record, depth: int | None = None) -> list[Box]:
    """The boxes of a network, the picture first, in the order of computation.

    Args:
        record: its steps.
        depth: calls of modules that lie so deep in each other become one box: 1 for what the network itself calls.
            None: as deep as gives at most 20 boxes, if any depth does.

    Raises:
        BadSetting: the depth is less than 1, or gives more than 40 boxes.
    """
    if depth is not None and depth < 1:
        raise BadSetting(f"depth is {depth}; expected 1 for the modules that the network itself calls, or more")
    deepest = max(len(node.scopes) for node in record.nodes)
    tried = [depth] if depth is not None else range(max(1, deepest), 0, -1)
    for level in tried:
        boxes = _fused(_collapsed(record.nodes, level))
        if len(boxes) <= FEW:
            return boxes
    if len(boxes) > MOST:
        raise BadSetting(f"{len(boxes)} boxes at depth {level}; at most {MOST} can be drawn, give a smaller depth")
    return boxes


def side(shape: Shape) -> int:
    """How many rows a tensor has; 1 if it is no picture."""
    return shape[1] if len(shape) == 3 else 1


def _collapsed(nodes: Sequence[Node], depth: int) -> list[Box]:
    """One box for each call of a module `depth` deep, and for each step that is less deep."""
    groups: dict[object, list[int]] = {}
    for place, node in enumerate(nodes):
        key: object = node.scopes[: depth + 1] if len(node.scopes) > depth else place
        groups.setdefault(key, []).append(place)
    box_of = {place: i for i, places in enumerate(groups.values()) for place in places}
    boxes = []
    for i, places in enumerate(groups.values()):
        members = [nodes[place] for place in places]
        given = [source for node in members for source in node.inputs if box_of[source] != i]
        shapes = [nodes[source].shape for source in given]
        last = members[-1]
        box = Box(
            name=last.scopes[depth][0] if len(last.scopes) > depth else last.name,
            steps=[node.said for node in members],
            entering=max(shapes, key=side) if shapes else last.shape,
            leaving=last.shape,
            inputs=list(dict.fromkeys(box_of[source] for source in given)),
            learned=any(node.said.startswith(("conv", "up-conv", "linear")) for node in members),
            collapsed=len(members) > 1,
        )
        if box.collapsed:
            box.steps = summed_up(box.name, box.steps)
        boxes.append(box)
    return boxes


def summed_up(name: str, steps: list[str]) -> list[str]:
    """Few words for many steps: each of them, how often they repeat, or how many convolutions there are."""
    for length in range(1, len(steps) // 2 + 1):
        times, left = divmod(len(steps), length)
        if not left and steps == steps[:length] * times and length <= LISTED:
            once = [f"{times} × ({steps[0]}", *steps[1:length]]
            return [*once[:-1], f"{once[-1]})"]
    if len(steps) <= LISTED:
        return steps
    convolutions = sum(step.startswith("conv") for step in steps)
    short = ".".join(name.split(".")[-2:]) if name.rpartition(".")[2].isdigit() else name.rpartition(".")[2]
    return [short, f"{convolutions} convolutions" if convolutions != 1 else "1 convolution"]


def _fused(boxes: list[Box]) -> list[Box]:
    """Cheap boxes joined to the one before them if nobody else takes from that, else to the one behind, if that can."""
    members = {i: [i] for i in range(len(boxes))}
    users = {i: [j for j, box in enumerate(boxes) if i in box.inputs] for i in members}
    into = {i: i for i in members}
    for i, box in enumerate(boxes):
        if i and len(box.inputs) == 1 and not box.learned:
            before = into[box.inputs[0]]
            if before and users[box.inputs[0]] == [i] and _can_join(boxes, [*members[before], i]):
                members[before].append(i)
                into[i] = before
                del members[i]
    for first in [*members]:
        group = members[first]
        behind = into[users[group[-1]][0]] if len(users[group[-1]]) == 1 else None
        cheap = first and len(boxes[first].inputs) == 1 and not any(boxes[i].learned for i in group)
        if cheap and behind is not None and len(boxes[behind].inputs) == 1 and boxes[behind].learned:
            together = [*group, *members[behind]]
            if _can_join(boxes, together):
                members[behind] = together
                into.update(dict.fromkeys(group, behind))
                del members[first]
    return _numbered(boxes, [members[i] for i in sorted(members, key=lambda i: members[i][-1])])


def _can_join(boxes: Sequence[Box], group: Iterable[int]) -> bool:
    """A box has room for one change of size, and the bar where tensors come together for none."""
    together = [boxes[i] for i in group]
    return sum(box.resizes for box in together) <= (0 if any(box.joins for box in together) else 1)


def _numbered(boxes: Sequence[Box], groups: Sequence[Sequence[int]]) -> list[Box]:
    place_of = {member: place for place, group in enumerate(groups) for member in group}
    return [
        Box(
            name=next((boxes[i].name for i in group if boxes[i].learned), boxes[group[0]].name),
            steps=[step for i in group for step in boxes[i].steps],
            entering=boxes[group[0]].entering,
            leaving=boxes[group[-1]].leaving,
            inputs=[place_of[source] for source in boxes[group[0]].inputs],
            learned=any(boxes[i].learned for i in group),
            collapsed=any(boxes[i].collapsed for i in group),
        )
        for group in groups
    ]
