"""What would make a run faster, read off what was measured; never what is set already."""

from dataclasses import dataclass

from vidcam.bench.measure import Measurement
from vidcam.options import FileOptions
from vidcam.sinks.encoder import X264_PRESETS

# Below this share of its CPU time a stage is not worth a change.
LARGE_SHARE = 0.25
# The map is dear when it adds more than this to the network, and is more than that of all.
DEAR_MAP, LEAST_MAP_SHARE = 0.15, 0.05
# Below this the cores wait for something.
BUSY = 0.9
# Above this share of the cores' time other programs are in the way.
OTHERS = 0.05
# A stage that alone takes this share of the run's time is what the others wait for.
BOTTLENECK = 0.8
MOST_SENTENCES = 3
GPU_BATCH = 64
MANY_LABELS = 10


@dataclass(frozen=True, slots=True)
class Engine:
    """What the network ran on: `name` is that of `--backend`, `batch` the pictures of one call.

    `auto_precision` is what `--precision auto` would be here.
    """

    name: str
    batch: int
    auto_precision: str
    has_openvino: bool


def advice(measured: Measurement, options: FileOptions, engine: Engine) -> list[str]:
    """Sentences that say what to change, the most useful first, at least one."""
    said: list[str] = []
    ways = {
        "encode": encode_ways(options),
        "network": network_ways(options, measured.device, engine),
        "cam": map_ways(options, engine.batch) if is_map_dear(measured) else [],
        "draw": draw_ways(options),
    }
    if measured.limit_ms > measured.cpu_limit_ms:
        said.append(
            f"the network takes {measured.stage('network').wall_ms:.1f} ms a frame on "
            f"{measured.device}, more than the cores need for the rest{_tries(ways['network'])}"
        )
        ways["network"] = []
    elif measured.busy < BUSY:
        said.append(_idle(measured))
    for name in sorted(ways, key=measured.share, reverse=True):
        is_large = measured.share(name) >= LARGE_SHARE or name == "cam"
        if is_large and ways[name]:
            label = "the map" if name == "cam" else name
            share = f"{measured.share(name):.0%}".replace("%", " %")
            said.append(f"{label} takes {share} of the CPU time{_tries(ways[name])}")
    if not said:
        said.append(
            f"nothing waits, and no option makes a stage cheaper that takes a quarter or more: "
            f"{measured.efficiency:.2f} of the limit"
        )
    return said[:MOST_SENTENCES]


def is_map_dear(measured: Measurement) -> bool:
    """Whether the map costs more than it should beside the network."""
    added, whole = measured.stage("cam"), measured.stage("network")
    on_device = measured.device != "cpu" and added.wall_ms > DEAR_MAP * whole.wall_ms
    on_cores = added.cpu_ms > DEAR_MAP * whole.cpu_ms and measured.share("cam") > LEAST_MAP_SHARE
    return on_device or on_cores


def encode_ways(options: FileOptions) -> list[str]:
    """What makes encoding cheaper."""
    ways = []
    if options.encoder == "libx264":
        usual = X264_PRESETS.index(FileOptions.preset)
        at = X264_PRESETS.index(options.preset)
        if at:
            ways.append(f"--preset {X264_PRESETS[usual if at > usual else at - 1]}")
    else:
        ways.append("--encoder libx264")
    if options.layout == "side-by-side":
        ways.append("--layout overlay")
    return ways


def network_ways(options: FileOptions, device: str, engine: Engine) -> list[str]:
    """What makes the network cheaper."""
    ways = []
    if device == "cpu" and engine.name != "openvino":
        if not engine.has_openvino:
            ways.append("pip install 'vidcam[openvino]'")
        elif options.backend not in ("auto", "openvino"):
            ways.append("--backend openvino")
    if options.precision == "f32" != engine.auto_precision:
        ways.append("--precision auto")
    if device != "cpu" and engine.batch < GPU_BATCH:
        ways.append(f"--batch {GPU_BATCH}")
    if options.stride == 1:
        ways.append("--stride 2")
    if not ways and options.model != FileOptions.model:
        ways.append("a smaller --model")
    return ways


def map_ways(options: FileOptions, batch: int) -> list[str]:
    """What makes the map cheaper."""
    ways = []
    if options.cam == "eigencam":
        ways.append("--cam gradcam")
    if options.layer is not None:
        ways.append("the model's own layer, without --layer")
    if options.cam_every <= batch:
        # Every batch that holds a frame which is due is explained as a whole.
        ways.append(f"--cam-every {4 * batch}")
    return ways


def draw_ways(options: FileOptions) -> list[str]:
    """What makes drawing cheaper."""
    ways = ["--layout overlay"] if options.layout == "side-by-side" else []
    if options.topk is None or options.topk > MANY_LABELS:
        ways.append("--topk 5")
    return ways


def _idle(measured: Measurement) -> str:
    names = ("decode", "network", "draw", "encode")
    slowest = max(names, key=lambda name: measured.stage(name).wall_ms)
    wall_ms, run_ms = measured.stage(slowest).wall_ms, measured.run.wall_ms
    lead = f"the cores are busy {measured.busy:.2f} of the time"
    if (measured.others or 0.0) > OTHERS:
        return f"{lead}: other programs took {measured.others:.2f}; end them and measure again"
    if wall_ms > BOTTLENECK * run_ms:
        return (
            f"{lead}: {slowest} alone takes {wall_ms:.1f} of the {run_ms:.1f} ms a frame, and does "
            "not use every core; several clips at once would"
        )
    return f"{lead}: something waits; a slow disk, or other programs?"


def _tries(ways: list[str]) -> str:
    return f": try {', or '.join(ways[:2])}" if ways else ""
