"""The torch engine: uint8 pictures in, the plain network's logits and the oracle's maps out."""

import copy
import gc
import re

import numpy as np
import pytest
import torch
from backends.frames import assert_parity, outputs, real_pixels
from cam import oracle
from torch import nn
from torchvision.transforms import functional

from vidcam.backends import Choice, Second, load_backend
from vidcam.backends.torch import TorchBackend, choose_device, choose_precision
from vidcam.errors import UnknownName, UsageError
from vidcam.options import FileOptions

SIZE = oracle.SIZE


def backend(net, **options):
    """A TorchBackend around a network of the oracle, in f32 on the CPU unless told otherwise."""
    settings = FileOptions(**({"precision": "f32", "device": "cpu", "backend": "torch"} | options))
    return load_backend(oracle.as_model(net), settings, settings)


def run(engine, pixels, classes=None):
    """The output of an engine; `classes` (N,) are explained, or each picture's best ("best")."""
    if classes is None:
        return engine.start(pixels, None)()
    choice = Choice() if isinstance(classes, str) else Choice(np.asarray(classes, np.int64))
    return engine.start(pixels, choice)()


def reference_input(pixels):
    """What torchvision's own transforms make of the pictures."""
    rows = [
        functional.normalize(
            functional.to_tensor(row), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        )
        for row in pixels
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("cam", ["gradcam", "none"])
@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny"])
def test_logits_equal_the_reference_preprocessing_and_a_plain_forward(name, cam):
    net, pixels = oracle.network(name), oracle.pixels_of(3)
    with torch.no_grad():
        expected = net(reference_input(pixels)).numpy()

    output = run(backend(net, cam=cam), pixels)

    assert output.maps is None
    assert output.logits.dtype == np.float32 and output.logits.shape == expected.shape
    assert np.abs(output.logits - expected).max() < 2e-3 * expected.std()


@pytest.mark.parametrize(("cam", "choice"), [("gradcam", Choice()), ("none", None)])
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_features_are_what_the_head_is_given(cam, choice, precision):
    net, pixels = oracle.network("resnet18"), oracle.pixels_of(3)
    with torch.no_grad():
        expected = nn.Sequential(*list(net.children())[:-1])(reference_input(pixels)).flatten(1)
    output = backend(net, cam=cam, precision=precision).start(pixels, choice)()
    assert output.features.dtype == np.float32
    alike = nn.functional.cosine_similarity(torch.from_numpy(output.features), expected)
    assert alike.min() > (0.999999 if precision == "f32" else 0.998)


def test_the_builtin_model_is_fed_as_its_authors_fed_it(builtin):
    """(x - 127) / 128 on 0..255."""
    pixels = oracle.pixels_of(2, builtin.size)
    options = FileOptions(precision="f32", device="cpu", backend="torch")
    output = run(load_backend(builtin, options, options), pixels)
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).double() - 127) / 128
    with torch.no_grad():
        expected = builtin.net(x.float()).numpy()
    assert np.abs(output.logits - expected).max() < 1e-3 * expected.std()


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", None),
        ("resnet50", "layer4.2.conv3"),
        ("mobilenet_v3_large", None),
        ("densenet121", None),
        ("efficientnet_lite0", None),
        ("efficientnet_lite0", "bn2.act"),
        ("efficientnet_lite0", "bn2.drop"),
        ("efficientnet_lite0", "blocks.5.1.bn2"),
        ("timm:legacy_xception", "conv4"),  # a block that ends in a convolution, its norm outside
    ],
)
def test_maps_of_the_folded_network_are_the_oracles_of_the_unfolded_one(name, layer):
    net, pixels = oracle.network(name), oracle.pixels_of(2)
    engine = backend(net, layer=layer)
    # In double: in f32 the oracle itself is off by up to 5e-3 on some CPUs' convolutions.
    exact = copy.deepcopy(net).double()
    classes, logits, expected = oracle.oracle(
        exact, engine.layer_name, reference_input(pixels).double()
    )

    output = run(engine, pixels, classes)

    got = oracle.normalised(output.maps)
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 1e-3
    assert np.abs(output.logits - logits.numpy()).max() < 2e-3 * float(logits.std())


@pytest.mark.parametrize("method", ["gradcam++", "layercam", "hirescam", "xgradcam", "eigencam"])
def test_each_method_gives_a_map_a_picture(method):
    engine = backend(oracle.network("resnet18"), cam=method)
    maps = run(engine, oracle.pixels_of(3), [1, 2, 3]).maps
    assert maps.shape == (3, 3, 3) and maps.dtype == np.float32
    assert np.isfinite(maps).all() and maps.any((1, 2)).all()


