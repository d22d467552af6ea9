"""The command line: parse, call one function of the library, print. Heavy rooms are entered only when needed."""

from . import sets, train, use
from .app import app, main

__all__ = ["app", "main", "sets", "train", "use"]
