"""A network cut in two graphs at a layer: the trunk, which engines compile, and the tail.

`torch.export` writes the network down as a graph; what depends on the layer's activation A is the
tail, the rest the trunk. Other tensors that the tail needs cross the cut beside A: constants for
it, because nothing of A flows through them, so dY/dA stays that of the full backward.
"""

import operator
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Interpreter, Node

from vidcam.cam import split
from vidcam.cam.tail import Tail
from vidcam.errors import VidcamError

# Relative to the spread of what is compared: f32 rounds in another order in another graph.
TOLERANCE = 1e-3
BATCH = torch.export.Dim("batch", min=1, max=4096)


class PartitionError(VidcamError):
    """The network cannot be written down as two graphs."""


@dataclass(frozen=True)
class Partition:
    """`trunk` maps pixels (N, 3, S, S) to A and what crosses with it, `tail` these to logits."""

    trunk: GraphModule
    tail: Tail


def partition(net: nn.Module, layer_name: str | None, size: int) -> Partition:
    """Cut `net` (eval mode, on the CPU) at a layer; None leaves all of it in the trunk.

    Raises PartitionError when it cannot be exported, or when the two halves together do not give
    what the whole gives.
    """
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    try:
        graph_module = _export(net, layer_name, noise)
        halves = _cut(graph_module, _Values(graph_module, noise), layer_name is not None)
    except (PartitionError, MemoryError, OSError):
        raise
    except Exception as error:  # the exporter raises whatever its parts raise
        kind, text = type(error).__name__, str(error).strip().partition("\n")[0]
        raise PartitionError(f"torch.export: {kind}: {text}") from error
    _verify(halves, net, layer_name, noise[:1])
    return halves