def test_the_best_class_that_competes_is_explained():
    engine, pixels = backend(oracle.network("resnet18")), oracle.pixels_of(3)
    free = run(engine, pixels, "best")
    assert np.array_equal(free.classes, free.logits.argmax(1))
    left_out = np.zeros(1000, bool)
    left_out[free.classes] = True
    others = engine.start(pixels, Choice(None, left_out))()
    assert np.array_equal(others.logits, free.logits), "logits are those of all classes"
    assert np.array_equal(others.classes, np.where(left_out, -np.inf, free.logits).argmax(1))
    assert np.allclose(others.maps, run(engine, pixels, others.classes).maps, atol=1e-6)
    assert not np.allclose(others.maps, free.maps, atol=1e-3)


def test_one_index_explains_the_same_class_on_every_picture():
    engine, pixels = backend(oracle.network("resnet18")), oracle.pixels_of(2)
    one, each = engine.start(pixels, Choice(7))(), run(engine, pixels, [7, 7])
    assert one.classes.tolist() == [7, 7] and np.array_equal(one.maps, each.maps)


def test_a_second_map_has_its_own_method_and_class():
    net, pixels = oracle.network("resnet18"), oracle.pixels_of(2)
    both = backend(net).start(pixels, Choice(7), Second("layercam", 9))()
    assert np.allclose(both.maps, run(backend(net), pixels, [7, 7]).maps)
    other = run(backend(net, cam="layercam"), pixels, [9, 9])
    assert np.allclose(both.second_maps, other.maps)
    same = backend(net).start(pixels, Choice(7), Second("layercam", None))()
    assert np.allclose(same.second_maps, run(backend(net, cam="layercam"), pixels, [7, 7]).maps)


def test_a_partial_batch_gives_what_a_full_one_gives():
    engine, pixels = backend(oracle.network("resnet18")), oracle.pixels_of(5)
    full = run(engine, pixels, [0, 1, 2, 3, 4])
    for rows in (slice(0, 1), slice(2, 5)):
        part = run(engine, pixels[rows], [0, 1, 2, 3, 4][rows])
        assert np.abs(part.logits - full.logits[rows]).max() < 1e-3
        assert np.abs(part.maps - full.maps[rows]).max() < 1e-3 * np.abs(full.maps).max()


def test_pixels_that_are_a_view_or_read_only_are_taken():
    """A batch is often a slice of a larger buffer; warnings are errors here."""
    engine, pixels = backend(oracle.network("resnet18")), oracle.pixels_of(4)
    before = pixels.copy()
    expected = run(engine, pixels[1:3].copy()).logits
    assert np.allclose(run(engine, pixels[1:3]).logits, expected, atol=1e-5)
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.2), ("fp16", 0.03)])
def test_half_precision_stays_near_f32(builtin, precision, tolerance):
    """On the trained network: in a random one of 50 layers the rounding adds up to 1 %."""
    pixels = oracle.pixels_of(2, builtin.size)

    def engine(name):
        options = FileOptions(precision=name, device="cpu", backend="torch")
        return load_backend(builtin, options, options)

    full, half = engine("f32"), engine(precision)
    assert half.precision == precision
    classes = run(full, pixels).logits.argmax(1)
    expected, got = run(full, pixels, classes), run(half, pixels, classes)
    assert got.logits.dtype == np.float32 and got.maps.dtype == np.float32
    assert not np.array_equal(got.logits, expected.logits), "it computed in f32"
    assert np.corrcoef(got.logits.ravel(), expected.logits.ravel())[0, 1] > 0.998
    difference = oracle.normalised(got.maps) - oracle.normalised(expected.maps)
    assert difference.abs().max() < tolerance


def test_bf16_keeps_the_labels_and_maps_of_real_frames(builtin, cat_clip, tour_clip):
    pixels = real_pixels((cat_clip, tour_clip), 10, builtin.size)

    def engine(name):
        options = FileOptions(precision=name, device="cpu", backend="torch")
        return load_backend(builtin, options, options)

    assert_parity(engine("bf16"), pixels, outputs(engine("f32"), pixels), half=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["torch", "compile"])
