"""The errors of vidcam, each also the builtin that it means, so callers may catch either.

VidcamError                         exit 1
├── UsageError     (ValueError)     exit 2   wrong option, name or combination
│   └── UnknownName (LookupError)            a name that is not known; lists the nearest
├── SourceError    (OSError)        exit 3   a source could not be opened
├── SourceLost     (ConnectionError) exit 4  a source was lost for good
├── OutputError    (OSError)        exit 5   an output could not be written or failed its check
└── Interrupted    (KeyboardInterrupt) exit 130
"""

import difflib
import re
from collections.abc import Iterable

__all__ = [
    "Interrupted",
    "OutputError",
    "SourceError",
    "SourceLost",
    "UnknownName",
    "UsageError",
    "VidcamError",
    "redact",
    "system_reason",
]


# What cameras and streaming services call a password in a URL's query.
SECRET_PARAMETER = re.compile(
    r"([?&](?:\w*(?:pass|pwd|passwd|password|secret|token|key|auth|signature)|pw|sig)=)[^&#\s]+",
    re.IGNORECASE,
)


class VidcamError(Exception):
    """An error with one clear sentence for the user; `exit_code` is the process's."""

    exit_code = 1


class UsageError(VidcamError, ValueError):
    """Something on the command line, or an argument of the Python call, is wrong."""

    exit_code = 2


class UnknownName(UsageError, LookupError):
    """A name that is not among the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], note: str = "") -> None:
        """`note` follows the name: what else it is not."""
        names = list(dict.fromkeys(known))
        by_folded = {known_name.casefold(): known_name for known_name in names}
        near = difflib.get_close_matches(name.casefold(), by_folded, n=5, cutoff=0.5)
        nearest = [by_folded[folded] for folded in near] or names[:8]
        more = ", …" if not near and len(names) > len(nearest) else ""
        lead = "nearest" if near else "known"
        super().__init__(f"unknown {kind} {name!r}{note}; {lead}: {', '.join(nearest)}{more}")


class SourceError(VidcamError, OSError):
    """A source could not be opened, or holds nothing that can be decoded.

    `cause` says why in a word or two, for who counts or compares: "refused", "busy".
    """

    exit_code = 3

    def __init__(self, *args: object, cause: str = "") -> None:
        super().__init__(*args)
        self.cause = cause


class SourceLost(VidcamError, ConnectionError):
    """A source that was open broke off before its end; `cause` as in SourceError."""

    exit_code = 4

    def __init__(self, *args: object, cause: str = "") -> None:
        super().__init__(*args)
        self.cause = cause


class OutputError(VidcamError, OSError):
    """An output could not be written, or what was written failed its check."""

    exit_code = 5


class Interrupted(VidcamError, KeyboardInterrupt):
    """The user, or SIGTERM, asked for the end."""

    exit_code = 130


def system_reason(error: BaseException) -> str:
    """Why the system or FFmpeg refused, in its own words: "no space left on device"."""
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".").lower()


def redact(text: str) -> str:
    """`text` with `***` for the user and password of every URL in it, and for secret parameters."""
    text = re.sub(r"(\w+://)[^/?#\s]+@", r"\1***@", text)
    return SECRET_PARAMETER.sub(r"\1***", text)
