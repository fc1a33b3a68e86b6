"""A run's folder: its files, and the state from which an interrupted run goes on.

best.pt, last.pt    checkpoints
state.pt            what --resume needs: weights, optimizer, random state, options, history
log.csv             a line an epoch, or a line a trial of a solved head
curves.png          the same as a figure
"""

import csv
import io
import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from vidcam.errors import OutputError, UsageError, system_reason
from vidcam.models import BEST, LAST
from vidcam.models.reading import read_whole
from vidcam.models.saving import save_whole
from vidcam.sinks.partial import partial_path
from vidcam.spec import specs
from vidcam.training.sides import Sides
from vidcam.training.train_options import CHANGEABLE, TrainOptions

log = logging.getLogger("vidcam")

STATE, LOG, CURVES = "state.pt", "log.csv", "curves.png"
OURS = (BEST, LAST, STATE, LOG, CURVES)
VERSION = 2
# What a state of a solved head has in every version.
SOLVED = {"options", "labels", "done"}
Row = Mapping[str, float | int | str]
State = dict[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """Where a run writes."""

    path: Path

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.path / BEST

    @property
    def last(self) -> Path:
        """The checkpoint of the last epoch."""
        return self.path / LAST

    @property
    def curves(self) -> Path:
        """The figure."""
        return self.path / CURVES

    def check(self, resume: bool, overwrite: bool) -> None:
        """Raise UsageError when a run cannot be begun, or gone on with, here."""
        where = f"-o {self.path}"
        if resume:
            if not (self.path / STATE).is_file():
                raise UsageError(
                    f"{where}: holds no run to go on with ({STATE}); leave --resume out"
                )
            return
        if not self.path.parent.is_dir():
            raise UsageError(f"{where}: folder {self.path.parent} does not exist; make it first")
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{where}: is a file; a run is a folder")
        if self.path.is_dir() and not overwrite and any(self.path.iterdir()):
            has_run = (self.path / STATE).is_file()
            more = "--resume goes on with its run, " if has_run else ""
            raise UsageError(f"{where} exists already and is not empty; {more}-y replaces a run")

    def begin(self) -> None:
        """Make the folder, without what an earlier run left. Raises OutputError."""
        try:
            self.path.mkdir(exist_ok=True)
            for name in OURS:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{self.path}: {system_reason(error)}") from error
        self.tidy()

    def tidy(self) -> None:
        """Remove the halves of files that a killed run left. Raises OutputError."""
        try:
            for name in OURS:
                partial_path(self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{self.path}: {system_reason(error)}") from error

    def leave(self) -> None:
        """Remove the folder of a run that has kept nothing but its beginning."""
        with suppress(OSError):
            if not self.last.exists():
                (self.path / STATE).unlink(missing_ok=True)
                self.path.rmdir()

    def keep_last_as_best(self) -> None:
        """Let best.pt be what last.pt is now, by a second name where the file system has that.

        Raises OutputError.
        """
        part = partial_path(self.best)
        try:
            try:
                part.hardlink_to(self.last)
            except OSError:
                shutil.copyfile(self.last, part)
            part.replace(self.best)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise OutputError(f"{self.best}: {system_reason(error)}") from error

    def read_state(self) -> State:
        """What an earlier call left; `is_foreign` says that another version of vidcam wrote it,
        which only a solved head survives. Raises UsageError when it cannot be used."""
        path = self.path / STATE
        try:
            state = read_whole(path)
        except UsageError as error:
            there = f"; {self.best} begins one with --from" if self.best.exists() else ""
            raise UsageError(f"{path} is damaged, so the run cannot go on{there}") from error
        version = state.get("vidcam_run") if isinstance(state, dict) else None
        if not isinstance(version, int):
            raise UsageError(f"{path} is no state of a run; begin anew with -y")
        is_foreign = version != VERSION
        if is_foreign and not (state.get("kind") == "solved" and state.keys() >= SOLVED):
            raise UsageError(
                f"{path} is of another version of vidcam; begin anew with -y, or from "
                f"{self.best} with --from"
            )
        known: State = state | {"is_foreign": is_foreign}
        return known

    def save_state(self, state: State) -> None:
        """Keep a state, whole or not at all. Raises OutputError."""
        save_whole(self.path / STATE, {"vidcam_run": VERSION} | state)

    def save_log(self, rows: Sequence[Row]) -> None:
        """Write log.csv anew. Raises OutputError."""
        text = io.StringIO()
        if rows:
            writer = csv.DictWriter(text, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        part = partial_path(self.path / LOG)
        try:
            part.write_bytes(text.getvalue().encode("utf-8-sig"))
            part.replace(self.path / LOG)
        except OSError as error:
            raise OutputError(f"{self.path / LOG}: {system_reason(error)}") from error


def plain_options(options: TrainOptions) -> dict[str, Any]:
    """Options as values that `torch.load` reads without code."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(options).items()
    }


def resumed_options(state: State, given: TrainOptions, path: Path) -> TrainOptions:
    """The options of a run that goes on: its own, but for what may be changed.

    Raises UsageError when another one is given anew with another value.
    """
    known = {field.name for field in fields(TrainOptions)}
    own = TrainOptions(**{k: v for k, v in state["options"].items() if k in known})
    changes: dict[str, Any] = {}
    for name, (default, spec) in specs(TrainOptions).items():
        before, now = getattr(own, name), getattr(given, name)
        if now in (default, before):
            continue
        if name not in CHANGEABLE:
            flag = spec.flags[0] if spec.flags else "--" + name.replace("_", "-")
            raise UsageError(
                f"{_said(flag, now)}: the run in {path} was begun {_begun(before)}; with --resume "
                "leave it out, or begin another run"
            )
        changes[name] = now
    return replace(own, **changes)


def _said(flag: str, value: Any) -> str:
    """An option as it is given on the command line."""
    values = value if isinstance(value, tuple) else (value,)
    return flag if value is True else " ".join(f"{flag} {one}" for one in values)


def _begun(value: Any) -> str:
    """What a run was begun with, in words."""
    if value is False or value == ():
        return "without"
    if value is True:
        return "with it"
    if isinstance(value, tuple):
        value = ", ".join(value)
    return "with the default" if value is None else f"with {value}"


def check_sides(state: State, sides: Sides, path: Path) -> None:
    """Raise UsageError when a run was begun with other classes or pictures."""
    before, now = list(state["labels"]), list(sides.labels)
    if before != now:
        gone = [name for name in before if name not in now]
        new = [name for name in now if name not in before]
        said = "; ".join(
            f"{what} {', '.join(names[:5])}"
            for what, names in (("gone", gone), ("new", new))
            if names
        )
        raise UsageError(
            f"the run in {path} has other classes than the folder ({said or 'another order'}); "
            "--from its best.pt begins with them"
        )
    if state["digest"] != sides.digest:
        raise UsageError(
            f"the run in {path} was begun with other pictures than the folder holds now; "
            f"--from {path / BEST} begins with them"
        )
