"""The command line run in the tests' own process."""

import logging
import sys

import pytest

from vidcam.cli import main


@pytest.fixture
def run_main(monkeypatch, capsys):
    """Runs the command line in this process; gives (exit code, stdout, stderr)."""
    loggers = [logging.getLogger(name) for name in ("vidcam", "libav")]
    before = [(one.handlers, one.propagate, one.level) for one in loggers]

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["vidcam", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    yield run
    for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)
