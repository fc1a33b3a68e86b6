"""A network of one's own in a file without code; every other file is refused in one sentence."""

import pickle
from math import nan

import pytest
import torch
from cam import oracle
from torchvision import models

from vidcam.backends import Choice, load_backend
from vidcam.errors import UnknownName, UsageError
from vidcam.models import builtin, load_model
from vidcam.models.architectures import create
from vidcam.models.heads import HeadInput, head_of, head_width
from vidcam.options import FileOptions

LABELS = ["貓", "犬のぬいぐるみ", "고양이 ñ €"]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return oracle.settle(models.resnet18(weights=None, num_classes=3))


@pytest.fixture
def good(net):
    """What a checkpoint must hold."""
    return {"vidcam": 1, "arch": "resnet18", "state_dict": net.state_dict(), "labels": LABELS}


@pytest.fixture
def save(tmp_path):
    """Writes a payload and returns the file's name."""

    def write(payload, name="mine.pt"):
        path = tmp_path / name
        if isinstance(payload, bytes):
            path.write_bytes(payload)
        else:
            torch.save(payload, path)
        return str(path)

    return write


def load(path, **options):
    return load_model(FileOptions(model=path, **options))


def refusal(path):
    """The one sentence with which a file is refused."""
    with pytest.raises(UsageError) as caught:
        load(path)
    assert caught.value.exit_code == 2
    assert path in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_gives_back_the_network_and_its_labels(net, good, save):
    model = load(save(good))
    assert model.name == "mine.pt"
    assert model.labels.shown == model.labels.english == tuple(LABELS)
    assert (model.size, model.fit, model.crop_share, model.layer) == (224, None, 0.875, None)
    x = oracle.pictures(2)
    with torch.no_grad():
        torch.testing.assert_close(model.net(x), net(x))
    assert not any(parameter.requires_grad for parameter in model.net.parameters())


def test_what_a_checkpoint_says_of_its_pictures_is_kept(good, save):
    wishes = {
        "size": 96, "mean": (127.0, 126.0, 125.0), "std": [64.0, 65.0, 66.0], "fit": "pad",
        "crop_share": 1.0, "layer": "layer3",
    }  # fmt: skip
    model = load(save(good | wishes))
    assert (model.size, model.fit, model.crop_share, model.layer) == (96, "pad", 1.0, "layer3")
    assert tuple(model.mean) == (127.0, 126.0, 125.0) and tuple(model.std) == (64.0, 65.0, 66.0)
    options = FileOptions(precision="f32", device="cpu", backend="torch")
    backend = load_backend(model, options, options)
    assert backend.layer_name == "layer3"
    output = backend.start(oracle.pixels_of(2), Choice())()
    assert output.logits.shape == (2, 3) and output.maps.shape == (2, 6, 6)


def test_the_builtin_architecture_brings_its_own_preprocessing(good, save):
    torch.manual_seed(0)
    own = oracle.settle(builtin.create(3))
    state = {"arch": "efficientnet_lite0", "state_dict": own.state_dict()}
    model = load(save(good | state))
    assert model.mean == builtin.MEAN and model.std == builtin.STD
    x = oracle.pictures(1)
    with torch.no_grad():
        torch.testing.assert_close(model.net(x), own(x))


@pytest.mark.parametrize("arch", ["timm:resnet10t", "timm:resnet10t.c3_in1k"])
def test_a_timm_architecture_needs_no_download(good, save, arch):
    import timm

    own = timm.create_model("resnet10t", pretrained=False, num_classes=3)
    assert len(load(save(good | {"arch": arch, "state_dict": own.state_dict()})).labels) == 3


@pytest.mark.parametrize("name", ["mine.pth", "mine.ckpt", "mine.bin", "mine"])
def test_any_file_name_will_do(good, save, name):
    assert load(save(good, name)).name == name


