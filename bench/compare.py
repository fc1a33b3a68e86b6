"""vidcam beside its peers, in one run: `python bench/compare.py [CLIP] [--repeats 5]`.

The same clip and the same network for all, each in a process of its own, in turn, start-up apart:
vidcam on each of its engines with Grad-CAM on every frame, text, H.264 (veryfast, crf 23) and the
check of the output; the notebooks' loop with Grad-CAM on every frame and on every 5th; and
ultralytics' predict on the network as ONNX, without any CAM. cv2's wheels have no H.264 encoder,
so these two write what they can (`writes`), which costs less. Behind it CAMs alone, by
bench/cam_alone.py. Prints one JSON line; what is not installed is in `left_out`.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from clips import looped
from report import (
    BACKENDS,
    CLIP,
    LeftOut,
    as_arguments,
    child,
    cores,
    machine,
    median,
    rounded,
    settings_of,
    versions,
)  # fmt: skip

H264 = {"preset": "veryfast", "crf": "23"}
WRITES = {
    "vidcam": "H.264 (libx264)",
    "seed": "MPEG-4 part 2 (cv2, mp4v)",
    "ultralytics": "Motion JPEG (cv2)",
}
Run = Callable[[], dict[str, Any]]


def peers_of(
    clip: Path, folder: Path, settings: dict[str, Any], backends: tuple[str, ...], seed_frames: int
) -> dict[str, Run]:
    """What can be run, by name."""
    peers: dict[str, Run] = {}
    for backend in backends:
        options = as_arguments(H264 | settings | {"backend": backend})
        peers[f"vidcam_{backend}"] = lambda options=options: child(
            "one_run.py", clip, folder / "vidcam.mp4", *options
        )
    for name, every in (("seed_loop", 1), ("seed_loop_every_5", 5)):
        peers[name] = lambda every=every: child(
            "seed_loop.py", clip, folder / "seed.mp4", "--frames", seed_frames,
            "--cam-every", every,
        )  # fmt: skip
    peers["ultralytics"] = lambda: child("ultralytics_predict.py", clip, folder)
    return peers


def alternate(
    peers: dict[str, Run], repeats: int, left_out: dict[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """The runs of each peer, in turn; one that fails at first is left out."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in peers}
    for turn in range(repeats):
        for name, run in peers.items():
            if name in left_out:
                continue
            click.echo(f"{name}, {turn + 1} of {repeats}", err=True)
            try:
                runs[name].append(run())
            except LeftOut as reason:
                left_out[name] = str(reason)
    return {name: found for name, found in runs.items() if found}


def figures(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of a peer's runs."""
    samples_ms = [1000 * run["seconds"] / run["frames"] for run in runs]
    report = {
        "ms": median(samples_ms),
        "fps": round(1000 / median(samples_ms, 4), 1),
        "samples_ms": rounded(samples_ms),
        "cpu_ms": median([1000 * run["cpu_s"] / run["frames"] for run in runs]),
        "busy": median([run["cpu_s"] / run["seconds"] / cores() for run in runs]),
    }
    if "stages_s" in runs[0]:
        report["runs"] = runs[0]["runs"]
        report["stages_ms"] = {
            stage: median([1000 * run["stages_s"][stage] / run["frames"] for run in runs])
            for stage in runs[0]["stages_s"]
        }
    return report


def ratios(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """How many times as fast as each peer vidcam is, by engine."""
    return {
        name: {
            peer: round(other["ms"] / one["ms"], 2)
            for peer, other in found.items()
            if not peer.startswith("vidcam")
        }
        for name, one in found.items()
        if name.startswith("vidcam")
    }


@click.command()
@click.argument("clip", default=CLIP, type=click.Path(exists=True, path_type=Path))
@click.option("--repeats", default=5, help="How often all take their turn.")
@click.option("--frames", default=280, help="The clip is looped to so many, without its sound.")
@click.option("--seed-frames", default=60, help="The notebooks' loop gets only so many of them.")
@click.option("--backend", "backends", multiple=True, default=BACKENDS, help="Of vidcam.")
@click.option("--only", multiple=True, help="Only these: the names in the report, and cam_alone.")
@click.option("--set", "pairs", multiple=True, help="name=value of vidcam's FileOptions.")
def main(clip: Path, repeats: int, frames: int, seed_frames: int, backends: tuple[str, ...],
         only: tuple[str, ...], pairs: tuple[str, ...]) -> None:  # fmt: skip
    """Print the JSON line."""
    settings, left_out = settings_of(pairs), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        looped(clip, folder / "clip.mp4", frames)
        peers = peers_of(folder / "clip.mp4", folder, settings, backends, seed_frames)
        if only:
            peers = {name: run for name, run in peers.items() if name in only}
        runs = alternate(peers, repeats, left_out)
    found = {name: figures(one) for name, one in runs.items()}
    report = {
        "program": "compare",
        "what": "video in, explained video out, ms per frame, start-up apart",
        "machine": machine(), "versions": versions(),
        "clip": clip.name, "frames": frames, "options": H264 | settings, "writes": WRITES,
        "peers": found, "times_as_fast": ratios(found),
    }  # fmt: skip
    if not only or "cam_alone" in only:
        asked = [part for backend in backends for part in ("--backend", backend)]
        try:
            alone = child("cam_alone.py", "--rounds", 2 * repeats, *asked, *as_arguments(settings))
            report["cam_alone"] = alone
        except LeftOut as reason:
            left_out["cam_alone"] = str(reason)
    click.echo(json.dumps(report | {"left_out": left_out}))


if __name__ == "__main__":
    main()
