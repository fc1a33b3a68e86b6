"""Pictures that carry their number, and sound, as a live source gives them; and the way back."""

from fractions import Fraction

import av
import numpy as np
from clips import blank

from vidcam.types import AudioPacket, Frame, StreamInfo

CLOCK = Fraction(1, 90_000)
SIZE = 320, 180
BITS, BLOCK_PX = 16, 20
SOUND_RATE, SOUND_SAMPLES = 48_000, 1024


def stamp(number, time_s, size=SIZE):
    """A grey picture whose top row of blocks is `number` in black and white."""
    picture = av.VideoFrame(*size, "yuv420p")
    for plane, level in zip(picture.planes, (110, 128, 128), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        rows[:] = level
    luma = np.frombuffer(picture.planes[0], np.uint8).reshape(size[1], -1)
    for bit in range(BITS):
        luma[:40, bit * BLOCK_PX : (bit + 1) * BLOCK_PX] = 220 if number >> bit & 1 else 30
    luma[60:, : 8 + number * 7 % (size[0] - 8)] = 180  # something that moves
    picture.pts, picture.time_base = round(time_s / CLOCK), CLOCK
    return picture


def number_of(picture):
    """The number in a decoded picture."""
    rows = np.frombuffer(picture.planes[0], np.uint8).reshape(picture.height, -1)
    blocks = rows[4:36, : BITS * BLOCK_PX].reshape(32, BITS, BLOCK_PX)[:, :, 4:-4].mean((0, 2))
    return sum(1 << bit for bit in range(BITS) if blocks[bit] > 125)


def read_stamps(path):
    """`[(number, seconds)]` of every picture that can be decoded."""
    found = []
    with av.open(str(path)) as container:
        try:
            for picture in container.decode(video=0):
                found.append((number_of(picture), picture.time))
        except av.FFmpegError:
            pass  # cut off: what came before counts
    return found


def numbers(path):
    """The numbers of every picture that can be decoded."""
    return [number for number, _ in read_stamps(path)]


class Sound:
    """A tone, coded: packets without a stream, and the template of their stream."""

    def __init__(self, codec="aac", hertz=440):
        self._container = av.open("/dev/null", "w", format="matroska")
        self._stream = self._container.add_stream(codec, rate=SOUND_RATE, layout="stereo")
        self._context = self._stream.codec_context
        self._container.start_encoding()
        self._hold = av.open("/dev/null", "w", format="matroska")
        self.template = self._hold.add_stream_from_template(self._stream)
        self._samples = self._context.frame_size or SOUND_SAMPLES
        self._done, self._hertz = 0, hertz
        self.shift_s = 0.0
        self.given = []

    def until(self, time_s):
        """The packets of the sound up to a time, from where it was."""
        packets = []
        while (self._done + self._samples) / SOUND_RATE <= time_s:
            at = (self._done + np.arange(self._samples)) / SOUND_RATE
            tone = np.rint(8000 * np.sin(2 * np.pi * self._hertz * at)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
            frame.sample_rate, frame.pts = SOUND_RATE, self._done
            frame.time_base = Fraction(1, SOUND_RATE)
            resampler = av.AudioResampler(self._context.format.name, "stereo")
            for fitting in resampler.resample(frame):
                packets += [self._own(packet) for packet in self._context.encode(fitting)]
            self._done += self._samples
        self.given += packets
        return packets

    def given_from(self, time_s):
        """The bytes of all packets so far that end after a time."""
        ends = [(one.packet.pts + one.packet.duration) / SOUND_RATE for one in self.given]
        return [bytes(one.packet) for one, end_s in zip(self.given, ends, strict=True)
                if end_s > time_s + 1e-6]  # fmt: skip

    def skip(self, time_s):
        """Go on at a time, with nothing before it."""
        self._done = round(time_s * SOUND_RATE)

    def _own(self, packet):
        copy = av.Packet(bytes(packet))
        shift = round(self.shift_s / packet.time_base)
        copy.pts, copy.dts, copy.duration = packet.pts + shift, packet.dts + shift, packet.duration
        copy.time_base, copy.is_keyframe = packet.time_base, True
        return AudioPacket(copy, "camera")


def info_of(rate=30, sound=None, size=SIZE, coded=None):
    """What a live source with this sound says of itself."""
    return StreamInfo("camera", "camera", *size, Fraction(rate), CLOCK, live=True,
                      audio=sound and sound.template, coded=coded)  # fmt: skip


def give(sink, number, time_s, sound=None, size=SIZE):
    """One picture at a time, after the sound up to it."""
    for packet in sound.until(time_s) if sound else ():
        sink.audio(packet)
    picture = stamp(number, time_s, size)
    sink.frame(picture, blank(Frame(picture, "camera", number, time_s)))
