"""Features equal what the whole network's head is given, and are computed as pictures are shown."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models
from training.photos import photo, photos

from vidcam.errors import SourceError
from vidcam.pictures.square import square_of
from vidcam.prepare import Geometry
from vidcam.training.dataset import Sample, find_dataset
from vidcam.training.features import (
    Backbone,
    features_of,
    gives_vectors,
    labels_of,
    plain,
    side_px,
)

MEAN, STD = (120.0, 110.0, 100.0), (60.0, 61.0, 62.0)


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.shufflenet_v2_x0_5(num_classes=3)


def test_features_are_what_the_head_is_given(net):
    pixels = np.stack([np.asarray(photo(n % 2, n, (64, 64))) for n in range(9)])
    features = Backbone(net, MEAN, STD, 64)(pixels)
    inputs = (torch.tensor(pixels).permute(0, 3, 1, 2) - torch.tensor(MEAN).view(1, 3, 1, 1)) / (
        torch.tensor(STD).view(1, 3, 1, 1)
    )
    with torch.no_grad():
        logits = net.eval()(inputs.float())
        got = net.fc(torch.tensor(features))
    assert features.shape == (9, 1024) and features.dtype == np.float32
    torch.testing.assert_close(got, logits, rtol=1e-3, atol=1e-4)
    assert net.fc.out_features == 3  # the network itself stays as it is


def test_pictures_are_squared_as_elsewhere_and_bad_ones_are_left_out(net, tmp_path):
    dataset = find_dataset(photos(tmp_path / "set", train=3, val=0))
    samples = list(dataset.samples)
    bad = samples[1]
    with open(bad.path, "r+b") as file:
        file.truncate(200)
    geometry = Geometry(32, "crop", 0.8)
    assert side_px(geometry) == 40 and side_px(Geometry(32, "stretch", 0.8)) == 32
    backbone, unread = Backbone(net, MEAN, STD, 32), {}
    views = [(40, plain(geometry)), (40, lambda picture, n: plain(geometry)(picture, n)[:, ::-1])]
    one, mirrored = features_of(samples, views, backbone, unread)
    kept = [sample for sample in samples if sample is not bad]
    squares = np.stack([square_of(Image.open(s.path).convert("RGB"), geometry)[0] for s in kept])
    np.testing.assert_allclose(one, backbone(squares), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mirrored, backbone(squares[:, :, ::-1].copy()), rtol=1e-4, atol=1e-5)
    assert list(unread) == [bad.path] and "damaged" in unread[bad.path]
    assert labels_of(samples, unread).tolist() == [s.label for s in kept]


def test_many_pictures_keep_their_order(net, tmp_path):
    dataset = find_dataset(photos(tmp_path / "set", train=37, val=0))
    backbone = Backbone(net, MEAN, STD, 32)
    view = plain(Geometry(32, "stretch"))
    (features,) = features_of(dataset.samples, [(32, view)], backbone, {})
    for number in (0, 31, 32, 73):
        picture = Image.open(dataset.samples[number].path)
        alone = backbone(view(picture, number)[None])
        np.testing.assert_allclose(features[number], alone[0], rtol=1e-3, atol=1e-4)


def test_no_readable_picture_is_one_sentence(net, tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    view = plain(Geometry(32, "crop"))
    with pytest.raises(SourceError, match=r"no picture could be read: .*a\.png"):
        features_of(
            [Sample(str(tmp_path / "a.png"), 0)], [(32, view)], Backbone(net, MEAN, STD, 32), {}
        )


def test_which_networks_hand_their_head_a_vector(net):
    assert gives_vectors(net, 64)
    assert not gives_vectors(models.squeezenet1_1(num_classes=2), 64)
