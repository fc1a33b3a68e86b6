"""Sound on its way into a file: packets that are several sinks', gaps, encoders."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from stamped import SOUND_RATE, Sound

from vidcam.sinks.sound import CopiedSound, EncodedSound


def state_of(packets):
    return [
        (bytes(one.packet), one.packet.pts, one.packet.dts, one.packet.duration,
         one.packet.time_base, one.packet.stream)
        for one in packets
    ]  # fmt: skip


def written(path, kind, source, packets, start_s=Fraction(0)):
    """Mux what a kind of sound makes of packets; returns the times that it gave."""
    with av.open(str(path), "w") as container:
        sound = kind(container, source)
        made = [one for packet in packets for one in sound.packets(packet, start_s)]
        made += sound.rest()
        times = [(float(one.pts * one.time_base), float(one.dts * one.time_base)) for one in made]
        container.mux(made)
    return times


def aac(container, source):
    return EncodedSound(container, source, "aac")


@pytest.mark.parametrize(("codec", "kind"), [("aac", CopiedSound), ("pcm_s16le", aac)])
def test_packets_are_left_as_they_were(tmp_path, codec, kind):
    sound = Sound(codec)
    packets = sound.until(1.0)
    before = state_of(packets)
    for name in ("a.mp4", "b.mkv", "c.mp4"):
        written(tmp_path / name, kind, sound.template, packets)
    assert state_of(packets) == before


@pytest.mark.parametrize("codec", ["pcm_s16le", "libopus", "flac"])
@pytest.mark.parametrize("gap_s", [0.12, 3.0])
def test_encoded_sound_has_its_times_before_and_after_a_gap(tmp_path, codec, gap_s):
    sound = Sound(codec)
    sound.shift_s = 10.0
    packets = sound.until(1.0)
    sound.shift_s = 10.0 + gap_s
    packets += sound.until(2.0)
    path = tmp_path / "a.mp4"
    times = written(path, aac, sound.template, packets, Fraction(10))
    assert all(after[1] > before[1] for before, after in itertools.pairwise(times))
    with av.open(str(path)) as container:
        heard = [(frame.time, float(np.abs(frame.to_ndarray()).max())) for frame in
                 container.decode(audio=0)]  # fmt: skip
    loud = [time for time, level in heard if level > 0.1]
    assert loud[0] == pytest.approx(0.0, abs=0.05)
    assert loud[-1] == pytest.approx(2.0 + gap_s, abs=0.12)
    steps = [(after - before, before) for before, after in itertools.pairwise(loud)]
    widest, at = max(steps)
    assert widest == pytest.approx(gap_s, abs=0.07) and at == pytest.approx(1.0, abs=0.07)


def test_times_that_go_back_are_moved_on(tmp_path):
    sound = Sound()
    packets = sound.until(1.0)
    packets += Sound().until(0.2)
    times = written(tmp_path / "a.mkv", CopiedSound, sound.template, packets)
    assert len(times) == len(packets)
    assert all(after[1] > before[1] for before, after in itertools.pairwise(times))


def test_sound_that_cannot_be_decoded_is_left_out(tmp_path):
    sound = Sound("flac")
    packets = sound.until(0.5)
    for packet in packets[3:6]:
        packet.packet.update(bytes(packet.packet.size))
    times = written(tmp_path / "a.mp4", aac, sound.template, packets)
    assert len(times) == pytest.approx(0.5 * SOUND_RATE / 1024, abs=16)
