"""Containers and encoders: what this FFmpeg has, and whether a choice of them works."""

import io
import os
from functools import cache
from pathlib import Path
from typing import Any

import av
from av.codec import Codec, CodecContext
from av.format import Flags as ContainerFlags
from av.video.reformatter import ColorRange

from vidcam.errors import OutputError, UnknownName, UsageError, system_reason
from vidcam.options import EncodeOptions

# Both take x264's names of presets; other encoders have their own, or none.
X264_FAMILY = {"libx264", "libx264rgb", "libx265"}
USUAL_SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".m4v", ".avi", ".ts", ".gif")
X264_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    "placebo",
)  # fmt: skip
LARGEST_X264_CRF = 51
PROBE_PX = 256


def check_output(path: Path, options: EncodeOptions) -> None:
    """Raise UsageError or OutputError when this container and encoder cannot work together."""
    format_name = muxer_of(path)
    codec = encoder(options.encoder)
    if options.encoder in X264_FAMILY and options.preset not in X264_PRESETS:
        raise UnknownName("preset", options.preset, X264_PRESETS)
    with av.open(io.BytesIO(), "w", format=format_name) as container:
        held = container.supported_codecs
        usual = container.default_video_codec
    # MPEG-TS does not list what it holds.
    if format_name != "mpegts" and codec.canonical_name not in held:
        raise UsageError(
            f"{path.suffix} cannot hold {codec.canonical_name}; "
            f"write .mp4 or .mkv, or take --encoder {_encoder_for(usual)}"
        )
    try:
        _probe(options)
    except UsageError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        if _runs(options.encoder):
            raise UsageError(
                f"--encoder {options.encoder} refuses --preset {options.preset} --crf "
                f"{options.crf} {_listed(options)}({system_reason(error)})"
            ) from error
        raise OutputError(
            f"--encoder {options.encoder} does not run on this machine ({system_reason(error)}); "
            "libx264 runs everywhere"
        ) from error


def _probe(options: EncodeOptions) -> None:
    context: Any = CodecContext.create(options.encoder, "w")
    context.width = context.height = PROBE_PX
    configure(context, options)
    context.time_base = 1 / context.framerate
    context.open()


def _runs(name: str) -> bool:
    """Whether an encoder opens when it is asked for nothing special."""
    try:
        _probe(EncodeOptions(encoder=name))
    except (av.FFmpegError, OSError, ValueError):
        return False
    return True


def configure(context: Any, options: EncodeOptions) -> None:
    """Set quality, threads, pixel format and the user's options. Raises UnknownName."""
    known = context.supported_options
    private = {option.name for option in known.private}
    names = private | {option.name for option in known.generic}
    values: dict[str, str] = {}
    if options.crf > LARGEST_X264_CRF and options.encoder in X264_FAMILY:
        raise UsageError(f"--crf {options.crf}: {options.encoder} takes 0 to {LARGEST_X264_CRF}")
    if "crf" in private:
        values["crf"] = str(options.crf)
        context.bit_rate = 0
    if options.encoder in X264_FAMILY or (
        "preset" in private and options.preset != EncodeOptions.preset
    ):
        values["preset"] = options.preset
    for name, value in options.encoder_option:
        if name not in names:
            raise UnknownName(f"option of {options.encoder}", name, sorted(names))
        values[name] = value
    if options.encoder == "libx265":
        values["x265-params"] = ":".join(filter(None, ["log-level=0", values.get("x265-params")]))
    # These two libraries write pages to stderr by themselves, past FFmpeg's log.
    os.environ.setdefault("SVT_LOG", "1")
    context.options = values
    context.pix_fmt = pixel_format(context.codec)
    if context.pix_fmt.startswith("yuvj"):
        context.color_range = ColorRange.JPEG
    context.framerate = context.framerate or 25
    # PyAV's default gives x264 sliced threads, which cost quality and speed.
    context.thread_type = "FRAME"


def set_colours(context: Any, picture: av.VideoFrame) -> None:
    """Tag what `context` encodes with the colours of its first picture."""
    if not context.pix_fmt.startswith("yuvj"):
        context.color_range = picture.color_range
    context.colorspace = picture.colorspace
    context.color_primaries = picture.color_primaries
    context.color_trc = picture.color_trc


def pixel_format(codec: Codec) -> str:
    """The encoder's pixel format: yuv420p where it has it."""
    if codec.name == "mjpeg":
        return "yuvj420p"  # its yuv420p is refused
    names = [pixel.name for pixel in codec.video_formats or ()]
    for name in ("yuv420p", "yuvj420p"):
        if not names or name in names:
            return name
    return names[0]


def encoder(name: str) -> Codec:
    """The video encoder of a name. Raises UnknownName."""
    try:
        codec = Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        raise UnknownName("encoder", name, encoders()) from None
    if codec.type != "video":
        raise UnknownName("video encoder", name, encoders())
    return codec


@cache
def encoders() -> tuple[str, ...]:
    """The names of all video encoders."""
    found = []
    for name in sorted(av.codecs_available):
        try:
            codec = Codec(name, "w")
        except av.codec.codec.UnknownCodecError:
            continue
        if codec.type == "video" and not name.endswith("_v4l2m2m"):
            found.append(codec.name)
    return tuple(found)


@cache
def muxers() -> dict[str, str]:
    """`{suffix: muxer}` of every container that this FFmpeg writes."""
    by_suffix: dict[str, str] = {}
    for name in sorted(av.formats_available):
        try:
            muxer = av.ContainerFormat(name, "w")
        except ValueError:
            continue
        for extension in muxer.extensions:
            by_suffix.setdefault(f".{extension}", name)
    return by_suffix | {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm",
                        ".avi": "avi", ".ts": "mpegts", ".m4v": "mp4", ".gif": "gif"}  # fmt: skip


def muxer_of(path: Path) -> str:
    """The muxer of a file name. Raises UnknownName or UsageError."""
    suffix = path.suffix.lower()
    if not suffix:
        raise UsageError(f"{path}: a name without an ending; write {path}.mp4")
    if suffix not in muxers():
        raise UnknownName("container", suffix, [*USUAL_SUFFIXES, *muxers()])
    muxer = muxers()[suffix]
    no_timestamps: Any = ContainerFlags.no_timestamps
    if av.ContainerFormat(muxer, "w").flags & no_timestamps.value:
        raise UsageError(f"{path}: {suffix} keeps no times; write .mp4 or .mkv")
    return muxer


def _encoder_for(codec: str) -> str:
    return {"vp9": "libvpx-vp9", "vp8": "libvpx", "av1": "libsvtav1"}.get(codec, codec)


def _listed(options: EncodeOptions) -> str:
    return "".join(f"--encoder-option {k}={v} " for k, v in options.encoder_option)
