import hashlib
import http.server
import io
import json
import socket
import tarfile
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import scenery
from pixelwise.config import DataSettings, ModelSettings, TrainSettings
from pixelwise.data.batches import Encoded, batches, in_order
from pixelwise.data.cifar10 import TEST_FILE, TRAIN_FILES, load_cifar10, unpack
from pixelwise.data.folder import load_folder
from pixelwise.data.load import fetch_data, load_data
from pixelwise.data.patches import cut_patches
from pixelwise.data.photos import PHOTOGRAPHS
from pixelwise.data.pictures import DataSet, Pictures, evenly_spaced
from pixelwise.data.split import place_split, ranked_split, without_copies
from pixelwise.download import fetch
from pixelwise.errors import BadData, BadPicture, BadSetting, UnknownName

# --- CIFAR-10: five training files of four pictures and a test file of four, all of one colour ---


def record(label: int, colour: tuple[int, int, int]) -> bytes:
    return bytes([label]) + b"".join(bytes([value]) * 1024 for value in colour)


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """Picture i of training file f has label 2 i (0, 2, 4, 6) and colour (f, i, 200); test ones have blue 100."""
    folder = tmp_path / "cifar"
    folder.mkdir()
    for f, name in enumerate(TRAIN_FILES):
        (folder / name).write_bytes(b"".join(record(2 * i, (f, i, 200)) for i in range(4)))
    (folder / TEST_FILE).write_bytes(b"".join(record(2 * i, (9, i, 100)) for i in range(4)))
    return folder


def cifar_of(folder: Path, *category: str, validation: float = 0.25) -> DataSet:
    return load_cifar10(DataSettings(name="cifar10", root=str(folder), category=category, validation=validation))


def corner_colours(pictures: Pictures) -> list[tuple[int, ...]]:
    return [tuple(colour) for colour in pictures.pixels[:, :, 0, 0].tolist()]


def test_cifar_pictures_come_in_the_files_order_by_channel_with_their_names(cifar):
    data = cifar_of(cifar, validation=0.0)
    assert data.train.pixels.shape == (20, 3, 32, 32)
    assert corner_colours(data.train) == [(f, i, 200) for f in range(5) for i in range(4)]
    assert list(data.train.names[3:5]) == ["data_batch_1/3", "data_batch_2/0"]
    assert len(data.validation) == 0


def test_cifar_rows_and_columns_are_where_the_format_puts_them(cifar):
    plane = np.arange(3072) % 251
    content = bytes([0]) + plane.astype(np.uint8).tobytes()
    (cifar / TEST_FILE).write_bytes(content)
    pixels = cifar_of(cifar).test.pixels
    assert pixels[0, 2, 5, 7].item() == (2 * 1024 + 5 * 32 + 7) % 251


def test_the_official_test_pictures_are_the_test_split(cifar):
    data = cifar_of(cifar)
    assert corner_colours(data.test) == [(9, i, 100) for i in range(4)]
    assert list(data.split("test").names) == [f"test_batch/{i}" for i in range(4)]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, 5), (0.5, 10), (0.01, 1)])
def test_validation_is_the_share_asked_of_the_training_pictures_and_apart_from_them(cifar, share, expected):
    data = cifar_of(cifar, validation=share)
    assert len(data.validation) == expected
    train, validation = set(corner_colours(data.train)), set(corner_colours(data.validation))
    assert train | validation == {(f, i, 200) for f in range(5) for i in range(4)}
    assert not train & validation


def test_a_category_leaves_the_others_out(cifar):
    data = cifar_of(cifar, "bird", "frog", validation=0.0)  # labels 2 and 6
    assert (data.name, data.title) == ("cifar10", "CIFAR-10 bird, frog")
    assert corner_colours(data.train) == [(f, i, 200) for f in range(5) for i in (1, 3)]
    assert corner_colours(data.test) == [(9, 1, 100), (9, 3, 100)]


