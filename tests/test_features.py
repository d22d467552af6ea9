"""Features computed once say what the network says; the cache survives kills, full disks and company."""

import errno
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

import pixelwise.features
from pixelwise.classes.labels import VOID, Labels
from pixelwise.config import TrainSettings
from pixelwise.data.batches import Encoded, PictureFeed
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadData, BadSetting, CannotWrite
from pixelwise.features import FeatureCache
from pixelwise.feeds import MapFeed, encoded_pictures, sampled
from pixelwise.files import BESIDE
from pixelwise.freeze import freeze
from pixelwise.models.deeplab import untrained_segmenter
from pixelwise.models.folding import folded
from pixelwise.models.head import Head
from pixelwise.models.hypercolumn import hypercolumn_segmenter
from pixelwise.models.own import OwnSegmenter
from pixelwise.models.segmenter import Segmenter, at_pixels, last_layer, stacked
from pixelwise.train import EpochRow, StepRow, Training, fit

CPU = torch.device("cpu")
LABELS = Labels(("field", "sky"))
SIZE = (48, 64)


class Tiny(Segmenter):
    """Two maps of features, of a half and a quarter of the pictures' size."""

    preprocessing = "none"
    channels = (5, 4)

    def __init__(self, k: int = 2) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 5, 3, 2, 1), nn.BatchNorm2d(5), nn.Tanh())
        self.coarse = nn.Sequential(nn.Conv2d(5, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Tanh())
        self.last = last_layer(9, k)

    def features(self, seen):
        fine = self.fine(seen)
        return fine, self.coarse(fine)


def tiny(k: int = 2) -> Tiny:
    torch.manual_seed(0)
    return Tiny(k).eval()


@pytest.fixture(scope="module")
def hypercolumn():
    return hypercolumn_segmenter(2)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PIXELWISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def one_at_a_time(monkeypatch):
    monkeypatch.setattr(pixelwise.features, "PIXELS_AT_ONCE", 1)


def pixels_of(count: int, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """Blue skies above green fields, both noisy, each with a sun elsewhere."""
    random = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 30, (count, 3, *size), generator=random, dtype=torch.uint8)
    for number, picture in enumerate(pictures):
        horizon = size[0] // 3 + number % 5
        picture[2, :horizon] += 150
        picture[1, horizon:] += 130
        picture[:2, 2:7, 9 + number : 14 + number] = 230
    return pictures


def encoded_of(count: int, size: tuple[int, int] = SIZE) -> Encoded:
    """Sky is class 1, the field 0; the sun is void, and so are the leftmost columns."""
    pixels = pixels_of(count, size)
    ids = (pixels[:, 2] > 130).to(torch.uint8)
    ids[pixels[:, 0] > 200] = VOID
    ids[:, :, :7] = VOID
    return encoded_pictures(Pictures(pixels, [str(i) for i in range(count)], ids))


def whole_files(cache: FeatureCache) -> list[Path]:
    return sorted(path for path in cache.folder.iterdir() if not path.name.startswith(BESIDE))


def temporary_files(folder: Path) -> list[Path]:
    return list(folder.rglob(f"{BESIDE}*"))


def filled(cache: FeatureCache, pixels: torch.Tensor) -> FeatureCache:
    assert list(cache.fill(pixels))[-1] == len(pixels)
    return cache


def counting(cache: FeatureCache, monkeypatch) -> list[int]:
    """How many pictures each call of `compute` was given."""
    calls, compute = [], cache.compute
    monkeypatch.setattr(cache, "compute", lambda pixels: calls.append(len(pixels)) or compute(pixels))
    return calls


def losses(rows) -> list[float]:
    return [row.loss for row in rows if isinstance(row, StepRow)]


# --- cached is as good as computed ---


@pytest.fixture(scope="module")
def uncached_losses(hypercolumn):
    """Of the whole network with everything frozen but its last layer."""
    model = hypercolumn_like(hypercolumn)
    freeze(model, ("last.",))
    return losses(fit(Training(model, ADAM), PictureFeed(LABELS, encoded_of(5)), None, CPU))


ADAM = TrainSettings(epochs=3, batch_size=2, learning_rate=1e-2, flips=True)


def hypercolumn_like(other):
    model = type(other)(2)
    model.load_state_dict(other.state_dict())
    return model


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float16", 1e-3)])
def test_training_on_cached_features_has_the_losses_of_training_the_network(
    hypercolumn, uncached_losses, precision, tolerance, monkeypatch
):
    encoded = encoded_of(5)
    cache = FeatureCache(hypercolumn, precision)
    for pixels in (encoded.pictures.pixels, encoded.pictures.pixels.flip(3)):
        filled(cache, pixels)
    calls = counting(cache, monkeypatch)
    cached = losses(fit(Training(Head(hypercolumn, 2), ADAM), MapFeed(cache, encoded), None, CPU))
    assert calls == []
    assert len(cached) == 9
    assert cached[-1] < 0.5 * cached[0]
    assert cached == pytest.approx(uncached_losses, rel=tolerance)


def test_a_mirrored_pictures_features_are_those_of_the_mirrored_picture(hypercolumn):
    encoded, cache = encoded_of(6), FeatureCache(hypercolumn, "float32")
    order = {"seed": 0, "epoch": 1, "flips": True}
    pairs = zip(
        MapFeed(cache, encoded).shuffled(2, **order), PictureFeed(LABELS, encoded).shuffled(2, **order), strict=True
    )
    mirrored = 0
    for ((features, size), truth), ((seen,), expected) in pairs:
        assert size == SIZE
        assert torch.equal(truth, expected)
        mirrored += int((truth[:, 0, -1] == VOID).sum())
        with torch.no_grad():
            for ours, theirs in zip(features, hypercolumn.eval().features(seen), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * theirs.abs().max().item())
    assert 0 < mirrored < 6


def test_map_feeds_count_steps_skip_and_give_everything_in_order(monkeypatch):
    monkeypatch.setattr("pixelwise.feeds.MEASURED_AT_ONCE", 2)
    encoded = encoded_of(5, (16, 16))
    feed = MapFeed(FeatureCache(tiny()), encoded)
    assert (len(feed), feed.steps(2), feed.steps(5)) == (5, 3, 1)
    every = [truth for _, truth in feed.shuffled(2, seed=1, epoch=2)]
    rest = [truth for _, truth in feed.shuffled(2, seed=1, epoch=2, skip=2)]
    assert [len(truth) for truth in every] == [2, 2, 1]
    assert len(rest) == 1 and torch.equal(rest[0], every[2])
    assert torch.equal(torch.cat([truth for _, truth in feed.in_order()]), encoded.ids)


def test_half_precision_takes_half_the_room_and_single_keeps_every_bit():
    pixels = pixels_of(1)
    half, single = (filled(FeatureCache(tiny(), precision), pixels) for precision in ("float16", "float32"))
    numbers = sum(f.numel() for f in single.compute(pixels))
    assert whole_files(single)[0].stat().st_size - whole_files(half)[0].stat().st_size == pytest.approx(
        2 * numbers, abs=64
    )
    for read, computed in zip(single.read(pixels), single.compute(pixels), strict=True):
        assert read.dtype == torch.float32
        assert torch.equal(read, computed)
    for read, computed in zip(half.read(pixels), single.compute(pixels), strict=True):
        assert read.dtype == torch.float32
        torch.testing.assert_close(read, computed, rtol=1e-3, atol=1e-6)


# --- what the cache is named by ---


def test_the_caches_name_changes_with_all_that_features_depend_on_and_with_nothing_else():
    model = tiny()
    name = FeatureCache(model).folder
    nn.init.normal_(model.last.weight)
    model.last = last_layer(9, 7)
    model.train()
    assert FeatureCache(model).folder == name
    names = [name, FeatureCache(model, "float32").folder]
    model.coarse[0].bias.data[1] += 1e-6
    names.append(FeatureCache(model).folder)
    model.fine[1].running_mean[0] += 1e-6
    names.append(FeatureCache(model).folder)
    model.preprocessing = "another"
    names.append(FeatureCache(model).folder)
    assert len(set(names)) == 5
    assert FeatureCache(tiny()).folder == name


class Leaky(nn.Module):
    def __init__(self, behind) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk, self.classifier, self.behind = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 2, 1), behind

    def forward(self, seen):
        return self.classifier(self.behind(self.trunk(seen)))


