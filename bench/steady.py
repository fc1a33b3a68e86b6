"""How much the heat flickers, plain and steady: `python bench/steady.py CLIP...`.

Prints one JSON line: for each clip the mean |Δmap| between neighbouring frames of one scene, with
each frame's map scaled by its own maximum (`--cam-raw`) and on the running scale.
"""

import json
from pathlib import Path

import click
import numpy as np

from vidcam.options import FileOptions
from vidcam.session import Session
from vidcam.sources import open_source


def flicker(clip: str, options: FileOptions) -> float:
    """Mean |Δmap| of neighbouring frames that explain the same class."""
    session = Session(options)
    steps = []
    last = None
    for result in session.results(open_source(clip, options, audio=False)):
        now = result.prediction
        if last is not None and last.cam_class == now.cam_class:
            steps.append(float(np.abs(now.cam - last.cam).mean()))
        last = now
    return float(np.mean(steps))


@click.command()
@click.argument("clips", nargs=-1, required=True)
def main(clips: tuple[str, ...]) -> None:
    """Print the JSON line."""
    report = {}
    for clip in clips:
        raw, steady = (flicker(clip, FileOptions(cam_raw=plain)) for plain in (True, False))
        report[Path(clip).name] = {
            "raw": round(raw, 4),
            "steady": round(steady, 4),
            "ratio": round(raw / steady, 1),
        }
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
