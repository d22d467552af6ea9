"""What a network costs reads the same in every notation, adds up, and what it is named after cannot become markup."""

import dataclasses
import functools
import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from html.parser import HTMLParser

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pixelwise import Conventions, account
from pixelwise.accounting.account import Growth, Quantity, Row, tidied
from pixelwise.accounting.costs import Costs
from pixelwise.accounting.rounding import Rounded
from pixelwise.accounting.symbols import symbol
from pixelwise.errors import BadSetting
from pixelwise.report.cost_documents import PAGE_ROWS, latex, latex_text, markdown, markdown_code, markdown_text
from pixelwise.report.cost_figures import MOST_BARS, bars_in_words, cost_bars, grouped, save_bars
from pixelwise.report.cost_math import latex_formula, mathml_formula, mathml_in_pieces, unicode_formula
from pixelwise.report.cost_page import html, write_cost_page
from pixelwise.report.cost_text import cost_table, formula_values, heading, remarks, slips_table, totals_table

WHAT = ("weights", "outputs", "connections")
NAMES = ("B", "n", "NF", "NC", "K", "k", "NIC", "H", "W")
B, n, NF, NC, K, k, NIC, H, W = SYMBOLS = tuple(map(symbol, NAMES))
PRIME = 101, 103, 107, 109, 113, 127, 131, 137, 139, 211, 223, 227, 229, 233, 239, 241, 251, 257
HOSTILE = "<script>alert(1)</script>a_b$c&d|e`f%g#h{i}j\\k~l^m"


HALF, QUARTER, EIGHTH = (lambda side, m=m: sympy.ceiling(side / m) for m in (2, 4, 8))
VALUES = {NF: 32, NC: 24, NIC: 1, k: 3, K: 2}


def made_by_hand(model, size, layers, **others):
    """An account of layers that are given as name, kind, channels, what a side becomes, weights, and connections."""
    values = {**VALUES, H: size[0], W: size[1]}
    fixed = {s: v for s, v in values.items() if s in (H, W, k, NIC)}

    def quantity(formula):
        formula = sympy.expand(formula)
        return Quantity(formula, sympy.expand(formula.subs(fixed)), int(formula.subs(values)))

    rows, sums = [], dict.fromkeys(WHAT, sympy.S.Zero)
    for name, kind, channels, side, weights, products in layers:
        made = tuple(map(sympy.sympify, (channels, side(H), side(W))))
        outputs = 0 if kind == "BatchNorm2d" else sympy.Mul(*made)
        counts = dict(zip(WHAT, (weights, outputs, products * made[1] * made[2]), strict=True))
        sums = {what: sums[what] + counts[what] for what in WHAT}
        rows.append(Row(name, kind, 1, made, {what: quantity(count) for what, count in counts.items()}))
    totals = {what: quantity(total) for what, total in sums.items()}
    later = {what: quantity(total.formula.subs({H: 2 * H, W: 2 * W})) for what, total in totals.items()}
    doubled = {
        what: Growth(
            later[what],
            ratio := Fraction(later[what].value, totals[what].value),
            ratio in (1, 4),
            totals[what].value,
            (),
        )
        for what in WHAT
    }
    known = {"widths": {str(s): v for s, v in VALUES.items() if any(f.has(s) for f in sums.values())}, "size": size}
    said = {"notes": [], "checked": "H = 40", "statistics": 432, "slips": {}, **others}
    return dataclasses.replace(
        account("lookup", (8, 8)), model=model, rows=rows, totals=totals, doubled=doubled, **known, **said
    )


def remains(side, divisor, rest):
    return sympy.Eq(sympy.Mod(side, divisor), rest, evaluate=False)


SEVERAL = remains(H, 4, 0), sympy.Ne(4 * sympy.ceiling(W / 4), W), remains(k, 2, 1)


