"""ROAD: the library's numbers, exact shares, the same on every run."""

import numpy as np
import pytest
import torch
from cam import oracle
from torch import nn

from vidcam.cam import faithfulness
from vidcam.cam.faithfulness import PERCENT, road

SIZE = 32


class Looks(nn.Module):
    """Two classes; the first one's logit is the contrast in the upper left quarter."""

    def forward(self, x):
        quarter = x[:, :, : SIZE // 2, : SIZE // 2]
        contrast = quarter.diff(dim=3).abs().mean((1, 2, 3))
        return torch.stack([6 * contrast - 2, torch.zeros_like(contrast)], 1)


def picture():
    return oracle.pictures(1, SIZE) + torch.randn(
        1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(4)
    )


def distinct(seed):
    """A map (S, S) without two equal values, all of which float32 holds exactly, and 1 - them."""
    blocks = np.random.default_rng(seed).permutation(16).reshape(4, 4).repeat(8, 0).repeat(8, 1)
    ranks = np.random.default_rng(seed).permutation(SIZE * SIZE) + blocks.ravel() * SIZE**2
    return np.float32(ranks.argsort().argsort().reshape(SIZE, SIZE) / 1024)


@pytest.fixture(scope="module")
def library():
    pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.metrics import road as module

    return module


@pytest.fixture
def still(monkeypatch, library):
    """Both without noise, which comes from another generator in each."""
    defaults = (0.0, library.neighbors_weights)
    monkeypatch.setattr(library.NoisyLinearImputer.__init__, "__defaults__", defaults)
    monkeypatch.setattr(faithfulness, "NOISE", 0.0)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")
def test_it_is_the_librarys_road(library, still):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    net, x = oracle.network("resnet18"), oracle.pictures(1, SIZE)
    best = net(x)[0].argsort(descending=True)[:2].tolist()
    for seed, index in enumerate(best):
        heat, targets = distinct(seed), [ClassifierOutputSoftmaxTarget(index)]
        got = road(net, x, heat[None], [index])[0]
        expected = library.ROADCombined()(x, heat[None], targets, net)[0]
        assert abs(expected) > 1e-4 and got.road == pytest.approx(expected, abs=1e-5)
        whole = net(x).softmax(1)[0, index].item()
        most = library.ROADMostRelevantFirstAverage()(x, heat[None], targets, net)[0]
        assert got.score == pytest.approx(whole, abs=1e-6)
        assert got.drop == pytest.approx(-most, abs=1e-5)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_picture_is_filled_in_as_by_the_library(library, still, share):
    x = picture()[0]
    left = np.random.default_rng(1).random((SIZE, SIZE)) > share
    expected = library.NoisyLinearImputer(noise=0)(x, torch.from_numpy(np.float32(left)))
    got = faithfulness._Filler(x)(left.ravel())
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(got[:, left], x[:, left])


def test_noise_lies_on_the_imputed_pixels_only():
    x = torch.zeros(3, SIZE, SIZE)
    left = np.zeros((SIZE, SIZE), bool)
    left[:, ::2] = True
    got = faithfulness._Filler(x)(left.ravel())
    assert not got[:, left].any()
    assert float(got[:, ~left].std()) == pytest.approx(0.01, rel=0.1)


def hot_quarter(row, column):
    heat = np.zeros((SIZE, SIZE), np.float32)
    heat[row : row + SIZE // 2, column : column + SIZE // 2] = 1
    return heat


def test_a_right_map_scores_high_a_wrong_one_low_and_an_empty_one_nothing():
    right, wrong = hot_quarter(0, 0), hot_quarter(16, 16)
    flat = np.zeros_like(right)
    good, bad, none = road(Looks(), picture(), np.stack([right, wrong, flat]), [0, 0, 0])
    assert good.score == bad.score > 0.8
    # With 30 % removed the quarter is gone, with 30 % kept it is all there.
    assert good.removed[2] < 0.2 and good.kept[2] > good.score - 0.05
    assert bad.removed[2] > bad.score - 0.05 and bad.kept[2] < 0.3
    assert good.road > 0.15 > 0.02 > abs(none.road) and bad.road < none.road - 0.05
    assert good.drop > none.drop > bad.drop


def test_the_class_is_the_maps_own():
    first, second = road(Looks(), picture(), np.stack([hot_quarter(0, 0)] * 2), [0, 1])
    np.testing.assert_allclose(first.removed, 1 - second.removed, atol=1e-6)
    assert first.score == pytest.approx(1 - second.score)
    assert first.shares.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert first.removed.shape == first.kept.shape == (9,)


@pytest.mark.parametrize("heat", [np.zeros((SIZE, SIZE), np.float32), hot_quarter(8, 8)])
def test_every_share_is_exact_on_flat_areas(heat):
    ranked = faithfulness._ranked(heat)
    masks = np.stack(list(faithfulness._masks(ranked))).reshape(9, 2, SIZE, SIZE)
    for percent, (without, alone) in zip(PERCENT, masks, strict=True):
        assert abs((~without).sum() - percent / 100 * SIZE**2) <= 1
        assert abs(alone.sum() - percent / 100 * SIZE**2) <= 1
        if heat.any():
            hot = heat > 0
            assert not (without & hot).any() or not (~without & ~hot).any(), "the hottest first"
            assert not (alone & ~hot).any() or (alone & hot).sum() == hot.sum()
    flat = masks[4, 0][:4] if heat.any() else masks[4, 0][:, :4]
    assert 0.4 < flat.mean() < 0.75, "a flat area is thinned out evenly"


def test_every_run_gives_the_same_and_leaves_the_generators_alone():
    net, x, heat = oracle.network("resnet18"), oracle.pictures(1, SIZE), distinct(3)[None]
    seeds = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again = road(net, x, heat, [1])[0], road(net, x, heat, [1])[0]
    assert np.array_equal(first.removed, again.removed) and np.array_equal(first.kept, again.kept)
    assert torch.equal(torch.get_rng_state(), seeds[0])
    assert np.array_equal(np.random.get_state()[1], seeds[1])  # noqa: NPY002
