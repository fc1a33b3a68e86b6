"""vidcam says, live, what a camera or a video shows and where it looked.

    for result in vidcam.stream("clip.mp4"):
        print(result.prediction.topk[0].label)

    vidcam.run("clip.mp4", "out.mp4")
    vidcam.predict("cat.jpg")
    vidcam.explain("cat.jpg").figure().savefig("why.png")

Importing vidcam loads neither torch nor OpenCV; the names below load what they need when used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidcam.errors import (
        Interrupted,
        OutputError,
        SourceError,
        SourceLost,
        UnknownName,
        UsageError,
        VidcamError,
    )
    from vidcam.options import FileOptions
    from vidcam.pictures.explainer import Explainer, explain
    from vidcam.pictures.explanation import Explanation, Heatmap
    from vidcam.pictures.options import ExplainOptions, ImageOptions
    from vidcam.pictures.predictor import Predictor, predict
    from vidcam.session import Session, run, stream
    from vidcam.types import Frame, Prediction, Rect, Result, RunStats, Score, StreamInfo

__version__ = "0.1.0"

_HOMES = {
    "vidcam.errors": (
        "Interrupted", "OutputError", "SourceError", "SourceLost", "UnknownName", "UsageError",
        "VidcamError",
    ),
    "vidcam.options": ("FileOptions",),
    "vidcam.pictures.explainer": ("Explainer", "explain"),
    "vidcam.pictures.explanation": ("Explanation", "Heatmap"),
    "vidcam.pictures.options": ("ExplainOptions", "ImageOptions"),
    "vidcam.pictures.predictor": ("Predictor", "predict"),
    "vidcam.session": ("Session", "run", "stream"),
    "vidcam.types": ("Frame", "Prediction", "Rect", "Result", "RunStats", "Score", "StreamInfo"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ExplainOptions",
    "Explainer",
    "Explanation",
    "FileOptions",
    "Frame",
    "Heatmap",
    "ImageOptions",
    "Interrupted",
    "OutputError",
    "Prediction",
    "Predictor",
    "Rect",
    "Result",
    "RunStats",
    "Score",
    "Session",
    "SourceError",
    "SourceLost",
    "StreamInfo",
    "UnknownName",
    "UsageError",
    "VidcamError",
    "explain",
    "predict",
    "run",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'vidcam' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
