"""`vidcam bench`: what each stage costs on this machine, and what to change."""

import json
import logging
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.options import options_of, verbosity
from vidcam.cli.signals import Interrupts
from vidcam.errors import Interrupted, OutputError, system_reason
from vidcam.machine import cpu_name
from vidcam.options import BenchOptions

if TYPE_CHECKING:
    from vidcam.bench.measure import Measurement
    from vidcam.bench.stages import Cost
    from vidcam.session import Session
    from vidcam.types import StreamInfo

log = logging.getLogger("vidcam")

PACKAGES = ("vidcam", "torch", "openvino", "av", "opencv-python", "numpy")
LABELS = {"cam": "CAM"}
Report = dict[str, Any]


@click.command("bench")
@click.argument("clip", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@options_of(BenchOptions)
@verbosity
def command(clip: str | None, as_json: bool, quiet: bool, **given: Any) -> int:
    """Measure what each stage of `vidcam file` costs on this machine, and say what to change.

    Without CLIP it makes one of --size. It takes about half a minute and leaves no file.

    \b
    vidcam bench
    vidcam bench clip.mp4 --model resnet50 --preset superfast
    vidcam bench --size 3840x2160 --frames 60 --json
    """
    report = run(clip, BenchOptions(**given))
    click.echo(json.dumps(report, ensure_ascii=False) if as_json else "\n".join(lines_of(report)))
    return 0


def run(clip: str | None, options: BenchOptions) -> Report:
    """Measure, and give every figure. Raises VidcamError, or KeyboardInterrupt."""
    with Interrupts(regular=True) as interrupts, said_once(), temporary_folder() as folder:

        def began(step: str) -> None:
            interrupts.pipeline = None
            if interrupts.asked:
                raise Interrupted("interrupted")
            log.info("%s", step)

        try:
            # What is wrong is said at once, before a clip is made.
            _check_encoder(options)
            if clip is not None:
                _info(clip, options)
            start_s = time.perf_counter()
            from vidcam.session import session_of

            session = session_of(options)
            startup_s = time.perf_counter() - start_s
            log.info("%s", session.summary)
            uri = clip if clip is not None else _made(folder, options)
            info = _info(uri, options)
            from vidcam.bench.measure import measure

            measured = measure(session, uri, options, folder, began=began, started=interrupts.watch)
        except Exception:
            # A pipeline that was stopped before its first frame fails in its own words.
            if interrupts.asked:
                raise Interrupted("interrupted") from None
            raise
    return {
        "clip": {"name": info.name, "made": clip is None, "frames": measured.frames,
                 "width": info.width, "height": info.height},
        "options": {field.name: getattr(options, field.name) for field in fields(options)
                    if getattr(options, field.name) != getattr(BenchOptions(), field.name)},
        **_machine(session, measured.cores),
        "startup_s": round(startup_s, 2),
        **_figures(measured),
        "advice": _advice(session, measured, options),
        "samples": [{"run": _rounded(one.run),
                     "stages": {name: _rounded(cost) for name, cost in one.stages.items()}}
                    for one in measured.rounds],
    }  # fmt: skip


def lines_of(report: Report) -> list[str]:
    """The report as a table for people."""
    clip, run, limit = report["clip"], report["run"], report["limit"]
    made = "made for this" if clip["made"] else clip["name"]
    machine = report["machine"]
    lines = [
        report["engine"]["summary"],
        f"{made}: {clip['frames']} frames of {clip['width']}x{clip['height']}, "
        f"medians of {len(report['samples'])}",
        "",
        f"{'ms per frame':14}{'CPU':>8}{'wall':>8}{'share':>8}",
    ]
    for name, cost in report["stages"].items():
        share = f"{100 * cost['share']:.0f} %"
        lines.append(
            f"{LABELS.get(name, name):14}{cost['cpu_ms']:8.2f}{cost['wall_ms']:8.2f}{share:>8}"
        )
    lines += [
        f"{'sum':14}{report['stages_cpu_ms']:8.2f}",
        f"{'end to end':14}{run['cpu_ms']:8.2f}{run['wall_ms']:8.2f}",
        "",
        f"end to end    {run['fps']:.1f} fps, start-up apart",
        f"limit         {limit['fps']:.1f} fps, {limit['ms']:.2f} ms a frame, {_basis(report)}",
        f"efficiency    {report['efficiency']:.2f} of the limit",
        f"CPU busy      {report['busy']:.2f} of {machine['cores']} cores{_others(report)}",
        f"start-up      {report['startup_s']:.1f} s",
        f"peak memory   {report['peak_memory_mb']:.0f} MB",
        f"machine       {machine['cpu']}, {machine['cores']} cores"
        + (f", {machine['device']}" if machine["device"] else ""),
        "versions      " + ", ".join(f"{k} {v}" for k, v in report["versions"].items()),
        "",
    ]
    return lines + [f"→ {sentence}" for sentence in report["advice"]]


def _basis(report: Report) -> str:
    limit, cores = report["limit"], report["machine"]["cores"]
    if limit["of"] != "cores":
        return f"the network's on {limit['of']}"
    return f"CPU of decode + network + encode over {cores} cores"


def _others(report: Report) -> str:
    share = report["others_busy"]
    return "" if share is None else f"; other programs {share:.2f}"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is removed, whatever happens. Raises OutputError."""
    try:
        place = tempfile.TemporaryDirectory(prefix="vidcam-bench-")
    except OSError as error:
        raise OutputError(f"no folder for temporary files: {system_reason(error)}") from error
    with place as name:
        yield Path(name)


@contextmanager
def said_once() -> Iterator[None]:
    """Keep what vidcam says of every run to the first."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        is_known = text in said
        said.add(text)
        return not is_known

    log.addFilter(is_new)
    try:
        yield
    finally:
        log.removeFilter(is_new)


def _made(folder: Path, options: BenchOptions) -> str:
    from vidcam.bench.sample import make_sample

    log.info("making a clip: %d frames of %dx%d", options.max_frames, *options.size)
    path = folder / "clip.mp4"
    make_sample(path, options.size, options.max_frames)
    return str(path)


def _check_encoder(options: BenchOptions) -> None:
    """Raise UsageError when the encoder cannot write what is asked."""
    from vidcam.bench.measure import suffix_for
    from vidcam.sinks.encoder import check_output

    check_output(Path(f"out{suffix_for(options)}"), options)


def _info(uri: str, options: BenchOptions) -> "StreamInfo":
    from vidcam.sources import open_source

    source = open_source(uri, options, options.audio)
    source.close()
    return source.info


def _machine(session: "Session", cores: int) -> Report:
    backend = session.backend
    return {
        "engine": {"summary": session.summary, "model": session.model.name, "name": backend.name,
                   "device": backend.device, "precision": backend.precision,
                   "layer": backend.layer_name, "batch": session.policy.batch},
        "machine": {"cpu": cpu_name(), "cores": cores, "device": _gpu(backend.device),
                    "system": platform.platform(), "python": platform.python_version()},
        "versions": dict(_versions()),
    }  # fmt: skip


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            yield package, metadata.version(package)


def _gpu(device: str) -> str | None:
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.get_device_name(device)


def _figures(measured: "Measurement") -> Report:
    from vidcam.bench.stages import STAGES

    at_device = measured.limit_ms > measured.cpu_limit_ms
    return {
        "stages": {name: _rounded(measured.stage(name)) | {"share": round(measured.share(name), 4)}
                   for name in STAGES},
        "stages_cpu_ms": round(measured.stages_cpu_ms, 3),
        "run": _rounded(measured.run) | {"fps": round(1000 / measured.run.wall_ms, 2)},
        "limit": {"ms": round(measured.limit_ms, 3), "fps": round(1000 / measured.limit_ms, 2),
                  "of": measured.device if at_device else "cores"},
        "efficiency": round(measured.efficiency, 4),
        "busy": round(measured.busy, 4),
        "others_busy": None if measured.others is None else round(measured.others, 4),
        "peak_memory_mb": round(measured.peak_memory_bytes / 1e6, 1),
    }  # fmt: skip


def _rounded(cost: "Cost") -> Report:
    return {name: round(value, 3) for name, value in asdict(cost).items()}


def _advice(session: "Session", measured: "Measurement", options: BenchOptions) -> list[str]:
    from vidcam.backends.torch import choose_precision
    from vidcam.bench.advice import Engine, advice

    backend, has_openvino = session.backend, util.find_spec("openvino") is not None
    auto = choose_precision("auto", backend.device)
    engine = Engine(backend.name, session.policy.batch, auto, has_openvino)
    return advice(measured, options, engine)
