"""Pictures are classified as timm would, in order, whatever the batches; nothing piles up."""

import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from checkpoints import small_checkpoint
from PIL import Image

import vidcam
from vidcam.errors import SourceError, UnknownName, UsageError
from vidcam.pictures.options import ImageOptions
from vidcam.pictures.predictor import MOST_BARS, Predictor

COLOURS = ("red", "green", "blue")
MANY = tuple(f"class {number}" for number in range(MOST_BARS + 10))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The options of a network of three classes."""
    path = small_checkpoint(tmp_path_factory.mktemp("small"), COLOURS)
    return {"model": str(path), "backend": "torch"}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The options of a network of more classes than a chart has bars."""
    path = small_checkpoint(tmp_path_factory.mktemp("many"), MANY)
    return {"model": str(path), "backend": "torch"}


@pytest.fixture(scope="module")
def predictor(small):
    return Predictor(ImageOptions(**small))


@pytest.fixture(scope="module")
def frames(tmp_path_factory, cat_clip, tour_clip):
    """Paths of 10 frames of the clips, every size another, the largest first."""
    folder, paths = tmp_path_factory.mktemp("frames"), []
    for clip, every in ((cat_clip, 45), (tour_clip, 32)):
        with av.open(str(clip)) as container:
            pictures = [
                frame.to_image()
                for number, frame in enumerate(container.decode(video=0))
                if number % every == 0
            ]
        for picture in pictures:
            number = len(paths)
            path = folder / f"{number}.{'jpg' if number % 2 else 'png'}"
            picture.resize((960 - 27 * number, 540 - 9 * number)).save(path)
            paths.append(str(path))
    return paths


def scores_of(predicted):
    """(pictures, classes) of the scores, by class."""
    rows = [sorted((score.index, score.score) for score in one.topk) for one in predicted]
    return np.array([[score for _, score in row] for row in rows])


def threads():
    return [one for one in threading.enumerate() if one.name.startswith("vidcam-pictures")]


def test_the_top_class_is_that_of_timms_own_evaluation(frames):
    import torch
    from timm.data import create_transform, resolve_model_data_config

    predictor = Predictor(ImageOptions(backend="torch"), len(frames))
    assert predictor.backend.precision == "f32"
    net = predictor.model.net
    transform = create_transform(**resolve_model_data_config(net), is_training=False)
    pixels = torch.stack([transform(Image.open(path).convert("RGB")) for path in frames])
    with torch.no_grad():
        expected = net(pixels).softmax(1)
    found = [one.prediction.topk[0] for one in predictor(frames)]
    assert [score.index for score in found] == expected.argmax(1).tolist()
    assert np.allclose([score.score for score in found], expected.amax(1).numpy(), atol=0.03)


def test_batches_and_engines_change_neither_order_nor_scores(small, frames):
    expected = None
    for settings in ({"batch": 1}, {"batch": 4}, {"batch": 64}, {"backend": "openvino"}):
        predictor = Predictor(ImageOptions(**small | settings), len(frames))
        predicted = list(predictor(frames))
        assert [one.name for one in predicted] == frames
        assert [one.number for one in predicted] == list(range(len(frames)))
        scores = scores_of(one.prediction for one in predicted)
        expected = scores if expected is None else expected
        assert np.abs(scores - expected).max() < 1e-4, settings
    assert np.ptp(expected, axis=0).max() > 0.01  # the pictures do differ


def test_a_batch_is_begun_before_the_one_under_way_is_asked_for(predictor, frames, monkeypatch):
    begin, events = predictor.classifier.start, []

    def start(pixels, explain):
        pending, number = begin(pixels, explain), events.count("begin")
        events.append("begin")
        return lambda: events.append(number) or pending()

    monkeypatch.setattr(predictor.classifier, "start", start)
    assert len(list(predictor(frames * 2))) == 20
    assert events == ["begin", "begin", 0, "begin", 1, 2]


def test_the_batch_is_the_one_that_is_asked_for_but_no_larger_than_the_pictures(small):
    for batch, count, expected in ((None, None, 8), (32, None, 32), (32, 3, 3), (2, 9, 2)):
        assert Predictor(ImageOptions(**small, batch=batch), count).batch == expected


