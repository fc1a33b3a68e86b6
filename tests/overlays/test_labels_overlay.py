"""The panel of labels: readable on anything, inside every picture, true to the scores."""

from dataclasses import replace

import numpy as np
import pytest
from test_yuv import MATRICES_AND_RANGES, noise, picture_of, rgb_of_picture, yuv_of

from vidcam import yuv
from vidcam.labels import imagenet
from vidcam.overlays.fonts import FontChain
from vidcam.overlays.labels import SCORE_WIDTH, LabelPanel, percent_text, text_size
from vidcam.overlays.text import TextMasks
from vidcam.types import Frame, Prediction, Rect, Result, Score
from vidcam.values import LANGUAGES

SIZES = [
    (64, 48), (48, 64), (96, 72), (128, 96), (160, 120), (176, 144), (426, 240), (240, 426),
    (1280, 720), (720, 1280), (1920, 1080), (3840, 2160), (2160, 3840), (2000, 64), (64, 2000),
]  # fmt: skip
BORDER = 16
SENTINEL = 77
FIVE = tuple(
    Score(index, name, english, score)
    for index, name, english, score in (
        (281, "虎斑猫", "tabby", 0.62), (285, "埃及猫", "Egyptian cat", 0.2),
        (282, "tiger cat with a very long name " * 4, "tiger cat", 0.1),
        (287, "猞猁", "lynx", 0.0), (478, "ダンボール", "carton", 1.0),
    )
)  # fmt: skip
UNKNOWN = (Score(-1, "未知", "unknown", None),)


@pytest.fixture(scope="module")
def masks():
    return TextMasks(FontChain(None))


def result_of(picture, shown):
    crop = Rect(0, 0, picture.width, picture.height)
    return Result(Frame(picture, "test", 0, 0.0), Prediction(shown, shown, crop), 0.0)


def drawn(masks, picture, shown=FIVE, languages=1):
    LabelPanel(masks, languages).draw(yuv.planes(picture), result_of(picture, shown))
    return picture


def flat(size, level, full=False):
    return picture_of(np.full((size[1], size[0], 3), float(level)), full=full)


def changed_box(masks, size, shown=FIVE, languages=1):
    """Left, top, right, bottom of what the panel changes."""
    before = flat(size, 255)
    after = drawn(masks, flat(size, 255), shown, languages)
    rows, columns = np.nonzero(yuv.planes(before)[0] != yuv.planes(after)[0])
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("languages", [1, 2])
@pytest.mark.parametrize("shown", [FIVE, UNKNOWN, FIVE * 200], ids=["five", "unknown", "thousand"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_drawn_outside_the_picture_and_nothing_raises(masks, size, shown, languages):
    picture = flat(size, 128)
    larger = [np.full((p.shape[0] + 2 * BORDER, p.shape[1] + 2 * BORDER), SENTINEL, np.uint8)
              for p in yuv.planes(picture)]  # fmt: skip
    inner = np.s_[BORDER:-BORDER, BORDER:-BORDER]
    LabelPanel(masks, languages).draw(
        tuple(plane[inner] for plane in larger), result_of(picture, shown)
    )
    for plane in larger:
        plane[inner] = SENTINEL
        assert (plane == SENTINEL).all()


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) >= 120])
def test_from_120_pixels_on_there_is_a_panel_with_a_margin(masks, size):
    left, top, right, bottom = changed_box(masks, size)
    assert 2 <= left < size[0] / 10 and 2 <= top < size[1] / 10
    assert right < size[0] and bottom < size[1]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("size", [(320, 240), (426, 240), (1280, 720), (3840, 2160)])
def test_text_is_readable_on_black_and_on_white(masks, size, ground, full):
    picture = drawn(masks, flat(size, ground, full), (Score(0, "虎斑猫 tabby", "", 0.9),))
    luma = yuv.planes(picture)[0].astype(float)
    em = text_size(*size)
    panel = luma[round(em * 0.75), round(em * 0.75)]  # between its edge and the text
    text = np.percentile(luma[round(em) : round(em * 2), round(em) : round(em * 6)], 98)
    assert contrast(text, panel, full) >= 4.5


