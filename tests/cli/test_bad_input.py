"""Bad input of `vidcam file`: one sentence, the right exit code, nothing written."""

import errno
import logging
import os
import pickle
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from vidcam.cli import main

TEST_PICTURE = "lavfi:testsrc2=size=320x180:rate=25"


def write_clip(path, frames=30, key_every=10):
    """A 320x180 clip of moving noise, so that every group of pictures has some bulk."""
    noise = np.random.default_rng(0).integers(0, 255, (180, 640, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": str(key_every)})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for index in range(frames):
            pixels = np.ascontiguousarray(noise[:, 4 * index : 4 * index + 320])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def noise_clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("noise") / "noise.mp4")


@pytest.fixture
def run_main(monkeypatch, capsys, tmp_path):
    """Runs the command line in this process, in an empty folder; gives (code, stdout, stderr)."""
    loggers = [logging.getLogger(name) for name in ("vidcam", "libav")]
    before = [(one.handlers, one.propagate, one.level) for one in loggers]
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["vidcam", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    yield run
    for one, (handlers, propagate, level) in zip(loggers, before, strict=True):
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


@pytest.fixture
def refused(run_main, tmp_path):
    """Runs a command that must fail with `code` and one sentence, and must write nothing."""

    def run(code, *arguments):
        before = contents(tmp_path)
        got, out, err = run_main(*arguments)
        lines = err.splitlines()
        # The line that says which model runs is no complaint.
        lines = [line for line in lines if not line.startswith("vidcam: efficientnet_lite0 on ")]
        assert got == code, err
        assert out == ""
        assert len(lines) == 1 and lines[0].startswith("vidcam: "), err
        assert "Traceback" not in err and "error inside vidcam" not in err
        assert contents(tmp_path) == before
        return lines[0]

    return run


def contents(folder):
    """`{path: size and time}` of everything in a folder."""
    found = {}
    for path in folder.rglob("*"):
        facts = path.lstat()
        found[path] = (facts.st_size, facts.st_mtime_ns)
    return found


# Inputs ---------------------------------------------------------------------------------------


def test_a_missing_file(refused):
    assert "missing.mp4: no such file" in refused(3, "file", "missing.mp4", "-o", "out.mp4")


def test_a_text_file_named_mp4(refused, tmp_path):
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    assert "text.mp4: is not a video" in refused(3, "file", "text.mp4", "-o", "out.mp4")


def test_an_empty_file(refused, tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "empty.mp4: is not a video" in refused(3, "file", "empty.mp4", "-o", "out.mp4")


def test_a_file_with_sound_only(refused, tmp_path):
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "no video track" in refused(3, "file", "song.m4a", "-o", "out.mp4")


def test_a_folder_without_videos(refused, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.txt").touch()
    assert "notes: holds no video file" in refused(3, "file", "notes", "-o", "out/")


def test_a_pattern_without_matches(refused):
    assert "*.mkv: holds no video file" in refused(3, "file", "*.mkv", "-o", "out/")


def test_a_server_that_is_not_there_and_no_password_in_the_sentence(refused):
    sentence = refused(3, "file", "http://me:secret@127.0.0.1:1/clip.mp4", "-o", "out.mp4")
    assert "http://***@127.0.0.1:1/clip.mp4" in sentence and "secret" not in sentence


def test_a_track_that_is_not_there(refused, noise_clip):
    assert "0 to 0" in refused(2, "file", noise_clip, "-o", "out.mp4", "--track", 3)


def test_lavfi_without_an_end(refused):
    assert "--duration" in refused(2, "file", TEST_PICTURE, "-o", "out.mp4")


def test_a_filter_that_is_not_there(refused):
    refused(3, "file", "lavfi:nonsense=1", "--duration", 1, "-o", "out.mp4")


def test_a_start_behind_the_end(refused, noise_clip):
    sentence = refused(3, "file", noise_clip, "-o", "out.mp4", "--start", "60")
    assert "no frame that can be decoded from 60 s on" in sentence


def test_a_region_outside_the_picture(refused, noise_clip):
    sentence = refused(2, "file", noise_clip, "-o", "out.mp4", "--roi", "400,0,100,100")
    assert "--roi 400,0,100,100" in sentence and "320x180" in sentence


# Corrupt clips --------------------------------------------------------------------------------


def test_a_corrupt_clip_is_decoded_as_far_as_it_goes(run_main, noise_clip):
    data = bytearray(noise_clip.read_bytes())
    with av.open(str(noise_clip)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in packets[12:15]:
        data[position : position + size] = bytes(size)
    Path("hurt.mp4").write_bytes(data)
    code, _, err = run_main("file", "hurt.mp4", "-o", "out.mp4", "--cam", "none")
    assert code == 0
    warnings = [line for line in err.splitlines() if "warning: hurt.mp4" in line]
    assert len(warnings) == 1 and "corrupt" in warnings[0]
    with av.open("out.mp4") as container:
        times = [frame.time for frame in container.decode(video=0)]
    # The last group of pictures comes after the damage and is whole.
    assert [round(time * 25) for time in times[-10:]] == list(range(20, 30))


def test_a_clip_with_nothing_decodable(refused, noise_clip, tmp_path):
    data = bytearray(noise_clip.read_bytes())
    with av.open(str(noise_clip)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in packets:
        data[position : position + size] = bytes(size)
    (tmp_path / "ruin.mp4").write_bytes(data)
    sentence = refused(3, "file", "ruin.mp4", "-o", "out.mp4")
    assert "ruin.mp4: holds no frame that can be decoded" in sentence


def test_a_clip_whose_index_is_cut_off(refused, noise_clip, tmp_path):
    (tmp_path / "cut.mp4").write_bytes(noise_clip.read_bytes()[:20_000])
    assert "cut.mp4: is not a video, or is damaged" in refused(3, "file", "cut.mp4", "-o", "o.mp4")


# Outputs --------------------------------------------------------------------------------------


def test_nothing_to_write(refused, noise_clip):
    assert "nothing to write" in refused(2, "file", noise_clip)


@pytest.mark.parametrize("output", ["no/such/out.mp4", "no/"])
def test_a_missing_output_folder(refused, noise_clip, output):
    assert "does not exist" in refused(2, "file", noise_clip, "-o", output)


def test_an_output_below_a_regular_file(refused, noise_clip, tmp_path):
    (tmp_path / "plain").touch()
    assert "plain" in refused(2, "file", noise_clip, "-o", "plain/out.mp4")


def test_an_output_folder_that_nobody_may_write_to(refused, noise_clip):
    # /proc refuses even root, who may write everywhere else.
    folder = "/proc/self"
    try:
        Path(folder, "probe").touch()
    except OSError as error:
        assert error.errno in (errno.EACCES, errno.ENOENT, errno.EPERM, errno.EROFS)
    sentence = refused(5, "file", noise_clip, "-o", f"{folder}/out.mp4")
    assert f"{folder}/out.mp4" in sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_read_only_output_folder(refused, noise_clip, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    assert "permission denied" in refused(5, "file", noise_clip, "-o", "locked/out.mp4")


def test_an_existing_output_without_y(refused, noise_clip, tmp_path):
    (tmp_path / "out.mp4").write_text("precious")
    assert "-y" in refused(2, "file", noise_clip, "-o", "out.mp4")


@pytest.mark.parametrize("flag", ["--jsonl", "--csv"])
def test_an_existing_record_file_without_y(refused, noise_clip, tmp_path, flag):
    (tmp_path / "records").write_text("precious")
    assert "-y" in refused(2, "file", noise_clip, flag, "records")


def test_an_output_that_is_a_folder_named_like_a_video(refused, noise_clip, tmp_path):
    (tmp_path / "noise.mp4").mkdir()
    assert "noise.mp4" in refused(2, "file", noise_clip, "-o", "{stem}.mp4", "-y")


@pytest.mark.parametrize("spelling", ["clip.mp4", "./clip.mp4", "link.mp4", "{stem}.mp4", "../x/"])
def test_an_output_that_is_the_input(refused, noise_clip, tmp_path, monkeypatch, spelling):
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    Path("clip.mp4").write_bytes(noise_clip.read_bytes())
    Path("link.mp4").symlink_to("clip.mp4")
    assert "is the input itself" in refused(2, "file", "clip.mp4", "-o", spelling, "-y")


@pytest.mark.parametrize("flag", ["--jsonl", "--csv"])
def test_records_over_the_input(refused, noise_clip, tmp_path, flag):
    Path("clip.mp4").write_bytes(noise_clip.read_bytes())
    refused(2, "file", "clip.mp4", flag, "clip.mp4", "-y")


def test_two_inputs_to_one_output(refused, noise_clip, tmp_path):
    for folder in ("a", "b", "out"):
        (tmp_path / folder).mkdir()
    for folder in ("a", "b"):
        Path(folder, "clip.mp4").write_bytes(noise_clip.read_bytes())
    assert "two inputs" in refused(2, "file", "a/clip.mp4", "b/clip.mp4", "-o", "out")


def test_two_outputs_to_one_file(refused, noise_clip):
    refused(2, "file", noise_clip, "--jsonl", "records", "--csv", "records")


def test_several_inputs_into_one_file(refused, noise_clip, cat_clip):
    assert "{stem}" in refused(2, "file", noise_clip, cat_clip, "-o", "out.mp4")


def test_a_failure_leaves_no_records_either(refused):
    refused(3, "file", "missing.mp4", "--jsonl", "out.jsonl", "--csv", "out.csv")


# Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--encoder", "libx246"], "unknown encoder 'libx246'; nearest: libx264"),
        (["--encoder", "aac"], "unknown video encoder 'aac'"),
        (["--preset", "veryfats"], "veryfats"),
        (["--encoder-option", "prset=fast"], "unknown option of libx264 'prset'; nearest: preset"),
        (["--encoder-option", "profile=nonsense"], "profile=nonsense"),
        (["--encoder", "libvpx-vp9", "-o", "out.avi"], ".avi cannot hold vp9"),
        (["-o", "out.mp5"], "unknown container '.mp5'; nearest: .mp4"),
        (["-o", "out"], "write out.mp4"),
        (["--model", "efficientnet_lite"], "nearest: efficientnet_lite0"),
        (["--model", "timm:resnet5"], "timm:resnet50"),
        (["--model", "missing.pt"], "missing.pt: no such file"),
        (["--lang", "zhh"], "unknown language 'zhh'; nearest: zh"),
        (["--lang", "zh,english"], "unknown language 'english'"),
        (["--colormap", "viridi"], "unknown colormap 'viridi'; nearest: viridis"),
        (["--fit", "strech"], "unknown fit 'strech'; nearest: stretch"),
        (["--cam", "gradcm"], "unknown method 'gradcm'; nearest: gradcam"),
        (["--layout", "sidebyside"], "nearest: side-by-side"),
        (["--backend", "torhc"], "unknown backend 'torhc'; nearest: torch"),
        (["--precision", "f23"], "unknown precision 'f23'; nearest: f32"),
        (["--device", "cud"], "unknown device 'cud'; nearest: cuda"),
        (["--device", "cuda:99"], "vidcam doctor"),
        (["--class", "Egyptian cta"], "unknown class 'Egyptian cta'; nearest: Egyptian cat"),
        (["--class", "1000"], "0 to 999"),
        (["--classes", "tabby catt,lynx"], "unknown class 'tabby catt'; nearest: tabby cat"),
        (["--classes", ","], "names no class"),
        (["--labels", "missing.txt"], "missing.txt: no such file"),
        (["--font", "missing.otf"], "missing.otf"),
        (["--layer", "blocks.9"], "unknown layer 'blocks.9'; nearest: blocks."),
        (["--layer", "global_pool"], "layer global_pool cannot carry a map"),
        (["--layer", "classifier"], "layers that can: bn2"),
    ],
)
def test_a_wrong_name_lists_the_nearest(refused, noise_clip, arguments, says):
    output = [] if "-o" in arguments else ["-o", "out.mp4"]
    assert says in refused(2, "file", noise_clip, *output, *arguments)


@pytest.mark.parametrize("cam", ["scorecam", "ablationcam", "guided", "guided-gradcam"])
def test_a_method_for_pictures_only_says_why(refused, noise_clip, cam):
    sentence = refused(2, "file", noise_clip, "-o", "out.mp4", "--cam", cam)
    assert "not for video" in sentence and "gradcam" in sentence


# Checkpoints ----------------------------------------------------------------------------------


class Planted:
    """A pickle that would create a file if it were loaded."""

    def __reduce__(self):
        return Path.touch, (Path("planted"),)


@pytest.mark.parametrize("by_torch", [False, True])
def test_a_checkpoint_with_code_is_refused(refused, noise_clip, tmp_path, by_torch):
    import torch

    if by_torch:
        torch.save({"arch": Planted()}, tmp_path / "evil.pt")
    else:
        (tmp_path / "evil.pt").write_bytes(pickle.dumps(Planted()))
    sentence = refused(2, "file", noise_clip, "-o", "out.mp4", "--model", "evil.pt")
    assert "may run code" in sentence and "state_dict" in sentence
    assert not (tmp_path / "planted").exists()


def test_a_layer_that_is_called_twice_has_no_map(refused, noise_clip, tmp_path):
    import torch
    from torchvision import models

    net = models.resnet18(num_classes=2)
    payload = {"vidcam": 1, "arch": "resnet18", "labels": ["a", "b"], "size": 64}
    torch.save(payload | {"state_dict": net.state_dict()}, tmp_path / "own.pt")
    sentence = refused(2, "file", noise_clip, "-o", "out.mp4", "--model", "own.pt",
                       "--layer", "layer4.1.relu")  # fmt: skip
    assert "called more than once" in sentence and "layer4.1" in sentence


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no checkpoint at all", "own.pt"),
        (b"", "damaged or no checkpoint"),
        ({"weights": 1}, "lacks arch, labels, state_dict"),
        ([1, 2], "lacks arch, labels, state_dict"),
        ({"arch": "resnet81", "labels": ["a"], "state_dict": {}}, "nearest: resnet18"),
        ({"arch": "squeezenet1_1", "labels": ["a"], "state_dict": {}}, "do not fit squeezenet1_1"),
        ({"arch": 7, "labels": ["a"], "state_dict": {}}, "own.pt"),
    ],
)
def test_a_file_that_is_no_checkpoint(refused, noise_clip, tmp_path, content, says):
    import torch

    if isinstance(content, bytes):
        (tmp_path / "own.pt").write_bytes(content)
    else:
        torch.save(content, tmp_path / "own.pt")
    assert says in refused(2, "file", noise_clip, "-o", "out.mp4", "--model", "own.pt")
