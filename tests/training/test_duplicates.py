"""Which pictures are the same to the eye."""

import numpy as np
from drawn_set import picture
from PIL import Image, ImageOps

from vidcam.training import duplicates
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


def test_copies_in_several_blocks_are_one_group(monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK", 64)
    one, other = (thumbnail(picture(n)) for n in (1, 2))
    thumbnails = np.stack([one, other] * 100)
    assert [len(group) for group in near_groups(thumbnails)] == [100, 100]


def test_what_merely_resembles_each_other_is_no_chain_of_copies():
    # Two loose clouds, as drawings of two simple things are; all hang together at the full limit.
    rng = np.random.default_rng(0)
    things = rng.normal(0, 1, (2, 8, 8))
    cloud = np.repeat(things, 100, axis=0) + rng.normal(0, 0.45, (200, 8, 8))
    pictures = [Image.fromarray(np.clip(128 + 40 * one, 0, 255).astype(np.uint8)) for one in cloud]
    pictures = [one.resize((96, 96), Image.Resampling.BICUBIC).convert("RGB") for one in pictures]
    assert max(map(len, [[], *groups_of(pictures)])) < 10
    copies = [one.resize((80, 80)) for one in pictures[:5]]
    together = groups_of([*pictures, *copies])
    assert all(any({n, 200 + n} <= set(group) for group in together) for n in range(5))


def test_frames_of_a_slow_film_are_one_group():
    wide = picture(7, (400, 96))
    assert groups_of([wide.crop((x, 0, x + 96, 96)) for x in range(0, 300, 4)]) == [list(range(75))]
