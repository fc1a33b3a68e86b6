"""The options of `vidcam import`, written as those of `vidcam/options.py`."""

import math
from dataclasses import dataclass

from vidcam.options import FITS
from vidcam.spec import check, option

MOST_PX = 4096
LEVELS = 255.0


def parse_levels(text: str) -> tuple[float, float, float]:
    """Three numbers R,G,B on 0..255, of such or of shares of 255 as torchvision has them."""
    parts = text.split(",")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != 3 or not all(math.isfinite(value) for value in values):
        raise ValueError(f"{text!r} is not three numbers: write 0.485,0.456,0.406")
    scale = LEVELS if max(map(abs, values)) <= 1 else 1.0
    red, green, blue = (value * scale for value in values)
    return red, green, blue


def parse_spread(text: str) -> tuple[float, float, float]:
    """As `parse_levels`, all above 0."""
    values = parse_levels(text)
    if min(values) <= 0:
        raise ValueError(f"{text!r}: must be above 0")
    return values


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """All options of `vidcam import`; None leaves what is usual for the architecture."""

    arch: str | None = option(
        None, "Architecture: efficientnet_lite0, cnn7, simplecnn, torchvision's or timm:NAME."
    )
    labels: str | None = option(
        None, "Class names: a file, an ImageFolder folder, or a,b,c.", metavar="LIST|FILE|DIR"
    )
    imgsz: int | None = option(
        None, "Side of the network's square in pixels.", minimum=8, maximum=MOST_PX
    )
    mean: tuple[float, float, float] | None = option(
        None, "What was subtracted: of 1 as in torchvision, or of 255.",
        parse=parse_levels, metavar="R,G,B",
    )  # fmt: skip
    std: tuple[float, float, float] | None = option(
        None, "What was divided by, on the same scale.", parse=parse_spread, metavar="R,G,B"
    )
    fit: str | None = option(
        None, "How a picture becomes the network's square.", choices=FITS, kind="fit"
    )
    layer: str | None = option(
        None, "CAM layer: a module path; else found by itself.", metavar="PATH"
    )

    def __post_init__(self) -> None:
        check(self)
