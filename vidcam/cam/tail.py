"""The tail of a cut network, layer to logits, as a list of tensor operations.

It is kept as data (operations by name, and tensors), so that a cache can hold it: a start then
needs neither the network nor torch's exporter, whose import alone takes a second.
"""

import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.fx import Graph, Node

# Values in arguments that JSON has no form for: torch's, by their name.
CONSTANTS = (torch.dtype, torch.memory_format, torch.layout, torch.device)
# The exporter writes arithmetic of sizes as Python's own operations.
OPERATORS = ("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "getitem")


class TailError(ValueError):
    """The tail holds what cannot be kept as data."""


@dataclass(frozen=True)
class Step:
    """One operation: `name` is what later steps call its result; arguments as JSON holds them."""

    name: str
    operation: str
    arguments: Any
    keywords: dict[str, Any]


class Tail:
    """Maps the activation and what crosses with it, all (N, ...), to logits (N, K)."""

    def __init__(
        self, inputs: Sequence[str], steps: Sequence[Step], output: str, tensors: dict[str, Tensor]
    ) -> None:
        self._inputs = tuple(inputs)
        self._steps = tuple(steps)
        self._output = output
        self._tensors = tensors
        self._calls = [_operation(step.operation) for step in steps]

    @classmethod
    def of_graph(cls, graph: "Graph", tensors: dict[str, Tensor]) -> "Tail":
        """The tail that a graph describes. Raises TailError."""
        inputs: list[str] = []
        steps: list[Step] = []
        output = ""
        for node in graph.nodes:
            if node.op == "placeholder":
                inputs.append(node.name)
            elif node.op == "output":
                output = node.args[0].name
            elif node.op == "call_function":
                arguments, keywords = _written(node.args), _written(dict(node.kwargs))
                steps.append(Step(node.name, _name_of(node), arguments, keywords))
            elif node.op != "get_attr":
                raise TailError(f"{node.name} is a call of a module")
        named = {node.name: str(node.target) for node in graph.nodes if node.op == "get_attr"}
        return cls(inputs, steps, output, {name: tensors[key] for name, key in named.items()})

    def __call__(self, activation: Tensor, crossing: Sequence[Tensor]) -> Tensor:
        """Logits (N, K); with gradients where the mode of torch has them."""
        values: dict[str, Any] = dict(self._tensors)
        values.update(zip(self._inputs, (activation, *crossing), strict=True))
        for step, call in zip(self._steps, self._calls, strict=True):
            keywords = {key: _read(value, values) for key, value in step.keywords.items()}
            values[step.name] = call(*_read(step.arguments, values), **keywords)
        logits: Tensor = values[self._output]
        return logits

    @property
    def crossing(self) -> int:
        """How many tensors cross the cut beside the activation."""
        return len(self._inputs) - 1

    def to(self, device: str) -> "Tail":
        """The tail on a device."""
        tensors = {name: tensor.to(device) for name, tensor in self._tensors.items()}
        return Tail(self._inputs, self._steps, self._output, tensors)

    def save(self, folder: Path) -> None:
        """Write the tail into a folder."""
        steps = [(s.name, s.operation, s.arguments, s.keywords) for s in self._steps]
        written = {"inputs": self._inputs, "steps": steps, "output": self._output}
        (folder / "tail.json").write_text(json.dumps(written))
        torch.save(self._tensors, folder / "tail.pt")

    @classmethod
    def load(cls, folder: Path) -> "Tail":
        """The tail of a folder. Raises what a broken one makes its readers raise."""
        read = json.loads((folder / "tail.json").read_text())
        tensors = torch.load(folder / "tail.pt", weights_only=True)
        return cls(read["inputs"], [Step(*step) for step in read["steps"]], read["output"], tensors)


def _name_of(node: "Node") -> str:
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload):
        return str(target)
    name = getattr(target, "__name__", "")
    if name in OPERATORS and target is getattr(operator, name):
        return f"operator.{name}"
    raise TailError(f"{node.name} calls {target}")


def _operation(name: str) -> Any:
    """The function of a name that `_name_of` gave."""
    library, _, rest = name.partition(".")
    if library == "operator" and rest in OPERATORS:
        return getattr(operator, rest)
    function, _, overload = rest.partition(".")
    return getattr(getattr(getattr(torch.ops, library), function), overload)


def _written(value: Any) -> Any:
    """An argument as JSON can hold it; a node becomes {"of": its name}."""
    if isinstance(value, list | tuple):
        return [_written(part) for part in value]
    if isinstance(value, dict):
        return {key: _written(part) for key, part in value.items()}
    if hasattr(value, "all_input_nodes"):
        return {"of": value.name}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, CONSTANTS):
        return {"torch": str(value).removeprefix("torch.")}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TailError(f"an argument is a {type(value).__name__}")


def _read(value: Any, values: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_read(part, values) for part in value]
    if not isinstance(value, dict):
        return value
    if "of" in value:
        return values[value["of"]]
    if "device" in value:
        return torch.device(value["device"])
    return getattr(torch, value["torch"])
