"""What the window shows, as its keys have set it; recordings keep what the command line said."""

from collections.abc import Callable
from dataclasses import dataclass, field

from vidcam.options import LiveOptions


@dataclass
class View:
    """Set by the window's keys, read by the classifier's thread and by the drawing.

    `cam` is the CAM method, `pinned` the class that is explained (None: as the command line says),
    `heat` whether heat is drawn, with which opacity `alpha`. `quit` ends the run; `recording` says
    whether the recording of the `r` key runs, and `record` starts or stops it.
    """

    cam: str
    alpha: float
    heat: bool = True
    pinned: int | None = None
    paused: bool = False
    quit: bool = False
    recording: bool = False
    record: Callable[[bool], None] = field(default=lambda _on: None)

    @classmethod
    def of(cls, options: LiveOptions) -> "View":
        """The view that the command line asks for."""
        return cls(options.cam, options.alpha, heat=options.cam != "none")
