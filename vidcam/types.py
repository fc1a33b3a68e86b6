"""The values that travel through the pipeline. Sizes are `width, height`; arrays are (H, W)."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]

UNKNOWN_INDEX = -1


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in pixels of a picture; `x, y` is its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"an empty rectangle: {self}")

    def as_list(self) -> list[int]:
        """`[x, y, width, height]`."""
        return [self.x, self.y, self.width, self.height]


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What is known of a source when it has delivered its first frame.

    `width, height` are those of the pictures as they are shown (upright, even). `rate` is the
    average rate in frames per second and `time_base` the unit of the frames' `pts`. `frames` and
    `duration_s` are the source's own claim, None where it makes none. `audio` is the av stream
    whose packets come with the frames, None without sound; `coded` is that of the pictures
    themselves, for who copies them. Of a live source both are templates that outlive it, and
    `coded` is None when the source gives raw pixels.
    """

    name: str
    uri: str
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    frames: int | None = None
    duration_s: float | None = None
    live: bool = False
    audio: Any = None
    coded: Any = None
    sample_aspect_ratio: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source: yuv420p, upright, even-sized; its time rides on it."""

    picture: av.VideoFrame
    source: str
    index: int
    captured_s: float

    @property
    def time_s(self) -> float:
        """Presentation time in seconds from the start of the source."""
        pts, time_base = self.picture.pts, self.picture.time_base
        return float(pts * time_base) if pts is not None and time_base is not None else 0.0

    @property
    def size_bytes(self) -> int:
        """Memory that the picture holds."""
        return self.picture.width * self.picture.height * 3 // 2


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """A coded sound packet, times shifted to the source's start."""

    packet: Any
    source: str

    @property
    def size_bytes(self) -> int:
        """Memory that the packet holds."""
        return int(self.packet.size)


@dataclass(frozen=True, slots=True)
class CodedPacket:
    """A coded packet of the pictures as the source sent it, times as its frames'."""

    packet: Any
    source: str

    @property
    def size_bytes(self) -> int:
        """Memory that the packet holds."""
        return int(self.packet.size)


@dataclass(frozen=True, slots=True)
class Changed:
    """A live source delivers, for the first time or again; `info` may differ from before."""

    source: str
    info: StreamInfo
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Lost:
    """A live source has gone; `cause` in a few words, `since_s` the time (of `time.time`)."""

    source: str
    cause: str
    since_s: float
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Frames and the pixels that the network gets: (N, S, S, 3) uint8 RGB."""

    frames: tuple[Frame, ...]
    pixels: Pixels

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[0] != len(self.frames):
            raise ValueError(f"{len(self.frames)} frames, pixels of shape {self.pixels.shape}")


@dataclass(frozen=True, slots=True)
class Score:
    """One class of a prediction; `score` is its softmax probability, None for "unknown"."""

    index: int
    label: str
    label_en: str
    score: float | None

    def as_record(self) -> dict[str, Any]:
        """The form of the JSON records."""
        score = None if self.score is None else round(self.score, 6)
        return {
            "index": self.index,
            "label": self.label,
            "label_en": self.label_en,
            "score": score,
        }


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of a frame, and where it looked.

    `topk` is this frame alone; `shown` is what the picture carries (smoothed, above the
    threshold). `cam` is (h, w) float32 in [0, 1] at the size of the layer's grid and covers `crop`
    of the picture, None without an explanation; `cam_fresh` is False on carried maps.
    """

    topk: tuple[Score, ...]
    shown: tuple[Score, ...]
    crop: Rect
    cam: Map | None = None
    cam_class: int | None = None
    cam_fresh: bool = False

    def __post_init__(self) -> None:
        if self.cam is not None and self.cam.ndim != 2:
            raise ValueError(f"a map is (h, w), not {self.cam.shape}")


@dataclass(frozen=True, slots=True)
class Result:
    """A frame and its prediction; `latency_s` counts from capture to prediction.

    `age_s` is how much older the frame is that was classified: 0 when it is this one. `window` is
    the prediction as the window's keys want it explained, None when that is the same.
    """

    frame: Frame
    prediction: Prediction
    latency_s: float
    age_s: float = 0.0
    window: Prediction | None = None


@dataclass(slots=True)
class RunStats:
    """Counts and times of one run; `stages_s` are seconds of wall time by stage."""

    read: int = 0
    corrupt: int = 0
    classified: int = 0
    explained: int = 0
    written: int = 0
    wall_s: float = 0.0
    stages_s: dict[str, float] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frames written per second of wall time."""
        return self.written / self.wall_s if self.wall_s else 0.0

    def add(self, stage: str, seconds: float) -> None:
        """Count `seconds` of a stage."""
        self.stages_s[stage] = self.stages_s.get(stage, 0.0) + seconds
