"""Documents say the same as PDF and as a page, whatever their texts are, and nothing is cut, loaded or made markup."""

import io
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sympy
import torch
import typst
from matplotlib.figure import Figure
from PIL import Image

from pixelwise.accounting.rounding import Rounded
from pixelwise.accounting.symbols import symbol
from pixelwise.errors import BadSetting
from pixelwise.report.cost_math import unicode_formula
from pixelwise.report.cost_typst import typst_formula
from pixelwise.report.document import (
    Document,
    Equation,
    FigureBlock,
    Paragraph,
    Points,
    Section,
    TableBlock,
    Verdict,
    escaped,
    pieces,
)
from pixelwise.report.document_columns import columns, is_sideways, unbreakable
from pixelwise.report.document_page import write_html
from pixelwise.report.document_words import in_words, table_in_words
from pixelwise.report.figures import gallery
from pixelwise.report.tables import Table
from pixelwise.report.typeset import drawn, marked, source_of, write_pdf

NF, NC, H, W, n = map(symbol, ("NF", "NC", "H", "W", "n"))
TOTAL = 72 * NF**2 + 9 * NF * NC + 9 * NC**2 + 27 * NF + 4 * NC
HOSTILE = [
    "#panic() #set page(width: 1cm) @ref <label> a_b _c_ ~ -- --- ... 'x' \"y\"",
    "<script>alert(1)</script> &amp; <b> ]]> <!--",
    "$x$ $5 and $6 \\$ \\\\ \\",
    "`code` ``` *a* **b** [c](https://example.org) ] [ ) (",
    "= heading",
    "- item",
    "+ item",
    "1. item",
    "/ term: x",
    "// comment /* another",
    "https://example.org/a_b?c=d&e",
    "{{ document }} {% raw %} {# x #}",
    "a\u2028= b",
    "⌈H/8⌉ ± − × ≥ é ß 日",
]
PPI = 60


class Page(HTMLParser):
    """What a browser would see: tags with attributes, and the texts between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)

    def names(self):
        return {tag for tag, _ in self.tags}


def plot(size=(6, 3)):
    figure = Figure(figsize=size)
    figure.subplots().plot([1, 2, 3])
    return figure


def document(*blocks, **others):
    known = {"title": "A title", "subtitle": "below it", "abstract": [], "colophon": "the end"}
    return Document(**{**known, "sections": [Section("First", blocks)], **others})


def whole():
    pictures = gallery({"one": torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)}, "g")
    table = Table(["layer", "$x^2$", "`n`"], [["`a_b`", f"${typst_formula(TOTAL)}$", "1"], ["**b**", "2", "3,000"]])
    return document(
        title="Every <pixel> & #all",
        abstract=[Paragraph("An *abstract* with $sum_(i=1)^n w_i$."), Verdict(["Yes.", "By $p < 0.05$."])],
        sections=[
            Section(
                "One $x$",
                [Paragraph("See [the paper](https://example.org/a_b)."), Points(["first `x_y`", "second"])],
                [Section("Within", [Equation("w * (a x + b) + c = (a w) * x + (c + b sum_i w_i)")])],
            ),
            Section("Two", [TableBlock(table, "A `table`", note="A note"), Verdict(["Runs of `u`."], "missing")]),
            Section(
                "Three",
                [
                    FigureBlock(plot(), "Lines of `cnn`"),
                    FigureBlock(pictures, "Pictures", alt='A "grid"', pictures=True),
                ],
            ),
        ],
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("document")
    write_pdf(whole(), folder / "d.pdf")
    write_html(whole(), folder / "d.html")
    return folder


def printed(document):
    """The pages of the PDF as pictures in grey, by typst's own hand."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blocks = [block for block in document.blocks() if isinstance(block, FigureBlock)]
        figures = {id(block): drawn(block, folder, i) for i, block in enumerate(blocks)}
        (folder / "d.typ").write_text(source_of(document, figures), encoding="utf-8")
        made = typst.compile(str(folder / "d.typ"), root=name, format="png", ppi=PPI, ignore_system_fonts=True)
    return [Image.open(io.BytesIO(page)).convert("L") for page in (made if isinstance(made, list) else [made])]