def test_an_unknown_category_is_refused_with_the_known_ones_and_a_guess(cifar):
    with pytest.raises(UnknownName, match=r"unknown CIFAR-10 category 'hors'; known: airplane, .*did you mean 'horse'"):
        cifar_of(cifar, "hors")


def test_training_pictures_that_are_copies_are_left_out(cifar):
    copies = record(0, (9, 0, 100)) + record(0, (1, 1, 200)) + record(0, (77, 0, 0))
    (cifar / TRAIN_FILES[4]).write_bytes(copies)
    data = cifar_of(cifar)
    found = Counter(corner_colours(data.train) + corner_colours(data.validation))
    assert found == Counter([(f, i, 200) for f in range(4) for i in range(4)] + [(77, 0, 0)])
    assert len(data.test) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (record(1, (1, 2, 3))[:-1], "has 3,072 bytes; expected a multiple of 3,073"),
        (b"", "has 0 bytes; expected a multiple"),
        (record(9, (1, 2, 3)) + record(10, (1, 2, 3)), "has label 10; expected 0 to 9"),
        (None, "cannot be read"),
    ],
)
def test_a_damaged_batch_file_is_refused_by_name(cifar, content, message):
    path = cifar / TRAIN_FILES[2]
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(BadData, match=f"data_batch_3.bin {message}"):
        cifar_of(cifar)


def test_a_category_without_pictures_is_refused(cifar):
    with pytest.raises(BadData, match="no pictures of horse, truck"):
        cifar_of(cifar, "horse", "truck")


def test_a_folder_without_cifar_is_refused(tmp_path):
    with pytest.raises(BadData, match=r"no CIFAR-10 at .*missing; expected test_batch.bin and data_batch_1.bin"):
        cifar_of(tmp_path / "missing")


