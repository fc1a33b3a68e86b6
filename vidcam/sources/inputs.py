"""The inputs of a command line: files, folders, globs and URLs as one list."""

import os
from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vidcam.errors import SourceError, redact

VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts",
    ".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2",
    ".ogv", ".mxf", ".dv", ".gif", ".apng", ".y4m", ".h264", ".264", ".h265",
    ".265", ".hevc", ".ivf", ".mjpeg", ".mjpg", ".rm", ".rmvb",
})  # fmt: skip
STREAM_SCHEMES = ("http", "https", "lavfi")
# What only a live source can be: it has no end to wait for.
LIVE_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "tcp", "rtp")


def expand(inputs: Sequence[str]) -> list[str]:
    """Each file once, in the order given; folders and globs sorted by name.

    A path that does not exist stays in the list: opening it says so. Raises SourceError when a
    folder or a glob holds no video.
    """
    found: list[str] = []
    for text in inputs:
        path = Path(text)
        if is_url(text) or path.is_file():
            found.append(text)
        elif path.is_dir():
            found += _videos(text, (str(entry) for entry in path.iterdir()))
        elif has_magic(text):
            found += _videos(text, glob(text, recursive=True), any_file=True)
        else:
            found.append(text)
    return list(dict.fromkeys(found))


def is_url(text: str) -> bool:
    """Whether an input is a URL rather than a path."""
    scheme, colon, _ = text.partition(":")
    return bool(colon) and scheme.lower() in STREAM_SCHEMES


def is_live_url(text: str) -> bool:
    """Whether a `--camera` is the URL of a stream that only `live` reads."""
    scheme, colon, _ = text.partition("://")
    return bool(colon) and scheme.lower() in LIVE_SCHEMES


def name_of(uri: str) -> str:
    """The name of a source for people and records: without folders, without passwords."""
    if is_live_url(uri):
        # Cameras share their paths ("stream1"), so the host is part of the name.
        host, slash, path = uri.partition("://")[2].rpartition("@")[2].partition("/")
        return unquote(host + slash + path.partition("?")[0]).rstrip("/")
    if uri.isdigit():
        return f"camera {uri}"
    if not is_url(uri):
        # A name that is no UTF-8, as archives from elsewhere leave, must not break records.
        return os.fsencode(Path(uri).name).decode("utf-8", "replace")
    if uri.startswith("lavfi:"):
        return uri
    return unquote(Path(urlsplit(uri).path).name) or urlsplit(redact(uri)).netloc


def stem_of(uri: str) -> str:
    """The `{stem}` of an output name."""
    if uri.startswith("lavfi:"):
        return "".join(c if c.isalnum() else "_" for c in uri[6:].split("=")[0]) or "lavfi"
    return Path(name_of(uri) if is_url(uri) else uri).stem


def _videos(text: str, paths: Iterable[str], any_file: bool = False) -> list[str]:
    files = sorted(path for path in paths if Path(path).is_file())
    videos = [path for path in files if any_file or Path(path).suffix.lower() in VIDEO_SUFFIXES]
    if not videos:
        kind = "pattern" if any_file else "folder"
        raise SourceError(f"{kind} {text}: holds no video file")
    return videos