def test_a_broken_picture_is_told_and_the_rest_goes_on(predictor, frames, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(Path(frames[1]).read_bytes()[:2000])
    given = [str(broken), frames[0], "missing.png", frames[1], str(broken)]
    refused = []
    predicted = list(predictor(given, refused=lambda *told: refused.append(told)))
    assert [(one.number, one.name) for one in predicted] == [(1, frames[0]), (3, frames[1])]
    assert [name for name, _ in refused] == [str(broken), "missing.png", str(broken)]
    assert all(name in str(error) for name, error in refused)
    with pytest.raises(SourceError, match=r"broken\.jpg: damaged"):
        list(predictor(given))
    assert not threads()


def test_whoever_stops_listening_leaves_no_thread(predictor, frames):
    endless = (path for _ in range(10_000) for path in frames)
    predictions = predictor(endless)
    assert next(predictions).name == frames[0]
    predictions.close()
    assert not threads()
    assert next(endless) in frames  # only what was decoded ahead has been taken


# In a process of its own: the one of all tests has gigabytes of freed memory to shuffle about.
GROWTH = """
import gc, re, sys
from pathlib import Path
from vidcam.pictures.options import ImageOptions
from vidcam.pictures.predictor import Predictor

def resident_mb():
    gc.collect()
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1000

model, *paths = sys.argv[1:]
predictor = Predictor(ImageOptions(model=model, backend="torch"))
for _ in range(3):
    list(predictor(paths))
before_mb = resident_mb()
for _ in range(10):
    list(predictor(paths))
print(resident_mb() - before_mb)
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(),
    reason="the memory of a process is read from /proc",
)
def test_memory_does_not_grow_with_calls(small, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path in paths:
        Image.new("RGB", (2000, 1000), (10, 90, 200)).save(path, compress_level=1)
    command = [sys.executable, "-c", GROWTH, small["model"], *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    # A picture has 6 MB, and Pillow takes 8 for it: keeping them all would be 160 MB.
    assert float(run.stdout) < 40


@pytest.mark.parametrize(
    ("network", "options", "bars"),
    [("small", {"topk": 1}, 3), ("small", {"topk": 0}, 3), ("small", {"classes": "red,blue"}, 2),
     ("many", {"topk": 4}, 4), ("many", {"topk": "all"}, MOST_BARS),
     ("many", {"topk": 1, "classes": "class 3,class 1,class 59"}, 3)],
)  # fmt: skip
def test_a_chart_shows_all_classes_where_they_are_few(request, network, options, bars):
    parsed = vidcam.ImageOptions(**request.getfixturevalue(network) | options)
    (predicted,) = Predictor(parsed, 1)([np.zeros((50, 60, 3), np.uint8)])
    assert len(predicted.bars) == bars
    scores = [score.score for score in predicted.bars]
    assert scores == sorted(scores, reverse=True)
    assert predicted.bars[: len(predicted.prediction.topk)] == predicted.prediction.topk[:MOST_BARS]


def test_predict_takes_paths_pictures_arrays_and_folders(small, frames):
    from vidcam.pictures.reading import read_picture

    picture = read_picture(frames[0])
    pixels = np.asarray(picture)
    given = [frames[0], Path(frames[0]), picture, pixels, pixels[..., 1], picture.convert("L")]
    predictions = vidcam.predict(given, topk="all", **small)
    scores = scores_of(predictions)
    assert np.abs(scores[1:4] - scores[0]).max() < 1e-5
    assert scores.sum(1) == pytest.approx(1, abs=1e-5)
    crop = predictions[3].crop  # 7/8 of the middle, in whole pixels of 64
    assert crop.width == pytest.approx(472, abs=12) and crop.x == pytest.approx(244, abs=12)
    assert crop.height == pytest.approx(472, abs=12) and crop.y == pytest.approx(34, abs=12)
    (alone,) = vidcam.predict(frames[0], topk="all", **small)
    assert np.abs(scores_of([alone]) - scores[0]).max() < 1e-5
    folder = Path(frames[0]).parent
    for pattern, count in ((folder, 10), (f"{folder}/[13]*.jpg", 2), ((frames[0], frames[0]), 2)):
        assert len(vidcam.predict(pattern, **small)) == count
    assert vidcam.predict([], **small) == []


def test_predict_minds_topk_classes_threshold_and_languages(small, frames):
    (prediction,) = vidcam.predict(frames[0], topk=2, classes="blue,red", **small)
    assert {score.label for score in prediction.topk} == {"blue", "red"}
    assert sum(score.score for score in prediction.topk) == pytest.approx(1)
    assert prediction.shown == prediction.topk and prediction.cam is None
    (prediction,) = vidcam.predict(frames[0], threshold=1.0, **small)
    assert len(prediction.topk) == 3
    (shown,) = prediction.shown
    assert (shown.index, shown.label, shown.label_en, shown.score) == (-1, "未知", "unknown", None)


@pytest.mark.parametrize(
    ("given", "options", "kind", "says"),
    [("missing.jpg", {}, SourceError, "missing.jpg: no such file"),
     (np.zeros((5, 5, 4), np.uint8), {}, UsageError, r"\(H, W, 3\) RGB"),
     (np.zeros((5, 5, 3)), {}, UsageError, "uint8"),
     ([3], {}, UsageError, "a path, a PIL image or a NumPy array, not int"),
     ("https://host/a.jpg", {}, UsageError, "download it first"),
     ("*.nothing", {}, SourceError, "holds no picture"),
     (np.zeros((5, 5), np.uint8), {"topk": -1}, UsageError, "--topk"),
     (np.zeros((5, 5), np.uint8), {"top": 1}, UnknownName, "nearest: topk"),
     (np.zeros((5, 5), np.uint8), {"classes": "read"}, UnknownName, "nearest: red")],
)  # fmt: skip
def test_what_predict_cannot_do_is_said(small, given, options, kind, says):
    with pytest.raises(kind, match=says):
        vidcam.predict(given, **small | options)
    assert not threads()


def test_the_crop_of_a_large_jpeg_is_in_pixels_of_the_file(tmp_path, predictor):
    picture = Image.effect_noise((2400, 1600), 60).convert("RGB")
    path = tmp_path / "large.jpg"
    picture.save(path)
    by_path, whole = [next(iter(predictor([given]))).prediction.crop for given in (path, picture)]
    assert max(abs(a - b) for a, b in zip(by_path.as_list(), whole.as_list(), strict=True)) <= 8
    assert by_path.x + by_path.width <= 2400 and by_path.y + by_path.height <= 1600
