"""What `vidcam.explain` gives: a picture, its scores, and its maps."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcam.options import FontOptions, HeatOptions
from vidcam.spec import check, from_mapping, option
from vidcam.types import Map, Pixels, Rect, Score
from vidcam.values import LANGUAGES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A class whose strongest cell is below this share of the top class's has no evidence to show:
# docs/explain.md says what was measured.
ABSENT_BELOW = 0.25


@dataclass(frozen=True, kw_only=True)
class Look(FontOptions, HeatOptions):
    """How figures are drawn: opacity and colours of the heat, the font, the language of words."""

    language: str = option("zh", "Language of the words.", choices=LANGUAGES, kind="language")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """One map: of a class, by a method, at a layer.

    `method` is its name on the command line, `layer` a module path (several joined by " + " when
    their maps are averaged), None for guided backpropagation. `score` is the class with its
    softmax probability. `evidence` says how strongly the picture speaks for the class: the peak of
    its HiResCAM map relative to that of the picture's top class, so 1 for the top class.
    `grid` (h, w) float32 in [0, 1] covers the rectangle that the network saw; it is all zero where
    the picture holds no positive evidence for the class. `detail` (S, S, 3) float32 is the signed
    guided gradient of the network's square, None for other methods.
    """

    method: str
    layer: str | None
    asked: str
    score: Score
    evidence: float
    grid: Map
    detail: NDArray[np.float32] | None = None

    @property
    def has_evidence(self) -> bool:
        """Whether the map shows anything."""
        return bool(self.grid.any())

    @property
    def is_of_absent_class(self) -> bool:
        """Whether the picture speaks so little for the class that a map would show noise."""
        return self.evidence < ABSENT_BELOW


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A picture explained: `heatmaps` in the order methods, layers, classes.

    `rgb` (H, W, 3) uint8 is the picture, upright; `crop` the rectangle of it that the network saw;
    `topk` its best classes; `true` the class that its folder names, None when it names none.
    `square` (S, S, 3) uint8 RGB is what the network was given. `look` is how figures are drawn.
    """

    name: str
    rgb: Pixels
    crop: Rect
    square: Pixels
    topk: tuple[Score, ...]
    heatmaps: tuple[Heatmap, ...]
    true: Score | None = None
    look: "Look" = field(default_factory=lambda: Look())

    @property
    def maps(self) -> tuple[Map, ...]:
        """The maps of `heatmaps`, each (H, W) float32 in [0, 1] over the whole picture."""
        return tuple(self.map_of(heatmap) for heatmap in self.heatmaps)

    def row_name(self, heatmap: Heatmap) -> str:
        """What is compared: the method, and its layer where there are several."""
        layers = {other.layer for other in self.heatmaps if other.layer}
        if heatmap.layer is None or len(layers) < 2:
            return heatmap.method
        return f"{heatmap.method} · {heatmap.layer}"

    def map_of(self, heatmap: Heatmap) -> Map:
        """One map (H, W) float32 in [0, 1] over the whole picture: 0 where nothing was seen."""
        height, width = self.rgb.shape[:2]
        crop, whole = self.crop, np.zeros((height, width), np.float32)
        size = crop.width, crop.height
        scaled = cv2.resize(heatmap.grid, size, interpolation=cv2.INTER_LINEAR)
        whole[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] = scaled
        return np.clip(whole, 0, 1)

    def figure(self, *, panels: bool = False, **look: Any) -> "Figure":
        """A matplotlib figure: the grid of methods and classes, or a row of panels for each map.

        `look` changes fields of `Look`: alpha, colormap, language, font. Raises UsageError.
        """
        from vidcam.figures.explained import explanation_grid, explanation_panels
        from vidcam.figures.style import Style

        own = asdict(self.look) | look
        chosen: Look = from_mapping(Look, own.items())
        draw = explanation_panels if panels else explanation_grid
        return draw(self, chosen, Style(chosen.font))
