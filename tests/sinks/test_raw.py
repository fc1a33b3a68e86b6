"""`--record-raw`: the source's own packets, and raw pixels encoded."""

import itertools
import os

import av
import pytest
from clips import blank, decode, make_clip, mean_errors, packets, said
from stamped import Sound, give, info_of, numbers, stamp

from vidcam.errors import OutputError
from vidcam.options import LiveOptions
from vidcam.sinks.raw import RawSink
from vidcam.types import AudioPacket, CodedPacket, Frame


class Coded:
    """What a live source gives of a clip: packets with data of their own, and their templates."""

    def __init__(self, path, shift_s=0.0):
        self._hold = [av.open(os.devnull, "w", format="matroska") for _ in range(2)]
        self.packets, self.sound, self.audio = [], [], None
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            self.coded = self._hold[0].add_stream_from_template(video, opaque=True)
            if container.streams.audio:
                source = container.streams.audio[0]
                self.audio = self._hold[1].add_stream_from_template(source)
            for packet in container.demux():
                if packet.size:
                    self._keep(packet, shift_s, packet.stream is video)

    @property
    def template(self):
        return self.audio

    def _keep(self, packet, shift_s, is_video):
        copy, shift = av.Packet(bytes(packet)), round(shift_s / packet.time_base)
        copy.pts, copy.dts, copy.duration = packet.pts + shift, packet.dts + shift, packet.duration
        copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
        if is_video:
            self.packets.append(CodedPacket(copy, "camera"))
        else:
            self.sound.append(AudioPacket(copy, "camera"))

    def info(self, size=(160, 96)):
        return info_of(24, self if self.audio else None, size, self.coded)

    def all(self):
        """Everything in order of time."""

        def time_of(one):
            return one.packet.dts * one.packet.time_base

        return sorted([*self.packets, *self.sound], key=time_of)


def raw(path, **options):
    return RawSink(str(path), LiveOptions(**options), 0, False)


