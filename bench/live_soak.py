"""`vidcam live` through outage after outage: `python bench/live_soak.py [--seconds 3600]`.

An RTSP server with sound is killed, frozen, hung up and changed in size again and again, while the
program records it in segments of which only the newest are kept, writes HLS and JSON lines. Prints
one JSON line: memory, file descriptors, threads and child processes over time, and what came out.
They must be flat: `first` and `last` are medians of the first and the last quarter after `--warm`.
"""

import contextlib
import itertools
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "cli")]

from live_runs import Live  # noqa: E402
from rtsp_server import RtspServer  # noqa: E402
from stamps import stamped_clip  # noqa: E402

SIZES = (640, 360), (480, 270)
TIMEOUT_S = 2.0
# A connection so long is a good one for the program: its pauses begin anew.
GOOD_S = 5.5
WHAT = "memory_mb", "descriptors", "threads", "children"
POINTS = 24


def sample(pid: int) -> dict[str, float]:
    """What a process holds now."""
    folder = Path(f"/proc/{pid}")
    lines = (line.split(":") for line in (folder / "status").read_text().splitlines())
    status = {name: value.split()[0] for name, value in lines if value.split()}
    threads = list((folder / "task").iterdir())
    children: list[str] = []
    for thread in threads:
        with contextlib.suppress(OSError):  # it has ended since
            children += (thread / "children").read_text().split()
    return {
        "memory_mb": round(int(status["VmRSS"]) / 1024, 1),
        "descriptors": len(list((folder / "fd").iterdir())),
        "threads": len(threads),
        "children": len(children),
    }


class Outages:
    """One outage after the other, each when the camera has been well for a while."""

    def __init__(self, server: RtspServer, clips: list[Path], run: Live) -> None:
        self.server, self.run, self.done = server, run, 0
        self._other = clips[1]  # a server that is started again has the first
        self.slowest_s = 0.0

    def go_on(self, until_s: float) -> None:
        """Until the time is over."""
        freeze = self.server.freeze, self.server.thaw
        ways: list[tuple[Callable[[], None], Callable[[], None]]] = [
            (self.server.kill, self.server.restart),
            freeze,
            (self.server.drop, lambda: None),
            (lambda: self.server.switch(self._other), lambda: None),
        ]
        for down, up in itertools.cycle(ways):
            time.sleep(GOOD_S)
            if time.monotonic() > until_s:
                return
            line, began_s = len(self.run.stderr), time.monotonic()
            down()
            self.run.says("trying again", 30, line)
            up()
            self.run.says(": back (", 60, line)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
            self.done += 1


def measure(run: Live, samples: list[dict[str, float]], over: threading.Event) -> None:
    """Take a sample a second."""
    pid, start_s = run._process.pid, time.monotonic()
    while not over.wait(1.0) and run.is_running:
        samples.append({"at_s": round(time.monotonic() - start_s)} | sample(pid))


@click.command()
@click.option("--seconds", default=3600.0, help="How long it runs.")
@click.option("--warm", "warm_s", default=45.0, help="Seconds at the start that are left out.")
def main(seconds: float, warm_s: float) -> None:
    """Print the JSON line."""
    samples: list[dict[str, float]] = []
    over = threading.Event()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [stamped_clip(folder / f"{size[0]}.clip.mp4", 10, size) for size in SIZES]
        with (
            RtspServer(clips[0]) as server,
            Live("--camera", server.url, "-o", "soak-%Y%m%d-%H%M%S.mp4", "--segment", "4s",
                 "--keep", "10MB", "-o", "web.m3u8", "--jsonl", "seen.jsonl",
                 "--timeout", f"{TIMEOUT_S:g}s", folder=folder) as run,
        ):  # fmt: skip
            run.says(": open (")
            measuring = threading.Thread(target=measure, args=(run, samples, over))
            measuring.start()
            outages = Outages(server, clips, run)
            try:
                outages.go_on(time.monotonic() + seconds)
            finally:
                over.set()
                measuring.join()
            asked_s = time.monotonic()
            run.signal(signal.SIGTERM)
            code = run.ends(30)
            ended_s = time.monotonic() - asked_s
        kept = sorted(folder.glob("soak-*.mp4"))
        steady = [one for one in samples if one["at_s"] >= warm_s] or samples
        quarter = max(1, len(steady) // 4)
        report = {
            "what": "live through outages", "seconds": seconds, "outages": outages.done,
            "slowest_return_s": round(outages.slowest_s, 1), "exit_code": code,
            "stopped_in_s": round(ended_s, 2), "files_kept": len(kept),
            "mb_kept": round(sum(path.stat().st_size for path in kept) / 1e6, 1),
            "classified": sum(1 for _ in (folder / "seen.jsonl").open()),
        }  # fmt: skip
    for what in WHAT:
        values = [one[what] for one in steady]
        report[what] = {
            "first": statistics.median(values[:quarter]),
            "last": statistics.median(values[-quarter:]),
            "most": max(values),
        }
    step = max(1, len(samples) // POINTS)
    report["over_time"] = [[one["at_s"], *(one[what] for what in WHAT)] for one in samples[::step]]
    report["closing"] = [line for line in run.stderr if "drop" in line or "stream " in line][-8:]
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
