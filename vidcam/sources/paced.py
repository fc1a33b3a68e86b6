"""Files, progressive URLs and lavfi graphs, played in real time."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from av.container import InputContainer

from vidcam.errors import SourceError, SourceLost
from vidcam.options import ReadOptions
from vidcam.sources.capture import Capture
from vidcam.sources.causes import BROKEN_OFF, cause_of
from vidcam.sources.clock import TIME_BASE, ConnectionClock, Pacer
from vidcam.sources.container import open_container
from vidcam.sources.file import FileSource
from vidcam.sources.finish import Finisher, Run, Shifter, copies_pictures, template_of
from vidcam.sources.inputs import is_url, name_of
from vidcam.types import AudioPacket, CodedPacket, Frame, StreamInfo

if TYPE_CHECKING:
    from vidcam.sources import Item

LAVFI = "lavfi:"


class _Round(FileSource):
    """The file once through, as fast as it is asked for; keeps the coded pictures as well."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self.coded: deque[Any] = deque()
        super().__init__(capture.uri, ReadOptions(), capture.audio)

    @property
    def end_s(self) -> float:
        """When the last picture that was read ends."""
        return self._read_s

    @property
    def offset_s(self) -> float:
        """What the file's own times are ahead of those of its frames."""
        return self._offset_s

    @property
    def video(self) -> Any:
        """The stream of the pictures."""
        return self._video

    def _open(self) -> InputContainer:
        uri, timeout_s = self._capture.uri, self._capture.timeout_s
        if uri.lower().startswith(LAVFI):
            return open_container(uri, uri[len(LAVFI) :], format="lavfi")
        timeout = (timeout_s, timeout_s) if is_url(uri) else None
        return open_container(uri, uri, timeout=timeout)

    def _decoded(self, packet: Any) -> list[Any]:
        if packet.size and copies_pictures(self._capture, self._video):
            self.coded.append(packet)
        return super()._decoded(packet)


class PacedSource:
    """A file (with `loop` again and again) or a lavfi graph, each picture when it is due."""

    def __init__(self, capture: Capture, run: Run) -> None:
        """Open it and decode its first picture. Raises SourceError or UsageError."""
        self.name = name_of(capture.uri)
        self._capture, self._run = capture, run
        self._loop = capture.loop and not capture.uri.lower().startswith(LAVFI)
        self.ends = not self._loop
        self._round = self._begin()
        self.corrupt = 0
        self._clock = ConnectionClock(run.clock)
        self._pacer = Pacer()
        self._finisher = Finisher(capture, run)
        self._shift_sound = Shifter(lossless=False)
        self._shift_coded = Shifter(lossless=True)
        try:
            self.info = self._info()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> "Iterator[Item]":
        before_s = 0.0
        while not self._run.stop.is_set():
            try:
                yield from self._played(before_s)
                if not self._loop or self._run.stop.is_set():
                    return
                before_s += self._round.end_s
                self._round.close()
                self._round = self._begin()
            except (SourceError, SourceLost) as error:
                raise SourceLost(str(error), cause=_cause(error)) from None

    def close(self) -> None:
        """As `Source`."""
        self._round.close()

    def _begin(self) -> _Round:
        try:
            return _Round(self._capture)
        except (SourceError, SourceLost) as error:
            raise SourceError(str(error), cause=_cause(error)) from None

    def _info(self) -> StreamInfo:
        info = self._round.info
        self._finisher.duration = round(1 / (info.rate * TIME_BASE))
        copies = copies_pictures(self._capture, self._round.video)
        return replace(
            info,
            time_base=TIME_BASE,
            live=True,
            audio=template_of(info.audio) if info.audio is not None else None,
            coded=template_of(self._round.video) if copies else None,
        )

    def _played(self, before_s: float) -> "Iterator[Item]":
        """One round, which begins at `before_s` of all that is played."""
        damaged = 0
        for item in self._round:
            self.corrupt += self._round.corrupt - damaged
            damaged = self._round.corrupt
            if isinstance(item, Frame):
                due_s = self._wait_for(before_s + item.time_s)
                if self._run.stop.is_set():
                    return
                yield from self._coded(before_s)
                pts = self._clock.frame_pts(before_s + item.time_s, due_s)
                yield self._finisher.stamped(item.picture, pts, time.monotonic())
            elif isinstance(item, AudioPacket):
                offset_s = self._clock.packet_offset_s(None, time.monotonic())
                sound = self._shift_sound(item.packet, offset_s + before_s)
                if sound is not None:
                    yield AudioPacket(sound, self.name)

    def _wait_for(self, media_s: float) -> float:
        """Wait until a picture is due; gives that time."""
        now_s = time.monotonic()
        due_s, anew = self._pacer.due_s(media_s, now_s)
        if anew:
            self._clock.anchor(media_s, due_s)
        if due_s > now_s:
            self._run.stop.wait(due_s - now_s)
        return due_s

    def _coded(self, before_s: float) -> Iterator[CodedPacket]:
        """The coded pictures read so far; the decoder is some ahead of the frame."""
        while self._round.coded:
            offset_s = self._clock.packet_offset_s(None, time.monotonic()) + before_s
            packet = self._round.coded.popleft()
            packet = self._shift_coded(packet, offset_s - self._round.offset_s)
            yield CodedPacket(packet, self.name)


def _cause(error: SourceError | SourceLost) -> str:
    """Why a file could not be opened or read: as what lies behind its sentence."""
    behind = error.__cause__
    return error.cause or (cause_of(behind) if behind is not None else BROKEN_OFF)
