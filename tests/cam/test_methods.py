"""Every method gives the grad-cam library's map, wherever the library's is right."""

import numpy as np
import pytest
import torch
from cam import oracle

from vidcam.cam import split
from vidcam.cam.layers import to_grid
from vidcam.cam.methods import METHODS

# Nothing in place follows these layers, so the library's saved activation is the true one. Nor does
# a LayerNorm: it leaves dY/dA at right angles to A, so that HiResCAM's map is rounding noise.
LAYERS = [
    ("resnet18", "layer4"),
    ("resnet50", "layer4.2.conv2"),
    ("convnext_tiny", "features"),
    ("efficientnet_lite0", "bn2"),
    ("swin_t", "norm"),
]
PEERS = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "layercam": "LayerCAM",
    "hirescam": "HiResCAM",
    "xgradcam": "XGradCAM",
    "eigencam": "EigenCAM",
}


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip("pytorch_grad_cam")


def library_map(library, method, net, layer, x, classes):
    """The library's maps (N, S, S) as it gives them: normalised and at picture size."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(int(index)) for index in classes]
    module = net.get_submodule(layer)
    with getattr(library, PEERS[method])(net, [module], reshape_transform=to_grid) as cam:
        return cam(x.clone().requires_grad_(True), targets)


def as_the_library(signed):
    """The library's normalisation: positive part, 0..1, picture size, 0..1 again."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    positive = np.maximum(signed.numpy(), 0)
    return scale_cam_image(scale_cam_image(positive, (oracle.SIZE, oracle.SIZE)))


def test_every_method_has_a_peer():
    assert METHODS.keys() == PEERS.keys()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "layer"), LAYERS, ids=str)
def test_the_map_is_the_librarys(library, name, layer, method):
    net, x = oracle.network(name), oracle.pictures(2)
    classes, _, _ = oracle.oracle(net, layer, x, to_grid)
    cut = split.forward(net, net.get_submodule(layer), x, lambda y: split.one_hot(classes, y))
    signed = METHODS[method](to_grid(cut.activation), to_grid(cut.gradients[0]))

    expected = library_map(library, method, net, layer, x, classes)

    got = as_the_library(signed)
    if method == "eigencam":  # each chooses the sign of a principal component for itself
        other = as_the_library(-signed)
        rows = [
            a if np.abs(a - row).max() < np.abs(b - row).max() else b
            for a, b, row in zip(got, other, expected, strict=True)
        ]
        got = np.stack(rows)
    assert expected.max() > 0.99 and expected.std() > 0.01, "an empty map proves nothing"
    assert np.abs(got - expected).max() < oracle.TOLERANCE


def test_the_library_is_wrong_where_something_in_place_follows(library):
    """Why the oracle is a hook of its own. When this fails, the library has been mended."""
    net, x = oracle.network("densenet121"), oracle.pictures(2)
    classes, _, exact = oracle.oracle(net, "features", x)
    wrong = library_map(library, "gradcam", net, "features", x, classes)
    right = as_the_library(exact)
    assert np.abs(wrong - right).max() > 0.01


def example():
    activation = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[4.0, 0.0], [0.0, 0.0]]]])
    gradient = torch.tensor([[[[1.0, 1.0], [1.0, -1.0]], [[-1.0, 0.0], [0.0, 0.0]]]])
    return activation, gradient


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # weights 0.5 and -0.25
        ("gradcam", [[-0.5, 1.0], [1.5, 2.0]]),
        ("layercam", [[1.0, 2.0], [3.0, 0.0]]),
        ("hirescam", [[-3.0, 2.0], [3.0, -4.0]]),
        # weights (1 + 2 + 3 - 4) / 10 and -4 / 4
        ("xgradcam", [[-3.8, 0.4], [0.6, 0.8]]),
        # weights 3 / (2 + 10) and 0
        ("gradcam++", [[0.25, 0.5], [0.75, 1.0]]),
    ],
)
def test_the_formulas_by_hand(method, expected):
    got = METHODS[method](*example())
    torch.testing.assert_close(got, torch.tensor([expected]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_pictures_of_a_batch_do_not_touch_each_other(method):
    torch.manual_seed(0)
    activation, gradient = torch.rand(3, 8, 4, 4), torch.randn(3, 8, 4, 4)
    together = METHODS[method](activation, gradient)
    for row in range(3):
        alone = METHODS[method](activation[row : row + 1], gradient[row : row + 1])[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_picture_without_structure_gives_an_even_map_of_numbers(method, value):
    """A black frame must neither divide by zero nor show heat somewhere."""
    flat = torch.full((1, 8, 4, 4), value)
    got = METHODS[method](flat, flat)
    assert got.isfinite().all()
    assert float(got.max() - got.min()) < 1e-4


def test_eigencam_finds_the_cells_that_stand_out_whatever_their_sign():
    for sign in (1, -1):
        activation = torch.zeros(1, 8, 5, 5)
        activation[0, :, 3, 1] = sign * torch.linspace(1, 2, 8)
        got = METHODS["eigencam"](activation, torch.zeros_like(activation))
        assert got[0].argmax() == 3 * 5 + 1
        assert got[0, 3, 1] > -got.min()
