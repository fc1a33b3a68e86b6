"""No two outputs have one name, none is an input's, and all are checked before any work."""

import os

import pytest

from vidcam.errors import OutputError, UsageError
from vidcam.pictures.targets import (
    STEM_BYTES,
    check_targets,
    counted,
    make_folder,
    output_folder,
    stems_of,
)


@pytest.mark.parametrize(
    ("paths", "stems"),
    [
        (["a.jpg", "x/萨摩耶1.jpg", "two words.v2.png"], ["a", "萨摩耶1", "two words.v2"]),
        (["a.jpg", "a.png", "A.gif"], ["a", "a-png", "A-gif"]),
        (["x/a.jpg", "y/a.jpg", "y/a.png"], ["a", "y-a", "a-png"]),
        (["x/a.jpg", "y/A.JPG"], ["a", "y-A"]),
        (["1/x/a.jpg", "2/x/a.jpg", "3/x/a.jpg", "4/x/a.jpg"], ["a", "x-a", "a-2", "a-3"]),
        (["a.jpg", "a-png.jpg", "a.png", "a-2.jpg"], ["a", "a-png", "a-2", "a-2-jpg"]),
    ],
)
def test_outputs_are_called_after_their_pictures(paths, stems):
    assert stems_of(paths) == stems


def test_no_two_names_are_alike_even_where_case_does_not_count():
    paths = [
        f"{top}/{folder}/{stem}{suffix}"
        for top in "12"
        for folder in ("x", "X", "x-a")
        for stem in ("a", "A", "a-2", "x-a", "a-jpg", "猫" * 90, "猫" * 91)
        for suffix in (".jpg", ".JPG", ".png")
    ]
    stems = stems_of(paths)
    assert len({stem.casefold() for stem in stems}) == len(paths)
    # "-3" and the like follow what is cut.
    assert max(len(stem.encode()) for stem in stems) <= STEM_BYTES + 4


def test_names_that_are_no_utf8_stay_apart():
    stems = stems_of([os.fsdecode(b"x/\xff.jpg"), os.fsdecode(b"x/\xfe.jpg")])
    assert stems == ["\ufffd", "x-\ufffd"]


def test_a_folder_need_not_be_there_but_its_parent_must(tmp_path):
    assert output_folder(str(tmp_path)) == tmp_path
    folder = output_folder(str(tmp_path / "new"))
    assert not folder.exists()  # nothing has been written yet
    make_folder(folder)
    make_folder(folder)
    assert folder.is_dir()
    with pytest.raises(UsageError, match=r"-o .*folder .*other does not exist; make it first"):
        output_folder(str(tmp_path / "other" / "new"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"-o .*file: is no folder"):
        output_folder(str(tmp_path / "file"))
    with pytest.raises(UsageError, match="file name too long"):
        output_folder(str(tmp_path / ("a" * 300)))
    with pytest.raises(OutputError, match=r"-o .*file exists"):
        make_folder(tmp_path / "file")


def test_an_input_is_never_written_over(tmp_path):
    picture, link = tmp_path / "a-chart.png", tmp_path / "link.png"
    picture.write_text("the picture")
    link.symlink_to(picture)
    roundabout = f"{tmp_path}/../{tmp_path.name}/a-chart.png"
    for given in (str(picture), str(link), roundabout):
        with pytest.raises(UsageError, match=r"a-chart\.png would overwrite an input"):
            check_targets([picture], [given], overwrite=True)
    partial = tmp_path / "b-chart.partial.png"
    with pytest.raises(UsageError, match=r"b-chart\.png would overwrite an input"):
        check_targets([tmp_path / "b-chart.png"], [str(partial)], overwrite=True)
    check_targets([tmp_path / "b-chart.png"], [str(picture)], overwrite=False)


def test_what_is_there_is_replaced_only_when_that_is_asked_for(tmp_path):
    taken = tmp_path / "taken.png"
    taken.touch()
    with pytest.raises(UsageError, match=r"taken\.png exists already; -y replaces it"):
        check_targets([tmp_path / "free.png", taken], [], overwrite=False)
    check_targets([taken], [], overwrite=True)
    check_targets([tmp_path / "new" / "taken.png"], [], overwrite=False)
    with pytest.raises(UsageError, match="is a folder"):
        check_targets([tmp_path], [], overwrite=True)


def test_pictures_are_counted_in_words():
    assert [counted(n) for n in (0, 1, 2)] == ["0 pictures", "1 picture", "2 pictures"]
