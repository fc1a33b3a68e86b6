"""Still pictures explained: every method, class and layer that is asked for, from few passes."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.backends.torch import Normalise, choose_device
from vidcam.cam.layers import check_layer, default_layer
from vidcam.cam.library import SLOW, Smoothing
from vidcam.classifier import softmax
from vidcam.errors import UnknownName, UsageError
from vidcam.labels import Labels, parse_classes
from vidcam.models import Model, load_model
from vidcam.pictures.explanation import ABSENT_BELOW, Explanation, Heatmap, Look
from vidcam.pictures.maps import (
    CLASS_FREE,
    LAYERLESS,
    Between,
    Found,
    PictureMaps,
    filled_part,
    is_by_layer,
)
from vidcam.pictures.options import EXPLAIN_CAMS, ExplainOptions
from vidcam.pictures.predictor import PICTURE_FIT, name_of
from vidcam.pictures.reading import as_picture
from vidcam.pictures.square import square_of
from vidcam.prepare import Geometry, map_on_picture
from vidcam.spec import from_mapping
from vidcam.types import Pixels, Rect, Score

TOP_CLASSES = 5
RANK = re.compile(r"top([1-9]\d*)", re.IGNORECASE)


class Explainer:
    """A loaded model that explains still pictures, in float32."""

    def __init__(self, options: ExplainOptions, model: Model | None = None) -> None:
        """Load the model, or take one that is loaded; check layers and classes.

        Raises UsageError, or SourceError when weights cannot be fetched.
        """
        self.options = options
        # Called before each map and within those that take long; what it raises ends the work.
        self.between: Between = lambda *_: None
        self.model = model or load_model(options)
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
        self._evidence_layer = self._layer_of_evidence()

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
        maps = PictureMaps(self.net, pixels, [top, *asked], self.options.reshape, self.between)
        evidence = self._evidence(maps, top, list(asked))
        heatmaps = [
            Heatmap(
                method=method,
                layer=" + ".join(layers) or None,
                asked=text,
                score=self._score(index, scores),
                evidence=evidence[index],
                grid=found.grid,
                detail=found.detail,
            )
            for method in dict.fromkeys(self.options.cam)
            for layers in self._layers_of(method)
            for index, text in asked.items()
            for found in [
                self._on_picture(self._found(maps, method, layers, index, evidence[index]), crop)
            ]
        ]
        return Explanation(
            name=name or name_of(picture, 0),
            rgb=np.array(image),
            crop=crop,
            square=square,
            topk=tuple(self._score(int(index), scores) for index in ranked[:TOP_CLASSES]),
            heatmaps=tuple(heatmaps),
            true=self._true_class(picture, scores),
            look=Look(
                alpha=self.options.alpha,
                colormap=self.options.colormap,
                font=self.options.font,
                language=self.options.lang[0],
            ),
        )

    def pixels_of(self, square: Pixels) -> Tensor:
        """The network's input (1, 3, S, S) float32 for a square (S, S, 3) uint8 RGB."""
        batch = torch.from_numpy(square)[None].to(self.device)
        return torch.as_tensor(self._normalise(batch)).contiguous()

    def _layers(self) -> tuple[str, ...]:
        """The layers that are explained; none where no method asks for one."""
        if set(self.options.cam) <= LAYERLESS:
            if self.options.layer:
                named = ", ".join(self.options.cam)
                raise UsageError(f"--layer {self.options.layer[0]}: {named} takes no layer")
            return ()
        shape = self.options.reshape
        # A grid that is asked for is looked for.
        own = (self.model.layer,) if self.model.layer and not shape else ()
        asked = tuple(dict.fromkeys(self.options.layer)) or own
        for name in asked:
            check_layer(self.net, name, self.model.size, shape)
        return asked or (default_layer(self.net, self.model.size, shape),)

    def _layer_of_evidence(self) -> str | None:
        """Where evidence is measured; None where guided backpropagation alone needs no layer."""
        try:
            return default_layer(self.net, self.model.size, self.options.reshape)
        except UsageError:
            return self.layers[-1] if self.layers else None

    def _layers_of(self, method: str) -> list[tuple[str, ...]]:
        """The layers of each of a method's maps."""
        if method in LAYERLESS:
            return [()]
        if is_by_layer(method, self.options.aggregate):
            return [(layer,) for layer in self.layers]
        return [self.layers]

    def _index(self, text: str, ranked: NDArray[np.int64]) -> int:
        """The class of an index, a name or a rank. Raises UsageError."""
        if match := RANK.fullmatch(text.strip()):
            if int(match[1]) > len(ranked):
                raise UsageError(f"--class {text}: only {len(ranked)} classes compete")
            return int(ranked[int(match[1]) - 1])
        index = self.labels.index_of(text.strip())
        if index not in self._competing:
            raise UsageError(f"--class {text} is not among --classes {self.options.classes}")
        return index

    @property
    def left_out(self) -> list[int]:
        """The classes that do not compete."""
        competing = set(self._competing.tolist())
        return [index for index in range(len(self.labels)) if index not in competing]

    def _scores(self, pixels: Tensor) -> NDArray[np.float32]:
        """Softmax scores (K,), 0 for classes that do not compete."""
        with torch.no_grad():
            logits = self.net(pixels)[0].float().cpu().numpy() / (self.model.temperature or 1.0)
        logits[self.left_out] = -np.inf
        return softmax(np.asarray(logits, np.float32))

    def _score(self, index: int, scores: NDArray[np.float32]) -> Score:
        shown, english = self.labels.shown[index], self.labels.english[index]
        return Score(index, shown, english, float(scores[index]))

    def _evidence(self, maps: PictureMaps, top: int, indices: list[int]) -> dict[int, float]:
        """How strongly the picture speaks for each class, relative to its top class.

        By HiResCAM at the default layer, whose cells add up to the class's logit wherever only
        linear operations follow (Draelos and Carin 2020, arXiv:2011.08891). Where the top class has
        none there is nothing to compare with, and each map speaks for itself.
        """
        layer = self._evidence_layer
        strongest = maps.peak(layer, top) if layer else 0.0
        if layer is None or strongest <= 0:
            return dict.fromkeys(indices, 1.0)
        return {index: max(0.0, maps.peak(layer, index)) / strongest for index in indices}

    def _found(
        self,
        maps: PictureMaps,
        method: str,
        layers: tuple[str, ...],
        index: int,
        evidence: float,
    ) -> Found:
        """The map over the network's square, and its detail; nothing for an absent class."""
        absent = evidence < ABSENT_BELOW and method not in CLASS_FREE
        if absent and method in SLOW:
            return Found(np.zeros((1, 1), np.float32))
        smooth = Smoothing(self.options.aug_smooth, self.options.eigen_smooth)
        # An absent class too, so that a method that cannot explain this network says so.
        found = maps.find(method, layers, index, smooth)
        return Found(np.zeros_like(found.grid)) if absent else found

    def _on_picture(self, found: Found, crop: Rect) -> Found:
        """The part of a map over the network's square that lies on the picture."""
        part, side = filled_part(self.geometry, crop), self.geometry.size
        rows, columns = slice(part.y, part.y + part.height), slice(part.x, part.x + part.width)
        grid, detail = found.grid, found.detail
        if grid.shape == (side, side):
            grid = grid[rows, columns]
        else:
            grid = map_on_picture(self.geometry, crop, grid)
        return Found(grid, None if detail is None else detail[rows, columns])

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
    named = _listed(methods)
    if not named:
        raise UsageError(f"no method to explain by; known: {', '.join(EXPLAIN_CAMS)}")
    given = {"cam": named, "class_": _listed(classes), **options}
    parsed: ExplainOptions = from_mapping(ExplainOptions, given.items())
    return Explainer(parsed)(picture)


def _listed(values: Any) -> tuple[str, ...]:
    is_one = isinstance(values, str) or not isinstance(values, Iterable)
    return tuple(map(str, (values,) if is_one else values))
