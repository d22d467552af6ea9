"""The colour benchmark's measures against plain formulas and scikit-image, and its split of photographs."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import colour_split
from colour_measures import Answer, Pooled, Truth, ciede2000_of, lab_of, measured, summarized
from colour_report import rounded, spread
from colour_rows import BASELINES, baselines, entropy_of
from colour_split import split_photographs
from pixelwise.classes.palette import fit_palette
from pixelwise.models.lookup import GreyTable

K = 7


def pictures(count, height=9, width=11, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)


def answer_to(truth, seed):
    """A made-up answer: other bytes, logits with a leaning to the truth, doubt."""
    generator = torch.Generator().manual_seed(seed)
    size = truth.pixels.shape[2:]
    ids = torch.randint(0, K, (1, *size), generator=generator).to(torch.uint8)
    logits = 2 * torch.randn(1, K, *size, generator=generator)
    logits += torch.nn.functional.one_hot(ids.long(), K).permute(0, 3, 1, 2)
    noise = torch.randint(-40, 41, truth.pixels.shape, generator=generator)
    shown = (truth.pixels.int() + noise).clamp(0, 255).to(torch.uint8)
    return Answer(shown, logits, ids, torch.rand(size, generator=generator) * 0.3, 5.0 + seed)


def oklab_by_hand(rgb):
    """Ottosson's formulas, in float64; rgb is h w 3 bytes."""
    c = rgb.astype(np.float64) / 255
    c = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    lms = (
        c
        @ np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        ).T
    )
    return (
        np.cbrt(lms)
        @ np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        ).T
    )


def planes_last(pixels):
    return pixels[0].permute(1, 2, 0).numpy()


@pytest.fixture
def told():
    """Three pictures of different sizes, answers to them, and what was measured."""
    truths = [Truth(pictures(1, 8 + i, 12, seed=i), f"{i}.png", "made up") for i in range(3)]
    answers = [answer_to(truth, seed=10 + i) for i, truth in enumerate(truths)]
    found, pooled = [], Pooled(K)
    for truth, answer in zip(truths, answers, strict=True):
        values, own = measured(answer, truth, K)
        found.append(values)
        pooled.include(own)
    return truths, answers, found, summarized(found, pooled), pooled


def test_ciede2000_is_scikit_images():
    one, other = pictures(1, 120, 130), pictures(1, 120, 130, seed=1)
    other[:, :, :40] = (one[:, :, :40].int() + 3).clamp(max=255).to(torch.uint8)  # small differences, too
    one[:, 1:, 60:80] = one[:, :1, 60:80]  # grey against colour
    other[:, 1:, 70:90] = other[:, :1, 70:90]  # grey against grey
    wanted = deltaE_ciede2000(rgb2lab(planes_last(one)), rgb2lab(planes_last(other)))
    found = ciede2000_of(lab_of(one), lab_of(other))[0].numpy()
    assert np.abs(found - wanted).max() < 5e-3
    assert abs(found.mean() - wanted.mean()) < 1e-4


@pytest.mark.parametrize(
    "one, other, wanted",  # of Sharma, Wu and Dalal's table 1
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000_is_its_inventors(one, other, wanted):
    pair = (torch.tensor(colour).view(1, 3, 1, 1).float() for colour in (one, other))
    assert ciede2000_of(*pair).item() == pytest.approx(wanted, abs=2e-4)


def test_looks_are_those_of_plain_formulas(told):
    truths, answers, found, summary, _ = told
    every, squares = [], []
    for truth, answer, values in zip(truths, answers, found, strict=True):
        own, shown = planes_last(truth.pixels).astype(float), planes_last(answer.shown).astype(float)
        squares.append(((own - shown) ** 2).ravel())
        assert values["psnr"] == pytest.approx(10 * math.log10(255**2 / squares[-1].mean()))
        each = deltaE_ciede2000(rgb2lab(planes_last(truth.pixels)), rgb2lab(planes_last(answer.shown))).ravel()
        every.append(each)
        assert values["ciede2000"] == pytest.approx(each.mean(), abs=1e-3)
        light = [oklab_by_hand(planes_last(p))[..., 0] for p in (truth.pixels, answer.shown)]
        assert values["light_change"] == pytest.approx(np.abs(light[0] - light[1]).max() * 255, abs=1e-3)
        rg, yb = shown[..., 0] - shown[..., 1], (shown[..., 0] + shown[..., 1]) / 2 - shown[..., 2]
        plain = math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean())
        assert values["colourfulness"] == pytest.approx(plain)
    assert summary["psnr"] == pytest.approx(np.mean([v["psnr"] for v in found]))
    assert summary["psnr_pooled"] == pytest.approx(10 * math.log10(255**2 / np.concatenate(squares).mean()))
    assert summary["ciede2000"] == pytest.approx(np.mean([each.mean() for each in every]), abs=1e-3)
    pixels = np.concatenate(every)
    for name, share in (("ciede2000_median", 50), ("ciede2000_p95", 95)):
        wanted = np.percentile(pixels, share, method="inverted_cdf")
        assert summary[name] == pytest.approx(wanted, abs=0.011)
    gaps = [v["colourfulness"] - v["colourfulness_truth"] for v in found]
    assert summary["colourfulness_gap_of_means"] == pytest.approx(abs(np.mean(gaps)))
    assert summary["colourfulness_mean_gap"] == pytest.approx(np.mean(np.abs(gaps)))
    assert summary["milliseconds"] == 16.0


