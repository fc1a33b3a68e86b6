"""Where the pictures of several sources lie in one window."""

import math
from collections.abc import Sequence

from vidcam.types import Rect

GAP_PX = 4


def fitted(size: tuple[int, int], cell: Rect) -> Rect:
    """The largest rectangle in the middle of `cell` that keeps the aspect of width, height."""
    scale = min(cell.width / size[0], cell.height / size[1])
    width = max(1, min(cell.width, round(size[0] * scale)))
    height = max(1, min(cell.height, round(size[1] * scale)))
    left, top = (cell.width - width) // 2, (cell.height - height) // 2
    return Rect(cell.x + left, cell.y + top, width, height)


def cells(count: int, width: int, height: int, sizes: Sequence[tuple[int, int]]) -> list[Rect]:
    """`count` places, row by row, in the grid in which pictures of `sizes` are largest."""
    grids = [_grid(count, columns, width, height) for columns in range(1, count + 1)]
    return max(grids, key=lambda grid: _area(grid, sizes))


def _grid(count: int, columns: int, width: int, height: int) -> list[Rect]:
    rows = math.ceil(count / columns)
    across = max(1, (width - GAP_PX * (columns - 1)) // columns)
    down = max(1, (height - GAP_PX * (rows - 1)) // rows)
    places = []
    for number in range(count):
        row, column = divmod(number, columns)
        in_row = min(columns, count - row * columns)
        # A last row that is not full stands in the middle.
        indent = (width - in_row * across - (in_row - 1) * GAP_PX) // 2
        places.append(
            Rect(indent + column * (across + GAP_PX), row * (down + GAP_PX), across, down)
        )
    return places


def _area(grid: Sequence[Rect], sizes: Sequence[tuple[int, int]]) -> int:
    places = [fitted(size, cell) for size, cell in zip(sizes, grid, strict=True)]
    return sum(place.width * place.height for place in places)
