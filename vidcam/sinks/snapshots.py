"""`--event-snapshots`: pictures as JPEG, encoded and written by a thread of their own."""

import io
import logging
import queue
import tempfile
import threading
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import av
from av.video.reformatter import ColorRange, VideoReformatter
from PIL import Image

from vidcam import yuv
from vidcam.errors import OutputError, UsageError, system_reason
from vidcam.sinks.names import free_name
from vidcam.types import Score

log = logging.getLogger("vidcam")

WAITING = 8
CLOSE_S = 0.5
QUALITY = 92
LONGEST_LABEL_BYTES = 100


@dataclass(eq=False)
class Snapshot:
    """A picture on its way to a file; `path` is where it lies when `done` is set, or None."""

    picture: av.VideoFrame | None
    path: Path | None
    width: int
    done: threading.Event = field(default_factory=threading.Event)


class Snapshots:
    """Writes pictures into a folder, which is made if it is missing; serves several sources."""

    def __init__(self, folder: str | Path) -> None:
        """Raises UsageError or OutputError when pictures cannot be written there."""
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"--event-snapshots {folder}: is a file, not a folder") from error
        except OSError as error:
            raise OutputError(f"--event-snapshots {folder}: {system_reason(error)}") from error
        self._queue: queue.Queue[Snapshot | None] = queue.Queue(WAITING)
        self._left_out = 0
        self._trouble = ""
        self._thread = threading.Thread(target=self._work, daemon=True, name="vidcam-snapshots")
        self._thread.start()

    def save(self, picture: av.VideoFrame, name: str, width: int = 0) -> Snapshot:
        """Write a picture, which is the caller's no more, as `name` in the folder.

        It is scaled to `width` (0: its own), for pictures whose pixels are no squares. Never waits:
        when the disk is slower than the events, the picture is left out and counted.
        """
        snapshot = Snapshot(picture, self.folder / name, width or picture.width)
        try:
            self._queue.put_nowait(snapshot)
        except queue.Full:
            snapshot.picture = snapshot.path = None
            snapshot.done.set()
            self._left_out += 1
            if self._left_out == 1:
                log.warning("%s: too slow; snapshots are left out", self.folder)
        return snapshot

    def close(self) -> None:
        """End the thread, which a hanging disk may keep; say how many pictures were left out."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=CLOSE_S)
            self._thread.join(CLOSE_S)
        if self._left_out:
            log.warning("%s: %d snapshots were left out", self.folder, self._left_out)

    def _work(self) -> None:
        reformatter = VideoReformatter()
        while (snapshot := self._queue.get()) is not None:
            trouble = ""
            try:
                assert snapshot.picture is not None and snapshot.path is not None
                data = jpeg(snapshot.picture, snapshot.width, reformatter)
                snapshot.path = _write(snapshot.path, data)
            except (OSError, ValueError) as error:
                snapshot.path, trouble = None, system_reason(error)
            finally:
                snapshot.picture = None
                snapshot.done.set()
            if trouble and trouble != self._trouble:
                log.warning("%s: a snapshot could not be written: %s", self.folder, trouble)
            self._trouble = trouble


def jpeg(picture: av.VideoFrame, width: int, reformatter: VideoReformatter) -> bytes:
    """A yuv420p picture as JPEG of that width, in the colours of its own matrix and range."""
    rgb = reformatter.reformat(
        picture, width, picture.height, "rgb24",
        src_colorspace=yuv.sws_matrix(yuv.matrix_of(picture)),
        src_color_range=ColorRange.JPEG if yuv.is_full_range(picture) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )  # fmt: skip
    data = io.BytesIO()
    Image.fromarray(rgb.to_ndarray()).save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


def snapshot_name(wall_s: float, number: int, when: str, score: Score) -> str:
    """`20261121-093012.345-cam0-before-虎斑猫.jpg`, safe for any file system and shell."""
    time = datetime.fromtimestamp(wall_s).astimezone()
    stamp = f"{time:%Y%m%d-%H%M%S}.{time.microsecond // 1000:03}"
    return f"{stamp}-cam{number}-{when}-{safe(score.label) or score.index}.jpg"


def safe(label: str) -> str:
    """Letters and digits of any script; what is between them becomes `_`."""
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c == "-" else " " for c in label)
    short = "_".join(kept.split()).encode()[:LONGEST_LABEL_BYTES]
    return short.decode(errors="ignore").strip("_-")


def _write(path: Path, data: bytes) -> Path:
    path = free_name(path, False)
    try:
        path.write_bytes(data)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path
