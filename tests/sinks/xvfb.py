"""A real X server for the tests of the window: Xvfb with openbox, keys, screenshots."""

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import ImageGrab

PROGRAMS = ("Xvfb", "openbox", "wmctrl", "xdotool")
DEADLINE_S = 15.0


def need_x() -> None:
    """Skip where the X programs are not installed."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} "
                    "(apt install xvfb openbox wmctrl xdotool)")  # fmt: skip


class XServer:
    """Xvfb on a free display, with openbox; `name` is what DISPLAY must hold."""

    def __init__(self, width: int = 1280, height: int = 800) -> None:
        self.width, self.height = width, height
        read, write = os.pipe()
        screen = f"{width}x{height}x24"
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", screen, "-nolisten", "tcp"]
        self._server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with open(read, "rb", buffering=0) as number:
            ready = select.select([number], [], [], DEADLINE_S)[0]
            digits = number.readline().strip() if ready else b""
        if not digits:
            self._server.kill()
            self._server.wait()
            raise RuntimeError("Xvfb does not start")
        self.name = ":" + digits.decode()
        self.environment = {**os.environ, "DISPLAY": self.name}
        self.environment.pop("WAYLAND_DISPLAY", None)
        self._manager = subprocess.Popen(
            ["openbox"], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # wmctrl -m fails until a window manager has announced itself.
        wait_for(lambda: self._run("wmctrl", "-m").returncode == 0, "openbox")

    def close(self) -> None:
        """End both."""
        for process in (self._manager, self._server):
            process.terminate()
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def windows(self) -> list[str]:
        """The titles of the windows."""
        lines = self._run("wmctrl", "-l").stdout.decode().splitlines()
        return [line.split(maxsplit=3)[3] for line in lines]

    def active(self) -> str:
        """The title of the window that gets the keys."""
        return self._run("xdotool", "getwindowfocus", "getwindowname").stdout.decode().strip()

    def keys(self, *keys: str) -> None:
        """Press keys, by their X names, in the focused window."""
        assert self._run("xdotool", "key", *keys).returncode == 0

    def close_window(self, title: str) -> None:
        """What the close button does."""
        assert self._run("wmctrl", "-c", title).returncode == 0

    def resize_window(self, title: str, width: int, height: int) -> None:
        """Give a window a size."""
        assert self._run("wmctrl", "-r", title, "-e", f"0,-1,-1,{width},{height}").returncode == 0

    def screenshot(self, title: str) -> np.ndarray:
        """What is inside the frame of a window, (H, W, 3) uint8 RGB."""
        lines = self._run("wmctrl", "-lG").stdout.decode().splitlines()
        line = next(line for line in lines if title in line)
        identity, width, height = (line.split()[n] for n in (0, 4, 5))
        # The places that wmctrl and xdotool tell count the frame twice; the pointer does not.
        self._run("xdotool", "mousemove", "--window", identity, "0", "0")
        told = self._run("xdotool", "getmouselocation", "--shell").stdout.decode().split()
        x, y = (int(told[n].partition("=")[2]) for n in (0, 1))
        whole = np.asarray(ImageGrab.grab(xdisplay=self.name).convert("RGB"))
        return whole[y : y + int(height), x : x + int(width)]

    def _run(self, *command: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            command, env=self.environment, capture_output=True, timeout=DEADLINE_S, check=False
        )


def wait_for(ready: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Ask until something holds; fails after the deadline."""
    end_s = time.monotonic() + deadline_s
    while not ready():
        if time.monotonic() > end_s:
            pytest.fail(f"not within {deadline_s:.0f} s: {what}")
        time.sleep(0.01)
