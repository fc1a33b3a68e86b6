"""`--on-event`: real programs, their environment, and programs that hang, fail or are many."""

import json
import sys
import time
from pathlib import Path

import pytest
from clips import said
from seen import CAT, MUG, UNKNOWN

from vidcam.errors import UsageError
from vidcam.sinks.changes import Event
from vidcam.sinks.hook import AT_ONCE, WAITING, EventCommand

DEADLINE_S = 20
EVENT = Event(
    "cam 门", 12.5, 13.0, 1_700_000_000.25, 375, MUG, CAT, {"before": None, "after": "a.jpg"}
)


def wait_until(happened):
    deadline_s = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def script(tmp_path):
    """Makes a shell script and gives the command that runs it with arguments."""

    def make(text, *arguments):
        path = tmp_path / "hook.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return " ".join(f"'{word}'" for word in (path, *arguments))

    return make


def environment_seen(tmp_path, event):
    path = tmp_path / "environment.json"
    code = (
        "import json, os, sys; f = open(sys.argv[1] + '.new', 'w');"
        "json.dump({k: v for k, v in os.environ.items() if k.startswith('VIDCAM_EVENT')}, f);"
        "f.close(); os.rename(f.name, sys.argv[1])"
    )
    command = EventCommand(f'{sys.executable} -c "{code}" {path}')
    command(event)
    wait_until(path.exists)
    command.close()
    return {
        name.removeprefix("VIDCAM_EVENT_"): v for name, v in json.loads(path.read_text()).items()
    }


def test_the_fields_are_in_the_environment_in_chinese_too(tmp_path):
    fields = environment_seen(tmp_path, EVENT)
    assert json.loads(fields.pop("JSON")) == EVENT.as_record()
    assert fields.pop("TIME") == EVENT.as_record()["time"]
    assert fields == {
        "SOURCE": "cam 门", "TIME_S": "12.5", "CONFIRMED_S": "13.0", "FRAME": "375",
        "BEFORE": "咖啡杯", "BEFORE_EN": "coffee mug", "BEFORE_INDEX": "504", "BEFORE_SCORE": "0.6",
        "AFTER": "虎斑猫", "AFTER_EN": "tabby", "AFTER_INDEX": "281", "AFTER_SCORE": "0.83",
        "SNAPSHOT_BEFORE": "", "SNAPSHOT_AFTER": "a.jpg",
    }  # fmt: skip


def test_what_there_is_not_is_empty(tmp_path):
    fields = environment_seen(tmp_path, Event("cam", 0, 0, 0, 0, None, UNKNOWN))
    assert [fields[f"BEFORE{x}"] for x in ("", "_EN", "_INDEX", "_SCORE")] == [""] * 4
    assert [fields[f"AFTER{x}"] for x in ("_EN", "_INDEX", "_SCORE")] == ["unknown", "-1", ""]
    assert fields["SNAPSHOT_AFTER"] == ""


def test_no_shell_reads_the_arguments(tmp_path, script):
    out = tmp_path / "arguments"
    command = EventCommand(
        script(f'printf "%s\\n" "$@" > {out}.new; mv {out}.new {out}', "$HOME; *", "a b")
    )
    command(EVENT)
    wait_until(out.exists)
    command.close()
    assert lines_of(out) == ["$HOME; *", "a b"]


@pytest.mark.parametrize(
    ("command", "message"),
    [("notify 'it", "closing quotation"), ("  ", "empty"), ("no-such-program -x", "no program"),
     ("/etc/passwd", "no program"), ("/tmp", "no program")],
)  # fmt: skip
def test_a_command_that_cannot_be_run_is_refused_at_the_start(command, message):
    with pytest.raises(UsageError, match=message):
        EventCommand(command)


def test_what_it_prints_goes_to_stderr(script, capfd):
    command = EventCommand(script("echo heard"))
    command(EVENT)
    command.close()
    assert capfd.readouterr() == ("", "heard\n")


def test_commands_that_hang_delay_nobody_run_four_at_once_and_are_stopped(tmp_path, script):
    started = tmp_path / "started"
    command = EventCommand(script(f"echo $$ >> {started}; exec sleep 1000"))
    longest_s, many = 0.0, 100
    with said() as lines:
        for n in range(many):
            if n == AT_ONCE:
                wait_until(lambda: len(lines_of(started)) == AT_ONCE)
            start_s = time.perf_counter()
            command(EVENT)
            longest_s = max(longest_s, time.perf_counter() - start_s)
        assert longest_s < 0.1
        assert len(lines) == 1 and "left out" in lines[0]
        assert len(lines_of(started)) == AT_ONCE
        start_s = time.monotonic()
        command.close()
        assert time.monotonic() - start_s < 1.7
    assert lines[1:] == [f"--on-event was not run for {many - AT_ONCE} events"]
    assert many > AT_ONCE + WAITING
    wait_until(lambda: not any(is_alive(pid) for pid in lines_of(started)))


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # dead, though nobody may have asked how it ended


def test_what_waits_is_run_in_turn(tmp_path, script):
    done = tmp_path / "done"
    command = EventCommand(script(f"echo x >> {done}"))
    for _ in range(WAITING):
        command(EVENT)
    wait_until(lambda: len(lines_of(done)) == WAITING)
    with said() as lines:
        command.close()
    assert lines == []


def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path, script):
    child = tmp_path / "child"
    command = EventCommand(script(f"sleep 1000 & echo $! > {child}; wait"), longest_s=0.3)
    with said() as lines:
        command(EVENT)
        wait_until(lambda: lines)
        command.close()
    assert len(lines) == 1 and lines[0].endswith("hook.sh: ran for over 0.3 s and was killed")
    (pid,) = lines_of(child)
    wait_until(lambda: not is_alive(pid))


def test_an_exit_code_is_said_once_a_change(tmp_path, script):
    code = tmp_path / "code"
    command = EventCommand(
        script(f"code=$(cat {code}); [ $code = kill ] && kill -9 $$; exit $code")
    )
    with said() as lines:
        for text in ("3", "3", "4", "0", "4", "kill"):
            code.write_text(text)
            command(EVENT)
            wait_until(lambda: not command._events.unfinished_tasks)
        command.close()
    assert [line.partition("hook.sh: ")[2] for line in lines] == [
        "ended with exit code 3", "ended with exit code 4", "ended with exit code 4",
        "was ended by signal 9",
    ]  # fmt: skip


def test_a_program_that_goes_away_is_said_and_ends_nothing(tmp_path, script):
    command = EventCommand(script("true"))
    (tmp_path / "hook.sh").unlink()
    with said() as lines:
        command(EVENT)
        command(EVENT)
        command.close()
    assert len(lines) == 1 and lines[0].endswith("no such file or directory")
