"""`vidcam doctor`: a line for each thing the machine has, and 1 when the main job cannot run."""

import logging
import sys
import warnings

import av
import pytest

from vidcam.cli import cli, doctor

SUBJECTS = ["versions", "device", "engine", "codecs", "font", "display", "cameras"]


@pytest.fixture
def diagnose(capsys):
    """Runs the command in this process; gives the exit code and [(state, subject, text)]."""
    log = logging.getLogger("vidcam")
    level = log.level

    def run(*arguments):
        code = cli.main(["doctor", *arguments], standalone_mode=False, prog_name="vidcam")
        lines = capsys.readouterr().out.splitlines()
        return code, [tuple(line.split(maxsplit=2)) for line in lines]

    yield run
    log.setLevel(level)


def about(lines, subject):
    return [(state, text) for state, name, text in lines if name == subject]


def only(monkeypatch, subject):
    """Leave out the other checks, which take their time."""
    monkeypatch.setattr(doctor, "CHECKS", {subject: doctor.CHECKS[subject]})


def test_a_machine_that_runs_these_tests_is_well(vidcam):
    done = vidcam("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert list(dict.fromkeys(subject for _, subject, _ in lines)) == SUBJECTS
    assert {state for state, _, _ in lines} <= {"ok", "note"}
    text = done.stdout
    assert f"Python {sys.version.split()[0]}" in text and f"av {av.__version__}" in text
    assert "efficientnet_lite0: 1000 classes" in text and "libx264" in text
    assert "NotoSansCJK" in text and " CPU threads" in text


def test_quiet_says_nothing_of_a_machine_that_is_well(diagnose, monkeypatch):
    only(monkeypatch, "codecs")
    assert diagnose("-q") == (0, [])


def test_the_gpu_or_why_there_is_none(diagnose, monkeypatch):
    import torch

    only(monkeypatch, "device")
    code, lines = diagnose()
    assert code == 0
    (state, used), *rest = about(lines, "device")
    assert state == "ok" and used.startswith("will use ")
    if torch.cuda.is_available():
        assert rest[0][1].startswith("cuda:0 ")
    else:
        assert rest[-1][0] == "note" and "no CUDA GPU is used: " in rest[-1][1]


def test_a_driver_that_is_too_old_is_said_in_torchs_words(diagnose, monkeypatch):
    import torch

    said = []

    def is_available():  # as torch does it: False, and a warning at the first call only
        if not said:
            said.append(1)
            warnings.warn("CUDA initialization: The NVIDIA driver\nis too old", stacklevel=2)
        return False

    only(monkeypatch, "device")
    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    code, lines = diagnose()
    assert code == 0, "a processor does the main job too"
    texts = [text for _, text in about(lines, "device")]
    assert any("The NVIDIA driver is too old" in text for text in texts), texts


@pytest.mark.parametrize(
    ("built_for", "says"),
    [(None, "built without CUDA"), ("13.2", "CUDA 13.2")],
)
def test_why_no_gpu_is_used_names_what_torch_is_built_for(diagnose, monkeypatch, built_for, says):
    import torch

    only(monkeypatch, "device")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    _, lines = diagnose()
    assert says in about(lines, "device")[-1][1]


def test_a_package_that_is_missing_is_1_and_says_how_to_get_it(diagnose, monkeypatch):
    only(monkeypatch, "versions")
    monkeypatch.setattr(doctor, "PACKAGES", ("av", "no-such-package"))
    code, lines = diagnose("-q")
    assert code == 1
    assert lines == [
        ("missing", "versions", "no-such-package is not installed: pip install no-such-package")
    ]


def test_a_torch_that_cannot_be_imported_is_1_and_no_traceback(diagnose, monkeypatch):
    only(monkeypatch, "device")
    monkeypatch.setitem(sys.modules, "torch", None)
    code, lines = diagnose()
    ((state, text),) = about(lines, "device")
    assert (code, state) == (1, "missing") and "torch" in text


@pytest.mark.parametrize(
    ("absent", "code", "state"), [("libx264", 1, "missing"), ("libx265", 0, "note")]
)
def test_an_encoder_that_is_missing(diagnose, monkeypatch, absent, code, state):
    whole = av.codec.Codec

    def without(name, mode="r"):
        return whole("no-such-codec" if name == absent else name, mode)

    only(monkeypatch, "codecs")
    monkeypatch.setattr(av.codec, "Codec", without)
    got, lines = diagnose()
    assert got == code
    assert (state, f"no encoder {absent}") in about(lines, "codecs")


def test_a_font_that_is_missing_is_1(diagnose, monkeypatch, tmp_path):
    only(monkeypatch, "font")
    monkeypatch.setattr("vidcam.overlays.fonts.bundled_font", lambda: tmp_path / "gone.otf")
    code, lines = diagnose()
    ((state, text),) = about(lines, "font")
    assert (code, state) == (1, "missing") and "gone.otf" in text


def test_weights_that_cannot_be_loaded_are_1(diagnose, monkeypatch):
    def fail(_net):
        raise FileNotFoundError("no weights\nsecond line")

    only(monkeypatch, "engine")
    monkeypatch.setattr("vidcam.models.builtin._weights", fail)
    code, lines = diagnose()
    ((state, text),) = about(lines, "engine")
    assert (code, state) == (1, "missing")
    assert "cannot be read (no weights); pip install" in text


def test_the_display_is_named_and_none_is_no_fault(diagnose, monkeypatch):
    only(monkeypatch, "display")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for name, reason in ((":7654", "no window"), (None, "neither DISPLAY")):
        monkeypatch.delenv("DISPLAY", raising=False)
        if name:
            monkeypatch.setenv("DISPLAY", name)  # where no server listens
        code, lines = diagnose()
        assert code == 0 and lines[0][0] == "note" and reason in lines[0][2]


def test_cameras_are_no_condition(diagnose, monkeypatch):
    only(monkeypatch, "cameras")
    code, lines = diagnose()
    assert code == 0 and lines and {state for state, _, _ in lines} <= {"ok", "note"}