def contrast(text, ground, full):
    """WCAG's contrast ratio of two grey levels given as luma."""
    levels = [y / 255 if full else (y - 16) / 219 for y in (text, ground)]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4
              for level in levels]  # fmt: skip
    lighter, darker = max(linear), min(linear)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_readability_test_sees_text_without_a_panel():
    assert contrast(235, 235, False) == 1 and contrast(235, 16, False) == pytest.approx(21)


@pytest.mark.parametrize("size", [(426, 240), (640, 360), (1280, 720), (3840, 2160), (2160, 3840)])
def test_the_text_height_follows_the_picture(masks, size):
    picture = drawn(masks, flat(size, 0), (Score(0, "国", "", 0.5),))
    em = text_size(*size)
    # The first character alone: left of the score, above the bar.
    character = yuv.planes(picture)[0][: round(em * 2.1), : round(em * 2)]
    rows = np.nonzero((character > 140).any(1))[0]
    ink = rows.max() - rows.min() + 1
    assert 0.75 <= ink / max(13, min(size) / 26) <= 1.0


def test_text_stays_sharp_on_a_4k_frame(masks):
    luma = yuv.planes(drawn(masks, flat((3840, 2160), 0)))[0].astype(int)
    text = luma[80:180, 60:400]
    # Sharp letters are panel or white; upscaled ones are mostly in between.
    between = ((text > 60) & (text < 200)).sum() / (text > 60).sum()
    assert between < 0.25


@pytest.mark.parametrize("score", [0.0, 0.25, 0.62, 1.0])
def test_the_bar_is_as_long_as_the_score(masks, score):
    picture = drawn(masks, flat((1280, 720), 0), (Score(0, "猫", "cat", score),))
    rgb = rgb_of_picture(picture)
    blue = (rgb[..., 2] > 200) & (rgb[..., 0] < 120)
    track = (np.abs(rgb - [90, 94, 104]).max(-1) < 25) | blue
    row = np.argmax(track.sum(1))
    assert track[row].sum() > 300
    assert blue[row].sum() / track[row].sum() == pytest.approx(score, abs=0.02)


def test_a_class_above_another_is_drawn_above_it(masks):
    one = yuv.planes(drawn(masks, flat((1280, 720), 0), FIVE[:2]))[0].copy()
    swapped = yuv.planes(drawn(masks, flat((1280, 720), 0), FIVE[1::-1]))[0].copy()
    assert (one != swapped).any()
    alone = yuv.planes(drawn(masks, flat((1280, 720), 0), FIVE[:1]))[0]
    first_row = np.s_[20:60, 20:300]
    np.testing.assert_array_equal(one[first_row], alone[first_row])


def test_a_long_label_does_not_run_into_its_score(masks):
    name = "tiger cat with a very long name " * 4
    long, short = (
        yuv.planes(drawn(masks, flat((1280, 720), 0), (Score(0, text, "", 0.62),)))[0]
        for text in (name, "")
    )
    _, top, right, _ = changed_box(masks, (1280, 720), (Score(0, "", "", 0.62),))
    em = text_size(1280, 720)
    score = np.s_[top : top + 2 * em, right - round(2.9 * em) : right]
    np.testing.assert_array_equal(long[score], short[score])
    assert (long != short).any()


def test_unknown_stands_without_score_and_bar(masks):
    rgb = rgb_of_picture(drawn(masks, flat((1280, 720), 0), UNKNOWN))
    assert rgb.max() > 240
    assert not ((rgb[..., 2] > 200) & (rgb[..., 0] < 120)).any()


