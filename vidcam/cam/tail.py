"""The tail of a cut network, layer to logits, as a list of tensor operations.

It is kept as data (operations by name, and tensors), so that a cache can hold it: a start then
needs neither the network nor torch's exporter, whose import alone takes a second.
"""

import io
import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

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


@dataclass(frozen=True)
class Head:
    """The linear layer at the end: the name of what it gets, its weight (K, F) and bias (K,)."""

    features: str
    weight: Tensor
    bias: Tensor | None


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
        self._head = self._linear_head()

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

    def features(self, activation: Tensor, crossing: Sequence[Tensor]) -> Tensor:
        """What the last layer gets, (N, F); with gradients where the mode of torch has them."""
        values: dict[str, Any] = dict(self._tensors)
        values.update(zip(self._inputs, (activation, *crossing), strict=True))
        count = len(self._steps) - (self._head is not None)
        for step, call in zip(self._steps[:count], self._calls, strict=False):
            keywords = {key: _read(value, values) for key, value in step.keywords.items()}
            values[step.name] = call(*_read(step.arguments, values), **keywords)
        last: Tensor = values[self._output if self._head is None else self._head.features]
        return last

    def logits(self, features: Tensor) -> Tensor:
        """The scores (N, K) of all classes."""
        if self._head is None:
            return features
        return nn.functional.linear(features, self._head.weight, self._head.bias)

    def scores(self, features: Tensor, classes: Tensor) -> Tensor:
        """The scores (N,) of one class of each picture, without the bias.

        A linear layer is asked for these classes alone: the gradient through all the others would
        be half of a map's cost (2026-11: 1.1 -> 0.5 ms a batch of 8).
        """
        if self._head is None:
            return features.gather(1, classes[:, None])[:, 0]
        return (features * self._head.weight[classes]).sum(1)

    def __call__(self, activation: Tensor, crossing: Sequence[Tensor]) -> Tensor:
        """Logits (N, K)."""
        return self.logits(self.features(activation, crossing))

    def _linear_head(self) -> "Head | None":
        last = self._steps[-1] if self._steps else None
        if last is None or last.operation != "aten.linear.default" or last.name != self._output:
            return None
        names = [part["of"] if isinstance(part, dict) else None for part in last.arguments]
        features, weight, bias = (*names, None)[:3]
        if features is None or weight not in self._tensors:
            return None
        return Head(features, self._tensors[weight], self._tensors.get(bias or ""))

    @property
    def has_head(self) -> bool:
        """Whether it ends in a linear layer, so that `features` are not the logits themselves."""
        return self._head is not None

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
        # Not straight into a file: where the disk is full, torch's writer ends the process.
        tensors = io.BytesIO()
        torch.save(self._tensors, tensors)
        (folder / "tail.pt").write_bytes(tensors.getbuffer())

    @classmethod
    def load(cls, folder: Path) -> "Tail":
        """The tail of a folder. Raises what a broken one makes its readers raise."""
        read = json.loads((folder / "tail.json").read_text())
        tensors = torch.load(folder / "tail.pt", weights_only=True)
        return cls(read["inputs"], [Step(*step) for step in read["steps"]], read["output"], tensors)


class _GlobalAverage(torch.autograd.Function):
    """The mean over a grid, whose gradient is one number a channel: a view, not a grid of it.

    torch writes that grid out: half of what a map cost (2026-11: 0.45 -> 0.1 ms a batch of 8).
    """

    @staticmethod
    def forward(ctx: Any, grid: Tensor) -> Tensor:
        """(N, C, h, w) to (N, C, 1, 1)."""
        ctx.shape = grid.shape
        return grid.mean((2, 3), keepdim=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """(N, C, 1, 1) to (N, C, h, w)."""
        height, width = ctx.shape[2:]
        gradient: Tensor = (gradients[0] / (height * width)).expand(ctx.shape)
        return gradient


def _global_average(grid: Tensor) -> Tensor:
    averages: Tensor = _GlobalAverage.apply(grid)
    return averages


def _adaptive_avg_pool2d(grid: Tensor, size: list[int]) -> Tensor:
    if grid.ndim == 4 and size == [1, 1]:
        return _global_average(grid)
    return torch.ops.aten.adaptive_avg_pool2d.default(grid, size)  # type: ignore[no-any-return]


def _mean(values: Tensor, dims: list[int] | None, keepdim: bool = False, **kind: Any) -> Tensor:
    if values.ndim == 4 and not kind and {dim % 4 for dim in dims or ()} == {2, 3}:
        averages = _global_average(values)
        return averages if keepdim else averages.flatten(1)
    return torch.ops.aten.mean.dim(values, dims, keepdim, **kind)  # type: ignore[no-any-return]


CHEAPER = {"aten.adaptive_avg_pool2d.default": _adaptive_avg_pool2d, "aten.mean.dim": _mean}


def _name_of(node: "Node") -> str:
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload):
        return str(target)
    name = getattr(target, "__name__", "")
    if name in OPERATORS and target is getattr(operator, name):
        return f"operator.{name}"
    raise TailError(f"{node.name} calls {target}")


def _operation(name: str) -> Any:
    """The function of a name that `_name_of` gave, or one that does the same for less."""
    if name in CHEAPER:
        return CHEAPER[name]
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
