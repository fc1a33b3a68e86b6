"""One picture's maps: how often the network runs, what guided maps are made of, ranges."""

import numpy as np
import pytest
import torch
from cam import oracle
from pictures import drawn
from PIL import Image

from vidcam.cam.library import Smoothing
from vidcam.pictures.maps import LARGEST, PictureMaps, filled_part
from vidcam.pictures.square import square_of
from vidcam.prepare import PAD_GREY, Geometry

SIZE, LAYER = 64, "features"
PLAIN = Smoothing()


@pytest.fixture
def net():
    return oracle.network("squeezenet1_1")


@pytest.fixture
def maps(net):
    return PictureMaps(net, oracle.pictures(1, SIZE), [1, 2, 3, 2])


def test_one_pass_serves_all_methods_and_classes_of_a_layer(net, maps):
    calls = []
    handle = net.register_forward_hook(lambda *_: calls.append(1))
    try:
        for method in ("gradcam", "layercam", "eigencam"):
            for index in (1, 2, 3):
                maps.find(method, [LAYER], index, PLAIN)
        maps.peak(LAYER, 1)
        assert len(calls) == 1
        for _ in range(2):
            maps.find("guided", [], 1, PLAIN)
            maps.find("guided-gradcam", [LAYER], 1, PLAIN)
        assert len(calls) == 2
    finally:
        handle.remove()


def test_the_guided_product_is_the_gradient_inside_the_region(maps):
    index = next(i for i in (1, 2, 3) if maps.find("gradcam", [LAYER], i, PLAIN).grid.any())
    guided = maps.find("guided", [], index, PLAIN)
    product = maps.find("guided-gradcam", [LAYER], index, PLAIN)
    region = maps.find("gradcam", [LAYER], index, PLAIN).grid
    large = np.asarray(Image.fromarray(region).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    assert guided.detail.shape == product.detail.shape == (SIZE, SIZE, 3)
    assert guided.detail.min() < 0 < guided.detail.max()
    assert (
        np.abs(product.detail - guided.detail * large[..., None]).max()
        < 0.02 * np.abs(guided.detail).max()
    )
    for found in (guided, product):
        strength = np.abs(found.detail).max(2)
        assert found.grid.max() == 1 and found.grid.min() >= 0
        bright = strength >= np.percentile(strength, LARGEST)
        assert (found.grid[bright] == 1).all() and (found.grid[~bright] < 1).all()


def test_the_peak_is_in_units_of_the_score():
    """Behind the layer there is only a mean and a linear head: the cells add up to the logit."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 8, 8), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 5, bias=False),
    ).eval()  # fmt: skip
    pixels = oracle.pictures(1, SIZE)
    net.requires_grad_(False)
    cells = net[3].weight[2] @ net[0](pixels)[0].flatten(1) / 64
    assert float(cells.sum()) == pytest.approx(float(net(pixels)[0, 2]), abs=1e-5)
    peak = PictureMaps(net, pixels, [2]).peak("0", 2)
    assert peak == pytest.approx(float(cells.max()), abs=1e-5)


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(64, 48), (47, 64), (64, 3), (31, 31)])
def test_the_filled_part_is_all_but_the_bars(fit, size):
    picture = Image.fromarray(drawn.soft()).resize(size)
    picture.paste((0, 0, 0), (0, 0, *size))
    geometry = Geometry(SIZE, fit)
    square, crop = square_of(picture, geometry)
    part = filled_part(geometry, crop)
    bars = np.full((SIZE, SIZE), PAD_GREY)
    bars[part.y : part.y + part.height, part.x : part.x + part.width] = 0
    assert np.array_equal(square[..., 0], bars)
