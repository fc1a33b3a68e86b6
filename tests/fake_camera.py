"""A camera made of pictures, for programs that run with the shim of fake_v4l2.c loaded.

    camera = FakeCamera(tmp_path)                   # a new folder of the test's own
    subprocess.run([sys.executable, "-m", "vidcam", "cameras"], env=camera.env)
    camera.set("unplug")                            # pulls the plug; clear("unplug") puts it back
    camera.set("silent" | "forbidden" | "planes")   # see fake_v4l2.c

The camera is /dev/video0, named NAME, with the MODES (or those given). It plays `pictures`
(yuv420p, any size), else FFmpeg's moving test pattern, in a circle. Tests that use it carry the
mark `needs_gcc`. It is not a real camera: FFmpeg's and OpenCV's capture code is real, the driver
is not.
"""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest

SOURCE = Path(__file__).with_name("fake_v4l2.c")
NAME, DEVICE = "Fake UVC camera", "/dev/video0"
MODES = (("YUYV", 640, 360, 15), ("MJPG", 640, 360, 30), ("MJPG", 320, 180, 30))
# NV21 is one that OpenCV knows and FFmpeg's capture does not.
RAW = {"YUYV": "yuyv422", "NV21": "nv21"}
LIMITED, FULL = 1, 2

needs_gcc = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None,
    reason="the camera of the tests is built by gcc, on Linux",
)


class FakeCamera:
    """See the top of this file."""

    def __init__(self, folder: Path, modes=MODES, pictures: Sequence[av.VideoFrame] = ()) -> None:
        self.folder = Path(folder)
        shim = self.folder / "fake_v4l2.so"
        command = ["gcc", "-shared", "-fPIC", "-O1", "-o", shim, SOURCE, "-ldl"]
        subprocess.run(command, check=True, timeout=60)
        pictures = pictures or test_pattern()
        lines = []
        for number, (name, width, height, fps) in enumerate(modes):
            file = f"pictures{number}"
            coded = (coded_picture(name, picture, width, height) for picture in pictures)
            data = b"".join(struct.pack("<I", len(one)) + one for one in coded)
            (self.folder / file).write_bytes(data)
            lines.append(f"{name} {width} {height} {fps} {file}")
        (self.folder / "modes").write_text("\n".join(lines) + "\n")
        own = {"LD_PRELOAD": str(shim), "FAKE_V4L2_FOLDER": str(folder), "FAKE_V4L2_DEVICE": DEVICE}
        self.env = os.environ | own

    def set(self, state: str) -> None:
        """Begin a state: unplug, silent, forbidden, planes."""
        (self.folder / state).touch()

    def clear(self, state: str) -> None:
        """End a state."""
        (self.folder / state).unlink()


def test_pattern(frames: int = 30) -> list[av.VideoFrame]:
    """FFmpeg's moving test pattern."""
    with av.open("testsrc2=size=640x360:rate=30", format="lavfi") as graph:
        return [picture for picture, _ in zip(graph.decode(video=0), range(frames), strict=False)]


test_pattern.__test__ = False  # a name that pytest would collect


def coded_picture(name: str, picture: av.VideoFrame, width: int, height: int) -> bytes:
    """The bytes of a picture in a format of V4L2's."""
    if name in RAW:
        packed = picture.reformat(width, height, RAW[name])
        row = width * (2 if name == "YUYV" else 1)
        return b"".join(
            bytes(plane)[y * plane.line_size : y * plane.line_size + row]
            for plane in packed.planes
            for y in range(plane.height)
        )
    assert name == "MJPG", f"no pictures in {name}"
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj422p"
    encoder.time_base, encoder.color_range = Fraction(1, 30), FULL
    encoder.qmin = encoder.qmax = 3
    full = picture.reformat(
        width, height, "yuvj422p", src_color_range=LIMITED, dst_color_range=FULL
    )
    full.pts, full.color_range = 0, FULL
    return b"".join(bytes(packet) for packet in [*encoder.encode(full), *encoder.encode(None)])
