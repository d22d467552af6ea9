"""The network on a frozen trunk trained, resumed and finished; then photographs from files to files, and what is told.

All with a tiny run of five chromas, whose colours are no good; how files are treated does not depend on that.
"""

import json
import math
import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import scenery
from pixelwise import __version__
from pixelwise.classes.dials import Dials, class_of
from pixelwise.classes.oklab import chromas_of, light_of, oklab_of
from pixelwise.data.images import open_picture, read_notes, save_picture
from pixelwise.errors import BadData, BadSetting, Interrupted
from pixelwise.features import FeatureCache
from pixelwise.hints import Hint, Hints
from pixelwise.models.colour_hypercolumn import HypercolumnColours
from pixelwise.predict.colour import colourize
from pixelwise.predict.photograph import Looked
from pixelwise.runs import Run
from pixelwise.train import EpochRow, StepRow
from pixelwise.workflow import colouring
from pixelwise.workflow.colouring import Wishes, alternatives_at, colourize_files
from pixelwise.workflow.finished import evaluate_run, load_trained
from pixelwise.workflow.plan import Plan
from pixelwise.workflow.training import train_colour
from test_cli import EVALUATION_KEYS, RECEIPTS, call, error, ok

NAME = "hypercolumn_efficientnet_lite0"
RED = "#a02018"


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Features of the tests' pictures stay with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("PIXELWISE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def sceneries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "pictures"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(scenery(number)).save(folder / f"{number}.png")
    return folder


def plan_of(folder, model=NAME, **training):
    data = {"name": "folder", "root": str(folder), "patch": 64, "scales": (64,)}
    sizes = {"num_colours": 5, "num_filters": 8, "space": "oklab"}
    usual = {"epochs": 12, "batch_size": 2, "learning_rate": 0.02}
    return Plan.from_given(model, data, sizes, {**usual, **training})


@pytest.fixture(scope="module")
def finished(sceneries, tmp_path_factory):
    """A finished run; tests that damage it take a copy."""
    torch.manual_seed(0)
    run = tmp_path_factory.mktemp("runs") / "tiny"
    list(train_colour(plan_of(sceneries), run))
    return run


@pytest.fixture(scope="module")
def trained(finished):
    return load_trained(finished)


