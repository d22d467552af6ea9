"""`pixelwise account` keeps its contract: JSON keys, formats, sizes, errors in one line."""

import json

import pytest
import sympy
from typer.testing import CliRunner

from pixelwise.cli import app, main

RUN = CliRunner()
NETWORK = """
from torch import nn

def build(num_filters=4, classes=3):
    return nn.Sequential(
        nn.Conv2d(3, num_filters, 3, padding=1), nn.ReLU(), nn.Conv2d(num_filters, classes, 1)
    )

def looks(x=None):
    class Looks(nn.Conv2d):
        def forward(self, x):
            return super().forward(x if x.mean() > 0 else -x)
    return Looks(3, 2, 1)
"""


def account(*words):
    result = RUN.invoke(app, ["account", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(capsys, monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["pixelwise", "account", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 1 and not said.out and "Traceback" not in said.err
    return said.err


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(NETWORK)


def test_json_has_the_keys_of_the_contract():
    found = json.loads(account("cnn", "--size", "32x32", "--double", "--finetune", "last", "--batch", "2", "--json"))
    assert (found["model"], found["size"]) == ("cnn", [32, 32])
    for what, expected in {"weights": 86_784, "outputs": 131_072, "connections": 15_630_336}.items():
        total = found["totals"][what]
        values = {"k": 3, "NIC": 1, "NF": 32, "NC": 24, "H": 32, "W": 32}
        assert total["value"] == expected == sympy.sympify(total["formula"]).subs(values)
        doubled = found["doubled"][what]
        assert doubled["value"] == sympy.sympify(doubled["formula"]).subs(values)
        assert doubled["ratio"]["exact"] == ("1" if what == "weights" else "4")
        assert doubled["ratio"]["value"] == doubled["value"] / expected
        assert sum(layer[what]["value"] for layer in found["layers"]) == expected
    assert {"name", "kind"} <= set(found["layers"][0])
    keys = {"trainable", "kept_bytes", "gradient_bytes", "optimizer_bytes", "forward_macs", "backward_macs"}
    assert keys | {"backward_starts_at"} <= set(found["finetune"])
    assert found["finetune"]["trainable"] == 5_208


def test_options_are_the_widths():
    words = ("--filters", "2", "--colours", "3", "--kernel", "1", "--channels", "4", "--size", "8x4")
    found = json.loads(account("unet", *words, "--json"))
    assert found["widths"] == {"k": 1, "NF": 2, "NC": 3, "NIC": 4}
    assert json.loads(account("deeplabv3_mobilenet_v2", "--classes", "5", "--json"))["widths"] == {"K": 5}


def test_conventions_can_be_chosen():
    usual = json.loads(account("cnn", "--json"))["totals"]
    final = json.loads(account("cnn", "--outputs", "final", "--connections", "pooling", "--json"))["totals"]
    assert final["outputs"]["value"] == 24 * 32 * 32
    assert final["connections"]["value"] > usual["connections"]["value"]
    none = json.loads(account("cnn", "--normalization", "none", "--json"))["totals"]
    assert usual["weights"]["value"] - none["weights"]["value"] == 2 * (32 + 64 + 64 + 32 + 24)


def test_the_terminal_shows_values_formulas_and_the_step():
    text = account("cnn", "--double", "--formulas", "--finetune", "last", "--finetune", "down1.")
    for said in ("2,368·NF + 2,304·NC", "9,472·NF + 9,216·NC", "×4 exactly", "backward starts at", "leak", "together"):
        assert said in text
    assert "×4 exactly" not in account("cnn")


def test_real_steps_stand_beside_the_prediction():
    text = account("cnn", "--size", "8x8", "--finetune", "last", "--batch", "1", "--measure", "--device", "cpu")
    assert "measured on cpu" in text and "(n 3)" in text


@pytest.mark.parametrize(
    ("form", "start"), [("markdown", "# What `cnn` costs"), ("latex", "% needs"), ("html", "<!doctype html>")]
)
def test_documents_go_to_the_terminal_or_a_file(form, start, tmp_path):
    words = ("cnn", "--size", "8x8", "--finetune", "last", "--format", form)
    text = account(*words)
    assert text.startswith(start)
    assert account(*words, "--out", str(tmp_path / "cost")) == ""
    assert (tmp_path / "cost").read_text() == text
    assert "backward starts at" in text


def test_bars_are_drawn(tmp_path):
    account("cnn", "--bars", str(tmp_path / "bars.png"))
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


def test_someone_s_own_network_has_formulas_in_its_factory_s_widths(own):
    found = json.loads(account("mine.py:build", "--filters", "6", "--size", "5x7", "--json"))
    formula = sympy.sympify(found["totals"]["weights"]["formula"])
    assert sympy.expand(formula - sympy.sympify("27*NF + NF + NF*K + K")) == 0
    assert found["totals"]["weights"]["value"] == 28 * 6 + 7 * 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet"], "unknown model 'resnet'; known: "),
        (["lookup", "--filters", "3"], "lookup has no NF; the widths that can be given are: NC"),
        (["cnn", "--finetune", "head"], "cnn has no head of its own; train last, full"),
        (["cnn", "--finetune", "nonsense"], "no parameter's name begins with 'nonsense'"),
        (["mine.py:build", "--channels", "4"], "the network fails in its layer '0' on pictures of 1 x 4 x 224 x 224"),
        (["mine.py:looks"], "the network looks at the values of a tensor"),
        (["mine.py:nothing"], "has no 'nothing'"),
        (["cnn", "--bars", "bars.txt"], "bars.txt"),
        (["cnn", "--size", "999999999x999999999"], "fails"),
        (["cnn", "--kernel", "99"], "kernel is 99; expected 1 to 31"),
    ],
)
def test_errors_are_one_line(words, message, own, capsys, monkeypatch):
    said = refused(capsys, monkeypatch, *words)
    assert said.startswith("error: ") and message in said and said.count("\n") == 1


@pytest.mark.parametrize("words", [["cnn", "--size", "32"], ["cnn", "--size", "0x4"], ["cnn", "--measure"]])
def test_wrong_usage_exits_with_2(words):
    assert RUN.invoke(app, ["account", *words]).exit_code == 2
