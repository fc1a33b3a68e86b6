"""The Python side: `vidcam.stream`, `vidcam.run`, and a Session that serves many sources."""

import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from checkpoints import small_checkpoint
from clips import decode, make_clip

import vidcam
from vidcam.session import VIDEO_FIT, Session
from vidcam.sinks import Sink
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source

SMALL = "lavfi:testsrc2=size=320x180:rate=25"


@pytest.fixture(scope="module")
def small_model(tmp_path_factory):
    """A checkpoint of a small network with fixed random weights."""
    return str(small_checkpoint(tmp_path_factory.mktemp("checkpoint"), fit="pad"))


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", frames=12, rate=24, sound=["aac"])


class Counter(Sink):
    """A sink that counts."""

    def __init__(self):
        self.frames, self.closed_with = 0, []

    def open(self, info):
        pass

    def frame(self, picture, result):
        self.frames += 1

    def audio(self, packet):
        pass

    def close(self, error=None):
        self.closed_with.append(error)


def live_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("vidcam")]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_stream_gives_a_result_a_frame_as_its_documentation_says(cat_clip):
    results = list(vidcam.stream(cat_clip, lang="en", topk=3, max_frames=4, precision="f32"))
    assert [result.frame.index for result in results] == [0, 1, 2, 3]
    assert [result.frame.time_s for result in results] == pytest.approx([0, 1 / 30, 2 / 30, 0.1])
    for result in results:
        assert isinstance(result, vidcam.Result)
        prediction, picture = result.prediction, result.frame.picture
        assert "cat" in prediction.topk[0].label and len(prediction.topk) == 3
        assert (picture.width, picture.height, picture.format.name) == (1280, 720, "yuv420p")
        assert prediction.cam.dtype == np.float32 and prediction.cam.shape == (7, 7)
        assert prediction.cam.min() >= 0 and 0.5 < prediction.cam.max() <= 1
        assert prediction.crop == vidcam.Rect(0, 0, 1280, 720)


def test_stream_takes_the_fields_of_the_options(small_model, clip):
    (result,) = vidcam.stream(str(clip), model=small_model, max_frames=1, class_="blue", roi=None)
    assert {score.label for score in result.prediction.topk} == {"red", "green", "blue"}
    assert result.prediction.cam_class == 2


def test_stream_leaves_nothing_behind_when_the_caller_stops(small_model):
    for result in vidcam.stream(SMALL, duration="1h", model=small_model):
        if result.frame.index == 20:
            break
    # Leaving the loop drops the generator, which ends the threads.
    assert live_threads() == []


@pytest.mark.parametrize(
    ("source", "options", "error", "says"),
    [
        ("missing.mp4", {}, vidcam.SourceError, "missing.mp4: no such file"),
        (SMALL, {}, vidcam.UsageError, "--duration"),
        (SMALL, {"lng": "en"}, vidcam.UnknownName, "unknown option 'lng'; nearest: lang"),
        (SMALL, {"colormap": "jett"}, vidcam.UnknownName, "nearest: jet"),
        (SMALL, {"max_frames": 0}, vidcam.UsageError, "--max-frames 0"),
        (SMALL, {"max_frames": 1, "layer": "nowhere"}, vidcam.UnknownName, "unknown layer"),
        (SMALL, {"max_frames": 1, "roi": "999,0,9,9"}, vidcam.UsageError, "leaves nothing"),
    ],
)
def test_stream_says_at_its_first_step_what_is_wrong(small_model, source, options, error, says):
    results = vidcam.stream(source, **{"model": small_model} | options)
    with pytest.raises(error, match=says):
        next(results)
    assert live_threads() == []


def test_errors_are_also_the_builtins_that_they_mean(small_model):
    with pytest.raises(OSError, match="no such file"):
        vidcam.run("missing.mp4", Counter())
    with pytest.raises(LookupError, match="unknown option"):
        next(vidcam.stream(SMALL, nonsense=1))


def test_run_writes_a_file_and_returns_what_was_done(small_model, clip, tmp_path):
    options = vidcam.FileOptions(model=small_model, stride=2)
    stats = vidcam.run(clip, tmp_path / "out.mp4", options)
    assert isinstance(stats, vidcam.RunStats)
    assert (stats.read, stats.classified, stats.explained, stats.written) == (12, 6, 6, 12)
    assert (stats.corrupt, stats.wall_s > 0, stats.fps > 0) == (0, True, True)
    assert len(decode(tmp_path / "out.mp4")) == 12
    assert names(tmp_path) == ["clip.mp4", "out.mp4"]


