"""`vidcam live`: cameras and streams, explained while they come."""

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.options import options_of, verbosity
from vidcam.errors import OutputError, UsageError, VidcamError
from vidcam.options import LiveOptions

if TYPE_CHECKING:
    from vidcam.cli.signals import Interrupts
    from vidcam.live import LiveRun
    from vidcam.outputs import Outputs
    from vidcam.stats import SourceStats
    from vidcam.view import View

log = logging.getLogger("vidcam")


@click.command("live")
@click.option("-o", "--output", "outputs", multiple=True, metavar="PATH|URI",
              help="File, stream or window (repeatable).")  # fmt: skip
@click.option("-y", "overwrite", is_flag=True, help="Replace existing outputs.")
@click.option("--window/--no-window", "window", default=None,
              help="Show a window; else as there is a display.")  # fmt: skip
@click.option("--jsonl", metavar="FILE|-", help="One JSON record per classified frame.")
@click.option("--csv", metavar="FILE|-", help="One CSV row per classified frame and rank.")
@click.option("--events", metavar="FILE|-", help="One JSON record per change of the label.")
@options_of(LiveOptions)
@verbosity
def command(outputs: tuple[str, ...], overwrite: bool, window: bool | None, quiet: bool,
            **given: Any) -> int:  # fmt: skip
    """Explain cameras and streams live: in a window, in recordings, in streams.

    \b
    vidcam live --camera 0
    vidcam live --camera rtsp://host/stream -o night.mp4
    vidcam live --camera 0 --camera 1 -o 'cam{source}-%Y%m%d-%H%M%S.mp4' --segment 10m --keep 24h
    vidcam live --camera 0 -o window -o clip.mp4 -o rtmp://host/live/key --jsonl seen.jsonl
    """
    from vidcam.cli.signals import Interrupts

    files = {flag: given.pop(flag) for flag in ("jsonl", "csv", "events")}
    options = LiveOptions(**given)
    with Interrupts(regular=True) as interrupts:
        try:
            return Run(options, outputs, overwrite, window, files, quiet).go(interrupts)
        except KeyboardInterrupt:
            if not interrupts.asked:
                raise
            return 0  # asked to stop before there was anything to finish


class Run:
    """One call of the command. Made, everything that can be wrong beforehand has been checked."""

    def __init__(
        self, options: LiveOptions, outputs: tuple[str, ...], overwrite: bool,
        window: bool | None, files: dict[str, str | None], quiet: bool,
    ) -> None:  # fmt: skip
        from vidcam.live import check_devices
        from vidcam.outputs import parse_targets
        from vidcam.sources.capture import captures

        self.options, self.overwrite, self.files, self.quiet = options, overwrite, files, quiet
        self.targets = parse_targets(outputs, len(options.camera), options)
        named = (*files.values(), options.record_raw)
        _check_apart([*outputs, *(name for name in named if name)], options.camera)
        self.captures = captures(options, coded=options.record_raw is not None)
        check_devices(self.captures)
        self.headless = ""
        self.has_window = self._wants_window(window)

    def go(self, interrupts: "Interrupts") -> int:
        """Load the model and run. Raises VidcamError."""
        from vidcam.live import LiveRun, live_policy
        from vidcam.session import Session
        from vidcam.sources.inputs import name_of
        from vidcam.stats import named_stats
        from vidcam.view import View

        view = View.of(self.options)
        counts = named_stats([name_of(capture.uri) for capture in self.captures])
        with ExitStack() as stack:
            outputs = self._outputs(stack, view)
            session = Session(self.options, live_policy(len(self.captures), self.options))
            if self.headless:
                log.info("running headless: %s", self.headless)
            log.info("%s", session.summary)
            self._open_window(stack, outputs, counts)
            run = LiveRun(session, self.captures, counts, self.options,
                          view if self.has_window else None)  # fmt: skip
            interrupts.watch(run)
            try:
                self._run(run, outputs)
            except VidcamError:
                self._report(run, counts)
                raise
            self._report(run, counts)
        return OutputError.exit_code if outputs.failed else 0

    def _run(self, run: "LiveRun", outputs: "Outputs") -> None:
        from vidcam.live import Placeholder
        from vidcam.overlays.status import NoSignal

        view = outputs.view
        picture_of = NoSignal(self.options)
        no_signal = Placeholder(
            lambda width, height, lost: picture_of(
                width, height, lost.source, lost.cause, lost.since_s
            ),
            run.clock,
        )
        stations = [
            outputs.station(feed, number, no_signal)
            for number, feed in enumerate(run.pipeline.feeds)
        ]
        view.record = outputs.record

        def tick() -> bool:
            try:
                if outputs.window is not None:
                    outputs.window.poll()
            except OutputError as error:
                log.error("%s; going on without it", error)
                outputs.lose_window()
            return outputs.check() or view.quit

        run.run(stations, tick)

    def _report(self, run: "LiveRun", counts: "Sequence[SourceStats]") -> None:
        from vidcam.cli.report import live_table

        if not self.quiet and any(one.connections for one in counts):
            live_table(counts, run.pipeline.stats)

    def _wants_window(self, asked: bool | None) -> bool:
        if asked is False and not self.targets.window:
            return False
        from vidcam.sinks.window import display_problem

        problem = display_problem()
        if problem is None:
            return True
        if asked or self.targets.window:
            raise UsageError(f"no window can open: {problem}; record with -o FILE instead")
        self.headless = problem
        return False

    def _outputs(self, stack: ExitStack, view: "View") -> "Outputs":
        from vidcam.outputs import Outputs
        from vidcam.sinks.events import event_sinks
        from vidcam.sinks.lines import live_record_file
        from vidcam.sinks.records import csv_rows, json_lines

        forms = (("jsonl", json_lines, "utf-8"), ("csv", csv_rows, "utf-8-sig"))
        records = [
            stack.enter_context(live_record_file(name, form, self.overwrite, encoding))
            for flag, form, encoding in forms
            if (name := self.files[flag])
        ]
        # With nothing to see and nothing written, the labels are told on stderr.
        silent = not (self.has_window or records or self.files["events"] or self.options.on_event)
        silent = silent and not (self.targets.files or self.targets.streams)
        events = stack.enter_context(
            event_sinks(
                self.options, self.files["events"], self.overwrite,
                labels_logged=silent and not self.options.record_raw,
            )
        )  # fmt: skip
        return Outputs(self.targets, self.options, self.overwrite, view, None, records, events)

    def _open_window(
        self, stack: ExitStack, outputs: "Outputs", counts: "Sequence[SourceStats]"
    ) -> None:
        if not self.has_window:
            return
        from vidcam.sinks.window import Window

        outputs.window = Window([one.name for one in counts], outputs.view, self.options)
        stack.callback(outputs.window.close)


def _check_apart(names: Sequence[str], cameras: Sequence[str]) -> None:
    paths = [os.path.realpath(name) for name in names]
    inputs = [os.path.realpath(camera) for camera in cameras]
    for name, path in zip(names, paths, strict=True):
        if paths.count(path) > 1:
            raise UsageError(f"{name}: two outputs have this name")
        if path in inputs:
            raise UsageError(f"{name}: is the camera itself; give the output another name")
