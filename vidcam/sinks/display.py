"""Whether there is a display that shows what is drawn, and starting SDL on it."""

import importlib
import importlib.util
import os
import sys
import warnings
from functools import cache
from typing import Any

# Video drivers of SDL that draw where nobody sees it, or take a console over.
BLIND_DRIVERS = {"offscreen", "dummy", "evdev", "KMSDRM"}
# macOS and Windows always have a display; elsewhere it is X11's or Wayland's.
HAS_ITS_DISPLAY = sys.platform in ("darwin", "win32")


@cache
def load_sdl() -> Any:
    """The module sdl2. Raises ImportError."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using SDL2 binaries from pysdl2-dll", UserWarning)
        return importlib.import_module("sdl2")


def display_problem() -> str | None:
    """Why no window can open here, in a few words; None when one can."""
    try:
        start_video()
    except OSError as error:
        return str(error)
    load_sdl().SDL_QuitSubSystem(load_sdl().SDL_INIT_VIDEO)
    return None


def has_display() -> bool:
    """Whether a window can open and be seen. Tries it; for the main thread alone."""
    return display_problem() is None


def start_video() -> None:
    """Start SDL's video; each start wants its SDL_QuitSubSystem. Raises OSError."""
    drivers = [name for name, variable in (("x11", "DISPLAY"), ("wayland", "WAYLAND_DISPLAY"))
               if os.environ.get(variable)]  # fmt: skip
    if not HAS_ITS_DISPLAY and not drivers:
        raise OSError("there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)")
    try:
        sdl = load_sdl()
    except ImportError as error:
        raise OSError(f"SDL cannot be loaded ({error}): pip install pysdl2 pysdl2-dll") from None
    hints = {
        sdl.SDL_HINT_NO_SIGNAL_HANDLERS: "1",  # the command handles SIGINT and SIGTERM
        sdl.SDL_HINT_RENDER_SCALE_QUALITY: "linear",
        sdl.SDL_HINT_RENDER_VSYNC: "0",
        sdl.SDL_HINT_FRAMEBUFFER_ACCELERATION: "0",
        sdl.SDL_HINT_APP_NAME: "vidcam",
        sdl.SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR: "0",
    }
    if not HAS_ITS_DISPLAY:
        hints[sdl.SDL_HINT_VIDEODRIVER] = ",".join(drivers)
    for hint, value in hints.items():
        sdl.SDL_SetHint(hint, value.encode())
    if sdl.SDL_InitSubSystem(sdl.SDL_INIT_VIDEO):
        raise OSError(f"the display cannot be reached ({sdl_error()})")
    driver = (sdl.SDL_GetCurrentVideoDriver() or b"").decode()
    if driver in BLIND_DRIVERS:
        sdl.SDL_QuitSubSystem(sdl.SDL_INIT_VIDEO)
        raise OSError(f"SDL's video driver {driver} shows nothing")


def sdl_error() -> str:
    """What SDL says of its last failure."""
    return (load_sdl().SDL_GetError() or b"").decode("utf-8", "replace") or "no reason given"


def draws_itself() -> bool:
    """Whether SDL's own renderer comes first here: on Linux, unless SDL_RENDER_DRIVER is set.

    Mesa's OpenGL brings an LLVM that kills the process when torch loads triton later (2026-11), and
    without a graphics card needs five times the CPU time: 17 against 3.3 ms for a 720p picture.
    """
    sdl = load_sdl()
    return not HAS_ITS_DISPLAY and not sdl.SDL_GetHint(sdl.SDL_HINT_RENDER_DRIVER)


def load_triton_first() -> None:
    """Before OpenGL: in this order Mesa's LLVM and that of triton, if it is there, get along."""
    if importlib.util.find_spec("triton"):
        importlib.import_module("triton")
