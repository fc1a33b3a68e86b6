"""A trunk for OpenVINO: `python -m vidcam.backends.convert FOLDER`, in a process of its own.

OpenVINO's converter has been seen to crash the process on some networks (2026-11, vit_b_16).
"""

import io
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.fx import GraphModule

import vidcam
from vidcam.backends.halves import Refused, Unsuitable
from vidcam.backends.openvino import CONVERTED, EXPORTED
from vidcam.cam.partition import BATCH

TIMEOUT_S = 1800.0
# The converter's own answer that it cannot, and the ways in which it has crashed.
CANNOT = 3
CRASHES = {-signal.SIGSEGV, -signal.SIGABRT}


def convert(trunk: GraphModule, size: int, folder: Path) -> None:
    """Write a trunk into a folder as OpenVINO's CONVERTED.

    Raises Refused when this network cannot be converted, Unsuitable when it did not work this time.
    """
    example = torch.zeros(2, 3, size, size)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(trunk, (example,), dynamic_shapes=({0: BATCH},))
        except Exception as error:  # the exporter raises whatever its parts raise
            raise Refused(f"torch.export: {type(error).__name__}") from error
        # Not straight into a file: where the disk is full, torch's writer ends the process.
        written = io.BytesIO()
        torch.export.save(exported, written)
    (folder / EXPORTED).write_bytes(written.getbuffer())
    _run_child(folder)
    (folder / EXPORTED).unlink()


def _run_child(folder: Path) -> None:
    # -P: what lies in the user's folder is none of Python's modules.
    command = [sys.executable, "-P", "-m", __name__, str(folder)]
    own = str(Path(vidcam.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
            env=os.environ | {"PYTHONPATH": paths},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unsuitable(f"its conversion took more than {TIMEOUT_S:g} s") from None
    if not done.returncode:
        return
    lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
    kind = Refused if done.returncode in {CANNOT, *CRASHES} else Unsuitable
    raise kind(f"OpenVINO's converter: {lines[-1]}")


def main(arguments: Sequence[str]) -> None:
    """Convert the EXPORTED of a folder."""
    # It would report the conversion to its makers over the network.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    import openvino

    folder = Path(arguments[0])
    exported = torch.export.load(folder / EXPORTED)
    try:
        converted = openvino.convert_model(exported)
    except Exception as error:  # noqa: BLE001 - of many kinds, all saying that it cannot
        sys.stderr.write(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}\n")
        sys.exit(CANNOT)
    openvino.save_model(converted, folder / CONVERTED, compress_to_fp16=False)


if __name__ == "__main__":
    main(sys.argv[1:])
