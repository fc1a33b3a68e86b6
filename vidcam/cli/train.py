"""`vidcam train`: a folder of labelled pictures becomes a model."""

import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.options import options_of, verbosity
from vidcam.training.train_options import TrainOptions

if TYPE_CHECKING:
    from vidcam.training.loop import Progressed
    from vidcam.training.run import Ended

log = logging.getLogger("vidcam")


@click.command("train")
@click.argument("folder")
@click.option("-o", "--output", required=True, metavar="RUN", help="Folder of the run.")
@click.option("-y", "overwrite", is_flag=True, help="Replace an earlier run.")
@click.option("--resume", is_flag=True,
              help="Go on with RUN; with a larger --epochs extend a finished one.")  # fmt: skip
@options_of(TrainOptions)
@verbosity
def command(folder: str, output: str, overwrite: bool, resume: bool, quiet: bool,
            **given: Any) -> int:  # fmt: skip
    """Train a classifier on FOLDER/CLASS/*.jpg, or FOLDER/train/CLASS/ beside val/ or test/.

    \b
    vidcam train pictures -o run
    vidcam train pictures -o run --freeze none --epochs 20 --augment strong
    vidcam train pictures -o run --arch cnn7 --augment dog25
    vidcam image photos/ --model run
    """
    from vidcam.errors import Interrupted, UsageError

    options = TrainOptions(**given)
    if resume and overwrite:
        raise UsageError("--resume goes on with a run, -y replaces it: leave one out")
    from vidcam.cli.signals import Interrupts
    from vidcam.training.state import RunFolder

    place = Path(output)
    RunFolder(place).check(resume, overwrite)
    from vidcam.cli.data import progress
    from vidcam.training.run import Place, Told, train

    bars = Bars(quiet)
    with Interrupts() as interrupts, bars:
        told = Told(lambda what: progress(quiet, what), bars, interrupts.watch)
        try:
            ended = train(folder, Place(place, resume, overwrite), options, told)
        except KeyboardInterrupt:
            bars.close()
            if (place / "state.pt").exists():
                raise Interrupted(f"interrupted; --resume goes on with it: {place}") from None
            raise
    _close(ended)
    return 0


def _close(ended: "Ended") -> None:
    """The figure, and the lines that end a run."""
    from vidcam.figures.sheet import save
    from vidcam.figures.style import Style
    from vidcam.figures.training import epoch_curves, trial_curves

    draw = epoch_curves if ended.is_loop else trial_curves
    save(draw(ended.rows, Style()), ended.folder.curves, True)
    if ended.unread:
        if not ended.is_loop:
            for sentence in ended.unread:
                log.warning("%s; skipped", sentence)
        count = len(ended.unread)
        log.warning("%d %s skipped", count, "picture was" if count == 1 else "pictures were")
    epoch = f" (epoch {ended.metrics['epoch']:.0f})" if ended.is_loop else ""
    log.info(
        "%.1f %% of %.0f validation pictures right%s, in %.0f s → %s",
        100 * ended.metrics["val_top1"], ended.metrics["val_n"], epoch, ended.seconds,
        ended.folder.path,
    )  # fmt: skip
    log.info("vidcam image PICTURES --model %s", ended.folder.path)


class Bars:
    """A bar an epoch on a terminal; elsewhere a line at the end of each."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._is_terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._epoch = 0

    def __enter__(self) -> "Bars":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            with suppress(OSError):
                self._bar.stop()
            self._bar = None

    def __call__(self, now: "Progressed") -> None:
        """Show where the run is."""
        if self._quiet:
            return
        text = (
            f"epoch {now.epoch}/{now.epochs}  loss {now.loss:.3f}  right {100 * now.accuracy:.1f} %"
        )
        if now.validation is not None:
            self.close()
            log.info("%s, in validation %.1f %%", text, 100 * now.validation)
        elif self._is_terminal:
            self._show(now, text)

    def _show(self, now: "Progressed", text: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        if self._bar is None or now.epoch != self._epoch:
            self.close()
            columns = (TextColumn("{task.description}", markup=False), BarColumn(),
                       MofNCompleteColumn(), TimeRemainingColumn())  # fmt: skip
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._epoch = now.epoch
            self._bar.start()
            self._bar.add_task(text, total=now.batches)
        task = self._bar.task_ids[0]
        self._bar.update(task, completed=now.batch, description=text)