def exercise(size, conditions):
    """The exercise's network: two halvings and two doublings."""

    def halved(side):
        return side / 2 if side in (H, W) and conditions is not SEVERAL else HALF(side)

    def quartered(side):
        return side / 4 if side in (H, W) and conditions is not SEVERAL else QUARTER(side)

    def whole(side):
        return side

    def convolution(name, given, made, side):
        return name, "MyConv2d", made, side, k**2 * given * made + made, k**2 * given * made

    def rest(name, kind, made, side):
        return name, kind, made, side, 2 * made if kind == "BatchNorm2d" else 0, 0

    layers = [
        convolution("down1.0", NIC, NF, whole),
        rest("down1.1", "MaxPool2d", NF, halved),
        rest("down1.2", "BatchNorm2d", NF, halved),
        convolution("down2.0", NF, 2 * NF, halved),
        rest("down2.1", "MaxPool2d", 2 * NF, quartered),
        rest("down2.2", "BatchNorm2d", 2 * NF, quartered),
        convolution("middle.0", 2 * NF, 2 * NF, quartered),
        rest("middle.1", "BatchNorm2d", 2 * NF, quartered),
        convolution("up1.0", 2 * NF, NF, quartered),
        rest("up1.1", "Upsample", NF, halved),
        rest("up1.2", "BatchNorm2d", NF, halved),
        convolution("up2.0", NF, NC, halved),
        rest("up2.1", "Upsample", NC, whole),
        rest("up2.2", "BatchNorm2d", NC, whole),
        convolution("last", NC, NC, whole),
    ]
    return made_by_hand("cnn", size, layers, conditions=conditions)


@pytest.fixture(scope="module")
def cnn():
    return exercise((32, 32), [remains(H, 4, 0), remains(W, 4, 0), remains(k, 2, 1)])


@pytest.fixture(scope="module")
def odd():
    return exercise((33, 36), SEVERAL)


@pytest.fixture(scope="module")
def large():
    """Four stages of six blocks, sizes rounded up, and two enlargements."""
    layers = [("resize", "interpolate", 3, lambda side: 32 * Rounded(3 * side / 64), 0, 0)]
    for stage, side in enumerate([HALF, QUARTER, EIGHTH, EIGHTH]):
        wide = 64 * 2**stage
        for block in range(6):
            name = f"backbone.layer_{stage}.{block}"
            layers += [
                (f"{name}.conv1", "Conv2d", wide, side, 9 * wide**2, 9 * wide**2),
                (f"{name}.bn1", "BatchNorm2d", wide, side, 2 * wide, 0),
                (f"{name}.conv2", "Conv2d", wide, side, wide**2, wide**2),
            ]
    layers += [
        ("last", "Conv2d", K, EIGHTH, 512 * K + K, 512 * K),
        ("interpolate", "interpolate", K, lambda side: side, 0, 0),
    ]
    cost = made_by_hand("deep_lab", (65, 224), layers, conditions=[sympy.Ne(sympy.ceiling(H / 8), H)])
    slow = dataclasses.replace(cost.doubled["connections"], because=("last", "a_b", "c", "d", "e"))
    return dataclasses.replace(cost, doubled={**cost.doubled, "connections": slow})


def renamed(cost, words):
    """Everything that is text in an account says something else."""
    rows = [dataclasses.replace(row, name=f"{words}{i}", kind=words) for i, row in enumerate(cost.rows)]
    doubled = {**cost.doubled, "outputs": dataclasses.replace(cost.doubled["outputs"], because=(words,))}
    slips = {f"weights, {words}": cost.totals["weights"]}
    texts = {"notes": [words], "checked": words}
    return dataclasses.replace(cost, model=words, rows=rows, doubled=doubled, slips=slips, **texts)


@pytest.fixture(scope="module")
def hostile(cnn):
    return renamed(cnn, HOSTILE)


def formulas_of(cost):
    for quantity in [*cost.totals.values(), *(growth.doubled for growth in cost.doubled.values())]:
        yield from (quantity.formula, quantity.at_size)
    for row in cost.rows:
        yield from (*row.made, *(quantity.formula for quantity in row.counts.values()))


