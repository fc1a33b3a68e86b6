"""The window's status bar, and the picture that stands for a source that gives none."""

import time

import av
import cv2
import numpy as np

from vidcam import yuv
from vidcam.errors import redact
from vidcam.options import FontOptions
from vidcam.overlays import Planes
from vidcam.overlays.fonts import FontChain
from vidcam.overlays.labels import text_size
from vidcam.overlays.panel import TEXT_RGB, Colour, Look, Panel, compose
from vidcam.overlays.text import TextMasks, line_height
from vidcam.overlays.words import say
from vidcam.stats import SourceStats
from vidcam.types import Pixels, Rect, Result
from vidcam.view import View

DIM_RGB, DROPS_RGB, REC_RGB = (176, 182, 194), (255, 190, 84), (255, 59, 48)
NIGHT_RGB = (16, 18, 24)

# The text of the bar against the labels'; the other sizes are in units of the bar's text.
BAR_TEXT, SMALLEST_TEXT_PX = 0.78, 12
PADDING, EDGE, SLOT_GAP, DOT, LEAST_NAME = 0.34, 0.7, 1.1, 0.62, 3.0
# What labels leave free for the bar, in sizes of their text.
BAR_FOOT = 2.0
REFRESH_S = 0.25
CLOCK = "%H:%M:%S"
# A slot is as wide as this, so that figures that change do not move their neighbours.
WIDEST = {"rate": "000 fps", "latency": "000 ms", "clock": "00:00:00"}

NO_SIGNAL_TEXT, NO_SIGNAL_SHARE, LINE_GAP = 1.5, 0.88, 0.45


class StatusBar:
    """Draws one source's name, figures and clock along the foot of its picture, for the window.

    The figures are read a few times a second: quicker ones cannot be read, and cost.
    """

    def __init__(self, masks: TextMasks, view: View, stats: SourceStats, language: str) -> None:
        self._masks = masks
        self._view = view
        self._stats = stats
        self._language = language
        self._name = redact(stats.name)
        self._read_s = -REFRESH_S
        self._asked: object = None
        self._drawn: object = None
        self._panel: Panel | None = None

    def draw(self, planes: Planes, result: Result) -> None:
        """As `Overlay`."""
        look = Look.of(result.frame.picture)
        recording = self._view.recording or self._stats.recording
        now_s = time.monotonic()
        if (look, recording) != self._asked or now_s - self._read_s >= REFRESH_S:
            self._asked, self._read_s = (look, recording), now_s
            slots = self._slots()
            if (look, recording, slots) != self._drawn:
                self._drawn = look, recording, slots
                self._panel = self._layout(look, recording, slots)
        if self._panel is not None:
            self._panel.draw(planes)

    def _slots(self) -> tuple[tuple[str, str, Colour], ...]:
        """Texts from the right: slot, text, colour; the first ones are kept where room is short."""
        rate, latency_s = self._stats.drawn.per_s, self._stats.latency.last_s
        dropped = sum(list(self._stats.dropped.values()))
        slots = [
            ("clock", time.strftime(CLOCK), TEXT_RGB),
            ("rate", f"{rate:.0f} fps" if rate >= 10 else f"{rate:.1f} fps", DIM_RGB),
            ("latency", latency_text(latency_s), DIM_RGB),
        ]
        if dropped:
            slots.append(("dropped", say("dropped", self._language, dropped), DROPS_RGB))
        return tuple(slots)

    def _layout(
        self, look: Look, recording: bool, slots: tuple[tuple[str, str, Colour], ...]
    ) -> Panel | None:
        size = max(SMALLEST_TEXT_PX, round(text_size(look.width, look.height) * BAR_TEXT))
        edge, top = round(size * EDGE), round(size * PADDING)
        height = (line_height(size) + 2 * top + 1) & ~1
        left, right = edge, look.width - edge
        if right - left < LEAST_NAME * size or height > look.height // 2:
            return None
        inks: dict[Colour, Pixels] = {}
        shape = height, look.width

        def put(mask: Pixels, x: int, colour: Colour) -> None:
            ink = inks.setdefault(colour, np.zeros(shape, np.uint8))
            ink[top : top + mask.shape[0], x : x + mask.shape[1]] = mask

        if recording:
            put(_dot(size), left, REC_RGB)
            left += round(size * (DOT + PADDING))
            mask = self._masks("REC", "", size, right - left)
            put(mask, left, TEXT_RGB)
            left += mask.shape[1] + round(size * EDGE)
        for slot, text, colour in slots:
            mask = self._masks(text, "", size, look.width)
            widest = self._masks(WIDEST.get(slot, text), "", size, look.width).shape[1]
            width = max(mask.shape[1], widest)
            if right - width - left < (LEAST_NAME + SLOT_GAP) * size:
                break
            put(mask, right - mask.shape[1], colour)
            right -= width + round(size * SLOT_GAP)
        if right > left:
            put(self._masks(self._name, "", size, right - left), left, TEXT_RGB)
        rect = Rect(0, look.height - height, look.width, height)
        return compose(rect, inks, look)


