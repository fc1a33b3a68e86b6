"""Every option of vidcam: name, default, type, range and help, written once.

The command line's options are made from these fields (`cli/options.py`), and the Python calls take
the same dataclasses. Values may be given as on the command line (`roi="0,0,0.5,1"`,
`duration="10s"`) or as what they parse to. A wrong value raises UsageError.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any

from vidcam.errors import UnknownName, UsageError

LANGUAGES = ("zh", "zh-TW", "ja", "ko", "en")
VIDEO_CAMS = ("gradcam", "gradcam++", "layercam", "hirescam", "xgradcam", "eigencam", "none")
PICTURE_CAMS = ("scorecam", "ablationcam", "eigengradcam", "guided", "guided-gradcam")
COLORMAPS = (
    "autumn", "bone", "jet", "winter", "rainbow", "ocean", "summer", "spring",
    "cool", "hsv", "pink", "hot", "parula", "magma", "inferno", "plasma",
    "viridis", "cividis", "twilight", "twilight_shifted", "turbo", "deepgreen",
)  # fmt: skip
FITS = ("crop", "pad", "stretch")
FFMPEG_FLAG_MAX = 63


@dataclass(frozen=True)
class Spec:
    """What the command line needs to know of a field."""

    help: str
    choices: tuple[str, ...] = ()
    kind: str = "choice"
    minimum: float | None = None
    maximum: float | None = None
    parse: Callable[[str], Any] | None = None
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    multiple: bool = False


def option(default: Any, help: str, **spec: Any) -> Any:
    """A dataclass field that carries its Spec."""
    return field(default=default, metadata={"spec": Spec(help, **spec)})


def specs(options: type) -> dict[str, tuple[Any, Spec]]:
    """`{field name: (default, Spec)}` of an options class, in order."""
    return {f.name: (f.default, f.metadata["spec"]) for f in fields(options)}


def parse_seconds(text: str) -> float:
    """Seconds of `90`, `1.5`, `150ms`, `10s`, `10m` or `24h`."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h)?", text.strip())
    if not match:
        raise ValueError(f"{text!r} is no time: write seconds, or 150ms, 10m, 24h")
    scale = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
    return float(match[1]) * scale[match[2]]


