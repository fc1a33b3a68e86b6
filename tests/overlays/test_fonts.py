"""Which font draws a character: the user's, the bundled one, the system's; never a silent box."""

import gc
import logging
import os
import shutil
import subprocess
import sys
import warnings

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont

from vidcam.errors import UsageError
from vidcam.labels import UNKNOWN, imagenet
from vidcam.overlays.fonts import Font, FontChain, bundled_font
from vidcam.values import LANGUAGES

# The last private-use characters of Unicode: no font of any machine draws them.
NOBODYS, ANOTHER = "\U0010fff0", "\U0010fff1"


def build_font(path, characters):
    """A font that draws each of `characters` as a box."""
    names = {ord(character): f"box{number}" for number, character in enumerate(characters)}
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (600, 700), (600, 0)):
        pen.lineTo(corner)
    pen.closePath()
    glyphs = [".notdef", *names.values()]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap(names)
    builder.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (700, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture
def said():
    """The warnings that vidcam logs, whoever has set its logger up before."""
    lines, log = [], logging.getLogger("vidcam")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append((record.levelname, record.getMessage()))
    level, disabled = log.level, log.disabled
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.disabled = False
    yield lines
    log.removeHandler(handler)
    log.setLevel(level)
    log.disabled = disabled


def texts(runs):
    return [text for _, text in runs]


def test_the_bundled_font_is_there_with_its_licence():
    assert bundled_font().is_file()
    licence = (bundled_font().parent / "OFL.txt").read_text("utf-8")
    assert "SIL OPEN FONT LICENSE" in licence.upper()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_bundled_font_alone_draws_every_label(language):
    characters = Font(bundled_font()).characters
    for name in [*imagenet(language), UNKNOWN[language]]:
        missing = [character for character in name if ord(character) not in characters]
        assert not missing, f"{language}: {name}: {missing}"


def test_the_bundled_font_draws_digits_percent_slash_and_ellipsis():
    assert {ord(c) for c in "0123456789%/… ()U+ABCDEF"} <= Font(bundled_font()).characters


def test_every_character_that_the_bundled_font_claims_leaves_ink():
    bundled = Font(bundled_font())
    font = bundled.at(16)
    empty = [c for c in bundled.characters if font.getmask(chr(c)).getbbox() is None]
    assert sorted(empty) == [0x20, 0xA0, 0x3000]  # spaces
    assert {ord(c) for c in "猫貓雞ねこ고양이ñ€é虎旅鸫"} <= bundled.characters


def test_a_text_is_one_run_of_the_bundled_font(said):
    runs = FontChain(None).runs("虎斑猫 / tabby 83%", "tabby")
    assert texts(runs) == ["虎斑猫 / tabby 83%"]
    assert runs[0][0].path == bundled_font()
    assert not said


def test_a_chosen_font_without_cjk_falls_to_the_bundled_one(tmp_path, said):
    chosen = build_font(tmp_path / "latin.ttf", "abct")
    runs = FontChain(str(chosen)).runs("cat猫a", "cat")
    assert [(font.path, text) for font, text in runs] == [
        (chosen, "cat"), (bundled_font(), "猫"), (chosen, "a"),
    ]  # fmt: skip
    assert not said


def test_a_missing_glyph_gives_the_english_name_with_one_warning(said):
    chain = FontChain(None)
    assert texts(chain.runs(f"{NOBODYS}猫", "cat")) == ["cat"]
    assert texts(chain.runs(f"{ANOTHER}狗", "dog")) == ["dog"]
    assert texts(chain.runs("猫", "cat")) == ["猫"]
    assert len(said) == 1 and said[0][0] == "WARNING"
    assert "U+10FFF0" in said[0][1] and "--font" in said[0][1]


@pytest.mark.parametrize("english", [f"a{NOBODYS}b", f"cat{ANOTHER}", ""])
def test_without_an_english_name_that_can_be_drawn_the_code_is(said, english):
    runs = FontChain(None).runs(f"a{NOBODYS}b", english)
    assert "".join(texts(runs)) == "aU+10FFF0b"
    assert len(said) == 1 and "U+10FFF0" in said[0][1]


def test_only_the_missing_character_is_replaced_by_its_code(tmp_path):
    chosen = build_font(tmp_path / "latin.ttf", "ab")
    text = f"a猫{NOBODYS}b{ANOTHER}"
    runs = FontChain(str(chosen)).runs(text, text)
    assert "".join(texts(runs)) == "a猫U+10FFF0bU+10FFF1"


def test_the_systems_fonts_are_tried_before_the_english_name(tmp_path, root):
    # matplotlib looks for fonts where the environment says at its import: a process of its own.
    folder = tmp_path / "data" / "fonts"
    folder.mkdir(parents=True)
    (folder / "broken.ttf").write_bytes(b"no font at all")
    path = build_font(folder / "boxes.ttf", NOBODYS)
    code = f"""
from vidcam.overlays.fonts import FontChain
chain = FontChain(None)
for font, text in chain.runs("cat{NOBODYS}", "cat"):
    print(font.path, ascii(text))
"""
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path / "data")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"{bundled_font()} 'cat'", f"{path} '\\U0010fff0'"]
    assert "warning" not in done.stderr.lower() and "no font draws" not in done.stderr


