"""The errors: each also the builtin that it means, with the exit code of CLI.md."""

import copy
import pickle

import pytest

from vidcam import errors
from vidcam.errors import (
    Interrupted,
    OutputError,
    SourceError,
    SourceLost,
    UnknownName,
    UsageError,
    VidcamError,
    redact,
    system_reason,
)

TREE = [
    (VidcamError, Exception, 1),
    (UsageError, ValueError, 2),
    (UnknownName, LookupError, 2),
    (UnknownName, ValueError, 2),
    (SourceError, OSError, 3),
    (SourceLost, ConnectionError, 4),
    (OutputError, OSError, 5),
    (Interrupted, KeyboardInterrupt, 130),
]


def make(kind):
    return kind("fruit", "aple", ["apple"]) if kind is UnknownName else kind("one sentence")


@pytest.mark.parametrize(("kind", "builtin", "code"), TREE)
def test_each_error_is_its_builtin_and_has_its_exit_code(kind, builtin, code):
    with pytest.raises(builtin) as caught:
        raise make(kind)
    assert isinstance(caught.value, VidcamError)
    assert caught.value.exit_code == code
    assert str(caught.value) == ("one sentence" if kind is not UnknownName else str(make(kind)))


def test_every_public_error_is_in_the_tree():
    listed = {kind for kind, _, _ in TREE}
    public = {getattr(errors, name) for name in errors.__all__ if name[0].isupper()}
    defined = {
        value for value in vars(errors).values()
        if isinstance(value, type) and value.__module__ == "vidcam.errors"
    }  # fmt: skip
    assert listed == public == defined


def test_the_sentence_of_an_os_error_is_not_turned_into_a_number():
    error = SourceError("clip.mp4: no such file")
    assert str(error) == "clip.mp4: no such file" and error.errno is None


@pytest.mark.parametrize("kind", {kind for kind, _, _ in TREE} - {UnknownName}, ids=str)
def test_errors_survive_another_process(kind):
    again = pickle.loads(pickle.dumps(make(kind)))
    assert type(again) is kind and str(again) == "one sentence"
    assert str(copy.copy(make(kind))) == "one sentence"


def test_an_unknown_name_lists_the_nearest_whatever_its_case():
    sentence = str(UnknownName("model", "RESNET5", ["alexnet", "resnet50", "resnet18", "vgg16"]))
    assert sentence.startswith("unknown model 'RESNET5'; nearest: ")
    assert "resnet50" in sentence and "vgg16" not in sentence


def test_the_nearest_comes_first_and_there_are_at_most_five():
    known = [f"resnet{number}" for number in range(100)]
    listed = str(UnknownName("model", "resnet5x", known)).partition("nearest: ")[2].split(", ")
    assert listed[0] == "resnet5" or listed[0].startswith("resnet5")
    assert len(listed) == 5


def test_without_anything_near_the_first_of_the_known_are_listed():
    known = [f"name{number}" for number in range(20)]
    sentence = str(UnknownName("thing", "zzz", known))
    assert "known: name0, name1" in sentence and sentence.endswith("…")
    assert "name19" not in sentence
    assert str(UnknownName("thing", "zzz", ["a", "a", "b"])).endswith("known: a, b")


def test_the_systems_reason_is_said_in_its_own_words(tmp_path):
    with pytest.raises(OSError) as caught:
        (tmp_path / "none").read_bytes()
    assert system_reason(caught.value) == "no such file or directory"
    assert system_reason(ValueError("Odd thing.")) == "odd thing"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://admin:secret@10.0.0.2/live", "rtsp://***@10.0.0.2/live"),
        ("http://user@host/a", "http://***@host/a"),
        ("https://host/a.mp4", "https://host/a.mp4"),
        ("https://host/a?to=me@example.org", "https://host/a?to=me@example.org"),
        ("two: http://a:b@c/ and rtmp://d:e@f/x", "two: http://***@c/ and rtmp://***@f/x"),
        ("'http://a:b@c/x': no answer", "'http://***@c/x': no answer"),
        ("mail me@example.org", "mail me@example.org"),
        # FFmpeg takes the last @ before the path for the end of the password; so do cameras' users.
        ("rtsp://admin:se@cret@10.0.0.2/live", "rtsp://***@10.0.0.2/live"),
        ("rtsp://admin:se'cret@10.0.0.2/live", "rtsp://***@10.0.0.2/live"),
        ("plain", "plain"),
        ("http://cam/v?user=a&pwd=secret&res=1", "http://cam/v?user=a&pwd=***&res=1"),
        ("http://cam/v?loginpass=x#t", "http://cam/v?loginpass=***#t"),
        ("https://host/live.m3u8?access_token=abc.def", "https://host/live.m3u8?access_token=***"),
        ("https://host/a?compass=north", "https://host/a?compass=***"),  # rather too much
        ("https://host/a?passage=2&monkeys=3", "https://host/a?passage=2&monkeys=3"),
    ],
)
def test_user_and_password_of_a_url_are_never_said(text, expected):
    assert redact(text) == expected
