"""How an option is written down: its default, type, range and help, in one dataclass field.

The command line's options are made from these fields (`cli/options.py`), and the Python calls take
the same dataclasses. Values may be given as on the command line (`roi="0,0,0.5,1"`,
`duration="10s"`) or as what they parse to. A wrong value raises UsageError.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from vidcam.errors import UnknownName, UsageError


@dataclass(frozen=True)
class Spec:
    """What the command line needs to know of a field."""

    help: str
    choices: tuple[str, ...] = ()
    kind: str = "choice"
    minimum: float | None = None
    maximum: float | None = None
    parse: Callable[[str], Any] | None = None
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    multiple: bool = False
    # Names that exist and are not for here, and the reason, which ends where the choices follow.
    refused: tuple[str, ...] = ()
    refusal: str = ""


def option(default: Any, help: str, **spec: Any) -> Any:
    """A dataclass field that carries its Spec."""
    return field(default=default, metadata={"spec": Spec(help, **spec)})


def specs(options: type) -> dict[str, tuple[Any, Spec]]:
    """`{field name: (default, Spec)}` of an options class, in order."""
    return {f.name: (f.default, f.metadata["spec"]) for f in fields(options)}


def check(options: Any) -> None:
    """Parse values given as text, then hold each against its choices and range."""
    for name, (default, spec) in specs(type(options)).items():
        flag = spec.flags[0] if spec.flags else "--" + name.replace("_", "-")
        value = getattr(options, name)
        parse = spec.parse or (_number_like(default) if spec.minimum is not None else None)
        if isinstance(default, bool) and not isinstance(value, bool):
            raise UsageError(f"{flag} {value!r}: must be True or False")
        value = _from_python(flag, value, default, spec)
        if isinstance(value, str) and parse:
            value = _parsed(flag, parse, value)
        object.__setattr__(options, name, value)
        if value is None or value == default:
            continue
        for one in value if spec.multiple else (value,):
            check_value(flag, one, spec)


def check_value(flag: str, value: Any, spec: Spec) -> None:
    """Raise UsageError when a parsed value breaks its Spec."""
    if spec.choices and value not in spec.choices:
        if value in spec.refused:
            raise UsageError(f"{flag} {value} {spec.refusal}: {', '.join(spec.choices)}")
        raise UnknownName(spec.kind, str(value), spec.choices)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    low, high = spec.minimum, spec.maximum
    if number and not ((low is None or value >= low) and (high is None or value <= high)):
        reach = " ".join(
            f"{word} {plain(end)}" for word, end in (("from", low), ("to", high)) if end is not None
        )
        raise UsageError(f"{flag} {value}: must be {reach}")


def plain(number: float) -> str:
    """A number for people: 4294967295, not 4.29497e+09."""
    return f"{number:.0f}" if float(number).is_integer() else f"{number:g}"


def _from_python(flag: str, value: Any, default: Any, spec: Spec) -> Any:
    """A value as Python callers may give it (281, a Path, a list), as the command line has it."""
    if spec.multiple:
        parse = spec.parse or str
        value = (value,) if isinstance(value, str) else value
        return tuple(_parsed(flag, parse, v) if isinstance(v, str) else v for v in value)
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    takes_text = spec.minimum is None and spec.parse is None and not isinstance(default, bool)
    return str(value) if takes_text and value is not None else value


def _number_like(default: Any) -> Callable[[str], float]:
    return float if isinstance(default, float) else int


def _parsed(flag: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None


def from_mapping(options: type, values: Iterable[tuple[str, Any]]) -> Any:
    """An options object of keyword arguments; an unknown keyword raises UnknownName."""
    given = dict(values)
    known = specs(options)
    for name in given:
        if name not in known:
            raise UnknownName("option", name, known)
    return options(**given)
