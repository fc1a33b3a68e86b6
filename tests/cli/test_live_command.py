"""`vidcam live` without a display: what it refuses, what it says, and what it writes."""

import csv
import fcntl
import json
import signal
import sys

import av
import pytest
from fake_camera import FakeCamera, needs_gcc
from live_runs import COLOURS, LOADED, SOON_S, START_S, Live, headless
from rtsp_server import RtspServer

HEADLESS = "vidcam: running headless: "
# Without a model a run is over as soon as Python has started.
WITHOUT_MODEL_S = 4.0
PASSWORD, WRONG = "s3cr3t=7", "wr0ng=8"

REFUSED = {
    "an unknown method": (["--cam", "gradcan"], "unknown method 'gradcan'; nearest: gradcam"),
    "an unknown option": (["--on-evnt", "x"], "No such option '--on-evnt'"),
    "an unknown encoder": (["-o", "a.mp4", "--encoder", "libx265x"], "unknown encoder 'libx265x'"),
    "a bad time": (["-o", "a.mp4", "--segment", "5x"], "--segment: '5x' is no time"),
    "a bad keep": (["-o", "a.mp4", "--keep", "50"], "--keep: '50' says not what to keep"),
    "a bad region": (["--roi", "1,2,3"], "--roi: '1,2,3' is no region"),
    "segments of nothing": (["--segment", "10m"], "--segment and --keep are for recordings"),
    "a missing folder": (["-o", "none/a.mp4"], "folder none does not exist"),
    "a missing folder for raw": (["--record-raw", "none/a.mkv"], "folder none does not exist"),
    "a missing folder for records": (["--jsonl", "none/a.jsonl"], "folder none does not exist"),
    "a missing folder for HLS": (["-o", "none/a.m3u8"], "folder none does not exist"),
    "no ending": (["-o", "clip"], "clip: a name without an ending"),
    "a container that no crash survives": (["-o", "a.avi"], ".avi does not survive a crash"),
    "an address without a host": (["-o", "rtmp://"], "is no address"),
    "a program that is not there": (["--on-event", "no-such-program x"], "no program"),
    "two on stdout": (["--jsonl", "-", "--events", "-"], "two outputs have this name"),
    "two of one name": (["-o", "a.mp4", "--record-raw", "./a.mp4"], "two outputs have this name"),
    "a window by name": (["-o", "window"], "no window can open: there is no display"),
    "a window by option": (["--window"], "no window can open: there is no display"),
    "one file for two": (["--camera", COLOURS, "-o", "out.mp4"], "write {source} in the name"),
    "three regions for two": (
        ["--camera", COLOURS, *["--roi", "0,0,1,1"] * 3],
        "--roi is given 3 times for 2 cameras",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_on_the_command_line_is_one_sentence_and_exit_2(case, tmp_path):
    arguments, sentence = REFUSED[case]
    with Live("--camera", COLOURS, *arguments, folder=tmp_path) as run:
        assert run.ends(START_S) == 2, run.said
    assert len(run.stderr) == 1 and sentence in run.said, run.said
    assert not run.stdout and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("camera", "sentence"),
    [
        ("7", "vidcam: camera /dev/video7: no such camera (vidcam cameras lists them)"),
        ("clip.mp4", "vidcam: clip.mp4: neither a file nor a camera of this machine"),
        ("My camera", "vidcam: My camera: neither a file nor a camera of this machine"),
    ],
)
def test_a_camera_that_is_not_there_is_exit_3_before_the_model_is_loaded(
    camera, sentence, tmp_path
):
    with Live("--camera", camera, folder=tmp_path) as run:
        assert run.ends(START_S) == 3
    assert run.lasted_s < WITHOUT_MODEL_S
    assert len(run.stderr) == 1 and run.said.startswith(sentence)


def test_an_output_never_replaces_its_camera(tmp_path, tour_clip):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(tour_clip.read_bytes())
    with Live("--camera", "clip.mp4", "-y", "-o", "./clip.mp4", folder=tmp_path) as run:
        assert run.ends(START_S) == 2
    assert run.said == "vidcam: ./clip.mp4: is the camera itself; give the output another name"
    assert clip.read_bytes() == tour_clip.read_bytes()


@needs_gcc
def test_a_camera_that_is_busy_or_forbidden_is_exit_3_at_once_and_says_why(tmp_path):
    said = {}
    for state in ("forbidden", "busy"):
        folder = tmp_path / state
        folder.mkdir()
        camera = FakeCamera(folder)
        camera.set(state)
        with (folder / "lock").open("w") as lock:
            if state == "busy":  # as another program that streams
                fcntl.flock(lock, fcntl.LOCK_EX)
            shim = {k: v for k, v in camera.env.items() if k.startswith(("LD_", "FAKE_"))}
            arguments = ["--camera", "0", "-o", "out.mp4", "--reconnect", "5"]
            with Live(*arguments, folder=folder, env=headless(**shim)) as run:
                assert run.ends(START_S) == 3
        assert "trying again" not in run.said and not (folder / "out.mp4").exists()
        said[state] = run.stderr[-1]
    assert said["forbidden"].startswith("vidcam: camera /dev/video0: permission denied")
    assert "group video" in said["forbidden"]
    assert said["busy"] == "vidcam: camera /dev/video0: busy: another program uses it"


def test_with_nothing_to_write_the_labels_are_told(tmp_path, tour_clip):
    """A file is played in real time; at two seconds the rocket becomes a cat."""
    arguments = ["--camera", tour_clip, "--lang", "en", "--duration", "3.4", "--confirm", "0.3"]
    with Live(*arguments, folder=tmp_path) as run:
        run.says("missile", START_S)
        run.says(" % (was: ", SOON_S)
        assert run.ends() == 0, run.said
    headless_lines = [line for line in run.stderr if "headless" in line]
    assert headless_lines == [f"{HEADLESS}there is no display "
                              "(neither DISPLAY nor WAYLAND_DISPLAY is set)"]  # fmt: skip
    changes = [line for line in run.stderr if " (was: " in line]
    assert changes and all(" % (was: " in line for line in changes)
    # 3.4 s at 24 fps, in real time, but for what a busy machine could not draw.
    row = next(line for line in run.stderr if line.startswith("tour.mp4 ")).split()
    captured, drawn, dropped = int(row[1]), int(row[2]), int(row[4])
    assert 75 <= captured <= 85 and captured - 3 <= drawn + dropped <= captured
    p50, p95, longest = (int(number) for number in row[-2].split("/"))
    assert 0 < p50 <= p95 <= longest and row[-1] == "ms"
    assert ("dropped: " in run.said) == (dropped > 0)
    opened_s = run.times_s[run.says("open (")]
    assert 3.0 < run.times_s[run.says("latency p50")] - opened_s < 6.0
    assert not run.stdout


HOOK = """
import json, os
event = json.loads(os.environ["VIDCAM_EVENT_JSON"])
with open("hook.txt", "a") as file:
    print(os.environ["VIDCAM_EVENT_AFTER_EN"], event["after"]["label"], file=file)
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, cat_clip):
    """One quiet run that writes all there is, after its end."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "hook.py").write_text(HOOK)
    arguments = [
        "--camera", cat_clip, "--max-frames", 50, "--confirm", 0, "-q", "--jsonl", "-",
        "--csv", "seen.csv", "--events", "events.jsonl", "-o", "out.mp4",
        "--on-event", f"{sys.executable} hook.py", "--event-snapshots", "pictures",
    ]  # fmt: skip
    (folder / "pictures").mkdir()
    with Live(*arguments, folder=folder) as run:
        assert run.ends(START_S) == 0, run.said
        yield run


def test_a_good_quiet_run_says_nothing(recorded):
    assert recorded.stderr == []


def test_jsonl_has_one_record_for_each_classified_frame(recorded):
    records = [json.loads(line) for line in recorded.stdout]
    numbers = [record["frame"] for record in records]
    assert numbers == sorted(set(numbers)) and 5 <= len(numbers) <= 50 and numbers[-1] < 50
    for record in records:
        assert set(record) == {"source", "frame", "time_s", "topk", "shown", "cam", "crop"}
        assert record["source"] == "cat.mp4" and len(record["topk"]) == 5
        assert set(record["topk"][0]) == {"index", "label", "label_en", "score"}
        assert record["cam"]["class"] == record["topk"][0]["index"]
    times_s = [record["time_s"] for record in records]
    assert times_s == sorted(times_s) and 0.3 < times_s[-1] - times_s[0] < 1.9


def test_csv_has_a_row_for_each_of_them_and_rank(recorded):
    text = (recorded.folder / "seen.csv").read_text(encoding="utf-8")
    assert text.startswith("\ufeffsource,")
    rows = list(csv.DictReader(text.removeprefix("\ufeff").splitlines()))
    records = [json.loads(line) for line in recorded.stdout]
    assert [(int(row["frame"]), row["label"]) for row in rows] == [
        (record["frame"], score["label"]) for record in records for score in record["topk"]
    ]
    assert list(rows[0]) == [
        "source", "frame", "time_s", "rank", "index", "label", "label_en", "score",
    ]  # fmt: skip


def test_events_are_written_and_run_their_command(recorded):
    events = [
        json.loads(line) for line in (recorded.folder / "events.jsonl").read_text().splitlines()
    ]
    first = events[0]
    assert first["before"] is None and first["source"] == "cat.mp4"
    pictures = first["snapshots"]
    assert pictures["before"] is None and (recorded.folder / pictures["after"]).stat().st_size
    told = (recorded.folder / "hook.txt").read_text().splitlines()
    expected = [f"{one['after']['label_en']} {one['after']['label']}" for one in events]
    assert sorted(told) == sorted(expected)


def test_the_recording_has_the_pictures_and_the_sound(recorded):
    with av.open(str(recorded.folder / "out.mp4")) as container:
        pictures = list(container.decode(video=0))
        assert container.streams.audio[0].codec_context.name == "aac"
    assert 20 <= len(pictures) <= 50 and pictures[0].width == 1280
    assert 1.0 < pictures[-1].time - pictures[0].time < 1.9


def test_a_reader_that_leaves_ends_the_run_quietly_and_options_come_from_the_environment(tmp_path):
    """As in `vidcam live --jsonl - | head -1`."""
    env = headless(VIDCAM_LIVE_CAMERA=COLOURS, VIDCAM_LIVE_LANG="en", VIDCAM_LIVE_TOPK="2")
    with Live("--jsonl", "-", folder=tmp_path, env=env) as run:
        run.prints("{", START_S)
        run.stop_reading()
        assert run.ends(SOON_S) in (0, 1)
    record = json.loads(run.stdout[0])
    assert record["source"] == COLOURS and len(record["topk"]) == 2
    assert record["topk"][0]["label"] == record["topk"][0]["label_en"]
    assert " fps)" in run.stderr[-1] and "open (" in run.stderr[-1], run.said


def test_a_lost_source_that_is_given_up_is_exit_4_and_a_wrong_password_exit_3(tmp_path, cat_clip):
    """No password is anywhere in what they say or write."""
    with RtspServer(cat_clip, user="guard", password=PASSWORD) as server:
        wrong = server.url_with("guard", WRONG)
        with Live("--camera", wrong, "--reconnect", "0", folder=tmp_path) as refused:
            assert refused.ends(START_S) == 3, refused.said
        outputs = ["-o", "night.mp4", "--jsonl", "seen.jsonl", "--events", "-", "--confirm", "0"]
        outputs += ["--reconnect", "1", "--timeout", "3"]
        with Live("--camera", server.url, *outputs, folder=tmp_path) as run:
            run.prints("{", START_S)
            server.kill()
            assert run.ends(SOON_S) == 4, run.said
    name = server.address.removeprefix("rtsp://")
    assert any(
        line.startswith(f"vidcam: {name}: lost for good after 1 try: ") for line in run.stderr
    )
    assert run.stderr[-1] == "vidcam: 1 of 1 source was lost for good"
    assert refused.stderr[-1].endswith("user or password is wrong or missing")
    with av.open(str(tmp_path / "night.mp4")) as container:
        assert list(container.decode(video=0)), "what came before the loss"
    everything = "\n".join([run.said, refused.said, *run.stdout, *map(str, tmp_path.iterdir())])
    everything += (tmp_path / "seen.jsonl").read_text()
    assert name in everything and '"frame"' in everything
    for secret in (PASSWORD, WRONG, PASSWORD.encode().hex()):
        assert secret not in everything
    assert PASSWORD.encode() not in (tmp_path / "night.mp4").read_bytes()


def test_sigterm_while_the_model_loads_is_a_regular_end(tmp_path):
    with Live("--camera", COLOURS, "-o", "a.mp4", folder=tmp_path) as run:
        assert run.maps("libtorch_cpu"), run.said
        run.signal(signal.SIGTERM)
        assert run.ends() == 0, run.said
    assert LOADED not in run.said and not (tmp_path / "a.mp4").exists()
