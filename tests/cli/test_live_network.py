"""`vidcam live` on network streams: a server that dies, freezes, refuses and changes; and pushing
to receivers, one of which stalls."""

import itertools
import json
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack

import av
import pytest
from live_runs import Live
from rtsp_server import RtspServer, free_port
from stamps import is_listening, stamped_clip, stamps_of

SMALL, LARGE = (320, 180), (480, 270)
TIMEOUT_S = 2.0
# Keeper.GOOD_AFTER_S and a little: after such a connection the pauses begin anew.
GOOD_S = 5.3
PLAIN = ("--topk", "1", "--lang", "en", "--preset", "ultrafast")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A small and a large clip of numbered pictures with sound."""
    folder = tmp_path_factory.mktemp("clips")
    return [stamped_clip(folder / f"{size[0]}.mp4", 8, size) for size in (SMALL, LARGE)]


class Outages:
    """Takes a server down and up under a recording; keeps account of what was sent and missed.

    `gaps` are those between pictures of one size: (when the server went, how long until the
    program had it back), in seconds since `start_s`.
    """

    def __init__(self, server, run, start_s):
        self.server, self.run, self.start_s = server, run, start_s
        self.sent, self.gaps = 0, []

    def send(self, seconds):
        """Let the server send for so long by its own count."""
        first, until_s = self.server.frames_sent, time.monotonic() + seconds + 10
        while self.server.frames_sent < first + 30 * seconds:
            assert time.monotonic() < until_s, "the server does not send"
            time.sleep(0.05)

    def kill(self):
        """Take down the server's process."""
        self.sent += self.server.frames_sent
        self.server.kill()

    def outage(self, down, up, said="", same_size=True):
        """Wait until the program has said `said` of it, then until it has it back."""
        line, gone_s = len(self.run.stderr), time.monotonic()
        down()
        number = self.run.says(said or "trying again", 10, line)
        assert self.run.times_s[number] - gone_s < TIMEOUT_S + 1.8, self.run.said
        up()
        number = self.run.says(": back (", 20, line)
        if same_size:
            lasted_s = self.run.times_s[number] - gone_s
            self.gaps.append((gone_s - self.start_s, lasted_s))


def test_a_recording_outlives_every_outage_and_shows_each_as_a_gap(clips, tmp_path):
    small, large = clips
    with RtspServer(small) as server, RtspServer(small, user="eve", password="right") as locked:
        locked.kill()
        locked.port = server.port  # takes its place later
        url = f"rtsp://eve:hush-hush@127.0.0.1:{server.port}/stream"
        with Live("--camera", url, "-o", "night.mp4", "-o", "web.m3u8", "--jsonl", "seen.jsonl",
                  "--timeout", f"{TIMEOUT_S:g}s", *PLAIN, folder=tmp_path) as run:  # fmt: skip
            opened = run.says(": open (320x180")
            did = Outages(server, run, run.times_s[opened])
            did.send(2.5)
            # Frozen, connections stay open and all that is asked of it stays unanswered.
            did.outage(server.freeze, server.thaw, f": silent for {TIMEOUT_S:g} s")
            did.send(GOOD_S)

            def locks_up():
                run.says("refused", 10)
                locked.start()
                run.says("user or password is wrong", 10)
                locked.kill()
                server.start()

            did.outage(did.kill, locks_up, "end of stream")
            did.send(GOOD_S)
            did.outage(did.kill, lambda: server.restart(large), same_size=False)
            run.says(": back (480x270", 1)
            did.send(2.5)
            did.sent += server.frames_sent
            asked_s = time.monotonic()
            run.signal(signal.SIGTERM)
            assert run.ends() == 0, run.said
            # All is written when the table has been printed; then the process ends.
            assert run.times_s[-1] - asked_s < 2 and time.monotonic() - asked_s < 3
    first, second = tmp_path / "night.mp4", tmp_path / "night-2.mp4"
    assert sorted(tmp_path.glob("*.mp4")) == [second, first]
    check_gaps(first, did.gaps)
    check_gaps(second, [])
    assert "inside vidcam" not in run.said and pictures(tmp_path / "web.m3u8") > 75
    written = len(stamps_of(first)) + len(stamps_of(second))
    assert written > did.sent / 2, (written, did.sent)
    seen = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert len({record["frame"] for record in seen}) == len(seen) > 50
    assert "hush-hush" not in run.said + json.dumps(seen)
    # One line for each change of what is the matter, whatever the number of tries.
    assert run.count("refused") <= 2 and run.count("user or password is wrong") == 1


