"""What the values of a checkpoint must be."""

import math
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidcam.errors import UnknownName, UsageError
from vidcam.options import FITS

VERSION = 1


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)  # type: ignore[arg-type]


def _are_numbers(value: object, count: int | None = None) -> bool:
    if not isinstance(value, list | tuple) or len(value) != (count or len(value)):
        return False
    return all(map(_is_number, value))


def _by_name(value: object, kind: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(isinstance(key, str) and isinstance(one, kind) for key, one in value.items())


def _is_half_matrix(value: object) -> bool:
    from torch import Tensor, float16, strided

    if not isinstance(value, Tensor) or value.dtype != float16 or value.layout != strided:
        return False
    return value.ndim == 2 and value.numel() > 0 and bool(value.isfinite().all())


# key -> (what it must be, in words; the test of it)
RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "vidcam": (f"{VERSION}", lambda value: value == VERSION),
    "arch": ("a name", lambda value: isinstance(value, str)),
    "state_dict": ("a dict of tensors", lambda value: isinstance(value, dict)),
    "labels": ("a list of names", lambda value: isinstance(value, list | tuple) and bool(value)),
    "size": ("a number of pixels", lambda value: type(value) is int and value > 0),
    "mean": ("three numbers", lambda value: _are_numbers(value, 3)),
    "std": ("three numbers above 0", lambda value: _are_numbers(value, 3) and min(value) > 0),
    "crop_share": (
        "a number above 0, at most 1",
        lambda value: _is_number(value) and 0 < value <= 1,
    ),
    "layer": ("a module path", lambda value: isinstance(value, str)),
    "settings": ("numbers by name", lambda value: _by_name(value, int | float)),
    "temperature": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "thresholds": (
        "a list of numbers from 0 to 1",
        lambda value: _are_numbers(value) and all(0 <= one <= 1 for one in value),
    ),
    "neighbours": ("a matrix of finite half-precision numbers", _is_half_matrix),
    "nearness": ("a number from -1 to 1", lambda value: _is_number(value) and -1 <= value <= 1),
    "metrics": ("numbers by name", lambda value: _by_name(value, int | float)),
    "versions": ("text by name", lambda value: _by_name(value, str)),
}  # fmt: skip
REQUIRED = {"arch", "state_dict", "labels"}


def check_form(path: Path, payload: dict[str, Any]) -> None:
    """Raise UsageError, with the file's name, for a value that a checkpoint must not hold."""
    for key, (meaning, fits) in RULES.items():
        value = payload.get(key)
        if (key in REQUIRED or value is not None) and not fits(value):
            shown = reprlib.repr(value)
            raise UsageError(f"checkpoint {path}: {key} is {shown}; it must be {meaning}")
    if payload.get("fit") is not None and payload["fit"] not in FITS:
        raise UnknownName(f"fit in {path}", str(payload["fit"]), FITS)
    thresholds, labels = payload.get("thresholds"), payload["labels"]
    if thresholds is not None and len(thresholds) != len(labels):
        raise UsageError(
            f"checkpoint {path}: it has {len(thresholds)} thresholds for {len(labels)} classes"
        )
