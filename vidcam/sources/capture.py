"""What one `--camera` asks for."""

from dataclasses import dataclass
from fractions import Fraction

from vidcam.errors import UsageError
from vidcam.options import LiveOptions

# Options that are given once for all cameras, or once for each: the option, the field of Capture.
PER_CAMERA = {
    "camera_size": "size",
    "camera_fps": "fps",
    "camera_format": "format",
    "flip": "flip",
    "roi": "roi",
}


@dataclass(frozen=True, slots=True)
class Capture:
    """One live source as the options want it; `number` is its place among the cameras."""

    uri: str
    number: int = 0
    size: tuple[int, int] | None = None
    fps: Fraction | None = None
    format: str | None = None
    flip: str = "none"
    roi: tuple[float, float, float, float] | None = None
    audio: bool = True
    coded: bool = False
    loop: bool = False
    timeout_s: float = 10.0


def captures(options: LiveOptions, coded: bool = False) -> list[Capture]:
    """One Capture a camera. An option given once is every camera's. Raises UsageError."""
    cameras = options.camera
    found = []
    for number, uri in enumerate(cameras):
        own = {}
        for field, flag in PER_CAMERA.items():
            given = getattr(options, field)
            if len(given) > 1 and len(given) != len(cameras):
                name = "--" + field.replace("_", "-")
                raise UsageError(
                    f"{name} is given {len(given)} times for {len(cameras)} cameras: "
                    "give it once, or once for each"
                )
            if given:
                own[flag] = given[number if len(given) > 1 else 0]
        found.append(
            Capture(uri, number, audio=options.audio, coded=coded, loop=options.loop,
                    timeout_s=options.timeout, **own)
        )  # fmt: skip
    return found
