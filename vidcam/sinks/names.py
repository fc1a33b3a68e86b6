"""Names of the files that a live run writes, and which of them are kept."""

import logging
import re
import stat
import time
from collections.abc import Collection
from pathlib import Path

from vidcam.errors import OutputError, UsageError, system_reason
from vidcam.sinks.partial import is_special
from vidcam.values import Keep

log = logging.getLogger("vidcam")

SOURCE_FIELD = "{source}"
# strftime's fields that make good names of files, and what each of them looks like.
FIELDS = {
    "Y": r"\d{4}", "G": r"\d{4}", "j": r"\d{3}", "s": r"\d+", "u": r"\d", "w": r"\d",
    "F": r"\d{4}-\d\d-\d\d", "T": r"\d\d:\d\d:\d\d", "R": r"\d\d:\d\d", "z": r"[+-]\d{4}",
    "%": "%",
} | dict.fromkeys("CdgHImMSUVWy", r"\d\d") | dict.fromkeys("aAbBhpPZ", r"[^/\d]+")  # fmt: skip
NUMBER = r"(?:-(?:[2-9]|[1-9]\d+))?"


def free_name(path: Path, overwrite: bool) -> Path:
    """`path`, or when a file has that name already `NAME-2.EXT`, `NAME-3.EXT`…, and says so."""
    if overwrite or not path.exists():
        return path
    number = 2
    while (free := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
        number += 1
    log.warning("%s exists already; writing %s (-y replaces it)", path, free)
    return free


class Template:
    """A name with strftime's fields and `{source}`, and the files that have been named by it."""

    def __init__(self, text: str, number: int, overwrite: bool = False) -> None:
        """`number` is the source's. Raises UsageError."""
        self.text = text.replace(SOURCE_FIELD, str(number))
        self._overwrite = overwrite
        self._claimed = 0
        self._latest: tuple[str, int] = "", 1
        written = Path(self.text)
        self.folder = written.parent
        if "%" in str(self.folder):
            raise UsageError(f"{text}: fields of the time go into the file's name, not its folder")
        if not self.folder.is_dir():
            raise UsageError(f"{text}: folder {self.folder} does not exist; make it first")
        self.suffix = written.suffix
        stem = _pattern(written.stem, text)
        self.pattern = re.compile(f"{stem}{NUMBER}{re.escape(self.suffix)}")
        path = self.path(time.time())
        if path.is_dir():
            raise UsageError(f"{path}: is a folder")
        if is_special(path):
            raise UsageError(
                f"{path}: is a device or a pipe, which a video file cannot be written to"
            )

    def path(self, when_s: float) -> Path:
        """The name at `when_s` of `time.time`."""
        return Path(time.strftime(self.text, time.localtime(when_s)))

    def claim(self, when_s: float) -> Path:
        """Make a new, empty file of the name at `when_s`, or of the next free `-2`, `-3`…

        Only the first file of all may replace one, and says so when it had to take another name.
        Raises OutputError.
        """
        path = self.path(when_s)
        first, self._claimed = not self._claimed, self._claimed + 1
        if first and self._overwrite and path.is_file():
            _remove(path)
        free = self._make(path)
        if first and free != path:
            log.warning("%s exists already; writing %s (-y replaces it)", path, free)
        return free

    def _make(self, path: Path) -> Path:
        """Make an empty file of this name or the next free one; no two can make the same."""
        name, number = self._latest
        number = number + 1 if name == str(path) else 1
        while True:
            numbered = f"{path.stem}-{number}{path.suffix}" if number > 1 else path.name
            free = path.with_name(numbered)
            try:
                free.open("xb").close()
            except FileExistsError:
                number += 1
                continue
            except OSError as error:
                raise OutputError(f"{free}: {system_reason(error)}") from error
            self._latest = str(path), number
            return free


def _pattern(stem: str, text: str) -> str:
    """The regular expression of a name with strftime's fields. Raises UsageError."""
    parts = re.split(r"%(.?)", stem)
    found = re.escape(parts[0])
    for field, plain in zip(parts[1::2], parts[2::2], strict=True):
        if field not in FIELDS:
            raise UsageError(
                f"{text}: %{field} is no field of the time for a name; take %Y %m %d %H %M %S, "
                "and write %% for a percent sign"
            )
        found += FIELDS[field] + re.escape(plain)
    return found


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be replaced: {system_reason(error)}") from error


def delete_oldest(template: Template, keep: Keep, busy: Collection[Path]) -> None:
    """Delete the oldest files of a template that are beyond an age or a total size.

    Only plain files of the template's own folder and pattern count; `busy` ones stay.
    """
    files = []
    for path in template.folder.iterdir():
        if template.pattern.fullmatch(path.name):
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                files.append((status.st_mtime, status.st_size, path))
    total_bytes, now_s = sum(size for _, size, _ in files), time.time()
    failed: list[str] = []
    for modified_s, size_bytes, path in sorted(files):
        too_old = keep.age_s is not None and now_s - modified_s > keep.age_s
        too_much = keep.size_bytes is not None and total_bytes > keep.size_bytes
        if path in busy or not (too_old or too_much):
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            failed.append(f"{path} ({system_reason(error)})")
            continue
        total_bytes -= size_bytes
        log.debug("--keep: deleted %s", path)
    if failed:
        log.warning("--keep: could not delete %s", ", ".join(failed))
