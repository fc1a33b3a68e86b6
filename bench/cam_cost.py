"""What each CAM costs vidcam's forward: `python bench/cam_cost.py [--method M] [--backend B]`.

Batches of the same pictures are classified in turn without a map and with it, so that both see the
same machine; the cost is the median of the differences over the median without a map, by wall time
and by the CPU time of all threads. `without_cut` is the network without any CAM layer (`--cam
none`). Then the first method runs for `--lasting` batches: `grown_mb` is the memory behind them
minus that behind a tenth of them. Prints one JSON line, in milliseconds per picture; Linux only.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import click
from engines import pixels_of, session_with
from report import (
    BACKENDS,
    CLIP,
    LeftOut,
    machine,
    median,
    memory_mb,
    settings_of,
    versions,
)

from vidcam.options import VIDEO_CAMS
from vidcam.session import Session
from vidcam.types import Pixels

METHODS = tuple(name for name in VIDEO_CAMS if name != "none")
WARM_PAIRS = 3


@dataclass
class Clock:
    """Wall and CPU time of batches, in ms per picture."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def run(self, session: Session, pixels: Pixels, explain: bool) -> None:
        """Classify a batch."""
        start_s, cpu_s = time.perf_counter(), time.process_time()
        session.classifier(pixels, explain)
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
        self.wall_ms.append(1000 * wall_s / len(pixels))
        self.cpu_ms.append(1000 * cpu_s / len(pixels))

    def medians(self) -> dict[str, float]:
        """Of both."""
        return {"wall_ms": median(self.wall_ms, 3), "cpu_ms": median(self.cpu_ms, 3)}


def cost(plain: list[float], explained: list[float]) -> float:
    """The median difference as a share of the median without a map."""
    differences = [more - less for less, more in zip(plain, explained, strict=True)]
    return round(median(differences, 6) / median(plain, 6), 4)


def measure(session: Session, bare: Session, pixels: Pixels, pairs: int) -> dict[str, Any]:
    """One method on one engine."""
    plain, explained, without_cut = Clock(), Clock(), Clock()
    for number in range(WARM_PAIRS + pairs):
        clocks = (plain, explained) if number >= WARM_PAIRS else (Clock(), Clock())
        # Who comes second finds the caches warm: each is second as often as the other.
        for explain in (False, True) if number % 2 else (True, False):
            clocks[explain].run(session, pixels, explain)
        if number >= WARM_PAIRS:
            without_cut.run(bare, pixels, False)
    return {
        "without_map": plain.medians(), "with_map": explained.medians(),
        "without_cut": without_cut.medians(),
        "cost": {
            "wall": cost(plain.wall_ms, explained.wall_ms),
            "cpu": cost(plain.cpu_ms, explained.cpu_ms),
        },
    }  # fmt: skip


def lasting(session: Session, pixels: Pixels, batches: int) -> dict[str, float]:
    """The memory at a tenth of so many explained batches and at their end."""
    for number in range(1, batches + 1):
        session.classifier(pixels, True)
        if number == max(1, batches // 10):
            early_mb = memory_mb()
    late_mb = memory_mb()
    return {
        "batches": batches,
        "early_mb": early_mb,
        "late_mb": late_mb,
        "grown_mb": round(late_mb - early_mb, 1),
    }


def engine(
    settings: dict[str, Any], methods: tuple[str, ...], pairs: int, batches: int
) -> dict[str, Any]:
    """All methods on one engine. Raises LeftOut."""
    bare = session_with(settings | {"cam": "none"})
    found: dict[str, Any] = {}
    for method in methods:
        click.echo(f"{settings['backend']}, {method}", err=True)
        session = session_with(settings | {"cam": method})
        pixels = pixels_of(str(CLIP), session, int(settings["batch"]))
        found.setdefault("runs", session.summary)
        found[method] = measure(session, bare, pixels, pairs)
        if method == methods[0] and batches:
            found["lasting"] = lasting(session, pixels, batches)
    return found


@click.command()
@click.option("--method", "methods", multiple=True, default=METHODS, help="Only these.")
@click.option("--backend", "backends", multiple=True, default=BACKENDS, help="Only these.")
@click.option("--batch", default=8, help="Pictures in a batch.")
@click.option("--pairs", default=60, help="How often both take their turn.")
@click.option("--lasting", "batches", default=2000, help="Batches for the memory; 0 leaves it out.")
@click.option("--set", "pairs_set", multiple=True, help="name=value of FileOptions.")
def main(methods: tuple[str, ...], backends: tuple[str, ...], batch: int, pairs: int,
         batches: int, pairs_set: tuple[str, ...]) -> None:  # fmt: skip
    """Print the JSON line."""
    settings = {"batch": batch} | settings_of(pairs_set)
    engines: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for backend in backends:
        try:
            engines[backend] = engine(settings | {"backend": backend}, methods, pairs, batches)
        except LeftOut as reason:
            left_out[backend] = str(reason)
    report = {
        "program": "cam_cost",
        "what": "what a CAM costs of the forward, ms per picture",
        "machine": machine(), "versions": versions(),
        "batch": batch, "pairs": pairs, "options": settings,
        "engines": engines, "left_out": left_out,
    }  # fmt: skip
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
