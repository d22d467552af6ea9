"""A frozen ImageNet network looks at a grey photograph, and a small head says which chroma each pixel has.

The trunk is the one that segments (hypercolumn.py): five stages of EfficientNet-Lite0, of stride 4 to 32. What a thing
is, the coarse maps know; where it ends, the fine ones. The head goes from the coarsest to the finest, adding at each
size what the trunk says there (Lin et al. 2017, "Feature Pyramid Networks for Object Detection"; for colour Larsson et
al. 2016, "Learning Representations for Automatic Colorization", who stack the maps instead), and answers at a quarter
of the picture's size: chroma needs no more (docs/log.md).

Pixels of one cell differ in light, which says something of their chroma: black and white have none, and where a roof
meets the sky, what is lighter is sky. So a pixel's answer is its cell's, corrected by how far it is lighter or darker:
by what light says anywhere, and by what the head expects of it in this very cell.

Only the head is trained, and only the head is kept in a run. The trunk is official; if a byte of it differs, it is
refused.
"""

import copy
from collections.abc import Iterable
from functools import cached_property
from threading import Lock
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..shapes import Grey, Logits
from .folding import folded
from .hypercolumn import CHANNELS, Hypercolumn, hypercolumn_segmenter, seen_size
from .lookup import GreyTable
from .segmenter import Features, Segmenter, Size, enlarged

STRIDE = 4  # pixels between two answers
KNOTS = 17  # of what light says anywhere, from black to white
SECOND_LOOK = 0.75  # the size at which a picture's mirror image is looked at, when not training
STEP = 0.25  # of the grey, for which a cell says how its logits change
DROPPED = 0.2  # share of the coarse maps' channels that are left out at random while training
_PREPARING = Lock()  # else two threads would read one trunk twice

# Of every cell: its logits, and how these change for a pixel that is a quarter lighter than the cell.
CellAnswers = tuple[Float[Tensor, "n k gh gw"], Float[Tensor, "n k gh gw"]]


class ByLight(nn.Module):
    """What light alone says of chroma: for each class a line from knot to knot, from black to white.

    Args:
        k: classes.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.knots = nn.Parameter(torch.zeros(k, KNOTS))

    def forward(self, grey: Float[Tensor, "n h w"], of_cells: Float[Tensor, "n h w"]) -> Float[Tensor, "n k h w"]:
        """What it adds to the logits of pixels of some grey, 0 to 1, rather than of the grey of their cells."""
        return F.conv2d(_hats(grey) - _hats(of_cells), self.knots[:, :, None, None])


class ChromaHead(nn.Module):
    """Maps of features to logits in the size of the finest map.

    Args:
        k: classes.
        width: channels of the maps that are made on the way.
        shares: of each class in the training pictures; the head begins with them as its answer everywhere.
    """

    def __init__(self, k: int, width: int, shares: Float[Tensor, "k"] | None = None) -> None:
        super().__init__()
        finest, fine, middle, deeper, coarsest = CHANNELS
        self.standardize = nn.ModuleList(nn.BatchNorm2d(channels) for channels in CHANNELS)
        self.enter_coarsest = nn.Conv2d(coarsest, width, 1)
        self.enter_middle = nn.Conv2d(middle + deeper, width, 1)
        self.enter_fine = nn.Conv2d(fine, width, 1)
        self.enter_finest = nn.Conv2d(finest, width, 1)
        self.look_coarsest, self.look_middle, self.look_fine = (_looking(width) for _ in range(3))
        self.drop = nn.Dropout2d(DROPPED)
        self.last = nn.Conv2d(width, k, 1)
        self.slope = nn.Conv2d(width, k, 1)
        self.by_light = ByLight(k)
        nn.init.zeros_(self.slope.weight)
        nn.init.zeros_(cast(Tensor, self.slope.bias))
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.constant_(self.last.bias, 0.0)
            if shares is not None:
                self.last.bias.data.copy_(shares.log())

    def forward(self, features: Features) -> CellAnswers:
        """What each cell says, for the trunk's maps, finest first."""
        finest, fine, middle, deeper, coarsest = (
            norm(map_) for norm, map_ in zip(self.standardize, features, strict=True)
        )
        y = self.look_coarsest(F.relu(self.enter_coarsest(self.drop(coarsest))))
        y = self.look_middle(_added(y, self.enter_middle(self.drop(torch.cat([middle, deeper], dim=1)))))
        y = self.look_fine(_added(y, self.enter_fine(fine)))
        y = _added(y, self.enter_finest(finest))
        return self.last(y), self.slope(y)

    def corrected(
        self, answers: CellAnswers, grey: Float[Tensor, "n h w"], of_cells: Float[Tensor, "n h w"]
    ) -> Float[Tensor, "n k h w"]:
        """Logits of pixels: those of the cells they lie in, corrected by how much lighter or darker the pixels are.

        Args:
            answers: of the cells, at these pixels.
            grey: of the pixels, 0 to 1.
            of_cells: the mean grey of the cells they lie in.
        """
        logits, slopes = answers
        of_slopes = slopes * ((grey - of_cells) / STEP).unsqueeze(1)
        corrected: Tensor = logits + of_slopes + self.by_light(grey, of_cells)
        return corrected


