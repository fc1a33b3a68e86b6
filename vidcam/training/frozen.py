"""Training with a frozen backbone: features once, then a head that is solved in seconds."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from vidcam.backends.torch import choose_device
from vidcam.models.heads import head_path
from vidcam.prepare import Geometry
from vidcam.training import choose
from vidcam.training.augment import preset
from vidcam.training.cores import Progress
from vidcam.training.dataset import Sample
from vidcam.training.features import (
    Backbone,
    Features,
    Unread,
    View,
    features_of,
    labels_of,
    plain,
    side_px,
)
from vidcam.training.logistic import Head, Labels, score, solve
from vidcam.training.sides import Sides
from vidcam.training.start import Start
from vidcam.training.train_options import TrainOptions
from vidcam.training.unknown import MOST_NEIGHBOURS, Learnt
from vidcam.types import Pixels

log = logging.getLogger("vidcam")

# So many pictures tell which square suits, and so many how strong the regularisation should be.
CHOOSING, REGULARISING = 400, 2000
OWN_AUGMENTS = ("none", "light", "standard", "strong")
# Copies of each picture for an augmentation that was asked for.
COPIES = 4

Row = dict[str, float | int | str]


@dataclass(frozen=True, eq=False)
class Solved:
    """A finished network with its head, and what was tried on the way.

    `logits` (N, K) and `labels` (N,) are of the validation pictures that could be read; `learnt`
    says how near they are to what was learnt from.
    """

    start: Start
    logits: NDArray[np.float32]
    labels: Labels
    metrics: dict[str, float]
    rows: tuple[Row, ...]
    chosen: choose.Trial
    learnt: Learnt


class HeadTraining:
    """One run with a frozen backbone."""

    def __init__(
        self, start: Start, sides: Sides, options: TrainOptions,
        progress: Callable[[str], Progress],
    ) -> None:  # fmt: skip
        self._start, self._sides, self._options = start, sides, options
        self._progress = progress
        preset_ = start.preset
        device = choose_device(options.device)
        self._backbone = Backbone(start.net, preset_.mean, preset_.std, preset_.size, device)
        self.unread: Unread = {}
        self._groups: dict[tuple[str, ...], NDArray[np.int64]] = {}

    def __call__(self) -> Solved:
        """Choose, solve, validate. Raises SourceError when no picture can be read."""
        options, samples = self._options, self._sides.train
        labels_of_all = np.array([sample.label for sample in samples], np.int64)
        few = choose.few_of(labels_of_all, CHOOSING, options.seed)
        geometry, tried, found = self._chosen_square([samples[n] for n in few])
        found = found if len(few) == len(samples) else None
        views, labels = self._views(geometry, found)
        few = choose.few_of(labels, REGULARISING, options.seed)
        read = [sample for sample in samples if sample.path not in self.unread]
        folds = self._folds([read[n] for n in few])
        strengths = choose.trials(
            geometry, [view[few] for view in views], labels[few], folds, balance=options.balance
        )
        best = choose.best_of(strengths)
        head = solve(
            np.concatenate(views), np.tile(labels, len(views)), len(self._sides.labels),
            best.strength, options.balance,
        )  # fmt: skip
        kept = choose.few_of(labels[few], MOST_NEIGHBOURS, options.seed)
        neighbours = views[0][few][kept], folds[kept]
        rows = [_row(one, "square") for one in tried] + [_row(one, "strength") for one in strengths]
        return self._validated(head, best, rows, neighbours)

    def _folds(self, samples: Sequence[Sample]) -> NDArray[np.int64]:
        labels = np.array([sample.label for sample in samples], np.int64)
        paths = tuple(sample.path for sample in samples)
        if paths not in self._groups:
            self._groups[paths] = choose.groups_of(paths)
        return choose.folds_of(labels, self._groups[paths], self._options.seed)

    def _chosen_square(
        self, samples: Sequence[Sample]
    ) -> tuple[Geometry, list[choose.Trial], Features | None]:
        """The square that suits, all that was tried, and its features of the pictures.

        The fit is chosen at the smallest size, then the size with that fit: they hardly depend on
        each other, and larger squares cost the most. Where no mistake is left the size stays.
        """
        own, options = self._start.geometry, self._options
        fixed = options.from_ or options.augment not in (None, *OWN_AUGMENTS)
        sizes = [own.size] if fixed else choose.sizes_of(own, options.imgsz)
        fits = [own.fit] if fixed else [options.fit] if options.fit else list(choose.FITS)
        sizes = [size for size in sizes if size == own.size or self._runs_at(size)]
        if len(sizes) == len(fits) == 1:
            return Geometry(sizes[0], fits[0], own.crop_share), [], None
        first = [Geometry(sizes[0], fit, own.crop_share) for fit in fits]
        tried = self._tried(first, samples)
        best = choose.preferred(list(tried))
        if best.score.accuracy < 1 and len(sizes) > 1:
            fit = best.geometry.fit
            more = [Geometry(size, fit, own.crop_share) for size in reversed(sizes[1:])]
            larger = self._tried(more, samples)
            tried = tried | larger
            # Convolutional networks mostly see more in larger squares.
            best = choose.preferred([*larger, best])
        return best.geometry, list(tried), tried[best]

    def _runs_at(self, size: int) -> bool:
        """Whether the network takes squares of another size."""
        try:
            self._backbone(np.zeros((1, size, size, 3), np.uint8))
        except (RuntimeError, AssertionError):
            return False
        return True

    def _tried(
        self, squares: Sequence[Geometry], samples: Sequence[Sample]
    ) -> dict[choose.Trial, Features]:
        """How each square does at its best, and the features in it."""
        views = [(side_px(one), plain(one)) for one in squares]
        progress = self._progress(" or ".join(f"{one.size} px {one.fit}" for one in squares))
        found = features_of(samples, views, self._backbone, self.unread, progress)
        labels, balance = labels_of(samples, self.unread), self._options.balance
        folds = self._folds([sample for sample in samples if sample.path not in self.unread])
        results = {}
        for one, features in zip(squares, found, strict=True):
            trials = choose.trials(one, [features], labels, folds, choose.FEW_STRENGTHS, balance)
            results[choose.best_of(trials)] = features
        return results

    def _views(self, geometry: Geometry, found: Features | None) -> tuple[list[Features], Labels]:
        """The features of all views of what is learnt from; `found` are those of the plain one."""
        side = side_px(geometry)
        views = [(side, view) for view in self._more_views(geometry)]
        if found is None:
            views = [(side, plain(geometry)), *views]
        computed: list[Features] = []
        if views:
            progress = self._progress(f"features at {geometry.size} px")
            computed = features_of(self._sides.train, views, self._backbone, self.unread, progress)
        labels = labels_of(self._sides.train, self.unread)
        return ([] if found is None else [found]) + computed, labels

    def _more_views(self, geometry: Geometry) -> list[View]:
        name = self._options.augment
        if name is None:
            return [mirrored(geometry)]
        if name == "none":
            return []
        own = geometry if name in OWN_AUGMENTS else None
        one = preset(name, own, None if own else geometry.size)
        seed = self._options.seed

        def copy_of(number: int) -> View:
            def view(picture: Image.Image, index: int) -> Pixels:
                return np.asarray(one.augmented(picture, seed, number, index))

            return view

        return [copy_of(number) for number in range(COPIES)]

    def _validated(
        self, head: Head, chosen: choose.Trial, rows: Sequence[Row],
        neighbours: tuple[Features, NDArray[np.int64]],
    ) -> Solved:  # fmt: skip
        """How the head does; `neighbours` are features (M, D) that were learnt from, and folds."""
        view = (side_px(chosen.geometry), plain(chosen.geometry))
        unread: Unread = {}
        progress = self._progress("validating")
        (features,) = features_of(self._sides.val, [view], self._backbone, unread, progress)
        labels = labels_of(self._sides.val, unread)
        self.unread.update(unread)
        logits = head(features)
        reached = score(logits, labels)
        start = self._start.at(chosen.geometry)
        set_head(start.net, head)
        metrics = {
            "val_top1": reached.accuracy, "val_loss": reached.loss, "val_n": len(labels),
            "cv_top1": chosen.score.accuracy, "cv_loss": chosen.score.loss,
        }  # fmt: skip
        learnt = Learnt.of(*neighbours, features)
        return Solved(start, logits, labels, metrics, tuple(rows), chosen, learnt)


def mirrored(geometry: Geometry) -> View:
    """The square that every other command cuts, mirrored."""
    cut = plain(geometry)
    return lambda picture, number: cut(picture, number)[:, ::-1]


def set_head(net: nn.Module, head: Head) -> None:
    """Put a solved head into the network's last layer."""
    layer = net.get_submodule(head_path(net))
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        weight, bias = torch.from_numpy(head.weight), torch.from_numpy(head.bias)
        layer.weight.copy_(weight)
        if layer.bias is None:
            layer.bias = nn.Parameter(bias)
        else:
            layer.bias.copy_(bias)


def _row(trial: choose.Trial, stage: str) -> Row:
    """A line of the log: what was tried to choose the square, or then the strength."""
    geometry = trial.geometry
    return {
        "stage": stage, "size": geometry.size, "fit": geometry.fit, "strength": trial.strength,
        "cv_loss": round(trial.score.loss, 6), "cv_accuracy": round(trial.score.accuracy, 6),
    }  # fmt: skip
