"""A panel's levels are those of its colours, in every matrix and range, and rows replace rows."""

import numpy as np
import pytest
from test_yuv import MATRICES_AND_RANGES, noise, yuv_of

from vidcam import yuv
from vidcam.overlays.panel import PANEL_OPACITY, PANEL_RGB, Look, compose
from vidcam.types import Rect

RED, BLUE = (250, 20, 10), (10, 40, 240)
RECT = Rect(10, 6, 40, 20)


def inks():
    """Two masks that do not overlap, with soft edges."""
    ramp = np.tile(np.linspace(0, 255, 40).round(), (20, 1)).astype(np.uint8)
    upper, lower = ramp.copy(), ramp[:, ::-1].copy()
    upper[10:] = lower[:10] = 0
    return {RED: upper, BLUE: lower}


def halved(plane):
    return plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).mean((1, 3))


@pytest.mark.parametrize(("matrix", "full"), MATRICES_AND_RANGES)
def test_ground_and_inks_have_their_colours_and_edges_are_mixed(matrix, full):
    picture = noise(100, 60)
    before = [plane.astype(float) for plane in yuv.planes(picture)]
    panel = compose(RECT, inks(), Look(100, 60, matrix, full))
    panel.draw(yuv.planes(picture))
    ground = yuv_of(PANEL_RGB, matrix, full)
    for channel, plane in enumerate(yuv.planes(picture)):
        shift = min(channel, 1)
        inside = np.s_[
            RECT.y >> shift : RECT.y + RECT.height >> shift,
            RECT.x >> shift : RECT.x + RECT.width >> shift,
        ]
        expected = before[channel].copy()
        bare = 1 - sum(mask / 255 for mask in inks().values())
        add = bare * PANEL_OPACITY * float(ground[channel])
        for rgb, mask in inks().items():
            add = add + mask / 255 * float(yuv_of(rgb, matrix, full)[channel])
        keep = bare * (1 - PANEL_OPACITY)
        if shift:
            keep, add = halved(keep), halved(add)
        expected[inside] = expected[inside] * keep + add
        assert np.abs(plane - expected).max() <= 3
        assert np.abs(plane - expected)[inside].mean() < 1
        expected[inside] = plane[inside]
        np.testing.assert_array_equal(plane, expected)


def test_a_part_that_is_put_replaces_its_rows_and_nothing_else():
    look = Look(100, 60, 1, False)
    whole = compose(Rect(10, 6, 40, 40), {}, look)
    plain = compose(Rect(10, 6, 40, 40), {}, look)
    part = compose(Rect(0, 8, 40, 20), inks(), look)
    whole.put(part)
    kinds = zip(
        (0, 1, 0, 1, 1),
        (*whole.keep, *whole.add), (*part.keep, *part.add), (*plain.keep, *plain.add),
        strict=True,
    )  # fmt: skip
    for shift, got, new, old in kinds:
        top, bottom = 8 >> shift, 28 >> shift
        np.testing.assert_array_equal(got[top:bottom], new)
        np.testing.assert_array_equal(got[:top], old[:top])
        np.testing.assert_array_equal(got[bottom:], old[bottom:])