class HeadTeam(nn.Module):
    """Several heads, whose answers are averaged as logarithms.

    Heads that learnt apart, from other beginnings and in other orders, err less together (docs/log.md).

    Args:
        members: the heads.
    """

    def __init__(self, members: Iterable[ChromaHead]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, features: Features) -> CellAnswers:
        """Log-probabilities, up to a number that is the same for all classes, and their slopes."""
        answers = [member(features) for member in self.members]
        logits = torch.stack([logits.log_softmax(dim=1) for logits, _ in answers]).mean(dim=0)
        return logits, torch.stack([slopes for _, slopes in answers]).mean(dim=0)

    def corrected(
        self, answers: CellAnswers, grey: Float[Tensor, "n h w"], of_cells: Float[Tensor, "n h w"]
    ) -> Float[Tensor, "n k h w"]:
        """Logits of pixels by the answers of their cells, as of a single head; the corrections are averaged."""
        made = [cast(ChromaHead, member).corrected(answers, grey, of_cells) for member in self.members]
        return torch.stack(made).mean(dim=0)


class HypercolumnColours(nn.Module):
    """The trunk, which is no part of what is trained and kept, and the head.

    Args:
        num_colours: NC, the number of chroma classes.
        num_filters: NF, the width of the head.
        table: counts of the training pictures; their shares are where training starts.
        heads: whose answers are averaged.
    """

    head: ChromaHead | HeadTeam
    engine: nn.Module | None

    def __init__(self, num_colours: int, num_filters: int, table: GreyTable | None = None, heads: int = 1) -> None:
        super().__init__()
        made = [ChromaHead(num_colours, num_filters, table.shares if table else None) for _ in range(heads)]
        self.head = made[0] if heads == 1 else HeadTeam(made)
        self.__dict__["engine"] = None  # what answers for cells instead, if anything; no part of the module's state

    @staticmethod
    def trunk(zoom: float = 1.0) -> Segmenter:
        """The frozen network.

        Args:
            zoom: by how much it enlarges pictures before it looks; 1 in use, others to learn from.

        Raises:
            BadWeights: its weights are missing, or are not exactly the official ones.
        """
        return hypercolumn_segmenter(1, enlargement=zoom).eval().requires_grad_(False)

    def prepare(self) -> None:
        """Read the trunk now, not when it is first needed.

        Raises:
            BadWeights: its weights are missing, or are not exactly the official ones.
        """
        with _PREPARING:
            _ = self._second_trunk if self.engine is None else None

    @cached_property
    def _quick_trunk(self) -> Segmenter:  # read when it is first needed, and no part of the module's state
        return folded(self.trunk())

    @cached_property
    def _second_trunk(self) -> Segmenter:  # the same weights
        smaller = cast(Hypercolumn, copy.copy(self._quick_trunk))
        smaller.enlargement = SECOND_LOOK
        return smaller

    def forward(self, grey: Grey) -> Logits:
        """Logits of grey pictures in the pictures' size.

        When not training, they are averaged over two looks: at the picture, and at its mirror image, a quarter smaller.
        """
        (logits, slopes), size = self._answers(grey), grey.shape[2:]
        of_cells = enlarged(grey_of_cells(grey, logits.shape[2:]), size)[:, 0]
        return self.head.corrected((enlarged(logits, size), enlarged(slopes, size)), grey[:, 0], of_cells)

    def cells(self, grey: Grey) -> Float[Tensor, "n k gh gw"]:
        """The same in the size of the finest map: for every fourth pixel of each row and column, about."""
        if self.engine is not None and not self.training:
            return cast(Tensor, self.engine(grey))
        return self._answers(grey)[0]

    def _answers(self, grey: Grey) -> CellAnswers:
        seen = grey.expand(-1, 3, -1, -1)
        answers: CellAnswers = self.head(self._quick_trunk.to(grey.device).features(seen))
        if self.training:
            return answers
        mirrored: CellAnswers = self.head(self._second_trunk.to(grey.device).features(seen.flip(3)))
        size = answers[0].shape[2:]
        logits, slopes = (
            (one + enlarged(other.flip(3), size)) / 2 for one, other in zip(answers, mirrored, strict=True)
        )
        return logits, slopes

    @staticmethod
    def size_of_cells(size: Size, zoom: float = 1.0) -> tuple[int, int]:
        """Rows and columns of the finest map for pictures of some size."""
        rows, columns = (side // STRIDE for side in seen_size(size, zoom))
        return rows, columns


class Cells(nn.Module):
    """The network as a photograph is looked at: with an answer for each cell, not for each pixel."""

    def __init__(self, model: HypercolumnColours) -> None:
        super().__init__()
        self.model = model
        self.training = model.training
        model.prepare()

    def forward(self, grey: Grey) -> Float[Tensor, "n k gh gw"]:
        """Logits of every cell."""
        return self.model.cells(grey)


class FeatureHead(nn.Module):
    """The head as the one loop trains it: on features that were computed once, in the size of the cells.

    Args:
        head: trained in place.
    """

    def __init__(self, head: ChromaHead | HeadTeam) -> None:
        super().__init__()
        self.head = head.to(memory_format=torch.channels_last)  # a quarter less time a step, with float32 on a CPU

    def forward(
        self, features: Features, grey: Float[Tensor, "n gh gw"], of_cells: Float[Tensor, "n gh gw"]
    ) -> Float[Tensor, "n k gh gw"]:
        """Logits of a pixel in each cell, by the cells' features, the pixels' grey and the cells' mean grey."""
        maps = tuple(map_.contiguous(memory_format=torch.channels_last) for map_ in features)
        return self.head.corrected(self.head(maps), grey, of_cells)


def _hats(grey: Float[Tensor, "n h w"]) -> Float[Tensor, "n j h w"]:
    """How near each grey is to every knot: 1 on it, 0 from the next one on, so that lines run from knot to knot."""
    place = grey.clamp(0, 1).unsqueeze(1) * (KNOTS - 1)
    return (1 - (place - torch.arange(KNOTS, device=grey.device).view(-1, 1, 1)).abs()).clamp(min=0)


def grey_of_cells(grey: Grey, cells: Size) -> Float[Tensor, "n 1 gh gw"]:
    """The mean grey of each cell, in pictures of the size in which the trunk sees them."""
    rows, columns = cells
    seen = F.interpolate(grey, size=(rows * STRIDE, columns * STRIDE), mode="bilinear", align_corners=False)
    return F.avg_pool2d(seen, STRIDE)


def _looking(width: int) -> nn.Sequential:
    """A look around: one filter for each channel, then all channels for each pixel (Chollet 2017)."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _added(coarse: Tensor, fine: Tensor) -> Tensor:
    return F.relu(enlarged(coarse, fine.shape[2:]) + fine)