class NoSignal:
    """Makes the picture that stands for a source that is gone; keeps the last one made."""

    def __init__(self, options: FontOptions, language: str | None = None) -> None:
        """`language` is the first of the options' own languages where they have some."""
        self._masks = TextMasks(FontChain(options.font))
        self._language = language or getattr(options, "lang", ("en",))[0]
        self._key: object = None
        self._picture: av.VideoFrame | None = None

    def __call__(
        self, width: int, height: int, name: str, cause: str, since_s: float
    ) -> av.VideoFrame:
        """A yuv420p picture of even `width, height` without a time; `since_s` as `time.time`."""
        day = time.strftime("%Y-%m-%d", time.localtime(since_s))
        clock = CLOCK if day == time.strftime("%Y-%m-%d") else "%Y-%m-%d " + CLOCK
        since = time.strftime(clock, time.localtime(since_s))
        key = width, height, name, cause, since
        if key != self._key or self._picture is None:
            lines = redact(name), say("no signal", self._language, since), self._because(cause)
            self._picture, self._key = self._draw(width, height, lines), key
        return yuv.copy(self._picture)

    def _because(self, cause: str) -> str:
        return f"({say(redact(cause), self._language)})" if cause else ""

    def _draw(self, width: int, height: int, lines: tuple[str, str, str]) -> av.VideoFrame:
        picture = av.VideoFrame(width, height, "yuv420p")
        room = int(width * NO_SIGNAL_SHARE)
        middle = self._fitting(lines[1], round(text_size(width, height) * NO_SIGNAL_TEXT), room)
        small = max(1, round(middle * 0.72))
        sizes, colours = (small, middle, small), (DIM_RGB, TEXT_RGB, DIM_RGB)
        gap = round(middle * LINE_GAP)
        y = (height - sum(map(line_height, sizes)) - 2 * gap) // 2
        inks: dict[Colour, Pixels] = {}
        for text, size, colour in zip(lines, sizes, colours, strict=True):
            mask = self._masks(text, "", size, room)
            ink = inks.setdefault(colour, np.zeros((height, width), np.uint8))
            part = ink[max(0, y) : y + mask.shape[0], (width - mask.shape[1]) // 2 :]
            part = part[:, : mask.shape[1]]
            part[:] = mask[: part.shape[0], : part.shape[1]]
            y += line_height(size) + gap
        panel = compose(Rect(0, 0, width, height), inks, Look.of(picture), NIGHT_RGB, 1.0)
        for plane, levels in zip(yuv.planes(picture), panel.add, strict=True):
            np.copyto(plane, levels)
        return picture

    def _fitting(self, text: str, size: int, room: int) -> int:
        """The size, at most `size`, at which a text is not cut."""
        wide = int(self._masks(text, "", size, 100 * size).shape[1])
        return max(1, min(size, size * room // wide))


def latency_text(seconds: float) -> str:
    """A latency in at most four digits: `45 ms`, `12.3 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 9.9995 else f"{seconds:.1f} s"


def _dot(size: int) -> Pixels:
    """The mask of a disc that stands where a small letter would."""
    big = 4
    height, width = line_height(size), round(size * DOT)
    canvas = np.zeros((height * big, width * big), np.uint8)
    # Capitals reach from the baseline, at 1.02 of the size, up by three quarters of it.
    centre = (width * big // 2, round(size * big * (1.02 - 0.37)))
    cv2.circle(canvas, centre, width * big // 2 - 1, 255, cv2.FILLED, cv2.LINE_AA)
    disc: Pixels = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return disc