def test_a_label_file_goes_before_the_checkpoints_labels(good, save, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\n")
    assert load(save(good), labels=str(names)).labels.shown == ("a", "b", "c")


def test_a_pickle_with_code_is_refused_unrun_and_told_how_to_re_save(net, save, tmp_path):
    """A whole network is a pickle of its class, the commonest such file."""
    message = refusal(save(net))
    assert "may run code" in message and "torch.save({" in message

    witness = tmp_path / "witness"

    class Evil:
        def __reduce__(self):
            return open, (str(witness), "w")

    for payload in (pickle.dumps({"state_dict": Evil()}, protocol=2), {"state_dict": Evil()}):
        assert "may run code" in refusal(save(payload))
        assert not witness.exists()


@pytest.mark.parametrize(
    "lost", [{"arch"}, {"labels"}, {"state_dict"}, {"arch", "labels", "state_dict"}]
)
def test_a_checkpoint_that_lacks_something_says_what(good, save, lost):
    message = refusal(save({key: value for key, value in good.items() if key not in lost}))
    assert ", ".join(sorted(lost)) in message and "torch.save({" in message


def test_a_bare_state_dict_is_told_what_it_lacks(net, save):
    assert "lacks arch, labels, state_dict" in refusal(save(net.state_dict()))


@pytest.mark.parametrize("payload", [[1, 2], 3, None, torch.ones(3)], ids=type)
def test_what_is_no_dict_is_told_what_a_checkpoint_holds(save, payload):
    assert "torch.save({" in refusal(save(payload))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"hello, this is text\n", b"<!DOCTYPE html><html></html>", b"\x89PNG\r\n\x1a\n0000",
        b"PK\x03\x04 cut short", "标签\n".encode(),
    ],
)  # fmt: skip
def test_a_file_that_is_no_checkpoint_is_not_said_to_hold_code(save, content):
    assert "damaged or no checkpoint" in refusal(save(content))


def test_a_cut_off_checkpoint_is_damaged(good, save, tmp_path):
    whole = (tmp_path / save(good)).read_bytes()
    for size in (len(whole) // 2, len(whole) - 40):
        assert "damaged or no checkpoint" in refusal(save(whole[:size]))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "no such file" in refusal(str(tmp_path / "none.pt"))
    folder = tmp_path / "run.pt"
    folder.mkdir()
    refusal(str(folder))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state.update({"fc.weight": torch.ones(4, 512)}), "fc.weight"),
        (lambda state: state.pop("fc.bias"), "fc.bias"),
        (lambda state: state.update(extra=torch.ones(1)), "extra"),
        (lambda state: state.update({"fc.bias": 3}), "fc.bias"),
    ],
)
def test_weights_that_do_not_fit_name_the_first_that_does_not(good, save, change, reason):
    state = dict(good["state_dict"])
    change(state)
    message = refusal(save(good | {"state_dict": state}))
    assert "do not fit resnet18" in message and reason in message


def test_fewer_labels_than_outputs_do_not_fit(good, save):
    assert "do not fit resnet18" in refusal(save(good | {"labels": LABELS[:2]}))


def test_neighbours_must_be_what_the_head_is_given(good, save):
    def near(width, **changed):
        return good | {"neighbours": torch.ones(2, width).half(), "nearness": 0.5} | changed

    assert load(save(near(512))).neighbours.features.shape == (2, 512)
    message = refusal(save(near(100)))
    assert "have 100 numbers each" in message and "gives its head 512" in message
    headless = "timm:deit_tiny_distilled_patch16_224"
    net, _ = create(headless, 3, 224, {})
    other = {"arch": headless, "state_dict": net.state_dict()}
    assert "has no single head" in refusal(save(near(192, **other)))


@pytest.mark.parametrize(
    ("arch", "width"), [("squeezenet1_1", 512), ("simplecnn", 512), ("timm:dla34", 512)]
)
def test_the_width_of_a_head_is_that_of_the_features_it_is_given(arch, width):
    net, _ = create(arch, 3, 64, {})
    with HeadInput(head_of(net.eval())) as head, torch.no_grad():
        net(torch.zeros(2, 3, 64, 64))
    assert head.features(2).shape == (2, width) and head_width(net) == width


def test_an_unknown_architecture_or_fit_lists_the_nearest(good, save):
    with pytest.raises(UnknownName, match="resnet18"):
        load(save(good | {"arch": "resnet81"}))
    with pytest.raises(UnknownName, match="crop"):
        load(save(good | {"fit": "corp"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"vidcam": 2}, {"labels": 3}, {"labels": []}, {"labels": "abc"}, {"state_dict": None},
        {"state_dict": [1]}, {"arch": 5}, {"arch": ["resnet18"]}, {"size": "big"}, {"size": -3},
        {"mean": 3}, {"mean": (1.0, 2.0)}, {"std": (0.0, 1.0, 1.0)}, {"crop_share": 0},
        {"crop_share": 2.0}, {"layer": 5}, {"fit": 7}, {"nearness": 2}, {"neighbours": [[1.0]]},
        {"neighbours": torch.zeros(2, 512)}, {"neighbours": torch.zeros(2, 0).half()},
        {"neighbours": torch.zeros(512).half()}, {"neighbours": torch.full((2, 512), nan).half()},
    ],
    ids=str,
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused_by_name(good, save, wrong):
    (key,) = wrong
    assert key in refusal(save(good | wrong))


def test_sparse_neighbours_are_refused(good, save):
    sparse = torch.zeros(2, 512).half().to_sparse()
    assert "neighbours" in refusal(save(good | {"neighbours": sparse}))
