"""Coded packets on their way to the process that pushes them, and the queue they wait in."""

import struct
import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

PICTURES, SOUND = 0, 1
# Track, key frame, pts, dts, duration, time base, length of what follows.
HEAD = struct.Struct("!BBqqqIII")

MOST_PACKETS = 600
MOST_BYTES = 16 << 20
MOST_SECONDS = 2.0
# A full queue takes packets again when it is down to this share of each bound: a receiver that is
# only slow then gets whole groups of pictures, and not key frames alone.
ROOMY = 0.5


@dataclass(frozen=True, slots=True)
class Parcel:
    """A coded packet and all that a muxer must know of it; times count in `time_base` seconds."""

    track: int
    is_key: bool
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    data: bytes

    @classmethod
    def of(cls, packet: Any, track: int) -> "Parcel | None":
        """The parcel of an av packet; None without times, which nothing can mux."""
        if packet.dts is None or packet.pts is None:
            return None
        return cls(
            track, bool(packet.is_keyframe), packet.pts, packet.dts, max(0, packet.duration or 0),
            Fraction(packet.time_base), bytes(packet),
        )  # fmt: skip

    @property
    def time_s(self) -> float:
        """When it is decoded, in seconds."""
        return float(self.dts * self.time_base)

    def pack(self) -> bytes:
        """Its form in a pipe."""
        base = self.time_base
        return HEAD.pack(
            self.track, self.is_key, self.pts, self.dts, self.duration,
            base.numerator, base.denominator, len(self.data),
        ) + self.data  # fmt: skip

    @classmethod
    def read(cls, pipe: BinaryIO) -> "Parcel | None":
        """The next one of a pipe, waiting for it; None at the end."""
        head = pipe.read(HEAD.size)
        if len(head) < HEAD.size:
            return None
        track, is_key, pts, dts, duration, numerator, denominator, size = HEAD.unpack(head)
        data = pipe.read(size)
        if len(data) < size:
            return None
        return cls(track, bool(is_key), pts, dts, duration, Fraction(numerator, denominator), data)


class PacketQueue:
    """A queue bounded in packets, bytes and seconds, whose writer never waits.

    It begins with a key frame. When it is full it drops what comes, and `is_stalled` until it has
    room for a key frame again.
    """

    def __init__(self) -> None:
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0
        self._ended = False
        self._needs_key = True
        self._changed = threading.Condition()
        self.is_stalled = False

    def __len__(self) -> int:
        return len(self._parcels)

    @property
    def is_closed_to_pictures(self) -> bool:
        """Whether a picture coded now would be dropped, even a key frame."""
        with self._changed:
            return self.is_stalled and not self._fits(0, None, ROOMY)

    def put(self, parcel: Parcel) -> bool:
        """Take a parcel; False when it was dropped."""
        with self._changed:
            is_key_frame = parcel.track == PICTURES and parcel.is_key
            if self._ended or (self._needs_key and not is_key_frame):
                return False
            share = ROOMY if self.is_stalled else 1.0
            if self._parcels and not self._fits(len(parcel.data), parcel.time_s, share):
                self._needs_key = self.is_stalled = True
                return False
            self._needs_key = self.is_stalled = False
            self._parcels.append(parcel)
            self._bytes += len(parcel.data)
            self._changed.notify()
            return True

    def get(self) -> Parcel | None:
        """The oldest parcel, waiting for one; None after the end."""
        with self._changed:
            while not self._parcels and not self._ended:
                self._changed.wait()
            if not self._parcels:
                return None
            parcel = self._parcels.popleft()
            self._bytes -= len(parcel.data)
            return parcel

    def end(self, keep: bool) -> None:
        """Take nothing more; what waits is still given when `keep`."""
        with self._changed:
            self._ended = True
            if not keep:
                self._parcels.clear()
                self._bytes = 0
            self._changed.notify_all()

    def _fits(self, size: int, time_s: float | None, share: float) -> bool:
        if not self._parcels:
            return True
        newest_s = self._parcels[-1].time_s if time_s is None else time_s
        return (
            len(self._parcels) < MOST_PACKETS * share
            and self._bytes + size <= MOST_BYTES * share
            and newest_s - self._parcels[0].time_s <= MOST_SECONDS * share
        )
