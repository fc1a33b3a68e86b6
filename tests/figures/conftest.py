"""What the tests of the figures share: a figure as an array, fonts of boxes, vidcam's warnings."""

import io
import logging

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image

from vidcam.figures.sheet import png
from vidcam.figures.style import Style

EDGE_PX = 10


@pytest.fixture(scope="session")
def style():
    return Style()


@pytest.fixture(scope="session")
def drawn():
    """A figure as (H, W, 3) uint8, out of its PNG, after a look that nothing leaves the sheet."""

    def draw(figure):
        with Image.open(io.BytesIO(png(figure))) as image:
            assert image.mode == "RGB"
            rgb = np.asarray(image)
        inner = rgb.copy()
        inner[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX] = 255
        assert (inner == 255).all(), "something touches the edge of the figure"
        return rgb

    return draw


@pytest.fixture
def box_font(tmp_path):
    """A maker of fonts, all of one family name, that draw characters as boxes of a width."""

    def build(name, characters, width):
        names = {ord(character): f"box{number}" for number, character in enumerate(characters)}
        pen = TTGlyphPen(None)
        pen.moveTo((0, 0))
        for corner in ((0, 700), (width, 700), (width, 0)):
            pen.lineTo(corner)
        pen.closePath()
        glyphs = [".notdef", *names.values()]
        builder = FontBuilder(1000, isTTF=True)
        builder.setupGlyphOrder(glyphs)
        builder.setupCharacterMap(names)
        builder.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
        builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (width + 100, 0)))
        builder.setupHorizontalHeader(ascent=800, descent=-200)
        builder.setupNameTable({"familyName": "Boxes", "styleName": "Regular"})
        builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
        builder.setupPost()
        builder.save(tmp_path / name)
        return tmp_path / name

    return build


@pytest.fixture
def said():
    """The warnings that are logged, vidcam's and matplotlib's, as (logger, message)."""
    lines, handler = [], logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append((record.name, record.getMessage()))
    logs = [logging.getLogger("vidcam"), logging.getLogger("matplotlib")]
    before = [(log.level, log.disabled) for log in logs]
    for log in logs:
        log.addHandler(handler)
        log.setLevel(logging.WARNING)
        log.disabled = False
    yield lines
    for log, (level, disabled) in zip(logs, before, strict=True):
        log.removeHandler(handler)
        log.setLevel(level)
        log.disabled = disabled
