"""The values of options as people write them: times, sizes, regions, languages."""

import re
from dataclasses import dataclass
from fractions import Fraction
from math import inf

from vidcam.errors import UnknownName

LANGUAGES = ("zh", "zh-TW", "ja", "ko", "en")


def parse_seconds(text: str) -> float:
    """Seconds of `90`, `1.5`, `150ms`, `10s`, `10m` or `24h`."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h)?", text.strip())
    if not match:
        raise ValueError(f"{text!r} is no time: write seconds, or 150ms, 10m, 24h")
    scale = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
    return float(match[1]) * scale[match[2]]


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of `1280x720`."""
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text.strip())
    if not match or not (int(match[1]) and int(match[2])):
        raise ValueError(f"{text!r} is no size: write 1280x720")
    return int(match[1]), int(match[2])


def parse_grid(text: str) -> tuple[int, int]:
    """Rows and columns of `7x14`; from Python, of `7,14`."""
    match = re.fullmatch(r"(\d{1,4})[x×,](\d{1,4})", text.strip())
    if not match or not (int(match[1]) and int(match[2])):
        raise ValueError(f"{text!r} is no grid: write 7x14, rows first")
    return int(match[1]), int(match[2])


def parse_rate(text: str) -> Fraction:
    """Frames per second of `30`, `29.97` or `30000/1001`."""
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise ValueError(f"{text!r} is no rate: write 30, 29.97 or 30000/1001")
    return rate


def parse_every(text: str) -> int | None:
    """Every how many, None for auto."""
    if text == "auto":
        return None
    if not text.isdigit() or not int(text):
        raise ValueError(f"{text!r} is no count: write a number from 1, or auto")
    return int(text)


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept of a recording: files up to an age in seconds, or up to a size in all."""

    age_s: float | None = None
    size_bytes: int | None = None


def parse_keep(text: str) -> Keep:
    """`24h` (an age, its unit written) or `50GB` (a size)."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(k|M|G|T)i?B", text.strip(), re.IGNORECASE)
    if match:
        power = "kmgt".index(match[2].lower()) + 1
        return Keep(size_bytes=int(float(match[1]) * 1000**power))
    if match := re.fullmatch(r"(\d+)d", text.strip()):
        return Keep(age_s=86400.0 * int(match[1]))
    try:
        if text.strip()[-1:].isalpha():
            return Keep(age_s=parse_seconds(text))
    except ValueError:
        pass
    raise ValueError(f"{text!r} says not what to keep: write an age as 24h, or a size as 50GB")


def parse_roi(text: str) -> tuple[float, float, float, float]:
    """`x,y,w,h` in pixels, or in fractions of the picture when no number is above 1."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is no region: write x,y,w,h") from None
    if not (0 <= x < inf and 0 <= y < inf and 0 < width < inf and 0 < height < inf):
        raise ValueError(f"{text!r} is no region: x, y from 0, w, h above 0")
    return x, y, width, height


def parse_languages(text: str) -> tuple[str, ...]:
    """The languages of a comma-separated list."""
    known = {language.lower(): language for language in LANGUAGES}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name.lower() not in known:
            raise UnknownName("language", name, LANGUAGES)
    return tuple(dict.fromkeys(known[name.lower()] for name in names))


def parse_topk(text: str) -> int | None:
    """How many, None for all."""
    if text == "all":
        return None
    if not text.isdigit() or int(text) > 100_000:
        raise ValueError(f"{text!r} is no count: write a number from 0, or all")
    return int(text)


def parse_device(text: str) -> str:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise UnknownName("device", text, ("auto", "cpu", "cuda", "cuda:0", "mps"))
    return text


def parse_key_value(text: str) -> tuple[str, str]:
    """`k=v` as a pair."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError(f"{text!r} is no option: write name=value")
    return key, value
