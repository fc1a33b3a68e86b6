"""Clips of any length and size, made from a short one."""

from itertools import count
from pathlib import Path

import av

SCALED_FRAMES = 60


def looped(source: Path, target: Path, frames: int) -> None:
    """Write the first `frames` pictures of an endless loop of `source`, without encoding again."""
    with av.open(str(target), "w") as output:
        written = 0
        with av.open(str(source)) as container:
            stream = output.add_stream_from_template(container.streams.video[0])
        for turn in count():
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                packets = [packet for packet in container.demux(video) if packet.size]
                assert video.average_rate and video.time_base
                turn_ticks = round(len(packets) / video.average_rate / video.time_base)
                for packet in packets:
                    if written == frames:
                        return
                    assert packet.pts is not None and packet.dts is not None
                    packet.pts += turn * turn_ticks
                    packet.dts += turn * turn_ticks
                    packet.stream = stream
                    output.mux(packet)
                    written += 1


def scaled(source: Path, target: Path, size: tuple[int, int]) -> None:
    """Write the first pictures of `source` in another size (width, height)."""
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        video = container.streams.video[0]
        stream = output.add_stream("libx264", rate=video.average_rate)
        stream.width, stream.height = size
        stream.options = {"preset": "veryfast", "crf": "23"}
        for number, frame in enumerate(container.decode(video)):
            if number == SCALED_FRAMES:
                break
            picture = frame.reformat(*size, format="yuv420p")
            picture.pts, picture.time_base = frame.pts, frame.time_base
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
