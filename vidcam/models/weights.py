"""Whether weights fit a network, and which tensor does not."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

# Outputs on the way, for training alone; vidcam's networks are made without them.
AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}
# Old files lack these counters, and nothing is computed from them.
COUNTER = "num_batches_tracked"


def misfit(
    arch: str,
    needed: "Mapping[str, Tensor]",
    given: Mapping[str, Any],
    theirs: Mapping[str, str] | None = None,
) -> str | None:
    """Say in one clause which tensor does not fit, the first in the network's order; else None.

    `theirs` has the names that a file uses, by the network's own.
    """
    from torch import Tensor

    wrong = []
    for name, tensor in needed.items():
        shown = (theirs or {}).get(name, name)
        value = given.get(name)
        if value is None:
            if not name.endswith(COUNTER):
                wrong.append(f"{shown} ({written(tensor)}) is missing")
        elif not isinstance(value, Tensor):
            wrong.append(f"{shown} is no tensor")
        elif value.shape != tensor.shape:
            wrong.append(f"{shown} is {written(value)}, {arch} has {written(tensor)}")
    wrong += [f"{name} is not in {arch}" for name in given if name not in needed]
    if not wrong:
        return None
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return wrong[0] + more


def written(tensor: "Tensor") -> str:
    """A shape as people write it: 512x3x3."""
    return "x".join(map(str, tensor.shape)) or "one number"


def without_auxiliary(arch: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """The weights without those of outputs that only training uses."""
    prefixes = AUXILIARY.get(arch, ())
    return {name: value for name, value in state.items() if not str(name).startswith(prefixes)}
