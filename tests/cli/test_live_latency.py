"""How late `vidcam live` is and what it costs its neighbours, by the programs in bench/, shorter.

The bounds leave room for a machine that others use as well; the programs print the real figures.
"""

import json
import subprocess
import sys

import pytest
from live_runs import headless


@pytest.fixture
def measured(root):
    """Runs a program of bench/; gives the JSON that it prints."""

    def run(name, *arguments):
        command = [sys.executable, str(root / "bench" / name), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=150, env=headless(), check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_with_a_network_of_5_fps_pictures_come_in_time_and_memory_stays(measured):
    run = measured("live_latency.py", "--seconds", 14, "--fps", 5)
    assert run["classified"] <= 14 * 5 + 10 and run["captured"] > 14 * 25, run
    assert run["captured_to_sink_ms"]["p95"] < 300 and run["sent_to_sink_ms"]["p95"] < 500, run
    # It does not grow: a queue that fills would show in every picture of the second half.
    assert run["second_half_ms"]["p50"] < run["first_half_ms"]["p50"] + 60, run
    assert run["recorded_fps"] > 25 and run["repeated"] == 0, run
    assert abs(run["memory_mb"]["last"] - run["memory_mb"]["first"]) < 20, run


def test_a_camera_that_freezes_and_one_that_ends_cost_the_others_nothing(measured):
    run = measured("live_cameras.py", "--seconds", 12, "--rate", 15)
    cameras = run["cameras"]
    assert run["exit_code"] == 0
    for name in ("well", "well too"):
        one = cameras[name]
        assert one["fps_during"] > max(0.8 * one["fps_before"], 0.6 * 15), run
        assert one["longest_hole_s"] < 1 and one["latency_ms"]["p95"] < 600, run
        assert one["connections"] == 1
    assert cameras["freezes"]["fps_during"] < 2 and cameras["freezes"]["connections"] == 2, run
    assert cameras["ends"]["fps_during"] < 2 and cameras["ends"]["connections"] == 1, run
