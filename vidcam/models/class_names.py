"""Class names as people have them: lists, files, folders of pictures, mappings of notebooks."""

import json
from pathlib import Path
from typing import Any, NoReturn

from vidcam.errors import UsageError, system_reason
from vidcam.labels import read_names

# What archives and notebooks leave beside class folders.
LEFTOVERS = frozenset({"__MACOSX"})


def read_class_names(text: str) -> list[str]:
    """The class names, by index, that a list `a,b,c` or a path gives.

    A path is a text file with one a line; a folder in ImageFolder's form, whose class folders count
    in sorted order, in `train/` when it has one; a JSON list or mapping either way round; or an
    .npy file of names. Raises UsageError.
    """
    path = Path(text)
    try:
        if path.is_dir():
            names = _folders(path)
        elif path.suffix.lower() == ".json":
            names = _of_json(path)
        elif path.suffix.lower() == ".npy":
            names = _of_numpy(path)
        elif path.is_file():
            names = read_names(text)
        elif "," in text:
            names = [name.strip() for name in text.split(",")]
        else:
            raise UsageError(f"--labels {text}: no such file or folder, and no list a,b,c")
    except OSError as error:
        raise UsageError(f"--labels {text}: {system_reason(error)}") from error
    if not names:
        raise UsageError(f"--labels {text}: names no class")
    if not all(names):
        raise UsageError(f"--labels {text}: class {names.index('')} has no name")
    return names


def _folders(folder: Path) -> list[str]:
    if (folder / "train").is_dir():
        folder = folder / "train"
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return sorted(n for n in names if not n.startswith(".") and n not in LEFTOVERS)


def _of_json(path: Path) -> list[str]:
    try:
        value = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # JSON's and UTF-8's
        raise UsageError(f"--labels {path}: is no JSON") from error
    return _named(path, value)


def _of_numpy(path: Path) -> list[str]:
    import numpy as np

    with path.open("rb") as file:
        try:
            value = np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, EOFError) as error:
            if "Object arrays" not in str(error):
                raise UsageError(f"--labels {path}: is no .npy file of names") from error
            _refuse_objects(path, error)
    return _named(path, value.tolist())


def _refuse_objects(path: Path, error: Exception) -> NoReturn:
    target = path.with_suffix(".json")
    raise UsageError(
        f"--labels {path} is a pickle that may run code, so it is not loaded; re-save it where you "
        f'trust it: import json, numpy, pathlib; pathlib.Path("{target}").write_text('
        f'json.dumps(numpy.load("{path}", allow_pickle=True).tolist()))'
    ) from error


def _named(path: Path, value: Any) -> list[str]:
    """The names of a list, of a mapping from index to name or of one from name to index."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    if isinstance(value, dict):
        by_index = {key: name for key, name in value.items() if isinstance(name, str)}
        if not by_index:
            by_index = {str(index): name for name, index in value.items()}
        wanted = [str(index) for index in range(len(value))]
        if sorted(by_index) == sorted(wanted):
            return [by_index[index] for index in wanted]
    raise UsageError(
        f'--labels {path}: must be a list of names, or map each index from 0 to its name: {{"0": '
        '"cat", "1": "dog"}'
    )