def test_no_classes_leave_the_picture_untouched(masks):
    picture = drawn(masks, noise(320, 180), ())
    for plane, expected in zip(yuv.planes(picture), yuv.planes(noise(320, 180)), strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_a_panel_that_is_kept_still_follows_what_changes(masks):
    panel = LabelPanel(masks, 1)

    def luma(size, shown, full=False):
        picture = flat(size, 128, full)
        panel.draw(yuv.planes(picture), result_of(picture, shown))
        alone = drawn(masks, flat(size, 128, full), shown)
        for one, other in zip(yuv.planes(picture), yuv.planes(alone), strict=True):
            np.testing.assert_array_equal(one, other)
        return yuv.planes(picture)[0]

    first = luma((640, 360), FIVE)
    assert (luma((640, 360), FIVE[:3]) != first).any()
    assert (luma((640, 360), FIVE[::-1]) != first).any()
    assert (luma((640, 360), UNKNOWN) != first).any()
    for size in ((640, 360), (426, 240), (1280, 720)):  # rows begin on odd and even lines
        luma(size, FIVE)
        for row in range(3):
            luma(size, (*FIVE[:row], replace(FIVE[row], score=0.77), *FIVE[row + 1 :]))
    luma((640, 360), FIVE, full=True)
    luma((360, 640), FIVE)
    np.testing.assert_array_equal(luma((640, 360), FIVE), first)


def test_only_a_row_that_changes_is_laid_out_anew(masks):
    asked = []

    def counted(text, *rest):
        asked.append(text)
        return masks(text, *rest)

    panel = LabelPanel(counted, 1)

    def asked_for(shown):
        asked.clear()
        panel.draw(yuv.planes(picture), result_of(picture, shown))
        return list(asked)

    picture = flat((1280, 720), 0)
    assert len(asked_for(FIVE)) == 2 * len(FIVE)
    assert asked_for(FIVE) == []
    nearly = (FIVE[0], replace(FIVE[1], score=0.2001), *FIVE[2:])
    assert asked_for(nearly) == []
    changed = (FIVE[0], replace(FIVE[1], score=0.3), *FIVE[2:])
    assert asked_for(changed) == ["埃及猫", "30%"]


@pytest.mark.parametrize(("matrix", "full"), MATRICES_AND_RANGES)
def test_text_is_white_and_the_panel_is_dark_in_every_matrix_and_range(masks, matrix, full):
    picture = picture_of(np.full((720, 1280, 3), 128.0), matrix, full)
    drawn(masks, picture, (Score(0, "國國國", "", 0.5),))
    rgb = rgb_of_picture(picture, matrix, full)[20:60, 20:140].reshape(-1, 3)
    brightest = rgb[rgb.sum(1).argmax()]
    assert brightest.min() > 235
    # 38 % of the grey ground shine through a panel of nearly black blue.
    expected = 0.38 * 128 + 0.62 * np.array([12, 14, 20])
    assert np.abs(np.median(rgb, 0) - expected).max() < 4
    assert yuv_of(expected, matrix, full)[0] < 80


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_labels_stay_inside_the_panel(masks, language):
    width = changed_box(masks, (1280, 720), FIVE)[2]
    for name in sorted(imagenet(language), key=len)[-3:]:
        assert changed_box(masks, (1280, 720), (Score(0, name, "", 0.5),))[2] == width


@pytest.mark.parametrize(("score", "text"), [(0.0, "0%"), (0.004, "0%"), (0.126, "13%"),
                                             (0.999, "100%"), (1.0, "100%")])  # fmt: skip
def test_scores_are_whole_percents(score, text):
    assert percent_text(score) == text


@pytest.mark.parametrize("size_px", [13, 14, 20, 28, 42, 83])
def test_a_hundred_percent_is_written_out(masks, size_px):
    room = round(size_px * SCORE_WIDTH)
    whole = masks("100%", "", size_px, 100 * size_px)
    assert np.array_equal(masks("100%", "", size_px, room), whole)
