"""Numbers by two routes: counts against a plain loop and scikit-learn, picture measures against scikit-image."""

import math

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import log_loss, recall_score, top_k_accuracy_score

from pixelwise.counts import PixelCounts
from pixelwise.picture_metrics import ciede2000, colourfulness, psnr, squared_error


@pytest.fixture
def answers():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 8, 5, 4, generator=generator)
    ids = torch.randint(0, 7, (3, 5, 4), generator=generator, dtype=torch.uint8)  # class 7 never occurs
    return logits, ids


def test_counts_agree_with_scikit_learn(answers):
    logits, ids = answers
    counts = PixelCounts(8)
    counts.add(logits[:1], ids[:1])
    counts.add(logits[1:], ids[1:])
    truth = ids.flatten().numpy()
    probabilities = logits.double().softmax(1).permute(0, 2, 3, 1).reshape(-1, 8).numpy()
    probabilities /= probabilities.sum(1, keepdims=True)
    assert counts.pixels == 60
    assert counts.cross_entropy == pytest.approx(log_loss(truth, probabilities, labels=range(8)), rel=1e-6)
    assert counts.accuracy == pytest.approx((probabilities.argmax(1) == truth).mean())
    assert counts.accuracy_top5 == pytest.approx(top_k_accuracy_score(truth, probabilities, k=5, labels=range(8)))
    recall = recall_score(truth, probabilities.argmax(1), labels=range(7), average="macro")
    assert counts.balanced_accuracy == pytest.approx(recall)


def test_an_absent_class_is_nan_and_nothing_counted_is_nan(answers):
    counts = PixelCounts(8)
    assert math.isnan(counts.accuracy)
    assert math.isnan(counts.cross_entropy)
    counts.add(*answers)
    assert torch.isnan(counts.recalls).tolist() == [False] * 7 + [True]


def test_equal_logits_go_to_the_lowest_class_also_in_the_top_five():
    counts = PixelCounts(8)
    counts.add(torch.zeros(1, 8, 1, 8), torch.arange(8, dtype=torch.uint8).view(1, 1, 8))
    assert counts.accuracy == 1 / 8
    assert counts.accuracy_top5 == 5 / 8


def pictures(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (2, 3, 6, 7), generator=generator, dtype=torch.uint8)


def test_psnr_is_scikit_images():
    one, other = pictures(0), pictures(1)
    ours = psnr(squared_error(one, other))
    theirs = [peak_signal_noise_ratio(o.numpy(), p.numpy(), data_range=255) for p, o in zip(one, other, strict=True)]
    assert ours.tolist() == pytest.approx(theirs)
    assert psnr(squared_error(one, one)).tolist() == [100.0, 100.0]


def test_ciede2000_is_the_mean_over_pixels():
    one, other = pictures(0), pictures(1)
    for i, ours in enumerate(ciede2000(one, other).tolist()):
        labs = [rgb2lab(p[i].permute(1, 2, 0).numpy()) for p in (one, other)]
        each = [
            float(deltaE_ciede2000(a, b)) for a, b in zip(labs[0].reshape(-1, 3), labs[1].reshape(-1, 3), strict=True)
        ]
        assert ours == pytest.approx(np.mean(each))
    assert ciede2000(one, one).tolist() == [0.0, 0.0]


def test_colourfulness_by_hand():
    """Half red, half green: rg is ±255, yb is 127.5 throughout, so sqrt(255²) + 0.3 * 127.5."""
    half = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    half[0, 0, 0], half[0, 1, 1] = 255, 255
    assert colourfulness(half).item() == pytest.approx(255 + 0.3 * 127.5)
    assert colourfulness(pictures(0)[:, :1].expand(-1, 3, -1, -1)).tolist() == [0.0, 0.0]
