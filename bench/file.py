"""vidcam file against the notebooks' loop, in one run: `python bench/file.py [CLIP] [REPEATS]`.

Alternates the two on the same clip with the same model and Grad-CAM on every frame, each in a
process of its own, start-up apart, and prints one JSON line: machine, versions, samples (ms per
frame), medians, their ratio, and vidcam's wall time by stage.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
SEED_FRAMES = 60
PACKAGES = ("vidcam", "torch", "torchvision", "timm", "av", "opencv-python", "grad-cam", "numpy")


def one_vidcam(clip: Path, folder: Path, options: dict[str, str]) -> dict[str, object]:
    """ms per frame of one run of vidcam, and of its stages."""
    code = (
        "import json, sys, vidcam\n"
        "options = vidcam.FileOptions(**json.loads(sys.argv[3]))\n"
        "stats = vidcam.run(sys.argv[1], sys.argv[2], options, overwrite=True)\n"
        "per_frame = 1000 / stats.written\n"
        "stages = {k: v * per_frame for k, v in stats.stages_s.items()}\n"
        "print(json.dumps({'ms': stats.wall_s * per_frame, 'stages_ms': stages}))\n"
    )
    arguments = [str(clip), str(folder / "vidcam.mp4"), json.dumps(options)]
    result: dict[str, object] = json.loads(_output([sys.executable, "-c", code, *arguments]))
    return result


def one_seed(clip: Path, folder: Path) -> float:
    """ms per frame of one run of the notebooks' loop."""
    script = str(ROOT / "bench" / "seed_loop.py")
    target = str(folder / "seed.mp4")
    out = _output([sys.executable, script, str(clip), target, str(SEED_FRAMES)])
    result = json.loads(out)
    return float(result["seconds"] / result["frames"] * 1000)


@click.command()
@click.argument("clip", default=str(ROOT / "sample_media" / "cat.mp4"))
@click.argument("repeats", default=5)
@click.option("--set", "settings", multiple=True, help="name=value of FileOptions.")
def main(clip: str, repeats: int, settings: tuple[str, ...]) -> None:
    """Print the JSON line."""
    options = dict(setting.split("=", 1) for setting in settings)
    ours: list[float] = []
    stages: list[dict[str, float]] = []
    seeds: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(repeats):
            run = one_vidcam(Path(clip), Path(name), options)
            ours.append(run["ms"])  # type: ignore[arg-type]
            stages.append(run["stages_ms"])  # type: ignore[arg-type]
            seeds.append(one_seed(Path(clip), Path(name)))
    median, seed = statistics.median(ours), statistics.median(seeds)
    report = {
        "what": "vidcam file / notebooks' loop, ms per frame, start-up apart",
        "clip": Path(clip).name,
        "options": options,
        "machine": {"cpu": _cpu(), "cores": len(os.sched_getaffinity(0)),
                    "system": platform.platform(), "python": platform.python_version()},
        "versions": {package: _version(package) for package in PACKAGES},
        "samples_ms": {"vidcam": _rounded(ours), "seed_loop": _rounded(seeds)},
        "median_ms": {"vidcam": round(median, 2), "seed_loop": round(seed, 2)},
        "fps": {"vidcam": round(1000 / median, 1), "seed_loop": round(1000 / seed, 1)},
        "ratio": round(seed / median, 2),
        "stages_ms": {
            stage: round(statistics.median(run.get(stage, 0.0) for run in stages), 2)
            for stage in stages[0]
        },
    }  # fmt: skip
    click.echo(json.dumps(report))


def _output(command: list[str]) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise click.ClickException(done.stderr.strip().splitlines()[-1])
    return done.stdout.strip().splitlines()[-1]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "checkout"


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _rounded(samples: list[float]) -> list[float]:
    return [round(sample, 2) for sample in samples]


if __name__ == "__main__":
    main()
