"""Pictures that carry their number and when they were sent, and the way back.

    paint(luma, number, millis)           # into the lowest rows of the luma, (H, W)
    number, millis = read(picture)        # from a decoded picture, under heat and after coding
    stamped_clip(path, seconds=10)        # an mp4 with sound whose pictures are numbered from 0
    with Pusher() as pusher: pusher.url   # a live source, tcp://, that stamps when it sends

Each bit is a cell whose brighter half says what it is, so that colours laid over it do no harm.
Times are milliseconds of `time.monotonic`, which all processes of a machine share, modulo 2**20.
Alone: `python tests/stamps.py PORT [--size 640x360] [--rate 30]`.
"""

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from clips import make_clip, picture_of, scene
from rtsp_server import free_port

BITS, ROW_PX = 20, 12
DARK, BRIGHT = 40, 210
MODULO = 1 << BITS
CLOCK = Fraction(1, 90_000)
START_S = 20.0


def paint(luma, number, millis=0):
    """Write both numbers into the lowest rows of `luma`, at least 16 times BITS wide."""
    height, width = luma.shape
    cell = width // BITS // 4 * 4
    for row, value in enumerate((number, millis)):
        rows = luma[height - (2 - row) * ROW_PX : height - (1 - row) * ROW_PX]
        for bit in range(BITS):
            first = rows[:, bit * cell : bit * cell + cell // 2]
            second = rows[:, bit * cell + cell // 2 : (bit + 1) * cell]
            first[:], second[:] = (BRIGHT, DARK) if value % MODULO >> bit & 1 else (DARK, BRIGHT)


def read(picture):
    """`(number, millis)` of a decoded picture."""
    plane = np.frombuffer(picture.planes[0], np.uint8).reshape(picture.height, -1)
    cell, values = picture.width // BITS // 4 * 4, []
    for row in range(2):
        top = picture.height - (2 - row) * ROW_PX
        rows = plane[top + 2 : top + ROW_PX - 2, : BITS * cell].reshape(-1, BITS, 2, cell // 2)
        halves = rows[..., 1:-1].mean((0, 3))
        values.append(sum(1 << bit for bit in range(BITS) if halves[bit, 0] > halves[bit, 1]))
    return values[0], values[1]


def now_millis():
    """The time that a picture sent now carries."""
    return int(time.monotonic() * 1000) % MODULO


def age_s(millis):
    """How long ago that was."""
    return (now_millis() - millis) % MODULO / 1000


def numbered_scene(index, width, height, full=False):
    """A moving pattern with its number; a `picture` of `clips.make_clip`."""
    planes = scene(index, width, height, full)
    paint(planes[0], index)
    return planes


def stamped_clip(path, seconds=10, size=(320, 180), rate=30, sound=("aac",)):
    """A clip whose pictures are numbered, with sound as long as they are."""
    return make_clip(path, frames=seconds * rate, size=size, rate=rate, picture=numbered_scene,
                     sound=sound, sound_s=seconds, options={"g": str(rate), "bf": "0"})  # fmt: skip


def stamps_of(path):
    """`[(number, seconds)]` of every picture of a file that can be decoded."""
    found = []
    with av.open(str(path)) as container:
        try:
            for picture in container.decode(video=0):
                found.append((read(picture)[0], picture.time))
        except av.FFmpegError:
            pass  # cut off: what came before counts
    return found


class Pusher:
    """A process that sends stamped pictures as an MPEG-TS in real time to who connects."""

    def __init__(self, size=(640, 360), rate=30):
        self.port = free_port()
        self.url = f"tcp://127.0.0.1:{self.port}"
        self._arguments = [str(self.port), "--size", "{}x{}".format(*size), "--rate", str(rate)]

    def __enter__(self):
        command = [sys.executable, __file__, *self._arguments]
        env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        self._process = subprocess.Popen(command, env=env)
        until_s = time.monotonic() + START_S
        while not is_listening(self.port):
            assert self._process.poll() is None and time.monotonic() < until_s
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait(START_S)


def is_listening(port):
    """Whether somebody listens on a TCP port, without connecting to it."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def push(port, size, rate):
    """Wait for one client and send to it until it leaves."""
    url = f"tcp://127.0.0.1:{port}?listen=1"
    with (
        contextlib.suppress(av.FFmpegError, OSError),
        av.open(url, "w", format="mpegts", options={"flush_packets": "1"}) as container,
    ):
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        context = stream.codec_context
        context.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "18"}
        context.time_base, context.gop_size, context.thread_count = CLOCK, rate, 1
        container.start_encoding()  # the client has come when this returns
        start_s = time.monotonic()
        for number, planes in enumerate(itertools.cycle(pattern(size))):
            due_s = start_s + number / rate
            time.sleep(max(0.0, due_s - time.monotonic()))
            picture = picture_of(planes, "yuv420p")
            luma = np.frombuffer(picture.planes[0], np.uint8).reshape(size[1], -1)
            paint(luma[:, : size[0]], number, now_millis())
            picture.pts, picture.time_base = round((due_s - start_s) / CLOCK), CLOCK
            container.mux(stream.encode(picture))


def pattern(size):
    """A moving pattern that comes round again, as full-size Y, U, V."""
    return [[plane.astype(np.uint8) for plane in scene(n, *size)] for n in range(24)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--rate", type=int, default=30)
    given = parser.parse_args()
    push(given.port, tuple(map(int, given.size.split("x"))), given.rate)