def gaps_of(path):
    """Where the pictures of a file step by more than a second: (when, how far)."""
    times = [time_s for _, time_s in stamps_of(path)]
    return [(a, b - a) for a, b in itertools.pairwise(times) if b - a > 1]


def check_gaps(path, expected):
    found = gaps_of(path)
    assert len(found) == len(expected), (found, expected)
    for (at_s, lasted_s), (gone_s, gone_for_s) in zip(found, expected, strict=True):
        assert abs(at_s - gone_s) < 1 and abs(lasted_s - gone_for_s) < 1, (found, expected)


class Receiver:
    """Debian's ffmpeg, which listens at `url` and writes what comes to `path`."""

    def __init__(self, url, path, *options):
        self.path = path
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *options, "-i", url,
                   "-c", "copy", "-flush_packets", "1", "-f", "mpegts", str(path)]  # fmt: skip
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait(10)

    def signal(self, number):
        self._process.send_signal(number)

    def ends(self):
        """Wait until it has seen the end of the stream."""
        self._process.wait(10)

    @property
    def size(self):
        return self.path.stat().st_size if self.path.exists() else 0


def wait_for(what, within_s=20.0):
    until_s = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until_s, f"not within {within_s:g} s"
        time.sleep(0.05)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="the receivers are Debian's ffmpeg")
def test_streams_go_out_beside_a_recording_which_a_stalled_receiver_does_not_touch(tmp_path):
    ports = free_port(), free_port()
    rtmp, rtsp = f"rtmp://127.0.0.1:{ports[0]}/live/key", f"rtsp://127.0.0.1:{ports[1]}/live"
    noise = "lavfi:testsrc2=size=320x180:rate=30,noise=alls=50:allf=t"  # soon fills every buffer
    with ExitStack() as stack:
        taker = stack.enter_context(Receiver(rtmp, tmp_path / "rtmp.ts", "-listen", "1"))
        other = stack.enter_context(Receiver(rtsp, tmp_path / "rtsp.ts", "-rtsp_flags", "listen"))
        wait_for(lambda: all(map(is_listening, ports)))
        run = stack.enter_context(
            Live("--camera", noise, "-o", "whole.mp4", "-o", rtmp, "-o", rtsp, "-o", "web.m3u8",
                 "--crf", "10", *PLAIN, folder=tmp_path)
        )  # fmt: skip
        wait_for(lambda: taker.size > 50_000 and other.size > 50_000, 60)
        taker.signal(signal.SIGSTOP)
        run.says("stalled", 30)
        other_size = other.size
        wait_for(lambda: other.size > 2 * other_size)
        taker.signal(signal.SIGCONT)
        run.says("goes on", 10)
        run.signal(signal.SIGTERM)
        assert run.ends(5) == 0, run.said
        for receiver in (taker, other):
            receiver.ends()
    times = [time_s for _, time_s in stamps_of(tmp_path / "whole.mp4")]
    steps = [b - a for a, b in itertools.pairwise(times)]
    assert max(steps) < 0.3 and len(times) > 25 * times[-1], (max(steps), len(times), times[-1])
    assert "not delivered: " in run.said and "receiver stalled" in run.said
    assert "key" not in run.said
    for name, least in (("rtsp.ts", 0.8), ("web.m3u8", 0.3), ("rtmp.ts", 0.3)):
        assert pictures(tmp_path / name) > least * len(times), name


def pictures(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
