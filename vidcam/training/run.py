"""One call of `vidcam train`: from a folder of pictures to a folder that is a model."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from vidcam.backends.torch import choose_device
from vidcam.errors import SourceError, UsageError
from vidcam.models.checkpoint import read_checkpoint, save_checkpoint
from vidcam.training.acquaint import acquaint
from vidcam.training.augment import describe, preset
from vidcam.training.cores import Progress, silent
from vidcam.training.doubts import doubts
from vidcam.training.features import gives_vectors, named
from vidcam.training.frozen import OWN_AUGMENTS, HeadTraining
from vidcam.training.loop import USUAL_AUGMENT, Loop, Progressed, finished
from vidcam.training.sides import Sides, sides_of
from vidcam.training.start import Start, again, cam_layer, start_of
from vidcam.training.state import (
    Row,
    RunFolder,
    State,
    check_sides,
    plain_options,
    resumed_options,
)
from vidcam.training.train_options import BACKBONE, TrainOptions

log = logging.getLogger("vidcam")

# What means nothing to a head that is solved.
OF_LOOPS = (
    "epochs", "patience", "batch", "optimizer", "lr", "momentum", "weight_decay", "scheduler",
    "step_size", "gamma", "label_smoothing", "workers", "precision",
)  # fmt: skip


class Stoppable(Protocol):
    """What a signal ends."""

    def stop(self, error: BaseException | None = None) -> None:
        """End soon, with `error`."""
        ...


@dataclass(frozen=True)
class Told:
    """Who is told how a run goes: bars for what is read, each batch, what a signal should end."""

    progress: Callable[[str], Progress] = lambda _what: silent
    batch: Callable[[Progressed], None] = lambda _progressed: None
    watch: Callable[[Stoppable], None] = lambda _stoppable: None


@dataclass(frozen=True)
class Ended:
    """A finished run: its folder, the best one's metrics, the rows of the log.

    `unread` are sentences on pictures that could not be read, each once.
    """

    folder: RunFolder
    metrics: dict[str, float]
    rows: tuple[Row, ...]
    unread: tuple[str, ...]
    seconds: float
    is_loop: bool


@dataclass(frozen=True)
class Place:
    """Where a run is written, and what of an earlier one stays."""

    folder: Path
    resume: bool = False
    overwrite: bool = False


def train(pictures: str, place: Place, options: TrainOptions, told: Told | None = None) -> Ended:
    """Train a classifier on a folder of pictures.

    Everything is written to `place.folder`, which is then a model. The process's random state is
    as it was afterwards. Raises UsageError for what is wrong before any work is done, SourceError
    without pictures, OutputError when something cannot be written.
    """
    begin_s = time.perf_counter()
    folder, told = RunFolder(place.folder), told or Told()
    folder.check(place.resume, place.overwrite)
    state = folder.read_state() if place.resume else None
    if state is not None:
        options = _going_on(state, options, folder)
    choose_device(options.device)  # refused before the pictures are read
    sides = sides_of(pictures, options, told.progress("looking for duplicates"))
    if state is not None and state["is_foreign"]:
        log.info("the run is of another version of vidcam; its head, which is solved, begins anew")
    elif state is not None:
        check_sides(state, sides, folder.path)
    for sentence in (*sides.passed, *doubts(pictures, sides)):
        log.warning("%s", sentence)
    # Named, since torch warns where there are several.
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(options.seed)
        if state is not None and state["kind"] == "loop":
            start, solves = again(state["start"], len(sides.labels)), False
        else:
            start = start_of(options, sides.labels)
            solves = start.freeze == BACKBONE and gives_vectors(start.net, start.preset.size)
        _say(start, sides, options, solves)
        run = _solve if solves else _loop
        try:
            ended = run(start, sides, options, folder, state, told)
        except (SourceError, UsageError):
            if state is None:
                folder.leave()  # so that the next call may have the name
            raise
    return replace(ended, seconds=time.perf_counter() - begin_s)


def _going_on(state: State, given: TrainOptions, folder: RunFolder) -> TrainOptions:
    path = folder.path
    options = resumed_options(state, given, path)
    if state["kind"] == "solved" and state["done"]:
        raise UsageError(
            f"the run in {path} is finished, and a solved head has no epochs to add; "
            "--freeze none trains all of the network"
        )
    # An interruption after the last epoch leaves what is unknown to the network to be found out.
    is_acquainted = folder.best.exists() and read_checkpoint(folder.best).neighbours is not None
    if state["done"] and options.epochs <= state["epoch"] and is_acquainted:
        raise UsageError(
            f"the run in {path} is finished after {state['epoch']} epochs; "
            "--epochs with a larger number extends it"
        )
    return options


def _say(start: Start, sides: Sides, options: TrainOptions, solves: bool) -> None:
    """What is going to be done, in a few lines."""
    val = "a split of the folder" if sides.val_name == "split" else f"{sides.val_name}/"
    log.info(
        "%d classes, %d pictures to learn from, %d to validate with (%s)",
        len(sides.labels), len(sides.train), len(sides.val), val,
    )  # fmt: skip
    frozen = {BACKBONE: "its backbone frozen"}.get(str(start.freeze), f"freeze {start.freeze}")
    weights = "learnt weights" if start.has_learnt else "random weights"
    log.info("%s, %s, %s", start.arch, weights, frozen)
    if solves:
        changed = [
            "--" + name.replace("_", "-")
            for name in OF_LOOPS
            if getattr(options, name) != getattr(TrainOptions(), name)
        ]
        if changed:
            log.warning(
                "%s: no effect with a frozen backbone, whose head is solved in one go",
                ", ".join(changed),
            )
        return
    name = options.augment or USUAL_AUGMENT
    own = start.geometry if name in OWN_AUGMENTS else None
    for line in describe(preset(name, own, start.preset.size)).splitlines():
        log.info("%s", line)


def _solve(
    start: Start, sides: Sides, options: TrainOptions, folder: RunFolder, state: State | None,
    told: Told,
) -> Ended:  # fmt: skip
    """A head on features; it takes seconds, so that an interrupted one begins anew."""
    training = HeadTraining(start, sides, options, told.progress)
    _enter(folder, state)
    about = {
        "kind": "solved", "options": plain_options(options), "labels": list(sides.labels),
        "digest": sides.digest, "epoch": 0,
    }  # fmt: skip
    folder.save_state(about | {"done": False})
    solved = training()
    geometry = solved.start.geometry
    log.info(
        "%d px, %s fit, regularisation %g: %.1f %% in cross-validation of the training pictures",
        geometry.size, geometry.fit, solved.chosen.strength,
        100 * solved.chosen.score.accuracy,
    )  # fmt: skip
    made = _with_layer(solved.start)
    checkpoint = finished(
        made, sides.labels, solved.metrics, solved.logits, solved.labels, solved.learnt
    )
    save_checkpoint(folder.last, checkpoint)
    folder.keep_last_as_best()
    folder.save_log(solved.rows)
    folder.save_state(about | {"done": True})
    unread = tuple(named(training.unread))
    return Ended(folder, solved.metrics, solved.rows, unread, 0.0, is_loop=False)


def _loop(
    start: Start, sides: Sides, options: TrainOptions, folder: RunFolder, state: State | None,
    told: Told,
) -> Ended:  # fmt: skip
    loop = Loop(_with_layer(start), sides, options, folder, told.batch)
    _enter(folder, state)
    if state is not None:
        loop.load(state)
    told.watch(loop)
    try:
        loop()
    finally:
        for sentence in named(loop.unread):
            log.warning("%s; skipped", sentence)
    if loop.ended_early:
        log.info("ended early: no better epoch in %d", options.patience)
    acquaint(folder.best, sides, options.device, lambda what: _unless_stopped(loop, told, what))
    unread = tuple(named(loop.unread))
    return Ended(folder, loop.best, tuple(loop.rows), unread, 0.0, is_loop=True)


def _unless_stopped(loop: Loop, told: Told, what: str) -> Progress:
    """A progress that ends when the loop is told to stop."""

    def shown(results: Iterable[Any], total: int) -> Iterable[Any]:
        for one in told.progress(what)(results, total):
            loop.check()
            yield one

    return shown


def _enter(folder: RunFolder, state: State | None) -> None:
    """Make the folder, when nothing can be refused any more."""
    if state is None:
        folder.begin()
    else:
        folder.tidy()


def _with_layer(start: Start) -> Start:
    layer = cam_layer(start.net, start.preset.size)
    return replace(start, preset=replace(start.preset, layer=layer))
