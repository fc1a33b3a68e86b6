"""`vidcam models`: what `--model` takes."""

import subprocess
import sys

import pytest

from vidcam.cli import cli
from vidcam.errors import UnknownName
from vidcam.models import BUILTIN, model_names


@pytest.fixture
def listed(capsys):
    """Runs the command in this process; gives its lines."""

    def run(*arguments):
        command = ["models", *arguments]
        assert cli.main(command, standalone_mode=False, prog_name="vidcam") == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_every_model_is_listed_the_built_in_one_first_and_marked(listed):
    first, *others = listed()
    assert first.startswith(BUILTIN) and "default" in first
    ours = [line.partition("  (")[0] for line in others[:2]]
    assert ours == ["cnn7", "simplecnn"] and all("vidcam train" in line for line in others[:2])
    assert [BUILTIN, *others[2:]] == model_names()
    assert len(set(others)) == len(others) > 500
    assert {"resnet18", "mobilenet_v3_large", "convnext_tiny"} <= set(others)
    assert any(name.startswith("timm:vit_") for name in others)


def test_networks_that_do_not_classify_pictures_are_left_out(listed):
    # torchvision lists detectors, segmenters, video and optical-flow networks beside these.
    assert not {"fcn_resnet50", "maskrcnn_resnet50_fpn", "r3d_18", "raft_large"} & set(listed())


def test_a_part_of_a_name_is_a_pattern(listed):
    found = listed("resnet50")
    assert "resnet50" in found and "wide_resnet50_2" in found
    assert all("resnet50" in name for name in found)
    assert found == listed("RESNET50")


def test_a_glob_is_matched_as_a_whole(listed):
    assert listed("resnet1?") == ["resnet18"]
    assert listed("efficientnet_lite?")[0].startswith(BUILTIN)
    found = listed("timm:convnext_*")
    assert found and all(name.startswith("timm:convnext_") for name in found)


def test_a_pattern_without_a_match_lists_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown model 'resnt50'; nearest: .*resnet50"):
        cli.main(["models", "resnt50"], standalone_mode=False)


def test_a_pattern_without_a_match_is_2_and_one_sentence(run_main):
    code, out, err = run_main("models", "nonsense-of-a-name")
    assert (code, out) == (2, "")
    assert err.startswith("vidcam: ") and err.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "vidcam", "models"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read(10) == BUILTIN[:10].encode()
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(timeout=60)
