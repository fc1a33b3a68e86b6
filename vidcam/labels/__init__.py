"""Class names: ImageNet-1k in five languages, by class index, and a model's own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path

from vidcam.errors import UnknownName, UsageError, system_reason
from vidcam.values import LANGUAGES

IMAGENET_CLASSES = 1000
UNKNOWN = {"zh": "未知", "zh-TW": "未知", "ja": "不明", "ko": "알 수 없음", "en": "unknown"}


@cache
def imagenet(language: str) -> tuple[str, ...]:
    """The 1,000 names of ImageNet-1k in `language`, by class index."""
    text = resources.files("vidcam.labels").joinpath(f"{language}.txt").read_text("utf-8")
    return tuple(text.splitlines())


@dataclass(frozen=True)
class Labels:
    """The names of a model's classes: as shown, and in English."""

    shown: tuple[str, ...]
    english: tuple[str, ...]
    unknown: str = UNKNOWN["en"]
    is_imagenet: bool = False

    def __len__(self) -> int:
        return len(self.shown)

    @classmethod
    def of_imagenet(cls, languages: Sequence[str]) -> "Labels":
        """ImageNet-1k in one or more languages, joined by a slash."""
        columns = [imagenet(language) for language in languages]
        shown = tuple(" / ".join(dict.fromkeys(names)) for names in zip(*columns, strict=True))
        unknown = " / ".join(dict.fromkeys(UNKNOWN[language] for language in languages))
        return cls(shown, imagenet("en"), unknown, is_imagenet=True)

    @classmethod
    def of_names(cls, names: Iterable[str], languages: Sequence[str]) -> "Labels":
        """A model's own names, which have one language only."""
        own = tuple(names)
        unknown = " / ".join(dict.fromkeys(UNKNOWN[language] for language in languages))
        return cls(own, own, unknown)

    def index_of(self, name: str) -> int:
        """The class of an index or of a name in any language. Raises UsageError."""
        if name.isdecimal():
            if int(name) >= len(self):
                raise UsageError(f"class {name}: the model has classes 0 to {len(self) - 1}")
            return int(name)
        if name.casefold() not in self._by_name:
            raise UnknownName("class", name, [*self.shown, *self.english])
        return self._by_name[name.casefold()]

    @cached_property
    def _by_name(self) -> dict[str, int]:
        columns = [imagenet(language) for language in LANGUAGES] if self.is_imagenet else []
        columns += [self.english, self.shown]
        return {name.casefold(): index for names in columns for index, name in enumerate(names)}


def read_names(path: str) -> list[str]:
    """The lines of a label file. Raises UsageError."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"label file {path}: {_reason(error)}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def parse_classes(text: str, labels: Labels) -> tuple[int, ...]:
    """The classes of a comma-separated list, or of a file with one a line. Raises UsageError."""
    names = read_names(text) if Path(text).is_file() else text.split(",")
    indices = tuple(dict.fromkeys(labels.index_of(name.strip()) for name in names if name.strip()))
    if not indices:
        raise UsageError(f"--classes {text}: names no class")
    return indices


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return system_reason(error)
    return "is not UTF-8 text"
