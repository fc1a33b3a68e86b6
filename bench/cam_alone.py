"""Forward and CAM without any video, vidcam beside its peers: `python bench/cam_alone.py`.

All get the same pictures of a clip as (N, S, S, 3) bytes, in one process and in turn, and run
vidcam's built-in network with Grad-CAM of the same layer; vidcam in the precision that it chooses,
the peers as they come. `plain_forward` is the network in torch without CAM, and what a peer's CAM
costs is what it takes beyond that; vidcam's is what `cam` takes beyond its own `forward`. Prints
one JSON line, in milliseconds per picture.
"""

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import click
from engines import pixels_of, sessions_on  # before torch: it sets OpenMP's policy
from report import BACKENDS, CLIP, machine, median, rounded, settings_of, versions

# isort: split
import torch
from torch import Tensor, nn

from vidcam.models import Model
from vidcam.session import Session
from vidcam.types import Pixels

Call = Callable[[Pixels], object]
PLAIN = "plain_forward"


class Plain(nn.Module):
    """The network as users have it: bytes in, parameters that take gradients, logits out."""

    def __init__(self, model: Model, device: str) -> None:
        super().__init__()
        self.net = copy.deepcopy(model.net).to(device).eval().requires_grad_(True)
        self.mean = torch.tensor(model.mean, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(model.std, device=device).view(1, 3, 1, 1)

    def prepared(self, pixels: Pixels) -> Tensor:
        """The network's input (N, 3, S, S), laid out as torchvision's ToTensor does it."""
        batch = torch.from_numpy(pixels).to(self.mean.device).permute(0, 3, 1, 2).contiguous()
        return (batch.float() - self.mean) / self.std


def plain_forward(model: Model, _layer: str, device: str) -> Call:
    """Without CAM."""
    plain = Plain(model, device)

    def call(pixels: Pixels) -> object:
        with torch.no_grad():
            return plain.net(plain.prepared(pixels)).softmax(1).cpu()

    return call


def torch_cam(model: Model, layer: str, device: str) -> Call:
    """torch-cam's Grad-CAM of each picture's top class."""
    from torchcam.methods import GradCAM

    plain = Plain(model, device)
    extract = GradCAM(plain.net, target_layer=layer)

    def call(pixels: Pixels) -> object:
        logits = plain.net(plain.prepared(pixels))
        return extract(logits.argmax(1).tolist(), logits)[0].cpu()

    return call


def grad_cam(model: Model, layer: str, device: str) -> Call:
    """pytorch-grad-cam's Grad-CAM of each picture's top class."""
    from pytorch_grad_cam import GradCAM

    plain = Plain(model, device)
    cam = GradCAM(model=plain.net, target_layers=[plain.net.get_submodule(layer)])
    # Without targets it explains each picture's top class, from the one pass that it makes.
    return lambda pixels: cam(input_tensor=plain.prepared(pixels), targets=None)


PEERS: dict[str, tuple[Callable[[Model, str, str], Call], str]] = {
    PLAIN: (plain_forward, ""),
    "torch_cam": (torch_cam, "torchcam"),
    "pytorch_grad_cam": (grad_cam, "grad-cam"),
}


def calls_of(sessions: dict[str, Session], left_out: dict[str, str]) -> dict[str, Call]:
    """Everything that is measured, by name."""
    one = next(iter(sessions.values()))
    layer = one.backend.layer_name
    calls: dict[str, Call] = {}
    for name, (make, package) in PEERS.items():
        try:
            calls[name] = make(one.model, str(layer), one.backend.device)
        except ImportError:
            left_out[name] = f"not installed: pip install {package}"
    for backend, session in sessions.items():
        for name, explain in (("forward", False), ("cam", True)):
            calls[f"vidcam_{backend}_{name}"] = (
                lambda pixels, run=session.classifier, explain=explain: run(pixels, explain)
            )
    return calls


@dataclass
class Samples:
    """Batches of one call, in ms per picture; `cpu_ms` is of all threads."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


def measure(
    calls: dict[str, Call], pixels: Pixels, rounds: int, batches: int
) -> dict[str, Samples]:
    """All take turns of so many batches."""
    samples = {name: Samples() for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call(pixels)  # whatever ran before has the caches, and threads that still spin
            for _ in range(batches):
                start_s, cpu_s = time.perf_counter(), time.process_time()
                call(pixels)
                wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
                samples[name].wall_ms.append(1000 * wall_s / len(pixels))
                samples[name].cpu_ms.append(1000 * cpu_s / len(pixels))
    return samples


def costs(ms: dict[str, float]) -> dict[str, float]:
    """What each CAM takes beyond its forward, as a share of it."""
    found = {}
    for name in ms:
        if name.endswith("_forward"):
            continue
        forward = name.replace("_cam", "_forward") if name.startswith("vidcam") else PLAIN
        found[name] = round(ms[name] / ms[forward] - 1, 3)
    return found


@click.command()
@click.option("--batch", default=8, help="Pictures in a batch.")
@click.option("--rounds", default=10, help="How often all take their turn.")
@click.option("--batches", default=4, help="Batches a turn.")
@click.option("--backend", "backends", multiple=True, default=BACKENDS, help="Of vidcam.")
@click.option("--set", "pairs", multiple=True, help="name=value of FileOptions.")
def main(batch: int, rounds: int, batches: int, backends: tuple[str, ...],
         pairs: tuple[str, ...]) -> None:  # fmt: skip
    """Print the JSON line."""
    settings, left_out = settings_of(pairs), {}
    sessions = sessions_on(backends, {"batch": batch} | settings, left_out)
    if not sessions:
        raise click.ClickException(f"none of vidcam's engines is there: {left_out}")
    pixels = pixels_of(str(CLIP), next(iter(sessions.values())), batch)
    samples = measure(calls_of(sessions, left_out), pixels, rounds, batches)
    wall_ms = {name: median(one.wall_ms, 3) for name, one in samples.items()}
    cpu_ms = {name: median(one.cpu_ms, 3) for name, one in samples.items()}
    report = {
        "program": "cam_alone",
        "what": "forward and CAM alone, per picture",
        "machine": machine(), "versions": versions(),
        "batch": batch, "options": settings,
        "runs": {name: session.summary for name, session in sessions.items()},
        "wall_ms": wall_ms, "cpu_ms": cpu_ms,
        "pictures_a_second": {name: round(1000 / one, 1) for name, one in wall_ms.items()},
        "cost_of_cam": {"wall": costs(wall_ms), "cpu": costs(cpu_ms)},
        "samples_wall_ms": {name: rounded(one.wall_ms) for name, one in samples.items()},
        "left_out": left_out,
    }  # fmt: skip
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