def ink_in_margins(page):
    """How dark the darkest point is left and right of what stands on the page; the margins are 22 mm."""
    margin = int(20 / 25.4 * PPI)
    sides = [page.crop((0, 0, margin, page.height)), page.crop((page.width - margin, 0, page.width, page.height))]
    return 255 - min(side.getextrema()[0] for side in sides)


def read_by_typst(text):
    """What typst takes a piece of its language for: the tags and the text."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "t.typ").write_text(f"x{text}y", encoding="utf-8")
        html = bytes(typst.compile(str(Path(name) / "t.typ"), root=name, format="html")).decode()
    page = Page(html[html.index("<body") :])
    return page.names() - {"body", "p"}, re.sub(r"\s+", " ", "".join(page.texts)).strip()


# Texts


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_texts_are_taken_for_themselves(text, tmp_path):
    assert "".join(piece.words for piece in pieces(escaped(text))) == text
    assert {piece.kind for piece in pieces(escaped(text))} == {"text"}
    assert read_by_typst(marked(escaped(text))) == (set(), re.sub(r"\s+", " ", f"x{text}y"))
    write_html(document(Paragraph(escaped(text)), title=text), tmp_path / "d.html")
    page = Page((tmp_path / "d.html").read_text())
    assert text in "".join(page.texts)
    assert not {"script", "b", "code", "strong", "math"} & page.names()


def test_hostile_texts_break_nothing_wherever_they_stand(tmp_path):
    text = escaped(" ".join(HOSTILE))
    blocks = [
        Paragraph(text),
        Points([text, *map(escaped, HOSTILE), ""]),
        Verdict([text]),
        TableBlock(Table([text, "b"], [[text, text], ["", ""]]), text, note=text),
        FigureBlock(plot(), text, alt=" ".join(HOSTILE)),
    ]
    wicked = Document(" ".join(HOSTILE), text, blocks, [Section(text, blocks, [Section(text)])], text)
    write_pdf(wicked, tmp_path / "d.pdf")
    write_html(wicked, tmp_path / "d.html")
    page = Page((tmp_path / "d.html").read_text())
    assert "script" not in page.names()
    # Of the document's texts, and as title, lead, last line, twice the heading and its entry in the contents.
    assert sum(" ".join(HOSTILE) in words for words in page.texts) == 2 * (1 + 1 + 1 + 5 + 1) + 2 + 1 + 1 + 2 * 2


@pytest.mark.parametrize(
    ("text", "tags", "words"),
    [
        ("**a**(b)", {"strong"}, "a(b)"),  # which typst takes for a call unless the mark is ended
        ("`f`(x) `g`[y] `h`.z", {"code"}, "f(x) g[y] h.z"),
        ("`a`; *b*; **c**;", {"code", "em", "strong"}, "a; b; c;"),
        ("[a b](https://example.org/?x=1_2#y)(c)", {"a"}, "a b(c)"),
        (r"**1 \* 2 \$**", {"strong"}, "1 * 2 $"),
        (r"*a\_b* C:\x", {"em"}, r"a\_b C:\x"),
        ("2 * 3 * 4", set(), "2 * 3 * 4"),
        (r"costs \$5", set(), "costs $5"),
        ("`a\\`", {"code"}, "a\\"),
        ("$ unclosed", set(), "$ unclosed"),
        ("[a](javascript:alert)", set(), "[a](javascript:alert)"),
    ],
)
def test_marks_mean_the_same_in_both(text, tags, words, tmp_path):
    assert read_by_typst(marked(f" {text} ")) == (tags, f"x {words} y")
    write_html(document(Paragraph(f"x {text} y")), tmp_path / "d.html")
    page = Page(re.search(r"<p>x .*? y</p>", (tmp_path / "d.html").read_text())[0])
    assert ("".join(page.texts), page.names()) == (f"x {words} y", {*tags, "p"})


def test_a_wrong_formula_is_said_and_leaves_no_file(tmp_path):
    for write, name in ((write_pdf, "d.pdf"), (write_html, "d.html")):
        with pytest.raises(BadSetting, match="unknown variable: NF"):
            write(document(Equation("NF^2")), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# The page


def test_the_page_has_everything_and_loads_nothing(written):
    text = (written / "d.html").read_text()
    bare = re.sub(r"data:image/[a-z+]+;base64,[\w+/=]+", "data:", text)
    assert not re.search(r"<script|<link|@import|url\(", bare)
    assert set(re.findall(r"""(?:src|href)=["']([^"'#]*)""", bare)) == {"data:", "https://example.org/a_b", ""}
    page = Page(text)
    assert page.tags[0] == ("html", {"lang": "en"})
    assert [tag for tag, _ in page.tags if re.fullmatch(r"h\d", tag)] == ["h1", "h2", "h3", "h2", "h2"]
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {a["href"][1:] for tag, a in page.tags if tag == "a" and a["href"][0] == "#"} == anchors
    assert [a["alt"] for tag, a in page.tags if tag == "img"] == ["Lines of cnn", 'A "grid"']
    assert [tag for tag, a in page.tags if tag == "math" and a.get("display") == "block"] == ["math"]
    assert {"Table 1.", "Figure 1.", "Figure 2.", "Answer", "Missing", "A note", "the end"} <= set(page.texts)
    assert "image/svg+xml" in text
    assert "image/png" in text


def test_numbers_stand_to_the_right(written):
    text = (written / "d.html").read_text()
    assert re.findall(r'<th scope="col" class="(\w+)', text) == ["left", "right", "right"]
    table = Table(
        ["what", "here", "words", "none"], [["1", "+0.03 ± 0.01", "yes, and why", ""], ["2", "−4 %", "no", ""]]
    )
    assert [column.right for column in columns(table)] == [False, True, False, True]
    assert [c.prose for c in columns(Table(["a", "b"], [["x" * 40, "$" + "x " * 40 + "$"]]))] == [True, True]


# The PDF


def test_the_pdf_has_its_title_outline_and_fonts_and_no_date(written):
    content = (written / "d.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b'<rdf:li xml:lang="x-default">Every &lt;pixel&gt; &amp; #all</rdf:li>' in content
    assert b"/Title(2 Two)" in content
    assert b"/FontFile3" in content
    assert b"CreationDate" not in content
    assert b"/Alt(Lines of cnn)" in content


def test_the_same_document_gives_the_same_bytes(written, tmp_path):
    torch.manual_seed(0)
    blocks = [FigureBlock(plot(), "a"), Equation("x"), TableBlock(Table(["a"], [["b"]]), "c")]
    for name in ("1.pdf", "2.pdf", "1.html", "2.html"):
        (write_pdf if name.endswith("pdf") else write_html)(document(*blocks), tmp_path / name)
    for kind in ("pdf", "html"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()


def test_the_pdf_can_be_read_as_text(written):
    reader = pytest.importorskip("pypdf", reason="reading a PDF's text needs pypdf, which is not installed").PdfReader
    text = " ".join(page.extract_text() for page in reader(written / "d.pdf").pages)
    assert all(words in text for words in ("Every <pixel> & #all", "the paper", "A note", "Figure 2", "the end"))


def wide_table(n_columns, cell, rows=2):
    return TableBlock(Table([f"heading {i}" for i in range(n_columns)], [[cell] * n_columns] * rows), "wide")


@pytest.mark.parametrize(
    "block",
    [
        wide_table(6, "0.123 ± 0.004"),
        wide_table(11, "0.123 ± 0.004"),
        wide_table(16, "0.123 ± 0.004"),
        wide_table(4, "many words that stand on several lines since they are a sentence"),
        wide_table(6, "`a_name_without_any_blanks`"),
        TableBlock(Table(["a", "b"], [["many words " * 20, "a few and " + "w" * 70]]), "a long word"),
        wide_table(3, f"${typst_formula(sympy.expand((TOTAL + H * W) * (NF + 3)))}$"),
        Equation(" + ".join(f"{i} thin x_{i}" for i in range(2, 60))),
        FigureBlock(plot((14, 3)), "wide"),
        FigureBlock(plot((3, 14)), "high"),
    ],
    ids=["six", "eleven", "sixteen", "prose", "code", "word", "formulas", "equation", "wide", "high"],
)
def test_nothing_is_cut(block):
    pages = printed(document(block))
    assert [ink_in_margins(page) for page in pages] == [0] * len(pages)
    assert min(page.getextrema()[0] for page in pages[1:]) < 128  # something stands there


def test_long_tables_go_on_with_their_headings():
    rows = [[str(i), "x"] for i in range(120)]
    pages = printed(document(TableBlock(Table(["number", "letter"], rows), "long")))[1:]
    assert len(pages) >= 3
    margin = int(24 / 25.4 * PPI)
    heads = [page.crop((0, margin, page.width, margin + 12)) for page in pages[1:3]]
    assert heads[0].tobytes() == heads[1].tobytes()
    assert heads[0].getextrema()[0] < 128


def test_only_the_widest_tables_are_set_sideways():
    assert not is_sideways(wide_table(8, "0.123 ± 0.004").table, 470.0)
    assert is_sideways(wide_table(13, "0.123 ± 0.004").table, 470.0)
    sizes = {page.size for page in printed(document(wide_table(13, "0.123 ± 0.004")))}
    assert len(sizes) == 2
    assert {tuple(sorted(size)) for size in sizes} == {min(sizes)}


def test_lines_are_broken_between_words_and_terms_only():
    assert unbreakable("a **b c**`d e`(f)") == ["a", "**b**", "**c**`d`", "`e`(f)"]
    assert unbreakable('$x + f(a + b) - "c + d" + y$') == ["$x +$", "$f(a + b) -$", '$"c + d" +$', "$y$"]
    assert unbreakable("") == []


# Formulas and tables by themselves


@pytest.mark.parametrize(
    "formula",
    [
        TOTAL,
        37 * NF * H * W / 16 - 4,
        26752 * sympy.ceiling(H / 8) ** 2,
        sympy.floor((H + 3) / 8),
        sympy.ceiling(sympy.ceiling(H / 2) / 2),
        Rounded(3 * H / 64),
        sympy.Eq(sympy.Mod(H, 4), 2, evaluate=False),
        sympy.Ne(H, W),
        NF / (H * W),
        (NF + 1) ** 12,
        2**n,
        sympy.Integer(-1200),
    ],
    ids=str,
)
def test_formulas_read_in_words_as_they_do_in_unicode(formula):
    assert in_words(f"${typst_formula(formula)}$") == unicode_formula(formula)


def test_formulas_for_typst():
    assert typst_formula(9 * NF * NC) == '9 thin upright("NF") thin upright("NC")'
    tags, words = read_by_typst(f" ${typst_formula(TOTAL)}$ ")
    assert {"math", "msup"} <= tags
    assert words.replace(" ", "") == "x72NF2+9NFNC+9NC2+27NF+4NCy"


def test_tables_alone():
    table = table_in_words(Table(["**a**", "`b`"], [[r"c\*", "$x^2$"], ["d|e\nf", "1,000"]]))
    assert table == Table(["a", "b"], [["c*", "x²"], ["d|e\nf", "1,000"]])
    assert table.markdown() == "| a | b |\n| --- | ---: |\n| c* | x² |\n| d\\|e f | 1,000 |\n"
    assert table.csv() == 'a,b\nc*,x²\n"d|e\nf","1,000"\n'
    assert "<td>&lt;b&gt;</td>" in Table(["a"], [["<b>"]]).html()
    assert Table(["a", "b"], [["long", "1"]]).text() == "a     b\nlong  1\n"
