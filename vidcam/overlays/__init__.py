"""What is drawn into the picture. Each overlay writes into the Y, U and V planes, in place."""

from typing import Protocol

from vidcam.types import Pixels, Result

Planes = tuple[Pixels, Pixels, Pixels]


class Overlay(Protocol):
    """Draws one thing."""

    def draw(self, planes: Planes, result: Result) -> None:
        """Draw `result` into planes Y (H, W), U and V (H/2, W/2), in the picture's own colours."""
        ...
