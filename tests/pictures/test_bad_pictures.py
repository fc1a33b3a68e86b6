"""What is no sound picture is refused in one sentence; nothing stays open, nothing is warned of."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from drawn import HEIGHT, WIDTH, apart, png, saved, soft
from PIL import Image

from vidcam.errors import SourceError
from vidcam.pictures.reading import FORMATS, as_picture, read_picture


def sentence(path, given=None):
    """The one line that a path, or a file with these bytes, is refused with."""
    if given is not None:
        Path(path).write_bytes(given)
    with pytest.raises(SourceError) as refused:
        read_picture(path)
    text = str(refused.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_what_is_no_picture_is_said_in_one_sentence(tmp_path):
    assert sentence(tmp_path / "none.jpg") == "no such file"
    assert sentence(tmp_path) == "is a folder, not a picture"
    assert sentence(tmp_path / "empty.jpg", b"") == "is empty"
    assert sentence(tmp_path / "empty.jpg" / "a.jpg") == "not a directory"
    assert "not a picture" in sentence(tmp_path / "a.jpg", b"some words\n" * 20)
    assert "convert it to JPEG" in sentence(tmp_path / "a.HEIC", b"\0\0\0\x18ftypheic" * 9)
    assert "`vidcam file` explains videos" in sentence(
        tmp_path / "a.MP4", b"\0\0\0\x18ftypisom" * 9
    )
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "pipe" in sentence(tmp_path / "pipe.jpg")


def test_a_picture_with_a_wrong_suffix_is_read(tmp_path):
    Image.fromarray(soft()).save(tmp_path / "a.heic", format="PNG")
    assert apart(read_picture(tmp_path / "a.heic"), soft()) == 0


def test_a_file_without_permission_is_said(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(soft()))
    path.chmod(0)
    code = """if True:
        import os, sys
        from vidcam.pictures.reading import read_picture
        if os.geteuid() == 0:  # who may read everything
            os.seteuid(65534)
        try:
            read_picture(sys.argv[1])
        except Exception as error:
            print(error)
    """
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}: permission denied\n"


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tif", "bmp", "avif", "jp2"])
def test_a_picture_that_is_cut_off_is_said(tmp_path, suffix):
    noise = np.random.default_rng(5).integers(0, 256, (96, 96, 3), np.uint8)
    whole = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise)).read_bytes()
    assert "damaged" in sentence(tmp_path / f"b.{suffix}", whole[: len(whole) // 2])
    assert "damaged" in sentence(tmp_path / f"c.{suffix}", whole[:20])


def test_damaged_bytes_give_a_picture_or_a_sentence(tmp_path):
    chance = np.random.default_rng(6)
    for number, suffix in enumerate(["jpg", "png", "gif", "webp", "tif", "bmp", "ico", "tga"] * 12):
        path = saved(tmp_path / f"a.{suffix}", Image.fromarray(soft()))
        data = np.frombuffer(path.read_bytes(), np.uint8).copy()
        # Half of the hits in the headers, where they do most harm.
        reach = len(data) if number % 2 else min(120, len(data))
        data[chance.integers(0, reach, 4)] = chance.integers(0, 256, 4)
        path.write_bytes(data.tobytes())
        try:
            assert read_picture(path).mode == "RGB"
        except SourceError as error:
            assert str(error).startswith(f"{path}: ")


def test_a_decompression_bomb_is_refused_undecoded(tmp_path):
    given = png(50_000, 50_000, 8, 2, [bytes(150_000)])
    text = sentence(tmp_path / "bomb.png", given)
    limit = 2 * Image.MAX_IMAGE_PIXELS
    assert "too large" in text and "2500000000 pixels" in text and f"{limit} pixels" in text


def test_large_pictures_below_the_limit_are_read_without_a_warning(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.fromarray(soft()))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    filters = list(warnings.filters)
    with pytest.warns(Image.DecompressionBombWarning), Image.open(path):
        pass
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert apart(read_picture(path), soft()) == 0
        assert apart(as_picture(path), soft()) == 0
    assert not heard and warnings.filters == filters


def test_many_threads_read_at_once(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.fromarray(soft()))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    filters, differences = list(warnings.filters), []

    def read():
        for _ in range(25):
            differences.append(apart(read_picture(path), soft()))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert differences == [0] * 200 and warnings.filters == filters


def test_no_file_stays_open(tmp_path):
    read_picture(saved(tmp_path / "a.gif", Image.fromarray(soft())))
    for bad in (b"GIF89a", b"words", b"\xff\xd8\xff\xe0" + bytes(40)):
        sentence(tmp_path / "bad.gif", bad)
    held = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert not [path for path in held if path.startswith(str(tmp_path))]


def test_ghostscript_is_never_started(tmp_path):
    assert "EPS" not in FORMATS
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    assert "not a picture" in sentence(tmp_path / "a.jpg", text)


def test_a_name_that_is_no_utf8_can_be_printed(tmp_path):
    path = tmp_path / os.fsdecode(b"\xc8\xc8.jpg")
    with pytest.raises(SourceError, match="no such file") as missing:
        read_picture(path)
    assert str(missing.value).encode("utf-8").endswith("/\ufffd\ufffd.jpg: no such file".encode())
