"""What the keys of the window do to the view."""

import logging

from vidcam.errors import VidcamError
from vidcam.options import VIDEO_CAMS
from vidcam.overlays.words import say
from vidcam.types import UNKNOWN_INDEX, Prediction, Score
from vidcam.view import View

log = logging.getLogger("vidcam")

METHODS = tuple(name for name in VIDEO_CAMS if name != "none")
ALPHA_STEP = 0.1
# The rows of the help, and what else acts while a key is held down.
HELP = ("q", "space", "s", "c", "h", "[]", "1-9", "0", "r", "tab", "?")
HELP_LABELS = {"q": "q  Esc", "space": "Space", "[]": "[   ]", "1-9": "1 – 9", "tab": "Tab"}
REPEATING = ("[", "]")

# SDL's numbers, which are those of USB keyboards.
SHIFT, ALT_GR, OTHER_MODIFIERS = 0x3, 0x4200, 0xDC0
NAMED = {27: "esc", 32: "space", 9: "tab", 0x4000003A: "?"}  # the last is F1
BY_PLACE = {
    **{30 + n: str((n + 1) % 10) for n in range(10)},
    **{89 + n: str((n + 1) % 10) for n in range(10)},
    47: "[",
    48: "]",
}
LETTERS_BY_PLACE = {4 + n: chr(ord("a") + n) for n in range(26)}
# What carries the question mark on US, German, French, Scandinavian and southern keyboards.
QUESTION, QUESTION_SHIFTED = "?/", "ß,+'"


def key_name(symbol: int, place: int, modifiers: int) -> str:
    """The key of an SDL keysym (sym, scancode, mod): a character, esc, space, tab; "" for others.

    Letters go by what is printed on them, and by their place where that is not Latin; digits and
    brackets go by their place, which every keyboard has.
    """
    character = chr(symbol) if 32 < symbol < 0x250 else ""
    if modifiers & ALT_GR and character in ("8", "9"):
        return "[" if character == "8" else "]"
    if modifiers & (ALT_GR | OTHER_MODIFIERS):
        return ""
    if character and (
        character in QUESTION or (modifiers & SHIFT and character in QUESTION_SHIFTED)
    ):
        return "?"
    if symbol in NAMED:
        return NAMED[symbol]
    if place in BY_PLACE:
        return BY_PLACE[place]
    return character if "a" <= character <= "z" else LETTERS_BY_PLACE.get(place, "")


def help_rows(language: str) -> list[tuple[str, str]]:
    """The keys and what they do."""
    return [(HELP_LABELS.get(key, key), say(f"key {key}", language)) for key in HELP]


class Keys:
    """Turns keys into what the view says."""

    def __init__(self, view: View, language: str) -> None:
        self._view = view
        self._language = language

    def press(self, key: str, shown: Prediction | None) -> str:
        """Do what a key says; gives what to tell the user, "" for nothing.

        `shown` is what the picture carries, for the keys that pin a class.
        """
        view = self._view
        if key in ("q", "esc"):
            view.quit = True
        elif key == "space":
            view.paused = not view.paused
        elif key == "c":
            place = METHODS.index(view.cam) + 1 if view.cam in METHODS else 0
            view.cam, view.heat = METHODS[place % len(METHODS)], True
            return view.cam
        elif key == "h":
            return self._heat()
        elif key in ("[", "]"):
            step = ALPHA_STEP if key == "]" else -ALPHA_STEP
            view.alpha = min(1.0, max(0.0, round(view.alpha + step, 2)))
            return self._say("opacity", round(view.alpha * 100))
        elif key == "r":
            return self._record()
        elif key == "0":
            view.pinned = None
            return self._say("unpinned")
        elif key.isdigit():
            return self._pin(int(key), shown)
        return ""

    def _heat(self) -> str:
        self._view.heat = not self._view.heat
        if self._view.heat and self._view.cam == "none":
            self._view.cam = METHODS[0]
        return self._say("heat on" if self._view.heat else "heat off")

    def _pin(self, rank: int, shown: Prediction | None) -> str:
        score = of_rank(rank, shown)
        if score is None:
            return self._say("no rank", rank)
        self._view.pinned = score.index
        return self._say("pinned", score.label)

    def _record(self) -> str:
        # Set first, so that who records may take it back.
        on = not self._view.recording
        self._view.recording = on
        try:
            self._view.record(on)
        except VidcamError as error:
            self._view.recording = False
            log.warning("%s", error)
        if on and not self._view.recording:
            return self._say("not recorded")
        return self._say("recording" if on else "recorded")

    def _say(self, phrase: str, *values: object) -> str:
        return say(phrase, self._language, *values)


def of_rank(rank: int, shown: Prediction | None) -> Score | None:
    """The class in a row of the picture, from 1; where that row is "unknown", the best of all."""
    if shown is None:
        return None
    for scores in (shown.shown, shown.topk):
        if rank <= len(scores) and scores[rank - 1].index != UNKNOWN_INDEX:
            return scores[rank - 1]
    return None
