"""How long until the first frame: `python bench/startup.py [CLIP] [--backend B]`.

Runs `vidcam file CLIP -o OUT --jsonl -` in a process of its own, with the clock from before it is
made: `first_record_s` until the first frame's JSON line comes out of its stdout, `first_frame_s`
until the second one does: the record comes before the encoder, so by then the first frame has been
classified, explained, drawn and written to the video. Disk and caches are warm: a run that is not
counted, with Python's import profile, comes before. Then `vidcam --help`, and an interpreter that
does nothing. Prints one JSON line: medians, and the imports of the profile by package, the dearest
ten in milliseconds.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
from report import CLIP, ROOT, LeftOut, machine, median, rounded, settings_of, versions

DEAREST = 10
LIMIT_S = 120
IMPORT = re.compile(r"import time: +(\d+) \| +\d+ \| +(\S+)")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def first_frame(command: list[str]) -> tuple[float, float]:
    """Seconds until the first record, and until the second. Raises LeftOut."""
    with tempfile.TemporaryFile("w+") as said:
        start_s = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, env=ENVIRONMENT
        ) as process:
            assert process.stdout
            lines, times_s = [], []
            for _ in range(2):
                lines.append(process.stdout.readline())
                times_s.append(time.perf_counter() - start_s)
            try:
                process.communicate(timeout=LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise LeftOut(f"it does not end within {LIMIT_S} s of its first frame") from None
        said.seek(0)
        errors = said.read().strip().splitlines()
    if process.returncode or not all(lines):
        raise LeftOut(errors[-1] if errors else f"exit code {process.returncode}")
    return times_s[0], times_s[1]


def seconds_of(command: list[str]) -> float:
    """How long a command takes."""
    start_s = time.perf_counter()
    subprocess.run(command, capture_output=True, env=ENVIRONMENT, check=True)
    return time.perf_counter() - start_s


def imports_of(command: list[str]) -> dict[str, Any]:
    """What the imports of a command cost, by package. Raises LeftOut."""
    environment = ENVIRONMENT | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise LeftOut(done.stderr.strip().splitlines()[-1])
    own_us: Counter[str] = Counter()
    for microseconds, module in IMPORT.findall(done.stderr):
        own_us[module.partition(".")[0]] += int(microseconds)
    dearest = {package: round(us / 1000, 1) for package, us in own_us.most_common(DEAREST)}
    return {"total_ms": round(own_us.total() / 1000, 1), "dearest_ms": dearest}


def engine(clip: str, settings: dict[str, Any], repeats: int) -> dict[str, Any]:
    """What one engine takes. Raises LeftOut."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "out.mp4"
        command = [sys.executable, "-m", "vidcam", "file", clip, "-o", str(target), "-y",
                   "--jsonl", "-", *flags]  # fmt: skip
        imports = imports_of(command)
        runs = [first_frame(command) for _ in range(repeats)]
    records_s, frames_s = zip(*runs, strict=True)
    return {
        "first_record_s": median(records_s),
        "first_frame_s": median(frames_s),
        "samples_first_frame_s": rounded(frames_s),
        "imports": imports,
    }


@click.command()
@click.argument("clip", default=str(CLIP), type=click.Path(exists=True))
@click.option("--repeats", default=5, help="Runs of each.")
@click.option("--backend", "backends", multiple=True, default=("auto",), help="Of vidcam.")
@click.option("--max-frames", default=60, help="The run ends after so many.")
@click.option("--set", "pairs", multiple=True, help="name=value of FileOptions.")
def main(clip: str, repeats: int, backends: tuple[str, ...], max_frames: int,
         pairs: tuple[str, ...]) -> None:  # fmt: skip
    """Print the JSON line."""
    settings = {"max_frames": max_frames} | settings_of(pairs)
    engines: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for backend in backends:
        try:
            engines[backend] = engine(clip, settings | {"backend": backend}, repeats)
        except LeftOut as reason:
            left_out[backend] = str(reason)
    help_command = [sys.executable, "-m", "vidcam", "--help"]
    help_s = [seconds_of(help_command) for _ in range(repeats)]
    nothing_s = [seconds_of([sys.executable, "-c", ""]) for _ in range(repeats)]
    report = {
        "program": "startup",
        "what": "seconds from the start of the command, warm disk and caches",
        "machine": machine(), "versions": versions(),
        "clip": Path(clip).name, "options": settings,
        "engines": engines,
        "help_s": median(help_s), "samples_help_s": rounded(help_s),
        "help_imports": imports_of(help_command),
        "python_s": median(nothing_s, 3),
        "left_out": left_out,
    }  # fmt: skip
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
