"""Make the bundled font: a subset of Noto Sans CJK SC that draws every label of vidcam.

    apt-get install fonts-noto-cjk && pip install fonttools
    python fonts/make_font.py /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

The repertoire is the union of the national standards, so that a user's own classes draw as well:
ASCII, Latin-1, Latin Extended-A, punctuation, GB 2312, Big5, JIS X 0208 and KS X 1001; and what the
labels of vidcam use beyond them.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable

TARGET = Path(__file__).with_name("NotoSansCJKsc-Regular-subset.otf")
LABELS = Path(__file__).parents[1] / "vidcam" / "labels"
FAMILY = "Noto Sans CJK SC"


def characters_of(codec: str) -> set[int]:
    """Code points that a double-byte standard encodes."""
    points = set()
    for lead in range(0x81, 0xFF):
        for trail in range(0x40, 0xFF):
            try:
                text = bytes((lead, trail)).decode(codec)
            except UnicodeDecodeError:
                continue
            points.update(map(ord, text))
    return points


def repertoire() -> set[int]:
    """Every code point that the bundled font should draw."""
    points = {*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x2010, 0x2040), 0x20AC, 0x2122}
    for codec in ("gb2312", "big5", "shift_jis", "euc_kr"):
        points |= characters_of(codec)
    for path in LABELS.glob("*.txt"):
        points.update(map(ord, path.read_text("utf-8")))
    return points


def _as_format_12(names: dict[int, str]) -> CmapSubtable:
    """One cmap of all; 20,000 scattered code points overflow a table of the usual format 4."""
    table = CmapSubtable.newSubtable(12)
    table.platformID, table.platEncID, table.language = 3, 10, 0
    table.cmap = names
    return table


def main(collection: str) -> None:
    """Write the subset of the SC face in `collection` to TARGET."""
    fonts = TTCollection(collection, lazy=True).fonts
    font = next(f for f in fonts if f["name"].getBestFamilyName() == FAMILY)
    options = subset.Options(layout_features=["kern"], hinting=False, desubroutinize=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=repertoire())
    subsetter.subset(font)
    font["cmap"].tables = [_as_format_12(font.getBestCmap())]
    font.save(TARGET)
    size_mb = TARGET.stat().st_size / 1e6
    sys.stderr.write(f"{TARGET.name}: {font['maxp'].numGlyphs} glyphs, {size_mb:.1f} MB\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
