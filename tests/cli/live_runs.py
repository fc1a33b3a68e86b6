"""`vidcam live` as a process of its own, followed while it runs.

    with Live("--camera", "0", env=camera.env, folder=tmp_path) as run:
        run.says("open")                   # waits for a line of stderr that holds the text
        run.signal(signal.SIGTERM)
        assert run.ends() == 0, run.said
        run.stderr, run.stdout             # the lines so far; `run.said` is stderr as one text

Every wait has a deadline; a run that is left is killed. `folder` is where it runs.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Loading the model takes 4 s here, and several times that when the cores are taken.
START_S = 60.0
SOON_S = 20.0
END_S = 15.0
# Threads of torch that wait by spinning make two runs on the same cores four times slower.
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
# What `vidcam live` says first once the model is loaded.
LOADED = " on cpu ("
COLOURS = "lavfi:testsrc2=size=320x180:rate=30"


def headless(**variables):
    """The tests' environment without a display and without options for vidcam."""
    gone = ("DISPLAY", "WAYLAND_DISPLAY")
    kept = {k: v for k, v in os.environ.items() if k not in gone and not k.startswith("VIDCAM")}
    return kept | {"CUDA_VISIBLE_DEVICES": ""} | variables


class Live:
    """See the top of this file."""

    def __init__(self, *arguments, folder, env=None) -> None:
        self.folder = Path(folder)
        self.stderr: list[str] = []
        self.stdout: list[str] = []
        self.times_s: list[float] = []  # of the lines of stderr, by time.monotonic
        self._news = threading.Condition()
        self._leave = threading.Event()
        env = QUIET_THREADS | (headless() if env is None else env)
        python_path = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
        self.started_s = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vidcam", "live", *map(str, arguments)],
            env=env | {"PYTHONPATH": python_path}, cwd=folder, text=True, encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._threads = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in ((self._process.stdout, self.stdout), (self._process.stderr, self.stderr))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Live":
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(END_S)
        for thread in self._threads:
            thread.join(END_S)
        self._process.stdout.close()
        self._process.stderr.close()

    @property
    def said(self) -> str:
        """All of stderr so far."""
        return "\n".join(self.stderr)

    @property
    def lasted_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_s

    def says(self, text: str, within_s: float = START_S, since: int = 0) -> int:
        """Wait for a line of stderr that holds `text`, from line `since` on; gives its number."""
        return self._hears(self.stderr, text, within_s, since)

    def prints(self, text: str, within_s: float = START_S) -> int:
        """The same of stdout."""
        return self._hears(self.stdout, text, within_s, 0)

    def count(self, text: str) -> int:
        """How many lines of stderr hold `text`."""
        return sum(text in line for line in self.stderr)

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def ends(self, within_s: float = END_S) -> int:
        """Wait for the end; gives the exit code, all of stderr and stdout has been read then."""
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"not over within {within_s:g} s; it said:\n{self.said}")
        for thread in self._threads:
            thread.join(END_S)
        return code

    def stop_reading(self) -> None:
        """Leave stdout, as `head -1` does: the run's next lines reach nobody."""
        self._leave.set()
        self._threads[0].join(END_S)
        self._process.stdout.close()

    def maps(self, library: str, within_s: float = START_S) -> bool:
        """Wait until the process has a library mapped; False when it never had."""
        end_s = time.monotonic() + within_s
        while self.is_running and time.monotonic() < end_s:
            if library in Path(f"/proc/{self._process.pid}/maps").read_text():
                return True
            time.sleep(0.01)
        return False

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def _read(self, stream, lines) -> None:
        for line in stream:
            with self._news:
                lines.append(line.rstrip("\n"))
                if lines is self.stderr:
                    self.times_s.append(time.monotonic())
                self._news.notify_all()
            if lines is self.stdout and self._leave.is_set():
                return

    def _hears(self, lines, text, within_s, since) -> int:
        end_s = time.monotonic() + within_s
        with self._news:
            while True:
                for number in range(since, len(lines)):
                    if text in lines[number]:
                        return number
                since = max(since, len(lines))
                left_s = end_s - time.monotonic()
                if left_s <= 0 or (not self.is_running and not self._is_read_out):
                    pytest.fail(f"did not say {text!r}; it said:\n{self.said}")
                self._news.wait(min(left_s, 0.2))

    @property
    def _is_read_out(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)
