"""The command line: parse, call one function of the library, print. Heavy rooms are entered only when needed."""

from . import account, colourize, export, segment, sets, study, train, train_segment, use
from .app import app, main

__all__ = ["account", "app", "colourize", "export", "main", "segment", "sets", "study", "train", "train_segment", "use"]
