"""Still pictures explained: every method, class and layer that is asked for, from few passes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.backends.torch import Normalise, choose_device
from vidcam.cam.layers import check_layer, default_layer
from vidcam.cam.library import Smoothing
from vidcam.classifier import softmax
from vidcam.errors import UnknownName, UsageError
from vidcam.labels import Labels, parse_classes
from vidcam.models import load_model
from vidcam.pictures.explanation import LEAST_EVIDENCE, Explanation, Heatmap
from vidcam.pictures.maps import GUIDED, PictureMaps
from vidcam.pictures.options import ExplainOptions
from vidcam.pictures.predictor import PICTURE_FIT, name_of
from vidcam.pictures.reading import as_picture
from vidcam.pictures.square import square_of
from vidcam.prepare import Geometry, map_on_picture
from vidcam.spec import from_mapping
from vidcam.types import Map, Pixels, Rect, Score

TOP_CLASSES = 5
# These take no notice of the class, so its evidence says nothing of their maps.
CLASS_FREE = frozenset({"eigencam", "fem", "kpcacam", "randomcam", "segeigencam", GUIDED})
RANK = re.compile(r"top([1-9]\d*)", re.IGNORECASE)


class Explainer:
    """A loaded model that explains still pictures, in float32."""

    def __init__(self, options: ExplainOptions) -> None:
        """Load the model; check layers and classes.

        Raises UsageError, or SourceError when weights cannot be fetched.
        """
        self.options = options
        self.model = load_model(options)
        self.labels: Labels = self.model.labels
        self.device = choose_device(options.device)
        self.net: nn.Module = self.model.net.to(self.device)
        self._normalise = Normalise(self.model).to(self.device)
        fit = options.fit or self.model.fit or PICTURE_FIT
        self.geometry = Geometry(self.model.size, fit, self.model.crop_share)
        self._competing = np.arange(len(self.labels))
        if options.classes:
            self._competing = np.sort(parse_classes(options.classes, self.labels))
        self._classes = options.class_ or ("top1",)
        for text in self._classes:
            self._index(text, self._competing)
        self.layers = self._layers()

    @property
    def summary(self) -> str:
        """What runs, on what and how, in one line."""
        layers = ", ".join(self.layers)
        methods = ", ".join(self.options.cam) + (f" of {layers}" if layers else "")
        where = f"{self.model.name} on {self.device} (torch, f32)"
        return f"{where}, {self.geometry.fit} fit, {methods}"

    def __call__(self, picture: Any, name: str | None = None) -> Explanation:
        """Explain a path, a PIL image, or an array (H, W, 3) uint8 RGB or (H, W) grey.

        Raises SourceError for a picture that cannot be read, and UsageError for a method that
        cannot explain this network.
        """
        image = as_picture(picture)
        square, crop = square_of(image, self.geometry)
        pixels = self.pixels_of(square)
        scores = self._scores(pixels)
        ranked = self._competing[np.argsort(-scores[self._competing], kind="stable")]
        asked: dict[int, str] = {}  # a class that is asked for twice is explained once
        for text in self._classes:
            asked.setdefault(self._index(text, ranked), text)
        top = int(ranked[0])
        maps = PictureMaps(self.net, pixels, [top, *asked], self.options.reshape)
        evidence = self._evidence(maps, top, list(asked))
        heatmaps = [
            Heatmap(
                method,
                " + ".join(layers) or None,
                text,
                self._score(index, scores),
                evidence[index],
                *self._found(maps, method, layers, index, evidence[index] < LEAST_EVIDENCE),
            )
            for method in dict.fromkeys(self.options.cam)
            for layers in self._layers_of(method)
            for index, text in asked.items()
        ]
        return Explanation(
            name or name_of(picture, 0),
            np.array(image),
            crop,
            square,
            tuple(self._score(int(index), scores) for index in ranked[:TOP_CLASSES]),
            tuple(self._on_picture(heatmap, crop) for heatmap in heatmaps),
            self._true_class(picture, scores),
            self.options.lang[0],
        )

    def pixels_of(self, square: Pixels) -> Tensor:
        """The network's input (1, 3, S, S) float32 for a square (S, S, 3) uint8 RGB."""
        batch = torch.from_numpy(square)[None].to(self.device)
        return torch.as_tensor(self._normalise(batch)).contiguous()

    def _layers(self) -> tuple[str, ...]:
        """The layers that are explained; none where no method asks for one."""
        if set(self.options.cam) <= {GUIDED}:
            return ()
        shape = self.options.reshape
        asked = self.options.layer or ((self.model.layer,) if self.model.layer else ())
        for name in asked:
            check_layer(self.net, name, self.model.size, shape)
        return asked or (default_layer(self.net, self.model.size, shape),)

    def _layers_of(self, method: str) -> list[tuple[str, ...]]:
        """The layers of each of a method's maps."""
        if method == GUIDED:
            return [()]
        # RefineCAM multiplies the maps of several layers: that is its one map.
        if self.options.aggregate or method == "refinecam":
            return [self.layers]
        return [(layer,) for layer in self.layers]

    def _index(self, text: str, ranked: NDArray[np.int64]) -> int:
        """The class of an index, a name or a rank. Raises UsageError."""
        if match := RANK.fullmatch(text.strip()):
            if int(match[1]) > len(ranked):
                raise UsageError(f"--class {text}: only {len(ranked)} classes compete")
            return int(ranked[int(match[1]) - 1])
        return self.labels.index_of(text.strip())

    def _scores(self, pixels: Tensor) -> NDArray[np.float32]:
        """Softmax scores (K,), 0 for classes that do not compete."""
        with torch.no_grad():
            logits = self.net(pixels)[0].float().cpu().numpy()
        left_out = np.ones(len(logits), bool)
        left_out[self._competing] = False
        return softmax(np.where(left_out, -np.inf, logits))

    def _score(self, index: int, scores: NDArray[np.float32]) -> Score:
        shown, english = self.labels.shown[index], self.labels.english[index]
        return Score(index, shown, english, float(scores[index]))

    def _evidence(self, maps: PictureMaps, top: int, indices: list[int]) -> dict[int, float]:
        """How strongly the picture speaks for each class, relative to its top class.

        By HiResCAM at the default layer, whose cells add up to the class's logit wherever only
        linear operations follow (Draelos and Carin 2020, arXiv:2011.08891).
        """
        if not self.layers:
            return dict.fromkeys(indices, 1.0)
        layer = default_layer(self.net, self.model.size, self.options.reshape)
        peaks = {index: maps.peak(layer, index) for index in (top, *indices)}
        strongest = peaks[top] if peaks[top] > 0 else max(peaks.values())
        if strongest <= 0:
            return dict.fromkeys(indices, 0.0)
        return {index: max(0.0, peaks[index]) / strongest for index in indices}

    def _found(
        self, maps: PictureMaps, method: str, layers: tuple[str, ...], index: int, absent: bool
    ) -> tuple[Map, NDArray[np.float32] | None]:
        """The map over the network's square, and its detail; nothing for an absent class."""
        smooth = Smoothing(self.options.aug_smooth, self.options.eigen_smooth)
        found = maps.find(method, layers, index, smooth)
        if absent and method not in CLASS_FREE:
            return np.zeros_like(found.grid), None
        return found.grid, found.detail

    def _on_picture(self, heatmap: Heatmap, crop: Rect) -> Heatmap:
        grid, detail = map_on_picture(self.geometry, crop, heatmap.grid), heatmap.detail
        if detail is not None:
            channels = [np.ascontiguousarray(detail[..., channel]) for channel in range(3)]
            detail = np.dstack([map_on_picture(self.geometry, crop, one) for one in channels])
        return replace(heatmap, grid=grid, detail=detail)

    def _true_class(self, picture: Any, scores: NDArray[np.float32]) -> Score | None:
        """The class that is called like the picture's folder."""
        if not isinstance(picture, str | Path):
            return None
        folder = Path(picture).resolve().parent.name
        try:
            # A folder called 2024 is a year, not the class of that number.
            return None if folder.isdecimal() else self._score(self.labels.index_of(folder), scores)
        except UnknownName:
            return None


def explain(
    picture: Any,
    *,
    methods: Sequence[str] = ("gradcam",),
    classes: Sequence[str | int] = (),
    **options: Any,
) -> Explanation:
    """Where the network looked in a picture.

        explanation = vidcam.explain("both.jpg", methods=["gradcam", "layercam"],
                                     classes=["top1", "tabby cat"])
        explanation.maps[0]  # (H, W) float32 in [0, 1]
        explanation.figure().savefig("both-explained.png")

    `picture` is a path, a PIL image, or an array ((H, W, 3) uint8 RGB or (H, W) grey); `classes`
    are indices, names in any language, or `top1`, `top2`…; the other keywords are the fields of
    `ExplainOptions` (`model`, `layer`, `lang`, …). Raises UsageError, and SourceError for a picture
    that cannot be read.
    """
    given = {"cam": _listed(methods), "class_": _listed(classes), **options}
    parsed: ExplainOptions = from_mapping(ExplainOptions, given.items())
    return Explainer(parsed)(picture)


def _listed(values: object) -> tuple[str, ...]:
    given = values if isinstance(values, list | tuple) else (values,)
    return tuple(map(str, given))
