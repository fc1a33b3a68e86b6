"""How long to wait before a connection is tried again."""

import random

FIRST_S, LONGEST_S = 0.5, 30.0
# A connection that lasted so long was a good one: the pauses begin anew.
GOOD_AFTER_S = 5.0


def pause_s(tries: int) -> float:
    """The pause after the `tries`th failed try in a row: it doubles, and differs a little each
    time, so that many who lost one server do not come back all at once."""
    pause = FIRST_S * 2.0 ** min(tries - 1, 10)
    return min(LONGEST_S, max(FIRST_S, pause * random.uniform(0.75, 1.25)))
