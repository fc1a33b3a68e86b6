"""What is dear to make is made once, whole or not at all."""

import errno
import os
import threading

import pytest

from vidcam.backends import cache
from vidcam.backends.cache import cache_folder, cached
from vidcam.errors import SourceError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDCAM_CACHE_DIR", str(tmp_path))
    return tmp_path / "engines"


def write(text):
    return lambda made: (made / "text").write_text(text)


def refuse(_made):
    raise AssertionError("it is there already")


def test_it_is_made_once(folder):
    with cached("key", write("first")) as entry:
        assert (entry / "text").read_text() == "first"
    with cached("key", refuse) as entry:
        assert (entry / "text").read_text() == "first"
    assert [path.name for path in folder.iterdir()] == ["key"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "text").write_text("fixst"),  # the same length
        lambda entry: (entry / "text").unlink(),
        lambda entry: (entry / "sums.json").write_text("{"),
        lambda entry: (entry / "more").write_text("what nobody wrote"),
    ],
)
def test_a_damaged_one_is_made_anew(folder, caplog, damage):
    with cached("key", write("first")) as entry:
        pass
    damage(entry)
    with cached("key", write("second")) as entry:
        assert (entry / "text").read_text() == "second"
    assert "is damaged" in caplog.text
    with cached("key", refuse) as entry:
        assert (entry / "text").read_text() == "second"
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_a_full_disk_costs_the_keeping_not_the_start(folder, caplog):
    def build(made):
        if folder in made.parents:
            raise OSError(errno.ENOSPC, "No space left on device", str(made))
        write("text")(made)

    with cached("key", build) as entry:
        assert (entry / "text").read_text() == "text"
    assert not entry.exists() and list(folder.iterdir()) == []
    assert "nothing can be kept (no space left on device)" in caplog.text


def test_what_is_wrong_with_the_model_is_no_fault_of_the_cache(folder, caplog):
    def build(_made):
        raise SourceError("the weights cannot be read")

    with pytest.raises(SourceError), cached("key", build):
        pass
    assert not caplog.text


def test_one_that_cannot_be_written_is_still_read(folder, monkeypatch, caplog):
    """As another user's, or on a read-only disk."""
    with cached("key", write("text")):
        pass

    def forbidden(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("vidcam.backends.cache.os.utime", forbidden)
    monkeypatch.setattr("vidcam.backends.cache.tempfile.TemporaryDirectory", forbidden)
    with cached("key", refuse) as entry:
        assert (entry / "text").read_text() == "text"
    assert not caplog.text


def test_a_build_that_fails_leaves_nothing(folder):
    def half(made):
        (made / "text").write_text("half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"), cached("key", half):
        pass
    assert list(folder.iterdir()) == []


def test_of_two_that_build_at_once_both_get_a_whole_one(folder):
    meet = threading.Barrier(2, timeout=30)
    read = []

    def build(made):
        (made / "text").write_text("whole")
        meet.wait()

    def start():
        with cached("key", build) as entry:
            read.append((entry / "text").read_text())

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert read == ["whole", "whole"]
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_one_that_came_while_another_was_built_is_left_alone(folder, caplog):
    """Somebody reads it already."""

    def slowly(made):
        (made / "text").write_text("second")
        with cached("key", write("first")):
            pass

    with cached("key", slowly) as entry:
        assert (entry / "text").read_text() == "first"
    assert "damaged" not in caplog.text


def test_the_ones_longest_unused_go_and_so_do_abandoned_ones(folder, monkeypatch):
    for age, name in enumerate(("new", "used", "old")):
        with cached(name, write(name)) as entry:
            pass
        os.utime(entry, (1e9 - age, 1e9 - age))
    with cached("used", refuse):
        pass
    abandoned, busy = folder / "building-old", folder / "building-now"
    abandoned.mkdir()
    busy.mkdir()
    os.utime(abandoned, (1e9, 1e9))
    monkeypatch.setattr(cache, "MOST_ENTRIES", 2)
    with cached("newest", write("newest")):
        pass
    assert sorted(path.name for path in folder.iterdir()) == ["building-now", "newest", "used"]


def test_where_nothing_can_be_kept_it_is_made_for_this_once(tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("VIDCAM_CACHE_DIR", str(blocked))
    with cached("key", write("text")) as entry:
        assert (entry / "text").read_text() == "text"
    assert not entry.exists()
    assert "nothing can be kept" in caplog.text


def test_the_folder_is_the_systems_own(monkeypatch, tmp_path):
    monkeypatch.delenv("VIDCAM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().name == "engines" and "vidcam" in cache_folder().parts
