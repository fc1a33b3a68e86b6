"""The status bar says what it should, where it should, and costs little; so does "no signal"."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from test_yuv import picture_of, rgb_of_picture

import vidcam
from vidcam import yuv
from vidcam.options import LiveOptions
from vidcam.overlays.fonts import FontChain
from vidcam.overlays.status import REFRESH_S, NoSignal, StatusBar, latency_text
from vidcam.overlays.text import TextMasks
from vidcam.overlays.words import PHRASES, say
from vidcam.stats import SourceStats
from vidcam.types import Frame, Prediction, Rect, Result
from vidcam.values import LANGUAGES
from vidcam.view import View

SIZES = [(640, 360), (1280, 720), (3840, 2160), (360, 640), (320, 180)]
LONG_AGO_S = 1_000_000_000.0  # 9 September 2001


def grey(width=640, height=360, level=128.0):
    return picture_of(np.full((height, width, 3), level))


def result_of(picture):
    whole = Rect(0, 0, picture.width, picture.height)
    return Result(Frame(picture, "door", 0, 0.0), Prediction((), (), whole), 0.0)


def bar_of(stats, view=None, language="en"):
    view = view or View.of(LiveOptions())
    return StatusBar(TextMasks(FontChain(None)), view, stats, language)


def drawn(bar, width=640, height=360):
    """RGB (H, W, 3) of a grey picture with the bar."""
    picture = grey(width, height)
    bar.draw(yuv.planes(picture), result_of(picture))
    return rgb_of_picture(picture)


def in_one_second(*names, width=640, height=360):
    """The drawn bars of sources of these names, all with the same clock."""
    while True:
        second = int(time.time())
        pictures = [drawn(bar_of(SourceStats(name)), width, height) for name in names]
        if int(time.time()) == second:
            return pictures


def text_columns(rgb):
    """Columns with something bright or colourful in the bar."""
    foot = rgb[-16:]
    return np.flatnonzero((foot.max(axis=2) > 150).any(axis=0))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_bar_lies_along_the_foot_and_nothing_else_is_touched(width, height):
    picture = grey(width, height)
    before = [plane.copy() for plane in yuv.planes(picture)]
    bar_of(SourceStats("front door")).draw(yuv.planes(picture), result_of(picture))
    for plane, old in zip(yuv.planes(picture), before, strict=True):
        rows = np.flatnonzero((plane != old).any(axis=1))
        if plane.shape == before[0].shape:
            assert rows.max() == len(plane) - 1
            assert 0.03 * height < len(rows) < max(0.08 * height, 26)
            assert (plane[rows] != old[rows]).mean() > 0.95
        else:
            assert rows.min() > 0.85 * len(plane)


def test_the_name_is_on_the_left_and_the_figures_on_the_right():
    short, long = map(text_columns, in_one_second("a", "a" * 12))
    assert short.min() < 20 and long.min() < 20
    assert len(long[long < 320]) > 4 * len(short[short < 320])
    np.testing.assert_array_equal(short[short > 320], long[long > 320])
    assert short.max() > 620


def test_drops_are_told_only_when_there_are_some():
    without, stats = SourceStats("door"), SourceStats("door")
    stats.dropped.update({"too slow": 7, "receiver stalled": 5})

    def amber(stats):
        rgb = drawn(bar_of(stats), 1280, 720)
        return ((rgb[..., 0] > 180) & (rgb[..., 2] < 130)).sum()

    assert amber(without) == 0 and amber(stats) > 100


@pytest.mark.parametrize("who", ["view", "stats"])
def test_a_red_mark_says_that_it_records(who):
    view, stats = View.of(LiveOptions()), SourceStats("door")
    bar = bar_of(stats, view)

    def red():
        rgb = drawn(bar, 1280, 720)
        assert not (rgb[:600, ..., 0] > 200).any()
        return ((rgb[:, :60, 0] > 200) & (rgb[:, :60, 1] < 120)).sum()

    assert red() == 0
    owner = view if who == "view" else stats
    owner.recording = True
    assert red() > 60, "it does not wait for the next refresh"
    owner.recording = False
    assert red() == 0


def test_figures_are_read_a_few_times_a_second():
    stats = SourceStats("door")
    bar = bar_of(stats)
    start_s = time.monotonic()
    first = drawn(bar)
    stats.dropped["x"] = 1000
    while (drawn(bar) == first).all():
        assert time.monotonic() - start_s < 10, "the bar is never refreshed"
    assert time.monotonic() - start_s >= REFRESH_S * 0.9


def test_a_password_in_the_name_is_never_drawn():
    secret, hidden = (
        drawn(bar_of(SourceStats(name))) for name in ("rtsp://me:secret@cam/1", "rtsp://***@cam/1")
    )
    np.testing.assert_array_equal(secret[:, :250], hidden[:, :250])


def test_a_long_name_never_reaches_the_figures():
    long, short, none = in_one_second("camera " * 60, "camera", "", width=1280, height=720)
    np.testing.assert_array_equal(long[:, 1000:], short[:, 1000:])
    gap = np.flatnonzero((long != short).any(axis=(0, 2))).max()
    assert 800 < gap < 1000 and (short[:, 400:1000] == none[:, 400:1000]).all()


@pytest.mark.parametrize(("width", "height"), [(16, 16), (32, 160), (64, 32), (2, 2)])
def test_a_tiny_picture_is_left_alone_or_drawn_without_an_error(width, height):
    rgb = drawn(bar_of(SourceStats("door")), width, height)
    assert rgb.shape == (height, width, 3)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 ms"), (0.0457, "46 ms"), (9.999, "9999 ms"), (12.34, "12.3 s"),
                          (9.9996, "10.0 s")],
)  # fmt: skip
def test_latencies_are_short_to_read(seconds, text):
    assert latency_text(seconds) == text


def test_the_bar_costs_little():
    picture = grey(1280, 720)
    bar, planes, result = bar_of(SourceStats("door")), yuv.planes(picture), result_of(picture)
    bar.draw(planes, result)
    best = min(_timed(bar, planes, result) for _ in range(5))
    assert best < 0.001


def _timed(bar, planes, result):
    start = time.perf_counter()
    for _ in range(20):
        bar.draw(planes, result)
    return (time.perf_counter() - start) / 20


# ---- no signal


def bright(picture):
    return yuv.planes(picture)[0] > 110


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (160, 90)])
def test_no_signal_is_dark_with_text_in_the_middle(language, width, height):
    picture = NoSignal(LiveOptions(lang=(language,)))(width, height, "door", "timeout", time.time())
    assert (picture.format.name, picture.width, picture.height) == ("yuv420p", width, height)
    text = bright(picture)
    rows, columns = np.flatnonzero(text.any(axis=1)), np.flatnonzero(text.any(axis=0))
    assert 0.005 < text.mean() < 0.2 and np.median(yuv.planes(picture)[0]) < 40
    assert abs((rows.min() + rows.max()) / 2 - height / 2) < 0.06 * height
    assert abs((columns.min() + columns.max()) / 2 - width / 2) < 0.03 * width
    assert columns.min() > 0 and columns.max() < width - 1
    assert len(columns) > 0.2 * width


def test_no_signal_says_it_in_each_language():
    seen = [
        yuv.planes(NoSignal(LiveOptions(lang=(lang,)))(640, 360, "", "", LONG_AGO_S))[0]
        for lang in LANGUAGES
    ]
    for n, one in enumerate(seen):
        assert not any((one == other).all() for other in seen[:n])


def test_no_signal_tells_name_cause_and_time_apart():
    make = NoSignal(LiveOptions(lang="en"))
    now_s = time.time()
    base = yuv.planes(make(640, 360, "door", "timeout", now_s))[0]
    others = (
        ("gate", "timeout", now_s), ("door", "refused", now_s), ("door", "timeout", LONG_AGO_S),
        ("door", "a cause nobody knows", now_s),
    )  # fmt: skip
    for other in others:
        assert (yuv.planes(make(640, 360, *other))[0] != base).any(), other
    np.testing.assert_array_equal(yuv.planes(make(640, 360, "door", "timeout", now_s))[0], base)


def test_an_outage_of_another_day_has_its_date():
    make = NoSignal(LiveOptions(lang="en"))
    today, old = (bright(make(1280, 720, "", "", s)).any(axis=0).sum()
                  for s in (time.time(), LONG_AGO_S))  # fmt: skip
    assert old > 1.2 * today


def test_each_no_signal_picture_is_ones_own():
    make = NoSignal(LiveOptions())
    first = make(320, 180, "door", "timeout", 0.0)
    luma = yuv.planes(first)[0]
    before = luma.copy()
    luma[:] = 255
    second = make(320, 180, "door", "timeout", 0.0)
    np.testing.assert_array_equal(yuv.planes(second)[0], before)


def test_a_password_never_comes_with_no_signal():
    make = NoSignal(LiveOptions())
    secret, hidden = (make(640, 360, name, name, 0.0)
                      for name in ("rtsp://me:pw@cam", "rtsp://***@cam"))  # fmt: skip
    np.testing.assert_array_equal(yuv.planes(secret)[0], yuv.planes(hidden)[0])


# ---- the words


def test_every_phrase_has_its_values_in_every_language():
    for phrase, texts in PHRASES.items():
        assert phrase == phrase.lower() and len(texts) == len(LANGUAGES)
        holes = {len(re.findall(r"\{\}", text)) for text in texts}
        assert len(holes) == 1 and all(texts), phrase


def test_every_word_is_drawn_by_the_bundled_font(caplog):
    fonts = FontChain(None)
    for texts in PHRASES.values():
        for text in texts:
            assert "".join(part for _, part in fonts.runs(text, "")) == text
    assert not caplog.records


def test_every_phrase_that_is_said_is_known():
    files = [file.read_text("utf-8") for file in Path(vidcam.__file__).parent.rglob("*.py")]
    said = {
        phrase
        for text in files
        if "vidcam.overlays.words import" in text
        for phrase in re.findall(r'\bsay\(\s*"([^"]+)"', text)
    }
    assert len(said) > 20 and said <= set(PHRASES)


def test_a_phrase_without_a_translation_stays_as_it_is():
    assert say("socket hung up {}", "zh") == "socket hung up {}"
    assert say("Timeout", "zh") == "超时"
    assert say("no signal", "en", "12:03:04") == "no signal since 12:03:04"
