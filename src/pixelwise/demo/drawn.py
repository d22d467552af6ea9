"""Photographs segmented by a few strokes, on deep features and, as a baseline, on colours alone."""

import importlib.resources
import time
from dataclasses import dataclass

import torch

from ..classes.labels import VOID, Labels
from ..data.images import open_picture
from ..data.photos import photograph
from ..models.colour_alone import NAME as COLOUR_ALONE
from ..models.hypercolumn import NAME as HYPERCOLUMN
from ..outputs import overlay
from ..predict.segment import segment
from ..report.page import Section, photograph_shown
from ..shapes import RgbOfAnySize
from ..strokes import load_strokes, painted
from ..workflow.segmented import strokes_size, taught_by_strokes

DRAWN = {"flower": "flower.json", "coffee": "coffee.json", "chelsea": "chelsea.json"}  # photograph: strokes on it
HEADINGS = ("a few strokes", "by colours alone", "by deep features")


@dataclass(frozen=True, eq=False)
class Answered:
    """One photograph: what was painted on it, and what that taught."""

    title: str
    labels: Labels
    shown: tuple[RgbOfAnySize, RgbOfAnySize, RgbOfAnySize]  # as the headings say
    seconds: float  # from the strokes to the mask by deep features, weights loaded, picture not looked at before


def answered_strokes() -> list[Answered]:
    """Segment the embedded photographs by the strokes that are kept with the package.

    Raises:
        PixelwiseError: a photograph, or the network's weights, are missing.
    """
    return [_answered(title, file) for title, file in DRAWN.items()]


def _answered(title: str, file: str) -> Answered:
    with importlib.resources.as_file(importlib.resources.files(__package__) / "strokes" / file) as path:
        strokes = load_strokes(path)
    picture = photograph(title)
    (name,) = strokes.pictures
    rgb = open_picture(picture).rgb
    answers, seconds = [], 0.0
    for network in (COLOUR_ALONE, HYPERCOLUMN):
        started = time.perf_counter()
        taught = taught_by_strokes(strokes, {name: picture}, network=network)
        ids = segment(taught.model, rgb, strokes_size(rgb))
        seconds = time.perf_counter() - started
        answers.append(overlay(rgb, ids, strokes.labels))
    lines = painted(strokes.pictures[name], strokes.labels, (rgb.shape[1], rgb.shape[2]))
    drawn = torch.where(lines == VOID, rgb, strokes.labels.decode(lines.unsqueeze(0))[0])
    return Answered(title, strokes.labels, (drawn, answers[0], answers[1]), seconds)


def strokes_grid(answered: list[Answered]) -> tuple[list[list[RgbOfAnySize]], list[str]]:
    """The pictures in rows, and a heading for each column."""
    return [list(answer.shown) for answer in answered], list(HEADINGS)


def strokes_section(answered: list[Answered]) -> Section:
    """The page's section of segmented photographs."""
    seconds = max(answer.seconds for answer in answered)
    text = (
        "Every pixel is a classification problem with labels, too. A few strokes on a photograph teach the last layer "
        f"of {HYPERCOLUMN}, an ImageNet network whose other layers are frozen: {seconds:.1f} seconds or less from "
        "strokes to mask on this machine. Beside it the same method on colours alone. Nobody has measured these three "
        "by hand; docs/results/flowers.md has 100 test pictures that somebody has."
    )
    shown = [
        photograph_shown(picture, f"{answer.title}: {heading}", f"{heading}: {', '.join(answer.labels.names)}")
        for answer in answered
        for picture, heading in zip(answer.shown, HEADINGS, strict=True)
    ]
    return Section("From strokes to masks", text, shown, columns=len(HEADINGS))