@pytest.fixture(scope="module")
def cnn(sceneries, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "cnn"
    data = {"name": "folder", "root": str(sceneries), "patch": 16, "scales": (40,)}
    list(train_colour(Plan.from_given("cnn", data, {"num_colours": 4, "num_filters": 4}, {"epochs": 1}), run))
    return run


@pytest.fixture
def album(tmp_path):
    """Pictures of several sizes, formats and folders."""
    folder = tmp_path / "album"
    (folder / "summer").mkdir(parents=True)
    Image.fromarray(scenery(1, 30, 41)).save(folder / "wide.jpg")
    Image.fromarray(scenery(2, 50, 20)).convert("L").save(folder / "tall.png")
    Image.fromarray(scenery(3, 9, 8)).save(folder / "summer" / "tall.png")
    return folder


def written(done):
    return [item.output for item in done]


def one_file(tmp_path, name="a.png", number=3):
    path = tmp_path / "in" / name
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(scenery(number)).save(path)
    return path


# The network is trained.


def test_a_finished_run_has_all_receipts_and_a_head_alone(finished, trained):
    assert {path.name for path in finished.iterdir()} == RECEIPTS
    assert isinstance(trained.model, HypercolumnColours)
    assert (finished / "model.safetensors").stat().st_size < 100_000  # the trunk's would be 13 million
    measured = json.loads((finished / "evaluation.json").read_text())
    assert set(measured) >= EVALUATION_KEYS
    assert all(math.isfinite(value) for value in measured.values() if isinstance(value, float))
    assert evaluate_run(finished).to_mapping() == pytest.approx(measured)


def test_the_head_begins_with_the_shares_and_learns_more_than_they_say(finished, trained):
    shares = trained.table.shares.double()
    entropy = -(shares * shares.log()).sum().item()
    begun = HypercolumnColours(5, 8, trained.table).eval()
    answer = begun(torch.rand(1, 1, 32, 32)).softmax(dim=1)
    torch.testing.assert_close(answer[0, :, 0, 0], trained.table.shares, atol=1e-5, rtol=0)
    rows = Run(finished).rows()
    assert [row.epoch for row in rows] == list(range(1, 13))
    assert rows[-1].train_loss < 0.6 * entropy
    assert min(row.validation_loss for row in rows) < 0.6 * entropy


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(finished, sceneries, tmp_path):
    plan, stop = plan_of(sceneries), []
    with pytest.raises(Interrupted):
        for row in train_colour(plan, tmp_path / "run", stopping=lambda: bool(stop)):
            if isinstance(row, StepRow) and (row.epoch, row.step) == (5, 1):
                stop.append(row)
    assert stop and len(Run(tmp_path / "run").rows()) == 4
    list(train_colour(plan, tmp_path / "run", resume=True))
    whole, resumed = ((run / "model.safetensors").read_bytes() for run in (finished, tmp_path / "run"))
    assert whole == resumed


def test_features_are_computed_once_for_all_trainings(finished, sceneries, tmp_path, monkeypatch):
    computed, compute = [], FeatureCache.compute
    monkeypatch.setattr(FeatureCache, "compute", lambda self, pixels: computed.append(1) or compute(self, pixels))
    rows = list(train_colour(plan_of(sceneries, seed=1, epochs=2), tmp_path / "again"))
    assert len([row for row in rows if isinstance(row, EpochRow)]) == 2
    assert computed == []
    monkeypatch.setattr(FeatureCache, "_load", lambda self, picture: self.compute(picture.unsqueeze(0)))
    next(row for row in train_colour(plan_of(sceneries, epochs=1), tmp_path / "other") if isinstance(row, StepRow))
    assert computed  # so that the counting counts


def test_filling_that_was_stopped_leaves_a_run_that_goes_on(sceneries, finished, tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELWISE_CACHE", str(tmp_path / "empty"))
    with pytest.raises(Interrupted, match="the features so far are kept"):
        list(train_colour(plan_of(sceneries), tmp_path / "run", stopping=lambda: True))
    list(train_colour(plan_of(sceneries), tmp_path / "run", resume=True))
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


def test_zooms_are_learnt_from_and_are_for_this_network_alone(sceneries, tmp_path):
    list(train_colour(plan_of(sceneries, epochs=4, zooms=(1.0, 1.5)), tmp_path / "zoomed"))
    assert load_trained(tmp_path / "zoomed").plan.train.zooms == (1.0, 1.5)
    with pytest.raises(BadSetting, match="zooms are for photographs on a frozen network; cnn has none"):
        list(train_colour(plan_of(sceneries, "cnn", zooms=(1.0, 1.5)), tmp_path / "cnn"))
    assert not (tmp_path / "cnn").exists()


def test_the_command_trains_it_with_the_settings_it_is_usually_used_with(sceneries, tmp_path):
    train = ["train", "colour", "--data", "folder", "--root", sceneries, "--model", NAME, "--out", tmp_path / "run"]
    sizes = ["--patch", "64", "--num-colours", "4", "--num-filters", "4", "--epochs", "1"]
    assert set(json.loads(ok(*train, *sizes, "--json"))) >= EVALUATION_KEYS
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (settings["model"]["space"], settings["train"]["flips"]) == ("oklab", True)


# Files are coloured.


def test_pictures_of_a_folder_keep_their_places_sizes_and_lightness(finished, album, tmp_path):
    out = tmp_path / "out"
    report = json.loads(ok("colourize", album, "--run", finished, "--out", out, "--json"))
    places = [Path(item["output"]).relative_to(out).as_posix() for item in report["pictures"]]
    assert places == ["summer/tall.png", "tall.png", "wide.jpg"]
    for place in places:
        before, after = open_picture(album / place).rgb, open_picture(out / place).rgb
        assert after.shape == before.shape
        away = (light_of(after[None]) - light_of(before[None])).abs()
        assert away.max() <= 1 / 255 + 1e-6 if place.endswith("png") else away.mean() < 0.01
    assert oklab_of(open_picture(out / "tall.png").rgb[None])[:, 1:].abs().max() > 0.02


def test_files_are_what_the_library_paints(trained, tmp_path):
    (done,) = colourize_files([(one_file(tmp_path), tmp_path / "out.png")], trained)
    expected = colourize(trained.model, trained.palette, open_picture(done.picture).rgb, Dials(), trained.table.shares)
    assert torch.equal(open_picture(done.output).rgb, expected)


def test_transparency_is_kept(trained, tmp_path):
    picture = tmp_path / "a.png"
    alpha = np.arange(40 * 48).reshape(40, 48) % 256
    Image.fromarray(np.dstack([scenery(1), alpha]).astype(np.uint8)).save(picture)
    (done,) = colourize_files([(picture, tmp_path / "out.png")], trained)
    assert open_picture(done.output).alpha.tolist() == alpha.tolist()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_coloured_file_says_that_its_colours_are_estimates_and_how_they_came_about(suffix, trained, tmp_path):
    picture = one_file(tmp_path, f"a{suffix}")
    dials = Dials(vividness=0.4, rare=0.25, forbidden=("#00ff00",), swapped=(("#0000ff", RED),), locked=("#123456",))
    wishes = Wishes(dials, Hints({picture.name: (Hint(RED, 2.0, ((5.0, 6.0),)),)}))
    (done,) = colourize_files([(picture, tmp_path / f"out{suffix}")], trained, wishes)
    notes = read_notes(done.output)
    assert "estimates made by pixelwise" in notes["Description"]
    assert notes["Software"] == f"pixelwise {__version__}"
    assert (notes["model"], notes["model sha256"]) == (NAME, trained.weights_sha256)
    assert (notes["palette"], notes["palette sha256"]) == ("5 classes in oklab", trained.palette.sha256)
    assert (notes["vividness"], notes["rare"], notes["forbidden"]) == ("0.4", "0.25", "#00ff00")
    assert (notes["swapped"], notes["locked"]) == (f"#0000ff to {RED}", "#123456")
    assert notes["hints"] == f"{RED} 2 [[5.0, 6.0]]"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_what_is_there_already_is_skipped_unless_it_would_be_another(suffix, trained, tmp_path):
    picture, target = one_file(tmp_path, f"a{suffix}"), tmp_path / f"out{suffix}"

    def again(wishes=None):
        (done,) = colourize_files([(picture, target)], trained, wishes)
        assert (done.output, done.reason) == (target, None)
        return not done.skipped

    assert again()
    assert not again()
    assert again(Wishes(again=True))
    vivid = Wishes(Dials(vividness=0.1))
    assert again(vivid)
    assert not again(vivid)
    assert again(Wishes(Dials(vividness=0.1), Hints({picture.name: (Hint(RED, 2.0, ((5.0, 6.0),)),)})))
    assert again()
    Image.fromarray(scenery(4)).save(picture)
    os.utime(picture, (time.time() + 5, time.time() + 5))  # newer than its result
    assert again()
    shutil.copyfile(picture, target)  # something else of that name
    os.utime(target, (time.time() + 9, time.time() + 9))
    assert again()
    for spoilt in (target.read_bytes()[:50], b"no picture"):
        target.write_bytes(spoilt)
        os.utime(target, (time.time() + 9, time.time() + 9))
        assert again()


def test_a_skipped_picture_is_left_untouched_and_said_to_have_been_there(finished, album, tmp_path):
    command = ["colourize", album, "--run", finished, "--out", tmp_path / "out"]
    ok(*command)
    before = {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*.*"))}
    report = json.loads(ok(*command, "--json"))
    assert [item["skipped"] for item in report["pictures"]] == [True] * 3
    assert ok(*command).count("was there") == 3
    assert {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*.*"))} == before
    assert not any(item["skipped"] for item in json.loads(ok(*command, "--again", "--json"))["pictures"])


def test_bad_files_are_told_and_do_not_stop_the_others(finished, album, tmp_path):
    (album / "broken.jpg").write_bytes((album / "wide.jpg").read_bytes()[:300])
    (album / "empty.png").write_bytes(b"")
    code, out, err = call("colourize", album, "--run", finished, "--out", tmp_path / "out", "--jobs", "2", "--json")
    report = json.loads(out)
    assert code == 1
    assert sorted(Path(item["picture"]).name for item in report["failed"]) == ["broken.jpg", "empty.png"]
    assert len(report["pictures"]) == 3
    assert all(item["reason"] in err for item in report["failed"])
    assert "2 of 5 pictures failed" in err


def test_three_at_a_time_give_the_same_bytes_as_one_after_the_other(trained, tmp_path):
    pictures = [one_file(tmp_path, f"{number}.png", number) for number in range(8)]
    found = []
    for jobs in (1, 3):
        out = tmp_path / str(jobs)
        out.mkdir()
        done = list(colourize_files([(p, out / p.name) for p in pictures], trained, jobs=jobs))
        assert sorted(item.picture for item in done) == pictures
        found.append({item.output.name: item.output.read_bytes() for item in done})
    assert found[0] == found[1]


def test_a_run_that_was_loaded_is_in_the_mode_in_which_it_is_used(trained, tmp_path):
    """Else several pictures at a time put the one network into other modes under each other's hands."""
    assert not trained.model.training
    list(colourize_files([(one_file(tmp_path), tmp_path / "out.png")], trained))
    assert not trained.model.training


def test_several_at_a_time_leave_torch_its_threads(trained, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pictures = [one_file(tmp_path, f"{number}.png", number) for number in range(2)]
        list(colourize_files([(p, tmp_path / p.name) for p in pictures], trained, jobs=2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_whoever_stops_asking_leaves_the_rest_uncoloured(trained, tmp_path):
    pictures = [one_file(tmp_path, f"{number}.png", number % 6) for number in range(12)]
    (tmp_path / "out").mkdir()
    results = colourize_files([(p, tmp_path / "out" / p.name) for p in pictures], trained, jobs=2)
    next(results)
    results.close()
    assert 1 <= len(list((tmp_path / "out").iterdir())) < 12


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_has_16_bits_keeps_16(suffix, trained, tmp_path):
    values = np.linspace(0, 65535, 40 * 48).reshape(40, 48).astype(np.uint16)
    picture = tmp_path / f"deep{suffix}"
    Image.fromarray(values).save(picture)
    (done,) = colourize_files([(picture, tmp_path / f"out{suffix}")], trained)
    deep = open_picture(done.output).deep
    assert deep is not None and len(deep.unique()) > 1000
    plain = tmp_path / f"plain{suffix}"
    save_picture(plain, open_picture(picture).rgb)
    (other,) = colourize_files([(plain, tmp_path / f"plain_out{suffix}")], trained)
    away = (open_picture(done.output).rgb.int() - open_picture(other.output).rgb.int()).abs()
    assert away[:, 5:36].max() <= 2  # where it is neither nearly black nor nearly white
    assert away[:, 36:].max() <= 8  # near white half a level of light is room for some levels of blue


def test_16_bits_become_8_where_the_format_holds_no_more(finished, tmp_path):
    values = (np.arange(40 * 48, dtype=np.uint32).reshape(40, 48) * 34).astype(np.uint16)
    picture = tmp_path / "in" / "deep.png"
    picture.parent.mkdir()
    Image.fromarray(values).save(picture)
    trained = load_trained(finished)
    (done,) = colourize_files([(picture, tmp_path / "out.jpg")], trained)
    assert open_picture(done.output).rgb.shape == (3, 40, 48)


def hints_file(folder, pictures):
    path = folder / "hints.json"
    path.write_text(json.dumps({"pictures": pictures}))
    return path


def test_hints_from_a_file_colour_what_they_lie_on(finished, tmp_path):
    picture = one_file(tmp_path)
    file = hints_file(tmp_path, {"a.png": [{"colour": RED, "radius": 3, "points": [[24, 30]]}]})
    ok("colourize", picture, "--run", finished, "--out", tmp_path / "plain")
    ok("colourize", picture, "--run", finished, "--out", tmp_path / "hinted", "--hints", file)
    plain, hinted = (open_picture(tmp_path / name / "a.png").rgb for name in ("plain", "hinted"))
    red = chromas_of(torch.tensor([[0xA0, 0x20, 0x18]], dtype=torch.uint8))[0]
    away = [(oklab_of(rgb[None])[0, 1:, 30, 24] - red).norm() for rgb in (plain, hinted)]
    assert away[1] < 0.05 < away[0]
    assert "a02018" in read_notes(tmp_path / "hinted" / "a.png")["hints"]


def test_hints_on_no_picture_or_on_two_or_outside_are_refused(finished, album, tmp_path):
    spot = [{"colour": RED, "radius": 3, "points": [[4, 4]]}]
    command = ["colourize", album, "--run", finished, "--out", tmp_path / "out", "--hints"]
    assert "hints are on 'other.png', which is not among the pictures given" in error(
        *command, hints_file(tmp_path, {"other.png": spot})
    )
    assert "'tall.png', which is the name of 2 pictures" in error(*command, hints_file(tmp_path, {"tall.png": spot}))
    assert not (tmp_path / "out").exists()
    outside = [{"colour": RED, "radius": 3, "points": [[400, 4]]}]
    code, _, err = call(*command, hints_file(tmp_path, {"wide.jpg": outside}))
    assert code == 1 and "lies outside of its picture of 41 x 30 pixels" in err
    assert (tmp_path / "out" / "tall.png").exists() and not (tmp_path / "out" / "wide.jpg").exists()


@pytest.mark.parametrize("wish", ["hints", "uncertainty", "lock", "alternatives"])
def test_what_needs_a_network_for_photographs_is_refused_for_others(wish, cnn, tmp_path):
    picture = one_file(tmp_path)
    file = hints_file(tmp_path, {"a.png": [{"colour": RED, "points": [[4, 4]]}]})
    given = {
        "hints": ["--hints", file],
        "uncertainty": ["--uncertainty"],
        "lock": ["--lock", RED],
        "alternatives": ["--alternatives", "1,1"],
    }[wish]
    assert "need a network for photographs" in error(
        "colourize", picture, "--run", cnn, "--out", tmp_path / "o", *given
    )
    assert not (tmp_path / "o").exists()


def test_other_networks_take_the_dials_and_say_how_their_colours_came_about(cnn, tmp_path):
    picture = one_file(tmp_path)
    command = ["colourize", picture, "--run", cnn, "--out", tmp_path / "o", "--json"]
    ok(*command)
    before = (tmp_path / "o" / "a.png").read_bytes()
    report = json.loads(ok(*command, "--vividness", "0"))
    assert not report["pictures"][0]["skipped"]
    assert (tmp_path / "o" / "a.png").read_bytes() != before
    assert (read_notes(tmp_path / "o" / "a.png")["model"], read_notes(tmp_path / "o" / "a.png")["vividness"]) == (
        "cnn",
        "0",
    )


def test_alternatives_are_named_likeliest_first(finished, trained, tmp_path):
    picture = one_file(tmp_path)
    told = json.loads(ok("colourize", picture, "--run", finished, "--alternatives", "24,30", "--json"))
    found = told["alternatives"]
    assert len(found) == 5 and {item["class"] for item in found} == set(range(5))
    chances = [item["probability"] for item in found]
    assert chances == sorted(chances, reverse=True) and sum(chances) == pytest.approx(1, abs=1e-4)
    assert found[0]["colour"] in ok("colourize", picture, "--run", finished, "--alternatives", "24,30")
    assert [a.class_id for a in alternatives_at(trained, open_picture(picture).rgb, 24.0, 30.0, 2)] == [
        item["class"] for item in found[:2]
    ]


@pytest.mark.parametrize(("x", "y", "class_id"), [(0, 0, 1), (23.9, 39.9, 1), (24, 0, 2), (47.9, 19.9, 2), (40, 20, 3)])
def test_alternatives_are_of_the_cell_that_the_pixel_lies_in(x, y, class_id, trained, tmp_path, monkeypatch):
    logits = torch.zeros(5, 10, 12)
    logits[1, :, :6] = logits[2, :5, 6:] = logits[3, 5:, 6:] = 9
    answer = Looked(logits, torch.full((40, 48), 0.5), (40, 48))
    monkeypatch.setattr(colouring, "look", lambda *_: answer)
    rgb = open_picture(one_file(tmp_path)).rgb
    assert alternatives_at(trained, rgb, float(x), float(y))[0].class_id == class_id


@pytest.mark.parametrize("where", ["48,3", "3,40", "-1,3", "nan,3"])
def test_alternatives_outside_of_the_picture_are_refused(where, finished, tmp_path):
    words = error("colourize", one_file(tmp_path), "--run", finished, f"--alternatives={where}")
    assert "lies outside of a picture of 48 x 40 pixels" in words


def test_a_map_of_uncertainty_lies_beside_each_picture(finished, album, tmp_path):
    ok("colourize", album, "--run", finished, "--out", tmp_path / "out", "--uncertainty")
    for place in ("tall_uncertainty.png", "summer/tall_uncertainty.png", "wide_uncertainty.png"):
        shown, picture = (
            open_picture(tmp_path / "out" / place).rgb,
            open_picture(
                tmp_path / "out" / place.replace("_uncertainty.png", ".jpg" if "wide" in place else ".png")
            ).rgb,
        )
        height, width = picture.shape[1:]
        assert shown.shape[1] > height and shown.shape[2] >= width  # a scale is below
        away = (light_of(shown[None, :, :height, :width]) - light_of(picture[None])).abs()
        assert away.mean() < 0.02
        assert oklab_of(shown[None])[:, 1].min() > -0.02  # grey to orange red, and nothing else


def test_a_map_of_uncertainty_that_is_missing_is_made_though_the_picture_is_there(finished, tmp_path):
    command = ["colourize", one_file(tmp_path), "--run", finished, "--out", tmp_path / "out"]
    ok(*command)
    ok(*command, "--uncertainty")
    assert (tmp_path / "out" / "a_uncertainty.png").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--vividness", "9"], "vividness is 9.0; expected 0 (vivid) to 4 (pale)"),
        (["--rare", "-1"], "rare is -1.0; expected 0"),
        (["--forbid", "nonsense"], "'nonsense' is not a colour; expected six hexadecimal digits"),
        (["--lock", "#12"], "'#12' is not a colour"),
        (["--swap", "#123456=red"], "'red' is not a colour"),
        (["--hints", "nowhere.json"], "hints nowhere.json cannot be read"),
    ],
)
def test_nonsense_is_a_clear_error(given, words, finished, tmp_path):
    assert words in error("colourize", one_file(tmp_path), "--run", finished, "--out", tmp_path / "out", *given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--swap", "x"], "expected two colours such as"),
        (["--jobs", "0"], "expected 1 or more"),
        (["--jobs", "-3"], "expected 1 or more"),
        (["--alternatives", "here"], "expected a pixel such as 120,80"),
        (["--alternatives", "1,2,3"], "expected a pixel such as 120,80"),
        (["--vividness", "much"], "Invalid value for '--vividness'"),
    ],
)
def test_arguments_that_cannot_be_read_are_usage_errors(given, words, finished, tmp_path):
    code, out, err = call("colourize", one_file(tmp_path), "--run", finished, "--out", tmp_path / "out", *given)
    assert (code, out) == (2, "")
    assert words in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err


def test_a_folder_for_results_is_asked_for(finished, tmp_path):
    code, _, err = call("colourize", one_file(tmp_path), "--run", finished)
    assert code == 2 and "a folder for the coloured pictures is needed" in " ".join(err.replace("│", " ").split())


def test_every_colour_forbidden_is_told_for_each_picture(finished, trained, tmp_path):
    every = ",".join(trained.palette.display_colours)
    assert {class_of(trained.palette, colour) for colour in every.split(",")} == set(range(5))
    words = error("colourize", one_file(tmp_path), "--run", finished, "--out", tmp_path / "out", "--forbid", every)
    assert "every colour of the palette is forbidden" in words


def test_the_other_spelling_works_too(finished, tmp_path):
    ok("colorize", one_file(tmp_path), "--run", finished, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "a.png").exists()


def test_pictures_of_one_name_in_two_folders_are_not_mixed_up(finished, tmp_path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        Image.fromarray(scenery(1)).save(tmp_path / place / "a.png")
    words = error("colourize", tmp_path / "one", tmp_path / "two", "--run", finished, "--out", tmp_path / "out")
    assert "would both become" in words
    assert not (tmp_path / "out").exists()


def test_hints_on_a_picture_that_is_not_there_raise_before_anything_is_coloured(trained, tmp_path):
    wishes = Wishes(hints=Hints({"b.png": (Hint(RED, 2.0, ((1.0, 1.0),)),)}))
    with pytest.raises(BadData, match="not among the pictures given"):
        list(colourize_files([(one_file(tmp_path), tmp_path / "out.png")], trained, wishes))
    assert not (tmp_path / "out.png").exists()


def mutated(content, chance):
    """A file with some bytes changed, some left out, or cut short."""
    found = bytearray(content)
    for _ in range(chance.choice([1, 3, 10])):
        found[chance.randrange(len(found))] = chance.randrange(256)
    if chance.random() < 0.3:
        place = chance.randrange(len(found))
        del found[place : place + chance.randrange(1, 40)]
    if chance.random() < 0.2:
        del found[chance.randrange(len(found)) :]
    return bytes(found)


def test_damaged_files_become_pictures_of_the_size_they_say_or_a_reason(trained, tmp_path):
    chance, pairs = random.Random(0), []
    for number in range(60):
        suffix = (".jpg", ".png")[number % 2]
        path = tmp_path / f"{number}{suffix}"
        Image.fromarray(scenery(number % 6, 17, 23)).save(path)
        path.write_bytes(mutated(path.read_bytes(), chance))
        pairs.append((path, tmp_path / f"out{number}{suffix}"))
    done = list(colourize_files(pairs, trained))
    assert len(done) == 60
    for item in done:
        if item.output is None:
            assert item.reason and not list(tmp_path.glob(f"out{item.picture.stem}.*"))
        else:
            assert item.reason is None
            with Image.open(item.picture) as said, Image.open(item.output) as made:
                assert made.size == said.size
    assert 5 < sum(item.output is None for item in done) < 55


def test_onnxruntime_colours_alike_and_its_file_is_made_again_if_it_was_damaged(finished, album, tmp_path, own_cache):
    pytest.importorskip("onnxruntime", reason='needs pip install "pixelwise[onnx]"')
    command = ("colourize", album, "--run", finished, "--again", "--json", "--out")
    by_torch = json.loads(ok(*command, tmp_path / "torch"))["pictures"]
    for attempt in ("new", "kept", "damaged"):
        by_onnx = json.loads(ok(*command, tmp_path / attempt, "--engine", "onnx"))["pictures"]
        for one, other in zip(by_torch, by_onnx, strict=True):
            first, second = (np.array(Image.open(made["output"]).convert("RGB")).astype(int) for made in (one, other))
            assert abs(first - second).max() <= 3  # a JPEG may turn one level into a few
        (file,) = (own_cache / "onnx").glob("*.onnx")
        if attempt == "kept":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert len(file.read_bytes()) > 1_000_000  # whole again, with its trunk
