"""The options of the commands for still pictures, written as those of `vidcam/options.py`."""

from dataclasses import dataclass

from vidcam.options import (
    BATCH_HELP,
    MOST_IN_BATCH,
    PICTURE_CAMS,
    VIDEO_CAMS,
    FontOptions,
    HeatOptions,
    ModelOptions,
    ScoreOptions,
)
from vidcam.spec import option
from vidcam.values import parse_grid, parse_topk

EXPLAIN_CAMS = (*(name for name in VIDEO_CAMS if name != "none"), *PICTURE_CAMS)


@dataclass(frozen=True, kw_only=True)
class ImageOptions(FontOptions, ScoreOptions, ModelOptions):
    """All options of `vidcam image` and `vidcam.predict`."""

    topk: int | None = option(
        10, "How many classes: N or all.", parse=parse_topk, minimum=0, metavar="N|all"
    )
    layout: str | None = option(
        None, "Also draw each picture: its labels on it, a bar chart, or both beside each other.",
        choices=("overlay", "chart", "both"), kind="layout",
    )  # fmt: skip
    batch: int | None = option(None, BATCH_HELP, minimum=1, maximum=MOST_IN_BATCH)


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(FontOptions, HeatOptions, ModelOptions):
    """All options of `vidcam explain` and `vidcam.explain`."""

    backend: str = option(
        "auto", "Engine of the network.", choices=("auto", "torch"), kind="backend",
        refused=("compile", "openvino"),
        refusal="has no gradients, and a single picture gains nothing by it; for pictures",
    )  # fmt: skip
    precision: str = option(
        "auto", "Arithmetic of the network.", choices=("auto", "f32"), kind="precision",
        refused=("bf16", "fp16"), refusal="is for speed; pictures are explained in",
    )  # fmt: skip
    cam: tuple[str, ...] = option(
        ("gradcam",), "Method (repeatable): " + ", ".join(EXPLAIN_CAMS) + ".",
        choices=EXPLAIN_CAMS, kind="method", multiple=True,
    )  # fmt: skip
    class_: tuple[str, ...] = option(
        (), "Class that is explained (repeatable): index, name or top1, top2…; else the top class.",
        flags=("--class",), multiple=True, metavar="CLASS",
    )  # fmt: skip
    layer: tuple[str, ...] = option(
        (), "Layer that is explained (repeatable): a module path; see vidcam layers.",
        multiple=True, metavar="PATH",
    )  # fmt: skip
    aggregate: bool = option(False, "Average the maps of several layers.")
    reshape: tuple[int, int] | None = option(
        None, "Grid of a transformer's tokens, else a square one.",
        parse=parse_grid, metavar="HxW",
    )  # fmt: skip
    aug_smooth: bool = option(False, "Average over mirrored and brighter pictures.")
    eigen_smooth: bool = option(False, "Keep the first principal component.")