def test_cifar_is_found_in_the_cache_or_asked_for(cifar, tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELWISE_CACHE", str(tmp_path / "cache"))
    settings = DataSettings(name="cifar10", validation=0.0)
    with pytest.raises(BadData, match="run `pixelwise data fetch cifar10`, or give --root"):
        load_data(settings)
    (tmp_path / "cache").mkdir()
    cifar.rename(tmp_path / "cache" / "cifar-10-batches-bin")
    assert len(load_data(settings).train) == 20


def tar_of(path: Path, names: list[str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    return path


def test_unpacking_writes_the_batch_files_and_nothing_else(tmp_path):
    names = ["c/readme.html", "/etc/notes", *(f"c/{name}" for name in (*TRAIN_FILES, TEST_FILE))]
    unpack(tar_of(tmp_path / "a.tar.gz", names), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([*TRAIN_FILES, TEST_FILE])
    assert (tmp_path / "out" / TEST_FILE).read_text() == "c/test_batch.bin"


def test_a_hostile_archive_cannot_write_outside_of_the_folder(tmp_path):
    names = ["../../data_batch_1.bin", f"{tmp_path}/data_batch_2.bin", *TRAIN_FILES[2:], TEST_FILE]
    folder = tmp_path / "deep" / "er" / "out"
    unpack(tar_of(tmp_path / "a.tar.gz", names), folder)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == sorted(
        ["a.tar.gz", *(f"deep/er/out/{name}" for name in (*TRAIN_FILES, TEST_FILE))]
    )


def test_an_archive_without_all_batch_files_is_refused(tmp_path):
    with pytest.raises(BadData, match=r"a.tar.gz has no data_batch_5.bin, test_batch.bin \(SHA-256 [0-9a-f]{64}\)"):
        unpack(tar_of(tmp_path / "a.tar.gz", list(TRAIN_FILES[:4])), tmp_path / "out")


# --- downloads, from a server on this machine ---

CONTENT = bytes(range(256)) * 20
RIGHT = hashlib.sha256(CONTENT).hexdigest()


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        self.close_connection = True
        if self.path == "/nonsense":
            self.wfile.write(b"nonsense\r\n\r\n")
            return
        self.send_response(404 if self.path == "/missing" else 200)
        if self.path == "/short-chunk":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"100\r\nabc")
            return
        if self.path != "/no-length":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:-100] if self.path == "/short" else CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(Answers, "asked", [], raising=False)
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


@pytest.mark.parametrize(("path", "total"), [("/whole", len(CONTENT)), ("/no-length", 0)])
def test_a_download_with_the_right_checksum_becomes_the_file(server, tmp_path, path, total):
    target = tmp_path / "new" / "a.bin"
    assert list(fetch(server + path, target, RIGHT))[-1] == (len(CONTENT), total)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("/whole", "0" * 64, f"gave a file with SHA-256 {RIGHT}; expected 000"),
        ("/no-length", "0" * 64, "gave a file with SHA-256"),
        ("/short", RIGHT, "stopped after 5,020 of 5,120 bytes; try again"),
        ("/short-chunk", RIGHT, "cannot be fetched"),
        ("/nonsense", RIGHT, "cannot be fetched"),
        ("/missing", RIGHT, "cannot be fetched .*404"),
    ],
)
def test_a_bad_download_is_refused_and_leaves_nothing(server, tmp_path, path, sha256, message):
    with pytest.raises(BadData, match=f"(?s){path} {message}.* by hand to .*a.bin"):
        list(fetch(server + path, tmp_path / "a.bin", sha256))
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_nobody_answers_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        with pytest.raises(BadData, match=r"cannot be fetched .*refused"):
            list(fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/a", tmp_path / "a.bin", RIGHT))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_fetched_again_unless_it_is_another(server, tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(CONTENT)
    assert list(fetch(f"{server}/whole", target, RIGHT)) == []
    assert Answers.asked == []
    target.write_bytes(CONTENT[:-1])
    assert list(fetch(f"{server}/whole", target, RIGHT)) == [(5120, 5120)]
    assert target.read_bytes() == CONTENT


def test_a_download_that_is_given_up_leaves_nothing(server, tmp_path):
    progress = fetch(f"{server}/whole", tmp_path / "a.bin", RIGHT)
    next(progress)
    progress.close()
    assert list(tmp_path.iterdir()) == []


# --- folders ---


def folder_of(root: Path, **changes) -> DataSet:
    given = {"name": "folder", "root": str(root), "patch": 8, "scales": (8,), "validation": 0.3} | changes
    return load_folder(DataSettings(**given))


def contents(pictures: Pictures) -> set[bytes]:
    return {patch.numpy().tobytes() for patch in pictures.pixels}


def splits_of(data: DataSet) -> list[set[bytes]]:
    return [contents(part) for part in (data.train, data.validation, data.test)]


def write_scenery(folder: Path, *numbers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.fromarray(scenery(number)).save(folder / f"{number}.png")


def test_a_folder_is_split_by_picture_with_the_rest_to_train_on(folder_of_pictures):
    data = folder_of(folder_of_pictures)
    assert (data.name, data.title) == ("folder", "pictures")
    sizes = [len(part) for part in (data.train, data.validation, data.test)]
    assert sum(sizes) == 6
    assert min(sizes) >= 1
    assert data.train.pixels.shape == (sizes[0], 3, 8, 8)
    assert sorted([*data.train.names, *data.validation.names, *data.test.names]) == [f"{i}.png#0" for i in range(6)]


def test_the_folder_itself_has_a_name_when_it_is_given_as_a_dot(folder_of_pictures, monkeypatch):
    monkeypatch.chdir(folder_of_pictures)
    assert folder_of(Path()).title == "pictures"


def test_the_split_does_not_depend_on_the_files_names(folder_of_pictures):
    before = splits_of(folder_of(folder_of_pictures))
    for old, new in zip(range(6), [3, 5, 0, 1, 4, 2], strict=True):
        (folder_of_pictures / f"{old}.png").rename(folder_of_pictures / f"new{new}.png")
    assert splits_of(folder_of(folder_of_pictures)) == before


def test_pictures_of_a_folder_stay_in_their_split_when_others_come_and_go():
    hashes = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(2000)]
    many = place_split(hashes, [0.1, 0.2])
    few = place_split(hashes[:400], [0.1, 0.2])
    assert [[i for i in part if i < 400] for part in many] == few
    assert [len(part) for part in many] == pytest.approx([200, 400, 1400], rel=0.1)


def test_a_small_folder_has_something_in_every_split():
    hashes = ["f" * 64, "e" * 64, "d" * 64]
    assert place_split(hashes, [0.1, 0.1]) == [[2], [1], [0]]
    assert place_split(hashes, [0.1, 0.0]) == [[2], [], [0, 1]]


def test_patches_of_one_picture_are_never_in_two_splits(folder_of_pictures):
    data = folder_of(folder_of_pictures, scales=(8, 16, 40))
    sources = [{name.partition("#")[0] for name in part.names} for part in (data.train, data.validation, data.test)]
    assert sum(len(names) for names in sources) == len(set.union(*sources)) == 6
    assert len(data.test) == len(sources[2]) * (1 + 2 * 2 + 5 * 6)


def test_copies_are_never_in_two_splits(folder_of_pictures):
    before = splits_of(folder_of(folder_of_pictures))
    for number in range(6):
        Image.fromarray(scenery(number)).save(folder_of_pictures / f"copy{number}.bmp")
    data = folder_of(folder_of_pictures)
    assert splits_of(data) == before
    assert len(data.train) + len(data.validation) + len(data.test) == 6


@pytest.mark.parametrize("name", ["validation", "val"])
def test_named_subfolders_are_the_splits_and_copies_stay_in_test(tmp_path, name):
    write_scenery(tmp_path / "train", 0, 1, 2, 3, 4)
    write_scenery(tmp_path / name, 5, 6, 3, 4)
    write_scenery(tmp_path / "test", 7, 4)
    data = folder_of(tmp_path)
    assert list(data.train.names) == ["0.png#0", "1.png#0", "2.png#0"]
    assert list(data.validation.names) == ["3.png#0", "5.png#0", "6.png#0"]
    assert list(data.test.names) == ["4.png#0", "7.png#0"]


def test_without_a_named_validation_folder_it_is_cut_from_train(tmp_path):
    write_scenery(tmp_path / "train", 0, 1, 2, 3, 7)
    write_scenery(tmp_path / "test", 7)
    data = folder_of(tmp_path, validation=0.25)
    assert (len(data.train), len(data.validation), list(data.test.names)) == (3, 1, ["7.png#0"])
    assert not contents(data.train) & contents(data.validation)
    assert not (contents(data.train) | contents(data.validation)) & contents(data.test)


def test_named_splits_with_nothing_left_to_train_on_are_refused(tmp_path):
    write_scenery(tmp_path / "train", 1)
    write_scenery(tmp_path / "test", 1, 2)
    with pytest.raises(BadData, match="train has no picture left to train on"):
        folder_of(tmp_path)


def test_fewer_than_three_different_pictures_are_refused(tmp_path):
    write_scenery(tmp_path / "p", 0, 1)
    Image.fromarray(scenery(1)).save(tmp_path / "p" / "copy.png")
    with pytest.raises(BadData, match="has 2 different pictures; expected at least 3"):
        folder_of(tmp_path / "p")
    write_scenery(tmp_path / "p", 2)
    assert [len(part) for part in splits_of(folder_of(tmp_path / "p"))] == [1, 1, 1]


def test_a_validation_share_that_leaves_nothing_to_train_on_is_refused(tmp_path):
    write_scenery(tmp_path / "p", 0, 1, 2)
    with pytest.raises(BadData, match=r"validation 0.9 of 3 pictures leaves none to train on; lower it"):
        folder_of(tmp_path / "p", validation=0.9)


def test_pictures_that_cannot_be_read_are_named(folder_of_pictures):
    for number in range(7):
        (folder_of_pictures / f"broken{number}.png").write_bytes(b"no")
    with pytest.raises(BadData, match=r"7 of 13 pictures cannot be read; mend or remove(.|\n)*and 2 more") as caught:
        folder_of(folder_of_pictures)
    assert "broken0.png" in str(caught.value) and "broken5.png" not in str(caught.value)


def test_a_folder_must_be_given_and_exist(tmp_path):
    with pytest.raises(BadData, match="needs a folder of pictures; give --root FOLDER"):
        load_folder(DataSettings(name="folder"))
    with pytest.raises(BadPicture, match=r"no folder at .*missing"):
        folder_of(tmp_path / "missing")


# --- patches ---


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        (8, 8, 1),  # enlarged to one patch
        (5, 2000, 16),  # the middle 5 x 80, enlarged to 32 x 512
        (2000, 5, 16),
        (1, 1, 1),
        (64, 96, 1 * 1 + 2 * 3),  # at 32 and at 64
        (50, 40, 1),
    ],
)
def test_patches_have_the_size_asked_whatever_the_picture(height, width, count):
    assert cut_patches(noise(3, height, width), 32, (64, 32, 64, 16)).shape == (count, 3, 32, 32)


