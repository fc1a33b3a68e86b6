"""The window: every camera's explained picture on the screen, and the keys."""

import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2

from vidcam.errors import OutputError, redact, system_reason
from vidcam.options import LiveOptions
from vidcam.overlays.cards import card
from vidcam.overlays.fonts import FontChain
from vidcam.overlays.labels import SMALLEST_TEXT_PX, text_size
from vidcam.overlays.text import TextMasks
from vidcam.overlays.words import say
from vidcam.sinks import Sink
from vidcam.sinks.display import display_problem, has_display
from vidcam.sinks.keys import REPEATING, Keys, help_rows
from vidcam.sinks.mosaic import cells, fitted
from vidcam.sinks.screen import Screen, Texture
from vidcam.types import Pixels, Prediction, Rect, Result, StreamInfo
from vidcam.view import View

__all__ = ["Window", "display_problem", "has_display"]

log = logging.getLogger("vidcam")

FRAME_S = 1 / 60
# Pictures that nobody sees are uploaded this seldom: enough for when Tab shows them.
HIDDEN_S = 0.5
# A window without a picture shows itself after so long.
WAIT_S = 1.0
NOTICE_S = 1.6
SNAPSHOT_S = 10.0
# A first window takes at most this share of the display, and its longer side is at least so long.
LARGEST_SHARE, LEAST_SIDE = 0.9, 960
GROUND_RGB = (8, 9, 12)
# The text of a card against the labels' in a picture of the window's size.
CARD_TEXT = 0.85
Rows = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Tile:
    """One source in the window."""

    name: str
    texture: Texture | None = None
    pixel_aspect: float = 1.0
    prediction: Prediction | None = None
    uploaded_s: float = field(default=-math.inf)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its picture in square pixels; 16:9 before it has one."""
        width, height = self.texture.size if self.texture else (1280, 720)
        return max(1, round(width * self.pixel_aspect)), height


class Window:
    """One window for all sources. Everything is called from the process's main thread.

    `sink(number)` gives the sink of a source; `poll` must be called many times a second, and is
    where keys act on `view` and pictures reach the screen. Snapshots go to `folder`. Raises
    OutputError when no window can open.
    """

    def __init__(
        self, names: Sequence[str], view: View, options: LiveOptions, folder: Path | None = None
    ) -> None:
        self._tiles = [Tile(redact(name)) for name in names]
        self._view = view
        self._language = options.lang[0]
        self._folder = folder or Path()
        self._masks = TextMasks(FontChain(options.font))
        self._keys = Keys(view, self._language)
        # The camera that is shown; None is all of them.
        self._shown: int | None = 0 if len(names) == 1 else None
        self._cards: dict[str, tuple[object, Texture]] = {}
        self._notice, self._notice_until_s = "", 0.0
        self._help = self._visible = self._fitted = False
        self._dirty = True
        self._presented_s = -math.inf
        self._saving: list[threading.Thread] = []
        self._screen: Screen | None = Screen(self._title())
        self._born_s = time.monotonic()

    def sink(self, number: int) -> Sink:
        """The sink of the source of this number, from 0."""
        return WindowSink(self, self._tiles[number])

    def upload(self, tile: Tile, picture: av.VideoFrame, prediction: Prediction | None) -> None:
        """Take a source's picture; it is shown at the next `poll`."""
        if self._screen is None or (self._view.paused and tile.texture is not None):
            return
        tile.prediction = prediction
        now_s = time.monotonic()
        seen = self._shown is None or tile is self._tiles[self._shown]
        if not seen and now_s - tile.uploaded_s < HIDDEN_S:
            return
        tile.texture = self._screen.upload(picture, tile.texture)
        tile.uploaded_s = now_s
        self._dirty = True
        if not self._fitted:
            self._fit(self._screen, tile)

    def poll(self) -> None:
        """Take keys, and show what is new; never waits."""
        screen = self._screen
        if screen is None:
            return
        for event in screen.events():
            self._dirty = True
            if event.kind == "close":
                self._view.quit = True
            elif event.kind == "key" and (not event.repeated or event.key in REPEATING):
                self._press(screen, event.key)
        now_s = time.monotonic()
        if self._notice and now_s >= self._notice_until_s:
            self._notice, self._dirty = "", True
        if not self._visible and (self._fitted or now_s - self._born_s > WAIT_S):
            self._visible = self._dirty = True
            screen.show()
        if self._dirty and now_s - self._presented_s >= FRAME_S:
            self._dirty, self._presented_s = False, now_s
            self._draw_tiles(screen, *screen.size)
            self._draw_cards(screen)
            screen.present()

    def close(self) -> None:
        """Take the window away, when the snapshots are on disk. May be called again."""
        for thread in self._saving:
            thread.join(SNAPSHOT_S)
        if self._screen is not None:
            self._screen.close()
            self._screen = None

    def _title(self) -> str:
        tiles = self._tiles if self._shown is None else [self._tiles[self._shown]]
        return "vidcam — " + ", ".join(tile.name for tile in tiles)

    def _fit(self, screen: Screen, tile: Tile) -> None:
        """Give the window its first size: that of the pictures, as far as the display allows."""
        self._fitted = True
        width, height = tile.size
        if self._shown is None:
            columns = math.ceil(math.sqrt(len(self._tiles)))
            width, height = width * columns, height * math.ceil(len(self._tiles) / columns)
        largest = min(
            LARGEST_SHARE * room / side
            for room, side in zip(screen.usable, (width, height), strict=True)
        )
        scale = min(largest, max(1.0, LEAST_SIDE / max(width, height)))
        screen.resize(round(width * scale), round(height * scale))

    def _press(self, screen: Screen, key: str) -> None:
        tile = self._tiles[self._shown or 0]
        if key == "?":
            self._help = not self._help
        elif key == "tab" and len(self._tiles) > 1:
            following = 0 if self._shown is None else self._shown + 1
            self._shown = following if following < len(self._tiles) else None
            screen.title(self._title())
            everything = say("all cameras", self._language)
            self._tell(everything if self._shown is None else self._tiles[self._shown].name)
        elif key == "s":
            self._snapshot(screen)
        else:
            notice = self._keys.press(key, tile.prediction)
            if notice:
                self._tell(notice)

    def _tell(self, notice: str) -> None:
        # The time first: a snapshot's thread tells too.
        self._notice_until_s = time.monotonic() + NOTICE_S
        self._notice = notice
        self._dirty = True

    def _draw_tiles(self, screen: Screen, width: int, height: int) -> None:
        screen.clear(GROUND_RGB)
        tiles = self._tiles if self._shown is None else [self._tiles[self._shown]]
        places = cells(len(tiles), width, height, [tile.size for tile in tiles])
        for tile, cell in zip(tiles, places, strict=True):
            if tile.texture is not None:
                screen.draw(tile.texture, fitted(tile.size, cell))
            else:
                rows = (("", tile.name), ("", say("waiting", self._language)))
                self._draw_card(screen, "waiting " + tile.name, rows, (cell, 0.5, 0.5))

    def _draw_cards(self, screen: Screen) -> None:
        whole = Rect(0, 0, *screen.size)
        if self._view.paused:
            rows: Rows = (("", say("paused", self._language)),)
            self._draw_card(screen, "paused", rows, (whole, 0.97, 0.05))
        if self._notice:
            self._draw_card(screen, "notice", (("", self._notice),), (whole, 0.5, 0.86))
        if self._help:
            rows = tuple(help_rows(self._language))
            self._draw_card(screen, "help", rows, (whole, 0.5, 0.5))

    def _draw_card(
        self, screen: Screen, name: str, rows: Rows, place: tuple[Rect, float, float]
    ) -> None:
        """Draw rows of text in a rectangle, at shares of the room that is left there."""
        cell, across, down = place
        size = max(SMALLEST_TEXT_PX, round(text_size(cell.width, cell.height) * CARD_TEXT))
        key = rows, size, cell.width, cell.height
        if name not in self._cards or self._cards[name][0] != key:
            if name in self._cards:
                self._cards[name][1].close()
            pixels = card(self._masks, rows, size, (cell.width, cell.height))
            self._cards[name] = key, screen.card(pixels)
        texture = self._cards[name][1]
        width, height = texture.size
        x = cell.x + round((cell.width - width) * across)
        y = cell.y + round((cell.height - height) * down)
        screen.draw(texture, Rect(x, y, width, height))

    def _snapshot(self, screen: Screen) -> None:
        """Save what the pictures show: one camera in its own size, several as in the window."""
        size = screen.size if self._shown is None else self._tiles[self._shown].size
        try:
            target = screen.canvas(*size)
            self._draw_tiles(screen, *size)
            pixels = screen.read(target)
        except OutputError as error:
            log.warning("the snapshot is not saved: %s", error)
            return
        # Packing takes long for a large picture, and the cameras go on.
        thread = threading.Thread(target=self._save, args=(pixels,), name="vidcam-snapshot")
        thread.start()
        self._saving = [other for other in self._saving if other.is_alive()] + [thread]

    def _save(self, bgr: Pixels) -> None:
        stem = time.strftime("vidcam-%Y%m%d-%H%M%S")
        try:
            packed = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 2])[1]
            path = _write_new(self._folder, stem, packed.tobytes())
        except (OSError, cv2.error) as error:
            log.warning("the snapshot %s.png is not saved: %s", stem, system_reason(error))
            self._tell(say("not saved", self._language))
            return
        log.info("saved the snapshot %s", path)
        self._tell(say("saved", self._language, path.name))


def _write_new(folder: Path, stem: str, data: bytes) -> Path:
    """Write a PNG under a name that is free: NAME, NAME-2, NAME-3…"""
    number = 1
    while True:
        path = folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            number += 1
            continue
        return path


class WindowSink(Sink):
    """One source's part of the window; the window itself outlives it."""

    def __init__(self, window: Window, tile: Tile) -> None:
        self._window = window
        self._tile = tile

    def open(self, info: StreamInfo) -> None:
        """As `Sink`."""
        self._tile.pixel_aspect = float(info.sample_aspect_ratio) or 1.0

    def changed(self, info: StreamInfo) -> None:
        """As `Sink`."""
        self.open(info)

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """As `Sink`."""
        self._window.upload(self._tile, picture, result.window or result.prediction)

    def gap(self, picture: av.VideoFrame) -> None:
        """As `Sink`."""
        self._window.upload(self._tile, picture, None)
