"""What Linux says of its cameras (V4L2), asked by ioctl: names, formats, sizes, rates."""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

DEVICES = Path("/dev")
# The structs of linux/videodev2.h with the size of each; _IOR and _IOWR number the calls with it.
CAPABILITY, FORMAT, SIZE, INTERVAL = 104, 64, 44, 52
READ, READ_WRITE = 2, 3
CAPTURE, CAPTURE_MANY_PLANES, HAS_OWN_CAPABILITIES = 0x1, 0x1000, 0x8000_0000
BUFFER_TYPES = {CAPTURE: 1, CAPTURE_MANY_PLANES: 9}
DISCRETE = 1
# A camera that claims more modes than this would fill the screen.
MOST = 64


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that `--camera` takes by index, name or path.

    `modes` are (format, width, height, frames per second), as the device lists them.
    """

    index: int
    name: str
    path: str
    modes: tuple[tuple[str, int, int, float], ...]


def cameras_of_linux(folder: Path = DEVICES) -> list[Camera]:
    """The devices that capture pictures; those that may not be opened are listed by their path."""
    found = []
    for entry in os.listdir(folder):
        if match := re.fullmatch(r"video(\d+)", entry):
            camera = _camera(int(match[1]), folder / entry)
            if camera is not None:
                found.append(camera)
    return sorted(found, key=lambda camera: camera.index)


def _camera(index: int, path: Path) -> Camera | None:
    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return Camera(index, f"({(error.strerror or str(error)).lower()})", str(path), ())
    try:
        answer = _ask(device, READ, 0, bytes(CAPABILITY))
        if answer is None:
            return None
        capabilities, own = struct.unpack_from("II", answer, 84)
        capabilities = own if capabilities & HAS_OWN_CAPABILITIES else capabilities
        for flag, buffer_type in BUFFER_TYPES.items():
            if capabilities & flag:
                name = answer[16:48].split(b"\0")[0].decode("utf-8", "replace")
                return Camera(index, name, str(path), tuple(_modes(device, buffer_type)))
        return None  # its metadata, an encoder, a radio
    finally:
        os.close(device)


def _modes(device: int, buffer_type: int) -> Iterator[tuple[str, int, int, float]]:
    for number in range(MOST):
        answer = _ask(device, READ_WRITE, 2, struct.pack("II", number, buffer_type), FORMAT)
        if answer is None:
            return
        (code,) = struct.unpack_from("I", answer, 44)
        name = code.to_bytes(4, "little").decode("ascii", "replace").strip()
        for width, height in _sizes(device, code):
            for fps in _rates(device, code, width, height):
                yield name, width, height, fps


def _sizes(device: int, code: int) -> Iterator[tuple[int, int]]:
    for number in range(MOST):
        answer = _ask(device, READ_WRITE, 74, struct.pack("II", number, code), SIZE)
        if answer is None:
            return
        kind, first, second, _, _, last = struct.unpack_from("6I", answer, 8)
        if kind != DISCRETE:  # any size in a range: its largest stands for it
            yield second, last
            return
        yield first, second


def _rates(device: int, code: int, width: int, height: int) -> Iterator[float]:
    for number in range(MOST):
        asked = struct.pack("IIII", number, code, width, height)
        answer = _ask(device, READ_WRITE, 75, asked, INTERVAL)
        if answer is None:
            if number == 0:
                yield 0.0  # it does not say
            return
        kind, numerator, denominator = struct.unpack_from("3I", answer, 16)
        yield float(Fraction(denominator, numerator)) if numerator else 0.0
        if kind != DISCRETE:
            return


def _ask(
    device: int, direction: int, number: int, asked: bytes, size: int = CAPABILITY
) -> bytes | None:
    """The struct that the driver gives back for VIDIOC call `number`, None when it has no more."""
    import fcntl  # not on every system that this module is imported on

    data = bytearray(asked.ljust(size, b"\0"))
    request = direction << 30 | size << 16 | ord("V") << 8 | number
    try:
        fcntl.ioctl(device, request, data)
    except OSError:
        return None
    return bytes(data)
