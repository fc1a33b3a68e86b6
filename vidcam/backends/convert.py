"""A trunk for OpenVINO: `python -m vidcam.backends.convert FOLDER`, in a process of its own.

OpenVINO's converter has been seen to crash the process on some networks (2026-11, vit_b_16).
"""

import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.fx import GraphModule

from vidcam.backends.halves import Unsuitable
from vidcam.cam.partition import BATCH

EXPORTED, CONVERTED = "trunk.pt2", "trunk.xml"
TIMEOUT_S = 1800.0


def convert(trunk: GraphModule, size: int, folder: Path) -> None:
    """Write a trunk into a folder as OpenVINO's CONVERTED; raises Unsuitable."""
    example = torch.zeros(2, 3, size, size)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(trunk, (example,), dynamic_shapes=({0: BATCH},))
            torch.export.save(exported, folder / EXPORTED)
        except Exception as error:  # the exporter raises whatever its parts raise
            raise Unsuitable(f"torch.export: {type(error).__name__}") from error
    command = [sys.executable, "-m", __name__, str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unsuitable(f"its conversion took more than {TIMEOUT_S:g} s") from None
    (folder / EXPORTED).unlink()
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise Unsuitable(f"OpenVINO's converter: {lines[-1]}")


def main(arguments: Sequence[str]) -> None:
    """Convert the EXPORTED of a folder."""
    # It would report the conversion to its makers over the network.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    import openvino

    folder = Path(arguments[0])
    exported = torch.export.load(folder / EXPORTED)
    converted = openvino.convert_model(exported)
    openvino.save_model(converted, folder / CONVERTED, compress_to_fp16=False)


if __name__ == "__main__":
    main(sys.argv[1:])