def test_cjk_fonts_come_first_among_the_systems():
    from vidcam.overlays.fonts import system_fonts

    names = [path.name.lower() for path in system_fonts()]
    cjk = [n for n, name in enumerate(names) if "cjk" in name or "wqy" in name]
    assert cjk == list(range(len(cjk)))


@pytest.mark.parametrize("text", ["แมว", "🐈", "קאַץ", "mèo ế", "ﷺ", "a\u200db"])
def test_any_script_gives_something_that_is_drawn(text):
    chain = FontChain(None)
    for english in ("cat", text):
        runs = chain.runs(text, english)
        assert "".join(texts(runs))
        for font, part in runs:
            assert all(ord(character) in font.characters for character in part)


@pytest.mark.parametrize(
    "data", [b"", b"not a font", b"wOF2" + bytes(100), b"OTTO" + bytes(60)],
    ids=["empty", "text", "woff2", "zeros"],
)  # fmt: skip
def test_a_file_that_is_no_font_is_refused_by_name(tmp_path, data):
    path = tmp_path / "odd.ttf"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"odd\.ttf"):
        FontChain(str(path))


@pytest.mark.parametrize("keep", [20, 3_000, 100_000])
def test_a_font_that_was_cut_off_is_refused(tmp_path, keep):
    path = tmp_path / "cut.otf"
    path.write_bytes(bundled_font().read_bytes()[:keep])
    with pytest.raises(UsageError, match=r"cut\.otf"):
        FontChain(str(path))


def test_a_missing_font_and_a_folder_are_refused_by_name(tmp_path):
    for path in (tmp_path / "none.ttf", tmp_path):
        with pytest.raises(UsageError, match=path.name):
            FontChain(str(path))


def test_a_collection_is_read_as_its_first_font(tmp_path):
    collection = TTCollection()
    collection.fonts = [
        TTFont(build_font(tmp_path / f"{number}.ttf", characters))
        for number, characters in enumerate(("xy", "z"))
    ]
    collection.save(tmp_path / "both.ttc")
    runs = FontChain(str(tmp_path / "both.ttc")).runs("xz", "xz")
    assert texts(runs) == ["x", "z"] and runs[1][0].path == bundled_font()
    for font in collection.fonts:
        font.close()


@pytest.mark.parametrize("suffix", [".otf", ".ttc"])
def test_a_font_file_is_closed_after_reading(tmp_path, suffix):
    path = tmp_path / f"font{suffix}"
    if suffix == ".otf":
        shutil.copy(bundled_font(), path)
    else:
        collection = TTCollection()
        with TTFont(build_font(tmp_path / "one.ttf", "xy")) as font:
            collection.fonts = [font]
            collection.save(path)
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always", ResourceWarning)
        Font(path)
        gc.collect()
    assert not [c.message for c in complaints if str(path) in str(c.message)]