@pytest.fixture(scope="module")
def page(cnn, odd, large, hostile):
    """Pages by the names of the accounts, each made once."""
    costs = {"cnn": cnn, "odd": odd, "large": large, "hostile": hostile}
    return functools.cache(lambda name: html(Costs(costs[name])))


def numbers(table):
    """The columns of weights, outputs and connections."""
    return [[int(cell.replace(",", "") or 0) for cell in row[-3:]] for row in table.rows]


# Formulas


@pytest.mark.parametrize(
    ("formula", "text", "tex", "inside"),
    [
        (
            27 * NF + 72 * NF**2 + 9 * NC**2 + 9 * NF * NC,
            "72·NF² + 9·NF·NC + 9·NC² + 27·NF",
            r"72{\cdot}\mathit{NF}^{2} + 9{\cdot}\mathit{NF}{\cdot}\mathit{NC} + 9{\cdot}\mathit{NC}^{2}"
            r" + 27{\cdot}\mathit{NF}",
            None,
        ),
        (
            37 * NF * H * W / 16 - 4,
            "37·NF·H·W/16 − 4",
            r"37{\cdot}\mathit{NF}{\cdot}H{\cdot}W/16 - 4",
            "<mrow><mrow><mn>37</mn><mo>·</mo><mi>NF</mi><mo>·</mo><mi>H</mi><mo>·</mo><mi>W</mi>"
            '<mo lspace="0" rspace="0">/</mo><mn>16</mn></mrow><mo>−</mo><mn>4</mn></mrow>',
        ),
        (
            26752 * sympy.ceiling(H / 8) ** 2,
            "26,752·⌈H/8⌉²",
            r"26{,}752{\cdot}\lceil H/8 \rceil^{2}",
            "<mrow><mn>26,752</mn><mo>·</mo><msup><mrow><mo>⌈</mo><mrow><mi>H</mi>"
            '<mo lspace="0" rspace="0">/</mo><mn>8</mn></mrow><mo>⌉</mo></mrow><mn>2</mn></msup></mrow>',
        ),
        (sympy.floor((H + 3) / 8), "⌊(H+3)/8⌋", r"\lfloor \left(H + 3\right)/8 \rfloor", None),
        (
            Rounded(3 * H / 64),
            "round(3·H/64)",
            r"\operatorname{round}(3{\cdot}H/64)",
            "<mrow><mi>round</mi><mo>\u2061</mo><mo>(</mo><mrow><mn>3</mn><mo>·</mo><mi>H</mi>"
            '<mo lspace="0" rspace="0">/</mo><mn>64</mn></mrow><mo>)</mo></mrow>',
        ),
        (
            sympy.Eq(sympy.Mod(H, 4), 2, evaluate=False),
            "(H mod 4) = 2",
            r"(H \bmod 4) = 2",
            "<mrow><mrow><mo>(</mo><mi>H</mi><mo>mod</mo><mn>4</mn><mo>)</mo></mrow><mo>=</mo><mn>2</mn></mrow>",
        ),
        (H < W, "H < W", "H < W", "<mrow><mi>H</mi><mo>&lt;</mo><mi>W</mi></mrow>"),
        (
            sympy.ceiling(H / 8) * W * NIC * k,
            "k·NIC·⌈H/8⌉·W",
            r"k{\cdot}\mathit{NIC}{\cdot}\lceil H/8 \rceil{\cdot}W",
            None,
        ),
        (NF / (H * W), "NF/(H·W)", r"\mathit{NF}/(H{\cdot}W)", None),
        (-NF, "−NF", r"-\mathit{NF}", "<mrow><mo>−</mo><mi>NF</mi></mrow>"),
        (sympy.Integer(-1200), "−1,200", "-1{,}200", "<mrow><mo>−</mo><mn>1,200</mn></mrow>"),
        (2**n, "2^n", "2^{n}", "<msup><mn>2</mn><mi>n</mi></msup>"),
        (
            8 * B * H * W + 4 * B * K * H * W + 1024 * B * sympy.ceiling(H / 8) * sympy.ceiling(W / 8) + n,
            "4·B·K·H·W + 8·B·H·W + 1,024·B·⌈H/8⌉·⌈W/8⌉ + n",
            r"4{\cdot}B{\cdot}K{\cdot}H{\cdot}W + 8{\cdot}B{\cdot}H{\cdot}W"
            r" + 1{,}024{\cdot}B{\cdot}\lceil H/8 \rceil{\cdot}\lceil W/8 \rceil + n",
            None,
        ),
    ],
)
def test_formulas_in_all_notations(formula, text, tex, inside):
    assert unicode_formula(formula) == text
    assert latex_formula(formula) == tex
    found = mathml_formula(formula)
    ET.fromstring(found)
    if inside is not None:
        assert re.sub(r"&#(\d+);", lambda m: chr(int(m[1])), found) == f"<math>{inside}</math>"


