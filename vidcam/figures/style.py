"""The look of the figures, and text that is never a box.

Which font draws a character is the overlays' business (`FontChain`); matplotlib is given exactly
these fonts, in that order, each under a name of its own.
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, FontProperties, fontManager

from vidcam.overlays.fonts import FontChain, bundled_font

# A power of two: pixels become inches and pixels again without rounding, so pictures stay 1:1.
DPI = 128

INK = "#1f2430"
SOFT = "#667085"
RULE = "#d5dbe3"
GROUND = "#ffffff"
ACCENT = "#0f6fae"

TITLE_PX, TEXT_PX, SMALL_PX = 20, 16, 13
ELLIPSIS = "…"
# Of a folder of a million pictures each has its title: the layouts are not kept for ever.
KEPT_LINES = 2000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text as it is drawn: `font` has every character; `width_px` is measured."""

    text: str
    font: FontProperties
    size_px: int
    width_px: float


class Style:
    """Lays out single lines of text in the user's, the bundled and the system's fonts."""

    def __init__(self, chosen_font: str | None = None) -> None:
        """Read the fonts. Raises UsageError when `chosen_font` (a font file) cannot be read."""
        self._chain = FontChain(chosen_font)
        chosen = [Path(chosen_font)] if chosen_font else []
        self._paths = [*chosen, bundled_font()]
        self._lines: dict[tuple[str, str, int, int | None], Line] = {}
        self._measure = FigureCanvasAgg(Figure(figsize=(1, 1), dpi=DPI)).get_renderer()

    def fit(
        self, text: str, english: str = "", size_px: int = TEXT_PX, width_px: int | None = None
    ) -> Line:
        """`text` as one line of at most `width_px` pixels; too long a text ends in an ellipsis.

        What no font draws is replaced by `english`, else by its code, with one warning.
        """
        key = (text, english, size_px, width_px)
        if key not in self._lines:
            line = self._line(one_line(text), one_line(english), size_px)
            if width_px is not None and line.width_px > width_px:
                line = self._cut(line, width_px)
            if len(self._lines) >= KEPT_LINES:
                self._lines.clear()
            self._lines[key] = line
        return self._lines[key]

    def _line(self, text: str, english: str, size_px: int) -> Line:
        runs = self._chain.runs(text, english)
        used = dict.fromkeys(font.path for font, _ in runs) or {self._paths[0]: None}
        self._paths += [path for path in used if path not in self._paths]
        families = [family_of(path) for path in self._paths if path in used]
        font = FontProperties(
            family=families, style="normal", variant="normal", weight="normal", stretch="normal",
            size=size_px * 72 / DPI,
        )  # fmt: skip
        drawn = "".join(part for _, part in runs)
        width, _, _ = self._measure.get_text_width_height_descent(drawn, font, False)
        return Line(drawn, font, size_px, float(width))

    def _cut(self, line: Line, width_px: int) -> Line:
        low, high = 0, len(line.text) - 1  # the longest start that fits
        while low < high:
            middle = (low + high + 1) // 2
            fits = self._start(line, middle).width_px <= width_px
            low, high = (middle, high) if fits else (low, middle - 1)
        return self._start(line, low)

    def _start(self, line: Line, length: int) -> Line:
        return self._line(line.text[:length].rstrip() + ELLIPSIS, "", line.size_px)


def one_line(text: str) -> str:
    """`text` on one line: white space and control characters become single spaces.

    Marks that have no shape of their own (direction, joiners, variation selectors) are left out.
    """
    kept = []
    for character in text:
        kind = unicodedata.category(character)
        if kind == "Cf" or unicodedata.name(character, "").startswith("VARIATION SELECTOR"):
            continue
        # A lone surrogate is a byte of a file name that is no text.
        kept.append({"Cc": " ", "Cs": "\N{REPLACEMENT CHARACTER}"}.get(kind, character))
    return " ".join("".join(kept).split())


def family_of(path: Path) -> str:
    """The family name under which matplotlib knows this one font file, made known if need be.

    Two files may call themselves the same: the name is made from the path.
    """
    whole = str(path.resolve())
    family = f"vidcam-{hashlib.sha256(whole.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    if all(entry.name != family for entry in reversed(fontManager.ttflist)):
        fontManager.ttflist.append(
            FontEntry(fname=whole, name=family, style="normal", weight=400, size="scalable")
        )
    return family


@contextmanager
def plain_settings() -> Iterator[None]:
    """matplotlib's own defaults while a figure is made or drawn, whatever the user has set."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield
