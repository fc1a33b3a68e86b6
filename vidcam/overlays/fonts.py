"""Fonts: the bundled one, the user's, the system's; and which of them draws a character.

A character that no font has is never a silent box: the system's fonts are tried, then the label's
English name, then `U+XXXX`; each with one warning.
"""

import logging
import struct
from functools import cache
from importlib import resources
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError
from PIL import ImageFont

from vidcam.errors import UsageError

log = logging.getLogger("vidcam")

BUNDLED = "NotoSansCJKsc-Regular-subset.otf"
CJK_NAMES = (
    "cjk", "sourcehan", "wqy", "wenquan", "uming", "ukai", "simhei", "simsun", "msyh", "msjh",
    "pingfang", "hiragino", "heiti", "songti", "yugoth", "meiryo", "msgothic", "malgun", "nanum",
    "droidsansfallback", "arialuni", "unifont", "ipag", "takao", "vlgothic", "applesdgothic",
)  # fmt: skip


def bundled_font() -> Path:
    """The font that comes with vidcam: in the installed package, or beside it in a checkout."""
    beside = Path(__file__).resolve().parents[2] / "fonts" / BUNDLED
    try:
        packaged = Path(str(resources.files("vidcam.fonts").joinpath(BUNDLED)))
    except ModuleNotFoundError:
        return beside
    return packaged if packaged.is_file() else beside


class Font:
    """One font file, opened at the sizes asked for; knows which characters it draws."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.characters = _characters(path)
            ImageFont.truetype(str(path), 16)
        except (OSError, TTLibError, ImportError, struct.error, AssertionError) as error:
            raise UsageError(f"font {path} cannot be read: {error}") from None
        self._sizes: dict[int, ImageFont.FreeTypeFont] = {}

    def at(self, size_px: int) -> ImageFont.FreeTypeFont:
        """The font at a size in pixels."""
        if size_px not in self._sizes:
            self._sizes[size_px] = ImageFont.truetype(
                str(self.path), size_px, layout_engine=ImageFont.Layout.BASIC
            )
        return self._sizes[size_px]


class FontChain:
    """The fonts in the order in which they are asked for a character."""

    def __init__(self, chosen: str | None) -> None:
        paths = [Path(chosen)] if chosen else []
        self._fonts = [Font(path) for path in [*paths, bundled_font()]]
        self._system: list[Path] | None = None
        self._warned = False

    def runs(self, text: str, english: str) -> list[tuple[Font, str]]:
        """`text` cut into runs of one font each; what none draws is replaced and said once."""
        fonts = [self._font_of(character) for character in text]
        missing = "".join(c for c, font in zip(text, fonts, strict=True) if font is None)
        if missing:
            codes = ", ".join(f"U+{ord(character):04X}" for character in dict.fromkeys(missing))
            in_english = english not in ("", text) and all(map(self._font_of, english))
            if in_english:
                text = english
            else:
                text = "".join(
                    f"U+{ord(c):04X}" if font is None else c
                    for c, font in zip(text, fonts, strict=True)
                )
            self._warn(codes, in_english)
            fonts = [self._font_of(character) for character in text]
        runs: list[tuple[Font, str]] = []
        for character, font in zip(text, fonts, strict=True):
            if font is None:
                continue
            if runs and runs[-1][0] is font:
                runs[-1] = font, runs[-1][1] + character
            else:
                runs.append((font, character))
        return runs

    def _font_of(self, character: str) -> Font | None:
        for font in self._fonts:
            if ord(character) in font.characters:
                return font
        if self._system is None:
            self._system = system_fonts()
        while self._system:
            try:
                font = Font(self._system.pop(0))
            except UsageError:
                continue
            self._fonts.append(font)
            if ord(character) in font.characters:
                return font
        return None

    def _warn(self, codes: str, in_english: bool) -> None:
        if not self._warned:
            self._warned = True
            instead = "the English name is drawn" if in_english else "its code is drawn"
            log.warning("no font draws %s: %s; --font takes a font that does", codes, instead)


@cache
def _characters(path: Path) -> frozenset[int]:
    # Opened here, because TTFont leaves a file open that it refuses.
    with path.open("rb") as file:
        return frozenset(TTFont(file, lazy=True, fontNumber=0).getBestCmap() or ())


def system_fonts() -> list[Path]:
    """The font files of this machine, those with CJK names first."""
    from matplotlib import font_manager

    paths = [Path(path) for path in font_manager.findSystemFonts()]
    folded = {path: path.name.lower().replace("-", "").replace(" ", "") for path in paths}
    is_cjk = {path: any(name in folded[path] for name in CJK_NAMES) for path in paths}
    return sorted(paths, key=lambda path: (not is_cjk[path], "regular" not in folded[path], path))
