"""The entry point: help without weight, options made from their dataclass, exit codes."""

import logging
import re
import subprocess
import sys
from dataclasses import fields

import click
import pytest

from vidcam import errors
from vidcam.cli import COMMANDS, cli
from vidcam.options import FileOptions
from vidcam.spec import specs

HEAVY = {"torch", "torchvision", "timm", "cv2", "av", "numpy", "rich", "PIL", "matplotlib"}


def parsed(*arguments):
    """The parameters that `vidcam file` gets of a command line."""
    command = cli.get_command(click.Context(cli), "file")
    return command.make_context("file", ["in.mp4", *arguments]).params


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["file", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from vidcam.cli import main\n"
        f"sys.argv = ['vidcam', *{arguments!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print('MODULES', *sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    text, _, modules = done.stdout.partition("MODULES")
    assert text.strip()
    assert not HEAVY & set(modules.split())


def test_help_takes_less_than_a_third_of_a_second():
    # CPU time, because another process may hold the cores; the best of three for a cold disk.
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'vidcam', '--help'], check=True,"
        " stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)\n"
    )
    times_s = [
        float(subprocess.check_output([sys.executable, "-c", code], timeout=60)) for _ in range(3)
    ]
    assert min(times_s) < 0.3, times_s


def test_help_lists_every_command(run_main):
    code, out, err = run_main("--help")
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    for name, summary in COMMANDS.items():
        assert f"{name} {summary}" in words
        assert isinstance(cli.get_command(click.Context(cli), name), click.Command)


def test_the_help_of_file_names_every_option_once(run_main):
    _, out, _ = run_main("file", "--help")
    flags = re.findall(r"^ +(?:-\w, )?(-[-\w]+)", out, re.MULTILINE)
    assert len(flags) == len(set(flags))
    for name, (_, spec) in specs(FileOptions).items():
        flag = spec.flags[0].split("/")[0] if spec.flags else "--" + name.replace("_", "-")
        assert flag in flags
    assert {"--output", "-y", "--jsonl", "--csv", "--quiet", "--verbose"} <= set(flags)


def test_defaults_of_the_command_line_are_those_of_the_python_side():
    params = parsed()
    defaults = FileOptions()
    for field in fields(FileOptions):
        assert params[field.name] == getattr(defaults, field.name), field.name


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--lang", "ja, EN"], "lang", ("ja", "en")),
        (["--topk", "all"], "topk", None),
        (["--topk", "0"], "topk", 0),
        (["--smoothing", "150ms"], "smoothing", 0.15),
        (["--start", "1.5"], "start", 1.5),
        (["--duration", "10m"], "duration", 600.0),
        (["--roi", "0.5,0,0.5,1"], "roi", (0.5, 0.0, 0.5, 1.0)),
        (["--class", "tabby"], "class_", "tabby"),
        (["--no-audio"], "audio", False),
        (["--cam-raw"], "cam_raw", True),
        (["--cam-every", "3"], "cam_every", 3),
        (["--alpha", "0.25"], "alpha", 0.25),
        (["--crf", "0"], "crf", 0),
        (["--device", "cuda:1"], "device", "cuda:1"),
        (["--encoder-option", "g=1", "--encoder-option", "bf=0"], "encoder_option",
         (("g", "1"), ("bf", "0"))),
    ],
)  # fmt: skip
def test_values_reach_the_options_parsed(arguments, name, value):
    params = parsed(*arguments)
    assert params[name] == value
    given = {field.name: params[field.name] for field in fields(FileOptions)}
    assert getattr(FileOptions(**given), name) == value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--crf", "99"], "--crf 99: must be from 0 to 63"),
        (["--alpha", "1.5"], "--alpha 1.5: must be from 0 to 1"),
        (["--alpha", "much"], "much"),
        (["--threshold", "-0.1"], "--threshold -0.1: must be from 0 to 1"),
        (["--batch", "0"], "--batch 0: must be from 1 to 512"),
        (["--stride", "0"], "--stride 0: must be from 1"),
        (["--cam-every", "0"], "--cam-every 0: must be from 1"),
        (["--max-frames", "x"], "x"),
        (["--track", "-1"], "--track -1: must be from 0"),
        (["--topk", "many"], "--topk: 'many' is no count"),
        (["--topk", "-1"], "--topk: '-1' is no count"),
        (["--smoothing", "fast"], "--smoothing: 'fast' is no time"),
        (["--start", "-3"], "--start: '-3' is no time"),
        (["--duration", "10x"], "--duration: '10x' is no time"),
        (["--roi", "1,2,3"], "--roi: '1,2,3' is no region"),
        (["--roi", "0,0,0,1"], "--roi: '0,0,0,1' is no region"),
        (["--encoder-option", "g"], "--encoder-option: 'g' is no option"),
        (["--langg", "en"], "--lang"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_2(run_main, tmp_path, arguments, says):
    code, out, err = run_main("file", "in.mp4", "-o", tmp_path / "out.mp4", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("vidcam: ") and err.count("\n") == 1
    assert says in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["fil"], ["--nonsense"], ["file"], []])
