"""Which files a command line means when it names pictures."""

import os

import pytest
from PIL import Image

from vidcam.errors import SourceError, UsageError
from vidcam.pictures.inputs import PICTURE_SUFFIXES, expand, natural, readable
from vidcam.pictures.reading import FORMATS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with empty files; it returns it."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "p/10.jpg", "p/2.JPG", "p/1.png", "p/notes.txt", "p/.hidden.jpg", "p/b10/1.webp",
        "p/b2/x.tif", "p/.cache/1.jpg", "p/__MACOSX/1.jpg", "p/.ipynb_checkpoints/1.jpg",
        "p/萨摩耶1.jpg", "texts/a.txt", "odd[1].jpg", "odd1.jpg",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_a_folder_gives_its_pictures_and_those_below_in_natural_order(folder):
    expected = ["p/1.png", "p/2.JPG", "p/10.jpg", "p/b2/x.tif", "p/b10/1.webp", "p/萨摩耶1.jpg"]
    assert expand(["p"]) == expected
    assert expand([f"{folder}/p"]) == [f"{folder}/{path}" for path in expected]


def test_globs_give_pictures_only(folder):
    assert expand(["p/*"]) == ["p/1.png", "p/2.JPG", "p/10.jpg", "p/萨摩耶1.jpg"]
    assert expand(["p/**/*.[wt]*"]) == ["p/b2/x.tif", "p/b10/1.webp"]
    assert expand(["p/?.png"]) == ["p/1.png"]
    assert "p/__MACOSX/1.jpg" not in expand(["p/**"])
    assert expand(["p/__MACOSX/*"]) == ["p/__MACOSX/1.jpg"]
    assert expand(["p/.cache/*.jpg"]) == ["p/.cache/1.jpg"]


def test_a_file_named_outright_stays_whatever_it_is(folder):
    named = ["p/notes.txt", "p/.hidden.jpg", "none.jpg", "odd[1].jpg", "p/__MACOSX/1.jpg", ""]
    assert expand(named) == named


def test_the_order_given_is_kept_and_each_file_comes_once(folder):
    given = ["p/b10", "odd1.jpg", "p/10.jpg", "p", "./p/10.jpg", f"{folder}/odd1.jpg"]
    assert expand(given) == [
        "p/b10/1.webp", "odd1.jpg", "p/10.jpg", "p/1.png", "p/2.JPG", "p/b2/x.tif",
        "p/萨摩耶1.jpg",
    ]  # fmt: skip
    assert expand([]) == []


def test_links_to_folders_are_followed_and_end(folder):
    (folder / "linked").mkdir()
    (folder / "linked" / "cats").symlink_to(folder / "p" / "b2")
    (folder / "linked" / "loop").symlink_to(folder / "linked")
    assert expand(["linked"]) == ["linked/cats/x.tif"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("texts", "folder texts: holds no picture"),
        ("texts/*", "pattern texts/*: holds no picture"),
        ("none*.jpg", "pattern none*.jpg: holds no picture"),
    ],
)
def test_a_folder_or_a_pattern_without_a_picture_is_refused(folder, text, sentence):
    with pytest.raises(SourceError) as refused:
        expand(["odd1.jpg", text])
    assert str(refused.value) == sentence


def test_a_url_is_to_be_downloaded_first():
    with pytest.raises(UsageError, match="download it first") as refused:
        expand(["https://me:secret@example.org/a.jpg"])
    assert "secret" not in str(refused.value)


def test_names_that_are_no_utf8_are_found(folder):
    name = os.fsdecode(b"\xc8\xc8.jpg")
    (folder / "texts" / name).touch()
    assert expand(["texts"]) == [f"texts/{name}"]
    assert readable(f"texts/{name}") == "texts/\ufffd\ufffd.jpg"


def test_natural_order_is_whole():
    names = ["a10", "a2", "A3", "a02", "b/1", "a/9", "a", "9", "10"]
    assert sorted(names, key=natural) == ["9", "10", "a", "a/9", "a02", "a2", "A3", "a10", "b/1"]


def test_the_suffixes_are_those_of_the_formats_that_are_read():
    Image.init()
    by_suffix = Image.registered_extensions()
    read = {suffix for suffix, kind in by_suffix.items() if kind in {*FORMATS, "MPO"}}
    # Animated AVIF, and names of TGA that nobody uses.
    assert read - PICTURE_SUFFIXES == {".avifs", ".icb", ".vda", ".vst"}
    assert read >= PICTURE_SUFFIXES
    assert all(name in Image.OPEN for name in FORMATS)
