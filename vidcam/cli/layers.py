"""`vidcam layers`: what a network is made of, and where a map can be taken."""

import logging

import click

from vidcam.cli.options import verbosity
from vidcam.options import ModelOptions

log = logging.getLogger("vidcam")

HEADER = ("", "layer", "kind", "gives", "parameters")


@click.command("layers")
@click.argument("model", default=ModelOptions().model)
@verbosity
def command(model: str, quiet: bool) -> None:
    """List the layers of MODEL: what each gives for one picture, and the parameters inside it.

    `+` marks those that --layer takes, `*` the default one; -v says why the others carry no map.

    \b
    vidcam layers
    vidcam layers resnet50
    """
    options = ModelOptions(model=model, lang=("en",))
    from vidcam.cam.layers import check_layer, default_layer
    from vidcam.cam.survey import survey
    from vidcam.errors import UsageError
    from vidcam.models import load_model

    loaded = load_model(options)
    net = loaded.net
    try:
        if loaded.layer:
            check_layer(net, loaded.layer, loaded.size)
        default = loaded.layer or default_layer(net, loaded.size)
    except UsageError as error:
        log.warning("%s", error)
        default = None
    layers = survey(net, loaded.size)
    rows = [
        (
            "*" if layer.name == default else "+" if layer.obstacle is None else "",
            layer.name,
            layer.kind,
            "x".join(map(str, layer.shape)) if layer.shape else "",
            f"{layer.parameters:,}",
        )
        for layer in layers
    ]
    total = sum(parameter.numel() for parameter in net.parameters())
    rows = [HEADER, *rows, ("", "total", "", "", f"{total:,}")]
    reasons = ["", *(layer.obstacle or "" for layer in layers), ""]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for row, reason in list(zip(rows, reasons, strict=True))[quiet:]:
        left = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        line = "  ".join([*left, row[-1].rjust(widths[-1])])
        click.echo(f"{line}  {reason}".rstrip() if log.isEnabledFor(logging.DEBUG) else line)
