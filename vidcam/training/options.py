"""The options of `vidcam data`, written as those of `vidcam/options.py`."""

import re
from dataclasses import dataclass

from vidcam.spec import check, option

AUGMENTS = ("none", "light", "standard", "strong", "dog25", "catdog", "scenes150")


def parse_ratio(text: str) -> tuple[float, float]:
    """`8:2` as (8.0, 2.0), both above zero."""
    try:
        train, test = (float(number) for number in re.split("[:,]", text))
    except ValueError:
        raise ValueError(f"{text!r}: say TRAIN:TEST, such as 8:2") from None
    if not (0 < train < 1e9 and 0 < test < 1e9):
        raise ValueError(f"{text!r}: both sides must be above 0")
    return train, test


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What all that use chance share."""

    seed: int = option(0, "Seed of all chance; the same one gives the same.", minimum=0,
                       maximum=2**32 - 1)  # fmt: skip

    def __post_init__(self) -> None:
        """Parse and check. Raises UsageError."""
        check(self)


@dataclass(frozen=True, kw_only=True)
class SplitOptions(DataOptions):
    """All options of `vidcam data split`."""

    ratio: tuple[float, float] = option("8:2", "Train to test.", metavar="A:B",
                                        parse=parse_ratio)  # fmt: skip
    val: float = option(
        0.0, "Share of all pictures for a validation part; the ratio divides the rest.",
        minimum=0, maximum=0.9,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PreviewOptions(DataOptions):
    """All options of `vidcam data preview`."""

    augment: str = option("standard", "Augmentation.", choices=AUGMENTS, kind="augmentation")
    imgsz: int | None = option(
        None, "Side of the square, pixels. Default: the preset's own, else 224.",
        minimum=32, maximum=1024,
    )  # fmt: skip
    batch: int = option(16, "How many pictures.", minimum=1, maximum=256)
    epoch: int = option(0, "Whose epoch's chance.", minimum=0, maximum=1_000_000)
