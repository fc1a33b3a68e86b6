"""Text in figures: every character drawn, on one baseline, within its width, and no warnings."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from fontTools.ttLib import TTCollection, TTFont

from vidcam.errors import UsageError
from vidcam.figures.sheet import Sheet
from vidcam.figures.style import Style, one_line
from vidcam.labels import UNKNOWN, imagenet
from vidcam.values import LANGUAGES

NOBODYS = "\U0010fff0"
BASELINE = 60


def ink(drawn, line):
    """Rows and columns (first, last) that a line darkens, written at (40, BASELINE)."""
    sheet = Sheet(900, 100)
    sheet.text(40, BASELINE, line)
    dark = drawn(sheet.figure).min(axis=2) < 128
    rows, columns = np.nonzero(dark.any(axis=1))[0], np.nonzero(dark.any(axis=0))[0]
    return (rows[0], rows[-1]), (columns[0], columns[-1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_of_every_language_are_drawn_without_a_warning(style, drawn, said, language):
    sheet = Sheet(700, 500)
    for row, name in enumerate([*imagenet(language)[::60], UNKNOWN[language], "83.4%"]):
        line = style.fit(name)
        assert line.text == name
        sheet.text(20, 40 + 20 * row, line)
    assert (drawn(sheet.figure) < 100).any()
    assert not said


def test_a_character_without_a_font_gives_its_code_and_one_warning(drawn, said):
    style = Style()
    lines = [style.fit(f"a{NOBODYS}猫"), style.fit(f"b{NOBODYS}", size_px=20, width_px=90)]
    assert [line.text for line in lines] == ["aU+10FFF0猫", "bU+10F…"]
    assert style.fit(f"{NOBODYS}猫", "cat").text == "cat"
    for line in lines:
        ink(drawn, line)
    assert [name for name, _ in said] == ["vidcam"] and "U+10FFF0" in said[0][1]


@pytest.mark.parametrize(
    "text", ["price $5", r"$\alpha^{2}$", "a_b^c", "$ 猫 $", r"\frac{", "%d%%"]
)
def test_dollars_and_backslashes_are_text(style, drawn, text):
    line = style.fit(text)
    _, (first, last) = ink(drawn, line)
    assert line.text == text
    assert last - first + 1 == pytest.approx(line.width_px, abs=4)


def test_two_fonts_of_one_name_are_not_mixed_up(box_font, drawn):
    widths = []
    for name, width in (("narrow.ttf", 300), ("wide.ttf", 900)):
        _, (first, last) = ink(drawn, Style(str(box_font(name, "abc", width))).fit("a", size_px=40))
        widths.append(last - first + 1)
    assert widths == pytest.approx([12, 36], abs=2)


def test_latin_and_cjk_of_two_fonts_stand_on_one_baseline(box_font, drawn):
    style = Style(str(box_font("latin.ttf", "a", 500)))
    alone, _ = ink(drawn, style.fit("a", size_px=40))
    sheet = Sheet(200, 100)
    sheet.text(40, BASELINE, style.fit("a猫", size_px=40))
    box = drawn(sheet.figure)[:, 45:55].max(axis=(1, 2)) < 128
    rows = np.nonzero(box)[0]
    assert (rows[0], rows[-1]) == alone
    assert rows[-1] == pytest.approx(BASELINE - 1, abs=1)


def test_a_collection_and_a_file_without_an_ending_are_fonts_like_others(box_font, drawn, said):
    collection = TTCollection()
    collection.fonts = [
        TTFont(box_font(f"{number}.ttf", characters, 300 + 500 * number))
        for number, characters in enumerate(("ab", "c"))
    ]
    path = box_font("plain", "ab", 500).with_name("both.ttc")
    collection.save(path)
    for font in collection.fonts:
        font.close()
    for chosen, width in ((path, 12), (path.with_name("plain"), 20)):
        _, (first, last) = ink(drawn, Style(str(chosen)).fit("a", size_px=40))
        assert last - first + 1 == pytest.approx(width, abs=2)
    assert not said


def test_a_font_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "bad.ttf").write_bytes(b"no font")
    with pytest.raises(UsageError, match=r"bad\.ttf"):
        Style(str(tmp_path / "bad.ttf"))


@pytest.mark.parametrize(
    "text, line",
    [
        ("two\nlines\r\n", "two lines"),
        ("a\tb\x00c\x1b[31m", "a b c [31m"),
        ("\u2028a\u2029b\u3000c", "a b c"),
        ("\u202eabc\u200b\ufeff", "abc"),
        ("❤\ufe0f", "❤"),
        ("photo\udcff.jpg", "photo\ufffd.jpg"),
        ("\n", ""),
    ],
)
def test_a_name_is_one_line(style, text, line):
    assert one_line(text) == line
    assert "\n" not in style.fit(text).text


@pytest.mark.parametrize("text", ["虎斑猫" * 20, "Staffordshire bullterrier " * 4, "iW" * 30])
@pytest.mark.parametrize("width", [40, 132, 320])
def test_a_long_text_is_shortened_to_a_width(style, text, width):
    line = style.fit(text, width_px=width)
    assert line.text.endswith("…") and text.startswith(line.text[:-1].rstrip())
    assert line.width_px <= width
    longer = style.fit(text[: len(line.text)] + "…")
    assert longer.width_px > width


def test_a_text_that_fits_is_left_alone(style):
    line = style.fit("虎斑猫 tabby")
    assert style.fit("虎斑猫 tabby", width_px=round(line.width_px) + 1).text == "虎斑猫 tabby"
    assert style.fit("").width_px == 0


def test_the_users_settings_of_matplotlib_neither_show_nor_change(drawn):
    before = dict(matplotlib.rcParams)
    odd = {"text.usetex": True, "figure.facecolor": "red", "font.size": 40, "lines.marker": "o"}

    def write():
        sheet = Sheet(200, 100)
        sheet.text(40, BASELINE, Style().fit("猫 a$b"))
        return drawn(sheet.figure)

    usual = write()
    with matplotlib.rc_context(odd):
        assert (write() == usual).all()
        assert matplotlib.rcParams["font.size"] == 40
    assert dict(matplotlib.rcParams) == before


def test_figures_need_no_pyplot_and_the_package_no_matplotlib(root):
    code = """
import sys
import vidcam.figures
assert "matplotlib" not in sys.modules
import vidcam.figures.chart, vidcam.figures.grid, vidcam.figures.curves
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=120)
