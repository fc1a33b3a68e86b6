"""One evaluation from the model and the folder to all that is told of it."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidcam import __version__
from vidcam.errors import SourceError, UsageError
from vidcam.models import BUILTIN, torchvision
from vidcam.overlays.words import ENGLISH
from vidcam.pictures.inputs import readable
from vidcam.training.acquaint import learnt_by
from vidcam.training.cores import Progress, silent
from vidcam.training.dataset import ALL, TEST, TRAIN, VAL, Dataset, Sample
from vidcam.training.eval_options import EvalOptions
from vidcam.training.eval_sides import Sides
from vidcam.training.evaluate import Answers, Evaluator, Matched
from vidcam.training.evaluated import Evaluated, Subject, looked_at
from vidcam.training.metrics import measure
from vidcam.training.unknown import Learnt, Unknown, fit_unknown, measure_unknown
from vidcam.training.worst import MOST_WORST, Looker, confused_pairs, wrong_answers

log = logging.getLogger("vidcam")


class Evaluation:
    """A loaded model and the pictures it is to answer."""

    def __init__(self, options: EvalOptions, dataset: Dataset, sides: Sides) -> None:
        """Load the model. Raises UsageError, also when it has none of the classes."""
        self._options, self._dataset, self._sides = options, dataset, sides
        self._evaluator = Evaluator(options)
        self._matched: Matched = self._evaluator.match(dataset)
        self._strange = self._matched.strange(sides.samples)

    @property
    def summary(self) -> str:
        """What runs, on what and how, and of which pictures, in one line."""
        count = len(self._sides.samples) - len(self._strange)
        return f"{self._evaluator.summary}, part {self._sides.part} ({count} pictures)"

    @property
    def caution(self) -> str:
        """The sentence on a checkpoint of one's own and pictures that may have made it; or none."""
        return self._subject(1.0).warned(ENGLISH)

    def __call__(self, progress: Progress = silent, details: bool = True) -> Evaluated:
        """Answer and measure; with `details` also the feature map and the worst pictures.

        `--fit-unknown` stores what it fits in the checkpoint. Raises VidcamError.
        """
        evaluator, matched = self._evaluator, self._matched
        unknown = evaluator.unknown
        unread: list[str] = []
        if self._sides.fit:
            fitting = evaluator(matched.places, self._known(VAL, self._sides.fit), progress)
            unread += fitting.unread
            learnt = self._learnt(fitting, progress)
            unknown = fit_unknown(fitting.logits, fitting.labels, learnt=learnt)
        # Strangers are looked at only where something can be said of them.
        asked = self._known(self._sides.part, self._sides.samples)
        strangers = self._strange if unknown else []
        every = evaluator(matched.places, [*asked, *strangers], progress)
        known, strange = every.of(every.labels >= 0), every.of(every.labels < 0)
        unread += every.unread
        self._check(known, unread)
        said, temperature = None, evaluator.model.temperature or 1.0
        if unknown:
            said = measure_unknown(
                unknown,
                known.logits,
                known.labels,
                strange.logits,
                known.features,
                strange.features,
            )
            temperature = unknown.temperature
        known = known.at(temperature)
        wrong = wrong_answers(known)
        evaluated = Evaluated(
            self._subject(temperature), evaluator.names, known,
            measure(known.logits, known.labels, evaluator.names),
            matched.counted(self._strange),
            said,
            tuple(unread), tuple(wrong[:MOST_WORST]), tuple(confused_pairs(wrong)),
        )  # fmt: skip
        if details:
            evaluated = self._with_details(evaluated)
        if self._sides.fit and unknown:
            self._store(unknown)
        return evaluated

    def _learnt(self, others: Answers, progress: Progress) -> Learnt | None:
        """What new pictures are held against: train/, else what the model has; None without."""
        part = self._dataset.part(TRAIN)
        known = self._matched.known(part.samples) if part else []
        if known:
            return learnt_by(self._evaluator, self._matched.places, known, others, progress)
        if neighbours := self._evaluator.model.neighbours:
            one_fold = np.zeros(len(neighbours.features), np.int64)
            return Learnt.of(neighbours.features, one_fold, others.features)
        return None

    def _known(self, part: str, samples: Sequence[Sample]) -> list[Sample]:
        """The pictures of a part that the model has classes for. Raises UsageError without one."""
        known = self._matched.known(samples)
        if not known:
            there = ", ".join(self._matched.counted(samples))
            raise UsageError(
                f"{readable(self._dataset.folder)}: part {part} has no picture of the model's "
                f"classes: it has {there}"
            )
        return known

    def _check(self, known: Answers, unread: list[str]) -> None:
        if not len(known):
            reason = f": {unread[0]}" if unread else ""
            raise SourceError(f"no picture of the model's classes could be read{reason}")

    def _with_details(self, evaluated: Evaluated) -> Evaluated:
        from vidcam.figures.features_map import feature_map

        layout = feature_map(evaluated.answers.features)
        looked = {}
        if evaluated.wrong:
            look = Looker(self._evaluator, lambda text: log.warning("%s", text))
            looked = looked_at(evaluated.wrong, evaluated.pairs, look)
        return replace(evaluated, layout=layout, looked=looked)

    def _subject(self, temperature: float) -> Subject:
        evaluator = self._evaluator
        return Subject(
            model=evaluator.model.name,
            folder=readable(self._dataset.folder),
            part=self._sides.part,
            fit=evaluator.geometry.fit,
            size=evaluator.geometry.size,
            temperature=temperature,
            vidcam=__version__,
            caution=self._caution() if _is_file(self._options.model) else "",
            language=self._options.lang[0],
        )

    def _caution(self) -> str:
        """What `vidcam train` would have done with the pictures, had it been given this folder."""
        part = self._sides.part
        if part in (ALL, TRAIN):
            return "has seen"
        val = self._dataset.part(VAL)
        validates = VAL if val is not None and val.samples else TEST
        return "validated with" if part == validates else ""

    def _store(self, unknown: Unknown) -> None:
        """Put the temperature and thresholds into the model's checkpoint, where it is one."""
        from vidcam.models import checkpoint_file
        from vidcam.models.checkpoint import read_checkpoint, save_checkpoint

        name = self._options.model
        if len(unknown.thresholds) != len(self._evaluator.model.labels):
            log.warning("thresholds of --classes alone are not stored; leave --classes out")
            return
        if not _is_file(name):
            log.warning("%s is no checkpoint of yours, so the thresholds are not stored", name)
            return
        file = checkpoint_file(Path(name))
        fitted = replace(
            read_checkpoint(file), temperature=unknown.temperature,
            thresholds=tuple(np.asarray(unknown.thresholds).tolist()),
            neighbours=unknown.neighbours,
        )  # fmt: skip
        save_checkpoint(file, fitted)
        log.info("thresholds for unknown, temperature %.2f → %s", unknown.temperature, file)


def _is_file(name: str) -> bool:
    """Whether `--model` means a checkpoint or a run, and no published network."""
    is_published = name == BUILTIN or name.startswith("timm:") or name in torchvision.names()
    return not is_published and Path(name).exists()
