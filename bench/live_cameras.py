"""Four cameras on this machine, two of which go away: `python bench/live_cameras.py`.

`vidcam live` records four cameras of 640x360, each to its own file: two that are well, an RTSP
server that freezes for the middle third of the run and then goes on, and one that ends with the
first third. Prints one JSON line: of each recording the rate before and during the freeze and the
longest hole then, and what the program says of each camera in its closing table.
"""

import itertools
import json
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

import av
import click

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "cli")]

from live_runs import Live  # noqa: E402
from rtsp_server import RtspServer  # noqa: E402
from stamps import stamped_clip  # noqa: E402

from vidcam.machine import cores  # noqa: E402

SIZE = 640, 360
WARM_S = 2.0
NAMES = ("well", "well too", "freezes", "ends")
# So much of the time around the freeze belongs to neither side of it.
EDGE_S = 0.5


@click.command()
@click.option("--seconds", default=60.0, help="How long it runs.")
@click.option("--rate", default=30, help="Pictures a second of each camera.")
def main(seconds: float, rate: int) -> None:
    """Print the JSON line."""
    third_s = seconds / 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = stamped_clip(folder / "clip.mp4", 10, SIZE, rate)
        graph = f"size={SIZE[0]}x{SIZE[1]}:rate={rate}"
        with RtspServer(clip) as server:
            cameras = [f"lavfi:testsrc2={graph}", f"lavfi:smptehdbars={graph}", server.url,
                       f"lavfi:testsrc={graph}:duration={third_s:g}"]  # fmt: skip
            asked = [part for camera in cameras for part in ("--camera", camera)]
            with Live(*asked, "-o", "cam{source}.mp4", "--timeout", "2s", folder=folder) as run:
                opened_s = [_opened_s(run, camera) for camera in cameras]
                start_s = max(opened_s)
                _sleep_until(start_s + third_s)
                server.freeze()
                _sleep_until(start_s + 2 * third_s)
                server.thaw()
                _sleep_until(start_s + seconds)
                run.signal(signal.SIGTERM)
                code = run.ends(30)
        report = {
            "what": "four cameras of 640x360, one freezes, one ends",
            "seconds": seconds, "rate": rate, "cores": cores(),
            "exit_code": code, "cameras": {},
        }  # fmt: skip
        for number, camera in enumerate(cameras):
            first_s = start_s - opened_s[number]
            times = _times(folder / f"cam{number}.mp4")
            before = first_s + min(WARM_S, third_s / 2), first_s + third_s
            during = first_s + third_s + EDGE_S, first_s + 2 * third_s
            report["cameras"][NAMES[number]] = {  # type: ignore[index]
                "fps_before": _fps(times, *before), "fps_during": _fps(times, *during),
                "longest_hole_s": _hole(times, before[0], during[1]),
            } | _row(run.stderr, camera)  # fmt: skip
    click.echo(json.dumps(report))


def _name(camera: str) -> str:
    """What the program calls a camera."""
    return camera.removeprefix("rtsp://")


def _opened_s(run: Live, camera: str) -> float:
    return float(run.times_s[run.says(f"{_name(camera)}: open (")])


def _sleep_until(when_s: float) -> None:
    time.sleep(max(0.0, when_s - time.monotonic()))


def _times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
    return sorted(float(p.pts * p.time_base) for p in packets)


def _fps(times: list[float], since_s: float, until_s: float) -> float:
    return round(sum(since_s <= t < until_s for t in times) / (until_s - since_s), 2)


def _hole(times: list[float], since_s: float, until_s: float) -> float:
    """The longest time without a picture."""
    within = [since_s, *(t for t in times if since_s <= t < until_s), until_s]
    return round(max(b - a for a, b in itertools.pairwise(within)), 3)


def _row(said: list[str], camera: str) -> dict[str, object]:
    """What the closing table says of a camera; a long name is folded, its end comes below."""
    pattern = r"(\S+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)/(\d+)/(\d+) ms"
    for line in said:
        found = re.match(pattern, line)
        if found and _name(camera).startswith(found[1]):
            captured, drawn, classified, dropped, _, connections, *late = map(
                int, found.groups()[1:]
            )
            return {
                "captured": captured, "drawn": drawn, "classified": classified,
                "dropped": dropped, "connections": connections,
                "latency_ms": dict(zip(("p50", "p95", "max"), late, strict=True)),
            }  # fmt: skip
    return {}


if __name__ == "__main__":
    main()
