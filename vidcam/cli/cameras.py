"""`vidcam cameras`: the cameras of this machine, and what each offers."""

import json
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vidcam.cli.options import verbosity

if TYPE_CHECKING:
    from vidcam.sources.v4l2 import Camera

HINT = (
    "no camera found; URLs, files, lavfi:GRAPH and screen need none. "
    "Is it plugged in, and are you in the group video?"
)


@click.command("cameras")
@click.option("--json", "as_json", is_flag=True, help="One JSON list, for programs.")
@verbosity
def command(as_json: bool, quiet: bool) -> int:
    """List the cameras that --camera takes by index, path or name, with their sizes and rates."""
    from vidcam.sources.devices import list_cameras

    cameras = list_cameras()
    if as_json:
        click.echo(json.dumps([asdict(camera) for camera in cameras], ensure_ascii=False))
        return 0
    if not cameras:
        click.echo(f"vidcam: {HINT}", err=True)
    for camera in cameras:
        click.echo(f"{camera.index}  {camera.path}  {camera.name}")
        for line in _table(camera):
            click.echo(f"   {line}")
    return 0


def _table(camera: "Camera") -> list[str]:
    """One line a size: its formats, each with the rates that it comes at."""
    sizes: dict[tuple[int, int], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, width, height, fps in camera.modes:
        sizes[width, height][name].append(f"{fps:g}" if fps else "any")
    lines = []
    for (width, height), formats in sorted(sizes.items(), reverse=True):
        rates = "   ".join(f"{name} {', '.join(fps)} fps" for name, fps in formats.items())
        lines.append(f"{f'{width}x{height}':10}  {rates}")
    return lines
