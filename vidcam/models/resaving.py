"""The line of Python that takes the weights out of a pickle which vidcam does not load."""

import json
import pickletools
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

# Where training loops put the weights beside the epoch and the optimizer.
PLACES = ("state_dict", "model_state_dict", "model", "net", "weights")
# What a pickle says beside its values.
ASIDE = {"PROTO", "FRAME", "MARK"}
# torch's old form has three small pickles before that of the object.
MOST_PICKLES = 4

Operation = tuple[str, Any]


def line_that_resaves(path: Path) -> str:
    """One line for those who trust the file: it loads it and saves its weights beside it.

    The pickle is looked at, not run, for where the weights are.
    """
    operations: list[Operation] = []
    is_torchs = True
    with suppress(ValueError, OSError, LookupError, zipfile.BadZipFile):
        operations, is_torchs = _operations(path)
    source, target = (
        json.dumps(str(name), ensure_ascii=False)
        for name in (path, path.with_name(f"{path.stem}-state.pth"))
    )
    loaded = f'torch.load({source}, map_location="cpu", weights_only=False)'
    if not is_torchs:
        loaded = f"pickle.loads(pathlib.Path({source}).read_bytes())"
    modules = "torch" if is_torchs else "pathlib, pickle, torch"
    return f"import {modules}; torch.save({loaded}{_place(operations)}, {target})"


def _operations(path: Path) -> tuple[list[Operation], bool]:
    """What the pickle of a file does, by name and argument, and whether torch wrote it.

    Raises ValueError for no pickle.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for number in range(MOST_PICKLES):
                found = _of_stream(file)
                if any(name.endswith("GLOBAL") for name, _ in found):
                    return found, number > 0
            return [], True
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(name) as entry:
            return _of_stream(entry), True


def _of_stream(stream: IO[bytes]) -> list[Operation]:
    found: list[Operation] = []
    kept: dict[int, Operation] = {}
    for code, value, _ in pickletools.genops(stream):
        if code.name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            kept[len(kept) if value is None else value] = found[-1]
        elif code.name in ("BINGET", "LONG_BINGET"):
            found.append(kept[int(value or 0)])
        elif code.name not in ASIDE:
            found.append((code.name, value))
    return found


def _place(operations: list[Operation]) -> str:
    """What takes the weights out of the loaded object: `["model"].state_dict()`."""
    if not operations or operations[0][0] != "EMPTY_DICT":
        return "" if operations and _is_mapping(operations[0]) else ".state_dict()"
    for number, (_, name) in enumerate(operations[:-3]):
        following = operations[number + 1 : number + 4]
        if name in PLACES and _is_mapping(following[0]):
            return f'["{name}"]'
        if name in PLACES and _is_object(following):
            return f'["{name}"].state_dict()'
    return f'["{PLACES[0]}"]'


def _is_mapping(operation: Operation) -> bool:
    name, value = operation
    return name == "EMPTY_DICT" or str(value).startswith("collections")


def _is_object(following: list[Operation]) -> bool:
    """Whether a class comes: in one part, in two, or with its source as torch's old form has it."""
    first, second, third = following
    has_source = first[1] == "module" and second[0] == "GLOBAL"
    return first[0] == "GLOBAL" or third[0] == "STACK_GLOBAL" or has_source
