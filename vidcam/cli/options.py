"""click options made from the options dataclasses, so that each is written once."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

from vidcam.errors import UsageError
from vidcam.options import Spec, check_value, specs

Command = TypeVar("Command", bound=Callable[..., Any])


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
    help_text = spec.help
    if spec.choices:
        help_text += f" [{'|'.join(spec.choices) if len(spec.choices) < 12 else 'OpenCV names'}]"
    if isinstance(default, bool):
        return click.option(*flags, name, is_flag=True, default=default, help=help_text,
                            show_default="/" in flags[0])  # fmt: skip
    is_number = spec.minimum is not None
    base: click.ParamType[Any] = click.STRING
    if is_number:
        base = click.FLOAT if isinstance(default, float) else click.INT
        if spec.maximum is not None:
            help_text += f" [{spec.minimum:g} to {spec.maximum:g}]"
    return click.option(
        *flags,
        name,
        type=Parsed(spec, base, flags[0]),
        metavar=spec.metavar or ("N" if is_number else "TEXT"),
        default=() if spec.multiple else default,
        multiple=spec.multiple,
        show_default=_shown(default),
        help=help_text,
    )


def _shown(default: Any) -> str | bool:
    if isinstance(default, tuple):
        return ",".join(default) if default else False
    return str(default) if default is not None else False


def _verbose(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        logging.getLogger("vidcam").setLevel(logging.DEBUG)


def _quiet(_ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    if value:
        logging.getLogger("vidcam").setLevel(logging.ERROR)
    return value