def feed(sink, items):
    for item in items:
        (sink.coded if isinstance(item, CodedPacket) else sink.audio)(item)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Five seconds with B-frames, a key frame each second, and sound."""
    path = tmp_path_factory.mktemp("raw") / "in.mp4"
    options = {"preset": "veryfast", "g": "24", "crf": "30", "forced-idr": "1"}
    return make_clip(path, frames=120, sound=("aac",), options=options)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_packets_and_times_are_those_of_the_source(tmp_path, clip, suffix):
    source, path = Coded(clip, shift_s=12.5), tmp_path / f"raw.{suffix}"
    sink = raw(path)
    sink.open(source.info())
    before = [(bytes(one.packet), one.packet.pts, one.packet.time_base) for one in source.all()]
    feed(sink, source.all())
    sink.close()
    after = [(bytes(one.packet), one.packet.pts, one.packet.time_base) for one in source.all()]
    assert after == before  # they are other sinks' too
    for kind in ("video", "audio"):
        was, now = packets(clip, kind), packets(path, kind)
        assert [data for _, data in now] == [data for _, data in was][len(was) - len(now) :]
        assert len(was) - len(now) <= (kind == "audio")
        late = [now[n][0] - was[n + len(was) - len(now)][0] for n in range(len(now))]
        assert max(map(abs, late)) <= 0.002
    assert len(decode(path)) == 120


def test_it_begins_at_a_key_frame_and_again_after_a_loss(tmp_path, clip):
    source, path = Coded(clip), tmp_path / "raw.mp4"
    later = Coded(clip, shift_s=9.0)
    sink = raw(path)
    sink.open(source.info())
    feed(sink, source.packets[5:60])
    sink.lost("gone")
    first = next(n for n, one in enumerate(source.packets) if n >= 5 and one.packet.is_keyframe)
    second = next(n for n, one in enumerate(later.packets) if n >= 30 and one.packet.is_keyframe)
    # It can be played up to the last packet while the source is away.
    assert len(packets(path)) == 60 - first
    sink.changed(later.info())
    feed(sink, later.packets[30:])
    sink.close()
    assert len(packets(path)) == 60 - first + 120 - second
    seconds = sorted(float(time) for time, _ in packets(path))
    gaps = [after - before for before, after in itertools.pairwise(seconds)]
    assert max(gaps) == pytest.approx(9 + (second - 59) / 24, abs=0.15)
    assert [path.name for path in tmp_path.iterdir()] == ["raw.mp4"]


def test_segments_begin_at_key_frames(tmp_path, clip):
    source = Coded(clip)
    sink = raw(tmp_path / "raw-%Y.mkv", segment=1.5)
    sink.open(source.info())
    feed(sink, source.all())
    sink.close()
    names = sorted((path.name for path in tmp_path.iterdir()), key=lambda name: (len(name), name))
    counts = [len(packets(tmp_path / name)) for name in names]
    # The first key frames at or after 1.5, 3 and 4.5 s.
    keys = [n for n, one in enumerate(source.packets) if one.packet.is_keyframe]
    begins = [next((k for k in keys if k >= 36 * n), 120) for n in range(4)]
    assert counts == [b - a for a, b in itertools.pairwise([*begins, 120]) if b > a]
    assert len(counts) > 2
    joined = [data for name in names for _, data in packets(tmp_path / name)]
    assert joined == [data for _, data in packets(clip)]
    for name in names:
        with av.open(str(tmp_path / name)) as container:
            assert next(container.demux(video=0)).is_keyframe
        assert len(decode(tmp_path / name)) == len(packets(tmp_path / name))
    heard = [data for name in names for _, data in packets(tmp_path / name, "audio")]
    was = [data for _, data in packets(clip, "audio")]
    assert heard == was[len(was) - len(heard) :] and len(was) - len(heard) <= 1


def test_another_codec_begins_another_file(tmp_path, clip):
    other = make_clip(tmp_path / "in.mp4", frames=24, size=(128, 96))
    first, second = Coded(clip), Coded(other, shift_s=7.0)
    (tmp_path / "out").mkdir()
    sink = raw(tmp_path / "out" / "raw.mp4")
    sink.open(first.info())
    feed(sink, first.packets)
    sink.lost("gone")
    sink.changed(second.info((128, 96)))
    feed(sink, second.packets)
    sink.close()
    names = ("raw.mp4", "raw-2.mp4")
    assert [len(decode(tmp_path / "out" / name)) for name in names] == [120, 24]


def test_a_container_that_cannot_hold_the_codec_is_refused(tmp_path):
    source = Coded(make_clip(tmp_path / "in.mkv", frames=4, encoder="libvpx"))
    sink = raw(tmp_path / "raw.mp4")
    with pytest.raises(OutputError, match=r"\.mp4 cannot hold vp8; write raw\.mkv"):
        sink.open(source.info())
    sink.close(OutputError("said already"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_raw_pixels_are_encoded_well_and_it_says_so_once(tmp_path):
    sink, sound = raw(tmp_path / "raw.mkv", crf=45, preset="ultrafast"), Sound()
    with said(level=20) as lines:
        sink.open(info_of(30, sound))
        for number in range(60):
            give(sink, number, number / 30, sound)
    sink.close()
    assert sum("crf 16" in line for line in lines) == 1
    assert numbers(tmp_path / "raw.mkv") == list(range(60))
    for number, picture in enumerate(decode(tmp_path / "raw.mkv")):
        assert max(mean_errors(picture, stamp(number, 0.0))) < 0.7


def test_pictures_of_a_coded_source_are_not_encoded(tmp_path, clip):
    source, path = Coded(clip), tmp_path / "raw.mp4"
    sink = raw(path)
    sink.open(source.info())
    for number, packet in enumerate(source.packets[:48]):
        picture = stamp(number, number / 24, (160, 96))
        sink.frame(picture, blank(Frame(picture, "camera", number, 0.0)))
        sink.coded(packet)
    sink.close()
    assert sorted(data for _, data in packets(path)) == sorted(
        bytes(one.packet) for one in source.packets[:48]
    )
    assert RawSink.undrawn
