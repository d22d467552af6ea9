"""The demo makes its page; the page stands alone; figures and tables say what they should."""

import re
from html.parser import HTMLParser

import pytest
import torch

from pixelwise.data.pictures import evenly_spaced
from pixelwise.demo import run_demo
from pixelwise.report.figures import curve, gallery, save_figure
from pixelwise.report.page import Page, Section, write_page
from pixelwise.report.tables import Table
from pixelwise.train import EpochRow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    def quietly(rows, name, epochs):
        assert sum(isinstance(row, EpochRow) for row in rows) == epochs

    out = tmp_path_factory.mktemp("demo")
    return out, run_demo(out, quietly, epochs={"lookup": 1, "cnn": 2})


def test_the_demo_compares_its_models_with_the_baselines(demo):
    _, result = demo
    assert [row[0] for row in result.table.rows] == ["grey as it is", "majority", "lookup", "cnn", "ceiling"]
    assert all(len(row) == len(result.table.headings) for row in result.table.rows)
    assert {e.model for e in result.evaluations} == {"lookup", "cnn"}
    assert result.to_mapping()["models"]["cnn"]["training_seconds"] > 0


def test_the_page_stands_alone_and_describes_its_pictures(demo):
    out, result = demo
    html = result.page.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", html)
    assert "http" not in re.sub(r"data:[^\"]*", "", html)
    images = re.findall(r'<img src="data:image/(?:png|jpeg);base64,[^"]+" alt="([^"]*)">', html)
    assert len(images) == 3 * 4 + 1 + 1 + 3 * 3  # photographs, gallery, one curve, strokes and their masks
    assert all(images)
    assert {path.name for path in out.iterdir()} == {
        "index.html",
        "demo.json",
        "photographs.png",
        "strokes.png",
        "runs",
    }


def test_a_second_demo_takes_what_is_there(demo):
    out, first = demo

    def nothing_to_do(rows, name, epochs):
        assert list(rows) == []

    assert run_demo(out, nothing_to_do, epochs={"lookup": 1, "cnn": 2}).table == first.table


def test_what_a_page_says_cannot_become_markup(tmp_path):
    table = Table(["<b>"], [["<script>alert(1)</script>"]])
    page = Page("<i>", "&", "t", table, "n", [Section("<u>")], ["<s>"])
    write_page(page, tmp_path / "page.html")
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)
    parser.feed((tmp_path / "page.html").read_text())
    assert not {"b", "i", "u", "s", "script"} & set(tags)


def test_a_gallery_shows_every_picture_unchanged():
    pixels = torch.randint(0, 256, (3, 3, 4, 5), dtype=torch.uint8)
    shown = gallery({"one": pixels, "two": pixels}, "title").axes[0].images[0].get_array()
    assert shown.shape == (4 * 2 + 2, 5 * 3 + 2 * 2, 3)
    assert (shown[6:10, 7:12] == pixels[1].permute(1, 2, 0).numpy()).all()


def test_galleries_take_evenly_spaced_pictures():
    assert evenly_spaced(100, 4) == [0, 25, 50, 75]
    assert evenly_spaced(2, 12) == [0, 1]
    assert evenly_spaced(0, 12) == []


def test_a_curve_has_both_lines_named_axes_and_the_lookup(tmp_path):
    rows = [EpochRow(i, 3.0 / i, 0.1 * i, 4.0 / i, 0.08 * i, 1e-3, 1.0) for i in (1, 2, 3)]
    figure = curve(rows, "title", lookup=(1.0, 0.25))
    loss, accuracy = figure.axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation", "lookup table, validation"]
    assert list(loss.lines[1].get_ydata()) == [4.0, 2.0, 4.0 / 3]
    assert accuracy.lines[2].get_ydata()[0] == 25
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "cross-entropy (nats per pixel)")
    save_figure(figure, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 10_000


def test_a_curve_without_validation_has_one_line():
    figure = curve([EpochRow(1, 1.0, 0.5, None, None, 1e-3, 1.0)], "title")
    assert len(figure.axes[0].lines) == 1


def test_a_table_in_markdown():
    assert Table(["a", "b"], [["x", "1"]]).markdown() == "| a | b |\n| --- | ---: |\n| x | 1 |\n"