def test_run_takes_paths_and_sinks_together(small_model, clip, tmp_path):
    options, counter = vidcam.FileOptions(model=small_model), Counter()
    vidcam.run(str(clip), [str(tmp_path / "a.mp4"), counter, tmp_path / "b.mkv"], options)
    assert names(tmp_path) == ["a.mp4", "b.mkv", "clip.mp4"]
    assert len(decode(tmp_path / "a.mp4")) == len(decode(tmp_path / "b.mkv")) == 12
    assert (counter.frames, counter.closed_with) == (12, [None])


def test_run_takes_a_source_of_yours(small_model, clip):
    options, counter = vidcam.FileOptions(model=small_model, max_frames=5), Counter()
    stats = vidcam.run(open_source(str(clip), options), (counter,), options)
    assert stats.written == counter.frames == 5


def test_run_replaces_nothing_unless_it_is_told_to(small_model, clip, tmp_path):
    options, counter = vidcam.FileOptions(model=small_model), Counter()
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    with pytest.raises(vidcam.UsageError, match="exists already") as caught:
        vidcam.run(clip, [counter, target], options)
    assert counter.closed_with == [caught.value]
    assert target.read_text() == "precious" and names(tmp_path) == ["clip.mp4", "out.mp4"]
    vidcam.run(clip, target, options, overwrite=True)
    assert len(decode(target)) == 12


@pytest.mark.parametrize(
    "options", [{"model": "nonsense"}, {"layer": "nowhere"}, {"roi": "999,0,9,9"}]
)
def test_a_run_that_cannot_start_leaves_no_file(small_model, clip, tmp_path, options):
    counter = Counter()
    with pytest.raises(vidcam.UsageError) as caught:
        vidcam.run(clip, [tmp_path / "out.mp4", counter],
                   vidcam.FileOptions(**{"model": small_model} | options))  # fmt: skip
    assert names(tmp_path) == ["clip.mp4"]
    assert counter.closed_with == [caught.value]


def test_a_file_of_several_that_cannot_be_written_leaves_none_of_them(small_model, clip, tmp_path):
    with pytest.raises(vidcam.UsageError, match="does not exist"):
        vidcam.run(clip, [tmp_path / "a.mp4", tmp_path / "no" / "b.mp4"],
                   vidcam.FileOptions(model=small_model))  # fmt: skip
    assert names(tmp_path) == ["clip.mp4"]


def test_a_session_serves_one_source_after_another(session, tour_clip):
    def predictions(uri, **options):
        parsed = replace(session.options, **options)
        results = session.results(open_source(uri, parsed, audio=False))
        return [result.prediction for result in results]

    tour = {"start": 1.6, "max_frames": 6}
    first = predictions(str(tour_clip), **tour)
    predictions(SMALL, max_frames=6)
    again = predictions(str(tour_clip), **tour)
    # Nothing of the source in between is left: no smoothed score, no heat, no scale.
    for one, same in zip(first, again, strict=True):
        assert [s.index for s in one.shown] == [s.index for s in same.shown]
        assert [s.score for s in one.shown] == pytest.approx([s.score for s in same.shown])
        np.testing.assert_allclose(one.cam, same.cam, atol=1e-4)


def test_the_fit_is_the_users_then_the_checkpoints_then_that_for_video(session, small_model):
    assert session.geometry.fit == VIDEO_FIT
    options = vidcam.FileOptions(model=small_model)
    assert Session(options).geometry.fit == "pad"
    assert Session(replace(options, fit="crop")).geometry.fit == "crop"


def test_a_session_closes_a_file_sink_that_never_opened(session, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "geometry", replace(session.geometry, roi=(999, 0, 9, 9)))
    sink = VideoFileSink(tmp_path / "out.mp4", session.options)
    with pytest.raises(vidcam.UsageError, match="leaves nothing"):
        session.run(open_source(str(clip), session.options), [sink])
    assert names(tmp_path) == ["clip.mp4"]


def test_every_public_name_is_there_and_nothing_else():
    for name in vidcam.__all__:
        assert getattr(vidcam, name).__name__ == name
        assert name in dir(vidcam)
    with pytest.raises(AttributeError, match="nonsense"):
        vidcam.nonsense  # noqa: B018 - the look-up is the test


def test_importing_vidcam_loads_no_torch_and_no_codecs():
    code = "import sys, vidcam; print(*sys.modules)"
    out = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60)
    assert not {"torch", "cv2", "av", "numpy", "click"} & set(out.split())
