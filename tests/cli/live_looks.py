"""The window of a run of `vidcam live`, looked at: what is where in it, and its keys."""

import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
from live_runs import SOON_S

# The X server of the window's own tests.
sys.path.append(str(Path(__file__).resolve().parents[1] / "sinks"))
from xvfb import XServer, need_x, wait_for

__all__ = ["XServer", "need_x", "wait_for"]

CAMERA = "vidcam — camera 0"
# Parts of the window of 960x540 that shows the camera's 640x360 pictures.
FACE = (slice(220, 430), slice(320, 800))
PANEL, BAR = (slice(16, 196), slice(16, 296)), (slice(508, 538), slice(0, 960))
SQUARE, REC_MARK = (slice(370, 440), slice(850, 920)), (slice(508, 538), slice(0, 30))
PAUSED, MIDDLE = (slice(20, 70), slice(880, 950)), (slice(110, 430), slice(360, 600))
# Mean differences in levels of 255.
SAME, OTHER = 9.0, 15.0


class Watched:
    """A run and its window."""

    def __init__(self, run, server, plain) -> None:
        self.run, self.server = run, server
        self.plain = plain  # the picture as the window would show it without anything on it

    def look(self):
        """What the window shows, (H, W, 3) as int."""
        return self.server.screenshot(CAMERA).astype(int)

    def shows(self, ready, what):
        """Wait until what the window shows is as wanted; gives it."""
        seen = []

        def asked():
            seen[:] = [self.look()]
            return ready(seen[0])

        wait_for(asked, what)
        return seen[0]

    def steady(self, what, ready=lambda _seen: True):
        """The picture once its heat has come to rest."""
        last = [self.look()]

        def rests(seen):
            before, last[0] = last[0], seen
            time.sleep(0.2)  # so far apart are two looks that must agree
            return ready(seen) and difference(seen, before) < 1.0

        return self.shows(rests, what)

    def press(self, *keys):
        wait_for(lambda: has_keys(self.server, CAMERA), "the window has the keys")
        self.server.keys(*keys)

    def is_plain(self, seen):
        return difference(seen, self.plain) < SAME

    def is_hot(self, seen):
        return difference(seen, self.plain) > OTHER


def difference(one, other, part=FACE):
    """The mean difference of a part of two pictures."""
    return float(np.abs(one[part] - other[part]).mean())


def is_card(seen, plain, part):
    """Whether a dark card with white text lies in a part."""
    inside, below = seen[part], plain[part]
    return inside.mean() < 0.75 * below.mean() and (inside.min(axis=2) > 190).mean() > 0.004


def has_red_dot(seen):
    red, green, blue = (seen[REC_MARK][..., n] for n in range(3))
    return ((red > 180) & (green < 110) & (blue < 110)).sum() > 20


def pictures_of(path):
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def is_whole(path):
    """Whether a recording has been closed: an index for all of it."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return stream.frames == sum(1 for packet in container.demux(stream) if packet.size)
    except av.FFmpegError:
        return False


def colours(server, title, *places):
    focus(server, title)
    seen = server.screenshot(title)
    return [name_of(seen[place]) for place in places]


def name_of(rgb):
    """Which of the two cameras a pixel is of."""
    for name, wanted in (("green", (32, 160, 64)), ("blue", (48, 64, 192))):
        if np.abs(np.asarray(rgb).astype(int) - wanted).max() < 16:
            return name
    return str(rgb)


def padded(seen):
    """A window's pixels moved so that its foot is that of one of 960x540."""
    whole = np.zeros((540, 960, 3), int)
    whole[-seen.shape[0] :, : seen.shape[1]] = seen
    return whole


def focus(server, title):
    """Raise a window and give it the keys."""
    subprocess.run(["wmctrl", "-a", title], env=server.environment, check=False, timeout=SOON_S)
    wait_for(lambda: has_keys(server, title), f"{title} has the keys")


def has_keys(server, title):
    """Whether keys go to a window; it is the active one a moment before."""
    command = ["xdotool", "getwindowfocus", "getwindowname"]
    done = subprocess.run(
        command, env=server.environment, capture_output=True, check=False, timeout=SOON_S
    )
    return title in done.stdout.decode()
