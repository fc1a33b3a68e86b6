"""What "unknown" means to a network that was trained whole: fitted when its weights are final."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidcam.models.checkpoint import read_checkpoint, save_checkpoint
from vidcam.models.heads import head_width
from vidcam.training.choose import few_of
from vidcam.training.cores import Progress, silent
from vidcam.training.dataset import Sample
from vidcam.training.eval_options import EvalOptions
from vidcam.training.evaluate import Answers, Evaluator
from vidcam.training.sides import Sides
from vidcam.training.unknown import MOST_NEIGHBOURS, Learnt, fit_unknown


def acquaint(file: Path, sides: Sides, device: str, progress: Callable[[str], Progress]) -> None:
    """Fit the temperature, thresholds and neighbours of a checkpoint file, and store them there.

    `progress` makes the one for what is being done.
    Raises SourceError when no picture can be read, OutputError when the file cannot be written.
    """
    evaluator = Evaluator(EvalOptions(model=str(file), device=device))
    places = range(len(sides.labels))
    others = evaluator(places, sides.val, progress("validating the best"))
    learnt = learnt_by(evaluator, places, sides.train, others, progress("what it has learnt"))
    unknown = fit_unknown(others.logits, others.labels, learnt=learnt)
    fitted = replace(
        read_checkpoint(file), temperature=unknown.temperature,
        thresholds=tuple(unknown.thresholds.tolist()), neighbours=unknown.neighbours,
    )  # fmt: skip
    save_checkpoint(file, fitted)


def learnt_by(
    evaluator: Evaluator, places: Sequence[int | None], samples: Sequence[Sample], others: Answers,
    progress: Progress = silent,
) -> Learnt | None:  # fmt: skip
    """Pictures that a network has learnt from, as neighbours of others that it has not.

    None where what its head is given is not known: the features are its logits then.
    """
    if others.features.shape[1] != head_width(evaluator.model.net):
        return None
    labels = np.array([sample.label for sample in samples], np.int64)
    few = [samples[n] for n in few_of(labels, MOST_NEIGHBOURS, seed=0)]
    features = evaluator(places, few, progress).features
    return Learnt.of(features, np.zeros(len(features), np.int64), others.features)
