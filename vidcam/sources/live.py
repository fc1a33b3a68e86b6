"""Network streams, cameras and the screen as they come; what is not live is played in real time."""

import errno
import os
import re
import sys
import time
from typing import TYPE_CHECKING

import av
from av.container import InputContainer

from vidcam.errors import SourceError, UsageError, redact
from vidcam.sources.capture import Capture
from vidcam.sources.causes import (
    AUTHENTICATION,
    NOT_FOUND,
    REFUSED,
    TIMEOUT,
    UNREACHABLE,
    cause_of,
    sentence,
)
from vidcam.sources.finish import Run
from vidcam.sources.inputs import is_live_url, is_url
from vidcam.sources.stream import PIECES, StreamSource

if TYPE_CHECKING:
    from vidcam.sources import LiveSource

SCREEN, LAVFI = "screen", "lavfi:"
SCREEN_RATE = 30
# RTSP says in its session description what others hide in the stream. `fflags=nobuffer` would throw
# away what was looked at, the first key frame with it.
BRIEF_LOOK = {"analyzeduration": "200000", "probesize": "65536"}
LONG_LOOK = {"analyzeduration": "1500000", "probesize": "2000000", "fpsprobesize": "0"}
NO_LOOK = {"probesize": "32", "fpsprobesize": "0"}
# These answers are final: another transport would bring the same.
FINAL = {REFUSED, AUTHENTICATION, NOT_FOUND, TIMEOUT, UNREACHABLE}


def open_capture(capture: Capture, run: Run) -> "LiveSource":
    """Open a source of any kind. Raises SourceError (with its cause) or UsageError."""
    from vidcam.sources.devices import open_device
    from vidcam.sources.paced import PacedSource

    uri, since_s = capture.uri, time.monotonic()
    if uri == SCREEN:
        return StreamSource(capture, run, _open_screen(capture), since_s)
    if uri.lower().startswith(LAVFI):
        return PacedSource(capture, run)
    if is_live_url(uri) or is_url(uri):
        container = _open_network(capture)
        if is_live_url(uri) or container.duration is None or container.format.name in PIECES:
            return StreamSource(capture, run, container, since_s)
        container.close()  # it has a length: a file
        return PacedSource(capture, run)
    if scheme := re.match(r"([a-z][a-z0-9+.-]+)://", uri, re.IGNORECASE):
        raise UsageError(
            f"{redact(uri)}: no {scheme[1]} sources here: give rtsp, rtmp, http, https, udp or tcp"
        )
    if not uri.isdigit() and os.path.isfile(uri):
        return PacedSource(capture, run)
    return open_device(capture, run)


def _open_network(capture: Capture) -> InputContainer:
    """The opened stream; RTSP over TCP if the server has it, because UDP loses packets."""
    rtsp = capture.uri.lower().startswith("rtsp")
    # The template of coded packets needs the parameter sets, which a brief look may not find.
    look = BRIEF_LOOK if rtsp and not capture.coded else LONG_LOOK
    transports = [{"rtsp_transport": "tcp"}, {}] if rtsp else [{}]
    timeout_s, started_s = capture.timeout_s, time.monotonic()
    for number, transport in enumerate(transports):
        left_s = max(0.1, timeout_s - (time.monotonic() - started_s))
        try:
            return av.open(
                capture.uri, "r", metadata_errors="ignore", options=look | transport,
                timeout=(left_s, timeout_s),
            )  # fmt: skip
        except (av.FFmpegError, OSError, ValueError) as error:
            cause = _cause_of_opening(error, time.monotonic() - started_s, timeout_s)
            if cause in FINAL or number == len(transports) - 1:
                break
    # Without the chain: FFmpeg's message holds the URL with its password.
    raise SourceError(f"{redact(capture.uri)}: {sentence(cause, timeout_s)}", cause=cause) from None


def _cause_of_opening(error: Exception, elapsed_s: float, timeout_s: float) -> str:
    if elapsed_s >= 0.95 * timeout_s:
        return TIMEOUT  # RTSP calls what it has of an interrupted answer invalid data
    if getattr(error, "errno", None) == errno.EIO:
        return UNREACHABLE  # a host name that is not known comes as an input/output error
    return cause_of(error)


def _open_screen(capture: Capture) -> InputContainer:
    """The screen of this platform. Raises SourceError without one."""
    name, what = {
        "darwin": ("avfoundation", "Capture screen 0:none"),
        "win32": ("gdigrab", "desktop"),
    }.get(sys.platform, ("x11grab", os.environ.get("DISPLAY", "")))
    if name not in av.formats_available:
        raise UsageError(f"screen: this PyAV cannot record the screen (its FFmpeg lacks {name})")
    if not what:
        raise SourceError("screen: there is no display ($DISPLAY is not set)", cause=NOT_FOUND)
    options = {"framerate": str(capture.fps or SCREEN_RATE)} | NO_LOOK
    if capture.size is not None:
        options["video_size"] = "{}x{}".format(*capture.size)
    timeout = capture.timeout_s, capture.timeout_s
    try:
        return av.open(what, "r", format=name, options=options, timeout=timeout)
    except (av.FFmpegError, OSError) as error:
        text = f"screen: the display {what} cannot be recorded ({cause_of(error)})"
        raise SourceError(text, cause=cause_of(error)) from error
