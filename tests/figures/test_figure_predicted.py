"""A picture with its labels, a chart of its scores, or both: whole files or none."""

from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image

from vidcam.errors import OutputError, SourceError, UsageError
from vidcam.figures.predicted import Drawing
from vidcam.pictures.options import ImageOptions
from vidcam.pictures.predictor import Predicted
from vidcam.types import Prediction, Rect, Score

SCORES = (
    Score(285, "埃及猫 / Egyptian cat / エジプシャンマウ", "Egyptian cat", 0.7),
    Score(281, "虎斑猫 / tabby cat / トラネコ", "tabby cat", 0.2),
    Score(282, "虎纹猫 / tiger cat / 호랑이고양이", "tiger cat", 0.0),
)
UNKNOWN = (Score(-1, "未知 / unknown / 不明", "unknown", None),)
WIDTH, HEIGHT = 641, 359


@pytest.fixture(scope="module")
def picture(tmp_path_factory, cat_clip):
    """The path of a picture of odd sides."""
    path = tmp_path_factory.mktemp("picture") / "猫 1.png"
    with av.open(str(cat_clip)) as container:
        next(container.decode(video=0)).to_image().resize((WIDTH, HEIGHT)).save(path)
    return path


def predicted(path, shown=SCORES, bars=SCORES):
    return Predicted(0, str(path), Prediction(SCORES, shown, Rect(141, 0, 359, 359)), bars)


def drawing(layout):
    return Drawing(ImageOptions(layout=layout, lang="zh,en,ja"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pixels(path):
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image).astype(int)


def test_the_overlay_is_the_picture_with_a_panel_on_it(picture, tmp_path, said):
    target = tmp_path / "out.jpg"
    drawing("overlay").save(predicted(picture), str(picture), target, overwrite=False)
    assert names(tmp_path) == ["out.jpg"]
    with Image.open(target) as image:
        assert image.format == "JPEG"
    found, before = pixels(target), pixels(picture)
    assert found.shape == (HEIGHT, WIDTH, 3)
    changed = np.abs(found - before).mean(-1)
    assert changed[8:60, 12:300].mean() > 20  # the panel, at the top left
    assert changed[120:].mean() < 3 and changed[:, 500:].mean() < 3
    assert np.abs(found[120:].mean((0, 1)) - before[120:].mean((0, 1))).max() < 2  # the colours
    assert said == []


def test_unknown_is_what_the_picture_carries(picture):
    draw, image = drawing("overlay"), np.asarray(Image.open(picture))
    known = draw.overlay(predicted(picture), image).astype(int)
    unknown = draw.overlay(predicted(picture, UNKNOWN), image).astype(int)
    only = draw.overlay(predicted(picture, SCORES[:1]), image).astype(int)
    none = draw.overlay(predicted(picture, ()), image).astype(int)
    plain = image.astype(int)
    # A row of another text, no rows below it, and nothing at all.
    assert np.abs(unknown - only)[:40].mean() > 1
    assert np.abs(unknown - known)[40:80].mean() > 5
    assert np.abs(none - plain).mean() < 2


@pytest.mark.parametrize("size", [(1, 1), (640, 3), (3, 640), (33, 47), (101, 1999), (2999, 203)])
def test_pictures_of_any_shape_are_drawn(tmp_path, size, said):
    path = tmp_path / "in.png"
    Image.new("RGB", size, (30, 160, 90)).save(path)
    for layout, suffix in (("overlay", "jpg"), ("both", "png")):
        target = tmp_path / f"{layout}.{suffix}"
        drawing(layout).save(predicted(path), str(path), target, overwrite=False)
        if layout == "overlay":
            assert pixels(target).shape[1::-1] == size
        else:
            assert pixels(target).min() < 100 < pixels(target).max()
    assert said == []


def test_a_chart_has_a_bar_for_each_score_and_both_has_the_picture_too(picture, tmp_path, said):
    bars = tuple(replace(score, label=f"{n} {score.label}") for n in range(9) for score in SCORES)
    heights = {}
    for layout in ("chart", "both"):
        for count in (0, 3, 27):
            target = tmp_path / f"{layout}{count}.png"
            given = predicted(picture, bars=bars[:count])
            drawing(layout).save(given, str(picture), target, overwrite=False)
            heights[layout, count] = pixels(target).shape[0]
    assert heights["chart", 27] > heights["chart", 3] >= heights["chart", 0]
    chart, both = (pixels(tmp_path / f"{layout}3.png") for layout in ("chart", "both"))
    assert both.shape[1] > chart.shape[1] + 300

    def colours(figure):
        return len(np.unique(figure.reshape(-1, 3), axis=0))

    assert colours(both) > 5 * colours(chart)
    assert said == []


def test_labels_beside_a_chart_cover_no_more_of_a_tiny_picture_than_of_a_large_one(tmp_path):
    covered = []
    for side in (60, 150, 600):
        path, target = tmp_path / f"{side}.png", tmp_path / f"{side}-both.png"
        Image.new("RGB", (side, side), (30, 200, 90)).save(path)
        drawing("both").save(predicted(path), str(path), target, overwrite=False)
        green = np.abs(pixels(target) - (30, 200, 90)).max(-1) < 12
        rows, columns = green.any(1).nonzero()[0], green.any(0).nonzero()[0]
        size = len(rows), len(columns)
        covered.append(1 - green.sum() / (size[0] * size[1]))
        assert size == (360, 360)
    assert max(covered) - min(covered) < 0.03 and max(covered) < 0.25


def test_what_goes_wrong_leaves_no_file(picture, tmp_path):
    broken, target = tmp_path / "broken.png", tmp_path / "out" / "a.jpg"
    target.parent.mkdir()
    broken.write_bytes(picture.read_bytes()[:500])
    draw = drawing("overlay")
    with pytest.raises(SourceError, match=r"broken\.png: damaged"):
        draw.save(predicted(broken), str(broken), target, overwrite=False)
    assert names(target.parent) == []
    target.write_text("the old one")
    with pytest.raises(UsageError, match="exists already"):
        draw.save(predicted(picture), str(picture), target, overwrite=False)
    with pytest.raises(SourceError):
        draw.save(predicted(broken), str(broken), target, overwrite=True)
    assert names(target.parent) == ["a.jpg"] and target.read_text() == "the old one"
    with pytest.raises((OutputError, UsageError)):
        draw.save(predicted(picture), str(picture), tmp_path / "no" / "a.jpg", overwrite=False)
    draw.save(predicted(picture), str(picture), target, overwrite=True)
    assert pixels(target).shape == (HEIGHT, WIDTH, 3)


def test_a_chart_needs_no_picture(tmp_path):
    target = tmp_path / "a.png"
    drawing("chart").save(predicted("gone/萨摩耶.jpg"), "gone/萨摩耶.jpg", target, overwrite=False)
    assert pixels(target).min() < 100
