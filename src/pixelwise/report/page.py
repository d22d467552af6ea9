"""One self-contained HTML page: every picture is inside it, and nothing is loaded from anywhere."""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from ..data.images import to_image
from ..files import write_text
from ..shapes import Rgb
from .figures import DPI
from .tables import Table


@dataclass(frozen=True)
class Shown:
    """A picture on a page: its data, what it shows (for those who cannot see it), and words below it."""

    source: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph, and pictures: side by side in columns, or one below the other when columns is 1."""

    heading: str
    text: str = ""
    pictures: list[Shown] = field(default_factory=list)
    columns: int = 1


@dataclass(frozen=True)
class Page:
    """What a page says, from top to bottom."""

    title: str
    lead: str
    table_title: str
    table: Table
    table_note: str
    sections: list[Section]
    footer: list[str]


def write_page(page: Page, path: Path) -> None:
    """Write the page, whole or not at all."""
    environment = Environment(
        loader=PackageLoader("pixelwise.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    write_text(path, environment.get_template("page.html.j2").render(page=page))


def figure_shown(figure: Figure, alt: str, caption: str = "") -> Shown:
    """A figure as a picture in the page."""
    data = io.BytesIO()
    figure.savefig(data, dpi=DPI, format="png")
    return Shown(_data_uri(data.getvalue(), "png"), alt, caption)


def photograph_shown(rgb: Rgb, alt: str, caption: str = "") -> Shown:
    """A photograph as a picture in the page, as JPEG of high quality."""
    data = io.BytesIO()
    to_image(rgb).save(data, format="JPEG", quality=90, subsampling=0)
    return Shown(_data_uri(data.getvalue(), "jpeg"), alt, caption)


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
