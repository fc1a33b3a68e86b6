"""Which pictures are the same to the eye."""

import numpy as np
from drawn_set import picture
from PIL import Image, ImageOps

from vidcam.training.duplicates import near_groups, thumbnail


def groups_of(pictures):
    return near_groups(np.stack([thumbnail(one) for one in pictures]))


def test_changed_copies_are_near_and_others_are_not():
    pictures = [picture(n) for n in range(40)]
    copies = [ImageOps.mirror(one).resize((50, 70)) for one in pictures]
    assert groups_of([*pictures, *copies]) == [[n, n + 40] for n in range(40)]


def test_colours_count_and_what_shows_nothing_is_like_nothing():
    red, blue = Image.new("RGB", (96, 96), "white"), Image.new("RGB", (96, 96), "white")
    red.paste("#dc1e1e", (20, 20, 60, 60))
    blue.paste("#1e1edc", (20, 20, 60, 60))
    assert groups_of([red, blue]) == []
    assert groups_of([red, blue, red.resize((64, 64))]) == [[0, 2]]
    assert groups_of([Image.new("RGB", (96, 96), c) for c in ("white", "black", "white")]) == []


def test_thousands_of_copies_are_one_group():
    one, other = (thumbnail(picture(n)) for n in (1, 2))
    thumbnails = np.stack([one, other] * 1100)
    assert [len(group) for group in near_groups(thumbnails)] == [1100, 1100]