def test_a_picture_between_patch_and_scale_is_cut_at_its_own_size():
    rgb = noise(3, 21, 22)
    patches = cut_patches(rgb, 10, (64,))
    assert torch.equal(patches[0], rgb[:, 0:10, 1:11])
    assert torch.equal(patches[3], rgb[:, 10:20, 11:21])


def test_a_scale_of_the_pictures_own_size_keeps_its_pixels_and_leaves_even_margins():
    rgb = noise(3, 8, 19)
    assert torch.equal(cut_patches(rgb, 8, (8,)), torch.stack([rgb[:, :, 1:9], rgb[:, :, 9:17]]))


@pytest.mark.parametrize(("count", "most", "kept"), [(3, 5, [0, 1, 2]), (5, 5, [0, 1, 2, 3, 4]), (10, 4, [0, 2, 5, 7])])
def test_too_many_patches_are_thinned_evenly(count, most, kept):
    assert evenly_spaced(count, most) == kept


# --- photographs ---


def test_the_photographs_are_split_as_written_and_need_no_network(monkeypatch):
    def no_network(*_args, **_options):
        raise AssertionError("the photographs must not need the network")

    monkeypatch.setattr(socket, "socket", no_network)
    data = load_data(DataSettings(name="photos", scales=(64,)))
    found = [{name.partition(".")[0] for name in part.names} for part in (data.train, data.validation, data.test)]
    assert found == [
        {"astronaut", "china", "flower", "motorcycle_left"},
        {"rocket"},
        {"chelsea", "coffee"},
    ]
    assert len(set.union(*splits_of(data))) == len(data.train) + len(data.validation) + len(data.test)


