"""Fine-tuning end to end: a run that segments, its proof, few labels, strokes, and what users may do wrong."""

import copy
import json

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from conftest import scenery
from pixelwise.classes.labels import VOID, Labels
from pixelwise.config import DataSettings, SegmenterSettings
from pixelwise.data.batches import Encoded, PictureFeed
from pixelwise.data.load import load_labelled
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadData, BadRun, BadSetting, Interrupted
from pixelwise.freeze import fingerprints
from pixelwise.models.pretrained import PRETRAINED, pretrained_segmenter
from pixelwise.strokes import Stroke, Strokes, fit_head, load_strokes, look, painted, painted_pixels, scaled
from pixelwise.train import EpochRow
from pixelwise.workflow import segmenting
from pixelwise.workflow.filling import FillRow, NoteRow
from pixelwise.workflow.finished import load_trained
from pixelwise.workflow.segment_plan import SegmentPlan
from pixelwise.workflow.segmented import evaluate_segmenter, load_segmenter, segment_files, taught_by_strokes
from pixelwise.workflow.segmenting import train_segment
from pixelwise.workflow.targets import targets

SUN = Labels(("land", "sky"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELWISE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def labelled(tmp_path):
    """Twelve pictures of sky above land, with masks."""
    root = tmp_path / "labelled"
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for number in range(12):
        Image.fromarray(scenery(number)).save(root / "images" / f"{number}.png")
        mask = np.zeros((40, 48), np.uint8)
        mask[:20] = 1
        mask[19:21] = VOID
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root


def stroke(label, radius, *points):
    return Stroke(label, float(radius), tuple((float(x), float(y)) for x, y in points))


def plan_of(root, model=(), training=(), **data):
    given = {"name": "folder", "root": str(root), "size": 48, "validation": 0.2, **data}
    return SegmentPlan.from_given(given, dict(model), dict(training))


def trained(plan, folder, **rules):
    return list(train_segment(plan, folder, **rules))


def test_a_last_layer_learns_to_tell_sky_from_land(labelled, tmp_path):
    folder = tmp_path / "run"
    rows = trained(plan_of(labelled), folder)
    assert [type(row) for row in rows[:1]] == [NoteRow]
    assert rows[0].text.startswith("trained: 898 of 2,354,306 weights; backward starts at last")
    fills = [row for row in rows if isinstance(row, FillRow)]
    assert fills[-1].done == fills[-1].total > 0
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert evaluation["task"] == "segment"
    assert evaluation["iou"]["class 1"] > 0.9
    assert evaluation["majority_iou"]["class 1"] in (0.0, pytest.approx(0.5, abs=0.1))
    for name in ("curve.png", "gallery.png"):
        with Image.open(folder / name) as picture:
            assert picture.size[0] > 500
    assert evaluate_segmenter(folder).to_mapping() == evaluation


def test_the_proof_says_what_was_trained_and_that_nothing_else_moved(labelled, tmp_path):
    folder = tmp_path / "run"
    trained(plan_of(labelled), folder)
    proof = json.loads((folder / "freezing.json").read_text())
    pretrained = pretrained_segmenter(SegmenterSettings(), 2)
    pretrained.requires_grad_(False)
    pretrained.last.requires_grad_(True)
    pretrained.learned = ("last.",)
    assert proof["learned"] == ["last.weight", "last.bias"]
    assert proof["frozen_sha256_before"] == proof["frozen_sha256_after"] == fingerprints(pretrained.train())
    assert len(proof["frozen_sha256_after"]) > 200
    trunk = load_segmenter(folder)
    assert not torch.equal(trunk.model.last.weight, pretrained.last.weight)


def test_a_frozen_tensor_that_moves_stops_the_run(labelled, tmp_path, monkeypatch):
    def moving(run, training, model):
        with torch.no_grad():
            model.trunk.bn1.running_mean += 1e-3

    monkeypatch.setattr("pixelwise.workflow.segmenting._end", moving)
    with pytest.raises(BadRun, match=r"1 frozen tensors changed while training .trunk.bn1.running_mean"):
        trained(plan_of(labelled), tmp_path / "run")


@pytest.mark.parametrize("stop_at", [1, 3, 9])
def test_a_run_that_was_stopped_ends_with_the_same_weights(labelled, tmp_path, stop_at):
    plan = plan_of(labelled, training={"optimizer": "adamw", "epochs": 3, "batch_size": 4, "flips": True})
    trained(plan, tmp_path / "whole")
    asked = iter(range(1000))
    with pytest.raises(Interrupted):
        trained(plan, tmp_path / "parts", stopping=lambda: next(asked) >= stop_at)
    trained(plan, tmp_path / "parts", resume=True)
    whole, parts = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_a_run_that_keeps_the_last_epoch_ends_with_the_averaged_weights(labelled, tmp_path, monkeypatch):
    end, seen = segmenting._end, []

    def noted(run, training, model):
        seen.extend([training, copy.deepcopy(training.model)])
        end(run, training, model)

    monkeypatch.setattr(segmenting, "_end", noted)
    rule = {"optimizer": "adamw", "epochs": 2, "batch_size": 4, "averaging": 2.0, "keep": "last"}
    trained(plan_of(labelled, training=rule), tmp_path / "run")
    training, latest = seen
    kept = safetensors.torch.load_file(tmp_path / "run" / "model.safetensors")["last.weight"]
    assert torch.equal(kept, training.result.finished().weight)
    assert not torch.equal(kept, latest.finished().weight)


def test_cached_or_not_a_last_layer_learns_the_same(labelled, tmp_path):
    training = {"optimizer": "adam", "epochs": 2, "batch_size": 4, "schedule": "constant", "learning_rate": 1e-3}
    losses = {}
    for cache in ("float32", "none"):
        rows = trained(plan_of(labelled, {"cache": cache}, training), tmp_path / cache)
        losses[cache] = [row.validation_loss for row in rows if isinstance(row, EpochRow)]
    assert losses["float32"][-1] < 0.69
    assert losses["none"][-1] < 0.69


def test_the_loss_can_be_taken_at_the_features(labelled, tmp_path):
    training = {"epochs": 4, "batch_size": 4}
    trained(plan_of(labelled, {"sample": 0, "loss_at": "features"}, training), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["iou"]["class 1"] > 0.9


def test_random_crops_decline_the_cache_and_say_why(labelled, tmp_path):
    rows = trained(plan_of(labelled, {"crop": 32}, {"epochs": 1, "batch_size": 4}), tmp_path / "run")
    assert not any(isinstance(row, FillRow) for row in rows)
    assert any("another picture each time" in row.text for row in rows if isinstance(row, NoteRow))


def test_crops_are_seeded_and_cut_picture_and_classes_alike():
    pixels = torch.arange(6 * 3 * 20 * 24).remainder(251).to(torch.uint8).view(6, 3, 20, 24)
    feed = PictureFeed(SUN, Encoded(Pictures(pixels, list("abcdef")), pixels[:, 0].clone()), crop=16)
    once, again, later = (list(feed.shuffled(2, seed=1, epoch=epoch)) for epoch in (1, 1, 2))
    for ((seen,), ids), ((same,), _) in zip(once, again, strict=True):
        assert seen.shape == (2, 3, 16, 16)
        assert torch.equal((seen[:, 0] * 255).round().to(torch.uint8), ids)
        assert torch.equal(seen, same)
    assert not torch.equal(once[0][1], later[0][1])
    ((resumed,), _) = next(feed.shuffled(2, seed=1, epoch=1, skip=1))
    assert torch.equal(resumed, once[1][0][0])


def test_few_labelled_pictures_and_what_the_rest_teaches(labelled, tmp_path):
    seen = {}
    for rest in ("ignore", "learn"):
        rows = trained(plan_of(labelled, {"labelled": 2, "rest": rest}), tmp_path / rest)
        seen[rest] = [row for row in rows if isinstance(row, FillRow)][-1].total
        assert json.loads((tmp_path / rest / "evaluation.json").read_text())["iou"]["class 1"] > 0.9
    assert seen["ignore"] < seen["learn"]
    with pytest.raises(BadData, match="100 labelled pictures asked"):
        trained(plan_of(labelled, {"labelled": 100}), tmp_path / "many")


@pytest.mark.parametrize("learn", [("head",), ("full",), ("last.", "trunk.bn1.")])
def test_more_than_the_last_layer_can_be_trained(labelled, tmp_path, learn):
    plan = plan_of(labelled, {"learn": learn}, {"epochs": 1, "batch_size": 4})
    rows = trained(plan, tmp_path / "run")
    proof = json.loads((tmp_path / "run" / "freezing.json").read_text())
    warned = [row.text for row in rows if isinstance(row, NoteRow) and row.text.startswith("warning")]
    assert len(warned) == (learn[-1] == "trunk.bn1.")
    assert ("trunk.conv_stem.weight" in proof["learned"]) == (learn == ("full",))
    assert ("trunk.bn1.weight" in proof["learned"]) == (learn != ("head",))


@pytest.mark.parametrize(
    ("model", "training", "said"),
    [
        ({"learn": ("head",)}, {"optimizer": "lbfgs"}, "lbfgs"),
        ({"cache": "none"}, {"optimizer": "lbfgs"}, "lbfgs"),
        ({"rest": "learn"}, {}, "needs the last layer alone"),
        ({"learn": ("last", "full")}, {}, "expected one of|give one of"),
        ({"learn": ()}, {}, "learn is"),
        ({}, {"class_weights": (0.0, 0.0)}, "class_weights"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(labelled, model, training, said):
    with pytest.raises(BadSetting, match=said):
        plan_of(labelled, model, training)


def test_wrong_class_weights_and_names_are_refused_before_a_folder_is_made(labelled, tmp_path):
    with pytest.raises(BadSetting, match="3 class_weights for 2 classes"):
        trained(plan_of(labelled, training={"class_weights": (1.0, 1.0, 1.0)}), tmp_path / "run")
    with pytest.raises(BadSetting, match=r"no parameter's name begins with 'trunk\.nonsense'"):
        trained(plan_of(labelled, {"learn": ("trunk.nonsense",)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_class_is_no_choice(labelled, tmp_path):
    for mask in (labelled / "masks").iterdir():
        Image.fromarray(np.zeros((40, 48), np.uint8)).save(mask)
    (labelled / "classes.txt").write_text("land\n")
    with pytest.raises(BadData, match="one class only"):
        trained(plan_of(labelled), tmp_path / "run")


def test_a_single_pixel_picture_and_a_very_long_one_are_learnt_from(labelled, tmp_path):
    for name, shape in (("dot", (1, 1)), ("strip", (1, 5000))):
        Image.fromarray(np.full((*shape, 3), 90, np.uint8)).save(labelled / "images" / f"{name}.png")
        Image.fromarray(np.zeros(shape, np.uint8)).save(labelled / "masks" / f"{name}.png")
    trained(plan_of(labelled), tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_a_last_batch_of_one_joins_the_one_before(labelled, tmp_path):
    plan = plan_of(labelled, {"learn": ("full",)}, {"epochs": 1, "batch_size": 3})
    steps = [row for row in trained(plan, tmp_path / "run") if hasattr(row, "steps")]
    assert min(row.pictures for row in steps) > 1


def test_a_run_goes_on_only_as_it_was_begun(labelled, tmp_path):
    folder = tmp_path / "run"
    trained(plan_of(labelled), folder)
    with pytest.raises(BadRun, match=r"already holds a run"):
        trained(plan_of(labelled), folder)
    with pytest.raises(BadRun, match=r"model\.void was 'ignore', is 'background'"):
        trained(plan_of(labelled, {"void": "background"}), folder, resume=True)


def test_every_network_of_the_table_can_be_built_without_weights():
    for name in ("colour_alone", "deeplabv3_mobilenet_v2", "lraspp_mobilenet_v3_large"):
        model = PRETRAINED[name].untrained(3).eval()
        with torch.no_grad():
            assert model(torch.rand(1, 3, 40, 56)).shape == (1, 3, 40, 56)


# --- strokes ---


def test_strokes_are_read_painted_and_scaled(tmp_path):
    file = tmp_path / "strokes.json"
    drawn = [
        {"class": "sky", "radius": 0, "points": [[2, 1], [6, 1]]},
        {"class": "land", "radius": 2, "points": [[4, 8]]},
    ]
    file.write_text(json.dumps({"classes": ["land", "sky"], "pictures": {"a.png": drawn}}))
    strokes = load_strokes(file)
    classes = painted(strokes.pictures["a.png"], strokes.labels, (12, 10))
    assert classes[1].tolist() == [VOID, VOID, 1, 1, 1, 1, 1, VOID, VOID, VOID]
    assert classes[8, 2:7].tolist() == [0] * 5
    assert (classes != VOID).sum() < 5 + 25
    twice = painted(scaled(strokes.pictures["a.png"], 2.0), strokes.labels, (24, 20))
    assert twice[2:4, 5:13].max() == 1 or twice[2:4, 5:13].min() == 1
    assert twice[17, 9] == 0


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        '{"classes": ["a"], "pictures": {"x": [{"class": "a", "points": [[1, 1]]}]}}',
        '{"classes": ["a", "b"], "pictures": {}}',
        '{"classes": ["a", "b"], "pictures": {"x": [{"class": "c", "points": [[1, 1]]}]}}',
        '{"classes": ["a", "b"], "pictures": {"x": [{"class": "a", "points": []}]}}',
        '{"classes": ["a", "b"], "pictures": {"x": [{"class": "a", "radius": -1, "points": [[1, 1]]}]}}',
        '{"classes": ["a", "b"], "pictures": {"x": [{"class": "a", "points": [[1, NaN]]}]}}',
        '{"classes": ["a", "b"], "pictures": {"x": [{"class": "a", "points": [[1, 1e400]]}]}}',
        '{"classes": ["a", "a"], "pictures": {"x": [{"class": "a", "points": [[1, 1]]}]}}',
    ],
)
def test_broken_strokes_are_refused_in_words(tmp_path, text):
    file = tmp_path / "strokes.json"
    file.write_text(text)
    with pytest.raises(BadData, match="strokes"):
        load_strokes(file)


def test_strokes_outside_of_the_picture_or_of_one_class_are_refused():
    with pytest.raises(BadData, match="outside of its picture of 10 x 12"):
        painted([stroke("sky", 1, (50, 50))], SUN, (12, 10))
    model = pretrained_segmenter(SegmenterSettings(name="colour_alone"), 2).eval()
    classes = painted([stroke("sky", 1, (5, 5))], SUN, (12, 10))
    looked = look(model, torch.zeros(3, 12, 10, dtype=torch.uint8))
    with pytest.raises(BadData, match="only one class is painted"):
        fit_head(model, 2, painted_pixels(model, [(looked, classes)]))


def test_two_strokes_teach_a_mask_and_the_other_pictures_too(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(scenery(number)).save(folder / f"{number}.png")
    sky, land = stroke("sky", 1, (5, 14), (40, 14)), stroke("land", 1, (5, 30), (40, 30))
    strokes = Strokes(SUN, {"0.png": (sky, land)})
    pairs = targets([folder], tmp_path / "out", lambda picture: picture.stem)
    taught = taught_by_strokes(strokes, {path.name: path for path, _ in pairs})
    for result in segment_files(pairs, taught):
        assert result.reason is None
        ids = np.array(Image.open(result.outputs[0]))
        assert (ids[:16] == 1).mean() > 0.9
        assert (ids[25:] == 0).mean() > 0.95
        assert result.shares["sky"] == pytest.approx((ids == 1).mean())
    with pytest.raises(BadData, match=r"'9\.png', which is not among the pictures"):
        taught_by_strokes(Strokes(SUN, {"9.png": (sky, land)}), {"0.png": folder / "0.png"})


def test_a_class_that_nobody_painted_is_nowhere():
    model = pretrained_segmenter(SegmenterSettings(name="colour_alone"), 3).eval()
    labels = Labels(("land", "sky", "sun"))
    classes = painted([stroke("sky", 1, (5, 10)), stroke("land", 1, (5, 30))], labels, (40, 48))
    looked = look(model, torch.from_numpy(scenery(0)).permute(2, 0, 1))
    head = fit_head(model, 3, painted_pixels(model, [(looked, classes)]))
    with torch.no_grad():
        assert set(head(looked.features, (40, 48)).argmax(dim=1).unique().tolist()) == {0, 1}


# --- real flowers ---


def test_forty_pixels_segment_a_real_flower(real_data):
    data = load_labelled(DataSettings(name="flowers17", root=str(real_data)))
    model = pretrained_segmenter(SegmenterSettings(), 2).eval()
    ious = []
    for index in range(0, 100, 25):
        pixels, truth = data.validation.pixels[index], data.validation.ids[index]
        classes = torch.full_like(truth, VOID)
        for label in (0, 1):
            known = (truth == label).flatten().nonzero().squeeze(1)
            drawn = known[torch.randperm(len(known), generator=torch.Generator().manual_seed(0))[:20]]
            classes.view(-1)[drawn] = label
        looked = look(model, pixels)
        head = fit_head(model, 2, painted_pixels(model, [(looked, classes)]))
        with torch.no_grad():
            answer = head(looked.features, truth.shape)[0].argmax(dim=0)
        hit, either = ((answer == 1) & (truth == 1)).sum(), ((answer == 1) | (truth == 1))[truth != VOID].sum()
        ious.append((hit / either).item())
    assert np.mean(ious) > 0.85


def test_a_run_of_another_task_is_refused_in_words(labelled, tmp_path):
    trained(plan_of(labelled), tmp_path / "run")
    with pytest.raises(BadRun, match="does not hold a run's settings"):
        load_trained(tmp_path / "run")
