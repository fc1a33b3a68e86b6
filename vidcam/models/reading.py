"""Files of weights read without running what they hold."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

from vidcam.errors import UsageError, system_reason

PICKLE_STARTS = (b"P", b"\x80")  # of a zip, which torch writes, and of a bare pickle


class CodeRefused(UsageError):
    """A pickle that may run code."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is a pickle that may run code, so it is not loaded")


def read_whole(path: Path) -> Any:
    """What `torch.save` or safetensors wrote to a file, tensors on the CPU. Raises UsageError.

    A file's tensors are mapped, not copied: their pages are read when they are used. CodeRefused is
    raised for what is more than plain values and tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UsageError(f"checkpoint {path}: no such file")
    try:
        if _is_safetensors(path):
            return load_file(path)
        is_zip = _is_sound_zip(path)
        with warnings.catch_warnings():
            # What torch thinks of a foreign pickle's protocol; it is refused just below.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            starts_well = file.read(1) in PICKLE_STARTS
        if not starts_well:
            raise _damaged(path) from error
        raise CodeRefused(path) from error
    except PermissionError as error:
        raise UsageError(f"checkpoint {path}: {system_reason(error)}") from error
    except SafetensorError as error:
        raise _damaged(path) from error
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, zipfile.BadZipFile) as error:
        if "TorchScript" in str(error):
            raise UsageError(
                f"{path} is a TorchScript archive, which holds code; "
                "save the weights of the network it was made of"
            ) from error
        raise _damaged(path) from error


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors' do: the length of a JSON header, the header."""
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[4:] == b"\0\0\0\0{"


def _is_sound_zip(path: Path) -> bool:
    """Whether a file is a zip, as torch writes them now. Raises BadZipFile for changed bytes.

    torch itself never looks at the checksums, and would load what a bad disk made of the weights.
    """
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(damaged)
    return True


def _damaged(path: Path) -> UsageError:
    return UsageError(f"checkpoint {path} cannot be read: it is damaged or no checkpoint")