def test_two_networks_of_ones_own_with_the_same_weights_do_not_share_a_cache():
    one, other = (FeatureCache(OwnSegmenter(Leaky(behind), "classifier")) for behind in (nn.ReLU(), nn.Sigmoid()))
    assert one.folder != other.folder


def test_pictures_are_known_by_content_not_by_place():
    pixels = pixels_of(4)
    cache = filled(FeatureCache(tiny()), pixels)
    assert list(cache.fill(pixels.flip(0))) == [4]
    copies = torch.cat([pixels[:1], pixels[:1]])
    assert list(cache.fill(copies)) == [2]
    assert next(cache.fill(pixels.flip(3))) == 0


def test_later_changes_of_the_network_do_not_count():
    model, pixels = tiny(), pixels_of(1)
    cache = FeatureCache(model)
    before = cache.compute(pixels)
    nn.init.zeros_(model.fine[0].weight)
    assert all(torch.equal(a, b) for a, b in zip(cache.compute(pixels), before, strict=True))


# --- filling ---


def test_filling_goes_on_where_it_was(one_at_a_time, monkeypatch):
    pixels = pixels_of(5)
    cache = FeatureCache(tiny())
    first = counting(cache, monkeypatch)
    filling = cache.fill(pixels)
    assert [next(filling) for _ in range(3)] == [0, 1, 2]
    filling.close()
    assert first == [1, 1]
    assert len(whole_files(cache)) == 2
    again = FeatureCache(tiny())
    second = counting(again, monkeypatch)
    assert list(again.fill(pixels)) == [2, 3, 4, 5]
    assert second == [1, 1, 1]
    again.read(pixels)
    assert list(again.fill(pixels)) == [5]
    assert second == [1, 1, 1]


