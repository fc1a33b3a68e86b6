"""Every option of vidcam, written once: `spec.py` says how, the classes below group them."""

from dataclasses import dataclass
from fractions import Fraction

from vidcam.spec import check, option
from vidcam.values import (
    LANGUAGES,
    Keep,
    parse_device,
    parse_every,
    parse_keep,
    parse_key_value,
    parse_languages,
    parse_rate,
    parse_roi,
    parse_seconds,
    parse_size,
    parse_topk,
)

VIDEO_CAMS = ("gradcam", "gradcam++", "layercam", "hirescam", "xgradcam", "eigencam", "none")
# Those of the grad-cam library, and guided backpropagation: for pictures, not for video.
PICTURE_CAMS = (
    "scorecam", "ablationcam", "eigengradcam", "fem", "finercam", "fullgrad", "gradcamelementwise",
    "kpcacam", "randomcam", "refinecam", "segeigencam", "sess", "shapleycam", "guided",
    "guided-gradcam",
)  # fmt: skip
COLORMAPS = (
    "autumn", "bone", "jet", "winter", "rainbow", "ocean", "summer", "spring",
    "cool", "hsv", "pink", "hot", "parula", "magma", "inferno", "plasma",
    "viridis", "cividis", "twilight", "twilight_shifted", "turbo", "deepgreen",
)  # fmt: skip
FLIPS = ("none", "horizontal", "vertical", "both")
FITS = ("crop", "pad", "stretch")
FFMPEG_FLAG_MAX = 63
BATCH_HELP, MOST_IN_BATCH = "Pictures in one call of the network.", 512


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which network, on what, with which names."""

    model: str = option(
        "efficientnet_lite0",
        "Network: a name, timm:NAME, a checkpoint or a RUN folder.",
        metavar="NAME|FILE",
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

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class CamOptions:
    """What is explained."""

    cam: str = option(
        "gradcam", "Method of the heatmap.", choices=VIDEO_CAMS, kind="method",
        refused=PICTURE_CAMS,
        refusal="needs many passes or another network for each picture, so it is not for video; "
        "for video",
    )  # fmt: skip
    cam_every: int = option(1, "Explain every Nth classified frame.", minimum=1)
    layer: str | None = option(None, "Layer that is explained: a module path.", metavar="PATH")
    class_: str | None = option(
        None,
        "Class that is explained: index or name; else each frame's top.",
        flags=("--class",),
        metavar="CLASS",
    )
    cam_raw: bool = option(False, "Plain map of each frame: no running scale, no smoothing.")


@dataclass(frozen=True, kw_only=True)
class HeatOptions:
    """The colours of the heat."""

    alpha: float = option(0.5, "Opacity of the heat.", minimum=0, maximum=1)
    colormap: str = option(
        "jet", "Colours of the heat, by OpenCV's name.", choices=COLORMAPS, kind="colormap"
    )


@dataclass(frozen=True, kw_only=True)
class FontOptions:
    """What text is drawn with."""

    font: str | None = option(None, "Font file for the labels.", metavar="FILE", kind="file")


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """How many classes are told."""

    topk: int | None = option(
        5, "How many classes: N or all.", parse=parse_topk, minimum=0, metavar="N|all"
    )
    threshold: float = option(
        0.0, "Show scores from here, below it 未知; 0: from a trained model's own thresholds.",
        minimum=0, maximum=1,
    )  # fmt: skip
    unknown: bool = option(
        True, "Say 未知 where the scores are too low.", flags=("--unknown/--no-unknown",)
    )


@dataclass(frozen=True, kw_only=True)
class ShowOptions(ScoreOptions):
    """What the picture carries."""

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

    roi: tuple[float, float, float, float] | None = option(
        None, "Part of the picture that is classified, pixels or fractions.",
        parse=parse_roi, metavar="X,Y,W,H",
    )  # fmt: skip
    stride: int = option(1, "Classify every Nth frame; all are written.", minimum=1)
    track: int | None = option(None, "Video track; else FFmpeg's best.", minimum=0)
    start: float = option(0.0, "Begin here.", parse=parse_seconds, minimum=0, metavar="TIME")
    duration: float | None = option(
        None, "Stop after this.", parse=parse_seconds, minimum=0, metavar="TIME"
    )
    max_frames: int | None = option(None, "Stop after so many frames.", minimum=1)


@dataclass(frozen=True, kw_only=True)
class CameraOptions:
    """What is captured, and what happens when it goes away. Repeated options go by `--camera`."""

    camera: tuple[str, ...] = option(
        ("0",), "Camera: an index, device, name, URL, file, lavfi:GRAPH or screen (repeatable).",
        multiple=True, metavar="SOURCE",
    )  # fmt: skip
    camera_size: tuple[tuple[int, int], ...] = option(
        (), "Size asked of a device (once, or once per camera).",
        parse=parse_size, multiple=True, metavar="WxH",
    )  # fmt: skip
    camera_fps: tuple[Fraction, ...] = option(
        (), "Rate asked of a device (once, or once per camera).",
        parse=parse_rate, multiple=True, metavar="FPS",
    )  # fmt: skip
    camera_format: tuple[str, ...] = option(
        (), "Format asked of a device, as `vidcam cameras` names it; else MJPG, if it has it.",
        multiple=True, metavar="NAME",
    )  # fmt: skip
    flip: tuple[str, ...] = option(
        (), "Mirror the picture (once, or once per camera).",
        choices=FLIPS, kind="flip", multiple=True, metavar="HOW",
    )  # fmt: skip
    roi: tuple[tuple[float, float, float, float], ...] = option(
        (), "Part of the picture that is classified, pixels or fractions (once per camera).",
        parse=parse_roi, multiple=True, metavar="X,Y,W,H",
    )  # fmt: skip
    loop: bool = option(False, "Play a file again and again.")
    timeout: float = option(
        10.0, "A source that is silent for so long is gone.",
        parse=parse_seconds, minimum=0.1, metavar="TIME",
    )  # fmt: skip
    reconnect: int | None = option(
        None, "Give a source up after so many tries in a row; else never.", minimum=0
    )
    classify_every: int | None = option(
        None, "Classify every Nth frame; auto: the newest, whenever the network is free.",
        parse=parse_every, minimum=1, metavar="N|auto",
    )  # fmt: skip
    duration: float | None = option(
        None, "Stop after this.", parse=parse_seconds, minimum=0, metavar="TIME"
    )
    max_frames: int | None = option(None, "Stop after so many frames of each camera.", minimum=1)


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    """How live recordings are cut and kept."""

    segment: float | None = option(
        None, "Begin a new file every so often; -o may hold strftime fields.",
        parse=parse_seconds, minimum=1, metavar="TIME",
    )  # fmt: skip
    keep: Keep | None = option(
        None, "Delete the oldest files of -o's own name beyond this age or size in all.",
        parse=parse_keep, metavar="24h|50GB",
    )  # fmt: skip
    record_raw: str | None = option(
        None, "Write the source's own coded packets beside the explained picture.", metavar="PATH"
    )


@dataclass(frozen=True, kw_only=True)
class EventOptions:
    """What counts as a change of the label, and what follows from it."""

    confirm: float = option(
        0.5, "A new label counts when it has held for so long.",
        parse=parse_seconds, minimum=0, metavar="TIME",
    )  # fmt: skip
    on_event: str | None = option(
        None, "Run this (without a shell) at each change; the fields are in its environment.",
        metavar="COMMAND",
    )  # fmt: skip
    event_snapshots: str | None = option(
        None, "Save the pictures before and after each change here.", metavar="DIR"
    )


@dataclass(frozen=True, kw_only=True)
class VideoOptions(FontOptions, ShowOptions, HeatOptions, CamOptions, ModelOptions):
    """What `file` and `live` share: the network, the map, and what the picture carries."""


@dataclass(frozen=True, kw_only=True)
class FileOptions(ReadOptions, EncodeOptions, VideoOptions):
    """All options of `vidcam file`, `vidcam.stream` and `vidcam.run`."""

    batch: int | None = option(None, BATCH_HELP, minimum=1, maximum=MOST_IN_BATCH)


@dataclass(frozen=True, kw_only=True)
class BenchOptions(FileOptions):
    """All options of `vidcam bench`: those of `file`, and how much is measured."""

    max_frames: int = option(
        180, "How many frames are measured.", flags=("--frames", "--max-frames"), minimum=1
    )
    repeats: int = option(3, "How often; the medians count.", minimum=1, maximum=1000)
    # A size given from Python as (1280, 720) comes as text with a comma.
    size: tuple[int, int] = option(
        "1280x720", "Size of the clip that is made when none is given.",
        parse=lambda text: parse_size(text.replace(",", "x")), metavar="WxH",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LiveOptions(EventOptions, RecordOptions, EncodeOptions, VideoOptions, CameraOptions):
    """All options of `vidcam live`."""
