"""`vidcam import`: bare weights of a notebook become a checkpoint."""

import logging
from pathlib import Path
from typing import Any

import click

from vidcam.cli.options import options_of, verbosity
from vidcam.models.options import ImportOptions

log = logging.getLogger("vidcam")


@click.command("import")
@click.argument("weights", metavar="WEIGHTS")
@click.option("-o", "--output", required=True, metavar="FILE", help="The checkpoint.")
@click.option("-y", "overwrite", is_flag=True, help="Replace an existing checkpoint.")
@options_of(ImportOptions)
@verbosity
def command(weights: str, output: str, overwrite: bool, quiet: bool, **given: Any) -> int:
    """Turn bare WEIGHTS, of torch.save(net.state_dict(), WEIGHTS), into a checkpoint.

    \b
    vidcam import fruit30.pth --arch cnn7 --labels fruit30/ -o fruit.pt
    vidcam import w.pth --arch resnet18 --labels cat,dog --imgsz 224 --fit stretch -o pets.pt
    """
    options = ImportOptions(**given)
    from vidcam.errors import UsageError
    from vidcam.sinks.partial import check_target

    source, target = Path(weights), Path(output)
    check_target(target, overwrite)
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"-o {target} would overwrite the weights; give it another name")
    from vidcam.cam.layers import check_layer
    from vidcam.cli.signals import Interrupts
    from vidcam.models.checkpoint import save_checkpoint
    from vidcam.models.importing import import_weights

    with Interrupts():
        checkpoint, net = import_weights(source, options)
        preset = checkpoint.preset
        if preset.layer:
            check_layer(net, preset.layer, preset.size)
        save_checkpoint(target, checkpoint)
    classes = len(checkpoint.labels)
    log.info("%s, %d classes, %d px → %s", checkpoint.arch, classes, preset.size, target)
    return 0
