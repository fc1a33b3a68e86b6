"""Which folders are data sets, and what is in them."""

import os

import pytest

from vidcam.errors import SourceError, UsageError
from vidcam.training.dataset import find_dataset


@pytest.fixture
def made(tmp_path):
    """Makes empty files below a folder; names that end in a slash are folders."""

    def make(*names):
        for name in names:
            path = tmp_path / "set" / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.touch()
        return tmp_path / "set"

    return make


def names_of(dataset):
    """`{part: [(relative path, class name)]}`."""
    return {
        part.name: [(dataset.relative(s.path), dataset.classes[s.label]) for s in part.samples]
        for part in dataset.parts
    }


def test_a_folder_of_class_folders(made):
    top = made("猫/10.jpg", "猫/2.jpg", "class 10/a.png", "class 2/deep/er/b.JPG", "class 2/a.txt")
    dataset = find_dataset(top)
    assert dataset.classes == ("class 2", "class 10", "猫")
    assert names_of(dataset) == {
        "all": [
            ("class 2/deep/er/b.JPG", "class 2"), ("class 10/a.png", "class 10"),
            ("猫/2.jpg", "猫"), ("猫/10.jpg", "猫"),
        ]
    }  # fmt: skip
    assert dataset.counts(dataset.parts[0]) == [1, 1, 2]
    assert dataset.part("train") is None
    assert all(os.path.isfile(sample.path) for sample in dataset.samples)


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (("train", "val"), ("train", "val")),
        (("train", "valid", "test"), ("train", "val", "test")),
        (("Training", "Validation"), ("train", "val")),
        (("test",), ("test",)),
        (("train",), ("train",)),
    ],
)
def test_parts_by_their_names(made, folders, parts):
    for folder in folders:
        top = made(f"{folder}/cat/1.jpg", f"{folder}/dog/1.jpg")
    dataset = find_dataset(str(top))
    assert tuple(part.name for part in dataset.parts) == parts
    assert dataset.classes == ("cat", "dog")
    assert [dataset.counts(part) for part in dataset.parts] == [[1, 1]] * len(parts)


def test_a_class_may_be_called_train(made):
    assert find_dataset(made("train/1.jpg", "bus/1.jpg")).classes == ("bus", "train")
    nested = made("train/old/1.jpg", "bus/1.jpg")
    assert find_dataset(nested).classes == ("bus", "train")


def test_classes_are_those_of_all_parts_with_one_index_each(made):
    dataset = find_dataset(made("train/b/1.jpg", "train/c/1.jpg", "val/a/1.jpg", "val/c/1.jpg"))
    assert dataset.classes == ("a", "b", "c")
    train, val = dataset.parts
    assert dataset.counts(train) == [0, 1, 1] and dataset.counts(val) == [1, 0, 1]


def test_leftovers_are_passed_over(made):
    top = made(
        "a/1.jpg", "b/1.jpg", ".hidden/1.jpg", "__MACOSX/a/1.jpg", ".ipynb_checkpoints/1.jpg",
        "a/.ipynb_checkpoints/1-checkpoint.jpg", "a/._1.jpg", ".DS_Store", "b/Thumbs.db",
    )  # fmt: skip
    dataset = find_dataset(top)
    assert names_of(dataset) == {"all": [("a/1.jpg", "a"), ("b/1.jpg", "b")]}
    assert (dataset.empty, dataset.loose, dataset.passed) == ((), (), ())


def test_what_is_no_sample_is_told(made):
    top = made("train/a/1.jpg", "train/b/", "val/a/1.jpg", "train/x.jpg", "y.jpg", "more/a/1.jpg")
    dataset = find_dataset(top)
    assert dataset.empty == ("train/b",)
    assert dataset.loose == ("train/x.jpg", "y.jpg")
    assert dataset.passed == ("more",)
    assert dataset.classes == ("a",)


def test_links_are_followed_and_end(made, tmp_path):
    top = made("a/1.jpg", "b/1.jpg")
    (top / "c").symlink_to(top / "b")
    (top / "a" / "loop").symlink_to(top / "a")
    assert names_of(find_dataset(top))["all"] == [("a/1.jpg", "a"), ("b/1.jpg", "b"),
                                                  ("c/1.jpg", "c")]  # fmt: skip


def test_pictures_in_no_class_folder_are_refused_with_the_layout(made):
    with pytest.raises(SourceError, match="no class folder; vidcam wants one folder a class"):
        find_dataset(made("1.jpg", "2.jpg"))
    with pytest.raises(SourceError, match="no class folder; vidcam wants one folder a class"):
        find_dataset(made("train/1.jpg", "test/1.jpg"))


def test_errors_are_one_sentence(made, tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        find_dataset(tmp_path / "none")
    with pytest.raises(SourceError, match="holds no picture; vidcam wants"):
        find_dataset(made("a/1.txt", "b/"))
    for name, said in (("file", "not a directory"), ("a.ZIP", "is an archive; unpack it first")):
        (tmp_path / name).touch()
        with pytest.raises(SourceError, match=said):
            find_dataset(tmp_path / name)
    one = made("a/1.jpg")
    assert find_dataset(one).classes == ("a",)
    with pytest.raises(UsageError, match="only the class a; at least 2 are wanted"):
        find_dataset(one, least_classes=2)


def test_two_folders_of_one_part_are_refused(made):
    with pytest.raises(UsageError, match="both val/ and validation/"):
        find_dataset(made("train/a/1.jpg", "val/a/1.jpg", "validation/a/1.jpg"))


def test_one_folder_too_high_is_said(made):
    top = made("三类/train/a/1.jpg", "三类/train/b/1.jpg", "三类/val/a/1.jpg", "__MACOSX/a/1.jpg")
    with pytest.raises(UsageError, match=r"set/三类 holds the folders train, val: did you mean"):
        find_dataset(top)


def test_a_single_class_of_folders_is_doubted(made):
    top = made("三类/花/1.jpg", "三类/菜/1.jpg", "三类/空/", "notes.txt")
    dataset = find_dataset(top)
    assert dataset.classes == ("三类",)
    assert dataset.doubt == f"{top}/三类 holds the folders 花, 菜: did you mean that?"
    assert find_dataset(made("三类/1.jpg")).doubt == ""
    assert find_dataset(made("more/1.jpg")).doubt == ""
