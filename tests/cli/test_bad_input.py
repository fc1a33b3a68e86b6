"""Bad input of `vidcam file`: one sentence, the right exit code, nothing written."""

import errno
import os
import pickle
from pathlib import Path

import av
import numpy as np
import pytest
from clips import make_clip

TEST_PICTURE = "lavfi:testsrc2=size=320x180:rate=25"


@pytest.fixture(scope="session")
def clip_bytes(tmp_path_factory):
    """A 320x180 clip of 30 frames with a key frame in every 10."""
    path = tmp_path_factory.mktemp("bad") / "clip.mp4"
    options = {"g": "10", "sc_threshold": "0"}
    return make_clip(path, frames=30, size=(320, 180), rate=25, options=options).read_bytes()


@pytest.fixture
def run_main(run_main, monkeypatch, tmp_path, clip_bytes):
    """Runs the command line in this process, in a folder with clip.mp4; (code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").write_bytes(clip_bytes)
    return run_main


@pytest.fixture
def refused(run_main, tmp_path):
    """Runs a `file` command that must fail with `code`, say one sentence and write nothing."""

    def run(code, *arguments):
        before = contents(tmp_path)
        got, out, err = run_main("file", *arguments)
        # What says which model runs, or that it is prepared for the first time, is no complaint.
        news = (" on cpu (", " for OpenVINO, ")
        lines = [line for line in err.splitlines() if not any(word in line for word in news)]
        assert got == code, err
        assert out == ""
        assert len(lines) == 1 and lines[0].startswith("vidcam: "), err
        assert "Traceback" not in err and "error inside vidcam" not in err
        assert contents(tmp_path) == before
        return lines[0]

    return run


def contents(folder):
    """`{path: (size, time)}` of everything in a folder."""
    facts = {path: path.lstat() for path in folder.rglob("*")}
    return {path: (fact.st_size, fact.st_mtime_ns) for path, fact in facts.items()}


def blank_packets(data, chosen):
    """The bytes of an mp4 with the packets of a slice of its video overwritten by zeros."""
    Path("whole.mp4").write_bytes(data)
    with av.open("whole.mp4") as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    Path("whole.mp4").unlink()
    hurt = bytearray(data)
    for position, size in packets[chosen]:
        hurt[position : position + size] = bytes(size)
    return bytes(hurt)


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (3, ["missing.mp4"], "missing.mp4: no such file"),
        (3, ["text.mp4"], "text.mp4: is not a video"),
        (3, ["empty.mp4"], "empty.mp4: is not a video"),
        (3, ["cut.mp4"], "cut.mp4: is not a video, or is damaged"),
        (3, ["notes"], "notes: holds no video file"),
        (3, ["*.mkv"], "*.mkv: holds no video file"),
        (3, ["http://me:secret@127.0.0.1:1/clip.mp4"], "http://***@127.0.0.1:1/clip.mp4"),
        (3, ["lavfi:nonsense=1", "--duration", "1"], "lavfi:nonsense=1"),
        (2, [TEST_PICTURE], "--duration"),
        (2, ["clip.mp4", "--track", "3"], "--track 3: clip.mp4 has video tracks 0 to 0"),
        (3, ["clip.mp4", "--start", "60"], "no frame that can be decoded from 60 s on"),
        (
            2,
            ["clip.mp4", "--backend", "torch", "--roi", "400,0,100,100"],
            "--roi 400,0,100,100 leaves nothing",
        ),
        (2, ["clip.mp4", "--backend", "torch", "--roi", "0,0.99,1,0.01"], "320x180"),
    ],
)
def test_an_input_that_cannot_be_read(refused, tmp_path, clip_bytes, code, arguments, says):
    Path("text.mp4").write_text("this is no video\n" * 100)
    Path("empty.mp4").touch()
    Path("cut.mp4").write_bytes(clip_bytes[: len(clip_bytes) // 2])
    Path("notes").mkdir()
    Path("notes", "read.txt").touch()
    output = "out/" if arguments[0] in ("notes", "*.mkv") else "out.mp4"
    sentence = refused(code, *arguments, "-o", output)
    assert says in sentence and "secret" not in sentence


def test_a_file_with_sound_only(refused):
    with av.open("song.m4a", "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "no video track" in refused(3, "song.m4a", "-o", "out.mp4")


def test_a_corrupt_clip_is_decoded_as_far_as_it_goes(run_main, clip_bytes):
    Path("hurt.mp4").write_bytes(blank_packets(clip_bytes, slice(12, 15)))
    code, _, err = run_main("file", "hurt.mp4", "-o", "out.mp4")
    assert code == 0, err
    warnings = [line for line in err.splitlines() if "warning: hurt.mp4" in line]
    assert len(warnings) == 1 and "corrupt" in warnings[0]
    with av.open("out.mp4") as container:
        numbers = [round(frame.time * 25) for frame in container.decode(video=0)]
    # What comes before the damage, and the group of pictures after it, is whole.
    assert numbers[:12] == list(range(12))
    assert numbers[-10:] == list(range(20, 30))


def test_a_clip_with_nothing_decodable(refused, clip_bytes):
    Path("ruin.mp4").write_bytes(blank_packets(clip_bytes, slice(None)))
    sentence = refused(3, "ruin.mp4", "-o", "out.mp4")
    assert "ruin.mp4: holds no frame that can be decoded" in sentence


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["clip.mp4"], "nothing to write"),
        (["clip.mp4", "-o", "no/such/out.mp4"], "folder no/such does not exist"),
        (["clip.mp4", "-o", "no/"], "folder no does not exist"),
        (["clip.mp4", "-o", "plain/out.mp4"], "plain"),
        (["clip.mp4", "-o", "old.mp4"], "old.mp4 exists already; -y"),
        (["clip.mp4", "--jsonl", "old.mp4"], "old.mp4 exists already; -y"),
        (["clip.mp4", "--csv", "old.mp4"], "old.mp4 exists already; -y"),
        (["clip.mp4", "--csv", "no/such/r.csv"], "folder no/such does not exist"),
        (["a", "-o", "a/clip.mp4/", "-y"], "clip.mp4"),
        (["clip.mp4", "-o", "clip.mp4", "-y"], "would overwrite an input"),
        (["clip.mp4", "-o", "./a/../clip.mp4", "-y"], "would overwrite an input"),
        (["clip.mp4", "-o", "link.mp4", "-y"], "would overwrite an input"),
        (["clip.mp4", "-o", "{stem}.mp4", "-y"], "would overwrite an input"),
        (["a", "-o", "a/", "-y"], "would overwrite an input"),
        (["clip.mp4", "--jsonl", "clip.mp4", "-y"], "clip.mp4"),
        (["clip.mp4", "--csv", "link.mp4", "-y"], "link.mp4"),
        (["clip.mp4", "-o", "out.mp4", "--jsonl", "out.mp4"], "out.mp4"),
        (["clip.mp4", "--jsonl", "records", "--csv", "records"], "records"),
        (["a/clip.mp4", "b/clip.mp4", "-o", "a/{stem}-out.mp4"], "two inputs"),
        (["clip.mp4", "old.mp4", "-o", "out.mp4"], "{stem}"),
        (["a", "-o", "out.mp4"], "{stem}"),
    ],
)
def test_an_output_that_must_not_be_written(refused, clip_bytes, arguments, says):
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "clip.mp4").write_bytes(clip_bytes)
    Path("link.mp4").symlink_to("clip.mp4")
    Path("old.mp4").write_text("precious")
    Path("plain").touch()
    assert says in refused(2, *arguments)


def test_an_output_folder_that_refuses_files(refused):
    # /proc refuses even root, who may write everywhere else.
    try:
        Path("/proc/self/probe").touch()
    except OSError as error:
        assert error.errno in (errno.EACCES, errno.ENOENT, errno.EPERM, errno.EROFS)
    assert "/proc/self/out.mp4" in refused(5, "clip.mp4", "-o", "/proc/self/out.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_read_only_output_folder(refused):
    Path("locked").mkdir(mode=0o555)
    assert "permission denied" in refused(5, "clip.mp4", "-o", "locked/out.mp4")


def test_a_failure_leaves_no_records_either(refused):
    refused(3, "missing.mp4", "--jsonl", "out.jsonl", "--csv", "out.csv")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--encoder", "libx246"], ["unknown encoder 'libx246'; nearest: ", " libx264"]),
        (["--encoder", "aac"], ["unknown video encoder 'aac'"]),
        (["--preset", "veryfats"], ["unknown preset 'veryfats'; nearest: veryfast"]),
        (["--encoder-option", "prset=fast"], ["'prset'; nearest: preset"]),
        (["--encoder-option", "profile=nonsense"], ["profile=nonsense"]),
        (["-o", "out.webm"], [".webm cannot hold h264", "libvpx-vp9"]),
        (["-o", "out.mp5"], ["unknown container '.mp5'; nearest: ", ".mp4"]),
        (["-o", "out"], ["write out.mp4"]),
        (["--model", "efficientnet_lite"], ["unknown model", "nearest: efficientnet_lite0"]),
        (["--model", "timm:resnet5"], ["unknown model", "timm:resnet50"]),
        (["--model", "missing.pt"], ["missing.pt: no such file"]),
        (["--lang", "zhh"], ["unknown language 'zhh'; nearest: zh"]),
        (["--lang", "zh,english"], ["unknown language 'english'", "en"]),
        (["--colormap", "viridi"], ["unknown colormap 'viridi'; nearest: viridis"]),
        (["--fit", "strech"], ["unknown fit 'strech'; nearest: stretch"]),
        (["--cam", "gradcm"], ["unknown method 'gradcm'; nearest: gradcam"]),
        (["--cam", "scorecam"], ["not for video", "gradcam"]),
        (["--cam", "ablationcam"], ["not for video", "gradcam"]),
        (["--cam", "guided-gradcam"], ["not for video", "gradcam"]),
        (["--layout", "sidebyside"], ["nearest: side-by-side"]),
        (["--backend", "torhc"], ["unknown backend 'torhc'; nearest: torch"]),
        (["--precision", "f23"], ["unknown precision 'f23'; nearest: f32"]),
        (["--device", "cud"], ["unknown device 'cud'; nearest: cuda"]),
        (["--device", "cuda:99"], ["--device cuda:99", "vidcam doctor"]),
        (["--class", "Egyptian cta"], ["unknown class 'Egyptian cta'; nearest: Egyptian cat"]),
        (["--class", "1000"], ["class 1000", "0 to 999"]),
        (["--classes", "tabby catt,lynx"], ["unknown class 'tabby catt'; nearest: tabby cat"]),
        (["--classes", ","], ["--classes ,: names no class"]),
        (["--labels", "missing.txt"], ["missing.txt: no such file"]),
        (["--font", "missing.otf"], ["font missing.otf"]),
        (["--layer", "blocks.9"], ["unknown layer 'blocks.9'; nearest: blocks."]),
        (["--layer", "global_pool"], ["layer global_pool cannot carry a map"]),
        (["--layer", "classifier"], ["layer classifier cannot carry a map", "bn2"]),
    ],
)
def test_a_wrong_name_lists_the_nearest(refused, arguments, says):
    output = [] if "-o" in arguments else ["-o", "out.mp4"]
    sentence = refused(2, "clip.mp4", *output, *arguments)
    assert not [part for part in says if part not in sentence], sentence


class Planted:
    """A pickle that would create a file if it were loaded."""

    def __reduce__(self):
        return Path.touch, (Path("planted"),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_checkpoint_with_code_is_refused(refused, writer):
    import torch

    if writer == "torch":
        torch.save({"arch": Planted()}, "evil.pt")
    else:
        Path("evil.pt").write_bytes(pickle.dumps(Planted()))
    sentence = refused(2, "clip.mp4", "-o", "out.mp4", "--model", "evil.pt")
    assert "may run code" in sentence and "state_dict" in sentence
    assert not Path("planted").exists()


def test_a_layer_that_is_called_twice_has_no_map(refused):
    import torch
    from torchvision import models

    net = models.resnet18(num_classes=2)
    payload = {"vidcam": 1, "arch": "resnet18", "labels": ["a", "b"], "size": 64}
    torch.save(payload | {"state_dict": net.state_dict()}, "own.pt")
    layer = ["--layer", "layer4.1.relu"]
    sentence = refused(2, "clip.mp4", "-o", "out.mp4", "--model", "own.pt", *layer)
    assert "called more than once" in sentence and "layers that can: layer4" in sentence


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
        ({"arch": "squeezenet1_1", "labels": 3, "state_dict": {}}, "own.pt"),
    ],
)
def test_a_file_that_is_no_checkpoint(refused, content, says):
    import torch

    if isinstance(content, bytes):
        Path("own.pt").write_bytes(content)
    else:
        torch.save(content, "own.pt")
    assert says in refused(2, "clip.mp4", "-o", "out.mp4", "--model", "own.pt")
