"""Pictures in rows and columns, each with its title: maps by method and class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from vidcam.figures.sheet import Sheet, fitted_size, resized
from vidcam.figures.style import ACCENT, SMALL_PX, SOFT, TEXT_PX, Line, Style
from vidcam.types import Pixels

MARGIN_PX, GAP_PX = 24, 16
# The longer side of a picture, and of the figure; pictures shrink to keep it, to a least size.
PICTURE_PX, FIGURE_PX, LEAST_PX = 340, 4000, 96
# What a title needs, however narrow its picture is.
NARROWEST_PX = 132
TITLE_LINE_PX, NOTE_LINE_PX, HEAD_PX, ROW_TITLE_PX = 24, 20, 34, 180


@dataclass(frozen=True, eq=False)
class Cell:
    """A picture (H, W, 3) uint8 RGB under its title and a smaller note; None leaves a gap.

    `english` stands in for a title that no font draws. `value` follows the title and, unlike it,
    is never shortened: a score, "83.4%".
    """

    rgb: Pixels | None
    title: str
    english: str
    note: str
    value: str = ""


@dataclass(frozen=True)
class _Plan:
    """Sizes in pixels: pictures (width, height), the width of a cell, and where cells begin.

    `texts` are the heights of the lines above the pictures, row by row.
    """

    picture: tuple[int, int]
    cell: int
    left: int
    top: int
    columns: int
    texts: tuple[int, ...]

    def at(self, row: int, column: int) -> tuple[int, int]:
        """The top left corner of a cell, its text included."""
        x = self.left + column * (self.cell + GAP_PX)
        y = self.top + sum(self.texts[:row]) + row * (self.picture[1] + GAP_PX)
        return x, y

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the figure."""
        x, y = self.at(len(self.texts), self.columns)
        return x - GAP_PX + MARGIN_PX, y - GAP_PX + MARGIN_PX


def grid(
    rows: Sequence[Sequence[Cell | None]],
    style: Style,
    *,
    lead: Cell | None = None,
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
    picture_px: int = PICTURE_PX,
) -> Figure:
    """Cells in rows and columns, all of one size; `lead` stands at the left of all, at the top.

    Pictures are at most `picture_px` pixels on the longer side, less where the figure would be
    larger than 4000 pixels, and never under 96. Titles that are too long end in an ellipsis.
    `row_titles` and `column_titles` are empty or one for each.
    """
    names = [style.fit(title, width_px=ROW_TITLE_PX) for title in row_titles]
    plan = _plan(rows, lead, names, (MARGIN_PX + HEAD_PX * bool(column_titles), picture_px))
    sheet = Sheet(*plan.size)
    if lead is not None:
        _draw(sheet, style, lead, (MARGIN_PX, plan.top, plan.texts[0]), plan)
    for row, name in enumerate(names):
        x, y = plan.at(row, 0)
        baseline = y + plan.texts[row] + plan.picture[1] / 2 + TEXT_PX * 0.36
        sheet.text(x - GAP_PX, baseline, name, SOFT, "right")
    for column, title in enumerate(column_titles):
        line = style.fit(title, width_px=plan.cell)
        sheet.text(plan.at(0, column)[0], MARGIN_PX + TEXT_PX, line, SOFT)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            if cell is not None:
                _draw(sheet, style, cell, (*plan.at(row, column), plan.texts[row]), plan)
    return sheet.figure


def _shown(
    rows: Sequence[Sequence[Cell | None]], lead: Cell | None
) -> Iterator[tuple[Cell, Pixels]]:
    for cell in [lead, *(cell for row in rows for cell in row)]:
        if cell is not None and cell.rgb is not None:
            yield cell, cell.rgb


def _plan(
    rows: Sequence[Sequence[Cell | None]],
    lead: Cell | None,
    names: list[Line],
    place: tuple[int, int],
) -> _Plan:
    """The largest pictures with which the figure keeps to its size; `place` is where the rows
    begin, and how large pictures may be."""
    top, picture_px = place
    shown = list(_shown(rows, lead))
    texts = [_text_px(cells) for cells in rows] or [0]
    texts[0] = max(texts[0], _text_px([lead]))
    names_px = round(max((name.width_px for name in names), default=-GAP_PX)) + GAP_PX
    for longer in range(picture_px, LEAST_PX - 1, -2):
        picture = fitted_size(shown[0][1], longer, longer) if shown else (longer, longer)
        cell = max(picture[0], NARROWEST_PX)
        plan = _Plan(
            picture=picture,
            cell=cell,
            left=MARGIN_PX + (cell + GAP_PX) * (lead is not None) + names_px,
            top=top,
            columns=max([1, *map(len, rows)]),
            texts=tuple(texts),
        )
        if max(plan.size) <= FIGURE_PX:
            break
    return plan


def _text_px(cells: Sequence[Cell | None]) -> int:
    shown = [cell for cell in cells if cell is not None and cell.rgb is not None]
    titled = any(cell.title or cell.value for cell in shown)
    return TITLE_LINE_PX * titled + NOTE_LINE_PX * any(cell.note for cell in shown)


def _draw(sheet: Sheet, style: Style, cell: Cell, at: tuple[int, int, int], plan: _Plan) -> None:
    """Draw a cell; `at` is its top left corner and the height of the text above the picture."""
    if cell.rgb is None:
        return
    x, y, text_px = at
    if cell.title or cell.value:
        value = style.fit(cell.value)
        room = plan.cell - (round(value.width_px) + 8 if cell.value else 0)
        title = style.fit(cell.title, cell.english, width_px=room)
        sheet.text(x, y + TEXT_PX, title)
        if cell.value:
            sheet.text(x + title.width_px + 8 * bool(title.text), y + TEXT_PX, value, ACCENT)
    if cell.note:
        note = style.fit(cell.note, size_px=SMALL_PX, width_px=plan.cell)
        sheet.text(x, y + TITLE_LINE_PX + SMALL_PX, note, SOFT)
    size = fitted_size(cell.rgb, *plan.picture)
    sheet.picture(x, y + text_px, resized(cell.rgb, size))
