"""Explained pictures: the maps are the oracle's, any network gives one or says why not."""

import numpy as np
import pytest
import torch
from cam import oracle
from checkpoints import small_checkpoint
from torch import nn

import vidcam
from vidcam.cam.layers import to_grid
from vidcam.cam.library import Smoothing
from vidcam.cam.methods import METHODS
from vidcam.errors import UnknownName, UsageError
from vidcam.options import PICTURE_CAMS
from vidcam.pictures.explainer import Explainer
from vidcam.pictures.maps import PictureMaps
from vidcam.pictures.options import EXPLAIN_CAMS, ExplainOptions

OURS = tuple(METHODS)
SLOW = ("scorecam", "ablationcam", "sess")
RANKS = ("top1", "top2", "top3")


@pytest.fixture(scope="module")
def picture():
    """A picture with a structure that a map can follow, of the size of the small networks."""
    return oracle.pixels_of(1)[0]


def explainer(net, size=oracle.SIZE, classes=1000, own_layer=None, **options):
    model = oracle.as_model(net, size, classes, own_layer)
    return Explainer(ExplainOptions(**{"lang": ("en",), "fit": "stretch"} | options), model)


def state(net):
    """All of a network that explaining it could change."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        {key: value.clone() for key, value in net.state_dict().items()},
        [(name, id(module), module.training) for name, module in net.named_modules()],
        [[list(getattr(module, kind)) for kind in hooks] for module in net.modules()],
        [(p.requires_grad, p.grad) for p in net.parameters()],
        [getattr(module, "inplace", None) for module in net.modules()],
    )


def assert_same(net, before):
    weights, *rest = before
    now, *others = state(net)
    assert others == rest
    assert all(torch.equal(value, weights[key]) for key, value in now.items())


@pytest.mark.parametrize(
    ("name", "layer"),
    [("densenet121", "features"), ("shufflenet_v2_x2_0", "stage4"), ("swin_t", "permute"),
     ("timm:vit_tiny_patch16_224", "blocks.10.norm1")],
)  # fmt: skip
def test_each_of_our_methods_is_the_plain_hook_oracles(name, layer, picture):
    net = oracle.network(name)
    explain = explainer(net, cam=OURS, class_=RANKS, layer=(layer,))
    explanation = explain(picture)
    pixels = explain.pixels_of(picture)
    mean, std = torch.tensor(explain.model.mean), torch.tensor(explain.model.std)
    torch.testing.assert_close(pixels[0].permute(1, 2, 0), (torch.tensor(picture) - mean) / std)
    proved = set()
    for heatmap in explanation.heatmaps:
        if heatmap.is_of_absent_class or not heatmap.has_evidence:
            continue
        index = torch.tensor([heatmap.score.index])
        logits, activation, gradient = oracle.hooked(net, layer, pixels, index)
        activation, gradient = to_grid(activation), to_grid(gradient)
        signed = METHODS[heatmap.method](activation, gradient)
        if heatmap.method == "gradcam":
            signed = oracle.gradcam_map(activation, gradient)
        expected = oracle.normalised(signed)[0]
        got = oracle.normalised(heatmap.grid[None])[0]
        assert (got - expected).abs().max() < oracle.TOLERANCE, heatmap.method
        score = float(logits.softmax(1)[0, heatmap.score.index])
        assert heatmap.score.score == pytest.approx(score, abs=1e-5)
        if expected.max() > 0.99 and expected.std() > 0.02:
            proved.add(heatmap.method)
    assert proved == set(OURS)


def test_each_of_our_methods_is_the_librarys_where_nothing_in_place_follows(picture):
    library = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net, size = oracle.network("resnet50"), (oracle.SIZE, oracle.SIZE)
    explain = explainer(net, cam=OURS, class_=RANKS)
    explanation = explain(picture)
    proved = set()
    peers = ("GradCAM", "GradCAMPlusPlus", "LayerCAM", "HiResCAM", "XGradCAM", "EigenCAM")
    for heatmap in explanation.heatmaps:
        kind = getattr(library, dict(zip(OURS, peers, strict=True))[heatmap.method])
        targets = [ClassifierOutputTarget(heatmap.score.index)]
        with kind(net, [net.layer4]) as cam:
            expected = cam(explain.pixels_of(explanation.square).requires_grad_(True), targets)[0]
        got = scale_cam_image(scale_cam_image(heatmap.grid[None], size))[0]
        apart = np.abs(got - expected).max()
        if heatmap.is_of_absent_class or (heatmap.method == "eigencam" and apart > 0.5):
            continue  # left empty, and each chooses the sign of a principal component
        assert apart < oracle.TOLERANCE
        proved.add(heatmap.method)
    assert proved >= set(OURS) - {"eigencam"}


# Some of the activations of each are none that guided backpropagation is defined for.
NOT_RECTIFIED = {
    "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny", "vit_b_16", "swin_t",
    "timm:mobilenetv3_small_050", "timm:convnext_atto", "timm:vit_tiny_patch16_224",
}  # fmt: skip
TOKENS = {"vit_b_16", "timm:vit_tiny_patch16_224"}
# Biases that are not all of Conv2d, BatchNorm2d and Linear: LayerNorm, timm's BatchNormAct2d.
OTHER_BIASES = {
    "convnext_tiny", "vit_b_16", "swin_t", "efficientnet_lite0", "timm:mobilenetv3_small_050",
    "timm:convnext_atto", "timm:vit_tiny_patch16_224",
}  # fmt: skip


def refused(name, method):
    """Whether a method cannot explain a network."""
    return (
        (method in ("guided", "guided-gradcam") and name in NOT_RECTIFIED)
        or (method == "fullgrad" and name in OTHER_BIASES)
        or (method == "shapleycam" and name in TOKENS)
    )


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet50", ("layer3", "layer4")),
        ("vgg16_bn", ("features.32", "features.42")),
        ("densenet121", ("features.denseblock3", "features")),
        ("mobilenet_v3_large", ("features.12", "features")),
        ("efficientnet_b0", ("features.6", "features")),
        ("efficientnet_lite0", ("blocks.5", "bn2")),
        ("shufflenet_v2_x2_0", ("stage4", "conv5")),
        ("convnext_tiny", ("features.5", "features")),
        ("vit_b_16", tuple(f"encoder.layers.encoder_layer_{n}.ln_1" for n in (9, 11))),
        ("swin_t", ("features.5", "permute")),
        ("timm:resnet18", ("layer3", "layer4")),
        ("timm:mobilenetv3_small_050", ("blocks.4", "blocks.5")),
        ("timm:convnext_atto", ("stages.2", "stages.3")),
        ("timm:vit_tiny_patch16_224", ("blocks.9.norm1", "blocks.11.norm1")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_any_network_gives_a_map_or_says_why_not_and_stays_as_it_was(name, layers, picture):
    pytest.importorskip("pytorch_grad_cam")
    net = oracle.network(name)
    before = state(net)
    quick = [method for method in EXPLAIN_CAMS if method not in SLOW]
    explain = explainer(net, cam=OURS, class_=RANKS, layer=layers)
    explanation = explain(picture)
    shown = {(map_.method, map_.layer) for map_ in explanation.heatmaps if map_.has_evidence}
    assert shown == {(method, layer) for method in OURS for layer in layers}

    pixels = explain.pixels_of(explanation.square)
    indices = [score.index for score in explanation.topk]
    maps = PictureMaps(net, pixels, indices)
    for method in quick:
        of = layers if method == "refinecam" else layers[-1:]
        if refused(name, method):
            with pytest.raises(UsageError, match=method.partition("-")[0]) as caught:
                maps.find(method, of, indices[0], Smoothing())
            assert len(str(caught.value)) > 50 and "\n" not in str(caught.value)
            continue
        for index in indices:
            grid = maps.find(method, of, index, Smoothing()).grid
            assert np.isfinite(grid).all() and grid.min() >= 0 and grid.max() <= 1, method
            if grid.max() > 0.5 and grid.std() > 0.01:
                break  # a random network has classes without positive evidence
        else:
            raise AssertionError(f"{method} shows nothing of {name}")
    assert_same(net, before)


@pytest.mark.parametrize("method", SLOW)
@pytest.mark.parametrize(
    ("name", "layer"), [("squeezenet1_1", "features"), ("timm:vit_tiny_patch16_224", None)]
)
def test_the_methods_that_try_channels_or_windows_one_by_one(name, layer, method, picture):
    pytest.importorskip("pytorch_grad_cam")
    net = oracle.network(name)
    before = state(net)
    [heatmap] = explainer(net, cam=(method,), layer=(layer,) if layer else ())(picture).heatmaps
    assert heatmap.grid.shape == (oracle.SIZE, oracle.SIZE)
    assert heatmap.grid.max() > 0.5 and heatmap.grid.std() > 0.01
    assert_same(net, before)


def test_every_method_of_the_command_line_was_tried_above():
    assert set(EXPLAIN_CAMS) == {*OURS, *PICTURE_CAMS}


class NoGrid(nn.Module):
    """A network without a layer that keeps the place."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.flat = nn.Linear(3, 7)
        self.relu = nn.ReLU()
        self.head = nn.Linear(7, 5)

    def forward(self, x):
        return self.head(self.relu(self.flat(x.mean((2, 3)))))


