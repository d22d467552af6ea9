"""Integers with formulas: whatever Python computes with them, the formula gives wherever its conditions hold."""

import copy
import json
import math
import pickle

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.accounting.account import in_words
from pixelwise.accounting.rounding import Rounded, ceilings, floor_of, floors, written_out
from pixelwise.accounting.symbols import Facts, SymbolicInt, expression_of, plain_of, symbol, unasked

H, W = symbol("H"), symbol("W")
SIDES = st.integers(1, 70)
ELSEWHERE = st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=4, max_size=4)

# Of two numbers with formulas and a small plain one. The last four know their argument only by asking it something.
STEPS = {
    "a + b": lambda a, b, c: a + b,
    "a - b": lambda a, b, c: a - b,
    "c - a": lambda a, b, c: c - a,
    "a * b": lambda a, b, c: a * b,
    "c * a": lambda a, b, c: c * a,
    "a // c": lambda a, b, c: a // c,
    "a // -c": lambda a, b, c: a // -c,
    "a % c": lambda a, b, c: a % c,
    "-a % c": lambda a, b, c: -a % c,
    "rounded up": lambda a, b, c: -(-a // c),
    "math.ceil": lambda a, b, c: math.ceil(a / c),
    "math.floor": lambda a, b, c: math.floor(a / c),
    "round": lambda a, b, c: round(a * 1.5 / 32),
    "max": lambda a, b, c: max(a, b),
    "odd": lambda a, b, c: a if a % c else b,
    "equal": lambda a, b, c: a + 1 if a // c == b // 2 else b,
    "less": lambda a, b, c: a if a / 2 <= b * 0.75 else c,
}
PROGRAMS = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 7), st.integers(0, 7), st.integers(1, 9)),
    min_size=1,
    max_size=6,
)


def played(program, h, w):
    """The last of some numbers, each made of two before it."""
    numbers = [h, w]
    for name, first, second, c in program:
        numbers.append(STEPS[name](numbers[first % len(numbers)], numbers[second % len(numbers)], c))
    return numbers[-1]


def asked(compute, h, w):
    """What is computed of two sides, and what became known of them."""
    facts = Facts()
    found = compute(facts.integer("H", h), facts.integer("W", w))
    facts.listening = False
    return found, facts


def check(compute, h, w, others):
    """Compare formulas with plain Python, where they were made and wherever their conditions hold."""
    found, facts = asked(compute, h, w)
    assert plain_of(found) == compute(h, w)
    simple = facts.simplified(sympy.expand(expression_of(found)))
    as_text = sympy.sympify(str(written_out(ceilings(simple))), locals={"H": H, "W": W})
    assert facts.hold_at({H: h, W: w})
    for there in [(h, w), *others]:
        values = dict(zip((H, W), there, strict=True))
        if facts.hold_at(values):
            expected = compute(*there)
            for formula in (expression_of(found), simple, as_text):
                assert formula.subs(values) == expected, (formula, values, facts.conditions)


@settings(max_examples=100, deadline=None)
@given(program=PROGRAMS, h=SIDES, w=SIDES, others=ELSEWHERE)
def test_formulas_give_what_python_computes_wherever_their_conditions_hold(program, h, w, others):
    check(lambda h, w: played(program, h, w), h, w, others)


