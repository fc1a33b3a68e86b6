"""The values that travel: checked where they are made, and unchangeable."""

import dataclasses
from fractions import Fraction

import av
import numpy as np
import pytest

from vidcam.types import (
    AudioPacket,
    Batch,
    Frame,
    Prediction,
    Rect,
    Result,
    RunStats,
    Score,
    StreamInfo,
)

RECT = Rect(0, 0, 64, 48)
TABBY = Score(281, "虎斑猫", "tabby", 0.83)


def frame(pts=0, time_base=Fraction(1, 25), size=(64, 48)):
    picture = av.VideoFrame(*size, "yuv420p")
    picture.pts, picture.time_base = pts, time_base
    return Frame(picture, "clip.mp4", 3, 0.0)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5), (5, -2)])
def test_a_rectangle_without_area_is_refused(size):
    with pytest.raises(ValueError, match="empty"):
        Rect(0, 0, *size)


def test_a_rectangle_as_a_list_for_the_records():
    assert Rect(1, 2, 3, 4).as_list() == [1, 2, 3, 4]


def test_a_frame_knows_its_time_and_its_size():
    assert frame(50).time_s == 2.0
    assert frame(1001, Fraction(1, 24_000)).time_s == pytest.approx(1001 / 24_000)
    assert frame(None).time_s == 0.0
    assert frame(size=(64, 48)).size_bytes == 64 * 48 * 3 // 2


def test_a_sound_packet_knows_its_size():
    assert AudioPacket(av.Packet(b"12345"), "clip.mp4").size_bytes == 5


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (3, 8, 8, 3), (8, 8, 3), (2, 8, 8)])
def test_a_batch_holds_one_square_a_frame(shape):
    Batch((frame(), frame()), np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="2 frames"):
        Batch((frame(), frame()), np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(7,), (1, 7, 7), (7, 7, 3)])
def test_a_map_is_a_grid(shape):
    Prediction((TABBY,), (TABBY,), RECT, np.zeros((7, 5), np.float32))
    with pytest.raises(ValueError, match=r"\(h, w\)"):
        Prediction((TABBY,), (TABBY,), RECT, np.zeros(shape, np.float32))


def test_a_score_as_a_record():
    assert Score(1, "金鱼", "goldfish", 0.123456789).as_record() == {
        "index": 1, "label": "金鱼", "label_en": "goldfish", "score": 0.123457,
    }  # fmt: skip
    assert Score(-1, "未知", "unknown", None).as_record()["score"] is None


def test_stages_add_up_and_the_rate_is_of_written_frames():
    stats = RunStats()
    assert stats.fps == 0.0
    for seconds in (0.5, 0.25):
        stats.add("draw", seconds)
    stats.add("encode", 1.0)
    assert stats.stages_s == {"draw": 0.75, "encode": 1.0}
    stats.written, stats.wall_s = 50, 2.0
    assert stats.fps == 25


def test_two_runs_count_for_themselves():
    RunStats().add("draw", 1.0)
    assert RunStats().stages_s == {}


@pytest.mark.parametrize(
    "value",
    [RECT, frame(), TABBY, Prediction((), (), RECT), Batch((), np.zeros((0, 8, 8, 3), np.uint8)),
     AudioPacket(av.Packet(b""), "x"), Result(frame(), Prediction((), (), RECT), 0.0),
     StreamInfo("x", "x", 64, 48, Fraction(25), Fraction(1, 25))],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_travels_cannot_be_changed_on_the_way(value):
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)