def test_a_network_without_a_grid_is_refused_with_its_layers(picture):
    net = NoGrid().eval()
    with pytest.raises(UsageError, match=r"flat 1x7, relu 1x7, head 1x5; vidcam layers") as caught:
        explainer(net, classes=5)
    assert caught.value.exit_code == 2
    # Guided backpropagation asks for no layer.
    [heatmap] = explainer(net, classes=5, cam=("guided",))(picture).heatmaps
    assert heatmap.layer is None and heatmap.grid.shape == picture.shape[:2]


def test_a_method_that_cannot_do_it_leaves_the_network_as_it_was(picture):
    net = oracle.network("mobilenet_v3_large")
    before = state(net)
    for method in ("guided", "guided-gradcam", "refinecam"):
        with pytest.raises(UsageError):
            explainer(net, cam=("gradcam", method))(picture)
        assert_same(net, before)


def test_a_checkpoint_of_two_classes_with_names_of_its_own(tmp_path, picture):
    path = str(small_checkpoint(tmp_path, ("猫", "咖啡杯")))
    found = vidcam.explain(picture, model=path, classes=["咖啡杯", 0, "top1", "top2"])
    assert sorted(heatmap.score.label for heatmap in found.heatmaps) == ["咖啡杯", "猫"]
    assert sum(score.score for score in found.topk) == pytest.approx(1, abs=1e-5)
    with pytest.raises(UsageError, match="top3: only 2 classes compete"):
        vidcam.explain(picture, model=path, classes=["top3"])
    with pytest.raises(UsageError, match="classes 0 to 1"):
        vidcam.explain(picture, model=path, classes=[2])
    with pytest.raises(UnknownName, match="咖啡杯"):
        vidcam.explain(picture, model=path, classes=["咖啡"])


def test_a_rank_counts_only_the_classes_that_compete(picture):
    options = ExplainOptions(classes="3,5", class_=("top1", "top2"))
    found = Explainer(options, oracle.as_model(oracle.network("resnet50")))(picture)
    assert {heatmap.score.index for heatmap in found.heatmaps} == {3, 5}
    assert sum(heatmap.score.score for heatmap in found.heatmaps) == pytest.approx(1, abs=1e-5)
