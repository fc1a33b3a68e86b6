"""The names of what is written for each picture, all known and checked before any work is done."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from vidcam.errors import OutputError, UsageError, system_reason
from vidcam.pictures.inputs import readable
from vidcam.sinks.partial import check_target, partial_path

# File systems take names of 255 bytes; what is written adds to the picture's own.
STEM_BYTES = 150
UNSAFE = '<>:"/\\|?*'


def stems_of(paths: Sequence[str]) -> list[str]:
    """A name for each picture's outputs: its own without suffix, with more where two are alike."""
    stems: list[str] = []
    taken: set[str] = set()
    seen: set[str] = set()
    for text in paths:
        path = Path(readable(text))
        stem = _short(path.stem)
        names = [stem]
        if path.name.casefold() not in seen:
            names.append(_short(path.name.replace(".", "-")))
        if path.parent.name:
            names.append(_short(f"{path.parent.name}-{path.stem}"))
        seen.add(path.name.casefold())
        number = 2
        while (name := names.pop(0)).casefold() in taken:
            if not names:
                names.append(f"{stem}-{number}")
                number += 1
        taken.add(name.casefold())
        stems.append(name)
    return stems


def _short(name: str) -> str:
    """A name that every file system takes."""
    plain = "".join(c if c.isprintable() and c not in UNSAFE else "_" for c in name)
    return plain.encode()[:STEM_BYTES].decode(errors="ignore")


def output_folder(name: str) -> Path:
    """The folder of `-o`, which need not be there yet. Raises UsageError."""
    folder = Path(name)
    try:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"-o {name}: is no folder; name one, it is made if it is missing")
        if not folder.parent.is_dir():
            raise UsageError(f"-o {name}: folder {folder.parent} does not exist; make it first")
    except OSError as error:
        raise UsageError(f"-o {name}: {system_reason(error)}") from error
    return folder


def make_folder(folder: Path) -> None:
    """Make the folder if it is missing, when something is about to be written.

    Raises OutputError.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"-o {folder}: {system_reason(error)}") from error


def check_targets(targets: Iterable[Path], inputs: Sequence[str], overwrite: bool) -> None:
    """Raise UsageError when a name is taken, without -y, or is an input, even with it."""
    sources = {Path(text).resolve() for text in inputs}
    for target in targets:
        if sources & {target.resolve(), partial_path(target).resolve()}:
            raise UsageError(
                f"{target} would overwrite an input (of an earlier run, perhaps, with its figures "
                "among the pictures); write to another folder"
            )
        if target.parent.is_dir():
            check_target(target, overwrite)


def counted(number: int) -> str:
    """So many pictures, in words."""
    return "1 picture" if number == 1 else f"{number} pictures"
