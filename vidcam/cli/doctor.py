"""`vidcam doctor`: what this machine has, one line each."""

import os
import platform
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import click

from vidcam.cli.options import verbosity

PACKAGES = ("torch", "torchvision", "timm", "av", "opencv-python", "numpy", "pillow", "grad-cam",
            "pysdl2-dll")  # fmt: skip
ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "aac")
# A line's state, and its text. Only "missing" keeps the main job from running.
Line = tuple[str, str]
OK, NOTE, MISSING = "ok", "note", "missing"


@click.command("doctor")
@verbosity
def command(quiet: bool) -> int:
    """Say what this machine has and what vidcam will use; exit 1 if videos could not be explained.

    Send its output along when you report a problem.
    """
    failed = False
    for name, check in CHECKS.items():
        for state, text in _lines(check):
            failed = failed or state == MISSING
            if not quiet or state == MISSING:
                click.echo(f"{state:7}  {name:9}  {text}")
    return 1 if failed else 0


def _lines(check: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - a broken install may raise anything; that is news
        yield MISSING, f"{type(error).__name__}: {error}".splitlines()[0]


def _versions() -> Iterator[Line]:
    from vidcam import __version__

    yield OK, f"vidcam {__version__}, Python {platform.python_version()}, {platform.platform()}"
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            yield MISSING, f"{package} is not installed: pip install {package}"
    yield OK, ", ".join(found)


def _device() -> Iterator[Line]:
    import torch

    from vidcam.backends.torch import choose_device, choose_precision

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        has_cuda = torch.cuda.is_available()
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    yield OK, f"will use {device} in {precision}; {torch.get_num_threads()} CPU threads"
    if has_cuda:
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            yield OK, f"cuda:{number} {facts.name}, {facts.total_memory / 2**30:.0f} GiB"
        return
    for warning in caught:
        yield NOTE, "torch says: " + " ".join(str(warning.message).split())
    yield NOTE, "no CUDA GPU is used: " + _why_no_cuda(torch.version.cuda)


def _why_no_cuda(built_for: str | None) -> str:
    if built_for is None:
        return "this torch is built without CUDA; install the build for your driver"
    if Path("/proc/driver/nvidia/version").exists():
        text = Path("/proc/driver/nvidia/version").read_text().split("Kernel Module")[-1].split()
        version = next((word for word in text if word[0].isdigit()), "?")
        return (
            f"the NVIDIA driver {version} is too old for torch's CUDA {built_for}, or no GPU is "
            "given to this process; update the driver or install a torch for an older CUDA"
        )
    return f"this machine has no NVIDIA driver (torch is built for CUDA {built_for})"


def _engines() -> Iterator[Line]:
    from vidcam.backends.cache import cache_folder
    from vidcam.backends.openvino import is_best_for, is_installed
    from vidcam.backends.torch import choose_device
    from vidcam.models import load_model
    from vidcam.options import FileOptions

    model = load_model(FileOptions())
    weights = sum(parameter.numel() for parameter in model.net.parameters())
    yield OK, f"{model.name}: {len(model.labels)} classes, {weights / 1e6:.1f} million weights"
    device = choose_device("auto")
    if is_best_for(device, "auto"):
        try:
            import openvino
        except Exception as error:  # noqa: BLE001 - a broken install may raise anything
            yield NOTE, f"torch runs networks; openvino cannot be imported ({error})"
            return
        version = openvino.get_version().partition("-")[0]
        yield OK, f"openvino {version} runs networks on the CPU; it keeps them in {cache_folder()}"
    elif device == "cpu" and not is_installed():
        yield NOTE, "torch runs networks; faster on this CPU: pip install 'vidcam[openvino]'"
    else:
        yield OK, f"torch runs networks on {device}"


def _codecs() -> Iterator[Line]:
    import av
    from av.codec import Codec

    yield OK, f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
    missing = []
    for name in ENCODERS:
        try:
            Codec(name, "w")
        except av.codec.codec.UnknownCodecError:
            missing.append(name)
    if missing:
        lost = MISSING if "libx264" in missing else NOTE
        yield lost, f"no encoder {', '.join(missing)}"
    else:
        yield OK, f"encoders {', '.join(ENCODERS)}"


def _font() -> Iterator[Line]:
    from vidcam.overlays.fonts import Font, bundled_font

    path = bundled_font()
    if not path.is_file():
        yield MISSING, f"the bundled font is not at {path}: install vidcam anew, or use --font"
        return
    font = Font(path)
    if not font.characters:
        yield MISSING, f"{path} has no characters: install vidcam anew, or use --font"
        return
    yield OK, f"{path.name}, {len(font.characters)} characters"


def _display() -> Iterator[Line]:
    from vidcam.sinks.window import display_problem

    problem = display_problem()
    if problem:
        yield NOTE, f"no window: {problem}; vidcam live runs headless"
    else:
        yield OK, "a window can open"


def _cameras() -> Iterator[Line]:
    from vidcam.sources.devices import list_cameras

    cameras = list_cameras()
    if not cameras:
        yield NOTE, "none: vidcam live still takes URLs and files"
    for camera in cameras:
        allowed = not camera.path.startswith("/dev/") or os.access(camera.path, os.R_OK | os.W_OK)
        hint = "" if allowed else ": permission denied; add yourself to the group video"
        yield (OK if allowed else NOTE), f"{camera.path} {camera.name}{hint}"


CHECKS: dict[str, Callable[[], Iterator[Line]]] = {
    "versions": _versions,
    "device": _device,
    "engine": _engines,
    "codecs": _codecs,
    "font": _font,
    "display": _display,
    "cameras": _cameras,
}