def test_a_package_without_its_photograph_is_named(monkeypatch):
    monkeypatch.setitem(PHOTOGRAPHS, "rocket", ("validation", "skimage", "data/gone.jpg"))
    with pytest.raises(BadData, match=r"skimage does not carry data/gone.jpg; reinstall it"):
        load_data(DataSettings(name="photos", scales=(32,)))


# --- splits ---


def test_the_first_of_each_content_is_kept_unless_it_is_banned():
    assert without_copies(["b", "a", "b", "c", "a"], banned=["c"]) == [0, 1]


def test_shares_are_filled_by_rank_of_content_and_each_gets_at_least_one():
    hashes = ["e", "a", "d", "b", "c"]  # ranked: 1, 3, 4, 2, 0
    assert ranked_split(hashes, [0.4, 0.01]) == [[1, 3], [4], [0, 2]]
    assert ranked_split(hashes, [0.0, 0.2]) == [[], [1], [0, 2, 3, 4]]


def test_pictures_need_a_name_each():
    with pytest.raises(BadData, match="2 pictures but 1 names"):
        Pictures(noise(2, 3, 2, 2), ["a"])


def test_the_fingerprint_of_pictures_knows_pixels_order_and_shape():
    pixels = noise(4, 3, 2, 2)
    names = list("abcd")
    same = Pictures(pixels.clone(), names[::-1]).sha256
    assert Pictures(pixels, names).sha256 == same
    assert Pictures(pixels, names).take([1, 0, 2, 3]).sha256 != same
    assert Pictures(pixels.reshape(4, 3, 1, 4), names).sha256 != same


