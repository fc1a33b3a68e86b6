"""The one writer into pictures: what it draws, where, and what it leaves alone."""

import cv2
import numpy as np
import pytest
from test_yuv import noise, picture_of, soft, tags

from vidcam import yuv
from vidcam.compositor import Compositor
from vidcam.options import FileOptions, ReadOptions
from vidcam.sources.file import FileSource
from vidcam.types import Frame, Prediction, Rect, Result, Score

FRAMES = 40
CAT = Score(281, "虎斑猫", "tabby", 0.8)
HOT = np.ones((7, 7), np.float32)


def result_of(picture, cam=HOT, shown=(CAT,)):
    crop = Rect(0, 0, picture.width, picture.height)
    prediction = Prediction((CAT,), shown, crop, cam, 281, True)
    return Result(Frame(picture, "test", 0, 0.0), prediction, 0.0)


def copies(picture):
    return [plane.copy() for plane in yuv.planes(picture)]


def read_clip(path):
    """The pictures of a clip, one by one: the decoder holds on to those it still needs."""
    source = FileSource(str(path), ReadOptions(max_frames=FRAMES), audio=False)
    try:
        for frame in source:
            yield frame.picture
    finally:
        source.close()


def test_drawing_on_a_decoded_frame_never_spoils_later_frames(cat_clip):
    clean = [copies(picture) for picture in read_clip(cat_clip)]
    assert len(clean) == FRAMES
    compositor = Compositor(FileOptions())
    for number, picture in enumerate(read_clip(cat_clip)):
        for plane, expected in zip(yuv.planes(picture), clean[number], strict=True):
            np.testing.assert_array_equal(plane, expected, f"frame {number} was drawn on before")
        drawn = yuv.planes(compositor(result_of(picture)))
        assert np.abs(drawn[0].astype(int) - clean[number][0]).mean() > 5


def test_opencv_draws_without_threads_of_its_own():
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        Compositor(FileOptions())
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize("layout", ["overlay", "side-by-side"])
def test_without_heat_and_labels_the_picture_is_untouched(layout):
    picture = noise(160, 96)
    before = copies(picture)
    composed = Compositor(FileOptions(cam="none", topk=0, layout=layout))(result_of(picture))
    for plane, expected in zip(yuv.planes(composed), before, strict=True):
        np.testing.assert_array_equal(plane[:, : expected.shape[1]], expected)
        np.testing.assert_array_equal(plane[:, -expected.shape[1] :], expected)


def test_side_by_side_is_the_original_beside_the_drawn_picture():
    compositor = Compositor(FileOptions(layout="side-by-side"))
    before, alone = copies(noise(320, 180)), noise(320, 180)
    assert compositor.size(320, 180) == (640, 180)
    wide = compositor(result_of(noise(320, 180)))
    assert (wide.width, wide.height, wide.format.name) == (640, 180, "yuv420p")
    overlay = Compositor(FileOptions())(result_of(alone))
    for plane, left, right in zip(yuv.planes(wide), before, yuv.planes(overlay), strict=True):
        np.testing.assert_array_equal(plane[:, : left.shape[1]], left)
        np.testing.assert_array_equal(plane[:, left.shape[1] :], right)
        assert (left != right).any()


@pytest.mark.parametrize("layout", ["overlay", "side-by-side"])
def test_time_and_colour_tags_stay_on_the_composed_picture(layout):
    picture = noise(320, 180)
    before = tags(picture)
    assert tags(Compositor(FileOptions(layout=layout))(result_of(picture))) == before


def test_the_labels_lie_over_the_heat():
    both, labels_only = (
        Compositor(FileOptions(alpha=1.0, cam=cam))(result_of(picture_of(soft(640, 360))))
        for cam in ("gradcam", "none")
    )
    # jet's hottest is dark: what is bright is text, and heat drawn later would have covered it.
    text = yuv.planes(labels_only)[0][:60, :160] > 190
    assert text.sum() > 50
    assert yuv.planes(both)[0][:60, :160][text].min() > 180
    assert yuv.planes(both)[0][180:, 320:].max() < 100


def test_each_part_is_drawn_as_the_options_say():
    def luma(**options):
        return yuv.planes(Compositor(FileOptions(**options))(result_of(noise(640, 360))))[0]

    plain, both = yuv.planes(noise(640, 360))[0], luma()
    heat, labels = luma(topk=0), luma(cam="none")
    panel, elsewhere = np.s_[10:40, 10:180], np.s_[180:, 320:]
    assert (heat != plain).mean() > 0.9
    assert (labels[panel] != plain[panel]).mean() > 0.9
    assert (both[panel] != heat[panel]).mean() > 0.9
    np.testing.assert_array_equal(labels[elsewhere], plain[elsewhere])
    np.testing.assert_array_equal(both[elsewhere], heat[elsewhere])


def test_a_frame_without_map_or_scores_is_left_alone():
    picture = noise(320, 180)
    before = copies(picture)
    composed = Compositor(FileOptions())(result_of(picture, cam=None, shown=()))
    for plane, expected in zip(yuv.planes(composed), before, strict=True):
        np.testing.assert_array_equal(plane, expected)


def test_a_missing_font_is_refused_before_the_first_frame(tmp_path):
    from vidcam.errors import UsageError

    with pytest.raises(UsageError, match=r"none\.ttf"):
        Compositor(FileOptions(font=str(tmp_path / "none.ttf")))
