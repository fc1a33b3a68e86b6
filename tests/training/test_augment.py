"""The presets: what they do, and that chance repeats."""

import threading

import numpy as np
import pytest
import torch
from drawn_set import picture
from torchvision.transforms import v2

from vidcam.errors import UnknownName, UsageError
from vidcam.pictures.square import square_of
from vidcam.prepare import Geometry
from vidcam.training.augment import describe, preset
from vidcam.training.options import AUGMENTS

SIZES = {"dog25": 256, "catdog": 224, "scenes150": 150}
PICTURE = picture(1, (400, 300))


def steps_of(transform):
    return [type(step).__name__ for step in transform.transforms]


@pytest.mark.parametrize("name", AUGMENTS)
def test_both_give_squares_and_chance_repeats(name):
    one = preset(name)
    size = SIZES.get(name, 224)
    assert one.eval(PICTURE).size == (size, size) and one.eval(PICTURE).mode == "RGB"
    assert one.geometry.size == size
    first = one.augmented(PICTURE, 3, 1, 7)
    assert first.size == (size, size) and first.mode == "RGB"
    assert first.tobytes() == one.augmented(PICTURE, 3, 1, 7).tobytes()
    others = [one.augmented(PICTURE, *numbers) for numbers in ((4, 1, 7), (3, 2, 7), (3, 1, 8))]
    different = sum(first.tobytes() != other.tobytes() for other in others)
    assert different == (0 if name == "none" else 3)


def test_chance_outside_is_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    preset("strong").augmented(PICTURE, 0, 0, 0)
    assert torch.equal(torch.rand(2), expected)


def test_threads_do_not_mix_their_chance():
    one = preset("standard")
    expected = [one.augmented(PICTURE, 0, 0, n).tobytes() for n in range(16)]
    got = {}

    def work(part):
        for n in part:
            got[n] = one.augmented(PICTURE, 0, 0, n).tobytes()

    threads = [threading.Thread(target=work, args=(range(k, 16, 4),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[n] for n in range(16)] == expected


def test_the_notebooks_presets_are_what_they_were():
    dog25, catdog, scenes = (preset(name) for name in SIZES)
    assert steps_of(dog25.train) == ["RandomResizedCrop", "RandomHorizontalFlip"]
    assert dog25.train.transforms[0].size == [256, 256] or dog25.train.transforms[0].size == (
        256, 256,
    )  # fmt: skip
    expected = v2.Compose([v2.Resize(300), v2.CenterCrop(256)])(PICTURE)
    assert dog25.eval(PICTURE).tobytes() == expected.tobytes()
    assert steps_of(catdog.train) == ["Resize", "RandomHorizontalFlip", "RandomRotation",
                                      "ColorJitter"]  # fmt: skip
    assert list(catdog.train.transforms[2].degrees) == [-10, 10]
    jitter = catdog.train.transforms[3]
    assert all(list(range_) == pytest.approx([0.8, 1.2])
               for range_ in (jitter.brightness, jitter.contrast, jitter.saturation))  # fmt: skip
    assert catdog.eval(PICTURE).tobytes() == v2.Resize((224, 224))(PICTURE).tobytes()
    assert steps_of(scenes.train) == ["Resize", "RandomHorizontalFlip", "RandomRotation"]
    assert list(scenes.train.transforms[2].degrees) == [-15, 15]
    assert scenes.eval(PICTURE).tobytes() == v2.Resize((150, 150))(PICTURE).tobytes()
    assert (scenes.geometry.fit, catdog.geometry.fit) == ("stretch", "stretch")


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_our_own_evaluate_as_every_command_does(fit):
    geometry = Geometry(96, fit, 0.875)
    for name in ("none", "light", "standard", "strong"):
        one = preset(name, geometry)
        assert np.array_equal(np.asarray(one.eval(PICTURE)), square_of(PICTURE, geometry)[0])
        assert one.geometry == geometry


def test_another_size():
    assert preset("standard", imgsz=128).augmented(PICTURE, 0, 0, 0).size == (128, 128)
    small = preset("dog25", imgsz=128)
    expected = v2.Compose([v2.Resize(150), v2.CenterCrop(128)])(PICTURE)
    assert small.eval(PICTURE).tobytes() == expected.tobytes()


def test_describe_says_both():
    assert describe(preset("dog25")) == (
        "train  RandomResizedCrop 256, flip\neval   Resize 300, CenterCrop 256"
    )
    assert "rotation 15°" in describe(preset("scenes150"))
    texts = [describe(preset(name)) for name in AUGMENTS]
    assert len(set(texts)) == len(AUGMENTS)


def test_wrong_names_and_fits():
    with pytest.raises(UnknownName, match="unknown augmentation 'stong'; nearest: strong"):
        preset("stong")
    with pytest.raises(UsageError, match="dog25: has its own fit"):
        preset("dog25", Geometry(224, "pad"))
