"""What the window draws follows its view; what is recorded does not; old heat fades."""

from dataclasses import replace

import numpy as np
import pytest
from test_compositor import CAT, HOT, copies, read_clip, result_of
from test_yuv import noise, picture_of

from vidcam import yuv
from vidcam.compositor import Compositor, WindowCompositor
from vidcam.options import LiveOptions
from vidcam.overlays.heat import Heat
from vidcam.stats import SourceStats
from vidcam.view import View

ELSEWHERE = np.s_[150:300, 320:]  # of 640x360: neither labels nor the bar


def drawn(view=None, options=None, result=None):
    """Luma of a composed grey picture as the window shows it."""
    options = options or LiveOptions()
    compositor = WindowCompositor(options, view or View.of(options), SourceStats("door"))
    return yuv.planes(compositor(result or result_of(grey())))[0].astype(int)


def grey(width=640, height=360):
    return picture_of(np.full((height, width, 3), 128.0))


def plain():
    return yuv.planes(grey())[0].astype(int)


def test_the_window_carries_heat_labels_and_a_status_bar():
    change = np.abs(drawn() - plain())
    assert change[ELSEWHERE].mean() > 5
    assert change[10:40, 10:150].mean() > 20
    assert change[-16:-4].mean() > 20


def test_the_heat_is_drawn_as_the_view_says_from_one_picture_to_the_next():
    options = LiveOptions(topk=0)
    view = View.of(options)
    compositor = WindowCompositor(options, view, SourceStats("door"))

    def change():
        composed = yuv.planes(compositor(result_of(grey())))[0].astype(int)
        return np.abs(composed - plain())[ELSEWHERE].mean()

    half = change()
    view.alpha = 1.0
    full = change()
    view.alpha = 0.0
    nothing = change()
    view.alpha, view.heat = 1.0, False
    assert half > 5 and full == pytest.approx(2 * half, rel=0.1)
    assert nothing == 0 and change() == 0


def test_the_keys_leave_what_is_recorded_alone():
    options = LiveOptions()
    view = View.of(options)
    view.alpha, view.heat, view.recording = 0.1, False, True
    other = result_of(grey(), cam=np.zeros_like(HOT)).prediction
    result = replace(result_of(grey()), window=other)
    recorded = yuv.planes(Compositor(options)(result))[0].astype(int)
    expected = yuv.planes(Compositor(options)(result_of(grey())))[0].astype(int)
    np.testing.assert_array_equal(recorded, expected)


def test_the_windows_own_prediction_is_drawn_where_there_is_one():
    other = result_of(grey(), cam=None, shown=()).prediction
    result = replace(result_of(grey()), window=other)
    change = np.abs(drawn(result=result) - plain())
    assert not change[:330].any()


def test_labels_leave_the_foot_to_the_status_bar():
    shown = tuple(replace(CAT, index=n) for n in range(60))
    for width, height in ((640, 360), (1280, 720), (360, 640), (320, 180)):
        picture = grey(width, height)
        base = yuv.planes(picture)[0].copy()
        options = LiveOptions(topk="all", cam="none")
        compositor = WindowCompositor(options, View.of(options), SourceStats("door"))
        labels, bar = compositor._labels
        labels.draw(yuv.planes(picture), result_of(picture, shown=shown))
        labelled = np.flatnonzero((yuv.planes(picture)[0] != base).any(axis=1))
        picture = grey(width, height)
        bar.draw(yuv.planes(picture), result_of(picture))
        barred = np.flatnonzero((yuv.planes(picture)[0] != base).any(axis=1))
        assert labelled.max() < barred.min(), (width, height)
        assert labelled.max() > height * 0.7, "the labels use the room that is there"


@pytest.mark.parametrize("layout", ["overlay", "side-by-side"])
def test_the_window_keeps_the_layout(layout):
    options = LiveOptions(layout=layout)
    compositor = WindowCompositor(options, View.of(options), SourceStats("door"))
    picture = noise(640, 360)
    before = copies(picture)
    composed = compositor(result_of(picture))
    assert (composed.width, composed.height) == compositor.size(640, 360)
    if layout == "side-by-side":
        for plane, original in zip(yuv.planes(composed), before, strict=True):
            np.testing.assert_array_equal(plane[:, : original.shape[1]], original)


def test_drawing_for_the_window_never_spoils_later_frames(cat_clip):
    clean = [copies(picture) for picture in read_clip(cat_clip)]
    options = LiveOptions()
    compositor = WindowCompositor(options, View.of(options), SourceStats("door"))
    for number, picture in enumerate(read_clip(cat_clip)):
        for plane, expected in zip(yuv.planes(picture), clean[number], strict=True):
            np.testing.assert_array_equal(plane, expected, f"frame {number} was drawn on before")
        compositor(result_of(picture))


@pytest.mark.parametrize(
    ("age_s", "share"), [(0.0, 1.0), (0.5, 1.0), (0.75, 0.75), (1.0, 0.5), (1.25, 0.25),
                         (1.5, 0.0), (60.0, 0.0)],
)  # fmt: skip
def test_the_heat_of_an_old_result_fades(age_s, share):
    def change(age):
        picture = grey()
        result = replace(result_of(picture), age_s=age)
        Heat(1.0, "jet").draw(yuv.planes(picture), result)
        return np.abs(yuv.planes(picture)[0].astype(int) - plain()).mean()

    assert change(age_s) == pytest.approx(share * change(0.0), abs=2.0)
