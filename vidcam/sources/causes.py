"""Why a source could not be opened, or broke off, in a word or two."""

import errno

import av
from av.codec.codec import UnknownCodecError

from vidcam.errors import SourceError, SourceLost, system_reason

REFUSED, TIMEOUT, AUTHENTICATION = "refused", "timeout", "authentication"
NOT_FOUND, UNSUPPORTED, UNPLUGGED = "not found", "unsupported codec", "unplugged"
BUSY, PERMISSION, END = "busy", "permission denied", "end of stream"
INVALID = "invalid data"
UNREACHABLE, BROKEN_OFF, SIZE_CHANGED = "unreachable", "broken off", "size changed"

# The first kind that fits: what FFmpeg raises is often several of them.
BY_KIND: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError), AUTHENTICATION),
    ((av.error.HTTPNotFoundError, FileNotFoundError), NOT_FOUND),
    ((av.error.ExitError, TimeoutError), TIMEOUT),
    ((av.error.DecoderNotFoundError, av.error.PatchWelcomeError, UnknownCodecError), UNSUPPORTED),
    (ConnectionRefusedError, REFUSED),
    ((ConnectionResetError, ConnectionAbortedError, BrokenPipeError), BROKEN_OFF),
    (PermissionError, PERMISSION),
    (EOFError, END),
    (av.error.InvalidDataError, INVALID),
)
BY_NUMBER = {
    errno.ENODEV: UNPLUGGED,
    errno.ENXIO: UNPLUGGED,
    errno.EBUSY: BUSY,
    errno.EIO: BROKEN_OFF,
    errno.EHOSTUNREACH: UNREACHABLE,
    errno.ENETUNREACH: UNREACHABLE,
    errno.EHOSTDOWN: UNREACHABLE,
    errno.ENETDOWN: UNREACHABLE,
    errno.EADDRNOTAVAIL: UNREACHABLE,
}


def cause_of(error: BaseException) -> str:
    """The cause of an error of FFmpeg's, the system's or our own; else the system's own words."""
    if isinstance(error, SourceError | SourceLost) and error.cause:
        return error.cause
    for kinds, cause in BY_KIND:
        if isinstance(error, kinds):
            return cause
    number = getattr(error, "errno", None)
    return BY_NUMBER.get(number or 0) or system_reason(error) or type(error).__name__


def sentence(cause: str, timeout_s: float) -> str:
    """A cause in words for a message: what is the matter, and what to do where that is known."""
    words = {
        REFUSED: "connection refused: nothing listens there",
        TIMEOUT: f"silent for {timeout_s:g} s",
        AUTHENTICATION: "user or password is wrong or missing",
        NOT_FOUND: "not found there",
        UNSUPPORTED: "its codec is not in this FFmpeg",
        UNPLUGGED: "unplugged",
        BUSY: "busy: another program uses it",
        BROKEN_OFF: "broke off",
        END: "the stream ended",
        INVALID: "what comes is not a video stream",
        UNREACHABLE: "cannot be reached: check the address and the network",
    }
    return words.get(cause, cause)
