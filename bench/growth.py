"""Does a long clip cost more per frame, or more memory: `python bench/growth.py`.

The same clip, looped without encoding it again to each of `--frames`, each run in a process of its
own, in turn: frames a second, start-up apart, their spread over the lengths, and the memory with
the model loaded, at 10, 50 and 100 % of the frames and at its peak. `--size 3840x2160` makes the
clip larger first. Prints one JSON line; Linux only. 28,000 frames of 1280x720 take eight minutes
at 60 fps: `python bench/growth.py --frames 280 --frames 2800 --frames 28000 --repeats 1`.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import click
from clips import looped, scaled
from report import (
    CLIP,
    LeftOut,
    as_arguments,
    child,
    machine,
    median,
    rounded,
    settings_of,
    versions,
)

H264 = {"preset": "veryfast", "crf": "23"}


def figures(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the runs of one length."""
    fps = [run["frames"] / run["seconds"] for run in runs]
    memory = {
        name: median([run["memory_mb"][name] for run in runs], 1) for name in runs[0]["memory_mb"]
    }
    return {
        "fps": median(fps),
        "samples_fps": rounded(fps),
        "cpu_ms": median([1000 * run["cpu_s"] / run["frames"] for run in runs]),
        "memory_mb": memory | {"peak_above_loaded": round(memory["peak"] - memory["loaded"], 1)},
    }


@click.command()
@click.argument("clip", default=CLIP, type=click.Path(exists=True, path_type=Path))
@click.option("--frames", "lengths", multiple=True, default=(280, 2800), help="A length.")
@click.option("--repeats", default=3, help="Runs of each length.")
@click.option("--size", help="WIDTHxHEIGHT to which the clip is scaled first.")
@click.option("--set", "pairs", multiple=True, help="name=value of FileOptions.")
def main(clip: Path, lengths: tuple[int, ...], repeats: int, size: str | None,
         pairs: tuple[str, ...]) -> None:  # fmt: skip
    """Print the JSON line."""
    options = H264 | settings_of(pairs)
    runs: dict[int, list[dict[str, Any]]] = {length: [] for length in lengths}
    with tempfile.TemporaryDirectory() as name:
        folder, source = Path(name), clip
        if size:
            width, height = map(int, size.split("x"))
            source = folder / "scaled.mp4"
            scaled(clip, source, (width, height))
        for length in lengths:
            looped(source, folder / f"{length}.mp4", length)
        for turn in range(repeats):
            for length in lengths:
                click.echo(f"{length} frames, {turn + 1} of {repeats}", err=True)
                try:
                    run = child("one_run.py", folder / f"{length}.mp4", folder / "out.mp4",
                                *as_arguments(options))  # fmt: skip
                except LeftOut as reason:
                    raise click.ClickException(str(reason)) from None
                runs[length].append(run)
    found = {length: figures(one) for length, one in runs.items()}
    fps = [one["fps"] for one in found.values()]
    report = {
        "program": "growth",
        "what": "frames a second and memory (MiB) by the number of frames",
        "machine": machine(), "versions": versions(),
        "clip": clip.name, "size": size or "its own", "options": options,
        "runs": runs[lengths[0]][0]["runs"],
        "lengths": found,
        "spread": round((max(fps) - min(fps)) / median(fps), 4),
    }  # fmt: skip
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
