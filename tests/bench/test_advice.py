"""What `vidcam bench` says is to be changed, case by case."""

from dataclasses import replace

import pytest

from vidcam.bench.advice import Engine, advice
from vidcam.bench.measure import Measurement, Round
from vidcam.bench.stages import STAGES, Cost
from vidcam.options import FileOptions

TORCH = Engine("torch", 8, "bf16", has_openvino=False)
UNUSED = replace(TORCH, has_openvino=True)
OPENVINO = replace(UNUSED, name="openvino")
# Nothing takes a quarter of the time.
EVEN = {"decode": 3.0, "prepare": 2.0, "network": 3.0, "cam": 0.1, "draw": 3.0, "encode": 3.0,
        "check": 2.0}  # fmt: skip


def said(
    options=None, engine=OPENVINO, busy=0.98, run_ms=None, cuda_ms=None, others=None, **cpu_ms
):
    """The advice when stages cost so much CPU time, and half as much wall time.

    `cuda_ms` is the wall time of a network that runs there.
    """
    given = EVEN | cpu_ms
    stages = {name: Cost(given[name], given[name] / 2) for name in STAGES}
    if cuda_ms is not None:
        stages["network"] = Cost(given["network"], cuda_ms)
    device = "cpu" if cuda_ms is None else "cuda"
    run_ms = run_ms or sum(given.values()) / (2 * busy)
    rounds = (Round(Cost(2 * busy * run_ms, run_ms), stages, others),)
    measured = Measurement(180, 2, device, 1, rounds)
    return advice(measured, options or FileOptions(), engine)


def test_a_run_in_which_nothing_stands_out_is_said_to_be_one():
    (only,) = said()
    assert only.startswith("nothing waits") and "of the limit" in only


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({}, ": try --preset superfast"),
        ({"preset": "superfast"}, ": try --preset ultrafast"),
        ({"preset": "faster"}, ": try --preset veryfast"),
        ({"preset": "slow"}, ": try --preset veryfast"),
        ({"layout": "side-by-side"}, ": try --preset superfast, or --layout overlay"),
        ({"encoder": "libx265", "preset": "slow"}, ": try --encoder libx264"),
        ({"encoder": "libsvtav1"}, ": try --encoder libx264"),
    ],
)
def test_encoding_that_is_dear(options, ends):
    (only,) = said(FileOptions(**options), encode=20.0)
    assert only == "encode takes 60 % of the CPU time" + ends


def test_the_quickest_preset_leaves_nothing_to_say():
    (only,) = said(FileOptions(preset="ultrafast"), encode=20.0)
    assert only.startswith("nothing waits")


@pytest.mark.parametrize(
    ("engine", "options", "ends"),
    [
        (TORCH, {}, ": try pip install 'vidcam[openvino]', or --stride 2"),
        (TORCH, {"stride": 3}, ": try pip install 'vidcam[openvino]'"),
        (OPENVINO, {}, ": try --stride 2"),
        # It is installed, and the user or the network wants torch.
        (UNUSED, {"backend": "torch"}, ": try --backend openvino, or --stride 2"),
        (UNUSED, {}, ": try --stride 2"),
        (UNUSED, {"backend": "openvino"}, ": try --stride 2"),
        (OPENVINO, {"precision": "f32"}, ": try --precision auto, or --stride 2"),
        (replace(OPENVINO, auto_precision="f32"), {"precision": "f32"}, ": try --stride 2"),
        (OPENVINO, {"stride": 2, "model": "resnet50"}, ": try a smaller --model"),
    ],
)  # fmt: skip
def test_a_network_that_is_dear(engine, options, ends):
    (only,) = said(FileOptions(**options), engine, network=20.0)
    assert only == "network takes 60 % of the CPU time" + ends


def test_the_built_in_network_on_every_other_frame_leaves_nothing_to_say():
    (only,) = said(FileOptions(stride=2), network=20.0)
    assert only.startswith("nothing waits")


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({}, ": try --cam-every 32"),
        ({"cam": "eigencam"}, ": try --cam gradcam, or --cam-every 32"),
        ({"layer": "blocks.2", "cam_every": 32}, ": try the model's own layer, without --layer"),
    ],
)
def test_a_map_that_is_dear(options, ends):
    (only,) = said(FileOptions(**options), cam=2.0)
    assert only == "the map takes 11 % of the CPU time" + ends


def test_a_map_that_is_cheap_beside_the_network_is_no_matter():
    assert not [text for text in said(network=20.0, cam=2.0) if "map" in text]
    assert not [text for text in said(network=1.0, cam=0.5) if "map" in text]


def test_drawing_that_is_dear():
    assert said(FileOptions(topk="all"), draw=20.0)[0].endswith(": try --topk 5")
    wide = FileOptions(layout="side-by-side")
    assert said(wide, draw=20.0)[0] == "draw takes 60 % of the CPU time: try --layout overlay"
    assert said(draw=20.0)[0].startswith("nothing waits")


def test_the_dearest_stage_comes_first():
    first, second = said(encode=12.0, network=20.0)
    assert first.startswith("network ") and second.startswith("encode ")
    first, second = said(encode=20.0, network=12.0)
    assert first.startswith("encode ") and second.startswith("network ")


def test_cores_that_wait_for_something_outside():
    first, second = said(busy=0.71, encode=20.0)
    assert first.startswith("the cores are busy 0.71 of the time: something waits")
    assert second.startswith("encode ")


def test_cores_that_other_programs_use():
    first, _ = said(busy=0.71, encode=20.0, others=0.25)
    assert first == (
        "the cores are busy 0.71 of the time: other programs took 0.25; end them and measure again"
    )
    assert "something waits" in said(busy=0.71, encode=20.0, others=0.02)[0]


def test_cores_that_wait_for_a_stage_that_does_not_fill_them():
    first, *_ = said(busy=0.6, encode=20.0, run_ms=11.0)
    assert "encode alone takes 10.0 of the 11.0 ms a frame" in first


def test_a_device_that_is_the_limit():
    first, *rest = said(engine=TORCH, cuda_ms=20.0, busy=0.3)
    assert first == (
        "the network takes 20.0 ms a frame on cuda, more than the cores need for the rest: "
        "try --batch 64, or --stride 2"
    )
    assert not [text for text in rest if "network" in text or "busy" in text]
    (first, *_) = said(FileOptions(stride=2), replace(TORCH, batch=64), cuda_ms=20.0)
    assert first.endswith("for the rest")


def test_a_device_that_is_quick_is_not_the_limit():
    (only,) = said(engine=TORCH, network=0.5, cuda_ms=0.5, encode=20.0)
    assert only.startswith("encode ")
    # Its kernels are started by the cores, which larger batches do less often.
    (only,) = said(FileOptions(stride=2), TORCH, network=20.0, cuda_ms=10.0)
    assert only.endswith(": try --batch 64")


def test_there_are_three_sentences_at_most():
    options = FileOptions(cam="eigencam", layout="side-by-side")
    sentences = said(options, busy=0.5, encode=20.0, network=20.0, cam=4.0)
    assert len(sentences) == 3