class _Marked(nn.Module):
    """The network, which gives its layer's activation beside the logits."""

    def __init__(self, net: nn.Module, layer_name: str | None) -> None:
        super().__init__()
        self.net = net
        self.layer_name = layer_name

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        found: list[Tensor] = []

        def mark(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            found.append(output.clone())

        if self.layer_name is None:
            logits = self.net(pixels)
            return logits, logits.clone()
        handle = self.net.get_submodule(self.layer_name).register_forward_hook(mark)
        try:
            logits = self.net(pixels)
        finally:
            handle.remove()
        return logits, found[0]


def _export(net: nn.Module, layer_name: str | None, pixels: Tensor) -> GraphModule:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        marked = _Marked(net, layer_name).eval()
        exported = torch.export.export(marked, (pixels,), dynamic_shapes=({0: BATCH},))
        graph_module = exported.module(check_guards=False)
    assert isinstance(graph_module, GraphModule)
    return graph_module


def _cut(module: GraphModule, values: "_Values", has_layer: bool) -> Partition:
    ((logits, marked),) = (node.args[0] for node in module.graph.nodes if node.op == "output")
    activation = marked.args[0]
    behind = _users_of(activation, without=marked)
    if has_layer and logits not in behind:
        raise PartitionError("no gradient of the scores reaches the layer")
    return _Cutter(module, activation, behind, values).halves(logits)


class _Cutter:
    """Builds the two graphs; `behind` are the nodes that depend on the activation."""

    def __init__(
        self, module: GraphModule, activation: Node, behind: set[Node], values: "_Values"
    ) -> None:
        self._module = module
        self._values = values
        pixels = next(node for node in module.graph.nodes if node.op == "placeholder")
        self._activation = activation
        self._behind = behind
        self._from_pixels = _users_of(pixels) | {pixels}
        self._tail = Graph()
        self._tail_nodes: dict[Node, Node] = {activation: self._tail.placeholder("activation")}
        self._crossing: list[Node] = []
        self._constants: dict[str, Tensor] = {}

    def halves(self, logits: Node) -> Partition:
        """The partition at the activation."""
        for node in self._module.graph.nodes:
            if node in self._behind:
                for needed in node.all_input_nodes:
                    self._bring(needed)
                self._tail_nodes[node] = self._tail.node_copy(node, self._tail_nodes.__getitem__)
        self._tail.output(self._tail_nodes[logits])
        trunk = Graph()
        copies: dict[Node, Node] = {}
        for node in self._module.graph.nodes:
            if node.op != "output" and node not in self._behind:
                copies[node] = trunk.node_copy(node, copies.__getitem__)
        trunk.output(tuple(copies[node] for node in (self._activation, *self._crossing)))
        # What only the tail used goes; what changes its input in place stays.
        trunk.eliminate_dead_code(_must_stay)
        tensors = self._constants | {
            str(node.target): _attribute(self._module, str(node.target))
            for node in self._tail.nodes
            if node.op == "get_attr" and node.target not in self._constants
        }
        return Partition(GraphModule(self._module, trunk), Tail.of_graph(self._tail, tensors))

    def _bring(self, node: Node) -> None:
        """Make a node that lies before the cut known to the tail."""
        if node in self._tail_nodes:
            return
        if node.op == "get_attr":
            self._tail_nodes[node] = self._tail.get_attr(str(node.target))
        elif _is_number(node):
            self._bring_number(node)
        elif node not in self._from_pixels:
            name = f"constant_{len(self._constants)}"
            self._constants[name] = self._values.of(node)
            self._tail_nodes[node] = self._tail.get_attr(name)
        else:
            if _first_size(node) != _first_size(self._activation):
                raise PartitionError(f"{node.name} crosses the cut and is not one for each picture")
            self._tail_nodes[node] = self._tail.placeholder(f"crossing_{len(self._crossing)}")
            self._crossing.append(node)

    def _bring_number(self, node: Node) -> None:
        size = torch.ops.aten.sym_size.int
        if node.target == size:
            if str(node.meta["val"]) != str(_first_size(self._activation)):
                raise PartitionError(f"{node.name} is a size that the tail cannot know")
            arguments = (self._tail_nodes[self._activation], 0)
            self._tail_nodes[node] = self._tail.call_function(size, arguments)
            return
        for needed in node.all_input_nodes:
            self._bring(needed)
        self._tail_nodes[node] = self._tail.node_copy(node, self._tail_nodes.__getitem__)


def _users_of(start: Node, without: Node | None = None) -> set[Node]:
    """The nodes that depend on `start`."""
    found: set[Node] = set()
    waiting = [start]
    while waiting:
        for user in waiting.pop().users:
            if user not in found and user is not without and user.op != "output":
                found.add(user)
                waiting.append(user)
    return found


def _must_stay(node: Node) -> bool:
    """Whether a node is needed though nobody uses its result."""
    schema = getattr(node.target, "_schema", None)
    return node.op in ("placeholder", "output") or bool(schema and schema.is_mutable)


def _is_number(node: Node) -> bool:
    return isinstance(node.meta.get("val"), torch.SymInt | torch.SymFloat | torch.SymBool | int)


def _first_size(node: Node) -> object:
    value = node.meta.get("val")
    return value.shape[0] if isinstance(value, Tensor) and value.ndim else None


def _attribute(module: nn.Module, name: str) -> Tensor:
    value = operator.attrgetter(name)(module)
    if not isinstance(value, Tensor):
        raise PartitionError(f"{name} is a part of the graph that is no tensor")
    return value.detach()


class _Values(Interpreter):
    """Runs a graph and keeps what each node gives, so that constants need no graph of their own."""

    def __init__(self, module: GraphModule, pixels: Tensor) -> None:
        super().__init__(module, garbage_collect_values=False)
        with torch.no_grad():
            self.run(pixels)

    def of(self, node: Node) -> Tensor:
        """The tensor that a node gave."""
        value = self.env[node]
        if not isinstance(value, Tensor):
            raise PartitionError(f"{node.name} crosses the cut and is no tensor")
        return value.detach().clone()


def _verify(halves: Partition, net: nn.Module, layer_name: str | None, pixels: Tensor) -> None:
    """Raise PartitionError when trunk and tail together are not the network."""
    with torch.no_grad():
        expected, (activation, *crossing) = net(pixels), halves.trunk(pixels)
    if layer_name is None:
        _compare("logits", activation, expected)
        return
    best = expected.argmax(1)
    layer = net.get_submodule(layer_name)
    whole = split.forward(net, layer, pixels, lambda logits: split.one_hot(best, logits))
    cut = split.differentiate(halves.tail, activation, crossing, lambda _logits: best)
    _compare("logits", cut.logits, expected)
    _compare("activation", cut.activation, whole.activation)
    _compare("gradient", cut.gradients[0], whole.gradients[0])


def _compare(what: str, got: Tensor, expected: Tensor) -> None:
    spread = float(expected.std()) if expected.numel() > 1 else 1.0
    if got.shape != expected.shape or not torch.allclose(
        got, expected, rtol=TOLERANCE, atol=TOLERANCE * spread
    ):
        raise PartitionError(f"the {what} of the two halves are not those of the network")
