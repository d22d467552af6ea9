"""Only what is named learns, what is frozen does not move in any way, and what a step costs is known beforehand."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from conftest import scenery
from pixelwise.accounting.finetuning import fine_tuning
from pixelwise.classes.labels import Labels
from pixelwise.config import TrainSettings
from pixelwise.data.batches import Encoded, PictureFeed
from pixelwise.data.pictures import Pictures
from pixelwise.errors import BadRun, BadSetting
from pixelwise.freeze import MODES, fingerprint, fingerprints, freeze, prefixes_of, prove_frozen
from pixelwise.models.deeplab import untrained_segmenter
from pixelwise.models.hypercolumn import hypercolumn_segmenter
from pixelwise.models.segmenter import Segmenter, last_layer
from pixelwise.train import Training, fit

DEEPLAB, HYPERCOLUMN = "deeplabv3_mobilenet_v3_large", "hypercolumn"
CPU = torch.device("cpu")
SEEN = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TRUTH = torch.randint(0, 2, (2, 32, 32), generator=torch.Generator().manual_seed(1))
MIB = 2**20


class Tiny(Segmenter):
    """A trunk of half size and a head, both with BatchNorm and dropout."""

    preprocessing = "none"
    channels = (6,)

    def __init__(self, k: int = 2) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Sequential(nn.Conv2d(8, 6, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5))
        self.last = last_layer(6, k)

    def features(self, seen):
        return (self.head(self.trunk(seen)),)


def tiny(k: int = 2) -> Tiny:
    torch.manual_seed(0)
    return Tiny(k)


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return {"tiny": tiny(), HYPERCOLUMN: hypercolumn_segmenter(2), DEEPLAB: untrained_segmenter(DEEPLAB, 2)}


@pytest.fixture(params=["tiny", HYPERCOLUMN, DEEPLAB])
def network(request, networks):
    """A network with a last layer that has an opinion, so that gradients reach the trunk."""
    model = copy.deepcopy(networks[request.param])
    nn.init.normal_(model.last.weight, generator=torch.Generator().manual_seed(0))
    return model


def head_of(model: Segmenter) -> nn.Module:
    return model.head if hasattr(model, "head") else model.trunk.blocks[5]


def learned_modules(model: Segmenter, mode: str) -> list[nn.Module]:
    return {"last": [model.last], "head": [head_of(model), model.last], "full": [model]}[mode]


def learned_parameters(model: Segmenter, mode: str) -> set[str]:
    expected = {id(p) for module in learned_modules(model, mode) for p in module.parameters()}
    return {name for name, p in model.named_parameters() if id(p) in expected}


def norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def steps_of_training(model: Segmenter, steps: int = 3) -> None:
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(SEEN), TRUTH).backward()
        optimizer.step()


def statistics(layers: list[nn.BatchNorm2d]) -> list[str]:
    return [fingerprint(t) for bn in layers for t in (bn.running_mean, bn.running_var, bn.num_batches_tracked)]


def feed_of(labels: Labels) -> PictureFeed:
    pixels = torch.stack([torch.from_numpy(scenery(i, 32, 32)).permute(2, 0, 1) for i in range(4)])
    ids = (pixels[:, 2] > 120).to(torch.uint8)
    return PictureFeed(labels, Encoded(Pictures(pixels, list("abcd"), ids), ids))


@pytest.mark.parametrize("mode", MODES)
def test_only_what_is_named_gets_gradients(network, mode):
    freeze(network, prefixes_of(network, mode))
    F.cross_entropy(network(SEEN), TRUTH).backward()
    with_gradient = {name for name, p in network.named_parameters() if p.grad is not None}
    assert with_gradient == learned_parameters(network, mode)
    assert with_gradient == {name for name, p in network.named_parameters() if p.requires_grad}
    assert network.last.weight.grad.any()


@pytest.mark.parametrize("mode", MODES)
def test_only_what_is_learned_moves(network, mode):
    freeze(network, prefixes_of(network, mode))
    before = {name: p.clone() for name, p in network.named_parameters()}
    steps_of_training(network, 1)
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert moved <= learned_parameters(network, mode)
    assert {"last.weight", "last.bias"} <= moved


@pytest.mark.parametrize("mode", ["last", "head"])
def test_frozen_batchnorm_keeps_its_statistics_which_pytorchs_own_train_would_move(network, mode):
    freeze(network, prefixes_of(network, mode))
    learned = [bn for module in learned_modules(network, mode) for bn in norms(module)]
    frozen = [bn for bn in norms(network) if not any(bn is other for other in learned)]
    assert frozen and (learned or mode == "last")
    before, before_learned = statistics(frozen), statistics(learned)
    steps_of_training(network)
    assert statistics(frozen) == before
    assert all(a != b for a, b in zip(statistics(learned), before_learned, strict=True))
    nn.Module.train(network)
    steps_of_training(network, 1)
    assert all(a != b for a, b in zip(statistics(frozen), before, strict=True))


def test_full_mode_moves_every_batchnorm():
    model = tiny()
    freeze(model, prefixes_of(model, "full"))
    before = statistics(norms(model))
    steps_of_training(model)
    assert all(a != b for a, b in zip(statistics(norms(model)), before, strict=True))


@pytest.mark.parametrize(
    ("mode", "on"), [("last", []), ("head", ["head.3"]), ("full", ["trunk.3", "head.3"])], ids=MODES
)
def test_dropout_is_off_where_frozen_and_on_where_learned(mode, on):
    model = tiny()
    freeze(model, prefixes_of(model, mode))
    assert [name for name, m in model.named_modules() if isinstance(m, nn.Dropout) and m.training] == on
    once, again = model.features(SEEN)[0], model.features(SEEN)[0]
    assert torch.equal(once, again) == (not on)
    model.eval()
    assert not any(module.training for module in model.modules())
    model.train()
    assert [name for name, m in model.named_modules() if isinstance(m, nn.Dropout) and m.training] == on


def test_pytorchs_own_train_would_drop_frozen_features():
    model = tiny()
    freeze(model, prefixes_of(model, "last"))
    nn.Module.train(model)
    assert not torch.equal(model.features(SEEN)[0], model.features(SEEN)[0])


def test_part_of_a_layer_can_be_learned_and_its_statistics_stay():
    model = tiny()
    freeze(model, ("head.1.weight", "last.bias"))
    before = statistics(norms(model))
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["head.1.weight", "last.bias"]
    nn.init.normal_(model.last.weight)
    steps_of_training(model)
    assert statistics(norms(model)) == before


def test_freezing_anew_thaws_what_was_frozen():
    model = tiny()
    for mode in ("last", "full", "head"):
        freeze(model, prefixes_of(model, mode))
        assert {name for name, p in model.named_parameters() if p.requires_grad} == learned_parameters(model, mode)


# --- fingerprints ---


@pytest.mark.parametrize("mode", ["last", "head"])
def test_a_real_training_leaves_every_fingerprint_of_what_is_frozen(network, mode):
    freeze(network, prefixes_of(network, mode))
    before, last, head = fingerprints(network), network.last.weight.clone(), statistics(norms(head_of(network)))
    labels = Labels(("field", "sky"))
    list(fit(Training(network, TrainSettings(epochs=2, batch_size=2)), feed_of(labels), feed_of(labels), CPU))
    prove_frozen(before, fingerprints(network))
    assert fingerprints(network) == before
    assert not torch.equal(network.last.weight, last)
    assert (statistics(norms(head_of(network))) == head) == (mode == "last")


def test_fingerprints_are_of_what_is_frozen_with_its_buffers_and_of_nothing_else():
    model = tiny()
    trunk = {f"trunk.{name}" for name in model.trunk.state_dict()}
    head = {f"head.{name}" for name in model.head.state_dict()}
    assert "trunk.1.running_var" in trunk and "head.1.num_batches_tracked" in head
    for mode, expected in (("last", trunk | head), ("head", trunk), ("full", set())):
        freeze(model, prefixes_of(model, mode))
        assert set(fingerprints(model)) == expected


def test_fingerprints_cover_the_networks_own_normalization(networks):
    model = networks[DEEPLAB]
    freeze(model, prefixes_of(model, "last"))
    assert {"mean", "deviation"} <= set(fingerprints(model))


@pytest.mark.parametrize("name", ["trunk.0.weight", "head.1.bias", "trunk.1.running_mean", "head.1.running_var"])
def test_the_smallest_change_of_one_frozen_number_is_found(name):
    model = tiny()
    freeze(model, prefixes_of(model, "last"))
    before = fingerprints(model)
    tensor = model.state_dict()[name].view(-1)
    tensor[-1] = torch.nextafter(tensor[-1], torch.tensor(9.0))
    with pytest.raises(BadRun, match=rf"1 frozen tensors changed while training \({name}\)"):
        prove_frozen(before, fingerprints(model))


def test_a_count_that_moved_and_a_list_that_changed_are_found():
    model = tiny()
    freeze(model, prefixes_of(model, "last"))
    before = fingerprints(model)
    model.trunk[1].num_batches_tracked += 1
    with pytest.raises(BadRun, match=r"trunk\.1\.num_batches_tracked"):
        prove_frozen(before, fingerprints(model))
    more = {**before, "another": "tensor"}
    for one, other in ((before, more), (more, before)):
        with pytest.raises(BadRun, match="frozen tensors changed"):
            prove_frozen(one, other)


def test_fingerprints_know_type_and_shape_and_not_the_order_in_memory():
    zeros = torch.zeros(2, 3)
    alike = [zeros, zeros.view(3, 2), zeros.int(), zeros.view(torch.int32)[:1], zeros.bfloat16(), torch.tensor(0.0)]
    assert len({fingerprint(tensor) for tensor in alike}) == len(alike)
    picture = torch.rand(1, 3, 4, 5)
    assert fingerprint(picture.to(memory_format=torch.channels_last)) == fingerprint(picture)
    assert fingerprint(torch.zeros(0)) == fingerprint(torch.ones(0))


# --- names ---


@pytest.mark.parametrize(("prefix", "close"), [("haed.0.weight", "head.0.weight"), ("trnk.1", "trunk.1.")])
def test_a_prefix_that_fits_nothing_is_refused_with_close_names_and_changes_nothing(prefix, close):
    model = tiny()
    with pytest.raises(BadSetting, match=f"begins with '{prefix}'; names are such as .*{close}"):
        freeze(model, ("last.", prefix))
    assert all(p.requires_grad for p in model.parameters())
    assert model.learned is None


def test_a_prefix_like_none_is_refused_with_some_names():
    with pytest.raises(BadSetting, match=r"names are such as trunk\.0\.weight, trunk\.0\.bias"):
        freeze(tiny(), ("ÄÖÜ",))


def test_nothing_learned_is_an_error():
    with pytest.raises(BadSetting, match="nothing is left to train; name at least the last layer"):
        freeze(tiny(), ())


# --- what a step costs ---


@pytest.fixture(scope="module")
def resnet50():
    with torch.device("meta"):
        return untrained_segmenter("deeplabv3_resnet50", 2)


@pytest.mark.parametrize(
    ("learned", "parameters", "mib", "starts_at", "upstream", "backward_gmac"),
    [
        ("last", 514, 6.125, "last", (), 0.001605632),
        (("backbone.bn1.", "last."), 642, 777.915, "backbone.bn1", ("backbone.bn1",), 124.756),
        ("head", 16_125_954, 85.80, "head.0.convs.0.0", (), 51.797),
        ("full", 39_633_986, 786.55, "backbone.conv1", (), 249.982),
    ],
    ids=["last", "first BatchNorm too", "head", "full"],
)
def test_what_a_step_of_deeplabv3_resnet50_costs(
    resnet50, learned, parameters, mib, starts_at, upstream, backward_gmac
):
    freeze(resnet50, prefixes_of(resnet50, learned) if isinstance(learned, str) else learned)
    cost = fine_tuning(resnet50, None, 4, (224, 224))
    assert cost.trainable == parameters
    assert cost.trainable + cost.frozen == 39_633_986
    assert cost.kept.value / MIB == pytest.approx(mib, abs=0.005)
    assert (cost.starts_at, cost.leak.layers if cost.leak else ()) == (starts_at, upstream)
    assert cost.forward.value / 1e9 == pytest.approx(125.227, abs=0.0005)
    assert cost.backward.value / 1e9 == pytest.approx(backward_gmac, abs=0.0005)
    assert (cost.gradient_bytes, cost.optimizer_bytes) == (4 * parameters, 8 * parameters)


def test_a_last_layer_keeps_log_probabilities_truth_and_features(resnet50):
    """By hand: 2 x 224 x 224 in float32, 224 x 224 in int64, 256 x 28 x 28 in float32."""
    freeze(resnet50, prefixes_of(resnet50, "last"))
    cost = fine_tuning(resnet50, None, 4, (224, 224))
    by_hand = 4 * (2 * 224 * 224 * 4 + 224 * 224 * 8 + 256 * 28 * 28 * 4)
    assert cost.kept.value == by_hand + 4  # the mean's own weight
    assert cost.backward.value == 4 * 28 * 28 * 256 * 2


@pytest.mark.parametrize(
    ("name", "learned"),
    [(name, mode) for name in ("tiny", HYPERCOLUMN) for mode in MODES] + [(DEEPLAB, "head"), ("tiny", "trunk")],
)
def test_the_bytes_kept_are_those_of_a_real_run(networks, name, learned):
    network = copy.deepcopy(networks[name])
    nn.init.normal_(network.last.weight)
    freeze(network, prefixes_of(network, learned) if learned in MODES else ("trunk.", "last."))
    known = {t.untyped_storage().data_ptr() for t in [*network.parameters(), *network.buffers()]}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in known:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    expected = fine_tuning(network, None, 2, (32, 32), formulas=False)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        F.cross_entropy(network(SEEN), TRUTH).backward()
    assert expected.kept.value == sum(storage.nbytes() for storage in kept.values())
    assert expected.trainable == sum(p.numel() for p in network.parameters() if p.grad is not None)


def test_the_network_is_neither_run_nor_changed():
    model = tiny()
    freeze(model, prefixes_of(model, "head"))
    before = {name: fingerprint(tensor) for name, tensor in model.state_dict().items()}
    model.register_forward_pre_hook(lambda module, _: pytest.fail("run") if not _[0].is_meta else None)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert fine_tuning(model, None, 2, (16, 16)).starts_at == "head.0"
    assert torch.equal(torch.rand(1), expected)
    assert {name: fingerprint(tensor) for name, tensor in model.state_dict().items()} == before
    assert all(p.grad is None and p.device.type == "cpu" for p in model.parameters())
    assert model.head.training and not model.trunk.training


def test_what_is_learned_before_frozen_layers_is_named():
    model = tiny()
    freeze(model, ("trunk.0.", "head.1.", "last."))
    cost = fine_tuning(model, None, 2, (16, 16))
    assert cost.starts_at == "trunk.0"
    assert cost.leak.layers == ("trunk.0",)  # head.1 has nothing frozen behind it
    assert cost.to_mapping()["leak"]["layers"] == ["trunk.0"]
    assert cost.to_mapping()["optimizer_bytes"] == 8 * cost.trainable


class Looks(Tiny):
    """Decides by a number, which is not there on the meta device."""

    def features(self, seen):
        return super().features(seen if seen.mean() > 0 else 1 - seen)


class Leaves(Tiny):
    """Goes through NumPy."""

    def features(self, seen):
        return super().features(torch.from_numpy(seen.numpy() * 2))


@pytest.mark.parametrize("kind", [Looks, Leaves])
def test_a_network_that_cannot_run_without_numbers_is_refused(kind):
    model = kind()
    freeze(model, prefixes_of(model, "last"))
    assert model(SEEN).shape == (2, 2, 32, 32)
    with pytest.raises(BadSetting, match=r"looks at the values|fails"):
        fine_tuning(model, None, 2, (32, 32))
