"""Every key of the window, pressed by xdotool on a real X server, and what follows from it."""

import logging

import cv2
import numpy as np
import pytest
from window_shown import COLOURS, GREEN, RED, SHOWN, middles, plain, quarters

from vidcam.sinks.keys import METHODS


@pytest.mark.parametrize("key", ["q", "Escape"])
def test_q_and_escape_quit(ready, key):
    assert not ready.view.quit
    ready.press(key)
    ready.until(lambda: ready.view.quit, key)


def test_the_close_button_quits(ready):
    ready.server.close_window("vidcam")
    ready.until(lambda: ready.view.quit, "the close button")


def test_space_freezes_the_window_until_it_is_pressed_again(ready):
    ready.press("space")
    ready.until(lambda: ready.view.paused, "space")
    ready.frame(plain(GREEN))
    ready.until(lambda: (ready.inside()[:150, 600:].max(axis=2) > 220).any(), "it says so")
    ready.until_colours([RED], (0.3, 0.5))
    ready.press("space")
    ready.until(lambda: not ready.view.paused, "space")
    ready.frame(plain(GREEN))
    ready.until_colours([GREEN], (0.3, 0.5))


def test_c_goes_through_the_methods(ready):
    seen = []
    for method in (*METHODS[1:], METHODS[0]):
        ready.press("c")
        ready.until(lambda method=method: ready.view.cam == method, method)
        seen.append(ready.view.cam)
    assert len(set(seen)) == len(METHODS) == 6 and "none" not in seen


def test_h_and_the_brackets_change_the_heat(ready):
    ready.press("h")
    ready.until(lambda: not ready.view.heat, "h")
    ready.press("h", "bracketright", "bracketright")
    ready.until(lambda: ready.view.heat and ready.view.alpha == 0.7, "]")
    ready.press(*["bracketleft"] * 3)
    ready.until(lambda: ready.view.alpha == 0.4, "[")
    ready.press(*["bracketleft"] * 6)
    ready.until(lambda: ready.view.alpha == 0.0, "[ ends at 0")
    ready.press(*["bracketright"] * 12)
    ready.until(lambda: ready.view.alpha == 1.0, "] ends at 1")


def test_digits_pin_the_class_at_that_rank_and_zero_lets_go(ready):
    ready.press("2")
    ready.until(lambda: ready.view.pinned == 282, "2")
    ready.press("KP_3")
    ready.until(lambda: ready.view.pinned == 285, "3 of the keypad")
    ready.press("9", "h")
    ready.until(lambda: not ready.view.heat, "h")
    assert ready.view.pinned == 285, "there is no ninth"
    ready.press("0")
    ready.until(lambda: ready.view.pinned is None, "0")


def test_digits_mean_the_camera_that_is_shown(opened):
    shown = opened("one", "two")
    shown.frame(plain(RED), 0, SHOWN[:1])
    shown.frame(plain(GREEN), 1, SHOWN[2:])
    shown.focused()
    shown.press("1")
    shown.until(lambda: shown.view.pinned == 281, "the first camera's")
    shown.press("Tab", "Tab", "1")
    shown.until(lambda: shown.view.pinned == 285, "the second camera's")


def test_r_starts_and_stops_a_recording(ready):
    calls = []
    ready.view.record = calls.append
    ready.press("r")
    ready.until(lambda: ready.view.recording, "r")
    ready.press("r")
    ready.until(lambda: not ready.view.recording, "r")
    assert calls == [True, False]


def test_the_question_mark_lists_the_keys_and_hides_them(ready):
    def text():
        middle = ready.inside()[100:440, 300:660]
        return ((middle.min(axis=2) > 200).mean(), (middle[..., 2] > middle[..., 0] + 90).mean())

    ready.press("question")
    ready.until(lambda: min(text()) > 0.004, "the help")
    ready.press("question")
    ready.until_colours([RED] * 3, (0.4, 0.3), (0.5, 0.5), (0.6, 0.7))
    assert max(text()) == 0
    ready.press("F1")
    ready.until(lambda: min(text()) > 0.004, "the help")


def test_keys_with_alt_or_control_are_not_ours(ready):
    ready.press("alt+c", "ctrl+h", "super+q", "h")
    ready.until(lambda: not ready.view.heat, "h")
    assert ready.view.cam == METHODS[0] and not ready.view.quit


# ---- snapshots


def test_s_saves_the_picture_in_its_own_size(opened, tmp_path, caplog):
    caplog.set_level(logging.INFO, "vidcam")
    shown = opened()
    shown.frame(quarters(320, 180))
    shown.focused()
    for count in (1, 2):
        shown.press("s")
        shown.until(lambda count=count: "snapshot" in caplog.text
                    and len(list(tmp_path.glob("*.png"))) == count, "the snapshot")  # fmt: skip
    shown.window.close()
    for path in tmp_path.iterdir():
        assert path.match("vidcam-????????-??????*.png")
        rgb = cv2.imread(str(path))[..., ::-1].astype(int)
        assert rgb.shape == (180, 320, 3)
        for (across, down), colour in zip(middles(), COLOURS, strict=True):
            assert np.abs(rgb[int(down * 180), int(across * 320)] - colour).max() <= 6


def test_a_snapshot_of_all_cameras_shows_them_all_also_while_paused(opened, tmp_path):
    shown = opened("one", "two")
    shown.frame(plain(RED), 0)
    shown.frame(plain(GREEN), 1)
    shown.focused()
    shown.until_colours([RED, GREEN], (0.2, 0.5), (0.8, 0.5))
    shown.press("space", "s")
    shown.until(lambda: list(tmp_path.glob("*.png")), "the snapshot")
    size = shown.inside().shape
    shown.window.close()
    rgb = cv2.imread(str(next(tmp_path.iterdir())))[..., ::-1].astype(int)
    assert rgb.shape == size
    height, width = size[:2]
    for across, colour in ((0.2, RED), (0.8, GREEN)):
        assert np.abs(rgb[height // 2, int(across * width)] - colour).max() <= 6
    assert (rgb.min(axis=2) < 200).all(), "what the window says of itself is not in it"


def test_a_snapshot_that_cannot_be_written_is_one_warning(opened, tmp_path, caplog):
    shown = opened()
    shown.window._folder = tmp_path / "gone"
    shown.frame(plain(RED))
    shown.focused()
    shown.press("s", "h")
    shown.until(lambda: not shown.view.heat and caplog.records, "s, h")
    shown.window.close()
    assert len(caplog.records) == 1 and caplog.records[0].levelno == logging.WARNING
    assert "no such file" in caplog.text
