"""The pictures as the network sorts them: its features laid out in a plane, coloured by class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidcam.figures.curves import COLORS
from vidcam.figures.sheet import Sheet
from vidcam.figures.style import INK, RULE, SMALL_PX, SOFT, TITLE_PX, Style
from vidcam.overlays.words import ENGLISH, say
from vidcam.types import Rect

MARGIN_PX, HEAD_PX, LEGEND_PX, ROW_PX = 28, 70, 240, 24
SIDE_PX = 760
# More points are no clearer, and t-SNE takes a minute of them.
MOST_POINTS = 1500
LEAST_POINTS = 5
PERPLEXITY = 30.0
# Fewer components are as good for t-SNE, and much faster.
COMPONENTS = 50
MOST_NAMED = 28
MARKERS = "os^Dv"


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMap:
    """`places` (N, 2) in [0, 1] of the pictures with the indices `rows` (N,), of all or some."""

    rows: NDArray[np.int64]
    places: NDArray[np.float64]


def feature_map(features: NDArray[np.float32]) -> FeatureMap | None:
    """Features (N, D) in a plane by t-SNE (van der Maaten and Hinton 2008), the same every time.

    Of more than 1,500 pictures as many are drawn by lot. None for fewer than 5.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = np.arange(len(features))
    if len(rows) > MOST_POINTS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_POINTS, replace=False))
    if len(rows) < LEAST_POINTS or np.ptp(features[rows], axis=0).max() == 0:
        return None
    chosen = features[rows].astype(np.float64)
    if min(chosen.shape) > COMPONENTS:
        chosen = PCA(COMPONENTS, svd_solver="randomized", random_state=0).fit_transform(chosen)
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    start = "pca" if chosen.shape[1] > 1 else "random"
    laid = TSNE(perplexity=perplexity, init=start, random_state=0).fit_transform(chosen)
    low, high = laid.min(0), laid.max(0)
    places = 0.03 + 0.94 * (laid - low) / np.maximum(high - low, 1e-9)
    return FeatureMap(rows, places.astype(np.float64))


def class_look(number: int, classes: int) -> tuple[str, int]:
    """The colour (#rrggbb) and the shape, 0 to 4, of a class: no two of up to 60 are alike."""
    if classes <= len(COLORS) * len(MARKERS):
        return COLORS[number % len(COLORS)], number // len(COLORS)
    import matplotlib

    shade = matplotlib.colormaps["turbo"](number / classes)
    return to_hex(shade), number % len(MARKERS)


def features_figure(
    found: FeatureMap, labels: NDArray[np.int64], wrong: NDArray[np.bool_], names: Sequence[str],
    style: Style, *, language: str = ENGLISH,
) -> Figure:  # fmt: skip
    """The map with its legend; `labels` and `wrong` (N,) are those of all pictures.

    `names` are by label. A wrong answer has a dark ring.
    """
    present = np.unique(labels)
    named = present[:MOST_NAMED]
    top = MARGIN_PX + HEAD_PX
    sheet = Sheet(2 * MARGIN_PX + SIDE_PX + 24 + LEGEND_PX, top + SIDE_PX + MARGIN_PX)
    room = sheet.width_px - 2 * MARGIN_PX
    title = say("features", language)
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, size_px=TITLE_PX, width_px=room))
    note = say("features note", language, len(found.rows), len(labels))
    line = style.fit(note, size_px=SMALL_PX, width_px=room)
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX + 26, line, SOFT)
    panel = sheet.axes(Rect(MARGIN_PX, top, SIDE_PX, SIDE_PX))
    panel.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
    panel.spines[:].set(color=RULE, linewidth=0.8)
    for number, label in enumerate(present):
        color, shape = class_look(number, len(present))
        look = {"marker": MARKERS[shape], "s": 20, "color": color, "zorder": 3}
        own = labels[found.rows] == label
        for mistaken, ring in ((False, GROUND_RING), (True, INK)):
            points = found.places[own & (wrong[found.rows] == mistaken)]
            width = 1.3 if mistaken else 0.3
            panel.scatter(*points.T, **{**look, "edgecolors": ring, "linewidths": width})
    for number, label in enumerate(named):
        color, shape = class_look(number, len(present))
        y = top + ROW_PX * number + 10
        x = MARGIN_PX + SIDE_PX + 24
        sheet.line([x + 6], [y], marker=MARKERS[shape], color=color, markersize=5, linestyle="")
        text = style.fit(names[label], size_px=SMALL_PX, width_px=LEGEND_PX - 24)
        sheet.text(x + 22, y + 5, text)
    if len(present) > MOST_NAMED:
        more = say("and more", language, len(present) - MOST_NAMED)
        rest = style.fit(more, size_px=SMALL_PX)
        x, y = MARGIN_PX + SIDE_PX + 46, top + ROW_PX * MOST_NAMED + 15
        sheet.text(x, y, rest, SOFT)
    return sheet.figure


GROUND_RING = "#ffffff"
