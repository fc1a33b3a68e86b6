"""Results of a live source as tests want them: which label is seen at which time."""

import time
from fractions import Fraction

import av
from clips import picture_of, quadrants

from vidcam.types import Frame, Prediction, Rect, Result, Score

CAT = Score(281, "虎斑猫", "tabby", 0.83)
MUG = Score(504, "咖啡杯", "coffee mug", 0.6)
DOG = Score(207, "金毛寻回犬", "golden retriever", 0.9)
UNKNOWN = Score(-1, "未知", "unknown", None)
CLOCK = Fraction(1, 1000)


def picture(size: tuple[int, int] = (64, 48)) -> av.VideoFrame:
    """Any picture."""
    return picture_of(quadrants(0, *size), "yuv420p")


def seen(label: Score | None, time_s: float, index: int | None = None, **keywords) -> Result:
    """The result of a frame at a time on which `label` is shown."""
    image = keywords.pop("image", None) or picture()
    image.pts, image.time_base = round(time_s / CLOCK), CLOCK
    index = round(time_s * 10) if index is None else index
    captured_s = keywords.pop("captured_s", time.monotonic())
    frame = Frame(image, keywords.pop("source", "cam"), index, captured_s)
    shown = () if label is None else (label,)
    return Result(frame, Prediction(shown, shown, Rect(0, 0, 64, 48)), 0.01)
