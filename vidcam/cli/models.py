"""`vidcam models`: what `--model` takes."""

from fnmatch import fnmatch

import click

from vidcam.cli.options import verbosity


@click.command("models")
@click.argument("pattern", default="*")
@verbosity
def command(pattern: str, quiet: bool) -> int:
    """List the models whose name matches PATTERN (a part of the name, or a quoted glob).

    The built-in model needs no download; the weights of the others are fetched on first use. A
    checkpoint of your own is given by its path.
    """
    from vidcam.errors import UnknownName
    from vidcam.models import BUILTIN, model_names

    wanted = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    names = model_names()
    found = [name for name in names if fnmatch(name.lower(), wanted.lower())]
    if not found:
        raise UnknownName("model", pattern, names)
    for name in found:
        click.echo(f"{name}  (built in, the default)" if name == BUILTIN else name)
    return 0