def test_features_do_not_depend_on_how_many_pictures_are_computed_at_once(monkeypatch):
    pixels = pixels_of(5)
    cache = FeatureCache(tiny(), "float32")
    calls = counting(cache, monkeypatch)
    monkeypatch.setattr(pixelwise.features, "PIXELS_AT_ONCE", 2 * 48 * 64)
    assert list(cache.fill(pixels)) == [0, 2, 4, 5]
    assert calls == [2, 2, 1]
    for read, computed in zip(cache.read(pixels), cache.compute(pixels), strict=True):
        torch.testing.assert_close(read, computed)


def test_what_was_not_filled_is_computed_and_not_kept():
    pixels = pixels_of(2)
    cache = FeatureCache(tiny())
    assert all(torch.equal(a.half(), b) for a, b in zip(cache.read(pixels), cache.compute(pixels), strict=True))
    assert whole_files(cache) == []


def test_half_written_files_are_ignored_and_swept_only_when_they_are_old(monkeypatch):
    pixels = pixels_of(1)
    cache = FeatureCache(tiny())
    young, old = (cache.folder / f"{BESIDE}{name}.safetensors" for name in ("young", "old"))
    for path in (young, old):
        path.write_bytes(b"half")
    hours_ago = time.time() - 2 * 3600
    os.utime(old, (hours_ago, hours_ago))
    again = FeatureCache(tiny())
    assert temporary_files(cache.folder) == [young]
    assert list(again.fill(pixels)) == [0, 1]
    assert len(whole_files(again)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 1000),
        lambda path: safetensors.torch.save_file({"1": torch.zeros(1, 5, 24, 32)}, path),
        lambda path: path.unlink(),
    ],
    ids=["cut short", "empty", "noise", "other names", "gone"],
)
def test_a_damaged_file_is_not_trusted(damage, monkeypatch):
    pixels = pixels_of(2)
    cache = filled(FeatureCache(tiny()), pixels)
    expected = cache.read(pixels)
    calls = counting(cache, monkeypatch)
    damage(whole_files(cache)[0])
    assert all(torch.equal(a, b) for a, b in zip(cache.read(pixels), expected, strict=True))
    assert calls == [1]


def test_numbers_beyond_half_precision_are_refused_in_words_and_kept_in_single():
    model = tiny()
    model.fine[2], model.coarse[2] = nn.Identity(), nn.Identity()
    model.fine[1].weight.data.fill_(1e6)
    cache = FeatureCache(model)
    with pytest.raises(BadSetting, match=r"beyond half precision's 65,504.*keep them as float32"):
        list(cache.fill(pixels_of(1)))
    assert list(cache.folder.iterdir()) == []
    single = filled(FeatureCache(model, "float32"), pixels_of(1))
    assert single.read(pixels_of(1))[0].abs().max() > 65_504


# --- full disks ---


def full_after(count: int, monkeypatch) -> None:
    """Let the disk be full after some files."""
    saved, save = [], safetensors.torch.save_file

    def save_file(tensors, path):
        saved.append(path)
        if len(saved) > count:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(tensors, path)

    monkeypatch.setattr(safetensors.torch, "save_file", save_file)


