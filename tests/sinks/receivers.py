"""What a stream is pushed to, and the live source that feeds it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import blank

from vidcam.sinks import Sink
from vidcam.types import AudioPacket, Frame, StreamInfo

WIDTH, HEIGHT, RATE = 320, 180, 30
TICKS = 90_000
# Pictures of a ramp: each is so much brighter than the one before, and after so many it begins anew
STEP, STEPS = 3, 60

# Takes one stream by PyAV and writes it to a file as it comes.
PYAV_RECEIVER = """
import sys, av
url, path = sys.argv[1:]
with av.open(url, timeout=(15, 1.0), options={"analyzeduration": "500000"}) as source:
    with av.open(path, "w", format="mpegts", options={"flush_packets": "1"}) as target:
        tracks = {one.index: target.add_stream_from_template(one, opaque=True)
                  for one in source.streams}
        try:
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = tracks[packet.stream.index]
                    target.mux(packet)
        except av.FFmpegError:
            pass  # the end of UDP is silence
"""

needs_ffmpeg = pytest.mark.skipif(
    not shutil.which("ffmpeg"), reason="its receiver is Debian's ffmpeg, which is not installed"
)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(what: Callable[[], Any], within_s: float = 10.0) -> Any:
    """Wait until `what` gives something true, and give that."""
    until_s = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < until_s, f"not within {within_s:g} s"
        time.sleep(0.02)
    return found


def is_gone(pid: int) -> bool:
    """Whether a process has ended (one that nobody has waited for counts)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Receiver:
    """A process that writes what it gets to `path`; `size` is how much so far."""

    def __init__(self, command: list[str], path: Path) -> None:
        self.path = path
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self.pid = self._process.pid

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)

    @property
    def size(self) -> int:
        """Bytes written."""
        return self.path.stat().st_size if self.path.exists() else 0

    def stop(self) -> None:
        """Stall: take nothing more."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Take again."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Die."""
        self._process.kill()
        self._process.wait(10)

    def end(self) -> None:
        """Wait until it has seen the end of the stream."""
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait(10)


def ffmpeg(url: str, path: Path, *before: str) -> Receiver:
    """Debian's ffmpeg as a listening receiver."""
    reading = ["-analyzeduration", "500000", *before, "-i", url]
    writing = ["-c", "copy", "-flush_packets", "1", "-f", "mpegts", "-y", str(path)]
    command = ["ffmpeg", "-nostdin", "-v", "error", *reading, *writing]
    return Receiver(command, path)


def pyav(url: str, path: Path) -> Receiver:
    """PyAV as a receiver."""
    return Receiver([sys.executable, "-c", PYAV_RECEIVER, url, str(path)], path)


def is_listening(port: int) -> bool:
    """Whether somebody listens on a TCP port, without connecting to it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def ramp(index: int) -> av.VideoFrame:
    """A grey picture whose level is that of its place."""
    picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, level in zip(picture.planes, (40 + STEP * (index % STEPS), 128, 128), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    return picture


def noise(index: int) -> av.VideoFrame:
    """A picture that no encoder makes small."""
    grains = np.random.default_rng(index).integers(16, 235, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    return av.VideoFrame.from_ndarray(grains, format="yuv420p")


@dataclass
class LiveFeed:
    """Pictures and sound at their own rate. `slowest_s` is the longest that a sink has taken."""

    sinks: list[Sink]
    draw: Callable[[int], av.VideoFrame] = ramp
    sound: Any = None
    packets: list[tuple[int, bytes]] = field(default_factory=list)
    index: int = 0
    slowest_s: float = 0.0

    @property
    def info(self) -> StreamInfo:
        """What the source says of itself."""
        rate, base = Fraction(RATE), Fraction(1, TICKS)
        return StreamInfo("cam", "cam", WIDTH, HEIGHT, rate, base, live=True, audio=self.sound)

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Feed for a time, or until something is true: then True."""
        start_s, first = time.monotonic(), self.index
        while (passed_s := time.monotonic() - start_s) < seconds:
            if until is not None and until():
                return True
            due_s = (self.index - first) / RATE
            if due_s > passed_s:
                time.sleep(due_s - passed_s)
            self.step()
        return False

    def step(self) -> None:
        """Feed one picture and the sound up to it."""
        picture = self.draw(self.index)
        picture.pts, picture.time_base = self.index * TICKS // RATE, Fraction(1, TICKS)
        frame = Frame(picture, "cam", self.index, time.monotonic())
        while self.packets and self.packets[0][0] * RATE <= self.index * self.sound_rate:
            packet = self._sound_packet()
            self._timed(lambda sink, packet=packet: sink.audio(packet))
        self._timed(lambda sink: sink.frame(picture, blank(frame)))
        assert picture.pict_type == 0 and picture.pts == self.index * TICKS // RATE
        self.index += 1

    @property
    def sound_rate(self) -> int:
        """Samples a second."""
        return self.sound.codec_context.sample_rate

    def _sound_packet(self) -> AudioPacket:
        pts, data = self.packets.pop(0)
        packet = av.Packet(data)
        packet.pts = packet.dts = pts
        packet.time_base = Fraction(1, self.sound_rate)
        packet.is_keyframe = True
        return AudioPacket(packet, "cam")

    def _timed(self, step: Callable[[Sink], None]) -> None:
        for sink in self.sinks:
            start_s = time.perf_counter()
            step(sink)
            self.slowest_s = max(self.slowest_s, time.perf_counter() - start_s)


def levels(pictures: list[av.VideoFrame]) -> list[int]:
    """The places in the ramp of decoded pictures."""
    found = []
    for picture in pictures:
        assert (picture.width, picture.height) == (WIDTH, HEIGHT)
        rows = np.frombuffer(picture.planes[0], np.uint8).reshape(HEIGHT, -1)[:, :WIDTH]
        found.append(round((float(rows.mean()) - 40) / STEP))
    return found