@pytest.mark.parametrize("precision", ["f32", "auto"])
def test_the_gpu_keeps_the_labels_and_maps_of_real_frames(
    builtin, cat_clip, tour_clip, precision, name
):
    pixels = real_pixels((cat_clip, tour_clip), 10, builtin.size)

    def engine(device, precision, name):
        options = FileOptions(precision=precision, device=device, backend=name)
        return load_backend(builtin, options, options)

    reference = outputs(engine("cpu", "f32", "torch"), pixels)
    assert_parity(engine("cuda", precision, name), pixels, reference, half=precision != "f32")


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet50", "layer4.2.conv3"),  # the shortcut is added behind the cut
        ("squeezenet1_1", "features.12.expand1x1"),  # a convolution behind it takes what crosses
    ],
)
def test_half_precision_works_where_other_tensors_cross_the_cut(name, layer):
    net, pixels = oracle.network(name), oracle.pixels_of(2)
    full, half = backend(net, layer=layer), backend(net, layer=layer, precision="bf16")
    expected, got = run(full, pixels, [1, 2]), run(half, pixels, [1, 2])
    assert np.corrcoef(got.logits.ravel(), expected.logits.ravel())[0, 1] > 0.99
    assert np.corrcoef(got.maps.ravel(), expected.maps.ravel())[0, 1] > 0.9


def test_the_default_layer_of_the_checkpoint_is_used_unless_the_options_name_one():
    net = oracle.network("resnet18")
    settings = FileOptions(precision="f32", device="cpu", backend="torch")
    model = oracle.as_model(net, layer="layer3")
    assert TorchBackend(model, settings, settings).layer_name == "layer3"
    settings = FileOptions(precision="f32", device="cpu", layer="layer2")
    assert TorchBackend(model, settings, settings).layer_name == "layer2"
    assert backend(net).layer_name == "layer4"
    assert backend(net, cam="none").layer_name is None
    settings = FileOptions(precision="f32", device="cpu", cam="none", backend="torch")
    # One that is named is cut at all the same, so that an engine prepares one network for both.
    assert TorchBackend(model, settings, settings).layer_name == "layer3"


def test_two_engines_of_one_network_do_not_disturb_each_other():
    net, pixels = oracle.network("resnet18"), oracle.pixels_of(1)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    first = backend(net)
    expected = run(first, pixels, [3])
    run(backend(net, precision="bf16", layer="layer3"), pixels, [3])
    assert np.array_equal(run(first, pixels, [3]).maps, expected.maps)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_refused_layers_and_engines_are_usage_errors():
    net = oracle.network("resnet18")
    with pytest.raises(UsageError, match="called more than once"):
        backend(net, layer="layer4.1.relu")
    with pytest.raises(UnknownName, match=re.escape("layer4.1")):
        backend(net, layer="layer4.7")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_a_gpu_that_is_not_there_is_a_usage_error_that_says_where_to_look(device):
    with pytest.raises(UsageError, match=f"{device}: torch sees 0 GPUs.*doctor"):
        backend(oracle.network("resnet18"), device=device)
    assert choose_device("auto") in ("cpu", "mps")


def test_auto_precision_is_one_that_the_machine_has():
    assert choose_precision("auto", "cpu") in ("f32", "bf16")
    assert choose_precision("auto", "mps") == "f32"
    assert choose_precision("f32", "cuda") == "f32"
    with pytest.raises(UnknownName, match="bf16"):
        choose_precision("bf61", "cpu")


def test_two_thousand_pictures_leave_memory_where_it_was():
    engine, pixels = backend(oracle.network("shufflenet_v2_x0_5")), oracle.pixels_of(8)

    def live():
        gc.collect()
        # Plain ones: the exporter, in other tests, leaves some behind that have no storage.
        kinds = {torch.Tensor, torch.nn.Parameter}
        tensors = [item for item in gc.get_objects() if type(item) in kinds]
        return len(tensors), sum(tensor.nbytes for tensor in tensors)

    def repeat(times):
        for _ in range(times):
            run(engine, pixels, "best")

    repeat(10)
    before = live()
    repeat(250)
    assert live() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-2), ("auto", 0.15)])
def test_the_gpu_gives_the_oracles_maps(precision, tolerance):
    net, pixels = oracle.network("resnet18"), oracle.pixels_of(3)
    classes, logits, expected = oracle.oracle(net, "layer4", reference_input(pixels))
    output = run(backend(net, device="cuda", precision=precision), pixels, classes)
    assert (oracle.normalised(output.maps) - expected).abs().max() < tolerance
    assert np.corrcoef(output.logits.ravel(), logits.numpy().ravel())[0, 1] > 0.999
