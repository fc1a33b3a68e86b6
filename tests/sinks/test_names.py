"""Names of recordings: fields of the time and the source, free names, and what is kept."""

import os
import re
import time

import pytest
from clips import said

from vidcam.errors import OutputError, UsageError
from vidcam.sinks.names import FIELDS, Template, delete_oldest
from vidcam.values import Keep

NOON_S = time.mktime((2026, 11, 21, 12, 5, 9, 0, 0, -1))


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def template(folder, text, number=0, overwrite=False):
    return Template(str(folder / text), number, overwrite)


def aged(folder, name, age_s, size_bytes=10):
    path = folder / name
    path.write_bytes(bytes(size_bytes))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.mark.parametrize(
    ("text", "number", "name"),
    [
        ("cam.mp4", 0, "cam.mp4"),
        ("cam{source}.mp4", 3, "cam3.mp4"),
        ("%Y-%m-%d_%H%M%S.mkv", 0, "2026-11-21_120509.mkv"),
        ("{source}-%F.mp4", 12, "12-2026-11-21.mp4"),
        ("100%%.mp4", 0, "100%.mp4"),
        ("a{b}.mp4", 0, "a{b}.mp4"),
    ],
)
def test_fields_are_filled_in(tmp_path, text, number, name):
    assert template(tmp_path, text, number).claim(NOON_S) == tmp_path / name
    assert names_in(tmp_path) == [name]


def test_a_name_that_is_taken_gets_a_number_said_once(tmp_path):
    (tmp_path / "a.mp4").write_text("mine")
    (tmp_path / "a-2.mp4").write_text("mine")
    names = template(tmp_path, "a.mp4")
    with said() as warnings:
        claimed = [names.claim(NOON_S).name for _ in range(3)]
    assert claimed == ["a-3.mp4", "a-4.mp4", "a-5.mp4"]
    assert (tmp_path / "a.mp4").read_text() == (tmp_path / "a-2.mp4").read_text() == "mine"
    assert len(warnings) == 1 and "a-3.mp4" in warnings[0] and "-y" in warnings[0]


def test_overwriting_replaces_the_first_file_only_and_none_of_its_own(tmp_path):
    for name in ("a.mp4", "a-2.mp4"):
        (tmp_path / name).write_text("old")
    names = template(tmp_path, "a.mp4", overwrite=True)
    with said() as warnings:
        assert [names.claim(NOON_S).name for _ in range(3)] == ["a.mp4", "a-3.mp4", "a-4.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "" and (tmp_path / "a-2.mp4").read_text() == "old"
    assert not warnings


def test_two_of_the_same_template_never_take_the_same_name(tmp_path):
    one, other = template(tmp_path, "a.mp4"), template(tmp_path, "a.mp4")
    assert one.claim(NOON_S) != other.claim(NOON_S)


def test_a_name_of_another_time_begins_without_a_number(tmp_path):
    names = template(tmp_path, "%M.mp4")
    times_s = (NOON_S, NOON_S, NOON_S + 60, NOON_S + 60)
    claimed = [names.claim(time_s).name for time_s in times_s]
    assert claimed == ["05.mp4", "05-2.mp4", "06.mp4", "06-2.mp4"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("missing/a.mp4", "folder .*missing does not exist; make it first"),
        ("%Y/a.mp4", "not its folder"),
        ("a%c.mp4", "%c is no field"),
        ("a%", "% is no field"),
        ("there.mp4", "is a folder"),
        ("pipe.mp4", "is a device or a pipe"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path, text, sentence):
    (tmp_path / "there.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(UsageError, match=sentence):
        template(tmp_path, text)


def test_a_device_that_takes_the_name_later_is_left_alone(tmp_path):
    names = template(tmp_path, "a.mp4", overwrite=True)
    os.mkfifo(tmp_path / "a.mp4")
    assert names.claim(NOON_S).name == "a-2.mp4"
    assert (tmp_path / "a.mp4").is_fifo()


def test_a_folder_that_has_gone_is_an_output_error(tmp_path):
    (tmp_path / "rec").mkdir()
    names = template(tmp_path / "rec", "a.mp4")
    (tmp_path / "rec").rmdir()
    with pytest.raises(OutputError, match=r"a\.mp4: no such file"):
        names.claim(NOON_S)


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"%"}))
def test_the_pattern_fits_what_the_field_becomes(tmp_path, field):
    names = template(tmp_path, f"x%{field}y.mp4")
    for time_s in (NOON_S, NOON_S + 200 * 86400.5):
        assert names.pattern.fullmatch(names.path(time_s).name), names.path(time_s).name


