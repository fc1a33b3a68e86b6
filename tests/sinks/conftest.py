"""A real display, and windows on it that are closed whatever happens."""

import pytest
from window_shown import RED, Shown, plain
from xvfb import XServer, need_x


@pytest.fixture(scope="module")
def x_server():
    need_x()
    server = XServer()
    yield server
    server.close()


@pytest.fixture
def display(x_server, monkeypatch):
    monkeypatch.setenv("DISPLAY", x_server.name)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return x_server


@pytest.fixture
def opened(display, tmp_path):
    """Opens windows, and closes them in the end."""
    windows = []

    def start(*names, lang="en"):
        shown = Shown(display, tmp_path, names or ("door",), lang)
        windows.append(shown.window)
        return shown

    yield start
    for window in windows:
        window.close()


@pytest.fixture
def ready(opened):
    """A window that shows a red picture and gets the keys."""
    shown = opened("door")
    shown.frame(plain(RED))
    shown.focused()
    return shown