def calculated(text):
    """The formula of a text in Python's own notation."""
    named = dict(zip(NAMES, SYMBOLS, strict=True))
    return eval(text, {"__builtins__": {}}, {**named, "c": sympy.ceiling, "f": sympy.floor, "r": Rounded, "q": sympy.S})


def from_unicode(text):
    text = re.sub("[⁰¹²³⁴-⁹]+", lambda m: f"**{m[0].translate(str.maketrans('⁰¹²³⁴⁵⁶⁷⁸⁹', '0123456789'))}", text)
    for sign, python in {",": "", "−": "-", "·": "*", "⌈": "c(", "⌊": "f(", "⌉": ")", "⌋": ")", "round": "r"}.items():
        text = text.replace(sign, python)
    return calculated(re.sub(r"\b(\d+)", r"q(\1)", text))


def from_latex(text):
    text = re.sub(r"\\mathit\{(\w+)\}", r"\1", text.replace("{,}", "").replace(r"\left", "").replace(r"\right", ""))
    text = text.replace(r"{\cdot}", "*").replace(r"\operatorname{round}", "r")
    for sign, python in {r"\lceil ": "c(", r"\lfloor ": "f(", r" \rceil": ")", r" \rfloor": ")"}.items():
        text = text.replace(sign, python)
    return calculated(re.sub(r"\b(\d+)", r"q(\1)", re.sub(r"\^\{(\d+)\}", r"**\1", text)))


def from_mathml(text):
    def said(element):
        children = [said(child) for child in element]
        if element.tag == "msup":
            return f"{children[0]}**{children[1]}"
        return "".join(children) if children else (element.text or "").replace(",", "")

    text = "".join(said(ET.fromstring(math)) for math in re.findall("<math>.*?</math>", text))
    return from_unicode(text.replace("\u2061", ""))


PRIMES = [dict(zip(SYMBOLS, primes, strict=True)) for primes in (PRIME[:9], PRIME[9:])]


def assert_reads_back(formula):
    for read in (
        from_unicode(unicode_formula(formula)),
        from_latex(latex_formula(formula)),
        from_mathml(mathml_formula(formula)),
        from_mathml(mathml_in_pieces(formula)),
    ):
        for values in PRIMES:  # as good as equal polynomials, and much quicker
            assert read.subs(values) == formula.subs(values)


def test_all_formulas_of_accounts_read_back_from_every_notation(cnn, odd, large):
    formulas = {formula for cost in (cnn, odd, large) for formula in formulas_of(cost)}
    assert any(formula.has(sympy.ceiling) for formula in formulas)
    for formula in formulas:
        assert_reads_back(formula)


sizes = st.sampled_from([H, W, sympy.ceiling(H / 8), sympy.floor((W + 3) / 8), Rounded(3 * H / 64), H + 1])
terms = st.builds(
    lambda number, widths, made: sympy.Mul(sympy.Rational(*number), *widths, *made),
    st.tuples(st.integers(-3000, 3000), st.integers(1, 16)),
    st.lists(st.sampled_from(SYMBOLS[:7]), max_size=4),
    st.lists(sizes, max_size=3),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(terms, min_size=1, max_size=5))
def test_any_formula_reads_back_from_every_notation(added):
    assert_reads_back(sympy.Add(*added))


