"""The packets of one track on their way into a muxer that is cut off at any time."""

from fractions import Fraction
from typing import Any

TICKS_PER_S = 90_000
CLOCK = Fraction(1, TICKS_PER_S)


class Track:
    """Gives each packet its true duration, for which the next one is awaited.

    mp4's muxer ends fragments at any time, and then takes the end of a track's last packet for the
    time of its next one. What comes after `rest` is decoded where that packet ended (`moves`), and
    shown at its own time.
    """

    def __init__(self, stream: Any, moves: bool) -> None:
        self.stream = stream
        self._moves = moves
        self._time_base = CLOCK
        self._held: Any = None
        self._dts: int | None = None
        self._until = 0
        self._step = 0
        self._ended: int | None = None

    @property
    def shown_until(self) -> int:
        """When the last packet ends, in ticks of CLOCK."""
        return round(self._until * self._time_base / CLOCK)

    def put(self, packet: Any) -> list[Any]:
        """What can be muxed now that this packet has come."""
        self._time_base = packet.time_base
        if self._ended is not None:
            packet.dts = self._ended if self._moves else max(packet.dts, self._ended)
        elif self._dts is not None:
            packet.dts = max(packet.dts, self._dts + 1)
        packet.pts = max(packet.pts, packet.dts)
        self._ended = None
        held, self._held, self._dts = self._held, packet, packet.dts
        if held is None:
            return []
        held.duration = packet.dts - held.dts
        # After a gap it is decoded long before the next one, and not shown for so long.
        self._step = min(held.duration, 2 * (self._step or held.duration))
        self._until = max(self._until, held.pts + self._step)
        return [held]

    def rest(self) -> list[Any]:
        """The last packet: it lasts as long as the one before, and to the end of all."""
        held, self._held = self._held, None
        if held is None:
            return []
        held.duration = max(1, held.duration or self._step, self._until - held.pts)
        self._until = held.pts + held.duration
        self._ended = held.dts + held.duration
        return [held]

    def goes_on_after(self, ticks: int) -> None:
        """What comes next is decoded after `ticks` of CLOCK."""
        if self._ended is not None:
            self._ended = max(self._ended, round(ticks * CLOCK / self._time_base) + 1)
