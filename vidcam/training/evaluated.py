"""Everything that is told of one evaluation: on the terminal, in files and in the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vidcam.figures.features_map import FeatureMap
from vidcam.overlays.words import ENGLISH, say
from vidcam.training.evaluate import Answers
from vidcam.training.metrics import TOP, Metrics, record
from vidcam.training.unknown import Said
from vidcam.training.worst import Looked, Pair, Wrong


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What was evaluated: the model, the pictures, and how they were answered.

    `size` is the side of the square in pixels, `temperature` what the logits were divided by.
    `caution` is the phrase, of `overlays/words.py`, that says what the numbers cannot; empty where
    nothing is known against them. `language` is that of the words in figures and report.
    """

    model: str
    folder: str
    part: str
    fit: str
    size: int
    temperature: float
    vidcam: str
    caution: str = ""
    language: str = ENGLISH

    def warned(self, language: str) -> str:
        """The caution as a sentence; empty where there is none."""
        return say(self.caution, language, self.part, self.folder) if self.caution else ""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """One evaluation, whole: what was measured of which pictures, and what stands out.

    `names` are the classes that compete. `left_out` counts pictures by folder that the model has no
    class for; `looked` holds the small pictures by path.
    """

    subject: Subject
    names: tuple[str, ...]
    answers: Answers
    metrics: Metrics
    left_out: Mapping[str, int]
    said: Said | None
    unread: tuple[str, ...]
    wrong: tuple[Wrong, ...] = ()
    pairs: tuple[Pair, ...] = ()
    looked: Mapping[str, Looked] | None = None
    layout: FeatureMap | None = None

    @property
    def top5(self) -> float | None:
        """The share whose class is among the best five; None where that says nothing."""
        return self.metrics.top5 if len(self.names) > TOP else None

    def as_record(self) -> dict[str, Any]:
        """What metrics.json holds."""
        subject = self.subject
        return {
            **record(self.metrics),
            "unknown": None if self.said is None else asdict(self.said),
            "left_out": sum(self.left_out.values()),
            "left_out_classes": dict(self.left_out),
            "unread": len(self.unread),
            "model": subject.model,
            "folder": subject.folder,
            "part": subject.part,
            "settings": {
                "classes": len(self.names),
                "fit": subject.fit,
                "size": subject.size,
                "temperature": subject.temperature,
            },
            "vidcam": subject.vidcam,
        }


def looked_at(
    wrong: Sequence[Wrong], pairs: Sequence[Pair], look: Callable[[Wrong], Looked | None]
) -> dict[str, Looked]:
    """The small pictures of all that are shown, each made once, by path."""
    shown = [*wrong, *(one for pair in pairs for one in pair.examples)]
    found = {one.path: look(one) for one in dict.fromkeys(shown)}
    return {path: looked for path, looked in found.items() if looked is not None}