def test_long_terms_break_between_factors_and_short_ones_do_not():
    long = 136672 * Rounded(3 * H / 64) * Rounded(3 * W / 64)
    assert [piece.count("<math>") for piece in mathml_in_pieces(K * H * W - long).split(" <math>")] == [1, 1]
    assert mathml_in_pieces(long).count("<math>") == 2
    assert mathml_in_pieces(H * W - 4).count("<math>") == 2
    assert mathml_in_pieces(-long / 7).startswith("<math><mrow><mo>−</mo><mn>136,672</mn>")


# Conditions


@pytest.mark.parametrize(
    ("relation", "tidy"),
    [
        (sympy.Ne(-W + 4 * sympy.ceiling(W / 4), 0), "4·⌈W/4⌉ ≠ W"),
        (sympy.Ne(4 * Rounded(3 * H / 64), 8 * Rounded(3 * H / 64)), "round(3·H/64) ≠ 0"),
        (-H / 2 + 2 * sympy.floor(H / 4 - sympy.Rational(1, 4)) + sympy.Rational(5, 2) >= 0, "4·⌊(H−1)/4⌋ + 5 ≥ H"),
        (sympy.Eq(sympy.ceiling(H / 8) - sympy.floor(H / 8), W + 1, evaluate=False), "⌈H/8⌉ = ⌊H/8⌋ + W + 1"),
        (sympy.Gt(7, H), "H < 7"),
    ],
)
def test_relations_are_tidied_and_still_say_the_same(relation, tidy):
    assert unicode_formula(tidied(relation)) == tidy
    for height, width in [(h, w) for h in range(1, 40, 3) for w in range(1, 12)]:
        there = {H: height, W: width}
        assert tidied(relation).subs(there) == relation.subs(there)


# Text


def test_totals_in_text(cnn):
    assert heading(cnn) == "cnn at 32 × 32"
    assert totals_table(cnn).headings[1:3] == ["at 32 × 32", "at 64 × 64"]
    assert totals_table(cnn).rows == [
        ["weights", "86,784", "86,784", "unchanged"],
        ["outputs", "131,072", "524,288", "×4 exactly"],
        ["connections", "15,630,336", "62,521,344", "×4 exactly"],
    ]
    assert formula_values(cnn)[:5] == [
        ("weights", "8·NF²·k² + NF·NC·k² + NF·k²·NIC + NC²·k² + 18·NF + 4·NC"),
        ("  at 32 × 32", "72·NF² + 9·NF·NC + 9·NC² + 27·NF + 4·NC"),
        ("outputs", "37·NF·H·W/16 + 9·NC·H·W/4"),
        ("  at 32 × 32", "2,368·NF + 2,304·NC"),
        ("  at 64 × 64", "9,472·NF + 9,216·NC"),
    ]


def test_formulas_in_text_are_said_once(large):
    names = [name for name, _ in formula_values(large)]
    assert names == ["weights", *[name for what in WHAT[1:] for name in (what, "  at 65 × 224", "  at 130 × 448")]]


def test_layers_in_text_add_up(cnn, odd, large):
    for cost in (cnn, odd, large):
        *layers, together = numbers(cost_table(cost))
        assert [sum(column) for column in zip(*layers, strict=True)] == together
        assert together == [cost.totals[what].value for what in WHAT]


def test_a_small_network_has_a_table_of_formulas(cnn):
    values, formulas = cost_table(cnn), cost_table(cnn, formulas=True)
    assert values.rows[3] == ["down2.0", "MyConv2d", "64 × 16 × 16", "18,496", "16,384", "4,718,592"]
    sized = "2·NF × H/2 × W/2"
    assert formulas.rows[3] == ["down2.0", "MyConv2d", sized, "2·NF²·k² + 2·NF", "NF·H·W/2", "NF²·k²·H·W/2"]
    assert len(formulas.rows) == len(cnn.rows)


def test_sizes_are_those_at_this_size(odd):
    assert cost_table(odd).rows[3][2] == "64 × 17 × 18"
    assert cost_table(odd, formulas=True).rows[3][2] == "2·NF × ⌈H/2⌉ × ⌈W/2⌉"


