"""`--on-event`: a program that is run at each change of a label, beside the run."""

import json
import logging
import os
import queue
import shlex
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress

from vidcam.errors import UsageError, system_reason
from vidcam.sinks.changes import Event
from vidcam.types import Score

log = logging.getLogger("vidcam")

AT_ONCE = 4
WAITING = 16
LONGEST_S = 60.0
CLOSE_S = 1.0
STDERR = 2


class EventCommand:
    """Runs a command for each event, four at once, without a shell; never waits for one.

    Sixteen more events wait; what comes beyond is left out and counted. A command is killed with
    its children after `longest_s` seconds. Its stdout goes to our stderr: stdout is for records.
    """

    def __init__(self, command: str, longest_s: float = LONGEST_S) -> None:
        """Raises UsageError when the command cannot be split or its program is not there."""
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            reason = str(error).lower()
            raise UsageError(f"--on-event {command}: {reason}; check its quotes") from error
        if not self._words:
            raise UsageError("--on-event is empty; give a program and its arguments")
        if shutil.which(self._words[0]) is None:
            raise UsageError(
                f"--on-event: no program {self._words[0]!r} that can be run; no shell is used, "
                "so give a program's name or path"
            )
        self._longest_s = longest_s
        self._events: queue.Queue[dict[str, str] | None] = queue.Queue(WAITING)
        self._threads: list[threading.Thread] = []
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._left_out = 0
        self._trouble = ""

    def __call__(self, event: Event) -> None:
        """Run the command for an event, now or when one before it ends."""
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._work, daemon=True, name="vidcam-on-event")
                for _ in range(AT_ONCE)
            ]
            for thread in self._threads:
                thread.start()
        try:
            self._events.put_nowait(environment(event))
        except queue.Full:
            self._left_out += 1
            if self._left_out == 1:
                log.warning("--on-event: its commands take too long; some events are left out")

    def close(self) -> None:
        """Let what runs and waits end within a second; then stop it."""
        deadline_s = time.monotonic() + CLOSE_S
        while time.monotonic() < deadline_s and self._events.unfinished_tasks:
            time.sleep(0.005)
        with self._lock:
            self._closing = True
            for process in self._running:
                _end(process, signal.SIGTERM)
        with suppress(queue.Empty):
            while True:
                self._events.get_nowait()
                self._left_out += 1
        for _ in self._threads:
            self._events.put_nowait(None)
        if self._left_out:
            log.warning("--on-event was not run for %d events", self._left_out)

    def _work(self) -> None:
        while (fields := self._events.get()) is not None:
            try:
                trouble = self._run(fields)
            except (OSError, ValueError) as error:
                trouble = system_reason(error)
            with self._lock:
                said, self._trouble = self._trouble, trouble
                is_news = trouble and trouble != said and not self._closing
            if is_news:
                log.warning("--on-event %s: %s", self._words[0], trouble)
            self._events.task_done()

    def _run(self, fields: dict[str, str]) -> str:
        """Run the command to its end; returns what was wrong with it."""
        # Of a session of its own, so that it can be killed with its children.
        process = subprocess.Popen(
            self._words, env=os.environ | fields, stdin=subprocess.DEVNULL, stdout=STDERR,
            start_new_session=True,
        )  # fmt: skip
        with self._lock:
            self._running.add(process)
            if self._closing:
                _end(process, signal.SIGTERM)
        try:
            code = process.wait(self._longest_s)
        except subprocess.TimeoutExpired:
            _end(process, signal.SIGKILL)
            process.wait()
            return f"ran for over {self._longest_s:g} s and was killed"
        finally:
            with self._lock:
                self._running.discard(process)
        if code < 0:
            return f"was ended by signal {-code}"
        return f"ended with exit code {code}" if code else ""


def environment(event: Event) -> dict[str, str]:
    """The fields of an event as environment variables; what there is not is empty."""
    record = event.as_record()
    snapshots = record.get("snapshots", {})
    fields = {
        "JSON": json.dumps(record, ensure_ascii=False),
        "SOURCE": event.source,
        "TIME": record["time"],
        "TIME_S": record["time_s"],
        "CONFIRMED_S": record["confirmed_s"],
        "FRAME": record["frame"],
        **_score_fields("BEFORE", event.before),
        **_score_fields("AFTER", event.after),
        "SNAPSHOT_BEFORE": snapshots.get("before") or "",
        "SNAPSHOT_AFTER": snapshots.get("after") or "",
    }
    return {f"VIDCAM_EVENT_{name}": str(value) for name, value in fields.items()}


def _score_fields(when: str, score: Score | None) -> dict[str, object]:
    record = score.as_record() if score else {}
    found = record.get("score")
    return {
        when: record.get("label", ""),
        f"{when}_EN": record.get("label_en", ""),
        f"{when}_INDEX": record.get("index", ""),
        f"{when}_SCORE": "" if found is None else found,
    }


def _end(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.terminate()
