"""What FFmpeg and the system raise, in the words that are logged and counted."""

import errno
import os
import socket

import av
import pytest
from rtsp_server import free_port

from vidcam.errors import SourceError, SourceLost
from vidcam.sources.causes import cause_of, sentence


def error_of(number):
    return OSError(number, os.strerror(number))


def opening(uri, **arguments):
    with pytest.raises((av.FFmpegError, OSError)) as caught:
        av.open(uri, timeout=(0.3, 0.3), **arguments)
    return caught.value


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.ECONNREFUSED, "refused"),
        (errno.ENOENT, "not found"),
        (errno.EACCES, "permission denied"),
        (errno.EPERM, "permission denied"),
        (errno.EBUSY, "busy"),
        (errno.ENODEV, "unplugged"),
        (errno.ENXIO, "unplugged"),
        (errno.ETIMEDOUT, "timeout"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ECONNRESET, "broken off"),
        (errno.EPIPE, "broken off"),
        (errno.EIO, "broken off"),
        (errno.ENOSPC, "no space left on device"),
    ],
)
def test_errors_of_the_system(number, cause):
    assert cause_of(error_of(number)) == cause


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("HTTP_UNAUTHORIZED", "authentication"),
        ("HTTP_FORBIDDEN", "authentication"),
        ("HTTP_NOT_FOUND", "not found"),
        ("DECODER_NOT_FOUND", "unsupported codec"),
        ("EXIT", "timeout"),
        ("EOF", "end of stream"),
        ("INVALIDDATA", "invalid data"),
    ],
)
def test_errors_of_ffmpeg(code, cause):
    with pytest.raises(av.FFmpegError) as caught:
        av.error.err_check(-int(av.error.ErrorType[code]))
    assert cause_of(caught.value) == cause


def test_errors_that_really_come(tmp_path):
    assert cause_of(opening(f"tcp://127.0.0.1:{free_port()}")) == "refused"
    assert cause_of(opening(str(tmp_path / "gone.mp4"))) == "not found"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert cause_of(opening(f"tcp://127.0.0.1:{silent.getsockname()[1]}")) == "timeout"


def test_our_own_errors_keep_their_cause():
    assert cause_of(SourceError("x", cause="busy")) == "busy"
    assert cause_of(SourceLost("x", cause="size changed")) == "size changed"
    assert cause_of(RuntimeError()) == "RuntimeError"


def test_sentences_say_what_to_do():
    assert "nothing listens" in sentence("refused", 5)
    assert sentence("timeout", 2.5) == "silent for 2.5 s"
    assert sentence("no space left on device", 1) == "no space left on device"