def test_of_a_large_network_what_counts_is_shown_and_the_rest_summed(large):
    table = cost_table(large, formulas=True)
    idle = [row for row in large.rows if not row.counts["weights"].value and not row.counts["connections"].value]
    assert len(large.rows) > 60
    assert len(idle) == 2
    assert len(table.rows) == len(large.rows) - len(idle) + 2
    assert table.rows[-2][0] == f"and {len(idle)} others"
    assert not {row.name for row in idle} & {row[0] for row in table.rows}
    assert "⌈" not in str(table.rows)


def test_calls_are_shown_where_there_is_more_than_one(cnn):
    twice = dataclasses.replace(cnn, rows=[dataclasses.replace(cnn.rows[0], calls=2), *cnn.rows[1:]])
    assert "calls" not in cost_table(cnn).headings
    table = cost_table(twice)
    assert [row[table.headings.index("calls")] for row in table.rows] == ["2", *["1"] * 14, ""]
    assert html(Costs(twice)).count("<td>2</td>") == 1


def test_mistakes_say_how_far_they_are_off(cnn):
    right = cnn.totals["weights"]
    wrong = {"×2.5": 216_960, "6% too few": 81_577, "10% too many": 95_462, "5 too many": 86_789, "right here": 86_784}
    slips = {f"weights, {words}": dataclasses.replace(right, value=value) for words, value in wrong.items()}
    for row, words in zip(slips_table(dataclasses.replace(cnn, slips=slips)).rows, wrong, strict=True):
        assert row == [f"weights, {words}", f"{wrong[words]:,}", words]


def test_remarks(cnn, large):
    said = dict(remarks(cnn))
    assert said["widths"] == "NF = 32, NC = 24, k = 3, NIC = 1"
    assert said["holds where"] == "H is a multiple of 4; W is a multiple of 4; k is odd"
    assert "432 running means" in said["counted"]
    assert said["checked"] == cnn.checked
    many = dataclasses.replace(cnn, conditions=[H > 1, H > 2, H > 3, H > 4, H > 5], notes=["a", "b"])
    assert dict(remarks(many))["holds where"] == "H > 1; H > 2; H > 3 and 2 more"
    assert [words for name, words in remarks(many) if name == "note"] == ["a", "b"]
    assert dict(remarks(large))["connections not ×4"] == "because of last, a_b, c and 2 more"
    convention = Conventions(outputs="every", connections="pooling", normalization="statistics")
    everything = dataclasses.replace(cnn, convention=convention)
    assert "sums, joins" in dict(remarks(everything))["counted"]
    assert "432" not in dict(remarks(everything))["counted"]


# Documents


@pytest.mark.parametrize("view", [markdown, latex, None])
def test_all_totals_and_layers_are_in_every_document(view, cnn, large, page):
    for name, cost in {"cnn": cnn, "large": large}.items():
        text = (view(Costs(cost)) if view else page(name)).replace("{,}", ",").replace(r"\_", "_")
        for what in WHAT:
            assert f"{cost.totals[what].value:,}" in text
            assert f"{cost.doubled[what].doubled.value:,}" in text
        for quantity in cost.slips.values():
            assert f"{quantity.value:,}" in text
        shown = {row[0] for row in cost_table(cost).rows[:-1]} - {"and 2 others"}
        assert [layer for layer in shown if layer not in text] == []


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_hostile_names_are_not_markup_in_html(page):
    seen = Tags(page("hostile"))
    assert not {"script", "b"} & seen.tags
    assert f"{HOSTILE}0" in seen.texts
    assert {f"weights, {HOSTILE}", "right here"} <= set(seen.texts)


def test_hostile_names_are_not_markup_in_markdown(hostile):
    rendered = Tags(MarkdownIt("commonmark").enable("table").render(markdown(Costs(hostile))))
    assert not {"script", "em", "a"} & rendered.tags
    assert f"{HOSTILE}0" in rendered.texts
    assert "".join(rendered.texts).count(HOSTILE) == 1 + 2 * 2 * len(hostile.rows) + 4
    assert markdown_text("a_b*c$d<f>&\n") == r"a\_b\*c\$d&lt;f&gt;&amp; "
    assert markdown_code("`a``") == "``` `a`` ```"


