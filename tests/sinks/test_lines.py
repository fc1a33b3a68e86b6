"""Record files of live runs: whole lines at any time, free names, readers slow or gone."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from clips import said
from seen import CAT, seen

from vidcam.errors import OutputError, UsageError
from vidcam.sinks.lines import live_record_file
from vidcam.sinks.records import csv_rows, json_lines

DEADLINE_S = 30
# Writes numbered lines of some size for ever, or as many as told, and then waits.
WRITER = """
import itertools, json, sys
from vidcam.errors import OutputError
from vidcam.sinks.lines import live_record_file
name, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def lines(stream):
    return lambda n: stream.write(json.dumps([n, "猫" * size], ensure_ascii=False) + "\\n")
try:
    with live_record_file(name, lines) as write:
        for n in itertools.count() if count < 0 else range(count):
            write(n)
        print("written", file=sys.stderr, flush=True)
        sys.stdin.read()
except OutputError as error:
    sys.exit(str(error))
"""


def numbers(stream):
    """Writes numbers, one a line."""
    return lambda n: stream.write(f"{n}\n")


@contextmanager
def writer(root, name, size, count=-1, **keywords):
    """A process that writes lines."""
    command = [sys.executable, "-c", WRITER, str(name), str(size), str(count)]
    settings = {"cwd": root, "stdin": subprocess.PIPE, "stderr": subprocess.PIPE} | keywords
    with subprocess.Popen(command, **settings) as process:
        try:
            yield process
        finally:
            process.kill()


def numbers_of(data: bytes) -> list[int]:
    assert data.endswith(b"\n")
    return [json.loads(line)[0] for line in data.splitlines()]


def test_each_record_is_in_the_file_under_its_name_at_once(tmp_path):
    path = tmp_path / "out.jsonl"
    with live_record_file(str(path), json_lines) as write:
        for n in range(3):
            write(seen(CAT, n))
            assert [json.loads(line)["time_s"] for line in path.read_text().splitlines()] == [
                *range(n + 1)
            ]
    assert os.listdir(tmp_path) == ["out.jsonl"]


def test_kill_9_leaves_every_line_written(tmp_path, root):
    path = tmp_path / "out.jsonl"
    with writer(root, path, 30, 100) as process:
        assert process.stderr.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)
    assert numbers_of(path.read_bytes()) == list(range(100))


def test_an_existing_name_gets_a_number_and_it_is_said_once(tmp_path):
    path = tmp_path / "out.csv"
    for n in range(3):
        with said() as lines, live_record_file(str(path), numbers) as write:
            write(n)
        assert len(lines) == (n > 0), lines
    texts = {entry.name: entry.read_text() for entry in tmp_path.iterdir()}
    assert texts == {"out.csv": "0\n", "out-2.csv": "1\n", "out-3.csv": "2\n"}
    with live_record_file(str(path), numbers, True) as write:
        write(7)
    assert path.read_text() == "7\n" and len(os.listdir(tmp_path)) == 3


def test_csv_has_its_header_and_byte_order_mark_from_the_start(tmp_path):
    path = tmp_path / "out.csv"
    with live_record_file(str(path), csv_rows, encoding="utf-8-sig") as write:
        assert path.read_bytes().startswith(b"\xef\xbb\xbfsource,frame,")
        write(seen(CAT, 1.5))
        write(seen(CAT, 1.6))
    data = path.read_bytes()
    assert data.count(b"\xef\xbb\xbf") == 1
    assert data.decode("utf-8-sig").splitlines()[1] == "cam,15,1.500000,1,281,虎斑猫,tabby,0.83"


def test_a_dash_is_stdout_line_by_line(root):
    with writer(root, "-", 3, stdout=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline()) == [0, "猫猫猫"]
        assert json.loads(process.stdout.readline()) == [1, "猫猫猫"]


def test_a_stdout_that_nobody_reads_holds_up_nobody(root):
    with writer(root, "-", 100_000, 20, stdout=subprocess.PIPE) as process:
        said_of = [process.stderr.readline().decode().strip() for _ in range(2)]
    assert said_of == ["stdout: its reader is too slow; records are left out", "written"]


def test_lines_longer_than_a_pipe_come_whole(root):
    with writer(root, "-", 100_000, 5, stdout=subprocess.PIPE) as process:
        data, _ = process.communicate(timeout=DEADLINE_S)
    # Nobody waits for the reader, who may be late for the very last ones.
    assert [json.loads(line)[0] for line in data.splitlines()[:3]] == [0, 1, 2]


def test_a_slow_reader_delays_nobody_and_gets_whole_lines(tmp_path):
    fifo = tmp_path / "slow"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    longest_s, received = 0.0, []
    with said() as lines:
        with live_record_file(str(fifo), numbers) as write:
            for n in range(100_000, 300_000):
                start_s = time.perf_counter()
                write(n)
                longest_s = max(longest_s, time.perf_counter() - start_s)
            assert longest_s < 0.5
            assert len(lines) == 1 and "too slow" in lines[0]
            os.set_blocking(reader, True)
            rest = threading.Thread(target=lambda: received.append(drain(reader)))
            rest.start()
        rest.join(DEADLINE_S)
    found = [int(line) for line in received[0].split()]
    assert received[0].endswith(b"\n")
    assert found == list(range(100_000, 100_000 + len(found)))
    assert lines[1:] == [f"{fifo}: {200_000 - len(found)} records were left out"]


def drain(reader):
    with os.fdopen(reader, "rb") as stream:
        return stream.read()


def test_a_reader_that_has_gone_is_a_broken_pipe_once(tmp_path):
    fifo = tmp_path / "gone"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with live_record_file(str(fifo), numbers) as write:
        write(1)
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            write(2)
        write(3)


def test_a_pipe_that_nobody_reads_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "alone")
    name = str(tmp_path / "alone")
    with pytest.raises(OutputError, match="nobody reads"), live_record_file(name, numbers):
        pass


def test_a_missing_folder_is_refused(tmp_path):
    name = str(tmp_path / "missing" / "out.jsonl")
    with pytest.raises(UsageError, match="does not exist"), live_record_file(name, numbers):
        pass


def test_a_full_disk_is_said_once_to_the_sources_that_share_the_file():
    with live_record_file("/dev/full", numbers) as write:
        with pytest.raises(OutputError, match="/dev/full: no space"):
            write(1)
        write(2)


def test_a_file_that_may_not_grow_keeps_its_whole_lines(tmp_path, root):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    path = tmp_path / "out.jsonl"
    with writer(root, path, 1000, preexec_fn=limit) as process:
        _, error = process.communicate(timeout=DEADLINE_S)
    assert error.decode().strip() == f"{path}: file too large"
    found = numbers_of(path.read_bytes())
    assert found == list(range(33))
