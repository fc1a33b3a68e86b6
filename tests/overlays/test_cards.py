"""Cards hold their text, fit their room, and are see-through."""

import numpy as np
import pytest

from vidcam.overlays.cards import OPACITY, card
from vidcam.overlays.fonts import FontChain
from vidcam.overlays.text import TextMasks, line_height
from vidcam.sinks.keys import help_rows
from vidcam.values import LANGUAGES

ROWS = [("q", "quit"), ("space", "pause the window")]


@pytest.fixture(scope="module")
def masks():
    return TextMasks(FontChain(None))


def test_a_card_has_keys_in_colour_and_text_in_white_on_a_dark_ground(masks):
    pixels = card(masks, ROWS, 24, (1000, 1000)).astype(int)
    assert pixels.shape[0] > 2 * line_height(24) and pixels.shape[2] == 4
    white, blue = pixels.min(axis=2) > 240, pixels[..., 2] > pixels[..., 0] + 120
    assert white.any(axis=1).sum() > 20 and blue.any(axis=1).sum() > 20
    assert np.flatnonzero(blue.any(axis=0)).max() < np.flatnonzero(white.any(axis=0)).min()
    ground = pixels[3, pixels.shape[1] // 2]
    assert ground[:3].max() < 30 and ground[3] == pytest.approx(255 * OPACITY, abs=1)
    assert pixels[0, 0, 3] == 0, "its corners are round"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("room", [(1280, 720), (320, 180), (160, 90), (90, 400)])
def test_the_help_fits_its_room_uncut(masks, language, room):
    pixels = card(masks, help_rows(language), 28, room)
    assert pixels.shape[0] <= room[1] and pixels.shape[1] <= room[0]
    ink = pixels[..., :3].max(axis=2) > 120
    assert not ink[:, -1].any() and not ink[-1].any() and ink.any()


def test_a_card_that_can_only_be_cut_is_cut(masks):
    assert card(masks, [("", "wide " * 500)], 20, (40, 12)).shape[:2] <= (12, 40)
