"""Where an output stream can go: addresses, their muxers, and what these hold."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from vidcam.errors import OutputError, UsageError, redact

MUXERS = {"rtmp": "flv", "rtmps": "flv", "rtsp": "rtsp", "udp": "mpegts", "tcp": "mpegts"}
HLS_SUFFIX = ".m3u8"
HELD = {
    "flv": ("h264", "hevc"),
    "rtsp": ("h264", "hevc"),
    "mpegts": ("h264", "hevc"),
    # What a browser plays from a transport stream.
    "hls": ("h264",),
}
OPTIONS = {
    "flv": {"flvflags": "no_duration_filesize"},
    # Through firewalls, and nothing lost on the way.
    "rtsp": {"rtsp_transport": "tcp"},
    "mpegts": {},
    "hls": {
        "hls_time": "2",
        "hls_list_size": "6",
        "hls_flags": "delete_segments+append_list+independent_segments+program_date_time+temp_file",
    },
}
# Neither sound that stops nor a block that is not full yet may hold up the pictures.
AT_ONCE = {"max_interleave_delta": "200000", "flush_packets": "1"}
# Seven packets of a transport stream, which go unbroken through every network.
DATAGRAM = 1316


@dataclass(frozen=True, slots=True)
class Target:
    """An address as FFmpeg takes it (it may hold a password) and as people may see it (`shown`).

    `listens` says that the receiver comes to us, which may take any time. `playlist` is that of
    HLS, whose segments lie beside it.
    """

    url: str = field(repr=False)
    shown: str
    muxer: str
    options: dict[str, str]
    listens: bool = False
    playlist: Path | None = None


def is_stream(uri: str) -> bool:
    """Whether an output is a stream rather than a file."""
    scheme, has_scheme, _ = uri.partition("://")
    if has_scheme:
        return scheme.lower() in MUXERS
    return uri.lower().endswith(HLS_SUFFIX)


def target_of(uri: str) -> Target:
    """The target of an output for which `is_stream`. Raises UsageError or OutputError."""
    if "://" not in uri:
        return _playlist(Path(uri))
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    shown = _shown(uri, scheme)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"{shown}: is no address; write {scheme}://HOST:PORT") from None
    if not host or (port is None and scheme in ("udp", "tcp")):
        raise UsageError(f"{shown}: is no address; write {scheme}://HOST:PORT")
    query = parse_qs(parts.query)
    if scheme == "udp" and "pkt_size" not in query:
        uri += f"{'&' if parts.query else '?'}pkt_size={DATAGRAM}"
    muxer = MUXERS[scheme]
    listens = query.get("listen", ["0"])[-1] not in ("", "0")
    return Target(uri, shown, muxer, AT_ONCE | OPTIONS[muxer], listens)


def _playlist(path: Path) -> Target:
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"{path}: folder {folder} does not exist; make it first")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: permission denied")
    segments = str(folder / path.stem).replace("%", "%%") + "-%d.ts"
    options = AT_ONCE | OPTIONS["hls"] | {"hls_segment_filename": segments}
    return Target(str(path), str(path), "hls", options, playlist=path)


def _shown(uri: str, scheme: str) -> str:
    """The address without its secrets: the last part of an RTMP path is often a stream key."""
    text = redact(uri).partition("?")[0]
    start = len(scheme) + len("://")
    if MUXERS[scheme] == "flv" and text.count("/", start) > 1:
        text = text[: text.rindex("/")] + "/…"
    return text