# --- batches: pixel (y, x) of picture i is 10 i + x in every channel, and so is its class ---


def numbered(count: int) -> Pictures:
    values = (10 * torch.arange(count).view(-1, 1, 1, 1) + torch.arange(4)).expand(count, 3, 2, 4)
    return Pictures(values.to(torch.uint8).contiguous(), [str(i) for i in range(count)])


def epoch_of(palette, count=11, size=4, **changes) -> list[tuple[torch.Tensor, torch.Tensor]]:
    pictures = numbered(count)
    given = {"seed": 1, "epoch": 1} | changes
    found = batches(Encoded(pictures, pictures.pixels[:, 0].contiguous()), palette, size, **given)
    return [((grey * 255).round().squeeze(1).int(), truth.int()) for grey, truth in found]


def order_of(epoch) -> list[int]:
    return [row // 10 for grey, _ in epoch for row in grey[:, 0, 0].tolist()]


def test_an_epoch_has_every_picture_once_and_a_short_last_batch(palette):
    epoch = epoch_of(palette)
    assert [len(grey) for grey, _ in epoch] == [4, 4, 3]
    assert sorted(order_of(epoch)) == list(range(11))
    assert order_of(epoch) != list(range(11))


def test_seed_and_epoch_fix_the_batches(palette):
    first, second = epoch_of(palette, flips=True), epoch_of(palette, flips=True)
    assert all(torch.equal(a, b) and torch.equal(c, d) for (a, c), (b, d) in zip(first, second, strict=True))
    assert order_of(epoch_of(palette, epoch=2)) != order_of(epoch_of(palette))
    assert order_of(epoch_of(palette, seed=2)) != order_of(epoch_of(palette))


@pytest.mark.parametrize("skip", [0, 1, 2, 3])
def test_skipped_batches_leave_the_rest_of_the_epoch_as_it_was(palette, skip):
    whole, rest = epoch_of(palette, flips=True), epoch_of(palette, flips=True, skip=skip)
    assert len(rest) == 3 - skip
    assert all(torch.equal(a, b) and torch.equal(c, d) for (a, c), (b, d) in zip(whole[skip:], rest, strict=True))


def test_flips_mirror_some_pictures_and_their_classes_together(palette):
    mirrored = []
    for grey, truth in epoch_of(palette, count=25, flips=True):
        assert torch.equal(grey, truth)
        for picture in grey:
            rows = (picture % 10).tolist()
            assert rows in ([[0, 1, 2, 3]] * 2, [[3, 2, 1, 0]] * 2)
            mirrored.append(rows[0][0] == 3)
    assert 4 < sum(mirrored) < 21


def test_without_flips_no_picture_is_mirrored(palette):
    for grey, truth in epoch_of(palette):
        assert torch.equal(grey, truth)
        assert (grey % 10).tolist() == [[[0, 1, 2, 3]] * 2] * len(grey)


def test_pictures_can_be_had_in_order(palette):
    found = list(in_order(numbered(5), palette, 2))
    assert [list(some.names) for some, _ in found] == [["0", "1"], ["2", "3"], ["4"]]
    assert all(torch.allclose(seen[:, 0], some.pixels[:, 0] / 255) for some, seen in found)


# --- data sets by name ---


def test_an_unknown_data_set_is_refused_with_the_known_ones_and_a_guess():
    with pytest.raises(
        UnknownName, match="unknown data set 'cifar'; known: cifar10, flowers17, folder, photos; did you mean"
    ):
        load_data(DataSettings(name="cifar"))


def test_only_cifar_has_categories():
    with pytest.raises(BadData, match="category horse given; only cifar10 has categories, not photos"):
        load_data(DataSettings(name="photos", category=("horse",)))


def test_a_data_set_that_is_installed_is_not_downloaded(tmp_path):
    with pytest.raises(BadData, match="'photos' needs no download"):
        fetch_data("photos", tmp_path)


# --- settings ---


@pytest.mark.parametrize(
    "settings",
    [
        DataSettings(name="cifar10", root="x", category=("horse", "deer"), validation=0.2, patch=16, scales=(16,)),
        DataSettings(),
        ModelSettings(name="cnn", kernel=5, num_filters=8, num_colours=255, num_in_channels=2),
        TrainSettings(epochs=2, learning_rate=0.5, optimizer="adamw", schedule="one_cycle", flips=True, seed=2**31 - 1),
    ],
)
def test_settings_survive_json(settings):
    mapping = json.loads(json.dumps(settings.to_mapping()))
    assert type(settings).from_mapping(mapping) == settings


def test_a_whole_number_will_do_where_a_fraction_is_meant():
    assert TrainSettings.from_mapping({"learning_rate": 1}).learning_rate == 1


def test_an_unknown_setting_is_refused_with_the_known_ones():
    with pytest.raises(
        BadSetting, match=r"unknown setting kernal, size; known: heads, input_padding, .*kernel, name, num_colours"
    ):
        ModelSettings.from_mapping({"size": 1, "kernel": 3, "kernal": 3})


@pytest.mark.parametrize(
    ("kind", "name", "value", "expected"),
    [
        (DataSettings, "name", 3, "str"),
        (DataSettings, "root", 3, r"str \| None"),
        (DataSettings, "category", "horse", r"tuple\[str, ...\]"),
        (DataSettings, "category", ["horse", 1], r"tuple\[str, ...\]"),
        (DataSettings, "scales", [1.5], r"tuple\[int, ...\]"),
        (DataSettings, "scales", [], "1 to 4096 pixels each"),
        (DataSettings, "scales", [64, 0], "1 to 4096 pixels each"),
        (DataSettings, "validation", 1, "a share"),
        (DataSettings, "validation", -0.1, "a share"),
        (DataSettings, "patch", 3, "8 to 512 pixels"),
        (DataSettings, "patch", 513, "8 to 512 pixels"),
        (ModelSettings, "kernel", True, "int"),
        (ModelSettings, "kernel", 3.0, "int"),
        (ModelSettings, "kernel", 32, "1 to 31 pixels"),
        (ModelSettings, "num_filters", 0, "1 to 4096"),
        (ModelSettings, "num_colours", 1, "2 to 255"),
        (ModelSettings, "num_colours", 256, "2 to 255"),
        (ModelSettings, "num_in_channels", 0, "1 to 4096"),
        (TrainSettings, "epochs", 0, "1 or more"),
        (TrainSettings, "batch_size", 0, "1 or more pictures"),
        (TrainSettings, "learning_rate", 0, "a number above 0"),
        (TrainSettings, "learning_rate", float("nan"), "a finite number"),
        (TrainSettings, "learning_rate", float("inf"), "a finite number"),
        (TrainSettings, "learning_rate", 10**400, "a finite number"),
        (TrainSettings, "learning_rate", 1e39, "at most 1e38"),
        (TrainSettings, "learning_rate", True, "a finite number"),
        (TrainSettings, "weight_decay", -1e-9, "0 or more"),
        (TrainSettings, "optimizer", "sgd", "adam or adamw"),
        (TrainSettings, "optimizer", ["adam"], "adam or adamw"),
        (TrainSettings, "precision", "float16", "float32 or bfloat16"),
        (TrainSettings, "flips", 1, "bool"),
        (TrainSettings, "seed", -1, "0 or more"),
        (TrainSettings, "seed", 2**31, "below 2.31"),
    ],
)
def test_a_value_of_the_wrong_type_or_out_of_range_is_refused_by_name(kind, name, value, expected):
    with pytest.raises(BadSetting, match=f"^{name} is .*; expected .*{expected}"):
        kind.from_mapping({name: value})
