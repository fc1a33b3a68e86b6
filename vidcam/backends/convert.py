"""A trunk for OpenVINO: `python -m vidcam.backends.convert FOLDER`, in a process of its own.

OpenVINO's converter has been seen to crash the process on some networks (2026-11, vit_b_16).
"""

import io
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.fx import GraphModule, Node

import vidcam
from vidcam.backends.halves import Refused, Unsuitable
from vidcam.backends.openvino import CONVERTED, EXPORTED
from vidcam.cam.partition import BATCH

log = logging.getLogger("vidcam")

TIMEOUT_S, SAID_EVERY_S = 1800, 20
# The converter's own answer that it cannot, and the ways in which it has crashed.
CANNOT = 3
CRASHES = {-signal.SIGSEGV, -signal.SIGABRT}
# What the parent says when the EXPORTED lies there.
READY = "ready\n"
# Operations whose result is memory of their own.
FRESH = {
    "aten.conv1d.default", "aten.conv2d.default", "aten.conv3d.default", "aten.linear.default",
    "aten.batch_norm.default", "aten.add.Tensor", "aten.mul.Tensor",
}  # fmt: skip
Child = subprocess.Popen[str]


@contextmanager
def converter(folder: Path) -> Iterator[Child]:
    """The process for `convert`, which imports what it needs while the network is cut."""
    # -P: what lies in the user's folder is none of Python's modules.
    command = [sys.executable, "-P", "-m", __name__, str(folder)]
    own = str(Path(vidcam.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": paths},
    ) as child:  # fmt: skip
        try:
            yield child
        finally:
            child.kill()


def convert(trunk: GraphModule, size: int, folder: Path, child: Child) -> None:
    """Write a trunk into a folder as OpenVINO's CONVERTED; `child` is the folder's converter.

    Raises Refused when this network cannot be converted, Unsuitable when it did not work this time.
    """
    example = torch.zeros(2, 3, size, size)
    _make_pure(trunk)
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
    _wait_for(child)
    (folder / EXPORTED).unlink()


def _make_pure(trunk: GraphModule) -> None:
    """Let operations work out of place where nobody can see the difference.

    The converter takes those in place apart, which was half of its time (2026-11, 33 of hardtanh_:
    3.6 -> 1.5 s).
    """
    for node in trunk.graph.nodes:
        pure = _pure_form(node)
        if pure is not None:
            node.target = pure
    trunk.recompile()


def _pure_form(node: Node) -> Any:
    """What gives the same result in memory of its own, if nobody else reads the node's input."""
    name = str(node.target)
    library, _, rest = name.partition(".")
    operation, _, overload = rest.partition(".")
    changed = node.args[0] if node.args else None
    if library != "aten" or not operation.endswith("_") or operation.endswith("__"):
        return None
    if not isinstance(changed, Node) or len(changed.users) > 1 or str(changed.target) not in FRESH:
        return None
    return getattr(getattr(torch.ops.aten, operation[:-1], None), overload, None)


def _wait_for(child: Child) -> None:
    for waited_s in range(0, TIMEOUT_S, SAID_EVERY_S):
        try:
            if waited_s:
                log.info("still prepares it, for %d s now", waited_s)
            _, said = child.communicate(None if waited_s else READY, timeout=SAID_EVERY_S)
            break
        except subprocess.TimeoutExpired:
            pass
    else:
        raise Unsuitable(f"its conversion took more than {TIMEOUT_S} s")
    if not child.returncode:
        return
    lines = said.strip().splitlines() or [f"it ended with {child.returncode}"]
    kind = Refused if child.returncode in {CANNOT, *CRASHES} else Unsuitable
    raise kind(f"OpenVINO's converter: {lines[-1]}")


def main(arguments: Sequence[str]) -> None:
    """Convert the EXPORTED of a folder when it is there; end when the parent has gone before."""
    # It would report the conversion to its makers over the network.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    import openvino
    import torch._dynamo  # what reading and converting import, while there is nothing to read

    if sys.stdin.readline() != READY:
        return
    folder = Path(arguments[0])
    exported = torch.export.load(folder / EXPORTED)
    try:
        converted = openvino.convert_model(exported)
    except Exception as error:  # noqa: BLE001 - of many kinds, all saying that it cannot
        sys.stderr.write(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}\n")
        sys.exit(CANNOT)
    openvino.save_model(converted, folder / CONVERTED, compress_to_fp16=False)
    # Python needs a second to take torch down.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
