"""Bare weights as notebooks saved them become checkpoints; what does not fit is named."""

import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from cam import oracle
from safetensors.torch import save_file
from torchvision import models

from vidcam.errors import UnknownName, UsageError
from vidcam.models.architectures import create
from vidcam.models.class_names import read_class_names
from vidcam.models.importing import import_weights
from vidcam.models.options import ImportOptions

LABELS = "猫,いぬ,bee"


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return oracle.settle(models.resnet18(weights=None, num_classes=3))


@pytest.fixture
def bring(tmp_path):
    """Saves a payload and imports it; gives the checkpoint."""

    def run(payload, arch="resnet18", labels=LABELS, **options):
        path = tmp_path / "weights.pth"
        torch.save(payload, path)
        chosen = ImportOptions(arch=arch, labels=labels, **options)
        checkpoint, net = import_weights(path, chosen)
        assert not net.training
        return checkpoint

    return run


@pytest.fixture
def refused(bring):
    """The one sentence with which weights are refused."""

    def run(payload, *arguments, **options):
        with pytest.raises(UsageError) as caught:
            bring(payload, *arguments, **options)
        assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
        return str(caught.value)

    return run


def same_scores(checkpoint, net, size=oracle.SIZE):
    x = oracle.pictures(2, size)
    with torch.no_grad():
        torch.testing.assert_close(checkpoint.network().eval()(x), net(x))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()},
        lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {"model_state_dict": dict(state)},
    ],
    ids=["bare", "parallel", "compiled", "state_dict", "model", "model_state_dict"],
)
def test_every_place_and_prefix_gives_the_network_back(net, bring, wrap):
    checkpoint = bring(wrap(net.state_dict()))
    assert (checkpoint.arch, checkpoint.labels) == ("resnet18", ("猫", "いぬ", "bee"))
    same_scores(checkpoint, net)


def test_half_precision_becomes_single(net, bring):
    state = {name: value.half() for name, value in net.state_dict().items()}
    checkpoint = bring(state)
    assert checkpoint.state_dict["fc.weight"].dtype == torch.float32
    assert torch.equal(checkpoint.state_dict["fc.weight"], net.fc.weight.half().float())


def test_the_old_file_form_is_read(net, tmp_path):
    path = tmp_path / "old.pth"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=False)
    checkpoint, _ = import_weights(path, ImportOptions(arch="resnet18", labels=LABELS))
    same_scores(checkpoint, net)


@pytest.mark.parametrize("form", ["zip", "old"])
def test_weights_from_a_gpu_are_taken_to_the_cpu(net, tmp_path, form):
    """The file says cuda:0 of its tensors, as one that was written there."""
    path, cuda = tmp_path / "cpu.pth", tmp_path / "cuda.pth"
    here, there = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=form == "zip")
    if form == "old":
        cuda.write_bytes(path.read_bytes().replace(here, there))
    else:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(cuda, "w") as target:
            for entry in source.infolist():
                target.writestr(entry, source.read(entry).replace(here, there))
    assert there in cuda.read_bytes()
    checkpoint, _ = import_weights(cuda, ImportOptions(arch="resnet18", labels=LABELS))
    same_scores(checkpoint, net)


def test_what_the_options_say_of_pictures_is_kept(net, bring):
    preset = bring(
        net.state_dict(), imgsz=150, mean="0.5,0.4,0.3", std="64,65,66", fit="stretch",
        layer="layer3",
    ).preset  # fmt: skip
    assert (preset.size, preset.fit, preset.layer) == (150, "stretch", "layer3")
    assert preset.mean == pytest.approx((127.5, 102.0, 76.5)) and preset.std == (64, 65, 66)


@pytest.mark.parametrize(
    ("arch", "batchnorm"), [("cnn7", True), ("cnn7", False), ("simplecnn", True)]
)
def test_a_notebooks_own_layer_names_are_told_by_kind_and_order(arch, batchnorm, bring):
    """All convolutions first, then the norms, then the rest, each named as somebody liked."""
    torch.manual_seed(4)
    own = create(arch, 3, 64, {"batchnorm": batchnorm})[0]
    own.eval()
    kinds = {"conv": "features_{}", "bn": "norms.{}", "fc": "head.lin{}"}
    state = {
        f"{form.format(chr(96 + int(name[len(kind)])))}.{name.partition('.')[2]}": value
        for kind, form in kinds.items()
        for name, value in own.state_dict().items()
        if name.startswith(kind)
    }
    assert not set(state) & set(own.state_dict())
    checkpoint = bring(state, arch, imgsz=64)
    assert checkpoint.settings == ({} if batchnorm else {"batchnorm": False})
    same_scores(checkpoint, own, 64)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda s: s.update({"layer1.0.conv1.weight": torch.ones(64, 64, 1, 1)}),
            "layer1.0.conv1.weight is 64x64x1x1, resnet18 has 64x64x3x3",
        ),
        (lambda s: s.pop("conv1.weight"), "conv1.weight (64x3x7x7) is missing"),
        (lambda s: s.update(extra=torch.ones(1)), "extra is not in resnet18"),
        (lambda s: s.update({"fc.bias": 3}), "fc.bias is no tensor"),
        (
            lambda s: s.update({"fc.weight": torch.ones(25, 512), "fc.bias": torch.ones(25)}),
            "fc.weight is 25x512, resnet18 has 3x512 (and 1 more); "
            "it has 25 classes, --labels names 3",
        ),
        (
            lambda s: s.update({"bn1.weight": torch.full((64,), torch.nan)}),
            "bn1.weight (64) holds NaN",
        ),
    ],
)
def test_the_tensor_that_does_not_fit_is_named(net, refused, change, says):
    state = dict(net.state_dict())
    change(state)
    assert says in refused(state)


