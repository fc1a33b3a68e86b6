"""SDL for the window: opening it, textures, keys. Everything here is for the main thread alone."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np

from vidcam import yuv
from vidcam.errors import OutputError
from vidcam.sinks.display import (
    draws_itself,
    load_sdl,
    load_triton_first,
    sdl_error,
    start_video,
)
from vidcam.sinks.keys import key_name
from vidcam.types import Pixels, Rect

BYTES = ctypes.POINTER(ctypes.c_uint8)
# SDL's conversions from YUV, which sdl2 does not export.
FULL_BT601, BT601, BT709 = 0, 1, 2
# Levels of full range as those of limited range: SDL knows full range in BT.601 only.
LIMITED_LUMA = np.rint(16 + np.arange(256) * 219 / 255).astype(np.uint8)
LIMITED_CHROMA = np.rint(128 + (np.arange(256) - 128) * 224 / 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is close, redraw or key; `key` is a character or esc, space, tab."""

    kind: str
    key: str = ""
    repeated: bool = False


class Texture:
    """A picture on the graphics side; made by a Screen."""

    def __init__(
        self, screen: "Screen", pixel_format: int, access: int, size: tuple[int, int]
    ) -> None:
        self._sdl = load_sdl()
        self.size = size
        self.mode: int | None = None
        self.handle = self._sdl.SDL_CreateTexture(screen.renderer, pixel_format, access, *size)
        if not self.handle:
            raise OutputError(
                f"the window cannot show pictures of {size[0]}x{size[1]}: {sdl_error()}"
            )

    def close(self) -> None:
        """Let go of it."""
        self._sdl.SDL_DestroyTexture(self.handle)


