"""The process that pushes one stream: coded packets from stdin to a receiver that may stall.

FFmpeg's network muxers block for ever when a receiver stalls, whatever time-outs they are given;
a process of its own can be killed. It is told all on stdin, the address too, because everyone may
read a command line. On stdout it gives `OPENED` and then one `PASSED` for each packet, on stderr
one line that says why it ended.
"""

import base64
import ctypes
import errno
import io
import json
import os
import re
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer, OutputContainer

from vidcam.errors import system_reason
from vidcam.sinks.queue import Parcel

OPENED, PASSED = b"o", b"."
PR_SET_PDEATHSIG = 1
PARENT_CHECK_S = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """What is pushed where. `header` is an mp4 file without pictures that describes the tracks.

    `extradata` is that of the encoder of the pictures, which mp4 would rewrite. `playlist` is the
    one of HLS; `parent` the process that must outlive this one.
    """

    url: str
    muxer: str
    options: dict[str, str]
    header: bytes
    extradata: bytes | None
    playlist: str | None
    parent: int

    def line(self) -> bytes:
        """Its form as the first line of stdin."""
        fields = asdict(self)
        for name in ("header", "extradata"):
            fields[name] = base64.b64encode(fields[name] or b"").decode()
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> "Job":
        """The job of a line."""
        fields = json.loads(line)
        fields["header"] = base64.b64decode(fields["header"])
        fields["extradata"] = base64.b64decode(fields["extradata"]) or None
        return cls(**fields)


def push(job: Job, packets: BinaryIO, reports: BinaryIO) -> None:
    """Push all that comes. Raises what FFmpeg or the system raises."""
    with av.open(io.BytesIO(job.header), "r", format="mp4") as described:
        container = av.open(job.url, "w", format=job.muxer, options=job.options)
        tracks = _tracks(container, described, job.extradata)
        container.start_encoding()
        _report(reports, OPENED)
        start: Fraction | None = None
        last_dts: dict[int, int] = {}
        while parcel := Parcel.read(packets):
            # Each connection's time begins at its first key frame.
            if start is None:
                start = parcel.dts * parcel.time_base
            packet = _packet(parcel, start)
            dts = packet.dts
            if dts is not None and dts > last_dts.get(parcel.track, -1):
                last_dts[parcel.track] = dts
                packet.stream = tracks[parcel.track]
                container.mux(packet)
            _report(reports, PASSED)
        container.close()


def _tracks(container: OutputContainer, described: InputContainer, extradata: bytes | None) -> Any:
    tracks: list[Any] = []
    for template in described.streams:
        track: Any = container.add_stream_from_template(template, opaque=True)
        if template.type == "video" and extradata is not None:
            track.codec_context.extradata = extradata
        tracks.append(track)
    return tracks


def _packet(parcel: Parcel, start: Fraction) -> Any:
    packet: Any = av.Packet(parcel.data)
    shift = round(start / parcel.time_base)
    packet.time_base = parcel.time_base
    packet.pts, packet.dts = parcel.pts - shift, parcel.dts - shift
    packet.duration = parcel.duration
    packet.is_keyframe = parcel.is_key
    return packet


def _report(reports: BinaryIO, what: bytes) -> None:
    reports.write(what)
    reports.flush()


def reason_of(error: BaseException, is_local: bool = False) -> str:
    """Why a push failed, in a few words and without its address; `is_local` is one to a folder."""
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return "authentication failed"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "not found"
    if isinstance(error, BrokenPipeError | ConnectionResetError | ConnectionAbortedError):
        return "broken pipe: the receiver has gone"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, EOFError | av.error.InvalidDataError):
        return "the receiver did not accept the stream"
    if getattr(error, "errno", None) == errno.EIO and not is_local:
        return "the connection failed; is the host's name right?"
    return system_reason(error).splitlines()[0]


def sweep(playlist: Path) -> None:
    """Delete segments of this playlist's name that it does not list: a killed push left them."""
    listed = playlist.read_text("utf-8", "replace").split() if playlist.is_file() else []
    own = re.compile(re.escape(playlist.stem) + r"-\d+\.ts(\.tmp)?")
    for path in playlist.parent.iterdir():
        if own.fullmatch(path.name) and path.name not in listed:
            path.unlink(missing_ok=True)


def _die_with(parent: int) -> None:
    """End when the parent does, however that ends and wherever this process hangs."""
    if sys.platform == "linux":
        # Python's own threads cannot do it: FFmpeg connects without letting them run.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent and sys.platform != "win32":
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)


def main() -> int:
    """Do the job that stdin describes; the exit code."""
    # The parent says when it is over: Ctrl-C and a service's stop reach all its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    job = Job.of(line)
    _die_with(job.parent)
    try:
        if job.playlist is not None:
            sweep(Path(job.playlist))
        push(job, sys.stdin.buffer, sys.stdout.buffer)
    except (av.FFmpegError, OSError, ValueError) as error:
        sys.stderr.write(f"{reason_of(error, job.playlist is not None)}\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Taking a broken connection apart can hang as well.
    os._exit(code)