@pytest.mark.parametrize(
    ("true", "claimed"),
    [
        ("resnet18", "resnet34"), ("shufflenet_v2_x0_5", "resnet18"), ("squeezenet1_1", "cnn7"),
        ("efficientnet_lite0", "efficientnet_b0"), ("simplecnn", "cnn7"),
    ],
)  # fmt: skip
def test_the_architecture_that_would_fit_is_named(true, claimed, refused):
    message = refused(create(true, 5)[0].state_dict(), claimed)
    assert message.endswith(f"; it fits --arch {true}")


def test_the_size_that_a_notebooks_network_was_made_for_is_named(refused):
    state = create("cnn7", 3, 96)[0].state_dict()
    message = refused(state, "cnn7", imgsz=64)
    assert "fc1.weight is 512x18432, cnn7 has 512x8192" in message and "--imgsz 96" in message


@pytest.mark.parametrize("form", ["zip", "old", "pickle"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda net: net,
        lambda net: {"args": {"model": "resnet"}, "model": net},
        lambda net: {"state_dict": net.state_dict(), "acc": np.float64(0.9)},
        lambda net: {"acc": np.float64(0.9), "model_state_dict": dict(net.state_dict())},
    ],
    ids=["whole", "whole in a dict", "numbers of numpy", "another place"],
)
def test_a_pickle_is_refused_with_the_line_that_re_saves_it(net, tmp_path, wrap, form):
    path, chosen = tmp_path / 'a "b".pth', ImportOptions(arch="resnet18", labels=LABELS)
    if form == "pickle":
        path.write_bytes(pickle.dumps(wrap(net)))
    else:
        torch.save(wrap(net), path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UsageError, match="may run code") as caught:
        import_weights(path, chosen)
    exec(str(caught.value).partition("trust it: ")[2], {})
    checkpoint, _ = import_weights(tmp_path / 'a "b"-state.pth', chosen)
    same_scores(checkpoint, net)


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
def test_safetensors_are_read(net, tmp_path, name):
    path, chosen = tmp_path / name, ImportOptions(arch="resnet18", labels=LABELS)
    save_file(net.state_dict(), path)
    same_scores(import_weights(path, chosen)[0], net)
    path.write_bytes(path.read_bytes()[:90_000])
    with pytest.raises(UsageError, match="is damaged"):
        import_weights(path, chosen)


@pytest.mark.parametrize("payload", [{}, [1], {"state_dict": {}}, torch.ones(2), {"epoch": 3}])
def test_a_file_without_weights_is_told_so(payload, refused):
    assert "holds no weights" in refused(payload)


def test_a_checkpoint_needs_no_import(net, refused):
    payload = {"vidcam": 1, "arch": "resnet18", "labels": ["a"], "state_dict": net.state_dict()}
    assert "is a checkpoint already" in refused(payload)


def test_arch_and_labels_must_be_said(net, refused):
    assert "--arch is missing" in refused(net.state_dict(), None)
    assert "--labels is missing" in refused(net.state_dict(), labels=None)
    with pytest.raises(UnknownName, match="cnn7"):
        import_weights(None, ImportOptions(arch="cnn8", labels="a,b"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": "1,2"}, {"std": "0,1,1"}, {"mean": "a,b,c"}, {"std": "nan,1,1"}, {"fit": "corp"},
        {"imgsz": 3},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_option_is_refused_by_name(wrong):
    (key,) = wrong
    with pytest.raises(UsageError, match=key):
        ImportOptions(**wrong)


def test_class_names_from_every_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["b", "猫", "a c"]
    (tmp_path / "names.txt").write_text("b\n猫\n\na c\n", "utf-8-sig")
    (tmp_path / "list.json").write_text(json.dumps(names))
    (tmp_path / "to.json").write_text(json.dumps(dict(enumerate(names))))
    (tmp_path / "from.json").write_text(json.dumps({n: i for i, n in enumerate(names)}))
    np.save(tmp_path / "names.npy", np.array(names))
    for text in ("names.txt", "list.json", "to.json", "from.json", "names.npy", "b, 猫,a c"):
        assert read_class_names(text) == names, text
    for name in ("猫", "10", "2", "B", ".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / "set" / "train" / name).mkdir(parents=True)
    (tmp_path / "set" / "train" / "notes.txt").touch()
    # As torchvision's ImageFolder numbered them.
    assert read_class_names("set/train") == read_class_names("set") == ["10", "2", "B", "猫"]


def test_the_notebooks_pickled_mapping_is_refused_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("idx_to_labels.npy", {0: "苹果", 1: "bee"})
    with pytest.raises(UsageError, match="may run code") as caught:
        read_class_names("idx_to_labels.npy")
    exec(str(caught.value).partition("trust it: ")[2], {})
    assert read_class_names("idx_to_labels.json") == ["苹果", "bee"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none", None, "no such file or folder, and no list"),
        ("empty.txt", b"", "names no class"),
        ("bad.txt", b"\xff\xfe\x00", "UTF-8"),
        ("bad.json", b"{", "is no JSON"),
        ("nested.json", b"[" * 99_999, "is no JSON"),
        ("odd.json", b'{"0": "a", "2": "b"}', "map each index"),
        ("deep.json", b'{"a": [1]}', "map each index"),
        ("number.json", b"3", "map each index"),
        ("bad.npy", b"hello", "no .npy file"),
        ("code.npy", pickle.dumps({"a": 1}), "no .npy file"),
        ("a,,b", None, "class 1 has no name"),
        ("folder", "", "names no class"),
    ],
)
def test_class_names_that_make_no_sense(name, content, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if content == "":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=says) as caught:
        read_class_names(name)
    assert name in str(caught.value)
