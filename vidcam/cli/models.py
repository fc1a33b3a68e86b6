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
    checkpoint of your own is given by its path; cnn7 and simplecnn are trained first.
    """
    from vidcam.errors import UnknownName
    from vidcam.models import BUILTIN
    from vidcam.models.architectures import NOTEBOOKS, architecture_names

    wanted = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    notes = {BUILTIN: "  (built in, the default)"}
    notes |= {name: "  (no weights: vidcam train --arch)" for name in NOTEBOOKS}
    names = architecture_names()
    found = [name for name in names if fnmatch(name.lower(), wanted.lower())]
    if not found:
        raise UnknownName("model", pattern, names)
    for name in found:
        click.echo(name + notes.get(name, ""))
    return 0
