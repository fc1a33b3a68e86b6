"""Keys by their printed sign or their place, and what they do to the view."""

import pytest

from vidcam.errors import OutputError
from vidcam.options import LiveOptions
from vidcam.sinks.keys import HELP, METHODS, Keys, help_rows, key_name, of_rank
from vidcam.types import UNKNOWN_INDEX, Prediction, Rect, Score
from vidcam.values import LANGUAGES
from vidcam.view import View

SHIFT, ALT, ALT_GR, CTRL, NUM_LOCK, CAPS = 0x1, 0x100, 0x4000, 0x40, 0x1000, 0x2000
TABBY, LYNX = Score(281, "虎斑猫", "tabby", 0.4), Score(287, "猞猁", "lynx", 0.2)
UNKNOWN = Score(UNKNOWN_INDEX, "未知", "unknown", None)


def prediction(shown, topk=(TABBY, LYNX)):
    return Prediction(topk, shown, Rect(0, 0, 2, 2))


@pytest.mark.parametrize(
    ("symbol", "place", "modifiers", "name"),
    [
        (ord("q"), 20, 0, "q"),
        (ord("q"), 20, NUM_LOCK | CAPS, "q"),
        (ord("a"), 20, 0, "a"),  # AZERTY: what is printed counts
        (0x439, 20, 0, "q"),  # Cyrillic: the place counts
        (27, 41, 0, "esc"),
        (32, 44, 0, "space"),
        (9, 43, 0, "tab"),
        (9, 43, ALT, ""),  # Alt+Tab is the desktop's
        (ord("c"), 6, CTRL, ""),
        (ord("1"), 30, 0, "1"),
        (ord("&"), 30, 0, "1"),  # AZERTY
        (ord("0"), 39, 0, "0"),
        (0x40000059, 89, NUM_LOCK, "1"),
        (0x40000062, 98, NUM_LOCK, "0"),
        (ord("["), 47, 0, "["),
        (0xFC, 47, 0, "["),  # German ü
        (ord("8"), 37, ALT_GR, "["),
        (ord("9"), 38, ALT_GR, "]"),
        (ord("/"), 56, SHIFT, "?"),
        (0xDF, 45, SHIFT, "?"),  # German ß
        (0xDF, 45, 0, ""),
        (ord(","), 16, SHIFT, "?"),  # AZERTY
        (0x4000003A, 58, 0, "?"),  # F1
        (0x400000E1, 225, SHIFT, ""),
        (0x4000003B, 59, 0, ""),
    ],
)
def test_a_key_has_its_name(symbol, place, modifiers, name):
    assert key_name(symbol, place, modifiers) == name


def test_a_rank_is_the_row_of_the_picture():
    assert of_rank(1, prediction((LYNX, TABBY))) == LYNX
    assert of_rank(2, prediction((TABBY,))) == LYNX
    assert of_rank(1, prediction((UNKNOWN,))) == TABBY
    assert of_rank(3, prediction((TABBY, LYNX))) is None
    assert of_rank(1, None) is None and of_rank(1, prediction((), ())) is None


def test_pinning_says_the_label_and_a_missing_rank_pins_nothing():
    view = View.of(LiveOptions())
    keys = Keys(view, "zh")
    assert keys.press("2", prediction((TABBY, LYNX))) == "解释：猞猁" and view.pinned == 287
    assert "3" in keys.press("3", prediction((TABBY, LYNX))) and view.pinned == 287
    assert keys.press("0", None) and view.pinned is None


@pytest.mark.parametrize("key", ["c", "h"])
def test_heat_asked_for_in_a_run_without_cam_begins_with_the_first_method(key):
    view = View.of(LiveOptions(cam="none"))
    Keys(view, "en").press(key, None)
    assert view.heat and view.cam == METHODS[0] == "gradcam"


def test_h_keeps_the_method():
    view = View.of(LiveOptions(cam="layercam"))
    keys = Keys(view, "en")
    assert keys.press("h", None) == "heat off" and keys.press("h", None) == "heat on"
    assert view.cam == "layercam"


def test_a_recording_that_cannot_start_is_one_warning(caplog):
    view = View.of(LiveOptions())

    def refuse(_on):
        raise OutputError("no space left on device")

    view.record = refuse
    assert Keys(view, "en").press("r", None) == "cannot record"
    assert not view.recording
    assert [record.getMessage() for record in caplog.records] == ["no space left on device"]


def test_who_records_may_take_it_back():
    view = View.of(LiveOptions())
    view.record = lambda _on: setattr(view, "recording", False)
    assert Keys(view, "en").press("r", None) == "cannot record" and not view.recording


def test_a_key_without_a_meaning_does_nothing():
    view = View.of(LiveOptions())
    before = repr(view)
    assert Keys(view, "en").press("x", None) == "" and repr(view) == before


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_help_lists_every_key(language):
    rows = help_rows(language)
    assert len(rows) == len(HELP) == 11
    assert all(key and text and not text.startswith("key ") for key, text in rows)
