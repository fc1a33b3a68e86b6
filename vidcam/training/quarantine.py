"""Moving what is bad out of a data set, so that it can be put back: `vidcam data check --fix`."""

import csv
import filecmp
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidcam.errors import OutputError, UsageError, system_reason
from vidcam.pictures.inputs import readable
from vidcam.training.check import Finding, Report
from vidcam.training.dataset import TEST, TRAIN, VAL
from vidcam.training.twin import prune, twin

MANIFEST = "manifest.csv"
COLUMNS = ("from", "to", "reason")
# Of a picture that is in two parts the one in the later part stays.
KEPT_FIRST = (TEST, VAL, TRAIN)


@dataclass(frozen=True)
class Move:
    """One file or folder that goes: its path relative to the data set, and why."""

    path: str
    reason: str


def plan(report: Report) -> list[Move]:
    """What `--fix` moves: unreadable and empty files, strays, files that are there twice.

    Of several equal files one stays: in the test part if it is there, else in the validation part,
    else the first. Equal files under two labels all stay, as nobody knows which label is right,
    and so does all that only looks alike, and what is reached only through a link to a folder.
    """
    moves = [
        # What is said of a stray folder is not true of each of its files.
        Move(
            finding.paths[0].rstrip("/"),
            kind if kind == "stray" else ": ".join(filter(None, (kind, finding.detail))),
        )
        for kind in ("unreadable", "empty file", "stray")
        for finding in report.of(kind)
    ]
    samples = report.dataset.samples
    of_path = {report.dataset.relative(sample.path): sample.label for sample in samples}
    part_of = {
        report.dataset.relative(sample.path): part.name
        for part in report.dataset.parts
        for sample in part.samples
    }
    for finding in (*report.of("leak"), *report.of("duplicate")):
        if len({of_path[path] for path in finding.paths}) > 1:
            continue
        stays = min(finding.paths, key=lambda path: _rank(part_of[path]))
        place = _place(report, stays)
        for path in finding.paths:
            if _place(report, path) != place:  # one file may be there twice through a link
                leaks = part_of[path] != part_of[stays]
                reason = f"{'leak' if leaks else 'duplicate'}: the same as {stays}"
                moves.append(Move(path, reason))
    top = Path(report.dataset.folder).resolve()
    return [one for one in moves if _is_own(top, top / one.path)]


def _place(report: Report, path: str) -> Path:
    whole = Path(report.dataset.folder, path)
    return whole.parent.resolve() / whole.name


def _is_own(top: Path, path: Path) -> bool:
    """Whether no link to a folder lies on the way to a path from `top`, which is resolved."""
    return path.parent.is_relative_to(top) and path.parent.resolve() == path.parent


def remaining(report: Report, moves: Sequence[Move]) -> list[Finding]:
    """The findings that are still true after the moves."""
    gone = {one.path for one in moves}
    left = []
    for finding in report.findings:
        here = [path for path in finding.paths if path.rstrip("/") not in gone]
        # Of pictures that are the same a single one is no finding any more.
        if len(here) > (len(finding.paths) > 1) or not finding.paths:
            left.append(finding)
    return left


def _rank(part: str) -> int:
    return KEPT_FIRST.index(part) if part in KEPT_FIRST else 0


def quarantine_of(folder: str | os.PathLike[str], given: str | None = None) -> Path:
    """The quarantine folder of a data set: `given`, or FOLDER-quarantine beside it.

    Raises UsageError when it is inside the data set or cannot be a folder.
    """
    whole = Path(folder).resolve()
    target = Path(given) if given else whole.with_name(f"{whole.name}-quarantine")
    if target.exists() and not target.is_dir():
        raise UsageError(f"--quarantine {target}: is no folder")
    if target.resolve().is_relative_to(whole):
        raise UsageError(f"--quarantine {target}: lies inside {folder}; choose one beside it")
    if not target.parent.is_dir():
        raise UsageError(f"--quarantine {target}: folder {target.parent} does not exist")
    return target


