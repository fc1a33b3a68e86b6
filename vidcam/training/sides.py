"""What is learnt from and what is held against it: the two sides of a run."""

import hashlib
import logging
from dataclasses import dataclass

import numpy as np

from vidcam.errors import UnknownName, UsageError
from vidcam.pictures.inputs import readable
from vidcam.training.cores import Progress, silent
from vidcam.training.dataset import TEST, TRAIN, VAL, Dataset, Sample, find_dataset
from vidcam.training.options import SplitOptions
from vidcam.training.split import divide, left_out_lines
from vidcam.training.train_options import TrainOptions

log = logging.getLogger("vidcam")


@dataclass(frozen=True)
class Sides:
    """Labelled pictures to learn from and to validate with; a label indexes `labels`.

    `val_name` is the part that validates, or "split" where the folder had none. `passed` are
    sentences on what is left out, `digest` names the pictures, their labels and their sides.
    """

    labels: tuple[str, ...]
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    val_name: str
    passed: tuple[str, ...]
    digest: str

    def counts(self) -> list[int]:
        """How many training pictures each class has."""
        return [
            int(n) for n in np.bincount([s.label for s in self.train], minlength=len(self.labels))
        ]


def sides_of(folder: str, options: TrainOptions, progress: Progress = silent) -> Sides:
    """The pictures of a folder that a run uses.

    `val/` validates, else `test/`; where neither is there, a share of each class does, with
    pictures that are the same on one side. Raises SourceError for a folder without pictures,
    UsageError when fewer than two classes are left to learn.
    """
    dataset = find_dataset(folder)
    for name in options.drop_class:
        if name not in dataset.classes:
            raise UnknownName("class in --drop-class", name, dataset.classes)
    train = dataset.part(TRAIN)
    val = next((p for p in map(dataset.part, (VAL, TEST)) if p is not None and p.samples), None)
    faults: tuple[str, ...] = ()
    if train is None and val is not None and len(dataset.parts) > 1:
        raise UsageError(f"{readable(folder)}: has parts to test with, but no train/ to learn from")
    if train is not None and val is not None:
        return _chosen(dataset, train.samples, val.samples, (val.name, faults), options)
    split = SplitOptions(seed=options.seed, ratio=(1 - options.val, options.val))
    divided = divide(dataset, split, progress)
    by_name = {dataset.relative(sample.path): sample for sample in dataset.samples}
    parts: dict[str, list[Sample]] = {TRAIN: [], TEST: []}
    for placed in divided.placed:
        parts[placed.part].append(by_name[placed.source])
    told = ("split", tuple(left_out_lines(divided)))
    return _chosen(dataset, tuple(parts[TRAIN]), tuple(parts[TEST]), told, options)


def _chosen(
    dataset: Dataset, train: tuple[Sample, ...], val: tuple[Sample, ...],
    told: tuple[str, tuple[str, ...]], options: TrainOptions,
) -> Sides:  # fmt: skip
    """Without the classes that are dropped or cannot be learnt."""
    learnt = {sample.label for sample in train}
    dropped = {dataset.classes.index(name) for name in options.drop_class}
    kept = sorted(learnt - dropped)
    passed = list(told[1])
    for label, name in enumerate(dataset.classes):
        if label not in learnt and label not in dropped:
            passed.append(f"class {readable(name)} has no picture to learn from; left out")
    passed += [f"folder {readable(name)} is empty; left out" for name in dataset.empty]
    if len(kept) < 2:
        names = ", ".join(readable(dataset.classes[label]) for label in kept) or "none"
        raise UsageError(
            f"{readable(dataset.folder)}: two classes at least are needed to learn, and there is "
            f"only {names}" + (f"; {dataset.doubt}" if dataset.doubt else "")
        )
    new = {label: position for position, label in enumerate(kept)}
    sides = [
        tuple(Sample(s.path, new[s.label]) for s in side if s.label in new) for side in (train, val)
    ]
    if not sides[1]:
        raise UsageError(
            f"{readable(dataset.folder)}: no picture is left to validate with; add some, or val/"
        )
    digest = hashlib.sha256()
    for side in sides:
        for sample in side:
            digest.update(f"{readable(dataset.relative(sample.path))}\0{sample.label}\n".encode())
        digest.update(b"\n")
    labels = tuple(readable(dataset.classes[label]) for label in kept)
    return Sides(labels, sides[0], sides[1], told[0], tuple(passed), digest.hexdigest())
