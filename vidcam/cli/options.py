"""click options made from the options dataclasses, so that each is written once."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

from vidcam.errors import UnknownName, UsageError
from vidcam.spec import Spec, check_value, plain, specs

# A longer list of choices is named in the help's own words.
MOST_LISTED = 12

Command = TypeVar("Command", bound=Callable[..., Any])


class Commands(click.Group):
    """A group that names the nearest command when there is none of a name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's. Raises UnknownName."""
        known = self.list_commands(ctx)
        if args[0] not in known and not ctx.resilient_parsing:
            raise UnknownName("command", args[0], known)
        return super().resolve_command(ctx, args)


class Parsed(click.ParamType[Any]):
    """A value that an options field parses and checks."""

    def __init__(self, spec: Spec, base: click.ParamType[Any], flag: str) -> None:
        self.name = spec.metavar or base.name
        self._spec, self._base, self._flag = spec, base, flag

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The parsed value; a wrong one is a usage error."""
        if not isinstance(value, str):
            return value
        try:
            parsed = (
                self._spec.parse(value) if self._spec.parse
                else self._base.convert(value, param, ctx)
            )  # fmt: skip
            check_value(self._flag, parsed, self._spec)
        except UsageError as error:
            raise click.UsageError(str(error), ctx) from None
        except ValueError as error:
            raise click.UsageError(f"{self._flag}: {error}", ctx) from None
        return parsed


def options_of(options: type) -> Callable[[Command], Command]:
    """Decorates a command with the options of a dataclass; it gets them as keywords."""

    def decorate(command: Command) -> Command:
        for name, (default, spec) in reversed(list(specs(options).items())):
            command = _option(name, default, spec)(command)
        return command

    return decorate


def verbosity(command: Command) -> Command:
    """Decorates a command with -q and -v."""
    command = click.option("-v", "--verbose", is_flag=True, expose_value=False,
                           callback=_verbose, help="Say more.")(command)  # fmt: skip
    return click.option("-q", "--quiet", is_flag=True, help="Only errors.", callback=_quiet)(
        command
    )


def _option(name: str, default: Any, spec: Spec) -> Callable[[Command], Command]:
    flags = spec.flags or ("--" + name.replace("_", "-"),)
    if isinstance(default, bool):
        return click.option(*flags, name, is_flag=True, default=default, help=spec.help)
    is_number = spec.minimum is not None
    base: click.ParamType[Any] = click.STRING
    if is_number:
        base = click.FLOAT if isinstance(default, float) else click.INT
    return click.option(
        *flags,
        name,
        type=Parsed(spec, base, flags[0]),
        metavar=spec.metavar or ("N" if is_number else "NAME"),
        default=default,
        multiple=spec.multiple,
        help=_help(default, spec),
    )


def _help(default: Any, spec: Spec) -> str:
    what, lead, own_default = spec.help.partition(" Default: ")
    parts = [what]
    if 0 < len(spec.choices) < MOST_LISTED:
        parts.append(f"One of {', '.join(spec.choices)}.")
    if spec.minimum is not None and spec.maximum is not None:
        parts.append(f"{plain(spec.minimum)} to {plain(spec.maximum)}.")
    if lead:
        parts.append(f"Default: {own_default}")
    elif default not in (None, ()):
        parts.append(f"Default: {','.join(default) if isinstance(default, tuple) else default}.")
    return " ".join(parts)


def _verbose(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        logging.getLogger("vidcam").setLevel(logging.DEBUG)


def _quiet(_ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    if value:
        logging.getLogger("vidcam").setLevel(logging.ERROR)
    return value