def test_classes_are_those_of_plain_formulas(told):
    _, answers, _, summary, _ = told
    logits = np.concatenate([a.logits[0].flatten(1).T.numpy() for a in answers]).astype(np.float64)
    ids = np.concatenate([a.ids.flatten().numpy() for a in answers]).astype(int)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.arange(len(ids))
    assert summary["cross_entropy"] == pytest.approx(-np.log(probabilities[rows, ids]).mean(), rel=1e-5)
    answer, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    assert summary["accuracy"] == pytest.approx((answer == ids).mean())
    ranks = (probabilities > probabilities[rows, ids][:, None]).sum(axis=1)
    assert summary["accuracy_top5"] == pytest.approx((ranks < 5).mean())
    recalls = [(answer[ids == c] == c).mean() for c in range(K) if (ids == c).any()]
    assert summary["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    error = 0.0
    for i in range(15):
        inside = (confidence >= i / 15) & (confidence < (i + 1) / 15)
        if inside.any():
            error += inside.mean() * abs((answer == ids)[inside].mean() - confidence[inside].mean())
    assert summary["calibration_error"] == pytest.approx(error, abs=1e-6)


def test_doubt_is_compared_with_the_error_that_was_made(told):
    truths, answers, _, summary, pooled = told
    doubt = np.concatenate([a.doubt.flatten().numpy() for a in answers]).astype(np.float64)
    made = []
    for truth, answer in zip(truths, answers, strict=True):
        apart = oklab_by_hand(planes_last(answer.shown)) - oklab_by_hand(planes_last(truth.pixels))
        made.append(np.hypot(apart[..., 1], apart[..., 2]).ravel())
    errors = np.concatenate(made)
    assert summary["doubt_correlation"] == pytest.approx(np.corrcoef(doubt, errors)[0, 1], abs=1e-5)
    bins = pooled.doubt_table()
    assert len(bins) == 10
    order = np.argsort(doubt)
    for chosen, (expected, own) in zip(np.array_split(order, 10), bins, strict=True):
        assert expected == pytest.approx(np.sqrt((doubt[chosen] ** 2).mean()), rel=0.05, abs=0.002)
        assert own == pytest.approx(np.sqrt((errors[chosen] ** 2).mean()), rel=0.15)


def test_baselines_are_what_they_are_called():
    pixels = pictures(6, 16, 16, seed=3)
    palette = fit_palette(pixels, K, space="oklab")
    ids = palette.encode(pixels)
    table = GreyTable.fitted(K, [(palette.see(pixels), ids)])
    truth = Truth(pixels[:1])
    answers = {row.name: row.answer(truth, ids[:1]) for row in baselines(palette, table)}
    assert tuple(answers) == BASELINES
    found = {name: measured(answer, truth, K)[0] for name, answer in answers.items()}
    assert found["grey"]["colourfulness"] == 0
    assert found["palette ceiling"]["ciede2000"] == min(values["ciede2000"] for values in found.values())
    shares = np.bincount(ids.flatten().numpy(), minlength=K) / ids.numel()
    entropy = -(shares * np.log(shares)).sum()
    assert entropy_of(table.shares) == pytest.approx(entropy, abs=1e-3)
    majority = -np.log(shares)[ids[0].numpy()].mean()
    assert found["majority"]["cross_entropy"] == pytest.approx(majority, abs=1e-3)
    tint = oklab_by_hand(planes_last(pixels[:1]))[..., 1:].mean(axis=(0, 1))
    shown = oklab_by_hand(planes_last(answers["true single tint"].shown))[..., 1:].reshape(-1, 2)
    assert np.median(shown, axis=0) == pytest.approx(tint, abs=0.01)
    for name in ("majority", "lookup", "true single tint", "palette ceiling"):
        assert found[name]["light_change"] <= 1.001
    assert math.isnan(found["grey"]["cross_entropy"])


def test_photographs_are_split_by_kind_and_content(tmp_path, monkeypatch):
    monkeypatch.setattr(colour_split, "HELD_OUT", {"bsds_": (2, 1), "n": (3, 2)})
    root = tmp_path / "photographs"
    root.mkdir()
    names = [f"bsds_{i}.png" for i in range(5)] + [f"n{i:08}.png" for i in range(9)]
    for seed, name in enumerate(names):
        Image.fromarray(planes_last(pictures(1, seed=seed))).save(root / name)
    first = split_photographs(root, tmp_path / "out")
    counts = {name: sorted(p.name[0] for p in paths) for name, paths in first.items()}
    assert counts == {"train": [*"bb", *"nnnn"], "validation": [*"bnn"], "test": [*"bb", *"nnn"]}
    assert sorted(p.name for paths in first.values() for p in paths) == sorted(names)  # all, none twice
    written = (tmp_path / "out" / "split.json").read_bytes()
    listed = json.loads(written)
    for kind in ("bsds_", "n"):
        test, rest = ([h for n, h in listed[part].items() if n.startswith(kind)] for part in ("test", "train"))
        assert max(test) < min(rest)
    assert split_photographs(root, tmp_path / "out") == first
    split_photographs(root, tmp_path / "again")
    assert (tmp_path / "again" / "split.json").read_bytes() == (tmp_path / "out" / "split.json").read_bytes() == written


@pytest.mark.parametrize(
    "value, text", [(12345.6, "12350"), (-0.0123456, "-0.01235"), (9.9999, "10.00"), (0.0, "0"), (math.nan, "")]
)
def test_numbers_have_four_figures(value, text):
    assert rounded(value) == text


def test_spread_says_deviation_only_of_several():
    assert spread([2.0]) == "2.000"
    assert spread([1.0, 3.0]) == "2.000 ± 1.4"
