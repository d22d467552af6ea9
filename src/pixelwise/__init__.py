"""pixelwise: every pixel is a classification problem.

The public names are listed here, sorted, and loaded when first used, so that importing the package is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .accounting.account import Account, account
    from .accounting.conventions import Conventions
    from .accounting.finetuning import FineTuning, fine_tuning
    from .affine import absorbed, invariance
    from .classes.labels import Labels
    from .classes.palette import Palette, fit_palette, load_palette
    from .config import DataSettings, ModelSettings, TrainSettings
    from .data.images import open_picture, save_picture
    from .data.load import load_data, load_labelled
    from .errors import PixelwiseError
    from .evaluate.colour import ColourEvaluation, evaluate_colour
    from .evaluate.segment import SegmentEvaluation, evaluate_segment
    from .models.build import build_model
    from .models.conv import MyConv2d
    from .predict.colour import colourize
    from .predict.segment import segment
    from .strokes import load_strokes
    from .train import EpochRow, StepRow, Training, fit
    from .workflow.finished import Trained, evaluate_run, load_trained
    from .workflow.plan import Plan
    from .workflow.segment_plan import SegmentPlan
    from .workflow.segmented import load_segmenter, taught_by_strokes
    from .workflow.segmenting import train_segment
    from .workflow.training import train_colour

_HOME = {
    "Account": "accounting.account",
    "ColourEvaluation": "evaluate.colour",
    "Conventions": "accounting.conventions",
    "DataSettings": "config",
    "EpochRow": "train",
    "FineTuning": "accounting.finetuning",
    "Labels": "classes.labels",
    "ModelSettings": "config",
    "MyConv2d": "models.conv",
    "Palette": "classes.palette",
    "PixelwiseError": "errors",
    "Plan": "workflow.plan",
    "SegmentEvaluation": "evaluate.segment",
    "SegmentPlan": "workflow.segment_plan",
    "StepRow": "train",
    "TrainSettings": "config",
    "Trained": "workflow.finished",
    "Training": "train",
    "absorbed": "affine",
    "account": "accounting.account",
    "build_model": "models.build",
    "colourize": "predict.colour",
    "evaluate_colour": "evaluate.colour",
    "evaluate_run": "workflow.finished",
    "evaluate_segment": "evaluate.segment",
    "fine_tuning": "accounting.finetuning",
    "fit": "train",
    "fit_palette": "classes.palette",
    "invariance": "affine",
    "load_data": "data.load",
    "load_labelled": "data.load",
    "load_palette": "classes.palette",
    "load_segmenter": "workflow.segmented",
    "load_strokes": "strokes",
    "load_trained": "workflow.finished",
    "open_picture": "data.images",
    "save_picture": "data.images",
    "segment": "predict.segment",
    "taught_by_strokes": "workflow.segmented",
    "train_colour": "workflow.training",
    "train_segment": "workflow.segmenting",
}

__all__ = [
    "Account",
    "ColourEvaluation",
    "Conventions",
    "DataSettings",
    "EpochRow",
    "FineTuning",
    "Labels",
    "ModelSettings",
    "MyConv2d",
    "Palette",
    "PixelwiseError",
    "Plan",
    "SegmentEvaluation",
    "SegmentPlan",
    "StepRow",
    "TrainSettings",
    "Trained",
    "Training",
    "absorbed",
    "account",
    "build_model",
    "colourize",
    "evaluate_colour",
    "evaluate_run",
    "evaluate_segment",
    "fine_tuning",
    "fit",
    "fit_palette",
    "invariance",
    "load_data",
    "load_labelled",
    "load_palette",
    "load_segmenter",
    "load_strokes",
    "load_trained",
    "open_picture",
    "save_picture",
    "segment",
    "taught_by_strokes",
    "train_colour",
    "train_segment",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