# None of these gives a formula by itself; those without a simple one have to leave a condition behind.
OPERATORS = {
    "h >> 3": lambda h, w: h >> 3,
    "1 << h % 4": lambda h, w: 1 << (h % 4),
    "h & 8": lambda h, w: h & 8,
    "8 & h": lambda h, w: 8 & h,
    "h | 8": lambda h, w: h | 8,
    "h ^ w": lambda h, w: h ^ w,
    "~h": lambda h, w: ~h,
    "abs": lambda h, w: abs(h - 40),
    "divmod, whole": lambda h, w: divmod(h, 5)[0],
    "divmod, rest": lambda h, w: divmod(h, 5)[1],
    "divmod, swapped": lambda h, w: divmod(100, h)[0],
    "floor": lambda h, w: math.floor(h),
    "ceil": lambda h, w: math.ceil(h // 2),
    "trunc": lambda h, w: math.trunc(h),
    "trunc of a broken number": lambda h, w: math.trunc(h / 3),
    "round": lambda h, w: round(h),
    "round to tens": lambda h, w: round(h, -1),
    "h // 10.0": lambda h, w: int(h // 10.0),
    "h % 10.0": lambda h, w: int(h % 10.0),
    "h / 2 // 5": lambda h, w: int(h / 2 // 5),
    "h / 2 % 5": lambda h, w: int(h / 2 % 5),
    "pow with a modulus": lambda h, w: pow(h, 2, 7),
    "bit_length": lambda h, w: h.bit_length(),
    "is_integer": lambda h, w: int((h / 2).is_integer()),
    "int": lambda h, w: int(h),
    "int of a half": lambda h, w: int(h * 0.5),
    "bool": lambda h, w: bool(h - 32) * w,
    "squares": lambda h, w: h**2 - w**2,
    "in a tuple": lambda h, w: w if h in (32, 64) else h,
    "in a dictionary": lambda h, w: {32: w, 64: 1}.get(h, 7),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_no_operator_forgets_where_a_number_comes_from(name):
    check(OPERATORS[name], 32, 20, [(h, w) for h in (1, 8, 31, 33, 37, 40, 64, 65, 100) for w in (7, 20)])


DIVISIONS = {
    "h // w": lambda h, w: h // w,
    "h % w": lambda h, w: h % w,
    "rounded up": lambda h, w: -(-2 * h // w),
    "again by a number": lambda h, w: -(-(2 * h // w) // 2),
    "of a number": lambda h, w: -(-(100 // h) // 2),
    "one after the other": lambda h, w: 100 // h // w,
    "without a rest": lambda h, w: (h * w + h) // h,
}


@pytest.mark.parametrize("name", DIVISIONS)
def test_one_symbol_divides_another(name):
    check(DIVISIONS[name], 32, 20, [(h, w) for h in (1, 8, 31, 33, 64, 101) for w in (1, 3, 7, 20)])


@pytest.mark.parametrize("h", [30, 32])
@pytest.mark.parametrize(
    ("factor", "rounded"), [(0.7, math.floor), (0.7, round), (1.1, math.ceil), (1 / 3, math.floor), (2**0.5, round)]
)
def test_products_with_broken_numbers_are_rounded_as_python_rounds_them(factor, rounded, h):
    """10 * 0.7 is 7 but 90 * 0.7 is 62.99999999999999: no formula knows, unless a condition leaves such sides out."""
    check(lambda h, w: rounded(h * factor), h, 20, [(other, 20) for other in range(1, 101)])


def test_a_root_is_rounded_down():
    check(lambda h, w: math.floor(h**0.5), 32, 20, [(h, 20) for h in range(1, 50)])


def test_broken_numbers_below_zero_become_whole_as_pythons_do():
    check(lambda h, w: int((h - 33) / 2), 32, 20, [(h, 20) for h in range(1, 70)])


def test_sides_can_be_compared_with_the_infinite():
    check(lambda h, w: min(math.inf, h) if h < math.inf else w, 32, 20, [(64, 20)])


def test_nothing_divides_by_zero():
    facts = Facts()
    h = facts.integer("H", 32)
    for divide in (lambda: h // 0, lambda: h % 0, lambda: h / 0, lambda: h // (h - h)):
        with pytest.raises(ZeroDivisionError):
            divide()


@settings(max_examples=60, deadline=None)
@given(m=st.integers(1, 9), d=st.integers(1, 9), c=st.integers(-20, 20), h=st.integers(1, 300))
def test_a_rounding_of_a_rounding_is_one_rounding(m, d, c, h):
    """floor((floor(H / m) + c) / d) = floor((H + c m) / (m d)), and it keeps one floor at most."""
    formula = floor_of(sympy.floor(H / m) + c if m > 1 else H + c, d)
    assert len(formula.atoms(sympy.floor)) <= 1
    assert formula.subs(H, h) == (h // m + c) // d
    assert ceilings(floors(ceilings(formula))).subs(H, h) == (h // m + c) // d


def test_halvings_become_one_ceiling():
    def halved(h, w):
        for _ in range(4):
            h = -(-h // 2)
        return h

    found, facts = asked(halved, 33, 1)
    assert ceilings(facts.simplified(found.expression)) == sympy.ceiling(H / 16)
    assert not facts.conditions


@pytest.mark.parametrize("numerator", range(-9, 10))
def test_rounding_halves_goes_to_the_even_side_as_pythons_does(numerator):
    half = sympy.Rational(numerator, 2)
    assert Rounded(half) == round(numerator / 2)
    assert written_out(Rounded(H / 2)).subs(H, half * 2) == round(numerator / 2)


def test_what_was_asked_makes_formulas_simpler():
    facts = Facts()
    h = facts.integer("H", 36)
    assert (h + 3) // 4 == 9 and h % 4 == 0 and h % 3 == 0
    assert (h // 12).expression == H / 12
    assert facts.conditions[0] == sympy.Eq(sympy.Mod(H, 12), 0, evaluate=False)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda h: (h + 1) % 2 == 0, "H is odd"),
        (lambda h: (h - 1) // 2 * 2 == h - 1, "H is odd"),
        (lambda h: h % 4 == 1, "H is a multiple of 4, plus 1"),
        (lambda h: h % 11 == 0, "H is a multiple of 11"),
        (lambda h: h == 32, "H ≠ 32"),
        (lambda h: h > 32, "H > 32"),
    ],
)
def test_conditions_are_said_in_words(ask, words):
    facts = Facts()
    assert ask(facts.integer("H", 33)) == ask(33)
    assert [in_words(condition) for condition in facts.conditions] == [words]


def test_what_always_holds_is_no_condition():
    facts = Facts()
    h = facts.integer("H", 33)
    assert h > 0 and h + 1 > h and h * 2 % 2 == 0 and h == h
    assert not facts.conditions


def test_no_condition_comes_of_what_is_asked_on_the_side():
    facts = Facts()
    h = facts.integer("H", 33)
    with unasked([h, 3]):
        assert h == 33
    assert not facts.conditions
    assert h == 33
    assert facts.conditions == (sympy.Eq(H, 33),)


def test_copies_keep_the_formula_and_pickles_and_json_the_value_alone():
    facts = Facts()
    h = facts.integer("H", 32)
    for number, kind in ((h, int), (h / 3, float)):
        assert copy.deepcopy([number])[0] is number
        assert copy.copy(number) is number
        again = pickle.loads(pickle.dumps(number))
        assert type(again) is kind and again == plain_of(number)
        assert json.loads(json.dumps(number)) == plain_of(number)
        assert repr(number) == f"{number}" == repr(plain_of(number))
    assert isinstance(h, int) and hash(h) == hash(32)


def test_a_formula_without_symbols_is_a_plain_number():
    h = Facts().integer("H", 32)
    assert type(h - h) is int and type(h / h) is float
    assert isinstance(h + 0, SymbolicInt)
