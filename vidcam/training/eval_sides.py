"""Which pictures of a data set are evaluated, and which ones thresholds are fitted on."""

from dataclasses import dataclass
from pathlib import Path

from vidcam.errors import UsageError
from vidcam.pictures.inputs import readable
from vidcam.training.dataset import ALL, TEST, VAL, Dataset, Sample
from vidcam.training.eval_options import EvalOptions


@dataclass(frozen=True, slots=True)
class Sides:
    """The part that is evaluated, by its name, with its pictures, and those of `fit`."""

    part: str
    samples: tuple[Sample, ...]
    fit: tuple[Sample, ...] = ()


def choose_sides(dataset: Dataset, options: EvalOptions) -> Sides:
    """The part of `--part`, else test, val or all; for `--fit-unknown` also val.

    Raises UsageError when a part is not there, or would be both fitted on and evaluated.
    """
    name = readable(dataset.folder)
    part = options.part or next((one for one in (TEST, VAL) if _has(dataset, one)), ALL)
    if part != ALL and not _has(dataset, part):
        parts = [one.name for one in dataset.parts if one.name != ALL]
        there = f"it has {', '.join(parts)}" if parts else "it is not divided"
        raise UsageError(f"{name}: has no part {part}: {there}; vidcam data split divides it")
    chosen = dataset.part(part)
    samples = chosen.samples if chosen else dataset.samples
    if not options.fit_unknown:
        return Sides(part, samples)
    if not _has(dataset, VAL):
        raise UsageError(
            f"--fit-unknown: {name} has no val part to fit on; "
            "vidcam data split --val 0.2 makes one"
        )
    if part in (VAL, ALL):
        raise UsageError(
            f"--fit-unknown fits on val, so val is not evaluated: {name} needs a test part, "
            "or say --part train"
        )
    found = dataset.part(VAL)
    return Sides(part, samples, found.samples if found else ())


def check_outside(output: str, folder: str) -> None:
    """Raise UsageError when results would lie among the pictures, as a class of their own."""
    target, top = Path(output).resolve(), Path(folder).resolve()
    if target == top or top in target.parents:
        raise UsageError(f"-o {output}: lies in {folder}, where it would be a class; name another")


def _has(dataset: Dataset, name: str) -> bool:
    part = dataset.part(name)
    return part is not None and bool(part.samples)
