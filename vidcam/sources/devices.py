"""Cameras of this machine: finding them, what they offer, and opening one."""

import logging
import sys
import time
from typing import TYPE_CHECKING

import av
import av.device
from av.container import InputContainer

from vidcam.errors import SourceError
from vidcam.sources.capture import Capture
from vidcam.sources.causes import BUSY, NOT_FOUND, PERMISSION, TIMEOUT, cause_of, sentence
from vidcam.sources.finish import Run
from vidcam.sources.v4l2 import Camera, cameras_of_linux

if TYPE_CHECKING:
    from vidcam.sources import LiveSource

log = logging.getLogger("vidcam")

INPUT_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
# Cameras compress more pictures a second than the bus would carry raw.
PREFERRED = "MJPG"
# The names of V4L2's formats, as `vidcam cameras` lists them, in FFmpeg.
FFMPEG_NAMES = {
    "MJPG": "mjpeg", "JPEG": "mjpeg", "YUYV": "yuyv422", "UYVY": "uyvy422", "YU12": "yuv420p",
    "NV12": "nv12", "GREY": "gray", "RGB3": "rgb24", "BGR3": "bgr24", "H264": "h264",
    "HEVC": "hevc",
}  # fmt: skip
# AVFMT_FLAG_NONBLOCK has no name among the options.
NONBLOCK = 4
# These say all there is to say: OpenCV could do no more.
FINAL = {NOT_FOUND, BUSY, PERMISSION, TIMEOUT}


def list_cameras() -> list[Camera]:
    """The cameras of this machine, by index."""
    if sys.platform == "linux":
        return cameras_of_linux()
    try:
        devices = av.device.enumerate_input_devices(INPUT_FORMATS.get(sys.platform, ""))
    except (av.FFmpegError, ValueError):
        return []
    videos = [one for one in devices if "video" in (one.media_types or ["video"])]
    return [
        Camera(number, one.description or one.name, one.name, ())
        for number, one in enumerate(videos)
    ]


def path_of_device(uri: str) -> str:
    """What FFmpeg opens for an index, a path or a listed name. Raises SourceError."""
    if sys.platform == "linux" and uri.isdigit():
        return f"/dev/video{uri}"
    if uri.startswith("/dev/"):
        return uri
    cameras = list_cameras()
    for camera in cameras:
        if uri == str(camera.index) or uri.casefold() in (camera.name.casefold(), camera.path):
            return f"video={camera.path}" if sys.platform == "win32" else camera.path
    known = ", ".join(repr(camera.name) for camera in cameras) or "none"
    raise SourceError(
        f"{uri}: neither a file nor a camera of this machine (cameras: {known})", cause=NOT_FOUND
    )


def open_device(capture: Capture, run: Run) -> "LiveSource":
    """The camera by PyAV, else by OpenCV. Raises SourceError."""
    from vidcam.sources.stream import StreamSource

    path, since_s = path_of_device(capture.uri), time.monotonic()
    try:
        source: LiveSource = StreamSource(capture, run, _open_container(capture, path), since_s)
    except (SourceError, av.FFmpegError, OSError, ValueError) as error:
        cause = cause_of(error)
        if cause in FINAL:
            raise SourceError(_why(path, cause, capture.timeout_s), cause=cause) from error
    else:
        log.info("%s: %dx%d by PyAV", source.name, source.info.width, source.info.height)
        return source
    from vidcam.sources.opencv import OpenCvSource

    try:
        source = OpenCvSource(capture, run, path)
    except SourceError:
        raise SourceError(_why(path, cause, capture.timeout_s), cause=cause) from None
    log.info("%s: %dx%d by OpenCV, because PyAV cannot (%s)", source.name, source.info.width,
             source.info.height, cause)  # fmt: skip
    return source


def _why(path: str, cause: str, timeout_s: float) -> str:
    words = {
        NOT_FOUND: "no such camera (vidcam cameras lists them)",
        PERMISSION: "permission denied: add your user to the group video "
        "(sudo usermod -aG video $USER) and log in again",
        TIMEOUT: f"no picture within {timeout_s:g} s",
    }
    return f"camera {path}: {words.get(cause) or sentence(cause, timeout_s)}"


def _open_container(capture: Capture, path: str) -> InputContainer:
    """The opened device: MJPG is asked for first, before size and rate."""
    formats = [capture.format] if capture.format else [PREFERRED, None]
    input_format = INPUT_FORMATS.get(sys.platform, "")
    for number, wanted in enumerate(formats):
        # Not waiting inside the driver: a camera that hangs is noticed, and the end is quick.
        options = {"fflags": f"+{NONBLOCK}"}
        if wanted is not None:
            options["input_format"] = FFMPEG_NAMES.get(wanted.upper(), wanted.lower())
        if capture.size is not None:
            options["video_size"] = "{}x{}".format(*capture.size)
        if capture.fps is not None:
            options["framerate"] = str(capture.fps)
        timeout = capture.timeout_s, capture.timeout_s
        try:
            return av.open(path, "r", format=input_format, options=options, timeout=timeout)
        except (av.FFmpegError, OSError, ValueError) as error:
            if number == len(formats) - 1 or cause_of(error) in FINAL:
                raise
    raise AssertionError("one of the formats returns or raises")
