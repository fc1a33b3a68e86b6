"""The programs of bench/ start and print one JSON line, and tables are made from their lines."""

import json
import os
import signal
import subprocess
import sys

import pytest

# The least that each of them can do, and what its line must hold.
ON_TORCH = ("--backend", "torch")
PROGRAMS = {
    "compare.py": (
        ("--repeats", 1, "--frames", 16, "--seed-frames", 2, *ON_TORCH,
         "--only", "vidcam_torch", "--only", "seed_loop_every_5"),
        {"peers", "times_as_fast", "writes", "frames", "options", "left_out"},
    ),
    "cam_cost.py": (
        ("--pairs", 2, "--batch", 1, "--lasting", 10, "--method", "eigencam", *ON_TORCH),
        {"engines", "batch", "pairs", "left_out"},
    ),
    "startup.py": (
        ("--repeats", 1, "--max-frames", 3, *ON_TORCH),
        {"engines", "help_s", "python_s", "help_imports", "left_out"},
    ),
    "growth.py": (
        ("--repeats", 1, "--frames", 8, "--size", "320x180", "--set", "backend=torch"),
        {"lengths", "spread", "size", "runs"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def lines(root):
    """The line of each program; they run beside each other, because their figures do not matter."""
    running = {}
    # OpenMP's threads would spin where the other programs need the cores.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    for program, (arguments, _) in PROGRAMS.items():
        command = [sys.executable, str(root / "bench" / program), *map(str, arguments)]
        running[program] = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            start_new_session=True,
        )  # fmt: skip
    try:
        printed = {name: process.communicate(timeout=200) for name, process in running.items()}
    finally:
        for process in running.values():
            if process.poll() is None:  # with the processes that it started
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    for program, (_, errors) in printed.items():
        assert running[program].returncode == 0, errors
    return {program: output for program, (output, _) in printed.items()}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_prints_one_json_line(program, lines):
    assert lines[program].count("\n") == 1
    report = json.loads(lines[program])
    assert report["program"] == program.removesuffix(".py")
    assert PROGRAMS[program][1] | {"what", "machine", "versions"} <= set(report)
    assert report["machine"]["cores"] >= 1 and "torch" in report["versions"]
    assert not report.get("left_out"), report


def test_their_figures_are_of_what_ran(lines):
    compared = json.loads(lines["compare.py"])
    peers = compared["peers"]
    assert set(peers) == {"vidcam_torch", "seed_loop_every_5"}
    assert "(torch" in peers["vidcam_torch"]["runs"]
    ratio = peers["seed_loop_every_5"]["ms"] / peers["vidcam_torch"]["ms"]
    assert compared["times_as_fast"]["vidcam_torch"]["seed_loop_every_5"] == pytest.approx(
        ratio, rel=0.02
    )
    started = json.loads(lines["startup.py"])["engines"]["torch"]
    assert 0 < started["first_record_s"] <= started["first_frame_s"]
    assert "torch" in started["imports"]["dearest_ms"]
    memory = json.loads(lines["growth.py"])["lengths"]["8"]["memory_mb"]
    assert memory["loaded"] < memory["at_100"] <= memory["peak"]


def test_tables_are_made_from_the_lines(lines, root, tmp_path):
    results = tmp_path / "results.jsonl"
    results.write_text("".join(lines.values()))
    command = [sys.executable, str(root / "bench" / "table.py"), str(results)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for program in PROGRAMS:
        assert f"`bench/{program}`" in done.stdout
    fps = json.loads(lines["compare.py"])["peers"]["vidcam_torch"]["fps"]
    assert f"| {fps} |" in done.stdout and "| 8 frames |" in done.stdout
    results.write_text('{"program": "other"}\n')
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "no table is made from" in done.stderr


def test_what_is_not_there_is_left_out_with_the_reason(root):
    command = [sys.executable, str(root / "bench" / "compare.py"), "--repeats", "1", "--frames",
               "4", "--set", "nosuch=1", "--only", "vidcam_torch"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["peers"] == {} and "nosuch" in report["left_out"]["vidcam_torch"]
