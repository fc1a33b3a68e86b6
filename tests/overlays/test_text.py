"""Lines of text as masks: whole when they fit, cut with an ellipsis when they do not."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from vidcam.labels import imagenet
from vidcam.overlays.fonts import FontChain, bundled_font
from vidcam.overlays.text import TextMasks, line_height
from vidcam.values import LANGUAGES

LONG = "一只躺在沙发上的虎斑猫 / a tabby cat that lies on a sofa"
WIDE = 10_000


@pytest.fixture(scope="module")
def masks():
    return TextMasks(FontChain(None))


def on_a_large_canvas(text, size_px):
    """The ink of a text, drawn by PIL alone with room on every side."""
    font = ImageFont.truetype(str(bundled_font()), size_px, layout_engine=ImageFont.Layout.BASIC)
    image = Image.new("L", (int(font.getlength(text)) + 4 * size_px, 4 * size_px))
    ImageDraw.Draw(image).text((2 * size_px, 2 * size_px), text, fill=255, font=font, anchor="ls")
    return float(np.asarray(image, float).sum())


@pytest.mark.parametrize("ems", [1.5, 3, 5.4, 9, 14])
@pytest.mark.parametrize("size_px", [13, 28, 60])
def test_a_long_label_ends_with_an_ellipsis_within_the_width(masks, size_px, ems):
    width_px = round(ems * size_px)
    mask = masks(LONG, LONG, size_px, width_px)
    assert mask.shape[0] == line_height(size_px) and mask.shape[1] <= width_px
    # It is one of the label's beginnings with an ellipsis, and the next longer one is too wide.
    shortened = [f"{LONG[:n].rstrip()}…" for n in range(len(LONG))]
    drawn = [masks(text, text, size_px, WIDE) for text in shortened]
    matches = [n for n, one in enumerate(drawn) if np.array_equal(one, mask)]
    assert matches
    assert all(one.shape[1] > width_px for one in drawn[matches[-1] + 1 :])


def test_a_label_that_fits_exactly_is_whole_and_one_pixel_less_cuts_it(masks):
    whole = masks("虎斑猫", "tabby", 28, WIDE)
    np.testing.assert_array_equal(masks("虎斑猫", "tabby", 28, whole.shape[1]), whole)
    cut = masks("虎斑猫", "tabby", 28, whole.shape[1] - 1)
    np.testing.assert_array_equal(cut, masks("虎…", "", 28, WIDE))  # … is as wide as a 猫


@pytest.mark.parametrize("width_px", [1, 2, 5, 12])
def test_a_width_without_room_for_a_letter_still_gives_a_mask(masks, width_px):
    mask = masks(LONG, LONG, 28, width_px)
    assert mask.shape[0] == line_height(28) and 1 <= mask.shape[1] <= width_px


def test_an_empty_label_gives_an_empty_mask(masks):
    assert not masks("", "", 28, 100).any()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_label_loses_ink_at_the_edges_of_its_mask(masks, language):
    sizes = (13, 28, 83)
    for number, name in enumerate(imagenet(language)[::23]):
        size_px = sizes[number % 3]
        ink, whole = float(masks(name, "", size_px, WIDE).sum()), on_a_large_canvas(name, size_px)
        assert ink == pytest.approx(whole, rel=0.02), name


@pytest.mark.parametrize("text", ["ÅÉÑgjpqy|", "國龜鬱", "꽃빨", "Åqj(国"])
def test_tall_and_deep_letters_fit_into_the_line(masks, text):
    for size_px in (13, 28, 83):
        ink = float(masks(text, "", size_px, WIDE).sum())
        assert ink == pytest.approx(on_a_large_canvas(text, size_px), rel=0.02)


def test_text_grows_with_its_size(masks):
    heights = []
    for size_px in (13, 28, 83):
        rows = masks("猫", "cat", size_px, WIDE).max(1) > 127
        heights.append(int(rows.sum()) / size_px)
    assert all(0.75 < height < 1.05 for height in heights)


def test_different_texts_and_sizes_have_their_own_masks(masks):
    cat, dog = masks("猫", "cat", 28, WIDE), masks("狗", "dog", 28, WIDE)
    assert cat.shape == dog.shape and not np.array_equal(cat, dog)
    assert masks("猫", "cat", 40, WIDE).shape[0] == line_height(40)
    np.testing.assert_array_equal(masks("猫", "cat", 28, WIDE), cat)


def test_a_text_is_laid_out_once(masks):
    assert masks("虎斑猫", "tabby", 31, 500) is masks("虎斑猫", "tabby", 31, 500)


def test_the_kept_masks_are_bounded_in_bytes():
    import tracemalloc

    masks = TextMasks(FontChain(None))
    masks("warm up", "", 80, 4000)
    tracemalloc.start()
    for number in range(100):
        masks(f"{number} " + "猫" * 40, "", 80, 4000)  # 350 kB each, 35 MB in all
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20_000_000


def test_a_mask_that_was_handed_out_can_not_be_spoilt(masks):
    mask = masks("spoilt", "", 28, WIDE)
    with pytest.raises(ValueError, match="read-only"):
        mask[:] = 0