class Screen:
    """One SDL window and its renderer; sizes are in pixels. Raises OutputError."""

    def __init__(self, title: str) -> None:
        try:
            start_video()
        except OSError as error:
            raise OutputError(f"the window cannot open: {error}") from None
        self._sdl = sdl = load_sdl()
        self._window = self.renderer = None
        if draws_itself():
            self._open(title, sdl.SDL_RENDERER_SOFTWARE)
        if not self.renderer:
            self._destroy()
            load_triton_first()
            self._open(title, 0)
        if not self.renderer:
            reason = sdl_error()
            self.close()
            raise OutputError(f"the window cannot open: {reason}")
        sdl.SDL_SetWindowMinimumSize(self._window, 160, 90)
        # Keys are read as keys: with text input on, an input method would swallow the letters.
        sdl.SDL_StopTextInput()

    def _open(self, title: str, kind: int) -> None:
        sdl = self._sdl
        centred = sdl.SDL_WINDOWPOS_CENTERED
        flags = sdl.SDL_WINDOW_RESIZABLE | sdl.SDL_WINDOW_HIDDEN | sdl.SDL_WINDOW_ALLOW_HIGHDPI
        self._window = sdl.SDL_CreateWindow(title.encode(), centred, centred, 960, 540, flags)
        self.renderer = sdl.SDL_CreateRenderer(self._window, -1, kind) if self._window else None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what is drawn on."""
        width, height = ctypes.c_int(), ctypes.c_int()
        self._sdl.SDL_GetRendererOutputSize(
            self.renderer, ctypes.byref(width), ctypes.byref(height)
        )
        return max(1, width.value), max(1, height.value)

    @property
    def usable(self) -> tuple[int, int]:
        """Width and height of the display without its bars, in the window's units."""
        bounds = self._sdl.SDL_Rect()
        display = max(0, self._sdl.SDL_GetWindowDisplayIndex(self._window))
        if self._sdl.SDL_GetDisplayUsableBounds(display, ctypes.byref(bounds)) or not bounds.w:
            return 1280, 720
        return bounds.w, bounds.h

    def title(self, text: str) -> None:
        """Set the title."""
        self._sdl.SDL_SetWindowTitle(self._window, text.encode())

    def resize(self, width: int, height: int) -> None:
        """Give the window a size, in its own units, in the middle of the display."""
        centred = self._sdl.SDL_WINDOWPOS_CENTERED
        self._sdl.SDL_SetWindowSize(self._window, width, height)
        self._sdl.SDL_SetWindowPosition(self._window, centred, centred)

    def show(self) -> None:
        """Make the window visible."""
        self._sdl.SDL_ShowWindow(self._window)

    def events(self) -> Iterator[Event]:
        """What has happened since the last call; never waits."""
        sdl, event = self._sdl, self._sdl.SDL_Event()
        while sdl.SDL_PollEvent(ctypes.byref(event)):
            if event.type == sdl.SDL_QUIT:
                yield Event("close")
            elif event.type == sdl.SDL_WINDOWEVENT:
                closing = event.window.event == sdl.SDL_WINDOWEVENT_CLOSE
                yield Event("close" if closing else "redraw")
            elif event.type in (sdl.SDL_RENDER_TARGETS_RESET, sdl.SDL_RENDER_DEVICE_RESET):
                yield Event("redraw")
            elif event.type == sdl.SDL_KEYDOWN:
                pressed = event.key.keysym
                key = key_name(pressed.sym, pressed.scancode, pressed.mod)
                if key:
                    yield Event("key", key, bool(event.key.repeat))

    def upload(self, picture: av.VideoFrame, texture: Texture | None) -> Texture:
        """The planes of a yuv420p picture in `texture`, or in a new one where it does not fit."""
        sdl = self._sdl
        mode, squeeze = conversion_of(picture)
        size = picture.width, picture.height
        sdl.SDL_SetYUVConversionMode(mode)
        if texture is None or texture.size != size or texture.mode != mode:
            old = texture
            texture = Texture(self, sdl.SDL_PIXELFORMAT_IYUV, sdl.SDL_TEXTUREACCESS_STREAMING, size)
            texture.mode = mode
            if old is not None:  # not before there is another: it may still be drawn
                old.close()
        pointers: list[Any] = []
        if squeeze:
            tables = LIMITED_LUMA, LIMITED_CHROMA, LIMITED_CHROMA
            squeezed = [cv2.LUT(p, t) for p, t in zip(yuv.planes(picture), tables, strict=True)]
            for plane in squeezed:
                pointers += [plane.ctypes.data_as(BYTES), plane.strides[0]]
        else:
            for plane in picture.planes:
                pointers += [ctypes.cast(plane.buffer_ptr, BYTES), plane.line_size]
        if sdl.SDL_UpdateYUVTexture(texture.handle, None, *pointers):
            raise OutputError(f"the window cannot show a picture: {sdl_error()}")
        return texture

    def card(self, rgba: Pixels) -> Texture:
        """A texture of (h, w, 4) uint8 RGBA that is blended over what is there."""
        sdl = self._sdl
        height, width = rgba.shape[:2]
        texture = Texture(
            self, sdl.SDL_PIXELFORMAT_RGBA32, sdl.SDL_TEXTUREACCESS_STATIC, (width, height)
        )
        sdl.SDL_SetTextureBlendMode(texture.handle, sdl.SDL_BLENDMODE_BLEND)
        pixels = np.ascontiguousarray(rgba)
        sdl.SDL_UpdateTexture(
            texture.handle, None, pixels.ctypes.data_as(ctypes.c_void_p), 4 * width
        )
        return texture

    def clear(self, rgb: tuple[int, int, int]) -> None:
        """Fill everything with a colour."""
        self._sdl.SDL_SetRenderDrawColor(self.renderer, *rgb, 255)
        self._sdl.SDL_RenderClear(self.renderer)

    def draw(self, texture: Texture, rect: Rect) -> None:
        """Draw a texture, scaled to a rectangle."""
        where = self._sdl.SDL_Rect(rect.x, rect.y, rect.width, rect.height)
        if texture.mode is not None:
            self._sdl.SDL_SetYUVConversionMode(texture.mode)
        self._sdl.SDL_RenderCopy(self.renderer, texture.handle, None, ctypes.byref(where))
        # Some renderers look at the conversion only when they draw.
        self._sdl.SDL_RenderFlush(self.renderer)

    def present(self) -> None:
        """Show what has been drawn."""
        self._sdl.SDL_RenderPresent(self.renderer)

    def canvas(self, width: int, height: int) -> Texture:
        """Draw into a picture of this size from now on, until `read`."""
        sdl = self._sdl
        target = Texture(
            self, sdl.SDL_PIXELFORMAT_ARGB8888, sdl.SDL_TEXTUREACCESS_TARGET, (width, height)
        )
        sdl.SDL_SetRenderTarget(self.renderer, target.handle)
        return target

    def read(self, target: Texture) -> Pixels:
        """What has been drawn into `target`, (H, W, 3) uint8 BGR; the window is drawn on again."""
        sdl = self._sdl
        width, height = target.size
        bgr = np.empty((height, width, 3), np.uint8)
        failed = sdl.SDL_RenderReadPixels(
            self.renderer, None, sdl.SDL_PIXELFORMAT_BGR24, bgr.ctypes.data, bgr.strides[0]
        )
        reason = sdl_error() if failed else ""
        sdl.SDL_SetRenderTarget(self.renderer, None)
        target.close()
        if failed:
            raise OutputError(f"the window's picture cannot be read: {reason}")
        return bgr

    def close(self) -> None:
        """Destroy the window; textures end with it."""
        self._destroy()
        self._sdl.SDL_QuitSubSystem(self._sdl.SDL_INIT_VIDEO)

    def _destroy(self) -> None:
        if self.renderer:
            self._sdl.SDL_DestroyRenderer(self.renderer)
        if self._window:
            self._sdl.SDL_DestroyWindow(self._window)
        self.renderer = self._window = None


def conversion_of(picture: av.VideoFrame) -> tuple[int, bool]:
    """SDL's conversion for a picture, and whether its levels must be squeezed first."""
    full = yuv.is_full_range(picture)
    if yuv.sws_matrix(yuv.matrix_of(picture)) == yuv.sws_matrix(yuv.SMPTE170M):
        return (FULL_BT601 if full else BT601), False
    return BT709, full
