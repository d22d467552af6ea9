"""What a run that segments shows of its test pictures."""

import torch
from matplotlib.figure import Figure

from ..classes.labels import Labels
from ..data.batches import batch_size
from ..data.pictures import Pictures
from ..evaluate.segment import SegmentEvaluation
from ..models.answer import logits_of
from ..models.segmenter import Segmenter
from ..report.segment_figures import worst_to_best
from ..shapes import ClassIds


def gallery_of(
    model: Segmenter, labels: Labels, pictures: Pictures, evaluation: SegmentEvaluation, title: str
) -> Figure:
    """Test pictures from worst to best, with truth, answer and errors."""
    scores = [score.iou for score in evaluation.per_picture]
    return worst_to_best(pictures, answers_of(model, labels, pictures), labels, scores, title)


def answers_of(model: Segmenter, labels: Labels, pictures: Pictures) -> ClassIds:
    """The likeliest class of every pixel."""
    step = batch_size(pictures)
    parts = [
        logits_of(model, labels.see(pictures.pixels[start : start + step])).argmax(dim=1).to(torch.uint8)
        for start in range(0, len(pictures), step)
    ]
    return torch.cat(parts)