def test_a_disk_that_gets_full_is_an_error_in_words_and_earlier_files_stay(one_at_a_time, monkeypatch):
    pixels = pixels_of(4)
    cache = FeatureCache(tiny())
    with monkeypatch.context() as full:
        full_after(2, full)
        with pytest.raises(CannotWrite, match=r"No space left on device.*PIXELWISE_CACHE, or train with --no-cache"):
            list(cache.fill(pixels))
    assert len(list(cache.folder.iterdir())) == 2
    for path in whole_files(cache):
        assert set(safetensors.torch.load_file(path)) == {"0", "1"}
    assert list(FeatureCache(tiny()).fill(pixels)) == [2, 3, 4]


def test_a_disk_without_room_for_another_name_is_the_same_error(monkeypatch):
    def mkstemp(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cache = FeatureCache(tiny())
    monkeypatch.setattr("tempfile.mkstemp", mkstemp)
    with pytest.raises(CannotWrite, match="PIXELWISE_CACHE"):
        list(cache.fill(pixels_of(1)))


def test_too_little_room_is_seen_before_anything_is_written(monkeypatch):
    cache, pixels = FeatureCache(tiny()), pixels_of(3)
    needed = 3 * 2 * (5 * 24 * 32 + 4 * 12 * 16)
    free = pixelwise.features.SPARE + needed
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free - 1))
    with pytest.raises(CannotWrite, match=r"features need 0.00 GB in .*where 0.10 GB are free.*PIXELWISE_CACHE"):
        list(cache.fill(pixels))
    assert list(cache.folder.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free))
    filled(cache, pixels)


def test_a_cache_that_cannot_be_made_is_an_error_in_words(place):
    place.write_text("a file where the folder should be")
    with pytest.raises(CannotWrite, match=r"cache of features .* cannot be made \(.*PIXELWISE_CACHE"):
        FeatureCache(tiny())


# --- other processes; each runs one of these functions ---


def child(function: str) -> subprocess.Popen:
    here = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    code = f"import test_features; test_features.{function}()"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": here, "OMP_NUM_THREADS": "1"},
    )


def said_by(process: subprocess.Popen) -> list[str]:
    out, _ = process.communicate(timeout=60)
    return out.splitlines()


def fill_together() -> None:
    pixelwise.features.PIXELS_AT_ONCE = 1
    cache = FeatureCache(tiny())
    calls, compute = [], cache.compute
    cache.compute = lambda pixels: calls.append(1) or compute(pixels)
    filling = cache.fill(pixels_of(8))
    print(next(filling), flush=True)  # what is missing is known by now, to both
    sys.stdin.readline()
    list(filling)
    print(len(calls))


def fill_until_killed() -> None:
    pixelwise.features.PIXELS_AT_ONCE = 1
    save, saved = safetensors.torch.save_file, []

    def save_file(tensors, path):
        save(tensors, path)
        saved.append(path)
        if len(saved) == 3:
            os.truncate(path, 100)
            print("half", flush=True)
            time.sleep(60)

    safetensors.torch.save_file = save_file
    list(FeatureCache(tiny()).fill(pixels_of(5)))


def fill_beyond_the_limit() -> None:
    import resource

    cache = FeatureCache(tiny())
    filled(cache, pixels_of(2, (16, 16)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))
    try:
        list(cache.fill(pixels_of(2)))
    except CannotWrite as error:
        print(error)