def test_the_pattern_is_that_of_the_template_and_no_more(tmp_path):
    pattern = template(tmp_path, "cam{source}+%Y%m.mp4", 1).pattern
    for name in ("cam1+202611.mp4", "cam1+202611-2.mp4", "cam1+202611-10.mp4"):
        assert pattern.fullmatch(name)
    for name in (
        "cam2+202611.mp4", "cam1+202611-1.mp4", "cam1+202611.mkv", "acam1+202611.mp4",
        "cam1+2026.mp4", "cam1+202611xmp4", "cam1+202611.mp4.txt", "cam11+202611.mp4",
        "cam1+202611-02.mp4",
    ):  # fmt: skip
        assert not re.fullmatch(pattern, name), name


def test_keep_by_age_deletes_own_plain_files_only(tmp_path):
    hour_s = 3600
    for name, age_s in (("cam-0900.mp4", 3 * hour_s), ("cam-1000.mp4", 2 * hour_s),
                        ("cam-1000-2.mp4", 1.9 * hour_s), ("cam-1100.mp4", 0.5 * hour_s),
                        ("cam-0100.mp4", 9 * hour_s), ("cat.mp4", 9 * hour_s),
                        ("cam-0900.mkv", 9 * hour_s)):  # fmt: skip
        aged(tmp_path, name, age_s)
    outside = aged(tmp_path, "outside", 9 * hour_s)
    (tmp_path / "cam-0500.mp4").symlink_to(outside)
    (tmp_path / "cam-0600.mp4").mkdir()
    os.mkfifo(tmp_path / "cam-0700.mp4")
    busy = tmp_path / "cam-0100.mp4"
    delete_oldest(template(tmp_path, "cam-%H%M.mp4"), Keep(age_s=hour_s), {busy})
    assert names_in(tmp_path) == [
        "cam-0100.mp4", "cam-0500.mp4", "cam-0600.mp4", "cam-0700.mp4", "cam-0900.mkv",
        "cam-1100.mp4", "cat.mp4", "outside",
    ]  # fmt: skip


def test_keep_by_size_deletes_the_oldest_first(tmp_path):
    for age_s, name in enumerate(["a-4.mp4", "a-3.mp4", "a-2.mp4", "a.mp4"]):
        aged(tmp_path, name, 100 * age_s, 1000)
    aged(tmp_path, "b.mp4", 999, 5000)
    with said(level=10) as lines:
        delete_oldest(template(tmp_path, "a.mp4"), Keep(size_bytes=2500), {tmp_path / "a.mp4"})
    # a.mp4 is being written: it counts, and stays.
    assert names_in(tmp_path) == ["a-4.mp4", "a.mp4", "b.mp4"]
    assert [line for line in lines if "a-2.mp4" in line] and len(lines) == 2


def test_what_cannot_be_deleted_is_one_warning(tmp_path, monkeypatch):
    paths = [aged(tmp_path, name, 100) for name in ("a.mp4", "a-2.mp4", "a-3.mp4")]

    def refuses(path, missing_ok=False):
        if path != paths[2]:
            raise PermissionError(13, "Permission denied")
        os.unlink(path)

    monkeypatch.setattr(type(paths[0]), "unlink", refuses)
    with said() as warnings:
        delete_oldest(template(tmp_path, "a.mp4"), Keep(age_s=10), set())
    assert names_in(tmp_path) == ["a-2.mp4", "a.mp4"]
    assert len(warnings) == 1 and "a-2.mp4 (permission denied)" in warnings[0]
