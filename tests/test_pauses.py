"""Pauses grow, are bounded and differ."""

from vidcam.pauses import LONGEST_S, pause_s


def test_pauses_grow_and_differ_and_stay_in_bounds():
    pauses = [[pause_s(n) for _ in range(50)] for n in range(1, 15)]
    assert all(0.5 <= pause <= LONGEST_S for row in pauses for pause in row)
    means = [sum(row) / 50 for row in pauses]
    assert means[0] < 0.7 and 1.5 < means[2] < 2.5 and means[-1] > 20
    assert len(set(pauses[3])) > 10