def test_two_processes_fill_one_cache_at_once():
    both = [child("fill_together") for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["0\n", "0\n"]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [said_by(process) for process in both] == [["8"], ["8"]]
    assert [process.returncode for process in both] == [0, 0]
    cache, pixels = FeatureCache(tiny()), pixels_of(8)
    assert len(whole_files(cache)) == 8
    assert temporary_files(cache.folder) == []
    assert list(cache.fill(pixels)) == [8]
    for read, computed in zip(cache.read(pixels), cache.compute(pixels), strict=True):
        torch.testing.assert_close(read, computed.float(), rtol=2e-3, atol=1e-4)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_process_killed_while_it_writes_leaves_whole_files_only():
    process = child("fill_until_killed")
    assert process.stdout.readline() == "half\n"
    process.kill()
    said_by(process)
    assert process.returncode == -9
    cache = FeatureCache(tiny())
    assert len(temporary_files(cache.folder)) == 1  # that of a process which might still be writing
    assert len(whole_files(cache)) == 2
    for path in whole_files(cache):
        assert set(safetensors.torch.load_file(path)) == {"0", "1"}
    assert list(cache.fill(pixels_of(5))) == [2, 5]


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
def test_a_file_that_may_grow_no_further_is_an_error_in_words():
    process = child("fill_beyond_the_limit")
    said = said_by(process)
    assert process.returncode == 0
    assert len(said) == 1 and re.search(r"cannot be written \(.*File too large.*PIXELWISE_CACHE", said[0])
    cache = FeatureCache(tiny())
    assert temporary_files(cache.folder) == []
    assert len(whole_files(cache)) == 2
    assert list(cache.fill(pixels_of(2, (16, 16)))) == [2]


# --- folding ---


def shaken(model: Segmenter) -> Segmenter:
    """With BatchNorm statistics and weights that matter."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return model


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def assert_same_features(model: Segmenter, quick: Segmenter) -> None:
    seen = pixels_of(2).float() / 255
    with torch.no_grad():
        for expected, ours in zip(model.eval().features(seen), quick.features(seen), strict=True):
            assert (ours - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("name", ["hypercolumn", "tiny", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"])
def test_folded_networks_have_the_same_features_and_no_batchnorm_left(name, request):
    if name == "hypercolumn":
        model = request.getfixturevalue(name)
    else:
        model = shaken(tiny() if name == "tiny" else untrained_segmenter(name, 2))
    before = norms(model)
    quick = folded(model)
    assert before > 0 and norms(quick) == 0
    assert norms(model) == before
    assert not quick.training and not any(p.requires_grad for p in quick.parameters())
    assert_same_features(model, quick)


class Twice(Tiny):
    """A convolution's output goes into BatchNorm and around it."""

    scale = 1.0

    def features(self, seen):
        y = self.fine[0](seen)
        fine = self.scale * (self.fine[1](y) + y)
        return fine, self.scale * self.coarse(fine)


class Shared(Tiny):
    """One convolution and its BatchNorm see two maps."""

    def __init__(self) -> None:
        super().__init__()
        self.again = nn.Sequential(nn.Conv2d(5, 5, 3, 1, 1), nn.BatchNorm2d(5))

    def features(self, seen):
        fine = self.again(self.again(self.fine(seen)))
        return fine, self.coarse(fine)


def test_a_network_that_uses_a_convolutions_output_twice_is_left_as_it_is():
    torch.manual_seed(0)
    model = shaken(Twice())
    quick = folded(model)
    assert norms(quick) == norms(model) == 2
    assert_same_features(model, quick)


def test_a_network_with_small_features_is_left_as_it_is_where_folding_would_change_it():
    torch.manual_seed(0)
    model = shaken(Twice())
    model.scale = 1e-4
    assert_same_features(model, folded(model))


def test_a_network_that_uses_a_layer_twice_is_understood():
    torch.manual_seed(0)
    model = shaken(Shared())
    assert_same_features(model, folded(model))


# --- samples of pixels ---


@pytest.mark.parametrize("corners", [False, True], ids=["edges", "corners"])
@pytest.mark.parametrize("size", [SIZE, (33, 47), (1, 9)], ids=str)
def test_features_at_pixels_are_those_of_the_enlarged_stack(size, corners):
    model = tiny()
    model.align_corners = corners
    cache, pixels = FeatureCache(model, "float32"), pixels_of(1, size)
    maps = stacked(cache.read(pixels), corners)
    flat = torch.randperm(size[0] * size[1], generator=torch.Generator().manual_seed(2))[:200]
    whole = F.interpolate(maps, size, mode="bilinear", align_corners=corners)
    ours = at_pixels(maps, size, flat, corners)
    assert ours.shape == (1, 9, 1, len(flat))
    torch.testing.assert_close(ours[0, :, 0], whole[0].flatten(1)[:, flat], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("corners", [False, True], ids=["edges", "corners"])
def test_a_head_says_of_a_sample_what_it_says_of_the_maps_there(hypercolumn, corners):
    hypercolumn.align_corners = corners
    try:
        cache, encoded = FeatureCache(hypercolumn, "float32"), encoded_of(2)
        feed = sampled(cache, encoded, seed=0)
        head = Head(hypercolumn, 2, feed.mean, feed.deviation)
    finally:
        del hypercolumn.align_corners
    nn.init.normal_(head.last.weight, 0, 0.1, generator=torch.Generator().manual_seed(0))
    (sample, sample_size), ids = next(feed.in_order())
    with torch.no_grad():
        here = head(sample, sample_size)[0, :, 0]
        there = head(cache.read(encoded.pictures.pixels), SIZE).transpose(0, 1).flatten(1)
    truth = encoded.ids.flatten()
    assert here.std() > 0.1
    for k in range(2):  # as sets, since a sample has its own order
        ours, theirs = here[:, ids.flatten() == k], there[:, truth == k]
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours.sort(dim=1)[0], theirs.sort(dim=1)[0], rtol=1e-4, atol=1e-4)


def test_samples_are_labelled_pixels_equally_many_of_each_picture():
    cache, encoded = FeatureCache(tiny()), encoded_of(4)
    feed = sampled(cache, encoded, seed=0, most=4 * 70)
    assert feed.ids.shape == (1, 1, 4 * 70)
    assert set(feed.ids.unique().tolist()) == {0, 1}
    assert (len(feed), feed.steps(2)) == (4, 1)
    assert sampled(cache, encoded, seed=0, most=1).ids.numel() == 4 * 50
    every = sampled(cache, encoded, seed=0, most=10**6)
    assert every.ids.numel() == int((encoded.ids != VOID).sum())
    assert torch.equal(every.ids.flatten().bincount(), encoded.ids[encoded.ids != VOID].bincount())


def test_no_pixel_is_drawn_twice():
    model = tiny()
    model.fine, model.coarse = nn.Conv2d(3, 5, 1), nn.Conv2d(5, 4, 1)  # every pixel a feature of its own
    pixels = torch.randint(0, 256, (1, 3, 10, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ids = torch.zeros(1, 10, 12, dtype=torch.uint8)
    feed = sampled(FeatureCache(model, "float32"), Encoded(Pictures(pixels, ["a"], ids), ids), seed=3, most=60)
    assert len(feed.features[0, :, 0].unique(dim=1).T) == 60


def test_samples_of_mirrored_pictures_are_labelled_pixels_too():
    cache, encoded = FeatureCache(tiny()), encoded_of(2)
    plain, mirrored = (sampled(cache, encoded, seed=0, flips=flips) for flips in (False, True))
    assert VOID not in mirrored.ids
    assert torch.equal(mirrored.ids.flatten().bincount(), plain.ids.flatten().bincount())


def test_half_of_a_sample_is_of_mirrored_pictures():
    """The picture's left is bright, so that bright pixels on the right are the mirrored picture's."""
    pixels = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    pixels[:, :, :, :20] = 255
    ids = torch.zeros(1, 40, 40, dtype=torch.uint8)
    ids[:, :, :20] = 1
    cache, encoded = FeatureCache(tiny(), "float32"), Encoded(Pictures(pixels, ["a"], ids), ids)
    shown = []
    cache.read = lambda pixels, read=cache.read: shown.append(pixels) or read(pixels)
    feed = sampled(cache, encoded, seed=0, flips=True, most=101)
    assert feed.ids.numel() == 101
    assert len(shown) == 2
    assert torch.equal(shown[0], pixels) and torch.equal(shown[1], pixels.flip(3))


def test_a_sample_depends_on_its_seed_and_place_alone():
    cache, encoded = FeatureCache(tiny()), encoded_of(3)
    one, same, other = (sampled(cache, encoded, seed=seed, most=150) for seed in (1, 1, 2))
    assert torch.equal(one.features, same.features) and torch.equal(one.ids, same.ids)
    assert not torch.equal(one.features, other.features)
    first = Encoded(encoded.pictures.take([0]), encoded.ids[:1])
    alone = sampled(cache, first, seed=1, most=50)
    assert torch.equal(alone.features, one.features[..., :50])
    twins = Encoded(encoded.pictures.take([0, 0]), encoded.ids[[0, 0]])
    drawn = sampled(cache, twins, seed=1, most=100).features
    assert not torch.equal(drawn[..., :50], drawn[..., 50:])


def test_pictures_without_labels_are_passed_over_and_none_at_all_is_an_error():
    cache, encoded = FeatureCache(tiny()), encoded_of(3)
    encoded.ids[1] = VOID
    feed = sampled(cache, encoded, seed=0, most=150)
    assert feed.ids.numel() == 100
    encoded.ids[:] = VOID
    with pytest.raises(BadData, match="no pixel of 3 pictures is labelled"):
        sampled(cache, encoded, seed=0)
    with pytest.raises(BadData, match="have no masks"):
        encoded_pictures(Pictures(encoded.pictures.pixels, list("abc")))


def test_void_may_count_as_the_first_class():
    pictures = encoded_of(1).pictures
    ids = encoded_pictures(pictures, void_is_background=True).ids
    assert torch.equal(ids == 0, (pictures.ids == 0) | (pictures.ids == VOID))
    assert VOID in pictures.ids


def test_a_samples_mean_and_deviation_are_its_channels():
    feed = sampled(FeatureCache(tiny()), encoded_of(2), seed=0)
    values = feed.features[0, :, 0].double().numpy()
    assert feed.mean.numpy() == pytest.approx(values.mean(axis=1), abs=1e-5)
    assert feed.deviation.numpy() == pytest.approx(values.std(axis=1), rel=1e-4)


# --- learning from them ---

CURVED = TrainSettings(epochs=12, optimizer="lbfgs", weight_decay=1e-3)


@pytest.fixture
def noisy_sample():
    """Three classes that features tell apart only in part, so that the optimum is finite and not flat."""
    encoded = encoded_of(4)
    generator = torch.Generator().manual_seed(5)
    ids = torch.where(encoded.ids == VOID, 2, encoded.ids)
    random = torch.randint(0, 3, ids.shape, generator=generator, dtype=torch.uint8)
    ids = torch.where(torch.rand(ids.shape, generator=generator) < 0.2, random, ids)
    return sampled(FeatureCache(tiny(3), "float32"), Encoded(encoded.pictures, ids), seed=0, most=1200)


@pytest.mark.parametrize("k", [2, 3])
def test_lbfgs_finds_the_optimum_that_scikit_learn_finds(noisy_sample, k):
    from sklearn.linear_model import LogisticRegression

    feed = noisy_sample
    if k == 2:
        feed = type(feed)(feed.features, feed.ids.clamp_max(1), len(feed))
    head = Head(tiny(k), k, feed.mean, feed.deviation)
    rows = list(fit(Training(head, CURVED), feed, None, CPU))
    x = ((feed.features[0, :, 0].T - feed.mean) / feed.deviation).double().numpy()
    y = feed.ids.flatten().numpy()
    # Ours is mean loss + d |W|^2; theirs C sum of losses + |w|^2 / 2, for two classes of w = w1 - w0, |w|^2 = 2 |W|^2.
    strength = 1 / (len(y) * CURVED.weight_decay * (1 if k == 2 else 2))
    theirs = LogisticRegression(C=strength, tol=1e-8, max_iter=2000).fit(x, y)
    (features, size), _ = next(feed.in_order())
    with torch.no_grad():
        said = head(features, size)[0, :, 0].softmax(dim=0).T.numpy()
    assert said == pytest.approx(theirs.predict_proba(x), rel=1e-2, abs=1e-4)
    weight = head.last.weight.detach().flatten(1).numpy()
    ours, theirs = (weight[1] - weight[0], theirs.coef_[0]) if k == 2 else (weight, theirs.coef_)
    assert ours == pytest.approx(theirs, rel=1e-2, abs=1e-2 * abs(theirs).max())
    truth = feed.ids.flatten().long()
    reached = -torch.from_numpy(said)[range(len(truth)), truth].log().mean().item()
    assert rows[-1].train_loss == pytest.approx(reached, rel=1e-4)
    assert rows[1].train_loss < math.log(k) - 0.2  # after some steps, of which an epoch has many


def bits(training: Training) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in training.tensors().items()}


@pytest.mark.parametrize("stop_after", [1, 2, 3])
@pytest.mark.parametrize("kind", [StepRow, EpochRow])
def test_lbfgs_stopped_anywhere_goes_on_to_the_same_bits(noisy_sample, stop_after, kind):
    def fresh() -> Training:
        settings = TrainSettings(epochs=4, optimizer="lbfgs", weight_decay=1e-3)
        return Training(Head(tiny(3), 3, noisy_sample.mean, noisy_sample.deviation), settings)

    unbroken, broken, resumed = fresh(), fresh(), fresh()
    list(fit(unbroken, noisy_sample, None, CPU))
    seen = 0
    for row in fit(broken, noisy_sample, None, CPU):
        seen += isinstance(row, kind)
        if seen == stop_after:
            break
    resumed.restore(broken.tensors(), broken.progress())
    list(fit(resumed, noisy_sample, None, CPU))
    assert bits(resumed) == bits(unbroken)
    assert [row.train_loss for row in resumed.rows] == [row.train_loss for row in unbroken.rows]
    assert len(resumed.rows) == 4


@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_adam_on_maps_stopped_after_any_step_goes_on_to_the_same_bits(stop_after):
    feed = MapFeed(filled(FeatureCache(tiny()), pixels_of(5, (16, 16))), encoded_of(5, (16, 16)))

    def fresh() -> Training:
        return Training(Head(tiny(), 2), TrainSettings(epochs=2, batch_size=2, flips=True))

    unbroken, broken, resumed = fresh(), fresh(), fresh()
    list(fit(unbroken, feed, feed, CPU))
    steps = (row for row in fit(broken, feed, feed, CPU) if isinstance(row, StepRow))
    for _ in range(stop_after):
        next(steps)
    resumed.restore(broken.tensors(), broken.progress())
    list(fit(resumed, feed, feed, CPU))
    assert bits(resumed) == bits(unbroken)


@pytest.mark.parametrize(("patience", "epochs"), [(0, 9), (1, 2), (3, 4)])
def test_patience_ends_training_when_the_validation_loss_does_not_fall(patience, epochs):
    encoded = encoded_of(3, (16, 16))
    wrong = torch.where(encoded.ids == VOID, VOID, 1 - encoded.ids)
    cache = FeatureCache(tiny())
    validation = MapFeed(cache, Encoded(encoded.pictures, wrong))
    settings = TrainSettings(epochs=9, batch_size=3, patience=patience)
    training = Training(Head(cache.segmenter, 2), settings)
    list(fit(training, MapFeed(cache, encoded), validation, CPU))
    assert len(training.rows) == epochs
    assert training.finished
    assert training.rows[-1].validation_loss > training.rows[0].validation_loss


def test_patience_waits_while_the_loss_falls_and_where_nothing_is_validated():
    encoded = encoded_of(3, (16, 16))
    feed = MapFeed(FeatureCache(tiny()), encoded)
    for validation in (feed, None):
        training = Training(Head(tiny(), 2), TrainSettings(epochs=5, batch_size=3, patience=1))
        list(fit(training, feed, validation, CPU))
        assert len(training.rows) == 5


def test_the_largest_seed_that_settings_allow_can_be_trained_with():
    feed = MapFeed(FeatureCache(tiny()), encoded_of(1, (16, 16)))
    rows = list(fit(Training(Head(tiny(), 2), TrainSettings(epochs=1, seed=2**31 - 1)), feed, None, CPU))
    assert rows[-1].train_loss > 0


def test_lbfgs_learns_biases_alone(noisy_sample):
    head = Head(tiny(3), 3)
    head.last.weight.requires_grad_(False)
    list(fit(Training(head, TrainSettings(epochs=3, optimizer="lbfgs")), noisy_sample, None, CPU))
    shares = noisy_sample.ids.flatten().bincount() / noisy_sample.ids.numel()
    assert head.last.bias.detach().softmax(0).numpy() == pytest.approx(shares.numpy(), abs=1e-3)


def test_a_finished_head_is_a_plain_last_layer_that_says_the_same():
    model, pixels = tiny(3), pixels_of(2)
    generator = torch.Generator().manual_seed(0)
    deviation = torch.rand(9, generator=generator) + 0.1
    deviation[4] = 0.0  # a channel that never changes
    head = Head(model, 3, torch.rand(9, generator=generator), deviation)
    nn.init.normal_(head.last.weight, generator=generator)
    nn.init.normal_(head.last.bias, generator=generator)
    head.last.weight.data[:, 4] *= 1e-4
    with torch.no_grad():
        features = model.features(pixels.float() / 255)
        expected = head(features, SIZE)
        by_hand = head.last((stacked(features) - head.shift.view(1, -1, 1, 1)) * head.scale.view(1, -1, 1, 1))
        model.last = head.finished()
        torch.testing.assert_close(model(pixels.float() / 255), expected, rtol=1e-4, atol=1e-4)
        by_hand = F.interpolate(by_hand, SIZE, mode="bilinear")
        torch.testing.assert_close(expected, by_hand, rtol=1e-3, atol=1e-3)
    assert type(model.last) is nn.Conv2d
    assert model.last.weight.shape == (3, 9, 1, 1)
    assert head.scale.isfinite().all()
