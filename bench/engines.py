"""A session of vidcam on one engine, and pictures for it, to measure engines beside each other."""

import os
from collections.abc import Sequence
from typing import Any

# As the command does it (`vidcam.cli.entry`); OpenMP reads it when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from report import LeftOut

from vidcam.errors import VidcamError
from vidcam.options import FileOptions
from vidcam.prepare import Preparer
from vidcam.session import Session, session_of
from vidcam.sources import open_source
from vidcam.spec import from_mapping
from vidcam.types import Frame, Pixels


def session_with(settings: dict[str, Any]) -> Session:
    """A loaded session. Raises LeftOut for wrong options and an engine that is not there."""
    try:
        options: FileOptions = from_mapping(FileOptions, settings.items())
        session = session_of(options)
    except VidcamError as error:
        raise LeftOut(str(error)) from None
    if options.backend not in ("auto", session.backend.name):
        raise LeftOut(f"runs on {session.backend.name} instead")
    return session


def sessions_on(
    backends: Sequence[str], settings: dict[str, Any], left_out: dict[str, str]
) -> dict[str, Session]:
    """A session on each engine that is there; why the others are not goes to `left_out`."""
    found = {}
    for backend in backends:
        try:
            found[backend] = session_with(settings | {"backend": backend})
        except LeftOut as reason:
            left_out[backend] = str(reason)
    return found


def pixels_of(clip: str, session: Session, count: int) -> Pixels:
    """Model pixels (N, S, S, 3) of pictures spread over a clip."""
    source = open_source(clip, FileOptions(), audio=False)
    pictures = [item.picture for item in source if isinstance(item, Frame)]
    preparer = Preparer(session.geometry)
    pixels = np.empty((count, session.model.size, session.model.size, 3), np.uint8)
    for number, row in enumerate(pixels):
        preparer(pictures[number * len(pictures) // count], row)
    source.close()
    return pixels
