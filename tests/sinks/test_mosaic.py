"""Pictures keep their aspect and share the window fairly."""

import pytest

from vidcam.sinks.mosaic import GAP_PX, cells, fitted
from vidcam.types import Rect


@pytest.mark.parametrize(
    ("size", "cell", "expected"),
    [
        ((640, 360), Rect(0, 0, 1280, 720), Rect(0, 0, 1280, 720)),
        ((640, 360), Rect(10, 20, 640, 480), Rect(10, 80, 640, 360)),
        ((360, 640), Rect(0, 0, 1280, 720), Rect(437, 0, 405, 720)),
        ((10000, 1), Rect(0, 0, 100, 100), Rect(0, 49, 100, 1)),
    ],
)
def test_a_picture_is_as_large_as_its_aspect_allows_in_the_middle(size, cell, expected):
    assert fitted(size, cell) == expected


@pytest.mark.parametrize(
    ("count", "window", "picture", "columns"),
    [
        (1, (1280, 720), (640, 360), 1),
        (2, (1280, 360), (640, 360), 2),
        (2, (640, 720), (640, 360), 1),
        (2, (1280, 720), (360, 640), 2),
        (4, (1280, 720), (640, 360), 2),
        (4, (400, 1600), (640, 360), 1),
        (9, (1280, 720), (640, 360), 3),
    ],
)
def test_the_grid_is_the_one_that_shows_most(count, window, picture, columns):
    places = cells(count, *window, [picture] * count)
    assert len(places) == count
    assert len({place.x for place in places}) == columns


@pytest.mark.parametrize("count", range(1, 17))
@pytest.mark.parametrize("window", [(1280, 720), (333, 777), (160, 90)])
def test_cells_never_overlap_and_never_leave_the_window(count, window):
    places = cells(count, *window, [(640, 360)] * count)
    for n, one in enumerate(places):
        assert one.x >= 0 and one.y >= 0
        assert one.x + one.width <= window[0] and one.y + one.height <= window[1]
        for other in places[:n]:
            apart_across = one.x - other.x - other.width, other.x - one.x - one.width
            apart_down = one.y - other.y - other.height, other.y - one.y - one.height
            assert max(*apart_across, *apart_down) >= GAP_PX


def test_a_last_row_that_is_not_full_stands_in_the_middle():
    places = cells(3, 1280, 720, [(640, 360)] * 3)
    assert places[2].x + places[2].width / 2 == pytest.approx(640, abs=1)
