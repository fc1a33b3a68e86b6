"""What the programs here share: machine, versions, medians, children that print a JSON line."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from vidcam.machine import cores, cpu_name

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
CLIP = ROOT / "sample_media" / "cat.mp4"
BACKENDS = ("torch", "openvino", "compile")
PACKAGES = (
    "vidcam", "torch", "torchvision", "timm", "openvino", "av", "opencv-python", "numpy",
    "grad-cam", "torchcam", "ultralytics", "onnxruntime",
)  # fmt: skip
MEBIBYTE = 1 << 20


class LeftOut(Exception):
    """Something cannot be measured here; the message says why."""


def machine() -> dict[str, Any]:
    """What it runs on."""
    return {
        "cpu": cpu_name(),
        "cores": cores(),
        "gpus": _gpus(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of the packages that are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def settings_of(pairs: Iterable[str]) -> dict[str, Any]:
    """`name=value` of the command line as keywords of vidcam's options."""
    truth = {"true": True, "false": False}
    split = (pair.split("=", 1) for pair in pairs)
    return {name: truth.get(value.lower(), value) for name, value in split}


def as_arguments(settings: dict[str, Any]) -> list[str]:
    """Settings as `--set name=value` for a child."""
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]


def child(program: str, *arguments: object) -> dict[str, Any]:
    """The JSON line of another program here. Raises LeftOut with the last line of its stderr."""
    command = [sys.executable, str(BENCH / program), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise LeftOut(said[-1].removeprefix("Error: "))
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def median(samples: Sequence[float], digits: int = 2) -> float:
    """The median, rounded."""
    return round(statistics.median(samples), digits)


def rounded(samples: Iterable[float], digits: int = 2) -> list[float]:
    """Each sample, rounded."""
    return [round(sample, digits) for sample in samples]


def memory_mb(field: str = "VmRSS", pid: int | str = "self") -> float:
    """What a process holds (VmRSS), or the most that it has held (VmHWM), in MiB. Linux only."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kibibytes = next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    return round(kibibytes * 1024 / MEBIBYTE, 1)


def forget_peak() -> None:
    """Let VmHWM of this process begin anew at what it holds now. Linux only."""
    Path("/proc/self/clear_refs").write_text("5")


def _gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines() if done.returncode == 0 else []
