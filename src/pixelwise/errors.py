"""The one tree of exceptions. Each message says what was given, what was expected and what to do.

PixelwiseError
├── BadSetting     a setting is unknown, or its value is out of range
├── UnknownName    no model, data set or category of that name; the message lists the ones there are
├── BadPicture     a file is not a picture that can be read whole
├── BadData        a folder or data set cannot be used as asked
├── BadPalette     a palette file, or a palette that does not fit
├── BadWeights     a weights file is missing, damaged, or another network's
├── CannotWrite    a file or folder cannot be made
├── BadRun         a run folder is missing, unfinished, or its parts do not belong together
├── Diverged       the loss is no longer a number
└── Interrupted    stopped on request; everything up to the last step is kept
"""

import difflib
from collections.abc import Iterable


class PixelwiseError(Exception):
    """Base of all errors that a user can mend; the command line prints it as `error: …` and exits with 1."""


class BadSetting(PixelwiseError):
    """A setting is unknown, or its value is out of range."""


class UnknownName(PixelwiseError):
    """No model, data set or category has that name.

    Args:
        kind: what was looked for, such as "model".
        given: the name that was given.
        known: the names that exist.
    """

    def __init__(self, kind: str, given: str, known: Iterable[str]) -> None:
        self.kind, self.given, self.known = kind, given, sorted(known)
        close = difflib.get_close_matches(given, self.known, n=1)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {given!r}; known: {', '.join(self.known)}{guess}")


class BadPicture(PixelwiseError):
    """A file is not a picture that can be read whole."""


class BadData(PixelwiseError):
    """A folder or data set cannot be used as asked."""


class BadPalette(PixelwiseError):
    """A palette file cannot be read, or a palette does not fit its use."""


class BadWeights(PixelwiseError):
    """A weights file is missing, damaged, or another network's."""


class CannotWrite(PixelwiseError):
    """A file or folder cannot be made where it was asked for."""


class BadRun(PixelwiseError):
    """A run folder is missing or unfinished, or its parts do not belong together."""


class Diverged(PixelwiseError):
    """The loss is no longer a finite number."""


class Interrupted(PixelwiseError):
    """Stopped on request; everything up to the last finished step is kept."""
