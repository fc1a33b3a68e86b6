"""Live recordings: files that survive the death of the process, cut and kept as asked."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from vidcam.errors import OutputError, UsageError, system_reason
from vidcam.options import LiveOptions
from vidcam.sinks import Sink
from vidcam.sinks.encoder import check_output, muxer_of
from vidcam.sinks.live_encoder import LiveEncoder
from vidcam.sinks.live_file import MUXERS, LiveFile, writing
from vidcam.sinks.names import Template, delete_oldest
from vidcam.sinks.track import CLOCK, TICKS_PER_S
from vidcam.types import AudioPacket, Result, StreamInfo

log = logging.getLogger("vidcam")

# After so long without a picture, what there is goes to the disk.
SILENCE_S = 1.0
# The index of an open mp4 stays in memory, some 22 MB an hour: so weeks are not one file.
LONGEST_S = {"mp4": 12 * 3600.0, "mov": 12 * 3600.0}
LONGEST_GAP_S = 3600
# A file that has been left still takes the sound that belongs to it for so long.
SOUND_LAG_S = 1.0
# Sound that waits for its picture: more than that is none's.
MOST_SOUNDS = 1000
# `close` waits so long for what is being finished.
CLOSE_S = 10.0


class RecordingSink(Sink):
    """Records composed pictures and the sound; `TEMPLATE` as in names.Template."""

    def __init__(self, template: str, options: LiveOptions, number: int, overwrite: bool) -> None:
        """`number` is the source's. Raises UsageError or OutputError."""
        path = Path(template)
        muxer = muxer_of(path)
        if muxer not in MUXERS:
            raise UsageError(
                f"{template}: {path.suffix} does not survive a crash; write .mp4, .mov or .mkv"
            )
        check_output(path, options)
        self._template = Template(template, number, overwrite)
        self._options, self._muxer = options, muxer
        self._info: StreamInfo | None = None
        self._file: LiveFile | None = None
        self._encoder: LiveEncoder | None = None
        self._left: _Left | None = None
        self._sounds: deque[tuple[int, AudioPacket]] = deque(maxlen=MOST_SOUNDS)
        self._said = False
        self._anew = False
        self._last: int | None = None
        self._boundary: int | None = None
        self._arrived_s = 0.0
        self._flushed = True
        self._busy: set[Path] = set()
        self._work: list[_Work] = []

    def open(self, info: StreamInfo) -> None:
        """As `Sink`."""
        self._info = info
        if self._options.keep is not None:
            self._work.append(_Work(lambda: None, None, self._delete_oldest))

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """As `Sink`."""
        assert picture.pts is not None and picture.time_base is not None
        ticks = self._arrives(round(picture.pts * picture.time_base / CLOCK))
        if self._is_due(ticks):
            self._begin(ticks)
        file, encoder = self._file, self._encoder
        assert file is not None and encoder is not None
        with writing(file.path):
            file.video(encoder.encode(picture, ticks - file.start), ticks - file.start)

    def audio(self, packet: AudioPacket) -> None:
        """As `Sink`."""
        if self._info is None or self._info.audio is None or not self._options.audio:
            return
        own = packet.packet
        ticks = round((own.dts if own.pts is None else own.pts) * own.time_base / CLOCK)
        if self._left is not None:
            if ticks < self._left.until:
                self._give(self._left.file, packet)
                return
            self._finish_left()
        self._sounds.append((ticks, packet))
        if self._flushed and self._file is not None:
            self._give_sounds(None)

    def changed(self, info: StreamInfo) -> None:
        """As `Sink`: another size or sound needs another file."""
        if self._info is not None and self._key(info) != self._key(self._info):
            self._anew = True
        self._info = info

    def lost(self, cause: str) -> None:
        """As `Sink`."""
        self._flush()

    def tick(self) -> None:
        """As `Sink`."""
        now_s = time.monotonic()
        if now_s - self._arrived_s >= SILENCE_S:
            self._flush()
        if self._left is not None and now_s >= self._left.deadline_s:
            self._finish_left()
        self._collect()

    def close(self, error: BaseException | None = None) -> None:
        """As `Sink`; an error elsewhere is no reason not to finish what there is."""
        failures: list[BaseException] = []
        try:
            self._give_sounds(None)
        except OutputError as failure:
            failures.append(failure)
        self._finish_left()
        if self._file is not None:
            self._finish(self._file, self._encoder)
            self._file = None
        until_s = time.monotonic() + CLOSE_S
        for work in self._work:
            work.thread.join(max(0.0, until_s - time.monotonic()))
            if work.thread.is_alive() and work.path is not None:
                failures.append(OutputError(f"{work.path}: not finished within {CLOSE_S:g} s"))
            elif work.failure is not None:
                failures.append(work.failure)
        self._work.clear()
        if failures and error is None:
            raise failures[0]
        for failed in failures:
            log.error("%s", failed)

    def _arrives(self, ticks: int) -> int:
        """Note that a picture has come; its time, which always goes on."""
        self._arrived_s = time.monotonic()
        self._flushed = False
        if self._last is not None:
            ticks = max(ticks, self._last + 1)
            # One picture cannot last longer than 6.6 hours in an mp4.
            self._anew = self._anew or ticks - self._last > LONGEST_GAP_S * TICKS_PER_S
        self._last = ticks
        self._give_sounds(ticks)
        return ticks

    def _is_due(self, ticks: int) -> bool:
        """Whether a new file begins with the picture at `ticks`."""
        if self._file is None or self._anew or self._file.sound_missed:
            return True
        return self._boundary is not None and ticks >= self._boundary

    def _begin(self, ticks: int) -> None:
        """Leave the file that there is, and begin another."""
        info = self._info
        assert info is not None
        if self._file is not None:
            self._finish_left()
            self._left = _Left(self._file, self._encoder, ticks, time.monotonic() + SOUND_LAG_S)
            if not self._file.has_sound:
                self._finish_left()
            self._file = None
        longest_s = self._options.segment or LONGEST_S.get(self._muxer)
        if longest_s:
            step = round(longest_s * TICKS_PER_S)
            origin = ticks if self._boundary is None else self._boundary
            # On the grid of the first file's start, so that files do not drift.
            self._boundary = origin + ((ticks - origin) // step + 1) * step
        self._anew = False
        path = self._template.claim(time.time())
        self._busy.add(path)
        with writing(path):
            audio = info.audio if self._options.audio else None
            self._file = LiveFile(path, self._muxer, ticks, audio)
            self._file.begin(self._video_stream(self._file, info))

    def _video_stream(self, file: LiveFile, info: StreamInfo) -> Any:
        stream = file.container.add_stream(self._options.encoder, rate=info.rate)
        context = stream.codec_context
        if self._muxer in ("mp4", "mov") and context.codec.canonical_name == "hevc":
            context.codec_tag = "hvc1"  # Apple's players know no other
        self._encoder = LiveEncoder(stream, info, self._options)
        return stream

    def _give_sounds(self, before: int | None) -> None:
        """Hand the sound that begins before a time, or all, to the file that it belongs to."""
        while self._sounds and (before is None or self._sounds[0][0] < before):
            if self._file is None:
                return
            self._give(self._file, self._sounds.popleft()[1])

    def _give(self, file: LiveFile, packet: AudioPacket) -> None:
        level = logging.DEBUG if self._said else logging.WARNING
        self._said = True
        file.sound(packet, level)

    def _flush(self) -> None:
        """Bring all to the disk."""
        if self._flushed or self._file is None:
            return
        self._flushed = True
        file = self._file
        self._give_sounds(None)
        with writing(file.path):
            if self._encoder is not None:
                file.video(self._encoder.drain())
            file.flush()

    def _finish_left(self) -> None:
        left, self._left = self._left, None
        if left is not None:
            self._finish(left.file, left.encoder)

    def _finish(self, file: LiveFile, encoder: LiveEncoder | None) -> None:
        """Complete a file, in a thread of its own: coding the rest takes its time."""

        def work() -> None:
            if not file.closed:
                with writing(file.path, file.abandon):
                    if encoder is not None:
                        file.video(encoder.drain())
                    file.finish(decodes=encoder is not None)

        self._work.append(_Work(work, file.path, self._delete_oldest))

    def _delete_oldest(self, finished: Path | None) -> None:
        """Do what `--keep` asks for."""
        if finished is not None:
            self._busy.discard(finished)
        if self._options.keep is None:
            return
        try:
            delete_oldest(self._template, self._options.keep, self._busy)
        except OSError as error:
            log.warning("--keep: %s", system_reason(error))

    def _collect(self) -> None:
        """Let go of the files that are finished. Raises the first failure."""
        for work in [work for work in self._work if not work.thread.is_alive()]:
            self._work.remove(work)
            if work.failure is not None:
                raise work.failure

    def _key(self, info: StreamInfo) -> object:
        """What cannot change within a file."""
        sound = None
        if info.audio is not None and self._options.audio:
            context = info.audio.codec_context
            sound = context.name, context.sample_rate, context.layout.name, context.extradata
        return info.width, info.height, info.sample_aspect_ratio, sound


@dataclass(frozen=True, slots=True)
class _Left:
    """A file whose pictures are complete; sound before `until` still goes into it."""

    file: LiveFile
    encoder: LiveEncoder | None
    until: int
    deadline_s: float


class _Work:
    """Something about the file at `path` that is done in a thread, and what is done after it."""

    def __init__(
        self, work: Callable[[], None], path: Path | None, then: Callable[[Path | None], None]
    ) -> None:
        self.path = path
        self.failure: BaseException | None = None
        self._work, self._then = work, then
        # A disk that hangs must not hold the process.
        self.thread = threading.Thread(target=self._run, daemon=True, name="vidcam-finish")
        self.thread.start()

    def _run(self) -> None:
        try:
            self._work()
            self._then(self.path)
        except BaseException as error:  # noqa: BLE001 - raised by the sink's own thread
            self.failure = error