def test_hostile_names_are_no_commands_in_latex(hostile, cnn):
    tame = latex(Costs(renamed(cnn, "tame")))
    name = (
        r"\textless{}script\textgreater{}alert(1)\textless{}/script\textgreater{}a\_b\$c\&d\textbar{}e{\char96}f"
        r"\%g\#h\{i\}j\textbackslash{}k\textasciitilde{}l\textasciicircum{}m"
    )
    assert latex_text(HOSTILE) == name
    assert latex(Costs(hostile)).count(rf"\texttt{{{name}") == 1 + 2 * len(hostile.rows) + 1
    assert "<script>" not in latex(Costs(hostile))

    def skeleton(text):
        return re.sub(r"\\[\\_$&%#{}]", "", text)

    for sign in "_$&%#":
        assert skeleton(latex(Costs(hostile))).count(sign) == skeleton(tame).count(sign)


@pytest.mark.parametrize("which", ["cnn", "odd", "large"])
def test_latex_is_well_formed(which, request):
    text = latex(Costs(request.getfixturevalue(which)))
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", text):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    bare = re.sub(r"(?<!\\)%.*", "", re.sub(r"\\[{}$&%_]", "", text))
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert text.isascii()
    tables = re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert tables
    for columns, body in tables:
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert 1 < len(lines) <= PAGE_ROWS + 1
        assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(columns) - 1}
    equations = re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end", text, re.DOTALL)
    assert len(equations) == 3
    assert all(line.count("&") == 1 for equation in equations for line in equation.split("\\\\\n"))


def test_equations_say_the_same_over_all_their_lines(odd, large):
    for cost in (odd, large):
        equations = re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end", latex(Costs(cost)), re.DOTALL)
        for what, equation in zip(WHAT, equations, strict=True):
            total = cost.totals[what]
            first, *said = equation.replace("\\\\\n", "").replace(r"&\quad", "").split("&=")
            assert first == rf"\text{{{what}}} "
            formulas = list(dict.fromkeys([total.formula, total.at_size, sympy.Integer(total.value)]))
            assert [sympy.expand(from_latex(text) - f) for text, f in zip(said, formulas, strict=True)] == [0] * len(
                said
            )


def test_markdown_tables_have_as_many_cells_as_headings(cnn):
    rendered = MarkdownIt("commonmark").enable("table").render(markdown(Costs(cnn)))
    for table in re.findall("<table>.*?</table>", rendered, re.DOTALL):
        rows = re.findall("<tr>.*?</tr>", table, re.DOTALL)
        assert len({len(re.findall("<t[hd]", row)) for row in rows}) == 1
    formulas = re.findall(r"(?:^|[ (])\$([^$ ][^$]*)\$(?=[ ,;.\n])", markdown(Costs(cnn)))  # as GitHub finds them
    assert 2 * len(formulas) == markdown(Costs(cnn)).count("$")
    assert not re.search(r"\\[^a-z]", "".join(formulas))  # which Markdown would take for escapes


# The page


@pytest.mark.parametrize("which", ["cnn", "large", "hostile"])
def test_the_page_stands_alone_and_its_formulas_are_well_formed(which, page):
    bare = re.sub(r"data:image/png;base64,[\w+/=]+", "data:", page(which))
    assert re.findall(r"""(?:src|srcset|href)=["']([^"']*)""", bare) == ["data:", "data:"]
    assert not re.search(r"https?:|url\(|@import|<script|<link", bare)
    formulas = re.findall("<math>.*?</math>", bare)
    assert len(formulas) == bare.count("<math") > 20
    assert {element.tag for formula in formulas for element in ET.fromstring(formula).iter()} <= {
        *("math", "mrow", "mi", "mn", "mo", "msup")
    }
    assert re.search('<img [^>]*alt="Bars of where [^"]+"', bare)