def parse_roi(text: str) -> tuple[float, float, float, float]:
    """`x,y,w,h` in pixels, or in fractions of the picture when no number is above 1."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is no region: write x,y,w,h") from None
    if not (0 <= x < inf and 0 <= y < inf and 0 < width < inf and 0 < height < inf):
        raise ValueError(f"{text!r} is no region: x, y from 0, w, h above 0")
    return x, y, width, height


def parse_languages(text: str) -> tuple[str, ...]:
    """The languages of a comma-separated list."""
    known = {language.lower(): language for language in LANGUAGES}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name.lower() not in known:
            raise UnknownName("language", name, LANGUAGES)
    return tuple(dict.fromkeys(known[name.lower()] for name in names))


def parse_topk(text: str) -> int | None:
    """How many, None for all."""
    if text == "all":
        return None
    if not text.isdigit() or int(text) > 100_000:
        raise ValueError(f"{text!r} is no count: write a number from 0, or all")
    return int(text)


def parse_device(text: str) -> str:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise UnknownName("device", text, ("auto", "cpu", "cuda", "cuda:0", "mps"))
    return text


def parse_key_value(text: str) -> tuple[str, str]:
    """`k=v` as a pair."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError(f"{text!r} is no option: write name=value")
    return key, value


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which network, on what, with which names."""

    model: str = option(
        "efficientnet_lite0", "Network: a name, timm:NAME or a checkpoint.", metavar="NAME|FILE"
    )
    labels: str | None = option(
        None, "Label file, one a line, instead of the model's.", metavar="FILE", kind="file"
    )
    lang: tuple[str, ...] = option(
        ("zh",),
        f"Languages of the labels: {', '.join(LANGUAGES)}.",
        parse=parse_languages,
        metavar="LIST",
    )
    classes: str | None = option(
        None, "Only these classes compete: a,b,c or a file.", metavar="LIST|FILE"
    )
    fit: str | None = option(
        None, "How a picture becomes the network's square.", choices=FITS, kind="fit"
    )
    device: str = option("auto", "auto, cpu, cuda[:N] or mps.", parse=parse_device)
    backend: str = option(
        "auto",
        "Engine of the network.",
        choices=("auto", "torch", "compile", "openvino"),
        kind="backend",
    )
    precision: str = option(
        "auto",
        "Arithmetic of the network.",
        choices=("auto", "f32", "bf16", "fp16"),
        kind="precision",
    )
    batch: int | None = option(None, "Pictures in one call of the network.", minimum=1, maximum=512)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class CamOptions:
    """What is explained, and how the heat looks."""

    cam: str = option("gradcam", "Method of the heatmap.", choices=VIDEO_CAMS, kind="method")
    cam_every: int = option(1, "Explain every Nth classified frame.", minimum=1)
    layer: str | None = option(None, "Layer that is explained: a module path.", metavar="PATH")
    class_: str | None = option(
        None,
        "Class that is explained: index or name; else each frame's top.",
        flags=("--class",),
        metavar="CLASS",
    )
    alpha: float = option(0.5, "Opacity of the heat.", minimum=0, maximum=1)
    colormap: str = option(
        "jet", "Colours of the heat, by OpenCV's name.", choices=COLORMAPS, kind="colormap"
    )
    cam_raw: bool = option(False, "Plain map of each frame: no running scale, no smoothing.")


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """What the picture carries."""

    roi: tuple[float, float, float, float] | None = option(
        None, "Part of the picture that is classified, pixels or fractions.",
        parse=parse_roi, metavar="X,Y,W,H",
    )  # fmt: skip
    topk: int | None = option(
        5, "How many classes: N or all.", parse=parse_topk, minimum=0, metavar="N|all"
    )
    threshold: float = option(0.0, "Show scores from here; below it 未知.", minimum=0, maximum=1)
    smoothing: float = option(
        0.5,
        "Time constant of the shown scores; 0 = off.",
        parse=parse_seconds,
        minimum=0,
        metavar="TIME",
    )
    layout: str = option(
        "overlay", "One picture, or the original beside it.",
        choices=("overlay", "side-by-side"), kind="layout",
    )  # fmt: skip
    font: str | None = option(None, "Font file for the labels.", metavar="FILE", kind="file")


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How the output is written."""

    encoder: str = option("libx264", "Any video encoder of PyAV's FFmpeg.")
    crf: int = option(20, "Quality: lower is better.", minimum=0, maximum=FFMPEG_FLAG_MAX)
    preset: str = option("veryfast", "Speed of the encoder.")
    encoder_option: tuple[tuple[str, str], ...] = option(
        (), "Option of the encoder (repeatable).",
        parse=parse_key_value, multiple=True, metavar="K=V",
    )  # fmt: skip
    audio: bool = option(True, "Keep the sound.", flags=("--audio/--no-audio",))


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Which part of the source is read."""

    stride: int = option(1, "Classify every Nth frame; all are written.", minimum=1)
    track: int | None = option(None, "Video track; else FFmpeg's best.", minimum=0)
    start: float = option(0.0, "Begin here.", parse=parse_seconds, minimum=0, metavar="TIME")
    duration: float | None = option(
        None, "Stop after this.", parse=parse_seconds, minimum=0, metavar="TIME"
    )
    max_frames: int | None = option(None, "Stop after so many frames.", minimum=1)


@dataclass(frozen=True, kw_only=True)
class FileOptions(ReadOptions, EncodeOptions, ShowOptions, CamOptions, ModelOptions):
    """All options of `vidcam file`, `vidcam.stream` and `vidcam.run`."""


def check(options: Any) -> None:
    """Parse values given as text, then hold each against its choices and range."""
    for name, (default, spec) in specs(type(options)).items():
        flag = spec.flags[0] if spec.flags else "--" + name.replace("_", "-")
        value = getattr(options, name)
        parse = spec.parse or (_number_like(default) if spec.minimum is not None else None)
        if isinstance(default, bool) and not isinstance(value, bool):
            raise UsageError(f"{flag} {value!r}: must be True or False")
        value = _from_python(flag, value, default, spec)
        if isinstance(value, str) and parse:
            value = _parsed(flag, parse, value)
        object.__setattr__(options, name, value)
        if value is None or value == default:
            continue
        check_value(flag, value, spec)


def check_value(flag: str, value: Any, spec: Spec) -> None:
    """Raise UsageError when a parsed value breaks its Spec."""
    if spec.choices and value not in spec.choices:
        if value in PICTURE_CAMS:
            raise UsageError(
                f"--cam {value} needs many passes or another network for each picture, so it is "
                f"not for video; for video: {', '.join(spec.choices)}"
            )
        raise UnknownName(spec.kind, str(value), spec.choices)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    low, high = spec.minimum, spec.maximum
    if number and not ((low is None or value >= low) and (high is None or value <= high)):
        reach = f"from {low:g}" + (f" to {high:g}" if high is not None else "")
        raise UsageError(f"{flag} {value}: must be {reach}")


def _from_python(flag: str, value: Any, default: Any, spec: Spec) -> Any:
    """A value as Python callers may give it (281, a Path, a list), as the command line has it."""
    if spec.multiple:
        parse = spec.parse or str
        return tuple(_parsed(flag, parse, v) if isinstance(v, str) else v for v in value)
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    takes_text = spec.minimum is None and spec.parse is None and not isinstance(default, bool)
    return str(value) if takes_text and value is not None else value


def _number_like(default: Any) -> Callable[[str], float]:
    return float if isinstance(default, float) else int


def _parsed(flag: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None


def from_mapping(options: type, values: Iterable[tuple[str, Any]]) -> Any:
    """An options object of keyword arguments; an unknown keyword raises UnknownName."""
    given = dict(values)
    known = specs(options)
    for name in given:
        if name not in known:
            raise UnknownName("option", name, known)
    return options(**given)