def move(folder: str | os.PathLike[str], moves: Sequence[Move], target: Path) -> int:
    """Move files into the quarantine and write each into its manifest; returns how many files.

    Whenever this ends, killed or not, each line of the manifest names a file that lies in the
    quarantine, and each file is in one of the two places at least: a file is linked or copied,
    then noted, then removed from where it was. What is reached only through a link to a folder
    stays. Raises OutputError when the system refuses.
    """
    top = Path(folder).resolve()
    done = 0
    try:
        target.mkdir(exist_ok=True)
        with _Manifest(target / MANIFEST) as note:
            for one in moves:
                for path in _files_of(top, one.path):
                    place = _free(target / path.relative_to(top))
                    place.parent.mkdir(parents=True, exist_ok=True)
                    twin(path, place)
                    note(path, place, one.reason)
                    path.unlink()
                    done += 1
                prune(top / one.path)
    except OSError as error:
        where = readable(error.filename or target)  # it may be the data set that is read-only
        raise OutputError(f"{where}: {system_reason(error)}; {done} files were moved") from error
    return done


def restore(quarantine: str | os.PathLike[str]) -> int:
    """Put back what a manifest lists, and say how many files.

    A name that is taken meanwhile stays as it is. What could not be put back remains in the
    quarantine and in its manifest. Raises UsageError when there is no manifest, OutputError when
    the system refuses.
    """
    manifest = Path(quarantine) / MANIFEST
    if not manifest.is_file():
        raise UsageError(f"{manifest}: no such manifest")
    rows = _rows(manifest)
    left, done = [], 0
    try:
        for row in rows:
            home, place = Path(row["from"]), Path(quarantine) / row["to"]
            if not place.is_file():
                continue
            if home.exists() and filecmp.cmp(home, place, shallow=False):
                place.unlink()  # the moving was cut short, and both are there
                continue
            if os.path.lexists(home):
                left.append(row)
                continue
            home.parent.mkdir(parents=True, exist_ok=True)
            twin(place, home)
            place.unlink()
            done += 1
    except OSError as error:
        raise OutputError(f"{quarantine}: {system_reason(error)}; {done} put back") from error
    if left:
        part = manifest.with_name("manifest.partial.csv")
        with _Manifest(part) as note:
            for row in left:
                note(Path(row["from"]), Path(quarantine) / row["to"], row["reason"])
        part.replace(manifest)
    else:
        manifest.unlink()
        prune(Path(quarantine))
    return done


class _Manifest:
    """Appends lines to a manifest; each is on the disk before the next step."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "_Manifest":
        is_new = not self._path.exists() or not self._path.stat().st_size
        self._file = self._path.open("a", encoding="utf-8", errors="surrogateescape", newline="")
        self._writer = csv.writer(self._file)
        if is_new:
            self._file.write("\ufeff")
            self._writer.writerow(COLUMNS)
        elif not self._path.read_bytes().endswith(b"\n"):
            self._file.write("\r\n")  # a line that a crash cut short
        self._flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __call__(self, path: Path, place: Path, reason: str) -> None:
        inside = place.relative_to(self._path.parent).as_posix()
        self._writer.writerow((path, inside, reason))
        self._flush()

    def _flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def _rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        # A line that a crash cut short is a move that did not happen.
        return [row for row in csv.DictReader(file) if row.get("to") and row.get("reason")]


def _files_of(top: Path, inside: str) -> Iterator[Path]:
    """The files that a move means; nothing that a link brings in from elsewhere."""
    path = top / inside
    if not _is_own(top, path):
        return
    if path.is_dir() and not path.is_symlink():
        for folder, _, names in os.walk(path):
            yield from (Path(folder) / name for name in sorted(names))
    elif path.is_symlink() or path.exists():
        yield path


def _free(place: Path) -> Path:
    """A name that is not taken: an earlier quarantine may hold a file of the same one."""
    number = 2
    free = place
    while os.path.lexists(free):
        free = place.with_name(f"{place.stem}-{number}{place.suffix}")
        number += 1
    return free