def test_the_page_has_a_picture_for_dark_paper_too(page):
    light, dark = re.findall('data:image/png;base64,[^"]+', page("cnn"))
    assert light != dark


def test_the_page_says_a_formula_once(page):
    part = re.search("<h3>weights</h3>.*?</div>", page("odd"), re.DOTALL)[0]
    assert re.findall("<dt>(.*?)</dt>", part) == ["in general", "at 33 × 36"]


# The picture


def test_bars_have_names_shares_and_totals(cnn):
    figure = cost_bars(cnn)
    assert [axes.get_title() for axes in figure.axes] == ["86,784 weights", "131,072 outputs", "15,630,336 connections"]
    assert [axes.get_xlabel() for axes in figure.axes] == [f"share of all {what} (%)" for what in WHAT]
    assert figure.axes[0].get_ylabel() == "layer"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [row.name for row in cnn.rows]
    for axes, what in zip(figure.axes, WHAT, strict=True):
        widths = [patch.get_width() for patch in axes.patches]
        assert sum(widths) == pytest.approx(100)
        assert widths[3] == pytest.approx(100 * cnn.rows[3].counts[what].value / cnn.totals[what].value)
    assert len({axes.patches[0].get_facecolor() for axes in figure.axes}) == 3
    assert bars_in_words(cnn).endswith(
        "43% of the weights in middle.0, 25% of the outputs in down1.0, 34% of the connections in last"
    )


def test_large_networks_are_grouped_by_names(large):
    groups = grouped(large)
    assert len(groups) == 1 + 4 + 2
    assert "backbone.layer_3" in groups
    assert next(iter(groups)) == "resize"
    for what in WHAT:
        assert sum(counts[what] for counts in groups.values()) == large.totals[what].value
    assert cost_bars(large).axes[0].get_ylabel() == "layers, by the beginning of their names"


def test_many_layers_without_a_common_beginning_become_others(cnn):
    total = {what: sum(row.counts[what].value for row in cnn.rows) for what in WHAT}
    rows = [dataclasses.replace(row, name=f"{row.name.replace('.', '')}{i}") for i in range(4) for row in cnn.rows]
    groups = grouped(dataclasses.replace(cnn, rows=rows))
    assert len(groups) == MOST_BARS
    assert list(groups)[-1] == f"{4 * 15 - MOST_BARS + 1} others"
    assert {what: sum(group[what] for group in groups.values()) for what in WHAT} == {
        what: 4 * value for what, value in total.items()
    }


def test_names_in_the_picture_are_no_formulas_and_not_too_long(hostile, tmp_path):
    rows = [*hostile.rows[:-1], dataclasses.replace(hostile.rows[-1], name="$x_1$")]
    figure = cost_bars(dataclasses.replace(hostile, rows=rows), dark=True)
    figure.savefig(tmp_path / "bars.png")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(set(labels)) == 15  # the ends of the names are there
    assert all(len(label) <= 30 for label in labels)
    assert labels[-1] == r"\$x_1\$"


def test_a_network_without_weights_can_be_shown(tmp_path):
    cost = account("lookup", (8, 8))
    assert totals_table(cost).rows[0][1] == "0"
    for name, start in {"bars.png": b"\x89PNG", "bars.PDF": b"%PDF", "bars.svg": b"<?xml"}.items():
        save_bars(cost, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    with pytest.raises(BadSetting, match=r"ends in \.png, \.pdf, \.svg"):
        save_bars(cost, tmp_path / "bars.txt")
    shown = {axes.get_title(): axes.patches[0].get_width() for axes in cost_bars(cost).axes}
    assert (shown["0 weights"], shown["0 connections"]) == (0, 0)
    assert bars_in_words(cost).endswith("the most: 100% of the outputs in Lookup")
    assert all(view(Costs(cost)) for view in (markdown, latex))
    write_cost_page(Costs(cost), tmp_path / "cost.html")
    assert "Lookup" in (tmp_path / "cost.html").read_text()
