"""Tables about pictures, with stdout as it may be: closed, left by its reader, asked to misdraw."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidcam.cli.tables import tables


def test_a_file_name_does_not_reach_the_terminal_as_a_command(capsys):
    with tables(quiet=False, lasting=False) as tell:
        tell(["a\x1b[31mX\nfake 99%.jpg", "猫 cat"])
    assert capsys.readouterr().out == "a�[31mX�fake 99%.jpg\n猫 cat\n"


def test_quiet_tells_nothing(capsys):
    with tables(quiet=True, lasting=False) as tell:
        tell(["cat"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", ["image", "explain"])
def test_a_reader_that_leaves_does_not_take_the_files_along(command, root, tmp_path):
    """stdout is a pipe whose reader is gone before the first table."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    picture = root / "sample_media" / "cat-and-coffee.jpg"
    words = [sys.executable, "-m", "vidcam", command, picture, "-o", tmp_path / "out"]
    done = subprocess.run(
        [*map(str, words), "--backend", "torch"], stdout=write_end, stderr=subprocess.PIPE,
        text=True, timeout=120, cwd=root, check=False,
    )  # fmt: skip
    os.close(write_end)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "inside vidcam" not in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == (
        {"predictions.csv", "predictions.json"}
        if command == "image"
        else {"cat-and-coffee-explained.png"}
    )


def test_without_stdout_and_stderr_the_files_are_written_all_the_same(root, tmp_path):
    picture, folder = root / "sample_media" / "cat-and-coffee.jpg", Path(tmp_path, "out")
    words = [sys.executable, "-m", "vidcam", "image", picture, "-o", folder, "--backend", "torch"]
    script = 'exec "$@" >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *map(str, words)], timeout=120, cwd=root, check=False
    )
    assert done.returncode == 0
    assert (folder / "predictions.json").stat().st_size > 100
