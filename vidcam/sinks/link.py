"""Keeps one stream pushed: starts the process that does it, watches it, and starts it again."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import vidcam
from vidcam.errors import redact
from vidcam.pauses import GOOD_AFTER_S, pause_s
from vidcam.sinks.push import OPENED, PASSED, Job
from vidcam.sinks.queue import PacketQueue
from vidcam.sinks.target import Target

log = logging.getLogger("vidcam")

STEP_S = 0.1
# The end of a stream that flows takes some hundredths of a second; one that stalls has none.
END_S, STALLED_END_S, STALLED_AFTER_S = 0.8, 0.1, 0.5
REAP_S = 0.2
PACKAGE_FOLDER = str(Path(vidcam.__file__).parents[1])


class Child:
    """One run of `vidcam.sinks.push`; `queue` holds what it is to push."""

    def __init__(self, job: Job, changed: threading.Event) -> None:
        """Start the process. Raises OSError."""
        self.job = job
        self.queue = PacketQueue()
        self.sent = self.passed = 0
        self.is_open = False
        self.cause = ""
        self.over = threading.Event()
        self._changed = changed
        path = os.pathsep.join(filter(None, [PACKAGE_FOLDER, os.environ.get("PYTHONPATH")]))
        # A session of its own: Ctrl-C in the terminal is ours alone, the stream ends in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vidcam.sinks.push"], env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._threads = [
            threading.Thread(target=self._write, args=(self._process.stdin,), daemon=True),
            threading.Thread(
                target=self._read, args=(self._process.stdout, self._process.stderr), daemon=True
            ),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def is_idle(self) -> bool:
        """Whether all it was given has gone through."""
        return self.is_open and not len(self.queue) and self.passed == self.sent

    def end(self, within_s: float) -> None:
        """Let it push what waits and end in order; kill it after `within_s`."""
        self.queue.end(keep=True)
        self.over.wait(within_s)
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        self.queue.end(keep=False)
        self._process.kill()
        for thread in self._threads:
            thread.join(REAP_S)

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            with pipe:
                pipe.write(self.job.line())
                pipe.flush()
                while (parcel := self.queue.get()) is not None:
                    self.sent += 1
                    pipe.write(parcel.pack())
                    pipe.flush()
        except OSError:  # it has ended; `_read` learns why
            pass

    def _read(self, reports: IO[bytes], errors: IO[bytes]) -> None:
        with reports, errors:
            while some := os.read(reports.fileno(), 4096):
                self.passed += some.count(PASSED)
                if OPENED in some:
                    self.is_open = True
                    self._changed.set()
            lines = errors.read().decode("utf-8", "replace").strip().splitlines()
        code = self._process.wait()
        self.cause = redact(lines[-1]) if lines else f"its process ended ({code})"
        self.over.set()
        self._changed.set()


class Link:
    """A stream's connection, kept up by a thread of its own.

    Nothing goes through for `timeout_s` while packets wait: the process is killed. However it
    ends, it is started again after a pause that grows; the reason is logged when it changes.
    """

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._job: Job | None = None
        self._child: Child | None = None
        self._is_closing = False
        self._changed = threading.Event()
        self._said = ""
        # The child dies with the thread that started it, so this one outlives every child.
        self._thread = threading.Thread(target=self._run, daemon=True, name="vidcam-link")

    @property
    def queue(self) -> PacketQueue | None:
        """Where packets as `start` described them last go, None while there is no receiver."""
        child = self._child
        if child is None or child.job is not self._job or not child.is_open:
            return None
        return None if child.over.is_set() else child.queue

    @property
    def pid(self) -> int | None:
        """The number of the process that pushes, None while there is none."""
        child = self._child
        return None if child is None else child.pid

    def start(self, header: bytes, extradata: bytes | None) -> None:
        """Push packets that `header` describes, as `Job` says; ends what was pushed before."""
        target = self._target
        self._job = Job(
            target.url, target.muxer, target.options, header, extradata,
            None if target.playlist is None else str(target.playlist), os.getpid(),
        )  # fmt: skip
        self._changed.set()
        if self._thread.ident is None:
            self._thread.start()

    def say(self, state: str, is_good: bool = False) -> None:
        """Log a state, once until another comes."""
        if state != self._said:
            self._said = state
            log.log(logging.INFO if is_good else logging.WARNING, "%s: %s",
                    self._target.shown, state)  # fmt: skip

    def close(self) -> None:
        """End the stream, in order where it flows; takes about a second at most."""
        self._is_closing = True
        self._changed.set()
        if self._thread.ident is not None:
            self._thread.join(END_S + 3 * REAP_S)

    def _run(self) -> None:
        tries = 0
        while not self._is_closing:
            job = self._job
            assert job is not None
            start_s = time.monotonic()
            cause = self._push(job)
            if cause is None:
                tries = 0
                continue
            self.say(f"{cause}; trying again")
            tries = 1 if time.monotonic() - start_s > GOOD_AFTER_S else tries + 1
            self._wait(job, time.monotonic() + pause_s(tries))

    def _push(self, job: Job) -> str | None:
        """One run of the process; gives why it failed, None when it was ended on purpose."""
        try:
            self._child = child = Child(job, self._changed)
        except OSError as error:
            return f"no process for it ({error.strerror})"
        try:
            return self._watch(child, job)
        finally:
            child.kill()
            self._child = None

    def _watch(self, child: Child, job: Job) -> str | None:
        last, was_open = 0, False
        moved_s = time.monotonic()
        while not child.over.is_set():
            self._changed.wait(STEP_S)
            self._changed.clear()
            if self._is_over(job):
                if child.is_open:
                    flows = time.monotonic() - moved_s < STALLED_AFTER_S
                    child.end(END_S if flows else STALLED_END_S)
                return None
            if child.is_open and not was_open:
                was_open, moved_s = True, time.monotonic()
                self.say("streaming", is_good=True)
            waits_for_receiver = self._target.listens and not child.is_open
            if child.passed != last or child.is_idle or waits_for_receiver:
                last, moved_s = child.passed, time.monotonic()
            elif time.monotonic() - moved_s > self._timeout_s:
                return f"timeout: nothing went through for {self._timeout_s:g} s"
        return child.cause

    def _wait(self, job: Job, until_s: float) -> None:
        while not self._is_over(job) and (left_s := until_s - time.monotonic()) > 0:
            self._changed.wait(left_s)
            self._changed.clear()

    def _is_over(self, job: Job) -> bool:
        return self._is_closing or self._job is not job