def test_a_wrong_command_is_2(run_main, arguments):
    code, _, err = run_main(*arguments)
    assert code == 2
    assert "Traceback" not in err


@pytest.mark.parametrize(("arguments", "said"), [
    (["trian"], "unknown command 'trian'; nearest: train"),
    (["data", "chek"], "unknown command 'chek'; nearest: check"),
    (["xyzzy"], "unknown command 'xyzzy'; known: file, "),
])  # fmt: skip
def test_an_unknown_command_lists_the_nearest(run_main, arguments, said):
    code, out, err = run_main(*arguments)
    assert (code, out) == (2, "") and err.startswith(f"vidcam: {said}") and err.count("\n") == 1


def test_the_help_of_train_says_each_choice_and_large_number_once(run_main):
    words = " ".join(run_main("train", "--help")[1].split())
    assert "0 to 4294967295. Default: 0." in words and words.count("scenes150") == 1
    assert "One of crop, pad, stretch. Default: chosen by" in words
    code, _, err = run_main("train", "x", "-o", "y", "--seed", "4294967296")
    assert code == 2 and "must be from 0 to 4294967295" in err


def test_an_environment_variable_sets_an_option(run_main, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDCAM_FILE_TOPK", "lots")
    code, _, err = run_main("file", "in.mp4", "-o", tmp_path / "out.mp4")
    assert code == 2 and "'lots' is no count" in err
    monkeypatch.setenv("VIDCAM_FILE_TOPK", "3")
    monkeypatch.setenv("VIDCAM_FILE_COLORMAP", "jett")
    code, _, err = run_main("file", "in.mp4", "-o", tmp_path / "out.mp4")
    assert code == 2 and "unknown colormap 'jett'; nearest: jet" in err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (errors.VidcamError("general"), 1, "general"),
        (errors.UsageError("usage"), 2, "usage"),
        (errors.SourceError("source"), 3, "source"),
        (errors.SourceLost("lost"), 4, "lost"),
        (errors.OutputError("output"), 5, "output"),
        (errors.Interrupted("interrupted"), 130, "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("by zero"), 1, "ZeroDivisionError: by zero"),
        (errors.SourceError("http://me:secret@host/a.mp4: gone"), 3, "http://***@host/a.mp4"),
    ],
)
def test_each_error_is_one_sentence_and_its_exit_code(run_main, monkeypatch, error, code, says):
    def fail(_inputs):
        raise error

    monkeypatch.setattr("vidcam.sources.inputs.expand", fail)
    got, out, err = run_main("file", "in.mp4", "-o", "out.mp4")
    assert (got, out) == (code, "")
    assert err.startswith("vidcam: ") and err.count("\n") == 1, err
    assert says in err and "Traceback" not in err and "secret" not in err


def test_verbose_shows_where_an_error_came_from(run_main, monkeypatch):
    def fail(_inputs):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("vidcam.sources.inputs.expand", fail)
    code, _, err = run_main("file", "in.mp4", "-o", "out.mp4", "-v")
    assert code == 1
    assert "Traceback" in err and "in fail" in err
    assert err.splitlines()[-1].startswith("vidcam: ")


def test_the_options_of_one_run_do_not_reach_the_next(run_main, tmp_path):
    run_main("file", "in.mp4", "-o", tmp_path / "out.mp4", "-v")
    run_main("file", "in.mp4", "-o", tmp_path / "out.mp4")
    assert logging.getLogger("vidcam").level == logging.INFO


def test_a_log_whose_reader_has_gone_stops_nothing(monkeypatch):
    import io
    import logging

    from vidcam.cli import Lines

    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    Lines().emit(logging.makeLogRecord({"msg": "hello", "levelno": logging.INFO}))


def test_a_signal_that_was_swallowed_still_ends_what_is_watched():
    from vidcam.cli.signals import Interrupts

    class Watched:
        stopped = None

        def stop(self, error=None):
            self.stopped = (error,)

    interrupts, watched = Interrupts(regular=True), Watched()
    interrupts.asked = True
    interrupts.watch(watched)
    assert watched.stopped == (None,)
